"""Decisions pass by pass against the same as one compiled loop: what stepping costs."""

import time

import common
import jax
import jax.numpy as jnp
import numpy as np

from jaxal import selection
from jaxal.selection import anytime


def seconds(call):
    """Wall and processor time of a call."""
    start = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - start[0], time.process_time() - start[1]


def case(whole, passes, repeats):
    """Both, warm and in turn, with the least of each time."""
    steps = list(passes())
    rows = jax.block_until_ready(whole()).rows
    times = [
        (seconds(lambda: jax.block_until_ready(whole())), seconds(lambda: list(passes())))
        for _ in range(repeats)
    ]
    (wall, busy), (wall_by_passes, busy_by_passes) = np.min(times, axis=0).tolist()
    return {
        "passes": len(steps),
        "same_picks": bool((rows == steps[-1].selection.rows).all()),
        "seconds": wall,
        "seconds_by_passes": wall_by_passes,
        "processor_seconds": busy,
        "processor_seconds_by_passes": busy_by_passes,
        "milliseconds_a_pass": 1e3 * (wall_by_passes - wall) / len(steps),
        "counts_and_bounds": [[step.count, *step.bound] for step in steps],
    }


def main():
    options = common.arguments(__doc__, rows=20_000, features=32, budget=500, repeats=9)
    points = np.random.default_rng(0).normal(size=(options.rows, options.features))
    given = jnp.asarray(points, jnp.float32), jnp.ones(options.rows, bool), options.budget
    key = jax.random.key(0)
    cases = {
        "k_center": case(
            lambda: selection.k_center(*given), lambda: anytime.k_center(*given), options.repeats
        ),
        "k_means_plus_plus": case(
            lambda: selection.k_means_plus_plus(key, *given),
            lambda: anytime.k_means_plus_plus(key, *given),
            options.repeats,
        ),
    }
    common.write("anytime", options.out, cases)


if __name__ == "__main__":
    main()
