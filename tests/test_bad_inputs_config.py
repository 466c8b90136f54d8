"""Bad settings of an experiment: each error names the key, all of it."""

import dataclasses
from typing import Any

import jax
import numpy as np
import optax
import pytest
from bad_values import INF, NAN, but

from jaxal.experiment import Config, parse
from jaxal.experiment.build import build
from jaxal.experiment.config import _kind
from jaxal.experiment.learner import is_optimizer

WRONG = {"a list": [1], "a table": {"a": 1}, "NaN": NAN, "infinite": INF, "negative": -1}
WRONG |= {"half": 1.5, "an integer": 1, "zero": 0, "a flag": True, "a string": "no", "empty": ""}
GOOD = {  # of each type: what is none of these kinds
    int: ("an integer",),
    float: ("an integer", "half", "zero"),
    bool: ("a flag",),
    str: ("a string", "empty"),
}
ALSO = {  # what else a setting may be
    "augmentation.crop": ("zero",),
    "augmentation.cutout": ("zero",),
    "seed": ("zero",),
    "data.split_seed": ("zero",),
    "data.validation": ("zero",),
    "learner.average_from": ("zero",),
    "learner.calibration_folds": ("zero",),
    "learner.epoch_rows": ("zero",),
    "learner.max_accuracy": ("infinite",),
    "learner.patience": ("zero",),
    "learner.restart_every": ("zero",),
    "learner.window": ("zero",),
    "scenario.ood_classes": ("a list",),
    "scenario.rare_classes": ("a list",),
    "sets.private.classes": ("a list",),
    "sets.query.classes": ("a list",),
    "sets.validation.classes": ("a list",),
    "strategy.seed_set": ("a list",),
}
NEVER = {"data.test_fraction": ("an integer", "half", "zero")}
NEVER |= {"learner.learning_rate": ("zero",), "learner.subset_fraction": ("half", "zero")}
NEVER |= {"data.normalization": ("a string", "empty")}
NEVER |= {"learner.restart_below": ("half",)}
NEVER |= {"learner.max_accuracy": ("zero",), "name": ("empty",)}
NEVER |= {"scenario.rare_fraction": ("an integer", "half", "zero")}
NEVER |= {"scenario.label_noise": ("an integer", "half")}
NEVER |= {"strategy.seed_set": ("a string", "empty")}


SECTIONS = ["augmentation", "data", "learner", "model", "run", "scenario", "sets", "strategy"]


def minimal():
    return {
        "name": "small",
        "data": {"source": "sklearn:iris"},
        "model": {"name": "logistic"},
        "learner": {},
        "strategy": {"names": ["random"]},
        "run": {},
    }


def with_setting(key, value):
    table = minimal()
    *sections, last = key.split(".")
    here = table
    for section in sections:
        here = here.setdefault(section, {})
    here[last] = value
    return table


def leaves(kind: Any = Config, path=""):
    """The keys of all settings, with their types."""
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(field.type):
            yield from leaves(field.type, f"{path}{field.name}.")
        elif field.name != "hyper":  # stands beside the model's name
            yield path + field.name, _kind(field)


def bad_settings():
    for key, kind in leaves():
        good = {*GOOD.get(kind, ()), *ALSO.get(key, ())} - {*NEVER.get(key, ())}
        if kind in (dict, tuple):
            good = {"a table"} if kind is dict else {*ALSO.get(key, ())}
        if key == "strategy.options":
            good = set()  # a table of tables
        for name, value in but(WRONG, *good & set(WRONG)).items():
            yield pytest.param(key, value, id=f"{key}, {name}")


@pytest.mark.parametrize(("key", "value"), list(bad_settings()))
def test_settings(key, value):
    with pytest.raises((TypeError, ValueError), match=rf"^{key}[^:]*: expected .*, got"):
        parse(with_setting(key, value))


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("value", [1, "x", [], True], ids=str)
def test_sections(section, value):
    with pytest.raises(TypeError, match=f"^{section}: expected a table, got"):
        parse({**minimal(), section: value})


@pytest.mark.parametrize("key", [key for key, _ in leaves() if not key.startswith("model")])
def test_unknown_keys(key):
    with pytest.raises(ValueError, match=f"^{key}x: unknown key; "):
        parse(with_setting(f"{key}x", 1))


def test_tables_inside_tables():
    posterior = {"name": "mc_dropout", "num_draws": 0}
    key = "strategy.options.bald.posterior.num_draws"
    with pytest.raises(ValueError, match=f"^{key}: expected an integer >= 1, got 0"):
        built("strategy.options.bald.posterior", posterior)


def built(key, value):
    table = minimal()
    *sections, last = key.split(".")
    here = table
    for section in sections:
        here = here.setdefault(section, {})
    here[last] = value
    if key.startswith("strategy.options"):
        table["strategy"]["names"] = [sections[2]]
    if key in ("model.hidden", "model.dropout"):
        table["model"]["name"] = "mlp"
    return build(parse(table))


PARTS = {
    "strategy.options.badge.block_size": [0, "64", 1.5, True, -3],
    "strategy.options.bald.posterior": [1, "dropout", ["mc_dropout"], True],
    "strategy.options.grad_match.weighted": ["no", 0, 1, [True]],
    "strategy.options.grad_match.ridge": [NAN, -1.0, "0", INF, True],
    "strategy.options.candidates.size": [0, 2.5, "4", True],
    "strategy.options.candidates.kind": ["tops", 1],
    "strategy.options.glister.learning_rate": [0, -1, NAN, "1"],
    "strategy.options.k_means.representation": ["pixels", 3, ["features"]],
    "strategy.options.k_means.tolerance": [-1, NAN, "x"],
    "strategy.options.stochastic.coldness": [-1.0, NAN, INF, "hot"],
    "strategy.options.submodular.metric": ["manhattan", 1],
    "strategy.options.submodular.shifted": ["false", 0],
    "strategy.options.partition.num_partitions": [0, 2.5, "4", True],
    "model.dropout": ["0.5", NAN, -0.1, 1.0, True],
    "model.hidden": ["128", 128, [0], [1.5], ["a"], [True]],
    "learner.optimizer_options.b1": ["0.9", True, NAN, [0.9]],
    "data.limit": [151],
    "data.validation": [120],
}
UNKNOWN = {
    "strategy.options.badge.blok_size": "option 'blok_size' is unknown; did you mean 'block_size'",
    "strategy.options.bagde.block_size": "strategy: 'bagde' is unknown; did you mean 'badge'",
    "model.layers": "model logistic: option 'layers' is unknown",
    "learner.optimizer_options.b3": "learner.optimizer adam: option 'b3' is unknown",
}


@pytest.mark.parametrize(
    ("key", "value"),
    [(key, value) for key, values in PARTS.items() for value in values],
    ids=lambda given: str(given),
)
def test_parts(key, value):
    with pytest.raises((TypeError, ValueError), match=rf"^{key}\b[^:]*: (expected|.* is unknown)"):
        built(key, value)


@pytest.mark.parametrize("key", UNKNOWN)
def test_unknown_options(key):
    with pytest.raises(ValueError, match=UNKNOWN[key]):
        built(key, 1)


NO_OPTIMIZERS = ["adamm", "sgd_", "exponential_decay", "chain", "__name__", ""]
NO_OPTIMIZERS += ["lbfgs", "noisy_sgd", "scale_by_rprop", "_deprecated_dpsgd"]


@pytest.mark.parametrize("name", NO_OPTIMIZERS)
def test_unknown_optimizers(name):
    with pytest.raises(ValueError, match="^learner.optimizer: '.*' is unknown"):
        built("learner.optimizer", name)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of optax, of old names
@pytest.mark.parametrize("name", [*filter(is_optimizer, dir(optax))])
def test_known_optimizers_take_a_step(name):
    def step(params):
        optimizer = getattr(optax, name)(learning_rate=0.1)
        return optimizer.update(params, optimizer.init(params), params)[0]

    with jax.numpy_rank_promotion("allow"):
        params = {"bias": np.ones(3, np.float32), "kernel": np.ones((4, 3), np.float32)}
        assert jax.tree.structure(jax.eval_shape(step, params)) == jax.tree.structure(params)


def test_an_optimizer_that_is_a_partial_of_another_is_one():
    assert is_optimizer("nadam") and is_optimizer("nadamw")
    assert built("learner.optimizer", "nadam").learner is not None


def test_labels_that_are_unknown(tmp_path):
    path = tmp_path / "partly.npz"
    labels = np.tile([0, 1, -1], 10)
    np.savez(path, inputs=np.arange(60.0).reshape(30, 2), labels=labels)
    table = {**minimal(), "data": {"source": f"npz:{path}"}}
    with pytest.raises(ValueError, match="partly.npz labels: .*got 10 of 30 .*labeled_only"):
        build(parse(table))
    table["data"]["labeled_only"] = True
    parts = build(parse(table))
    assert len(parts.pool.labels) + len(parts.test.labels) == 20
    assert min(parts.pool.labels.min(), parts.test.labels.min()) == 0
    np.savez(path, inputs=np.ones((30, 2)), labels=np.full(30, -1))
    with pytest.raises(ValueError, match="partly.npz labels: expected at least one that is known"):
        build(parse(table))
