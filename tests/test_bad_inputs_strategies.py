"""Bad options of strategies, posteriors and models, and models that are none."""

import inspect
from functools import partial

import numpy as np
import pytest
from bad_values import (
    FLAG,
    FRACTION,
    INTEGER,
    MATRIX,
    NAME,
    NUMBER,
    OTHERS,
    POSITIVE,
    but,
    check_refused,
    each,
    refused,
    tables,
)

from jaxal import models, posterior, strategies

TABLES = {"a table without a name": {"eta": 1.0}, "a list": [1, 2], "an array": np.ones(2)}
MADE = TABLES | {"unknown": "nothing", "none": None, "an integer": 1}
RATE = but(NUMBER, "none") | {"none": None, "one": 1.0}
KINDS = {
    "bandwidth": but(POSITIVE, "none"),
    "batch_size": but(INTEGER, "none"),
    "block_size": INTEGER,
    "coldness": NUMBER,
    "consistent": FLAG,
    "epsilon": POSITIVE,
    "fisher": NAME,
    "function": MADE,
    "gamma": NUMBER,
    "kind": NAME,
    "learning_rate": POSITIVE,
    "likelihood": NAME,
    "loss": OTHERS | {"an integer": 1, "a flag": True},
    "max_labeled": but(INTEGER, "none"),
    "max_steps": INTEGER,
    "merge": NAME,
    "metric": NAME,
    "min_cluster_size": INTEGER,
    "num_classes": but(INTEGER, "none"),
    "num_clusters": INTEGER,
    "num_draws": INTEGER,
    "num_neighbors": INTEGER,
    "num_partitions": INTEGER,
    "num_samples": INTEGER,
    "num_steps": INTEGER,
    "num_targets": INTEGER,
    "optimizer": NAME,
    "oversampling": but(NUMBER, "none") | {"below one": 0.5},
    "overshoot": NUMBER,
    "posterior": MADE,
    "precision": NAME,
    "prior_precision": POSITIVE,
    "purity": FRACTION,
    "regularizer": NAME,
    "representation": NAME,
    "restarts": INTEGER,
    "ridge": NUMBER,
    "shifted": FLAG,
    "shuffle": FLAG,
    "size": INTEGER,
    "sketch": but(INTEGER, "none"),
    "start": NAME,
    "stop_if_negative_gain": FLAG,
    "stop_if_zero_gain": FLAG,
    "strategy": MADE | {"uncalled": strategies.badge},
    "target": NAME,
    "tolerance": NUMBER,
    "top_n": INTEGER,
    "trade_off": NUMBER,
    "uncertainty": NAME,
    "weighted": FLAG,
}


def options(factory):
    """The options that a factory names, and the bad values of each."""
    named = [
        option
        for option, taken in inspect.signature(factory).parameters.items()
        if taken.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    return {option: KINDS[option] for option in named if option != "strength"}  # tested below


def made(registry):
    """A table of every option of every factory of a registry."""
    factories = {name: getattr(registry, name) for name in registry.names()}
    return tables(
        **{
            name: each(partial(registry.make, name), **options(factory))
            for name, factory in factories.items()
        }
    )


@refused(made(strategies) | made(posterior))
def test_options(call, argument):
    check_refused(call, argument)


def filtered(kind):
    """The strategy of candidates of a kind, as a function of the options of this kind."""
    return partial(strategies.candidates, kind=kind)


LISTS = but(MATRIX, "three axes") | {"a cube": np.ones((6, 2, 1), int), "floats": np.ones((6, 2))}


@refused(
    tables(
        top=each(filtered("top"), by=MADE | {"a rule of batches": "badge"}),
        neighbours=each(filtered("neighbours"), num_neighbours=INTEGER, lists=but(LISTS, "none")),
        greedi=each(filtered("greedi"), num_partitions=INTEGER),
        progressive=each(
            filtered("progressive"),
            rules=MADE | {"no rule": [], "an unknown rule": ["nothing"], "a rule": "margin"},
            depth=INTEGER,
            num_batches=INTEGER | {"fewer than rules": 2},
            subset=INTEGER,
            share=NUMBER | {"above one": 1.5},
        ),
    )
)
def test_options_of_candidates(call, argument):
    check_refused(call, argument)


WIDTHS = {
    "a string": "12",
    "a number": 3,
    "none": None,
    "half": [1.5],
    "zero": [0],
    "flags": [True],
}
WIDTHS |= {"a table": {}, "negative": [-1], "NaN": [float("nan")], "lists": [[2]]}
CLASSES = INTEGER


@refused(
    tables(
        cnn=each(
            lambda num_classes=3, **options: models.cnn(num_classes, **options),
            num_classes=CLASSES,
            channels=WIDTHS | {"empty": []},
            kernel_size=INTEGER,
            hidden=INTEGER,
            dropout=RATE,
            batch_norm=FLAG,
        ),
        mlp=each(
            lambda num_classes=3, **options: models.mlp(num_classes, **options),
            num_classes=CLASSES,
            hidden=WIDTHS,
            dropout=RATE,
        ),
        bayesian_cnn=each(
            lambda num_classes=3, **options: models.bayesian_cnn(num_classes, **options),
            num_classes=CLASSES,
            dropout=RATE,
        ),
        logistic=each(models.logistic, num_classes=CLASSES),
        glister=each(
            partial(strategies.glister, regularizer="diversity"), strength=but(NUMBER, "an array")
        ),
        names=tables(
            **{
                registry.__name__.split(".")[-1]: each(
                    lambda registry=registry, **given: registry.make(*given.values()),
                    **{argument: NAME},
                )
                for registry, argument in ((strategies, "strategy"), (posterior, "posterior"))
            }
        ),
        model=each(lambda model: models.make(model, 3), model=NAME),
        linen=each(lambda module: models.from_linen(module), module=OTHERS | {"none": None}),
        nnx=each(lambda make: models.from_nnx(make), make=OTHERS | {"none": None}),
        functions=each(
            lambda **given: models.from_functions(
                **{"init": lambda key, x: {}, "apply": lambda v, x: (x, x), **given}
            ),
            init=OTHERS | {"none": None},
            apply=OTHERS | {"none": None},
        ),
    )
)
def test_models(call, argument):
    check_refused(call, argument)


@pytest.mark.parametrize("name", strategies.names())
def test_unknown_options_are_refused(name):
    with pytest.raises(ValueError, match="optoin.* (is unknown|does not take it)"):
        strategies.make(name, optoin=1)
