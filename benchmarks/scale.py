"""Decisions over pools on disk beside the same in memory: picks, time, and memory at the peak.

Each case is a process of its own, so that its memory is its own. The pool, Gaussian clusters in
float32, is written first, into `--folder`, where it stays.

    python benchmarks/scale.py --rows 10000000 --features 64 --budget 2000
    python benchmarks/scale.py --rows 100000000 --features 8 --dtype uint8 --cases scores
"""

import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from typing import Any

import common
import jax
import jax.numpy as jnp
import numpy as np

import jaxal
from jaxal import models, pools, selection
from jaxal.selection import certified

CLUSTERS, CHUNK, CLASSES = 1_000, 100_000, 10
CASES = {
    # What is decided, and where the pool is.
    "k_center": ("disk", "memory"),
    "badge": ("disk", "memory"),
    "margin": ("disk", "memory"),
    "entropy": ("disk", "memory"),
    "throughput": ("disk",),
    "scores": ("disk",),
    "source alone": ("disk",),
    "model alone": ("memory",),
}


class Clusters:
    """Features that are computed when they are read: a pool that is written needs no array."""

    def __init__(self, rows: int, features: int, dtype: str = "float32"):
        self.shape, self.dtype, self.ndim = (rows, features), np.dtype(dtype), 2
        self.centers = np.random.default_rng(0).normal(size=(CLUSTERS, features)) * 2

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(len(self))
        parts = []
        for chunk in range(start // CHUNK, -(-stop // CHUNK)):
            rng = np.random.default_rng((1, chunk))
            labels = rng.integers(0, CLUSTERS, CHUNK)
            made = rng.standard_normal((CHUNK, self.shape[1]), np.float32)
            made += self.centers[labels].astype(np.float32)
            if self.dtype == np.uint8:
                made = np.clip(128 + 16 * made, 0, 255).astype(np.uint8)
            first = chunk * CHUNK
            parts.append(made[max(start - first, 0) : stop - first])
        return np.concatenate(parts)


class Counted:
    """A source that counts the rows looked up one by one, and not those of a pass."""

    def __init__(self, source: Any):
        self.source, self.rows = source, 0
        self.shape, self.dtype, self.ndim = source.shape, source.dtype, source.ndim

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, rows: Any) -> np.ndarray:
        self.rows += 0 if isinstance(rows, slice) else len(rows)
        return self.source[rows]


def linear(features: int):
    """A linear head with weights at random."""
    model = models.linear(CLASSES)
    return model, model.init(jax.random.key(0), jnp.zeros((1, features)))


def read_alone(directory: Any) -> float:
    """Seconds to read all rows once."""
    start = time.perf_counter()
    for first in range(0, len(directory), 1 << 15):
        directory[first : first + (1 << 15)]
    return time.perf_counter() - start


def model_alone(inputs: jax.Array) -> float:
    """Seconds of the model's margins of all rows, which are on the device."""
    model, variables = linear(inputs.shape[1])

    def margins(variables, inputs):
        return jaxal.scores.margin(model.apply(variables, inputs).logits)

    compiled = jax.jit(lambda rows: pools.map_rows(margins, variables, rows, batch_size=1024))
    jax.block_until_ready(compiled(inputs))
    start = time.perf_counter()
    jax.block_until_ready(compiled(inputs))
    return time.perf_counter() - start


def residuals_of(variables: Any, inputs: jax.Array) -> jax.Array:
    """Of a linear head, the features being the inputs."""
    outputs = models.linear(CLASSES).apply(variables, inputs)
    return selection.gradient_embedding(outputs.logits, inputs).residuals


_residuals_of = jax.jit(residuals_of)


class Residuals:
    """A source of the residuals of a linear head, computed when they are asked for."""

    AT_ONCE = 1 << 13
    """Rows."""

    def __init__(self, source: Any):
        self._source, self._variables = source, linear(source.shape[1])[1]
        self.shape, self.dtype = (len(source), CLASSES), np.dtype(np.float32)

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, rows: Any) -> np.ndarray:
        if isinstance(rows, slice):
            rows = range(len(self))[rows]
        found = np.empty((len(rows), CLASSES), np.float32)
        for first in range(0, len(rows), self.AT_ONCE):
            some = slice(first, first + self.AT_ONCE)
            found[some] = self._of(rows[some])
        return found

    def _of(self, rows: Any) -> np.ndarray:
        features = self._source[slice(rows.start, rows.stop) if isinstance(rows, range) else rows]
        padded = np.pad(features, ((0, pools.size_class(len(features)) - len(features)), (0, 0)))
        return np.asarray(_residuals_of(self._variables, padded))[: len(features)]


def throughput(directory: Any, repeats: int = 4) -> dict[str, Any]:
    """Rows a second of margins of an MLP over the disk, beside the source's and the model's alone.

    The best of some passes of each, in turn, as others may use the machine too, of which the
    processor time says less. The model alone maps a part of the rows that is on the device, in the
    same batches and with its variables as an argument too, as often as makes as many rows. The
    memory at the peak is that of some streamed passes, before anything else is run.
    """
    width, part = directory.shape[1], min(len(directory), 1 << 17)
    model = models.mlp(CLASSES)
    variables = model.init(jax.random.key(0), jnp.zeros((1, width)))
    pool, resident = pools.stream(directory), jnp.asarray(directory[:part])

    def margins(variables: Any, inputs: jax.Array) -> jax.Array:
        return jaxal.scores.margin(model.apply(variables, inputs).logits)

    mapped = jax.jit(partial(pools.map_rows, margins, batch_size=1024))
    times = len(pool) // part
    runs = {
        "streamed": (len(pool), lambda: pool.map(margins, variables)),
        "model": (part * times, lambda: [mapped(variables, resident) for _ in range(times)]),
        "source": (len(pool), lambda: read_alone(directory)),
    }
    for _ in range(repeats):
        timed(runs["streamed"][1])
    found = {"streamed_peak_bytes": peak_bytes()}
    for _, run in runs.values():
        timed(run)  # compiles, and brings the file into the page cache
    taken = [[timed(run) for _, run in runs.values()] for _ in range(repeats)]
    for at, kind in enumerate(("second", "processor_second")):
        least = np.min(taken, axis=0)[:, at]
        rates = {
            name: rows / one for (name, (rows, _)), one in zip(runs.items(), least, strict=True)
        }
        found |= {f"{name}_rows_a_{kind}": rate for name, rate in rates.items()}
        found[f"share_by_{kind}"] = rates["streamed"] / min(rates["model"], rates["source"])
    return found


def scores(directory: Any) -> dict[str, Any]:
    """One pass of margins of a linear head over rows that no cache holds, beside a mere reading."""
    model, variables = linear(directory.shape[1])
    pool = pools.stream(directory, batch_size=1 << 15)

    def margins(variables: Any, inputs: jax.Array) -> jax.Array:
        rows = inputs.astype(jnp.float32) / 255.0
        return jaxal.scores.margin(model.apply(variables, rows).logits)

    few = pools.stream(directory[: 1 << 15], batch_size=1 << 15, size=len(pool))
    jax.block_until_ready(few.map(margins, variables))  # compiles
    found = {}
    for name, run in (
        ("source", lambda: read_alone(directory)),
        ("scores", lambda: pool.map(margins, variables)),
    ):
        for cache in ("cold", "warm"):
            if cache == "cold":
                forget(directory)
            seconds, processor = timed(run)
            found |= {f"{name}_{cache}_seconds": seconds, f"{name}_{cache}_processor": processor}
    found["rows_a_second"] = len(directory) / found["scores_cold_seconds"]
    return found | {"bytes": directory.nbytes}


def forget(directory: Any) -> None:
    """Has the system drop what it keeps of the files in memory."""
    for file in directory.manifest.files:
        number = os.open(directory.path / file.file, os.O_RDONLY)
        os.fdatasync(number)
        os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(number)


def timed(function: Any) -> tuple[float, float]:
    """Seconds until what a function returns is there, and those of all processors."""
    start, before = time.perf_counter(), time.process_time()
    jax.block_until_ready(function())
    return time.perf_counter() - start, time.process_time() - before


def from_copy(name: str, source: Counted, budget: int) -> dict[str, Any]:
    """Greedy k-center or BADGE from a copy of a byte a number."""
    start, passes = time.perf_counter(), []
    pool = pools.compress(source)
    found = {"compress_seconds": time.perf_counter() - start}
    available = jnp.ones(len(source), bool)
    if name == "badge":
        residuals = pools.compress(Residuals(source))
        found["with_residuals_seconds"] = time.perf_counter() - start
        rule = partial(certified.badge, jax.random.key(1), residuals)
    else:
        rule = certified.k_center
    source.rows = 0  # some are looked up for the ranges of the numbers
    picked = rule(pool, available, budget, advance=passes.append)
    found |= {"passes": len(passes), "rows_read": source.rows, "rows": picked.rows.tolist()}
    if name == "badge":
        found["mean_squared_distance"] = float(picked.scores[budget // 2 :].mean())
    return found


def decide(name: str, place: str, folder: str, budget: int) -> dict[str, Any]:
    """One case: its picks, and what it took."""
    directory = pools.open(folder)
    if name == "source alone":
        return {"seconds": read_alone(directory)}
    if name in ("throughput", "scores"):
        return {"throughput": throughput, "scores": scores}[name](directory)
    start = time.perf_counter()
    source: Any = Counted(directory) if place == "disk" else jnp.asarray(directory[:])
    loaded = time.perf_counter() - start
    if name == "model alone":
        return {"seconds": model_alone(source)}
    if name in ("k_center", "badge") and place == "disk":
        found = from_copy(name, source, budget)
    else:
        if name == "k_center":
            picked = selection.k_center(source, jnp.ones(len(source), bool), budget)
        else:
            strategy, (model, variables) = jaxal.strategies.make(name), linear(source.shape[1])
            picked = jaxal.acquire(jax.random.key(1), strategy, model, variables, source, budget)
        found = {"rows": picked.rows.tolist()}
        if name == "badge":
            found["mean_squared_distance"] = float(picked.scores[budget // 2 :].mean())
    return found | {"load_seconds": loaded, "seconds": time.perf_counter() - start}


def run(name: str, place: str, folder: str, budget: int) -> dict[str, Any]:
    """The case in a process of its own."""
    command = [sys.executable, __file__, "--case", name, place, folder, str(budget)]
    print(f"{name}, {place}: ...", file=sys.stderr, flush=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name}, {place}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def child(name: str, place: str, folder: str, budget: str) -> None:
    found = decide(name, place, folder, int(budget))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    found["processor_seconds"] = usage.ru_utime + usage.ru_stime
    found["peak_bytes"] = peak_bytes()
    print(json.dumps(found))


def peak_bytes() -> int:
    """The most memory that this process has had so far.

    Linux lets `ru_maxrss` begin at that of the process that started this one.
    """
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        (line,) = (one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def equal(cases: dict[tuple[str, str], Any], name: str) -> dict[str, Any]:
    """How many picks of the two places are the same, by their order and as sets."""
    disk, memory = (cases[name, place].pop("rows") for place in ("disk", "memory"))
    first = next(
        (at for at, pair in enumerate(zip(disk, memory, strict=True)) if len(set(pair)) > 1), None
    )
    return {"picks": len(disk), "in_common": len({*disk} & {*memory}), "first_other": first}


def main() -> None:
    options = common.arguments(
        __doc__,
        rows=1_000_000,
        features=64,
        dtype="float32",
        budget=2_000,
        folder="",
        cases=",".join(CASES),
    )
    folder = options.folder or str(pathlib.Path(tempfile.gettempdir()) / "jaxal-scale")
    kind = "" if options.dtype == "float32" else f"-{options.dtype}"
    path = pathlib.Path(folder, f"{options.rows}x{options.features}{kind}")
    if not (path / "manifest.json").exists():
        made = Clusters(options.rows, options.features, options.dtype)
        pools.create(path, made, shard_rows=1 << 22, resume=path.exists())
    asked = [(name, place) for name in options.cases.split(",") for place in CASES[name]]
    cases = {(name, place): run(name, place, str(path), options.budget) for name, place in asked}
    both = {name for name, _ in asked if {(name, "disk"), (name, "memory")} <= cases.keys()}
    alike = both - {"badge"}  # which is drawn, of the same law and by other numbers
    same = {name: equal(cases, name) for name in sorted(alike)}
    for found in cases.values():
        found.pop("rows", None)
    sizes = {"rows": options.rows, "features": options.features, "budget": options.budget}
    table = {f"{name}, {place}": found for (name, place), found in cases.items()}
    common.write(f"scale-{path.name}", options.out, {**sizes, "picks": same, **table})


if __name__ == "__main__":
    if sys.argv[1:2] == ["--case"]:
        child(*sys.argv[2:])
    else:
        main()
