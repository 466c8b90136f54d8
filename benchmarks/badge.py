"""BADGE without gradients written out and in few passes, against one pass over the pool a pick."""

import common
import jax
import jax.numpy as jnp
import numpy as np

from jaxal import selection
from jaxal.greedy.d2 import d2_sampling, sample_rows


def embedding(rows, classes, features, seed=0):
    """Gradients of a confident classifier over positive features, as after a ReLU."""
    rng = np.random.default_rng(seed)
    hidden = np.maximum(rng.normal(size=(rows, features)), 0).astype(np.float32)
    weights = rng.normal(size=(features, classes)) * 4 / features**0.5
    logits = (hidden @ weights).astype(np.float32)
    return selection.gradient_embedding(jnp.asarray(logits), jnp.asarray(hidden))


def lazy(key, points, budget, block_size):
    available = jnp.ones(len(points.residuals), bool)
    first = jnp.argmax(points.squared_norm())
    picked, draws = d2_sampling(key, points, first, available, budget, block_size=block_size)
    return picked.rows, draws.passes, jnp.sum(jnp.where(draws.free, draws.squared, 0.0))


def plain(key, points, budget):
    """The same law with a pass over the pool a pick, on the same factorised gradients."""

    def nearest(squared, row):
        away = points.squared_distance(points.take(row[None]))[:, 0]
        return jnp.minimum(squared, away).at[row].set(0.0)

    def step(squared, key):
        row = sample_rows(jax.random.uniform(key, (1,)), squared)[0]
        return nearest(squared, row), row

    first = jnp.argmax(points.squared_norm())
    start = nearest(jnp.full(len(points.residuals), jnp.inf), first)
    squared, _ = jax.lax.scan(step, start, jax.random.split(key, budget - 1))
    return jnp.sum(squared)


def case(rows, classes, features, budget, block_size, draws, with_plain):
    points = embedding(rows, classes, features)
    keys = jax.random.split(jax.random.key(0), draws)
    (picked, passes, _), report = common.measure(
        lambda key, points: lazy(key, points, budget, block_size),
        keys[0],
        points,
        repeats=3,
    )
    inputs = 4 * rows * (classes + features)
    report |= {
        "rows": rows,
        "classes": classes,
        "features": features,
        "budget": budget,
        "block_size": block_size,
        "passes": int(passes),
        "distinct": len(set(picked.tolist())) == budget,
        "input_bytes": inputs,
        "bytes_of_gradients_written_out": 4 * rows * classes * features,
    }
    if with_plain:
        run = jax.jit(lambda key: lazy(key, points, budget, block_size)[2])
        slow = jax.jit(lambda key: plain(key, points, budget))
        ours, exact = ([float(f(key)) for key in keys] for f in (run, slow))
        _, plain_report = common.measure(
            lambda key, points: plain(key, points, budget), keys[0], points, repeats=1
        )
        report |= {
            "potential": {
                "mean": np.mean(ours),
                "std": np.std(ours, ddof=1),
                "draws": draws,
            },
            "plain": plain_report
            | {"potential": {"mean": np.mean(exact), "std": np.std(exact, ddof=1)}},
            "ratio": plain_report["seconds"] / report["seconds"],
        }
    return report


def main():
    options = common.arguments(__doc__, draws=5, many_classes=1)
    cases = {
        f"50000 x (10, 512), block {block_size}": case(
            50_000, 10, 512, 1_000, block_size, options.draws, with_plain=True
        )
        for block_size in (256, 512)
    }
    if options.many_classes:
        cases["50000 x (1000, 512)"] = case(
            50_000, 1_000, 512, 1_000, 256, options.draws, with_plain=False
        )
    common.write("badge", options.out, cases)


if __name__ == "__main__":
    main()
