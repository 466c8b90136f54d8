"""A whole experiment as one program: digits, MLP 64-128-10, 20 + 15 x 20 labels, many seeds."""

import common
import jax
import numpy as np
import optax

import jaxal


class Counted:
    """Counts how often a strategy's `observe` is traced."""

    def __init__(self, strategy):
        self.count = 0
        self.strategy = strategy._replace(observe=self.observe)
        self._observe = strategy.observe

    def observe(self, *args):
        self.count += 1
        return self._observe(*args)


def main():
    options = common.arguments(__doc__, seeds=20)
    pool, test = jaxal.data.load("sklearn:digits")
    learner = jaxal.Learner(jaxal.models.mlp(10, hidden=(128,)), optax.adam(3e-3), max_epochs=60)
    cases = {}
    for name in ("random", "entropy", "margin", "core_set", "badge"):
        counted = Counted(jaxal.strategies.make(name))
        run = jaxal.simulate(
            learner, counted.strategy, pool, test, initial=20, budget=20, rounds=15
        )
        keys = jax.random.split(jax.random.key(0), options.seeds)
        (_, history), alone = common.measure(lambda run, key: run(key), run, keys[0])
        traces = counted.count
        (_, many), together = common.measure(
            lambda run, keys: jax.vmap(run)(keys), run, keys, repeats=3
        )
        accuracy = np.asarray(many.test.accuracy)
        cases[name] = {
            "one_seed": alone | {"epochs": history.epochs.tolist()},
            f"{options.seeds}_seeds": together,
            "traces_of_observe": traces,
            "labels": history.labels.tolist(),
            "test_accuracy_mean": accuracy.mean(0).round(4).tolist(),
            "test_accuracy_std": accuracy.std(0, ddof=1).round(4).tolist(),
        }
    common.write("digits", options.out, cases)


if __name__ == "__main__":
    main()
