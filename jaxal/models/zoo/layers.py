"""What the networks of the zoo share: their settings, layers, and checks of images."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxal.base import Outputs
from jaxal.checks import check_integer, check_name, is_number
from jaxal.models.zoo.convolution import convolve
from jaxal.models.zoo.weights import he_normal, lecun_normal

STEMS = ("cifar", "imagenet")
_DTYPES = ("bfloat16", "float32")
Module = TypeVar("Module", bound=type[nn.Module])


class Settings(NamedTuple):
    """What every network is told."""

    num_classes: int
    dropout: float
    dtype: str
    remat: bool


class Layers(NamedTuple):
    """Layers as the settings and the modes of a call want them."""

    settings: Settings
    train: bool = False
    dropout: bool = False

    def conv(self, width: int, size: int, stride: int = 1, **options: Any) -> nn.Conv:
        """A convolution with zeros around, without bias."""
        return nn.Conv(
            width,
            (size, size),
            stride,
            **{"padding": size // 2, "use_bias": False, "kernel_init": he_normal} | options,
            dtype=self.settings.dtype,
            conv_general_dilated=convolve,
        )

    def plain_conv(self, width: int, size: int) -> nn.Conv:
        """A convolution without zeros around, with bias, for networks without normalisation."""
        return self.conv(width, size, padding=0, use_bias=True, kernel_init=lecun_normal)

    def norm(self, inputs: jax.Array) -> jax.Array:
        """Batch normalisation: by the batch in training, by running statistics otherwise."""
        norm = nn.BatchNorm(use_running_average=not self.train, momentum=0.9)
        return norm(inputs.astype(jnp.float32)).astype(self.settings.dtype)

    def layer_norm(self, inputs: jax.Array) -> jax.Array:
        """Layer normalisation."""
        return nn.LayerNorm()(inputs.astype(jnp.float32)).astype(self.settings.dtype)

    def dense(self, width: int) -> nn.Dense:
        """A dense layer."""
        return nn.Dense(width, dtype=self.settings.dtype, kernel_init=lecun_normal)

    def drop(self, rate: float, axes: Sequence[int] = ()) -> nn.Dropout:
        """Dropout, with one mask along some axes."""
        return nn.Dropout(rate, axes, deterministic=not self.dropout)

    def block(self, kind: Module) -> Module:
        """A block, which is computed again for the gradient if so wanted."""
        return nn.remat(kind) if self.settings.remat else kind

    def head(self, inputs: jax.Array) -> Outputs:
        """Dropout and the last dense layer, whose input are the features."""
        return self.last(self.drop(self.settings.dropout)(inputs.astype(jnp.float32)))

    def last(self, inputs: jax.Array) -> Outputs:
        """The last dense layer, in float32: of it softmax and gradient embeddings are made."""
        features = inputs.astype(jnp.float32)
        logits = nn.Dense(self.settings.num_classes, kernel_init=lecun_normal)(features)
        return Outputs(logits, features)


def check_settings(
    num_classes: int, dropout: float = 0.0, dtype: str = "float32", remat: bool = False
) -> Settings:
    """The settings; raises if one is outside its range."""
    check_integer(1, num_classes=num_classes)
    check_rate(dropout=dropout)
    check_name("dtype", dtype, _DTYPES)
    return Settings(num_classes, dropout, dtype, remat)


def check_widths(name: str, values: Any) -> None:
    """Raises unless `values` is a list of integers >= 1."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise TypeError(f"{name}: expected a list of integers, got {values!r}")
    for i, value in enumerate(values):
        check_integer(1, **{f"{name}[{i}]": value})


def check_rate(**rates: float) -> None:
    """Raises unless each is a number in [0, 1)."""
    for name, rate in rates.items():
        if not is_number(rate):
            raise TypeError(f"{name}: expected a number in [0, 1), got {rate!r}")
        if not 0 <= rate < 1:
            raise ValueError(f"{name}: expected a number in [0, 1), got {rate!r}")


def as_images(name: str, inputs: jax.Array, smallest: int, dtype: str = "float32") -> jax.Array:
    """Images [n, H, W, channels] as floats, of one channel if they say none."""
    images = inputs[..., None] if inputs.ndim == 3 else inputs
    if images.ndim != 4 or min(images.shape[1:3]) < smallest:
        raise ValueError(
            f"{name}: expected images [n, H, W, C] or [n, H, W] with H and W of at least "
            f"{smallest}, got {inputs.shape}"
        )
    return images.astype(dtype)


def flatten(inputs: jax.Array) -> jax.Array:
    """[n, ...] as [n, D]."""
    return inputs.reshape(inputs.shape[0], math.prod(inputs.shape[1:]))


def apply_stem(
    layers: Layers, images: jax.Array, width: int, kind: str, *, normalize: bool
) -> jax.Array:
    """The first convolution: 3x3 for images as of CIFAR; for ImageNet's, 7x7 and then pooled."""
    if kind == "cifar":
        x = layers.conv(width, 3)(images)
        return nn.relu(layers.norm(x)) if normalize else x
    x = nn.relu(layers.norm(layers.conv(width, 7, 2)(images)))
    # As numbers after ReLU are not negative, zeros around them are never the maximum alone.
    return nn.max_pool(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), (3, 3), (2, 2))


def halve(images: jax.Array) -> jax.Array:
    """The mean over squares of 2x2 places; a row or column left over is dropped."""
    rows, height, width, channels = images.shape
    height, width = height // 2, width // 2
    squares = images[:, : 2 * height, : 2 * width]
    return squares.reshape(rows, height, 2, width, 2, channels).mean((2, 4))


def mean_pool(images: jax.Array) -> jax.Array:
    """The mean over places, in float32: [n, H, W, D] -> [n, D]."""
    return jnp.mean(images, (1, 2), dtype=jnp.float32)
