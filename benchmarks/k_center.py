"""Block-lazy k-center against plain greedy: the same picks in a few passes over the pool."""

import os

import common
import jax
import jax.numpy as jnp
import numpy as np

from jaxal.points.distances import nearest_center
from jaxal.points.embedding import Dense
from jaxal.selection._k_center import _k_center


def nearest_squared(points, centers):
    """Squared distances to the nearest center."""
    return nearest_center(Dense(points), Dense(centers), jnp.ones(len(centers), bool))[0]


def plain(points, centers, budget):
    """Greedy k-center as it is usually written: one pass over the pool a pick."""
    squared = nearest_squared(points, centers)

    def step(carry, _):
        squared, free = carry
        row = jnp.argmax(jnp.where(free, squared, -jnp.inf))
        away = jnp.sum((points - points[row]) ** 2, axis=-1)
        return (jnp.minimum(squared, away), free.at[row].set(False)), row

    start = (squared, jnp.ones(len(points), bool))
    return jax.lax.scan(step, start, None, length=budget)[1]


def covering_radius(points, centers, rows):
    """The largest distance of a point from its nearest center or pick: the objective."""
    every = jnp.concatenate([centers, points[rows]])
    squared = nearest_squared(points, every)
    return float(jnp.sqrt(jnp.max(squared)))


def first_difference(points, centers, rows, expected):
    """Where two orders part, and by how much the picks there differ in float64."""
    if (rows == expected).all():
        return None
    turn = int(np.argmax(rows != expected))
    covered = np.concatenate([centers, points[rows[:turn]]]).astype(np.float64)
    ours, theirs = (
        ((covered - points[row].astype(np.float64)) ** 2).sum(-1).min()
        for row in (rows[turn], expected[turn])
    )
    return {"turn": turn, "relative_gap_float64": float(abs(ours - theirs) / ours)}


def case(points, centers, budget, block_size, with_plain):
    def lazy(points, centers):
        available = jnp.ones(len(points), bool)
        picked, lazy_state = _k_center(points, available, budget, centers, None, block_size)
        return picked.rows, lazy_state.passes, lazy_state.state.precise

    points, centers = jnp.asarray(points), jnp.asarray(centers)
    (rows, passes, precise), report = common.measure(lazy, points, centers, repeats=3)
    report |= {
        "rows": points.shape[0],
        "features": points.shape[1],
        "centers": len(centers),
        "budget": budget,
        "block_size": block_size,
        "passes": int(passes),
        "measured_again_by_differences": bool(precise),
        "radius": covering_radius(points, centers, rows),
    }
    if with_plain:
        expected, plain_report = common.measure(
            lambda points, centers: plain(points, centers, budget),
            points,
            centers,
            repeats=3,
        )
        report |= {
            "plain": plain_report | {"passes": budget},
            "ratio": plain_report["seconds"] / report["seconds"],
            "rows_that_differ": int(jnp.sum(rows != expected)),
            "first_difference": first_difference(
                *(np.asarray(array) for array in (points, centers, rows, expected))
            ),
            "same_set": set(rows.tolist()) == set(expected.tolist()),
        }
    return report


def main():
    options = common.arguments(__doc__, mnist="", large=1)
    rng = np.random.default_rng(0)

    def cloud(rows, features):
        scale = np.linspace(3, 0.1, features)
        return (rng.normal(size=(rows, features)) * scale).astype(np.float32)

    cases = {}
    points, centers = cloud(20_000, 128), cloud(1_000, 128)
    for block_size in (128, 256, 512):
        cases[f"20000x128, block {block_size}"] = case(
            points, centers, 1_000, block_size, with_plain=True
        )
    if options.large:
        points, centers = cloud(200_000, 256), cloud(1_000, 256)
        cases["200000x256"] = case(points, centers, 5_000, 512, with_plain=False)
    if options.mnist:
        with np.load(os.path.expanduser(options.mnist)) as file:
            pixels = file["train_images"].reshape(60_000, -1).astype(np.float32) / 255
        cases["MNIST pixels 20000x784"] = case(
            pixels[:20_000], pixels[-1_000:], 1_000, 512, with_plain=True
        )
    common.write("k_center", options.out, cases)


if __name__ == "__main__":
    main()
