"""MaxHerding: rows whose kernel covers the pool; coreax's kernel herding asks something else."""

# The packages are in an environment of their own.
# pyright: reportMissingImports=false

import numpy as np

from benchmarks.harness.topic import Quality, Side, Topic, Work, jaxal_side
from benchmarks.topics.examples import clusters, nearest_squared


def make(rng, size):
    return {"points": clusters(rng, size["rows"], size["width"], 50)[0]}


def bandwidth(size):
    """Of exp(-d^2 / bandwidth^2): about the distance of two rows of one cluster."""
    return float(size["width"] ** 0.5)


def jaxal(inputs, size):
    import jax.numpy as jnp

    from jaxal import selection

    points = jnp.asarray(inputs["points"])
    free = jnp.ones(len(points), bool)

    def call(seed):
        picked = selection.herding(points, free, size["picks"], bandwidth=bandwidth(size))
        return np.asarray(picked.rows)

    return call


def scikit_activeml(inputs, size):
    """The same rule."""
    from skactiveml.pool import MaxHerding

    unknown = np.full(size["rows"], np.nan)
    options = {"normalize_samples": False, "metric_dict": {"gamma": bandwidth(size) ** -2}}

    def call(seed):
        rule = MaxHerding(random_state=seed, **options)
        return rule.query(inputs["points"], unknown, batch_size=size["picks"])

    return call


def coreax(inputs, size):
    """Kernel herding, which matches the mean embedding of the pool: another rule, in JAX too."""
    import equinox
    import jax.numpy as jnp
    from coreax import Data
    from coreax.kernels import SquaredExponentialKernel
    from coreax.solvers import KernelHerding

    kernel = SquaredExponentialKernel(length_scale=bandwidth(size) / 2**0.5)
    solver = KernelHerding(coreset_size=size["picks"], kernel=kernel)
    reduce = equinox.filter_jit(solver.reduce)
    data = Data(jnp.asarray(inputs["points"]))
    return lambda seed: np.asarray(reduce(data)[0].unweighted_indices)


def coverage(inputs, size, rows):
    """The mean over the pool of the largest kernel with a pick."""
    squared = nearest_squared(inputs["points"], inputs["points"][rows])
    return float(np.exp(-squared / bandwidth(size) ** 2).mean())


TOPIC = Topic(
    title="MaxHerding",
    sizes={
        "small": {"rows": 2_000, "width": 64, "picks": 50},
        "medium": {"rows": 10_000, "width": 128, "picks": 200},
        "large": {"rows": 50_000, "width": 128, "picks": 500},
    },
    make=make,
    sides={
        "jaxal": jaxal_side(jaxal),
        "scikit-activeml": Side(scikit_activeml, "scikit-activeml", ("skactiveml.pool",)),
        "coreax, kernel herding": Side(coreax, "coreax", ("jax", "coreax")),
    },
    quality=Quality("coverage", coverage),
    work=lambda size: Work(
        2.0 * size["rows"] ** 2 * size["width"], 4.0 * size["rows"] * size["width"]
    ),
    shape=lambda size: f"{size['rows']:,} x {size['width']}, {size['picks']:,} picks",
)
