"""How often intervals hold the accuracy on all examples like those measured, on digits.

The rows without a label of a fitted model stand for all examples. Ten thousand times some of them
are drawn anew, with replacement, and an interval of the accuracy on all is made from labels of a
share of those: by active inference and of a uniform sample, with normal and better intervals.
`benchmarks/evaluation.py` asks the easier question, of the mean over the very rows drawn from.
"""

from functools import partial

import common
import jax
import jax.numpy as jnp
from evaluation import CONFIDENCE, RATES, fitted

import jaxal
from jaxal import evaluation


@partial(jax.jit, static_argnames=("rows", "repeats"))
def held(key, right, sure, rate, rows, repeats):
    """Whether each interval holds the mean of `right`, [repeats] for each way."""
    truth = right.mean()

    def holds(estimate):
        return (estimate.lower <= truth) & (truth <= estimate.upper)

    def once(key):
        key_rows, key_active, key_uniform = jax.random.split(key, 3)
        drawn = jax.random.choice(key_rows, len(right), (rows,))
        known, predicted = right[drawn], sure[drawn]
        uncertainty = jnp.sqrt(predicted * (1 - predicted))
        chances = evaluation.sampling_probabilities(uncertainty, rate=rate)
        active = jax.random.uniform(key_active, (rows,)) < chances
        uniform = jax.random.uniform(key_uniform, (rows,)) < rate
        infer = partial(evaluation.active_inference, confidence=CONFIDENCE)
        same, mean = jnp.full(rows, rate), jnp.full(rows, jnp.mean(known, where=uniform))
        return {
            "active": holds(infer(predicted, known, chances, active)),
            "active, Student's": holds(
                infer(predicted, known, chances, active, interval="student")
            ),
            "active, Wilson's": holds(infer(predicted, known, chances, active, interval="wilson")),
            "uniform": holds(infer(mean, known, same, uniform)),
            "uniform, Wilson's": holds(evaluation.wilson(known, uniform, confidence=CONFIDENCE)),
        }

    return jax.lax.map(once, jax.random.split(key, repeats), batch_size=100)


def main():
    options = common.arguments(__doc__, rows=400, repeats=10_000)
    pool, test = jaxal.data.load("sklearn:digits")
    rare = jaxal.data.scenarios.imbalanced(pool, {8: 0.1, 9: 0.1})
    models = {
        "60 labels": (pool, 60),
        "60 labels, two classes rare": (rare, 60),
        "400 labels": (pool, 400),
    }
    cases = {}
    for name, (some, labels) in models.items():
        right, sure = fitted(some, test, labels)
        cases[name] = {"accuracy": float(right.mean()), "rows": len(right)}
        for number, rate in enumerate(RATES):
            key = jax.random.fold_in(jax.random.key(2), number)
            found = held(key, right, sure, rate, options.rows, options.repeats)
            cases[name][f"rate {rate}"] = {way: float(one.mean()) for way, one in found.items()}
    settings = {"repeats": options.repeats, "rows": options.rows, "confidence": CONFIDENCE}
    common.write("coverage", options.out, settings | cases)


if __name__ == "__main__":
    main()
