"""How greedy k-center grows: passes, bytes and messages, and what follows for a billion rows.

Passes over the pool are counted for some N, D and budgets, and fitted by powers of these. What
devices send each other is read from the compiled program, for 1 to 8 of them, which here are
virtual. Nothing of the forecast is measured: it is the fit, and the published peaks of chips, and
so a bound; `jaxal plan` counts what the compiled program does besides.

    python benchmarks/scaling.py
"""

import itertools
import os
from collections.abc import Mapping
from typing import Any

os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")

import common
import jax
import matplotlib.pyplot as plt
import numpy as np

import jaxal
from jaxal.accelerators import Decision
from jaxal.accelerators.chips import CHIPS
from jaxal.accelerators.compiled import compile_for
from jaxal.pools import devices
from jaxal.selection import anytime

ROWS, FEATURES, BUDGETS = (10_000, 40_000, 160_000), (16, 64), (250, 1_000)
FORECAST = {"rows": 10**9, "features": 256, "budget": 10_000}
PODS = {"16 H100": ("h100", 16, 1.0), "v5e-64": ("v5e", 64, 1.2)}
"""Chips, how many, and the seconds of the floor: a hundred passes at the bandwidth alone."""


def points(rows: int, features: int) -> np.ndarray:
    """A thousand Gaussian clusters."""
    rng = np.random.default_rng(0)
    centers = 2 * rng.normal(size=(1_000, features))
    return (centers[rng.integers(0, 1_000, rows)] + rng.normal(size=(rows, features))).astype("f4")


def decided(rows: int, features: int, budget: int, shards: int = 1) -> tuple[int, list[int]]:
    """Passes over the pool, and the picks."""
    mesh = None if shards == 1 else devices.make_mesh(shards)
    pool = jaxal.place(points(rows, features), None, mesh)
    *_, last = anytime.k_center(pool.inputs, pool.valid, budget)
    return last.passes, np.asarray(last.selection.rows).tolist()


def messages(rows: int, features: int, shards: int) -> dict[str, int]:
    """What a device exchanges in a step of the outer loop and of those inside it, once each."""
    found = compile_for(jax.devices()[:shards], Decision("core_set", rows, features, 256)).contents
    inside = [one for loop in found.loops for one in loop.collectives]
    return {
        "collectives": len(inside),
        "bytes": sum(one.bytes for one in inside),
        "largest": max((one.numbers for one in inside), default=0),
        "bytes_once": sum(one.bytes for one in found.once),
    }


def exponents(table: Mapping[tuple[int, int, int], int]) -> np.ndarray:
    """The powers of each of the arguments, and the logarithm of the factor, by least squares."""
    sizes = np.log(np.array([*table]))
    sides = np.concatenate([sizes, np.ones((len(sizes), 1))], axis=1)
    return np.linalg.lstsq(sides, np.log(np.array([*table.values()])), rcond=None)[0]


def forecast(powers: np.ndarray) -> dict[str, Any]:
    """Seconds of a selection in bfloat16 on chips that are not here, by the peaks."""
    sizes = np.log([*FORECAST.values()])
    passes = float(np.exp(sizes @ powers[:-1] + powers[-1]))
    rows, width, budget = FORECAST.values()
    found: dict[str, Any] = {"passes": passes, "bytes_a_pass": 2 * rows * width}
    for name, (kind, number, floor) in PODS.items():
        chip = CHIPS[kind]
        reading = passes * 2 * rows * width / (number * chip.bandwidth)
        # As the program has them: of float32, in full precision.
        products = 2 * rows * width * budget / (number * chip.precise)
        found[name] = {
            "reading_seconds": reading,
            "product_seconds": products,
            "floor_seconds": floor,
            "seconds": max(reading, products),
        }
    return found


def draw(passes: dict[tuple[int, int, int], int], powers: np.ndarray, path: Any) -> None:
    """Passes against N, and the fit."""
    figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
    for number, (width, budget) in enumerate(itertools.product(FEATURES, BUDGETS)):
        counts = [passes[rows, width, budget] for rows in ROWS]
        fit = [np.exp(np.log([n, width, budget]) @ powers[:-1] + powers[-1]) for n in ROWS]
        label = f"{width} features, {budget:,} picks"
        axes.plot(ROWS, counts, "o", color=f"C{number}", label=label)
        axes.plot(ROWS, fit, "-", color=f"C{number}", linewidth=1)
    axes.set(xscale="log", yscale="log", xlabel="rows", ylabel="passes over the pool")
    axes.legend(fontsize=7)
    figure.savefig(path, dpi=150)


def main() -> None:
    options = common.arguments(__doc__)
    passes: dict[tuple[int, int, int], int] = {}
    for sizes in itertools.product(ROWS, FEATURES, BUDGETS):
        passes[sizes] = decided(*sizes)[0]
        print(*sizes, passes[sizes], flush=True)
    powers = exponents(passes)
    alone = decided(10_000, 16, 250)
    shared = {shards: decided(10_000, 16, 250, shards) == alone for shards in (2, 4, 8)}
    asked = [(40_000, 64, 1), (40_000, 64, 2), (40_000, 64, 8), (160_000, 64, 8), (40_000, 16, 8)]
    sent = {" x ".join(map(str, sizes)): messages(*sizes) for sizes in asked}
    draw(passes, powers, options.out / "scaling.png")
    names = ("rows", "features", "budget")
    cases = {
        "passes": {" x ".join(map(str, sizes)): count for sizes, count in passes.items()},
        "exponents": dict(zip(names, powers[:-1].tolist(), strict=True)),
        "same_picks_and_passes_on_devices": shared,
        "sent_by_rows_features_devices": sent,
        "forecast": FORECAST | forecast(powers),
    }
    common.write("scaling", options.out, cases)


if __name__ == "__main__":
    main()
