"""Vectors made elsewhere, as of an encoder, whose rows are known by their ids."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxal.data.readers.paths import find


class Vectors:
    """An npz file with `ids` [N], each once, and `inputs` [N, ...].

    Args:
      path: of the file.
      folder: where a relative path is looked for after the working directory.

    Raises:
      FileNotFoundError: no such file.
      ValueError: another file, or an id that is there twice; names it.
    """

    def __init__(self, path: str, folder: Path | None):
        self._file = file = find(path, folder)
        try:
            with np.load(file, allow_pickle=False) as arrays:
                ids, self._inputs = arrays["ids"], arrays["inputs"]
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(
                f"{file}: expected an npz file with ids and inputs, got {error}"
            ) from None
        if ids.ndim != 1 or self._inputs.ndim < 2 or len(ids) != len(self._inputs):
            raise ValueError(
                f"{file}: expected ids [N] and inputs [N, ...], got {ids.shape} and "
                f"{self._inputs.shape}"
            )
        self._rows = {str(name): row for row, name in enumerate(ids.tolist())}
        if again := len(ids) - len(self._rows):
            raise ValueError(f"{file}: expected each id once, got {again} again")

    def of(self, ids: Sequence[str]) -> np.ndarray:
        """The inputs of these ids; raises ValueError if there are none of one."""
        missing = next((name for name in ids if name not in self._rows), None)
        if missing is not None:
            raise ValueError(f"{self._file}: expected inputs of every id, got none of {missing!r}")
        return self._inputs[[self._rows[name] for name in ids]]
