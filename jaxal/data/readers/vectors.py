"""Vectors made elsewhere, as of an encoder, whose rows are known by their ids."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxal.checks import describe
from jaxal.data.readers.npz import archive_in, array_at
from jaxal.data.readers.paths import find

KEYS = ("ids", "inputs")


class Vectors:
    """An npz file with `ids` [N], text or integers, each once, and `inputs` [N, ...], numbers.

    Args:
      path: of the file.
      folder: where a relative path is looked for after the working directory.

    Raises:
      FileNotFoundError: no such file.
      ValueError: a file without these, or an id that is there twice; names the file.
    """

    def __init__(self, path: str, folder: Path | None):
        self._file = file = find(path, folder)
        with archive_in(file) as archive:
            if not {*KEYS} <= {*archive.files}:
                got = ", ".join(archive.files) or "none"
                raise ValueError(f"{file}: expected the keys {', '.join(KEYS)}; got {got}")
            ids, self._inputs = (array_at(archive, key, file) for key in KEYS)
        if ids.ndim != 1 or self._inputs.ndim < 2 or len(ids) != len(self._inputs):
            raise ValueError(
                f"{file}: expected ids [N] and inputs [N, ...], got {ids.shape} and "
                f"{self._inputs.shape}"
            )
        if ids.dtype.kind not in "Uiu" or self._inputs.dtype.kind not in "biuf":
            raise ValueError(
                f"{file}: expected ids that are text or integers and inputs that are numbers, got "
                f"{describe(ids)} and {describe(self._inputs)}"
            )
        names = [str(name) for name in ids.tolist()]
        self._rows = {name: row for row, name in enumerate(names)}
        if len(self._rows) < len(names):
            name, count = Counter(names).most_common(1)[0]
            raise ValueError(f"{file}: expected each id once, got {name!r} {count} times")

    def of(self, ids: Sequence[str]) -> np.ndarray:
        """The inputs [n, ...] of n ids; raises ValueError if there are none of one."""
        missing = next((name for name in ids if name not in self._rows), None)
        if missing is not None:
            raise ValueError(f"{self._file}: expected inputs of every id, got none of {missing!r}")
        return self._inputs[[self._rows[name] for name in ids]]
