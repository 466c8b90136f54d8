"""What is shown of picked rows: small pictures in one sprite, texts, or the numbers of a row."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxal.report.page.arrays import Arrays
from jaxal.report.page.picks import Group
from jaxal.report.page.shown import ShownPool

MOST = 4_000
"""Picked rows whose examples are in the page, those of the first seeds and rounds first."""

SIDE = 40  # pixels of a small picture, at most
LETTERS = 400  # of a text
NUMBERS = 24  # of a row
SPRITE_BYTES = 2_000_000
_ACROSS = 50


def examples(pool: ShownPool, found: Sequence[Group], arrays: Arrays) -> dict[str, Any] | None:
    """The examples of picked rows.

    Args:
      pool: the pool.
      found: the picks that are shown.
      arrays: of the page.

    Returns:
      `rows`, the pool's rows whose examples are there, and `kind`: "image" with a sprite, "text",
      or "row". None where nothing was picked.
    """
    rows = _rows(found)
    if not len(rows):
        return None
    raw = pool.inputs if pool.raw is None else pool.raw
    if pool.texts is not None:
        return _texts(pool, rows, arrays)
    own = np.asarray(raw[rows])
    if is_image(own):
        return _images(own, rows, arrays)
    flat = own.reshape(len(own), -1)
    values = flat[:, :NUMBERS].astype(np.float32)
    return {
        "kind": "row",
        "rows": arrays.add(rows.astype(np.int32)),
        "values": arrays.add(values),
        "width": flat.shape[1],
        "tokens": pool.tokens,
    }


def is_image(inputs: np.ndarray) -> bool:
    """Whether rows are pictures, [n, H, W] or [n, H, W, 1, 3 or 4]."""
    return inputs.ndim == 3 or (inputs.ndim == 4 and inputs.shape[-1] in (1, 3, 4))


def _rows(found: Sequence[Group]) -> np.ndarray:
    """Distinct rows: seed by seed, and in each the early rounds of all lines first."""
    ordered = sorted(found, key=lambda group: (group.seed, group.round))
    if not ordered:
        return np.zeros(0, np.int64)
    rows = np.concatenate([group.rows for group in ordered])
    first = np.sort(np.unique(rows, return_index=True)[1])
    return np.sort(rows[first[:MOST]])


def _texts(pool: ShownPool, rows: np.ndarray, arrays: Arrays) -> dict[str, Any]:
    known = pool.texts or {}
    texts = [known.get(np.asarray(pool.inputs[row]).tobytes(), "") for row in rows.tolist()]
    cut = [text if len(text) <= LETTERS else text[: LETTERS - 1] + "…" for text in texts]
    return {"kind": "text", "rows": arrays.add(rows.astype(np.int32)), "texts": cut}


def _images(own: np.ndarray, rows: np.ndarray, arrays: Arrays) -> dict[str, Any]:
    from PIL import Image

    pictures = _bytes(own)
    high, wide = pictures.shape[1:3]
    scale = min(1.0, SIDE / max(high, wide))
    high, wide = max(1, round(high * scale)), max(1, round(wide * scale))
    if scale < 1:
        large = [Image.fromarray(one) for one in pictures]
        small = [one.resize((wide, high), Image.Resampling.BOX) for one in large]
        pictures = np.stack([np.asarray(one) for one in small])
    while True:
        kind, content = _encoded(_sheet(pictures))
        if len(content) <= SPRITE_BYTES or len(rows) < 2:
            break
        rows, pictures = rows[::2], pictures[::2]
    return {
        "kind": "image",
        "rows": arrays.add(rows.astype(np.int32)),
        "sprite": arrays.add_bytes(content),
        "type": kind,
        "size": [high, wide],
        "across": _ACROSS,
    }


def _bytes(own: np.ndarray) -> np.ndarray:
    """Pictures [n, H, W] or [n, H, W, 3] uint8; other numbers are stretched from black to white."""
    if own.ndim == 4:
        own = own[..., 0] if own.shape[-1] == 1 else own[..., :3]
    if own.dtype == np.uint8:
        return own
    low, high = float(np.nanmin(own)), float(np.nanmax(own))
    return ((own - low) / ((high - low) or 1.0) * 255).astype(np.uint8)


def _sheet(pictures: np.ndarray) -> np.ndarray:
    count, high, wide, *channels = pictures.shape
    down = -(-count // _ACROSS)
    sheet = np.zeros((down * _ACROSS, high, wide, *channels), np.uint8)
    sheet[:count] = pictures
    sheet = sheet.reshape(down, _ACROSS, high, wide, *channels)
    return np.moveaxis(sheet, 2, 1).reshape(down * high, _ACROSS * wide, *channels)


def _encoded(sheet: np.ndarray) -> tuple[str, bytes]:
    from PIL import Image

    def saved(form: str, **options: Any) -> bytes:
        file = io.BytesIO()
        Image.fromarray(sheet).save(file, form, **options)
        return file.getvalue()

    exact = saved("PNG", optimize=True)
    if len(exact) <= SPRITE_BYTES // 2:
        return "image/png", exact
    return "image/jpeg", saved("JPEG", quality=80)
