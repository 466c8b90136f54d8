"""Set functions by name: made at once, or specified now and made when there is data."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax

from jaxal.checks import check_name
from jaxal.points.embedding import Points
from jaxal.submodular import concave, coverage, determinant, pairwise, sparse
from jaxal.submodular.declare import DECLARED, SHORT_NAMES, Declaration
from jaxal.submodular.function import SetFunction

# Each declares its functions when imported.
FAMILIES = (coverage, sparse, pairwise, determinant, concave)
FUNCTIONS: dict[str, Callable[..., SetFunction]] = {
    name: DECLARED[name].factory for name in SHORT_NAMES
}


@dataclass(frozen=True)
class FunctionSpec:
    """A set function by name with checked hyper-parameters; hashable, as strategies must be."""

    name: str
    hyper: tuple[tuple[str, Any], ...] = ()

    @property
    def declaration(self) -> Declaration:
        """What is known of the function."""
        return DECLARED[self.name]

    def make(
        self,
        features: Points,
        *,
        query: Points | None = None,
        private: Points | None = None,
        usable: jax.Array | None = None,
        private_usable: jax.Array | None = None,
        metric: str = "cosine",
        shifted: bool = False,
        key: jax.Array | None = None,
    ) -> SetFunction:
        """The set function over the rows of `features`; arguments and errors as `make`."""
        options: dict[str, Any] = dict(self.hyper) | {"usable": usable}
        for argument, value in (("query", query), ("private", private)):
            if (value is None) == (argument in self.declaration.examples):
                does = "needs" if value is None else "does not take"
                raise ValueError(f"{argument}: {self.name} {does} it")
            if value is not None:
                options[argument] = value
        if private is None and private_usable is not None:
            raise ValueError(f"private_usable: {self.name} has no private examples")
        if private is not None:
            options["private_usable"] = private_usable
        if self.declaration.similar:
            options |= {"metric": metric, "shifted": shifted}
        if self.declaration.samples:
            options["key"] = key
        return self.declaration.factory(features, **options)


def names() -> tuple[str, ...]:
    """The names that `make` takes, the full names of the abbreviated ones aside."""
    return tuple(SHORT_NAMES)


def specify(name: str, *, known: tuple[str, ...] = (), **hyper: Any) -> FunctionSpec:
    """A set function to be made later, its name and hyper-parameters checked now.

    Args:
      name: as `make`.
      known: further options to name where one is unknown.
      **hyper: as `make`; None is the function's own default.

    Returns:
      `FunctionSpec`; equal arguments give equal ones.

    Raises:
      ValueError: unknown name or hyper-parameter, or a value out of range.

    >>> specify("graph_cut", trade_off=0.4)
    FunctionSpec(name='graph_cut', hyper=(('trade_off', 0.4),))
    """
    check_name("function", name, DECLARED)
    given = {
        option: tuple(value) if isinstance(value, list) else value
        for option, value in sorted(hyper.items())
        if value is not None
    }
    DECLARED[name].check(name, given, known=known)
    return FunctionSpec(name, tuple(given.items()))


def make(
    name: str,
    features: Points,
    *,
    query: Points | None = None,
    private: Points | None = None,
    usable: jax.Array | None = None,
    private_usable: jax.Array | None = None,
    metric: str = "cosine",
    shifted: bool = False,
    key: jax.Array | None = None,
    **hyper: Any,
) -> SetFunction:
    """A set function over the rows of `features`, by name.

    Args:
      name: one of `names()`, or the full name of one abbreviated there.
      features: [N, D], or an `Embedding` of N rows for functions of similarities.
      query: [M, D] or as `features`, examples like those wanted, for the functions that take them.
      private: [M, D] or as `features`, examples like those to avoid, for the functions that take
        them.
      usable: [N] bool, the rows that exist: others enter no sum, and their gain is -inf, as is that
        of rows that are not finite. All if None.
      private_usable: a mask of the private examples that exist; all if None.
      metric: "cosine" or "euclidean"; without effect on functions that use no similarity.
      shifted: similarities (s + 1) / 2 in place of s; the same.
      key: PRNG key of the sample that functions with `targets` may sum over, consumed; without
        effect on others.
      **hyper: of the function: trade_off, ridge, concave, weights, eta, nu, targets,
        num_neighbours, neighbours.

    Returns:
      `SetFunction`, for `evaluate` and `maximize`.

    Raises:
      ValueError: unknown name or hyper-parameter, a query or private set missing or not taken, or
        as the function itself.

    >>> import jax.numpy as jnp
    >>> from jaxal.submodular import evaluate
    >>> function = make("graph_cut", jnp.eye(3), trade_off=0.25)
    >>> evaluate(function, jnp.array([0, 2])).item()
    1.5
    """
    function = specify(name, **hyper)
    return function.make(
        features,
        query=query,
        private=private,
        usable=usable,
        private_usable=private_usable,
        metric=metric,
        shifted=shifted,
        key=key,
    )
