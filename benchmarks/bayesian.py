"""Bayesian scores beside the forward passes they need, and BatchBALD beside batchbald_redux.

The comparison is made where batchbald_redux (with torch) is installed, in the same run.
"""

import time
from importlib import import_module
from importlib.util import find_spec

import common
import jax
import jax.numpy as jnp
import numpy as np

import jaxal
from jaxal import scores, selection
from jaxal.loop import ExampleSets
from jaxal.loop.decision import observe
from jaxal.pools import place


def bald_of_a_cnn(rows, draws):
    """BALD over a pool, against the forward passes alone."""
    model = jaxal.models.cnn(10, dropout=0.5)
    inputs = jax.random.normal(jax.random.key(0), (rows, 28, 28, 1))
    variables = model.init(jax.random.key(1), inputs[:1])
    strategy = jaxal.strategies.bald(posterior=jaxal.posterior.mc_dropout(draws))

    def passes(key, model, variables, inputs, labels):
        draw = jaxal.posterior.mc_dropout(draws).observe
        return draw(
            key,
            model,
            variables,
            inputs,
            lambda drawn: jnp.sum(jax.lax.map(drawn.logits, drawn.each), axis=(0, 2)),
        )

    def run(observing, variables, inputs):
        pool = place(inputs, None, batch_size=500)
        key = jax.random.key(2)
        return observe(key, observing, model, variables, pool, pool.labels, ExampleSets()).pool

    def select(variables, inputs):
        found = run(strategy, variables, inputs)
        return selection.take_top(found, jnp.ones(len(inputs), bool), 100).rows

    alone = jaxal.Strategy(passes, strategy.select)
    _, scored = common.measure(select, variables, inputs, repeats=3)
    _, forward = common.measure(
        lambda variables, inputs: run(alone, variables, inputs),
        variables,
        inputs,
        repeats=3,
    )
    ratio = scored["seconds_least"] / forward["seconds_least"]
    return {
        "rows": rows,
        "draws": draws,
        "bald": scored,
        "passes": forward,
        "ratio": ratio,
    }


def drawn(rows, draws, classes, seed=0):
    """Logits whose draws disagree as those of a half-trained network do."""
    rng = np.random.default_rng(seed)
    shared = 2 * rng.normal(size=(1, rows, classes))
    return jnp.asarray(shared + rng.normal(size=(draws, rows, classes)), jnp.float32)


def batch_bald(rows, draws, classes, budget, samples):
    logits = drawn(rows, draws, classes)

    def pick(key, logits):
        available = jnp.ones(rows, bool)
        return selection.batch_bald(key, logits, available, budget, num_samples=samples)

    picked, report = common.measure(pick, jax.random.key(0), logits, repeats=3)
    information = float(jnp.sum(picked.scores))
    report |= {"rows": rows, "draws": draws, "classes": classes, "budget": budget}
    report |= {"num_samples": samples, "information": information}
    if find_spec("batchbald_redux"):
        report["batchbald_redux"] = theirs = redux(logits, budget, samples)
        report["ratio"] = theirs["seconds"] / report["seconds"]
    return report


def redux(logits, budget, samples):
    torch = import_module("torch")
    get_batchbald_batch = import_module("batchbald_redux.batchbald").get_batchbald_batch
    log_p = np.moveaxis(np.asarray(jax.nn.log_softmax(logits)), 0, 1)
    given = torch.from_numpy(np.ascontiguousarray(log_p))
    start = time.perf_counter()
    batch = get_batchbald_batch(given, budget, samples, dtype=torch.double)
    return {"seconds": time.perf_counter() - start, "information": batch.scores[-1]}


def epig(rows, targets, draws, classes):
    pool, target = drawn(rows, draws, classes), drawn(targets, draws, classes, seed=1)
    _, report = common.measure(scores.epig, pool, target, repeats=3)
    whole = 4 * rows * targets * classes**2
    return report | {
        "rows": rows,
        "targets": targets,
        "bytes_of_all_joint_tables": whole,
    }


def main():
    options = common.arguments(__doc__, rows=10_000)
    cases = {
        "BALD, CNN, K=20": bald_of_a_cnn(options.rows, 20),
        "BatchBALD 2000, K=40, C=10, b=10": batch_bald(2_000, 40, 10, 10, 10_000),
        "EPIG 10000, T=100, K=20, C=10": epig(10_000, 100, 20, 10),
    }
    common.write("bayesian", options.out, cases)


if __name__ == "__main__":
    main()
