"""GLISTER and GradMatch on the factors of gradients, which are never written out.

Beside DISTIL they are in `python -m benchmarks run glister grad_match`.
"""

import common
import jax
import jax.numpy as jnp
import numpy as np

from jaxal import selection

RATE = 0.01


def problem(rows, labeled, classes, width, seed=0):
    """Features as after a ReLU, the last layer's weights, and labels, one in five of them wrong."""
    rng = np.random.default_rng(seed)
    features = np.maximum(rng.normal(size=(rows + labeled, width)), 0)
    features = features.astype(np.float32)
    weights = rng.normal(size=(width, classes)) * 4 / width**0.5
    weights = weights.astype(np.float32)
    labels = (features @ weights).argmax(1)
    wrong = rng.random(len(labels)) < 0.2
    labels = np.where(wrong, rng.integers(0, classes, len(labels)), labels)
    return features, weights, labels


def inputs(features, weights, labels, rows):
    """The same as the arguments of a selection: pool, labelled rows, available."""
    logits = features @ weights
    pool = logits[:rows], features[:rows]
    mask = np.ones(len(labels) - rows, bool)
    labeled = logits[rows:], features[rows:], labels[rows:], mask
    return jax.tree.map(jnp.asarray, (pool, labeled, np.ones(rows, bool)))


def glister(pool, labeled, available, budget, **options):
    return selection.glister(
        jax.random.key(0),
        pool,
        labeled,
        available,
        budget,
        learning_rate=RATE,
        **options,
    )


def grad_match(pool, labeled, available, budget, **options):
    return selection.grad_match(pool, available, budget, **options)


def pursuit(pool, labeled, available, budget, **options):
    return selection.orthogonal_matching_pursuit(
        jax.random.key(0), pool, available, budget, **options
    )[0]


def case(rule, rows, width, budget, *, repeats, labeled=500, classes=10, **options):
    data = problem(rows, labeled, classes, width)
    _, report = common.measure(
        lambda *arrays: rule(*arrays, budget, **options).rows,
        *inputs(*data, rows),
        repeats=repeats,
    )
    gradients = 4 * rows * classes * (width + 1)
    report |= {"rows": rows, "classes": classes, "features": width, "budget": budget}
    report |= {"labeled": labeled, "bytes_of_gradients_written_out": gradients}
    return report | options


def main():
    options = common.arguments(__doc__, large=1)
    small, large = (5_000, 128, 200), (50_000, 512, 1_000)
    cases = {
        "GLISTER 5000": case(glister, *small, repeats=5),
        "GradMatch 5000": case(grad_match, *small, repeats=5, target="pool"),
    }
    for name, strength in (("diversity", 0.1), ("facility_location", 0.01)):
        cases[f"GLISTER 5000, {name}"] = case(
            glister, *small, repeats=3, regularizer=name, strength=strength
        )
    cases["matching pursuit 5000"] = case(pursuit, *small, repeats=3)
    if options.large:
        cases["GLISTER 50000"] = case(glister, *large, repeats=1)
        cases["GradMatch 50000"] = case(grad_match, *large, repeats=1)
    common.write("gradient_matching", options.out, cases)


if __name__ == "__main__":
    main()
