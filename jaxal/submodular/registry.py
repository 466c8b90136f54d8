"""Set functions by name."""

import inspect
from collections.abc import Callable
from typing import Any

from jaxal.checks import check_name, nearest
from jaxal.points.similarity import Features
from jaxal.submodular import concave, coverage, determinant, pairwise
from jaxal.submodular.function import SetFunction

FUNCTIONS: dict[str, Callable[..., SetFunction]] = {
    "facility_location": coverage.facility_location,
    "graph_cut": pairwise.graph_cut,
    "log_determinant": determinant.log_determinant,
    "feature_based": concave.feature_based,
    "disparity_min": pairwise.disparity_min,
    "disparity_sum": pairwise.disparity_sum,
    "set_cover": coverage.set_cover,
    "probabilistic_set_cover": coverage.probabilistic_set_cover,
    "fl1mi": coverage.facility_location_mutual_information,
    "fl2mi": coverage.facility_location_variant_mutual_information,
    "gcmi": concave.graph_cut_mutual_information,
    "logdetmi": determinant.log_determinant_mutual_information,
    "com": concave.concave_over_modular,
    "flcg": coverage.facility_location_conditional_gain,
    "gccg": pairwise.graph_cut_conditional_gain,
    "logdetcg": determinant.log_determinant_conditional_gain,
    "flcmi": coverage.facility_location_conditional_mutual_information,
    "logdetcmi": determinant.log_determinant_conditional_mutual_information,
}


def names() -> list[str]:
    """The names that `make` takes, the full names of the abbreviated ones aside."""
    return list(FUNCTIONS)


def make(
    name: str,
    features: Features,
    *,
    query: Features | None = None,
    private: Features | None = None,
    metric: str = "cosine",
    shifted: bool = False,
    **hyper: Any,
) -> SetFunction:
    """A set function over the rows of `features`, by name.

    Args:
      name: one of `names()`, or the full name of one abbreviated there.
      features: [N, D], or a `GradientEmbedding` for functions of similarities.
      query: examples like those wanted, for the functions that take them.
      private: examples like those to avoid, for the functions that take them.
      metric: "cosine" or "euclidean"; without effect on functions that use no similarity.
      shifted: similarities (s + 1) / 2 in place of s; the same.
      **hyper: of the function: trade_off, ridge, concave, weights, eta, nu.

    Returns:
      `SetFunction`, for `evaluate` and `maximize`.

    Raises:
      ValueError: unknown name or hyper-parameter, a query or private set missing or not taken, or as the
        function itself.

    >>> import jax.numpy as jnp
    >>> from jaxal.submodular import evaluate
    >>> function = make("graph_cut", jnp.eye(3), trade_off=0.25)
    >>> evaluate(function, jnp.array([0, 2])).item()
    1.5
    """
    known = {factory.__name__: factory for factory in FUNCTIONS.values()} | FUNCTIONS
    check_name("name", name, known)
    taken = inspect.signature(known[name]).parameters
    common = {"query", "private", "metric", "shifted"}
    for given in hyper:
        own = set(taken) - common - {"features"}
        if given not in own:
            raise ValueError(f"{given}: {name} does not take it; {nearest(given, own)}")
    for argument, value in (("query", query), ("private", private)):
        if (value is None) == (argument in taken):
            does = "needs" if value is None else "does not take"
            raise ValueError(f"{argument}: {name} {does} it")
        if value is not None:
            hyper[argument] = value
    if "metric" in taken:
        hyper |= {"metric": metric, "shifted": shifted}
    return known[name](features, **hyper)
