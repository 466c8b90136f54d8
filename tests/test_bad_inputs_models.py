"""Bad inputs of the networks of the zoo: options, images, features and token ids."""

import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bad_values import FLAG, INTEGER, NAME, NUMBER, check_refused, each, refused, tables
from helpers import bad_inputs

from jaxal import models

RATE = NUMBER | {"one": 1.0}
WIDTHS = {"an integer": 8, "a string": "8", "none": None, "fractions": [8.5], "zero": [0]}
WIDTHS |= {"lists": [[8]], "a table": {}}
OPTIONS = {
    "batch_norm": FLAG,
    "channel_dropout": RATE,
    "channels": WIDTHS,
    "depth": INTEGER,
    "dropout": RATE,
    "dtype": NAME | {"another": "float16", "a type": np.float32},
    "heads": INTEGER,
    "hidden": WIDTHS,
    "hidden_units": INTEGER,
    "kernel_size": INTEGER,
    "num_classes": INTEGER,
    "remat": FLAG,
    "stem": NAME | {"another": "mnist"},
    "vocabulary": INTEGER | {"padding alone": 1},
    "width": INTEGER | {"no multiple": 100, "odd": 9},
}


def options(name):
    """The rows of a network: each of its arguments, and what it may not be."""
    factory = getattr(models, name)
    arguments = {argument: OPTIONS[argument] for argument in inspect.signature(factory).parameters}
    if name == "cnn":  # whose dense layer has one width
        arguments["hidden"] = INTEGER
    return each(lambda **given: factory(**{"num_classes": 3, **given}), **arguments)


@refused(tables(**{name: options(name) for name in models.names()}))
def test_options(call, argument):
    check_refused(call, argument)


IMAGES = {"a vector": (2, 32), "five axes": (2, 32, 32, 3, 1), "no axes": ()}
SMALLEST = {"cifar_net": 22, "densenet121": 8, "lenet": 16, "mnist_net": 6}
SMALLEST |= {"vgg11": 32, "vgg16": 32, "vgg19": 32}
OF_IMAGES = [
    name
    for name in models.names()
    if name not in ("linear", "logistic", "mlp", "transformer", "two_layer_net")
]


def start(model, inputs):
    return jax.eval_shape(model.init, jax.random.key(0), inputs)


@pytest.mark.parametrize("shape", IMAGES.values(), ids=IMAGES)
@pytest.mark.parametrize("name", OF_IMAGES)
def test_what_is_no_image(name, shape):
    message = rf"{name}: expected images \[n, H, W, C\] or \[n, H, W\].*{re.escape(str(shape))}"
    with pytest.raises(ValueError, match=message):
        start(models.make(name, 3), jnp.zeros(shape))


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
def test_images_that_are_too_small(name):
    side = SMALLEST[name]
    model = models.make(name, 3)
    for shape in ((2, side - 1, 40), (2, 40, side - 1, 3)):
        with pytest.raises(ValueError, match=rf"{name}: expected images.*at least {side}, got"):
            start(model, jnp.zeros(shape))
    start(model, jnp.zeros((2, side, side)))  # and these are large enough


@bad_inputs(
    {
        "images for ImageNet": (
            lambda: start(models.densenet121(3, stem="imagenet"), jnp.zeros((2, 31, 32))),
            ValueError,
            "densenet121: expected images.*at least 32",
        ),
        "floats": (
            lambda: start(models.transformer(3), jnp.ones((2, 5))),
            TypeError,
            r"transformer: expected token ids \[n, L\], integers, got float32 array.*\(2, 5\)",
        ),
        "flags": (
            lambda: start(models.transformer(3), jnp.ones((2, 5), bool)),
            TypeError,
            "transformer: expected token ids.*got bool",
        ),
        "one text": (
            lambda: start(models.transformer(3), jnp.arange(5)),
            ValueError,
            r"transformer: expected token ids \[n, L\], got \(5,\)",
        ),
        "embeddings": (
            lambda: start(models.transformer(3), jnp.ones((2, 5, 8), int)),
            ValueError,
            r"transformer: expected token ids \[n, L\], got \(2, 5, 8\)",
        ),
        "features of images": (
            lambda: start(models.linear(3), jnp.ones((2, 4, 4))),
            ValueError,
            r"linear: expected features \[n, D\], got \(2, 4, 4\)",
        ),
        "an option of another": (
            lambda: models.make("vgg11", 3, stem="cifar"),
            ValueError,
            "model vgg11: option 'stem' is unknown",
        ),
        "a network that is not there": (
            lambda: models.make("resnet19", 3),
            ValueError,
            "model: 'resnet19' is unknown; did you mean 'resnet18'",
        ),
    }
)
def test_inputs_and_names(call, error, message):
    with pytest.raises(error, match=message):
        call()
