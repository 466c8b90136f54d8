"""A pool and a test set from a named source: split, scaled and checked."""

import numpy as np

from jaxal.base import Examples
from jaxal.checks import check_fraction
from jaxal.data.checks import check
from jaxal.data.readers import read
from jaxal.data.splits import split, standardized, subset


def load(
    source: str,
    *,
    test_fraction: float = 0.2,
    seed: int = 0,
    standardize: bool = True,
    limit: int | None = None,
    flat: bool | None = None,
) -> tuple[Examples, Examples]:
    """Loads a pool and a test set.

    A source without a test part of its own is split. An .npz file holds `inputs` and `labels`, or
    `train_inputs`, `train_labels`, `test_inputs`, `test_labels`, or the same with `images`, or
    `x_train`, `y_train`, `x_test`, `y_test`. Images (three axes or more) of uint8 are scaled to
    [0, 1].

    Args:
      source: one of `sources()`, as in "sklearn:digits" or "npz:~/mnist.npz".
      test_fraction: the share of each class that is held out, if the source has no test part.
      seed: of the split and of `limit`; equal seeds give equal arrays.
      standardize: subtract the pool's mean and divide by its standard deviation: of each column for
        inputs [N, D], of all numbers for images. What is constant in the pool becomes 0.
      limit: keep a random subset of this many pool rows, with the classes in proportion.
      flat: True gives inputs [N, D]; False gives digits as images [N, 8, 8, 1], and refuses inputs
        that are not images; None leaves inputs as they are stored, digits [N, 64].

    Returns:
      (pool, test): NumPy arrays, inputs float32 [N, ...], labels int32 [N].

    Raises:
      FileNotFoundError: no such .npz file.
      TypeError: labels that are not integers.
      ValueError: an unknown source, an argument outside its range, a file without the keys above or
        that is no .npz archive, or values that `check` refuses.

    Example:
      >>> pool, test = load("sklearn:iris")
      >>> pool.inputs.shape, test.inputs.shape
      ((120, 4), (30, 4))
    """
    check_fraction(test_fraction=test_fraction)
    train, held_out = read(source, flat=flat)
    pool = _as_examples(*train, source=source, flat=flat)
    if held_out is None:
        pool, test = split(pool, test_fraction, seed=seed)
    else:
        test = _as_examples(*held_out, source=source, flat=flat)
    if pool.inputs.shape[1:] != test.inputs.shape[1:]:
        raise ValueError(
            f"{source}: expected train and test inputs of one shape, "
            f"got {pool.inputs.shape} and {test.inputs.shape}"
        )
    if limit is not None:
        rows = len(pool.labels)
        if not (isinstance(limit, int) and 1 <= limit <= rows):
            raise ValueError(f"limit: expected 1 to {rows} (the rows of the pool), got {limit!r}")
        pool = subset(pool, limit, seed=seed)
    if standardize:
        pool, test = standardized(pool, test)
    return _as_float32(pool), _as_float32(test)


def _as_examples(
    inputs: np.ndarray, labels: np.ndarray, *, source: str, flat: bool | None
) -> Examples:
    """Checked arrays: inputs float32, or float64 where that would round, and labels int32."""
    if inputs.ndim < 2:
        raise ValueError(
            f"{source}: expected inputs [N, D] or images [N, H, W, ...], got shape {inputs.shape}"
        )
    is_images = inputs.ndim > 2
    if flat is False and not is_images:
        raise ValueError(f"flat: {source} has no images, inputs are {inputs.shape}")
    if labels.ndim == 2 and labels.shape[1] == 1:  # as Keras stores CIFAR's
        labels = labels[:, 0]
    check((inputs, labels), name=source)
    scale = 255 if is_images and inputs.dtype == np.uint8 else 1
    inputs = inputs.astype(np.result_type(inputs.dtype, np.float32)) / scale
    if flat:
        inputs = inputs.reshape(len(inputs), -1)
    return Examples(inputs, labels.astype(np.int32))


def _as_float32(examples: Examples) -> Examples:
    return Examples(examples.inputs.astype(np.float32), examples.labels)
