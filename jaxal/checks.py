"""Checks made where a public function is entered, in one wording: what was expected, what came."""

import contextlib
import difflib
import inspect
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from jaxal.base import PyTree


def nearest(name: str, known: Iterable[str]) -> str:
    """The tail of an error message about an unknown name: a suggestion and the valid names."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}valid names: {', '.join(known)}"


def check_name(option: str, name: str, known: Iterable[str]) -> None:
    """Raises, with the nearest of the known names, unless the option has one of them."""
    if not isinstance(name, str):
        raise TypeError(f"{option}: expected one of {', '.join(sorted(known))}, got {name!r}")
    if name not in known:
        raise ValueError(f"{option}: {name!r} is unknown; {nearest(name, known)}")


def check_options(kind: str, name: str, factory: Callable[..., Any], hyper: Mapping) -> None:
    """Raises ValueError, with the nearest option, unless a named factory takes all of `hyper`.

    Args:
      kind: what the factory makes, for the message, as in "strategy".
      name: the factory's.
      factory: whose parameters are the options.
      hyper: option -> value.
    """
    options = inspect.signature(factory).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in options.values()):
        return  # the factory hands them on to what knows them
    for option in hyper:
        if option not in options:
            known = nearest(option, options) if options else "it has none"
            raise ValueError(f"{kind} {name}: option {option!r} is unknown; {known}")


def check_like_default(option: str, given: Any, default: Any) -> None:
    """Raises TypeError unless an option is of the kind of its default: a flag or a number.

    So no string is taken as true, no boolean as 1, and no NaN as a number. Other kinds of defaults
    say nothing, and an option that is left as it is needs no check.
    """
    if given is default:
        return
    if isinstance(default, bool):
        check_flag(**{option: given})
    elif isinstance(default, int):
        _check_is_integer(option, given)
    elif isinstance(default, float):
        _check_is_number(option, given, "a number")


def is_array(value: Any) -> bool:
    """Whether a value is an array of JAX or NumPy."""
    return isinstance(value, jax.Array | np.ndarray)


_ADAPTERS = {
    "equinox": "from_equinox",
    "flax.linen": "from_linen",
    "flax.nnx": "from_nnx",
    "haiku": "from_functions",
    "torch": "from_functions",
}


def _library(value: Any) -> str | None:
    """The library of `_ADAPTERS` that a module, or a class of modules, is of."""
    kinds = type(value).__mro__ + (value.__mro__ if isinstance(value, type) else ())
    for kind in kinds:
        for library in _ADAPTERS:
            if f"{kind.__module__}.".startswith(f"{library}."):
                return library
    return None


def adapter_hint(value: Any) -> str:
    """Which function of `jaxal.models` takes a module of another library; "" if none is known."""
    library = _library(value)
    return f"; jaxal.models.{_ADAPTERS[library]} makes one of {library}'s" if library else ""


def is_of_other_library(value: Any, library: str) -> bool:
    """Whether a value is a module of a library that is not this one; a class is none."""
    return not isinstance(value, type) and _library(value) not in (None, library)


def describe(value: Any) -> str:
    """What a value is, in few words, for messages."""
    if is_array(value):
        return f"{value.dtype} array of shape {tuple(value.shape)}"
    if isinstance(value, tuple | list):
        return f"{type(value).__name__} of {len(value)}"
    return getattr(value, "__name__", type(value).__name__)


def check_rank(name: str, array: Any, rank: int, shape: str) -> None:
    """Raises unless `array` is one and has `rank` axes; `shape` says them, as in "[N, C]"."""
    if not is_array(array):
        raise TypeError(f"{name}: expected an array {shape}, got {describe(array)}")
    if array.ndim != rank:
        raise ValueError(f"{name}: expected shape {shape}, got {tuple(array.shape)}")
    if not _holds_numbers(array):
        raise TypeError(f"{name}: expected an array of numbers, got dtype {array.dtype}")


def as_numbers(name: str, values: Any, shape: str) -> jax.Array:
    """The values as an array of JAX, lists of numbers too; refuses whatever else is no array."""
    is_list = isinstance(values, list | tuple) and all(
        is_number(value) or isinstance(value, bool) for value in jax.tree.leaves(values)
    )
    if not (is_array(values) or is_list or is_number(values)):
        raise TypeError(f"{name}: expected an array {shape}, got {describe(values)}")
    if is_array(values) and not _holds_numbers(values):
        raise TypeError(f"{name}: expected an array of numbers, got {describe(values)}")
    try:
        return jnp.asarray(values)
    except (TypeError, ValueError):
        raise ValueError(
            f"{name}: expected an array {shape}, got lists that differ in length"
        ) from None


def _holds_numbers(array: Any) -> bool:
    return jnp.issubdtype(array.dtype, jnp.number) or array.dtype == bool


def check_mask(name: str, mask: Any, rows: int | None = None) -> None:
    """Raises unless `mask` is an array [N] bool, of `rows` entries if that is given."""
    check_rank(name, mask, 1, "[N]")
    if mask.dtype != bool:
        raise TypeError(f"{name}: expected a mask [N] bool, got dtype {mask.dtype}")
    if rows is not None and len(mask) != rows:
        raise ValueError(f"{name}: expected {rows} rows, got {len(mask)}")


def check_rows(**arrays: jax.Array) -> None:
    """Raises ValueError unless all arrays agree in their leading axis."""
    rows = {name: array.shape[0] for name, array in arrays.items()}
    if len(set(rows.values())) > 1:
        counts = ", ".join(f"{name} has {count}" for name, count in rows.items())
        raise ValueError(f"leading axes must agree: {counts}")


def check_some_like(features: jax.Array, **others: jax.Array) -> None:
    """Raises ValueError unless others [M, D] are one at least, and as wide as features [N, D]."""
    for name, array in others.items():
        if not array.shape[0]:
            raise ValueError(f"{name}: expected at least one, got shape {tuple(array.shape)}")
        if array.shape[1] != features.shape[1]:
            raise ValueError(
                f"{name}: expected {features.shape[1]} features, as the pool has, "
                f"got {array.shape[1]}"
            )


def as_integers(name: str, values: Any, shape: str = "[B]") -> np.ndarray:
    """The values of a vector of integers, an array or a list; refuses other types and ranks."""
    is_empty = isinstance(values, list | tuple) and not values  # which NumPy calls floats
    array = np.zeros(0, int) if is_empty else np.asarray(values)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise TypeError(f"{name}: expected integers {shape}, got {describe(array)}")
    if array.ndim != 1:
        raise ValueError(f"{name}: expected integers {shape}, got {describe(array)}")
    return array


def check_key(key: Any) -> None:
    """Raises unless `key` is one PRNG key of JAX, new or old style."""
    expected = "key: expected a PRNG key, as jax.random.key(0) gives"
    if not isinstance(key, jax.Array):
        raise TypeError(f"{expected}, got {key!r}")
    is_typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if not is_typed and key.dtype != jnp.uint32:
        raise TypeError(f"{expected}, got {describe(key)}")
    if key.ndim != (0 if is_typed else 1):
        raise ValueError(f"{expected}, got {describe(key)}")


def check_budget(budget: int, rows: int) -> None:
    """Raises unless `budget` is an integer from 1 to the number of pool rows."""
    _check_is_integer("budget", budget)
    if not 1 <= budget <= rows:
        raise ValueError(f"budget: expected 1 to {rows} (the rows of the pool), got {budget}")


def check_positive(**numbers: float) -> None:
    """Raises unless each is a finite number above zero."""
    for name, number in numbers.items():
        _check_is_number(name, number, "a number above 0")
        if not is_traced(number) and not 0 < number < math.inf:
            raise ValueError(f"{name}: expected a number above 0, got {number!r}")


def check_at_least(minimum: float, **numbers: float) -> None:
    """Raises unless each is a finite number of at least `minimum`."""
    for name, number in numbers.items():
        _check_is_number(name, number, f"a finite number >= {minimum}")
        if not is_traced(number) and not minimum <= number < math.inf:
            raise ValueError(f"{name}: expected a finite number >= {minimum}, got {number!r}")


def check_fraction(**numbers: float) -> None:
    """Raises unless each is a number between 0 and 1, both excluded."""
    for name, number in numbers.items():
        _check_is_number(name, number, "a number in (0, 1)")
        if not is_traced(number) and not 0 < number < 1:
            raise ValueError(f"{name}: expected a number in (0, 1), got {number!r}")


def check_finite(**numbers: float) -> None:
    """Raises unless each is a finite number, of either sign."""
    for name, number in numbers.items():
        _check_is_number(name, number, "a finite number")
        if not is_traced(number) and not -math.inf < number < math.inf:
            raise ValueError(f"{name}: expected a finite number, got {number!r}")


def check_whole(**numbers: int) -> None:
    """Raises TypeError unless each is an integer, NumPy's included."""
    for name, number in numbers.items():
        _check_is_integer(name, number)


def check_integer(minimum: int, **numbers: int) -> None:
    """Raises unless each number is an integer, NumPy's included, of at least `minimum`."""
    for name, number in numbers.items():
        _check_is_integer(name, number)
        if not number >= minimum:
            raise ValueError(f"{name}: expected an integer >= {minimum}, got {number!r}")


def check_flag(**flags: bool) -> None:
    """Raises TypeError unless each is True or False: a string such as "no" would count as true."""
    for name, flag in flags.items():
        if not isinstance(flag, bool | np.bool_):
            raise TypeError(f"{name}: expected True or False, got {_shown(flag)}")


def is_integer(number: Any) -> bool:
    """Whether a value is an integer of Python or NumPy. An array is none: it cannot be hashed."""
    return isinstance(number, int | np.integer) and not isinstance(number, bool)


def is_number(number: Any) -> bool:
    """Whether a value is a real number, or an array of one without axes; a boolean is none."""
    if is_array(number) and number.ndim == 0:
        return jnp.issubdtype(number.dtype, jnp.number) and not jnp.iscomplexobj(number)
    return isinstance(number, float | np.floating) or is_integer(number)


def _check_is_integer(name: str, number: Any) -> None:
    if not is_integer(number):
        raise TypeError(f"{name}: expected an integer, got {_shown(number)}")


def _check_is_number(name: str, number: Any, expected: str) -> None:
    if not is_number(number):
        raise TypeError(f"{name}: expected {expected}, got {_shown(number)}")
    if not is_traced(number) and number != number:
        raise ValueError(f"{name}: expected {expected}, got {number!r}")


def _shown(value: Any) -> str:
    """A value as it is, unless it is an array, which may be long."""
    return describe(value) if is_array(value) else repr(value)


def is_traced(*trees: PyTree) -> bool:
    """Whether any leaf is a tracer, so that its values cannot be looked at."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree_util.tree_leaves(trees))


@contextlib.contextmanager
def seeing_values() -> Iterator[None]:
    """Inside, operations on arrays that are no tracers give values, within a `jit` too."""
    # Only there: what is compiled under this setting is compiled for it alone.
    traced = is_traced(jnp.zeros(()))
    with jax.ensure_compile_time_eval() if traced else contextlib.nullcontext():
        yield


def is_key(leaf: Any) -> bool:
    """Whether it is an array of typed random keys."""
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
