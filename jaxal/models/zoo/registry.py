"""The registry of models, for configs."""

import functools
from collections.abc import Callable
from typing import Any

from jaxal.base import Model
from jaxal.checks import check_name, check_options
from jaxal.models.zoo.cnn import bayesian_cnn, cnn
from jaxal.models.zoo.dense import densenet121
from jaxal.models.zoo.lenet import cifar_net, lenet, mnist_net
from jaxal.models.zoo.mobile import mobilenet_v2
from jaxal.models.zoo.perceptron import linear, logistic, mlp, two_layer_net
from jaxal.models.zoo.residual import (
    preact_resnet18,
    resnet18,
    resnet34,
    resnet50,
    wide_resnet_28_10,
)
from jaxal.models.zoo.text import transformer
from jaxal.models.zoo.vgg import vgg11, vgg16, vgg19

_FACTORIES: dict[str, Callable[..., Model]] = {
    factory.__name__: factory
    for factory in (
        bayesian_cnn,
        cifar_net,
        cnn,
        densenet121,
        lenet,
        linear,
        logistic,
        mlp,
        mnist_net,
        mobilenet_v2,
        preact_resnet18,
        resnet18,
        resnet34,
        resnet50,
        transformer,
        two_layer_net,
        vgg11,
        vgg16,
        vgg19,
        wide_resnet_28_10,
    )
}


def names() -> tuple[str, ...]:
    """The names that `make` knows, sorted."""
    return tuple(sorted(_FACTORIES))


def make(name: str, num_classes: int, **hyper: Any) -> Model:
    """Makes a model by name, as a config gives it.

    Args:
      name: one of `names()`.
      num_classes: C; 1 makes a regression, whose one output is what is predicted.
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
