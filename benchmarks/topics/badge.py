"""BADGE: D^2 sampling of last-layer gradients. Peers get the gradients written out, untimed."""

# The packages are in an environment of their own.
# pyright: reportMissingImports=false

import numpy as np

from benchmarks.harness.topic import Quality, Side, Topic, Work, jaxal_side
from benchmarks.topics.examples import classifier, nearest_squared, residuals


def make(rng, size):
    features, weights = classifier(rng, size["rows"], size["width"], size["classes"])
    return {"features": features, "residuals": residuals(features @ weights)}


def gradients(inputs):
    """[N, C * D] float32."""
    outer = inputs["residuals"][:, :, None] * inputs["features"][:, None, :]
    return outer.reshape(len(outer), -1)


def jaxal(inputs, size):
    import jax
    import jax.numpy as jnp

    from jaxal import selection

    parts = jnp.asarray(inputs["residuals"]), jnp.asarray(inputs["features"])
    free = jnp.ones(size["rows"], bool)

    def call(seed):
        return np.asarray(selection.badge(jax.random.key(seed), *parts, free, size["picks"]).rows)

    return call


def distil(inputs, size):
    """Its `init_centers`, which is what its strategy does after the forward passes."""
    from distil.active_learning_strategies.badge import init_centers

    written_out = gradients(inputs)

    def call(seed):
        np.random.seed(seed)
        return np.asarray(init_centers(written_out, size["picks"], "cpu"))

    return call


def scikit_learn(inputs, size):
    """`kmeans_plusplus` with one trial: the same law, but for the first pick, which is uniform."""
    from sklearn.cluster import kmeans_plusplus

    written_out = gradients(inputs)

    def call(seed):
        options = {"random_state": seed, "n_local_trials": 1}
        return kmeans_plusplus(written_out, size["picks"], **options)[1]

    return call


def potential(inputs, size, rows):
    written_out = gradients(inputs)
    return float(nearest_squared(written_out, written_out[rows]).sum())


TOPIC = Topic(
    title="BADGE",
    sizes={
        "small": {"rows": 2_000, "width": 64, "classes": 10, "picks": 50},
        "medium": {"rows": 10_000, "width": 128, "classes": 10, "picks": 200},
        "large": {"rows": 50_000, "width": 512, "classes": 10, "picks": 1_000},
    },
    make=make,
    sides={
        "jaxal": jaxal_side(jaxal),
        "scikit-learn": Side(scikit_learn, "scikit-learn", ("sklearn.cluster",)),
        "DISTIL": Side(distil, "decile-distil", ("torch", "distil.active_learning_strategies")),
    },
    quality=Quality("potential", potential, higher_is_better=False),
    work=lambda size: Work(
        2.0 * size["rows"] * (size["width"] + size["classes"]) * size["picks"],
        4.0 * size["rows"] * (size["width"] + size["classes"]) * size["picks"],
    ),
    shape=lambda size: (
        f"{size['rows']:,} x ({size['classes']}, {size['width']}), {size['picks']:,} picks"
    ),
    random=True,
)
