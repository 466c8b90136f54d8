"""TypiClust: a typical row of each cluster, clustering included; each side has its own k-means."""

import warnings

# The packages are in an environment of their own.
# pyright: reportMissingImports=false
import numpy as np

from benchmarks.harness.topic import Quality, Side, Topic, Work, jaxal_side
from benchmarks.topics.examples import clusters

NEIGHBORS = 20


def make(rng, size):
    """As many clusters as picks."""
    points, group = clusters(rng, size["rows"], size["width"], size["picks"], spread=0.5)
    return {"points": points, "group": group}


def jaxal(inputs, size):
    import jax
    import jax.numpy as jnp

    from jaxal import selection

    points = jnp.asarray(inputs["points"])
    free = jnp.ones(len(points), bool)

    def call(seed):
        key = jax.random.key(seed)
        picked = selection.typiclust(key, points, free, size["picks"], num_neighbors=NEIGHBORS)
        return np.asarray(picked.rows)

    return call


def scikit_activeml(inputs, size):
    from skactiveml.pool import TypiClust

    unknown = np.full(size["rows"], np.nan)

    def call(seed):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rule = TypiClust(random_state=seed, k=NEIGHBORS)
            return rule.query(inputs["points"], unknown, batch_size=size["picks"])

    return call


def found(inputs, size, rows):
    return len(set(inputs["group"][rows].tolist())) / len(set(inputs["group"].tolist()))


TOPIC = Topic(
    title="TypiClust",
    sizes={
        "small": {"rows": 5_000, "width": 64, "picks": 50},
        "medium": {"rows": 20_000, "width": 128, "picks": 100},
        "large": {"rows": 100_000, "width": 512, "picks": 500},
    },
    make=make,
    sides={
        "jaxal": jaxal_side(jaxal),
        "scikit-activeml": Side(scikit_activeml, "scikit-activeml", ("skactiveml.pool",)),
    },
    quality=Quality("true clusters hit", found),
    work=lambda size: Work(
        2.0 * size["rows"] * size["width"] * (size["picks"] + size["rows"] / size["picks"]),
        4.0 * size["rows"] * size["width"],
    ),
    shape=lambda size: f"{size['rows']:,} x {size['width']}, {size['picks']:,} picks",
    random=True,
)
