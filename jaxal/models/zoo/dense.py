"""DenseNet."""

import flax.linen as nn
import jax
import jax.numpy as jnp

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
    halve,
    mean_pool,
)

_DEPTHS = (6, 12, 24, 16)
_GROWTH = 32


class Layer(nn.Module):
    """Adds some channels to what all layers before it in its block have made."""

    layers: Layers

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        conv, norm = self.layers.conv, self.layers.norm
        x = conv(4 * _GROWTH, 1)(nn.relu(norm(inputs)))
        x = conv(_GROWTH, 3)(nn.relu(norm(x)))
        return jnp.concatenate([inputs, x], axis=-1)


class DenseNet(nn.Module):
    """See `densenet121`."""

    settings: Settings
    stem: str

    @nn.compact
    def __call__(self, inputs: jax.Array, *, train: bool = False, dropout: bool = False) -> Outputs:
        layers = Layers(self.settings, train, dropout)
        smallest = 8 if self.stem == "cifar" else 32
        images = as_images("densenet121", inputs, smallest, self.settings.dtype)
        x = apply_stem(layers, images, 2 * _GROWTH, self.stem, normalize=False)
        layer = layers.block(Layer)
        for block, depth in enumerate(_DEPTHS):
            if block:
                x = layers.conv(x.shape[-1] // 2, 1)(x)
                x = halve(x)
            for i in range(depth):
                x = layer(layers, name=f"block{block}_layer{i}")(x)
            x = nn.relu(layers.norm(x))
        return layers.head(mean_pool(x))


@cached_factory
def densenet121(
    num_classes: int,
    *,
    stem: str = "cifar",
    dropout: float = 0.0,
    dtype: str = "float32",
    remat: bool = False,
) -> Model:
    """A densely connected network of 121 layers, in the form for CIFAR or for ImageNet.

    Inputs are images [n, H, W, channels], or [n, H, W] for one channel, with H and W of at least 8
    (32 for the form for ImageNet). The features are the mean over places, [n, 1024].

    Args:
      num_classes: C; 1 makes a regression, whose one output is what is predicted.
      stem: "cifar", a 3x3 convolution; or "imagenet", a 7x7 one with stride 2, and pooling.
      dropout: the probability that a feature is dropped, in [0, 1).
      dtype: of the computation, "float32" or "bfloat16"; parameters, logits and features are
        float32.
      remat: each layer is computed again for the gradient, which takes less memory and a third
        more time.

    Returns:
      A `Model`.

    Raises:
      TypeError: an argument of another kind.
      ValueError: an argument outside its range; or, from the model, inputs of another rank or too
        small.

    References:
      Huang et al., "Densely Connected Convolutional Networks", CVPR 2017.
    """
    check_name("stem", stem, STEMS)
    return from_linen(DenseNet(check_settings(num_classes, dropout, dtype, remat), stem))
