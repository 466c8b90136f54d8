"""Bad arguments of the scenarios, each refused by name."""

import jax.numpy as jnp
import numpy as np
from bad_values import INTEGER, MASK, NAME, NAN, but, check_refused, each, refused, tables

from jaxal import submodular
from jaxal.data import scenarios

INPUTS, LABELS = np.ones((12, 2)), np.repeat(np.arange(3), 4)
NO_EXAMPLES = {"none": None, "an array": INPUTS, "no labels": (INPUTS, None), "a string": "xy"}
NO_EXAMPLES |= {"other rows": (INPUTS, LABELS[:5]), "floats": (INPUTS, LABELS * 1.0)}
SEED = but(INTEGER, "zero")
CLASSES = {"none": None, "a number": 1, "a string": "1", "floats": [1.0], "flags": [True]}
CLASSES |= {"twice": [1, 1], "negative": [-1], "a matrix": [[1, 2]], "a table": {1: 2}}
ROWS = {"none": None, "floats": [0.5], "a string": "1", "outside": [4], "below -1": [-2]}
FACTS = scenarios.Facts(np.array([0, 1, -1, 0]))
POINTS = {"a list": [[1.0]], "a vector": jnp.ones(3), "none": None, "empty": jnp.ones((0, 2))}
MASKS = but(MASK, "none", "a list") | {"another length": np.ones(5, bool)}


def imbalanced(**given):
    return scenarios.imbalanced(**({"examples": (INPUTS, LABELS), "keep": {1: 2}} | given))


def outside(**given):
    return scenarios.out_of_distribution(**({"examples": (INPUTS, LABELS), "classes": [1]} | given))


def inside(**given):
    return scenarios.in_distribution(**({"examples": (INPUTS, LABELS), "classes": [1]} | given))


def hold_out(**given):
    return scenarios.hold_out(**({"examples": (INPUTS, LABELS), "rows_per_class": 2} | given))


def redundant(**given):
    return scenarios.redundant(**({"examples": (INPUTS, LABELS), "times": 2} | given))


def noisy(**given):
    return scenarios.noisy_labels(given.pop("examples", (INPUTS, LABELS)), **given)


def count(**given):
    return scenarios.found(**({"facts": FACTS, "picks": [0, 1]} | given))


def seed(**given):
    return submodular.seed_rows(**({"features": jnp.ones((6, 2)), "count": 2} | given))


EYE = np.eye(3).tolist()


@refused(
    tables(
        imbalanced=each(
            imbalanced,
            examples=NO_EXAMPLES,
            keep={
                "none": None,
                "a list": [1],
                "a class of no rows": {7: 1},
                "a name": {"a": 1},
                "too many": {1: 5},
                "no rows": {1: 0},
                "no share": {1: 0.0},
                "more than all": {1: 1.5},
                "NaN": {1: NAN},
                "a flag": {1: True},
                "a string": {1: "2"},
            },
            others=but(INTEGER, "none") | {"too many": 5, "a share": 0.5},
            seed=SEED,
        ),
        outside=each(
            outside,
            examples=NO_EXAMPLES,
            classes=CLASSES | {"of no rows": [7], "all": [0, 1, 2]},
        ),
        inside=each(inside, examples=NO_EXAMPLES, classes=CLASSES | {"all": [0, 1, 2]}),
        hold_out=each(
            hold_out,
            examples=NO_EXAMPLES,
            rows_per_class=INTEGER | {"all": 4},
            classes=but(CLASSES, "none") | {"empty": []},
            seed=SEED,
        ),
        redundant=each(
            redundant,
            examples=NO_EXAMPLES,
            times=INTEGER,
            unique=but(INTEGER, "none") | {"too many": 13},
            copied=but(INTEGER, "none") | {"too many": 13},
            seed=SEED,
        ),
        noisy=each(
            noisy,
            examples=NO_EXAMPLES,
            share={"none": None, "a string": "x", "one": 1.0, "negative": -0.1, "NaN": NAN}
            | {"a flag": True, "a list": [0.1]},
            transition={
                "a number": 0.1,
                "another shape": [[1.0]],
                "names": [["a"] * 3] * 3,
                "a ragged list": [[1.0], [0.5, 0.5]],
                "negative": [[2.0, -1.0, 0.0], *EYE[1:]],
                "sums": [[0.5, 0.4, 0.0], *EYE[1:]],
                "NaN": [[NAN, 0.0, 0.0], *EYE[1:]],
            },
            seed=SEED,
        ),
        found=each(count, picks=ROWS, initial=ROWS),
        seed_rows=each(
            seed,
            features=POINTS,
            count=INTEGER | {"too many": 7},
            metric=NAME,
            labels={"floats": np.ones(6), "too few": np.zeros(5, int), "text": ["x"] * 6},
        ),
    )
)
def test_scenarios(call, argument):
    check_refused(call, argument)


def test_both_kinds_of_noise():
    check_refused(lambda: noisy(share=0.1, transition=EYE), "transition")


def test_noise_of_one_class():
    check_refused(lambda: noisy(examples=(INPUTS, LABELS * 0), share=0.5), "share")
