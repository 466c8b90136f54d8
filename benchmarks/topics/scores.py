"""Scores and the rows that have most of them: from logits to picks."""

# The packages are in an environment of their own.
# pyright: reportMissingImports=false

import numpy as np

from benchmarks.harness.topic import Quality, Side, Topic, Work, jaxal_side
from benchmarks.topics import batch_bald
from benchmarks.topics.examples import softmax


def make(rng, size):
    return {"logits": (2 * rng.normal(size=(size["rows"], size["classes"]))).astype(np.float32)}


def jaxal(name):
    def prepare(inputs, size):
        import jax
        import jax.numpy as jnp

        from jaxal import scores, selection

        logits = jnp.asarray(inputs["logits"])
        free = jnp.ones(size["rows"], bool)
        score = getattr(scores, name)

        @jax.jit
        def pick(logits, free):
            return selection.take_top(score(logits), free, size["picks"]).rows

        return lambda seed: np.asarray(pick(logits, free))

    return jaxal_side(prepare)


def torch(name):
    """The formula as DISTIL has it, and the best rows by PyTorch's own top-k."""

    def prepare(inputs, size):
        import torch

        logits = torch.from_numpy(inputs["logits"])

        def score():
            probs = torch.softmax(logits, -1)
            if name == "entropy":
                return -(probs * torch.log(probs)).sum(-1)
            if name == "margin":
                best = torch.topk(probs, 2, dim=-1).values
                return best[:, 1] - best[:, 0]
            mean = probs.mean(0)
            within = -(probs * torch.log(probs)).sum(-1).mean(0)
            return -(mean * torch.log(mean)).sum(-1) - within

        return lambda seed: torch.topk(score(), size["picks"]).indices.numpy()

    return Side(prepare, "torch", ("torch",))


def distil(name, kind):
    """The strategy, for a model whose outputs are its inputs, in batches of 1,000."""

    def prepare(inputs, size):
        from importlib import import_module

        import torch

        strategy = getattr(import_module(f"distil.active_learning_strategies.{name}"), kind)
        pool = torch.from_numpy(inputs["logits"])
        options = {"batch_size": 1_000, "device": "cpu"}
        rule = strategy(pool[:1], pool, torch.nn.Identity(), size["classes"], options)
        return lambda seed: np.asarray(rule.select(size["picks"]))

    return Side(prepare, "decile-distil", ("torch", "distil.active_learning_strategies"))


def baal(name):
    def prepare(inputs, size):
        from baal.active import heuristics

        heuristic = getattr(heuristics, name)()
        logits = inputs["logits"]
        if logits.ndim == 3:  # [N, C, K] is wanted
            logits = np.ascontiguousarray(np.moveaxis(logits, 0, 2))
        return lambda seed: np.asarray(heuristic.get_ranks(logits)[0][: size["picks"]])

    return Side(prepare, "baal", ("torch", "baal.active.heuristics"))


def modal(name):
    def prepare(inputs, size):
        from modAL import uncertainty
        from scipy.special import softmax as probabilities

        class Fitted:
            def predict_proba(self, inputs):
                return probabilities(inputs, axis=-1)

        query = getattr(uncertainty, name)

        def call(seed):
            picked = query(Fitted(), inputs["logits"], n_instances=size["picks"])
            return np.asarray(picked[0] if isinstance(picked, tuple) else picked)

        return call

    return Side(prepare, "modAL-python", ("modAL.uncertainty",))


def redux(inputs, size):
    import torch
    from batchbald_redux.batchbald import get_bald_batch

    logits = torch.from_numpy(np.ascontiguousarray(np.moveaxis(inputs["logits"], 0, 1)))

    def call(seed):
        batch = get_bald_batch(torch.log_softmax(logits, -1), size["picks"])
        return np.asarray(batch.indices)

    return call


def entropies(probs):
    return -(probs * np.log(probs)).sum(-1)


def mean_entropy(inputs, size, rows):
    return float(entropies(softmax(inputs["logits"][rows].astype(np.float64))).mean())


def mean_margin(inputs, size, rows):
    best = np.sort(softmax(inputs["logits"][rows].astype(np.float64)), axis=-1)
    return float((best[:, -1] - best[:, -2]).mean())


def mean_information(inputs, size, rows):
    probs = softmax(inputs["logits"][:, rows].astype(np.float64))
    return float((entropies(probs.mean(0)) - entropies(probs).mean(0)).mean())


LOGITS = {
    "small": {"rows": 20_000, "classes": 10, "picks": 500},
    "medium": {"rows": 200_000, "classes": 100, "picks": 1_000},
    "large": {"rows": 1_000_000, "classes": 1_000, "picks": 10_000},
}


def of_logits(title, name, kinds, quality):
    """A score of one prediction: `kinds` are the names that DISTIL, baal and modAL have for it."""
    strategy, heuristic, query = kinds
    return Topic(
        title=title,
        sizes=LOGITS,
        make=make,
        sides={
            "jaxal": jaxal(name),
            "PyTorch": torch(name),
            "baal": baal(heuristic),
            "modAL": modal(query),
            "DISTIL": distil(query, strategy),
        },
        quality=quality,
        work=lambda size: Work(
            5.0 * size["rows"] * size["classes"], 4.0 * size["rows"] * size["classes"]
        ),
        shape=lambda size: f"{size['rows']:,} x {size['classes']}, {size['picks']:,} picks",
    )


ENTROPY = of_logits(
    "entropy",
    "entropy",
    ("EntropySampling", "Entropy", "entropy_sampling"),
    Quality("mean entropy", mean_entropy),
)
MARGIN = of_logits(
    "margin",
    "margin",
    ("MarginSampling", "Margin", "margin_sampling"),
    Quality("mean margin", mean_margin, higher_is_better=False),
)
BALD = Topic(
    title="BALD",
    sizes={
        "small": {"rows": 5_000, "draws": 20, "classes": 10, "picks": 500},
        "medium": {"rows": 20_000, "draws": 50, "classes": 10, "picks": 1_000},
        "large": {"rows": 200_000, "draws": 50, "classes": 10, "picks": 1_000},
    },
    make=batch_bald.make,
    sides={
        "jaxal": jaxal("bald"),
        "PyTorch": torch("bald"),
        "baal": baal("BALD"),
        "batchbald_redux": Side(redux, "batchbald-redux", ("torch", "batchbald_redux")),
    },
    quality=Quality("mean information", mean_information),
    work=lambda size: Work(
        5.0 * size["rows"] * size["draws"] * size["classes"],
        4.0 * size["rows"] * size["draws"] * size["classes"],
    ),
    shape=lambda size: (
        f"{size['draws']} draws of {size['rows']:,} x {size['classes']}, {size['picks']:,} picks"
    ),
)
