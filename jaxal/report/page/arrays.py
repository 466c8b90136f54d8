"""Arrays inside a page: deflated, in base64, each in an element of its own beside the JSON."""

import base64
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


class Arrays:
    """Collects the arrays of a page; what is put into the JSON is a reference."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, array: np.ndarray) -> dict[str, Any]:
        """Keeps an array of numbers, little-endian, and returns how the page finds it."""
        array = np.ascontiguousarray(array)
        stored = array.astype(array.dtype.newbyteorder("<"), copy=False)
        reference = self.add_bytes(zlib.compress(stored.tobytes(), 6))
        return reference | {"dtype": array.dtype.name, "shape": list(array.shape)}

    def add_bytes(self, content: bytes) -> dict[str, Any]:
        """Keeps bytes as they are, as those of a picture."""
        self.texts.append(base64.b64encode(content).decode())
        return {"array": len(self.texts) - 1}


def plain(value: Any) -> Any:
    """The value as JSON holds it: a number that is not finite becomes null."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    return value
