"""A pool and a test set from a named source: split, scaled and checked."""

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxal import entry
from jaxal.base import Examples
from jaxal.data.components import principal_components
from jaxal.data.splits import split, standardizer, subset
from jaxal.data.tables import check_folder, check_options, check_task, is_image, open_table
from jaxal.numerics import are_targets, is_known, unknown_label


@entry.checked(
    folder=check_folder,
    options=check_options,
    test_fraction=entry.fraction,
    seed=entry.integer(0),
    standardize=entry.flag,
    pca=entry.integer(1),
    limit=entry.integer(1),
    flat=entry.flag,
    labeled_only=entry.flag,
    task=check_task,
)
def load(
    source: str,
    *,
    test: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    standardize: bool = True,
    pca: int | None = None,
    limit: int | None = None,
    flat: bool | None = None,
    labeled_only: bool = False,
    task: str = "classification",
) -> tuple[Examples, Examples]:
    """Loads a pool and a test set.

    A source without a test part is split. Labels that are text become 0 to C - 1, the classes in
    alphabetical order or, where all are numbers, by size; `describe` tells their names.

    Args:
      source: one of `sources()`, as in "sklearn:digits" or "npz:~/mnist.npz"; the functions in
        `jaxal/data/readers/` say what each reads.
      test: the source of the test part, of the same kind, as in "csv:test.csv".
      folder: where relative paths are looked for after the working directory, and the data sets
        that have a name of their own, as "mnist"; None: the environment variable JAXAL_DATA.
      options: what the source's reader takes besides, as in {"label": "first"}.
      test_fraction: the share of each class that is held out, if there is no test part.
      seed: of the split and of `limit`; equal seeds give equal arrays.
      standardize: subtract the pool's mean and divide by its standard deviation: of each column for
        inputs [N, D], of all numbers for images, those of uint8 divided by 255 first. What is
        constant in the pool becomes 0. Token ids stay as they are. If not, integers keep their
        type: a model that is `models.normalized` takes them.
      pca: inputs become their first `pca` principal components over the pool, after all else; they
        keep their variances, the largest first. O(N D^2) time for D numbers a row; None: they stay.
      limit: keep a random subset of this many pool rows, with the classes in proportion.
      flat: True gives inputs [N, D]; False gives digits as images [N, 8, 8, 1], and refuses inputs
        that are not images; None leaves inputs as they are stored, digits [N, 64].
      labeled_only: leave out the rows whose label is -1, unknown; otherwise there may be none.
      task: in a "regression" labels are targets: numbers, of text too, NaN or empty where unknown.
        They are standardised as the inputs are, so that errors are in deviations of the pool's.

    Returns:
      (pool, test): NumPy arrays, labels int32 [N], or float32 in a regression, inputs [N, ...]
      float32; integers that are not standardised keep their type, as images of uint8. They may be
      views of the source's file, which cannot be written to.

    Raises:
      FileNotFoundError: no such file.
      TypeError: labels that are neither integers nor text, or an argument of another type.
      ValueError: an unknown source or option, an argument outside its range, unknown labels, a
        class that only the test part has, a file that cannot be read, which it names, or values
        that `check` refuses.

    Example:
      >>> pool, test = load("sklearn:iris")
      >>> pool.inputs.shape, test.inputs.shape
      ((120, 4), (30, 4))
    """
    raw = load_raw(
        source,
        test=test,
        folder=folder,
        options=options,
        test_fraction=test_fraction,
        seed=seed,
        limit=limit,
        flat=flat,
        labeled_only=labeled_only,
        task=task,
    )
    prepared = raw.standardizer() if standardize else raw.kept
    if pca is not None:
        prepared = raw.projector(prepared, pca)
    pool, held_out = map(prepared, raw.stored)
    return pool, held_out


class Raw(NamedTuple):
    """A pool and a test set before anything is done to their numbers."""

    stored: tuple[Examples, Examples]  # pool and test; float64 where float32 would round
    scale: int  # what the inputs are divided by before anything else, 255 for images of uint8
    tokens: bool  # whether the inputs are ids of words, which nothing is done to

    def kept(self, examples: Examples) -> Examples:
        """Examples with inputs of a type that a device keeps: integers of their own, or float32."""
        inputs, labels = examples
        if are_targets(labels):
            labels = labels.astype(np.float32)
        if not np.issubdtype(inputs.dtype, np.integer):
            inputs = inputs.astype(np.float32, copy=False)
        return Examples(inputs, labels)

    def standardizer(self) -> Callable[[Examples], Examples]:
        """What gives examples mean 0 and deviation 1 over the pool, float32; tokens stay."""
        if self.tokens:
            return self.with_targets
        apply = standardizer(_as_real(self.stored[0], self.scale))
        return lambda examples: self.with_targets(apply(_as_real(examples, self.scale)))

    def projector(
        self, prepared: Callable[[Examples], Examples], number: int
    ) -> Callable[[Examples], Examples]:
        """What gives examples so many principal components of what `prepared` makes of the pool."""
        if self.tokens:
            raise ValueError(f"pca: expected inputs that are measured, got token ids and {number}")
        project = principal_components(prepared(self.stored[0]), number)
        return lambda examples: project(prepared(examples))

    def with_targets(self, examples: Examples) -> Examples:
        """`kept`, and the targets of a regression at mean 0 and deviation 1 over the pool."""
        targets = self.stored[0].labels
        if not are_targets(targets):
            return self.kept(examples)
        deviation = targets.std()
        moved = (examples.labels - targets.mean()) / (deviation if deviation > 0 else 1.0)
        return self.kept(Examples(examples.inputs, moved))


def load_raw(
    source: str,
    *,
    test: str | None,
    folder: str | os.PathLike | None,
    options: Mapping[str, Any] | None,
    test_fraction: float,
    seed: int,
    limit: int | None,
    flat: bool | None,
    labeled_only: bool,
    task: str,
) -> Raw:
    """What `load` standardises; arguments and errors as there."""
    table = open_table(source, test=test, folder=folder, options=options, flat=flat, task=task)
    given = {"source": source, "flat": flat, "labeled_only": labeled_only}
    pool = _known_rows(*table.train, **given)
    if table.test is None:
        pool, held_out = split(pool, test_fraction, seed=seed)
    else:
        held_out = _known_rows(*table.test, **given)
    if limit is not None:
        rows = len(pool.labels)
        if limit > rows:
            raise ValueError(f"limit: expected 1 to {rows} (the rows of the pool), got {limit!r}")
        pool = subset(pool, limit, seed=seed)
    scale = 255 if is_image(table.train[0]) else 1
    return Raw((pool, held_out), scale, table.tokens)


def _known_rows(
    inputs: np.ndarray,
    labels: np.ndarray,
    *,
    source: str,
    flat: bool | None,
    labeled_only: bool,
) -> Examples:
    """The rows whose labels are known, with inputs [N, D] if these are wanted, and labels int32."""
    inputs = shaped(inputs, source, flat)
    known = is_known(labels) if are_targets(labels) else labels != -1
    if not known.all():
        if not labeled_only:
            raise ValueError(
                f"{source} labels: expected all to be known, got {np.sum(~known)} of "
                f"{len(labels)} that are {unknown_label(labels.dtype)}; "
                "labeled_only leaves these rows out"
            )
        inputs, labels = inputs[known], labels[known]
    if not len(labels):
        raise ValueError(f"{source} labels: expected at least one that is known, got none")
    # Targets stay float64 until they are standardised.
    return Examples(inputs, labels if are_targets(labels) else labels.astype(np.int32))


def shaped(inputs: np.ndarray, source: str, flat: bool | None) -> np.ndarray:
    """The inputs as vectors [N, D] if these are wanted; raises ValueError where images are not."""
    if flat is False and inputs.ndim == 2:
        raise ValueError(f"flat: expected images, as False asks for; {source} has {inputs.shape}")
    return inputs.reshape(len(inputs), -1) if flat else inputs


def _as_real(examples: Examples, scale: int) -> Examples:
    """Inputs float32, or float64 where that would round, divided by `scale`."""
    dtype = np.result_type(examples.inputs, np.float32)
    if scale == 1:
        return Examples(examples.inputs.astype(dtype, copy=False), examples.labels)
    return Examples(np.divide(examples.inputs, scale, dtype=dtype), examples.labels)
