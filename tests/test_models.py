"""Adapters and zoo: shapes, modes, gradients, training, bad input."""

from functools import partial
from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from helpers import MODES, bad_inputs

from jaxal import data, models
from jaxal.base import Model, Outputs
from jaxal.models.zoo.weights import lecun_normal

ROWS, WIDTH, HIDDEN, CLASSES = 12, 4, 16, 3


class LinenNet(nn.Module):
    """Both flags, running statistics, logits alone."""

    @nn.compact
    def __call__(self, inputs, *, train=False, dropout=False):
        x = nn.relu(nn.Dense(HIDDEN)(inputs))
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        x = nn.Dropout(0.5, deterministic=not dropout)(x)
        return nn.Dense(CLASSES)(x)


class LinenTrainOnly(nn.Module):
    norm: bool = False

    @nn.compact
    def __call__(self, inputs, *, train=False):
        x = nn.Dropout(0.5, deterministic=not train)(nn.Dense(HIDDEN)(inputs))
        if self.norm:
            x = nn.BatchNorm(use_running_average=not train)(x)
        return nn.Dense(CLASSES)(x), x


class NnxNet(nnx.Module):
    """Dropout is keyed at the call."""

    def __init__(self, rngs: nnx.Rngs):
        self.hidden = nnx.Linear(WIDTH, HIDDEN, rngs=rngs)
        self.norm = nnx.BatchNorm(HIDDEN, momentum=0.9, rngs=rngs)
        self.drop = nnx.Dropout(0.5)
        self.head = nnx.Linear(HIDDEN, CLASSES, rngs=rngs)

    def __call__(self, inputs, rngs: nnx.Rngs | None = None):
        x = self.norm(nnx.relu(self.hidden(inputs)))
        x = self.drop(x, rngs=rngs)
        return self.head(x), x


class NnxStreamNet(NnxNet):
    """Dropouts hold streams of their own, and an intermediate value is recorded."""

    def __init__(self, rngs: nnx.Rngs):
        super().__init__(rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.drop_too = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, inputs):  # pyright: ignore[reportIncompatibleMethodOverride]
        x = self.drop(self.norm(nnx.relu(self.hidden(inputs))))
        self.hidden_value = nnx.Intermediate(x)
        return self.head(x), self.drop_too(jnp.ones_like(x)) * x


class EquinoxNet(eqx.Module):
    """Running statistics, dropout, logits alone."""

    hidden: eqx.nn.Linear
    norm: eqx.nn.BatchNorm
    drop: eqx.nn.Dropout
    head: eqx.nn.Linear

    def __init__(self, key):
        key_hidden, key_head = jax.random.split(key)
        self.hidden = eqx.nn.Linear(WIDTH, HIDDEN, key=key_hidden)
        self.norm = eqx.nn.BatchNorm(HIDDEN, "batch", momentum=0.9, mode="ema")
        self.drop = eqx.nn.Dropout(0.5)
        self.head = eqx.nn.Linear(HIDDEN, CLASSES, key=key_head)

    def __call__(self, inputs, state, *, key=None):
        x, state = self.norm(jax.nn.relu(self.hidden(inputs)), state)
        return self.head(self.drop(x, key=key)), state


def plain_init(key, inputs):
    key_hidden, key_head = jax.random.split(key)
    return {
        "hidden": 0.5 * jax.random.normal(key_hidden, (inputs.shape[1], HIDDEN)),
        "head": 0.5 * jax.random.normal(key_head, (HIDDEN, CLASSES)),
        "bias": jnp.zeros((1, CLASSES)),
    }


def plain_apply(params, inputs, *, key=None):
    x = jax.nn.relu(inputs @ params["hidden"])
    if key is not None:
        x = x * jax.random.bernoulli(key, 0.5, x.shape) * 2
    return x @ params["head"] + params["bias"], x


def compiled(model):
    """The same model, traced once for all tests."""
    return Model(jax.jit(model.init), jax.jit(model.apply), jax.jit(model.train))


EAGER = {
    "linen": models.from_linen(LinenNet()),
    "linen_train_only": models.from_linen(LinenTrainOnly()),
    "nnx": models.from_nnx(NnxNet),
    "nnx_stream": models.from_nnx(NnxStreamNet),
    "equinox": models.from_equinox(eqx.nn.make_with_state(EquinoxNet)),
    "functions": models.from_functions(plain_init, plain_apply),
    "mlp": models.mlp(CLASSES, hidden=(HIDDEN,), dropout=0.5),
}
ADAPTED = {name: compiled(model) for name, model in EAGER.items()}
WITH_STATISTICS = ("linen", "nnx", "nnx_stream", "equinox")
ONE_OF_EACH = ("linen", "nnx_stream", "functions")


@pytest.fixture(params=ADAPTED)
def model(request) -> Model:
    return ADAPTED[request.param]


@pytest.fixture
def inputs():
    return jax.random.normal(jax.random.key(0), (ROWS, WIDTH))


def start(model, inputs, seed=1):
    return model.init(jax.random.key(seed), inputs)


def statistics(variables):
    return {name: tree for name, tree in variables.items() if name != "params"}


def assert_equal(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def differ(one, other):
    leaves = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return any(bool((a != b).any()) for a, b in leaves)


@pytest.mark.slow
def test_shapes(model, inputs):
    outputs = model.apply(start(model, inputs), inputs)
    assert isinstance(outputs, Outputs)
    assert outputs.logits.shape == (ROWS, CLASSES)
    assert outputs.features.shape == (ROWS, HIDDEN)


@pytest.mark.slow
@pytest.mark.parametrize("name", ADAPTED)
def test_jit_matches_eager(name, inputs):
    variables = start(ADAPTED[name], inputs)
    one = EAGER[name].train(variables, inputs, key=jax.random.key(5))
    other = ADAPTED[name].train(variables, inputs, key=jax.random.key(5))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), one, other)


@pytest.mark.slow
def test_dropout_is_on_with_a_key_only(model, inputs):
    variables = start(model, inputs)
    assert_equal(model.apply(variables, inputs), model.apply(variables, inputs))
    draws = [model.apply(variables, inputs, key=jax.random.key(seed)) for seed in (5, 6, 5)]
    assert differ(draws[0].logits, draws[1].logits)
    assert differ(draws[0].logits, model.apply(variables, inputs).logits)
    assert_equal(draws[0], draws[2])


@pytest.mark.parametrize("name", WITH_STATISTICS)
def test_dropout_leaves_running_statistics_in_use(name, inputs):
    """With statistics fixed, a row's features do not depend on the other rows."""
    model = ADAPTED[name]
    variables = start(model, inputs)
    shifted = inputs.at[1:].add(100.0)
    for key in (None, 5):
        given = {} if key is None else {"key": jax.random.key(key)}
        one = model.apply(variables, inputs, **given)
        given = {} if key is None else {"key": jax.random.key(key)}
        other = model.apply(variables, shifted, **given)
        np.testing.assert_allclose(one.logits[0], other.logits[0], rtol=1e-5)


@pytest.mark.parametrize("name", WITH_STATISTICS)
def test_train_updates_statistics_alone(name, inputs):
    model = ADAPTED[name]
    before = start(model, inputs)
    kept = jax.tree.map(np.asarray, before)
    outputs, after = model.train(before, inputs, key=jax.random.key(5))
    assert jax.tree.structure(before) == jax.tree.structure(after)
    assert_equal(after["params"], before["params"])
    assert differ(statistics(after), statistics(before))
    assert_equal(before, kept)
    assert outputs.logits.shape == (ROWS, CLASSES)


@pytest.mark.parametrize("name", ("linen", "nnx"))
def test_running_mean_by_hand(name, inputs):
    model = ADAPTED[name]
    variables = start(model, inputs)
    after = model.train(variables, inputs, key=jax.random.key(5))[1]
    if name == "linen":
        layer = variables["params"]["Dense_0"]
        mean = after["batch_stats"]["BatchNorm_0"]["mean"]
    else:
        layer = nnx.to_pure_dict(variables["params"])["hidden"]
        mean = nnx.to_pure_dict(after["state"])["norm"]["mean"]
    hidden = np.maximum(inputs @ layer["kernel"] + layer["bias"][None], 0)
    np.testing.assert_allclose(mean, 0.1 * hidden.mean(0), rtol=1e-5, atol=1e-7)


def test_without_statistics_train_returns_the_same_variables(inputs):
    for name in ("functions", "linen_train_only", "mlp"):
        model = ADAPTED[name]
        variables = start(model, inputs)
        assert list(variables) == ["params"]
        outputs, after = model.train(variables, inputs, key=jax.random.key(5))
        assert_equal(after, variables)
        again = model.apply(variables, inputs, key=jax.random.key(5))
        assert_equal(outputs, again)


def test_linen_features_are_the_last_dense_inputs(inputs):
    model = ADAPTED["linen"]
    variables = start(model, inputs)
    head = variables["params"]["Dense_1"]
    for given in ({}, {"key": jax.random.key(5)}):
        logits, features = model.apply(variables, inputs, **given)
        np.testing.assert_allclose(
            logits, features @ head["kernel"] + head["bias"][None], rtol=1e-5, atol=1e-6
        )


def test_linen_key_feeds_every_stream(inputs):
    class Noisy(nn.Module):
        @nn.compact
        def __call__(self, inputs, *, dropout=False):
            noise = 0.0
            if dropout:
                noise = jax.random.normal(self.make_rng("noise"), inputs.shape)
            return nn.Dense(CLASSES)(inputs + noise)

    model = models.from_linen(Noisy())
    variables = start(model, inputs)
    noisy = model.apply(variables, inputs, key=jax.random.key(5))
    assert differ(noisy.features, inputs)


def test_linen_dropout_equals_linens_own(inputs):
    variables = start(ADAPTED["linen"], inputs)
    ours = ADAPTED["linen"].apply(variables, inputs, key=jax.random.key(5))
    rngs = {"dropout": jax.random.key(5)}
    own = LinenNet().apply(variables, inputs, dropout=True, rngs=rngs)
    assert_equal(ours.logits, own)


def test_nnx_streams_are_no_variables_and_are_independent(inputs):
    model = ADAPTED["nnx_stream"]
    variables = start(model, inputs)
    for leaf in jax.tree.leaves(variables):
        assert jnp.issubdtype(leaf.dtype, jnp.floating)
    ones = jnp.ones_like(inputs)
    key = jax.random.key(5)
    features = model.apply(variables, ones, key=key).features
    plain = model.apply(variables, ones).features
    both = float((features != 0).sum() / (plain != 0).sum())
    assert abs(both - 0.25) < 0.15  # equal masks would give 0.5


@pytest.mark.slow
def test_gradients_flow(model, inputs):
    variables = start(model, inputs)
    labels = jnp.arange(ROWS) % CLASSES

    def loss(params, key):
        outputs, _ = model.train({**variables, "params": params}, inputs, key=key)
        losses = optax.softmax_cross_entropy_with_integer_labels
        return losses(outputs.logits, labels).mean()

    gradients = jax.jit(jax.grad(loss))(variables["params"], jax.random.key(5))
    assert jax.tree.structure(gradients) == jax.tree.structure(variables["params"])
    for leaf in jax.tree.leaves(gradients):
        assert np.isfinite(leaf).all()
    norms = [float(np.abs(leaf).max()) for leaf in jax.tree.leaves(gradients)]
    # A bias before batch normalisation has gradient 0 but for rounding.
    assert sum(norm > 1e-4 for norm in norms) >= len(norms) - 1


def fit(model, inputs, labels, steps=150):
    """Fits in one program: steps are scanned, variables carried."""
    optimizer = optax.adam(0.02)

    def step(carry, key):
        variables, opt_state = carry

        def loss(params):
            outputs, after = model.train({**variables, "params": params}, inputs, key=key)
            losses = optax.softmax_cross_entropy_with_integer_labels
            return losses(outputs.logits, labels).mean(), after

        gradients, after = jax.grad(loss, has_aux=True)(variables["params"])
        updates, opt_state = optimizer.update(gradients, opt_state, after["params"])
        params = optax.apply_updates(after["params"], updates)
        return ({**after, "params": params}, opt_state), None

    def run(key):
        key_init, key_steps = jax.random.split(key)
        variables = model.init(key_init, inputs)
        carry = (variables, optimizer.init(variables["params"]))
        return jax.lax.scan(step, carry, jax.random.split(key_steps, steps))[0][0]

    return jax.jit(run)(jax.random.key(0))


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_training_reaches_high_accuracy(name):
    pool, test = data.load("sklearn:iris")
    variables = fit(ADAPTED[name], jnp.asarray(pool.inputs), jnp.asarray(pool.labels))
    logits = ADAPTED[name].apply(variables, jnp.asarray(test.inputs)).logits
    assert np.mean(logits.argmax(1) == test.labels) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_vmap_over_seeds_matches_the_loop(name, inputs):
    model = ADAPTED[name]
    keys = jax.vmap(jax.random.key)(jnp.arange(3))
    many = jax.jit(jax.vmap(model.init, in_axes=(0, None)))(keys, inputs)
    apply = jax.jit(jax.vmap(model.apply, in_axes=(0, None)))
    logits = apply(many, inputs).logits
    assert logits.shape == (3, ROWS, CLASSES)
    for seed in (0, 1):
        one = model.apply(start(model, inputs, seed), inputs).logits
        np.testing.assert_allclose(logits[seed], one, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_vmap_over_dropout_keys_matches_the_loop(name, inputs):
    model = ADAPTED[name]
    variables = start(model, inputs)
    keys = jax.random.split(jax.random.key(5), 4)
    draw = jax.jit(jax.vmap(lambda key: model.apply(variables, inputs, key=key)))
    logits = draw(keys).logits
    with jax.debug_key_reuse(False):  # the loop replays the keys on purpose
        for i in (0, 3):
            one = model.apply(variables, inputs, key=keys[i]).logits
            np.testing.assert_allclose(logits[i], one, rtol=1e-4, atol=1e-5)


# The zoo


@pytest.mark.slow
@pytest.mark.parametrize(
    "make, shape, width",
    [
        pytest.param(models.mlp, (5, 6), 128, id="mlp"),
        pytest.param(partial(models.mlp, hidden=(7, 9)), (5, 8, 8, 1), 9, id="mlp-2"),
        pytest.param(partial(models.mlp, hidden=()), (5,), 1, id="mlp-0"),
        pytest.param(models.logistic, (5, 2, 3), 6, id="logistic"),
        pytest.param(models.cnn, (5, 8, 8, 3), 128, id="cnn"),
        pytest.param(partial(models.cnn, hidden=11), (5, 9, 8), 11, id="cnn-gray"),
        pytest.param(partial(models.cnn, batch_norm=True), (5, 8, 8), 128, id="cnn-bn"),
        pytest.param(models.bayesian_cnn, (5, 28, 28), 128, id="bayesian-cnn"),
        pytest.param(models.bayesian_cnn, (5, 16, 17, 3), 128, id="bayesian-cnn-rgb"),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_zoo_shapes(make, shape, width, dtype):
    model = make(CLASSES)
    inputs = jax.ShapeDtypeStruct(shape, dtype)
    variables = jax.eval_shape(model.init, jax.random.key(0), inputs)
    outputs = jax.eval_shape(model.apply, variables, inputs)
    assert outputs.logits.shape == (shape[0], CLASSES)
    assert outputs.features.shape == (shape[0], width)
    assert {array.dtype for array in outputs} == {np.dtype(np.float32)}


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        pytest.param(models.mlp(CLASSES, hidden=(HIDDEN,), dropout=0.5), id="mlp"),
        pytest.param(models.cnn(CLASSES, channels=(4,), batch_norm=True), id="cnn"),
        pytest.param(models.bayesian_cnn(CLASSES), id="bayesian-cnn"),
    ],
)
def test_zoo_features_are_what_the_last_layer_saw(model):
    inputs = jax.random.normal(jax.random.key(0), (5, 16, 16))
    model = compiled(model)
    variables = start(model, inputs)
    head = variables["params"]["Dense_1"]
    logits, features = model.apply(variables, inputs, key=jax.random.key(5))
    expected = features @ head["kernel"] + head["bias"][None]
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
    assert 0.2 < float((features == 0).mean()) < 0.95


def test_logistic_by_hand(inputs):
    variables = start(models.logistic(CLASSES), inputs)
    logits, features = models.logistic(CLASSES).apply(variables, np.asarray(inputs))
    layer = variables["params"]["Dense_0"]
    expected = inputs @ layer["kernel"] + layer["bias"][None]
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)
    assert_equal(features, inputs)
    assert isinstance(features, jax.Array)


@pytest.mark.slow
def test_cnn_batch_norm_collections():
    inputs = jax.random.normal(jax.random.key(0), (5, 8, 8))
    model = compiled(models.cnn(CLASSES, channels=(4,), batch_norm=True))
    before = start(model, inputs)
    assert set(before) == {"params", "batch_stats"}
    assert "bias" not in before["params"]["Conv_0"]
    after = model.train(before, inputs, key=jax.random.key(5))[1]
    assert differ(after["batch_stats"], before["batch_stats"])


def plain_bayesian_cnn(params, images):
    """The network without dropout, by XLA's own convolutions."""
    x = images[..., None]
    for name in ("Conv_0", "Conv_1"):
        kernel, bias = params[name]["kernel"], params[name]["bias"]
        dimensions = ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=dimensions)
        x = nn.relu(nn.max_pool(x + bias[None, None, None], (2, 2), (2, 2)))
    x = x.reshape(len(images), -1)
    x = nn.relu(x @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"][None])
    return x @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"][None]


@pytest.mark.slow
def test_bayesian_cnn_is_the_network_of_the_papers():
    images = jax.random.normal(jax.random.key(0), (5, 28, 28))
    model = compiled(models.bayesian_cnn(10))
    variables = start(model, images)
    sizes = [leaf.size for leaf in jax.tree.leaves(variables)]
    convolutions = (25 * 1 + 1) * 32 + (25 * 32 + 1) * 64
    assert sum(sizes) == convolutions + (1024 + 1) * 128 + (128 + 1) * 10 == 184_586
    params = variables["params"]
    logits = model.apply(variables, images).logits
    np.testing.assert_allclose(logits, plain_bayesian_cnn(params, images), rtol=1e-3, atol=1e-4)

    @jax.jit
    @jax.grad
    def gradient_of(params):
        return jnp.sum(model.apply({"params": params}, images).logits ** 2)

    @jax.jit
    @jax.grad
    def expected_of(params):
        return jnp.sum(plain_bayesian_cnn(params, images) ** 2)

    gradient, expected = gradient_of(params), expected_of(params)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-2),
        gradient,
        expected,
    )


@pytest.mark.slow
def test_bayesian_cnn_drops_whole_channels():
    """Behind constant images each channel is the same number everywhere, or dropped."""
    seen = []

    def watch(next_fun, args, kwargs, context):
        value = next_fun(*args, **kwargs)
        if isinstance(context.module, nn.Dropout):
            seen.append(value)
        return value

    model = models.bayesian_cnn(CLASSES)
    images = np.ones((6, 28, 28), np.float32)
    variables = start(compiled(model), images)

    @jax.jit
    def what_is_dropped(variables, key):
        with nn.intercept_methods(watch):
            model.apply(variables, images, key=key)
        return seen

    dropped = jax.device_get(what_is_dropped(variables, jax.random.key(3)))
    assert [value.shape for value in dropped] == [
        (6, 24, 24, 32),
        (6, 8, 8, 64),
        (6, 128),
    ]
    zero = np.asarray(dropped[0] == 0)
    assert (zero.all((1, 2)) == zero.any((1, 2))).all()
    assert 0.3 < zero.mean() < 0.7 and not (zero[0] == zero[1]).all()
    assert (np.asarray(dropped[1] == 0).all((1, 2)).mean() > 0.3).all()


@pytest.mark.parametrize("shape", [(5, 28), (5, 28, 15), (5, 15, 28, 1)])
def test_bayesian_cnn_refuses_what_is_no_image(shape):
    with pytest.raises(ValueError, match=r"bayesian_cnn: expected images.*least 16"):
        models.bayesian_cnn(3).init(jax.random.key(0), jnp.ones(shape))


def test_equal_calls_return_the_identical_model():
    assert models.mlp(3, hidden=[8, 8]) is models.make("mlp", 3, hidden=(8, 8))
    assert models.mlp(3, dropout=0) is models.mlp(3, dropout=0.0)
    assert models.mlp(3) is not models.mlp(4)
    assert models.logistic(3) is models.mlp(3, hidden=())
    assert models.cnn(3, channels=[4]) is models.make("cnn", 3, channels=(4,))
    assert models.cnn(3, channels=[4]) is not models.cnn(3, channels=[4], hidden=5)


def test_every_name_makes_a_model():
    assert models.bayesian_cnn(3) is models.make("bayesian_cnn", 3, dropout=0.5)
    assert {"bayesian_cnn", "cnn", "logistic", "mlp"} < set(models.names())
    for name in models.names():
        assert isinstance(models.make(name, 3), Model)


ZOO = {
    "mlp": models.mlp(3, hidden=(8,), dropout=0.3),
    "logistic": models.logistic(3),
    "cnn": models.cnn(3, channels=(4,), hidden=8),
    "cnn with batch_norm": models.cnn(3, channels=(4,), hidden=8, batch_norm=True),
    "bayesian_cnn": models.bayesian_cnn(3),
}


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ZOO)
def test_zoo_under_other_settings_of_jax(name, mode):
    model = ZOO[name]

    @jax.jit
    def run(images):
        variables = model.init(jax.random.key(0), images)
        outputs = model.apply(variables, images), model.apply(variables, images, key=keys[0])

        def loss(params):
            trained, changed = model.train({**variables, "params": params}, images, key=keys[1])
            return jnp.sum(trained.logits), changed

        gradients, changed = jax.grad(loss, has_aux=True)(variables["params"])
        return outputs, gradients, changed

    with MODES[mode]():
        keys = jax.random.split(jax.random.key(1))
        found = run(jnp.asarray(np.random.default_rng(0).normal(size=(5, 16, 16)), jnp.float32))
        assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {jnp.dtype("float32")}


# Bad input


@bad_inputs(
    {
        "C": (
            lambda: models.make("mlp", -1),
            ValueError,
            "^num_classes: expected an integer >= 1, got -1",
        ),
        "bool": (lambda: models.make("mlp", True), TypeError, "num_classes.*got True"),
        "logistic": (lambda: models.logistic(0), ValueError, ">= 1, got 0"),
        "0": (lambda: models.make("mlp", 3, hidden=(8, 0)), ValueError, r"hidden\[1\].*got 0"),
        "float": (lambda: models.make("mlp", 3, hidden=[8.0]), TypeError, r"hidden\[0\]"),
        "int": (lambda: models.make("mlp", 3, hidden=8), TypeError, "hidden: expected a list"),
        "string": (lambda: models.make("mlp", 3, hidden="8"), TypeError, "expected a list"),
        "lists": (lambda: models.make("mlp", 3, hidden=[[8]]), TypeError, r"got \[8\]"),
        "rate1": (lambda: models.make("mlp", 3, dropout=1.0), ValueError, r"in \[0, 1\), got 1"),
        "rate-": (lambda: models.make("mlp", 3, dropout=-0.1), ValueError, "dropout"),
        "rate-string": (lambda: models.make("mlp", 3, dropout="x"), TypeError, "got 'x'"),
        "rate-nan": (lambda: models.make("mlp", 3, dropout=np.nan), ValueError, "got nan"),
        "channels": (lambda: models.make("cnn", 3, channels=()), ValueError, "at least one"),
        "kernel": (lambda: models.make("cnn", 3, kernel_size=0), ValueError, "kernel_size"),
        "width": (lambda: models.make("cnn", 3, hidden=0), ValueError, "hidden: expected"),
        "name": (
            lambda: models.make("cn", 3),
            ValueError,
            "^model: 'cn' is unknown; did you mean 'cnn'. valid",
        ),
        "option": (
            lambda: models.make("mlp", 3, hiden=[8]),
            ValueError,
            "^model mlp: option 'hiden' is unknown; did you mean 'hidden'",
        ),
        "no-option": (
            lambda: models.make("logistic", 3, hidden=[8]),
            ValueError,
            "^model logistic: option 'hidden' is unknown; it has none",
        ),
    }
)
def test_zoo_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("shape", [(5, 8), (5, 8, 3, 1), (5, 2, 8, 8, 1)])
def test_cnn_refuses_what_is_no_image(shape):
    with pytest.raises(ValueError, match=r"images \[n, H, W, C\].*at least 4"):
        models.cnn(3).init(jax.random.key(0), jnp.ones(shape))


@bad_inputs(
    {
        "not-a-pair": (jnp.ones((2, 3)), TypeError, "got float32 array"),
        "one": ((jnp.ones((2, 3)),), TypeError, "tuple of 1"),
        "three": ((jnp.ones((2, 3)),) * 3, TypeError, "tuple of 3"),
        "string": ((jnp.ones((2, 3)), "x"), TypeError, "features.*array.*got str"),
        "integer-logits": (
            (jnp.ones((2, 3), int), jnp.ones((2, 4))),
            TypeError,
            r"logits to be a floating-point array \[n, C\], got int32 .*\(2, 3\)",
        ),
        "logits-rank": (
            (jnp.ones(3), jnp.ones((3, 4))),
            ValueError,
            r"logits: expected shape \[n, C\], got \(3,\)",
        ),
        "features-rank": (
            (jnp.ones((2, 3)), jnp.ones((2, 4, 4))),
            ValueError,
            r"features: expected shape \[n, D\], got \(2, 4, 4\)",
        ),
        "rows": (
            (jnp.ones((2, 3)), jnp.ones((5, 4))),
            ValueError,
            r"same n, got \(2, 3\) and \(5, 4\)",
        ),
        "no-class": (
            (jnp.ones((2, 0)), jnp.ones((2, 4))),
            ValueError,
            r"at least 2 classes, or .* got \(2, 0\)",
        ),
    }
)
def test_outputs_are_checked_and_the_function_named(given, error, message):
    def my_apply(params, inputs):
        return given

    with pytest.raises(error, match=f"^MyNet: .*{message}"):
        models.as_outputs(given, "MyNet")
    model = models.from_functions(lambda key, inputs: {}, my_apply)
    with pytest.raises(error, match=f"my_apply: .*{message}"):
        jax.eval_shape(model.apply, {"params": {}}, jnp.ones((2, 4)))


class Bad(nn.Module):
    """Modules that the adapter refuses, by what their call returns."""

    returned: Any = None

    def __call__(self, inputs):
        return inputs if self.returned is None else self.returned


class Deterministic(nn.Module):
    def __call__(self, inputs, deterministic=True):
        return inputs, inputs


class TwoInputs(nn.Module):
    def __call__(self, inputs, mask, *, train=False):
        return inputs, inputs


@bad_inputs(
    {
        "linen-class": (
            lambda: models.from_linen(LinenNet),  # pyright: ignore[reportArgumentType]
            TypeError,
            "expected a flax.linen module, got LinenNet",
        ),
        "linen-foreign-flag": (
            lambda: models.from_linen(Deterministic()),
            TypeError,
            "Deterministic.__call__: expected .*'deterministic' would never be set",
        ),
        "linen-second-input": (
            lambda: models.from_linen(TwoInputs()),
            TypeError,
            "missing a required argument: 'mask'",
        ),
        "linen-no-dense": (
            lambda: models.from_linen(Bad()).apply({"params": {}}, jnp.ones((2, 3))),
            ValueError,
            r"Bad.__call__: returned logits alone .* return \(logits, features\)",
        ),
        "linen-type": (
            lambda: models.from_linen(Bad("x")).apply({"params": {}}, jnp.ones((2, 3))),
            TypeError,
            r"Bad.__call__: expected Outputs or a pair .*got str",
        ),
        "nnx-number": (
            lambda: models.from_nnx(3),  # pyright: ignore[reportArgumentType]
            TypeError,
            "make: expected an nnx.Module, or a function of nnx.Rngs",
        ),
        "nnx-not-a-module": (
            lambda: models.from_nnx(lambda rngs: jnp.ones(3)),  # pyright: ignore[reportArgumentType]
            TypeError,
            "make: expected it to return an nnx.Module",
        ),
    }
)
def test_adapters_refuse(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_linen_statistics_need_a_dropout_flag(inputs):
    model = compiled(models.from_linen(LinenTrainOnly(norm=True)))
    variables = start(model, inputs)
    model.apply(variables, inputs)
    model.train(variables, inputs, key=jax.random.key(5))
    with pytest.raises(ValueError, match=r"add a flag `dropout=False`.*\(batch_stats\)"):
        model.apply(variables, inputs, key=jax.random.key(5))


@pytest.mark.parametrize("shape", [(64, 10), (3, 3, 2, 8)])
def test_weights_of_the_zoo_are_those_of_flax(shape):
    for seed in range(3):
        expected = nn.initializers.lecun_normal()(jax.random.key(seed), shape)
        found = lecun_normal(jax.random.key(seed), shape)
        np.testing.assert_array_equal(found, expected)
