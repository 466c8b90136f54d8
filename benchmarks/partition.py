"""Facility location chosen centrally, within parts of the pool, and by GreeDi."""

import os
from functools import partial

import common
import jax
import jax.numpy as jnp
import numpy as np

from jaxal import strategies, submodular
from jaxal.base import View


def principal_components(pixels, count):
    """The first principal components of rows [N, D], [N, count]."""
    centred = pixels - pixels.mean(0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return centred @ vectors[:, ::-1][:, :count]


def clouds(rows, features):
    """Unequal Gaussian clouds, for where there is no MNIST."""
    rng = np.random.default_rng(0)
    sizes = rng.dirichlet(np.ones(60))
    centers = rng.normal(size=(60, features))
    return centers[rng.choice(60, rows, p=sizes)] + rng.normal(size=(rows, features))


def case(strategy, features, function, budget, *, repeats, keys):
    """The objective over several keys, and the time of one selection."""
    rows = len(features)

    def choose(key, features):
        view = View(features, jnp.full(rows, -1), jnp.zeros(rows, bool), jnp.ones(rows, bool))
        return strategy.select(key, view, budget).rows

    _, report = common.measure(choose, jax.random.key(0), features, repeats=repeats)
    compiled = jax.jit(choose)
    picked = [compiled(jax.random.key(seed), features) for seed in range(keys)]
    values = [float(submodular.evaluate(function, rows)) for rows in picked]
    return report | {"objectives": values, "objective": float(np.mean(values))}


def main():
    options = common.arguments(
        __doc__, mnist="", rows=16_000, budget=100, features=64, repeats=3, keys=3
    )
    if options.mnist:
        with np.load(os.path.expanduser(options.mnist)) as file:
            pixels = file["train_images"][: options.rows].reshape(options.rows, -1)
        points = principal_components(pixels.astype(np.float64) / 255, options.features)
    else:
        points = clouds(options.rows, options.features)
    points = jnp.asarray(points, jnp.float32)
    function = submodular.facility_location(points)
    measured = partial(
        case,
        features=points,
        function=function,
        budget=options.budget,
        repeats=options.repeats,
    )
    rule = strategies.submodular(function="facility_location")
    cases = {
        "central": measured(rule, keys=1),
        "random": measured(strategies.random(), keys=options.keys),
    }
    for parts in (8, 32):
        wrap = partial(strategies.partition, rule, num_partitions=parts)
        cases |= {
            f"partition in order, {parts}": measured(wrap(shuffle=False), keys=1),
            f"partition, {parts}": measured(wrap(), keys=options.keys),
            f"greedi, {parts}": measured(wrap(merge="greedi"), keys=options.keys),
            f"greedi, {parts}, oversampling 4": measured(
                wrap(merge="greedi", oversampling=4), keys=options.keys
            ),
        }
    for report in cases.values():
        report["of_central"] = report["objective"] / cases["central"]["objective"]
        report["speedup"] = cases["central"]["seconds"] / report["seconds"]
    setting = {name: value for name, value in vars(options).items() if name != "out"}
    setting["mnist"] = bool(options.mnist)
    common.write("partition", options.out, {"setting": setting} | cases)


if __name__ == "__main__":
    main()
