"""Bad inputs of pools that are read, wherever they are taken: each error names the argument."""

import pathlib
from typing import Any

import jax
import numpy as np
import optax
from bad_values import FLAG, INTEGER, but, check_refused, each, refused, tables
from helpers import Rows, clouds

import jaxal
from jaxal import experiment, pools

DIGITS = pathlib.Path(__file__).parent.parent / "configs" / "digits.toml"

MODEL = jaxal.models.logistic(3)
LEARNER = jaxal.Learner(MODEL, optax.sgd(0.1))
STRATEGY = jaxal.strategies.margin()
INPUTS, LABELS = clouds(12)
READ = pools.stream(INPUTS, LABELS)
STATE = jaxal.init(jax.random.key(0), LEARNER, READ, initial=3, capacity=6)
VARIABLES = MODEL.init(jax.random.key(0), INPUTS)

SOURCES = {"a list": INPUTS.tolist(), "a string": "x", "none": None, "empty": {}, "a number": 1.0}
SOURCES |= {"no rows": INPUTS[:0], "no axes": np.array(1.0), "a set": {1, 2}}
SOURCES |= {"other rows": {"a": INPUTS, "b": INPUTS[:4]}}
FEW, NEGATIVE, ABOVE = LABELS[:5], LABELS - 9, LABELS + 3
UNKNOWN = np.full(12, -1)


def stream(**given):
    return pools.stream(**{"inputs": INPUTS, "labels": LABELS, **given})


def init(**given):
    good: dict[str, Any] = {"key": jax.random.key(0), "learner": LEARNER, "pool": READ}
    return jaxal.init(**{**good, "initial": 3, "capacity": 6, **given})


def ask(**given):
    good: dict[str, Any] = {"state": STATE, "learner": LEARNER, "strategy": STRATEGY, "pool": READ}
    return jaxal.ask(**{**good, "budget": 2, **given})


def acquire(**given):
    good: dict[str, Any] = {"strategy": STRATEGY, "model": MODEL, "variables": VARIABLES}
    good |= {"key": jax.random.key(0), "inputs": Rows(INPUTS), "budget": 2}
    return jaxal.acquire(**{**good, **given})


def iterate(**given):
    good: dict[str, Any] = {"learner": LEARNER, "strategy": STRATEGY, "pool": READ}
    good |= {"key": jax.random.key(0), "test": (INPUTS, LABELS)}
    return next(jaxal.iterate(**{**good, "initial": 3, "budget": 2, "rounds": 2, **given}))


def embed(tmp_path, **given):
    config = experiment.load(DIGITS, ["data.source=npz:nothing.npz"])
    return experiment.embed(config, tmp_path, **given)


MESH = {"a string": "data", "a number": 2}
POOLS = {
    "no labels": (Rows(INPUTS), None),
    "few labels": (Rows(INPUTS), FEW),
    "labels below -1": (Rows(INPUTS), NEGATIVE),
    "labels above C": (Rows(INPUTS), ABOVE),
    "unknown labels": pools.stream(INPUTS),
    "no rows": (Rows(INPUTS[:0]), LABELS[:0]),
    "other rows": (({"a": Rows(INPUTS), "b": Rows(INPUTS[:4])}), LABELS),
}


@refused(
    tables(
        stream=each(
            stream,
            inputs=SOURCES,
            labels={
                "infinite": np.full(12, np.inf),
                "few": FEW,
                "below -1": NEGATIVE,
                "a string": "x",
            },
            mesh=MESH,
            batch_size=INTEGER,
            size=but(INTEGER, "none"),
            labeled_only=FLAG,
        ),
        acquire=each(
            acquire,
            inputs={"no rows": Rows(INPUTS[:0]), "no axes": Rows(np.array(1.0))}
            | {"another width": Rows(INPUTS[:, :2]), "text": Rows(np.full((12, 5), "x"))},
            labels={"few": FEW, "below -1": NEGATIVE, "above C": ABOVE, "floats": LABELS * 1.5},
            available={"too few": np.ones(5, bool), "integers": np.arange(12)},
            budget=INTEGER | {"above the rows": 13},
            batch_size=INTEGER,
            mesh=MESH,
        ),
        init=each(init, pool={"a source": Rows(INPUTS)}, initial={"too many": 13, "outside": [12]}),
        ask=each(ask, pool={"a source": Rows(INPUTS), "another": pools.stream(INPUTS[:5])}),
        iterate=each(iterate, pool=POOLS, mesh=MESH | {"another": jaxal.devices.make_mesh(2)}),
    )
)
def test_pools(call, argument):
    check_refused(call, argument)


@refused(
    each(
        embed,
        encoder={"a function": np.abs, "a number": 1, "a flag": True},
        test=FLAG,
        shard_rows=INTEGER,
    )
)
def test_embed(call, argument, tmp_path):
    check_refused(lambda: call(tmp_path), argument)
    assert not [*tmp_path.iterdir()]
