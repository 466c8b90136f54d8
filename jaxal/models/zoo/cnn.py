"""A convolutional network with options, and the one of the papers on BALD."""

from collections.abc import Sequence

import flax.linen as nn
import jax

from jaxal.base import Model, Outputs
from jaxal.checks import check_integer
from jaxal.factories import cached_factory
from jaxal.models.linen import from_linen
from jaxal.models.zoo.convolution import by_products, convolve
from jaxal.models.zoo.layers import as_images, check_rate, check_widths, flatten
from jaxal.models.zoo.weights import lecun_normal


class CNN(nn.Module):
    """See `cnn`."""

    num_classes: int
    channels: tuple[int, ...]
    kernel_size: int
    hidden: int
    rate: float
    batch_norm: bool

    @nn.compact
    def __call__(self, inputs: jax.Array, *, train: bool = False, dropout: bool = False) -> Outputs:
        x = as_images("cnn", inputs, 2 ** len(self.channels))
        window = (self.kernel_size, self.kernel_size)
        around = ((self.kernel_size - 1) // 2, self.kernel_size // 2)
        for width in self.channels:
            convolution = nn.Conv(
                width,
                window,
                padding=(around, around),
                use_bias=not self.batch_norm,
                conv_general_dilated=convolve,
                kernel_init=lecun_normal,
            )
            x = convolution(x)
            if self.batch_norm:
                x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
            x = nn.max_pool(nn.relu(x), (2, 2), (2, 2))
        x = nn.relu(nn.Dense(self.hidden, kernel_init=lecun_normal)(flatten(x)))
        features = nn.Dropout(self.rate, deterministic=not dropout)(x)
        return Outputs(nn.Dense(self.num_classes, kernel_init=lecun_normal)(features), features)


class BayesianCNN(nn.Module):
    """See `bayesian_cnn`."""

    num_classes: int
    rate: float

    @nn.compact
    def __call__(self, inputs: jax.Array, *, dropout: bool = False) -> Outputs:
        x = as_images("bayesian_cnn", inputs, 16)
        for width in (32, 64):
            convolution = nn.Conv(
                width,
                (5, 5),
                padding=0,
                conv_general_dilated=by_products,
                kernel_init=lecun_normal,
            )
            x = convolution(x)
            # Whole channels are dropped: one mask for all places.
            x = nn.Dropout(self.rate, (1, 2), deterministic=not dropout)(x)
            x = nn.relu(nn.max_pool(x, (2, 2), (2, 2)))
        x = nn.Dense(128, kernel_init=lecun_normal)(flatten(x))
        features = nn.relu(nn.Dropout(self.rate, deterministic=not dropout)(x))
        return Outputs(nn.Dense(self.num_classes, kernel_init=lecun_normal)(features), features)


@cached_factory
def cnn(
    num_classes: int,
    *,
    channels: Sequence[int] = (32, 64),
    kernel_size: int = 3,
    hidden: int = 128,
    dropout: float = 0.5,
    batch_norm: bool = False,
) -> Model:
    """A convolutional network: convolution, ReLU and max-pooling blocks, then two dense layers.

    Inputs are images [n, H, W, channels], or [n, H, W] for one channel. The features are the input
    of the last dense layer after dropout, the only dropout there is: with a key they are random
    too.

    Args:
      num_classes: C; 1 makes a regression, whose one output is what is predicted.
      channels: width of each convolution, at least one.
      kernel_size: side of the convolutions' windows.
      hidden: width of the dense layer before the last, D.
      dropout: the probability that a feature is dropped, in [0, 1).
      batch_norm: batch normalisation after each convolution (momentum 0.9).

    Returns:
      A `Model`.

    Raises:
      TypeError: a width or count that is no integer.
      ValueError: an argument outside its range; or, from the model, inputs of another rank or too
        small to be pooled that often.
    """
    check_integer(1, num_classes=num_classes)
    check_widths("channels", channels)
    if not channels:
        raise ValueError("channels: expected at least one, got none")
    check_integer(1, kernel_size=kernel_size, hidden=hidden)
    check_rate(dropout=dropout)
    widths = tuple(channels)
    return from_linen(CNN(num_classes, widths, kernel_size, hidden, dropout, bool(batch_norm)))


@cached_factory
def bayesian_cnn(num_classes: int, *, dropout: float = 0.5) -> Model:
    """The convolutional network of the papers on BALD: dropout after every layer but the last.

    Twice (5x5 convolution without padding, dropout of whole channels, 2x2 max-pooling, ReLU) with
    32 and 64 channels, a dense layer of 128 with dropout and ReLU, and the last dense layer, whose
    input are the features. Inputs are images as for `cnn`, with H and W of at least 16.

    Args:
      num_classes: C; 1 makes a regression, whose one output is what is predicted.
      dropout: the probability that a channel or a unit is dropped, in [0, 1).

    Returns:
      A `Model`.

    Raises:
      TypeError: a width or count that is no integer.
      ValueError: an argument outside its range; or, from the model, inputs as for `cnn`.

    References:
      Kirsch et al., "BatchBALD", NeurIPS 2019, section 4.2.
    """
    check_integer(1, num_classes=num_classes)
    check_rate(dropout=dropout)
    return from_linen(BayesianCNN(num_classes, dropout))
