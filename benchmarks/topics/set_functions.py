"""Set functions by cosine similarity, maximised greedily; a kernel, where one is made, is timed."""

# The packages are in an environment of their own.
# pyright: reportMissingImports=false

from typing import Any

import numpy as np

from benchmarks.harness.topic import Quality, Side, Topic, Work, jaxal_side
from benchmarks.topics.examples import CHUNK, clusters

RIDGE = 1.0  # of the determinant


def make(rng, size):
    points = clusters(rng, size["rows"] + size.get("queries", 0), size["width"], 50)[0]
    return {"points": points[: size["rows"]], "query": points[size["rows"] :]}


def unit(points, dtype: Any = np.float64):
    points = points.astype(dtype)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def jaxal(name, **options):
    def prepare(inputs, size):
        import jax.numpy as jnp

        from jaxal import submodular

        points = jnp.asarray(inputs["points"])
        query = {"query": jnp.asarray(inputs["query"])} if len(inputs["query"]) else {}
        free = jnp.ones(len(points), bool)

        def call(seed):
            function = submodular.make(name, points, metric="cosine", **query, **options)
            return np.asarray(submodular.maximize(function, free, size["picks"]).rows)

        return call

    return jaxal_side(prepare)


def submodlib(kind, optimizer, **options):
    def prepare(inputs, size):
        import submodlib

        points, query = inputs["points"], inputs["query"]

        def call(seed):
            if len(query):  # as DISTIL does, by similarities
                near = unit(points, np.float32) @ unit(query, np.float32).T
                given = {"num_queries": len(query), "query_sijs": near}
            else:
                given = {"mode": "dense", "data": points, "metric": "cosine"}
            function = getattr(submodlib, kind)(n=len(points), **given, **options)
            picked = function.maximize(size["picks"], optimizer=optimizer, show_progress=False)
            return np.asarray([row for row, _ in picked])

        return call

    return Side(prepare, "submodlib-py", ("submodlib",))


def apricot(inputs, size):
    """Of a kernel given: what it calls cosine is another similarity."""
    from apricot import FacilityLocationSelection

    def call(seed):
        directions = unit(inputs["points"], np.float32)
        options = {"metric": "precomputed", "optimizer": "lazy"}
        fit = FacilityLocationSelection(size["picks"], **options)
        return np.asarray(fit.fit(np.maximum(directions @ directions.T, 0)).ranking)

    return call


def covered(inputs, size, rows):
    """sum_i max(0, max_{j in S} s_ij)."""
    rest = unit(inputs["points"])
    parts = (rest[at : at + CHUNK] @ rest[rows].T for at in range(0, len(rest), CHUNK))
    return float(sum(np.maximum(part.max(1), 0).sum() for part in parts))


def log_volume(inputs, size, rows):
    """log det(K_S + ridge I)."""
    picked = unit(inputs["points"][rows])
    return float(np.linalg.slogdet(picked @ picked.T + RIDGE * np.eye(len(rows)))[1])


def toward_query(inputs, size, rows):
    """sum_q max_{j in S} s_jq + sum_{j in S} max_q s_jq."""
    near = unit(inputs["points"][rows]) @ unit(inputs["query"]).T
    return float(near.max(0).sum() + near.max(1).sum())


def shape(size):
    queries = f", {size['queries']} queries" if "queries" in size else ""
    return f"{size['rows']:,} x {size['width']}{queries}, {size['picks']:,} picks"


SIZES = {
    "small": {"rows": 1_000, "width": 64, "picks": 50},
    "medium": {"rows": 5_000, "width": 128, "picks": 200},
    "large": {"rows": 20_000, "width": 128, "picks": 500},
}
FACILITY_LOCATION = Topic(
    title="facility location",
    sizes=SIZES,
    make=make,
    sides={
        "jaxal": jaxal("facility_location", targets="all"),
        "submodlib, lazy": submodlib("FacilityLocationFunction", "LazyGreedy"),
        "submodlib, naive": submodlib("FacilityLocationFunction", "NaiveGreedy"),
        "apricot, lazy": Side(apricot, "apricot-select", ("apricot",)),
    },
    quality=Quality("objective", covered),
    work=lambda size: Work(
        2.0 * size["rows"] ** 2 * size["width"] + 3.0 * size["rows"] ** 2 * size["picks"],
        4.0 * size["rows"] * size["width"],
    ),
    shape=shape,
)
LOG_DETERMINANT = Topic(
    title="log-determinant",
    sizes=SIZES,
    make=make,
    sides={
        "jaxal": jaxal("log_determinant", ridge=RIDGE),
        "submodlib, lazy": submodlib("LogDeterminantFunction", "LazyGreedy", lambdaVal=RIDGE),
    },
    quality=Quality("log-determinant", log_volume),
    work=lambda size: Work(
        2.0 * size["rows"] * (size["width"] + size["picks"] / 2) * size["picks"],
        4.0 * size["rows"] * size["width"] * size["picks"],
    ),
    shape=shape,
)
FL2MI = Topic(
    title="FLQMI, towards queries",
    sizes={
        "small": {"rows": 5_000, "width": 64, "queries": 25, "picks": 100},
        "medium": {"rows": 50_000, "width": 128, "queries": 50, "picks": 500},
        "large": {"rows": 1_000_000, "width": 128, "queries": 50, "picks": 1_000},
    },
    make=make,
    sides={
        "jaxal": jaxal("fl2mi"),
        "submodlib, lazy": submodlib(
            "FacilityLocationVariantMutualInformationFunction",
            "LazyGreedy",
            queryDiversityEta=1.0,
        ),
    },
    quality=Quality("objective", toward_query),
    work=lambda size: Work(
        2.0 * size["rows"] * size["queries"] * size["width"]
        + 3.0 * size["rows"] * size["queries"] * size["picks"],
        4.0 * size["rows"] * size["width"],
    ),
    shape=shape,
)
