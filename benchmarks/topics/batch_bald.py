"""BatchBALD: exact while the outcomes of the batch are few, by samples after that."""

import itertools

# The packages are in an environment of their own.
# pyright: reportMissingImports=false
import numpy as np

from benchmarks.harness.topic import Quality, Side, Topic, Work, jaxal_side
from benchmarks.topics.examples import softmax

ENUMERATED = 5_000  # outcomes of a batch whose entropy is summed, not sampled


def make(rng, size):
    """Logits [K, N, C] whose draws disagree as those of a half-trained network do."""
    shape = size["draws"], size["rows"], size["classes"]
    shared = 2 * rng.normal(size=(1, *shape[1:]))
    return {"logits": (shared + rng.normal(size=shape)).astype(np.float32)}


def jaxal(inputs, size):
    import jax
    import jax.numpy as jnp

    from jaxal import selection

    logits = jnp.asarray(inputs["logits"])
    free = jnp.ones(size["rows"], bool)

    def call(seed):
        key = jax.random.key(seed)
        return np.asarray(
            selection.batch_bald(key, logits, free, size["picks"], num_samples=size["samples"]).rows
        )

    return call


def redux(inputs, size):
    import torch
    from batchbald_redux.batchbald import get_batchbald_batch

    logits = torch.from_numpy(np.ascontiguousarray(np.moveaxis(inputs["logits"], 0, 1)))
    log_probs = torch.log_softmax(logits, -1)

    def call(seed):
        torch.manual_seed(seed)
        batch = get_batchbald_batch(log_probs, size["picks"], size["samples"], dtype=torch.double)
        return np.asarray(batch.indices)

    return call


def scikit_activeml(inputs, size):
    from skactiveml.pool._bald import batch_bald

    probs = softmax(inputs["logits"].astype(np.float64))

    def call(seed):
        options = {"n_MC_samples": size["samples"], "random_state": seed}
        utilities = batch_bald(probs, size["picks"], **options)
        return np.nanargmax(utilities, axis=1)

    return call


def information(inputs, size, rows):
    """Of the batch's labels about the model, in nats: H(y_S) - sum_i mean_k H(p_ik)."""
    logits = inputs["logits"][:, rows].astype(np.float64)
    probs = softmax(logits)  # [K, B, C]
    conditional = -(probs * np.log(probs)).sum(-1).mean(0).sum()
    draws, batch, classes = probs.shape
    places = np.arange(batch)
    if classes**batch <= ENUMERATED:
        outcomes = np.array(list(itertools.product(range(classes), repeat=batch)))
        joint = probs[:, places, outcomes].prod(-1).mean(0)
        return float(-(joint * np.log(joint)).sum() - conditional)
    rng = np.random.default_rng(0)
    drawn = rng.integers(draws, size=4 * ENUMERATED)
    chance = rng.random((len(drawn), batch, 1))
    outcomes = (probs[drawn].cumsum(-1) < chance).sum(-1).clip(max=classes - 1)
    joint = np.mean([np.prod(one[places, outcomes], axis=-1) for one in probs], axis=0)
    return float(-np.log(joint).mean() - conditional)


def operations(size):
    outcomes = [
        min(size["classes"] ** turn, size["samples"]) * size["classes"]
        for turn in range(size["picks"])
    ]
    return 2.0 * size["rows"] * size["draws"] * sum(outcomes)


TOPIC = Topic(
    title="BatchBALD",
    sizes={
        "small": {"rows": 500, "draws": 20, "classes": 4, "picks": 5, "samples": 1_024},
        "medium": {"rows": 2_000, "draws": 40, "classes": 10, "picks": 10, "samples": 10_000},
        "large": {"rows": 20_000, "draws": 40, "classes": 10, "picks": 20, "samples": 10_000},
    },
    make=make,
    sides={
        "jaxal": jaxal_side(jaxal),
        "batchbald_redux": Side(redux, "batchbald-redux", ("torch", "batchbald_redux")),
        "scikit-activeml": Side(scikit_activeml, "scikit-activeml", ("skactiveml.pool",)),
    },
    quality=Quality("information", information),
    work=lambda size: Work(
        operations(size), 4.0 * size["rows"] * size["draws"] * size["classes"] * size["picks"]
    ),
    shape=lambda size: (
        f"{size['rows']:,} rows, {size['draws']} draws, {size['classes']} classes, "
        f"{size['picks']} picks"
    ),
)
