"""Models of other libraries in whole rounds; trained ones; logits alone; what is refused."""

import contextlib
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import equinox as eqx
import flax.linen as nn
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


class Pair(Nnx):
    """Logits and features."""

    def __call__(self, inputs):
        hidden = self.drop(nnx.relu(self.hidden(inputs)))
        return self.head(hidden), hidden


class Linen(nn.Module):
    """Logits alone, behind running statistics."""

    @nn.compact
    def __call__(self, inputs, *, train=False):
        hidden = nn.relu(nn.Dense(HIDDEN)(inputs))
        hidden = nn.BatchNorm(use_running_average=not train, momentum=0.9)(hidden)
        return nn.Dense(CLASSES)(hidden)


class BatchNormed(eqx.Module):
    """Running statistics of the batch."""

    hidden: eqx.nn.Linear
    norm: eqx.nn.BatchNorm
    head: eqx.nn.Linear

    def __init__(self, key):
        first, second = jax.random.split(key)
        self.hidden = eqx.nn.Linear(WIDTH, HIDDEN, key=first)
        self.norm = eqx.nn.BatchNorm(HIDDEN, "batch", mode="batch")
        self.head = eqx.nn.Linear(HIDDEN, CLASSES, key=second)

    def __call__(self, inputs, state):
        hidden, state = self.norm(self.hidden(inputs), state)
        return self.head(jax.nn.relu(hidden)), state


class Encoder:
    """What a Hugging Face Flax model is called by, and what it returns."""

    config = SimpleNamespace(hidden_size=HIDDEN)

    def __init__(self):
        self.params = {"table": jax.random.normal(jax.random.key(0), (8, HIDDEN))}

    def __call__(
        self, input_ids, attention_mask=None, params=None, dropout_rng=None, train=False
    ) -> SimpleNamespace:
        assert train == (dropout_rng is not None)
        mask = jnp.asarray(attention_mask, jnp.float32)[..., None]
        hidden = (params or self.params)["table"][jnp.asarray(input_ids, jnp.int32)] * mask
        return SimpleNamespace(last_hidden_state=hidden + hidden.sum(1, keepdims=True))


class Tensor(np.ndarray):
    """An array by the name of a tensor's method."""

    def numpy(self, force=False):
        return np.array(self)


class Network:
    """A module of PyTorch's form, whose parameters are changed in place."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.weights = {
            "hidden": rng.normal(size=(WIDTH, 32)).astype(np.float32),
            "head": np.zeros((32, 10), np.float32),
        }

    def state_dict(self):
        return {name: one.view(Tensor) for name, one in self.weights.items()}

    def load_state_dict(self, given):
        for name, one in self.weights.items():
            one[:] = given[name]

    def eval(self):
        return self

    def __call__(self, inputs):
        hidden = np.maximum(inputs @ self.weights["hidden"], 0)
        return (hidden @ self.weights["head"]).view(Tensor), hidden.view(Tensor)


def train(net, inputs, labels):
    """A training loop of the host: the head by steps of the gradient."""
    for _ in range(20):
        logits, hidden = net(inputs)
        wrong = np.asarray(jax.nn.softmax(np.asarray(logits))) - np.eye(10)[labels]
        net.weights["head"] -= 0.05 * np.asarray(hidden).T @ wrong / len(labels)
    right = np.mean(np.asarray(net(inputs)[0]).argmax(1) == labels)
    return np.abs(wrong).mean(), right, 20


TORCH = SimpleNamespace(from_numpy=lambda array: array.view(Tensor), no_grad=contextlib.nullcontext)
RECIPES = Path(__file__).parents[1] / "docs" / "tutorials" / "models.md"


def recipe(title: str, **given: Any) -> dict[str, Any]:
    """What the documentation's code under a title defines."""
    text = RECIPES.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2]
    code = re.findall(r"```python\n(.*?)```", text.partition("\n## ")[0], re.DOTALL)
    names = {"jax": jax, "jnp": jnp, "jaxal": jaxal, **given}
    exec("\n".join(code), names)
    return names


HUGGING_FACE = recipe("Hugging Face's Flax models", encoder=Encoder())
PYTORCH = recipe("PyTorch", torch=TORCH, make=Network, train=train)

MODELS = {
    "equinox": models.from_equinox(perceptron),
    "nnx": models.from_nnx(Nnx),
    "linen": models.from_linen(Linen()),
    "nnx pair": models.from_nnx(Pair),
    "nnx trained": models.from_nnx(Nnx(nnx.Rngs(5))),
    "equinox with state": models.from_equinox(eqx.nn.make_with_state(BatchNormed)),
    "haiku": recipe("Haiku")["haiku"],
    "hugging face": HUGGING_FACE["texts"],
    "hugging face trained whole": HUGGING_FACE["tuned"],
}
LAST_LAYERS = {name: MODELS[name] for name in ("equinox", "nnx")} | {
    "equinox norms": models.from_equinox(eqx.nn.make_with_state(Normed))
}


def examples(name: str) -> tuple[Any, Any]:
    """The pool and the test examples; token ids for encoders."""
    if not name.startswith("hugging"):
        return POOL, TEST
    largest_first = [np.argsort(-part[0], 1).astype(np.int32) + 1 for part in (POOL, TEST)]
    return (largest_first[0], POOL[1]), (largest_first[1], TEST[1])


# One of each library, and of each kind of variables, is simulated; the others are traced.
SIMULATED = ["linen", "nnx", "equinox with state", "haiku", "hugging face trained whole"]


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_whole_rounds(name):
    """`acquire`, `simulate` and `iterate` take it, and agree."""
    learner = jaxal.Learner(MODELS[name], optax.adam(0.05), max_epochs=20)
    strategy, (pool, test) = jaxal.strategies.margin(), examples(name)
    rounds = list(jaxal.iterate(jax.random.key(0), learner, strategy, pool, test, **PLAN))
    assert float(rounds[-1][1].test.accuracy) > 0.7
    run = jaxal.simulate(learner, strategy, pool, test, **PLAN)
    if name in SIMULATED:
        _, history = run(jax.random.key(0))
        np.testing.assert_array_equal([info.rows for _, info in rounds], history.rows)
    else:
        state, history = jax.eval_shape(run, jax.random.key(0))
        assert history.rows.shape == (3, 3)
        assert jax.tree.structure(state) == jax.tree.structure(rounds[-1][0])
    acquired(learner.model, rounds[-1][0].variables, pool[0])


def observe(key, model, variables, inputs, labels):
    return model.apply(variables, inputs).features.sum(axis=1)


def select(key, view, budget):
    return jaxal.selection.take_top(view.observation, view.available, budget)


BY_FEATURES = jaxal.Strategy(observe, select)


def acquired(model: jaxal.Model, variables: Any, inputs: Any) -> None:
    """By the features, which the rounds by margin do not look at."""
    picks = jaxal.acquire(jax.random.key(1), BY_FEATURES, model, variables, inputs, budget=4)
    assert len(set(picks.rows.tolist())) == 4


@pytest.mark.slow
def test_a_training_loop_on_the_host_in_iterate_and_acquire_alone():
    """By the recipe for PyTorch: the network stays there, and its weights are the variables."""
    learner, strategy = PYTORCH["learner"], jaxal.strategies.margin()
    *_, (state, info) = jaxal.iterate(jax.random.key(0), learner, strategy, POOL, TEST, **PLAN)
    assert float(info.test.accuracy) > 0.8
    net = Network()
    net.load_state_dict(state.variables["params"])
    logits, _ = learner.model.apply(state.variables, INPUTS)
    np.testing.assert_allclose(logits, net(np.asarray(INPUTS))[0], atol=1e-5)
    acquired(learner.model, state.variables, INPUTS)
    with pytest.raises(TypeError, match="simulate compiles the fit.*fit_on_host.*jaxal.iterate"):
        jaxal.simulate(learner, strategy, POOL, TEST, **PLAN)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAST_LAYERS)
def test_features_are_the_inputs_of_the_last_layer(name):
    model = LAST_LAYERS[name]
    variables = model.init(jax.random.key(0), INPUTS)
    logits, features = map(np.asarray, jax.jit(model.apply)(variables, INPUTS))
    assert features.shape == (60, HIDDEN)
    basis = np.hstack([features, np.ones((60, 1), np.float32)])
    solved = np.linalg.lstsq(basis, logits)[0]
    np.testing.assert_allclose(basis @ solved, logits, atol=1e-3)


def test_equinox_is_as_it_is_by_itself():
    module = perceptron(jax.random.key(3))
    model = models.from_equinox(module)
    variables = model.init(jax.random.key(0), INPUTS)
    found, expected = jax.jit(model.apply)(variables, INPUTS).logits, jax.vmap(module)
    np.testing.assert_allclose(found, jax.jit(expected)(INPUTS), rtol=1e-6)
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
    apply = jax.jit(model.apply)
    np.testing.assert_allclose(
        apply(state.variables, INPUTS).logits, apply(one, INPUTS).logits, atol=1e-6
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
        "equinox in a learner": (
            lambda: jaxal.Learner(given(perceptron(jax.random.key(0))), optax.sgd(0.1)),
            TypeError,
            "model: expected a Model.*got MLP; jaxal.models.from_equinox makes one of equinox's",
        ),
        "equinox among functions": (
            lambda: models.from_functions(
                lambda key, inputs: perceptron(key), lambda params, inputs: 1
            ).init(jax.random.key(0), INPUTS),
            TypeError,
            r"init: expected a pytree of arrays, got .* at .activation; jaxal.models.from_equinox",
        ),
        "equinox as nnx": (
            lambda: models.from_nnx(given(perceptron(jax.random.key(0)))),
            TypeError,
            "make: expected an nnx.Module.*got MLP; jaxal.models.from_equinox",
        ),
        "linen as nnx": (
            lambda: models.from_nnx(given(Linen())),
            TypeError,
            "make: expected an nnx.Module.*got Linen; jaxal.models.from_linen makes one of flax.l",
        ),
        "linen as equinox": (
            lambda: models.from_equinox(given(Linen())),
            TypeError,
            "make: expected an eqx.Module.*got Linen; jaxal.models.from_linen",
        ),
        "nnx as linen": (
            lambda: models.from_linen(given(Nnx(nnx.Rngs(0)))),
            TypeError,
            "module: expected a flax.linen module, got Nnx; jaxal.models.from_nnx",
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
