"""Encoded pictures, such as JPEG and PNG, as one array."""

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np

MODES = {"gray": "L", "rgb": "RGB"}
"""What the option `color` may be, and what pillow calls it."""


def decode(
    files: Iterable[tuple[str, Path | bytes]],
    count: int,
    *,
    size: tuple[int, int] | None = None,
    color: str | None = None,
) -> np.ndarray:
    """Decodes pictures of one size.

    Args:
      files: (what it is called in messages, the file or its bytes), for each picture.
      count: N, how many there are.
      size: (H, W) to which they are resized; None: they have to be of one size.
      color: "gray" or "rgb"; None: as the first picture is.

    Returns:
      uint8 [N, H, W, 1] of grey pictures, else [N, H, W, 3]. Transparency is left out.

    Raises:
      ValueError: what is no picture of 8 bits, or of another size, or has colours where the first
        has none; names it.
    """
    mode = None if color is None else MODES[color]
    pictures = np.zeros((0, 0, 0, 0), np.uint8)
    for row, (name, file) in enumerate(files):
        picture = _open(name, file, size, mode)
        if row == 0:
            pictures = np.empty((count, *picture.shape), np.uint8)
            mode = mode or (None if picture.shape[2] == 1 else "RGB")
        elif picture.shape != pictures.shape[1:]:
            raise ValueError(f"{name}: {_difference(picture.shape, pictures.shape[1:])}")
        pictures[row] = picture
    return pictures


def _open(
    name: str, file: Path | bytes, size: tuple[int, int] | None, mode: str | None
) -> np.ndarray:
    """A picture [H, W, channels]; without a mode it is grey or has colours, as in the file."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file) as image:
            if image.mode in ("I", "F") or ";" in image.mode:
                raise ValueError(f"one whose pixels are not of 8 bits ({image.mode})")
            is_gray = image.mode in ("1", "L", "LA")
            image = image.convert(mode or ("L" if is_gray else "RGB"))
            if size is not None:
                image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            pixels = np.asarray(image)
    except UnidentifiedImageError:
        raise ValueError(f"{name}: expected a picture, got another kind of file") from None
    except (OSError, SyntaxError, EOFError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{name}: expected a picture, got {error}") from None
    return pixels.reshape(*pixels.shape[:2], -1)


def _difference(shape: tuple[int, ...], first: tuple[int, ...]) -> str:
    if shape[:2] != first[:2]:
        return (
            f"expected {first[0]} x {first[1]} pixels, as the first picture has, "
            f"got {shape[0]} x {shape[1]}; the option size resizes them"
        )
    return "expected a grey picture, as the first is, got colours; the option color makes all alike"
