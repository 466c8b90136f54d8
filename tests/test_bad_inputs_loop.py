"""Bad inputs of learners, pools, meshes and the loop: each error names the argument."""

import jax
import numpy as np
import optax
import pytest
from bad_values import (
    FLAG,
    INF,
    INTEGER,
    KEY,
    NAN,
    NUMBER,
    OTHERS,
    POSITIVE,
    but,
    check_refused,
    each,
    refused,
    tables,
)
from helpers import clouds

import jaxal
from jaxal import devices
from jaxal.pools import size_class

MODEL = jaxal.models.logistic(3)
ADAM = optax.adam(0.1)
LEARNER = jaxal.Learner(MODEL, ADAM, batch_size=8, max_epochs=3)
STRATEGY = jaxal.strategies.margin()
INPUTS, LABELS = clouds(12)
EXAMPLES = jaxal.Examples(INPUTS, LABELS)
POOL = jaxal.place(INPUTS, LABELS)
VARIABLES = MODEL.init(jax.random.key(0), INPUTS)
STATE = jaxal.init(jax.random.key(0), LEARNER, POOL, initial=3, capacity=6)
NOTHING = OTHERS | {"none": None, "an integer": 1}
COUNT_OR_ZERO = but(INTEGER, "zero")
ABOVE = but(POSITIVE, "infinite")  # infinity switches the rule off


def learner(**given):
    return jaxal.Learner(**{"model": MODEL, "optimizer": ADAM, **given})


def custom(**given):
    return jaxal.CustomLearner(**{"model": MODEL, "fit": LEARNER.fit, **given})


def ensemble(**given):
    return jaxal.ensemble(**{"learner": LEARNER, "members": 2, **given})


def calibrated(**given):
    return jaxal.calibrated(**{"learner": LEARNER, "folds": 2, **given})


NO_LEARNER = NOTHING | {"a model": MODEL}
NO_STRATEGY = NOTHING | {"a name": "badge", "uncalled": jaxal.strategies.badge}

LEARNERS = tables(
    learner=each(
        learner,
        model=NOTHING | {"a name": "mlp", "uncalled": jaxal.models.mlp},
        optimizer=NOTHING | {"a name": "adam", "uncalled": optax.adam},
        loss=NOTHING,
        eval_batch_size=INTEGER,
        batch_size=INTEGER,
        epoch_rows=COUNT_OR_ZERO,
        max_epochs=INTEGER,
        max_accuracy=ABOVE,
        window=COUNT_OR_ZERO,
        min_gain=NUMBER,
        patience=COUNT_OR_ZERO,
        warm_start=FLAG,
        subset_fraction=POSITIVE | {"above one": 1.5},
        subset_every=INTEGER,
    ),
    custom=each(custom, model=NOTHING, fit=NOTHING, fit_on_host=FLAG),
    ensemble=each(ensemble, learner=NO_LEARNER, members=INTEGER),
    calibrated=each(calibrated, learner=NO_LEARNER, folds=INTEGER | {"one": 1}),
)


@refused(LEARNERS)
def test_learners(call, argument):
    check_refused(call, argument)


def place(**given):
    return jaxal.place(**{"inputs": INPUTS, "labels": LABELS, **given})


BAD_INPUTS = {"a list": INPUTS.tolist(), "a string": "x", "none": None, "empty": {}}
BAD_INPUTS |= {"no rows": INPUTS[:0], "NaN": INPUTS * NAN, "infinite": INPUTS + INF}
BAD_INPUTS |= {"text": np.full((12, 5), "x"), "too large": np.full((12, 5), 1e300), "a number": 1.0}
BAD_INPUTS |= {"other rows": {"a": INPUTS, "b": INPUTS[:4]}, "objects": np.array([None] * 12)}
BAD_LABELS = {
    "infinite": np.full(12, INF),
    "targets": np.ones((12, 2)),
    "a list": LABELS.tolist(),
    "a string": "x",
    "a number": 1,
}
BAD_LABELS |= {
    "one-hot": np.eye(12, dtype=int),
    "another length": LABELS[:5],
    "below -1": LABELS - 9,
}
BAD_LABELS |= {"flags": LABELS > 0, "too large": np.full(12, 2**32)}
MESH = {"a string": "data", "a number": 2, "devices": jax.devices()}


def mesh(**given):
    return devices.make_mesh(**given)


@refused(
    tables(
        place=each(
            place,
            inputs=BAD_INPUTS,
            labels=BAD_LABELS,
            mesh=MESH,
            batch_size=INTEGER,
            size=but(INTEGER, "none"),
            labeled_only=FLAG,
            local=FLAG,
        ),
        mesh=each(
            mesh,
            data=but(INTEGER, "none") | {"too many": 99},
            seeds=INTEGER | {"too many": 99},
            devices={"a string": "cpu", "a number": 1, "none at all": [], "numbers": [0, 1]},
        ),
        size_class=each(size_class, rows=INTEGER),
    )
)
def test_pools(call, argument):
    check_refused(call, argument)


def init(**given):
    good = {"key": jax.random.key(0), "learner": LEARNER, "pool": POOL}
    return jaxal.init(**{**good, "initial": 3, "capacity": 6, **given})


def ask(**given):
    good = {"state": STATE, "learner": LEARNER, "strategy": STRATEGY, "pool": POOL, "budget": 2}
    return jaxal.ask(**{**good, **given})


def step(**given):
    good = {"state": STATE, "learner": LEARNER, "strategy": STRATEGY, "pool": POOL}
    return jaxal.step(**{**good, "test": EXAMPLES, "budget": 2, **given})


def tell(**given):
    free = [row for row in range(12) if row not in STATE.rows][:2]
    return jaxal.tell(**{"state": STATE, "rows": free, "labels": [0, 1], **given})


def acquire(**given):
    good = {"key": jax.random.key(0), "strategy": STRATEGY, "model": MODEL, "variables": VARIABLES}
    return jaxal.acquire(**{**good, "inputs": INPUTS, "budget": 2, **given})


NO_STATE = NOTHING | {"a pool": POOL}
NO_POOL = NOTHING | {"examples": EXAMPLES}
BUDGET = INTEGER | {"above the rows": 13}
SETS = {"a string": "x", "an array": INPUTS, "a triple": (INPUTS, LABELS, LABELS)}
SETS |= {"other shapes": (INPUTS[:, :2], LABELS), "other rows": (INPUTS, LABELS[:5])}
SETS |= {"NaN": (INPUTS * NAN, LABELS), "unknown labels": (INPUTS, LABELS - 3)}
SETS |= {"labels above C": (INPUTS, LABELS + 3), "no labels": (INPUTS, LABELS * 1.0)}
EXTRA = {"query": SETS, "private": SETS, "validation": SETS}
ROWS = {
    "floats": [0.5, 1.0],
    "a string": "12",
    "none": None,
    "one number": 3,
    "flags": [True, False],
}
ROWS |= {"a matrix": [[1, 2]], "outside": [1, 12], "below -1": [1, -2], "twice": [11, 11]}
WEIGHTS = {"NaN": [NAN, 1.0], "negative": [-1.0, 1.0], "a string": "x", "too few": [1.0]}
WEIGHTS |= {"flags": [True, False], "infinite": [INF, 1.0], "text": ["a", "b"]}
TOLD = {
    "floats": [0.5, 1.0],
    "a string": "12",
    "none": None,
    "above C": [0, 3],
    "below -1": [0, -2],
}
TOLD |= {"too few": [0], "one-hot": np.eye(2, dtype=int), "flags": [True, False]}


@refused(
    tables(
        init=each(
            init,
            key=KEY,
            learner=NO_LEARNER,
            pool=NO_POOL,
            initial=but(INTEGER, "zero", "a list", "an array of one")
            | {"too many": 13, "outside": [12], "twice": [1, 1], "floats": [0.5]},
            capacity=INTEGER,
            balanced=FLAG,
            skips=but(COUNT_OR_ZERO, "none"),
        ),
        ask=each(
            ask,
            state=NO_STATE,
            learner=NO_LEARNER,
            strategy=NO_STRATEGY,
            pool=NO_POOL | {"another": jaxal.place(INPUTS[:5], None)},
            budget=BUDGET,
            **EXTRA,
        ),
        tell=each(tell, state=NO_STATE, rows=ROWS, labels=TOLD, weights=WEIGHTS),
        enlarge=each(
            lambda state=STATE, **given: jaxal.enlarge(state, **given),
            state=NO_STATE,
            capacity=but(INTEGER, "none", "an array of one") | {"less": 5},
            skips=but(INTEGER, "none", "an array of one"),
        ),
        step=each(
            step,
            state=NO_STATE,
            learner=NO_LEARNER,
            strategy=NO_STRATEGY,
            pool=NO_POOL | {"another": jaxal.place(INPUTS[:5], None)},
            test=SETS | {"none": None},
            budget=BUDGET,
            select_batch=but(FLAG, "a string", "an array") | {"yes": "yes"},
            **EXTRA,
        ),
        acquire=each(
            acquire,
            key=KEY,
            strategy=NO_STRATEGY,
            model=NOTHING | {"a learner": LEARNER},
            variables={"none": None, "a string": "x", "another model's": {"params": {}}},
            inputs=BAD_INPUTS,
            labels=BAD_LABELS | {"above C": LABELS + 3},
            available={"a list": [True] * 12, "integers": np.arange(12), "a string": "x"}
            | {"too few": np.ones(5, bool), "a matrix": np.ones((12, 1), bool)},
            budget=BUDGET,
            batch_size=INTEGER,
            mesh=MESH,
            **EXTRA,
        ),
    )
)
def test_loop(call, argument):
    check_refused(call, argument)


def simulate(**given):
    good = {"learner": LEARNER, "strategy": STRATEGY, "pool": EXAMPLES, "test": EXAMPLES}
    return jaxal.simulate(**{**good, "initial": 3, "budget": 2, "rounds": 2, **given})


def iterate(**given):
    good = {"learner": LEARNER, "strategy": STRATEGY, "pool": EXAMPLES, "test": EXAMPLES}
    good |= {"key": jax.random.key(0), "initial": 3, "budget": 2, "rounds": 2}
    return next(iter(jaxal.iterate(**{**good, **given})))


PLAN = {
    "learner": NO_LEARNER,
    "strategy": NO_STRATEGY,
    "pool": SETS | {"none": None, "rows alone": INPUTS},
    "test": SETS | {"none": None},
    "initial": but(INTEGER, "a list")
    | {"too many": 10, "rows outside": [0, 12]}
    | {"rows twice": [1, 1], "rows below 0": [-1], "too many rows": list(range(10))}
    | {"of no class": {7: 1}, "too many of a class": {0: 9}, "a share": {0: 0.5}}
    | {"names": {"a": 1}, "none of a class": {0: 0}},
    "budget": INTEGER | {"too many": 10},
    "rounds": INTEGER | {"too many": 10},
    "balanced": FLAG,
    "labeled_only": FLAG,
    "skip_unlabeled": FLAG,
    "batch_size": INTEGER,
    "mesh": MESH,
}
OPEN = but(SETS, "other shapes", "labels above C")  # a pool has the shapes that it has


@refused(
    tables(
        simulate=each(simulate, **{**PLAN, "pool": OPEN}, **EXTRA),
        iterate=each(iterate, **{**PLAN, "pool": OPEN}, key=KEY, **EXTRA),
    )
)
def test_simulations(call, argument):
    check_refused(call, argument)


def test_variables_that_are_not_finite():
    flawed = jax.tree.map(lambda leaf: leaf * NAN, VARIABLES)
    with pytest.raises(FloatingPointError, match="variables: expected finite numbers"):
        acquire(variables=flawed)
