"""Perceptrons, and classifiers that are linear in what they are given."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxal.base import Model, Outputs
from jaxal.checks import check_integer
from jaxal.factories import cached_factory
from jaxal.models.linen import from_linen
from jaxal.models.zoo.layers import Layers, Settings, check_settings, check_widths, flatten


class MLP(nn.Module):
    """See `mlp`."""

    settings: Settings
    hidden: tuple[int, ...]

    @nn.compact
    def __call__(self, inputs: jax.Array, *, dropout: bool = False) -> Outputs:
        layers = Layers(self.settings, dropout=dropout)
        x = flatten(inputs.astype(self.settings.dtype))
        for width in self.hidden:
            x = nn.relu(layers.dense(width)(x))
            x = layers.drop(self.settings.dropout)(x)
        return layers.last(x)


class Linear(nn.Module):
    """See `linear`."""

    settings: Settings

    @nn.compact
    def __call__(self, inputs: jax.Array, *, dropout: bool = False) -> Outputs:
        if inputs.ndim != 2:
            raise ValueError(f"linear: expected features [n, D], got {inputs.shape}")
        outputs = Layers(self.settings, dropout=dropout).head(inputs)
        if inputs.dtype not in (jnp.bfloat16, jnp.float16):
            return outputs
        # Features of a large pool are kept as narrow as they came, and not copied.
        features = outputs.features.astype(inputs.dtype) if dropout else inputs
        return outputs._replace(features=features)


@cached_factory
def mlp(
    num_classes: int,
    *,
    hidden: Sequence[int] = (128,),
    dropout: float = 0.0,
    dtype: str = "float32",
) -> Model:
    """A multilayer perceptron with ReLU, and dropout after each hidden layer.

    Inputs [n, ...] are flattened to [n, D]. The features are the input of the last dense layer
    after dropout, that is what the layer saw: with a key they are random too.

    Args:
      num_classes: C; 1 makes a regression, whose one output is what is predicted.
      hidden: width of each hidden layer; none gives `logistic`.
      dropout: the probability that a hidden unit is dropped, in [0, 1).
      dtype: of the computation, "float32" or "bfloat16"; parameters, logits and features are
        float32.

    Returns:
      A `Model`.

    Raises:
      TypeError: an argument of another kind.
      ValueError: an argument outside its range.

    Example:
      >>> inputs = jax.numpy.ones((5, 4))
      >>> model = mlp(3, hidden=(16,), dropout=0.5)
      >>> variables = model.init(jax.random.key(0), inputs)
      >>> logits, features = model.apply(variables, inputs)
      >>> logits.shape, features.shape
      ((5, 3), (5, 16))
    """
    settings = check_settings(num_classes, dropout, dtype)
    check_widths("hidden", hidden)
    return from_linen(MLP(settings, tuple(hidden)))


def logistic(num_classes: int) -> Model:
    """Multinomial logistic regression; the features are the inputs, flattened to [n, D].

    Args:
      num_classes: C; 1 makes a regression, whose one output is what is predicted.

    Returns:
      A `Model`.

    Raises:
      TypeError: a number of classes that is no integer.
      ValueError: fewer than 1.
    """
    return mlp(num_classes, hidden=())


@cached_factory
def linear(num_classes: int, *, dropout: float = 0.0) -> Model:
    """A last dense layer alone, on features [n, D] that an encoder has made beforehand.

    As `logistic`, but for dropout and for other inputs, which are refused in place of flattened.
    Features of bfloat16 or float16 stay so; the layer computes in float32.

    Args:
      num_classes: C; 1 makes a regression, whose one output is what is predicted.
      dropout: the probability that a feature is dropped, in [0, 1).

    Returns:
      A `Model`.

    Raises:
      TypeError: an argument of another kind.
      ValueError: an argument outside its range; or, from the model, inputs of another rank.
    """
    return from_linen(Linear(check_settings(num_classes, dropout)))


def two_layer_net(
    num_classes: int, *, hidden_units: int = 100, dropout: float = 0.0, dtype: str = "float32"
) -> Model:
    """One hidden layer with ReLU, the `mlp` that DISTIL calls so; features [n, hidden_units].

    Args:
      num_classes: C; 1 makes a regression, whose one output is what is predicted.
      hidden_units: width of the hidden layer, D.
      dropout: as for `mlp`.
      dtype: as for `mlp`.

    Returns:
      A `Model`.

    Raises:
      TypeError: an argument of another kind.
      ValueError: an argument outside its range.
    """
    check_integer(1, hidden_units=hidden_units)
    return mlp(num_classes, hidden=(hidden_units,), dropout=dropout, dtype=dtype)
