"""Greedy k-center (core-set): the same picks, so what is compared is time alone."""

# The packages are in an environment of their own.
# pyright: reportMissingImports=false

import numpy as np

from benchmarks.harness.topic import Quality, Side, Topic, Work, jaxal_side
from benchmarks.topics.examples import clusters, nearest_squared


def make(rng, size):
    points, _ = clusters(rng, size["rows"] + size["centers"], size["width"], 100)
    return {"points": points[size["centers"] :], "centers": points[: size["centers"]]}


def jaxal(inputs, size):
    import jax.numpy as jnp

    from jaxal import selection

    points, centers = jnp.asarray(inputs["points"]), jnp.asarray(inputs["centers"])
    free = jnp.ones(len(points), bool)

    def call(seed):
        return np.asarray(selection.k_center(points, free, size["picks"], centers=centers).rows)

    return call


def plain(inputs, size):
    """A pass over the pool a pick, by products, as it is usually written in NumPy."""
    points, centers = inputs["points"], inputs["centers"]
    norms = (points**2).sum(1)

    def call(seed):
        squared = (centers**2).sum(1)[:, None] - 2 * centers @ points.T
        nearest = squared.min(0) + norms
        rows = np.empty(size["picks"], np.int64)
        for turn in range(size["picks"]):
            row = rows[turn] = nearest.argmax()
            away = norms + norms[row] - 2 * points @ points[row]
            nearest = np.minimum(nearest, away)
            nearest[row] = -np.inf
        return rows

    return call


def distil(inputs, size):
    """`furthest_first` of its strategy, on the embeddings: without the forward passes."""
    import torch
    from distil.active_learning_strategies.core_set import CoreSet

    points, centers = (torch.from_numpy(inputs[name]) for name in ("points", "centers"))
    strategy = CoreSet(centers, points, torch.nn.Identity(), 2, {"device": "cpu"})
    return lambda seed: np.asarray(strategy.furthest_first(points, centers, size["picks"]))


def scikit_activeml(inputs, size):
    from skactiveml.pool._core_set import k_greedy_center

    count = len(inputs["centers"])
    everything = np.concatenate([inputs["centers"], inputs["points"]])
    labels = np.full(len(everything), np.nan)
    labels[:count] = 0

    def call(seed):
        return k_greedy_center(everything, labels, size["picks"], random_state=seed)[0] - count

    return call


def small_text(inputs, size):
    from small_text.query_strategies.coresets import greedy_coreset

    everything = np.concatenate([inputs["points"], inputs["centers"]])
    pool, known = np.split(np.arange(len(everything)), [len(inputs["points"])])

    def call(seed):
        return greedy_coreset(everything, pool, known, size["picks"], distance_metric="euclidean")

    return call


def radius(inputs, size, rows):
    covering = np.concatenate([inputs["centers"], inputs["points"][rows]])
    return float(np.sqrt(nearest_squared(inputs["points"], covering).max()))


TOPIC = Topic(
    title="greedy k-center",
    sizes={
        "small": {"rows": 5_000, "width": 64, "centers": 200, "picks": 200},
        "medium": {"rows": 20_000, "width": 128, "centers": 1_000, "picks": 1_000},
        "large": {"rows": 200_000, "width": 256, "centers": 1_000, "picks": 5_000},
    },
    make=make,
    sides={
        "jaxal": jaxal_side(jaxal),
        "NumPy, a pass a pick": Side(plain, "numpy", (), peer=False),
        "DISTIL": Side(distil, "decile-distil", ("torch", "distil.active_learning_strategies")),
        "scikit-activeml": Side(scikit_activeml, "scikit-activeml", ("skactiveml.pool",)),
        "small-text": Side(small_text, "small-text", ("small_text",)),
    },
    quality=Quality("radius", radius, higher_is_better=False),
    work=lambda size: Work(
        2.0 * size["rows"] * size["width"] * (size["centers"] + size["picks"]),
        4.0 * size["rows"] * size["width"] * size["picks"],
    ),
    shape=lambda size: f"{size['rows']:,} x {size['width']}, {size['picks']:,} picks",
)
