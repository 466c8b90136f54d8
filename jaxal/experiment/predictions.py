"""What the last models of a run say of test and pool rows, in `predictions/` of its folder."""

import zipfile
import zlib
from collections.abc import Sequence
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
OF_POOL = f"{FOLDER}/pool"


class Predictions(NamedTuple):
    """Of one strategy: S seeds, T test rows."""

    classes: np.ndarray  # [S, T] int32, as predicted
    probabilities: np.ndarray  # [S, T] float32, of these classes, as the models have them
    labels: np.ndarray  # [T] int32, as they are; -1 where unknown


class OfPool(NamedTuple):
    """Of one strategy and its first seed: the N rows of the pool, labelled ones too."""

    values: np.ndarray  # [N] int32, the classes; of a regression [N] float32
    probabilities: np.ndarray  # [N] float32, of these classes; of a regression NaN


@partial(jax.jit, static_argnames=("model", "batch_size"))
def predicted(
    variables: PyTree, inputs: PyTree, *, model: Model, batch_size: int
) -> tuple[jax.Array, jax.Array]:
    """The classes that models predict, and their probabilities, both [S, T]; or values, and NaN.

    Args:
      variables: leaves [S, ...].
      inputs: leaves [T, ...].
      model: whose variables they are.
      batch_size: rows that go through it at once.
    """

    def of_rows(own, rows):
        logits = model.apply(own, rows).logits.astype(jnp.float32)
        if logits.shape[-1] == 1:  # of a regression
            return logits[:, 0], jnp.full(len(logits), jnp.nan)
        chances = jax.nn.softmax(logits)
        return chances.argmax(-1).astype(jnp.int32), chances.max(-1)

    return jax.vmap(lambda own: map_rows(of_rows, own, inputs, batch_size=batch_size))(variables)


def predicted_of_pool(
    variables: PyTree, inputs: PyTree, like: PyTree, *, model: Model, batch_size: int
) -> OfPool:
    """What the first of several models says of a pool in memory.

    The rows go through the program of `predicted` that the test rows went through, as many at a
    time: nothing is compiled for them, and what the other models say is let go.

    Args:
      variables: leaves [S, ...].
      inputs: leaves [N, ...], NumPy arrays.
      like: the inputs of the test rows, leaves [T, ...], as they are on the devices.
      model: whose variables they are.
      batch_size: as for the test rows.
    """
    rows, size = (len(jax.tree.leaves(one)[0]) for one in (inputs, like))
    found = []
    for start in range(0, rows, size):
        block = np.minimum(np.arange(start, start + size), rows - 1)
        placed = jax.tree.map(
            lambda own, other, block=block: jax.device_put(own[block], other.sharding), inputs, like
        )
        made = predicted(variables, placed, model=model, batch_size=batch_size)
        found.append([np.asarray(one[0]) for one in made])
    return OfPool(*(np.concatenate(one)[:rows] for one in zip(*found, strict=True)))


def _path(run: Path, strategy: str, folder: str = FOLDER) -> Path:
    return run / folder / f"{quote(strategy, safe='')}.npz"


def write_predictions(run: Path, strategy: str, found: Predictions | OfPool) -> None:
    """Writes those of a strategy into the folder of its run."""
    path = _path(run, strategy, FOLDER if isinstance(found, Predictions) else OF_POOL)
    path.parent.mkdir(parents=True, exist_ok=True)  # somebody may have deleted the run meanwhile
    with written_whole(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **found._asdict())


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
    return Predictions(*_arrays(path, Predictions._fields))


def read_predictions_of_pool(run: Path, strategy: str) -> OfPool | None:
    """Reads those of a strategy; None where there are none, as of a pool that was not in memory.

    Raises:
      ValueError: the file is damaged.
    """
    path = _path(run, strategy, OF_POOL)
    return OfPool(*_arrays(path, OfPool._fields)) if path.exists() else None


def _arrays(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    try:
        with path.open("rb") as opened, np.load(opened) as file:
            return [file[name] for name in names]
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: damaged: {error}") from error
