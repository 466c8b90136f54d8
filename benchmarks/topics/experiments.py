"""Whole experiments on the digits: beside loops of other packages, many seeds, and from a config.

An answer is test accuracies. Experiments begin with two labels of each class, the same rows for
all sides; models are fitted from scratch in each round.
"""

# The packages are in an environment of their own.
# pyright: reportMissingImports=false

import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from benchmarks.harness.topic import Quality, Side, Topic, jaxal_side

CONFIG = pathlib.Path(__file__).resolve().parents[2] / "configs" / "digits.toml"
CLASSES = 10
RATE, BATCH = 3e-3, 32  # of Adam, in all sides alike
SIZES = {
    "small": {"rounds": 10, "picks": 20, "hidden": 128, "epochs": 60},
    "medium": {"rounds": 20, "picks": 20, "hidden": 256, "epochs": 60},
    "large": {"rounds": 50, "picks": 20, "hidden": 256, "epochs": 100},
}


def digits(rng, size):
    """1,438 rows to choose from and 359 to test on, 64 standardised numbers each."""
    from jaxal import data

    parts = dict(zip(("pool", "test"), data.load("sklearn:digits"), strict=True))
    return {
        f"{name}_{field}": np.asarray(value)
        for name, part in parts.items()
        for field, value in part._asdict().items()
    }


def first_rows(labels, seed):
    """Two rows of each class."""
    rng = np.random.default_rng(seed)
    of_class = (np.flatnonzero(labels == one) for one in range(CLASSES))
    return np.concatenate([rng.choice(rows, 2, False) for rows in of_class])


def final(inputs, size, accuracies):
    return float(np.asarray(accuracies, np.float64)[-1])


def mean(inputs, size, accuracies):
    return float(np.asarray(accuracies, np.float64).mean())


# One experiment: margin sampling, by jaxal and by loops around scikit-learn's models.


def jaxal_learner(kind, size):
    import optax

    import jaxal
    from jaxal import models, training

    if kind == "logistic":
        return training.newton(models.logistic(CLASSES), l2=1.0)
    return jaxal.Learner(
        models.mlp(CLASSES, hidden=(size["hidden"],)),
        optax.adam(RATE),
        batch_size=BATCH,
        max_epochs=size["epochs"],
        max_accuracy=2.0,  # All epochs are made, as by the others.
        window=0,
    )


def simulation(kind, inputs, size, initial):
    import jaxal

    return jaxal.simulate(
        jaxal_learner(kind, size),
        jaxal.strategies.margin(),
        (inputs["pool_inputs"], inputs["pool_labels"]),
        (inputs["test_inputs"], inputs["test_labels"]),
        initial=initial,
        budget=size["picks"],
        rounds=size["rounds"],
    )


def jaxal(kind):
    def prepare(inputs, size):
        import jax

        def call(seed):
            run = simulation(kind, inputs, size, first_rows(inputs["pool_labels"], seed))
            return np.asarray(run(jax.random.key(seed))[1].test.accuracy)

        return call

    return jaxal_side(prepare)


def estimator(kind, size, seed):
    """The model of scikit-learn: the optimum of logistic regression, or as many steps of Adam."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    if kind == "logistic":
        # Its own tolerance, 1e-4, ends so early that some rows of the test set come out otherwise.
        return LogisticRegression(C=1.0, tol=1e-6, max_iter=1_000)
    adam = {"learning_rate_init": RATE, "batch_size": BATCH, "alpha": 0.0, "random_state": seed}
    all_of_them = {"max_iter": size["epochs"], "n_iter_no_change": size["epochs"] + 1}
    return MLPClassifier((size["hidden"],), **adam, **all_of_them)


def looped(start):
    """A side whose `start(kind, inputs, size, seed)` gives the model, and steps that refit it."""

    def of_kind(kind, package, imports):
        def prepare(inputs, size):
            def call(seed):
                model, step = start(kind, inputs, size, seed)
                accuracies = []
                for turn in range(size["rounds"] + 1):
                    guessed = model().predict(inputs["test_inputs"])
                    accuracies.append(np.mean(guessed == inputs["test_labels"]))
                    if turn < size["rounds"]:
                        step()
                return np.array(accuracies)

            return call

        return Side(prepare, package, imports)

    return of_kind


def by_hand(kind, inputs, size, seed):
    """A few lines of NumPy around the model."""
    pool, labels = inputs["pool_inputs"], inputs["pool_labels"]
    known, model = first_rows(labels, seed), estimator(kind, size, seed)
    model.fit(pool[known], labels[known])

    def step():
        nonlocal known
        best = np.partition(model.predict_proba(pool), -2, axis=1)
        apart = best[:, -1] - best[:, -2]
        apart[known] = np.inf
        known = np.concatenate([known, np.argsort(apart, kind="stable")[: size["picks"]]])
        model.fit(pool[known], labels[known])

    return lambda: model, step


def modal(kind, inputs, size, seed):
    from modAL.models import ActiveLearner
    from modAL.uncertainty import margin_sampling

    pool, labels = inputs["pool_inputs"], inputs["pool_labels"]
    known = first_rows(labels, seed)

    def fitted():
        # Its `teach` asks scikit-learn for an argument that releases since 1.8 lack.
        model = estimator(kind, size, seed)
        return ActiveLearner(model, margin_sampling, pool[known], labels[known])

    learner = fitted()

    def step():
        nonlocal known, learner
        left = np.setdiff1d(np.arange(len(pool)), known)
        picked, _ = learner.query(pool[left], n_instances=size["picks"])
        known = np.concatenate([known, left[picked]])
        learner = fitted()

    return lambda: learner, step


def small_text(kind, inputs, size, seed):
    from small_text import (
        BreakingTies,
        PoolBasedActiveLearner,
        SklearnClassifierFactory,
        SklearnDataset,
    )

    pool, labels = inputs["pool_inputs"], inputs["pool_labels"]
    known = first_rows(labels, seed)
    test = SklearnDataset(inputs["test_inputs"], inputs["test_labels"])
    learner = PoolBasedActiveLearner(
        SklearnClassifierFactory(estimator(kind, size, seed), CLASSES),
        BreakingTies(),
        SklearnDataset(pool, labels),
    )
    learner.initialize_data(known, labels[known])

    class Model:
        def predict(self, inputs):
            return learner.classifier.predict(test)

    def step():
        learner.update(labels[learner.query(num_samples=size["picks"])])

    return Model, step


def scikit_activeml(kind, inputs, size, seed):
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import UncertaintySampling

    pool, labels = inputs["pool_inputs"], inputs["pool_labels"]
    known = np.full(len(pool), np.nan)
    rows = first_rows(labels, seed)
    known[rows] = labels[rows]
    model = SklearnClassifier(
        estimator(kind, size, seed), classes=range(CLASSES), random_state=seed
    )
    rule = UncertaintySampling(method="margin_sampling", random_state=seed)
    model.fit(pool, known)

    def step():
        picked = rule.query(pool, known, model, fit_clf=False, batch_size=size["picks"])
        known[picked] = labels[picked]
        model.fit(pool, known)

    return lambda: model, step


def experiment(kind, title, words):
    small_loop = ("sklearn.linear_model", "sklearn.neural_network")
    sides = {"jaxal": jaxal(kind)}
    for name, start, package, imports in (
        ("a loop by hand", by_hand, "scikit-learn", small_loop),
        ("modAL", modal, "modAL-python", ("modAL.models", *small_loop)),
        ("small-text", small_text, "small-text", ("small_text", *small_loop)),
        ("scikit-activeml", scikit_activeml, "scikit-activeml", ("skactiveml.pool", *small_loop)),
    ):
        sides[name] = looped(start)(kind, package, imports)
    return Topic(
        title=title,
        sizes=SIZES,
        make=digits,
        sides=sides,
        quality=Quality("final accuracy", final),
        work=None,
        shape=lambda size: f"{size['rounds']} rounds of {size['picks']} by margin{words(size)}",
        picks_rows=False,
        random=True,
        whole=True,
    )


EXPERIMENT = experiment("logistic", "digits, logistic regression", lambda size: "")
EXPERIMENT_MLP = experiment(
    "mlp",
    "digits, an MLP",
    lambda size: f", {size['epochs']} epochs of {size['hidden']} units a round",
)


# Many seeds of it.


def all_seeds(size, seed):
    """Keys [S] of one measurement."""
    import jax

    return jax.random.split(jax.random.key(seed), size["seeds"])


def together(inputs, size):
    import jax

    run = simulation("mlp", inputs, size, {label: 2 for label in range(CLASSES)})
    many = jax.jit(lambda run, keys: jax.vmap(run)(keys)[1].test.accuracy[:, -1])
    return lambda seed: np.asarray(many(run, all_seeds(size, seed)))


def one_by_one(inputs, size):
    import jax

    run = simulation("mlp", inputs, size, {label: 2 for label in range(CLASSES)})
    one = jax.jit(lambda run, key: run(key)[1].test.accuracy[-1])
    return lambda seed: np.array([one(run, key) for key in all_seeds(size, seed)])


SEEDS = Topic(
    title="seeds",
    sizes={name: size | {"seeds": 10} for name, size in SIZES.items()},
    make=digits,
    sides={
        "jaxal": jaxal_side(together),
        "jaxal, a run a seed": jaxal_side(one_by_one),
    },
    quality=Quality("final accuracy", mean),
    work=None,
    shape=lambda size: (
        f"{size['seeds']} seeds in one program, {size['rounds']} rounds of {size['picks']}"
    ),
    picks_rows=False,
    random=True,
    whole=True,
    alone=True,
)


# The command, from its start to the picture.


def command(cached):
    """`jaxal run` in a process of its own; what it compiles is kept between calls, or is not."""

    def prepare(inputs, size):
        from jaxal import experiment

        folder = pathlib.Path(tempfile.mkdtemp())  # in that of the measurement, which goes with it
        cache = {"JAX_ENABLE_COMPILATION_CACHE": "0"}
        if cached:
            cache = {"JAX_ENABLE_COMPILATION_CACHE": "1"}
            cache["JAX_COMPILATION_CACHE_DIR"] = str(folder / "cache")
        changed = [f"--set={each}" for each in size["changed"]]

        def call(seed):
            out = pathlib.Path(tempfile.mkdtemp(dir=folder)) / "run"
            asked = [sys.executable, "-m", "jaxal", "run", str(CONFIG), f"--out={out}", *changed]
            subprocess.run(asked, check=True, env=os.environ | cache, capture_output=True)
            if not (out / "curves.png").exists():
                raise RuntimeError("no picture")
            rounds = experiment.read(out / "history.jsonl")
            last = max(one.labels for one in rounds)
            return np.array([one.test_accuracy for one in rounds if one.labels == last])

        return call

    return jaxal_side(prepare)


COLD_START = Topic(
    title="`jaxal run configs/digits.toml`, to the picture",
    sizes={
        "small": {"changed": ["strategy.names=random,margin"]},
        "medium": {"changed": []},
        "large": {"changed": ["seeds=50"]},
    },
    make=lambda rng, size: {},
    sides={"jaxal": command(cached=True), "jaxal, without its cache": command(cached=False)},
    quality=Quality("final accuracy", mean),
    work=None,
    shape=lambda size: ", ".join(size["changed"]) or "as it is",
    picks_rows=False,
    whole=True,
    alone=True,
)
