"""The pool as a map: two principal components of its inputs, and which pick is nearest to a row."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

COMPONENTS = 32
"""Principal components that distances are measured in."""

FITTED = 20_000
"""Rows that the components are found by; those of wide inputs are fewer."""

_BLOCK = 8192
_NUMBERS = 40_000_000  # in the rows that the components are found by


class Layout(NamedTuple):
    """Where the rows lie."""

    coordinates: np.ndarray  # [n, K] float32, K <= 32 principal components
    explained: tuple[float, ...]  # the share of the variance that each of them has


def layout(inputs: Any, rows: np.ndarray, *, tokens: bool = False, seed: int = 0) -> Layout:
    """Projects rows on the principal components of the inputs.

    Args:
      inputs: [N, ...], an array or a pool on disk, which is read by blocks.
      rows: increasing [n], those that are shown.
      tokens: whether inputs are token ids, of which words are counted; 0 fills up.
      seed: of which rows the components are found by.

    Cost: O(n D K), and the components of at most 20,000 rows.

    References:
      Halko, Martinsson and Tropp 2011, "Finding structure with randomness", SIAM Review 53(2).
    """
    from sklearn.decomposition import PCA, TruncatedSVD

    width = int(np.prod(inputs.shape[1:]))
    sample = min(len(rows), FITTED, max(_NUMBERS // width, COMPONENTS))
    chosen = np.sort(np.random.default_rng(seed).choice(rows, sample, replace=False))
    words = int(max(block.max() for block in _blocks(inputs, rows))) + 1 if tokens else 0
    count = min(COMPONENTS, words or width, sample)
    if tokens:
        reduced: Any = TruncatedSVD(min(count, words - 1) or 1, random_state=seed)
    else:
        reduced = PCA(count, svd_solver="randomized", random_state=seed)

    def made(block: np.ndarray) -> Any:
        return _counted(block, words) if tokens else _flat(block)

    reduced.fit(made(np.asarray(inputs[chosen])))
    parts = [reduced.transform(made(block)) for block in _blocks(inputs, rows)]
    found = np.concatenate(parts).astype(np.float32)
    return Layout(found, tuple(reduced.explained_variance_ratio_.tolist()))


def quantised(coordinates: np.ndarray) -> np.ndarray:
    """The first two columns as uint16 [n, 2], on one scale; a single column lies on a line."""
    plane = np.zeros((len(coordinates), 2), np.float64)
    used = min(2, coordinates.shape[1])
    plane[:, :used] = coordinates[:, :used]
    low, high = plane.min(0), plane.max(0)
    span = float((high - low).max()) or 1.0
    # What is shorter is put in the middle.
    start = (low + high) / 2 - span / 2
    return np.rint((plane - start) / span * 65535).clip(0, 65535).astype(np.uint16)


def nearest(coordinates: np.ndarray, picks: np.ndarray) -> np.ndarray:
    """The place among the picks of the one that is nearest to each row, [n] uint16.

    Args:
      coordinates: [n, K].
      picks: [p] places of picks among the rows, at most 65,535; of equal distances the first wins.

    Cost: O(n p K) time, blocks of rows in memory.
    """
    centers = coordinates[picks]
    norms = np.einsum("pk,pk->p", centers, centers)
    found = np.empty(len(coordinates), np.uint16)
    for start in range(0, len(coordinates), _BLOCK):
        block = coordinates[start : start + _BLOCK]
        found[start : start + len(block)] = np.argmin(norms - 2 * block @ centers.T, axis=1)
    return found


def _blocks(inputs: Any, rows: np.ndarray) -> Iterator[np.ndarray]:
    whole = len(rows) == len(inputs)  # slices of a file are read faster than rows
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        yield np.asarray(inputs[part] if whole else inputs[rows[part]])


def _flat(block: np.ndarray) -> np.ndarray:
    flat = np.asarray(block, np.float32).reshape(len(block), -1)
    return np.nan_to_num(flat)


def _counted(block: np.ndarray, words: int) -> Any:
    """How often each word is in each text, in logarithms; 0, which fills up, is none."""
    from scipy import sparse

    tokens = block.reshape(len(block), -1)
    row, place = np.nonzero(tokens > 0)
    ones = np.ones(len(row), np.float32)
    counts = sparse.csr_matrix((ones, (row, tokens[row, place])), shape=(len(block), words))
    counts.data = np.log1p(counts.data)
    return counts
