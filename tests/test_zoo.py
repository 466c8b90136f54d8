"""Networks of the zoo: published sizes, shapes, modes, bfloat16, rematerialisation, one step."""

import inspect
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import MODES

from jaxal import models
from jaxal.base import Outputs
from jaxal.experiment import parse
from jaxal.experiment.build import build
from jaxal.models.zoo import dense, mobile, residual, text, vgg
from jaxal.models.zoo.convolution import convolve
from jaxal.models.zoo.layers import Layers, Settings, apply_stem, halve
from jaxal.models.zoo.residual import Basic, Bottleneck, PreActivation, ResNet
from jaxal.models.zoo.weights import he_normal

CLASSES, ROWS = 3, 2
leaves = jax.tree.leaves
IMAGE, LARGE = (8, 8, 3), (32, 32, 3)
# Name: the shape of one input, the width of the features.
NETWORKS = {
    "cifar_net": ((22, 22, 3), 256),
    "densenet121": (IMAGE, 1024),
    "lenet": ((16, 16), 84),
    "linear": ((5,), 5),
    "mnist_net": (IMAGE, 128),
    "mobilenet_v2": (IMAGE, 1280),
    "preact_resnet18": (IMAGE, 512),
    "resnet18": (IMAGE, 512),
    "resnet34": (IMAGE, 512),
    "resnet50": (IMAGE, 2048),
    "transformer": ((5,), 128),
    "two_layer_net": ((7,), 100),
    "vgg11": (LARGE, 512),
    "vgg16": (LARGE, 512),
    "vgg19": (LARGE, 512),
    "wide_resnet_28_10": (IMAGE, 640),
}
NORMALIZED = [name for name, (_, width) in NETWORKS.items() if width >= 512]
CIFAR, IMAGENET = (10, (32, 32, 3)), (1000, (224, 224, 3))
# Parameters of the networks for CIFAR whose number does not depend on the size of the images. From
# the papers' code: kuangliu's for CIFAR, torchvision's for ImageNet, PyTorch's examples for MNIST.
OF_CIFAR = {
    "resnet18": 11_173_962,
    "resnet34": 21_282_122,
    "resnet50": 23_520_842,
    # 11,171,146, and the normalisation of what the last block returns.
    "preact_resnet18": 11_172_170,
    "wide_resnet_28_10": 36_479_194,
    "vgg11": 9_231_114,
    "vgg16": 14_728_266,
    "vgg19": 20_040_522,
    "mobilenet_v2": 2_296_922,
    "densenet121": 6_956_298,
}
# Of others: name, options, classes and inputs, parameters.
PUBLISHED = [
    ("lenet", {}, CIFAR, 62_006),
    ("mnist_net", {}, (10, (28, 28)), 1_199_882),
    ("resnet18", {"stem": "imagenet"}, IMAGENET, 11_689_512),
    ("resnet34", {"stem": "imagenet"}, IMAGENET, 21_797_672),
    ("resnet50", {"stem": "imagenet"}, IMAGENET, 25_557_032),
    ("densenet121", {"stem": "imagenet"}, IMAGENET, 7_978_856),
]


def batch(name, rows=ROWS):
    shape = (rows, *NETWORKS[name][0])
    random = np.random.default_rng(0)
    if name == "transformer":
        return random.integers(1, 50, shape, np.int32)
    return random.normal(size=shape).astype(np.float32)


def blocks_of(block):
    return lambda settings: ResNet(
        settings, "tiny", block, (1, 1), width=4, stem_width=4, rate=settings.dropout
    )


# Of each kind of block a network that compiles in no time: blocks, and inputs.
TINY = {
    "basic": (blocks_of(Basic), IMAGE),
    "bottleneck": (blocks_of(Bottleneck), IMAGE),
    "before activation": (blocks_of(PreActivation), IMAGE),
    "VGG": (lambda settings: vgg.VGG(settings, "tiny", (1, 0, 0, 0, 1)), LARGE),
    "mobile": (mobile.MobileNet, IMAGE),
    "dense": (lambda settings: dense.DenseNet(settings, "cifar"), IMAGE),
    "transformer": (lambda settings: text.Transformer(settings, 9, 8, 2, 2), (5,)),
}


@pytest.fixture(
    params=[pytest.param(kind, marks=() if kind == "basic" else pytest.mark.slow) for kind in TINY]
)
def tiny(request, monkeypatch):
    """A function of dtype and remat to a small network, and its inputs, by the kind of blocks."""
    monkeypatch.setattr(vgg, "_WIDTHS", (4, 4, 4, 4, 4))
    monkeypatch.setattr(mobile, "_STAGES", ((1, 4, 1, 1), (2, 4, 2, 2)))
    monkeypatch.setattr(dense, "_DEPTHS", (1, 1))
    make, shape = TINY[request.param]

    def model(dtype="float32", remat=False):
        return models.from_linen(make(Settings(CLASSES, 0.3, dtype, remat)))

    inputs = np.random.default_rng(0).normal(size=(6, *shape)).astype(np.float32)
    return model, np.arange(30, dtype=np.int32).reshape(6, 5) % 9 if len(shape) == 1 else inputs


def drawn(model, inputs):
    """Initial variables by NumPy: to compile `init` takes as long as to compile a step."""
    random = np.random.default_rng(0)

    def draw(path, leaf):
        name = path[-1].key
        if name in ("kernel", "embedding"):
            deviation = math.sqrt(2 / math.prod(leaf.shape[:-1]))
            return random.normal(0, deviation, leaf.shape).astype(np.float32)
        return np.full(leaf.shape, name in ("scale", "var"), np.float32)

    shapes = jax.eval_shape(model.init, jax.random.key(0), inputs)
    return jax.tree_util.tree_map_with_path(draw, shapes)


def sizes(tree):
    return sum(leaf.size for leaf in leaves(tree))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "given", "size"),
    PUBLISHED,
    ids=["-".join([name, *options.values()]) for name, options, *_ in PUBLISHED],
)
def test_as_many_parameters_as_published(name, options, given, size):
    classes, shape = given
    model = models.make(name, classes, **options)
    inputs = jax.ShapeDtypeStruct((2, *shape), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), inputs)
    assert sizes(variables["params"]) == size


def test_every_network_is_in_the_table():
    others = {"mlp", "logistic", "cnn", "bayesian_cnn"}  # tested in test_models.py
    assert set(NETWORKS) | others == set(models.names()) and not others & set(NETWORKS)
    assert set(models.names()) <= set(models.__all__)
    for name in models.names():
        assert getattr(models, name)(3) is models.make(name, 3)


def passes(model, inputs):
    """Initial variables, outputs without and with dropout, and what training returns."""
    variables = model.init(jax.random.key(0), inputs)
    plain = model.apply(variables, inputs)
    dropped = model.apply(variables, inputs, key=jax.random.key(1))
    return variables, plain, dropped, *model.train(variables, inputs, key=jax.random.key(2))


def assert_shapes(name, outputs, classes):
    assert isinstance(outputs, Outputs)
    assert outputs.logits.shape == (ROWS, classes)
    assert outputs.features.shape == (ROWS, NETWORKS[name][1])
    assert {outputs.logits.dtype, outputs.features.dtype} == {jnp.dtype("float32")}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_shapes_and_dtypes(name):
    """By shapes alone: nothing is compiled. As deep as published, and as large."""
    model, inputs, key = models.make(name, 10), batch(name), jax.random.key(0)
    before = jax.eval_shape(model.init, key, inputs)
    assert_shapes(name, jax.eval_shape(model.apply, before, inputs), 10)
    trained, after = jax.eval_shape(model.train, before, inputs, key=key)
    assert_shapes(name, trained, 10)
    assert before == after
    assert set(before) == {"params", "batch_stats"} if name in NORMALIZED else {"params"}
    assert {leaf.dtype for leaf in leaves(before)} == {jnp.dtype("float32")}
    assert sizes(before["params"]) == OF_CIFAR.get(name, sizes(before["params"]))


@pytest.fixture
def shallow(monkeypatch):
    """Makes a network by its name and options, with few of the blocks that are alike."""
    monkeypatch.setattr(dense, "_DEPTHS", (2, 2, 2, 2))
    monkeypatch.setattr(mobile, "_STAGES", ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 1, 2)))
    residual_network, visual = residual._resnet, vgg._vgg

    def resnet(name, settings, stem, block, depths, **widths):
        return residual_network(name, settings, stem, block, (1,) * len(depths), **widths)

    monkeypatch.setattr(residual, "_resnet", resnet)
    monkeypatch.setattr(vgg, "_vgg", lambda name, _, settings: visual(name, (1,) * 5, settings))
    # Not by `models.make`, which keeps what it has made.
    return lambda name, **options: inspect.unwrap(getattr(models, name))(CLASSES, **options)


def program(model, name, key=None):
    """The variables of a network and what it does with them, as text, and its outputs."""
    inputs = batch(name)
    variables = jax.eval_shape(model.init, jax.random.key(0), inputs)
    apply = jax.make_jaxpr(model.apply, return_shape=True)
    jaxpr, outputs = apply(variables, inputs, key=key)
    return variables, str(jaxpr), outputs


OPTIONS = {"remat": True, "dtype": "bfloat16", "dropout": 0.125}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_each_network_passes_on_its_options(name, shallow):
    taken = inspect.signature(getattr(models, name)).parameters
    options = {option: value for option, value in OPTIONS.items() if option in taken}
    assert "dropout" in options
    plain, once, _ = program(shallow(name), name)
    variables, jaxpr, outputs = program(shallow(name, **options), name, jax.random.key(1))
    assert variables == plain
    # Marks what is computed again.
    assert ("prevent_cse" in jaxpr, "prevent_cse" in once) == ("remat" in options, False)
    assert ("bf16" in jaxpr, "bf16" in once) == ("dtype" in options, False)
    assert "0.875" in jaxpr and "0.875" not in once  # the probability to keep
    assert {leaf.dtype for leaf in leaves((variables, outputs))} == {jnp.dtype("float32")}


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_other_settings_of_jax(tiny, mode):
    model, inputs = tiny
    with MODES[mode]():
        found = jax.eval_shape(lambda: passes(model(), inputs))
    assert {leaf.dtype for leaf in leaves(found)} == {jnp.dtype("float32")}


@pytest.mark.slow
def test_running_statistics_are_fixed_in_apply_even_with_dropout(tiny):
    make, inputs = tiny
    model = make()
    variables = drawn(model, inputs)
    apply = jax.jit(model.apply)
    others = np.where(np.arange(6).reshape(-1, *[1] * (inputs.ndim - 1)) > 0, 3 * inputs, inputs)
    one, other = (
        jax.device_get(apply(variables, given, key=jax.random.key(2))) for given in (inputs, others)
    )
    np.testing.assert_allclose(one.logits[0], other.logits[0], rtol=1e-4, atol=1e-5)
    assert (np.abs(one.logits[1:] - other.logits[1:]) > 1e-3).any()
    assert 0 < np.mean(one.features == 0) < 1
    _, changed = jax.jit(model.train)(variables, inputs, key=jax.random.key(2))
    assert jax.tree.structure(changed) == jax.tree.structure(variables)
    for name, fixed in (("params", True), ("batch_stats", False)):
        pair = leaves(changed.get(name, {})), leaves(variables.get(name, {}))
        assert all(np.array_equal(new, old) == fixed for new, old in zip(*pair, strict=True))


@pytest.mark.slow
def test_remat_changes_no_number(tiny):
    make, inputs = tiny

    def gradient(model, variables):
        def loss(params):
            outputs, changed = model.train({**variables, "params": params}, inputs, key=key)
            return jnp.sum(outputs.logits**2), (outputs, changed)

        key = jax.random.key(5)
        return jax.grad(loss, has_aux=True)(variables["params"])

    plain, again = make(), make(remat=True)
    variables = drawn(plain, inputs)
    traced = [jax.jit(gradient, static_argnums=0).trace(one, variables) for one in (plain, again)]
    found = [one.lower().compile()(variables) for one in traced]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-3), *found)
    assert str(traced[1].jaxpr).count("prevent_cse") > 1  # a mark of what is computed again


@pytest.mark.slow
def test_bfloat16_is_what_is_computed_in(tiny):
    make, inputs = tiny
    exact, rough = make(), make("bfloat16")
    variables = drawn(exact, inputs)
    lowered = jax.jit(rough.apply).lower(variables, inputs)
    one = jax.device_get(jax.jit(exact.apply)(variables, inputs))
    other = jax.device_get(lowered.compile()(variables, inputs))
    differences = np.abs(one.features - other.features)
    assert 0 < differences.max() < 0.05 * max(1, np.abs(one.features).max())
    head = variables["params"]["Dense_0"]  # in float32
    expected = other.features @ head["kernel"] + head["bias"]
    np.testing.assert_allclose(other.logits, expected, rtol=1e-5, atol=1e-5)
    products = [line for line in lowered.as_text().splitlines() if "stablehlo.dot_general" in line]
    assert sum("bf16" not in line for line in products) == 1


DEEPER = {"resnet34", "resnet50", "wide_resnet_28_10", "vgg16", "vgg19"}
"""More of the same blocks than others: TINY has gradients of each kind."""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*NETWORKS} - DEEPER))
def test_one_training_step(name, shallow):
    """Two steps by the gradient; the second begins with a lower loss."""
    model, inputs = shallow(name), batch(name, 6)
    labels = np.arange(6) % CLASSES

    @jax.jit
    def step(variables, key):
        def loss(params):
            outputs, after = model.train({**variables, "params": params}, inputs, key=key)
            losses = optax.softmax_cross_entropy_with_integer_labels(outputs.logits, labels)
            return losses.mean(), after

        (value, after), slopes = jax.value_and_grad(loss, has_aux=True)(variables["params"])
        # Of the same length for every network: their gradients are of very different ones.
        length = 1e-3 / optax.tree.norm(slopes)
        params = jax.tree.map(lambda p, slope: p - length * slope, after["params"], slopes)
        return {**after, "params": params}, value

    variables, first = step(drawn(model, inputs), jax.random.key(2))
    variables, second = step(variables, jax.random.key(2))
    assert second < first
    assert all(np.isfinite(leaf).all() for leaf in leaves(variables))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("block", "channels", "activated"),
    [(Basic, 4, True), (Bottleneck, 16, True), (PreActivation, 4, False)],
)
def test_a_block_whose_convolutions_are_zero_is_its_shortcut(block, channels, activated):
    layers = Layers(Settings(2, 0.0, "float32", False))
    inputs = np.random.default_rng(0).normal(size=(2, 5, 5, channels)).astype(np.float32)
    for width, stride in ((4, 1), (8, 2)):
        net = block(layers, width, stride)
        shapes = jax.eval_shape(net.init, jax.random.key(1), inputs)
        zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), shapes)
        found = np.asarray(jax.jit(net.apply)(zeros, inputs))
        if stride == 1:  # the identity, without a convolution of its own
            np.testing.assert_array_equal(found, np.maximum(inputs, 0) if activated else inputs)
        else:
            assert found.shape == (2, 3, 3, 2 * channels) and (found == 0).all()


class Stem(nn.Module):
    """The first layers alone."""

    @nn.compact
    def __call__(self, images):
        layers = Layers(Settings(2, 0.0, "float32", False))
        return apply_stem(layers, images, 5, "imagenet", normalize=True)


@pytest.mark.slow
def test_the_stem_for_imagenet_pools_as_with_padding_of_minus_infinity():
    images = jax.random.normal(jax.random.key(0), (2, 15, 16, 3))
    variables: Any = jax.jit(Stem().init)(jax.random.key(1), images)
    found: Any = Stem().apply(variables, images)
    x = convolve(images, variables["params"]["Conv_0"]["kernel"], (2, 2), [(3, 3), (3, 3)])
    x = nn.relu(x / math.sqrt(1 + 1e-5))
    window, padding = ((1, 3, 3, 1), (1, 2, 2, 1)), [(0, 0), (1, 1), (1, 1), (0, 0)]
    expected = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, *window, padding)
    assert found.shape == (2, 4, 4, 5)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(3, 3, 16, 8), (1, 1, 4, 32), (3, 3, 1, 12)])
def test_convolutions_begin_with_he_normal_by_the_channels_out(shape):
    flax = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
    expected = flax(jax.random.key(0), shape)
    np.testing.assert_allclose(he_normal(jax.random.key(0), shape), expected, rtol=1e-5, atol=1e-7)


def test_halve_is_average_pooling():
    images = jax.random.normal(jax.random.key(0), (2, 5, 4, 3))
    expected = nn.avg_pool(images, (2, 2), (2, 2))
    np.testing.assert_allclose(halve(images), expected, rtol=1e-5, atol=1e-6)


def test_a_config_names_a_network():
    config = parse(
        {
            "name": "x",
            "data": {"source": "sklearn:digits", "flat": False},
            "model": {"name": "resnet18", "dtype": "bfloat16", "remat": True},
            "learner": {},
            "strategy": {"names": ["random"]},
            "run": {},
        }
    )
    model = build(config).learner.model
    assert model is models.resnet18(10, dtype="bfloat16", remat=True)


def test_given_features_are_kept_as_narrow_as_they_came():
    model = models.linear(3)
    inputs = jax.ShapeDtypeStruct((2, 5), jnp.bfloat16)
    variables = jax.eval_shape(model.init, jax.random.key(0), inputs)
    logits, features = jax.eval_shape(model.apply, variables, inputs)
    assert features.dtype == jnp.bfloat16 and logits.dtype == jnp.float32
