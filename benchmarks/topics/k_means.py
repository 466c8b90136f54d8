"""k-means: whole fits of at most 20 steps, each side with its own seeds."""

import warnings

# The packages are in an environment of their own.
# pyright: reportMissingImports=false
import numpy as np

from benchmarks.harness.topic import Quality, Side, Topic, Work, jaxal_side
from benchmarks.topics.examples import clusters, nearest_squared

STEPS, TOLERANCE = 20, 1e-4


def make(rng, size):
    return {"points": clusters(rng, size["rows"], size["width"], size["centers"])[0]}


def jaxal(inputs, size):
    """Seeds of greedy k-means++, and Lloyd's steps, once."""
    import jax
    import jax.numpy as jnp

    from jaxal import curation

    points = jnp.asarray(inputs["points"])
    free = jnp.ones(len(points), bool)
    options = {"max_steps": STEPS, "tolerance": TOLERANCE}

    def call(seed):
        key = jax.random.key(seed)
        return np.asarray(
            curation.k_means_clusters(key, points, free, size["centers"], **options).centers
        )

    return call


def scikit_learn(inputs, size):
    """Seeds of greedy k-means++, and Lloyd's steps, once."""
    from sklearn.cluster import KMeans

    options = {"n_init": 1, "max_iter": STEPS, "tol": TOLERANCE, "algorithm": "lloyd"}

    def call(seed):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a fit that took all of its steps
            fit = KMeans(size["centers"], random_state=seed, **options).fit(inputs["points"])
        return fit.cluster_centers_

    return call


def faiss(inputs, size):
    """Random seeds and all 20 steps: it has neither better seeds nor a tolerance."""
    import faiss

    width, rows = size["width"], size["rows"]
    options = {"niter": STEPS, "max_points_per_centroid": rows, "min_points_per_centroid": 1}

    def call(seed):
        fit = faiss.Kmeans(width, size["centers"], seed=seed + 1, **options)
        fit.train(inputs["points"])
        return fit.centroids

    return call


def inertia(inputs, size, centers):
    return float(nearest_squared(inputs["points"], centers).sum())


TOPIC = Topic(
    title="k-means",
    sizes={
        "small": {"rows": 10_000, "width": 64, "centers": 100},
        "medium": {"rows": 100_000, "width": 64, "centers": 300},
        "large": {"rows": 1_000_000, "width": 128, "centers": 1_000},
    },
    make=make,
    sides={
        "jaxal": jaxal_side(jaxal),
        "scikit-learn": Side(scikit_learn, "scikit-learn", ("sklearn.cluster",)),
        "faiss": Side(faiss, "faiss-cpu", ("faiss",)),
    },
    quality=Quality("inertia", inertia, higher_is_better=False),
    work=lambda size: Work(
        2.0 * size["rows"] * size["width"] * size["centers"] * STEPS,
        4.0 * size["rows"] * size["width"] * STEPS,
    ),
    shape=lambda size: f"{size['rows']:,} x {size['width']}, {size['centers']:,} clusters",
    picks_rows=False,
    random=True,
)
