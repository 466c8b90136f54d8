"""Records of what simulations, host loops and loops of one's own found."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import bad_inputs, clouds

import jaxal
from jaxal import report
from jaxal.stopping.watch import Stopped

PLAN: dict[str, Any] = {"initial": 6, "budget": 3, "rounds": 2}
POOL, TEST = clouds(60), clouds(30, seed=1)
LEARNER = jaxal.Learner(jaxal.models.logistic(3), optax.sgd(0.1), max_epochs=2)
STRATEGY = jaxal.strategies.margin()


@pytest.mark.slow
def test_simulated_seeds():
    run = jaxal.simulate(LEARNER, STRATEGY, POOL, TEST, **PLAN)
    _, history = jax.vmap(run)(jax.random.split(jax.random.key(0), 2))
    records = report.from_history("margin", history, seed=5)
    assert [(r.seed, r.round, r.labels) for r in records] == [
        (seed, number, 6 + 3 * number) for seed in (5, 6) for number in range(3)
    ]
    accuracies = np.asarray(history.test.accuracy)
    assert [r.test_accuracy for r in records] == accuracies.ravel().tolist()
    assert [list(r.rows) for r in records[:2]] == np.asarray(history.rows)[0, :2].tolist()
    assert records[2].rows == []
    by_class = np.asarray(history.test.class_accuracy)
    assert [r.class_accuracy for r in records] == by_class.reshape(6, 3).tolist()
    [summary] = report.summarize(records)
    assert summary.seeds == 2 and summary.points[-1].labels == 12
    assert summary.points[-1].accuracy_mean == pytest.approx(accuracies[:, -1].mean())
    stopped = Stopped(jnp.array([[-1, 0, 0], [-1, -1, 1]]), jnp.full((2, 3, 2), 0.98))
    history = history._replace(stopped=stopped)
    records = report.from_history("margin", history)
    first, second = (f"stopping rule {number} of 2, at 0.98" for number in (1, 2))
    assert [r.stopped for r in records] == [None, first, None, None, second]
    stop = ["kappa", jaxal.stopping.rule("accuracy", threshold=0.9)]
    named = report.from_history("margin", history, stop=stop)
    assert named[1].stopped and named[1].stopped.startswith("kappa: kappa of consecutive")
    assert named[4].stopped == "accuracy: the test accuracy is 98.00%"
    with pytest.raises(ValueError, match="stop: expected the 2 rules of the history, got 1"):
        report.from_history("margin", history, stop="kappa")


@pytest.mark.slow
def test_rounds_on_the_host_are_those_of_a_simulation():
    rounds = [
        info for _, info in jaxal.iterate(jax.random.key(3), LEARNER, STRATEGY, POOL, TEST, **PLAN)
    ]
    _, history = jaxal.simulate(LEARNER, STRATEGY, POOL, TEST, **PLAN)(jax.random.key(3))
    found, expected = (report.from_history("margin", one) for one in (rounds, history))
    assert [(r.labels, r.rows) for r in found] == [(r.labels, r.rows) for r in expected]
    assert [r.test_accuracy for r in found] == pytest.approx([r.test_accuracy for r in expected])
    assert report.from_history("margin", rounds[0])[0] == found[0]


def test_a_loop_of_ones_own(tmp_path):
    random = report.from_curve("random", [10, 20], [[0.5, 0.6], [0.4, 0.6], [0.5, 0.7]])
    badge = report.from_curve("badge", [10, 20], [[0.5, 0.8], [0.4, 0.9], [0.5, 0.8]])
    [paired] = report.paired_differences(random + badge)
    assert paired.seeds == 3 and paired.difference == pytest.approx(0.1)
    assert [s.strategy for s in report.write(random + badge, tmp_path, "mine")] == [
        "random",
        "badge",
    ]
    one = report.from_curve("badge", [10, 20], [0.5, 0.8], rows=[np.array([3, 1]), []], seed=7)
    assert [(r.seed, r.rows) for r in one] == [(7, [3, 1]), (7, [])]


def given(value: Any) -> Any:
    return value


@bad_inputs(
    {
        "no history": (
            lambda: report.from_history("a", given(1)),
            TypeError,
            "history: expected reports",
        ),
        "other things": (
            lambda: report.from_history("a", given([1])),
            TypeError,
            "history: expected reports of rounds, got int among them",
        ),
        "no rounds": (
            lambda: report.from_history("a", ()),
            ValueError,
            "history: expected one or more rounds, got none",
        ),
        "no name": (
            lambda: report.from_curve(given(1), [1], [0.5]),
            TypeError,
            "strategy: expected a name",
        ),
        "accuracy in percent": (
            lambda: report.from_curve("a", [1, 2], [50.0, 70.0]),
            ValueError,
            "accuracies: expected fractions from 0 to 1",
        ),
        "seed": (lambda: report.from_curve("a", [1], [0.5], seed=-1), ValueError, "seed: expected"),
        "labels that fall": (
            lambda: report.from_curve("a", [2, 1], [0.5, 0.6]),
            ValueError,
            r"labels: expected counts that increase, got \[2, 1\]",
        ),
        "labels that are none": (
            lambda: report.from_curve("a", [0.5], [0.5]),
            TypeError,
            "labels: expected integers",
        ),
        "other lengths": (
            lambda: report.from_curve("a", [1, 2], [0.5]),
            ValueError,
            "accuracies: expected .* with P = 2 labels",
        ),
        "texts": (
            lambda: report.from_curve("a", [1], ["x"]),
            TypeError,
            "accuracies: expected numbers",
        ),
        "rows of too few points": (
            lambda: report.from_curve("a", [1, 2], [0.5, 0.6], rows=[[1]]),
            ValueError,
            "rows: expected a list for each of 2 points",
        ),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
