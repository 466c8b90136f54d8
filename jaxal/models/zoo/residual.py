"""Residual networks: after and before activation, and wide."""

from typing import Any

import flax.linen as nn
import jax

from jaxal.base import Model, Outputs
from jaxal.checks import check_name
from jaxal.factories import cached_factory
from jaxal.models.linen import from_linen
from jaxal.models.zoo.layers import (
    STEMS,
    Layers,
    Settings,
    apply_stem,
    as_images,
    check_settings,
    mean_pool,
)


class Basic(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    layers: Layers
    width: int
    stride: int
    rate: float = 0.0  # of the dropout inside, which `PreActivation` alone has

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        conv, norm = self.layers.conv, self.layers.norm
        x = nn.relu(norm(conv(self.width, 3, self.stride)(inputs)))
        x = norm(conv(self.width, 3)(x))
        return nn.relu(x + _shortcut(self.layers, inputs, x.shape[-1], self.stride))


class Bottleneck(Basic):
    """A 3x3 convolution between 1x1 ones, of four times the width outside."""

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        conv, norm = self.layers.conv, self.layers.norm
        x = nn.relu(norm(conv(self.width, 1)(inputs)))
        x = nn.relu(norm(conv(self.width, 3, self.stride)(x)))
        x = norm(conv(4 * self.width, 1)(x))
        return nn.relu(x + _shortcut(self.layers, inputs, x.shape[-1], self.stride))


class PreActivation(Basic):
    """Normalisation and ReLU before each 3x3 convolution, dropout before the second."""

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        conv, norm = self.layers.conv, self.layers.norm
        x = nn.relu(norm(inputs))
        same = self.stride == 1 and inputs.shape[-1] == self.width
        shortcut = inputs if same else conv(self.width, 1, self.stride)(x)
        x = nn.relu(norm(conv(self.width, 3, self.stride)(x)))
        x = self.layers.drop(self.rate)(x)
        return shortcut + conv(self.width, 3)(x)


def _shortcut(layers: Layers, inputs: jax.Array, width: int, stride: int) -> jax.Array:
    """The inputs; a normalised 1x1 convolution of them where the shape changes."""
    if stride == 1 and inputs.shape[-1] == width:
        return inputs
    return layers.norm(layers.conv(width, 1, stride)(inputs))


class ResNet(nn.Module):
    """Stages of blocks; each stage but the first halves the sides and doubles the width."""

    settings: Settings
    called: str
    block: type[Basic]
    depths: tuple[int, ...]
    width: int = 64
    stem: str = "cifar"
    stem_width: int = 64
    rate: float = 0.0

    @nn.compact
    def __call__(self, inputs: jax.Array, *, train: bool = False, dropout: bool = False) -> Outputs:
        layers = Layers(self.settings, train, dropout)
        images = as_images(self.called, inputs, 1, self.settings.dtype)
        before = self.block is PreActivation
        x = apply_stem(layers, images, self.stem_width, self.stem, normalize=not before)
        block = layers.block(self.block)
        for stage, depth in enumerate(self.depths):
            for i in range(depth):
                stride = 2 if stage and not i else 1
                # Named, so that the variables are the same under `remat`.
                name = f"stage{stage}_block{i}"
                x = block(layers, self.width * 2**stage, stride, self.rate, name=name)(x)
        if before:
            x = nn.relu(layers.norm(x))
        return layers.head(mean_pool(x))


@cached_factory
def resnet18(
    num_classes: int,
    *,
    stem: str = "cifar",
    dropout: float = 0.0,
    dtype: str = "float32",
    remat: bool = False,
) -> Model:
    """A residual network of 18 layers, in the form for CIFAR or for ImageNet.

    Inputs are images [n, H, W, channels], or [n, H, W] for one channel, of any size. The features
    are the mean over places, [n, 512].

    Args:
      num_classes: C; 1 makes a regression, whose one output is what is predicted.
      stem: "cifar", a 3x3 convolution; or "imagenet", a 7x7 one with stride 2, and pooling.
      dropout: the probability that a feature is dropped, in [0, 1).
      dtype: of the computation, "float32" or "bfloat16"; parameters, logits and features are
        float32.
      remat: each block is computed again for the gradient, which takes less memory and a third
        more time.

    Returns:
      A `Model`.

    Raises:
      TypeError: an argument of another kind.
      ValueError: an argument outside its range; or, from the model, inputs of another rank.

    References:
      He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
    """
    settings = check_settings(num_classes, dropout, dtype, remat)
    return _resnet("resnet18", settings, stem, Basic, (2, 2, 2, 2))


@cached_factory
def resnet34(
    num_classes: int,
    *,
    stem: str = "cifar",
    dropout: float = 0.0,
    dtype: str = "float32",
    remat: bool = False,
) -> Model:
    """A residual network of 34 layers; the rest as in `resnet18`."""
    settings = check_settings(num_classes, dropout, dtype, remat)
    return _resnet("resnet34", settings, stem, Basic, (3, 4, 6, 3))


@cached_factory
def resnet50(
    num_classes: int,
    *,
    stem: str = "cifar",
    dropout: float = 0.0,
    dtype: str = "float32",
    remat: bool = False,
) -> Model:
    """A residual network of 50 layers in bottlenecks; features [n, 2048], the rest as `resnet18`.

    The 3x3 convolution of a bottleneck has its stride, as in torchvision.
    """
    settings = check_settings(num_classes, dropout, dtype, remat)
    return _resnet("resnet50", settings, stem, Bottleneck, (3, 4, 6, 3))


@cached_factory
def preact_resnet18(
    num_classes: int,
    *,
    stem: str = "cifar",
    dropout: float = 0.0,
    dtype: str = "float32",
    remat: bool = False,
) -> Model:
    """A residual network of 18 layers, each activated before it; arguments as in `resnet18`.

    What the last block returns is normalised and activated too, as in the paper. DISTIL leaves that
    out, and has 1,024 parameters fewer.

    References:
      He et al., "Identity Mappings in Deep Residual Networks", ECCV 2016.
    """
    settings = check_settings(num_classes, dropout, dtype, remat)
    return _resnet("preact_resnet18", settings, stem, PreActivation, (2, 2, 2, 2))


@cached_factory
def wide_resnet_28_10(
    num_classes: int,
    *,
    dropout: float = 0.0,
    dtype: str = "float32",
    remat: bool = False,
) -> Model:
    """A wide residual network: 28 layers, ten times as wide as usual; features [n, 640].

    Dropout is inside the blocks, between their convolutions; the rest as in `resnet18`.

    References:
      Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016.
    """
    settings = check_settings(num_classes, dropout, dtype, remat)._replace(dropout=0.0)
    blocks = {"width": 160, "stem_width": 16, "rate": dropout}
    name = "wide_resnet_28_10"
    return _resnet(name, settings, "cifar", PreActivation, (4, 4, 4), **blocks)


def _resnet(
    name: str,
    settings: Settings,
    stem: str,
    block: type[Basic],
    depths: tuple[int, ...],
    **widths: Any,
) -> Model:
    check_name("stem", stem, STEMS)
    return from_linen(ResNet(settings, name, block, depths, stem=stem, **widths))
