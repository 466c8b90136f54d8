"""Small classifiers, and their registry for configs.

Inputs are used as they come (integers are cast to float32): scaling is the caller's, see
`jaxal.data`. Equal calls return the identical `Model`, so a compiled function that holds one is
found again in jit's cache.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxal.base import Model, Outputs
from jaxal.checks import check_integer, check_name, check_options, is_number
from jaxal.factories import cached_factory
from jaxal.models.linen import from_linen


def _lecun_normal(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
    """The numbers of `nn.initializers.lecun_normal()`, drawn as a vector.

    On a CPU XLA takes up to two seconds to compile random bits of a small last axis, as of [64,
    10], and a fifth of one for as many in a row.
    """
    *fan_in, _ = shape
    variance = jnp.array(1 / math.prod(fan_in), dtype)
    # The standard deviation of a normal distribution cut at two of them.
    deviation = jnp.sqrt(variance) / jnp.array(0.87962566103423978, dtype)
    numbers = jax.random.truncated_normal(key, -2, 2, (math.prod(shape),), dtype)
    return (numbers * deviation).reshape(tuple(shape))


class MLP(nn.Module):
    """See `mlp`."""

    num_classes: int
    hidden: tuple[int, ...]
    rate: float

    @nn.compact
    def __call__(self, inputs: jax.Array, *, dropout: bool = False) -> Outputs:
        features = _flatten(inputs.astype(jnp.float32))
        for width in self.hidden:
            features = nn.relu(nn.Dense(width, kernel_init=_lecun_normal)(features))
            features = nn.Dropout(self.rate, deterministic=not dropout)(features)
        return Outputs(nn.Dense(self.num_classes, kernel_init=_lecun_normal)(features), features)


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
        x = _as_images("cnn", inputs, 2 ** len(self.channels))
        window = (self.kernel_size, self.kernel_size)
        for width in self.channels:
            x = nn.Conv(width, window, use_bias=not self.batch_norm, kernel_init=_lecun_normal)(x)
            if self.batch_norm:
                x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
            x = nn.max_pool(nn.relu(x), (2, 2), (2, 2))
        x = nn.relu(nn.Dense(self.hidden, kernel_init=_lecun_normal)(_flatten(x)))
        features = nn.Dropout(self.rate, deterministic=not dropout)(x)
        return Outputs(nn.Dense(self.num_classes, kernel_init=_lecun_normal)(features), features)


class BayesianCNN(nn.Module):
    """See `bayesian_cnn`."""

    num_classes: int
    rate: float

    @nn.compact
    def __call__(self, inputs: jax.Array, *, dropout: bool = False) -> Outputs:
        x = _as_images("bayesian_cnn", inputs, 16)
        for width in (32, 64):
            convolution = nn.Conv(
                width,
                (5, 5),
                padding="VALID",
                conv_general_dilated=_convolve,
                kernel_init=_lecun_normal,
            )
            x = convolution(x)
            # Whole channels are dropped: one mask for all places.
            x = nn.Dropout(self.rate, (1, 2), deterministic=not dropout)(x)
            x = nn.relu(nn.max_pool(x, (2, 2), (2, 2)))
        x = nn.Dense(128, kernel_init=_lecun_normal)(_flatten(x))
        features = nn.relu(nn.Dropout(self.rate, deterministic=not dropout)(x))
        return Outputs(nn.Dense(self.num_classes, kernel_init=_lecun_normal)(features), features)


@cached_factory
def mlp(num_classes: int, *, hidden: Sequence[int] = (128,), dropout: float = 0.0) -> Model:
    """A multilayer perceptron with ReLU, and dropout after each hidden layer.

    Inputs [n, ...] are flattened to [n, D]. The features are the input of the last dense layer
    after dropout, that is what the layer saw: with a key they are random too.

    Args:
      num_classes: C, at least 2.
      hidden: width of each hidden layer; none gives `logistic`.
      dropout: the probability that a hidden unit is dropped, in [0, 1).

    Returns:
      A `Model`.

    Raises:
      TypeError: a width or count that is no integer.
      ValueError: an argument outside its range.

    Example:
      >>> inputs = jnp.ones((5, 4))
      >>> model = mlp(3, hidden=(16,), dropout=0.5)
      >>> variables = model.init(jax.random.key(0), inputs)
      >>> logits, features = model.apply(variables, inputs)
      >>> logits.shape, features.shape
      ((5, 3), (5, 16))
    """
    check_integer(2, num_classes=num_classes)
    _check_widths("hidden", hidden)
    _check_rate(dropout)
    return from_linen(MLP(num_classes, tuple(hidden), dropout))


def logistic(num_classes: int) -> Model:
    """Multinomial logistic regression; the features are the inputs, flattened to [n, D].

    Args:
      num_classes: C, at least 2.

    Returns:
      A `Model`.

    Raises:
      TypeError: a number of classes that is no integer.
      ValueError: fewer than 2 classes.
    """
    return mlp(num_classes, hidden=())


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
      num_classes: C, at least 2.
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
    check_integer(2, num_classes=num_classes)
    _check_widths("channels", channels)
    if not channels:
        raise ValueError("channels: expected at least one, got none")
    check_integer(1, kernel_size=kernel_size, hidden=hidden)
    _check_rate(dropout)
    widths = tuple(channels)
    return from_linen(CNN(num_classes, widths, kernel_size, hidden, dropout, bool(batch_norm)))


@cached_factory
def bayesian_cnn(num_classes: int, *, dropout: float = 0.5) -> Model:
    """The convolutional network of the papers on BALD: dropout after every layer but the last.

    Twice (5x5 convolution without padding, dropout of whole channels, 2x2 max-pooling, ReLU) with
    32 and 64 channels, a dense layer of 128 with dropout and ReLU, and the last dense layer, whose
    input are the features. Inputs are images as for `cnn`, with H and W of at least 16.

    Args:
      num_classes: C, at least 2.
      dropout: the probability that a channel or a unit is dropped, in [0, 1).

    Returns:
      A `Model`.

    Raises:
      TypeError: a width or count that is no integer.
      ValueError: an argument outside its range; or, from the model, inputs as for `cnn`.

    References:
      Kirsch et al., "BatchBALD", NeurIPS 2019, section 4.2.
    """
    check_integer(2, num_classes=num_classes)
    _check_rate(dropout)
    return from_linen(BayesianCNN(num_classes, dropout))


_FACTORIES: dict[str, Callable[..., Model]] = {
    "bayesian_cnn": bayesian_cnn,
    "cnn": cnn,
    "logistic": logistic,
    "mlp": mlp,
}


def names() -> tuple[str, ...]:
    """The names that `make` knows, sorted."""
    return tuple(sorted(_FACTORIES))


def make(name: str, num_classes: int, **hyper: Any) -> Model:
    """Makes a model by name, as a config gives it.

    Args:
      name: one of `names()`.
      num_classes: C, at least 2.
      **hyper: the keyword arguments of the function of that name; lists do for tuples.

    Returns:
      A `Model`.

    Raises:
      ValueError, TypeError: an unknown name or option, or as the function of that name.

    Example:
      >>> make("mlp", 10, hidden=[64]) is mlp(10, hidden=(64,))
      True
    """
    check_name("model", name, _FACTORIES)
    # The number of classes is the data's, no option: its parameter is bound.
    check_options("model", name, functools.partial(_FACTORIES[name], num_classes), hyper)
    return _FACTORIES[name](num_classes, **hyper)


def _convolve(inputs: jax.Array, kernel: jax.Array, *_: Any, **__: Any) -> jax.Array:
    """A convolution without padding or strides, as one product of matrices.

    On CPUs, XLA's own takes fifty times as long for a kernel's gradient inside a loop.
    """
    height, width = kernel.shape[:2]
    down, right = inputs.shape[1] - height + 1, inputs.shape[2] - width + 1
    patches = [inputs[:, i : i + down, j : j + right] for i in range(height) for j in range(width)]
    return jnp.concatenate(patches, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


def _as_images(name: str, inputs: jax.Array, smallest: int) -> jax.Array:
    """Images [n, H, W, C] as float32, of one channel if they say none."""
    images = inputs[..., None] if inputs.ndim == 3 else inputs
    if images.ndim != 4 or min(images.shape[1:3]) < smallest:
        raise ValueError(
            f"{name}: expected images [n, H, W, C] or [n, H, W] with H and W of at least "
            f"{smallest}, got {inputs.shape}"
        )
    return images.astype(jnp.float32)


def _flatten(inputs: jax.Array) -> jax.Array:
    return inputs.reshape(inputs.shape[0], math.prod(inputs.shape[1:]))


def _check_widths(name: str, values: Any) -> None:
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise TypeError(f"{name}: expected a list of integers, got {values!r}")
    for i, value in enumerate(values):
        check_integer(1, **{f"{name}[{i}]": value})


def _check_rate(dropout: float) -> None:
    if not is_number(dropout):
        raise TypeError(f"dropout: expected a number in [0, 1), got {dropout!r}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout: expected a number in [0, 1), got {dropout!r}")
