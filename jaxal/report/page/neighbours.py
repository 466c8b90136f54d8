"""A second layout of the map, which keeps near rows together where the principal plane cannot."""

import numpy as np

from jaxal.report.page.near_rows import near_rows
from jaxal.report.page.tsne import descend

LANDMARKS = 5_000
"""Rows that are laid out first, where there are twice as many; the others begin among them."""

_NEIGHBOURS = 15
_APART = 100  # steps in which groups find each other, by attraction that is four times as strong
_TOGETHER = 250  # steps after these
_ALL = 100  # steps of all rows, where the landmarks are laid out first
_BESIDE = 3  # landmarks that a row begins between


def neighbour_layout(coordinates: np.ndarray, seed: int = 0) -> np.ndarray | None:
    """Places rows by t-SNE, on a CPU the same by the same seed.

    Of more than 10,000 rows, 5,000 are laid out from their principal plane, the others begin
    between the three nearest of these, and then all move.

    Args:
      coordinates: [n, K] principal components, what distances are taken of.
      seed: of which rows are landmarks, and of cells that neighbours are looked for in.

    Returns:
      [n, 2] float32; None of fewer than 10 rows, or of a plane.

    Cost: O(6,000 n K) for the neighbours, and 100 steps of all rows, a few seconds for 10,000 rows.

    References:
      van der Maaten and Hinton 2008, "Visualizing data using t-SNE", JMLR 9.
      Kobak and Berens 2019, "The art of using t-SNE for single-cell transcriptomics", Nature
      Communications 10: rows placed among a sample of them, and then all.
    """
    rows, width = coordinates.shape
    if rows < 10 or width < 3:
        return None
    if rows <= 2 * LANDMARKS:
        return _from_plane(coordinates, seed)
    chosen = np.sort(np.random.default_rng(seed).choice(rows, LANDMARKS, replace=False))
    landmarks = coordinates[chosen]
    begun = _between(coordinates, landmarks, _from_plane(landmarks, seed))
    order, near = near_rows(coordinates, _NEIGHBOURS, seed)
    placed = np.empty((rows, 2), np.float32)
    placed[order] = descend(begun[order], near, _ALL, 1.0, _nodes(rows))
    return placed


def _from_plane(coordinates: np.ndarray, seed: int) -> np.ndarray:
    rows = len(coordinates)
    order, near = near_rows(coordinates, min(_NEIGHBOURS, rows - 1), seed)
    plane = coordinates[order, :2]
    # Rows that are all alike stay where they are.
    begun = 1e-2 * (plane - plane.mean(0)) / (plane[:, 0].std() or 1.0)
    begun = descend(begun, near, _APART, 4.0, _nodes(rows))
    placed = np.empty((rows, 2), np.float32)
    placed[order] = descend(begun, near, _TOGETHER, 1.0, _nodes(rows))
    return placed


def _nodes(rows: int) -> int:
    """Nodes a side: about two a unit, as the layout of so many rows is some 60 to 200 wide."""
    return 128 if rows <= 2 * LANDMARKS else 256 if rows <= 200_000 else 512


def _between(rows: np.ndarray, landmarks: np.ndarray, placed: np.ndarray) -> np.ndarray:
    """Means of where the nearest landmarks are, the nearer the heavier."""
    from sklearn.neighbors import NearestNeighbors

    finder = NearestNeighbors(n_neighbors=_BESIDE, algorithm="brute").fit(landmarks)
    away, near = finder.kneighbors(rows)
    weights = 1 / (away + 1e-6 * away.mean() + 1e-12)
    weights /= weights.sum(1, keepdims=True)
    return np.einsum("bn,bnd->bd", weights, placed[near]).astype(np.float32)
