"""Checks of values, made on the host before anything is compiled; not for use inside jit."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxal.base import PyTree
from jaxal.checks import check_flag, check_integer, describe, is_array, seeing_values
from jaxal.numerics import are_targets

LARGEST_LABEL = 2**31 - 1  # labels are kept as int32


def check(
    examples: tuple[PyTree, Any],
    num_classes: int | None = None,
    name: str = "pool",
    *,
    allow_unknown: bool = False,
) -> None:
    """Checks that examples can be trained on and selected from.

    Args:
      examples: `Examples` or a pair (inputs, labels); inputs are any pytree of jax or numpy arrays
        [N, ...], labels integers [N], the targets of a regression, floats [N], or None to check
        the inputs alone.
      num_classes: C, if known; 1 is a regression.
      name: what the examples are, for the messages.
      allow_unknown: whether a label may be -1, a target NaN, for unknown.

    Raises:
      TypeError: no pair, an input that is not an array of numbers, labels that are no array of
        numbers, classes for a regression, or targets for a classification.
      ValueError: no arrays, no rows, leading axes that differ, labels that are not [N], a NaN or
        infinite input, one that JAX's type cannot hold (1e300 where float64 becomes float32), or a
        label outside [0, C). Names the array, and the first row that is wrong.

    Example:
      >>> check((np.ones((3, 2)), np.array([0, 1, 5])), num_classes=2)
      Traceback (most recent call last):
          ...
      ValueError: pool labels: expected 0 to 1, got 5 at row 2
    """
    if num_classes is not None:
        check_integer(1, num_classes=num_classes)
    check_flag(allow_unknown=allow_unknown)
    check_structure(examples, name)
    check_rows(examples, num_classes, name, allow_unknown=allow_unknown)


def check_rows(
    examples: tuple[PyTree, Any],
    num_classes: int | None,
    name: str,
    *,
    allow_unknown: bool,
    first: int = 0,
) -> None:
    """The part of `check` that looks at values; of rows that are numbered from `first` on."""
    inputs, labels = examples
    with seeing_values():
        for where, array in _by_name(inputs, name).items():
            _check_values(array, where, first)
        if labels is not None:
            where = f"{name} labels"
            check_labels(labels, num_classes, where, allow_unknown=allow_unknown, first=first)


def check_structure(examples: tuple[PyTree, Any], name: str = "pool") -> None:
    """The part of `check` that looks at types and shapes alone."""
    if not (isinstance(examples, tuple | list) and len(examples) == 2):
        raise TypeError(f"{name}: expected a pair (inputs, labels), got {describe(examples)}")
    inputs, labels = examples
    arrays = _by_name(inputs, name)
    if not arrays:
        raise ValueError(f"{name} inputs: expected at least one array, got none")
    for where, array in arrays.items():
        if not is_array(array) or array.ndim == 0:
            raise TypeError(f"{where}: expected an array [N, ...], got {describe(array)}")
        if not (jnp.issubdtype(array.dtype, jnp.number) or array.dtype == bool):
            raise TypeError(f"{where}: expected numbers, got {describe(array)}")
    if labels is None:
        _check_row_counts(arrays)
    else:
        _check_labels_type(labels, f"{name} labels")
        _check_row_counts({**arrays, f"{name} labels": labels})


def _by_name(inputs: PyTree, name: str) -> dict[str, Any]:
    return {
        f"{name} inputs{jax.tree_util.keystr(path)}": leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(inputs)
    }


def check_labeled(name: str, examples: Any) -> None:
    """`check_structure` of examples that have to have labels; a check of `jaxal.entry`."""
    check_targeted(name, examples)
    _refuse_targets(examples[1], f"{name} labels")


def check_targeted(name: str, examples: Any) -> None:
    """The same, where the labels may be the targets of a regression as well."""
    check_structure(examples, name)
    if examples[1] is None:
        raise TypeError(f"{name} labels: expected integers [N], got None")


def _refuse_targets(labels: Any, where: str) -> None:
    """Raises TypeError if labels are the targets of a regression."""
    if are_targets(labels):
        raise TypeError(f"{where}: expected integers [N], got {describe(labels)}")


def check_labels(
    labels: Any,
    num_classes: int | None,
    name: str,
    *,
    allow_unknown: bool = False,
    first: int = 0,
) -> None:
    """Raises ValueError unless an integer array [N] holds labels in [0, C), or -1 if allowed.

    Or, where C is 1 or not known, unless targets are finite numbers, or NaN if allowed. Messages
    count rows from `first` on.
    """
    check_task(labels, num_classes, name)
    if are_targets(labels):
        _check_targets(labels, name, allow_unknown, first)
        return
    smallest = -1 if allow_unknown else 0
    outside = labels < smallest
    # Compared in the labels' own type, which need not hold so large a number.
    largest = LARGEST_LABEL if num_classes is None else num_classes - 1
    if largest < jnp.iinfo(labels.dtype).max:
        outside = outside | (labels > largest)
    if outside.any():
        row = int(outside.argmax())
        got = int(labels[row])
        last = "C - 1" if num_classes is None and got < 0 else largest
        raise ValueError(f"{name}: expected {smallest} to {last}, got {got} at row {first + row}")


def check_task(labels: Any, num_classes: int | None, name: str) -> None:
    """Raises TypeError for targets where there are classes, and for classes in a regression.

    Args:
      labels: [N], integers or floats.
      num_classes: C, 1 in a regression; None: it is not known.
      name: what the labels are, for the messages.
    """
    if num_classes is None or are_targets(labels) == (num_classes == 1):
        return
    expected = f"integers [N], as the model has {num_classes} classes"
    if num_classes == 1:
        expected = "floats [N], as the model has one output, which makes a regression"
    raise TypeError(f"{name}: expected {expected}, got {describe(labels)}")


def _check_targets(targets: Any, name: str, allow_unknown: bool, first: int) -> None:
    """Raises ValueError unless targets [N] are numbers that float32 holds, or NaN if allowed."""
    library = _library(targets)
    good = library.abs(targets) <= jnp.finfo(jnp.float32).max
    if allow_unknown:
        good = good | library.isnan(targets)
    if not good.all():
        row = int((~good).argmax())
        raise ValueError(
            f"{name}: expected finite numbers within float32, got {float(targets[row])} at row "
            f"{first + row}"
        )


def num_classes(labels: Any) -> int:
    """The number of classes that labels imply: one more than the largest.

    Args:
      labels: integers [N]; -1 where unknown.

    Returns:
      C.

    Raises:
      TypeError: not an integer array.
      ValueError: not [N], or every label is unknown.

    Example:
      >>> num_classes(np.array([0, 2, -1, 1]))
      3
    """
    _check_labels_type(labels, "labels")
    _refuse_targets(labels, "labels")
    largest = int(labels.max()) if labels.shape[0] else -1
    if largest < 0:
        raise ValueError("labels: expected at least one known label, got none")
    return largest + 1


def _check_labels_type(labels: Any, where: str) -> None:
    dtype = labels.dtype if is_array(labels) else None
    is_number = dtype is not None and any(
        jnp.issubdtype(dtype, kind) for kind in (jnp.integer, jnp.floating)
    )
    if not is_number:
        raise TypeError(f"{where}: expected integers [N], got {describe(labels)}")
    if labels.ndim != 1:
        several = ", as a regression has one target a row" if are_targets(labels) else ""
        raise ValueError(f"{where}: expected shape [N]{several}, got {tuple(labels.shape)}")


def _check_row_counts(arrays: dict[str, Any]) -> None:
    rows = {where: array.shape[0] for where, array in arrays.items()}
    if len(set(rows.values())) > 1:
        said = ", ".join(f"{where} has {count}" for where, count in rows.items())
        raise ValueError(f"leading axes must agree: {said}")
    first, count = next(iter(rows.items()))
    if count == 0:
        raise ValueError(f"{first}: expected at least one row, got none")


def _check_values(array: Any, where: str, first: int) -> None:
    """Refuses NaN, infinities, and what changes in the cast to the type that JAX keeps."""
    kept = jax.dtypes.canonicalize_dtype(array.dtype)
    if jnp.issubdtype(array.dtype, jnp.inexact):
        good, problem = _library(array).isfinite(array), "finite numbers, got NaN or inf"
        if good.all() and kept != array.dtype:
            good = np.abs(array) <= jnp.finfo(kept).max
            problem = f"numbers within {kept}, got a larger one"
    elif kept != array.dtype:
        limits = jnp.iinfo(kept)
        good = (array >= limits.min) & (array <= limits.max)
        problem = f"numbers within {kept}, got a larger one"
    else:
        return
    if not good.all():
        row = int((~good).reshape(len(good), -1).any(axis=1).argmax())
        raise ValueError(f"{where}: expected {problem} at row {first + row}")


def _library(array: Any) -> Any:
    # Arrays of a device are reduced there, and one number is copied in place of the whole.
    return jnp if isinstance(array, jax.Array) else np
