"""What an accelerator is for: large exact decisions, beside the device's own ceilings.

    python benchmarks/large.py                   # its largest arrays are 26 GB together
    python benchmarks/large.py --scale 0.01      # a hundredth of the rows, for a processor

The ceilings are those that a matrix product and a copy reach on the same device in the same run.
With `--profile 1` (NVIDIA) a decision's kernels are counted, and how long the device was idle.
"""

import collections
import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any

import common
import jax
import jax.numpy as jnp
from k_center import plain

from jaxal import scores, selection, submodular


def profile(function: Callable, *args: Any) -> dict[str, Any]:
    """Kernels of one run on an NVIDIA card: how many, for how long, and the longest by name."""
    jax.block_until_ready(function(*args))
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        with jax.profiler.trace(folder):
            jax.block_until_ready(function(*args))
        seconds = time.perf_counter() - start
        [path] = pathlib.Path(folder).rglob("*.xplane.pb")
        planes = list(jax.profiler.ProfileData.from_file(str(path)).planes)
        events = [
            (event.name, event.start_ns, event.duration_ns)
            for plane in planes
            if plane.name.startswith("/device:GPU")
            for line in plane.lines
            if line.name.startswith("Stream")
            for event in line.events
        ]
    times, counts = collections.Counter(), collections.Counter()
    for name, _, duration in events:
        times[name[:80]] += duration / 1e9
        counts[name[:80]] += 1
    ends = [start + duration for _, start, duration in events]
    return {
        "kernels": len(events),
        "busy_seconds": sum(times.values()),
        "first_to_last_seconds": (max(ends) - min(s for _, s, _ in events)) / 1e9 if ends else 0.0,
        "seconds_with_tracing": seconds,
        "longest": {name: [counts[name], took] for name, took in times.most_common(12)},
    }


def decaying(key: jax.Array, rows: int, features: int) -> jax.Array:
    """Normal features whose deviations fall from 3 to 0.1, as those of a network do."""
    return jax.random.normal(key, (rows, features)) * jnp.linspace(3, 0.1, features)


def ceilings(scale: float) -> dict[str, Any]:
    """Seconds and rates of a matrix product in each precision, and of a copy."""
    side, found = max(256, int(8192 * scale**0.5) // 256 * 256), {}
    square = jax.random.normal(jax.random.key(0), (side, side))
    for name, dtype, precision in [
        ("float32", jnp.float32, "highest"),
        ("float32, default precision", jnp.float32, "default"),
        ("bfloat16", jnp.bfloat16, "default"),
    ]:
        a = square.astype(dtype)
        _, report = common.measure(lambda a, p=precision: jnp.matmul(a, a, precision=p), a)
        found[f"product, {name}"] = 2 * side**3 / report["seconds_least"] / 1e12
    long = jnp.ones(max(1 << 20, int((1 << 29) * scale)))
    _, report = common.measure(lambda x: x + 1, long)
    found["copy, GB/s read and written"] = 2 * long.nbytes / report["seconds_least"] / 1e9
    return found


def k_center(scale: float, profiled: bool) -> dict[str, Any]:
    """10,000 of 1e6 x 512: exact, and as it is usually written, a pass over the pool a pick."""
    rows, budget = int(1e6 * scale), int(1e4 * scale**0.5)
    points, found = decaying(jax.random.key(0), rows, 512), {}
    available = jnp.ones(rows, bool)
    for block in (512, 1024):

        def decide(points, available, block=block):
            return selection.k_center(points, available, budget, block_size=block)

        picked, report = common.measure(decide, points, available, repeats=3)
        found[f"block {block}"] = report | {"rows": rows, "features": 512, "budget": budget}
        print("k_center", block, report["seconds"], report["compile_seconds"], flush=True)
        if block == 512 and profiled:
            found["profile, block 512"] = profile(jax.jit(decide), points, available)
    centers = points[picked.rows[:1]]
    expected, report = common.measure(
        lambda points: plain(points, centers, budget - 1), points, repeats=1
    )
    found["plain greedy"] = report | {"equal_picks": int((expected == picked.rows[1:]).sum())}
    return found


def badge(scale: float, profiled: bool) -> dict[str, Any]:
    """10,000 of 1.28e6 rows of 1,000 classes and 2,048 features: ImageNet and a ResNet-50."""
    rows, budget = int(1.28e6 * scale), int(1e4 * scale**0.5)
    keys, found = jax.random.split(jax.random.key(0), 3), {}
    features = jax.nn.relu(jax.random.normal(keys[0], (rows, 2048)))
    weights = jax.random.normal(keys[1], (2048, 1000)) * (4 / 2048**0.5)
    # In blocks: the logits beside the residuals would be 5 GB more.
    residuals = jax.jit(
        lambda features, weights: jax.lax.map(
            lambda row: selection.gradient_embedding((row @ weights)[None], row[None]).residuals[0],
            features,
            batch_size=8192,
        )
    )(features, weights)
    for block in (256, 1024):

        def decide(key, residuals, features, block=block):
            available = jnp.ones(rows, bool)
            return selection.badge(key, residuals, features, available, budget, block_size=block)

        picked, report = common.measure(decide, keys[2], residuals, features, repeats=1)
        report |= {"rows": rows, "budget": budget, "distinct": len(set(picked.rows.tolist()))}
        found[f"block {block}"] = report
        print("badge", block, report["seconds"], report["compile_seconds"], flush=True)
        if block == 256 and profiled:
            found["profile, block 256"] = profile(jax.jit(decide), keys[2], residuals, features)
    return found


def facility_location(scale: float, profiled: bool) -> dict[str, Any]:
    """1,000 of 1e5 x 128 by all rows, and by a sample of the targets."""
    rows, budget, found = int(1e5 * scale), int(1e3 * scale**0.5), {}
    points = decaying(jax.random.key(0), rows, 128)
    for form, targets, block in [
        ("all rows, block 1024", "all", 1024),
        ("all rows, block 4096", "all", 4096),
        ("a sample", 8192, 256),
        ("a sample, block 1024", 8192, 1024),
    ]:

        def decide(points, targets=targets, block=block):
            function = submodular.make("facility_location", points, targets=targets)
            available = jnp.ones(rows, bool)
            return submodular.maximize(function, available, budget, block_size=block)

        _, report = common.measure(decide, points, repeats=2)
        found[form] = report | {"rows": rows, "features": 128, "budget": budget}
        print("facility_location", form, report["seconds"], flush=True)
    if profiled:
        found["profile of the last"] = profile(jax.jit(decide), points)
    return found


def uncertainty(scale: float, profiled: bool) -> dict[str, Any]:
    """Scores and the 10,000 best of 4e6 rows of 1,000 classes, beside reading them once."""
    rows, budget, found = int(4e6 * scale), int(1e4 * scale**0.5), {}
    logits = jax.random.normal(jax.random.key(0), (rows, 1000))
    available = jnp.ones(rows, bool)
    for name in ("entropy", "margin", "least_confidence"):

        def decide(logits, available, name=name):
            return selection.take_top(getattr(scores, name)(logits), available, budget)

        _, report = common.measure(decide, logits, available)
        report |= {"rows": rows, "GB_a_second": logits.nbytes / report["seconds"] / 1e9}
        found[name] = report
        if name == "margin" and profiled:
            found["profile, margin"] = profile(jax.jit(decide), logits, available)
    return found


TOPICS = {one.__name__: one for one in (uncertainty, k_center, facility_location, badge)}


def main() -> None:
    options = common.arguments(__doc__, scale=1.0, profile=0, topics=",".join(TOPICS))
    cases: dict[str, Any] = {"ceilings, TFLOP/s": ceilings(options.scale)}
    for name in options.topics.split(","):
        cases[name] = TOPICS[name](options.scale, bool(options.profile))
        common.write("large", options.out, cases)  # of the topics so far


if __name__ == "__main__":
    main()
