"""Models of other libraries in whole rounds; trained ones; logits alone; what is refused."""

from typing import Any

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from helpers import bad_inputs, clouds

import jaxal
from jaxal import models

WIDTH, HIDDEN, CLASSES = 5, 16, 3
POOL, TEST = clouds(60), clouds(30, seed=1)
INPUTS = jnp.asarray(POOL[0])
PLAN: dict[str, Any] = {"initial": 9, "budget": 3, "rounds": 2}


class Nnx(nnx.Module):
    """Logits alone."""

    def __init__(self, rngs):
        self.hidden = nnx.Linear(WIDTH, HIDDEN, rngs=rngs)
        self.drop = nnx.Dropout(0.2, rngs=rngs)
        self.head = nnx.Linear(HIDDEN, CLASSES, rngs=rngs)

    def __call__(self, inputs):
        return self.head(self.drop(nnx.relu(self.hidden(inputs))))


class Normed(eqx.Module):
    """A norm of weights around the last layer, and one that has state."""

    hidden: eqx.nn.SpectralNorm
    head: eqx.nn.WeightNorm

    def __init__(self, key):
        first, second, third = jax.random.split(key, 3)
        hidden = eqx.nn.Linear(WIDTH, HIDDEN, key=first)
        self.hidden = eqx.nn.SpectralNorm(hidden, "weight", key=third)
        self.head = eqx.nn.WeightNorm(eqx.nn.Linear(HIDDEN, CLASSES, key=second))

    def __call__(self, inputs, state):
        hidden, state = self.hidden(inputs, state)
        return self.head(jax.nn.relu(hidden)), state


def perceptron(key):
    return eqx.nn.MLP(WIDTH, CLASSES, width_size=HIDDEN, depth=1, key=key)


def haiku() -> jaxal.Model:
    """The recipe of the documentation."""

    def net(inputs, train):
        hidden = jax.nn.relu(hk.Linear(HIDDEN)(inputs))
        hidden = hk.BatchNorm(True, True, 0.9)(hidden, is_training=train)
        return hk.Linear(CLASSES)(hidden), hidden

    module = hk.transform_with_state(net)

    def apply(params, state, inputs, *, train):
        return module.apply(params, state, None, inputs, train)

    return models.from_functions(
        lambda key, inputs: module.init(key, inputs, True), apply, stateful=True
    )


MODELS = {
    "equinox": models.from_equinox(perceptron),
    "equinox with state": models.from_equinox(eqx.nn.make_with_state(Normed)),
    "nnx": models.from_nnx(Nnx),
    "haiku": haiku(),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_whole_rounds(name):
    """`acquire`, `simulate` and `iterate` take it, and agree."""
    learner = jaxal.Learner(MODELS[name], optax.adam(0.05), max_epochs=20)
    strategy = jaxal.strategies.core_set()
    _, history = jaxal.simulate(learner, strategy, POOL, TEST, **PLAN)(jax.random.key(0))
    rounds = list(jaxal.iterate(jax.random.key(0), learner, strategy, POOL, TEST, **PLAN))
    np.testing.assert_array_equal([info.rows for _, info in rounds], history.rows)
    assert float(history.test.accuracy[-1]) > 0.8
    state = rounds[-1][0]
    picks = jaxal.acquire(
        jax.random.key(1), strategy, learner.model, state.variables, INPUTS, budget=4
    )
    assert len(set(picks.rows.tolist())) == 4


@pytest.mark.parametrize("name", [name for name in MODELS if name != "haiku"])
def test_features_are_the_inputs_of_the_last_layer(name):
    model = MODELS[name]
    variables = model.init(jax.random.key(0), INPUTS)
    logits, features = model.apply(variables, INPUTS)
    assert features.shape == (60, HIDDEN)
    basis = jnp.hstack([features, jnp.ones((60, 1))])
    solved = jnp.linalg.lstsq(basis, logits)[0]
    np.testing.assert_allclose(basis @ solved, logits, atol=1e-3)


def test_equinox_is_as_it_is_by_itself():
    module = perceptron(jax.random.key(3))
    model = models.from_equinox(module)
    variables = model.init(jax.random.key(0), INPUTS)
    np.testing.assert_allclose(
        model.apply(variables, INPUTS).logits, jax.vmap(module)(INPUTS), rtol=1e-6
    )
    assert sorted(variables["params"]) == [
        "layers/0/bias",
        "layers/0/weight",
        "layers/1/bias",
        "layers/1/weight",
    ]


def trained() -> dict[str, tuple[Any, jaxal.Model]]:
    net, network = Nnx(nnx.Rngs(5)), perceptron(jax.random.key(5))
    return {
        "nnx": (lambda: net(INPUTS), models.from_nnx(nnx.view(net, deterministic=True))),
        "equinox": (lambda: jax.vmap(network)(INPUTS), models.from_equinox(network)),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nnx", "equinox"])
def test_modules_that_are_trained_are_where_fits_begin(name):
    _, model = trained()[name]
    one, other = (model.init(jax.random.key(seed), INPUTS) for seed in (0, 1))
    jax.tree.map(np.testing.assert_array_equal, one, other)
    learner = jaxal.Learner(model, optax.sgd(1e-9), max_epochs=1)
    strategy = jaxal.strategies.margin()
    state, _ = jaxal.simulate(learner, strategy, POOL, TEST, **PLAN)(jax.random.key(0))
    np.testing.assert_allclose(
        model.apply(state.variables, INPUTS).logits, model.apply(one, INPUTS).logits, atol=1e-6
    )


def test_an_nnx_module_stays_as_it_was():
    net = Nnx(nnx.Rngs(5))
    before = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(net, nnx.Param)))
    model = models.from_nnx(net)
    variables = model.init(jax.random.key(0), INPUTS)
    model.train(variables, INPUTS, key=jax.random.key(0))
    assert type(net.head) is nnx.Linear
    after = nnx.to_pure_dict(nnx.state(net, nnx.Param))
    jax.tree.map(np.testing.assert_array_equal, before, after)


def test_equinox_batches_and_further_arrays():
    """A module of whole batches, with arrays that are no parameters."""

    class Table(eqx.Module):
        order: jax.Array
        weights: jax.Array

        def __call__(self, inputs):
            return inputs[:, self.order] @ self.weights, inputs

    module = Table(jnp.arange(WIDTH)[::-1], jnp.ones((WIDTH, CLASSES)))
    model = models.from_equinox(module, batched=True)
    variables = model.init(jax.random.key(0), INPUTS)
    assert {name: list(tree) for name, tree in variables.items()} == {
        "params": ["weights"],
        "buffers": ["order"],
    }
    assert model.apply(variables, INPUTS).logits.shape == (60, CLASSES)


def given(value: Any) -> Any:
    return value


def no_linear(inputs):
    return models.from_equinox(eqx.nn.Lambda(lambda x: x)).apply({"params": {}}, inputs)


@bad_inputs(
    {
        "equinox number": (
            lambda: models.from_equinox(3),
            TypeError,
            "make: expected an eqx.Module, a pair",
        ),
        "equinox makes an array": (
            lambda: models.from_equinox(lambda key: jnp.ones(3)),
            TypeError,
            "make: expected it to return an eqx.Module",
        ),
        "equinox flag": (
            lambda: models.from_equinox(perceptron, batched=given(1)),
            TypeError,
            "batched: expected",
        ),
        "equinox axis": (
            lambda: models.from_equinox(perceptron, axis_name=given(1)),
            TypeError,
            "axis_name: expected text",
        ),
        "equinox logits alone": (
            lambda: no_linear(INPUTS),
            ValueError,
            r"Lambda.__call__: returned logits alone.*return \(logits, features\)",
        ),
        "nnx logits alone": (
            lambda: models.from_nnx(lambda rngs: nnx.LayerNorm(WIDTH, rngs=rngs)).apply(
                models.from_nnx(lambda rngs: nnx.LayerNorm(WIDTH, rngs=rngs)).init(
                    jax.random.key(0), INPUTS
                ),
                INPUTS,
            ),
            ValueError,
            r"LayerNorm.__call__: returned logits alone.*return \(logits, features\)",
        ),
        "functions flag": (
            lambda: models.from_functions(max, max, stateful=given(1)),
            TypeError,
            "stateful: expected",
        ),
        "functions without state": (
            lambda: models.from_functions(
                lambda key, inputs: {}, lambda params, state, inputs: 1, stateful=True
            ).init(jax.random.key(0), INPUTS),
            TypeError,
            r"init: expected a pair \(params, state\), got dict",
        ),
    }
)
def test_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
