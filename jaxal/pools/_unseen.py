"""Sources inside a pytree, which compiled programs are not told of."""

import dataclasses
from typing import Any, TypeVar

import jax

from jaxal.checks import is_traced

T = TypeVar("T")


class Unseen:
    """What compiled programs are not told: all are alike to them, and share a program."""

    def __init__(self, value: Any, *, is_known: bool = True):
        self._value, self._is_known = value, is_known

    @property
    def value(self) -> Any:
        """What it stands for.

        Raises:
          TypeError: it came out of a compiled program, which may have been compiled with another.
        """
        if not self._is_known:
            raise TypeError(
                "pool: expected one as jaxal.pools returns, got what a compiled function returned, "
                "which does not know the rows' source; return what is new, and take the pool's own"
            )
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unseen)

    def __hash__(self) -> int:
        return 0


def register(kind: type[T]) -> type[T]:
    """Makes a dataclass with a field `sources`, an `Unseen`, a pytree.

    As `jax.tree_util.register_dataclass`, but that what is traced has no sources: a program that is
    used again would return those that it was compiled with.
    """
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    static = [field.name for field in fields if field.metadata.get("static")]
    data = [field.name for field in fields if not field.metadata.get("static")]
    keys = [jax.tree_util.GetAttrKey(name) for name in data]

    def flatten(pool: T) -> tuple[tuple, tuple]:
        leaves = tuple(getattr(pool, name) for name in data)
        told = {name: getattr(pool, name) for name in static}
        if is_traced(*leaves):
            told["sources"] = Unseen(None, is_known=False)
        return leaves, tuple(told.values())

    def flatten_with_keys(pool: T) -> tuple[tuple, tuple]:
        leaves, told = flatten(pool)
        return tuple(zip(keys, leaves, strict=True)), told

    def unflatten(told: tuple, leaves: Any) -> T:
        return kind(**dict(zip(data, leaves, strict=True)), **dict(zip(static, told, strict=True)))

    jax.tree_util.register_pytree_with_keys(kind, flatten_with_keys, unflatten, flatten)
    return kind
