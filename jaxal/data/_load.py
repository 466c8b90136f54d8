"""A pool and a test set from a named source: split, scaled and checked."""

from typing import NamedTuple

import numpy as np

from jaxal import entry
from jaxal.base import Examples
from jaxal.data.checks import check
from jaxal.data.readers import read
from jaxal.data.splits import split, standardized, subset


@entry.checked(
    test_fraction=entry.fraction,
    seed=entry.integer(0),
    standardize=entry.flag,
    limit=entry.integer(1),
    flat=entry.flag,
    labeled_only=entry.flag,
)
def load(
    source: str,
    *,
    test_fraction: float = 0.2,
    seed: int = 0,
    standardize: bool = True,
    limit: int | None = None,
    flat: bool | None = None,
    labeled_only: bool = False,
) -> tuple[Examples, Examples]:
    """Loads a pool and a test set.

    A source without a test part of its own is split. An .npz file holds `inputs` and `labels`, or
    `train_inputs`, `train_labels`, `test_inputs`, `test_labels`, or the same with `images`, or
    `x_train`, `y_train`, `x_test`, `y_test`.

    Args:
      source: one of `sources()`, as in "sklearn:digits" or "npz:~/mnist.npz".
      test_fraction: the share of each class that is held out, if the source has no test part.
      seed: of the split and of `limit`; equal seeds give equal arrays.
      standardize: subtract the pool's mean and divide by its standard deviation: of each column for
        inputs [N, D], of all numbers for images, those of uint8 divided by 255 first. What is
        constant in the pool becomes 0. If not, integers stay what they are: a model that is
        `models.normalized` takes them.
      limit: keep a random subset of this many pool rows, with the classes in proportion.
      flat: True gives inputs [N, D]; False gives digits as images [N, 8, 8, 1], and refuses inputs
        that are not images; None leaves inputs as they are stored, digits [N, 64].
      labeled_only: leave out the rows whose label is -1, unknown; otherwise there may be none.

    Returns:
      (pool, test): NumPy arrays, inputs [N, ...], float32 or integers of their own type, labels
      int32 [N].

    Raises:
      FileNotFoundError: no such .npz file.
      TypeError: labels that are not integers, inputs of two types, or an argument of another type.
      ValueError: an unknown source, an argument outside its range, unknown labels, a file without
        the keys above or that is no .npz archive, or values that `check` refuses.

    Example:
      >>> pool, test = load("sklearn:iris")
      >>> pool.inputs.shape, test.inputs.shape
      ((120, 4), (30, 4))
    """
    raw = load_raw(
        source,
        test_fraction=test_fraction,
        seed=seed,
        limit=limit,
        flat=flat,
        labeled_only=labeled_only,
    )
    return raw.standardized() if standardize else (raw.pool, raw.test)


class Raw(NamedTuple):
    """A pool and a test set before anything is done to their numbers."""

    stored: tuple[Examples, Examples]  # pool and test; float64 where float32 would round
    scale: int  # what the inputs are divided by before anything else, 255 for images of uint8

    @property
    def pool(self) -> Examples:
        """Inputs [N, ...], float32 or integers, and labels."""
        return _narrow(self.stored[0])

    @property
    def test(self) -> Examples:
        """The same, of the test part."""
        return _narrow(self.stored[1])

    def standardized(self) -> tuple[Examples, Examples]:
        """Pool and test with mean 0 and deviation 1 over the pool, float32."""

        def floats(part: Examples) -> Examples:
            wide = np.result_type(part.inputs.dtype, np.float32)
            return Examples(part.inputs.astype(wide) / self.scale, part.labels)

        pool, test = standardized(*map(floats, self.stored))
        return _as_float32(pool), _as_float32(test)


def load_raw(
    source: str,
    *,
    test_fraction: float,
    seed: int,
    limit: int | None,
    flat: bool | None,
    labeled_only: bool,
) -> Raw:
    """What `load` standardises; arguments and errors as there."""
    train, held_out = read(source, flat=flat)
    options = {"source": source, "flat": flat, "labeled_only": labeled_only}
    scale = 255 if train[0].ndim > 2 and train[0].dtype == np.uint8 else 1
    pool = _as_examples(*train, **options)
    if held_out is None:
        pool, test = split(pool, test_fraction, seed=seed)
    else:
        test = _as_examples(*held_out, **options)
    if pool.inputs.shape[1:] != test.inputs.shape[1:]:
        raise ValueError(
            f"{source}: expected train and test inputs of one shape, "
            f"got {pool.inputs.shape} and {test.inputs.shape}"
        )
    kinds = pool.inputs.dtype, test.inputs.dtype
    if kinds[0] != kinds[1] and any(np.issubdtype(kind, np.integer) for kind in kinds):
        raise TypeError(
            f"{source}: expected train and test inputs of one type, got {kinds[0]} and {kinds[1]}"
        )
    if limit is not None:
        rows = len(pool.labels)
        if limit > rows:
            raise ValueError(f"limit: expected 1 to {rows} (the rows of the pool), got {limit!r}")
        pool = subset(pool, limit, seed=seed)
    return Raw((pool, test), scale)


def _as_examples(
    inputs: np.ndarray,
    labels: np.ndarray,
    *,
    source: str,
    flat: bool | None,
    labeled_only: bool,
) -> Examples:
    """Checked arrays: inputs as they are stored, and labels int32."""
    if np.iscomplexobj(inputs):
        raise TypeError(f"{source} inputs: expected real numbers, got {inputs.dtype}")
    if inputs.ndim < 2:
        raise ValueError(
            f"{source}: expected inputs [N, D] or images [N, H, W, ...], got shape {inputs.shape}"
        )
    is_images = inputs.ndim > 2
    if flat is False and not is_images:
        raise ValueError(f"flat: expected images, as False asks for; {source} has {inputs.shape}")
    if labels.ndim == 2 and labels.shape[1] == 1:  # as Keras stores CIFAR's
        labels = labels[:, 0]
    check((inputs, labels), name=source, allow_unknown=True)
    known = labels != -1
    if labeled_only:
        inputs, labels = inputs[known], labels[known]
    elif not known.all():
        raise ValueError(
            f"{source} labels: expected all to be known, got {np.sum(~known)} of {len(labels)} "
            "that are -1; labeled_only leaves these rows out"
        )
    if not len(labels):
        raise ValueError(f"{source} labels: expected at least one that is known, got none")
    if flat:
        inputs = inputs.reshape(len(inputs), -1)
    return Examples(inputs, labels.astype(np.int32))


def _narrow(examples: Examples) -> Examples:
    is_integer = np.issubdtype(examples.inputs.dtype, np.integer)
    return examples if is_integer else _as_float32(examples)


def _as_float32(examples: Examples) -> Examples:
    return Examples(examples.inputs.astype(np.float32), examples.labels)
