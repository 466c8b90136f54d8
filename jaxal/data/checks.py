"""Checks of values, made on the host before anything is compiled; not for use inside jit."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxal.base import PyTree


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
        [N, ...], labels integers [N], or None to check the inputs alone.
      num_classes: C, if known.
      name: what the examples are, for the messages.
      allow_unknown: whether a label may be -1, for unknown.

    Raises:
      TypeError: an input that is not an array, or labels that are not an integer array.
      ValueError: no arrays, no rows, leading axes that differ, labels that are not [N], a NaN or
        infinite input, or a label outside [0, C). Names the array, and the first row that is wrong.

    Example:
      >>> check((np.ones((3, 2)), np.array([0, 1, 5])), num_classes=2)
      Traceback (most recent call last):
          ...
      ValueError: pool labels: expected 0 to 1, got 5 at row 2
    """
    inputs, labels = examples
    arrays = {
        f"{name} inputs{jax.tree_util.keystr(path)}": leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(inputs)
    }
    if not arrays:
        raise ValueError(f"{name} inputs: expected at least one array, got none")
    for where, array in arrays.items():
        if not hasattr(array, "dtype") or array.ndim == 0:
            got = type(array).__name__
            raise TypeError(f"{where}: expected an array [N, ...], got {got}")
    if labels is not None:
        where = f"{name} labels"
        arrays[where] = labels
        _check_labels_type(labels, where)
    _check_row_counts(arrays)
    for where, array in arrays.items():
        _check_finite(array, where)
    if labels is not None:
        _check_label_range(labels, num_classes, f"{name} labels", allow_unknown)


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
    largest = int(labels.max()) if labels.shape[0] else -1
    if largest < 0:
        raise ValueError("labels: expected at least one known label, got none")
    return largest + 1


def _check_labels_type(labels: Any, where: str) -> None:
    dtype = getattr(labels, "dtype", None)
    if dtype is None or not jnp.issubdtype(dtype, jnp.integer):
        got = type(labels).__name__ if dtype is None else f"dtype {dtype}"
        raise TypeError(f"{where}: expected integers [N], got {got}")
    if labels.ndim != 1:
        raise ValueError(f"{where}: expected shape [N], got {tuple(labels.shape)}")


def _check_row_counts(arrays: dict[str, Any]) -> None:
    rows = {where: array.shape[0] for where, array in arrays.items()}
    if len(set(rows.values())) > 1:
        said = ", ".join(f"{where} has {count}" for where, count in rows.items())
        raise ValueError(f"leading axes must agree: {said}")
    first, count = next(iter(rows.items()))
    if count == 0:
        raise ValueError(f"{first}: expected at least one row, got none")


def _check_finite(array: Any, where: str) -> None:
    if not jnp.issubdtype(array.dtype, jnp.inexact):
        return
    finite = _library(array).isfinite(array)
    if not finite.all():
        row = int((~finite).reshape(len(finite), -1).any(axis=1).argmax())
        raise ValueError(f"{where}: expected finite numbers, got NaN or inf at row {row}")


def _check_label_range(
    labels: Any, num_classes: int | None, where: str, allow_unknown: bool
) -> None:
    smallest = -1 if allow_unknown else 0
    outside = labels < smallest
    if num_classes is not None:
        outside = outside | (labels >= num_classes)
    if outside.any():
        row = int(outside.argmax())
        last = "C - 1" if num_classes is None else num_classes - 1
        raise ValueError(
            f"{where}: expected {smallest} to {last}, got {int(labels[row])} at row {row}"
        )


def _library(array: Any) -> Any:
    # Arrays of a device are reduced there, and one number is copied in place of the whole.
    return jnp if isinstance(array, jax.Array) else np
