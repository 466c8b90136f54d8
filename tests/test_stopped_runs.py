"""`jaxal run` with stopping rules, and `jaxal evaluate` of what it leaves."""

import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import bad_inputs
from scipy import special
from test_runner import DIGITS

from jaxal import cli, evaluation, experiment, models, report
from jaxal.evaluation._quantiles import student_quantile
from jaxal.experiment.predictions import (
    Predictions,
    predicted_of_pool,
    read_predictions,
    read_predictions_of_pool,
    write_predictions,
)

SETTINGS = [
    "seeds=2",
    "strategy.names=margin,random",
    "strategy.rounds=3",
    "strategy.budget=20",
    "model.hidden=8",
    "learner.max_epochs=20",
    "data.limit=200",
    "data.test_limit=60",
    'stop.rule=["tolerance", "budget"]',
    "stop.options.tolerance.threshold=-0.05",
    "stop.options.budget.labels=60",
]


def start(*more):
    return experiment.load(DIGITS, [*SETTINGS, *more])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("stopped")
    config = start()
    experiment.run(config, out)
    return config, out


def curves(records):
    found = {}
    for one in records:
        found.setdefault((one.strategy, one.seed), []).append(one)
    return found


@pytest.mark.slow
def test_records_end_where_a_rule_holds(run):
    _, out = run
    found = curves(experiment.read(out / "history.jsonl"))
    assert len(found) == 4
    for rounds in found.values():
        *before, last = rounds
        assert [one.round for one in rounds] == list(range(len(rounds)))
        assert all(one.stopped is None and len(one.rows) == 20 for one in before)
        assert not last.rows and last.labels == 20 * len(rounds) <= 60
        assert last.stopped == "budget: 60 labels are bought" or last.stopped.startswith("tolera")
    assert all(rounds[-1].labels == 60 for (name, _), rounds in found.items() if name == "random")


@pytest.mark.slow
def test_a_finished_run_is_not_done_again_and_a_broken_one_is_the_same(run, tmp_path):
    config, out = run
    shutil.copytree(out, tmp_path / "run")
    lines = (out / "history.jsonl").read_bytes().splitlines(keepends=True)
    history = tmp_path / "run" / "history.jsonl"
    experiment.run(config, tmp_path / "run", resume=True)
    assert history.read_bytes() == b"".join(lines)
    history.write_bytes(b"".join(lines[:-1]))
    shutil.rmtree(tmp_path / "run" / "predictions")
    experiment.run(config, tmp_path / "run", resume=True)
    now = experiment.read(history)
    assert [(one.rows, one.stopped) for one in now] == [
        (one.rows, one.stopped) for one in experiment.read(out / "history.jsonl")
    ]
    with pytest.raises(ValueError, match=r"stop\.options\.budget\.labels"):
        experiment.run(start("stop.options.budget.labels=40"), tmp_path / "run", resume=True)


def test_tables_and_pictures_carry_a_stopped_seed_on(run):
    _, out = run
    rebuilt = report.rebuild(out)
    assert not rebuilt.notes
    assert (out / "curves.png").stat().st_size
    for summary in rebuilt.summaries:
        assert [point.seeds for point in summary.points] == [2] * len(summary.points)
        assert len(summary.stopped) == 2


def test_a_stopped_seed_keeps_its_accuracy():
    short = report.from_curve("a", [10, 20], [0.5, 0.8])
    short[-1] = experiment.Record(**{**vars(short[-1]), "stopped": "kappa: 1"})
    long = report.from_curve("a", [10, 20, 30], [0.5, 0.6, 0.7], seed=1)
    (summary,) = report.summarize([*short, *long])
    assert [point.accuracy_mean for point in summary.points] == pytest.approx([0.5, 0.7, 0.75])
    assert summary.stopped == ((20, 0.8),)
    assert summary.area_mean == pytest.approx(((0.5 + 2 * 0.8 + 0.8) + (0.5 + 2 * 0.6 + 0.7)) / 8)


@pytest.mark.slow
def test_evaluate_shows_each_strategy(run, capsys):
    _, out = run
    records = curves(experiment.read(out / "history.jsonl"))
    found = report.evaluate_run(out, labels=30, seed=1)
    assert [one.strategy for one in found] == ["margin", "random"]
    for one in found:
        predictions = read_predictions(out, one.strategy)
        accuracy = np.mean(predictions.classes[1] == predictions.labels)
        assert one.accuracy == pytest.approx(accuracy)
        of_pool = read_predictions_of_pool(out, one.strategy)
        assert of_pool is not None and of_pool.values.shape == of_pool.probabilities.shape
        assert one.accuracy == pytest.approx(records[one.strategy, 1][-1].test_accuracy)
        assert one.active[1] < one.active[0] < one.active[2]
        assert one.uniform[1] < one.uniform[0] < one.uniform[2]
        assert 0 < one.active_needed and 0 < one.uniform_needed < 100_000
    assert cli.main(["evaluate", str(out), "--labels", "30", "--seed", "1"]) == 0
    printed = capsys.readouterr().out
    assert "margin" in printed and "to +-1" in printed


def test_students_quantile_and_wilsons_interval():
    for freedom in (1, 2, 5, 30, 1000):
        expected = special.stdtrit(freedom, 0.95)
        found = float(student_quantile(0.9, jnp.float32(freedom)))
        assert found == pytest.approx(expected, rel=2e-3)
    right = jnp.array([1.0] * 18 + [0.0] * 2 + [np.nan] * 5)
    found = evaluation.wilson(right, jnp.arange(25) < 20)
    z, share = special.ndtri(0.95), 0.9
    roots = np.roots(
        [1 + z**2 / 20, -(2 * share + z**2 / 20), share**2]
    )  # (p - share)^2 = z^2 p q / n
    np.testing.assert_allclose([found.lower, found.upper], np.sort(roots), rtol=1e-5)
    assert float(found.estimate) == pytest.approx(share)


@pytest.mark.slow
def test_wilsons_interval_of_active_inference():
    """That of as many rows as would have the variance of the terms; finite without a mistake."""
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1.0, 200)
    right, chances = (rng.random(200) < sure).astype(float), 0.1 + 0.4 * (1 - sure)
    sampled = rng.random(200) < chances
    given = [jnp.asarray(one) for one in (sure, right, chances, sampled)]
    found = evaluation.active_inference(*given, interval="wilson")
    terms = sure + np.where(sampled, (right - sure) / chances, 0)
    mean, variance = terms.mean(), terms.var() / 200
    rows = min(mean * (1 - mean) / variance, 200)
    z = special.stdtrit(sampled.sum() - 1, 0.95)
    roots = np.roots([1 + z**2 / rows, -(2 * mean + z**2 / rows), mean**2])
    np.testing.assert_allclose([found.lower, found.upper], np.sort(roots), rtol=5e-3)
    assert float(found.estimate) == pytest.approx(mean, rel=1e-5)
    exact = jnp.ones(50), jnp.ones(50), jnp.full(50, 0.5), jnp.arange(50) < 25
    found = evaluation.active_inference(*exact, interval="wilson")
    assert 0.9 < found.lower < 0.97 and found.upper <= 1
    with pytest.raises(ValueError, match="interval: 'wilsons' is unknown; did you mean 'wilson'"):
        evaluation.active_inference(*given, interval="wilsons")
    sure, right, *rest = given
    for name, wrong in {"predictions": (2 * sure, right), "labels": (sure, 3 * right)}.items():
        with pytest.raises(ValueError, match=f"{name}: expected numbers from 0 to 1, got"):
            evaluation.active_inference(*wrong, *rest, interval="wilson")
        evaluation.active_inference(*wrong, *rest)  # of another quantity
    with pytest.raises(ValueError, match="labels: expected numbers from 0 to 1, got 3.0 in row"):
        evaluation.wilson(3 * right, rest[-1])


def test_damaged_predictions_are_refused_by_name(tmp_path):
    whole = np.zeros((1, 2), np.int32), np.ones((1, 2), np.float32), np.zeros(2, np.int32)
    write_predictions(tmp_path, "a/b", Predictions(*whole))
    assert read_predictions(tmp_path, "a/b").labels.tolist() == [0, 0]
    assert read_predictions_of_pool(tmp_path, "a/b") is None
    [path] = (tmp_path / "predictions").iterdir()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="predictions.*: damaged: "):
        read_predictions(tmp_path, "a/b")


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_pool_by_blocks_of_the_test_rows(tmp_path, outputs):
    rng = np.random.default_rng(0)
    pool, like = rng.normal(size=(10, 2)).astype(np.float32), jnp.zeros((4, 2))
    weights = jnp.asarray(rng.normal(size=(2, 2, outputs)), jnp.float32)
    model = models.from_functions(
        lambda key, inputs: weights[0], lambda params, inputs: (inputs @ params, inputs)
    )
    found = predicted_of_pool({"params": weights}, pool, like, model=model, batch_size=8)
    logits = pool @ np.asarray(weights[0])
    if outputs == 1:
        np.testing.assert_allclose(found.values, logits[:, 0], rtol=1e-5)
        assert np.isnan(found.probabilities).all()
    else:
        assert found.values.tolist() == logits.argmax(1).tolist()
        chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        np.testing.assert_allclose(found.probabilities, chances.max(1), rtol=1e-5)
    write_predictions(tmp_path, "a", found)
    again = read_predictions_of_pool(tmp_path, "a")
    assert again is not None and again.values.tolist() == found.values.tolist()


@bad_inputs(
    {
        "a rule": (
            ["stop.rule=kapa", "stop.options={}"],
            ValueError,
            "stop.rule: 'kapa' is unknown",
        ),
        "none": (["stop.rule=[]"], ValueError, "stop.rule: expected a stopping rule"),
        "an option": (
            ["stop.rule=budget", "stop.options.budget.count=3"],
            ValueError,
            "rule budget: option 'count' is unknown|stop.options",
        ),
        "a range": (
            ["stop.rule=kappa", "stop.options={kappa={window=0}}"],
            ValueError,
            "stop.options.kappa.window: expected an integer",
        ),
        "another rule's": (["stop.rule=kappa"], ValueError, "stop.options: 'tolerance' is no rule"),
        "rows": (["stop.rows=0"], ValueError, "stop.rows: expected an integer"),
        "no validation": (
            ["stop.rule=accuracy", 'stop.options={accuracy={threshold=0.9, on="validation"}}'],
            ValueError,
            "stop.options.accuracy.on: needs held-out rows",
        ),
    }
)
def test_bad_settings(given, error, message, tmp_path):
    with pytest.raises(error, match=message):
        experiment.run(start(*given), tmp_path / "run")


@bad_inputs(
    {
        "labels": (["--labels", "61"], "labels: expected at most 60"),
        "a seed": (["--seed", "2"], "seed: expected 0 to 1"),
        "a width": (["--width", "0"], "width: expected a number in"),
    }
)
def test_bad_evaluations(given, message, run, capsys):
    assert cli.main(["evaluate", str(run[1]), "--labels", "30", *given]) == 2
    assert message in capsys.readouterr().err
