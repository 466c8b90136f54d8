"""Learning rates that fall from epoch to epoch: of a transformation, of a learner, of a config."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import bad_inputs, clouds

import jaxal
from jaxal.experiment import parse
from jaxal.experiment.build import build
from jaxal.training import scale_by_epoch
from jaxal.training.schedules import scheduled


def settings(**learner):
    return {
        "name": "small",
        "data": {"source": "sklearn:iris"},
        "model": {"name": "logistic"},
        "learner": {"optimizer": "sgd", "learning_rate": 0.5, **learner},
        "strategy": {"names": ["random"]},
    }


def rate(optimizer, epoch):
    """What the optimizer makes of a gradient of -1 in that epoch."""
    params = jnp.zeros(())
    update = optax.with_extra_args_support(optimizer).update
    updates, _ = update(-jnp.ones(()), optimizer.init(params), params, epoch=epoch)
    return np.asarray(updates).item()


@pytest.mark.parametrize("epoch", [0, 1, 75, 149])
def test_cosine_is_that_of_torch(epoch):
    """`CosineAnnealingLR(T_max=150)`: rate (1 + cos(pi epoch / T_max)) / 2."""
    learner: Any = build(parse(settings(schedule="cosine", schedule_epochs=150))).learner
    expected = 0.5 * (1 + math.cos(math.pi * epoch / 150)) / 2
    assert rate(learner.optimizer, epoch) == pytest.approx(expected, abs=1e-6)


def test_a_schedule_takes_all_epochs_unless_it_is_told():
    learner: Any = build(parse(settings(schedule="cosine", max_epochs=10))).learner
    optimizer = learner.optimizer
    assert rate(optimizer, 5) == pytest.approx(0.25) and abs(rate(optimizer, 10)) < 1e-7


def test_constant_is_no_schedule():
    plain = optax.sgd(0.5)
    assert scheduled(plain, "constant", 10) is plain
    assert build(parse(settings())).learner == build(parse(settings(schedule="constant"))).learner


def test_equal_schedules_make_equal_learners():
    same, other = (settings(schedule="cosine", schedule_epochs=number) for number in (9, 8))
    assert build(parse(same)).learner == build(parse(same)).learner != build(parse(other)).learner


@pytest.mark.slow
def test_a_learner_tells_its_optimizer_the_epoch():
    """Epochs are counted, not steps, of which there are as many as labelled rows ask for."""
    inputs, labels = clouds(16)
    model = jaxal.models.from_linen(nn.Dense(3))

    def fitted(count, epochs, optimizer):
        learner = jaxal.Learner(
            model, optimizer, batch_size=4, window=0, max_accuracy=2.0, max_epochs=epochs
        )
        variables, info = jax.jit(learner.fit)(
            jax.random.key(0), None, inputs, labels, jnp.ones(16), count
        )
        assert info.epochs == epochs
        return jax.tree.leaves(variables)

    first_two = scale_by_epoch(lambda epoch: jnp.where(epoch < 2, 1.0, 0.0))
    for count in (4, 16):
        plain = fitted(count, 2, optax.sgd(0.1))
        stopped = fitted(count, 5, optax.chain(optax.sgd(0.1), first_two))
        longer = fitted(count, 5, optax.sgd(0.1))
        np.testing.assert_allclose(plain[0], stopped[0], rtol=1e-6)
        assert not np.allclose(plain[0], longer[0])


def scaled_by(schedule: Any):
    return lambda: scale_by_epoch(schedule)


@bad_inputs(
    {
        "no function": (scaled_by(0.5), TypeError, "schedule: expected a function"),
        "no epoch": (
            lambda: scale_by_epoch(float).update({}, optax.EmptyState()),
            TypeError,
            "epoch: expected the number of one",
        ),
    }
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_classes_that_no_label_has():
    config = settings()
    config["data"]["num_classes"] = 5
    parts = build(parse(config))
    shapes = jax.eval_shape(parts.learner.model.init, jax.random.key(0), parts.pool.inputs[:1])
    assert {leaf.shape[-1] for leaf in jax.tree.leaves(shapes)} == {5}
    config["data"]["num_classes"] = 2
    with pytest.raises(
        ValueError,
        match="^data.num_classes: expected at least 3, as sklearn:iris has labels up to 2, got 2",
    ):
        build(parse(config))
