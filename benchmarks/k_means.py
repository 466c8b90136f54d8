"""k-means against scikit-learn's: whole fits, seeds, Lloyd's steps alone, and mini-batches.

What bounds a step is the product of rows and centers, which is timed by itself.

On a busy machine run it on one core (`taskset -c 0`): threads of BLAS that wait for one another by
spinning take many times longer there. Times of the processor are given beside those of the clock.
"""

import os
import time
import warnings
from typing import Any

import common
import jax
import jax.numpy as jnp
import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning

from jaxal.curation._clusters import fit_clusters
from jaxal.points.distances import CACHED
from jaxal.selection._k_means import _k_means
from jaxal.selection._lloyd import lloyd

TOLERANCE = 1e-4
ONCE: Any = 1  # scikit-learn's stubs take `n_init` for text


def inertia(points, centers):
    """Sum of squared distances to the nearest center, in float64."""
    points, centers = points.astype(np.float64), np.asarray(centers, np.float64)
    squared = (centers**2).sum(-1) - 2 * points @ centers.T
    return float((squared.min(1) + (points**2).sum(-1)).sum())


def alternate(functions, repeats):
    """Times the functions in turn, again and again, so that a busy machine slows all of them."""
    times = {name: {"seconds": [], "cpu_seconds": []} for name in functions}
    results = {name: [] for name in functions}
    for turn in range(repeats):
        for name, function in functions.items():
            wall, cpu = time.perf_counter(), time.process_time()
            results[name].append(function(turn))
            times[name]["cpu_seconds"].append(time.process_time() - cpu)
            times[name]["seconds"].append(time.perf_counter() - wall)
    return times, results


def compare(ours, times):
    """The report: ours with its compilation, scikit-learn's, and the ratios of the medians."""
    ratios = {
        f"ratio_{kind}": float(
            np.median(times["scikit-learn"][kind]) / np.median(times["jaxal"][kind])
        )
        for kind in ("seconds", "cpu_seconds")
    }
    return {
        "cores": len(os.sched_getaffinity(0)),
        "compile_seconds": ours["compile_seconds"],
        "temporary_bytes": ours["temporary_bytes"],
        "times": times,
    } | ratios


def whole(points, budget, max_steps, repeats, quick=False):
    """From random keys to clusters: seeds and steps, of all draws at once if `quick`."""

    def fit(key, points):
        available = jnp.ones(len(points), bool)
        if quick:
            return fit_clusters(key, points, available, budget, max_steps, TOLERANCE)
        return _k_means(key, points, available, budget, max_steps, TOLERANCE, 1)[1]

    jitted, placed = jax.jit(fit), jnp.asarray(points)
    _, report = common.measure(fit, jax.random.key(0), placed, repeats=1)
    jax.block_until_ready(jitted(jax.random.key(0), placed))
    times, results = alternate(
        {
            "jaxal": lambda turn: jax.block_until_ready(jitted(jax.random.key(turn), placed)),
            "scikit-learn": lambda turn: KMeans(
                budget,
                n_init=ONCE,
                max_iter=max_steps,
                tol=TOLERANCE,
                random_state=turn,
            ).fit(points),
        },
        repeats,
    )
    ours = [inertia(points, found.centers) for found in results["jaxal"]]
    theirs = [inertia(points, found.cluster_centers_) for found in results["scikit-learn"]]
    return compare(report, times) | {
        "inertia": {"jaxal": ours, "scikit-learn": theirs},
        "inertia_ratio": float(np.mean(ours) / np.mean(theirs)),
        "steps_of_the_best": {
            "jaxal": [int(found.steps) for found in results["jaxal"]],
            "scikit-learn": [found.n_iter_ for found in results["scikit-learn"]],
        },
    }


def steps(points, budget, count, repeats):
    """The same number of Lloyd's steps from the same centers."""
    placed, everything = jnp.asarray(points), jnp.ones(len(points), bool)
    centers = points[np.random.default_rng(1).choice(len(points), budget, False)]

    def move(points, centers):
        live = jnp.ones(budget, bool)
        return lloyd(points, everything, centers, live, max_steps=count, tolerance=0.0).centers

    jitted, start = jax.jit(move), jnp.asarray(centers)
    _, report = common.measure(move, placed, start, repeats=1)
    jax.block_until_ready(jitted(placed, start))
    times, results = alternate(
        {
            "jaxal": lambda turn: jax.block_until_ready(jitted(placed, start)),
            "scikit-learn": lambda turn: (
                KMeans(budget, init=centers, max_iter=count, tol=0.0).fit(points).cluster_centers_
            ),
        },
        repeats,
    )
    return compare(report, times) | {
        "steps": count,
        "inertia": {name: inertia(points, found[0]) for name, found in results.items()},
    }


def mini_batches(points, budget, batch_size, repeats):
    """Mini-batch k-means, to the end that each has of its own."""
    placed = jnp.asarray(points)

    def fit(key, points):
        available = jnp.ones(len(points), bool)
        return _k_means(key, points, available, budget, 1000, 0.0, 1, None, batch_size)[1]

    jitted = jax.jit(fit)
    _, report = common.measure(fit, jax.random.key(0), placed, repeats=1)
    jax.block_until_ready(jitted(jax.random.key(0), placed))
    times, results = alternate(
        {
            "jaxal": lambda turn: jax.block_until_ready(jitted(jax.random.key(turn), placed)),
            "scikit-learn": lambda turn: MiniBatchKMeans(
                budget, batch_size=batch_size, n_init=ONCE, random_state=turn
            ).fit(points),
        },
        repeats,
    )
    ours = [inertia(points, found.centers) for found in results["jaxal"]]
    theirs = [inertia(points, found.cluster_centers_) for found in results["scikit-learn"]]
    return compare(report, times) | {
        "inertia": {"jaxal": ours, "scikit-learn": theirs},
        "inertia_ratio": float(np.mean(ours) / np.mean(theirs)),
        "batches": {
            "jaxal": [int(found.steps) for found in results["jaxal"]],
            "scikit-learn": [found.n_steps_ for found in results["scikit-learn"]],
        },
    }


def product(points, budget, repeats):
    """Seconds of the product of all rows and centers, in tiles, with one sum of it read."""
    size = max(CACHED // budget, 128)
    tiles = jnp.asarray(points[: len(points) // size * size].reshape(-1, size, points.shape[1]))
    centers = jnp.asarray(points[:budget])
    jitted = jax.jit(lambda t, c: jax.lax.map(lambda one: jnp.max(c @ one.T, axis=0), t))
    jax.block_until_ready(jitted(tiles, centers))
    run = {"jaxal": lambda turn: jax.block_until_ready(jitted(tiles, centers))}
    return alternate(run, repeats)[0]["jaxal"]


def main():
    options = common.arguments(__doc__, rows=100_000, features=64, budget=1000)
    rng = np.random.default_rng(0)
    scale = np.linspace(3, 0.1, options.features)
    points = rng.normal(size=(options.rows, options.features)) * scale
    points = points.astype(np.float32)
    name = f"{options.rows}x{options.features}, {options.budget} centers"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        cases = {}
        for case, measured in (
            ("product", lambda: product(points, options.budget, repeats=5)),
            ("5 steps", lambda: steps(points, options.budget, 5, repeats=3)),
            ("batches of 4096", lambda: mini_batches(points, options.budget, 4096, repeats=1)),
            (
                "k_means_clusters of 20 steps",
                lambda: whole(points, options.budget, 20, repeats=1, quick=True),
            ),
            ("seeds and 20 steps", lambda: whole(points, options.budget, 20, repeats=1)),
        ):
            cases[f"{name}, {case}"] = measured()
            common.write("k_means", options.out, cases)


if __name__ == "__main__":
    main()
