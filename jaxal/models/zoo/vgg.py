"""VGG networks."""

import flax.linen as nn
import jax

from jaxal.base import Model, Outputs
from jaxal.factories import cached_factory
from jaxal.models.linen import from_linen
from jaxal.models.zoo.layers import Layers, Settings, as_images, check_settings, mean_pool

_WIDTHS = (64, 128, 256, 512, 512)


class Stage(nn.Module):
    """3x3 convolutions of one width, and pooling."""

    layers: Layers
    width: int
    depth: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for _ in range(self.depth):
            x = self.layers.conv(self.width, 3, use_bias=True)(x)
            x = nn.relu(self.layers.norm(x))
        return nn.max_pool(x, (2, 2), (2, 2))


class VGG(nn.Module):
    """Five stages."""

    settings: Settings
    called: str
    depths: tuple[int, ...]

    @nn.compact
    def __call__(self, inputs: jax.Array, *, train: bool = False, dropout: bool = False) -> Outputs:
        layers = Layers(self.settings, train, dropout)
        x = as_images(self.called, inputs, 32, self.settings.dtype)
        stage = layers.block(Stage)
        for i, (width, depth) in enumerate(zip(_WIDTHS, self.depths, strict=True)):
            x = stage(layers, width, depth, name=f"stage{i}")(x)
        return layers.head(mean_pool(x))


@cached_factory
def vgg11(
    num_classes: int, *, dropout: float = 0.0, dtype: str = "float32", remat: bool = False
) -> Model:
    """VGG-11 with batch normalisation, in the form for CIFAR: one dense layer.

    Inputs are images [n, H, W, channels], or [n, H, W] for one channel, with H and W of at least
    32. The features are the mean over the places that are left, one of 32x32: [n, 512].

    Args:
      num_classes: C; 1 makes a regression, whose one output is what is predicted.
      dropout: the probability that a feature is dropped, in [0, 1).
      dtype: of the computation, "float32" or "bfloat16"; parameters, logits and features are
        float32.
      remat: what lies between two poolings is computed again for the gradient, which takes less
        memory and a third more time.

    Returns:
      A `Model`.

    Raises:
      TypeError: an argument of another kind.
      ValueError: an argument outside its range; or, from the model, inputs of another rank or too
        small.

    References:
      Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
      ICLR 2015; Ioffe and Szegedy, "Batch Normalization", ICML 2015.
    """
    return _vgg("vgg11", (1, 1, 2, 2, 2), check_settings(num_classes, dropout, dtype, remat))


@cached_factory
def vgg16(
    num_classes: int, *, dropout: float = 0.0, dtype: str = "float32", remat: bool = False
) -> Model:
    """VGG-16; the rest as in `vgg11`."""
    return _vgg("vgg16", (2, 2, 3, 3, 3), check_settings(num_classes, dropout, dtype, remat))


@cached_factory
def vgg19(
    num_classes: int, *, dropout: float = 0.0, dtype: str = "float32", remat: bool = False
) -> Model:
    """VGG-19; the rest as in `vgg11`."""
    return _vgg("vgg19", (2, 2, 4, 4, 4), check_settings(num_classes, dropout, dtype, remat))


def _vgg(name: str, depths: tuple[int, ...], settings: Settings) -> Model:
    return from_linen(VGG(settings, name, depths))
