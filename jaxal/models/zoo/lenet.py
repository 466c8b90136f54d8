"""Small convolutional networks without normalisation, as DISTIL has them."""

import flax.linen as nn
import jax

from jaxal.base import Model, Outputs
from jaxal.factories import cached_factory
from jaxal.models.linen import from_linen
from jaxal.models.zoo.layers import Layers, Settings, as_images, check_rate, check_settings, flatten


class MnistNet(nn.Module):
    """See `mnist_net`."""

    settings: Settings
    channel_rate: float

    @nn.compact
    def __call__(self, inputs: jax.Array, *, dropout: bool = False) -> Outputs:
        layers = Layers(self.settings, dropout=dropout)
        x = as_images("mnist_net", inputs, 6, self.settings.dtype)
        for width in (32, 64):
            x = nn.relu(layers.plain_conv(width, 3)(x))
        x = nn.max_pool(x, (2, 2), (2, 2))
        # Whole channels are dropped: one mask for all places.
        x = layers.drop(self.channel_rate, (1, 2))(x)
        return layers.head(nn.relu(layers.dense(128)(flatten(x))))


class PooledNet(nn.Module):
    """Convolutions, each pooled, and then dense layers, each with dropout."""

    settings: Settings
    called: str
    channels: tuple[int, ...]
    kernel_size: int
    hidden: tuple[int, ...]

    @nn.compact
    def __call__(self, inputs: jax.Array, *, dropout: bool = False) -> Outputs:
        layers = Layers(self.settings, dropout=dropout)
        x = as_images(self.called, inputs, self._smallest(), self.settings.dtype)
        for width in self.channels:
            x = nn.relu(layers.plain_conv(width, self.kernel_size)(x))
            x = nn.max_pool(x, (2, 2), (2, 2))
        x = flatten(x)
        for width in self.hidden:
            x = nn.relu(layers.dense(width)(x))
            x = layers.drop(self.settings.dropout)(x)
        return layers.last(x)

    def _smallest(self) -> int:
        """The side of images of which one place is left in the end."""
        side = 1
        for _ in self.channels:
            side = 2 * side + self.kernel_size - 1
        return side


@cached_factory
def mnist_net(
    num_classes: int,
    *,
    channel_dropout: float = 0.25,
    dropout: float = 0.5,
    dtype: str = "float32",
) -> Model:
    """The network for MNIST of PyTorch's examples and of DISTIL.

    Two 3x3 convolutions of 32 and 64 channels without padding, 2x2 max-pooling, dropout of whole
    channels, a dense layer of 128, dropout, and the last dense layer. Inputs are images [n, H, W,
    channels], or [n, H, W] for one channel, with H and W of at least 6. The features, [n, 128], are
    the input of the last dense layer after dropout.

    Args:
      num_classes: C; 1 makes a regression, whose one output is what is predicted.
      channel_dropout: the probability that a channel is dropped, in [0, 1).
      dropout: the probability that a feature is dropped, in [0, 1).
      dtype: of the computation, "float32" or "bfloat16"; parameters, logits and features are
        float32.

    Returns:
      A `Model`.

    Raises:
      TypeError: an argument of another kind.
      ValueError: an argument outside its range; or, from the model, inputs of another rank or too
        small.
    """
    settings = check_settings(num_classes, dropout, dtype)
    check_rate(channel_dropout=channel_dropout)
    return from_linen(MnistNet(settings, channel_dropout))


@cached_factory
def lenet(num_classes: int, *, dropout: float = 0.5, dtype: str = "float32") -> Model:
    """LeNet with ReLU and max-pooling, and dropout after its dense layers.

    5x5 convolutions of 6 and 16 channels without padding, each pooled, and dense layers of 120 and
    84. Inputs are images [n, H, W, channels], or [n, H, W] for one channel, with H and W of at
    least 16. The features, [n, 84], are the input of the last dense layer after dropout. With
    dropout 0 it is DISTIL's.

    Args:
      num_classes: C; 1 makes a regression, whose one output is what is predicted.
      dropout: the probability that a unit is dropped, in [0, 1).
      dtype: of the computation, "float32" or "bfloat16"; parameters, logits and features are
        float32.

    Returns:
      A `Model`.

    Raises:
      TypeError: an argument of another kind.
      ValueError: an argument outside its range; or, from the model, inputs of another rank or too
        small.

    References:
      LeCun et al., "Gradient-Based Learning Applied to Document Recognition", Proc. IEEE 1998; Gal
      and Ghahramani, "Bayesian Convolutional Neural Networks with Bernoulli Approximate Variational
      Inference", 2016, for the dropout.
    """
    settings = check_settings(num_classes, dropout, dtype)
    return from_linen(PooledNet(settings, "lenet", (6, 16), 5, (120, 84)))


@cached_factory
def cifar_net(num_classes: int, *, dropout: float = 0.0, dtype: str = "float32") -> Model:
    """DISTIL's small network for CIFAR-10.

    3x3 convolutions of 64, 128 and 256 channels without padding, each pooled, and dense layers of
    128 and 256. Inputs are images [n, H, W, channels], or [n, H, W] for one channel, with H and W
    of at least 22. The features, [n, 256], are the input of the last dense layer.

    Args:
      num_classes: C; 1 makes a regression, whose one output is what is predicted.
      dropout: the probability that a unit of a dense layer is dropped, in [0, 1).
      dtype: of the computation, "float32" or "bfloat16"; parameters, logits and features are
        float32.

    Returns:
      A `Model`.

    Raises:
      TypeError: an argument of another kind.
      ValueError: an argument outside its range; or, from the model, inputs of another rank or too
        small.
    """
    settings = check_settings(num_classes, dropout, dtype)
    return from_linen(PooledNet(settings, "cifar_net", (64, 128, 256), 3, (128, 256)))
