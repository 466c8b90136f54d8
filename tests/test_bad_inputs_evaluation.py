"""Bad inputs of active evaluation: each is refused by an error that names the argument."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from bad_values import (
    FRACTION,
    INTEGER,
    KEY,
    MASK,
    NUMBER,
    POSITIVE,
    but,
    check_refused,
    each,
    refused,
    tables,
)

from jaxal import evaluation

ALL = jnp.ones(6, bool)
NO_VECTOR = {"a string": "x", "none": None, "a number": 1.0, "a matrix": np.ones((6, 1))}
NO_VECTOR |= {"another length": np.ones(5), "text": np.full(6, "x")}
CHANCES = jnp.full((2, 6, 3), 1 / 3)
NO_CHANCES = {"a vector": np.ones(6), "a string": "x", "none": None, "one model": CHANCES[:1]}
NO_CHANCES |= {"one class": CHANCES[..., :1], "negative": -CHANCES, "NaN": CHANCES * np.nan}
CONFUSION = {"a matrix": np.ones((3, 3)), "none": None, "another shape": np.ones((2, 2, 3))}
NO_CHANCE = NO_VECTOR | {"above one": 2 * jnp.ones(6)}


def estimate(name, *vectors, **given):
    good = dict.fromkeys(vectors, jnp.full(6, 0.5))
    return getattr(evaluation, name)(**{**good, **given})


EVALUATION = tables(
    draw_rows=each(
        partial(estimate, "draw_rows", "weights", key=jax.random.key(0), available=ALL, budget=2),
        key=KEY,
        weights=NO_VECTOR,
        available=MASK,
        budget=INTEGER | {"above the rows": 7},
    ),
    lure_weights=each(
        partial(estimate, "lure_weights", "probabilities", pool_size=9),
        probabilities=but(NO_CHANCE, "another length"),
        pool_size=INTEGER | {"too small": 5},
    ),
    lure=each(
        partial(estimate, "lure", "losses", "probabilities", pool_size=9),
        losses=NO_VECTOR,
        probabilities=NO_CHANCE,
    ),
    sampling_probabilities=each(
        partial(estimate, "sampling_probabilities", "uncertainty", rate=0.1),
        uncertainty=but(NO_VECTOR, "another length") | {"negative": -jnp.ones(6)},
        rate=FRACTION,
        mixing=NUMBER | {"two": 2.0},
    ),
    active_inference=each(
        partial(
            estimate, "active_inference", "predictions", "labels", "probabilities", sampled=ALL
        ),
        predictions=NO_VECTOR,
        labels=NO_VECTOR,
        probabilities=NO_CHANCE,
        sampled=MASK,
        confidence=FRACTION,
    ),
    labels_needed=each(
        partial(
            estimate,
            "labels_needed",
            "predictions",
            "labels",
            "uncertainty",
            **{"half_width": 0.1, "rows": 9},
        ),
        predictions=NO_VECTOR,
        labels=NO_VECTOR,
        uncertainty=NO_VECTOR,
        half_width=POSITIVE,
        rows=INTEGER,
        confidence=FRACTION,
        mixing=NUMBER | {"two": 2.0},
    ),
    coda_prior=each(
        partial(evaluation.coda_prior, CHANCES), strength=POSITIVE, multiplier=POSITIVE
    ),
    coda=each(
        lambda **given: evaluation.coda(
            **{"probabilities": CHANCES, "concentration": jnp.ones((2, 3, 3)), **given}
        ),
        probabilities=NO_CHANCES,
        concentration=CONFUSION | {"NaN": np.full((2, 3, 3), np.nan)},
    ),
    coda_update=each(
        lambda **given: evaluation.coda_update(
            **{"concentration": jnp.ones((2, 3, 3)), "predictions": np.array([0, 1]), "label": 0}
            | given
        ),
        concentration={"a matrix": np.ones((3, 3)), "none": None},
        predictions={"none": None, "floats": np.ones(2), "outside": np.array([0, 3])},
        label={"none": None, "half": 0.5, "outside": 3, "negative": -1},
        rate=POSITIVE,
    ),
)


@refused(EVALUATION)
def test_evaluation(call, argument):
    check_refused(call, argument)
