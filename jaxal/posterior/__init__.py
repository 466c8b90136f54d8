"""Posteriors: draws of a model for Bayesian strategies, as in `bald(posterior=mc_dropout(20))`."""

from collections.abc import Callable
from typing import Any

from jaxal.checks import check_name, check_options
from jaxal.posterior.draws import Draws, Posterior
from jaxal.posterior.dropout import mc_dropout
from jaxal.posterior.ensemble import deep_ensemble
from jaxal.posterior.laplace import last_layer_laplace
from jaxal.posterior.variational import variational_last_layer

__all__ = [
    "Draws",
    "Posterior",
    "deep_ensemble",
    "last_layer_laplace",
    "make",
    "mc_dropout",
    "names",
    "variational_last_layer",
]

_FACTORIES: dict[str, Callable[..., Posterior]] = {
    "deep_ensemble": deep_ensemble,
    "last_layer_laplace": last_layer_laplace,
    "mc_dropout": mc_dropout,
    "variational_last_layer": variational_last_layer,
}


def names() -> tuple[str, ...]:
    """The names that `make` knows, sorted."""
    return tuple(sorted(_FACTORIES))


def make(name: str, **hyper: Any) -> Posterior:
    """The posterior of that name with the given hyper-parameters, as a config gives them.

    Args:
      name: one of `names()`.
      **hyper: options of the function of that name.

    Returns:
      A `Posterior`; equal calls return the identical one.

    Raises:
      ValueError: unknown name or option; suggests the nearest.

    Example:
      >>> make("mc_dropout", num_draws=10) is mc_dropout(10)
      True
    """
    check_name("posterior", name, _FACTORIES)
    check_options("posterior", name, _FACTORIES[name], hyper)
    return _FACTORIES[name](**hyper)
