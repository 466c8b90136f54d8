"""Stopping rules against small-text's decisions and against their formulas in float64."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bad_values import MASK, POSITIVE, check_refused, each, refused, tables
from helpers import MODES, cases, load_case

from jaxal import stopping


@pytest.mark.slow
@cases("stopping")
def test_conformance(path):
    case, meta = load_case(path)
    predictions, logits = case["in_predictions"], jnp.asarray(case["in_logits"])
    classes = meta["num_classes"]
    for number, setting in enumerate(meta["settings"]):
        found = {
            "stabilizing": stopping.stabilizing_predictions(
                predictions,
                num_classes=classes,
                window=setting["window"],
                threshold=setting["threshold_kappa"],
            ),
            "change": stopping.classification_change(
                predictions, threshold=setting["threshold_change"]
            ),
            "uncertainty": stopping.overall_uncertainty(
                logits, threshold=setting["threshold_entropy"]
            ),
        }
        for name, stops in found.items():
            np.testing.assert_array_equal(stops, case[f"out_{name}_p{number}"], err_msg=name)
    kappa = partial(stopping.cohen_kappa, num_classes=classes)
    kappas = [kappa(*pair) for pair in zip(predictions[:-1], predictions[1:], strict=True)]
    expected = case["out_kappa"][np.isfinite(case["out_kappa"])]
    np.testing.assert_allclose(kappas, expected[-len(kappas) :], atol=1e-4)


def test_kappa_of_one_class_alone():
    ones = jnp.ones(5, int)
    assert stopping.cohen_kappa(ones, ones, num_classes=3) == 1
    assert stopping.cohen_kappa(ones, ones - 1, num_classes=3) == 0


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_short_histories_do_not_stop(rounds):
    predictions = jnp.zeros((rounds, 4), int)
    stops = stopping.stabilizing_predictions(predictions, num_classes=2, window=3)
    assert stops.shape == (rounds,) and not stops.any()
    assert stopping.classification_change(predictions).tolist() == [r > 0 for r in range(rounds)]


def divergence(features, labels, before, after, classes, precision):
    """KL of two Gaussians over all weights, by dense matrices in float64."""
    inputs = np.hstack([features, np.ones((len(features), 1))])
    targets = np.eye(classes)[labels]

    def fitted(known):
        rows = inputs[known]
        inverse = rows.T @ rows + precision * np.eye(inputs.shape[1])
        return np.linalg.solve(inverse, rows.T @ targets[known]), inverse

    (old, old_inverse), (new, new_inverse) = fitted(before), fitted(after)
    ratio = old_inverse @ np.linalg.inv(new_inverse)
    spread = np.trace(ratio) - len(ratio) - np.linalg.slogdet(ratio)[1]
    return (classes * spread + np.trace((new - old).T @ old_inverse @ (new - old))) / 2


def test_error_gap_is_that_of_the_dense_posteriors():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(12, 3)), rng.integers(0, 4, 12)
    before, after = np.arange(12) < 5, np.arange(12) < 9
    expected = np.sqrt(divergence(features, labels, before, after, 4, 0.5) / 2)
    gap = jax.jit(partial(stopping.error_gap, num_classes=4, prior_precision=0.5))
    for mode in MODES.values():
        with mode():
            found = gap(jnp.asarray(features, jnp.float32), labels, before, after)
            np.testing.assert_allclose(found, expected, rtol=1e-4)
    features[9:] = np.nan  # rows without a label may hold anything
    given = jnp.asarray(features, jnp.float32), labels, before
    np.testing.assert_allclose(gap(*given, after), expected, rtol=1e-4)
    assert gap(*given, before) == 0


def test_error_stability():
    gaps = jnp.array([9.0, 2.0, 0.5, 0.1, 0.3])
    assert stopping.error_stability(gaps, threshold=0.1).tolist() == [False] * 3 + [True, False]
    for rounds in range(3):
        assert stopping.error_stability(gaps[:rounds]).tolist() == [False] * rounds


PREDICTIONS = {"floats": np.ones((3, 6)), "a vector": np.ones(6, int), "none": None, "text": "x"}
NO_INTEGERS = {"floats": np.ones(6), "none": None, "a matrix": np.ones((6, 1), int)}
CLASSES = {"one": 1, "half": 2.5, "none": None}
THRESHOLD = {"none": None, "text": "x", "NaN": float("nan"), "infinite": float("inf")}
GOOD: Any = np.zeros((3, 6), int)
VALUES: Any = {"logits": jnp.zeros((3, 6, 2)), "gaps": jnp.ones(4)}
STOPPING = tables(
    cohen_kappa=each(
        lambda **given: stopping.cohen_kappa(
            **{"first": GOOD[0], "second": GOOD[1], "num_classes": 2} | given
        ),
        first=NO_INTEGERS | {"another length": np.ones(5, int)},
        second=NO_INTEGERS,
        num_classes=CLASSES,
    ),
    stabilizing_predictions=each(
        lambda **given: stopping.stabilizing_predictions(
            **{"predictions": GOOD, "num_classes": 2} | given
        ),
        predictions=PREDICTIONS,
        num_classes=CLASSES,
        window={"zero": 0, "half": 1.5, "none": None},
        threshold=THRESHOLD,
    ),
    classification_change=each(
        lambda predictions=GOOD, **given: stopping.classification_change(predictions, **given),
        predictions=PREDICTIONS,
        threshold=THRESHOLD,
    ),
    overall_uncertainty=each(
        lambda logits=VALUES["logits"], **given: stopping.overall_uncertainty(logits, **given),
        logits={"a matrix": np.ones((3, 6)), "none": None, "text": "x"},
        threshold=THRESHOLD,
    ),
    error_gap=each(
        lambda **given: stopping.error_gap(
            **{
                "features": jnp.ones((6, 2)),
                "labels": GOOD[0],
                "before": jnp.zeros(6, bool),
                "after": jnp.ones(6, bool),
                "num_classes": 2,
            }
            | given
        ),
        features={"a vector": np.ones(6), "none": None, "another length": np.ones((5, 2))},
        labels=NO_INTEGERS,
        before=MASK,
        after=MASK,
        num_classes=CLASSES,
        prior_precision=POSITIVE,
    ),
    error_stability=each(
        lambda gaps=VALUES["gaps"], **given: stopping.error_stability(gaps, **given),
        gaps={"a matrix": np.ones((2, 2)), "none": None},
        threshold=POSITIVE,
    ),
)


@refused(STOPPING)
def test_bad_input(call, argument):
    check_refused(call, argument)
