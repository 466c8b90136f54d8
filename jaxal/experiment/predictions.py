"""What the last models of a run say of its test rows, kept in `predictions/` of its folder."""

import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import jax
import jax.numpy as jnp
import numpy as np

from jaxal.base import Model, PyTree
from jaxal.files import written_whole
from jaxal.pools.memory import map_rows

FOLDER = "predictions"


class Predictions(NamedTuple):
    """Of one strategy: S seeds, T test rows."""

    classes: np.ndarray  # [S, T] int32, as predicted
    probabilities: np.ndarray  # [S, T] float32, of these classes, as the models have them
    labels: np.ndarray  # [T] int32, as they are; -1 where unknown


@partial(jax.jit, static_argnames=("model", "batch_size"))
def predicted(
    variables: PyTree, inputs: PyTree, *, model: Model, batch_size: int
) -> tuple[jax.Array, jax.Array]:
    """The classes that models predict, and their probabilities, both [S, T].

    Args:
      variables: leaves [S, ...].
      inputs: leaves [T, ...].
      model: whose variables they are.
      batch_size: rows that go through it at once.
    """

    def of_rows(own, rows):
        chances = jax.nn.softmax(model.apply(own, rows).logits.astype(jnp.float32))
        return chances.argmax(-1).astype(jnp.int32), chances.max(-1)

    return jax.vmap(lambda own: map_rows(of_rows, own, inputs, batch_size=batch_size))(variables)


def _path(run: Path, strategy: str) -> Path:
    return run / FOLDER / f"{quote(strategy, safe='')}.npz"


def write_predictions(
    run: Path, strategy: str, classes: np.ndarray, probabilities: np.ndarray, labels: np.ndarray
) -> None:
    """Writes those of a strategy into the folder of its run."""
    path = _path(run, strategy)
    path.parent.mkdir(parents=True, exist_ok=True)  # somebody may have deleted the run meanwhile
    with written_whole(path) as part, part.open("wb") as file:
        np.savez_compressed(file, classes=classes, probabilities=probabilities, labels=labels)


def read_predictions(run: Path, strategy: str) -> Predictions:
    """Reads those of a strategy.

    Raises:
      ValueError: there are none, as the strategy is not finished or ran in an earlier version; or
        the file is damaged.
    """
    path = _path(run, strategy)
    if not path.exists():
        raise ValueError(
            f"{path}: not there: {strategy} is not finished, is a regression, or was run by an "
            "earlier version"
        )
    try:
        with path.open("rb") as opened, np.load(opened) as file:
            return Predictions(*(file[name] for name in Predictions._fields))
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: damaged: {error}") from error
