"""Inputs and measures that several topics share; nothing but NumPy."""

from collections.abc import Iterator

import numpy as np

CHUNK = 2_000  # rows whose distances are in memory at a time


def clusters(
    rng: np.random.Generator, rows: int, width: int, groups: int, spread: float = 0.7
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of unequal Gaussian clusters, float32 [rows, width], and the cluster of each."""
    centers = rng.normal(size=(groups, width))
    group = rng.choice(groups, rows, p=rng.dirichlet(np.full(groups, 5.0)))
    points = centers[group] + spread * rng.normal(size=(rows, width))
    return points.astype(np.float32), group.astype(np.int32)


def classifier(
    rng: np.random.Generator, rows: int, width: int, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Features as after a ReLU, float32 [rows, width], and weights of a confident last layer."""
    features = np.maximum(rng.normal(size=(rows, width)), 0)
    weights = rng.normal(size=(width, classes)) * 4 / width**0.5
    return features.astype(np.float32), weights.astype(np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    """In the precision of the logits."""
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def residuals(logits: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """Softmax minus the one-hot label, the predicted class if none is given."""
    labels = logits.argmax(1) if labels is None else labels
    return softmax(logits) - np.eye(logits.shape[1], dtype=logits.dtype)[labels]


def squared_distances(points: np.ndarray, centers: np.ndarray) -> Iterator[np.ndarray]:
    """Float64 [rows, centers], some rows at a time."""
    centers = centers.astype(np.float64)
    norms = (centers**2).sum(1)
    for start in range(0, len(points), CHUNK):
        some = points[start : start + CHUNK].astype(np.float64)
        squared = (some**2).sum(1)[:, None] + norms - 2 * some @ centers.T
        yield np.maximum(squared, 0.0)


def nearest_squared(points: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """The squared distance of each row to its nearest center, float64 [rows]."""
    return np.concatenate([some.min(1) for some in squared_distances(points, centers)])
