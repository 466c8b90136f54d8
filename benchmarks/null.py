"""False claims: random sampling compared with random sampling, seed by seed, a thousand times.

Each table is of an experiment on iris whose strategies are all random sampling, with draws of
their own: whatever `paired_differences` tells apart in it is a false claim.
"""

import common
import jax
import numpy as np
import optax

import jaxal
from jaxal import models
from jaxal.report.learning_curves import Curves
from jaxal.report.paired import Pair, compare_pairs

LABELS = (10, 20, 30, 40)


def twin(number):
    """Random sampling with draws of its own; initial rows and variables are the seed's."""
    random = jaxal.strategies.random()

    def select(key, view, budget):
        return random.select(jax.random.fold_in(key, number), view, budget)

    return jaxal.Strategy(random.observe, select, reads_labels=False)


def accuracies(number, keys, batch=1_000):
    """Test accuracy [seeds, rounds + 1] of one of the strategies."""
    pool, test = jaxal.data.load("sklearn:iris")
    learner = jaxal.Learner(models.logistic(3), optax.adam(0.03), max_epochs=20)
    run = jaxal.simulate(
        learner, twin(number), pool, test, initial=LABELS[0], budget=10, rounds=len(LABELS) - 1
    )
    compiled = jax.jit(jax.vmap(lambda key: run(key)[1].test.accuracy))
    parts = [compiled(keys[start : start + batch]) for start in range(0, len(keys), batch)]
    return np.concatenate(parts)


def main():
    options = common.arguments(__doc__, tables=1_000, seeds=10, strategies=4)
    keys = jax.random.split(jax.random.key(0), options.tables * options.seeds)
    shape = options.tables, options.seeds, len(LABELS)
    found = [
        accuracies(number, keys).reshape(shape).tolist() for number in range(options.strategies)
    ]
    false = missed = 0
    for table in range(options.tables):
        curves: list[Curves] = [
            {seed: dict(zip(LABELS, curve, strict=True)) for seed, curve in enumerate(one[table])}
            for one in found
        ]
        others = [Pair(str(number), "0", one, curves[0]) for number, one in enumerate(curves)]
        false += any(pair.told_apart for pair in compare_pairs(others[1:]))
        # One comparison a table, for the coverage of a single interval.
        missed += compare_pairs(others[1:2])[0].told_apart
    share = false / options.tables
    common.write(
        "null",
        options.out,
        {
            "tables": options.tables,
            "seeds": options.seeds,
            "strategies": options.strategies,
            "tables_with_a_false_claim": share,
            "standard_error": (share * (1 - share) / options.tables) ** 0.5,
            "single_intervals_that_miss": missed / options.tables,
        },
    )


if __name__ == "__main__":
    main()
