"""The nearest rows of each row, for the layout that keeps them together."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

EXACT = 10_000
"""Rows up to which each is compared with all."""

_BLOCK = 512
_IN_CELL = 400
_OPENED = 8  # cells that a row's nearest are looked for in, its own among them
_SAMPLE = 20  # rows a cell that the centers are found by


def near_rows(
    coordinates: np.ndarray, num_neighbours: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The rows nearest to each row, itself not among them.

    Above 10,000 rows they are looked for in the cell of the row, by k-means of a sample, and in the
    cells whose centers are nearest to that of this cell: some are missed.

    Args:
      coordinates: [n, K], n > num_neighbours.
      num_neighbours: k.
      seed: of the sample.

    Returns:
      An order [n] of the rows in which near ones are together, and the neighbours [n, k] int32 of
      the rows in this order, as places in it.

    Cost: O(n^2 K) time up to 10,000 rows; above, O(n K (3,200 + n / 400)).
    """
    rows = len(coordinates)
    if rows <= EXACT:
        return np.arange(rows), _nearest(coordinates, coordinates, num_neighbours)
    order, ends, centers = _cells(coordinates, seed)
    own = coordinates[order]
    found = np.empty((rows, num_neighbours), np.int32)
    for first, last, places in _opened(ends, centers, num_neighbours):
        found[first:last] = places[_nearest(own[first:last], own[places], num_neighbours)]
    return order, found


def _nearest(rows: np.ndarray, among: np.ndarray, count: int) -> np.ndarray:
    """The places [r, count] among rows of which `rows` are the first, each without itself."""
    norms = np.einsum("ak,ak->a", among, among)
    found = np.empty((len(rows), count), np.int32)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        away = norms - 2 * block @ among.T
        own = np.arange(len(block))
        away[own, start + own] = np.inf
        found[start : start + _BLOCK] = np.argpartition(away, count - 1, axis=1)[:, :count]
    return found


def _cells(coordinates: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows [n] in the order of their cells, where cells begin [c + 1], and the centers [c, K]."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import pairwise_distances_argmin

    count = -(-len(coordinates) // _IN_CELL)
    rng = np.random.default_rng(seed)
    sample = rng.choice(len(coordinates), min(_SAMPLE * count, len(coordinates)), replace=False)
    options: Any = {"init": coordinates[sample[:count]], "n_init": 1, "max_iter": 5, "tol": 0.0}
    means = KMeans(count, **options)
    with warnings.catch_warnings():
        # Fewer distinct rows than cells: some cells are empty.
        warnings.simplefilter("ignore", ConvergenceWarning)
        centers = means.fit(coordinates[sample]).cluster_centers_
    cell = pairwise_distances_argmin(coordinates, centers)
    ends = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=count))])
    return np.argsort(cell, kind="stable"), ends, centers


def _opened(
    ends: np.ndarray, centers: np.ndarray, least: int
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Of each cell where it is, and the places of rows that it is compared with, its own first."""
    sizes = np.diff(ends)
    for number in np.flatnonzero(sizes):
        away = ((centers - centers[number]) ** 2).sum(1)
        away[number] = -1.0
        near = np.argsort(away, kind="stable")
        near = near[sizes[near] > 0]
        enough = int(np.searchsorted(np.cumsum(sizes[near]), least + 1)) + 1
        opened = near[: max(_OPENED, enough)].tolist()
        parts = [np.arange(int(ends[one]), int(ends[one + 1])) for one in opened]
        yield int(ends[number]), int(ends[number + 1]), np.concatenate(parts)
