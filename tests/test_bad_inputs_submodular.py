"""Bad inputs of set functions and their maximisation: errors that name the argument."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bad_values import (
    FLAG,
    FRACTION,
    INF,
    INTEGER,
    KEY,
    MASK,
    MATRIX,
    NAME,
    NAN,
    NUMBER,
    POSITIVE,
    but,
    check_refused,
    each,
    refused,
    tables,
)

from jaxal import submodular
from jaxal.selection import anytime
from jaxal.submodular.declare import DECLARED

POINTS = jnp.asarray(np.random.default_rng(0).uniform(size=(6, 3)), jnp.float32)
ALL = jnp.ones(6, bool)
FUNCTION = submodular.facility_location(POINTS)
SETS = {name: POINTS[:2] for name in ("query", "private")}
NO_MATRIX = MATRIX | {"no row": np.ones((0, 3)), "no column": np.ones((6, 0))}
HYPER = {
    "eta": but(NUMBER, "negative"),
    "nu": NUMBER,
    "trade_off": but(NUMBER, "negative"),
    "ridge": POSITIVE,
    "concave": NAME,
    "weights": {"negative": -np.ones(3), "NaN": NAN * np.ones(3), "text": "x", "a matrix": POINTS}
    | {"another length": np.ones(4), "infinite": INF * np.ones(3)},
}
HYPER["num_neighbours"] = INTEGER
HYPER["targets"] = INTEGER | {"another word": "some"}
HYPER["neighbours"] = {"floats": np.ones((6, 2)), "a list": [[1]] * 6, "text": "x"}
HYPER["neighbours"] |= {"a vector": np.ones(6, int)}
USABLE = but(MASK, "none")


def make(name, **given):
    sets = {one: SETS[one] for one in DECLARED[name].examples}
    return submodular.make(name, **{"features": POINTS, **sets, **given})


def options(name):
    """The kinds of bad values of what a set function takes; None is each option's default."""
    declared = DECLARED[name]
    given = {option: but(HYPER[option], "none") for option in sorted(declared.hyper)}
    given |= {one: but(MATRIX, "none") for one in sorted(declared.examples)}
    if declared.similar:
        given |= {"metric": NAME, "shifted": FLAG}
    if declared.samples:
        given["key"] = but(KEY, "none")
    return given


@refused(
    tables(
        **{
            name: each(partial(make, name), features=NO_MATRIX, usable=USABLE, **options(name))
            for name in submodular.names()
        }
    )
)
def test_make(call, argument):
    check_refused(call, argument)


def specify(name, **given):
    return submodular.specify(name, **given)


@refused(
    tables(
        **{
            name: each(partial(specify, name), **{option: but(HYPER[option], "none")})
            for name in submodular.names()
            for option in sorted(DECLARED[name].hyper - {"weights"})
        }
    )
)
def test_specify(call, argument):
    check_refused(call, argument)


@pytest.mark.parametrize("name", submodular.names())
def test_examples_and_options(name):
    declared = DECLARED[name]
    with pytest.raises(ValueError, match="etta: .* does not take it"):
        make(name, etta=1.0)
    for one in SETS:
        wrong = {one: None} if one in declared.examples else {one: POINTS}
        with pytest.raises(ValueError, match=f"^{one}: .*(needs|does not take) it"):
            make(name, **wrong)


def maximize(**given):
    good = {"function": FUNCTION, "available": ALL, "budget": 2}
    return submodular.maximize(**{**good, **given})


def by_passes(**given):
    good = {"function": FUNCTION, "available": ALL, "budget": 2}
    return anytime.maximize(**{**good, **given})


def sampled(**given):
    return maximize(**{"optimizer": "stochastic", "key": jax.random.key(0), **given})


def paid(**given):
    return maximize(**{"costs": jnp.ones(6), "cost_budget": 2.0, **given})


COSTS = {"a string": "x", "a list": [1.0] * 6, "none": None, "another length": np.ones(5)}
COSTS |= {"a matrix": np.ones((6, 1)), "text": np.full(6, "x")}


@refused(
    tables(
        maximize=each(
            maximize,
            function={"a string": "facility_location", "an array": POINTS, "none": None}
            | {"uncalled": submodular.facility_location},
            available=MASK,
            budget=INTEGER | {"above the rows": 7},
            optimizer=NAME,
            epsilon=FRACTION,
            block_size=INTEGER,
            stop_if_zero_gain=FLAG,
            stop_if_negative_gain=FLAG,
            cost_sensitive=FLAG,
        ),
        anytime=each(
            by_passes,
            function={"a string": "facility_location", "an array": POINTS, "none": None}
            | {"not submodular": submodular.disparity_sum(POINTS)},
            available=MASK,
            budget=INTEGER | {"above the rows": 7},
            block_size=INTEGER,
        ),
        sampled=each(sampled, key=KEY),
        paid=each(paid, costs=COSTS, cost_budget=NUMBER),
        evaluate=each(
            lambda rows: submodular.evaluate(FUNCTION, rows),
            rows={"floats": np.ones(2), "a string": "1", "none": None, "flags": ALL}
            | {
                "a matrix": np.ones((2, 2), int),
                "a list": [0.5],
                "outside": np.array([6]),
                "twice": np.array([1, 1]),
            },
        ),
        function=each(
            lambda function: submodular.evaluate(function, jnp.array([0])),
            function={"a string": "graph_cut", "none": None, "an array": POINTS},
        ),
        name=each(lambda function: submodular.specify(function), function=NAME),
    )
)
def test_maximize_and_evaluate(call, argument):
    check_refused(call, argument)
