"""Which functions and learners are the same, and that the same ones are compiled once."""

import copy
import functools
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import CountTraces, clouds

import jaxal
from jaxal.sameness import Structure

MODEL = jaxal.models.mlp(3, hidden=(8,))
FACTOR = 1.0


def same(one, other):
    equal = Structure(one) == Structure(other)
    assert not equal or hash(Structure(one)) == hash(Structure(other))
    return equal


class Net(nn.Module):
    width: int = 4
    activation: object = nn.relu

    @nn.compact
    def __call__(self, inputs):
        hidden = self.activation(nn.Dense(self.width)(inputs))  # pyright: ignore[reportCallIssue]
        return nn.Dense(3)(hidden), hidden


def plain(width=4, *, activation=nn.relu):
    return jaxal.models.from_linen(Net(width, activation))


def smoothed(epsilon):
    def loss(logits, labels):
        targets = optax.smooth_labels(jax.nn.one_hot(labels, 3), epsilon)
        return optax.softmax_cross_entropy(logits, targets)

    return loss


def functions(scale):
    def init(key, inputs):
        return scale * jax.random.normal(key, (inputs.shape[1], 3))

    return jaxal.models.from_functions(init, lambda params, inputs: (inputs @ params, inputs))


def countdown(steps):
    def count(n):
        return count(n - 1) if n else steps

    return count


@dataclass(frozen=True)
class Scale:
    by: float

    def __call__(self, step):
        return self.by * step


def injected(rate):
    return optax.inject_hyperparams(optax.adam)(learning_rate=rate)


def numpy_rate(rate):
    given: Any = np.float32(rate)
    return optax.sgd(given)


def scheduled(steps):
    schedule = optax.cosine_decay_schedule(0.1, steps)
    return optax.chain(optax.clip(1.0), optax.sgd(schedule))


def masked(rank):
    return optax.masked(
        optax.adam(0.1), lambda tree: jax.tree.map(lambda leaf: leaf.ndim > rank, tree)
    )


def accumulated(steps):
    return optax.MultiSteps(optax.adam(0.1), steps).gradient_transformation()


# A factory, what it is called with, and something else to call it with.
FACTORIES = {
    "adam": (optax.adam, 1e-3, 2e-3),
    "adamw": (optax.adamw, 1e-3, 2e-3),
    "sgd": (optax.sgd, 0.0, -0.0),
    "integer and float": (optax.sgd, 1, 1.0),
    "numpy number": (numpy_rate, 0.1, 0.2),
    "chain and schedule": (scheduled, 200, 201),
    "inject_hyperparams": (injected, 1e-3, 2e-3),
    "injected schedule": (lambda n: injected(optax.linear_schedule(0.1, 0, n)), 9, 8),
    "masked": (masked, 1, 2),
    "MultiSteps": (accumulated, 4, 5),
    "linen module": (plain, 4, 5),
    "linen module of a function": (lambda f: plain(activation=f), nn.relu, nn.gelu),
    "functions as a model": (functions, 1.0, 2.0),
    "loss": (smoothed, 0.1, 0.2),
    "recursion": (countdown, 3, 4),
    "partial": (lambda e: functools.partial(smoothed, epsilon=e), 0.1, 0.2),
    "method": (lambda by: Scale(by).__call__, 0.1, 0.2),
    "frozen dataclass": (Scale, 1, 1.0),
    "default": (lambda value: lambda x, y=value: x + y, 1, 2),
    "keyword default": (lambda value: lambda x, *, y=value: x + y, 1, 2),
    "nested": (lambda value: lambda x: lambda y: x + y + value, 1, 2),
    "dict": (lambda value: lambda x: {"a": value}[x], 1, 2),
    "ensemble": (lambda n: jaxal.ensemble(jaxal.Learner(MODEL, optax.sgd(0.1)), n).fit, 2, 3),
}


@pytest.mark.parametrize(("make", "given", "other"), FACTORIES.values(), ids=FACTORIES.keys())
def test_what_is_built_alike_is_the_same(make, given, other):
    assert same(make(given), make(given))
    assert not same(make(given), make(other))


def test_code_that_differs():
    assert not same(lambda x: x + 1, lambda x: x + 2)
    assert not same(lambda x: x + 1, lambda x: x + 1.0)
    assert not same(lambda x: jnp.sin(x), lambda x: jnp.cos(x))
    assert not same(optax.adam(0.1), optax.sgd(0.1))
    assert not same((1, 2), [1, 2])


@pytest.mark.parametrize(
    "value", [np.ones(2), jnp.ones(2), [1], {1: [2]}, object(), CountTraces(1)]
)
def test_what_is_not_understood_is_the_same_only_as_itself(value):
    def capture(value):
        return lambda x: (x, value)

    assert same(capture(value), capture(value))
    assert not same(capture(value), capture(copy.deepcopy(value)))


def test_a_global_that_changes_makes_a_function_another(monkeypatch):
    def make():
        return lambda x: [FACTOR * x for _ in range(2)]

    before = Structure(make())
    assert before == Structure(make())
    monkeypatch.setitem(globals(), "FACTOR", 2.0)
    assert before != Structure(make())
    monkeypatch.setitem(globals(), "FACTOR", 1.0)
    assert before == Structure(make())


def test_a_captured_variable_that_changes_makes_later_functions_others():
    def make() -> Any:
        scale = 1.0

        def read(x):
            return scale * x

        def write(value):
            nonlocal scale
            scale = value

        return read, write

    read, write = make()
    learner = jaxal.CustomLearner(MODEL, read)
    assert learner == jaxal.CustomLearner(MODEL, make()[0])
    write(2.0)
    other, write = make()
    write(2.0)
    # The first may have been traced with 1.
    assert learner != jaxal.CustomLearner(MODEL, other)


def learners(rate=1e-2, *, epsilon=0.1, width=4, **options):
    return jaxal.Learner(plain(width), optax.adam(rate), loss=smoothed(epsilon), **options)


def test_learners_are_equal_by_all_their_fields():
    learner = learners()
    assert learner == learners() and hash(learner) == hash(learners())
    others = [
        learners(2e-2),
        learners(epsilon=0.2),
        learners(width=5),
        learners(max_epochs=7),
        learners(eval_batch_size=7),
        jaxal.CustomLearner(learner.model, learner.fit),
        "a learner",
    ]
    assert all(learner != other for other in others)
    assert jaxal.ensemble(learner, 2) is jaxal.ensemble(learners(), 2)
    custom = jaxal.CustomLearner(plain(), learner.fit)
    assert custom == jaxal.CustomLearner(plain(), learners().fit)
    assert len({learner, learners(), custom, *others}) == len(others) + 2


@pytest.mark.slow
def test_equal_learners_are_traced_once():
    """The loss is traced with the fit, and its body counts, though each learner has its own."""
    traces = []

    def count():
        traces.append(1)

    def make(rate):
        def loss(logits, labels):
            count()
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels)

        optimizer = optax.inject_hyperparams(optax.adam)(learning_rate=rate)
        return jaxal.Learner(plain(), optimizer, loss=loss, max_epochs=2)

    pool, test = clouds(40), clouds(20, seed=1)

    def final(rate):
        strategy = jaxal.strategies.entropy()
        run = jaxal.simulate(make(rate), strategy, pool, test, initial=4, budget=2, rounds=2)
        return run(jax.random.key(0))[1]

    first = final(1e-2)
    once = len(traces)
    jax.tree.map(np.testing.assert_array_equal, first, final(1e-2))
    assert len(traces) == once > 0
    other = final(2e-2)
    assert len(traces) == 2 * once
    assert not np.array_equal(first.train.loss, other.train.loss)
