"""MobileNetV2."""

import flax.linen as nn
import jax

from jaxal.base import Model, Outputs
from jaxal.factories import cached_factory
from jaxal.models.linen import from_linen
from jaxal.models.zoo.layers import (
    Layers,
    Settings,
    apply_stem,
    as_images,
    check_settings,
    mean_pool,
)

# (times wider inside, width, blocks, stride of the first)
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """Wide inside: a convolution of each channel between two 1x1 ones, beside a shortcut."""

    layers: Layers
    expansion: int
    width: int
    stride: int

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        conv, norm = self.layers.conv, self.layers.norm
        inside = self.expansion * inputs.shape[-1]
        x = nn.relu(norm(conv(inside, 1)(inputs)))
        x = nn.relu(norm(conv(inside, 3, self.stride, feature_group_count=inside)(x)))
        x = norm(conv(self.width, 1)(x))
        if self.stride > 1:
            return x
        same = inputs.shape[-1] == self.width
        return x + (inputs if same else norm(conv(self.width, 1)(inputs)))


class MobileNet(nn.Module):
    """See `mobilenet_v2`."""

    settings: Settings

    @nn.compact
    def __call__(self, inputs: jax.Array, *, train: bool = False, dropout: bool = False) -> Outputs:
        layers = Layers(self.settings, train, dropout)
        images = as_images("mobilenet_v2", inputs, 1, self.settings.dtype)
        x = apply_stem(layers, images, 32, "cifar", normalize=True)
        block = layers.block(InvertedResidual)
        for stage, (expansion, width, depth, stride) in enumerate(_STAGES):
            for i in range(depth):
                name = f"stage{stage}_block{i}"
                x = block(layers, expansion, width, 1 if i else stride, name=name)(x)
        x = nn.relu(layers.norm(layers.conv(1280, 1)(x)))
        return layers.head(mean_pool(x))


@cached_factory
def mobilenet_v2(
    num_classes: int, *, dropout: float = 0.0, dtype: str = "float32", remat: bool = False
) -> Model:
    """MobileNetV2 in the form for CIFAR that DISTIL has.

    It halves the sides three times in place of five; blocks of stride 1 that change the width have
    a shortcut too, by a 1x1 convolution; and it is activated by ReLU, without the paper's bound
    of 6. Inputs are images [n, H, W, channels], or [n, H, W] for one channel, of any size. The
    features are the mean over places, [n, 1280].

    Args:
      num_classes: C; 1 makes a regression, whose one output is what is predicted.
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
      Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018.
    """
    return from_linen(MobileNet(check_settings(num_classes, dropout, dtype, remat)))
