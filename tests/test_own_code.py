"""Configs that name functions of one's own: data, models, strategies; and optax's schedules."""

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tomli_w
from helpers import bad_inputs, clouds

import jaxal
from jaxal import experiment, labeling
from jaxal.experiment.build import build
from jaxal.experiment.config import parse, to_toml
from jaxal.training.schedules import scheduled

CODE = """
import equinox as eqx
import numpy as np
import optax

import jaxal


def data(rows=60):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, rows)
    inputs = rng.normal(size=(rows, 4)) + 4 * np.eye(4)[labels]
    return inputs.astype(np.float32), labels


def parts():
    return data(60), data(30)


def table():
    return jaxal.data.Table(data(), class_names=("a", "b", "c"))


def model(num_classes, width=8):
    def make(key):
        return eqx.nn.MLP(4, num_classes, width_size=width, depth=1, key=key)

    return jaxal.models.from_equinox(make)


def strategy(power=1.0):
    def observe(key, model, variables, inputs, labels):
        return jaxal.scores.margin(model.apply(variables, inputs).logits) * power

    def select(key, view, budget):
        return jaxal.selection.take_top(view.observation, view.available, budget)

    return jaxal.Strategy(observe, select, reads_labels=False)


def loss(logits, labels):
    return 2 * optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def wrong(num_classes=3):
    return 3


number = 3
"""


@pytest.fixture(autouse=True)
def own_code(tmp_path, monkeypatch):
    """The module `own_code` in the working directory."""
    (tmp_path / "own_code.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("own_code", None)


def table(**changes: Any) -> dict[str, Any]:
    own = {
        "name": "own",
        "seeds": 1,
        "data": {"factory": "own_code:data"},
        "model": {"factory": "own_code:model", "width": 16},
        "learner": {
            "max_epochs": 30,
            "learning_rate": 0.02,
            "schedule": {"name": "linear"},
            "loss": "own_code:loss",
        },
        "strategy": {
            "names": ["random", "mine"],
            "initial": 6,
            "budget": 4,
            "rounds": 1,
            "options": {"mine": {"factory": "own_code:strategy", "power": 2.0}},
        },
    }
    return own | changes


@pytest.mark.slow
def test_a_whole_run_of_ones_own_code(own_code):
    config = parse(table())
    experiment.run(config, own_code / "out")
    records = experiment.read(own_code / "out" / "history.jsonl")
    assert {record.strategy for record in records} == {"random", "mine"}
    assert records[-1].test_accuracy > 0.8
    again = experiment.load(own_code / "out" / "config.toml")
    assert build(config).learner.loss.__name__ == "loss"  # pyright: ignore[reportAttributeAccessIssue]
    assert again == config and "own_code:model" in to_toml(config)
    assert "python:own_code:data" in to_toml(config)


@pytest.mark.parametrize("function", ["data", "parts", "table"])
def test_what_a_function_of_data_may_return(function):
    pool, test = jaxal.data.load(f"python:own_code:{function}")
    assert len(pool.labels) == (60 if function == "parts" else 48) and test.inputs.shape[1] == 4
    assert jaxal.data.describe("python:own_code:table").class_names == ("a", "b", "c")
    pool, _ = jaxal.data.load("python:own_code:data", options={"rows": 30})
    assert len(pool.labels) == 24


@pytest.mark.slow
def test_a_label_project_of_ones_own_code(own_code):
    """Model, loss, schedule and strategy; what is labelled has ids."""
    inputs, labels = clouds(20, width=4)
    rows = [
        f"r{k},{','.join(map(str, row))},{labels[k] if k < 6 else ''}"
        for k, row in enumerate(inputs)
    ]
    (own_code / "pool.csv").write_text("\n".join(["id,a,b,c,d,label", *rows]))
    own = table() | {"data": {"source": "items:pool.csv"}, "label": {"classes": ["0", "1", "2"]}}
    own["strategy"] = options(factory="own_code:strategy", power=2.0) | {"budget": 4}
    for unused in ("name", "seeds"):
        del own[unused]
    (own_code / "label.toml").write_text(tomli_w.dumps(own))
    labeling.create("label.toml", "project")
    batch = labeling.next_batch("project")
    assert batch.rule == "mine" and batch.labels == 6 and len(batch.ids) == 4


def test_a_strategy_knows_its_name():
    made = build(parse(table())).strategies["mine"]
    assert made.name == "mine" and not made.reads_labels


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("cosine", optax.cosine_decay_schedule(1.0, 10)),
        ({"name": "cosine_decay", "alpha": 0.1}, optax.cosine_decay_schedule(1.0, 10, 0.1)),
        ({"name": "linear_schedule"}, optax.linear_schedule(1.0, 0.0, 10)),
        (
            {"name": "exponential_decay", "decay_rate": 0.5, "transition_steps": 2},
            optax.exponential_decay(1.0, 2, 0.5),
        ),
        (
            {"name": "warmup_cosine_decay", "warmup_steps": 3},
            optax.warmup_cosine_decay_schedule(0.0, 1.0, 3, 10),
        ),
        (
            {"name": "piecewise_constant", "boundaries_and_scales": {"4": 0.1}},
            optax.piecewise_constant_schedule(1.0, {4: 0.1}),
        ),
    ],
)
def test_schedules_of_optax_by_epoch(given, expected):
    optimizer = scheduled(optax.sgd(0.5), given, 10)

    @jax.jit
    def updates(epochs):
        params = jnp.ones(())
        state, with_epoch = optimizer.init(params), optax.with_extra_args_support(optimizer)
        each = [with_epoch.update(params, state, params, epoch=epoch)[0] for epoch in epochs]
        return each, [-0.5 * expected(epoch) for epoch in epochs]

    found, by_optax = updates([np.int32(epoch) for epoch in (0, 3, 5, 9)])
    np.testing.assert_allclose(found, by_optax, rtol=1e-6, atol=1e-7)


def refused(**changes: Any) -> Any:
    return lambda: build(parse(table(**changes)))


def options(**own: Any) -> dict[str, Any]:
    return {"names": ["mine"], "options": {"mine": own}}


@bad_inputs(
    {
        "name and factory": (
            refused(model={"name": "mlp", "factory": "own_code:model"}),
            ValueError,
            "model.factory: expected no model.name beside it",
        ),
        "neither": (refused(model={}), ValueError, "model.name: missing; .* or model.factory"),
        "no function": (
            refused(model={"factory": "own_code"}),
            ValueError,
            "model.factory: expected module:function, got 'own_code'",
        ),
        "not there": (
            refused(model={"factory": "own_code:other"}),
            ValueError,
            "model.factory: expected what can be imported.*other",
        ),
        "no module": (
            refused(model={"factory": "no_such_code:model"}),
            ValueError,
            "model.factory: expected what can be imported.*no_such_code",
        ),
        "number": (
            refused(model={"factory": "own_code:number"}),
            TypeError,
            "model.factory: expected a function",
        ),
        "no model": (
            refused(model={"factory": "own_code:wrong"}),
            TypeError,
            "model.factory: expected own_code:wrong to return a jaxal.Model.*got int",
        ),
        "option of a model": (
            refused(model={"factory": "own_code:model", "widht": 3}),
            ValueError,
            "model.factory own_code:model: option 'widht' is unknown; did you mean 'width'",
        ),
        "data and source": (
            refused(data={"factory": "own_code:data", "source": "sklearn:iris"}),
            ValueError,
            "data.factory: expected no data.source beside it",
        ),
        "data by number": (refused(data={"factory": 3}), TypeError, "data.factory: expected a str"),
        "no data": (
            refused(data={"factory": "own_code:wrong"}),
            TypeError,
            "source python: expected own_code:wrong to return a data.Table",
        ),
        "option of data": (
            refused(data={"factory": "own_code:data", "options": {"row": 3}}),
            ValueError,
            "source python:own_code:data: option 'row' is unknown; did you mean 'rows'",
        ),
        "no strategy": (
            refused(strategy=options(factory="own_code:wrong")),
            TypeError,
            "strategy: expected",
        ),
        "strategy by name too": (
            refused(strategy=options(factory="own_code:strategy", name="margin")),
            ValueError,
            "factory: expected no name beside it",
        ),
        "strategy by number": (
            refused(strategy=options(factory=3)),
            TypeError,
            "strategy.options.mine.factory: expected a string",
        ),
        "loss": (refused(learner={"loss": "crossentropy"}), ValueError, "learner.loss: .*did you"),
        "loss of a regression": (
            refused(learner={"loss": "huber_loss"}),
            ValueError,
            "learner.loss: 'huber_loss' is for a regression",
        ),
        "no loss": (
            refused(learner={"loss": "own_code:number"}),
            TypeError,
            "learner.loss: expected a function",
        ),
        "unknown schedule": (
            refused(learner={"schedule": {"name": "cosine_decy"}}),
            ValueError,
            "learner.schedule: 'cosine_decy' is unknown; did you mean",
        ),
        "schedule without name": (
            refused(learner={"schedule": {"alpha": 1.0}}),
            ValueError,
            "learner.schedule: expected one of",
        ),
        "schedule needs": (
            refused(learner={"schedule": {"name": "exponential_decay"}}),
            ValueError,
            "learner.schedule: exponential_decay needs the option decay_rate",
        ),
        "schedule's steps": (
            refused(learner={"schedule": {"name": "linear", "transition_steps": 0}}),
            ValueError,
            "learner.schedule.transition_steps: expected an integer >= 1, got 0",
        ),
        "schedule's number": (
            refused(learner={"schedule": {"name": "exponential_decay", "decay_rate": "half"}}),
            TypeError,
            "learner.schedule.decay_rate: expected a number, got 'half'",
        ),
        "schedule's flag": (
            refused(
                learner={
                    "schedule": {"name": "exponential_decay", "decay_rate": 0.5, "staircase": 1}
                }
            ),
            TypeError,
            "learner.schedule.staircase: expected",
        ),
        "schedule's keys": (
            refused(
                learner={
                    "schedule": {"name": "piecewise_constant", "boundaries_and_scales": {"a": 1.0}}
                }
            ),
            ValueError,
            "learner.schedule: expected numbers of epochs as keys of boundaries_and_scales",
        ),
    }
)
def test_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
