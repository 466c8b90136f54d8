"""Facility location over all rows by cosine similarity; a kernel, where one is made, is timed."""

# The packages are in an environment of their own.
# pyright: reportMissingImports=false

import numpy as np

from benchmarks.harness.topic import Quality, Side, Topic, Work, jaxal_side
from benchmarks.topics.examples import CHUNK, clusters


def make(rng, size):
    return {"points": clusters(rng, size["rows"], size["width"], 50)[0]}


def jaxal(inputs, size):
    import jax.numpy as jnp

    from jaxal import submodular

    points = jnp.asarray(inputs["points"])
    free = jnp.ones(len(points), bool)

    def call(seed):
        function = submodular.make("facility_location", points, metric="cosine", targets="all")
        return np.asarray(submodular.maximize(function, free, size["picks"]).rows)

    return call


def submodlib(optimizer):
    def prepare(inputs, size):
        from submodlib import FacilityLocationFunction

        points = inputs["points"]

        def call(seed):
            function = FacilityLocationFunction(
                n=len(points), mode="dense", data=points, metric="cosine"
            )
            picked = function.maximize(size["picks"], optimizer=optimizer, show_progress=False)
            return np.asarray([row for row, _ in picked])

        return call

    return Side(prepare, "submodlib-py", ("submodlib",))


def apricot(inputs, size):
    """Of a kernel given: what it calls cosine is another similarity."""
    from apricot import FacilityLocationSelection

    points = inputs["points"]

    def call(seed):
        unit = points / np.linalg.norm(points, axis=1, keepdims=True)
        options = {"metric": "precomputed", "optimizer": "lazy"}
        fit = FacilityLocationSelection(size["picks"], **options)
        return np.asarray(fit.fit(np.maximum(unit @ unit.T, 0)).ranking)

    return call


def covered(inputs, size, rows):
    points = inputs["points"].astype(np.float64)
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    parts = (unit[at : at + CHUNK] @ unit[rows].T for at in range(0, len(unit), CHUNK))
    return float(sum(np.maximum(part.max(1), 0).sum() for part in parts))


TOPIC = Topic(
    title="facility location",
    sizes={
        "small": {"rows": 1_000, "width": 64, "picks": 50},
        "medium": {"rows": 5_000, "width": 128, "picks": 200},
        "large": {"rows": 20_000, "width": 128, "picks": 500},
    },
    make=make,
    sides={
        "jaxal": jaxal_side(jaxal),
        "submodlib, lazy": submodlib("LazyGreedy"),
        "submodlib, naive": submodlib("NaiveGreedy"),
        "apricot, lazy": Side(apricot, "apricot-select", ("apricot",)),
    },
    quality=Quality("objective", covered),
    work=lambda size: Work(
        2.0 * size["rows"] ** 2 * size["width"] + 3.0 * size["rows"] ** 2 * size["picks"],
        4.0 * size["rows"] * size["width"],
    ),
    shape=lambda size: f"{size['rows']:,} x {size['width']}, {size['picks']:,} picks",
)
