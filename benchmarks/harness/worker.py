"""One side in a process of its own, pinned, that does what it is told a line at a time.

    python -m benchmarks.harness.worker 0,1      # the cores

A request is a line of JSON with `do`, the name of a method of `Session`, and its arguments; the
reply is a line of JSON, `{"error": ...}` if it failed. What packages print goes to standard error.
"""

import json
import os
import pathlib
import resource
import sys
import time
from importlib import import_module, metadata
from typing import Any

LEAST = 0.05  # seconds that a run is repeated for, so that short calls are measured too
COMPILED = "/jax/core/compile/backend_compile_duration"


def resident(name: str) -> int | None:
    """Bytes of this process: `VmRSS` now, `VmHWM` at most since `forget_peak`; None if unknown."""
    status = pathlib.Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(name)), None)


def forget_peak() -> None:
    """From here on `VmHWM` is that of what follows, where the system allows it."""
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def processor_seconds() -> float:
    """Of this process, and of those that it started and that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def peak_bytes() -> int | None:
    """Bytes of this process at most since `forget_peak`, or of one that it started, if more."""
    own = resident("VmHWM")
    started = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return None if own is None else max(own, started)


def version(package: str) -> str | None:
    """The version of a distribution, with the commit or a word if it is not of a registry."""
    try:
        found = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return None
    origin = json.loads(found.read_text("direct_url.json") or "{}")
    commit = origin.get("vcs_info", {}).get("commit_id", "")[:7]
    return found.version + (f" ({commit})" if commit else " (from source)" if origin else "")


class Session:
    """What one worker holds between requests."""

    def __init__(self) -> None:
        self.call: Any = None
        self.compile_seconds = 0.0

    def load(self, module: str, topic: str, side: str, inputs: str, size: dict) -> dict:
        """Imports the side's package and hands it the inputs."""
        import numpy as np

        chosen = import_module(module).TOPICS[topic].sides[side]
        start = time.perf_counter()
        for name in chosen.imports:
            import_module(name)
        imported = time.perf_counter()
        self._listen()
        with np.load(inputs) as file:
            arrays = {name: file[name] for name in file.files}
        self.call = chosen.prepare(arrays, size)
        return {
            "import_seconds": imported - start,
            "prepare_seconds": time.perf_counter() - imported,
            "version": version(chosen.package),
            "versions": {
                name: version(name)
                for name in ("numpy", "scipy", "torch", "jax", "jaxlib", "numba")
                if name in sys.modules
            },
            "python": sys.version.split()[0],
            "device": self._device(),
            "cores": sorted(os.sched_getaffinity(0)),
            "resident_bytes": resident("VmRSS"),
        }

    def first(self, out: str, seed: int = 0) -> dict:
        """The first call, with what is traced and compiled in it."""
        self.compile_seconds = 0.0
        forget_peak()
        taken = self._timed(out, seed, least=0.0)
        compiled = {"compile_seconds": self.compile_seconds} if "jax" in sys.modules else {}
        return taken | compiled | {"peak_bytes": peak_bytes()}

    def run(self, out: str, seed: int = 0) -> dict:
        """A warm call, repeated while it takes less than `LEAST`."""
        forget_peak()
        return self._timed(out, seed, LEAST) | {"peak_bytes": peak_bytes()}

    def answer(self, out: str, seed: int) -> dict:
        """A call that is not timed."""
        import numpy as np

        np.save(out, np.asarray(self.call(seed)))
        return {}

    def ceilings(self) -> dict:
        """The best rates of a matrix product and of a copy, of those packages that are here."""
        from benchmarks.harness import ceilings

        return ceilings.measure()

    def _timed(self, out: str, seed: int, least: float) -> dict:
        import numpy as np

        count, result = 0, None
        wall, processor = time.perf_counter(), processor_seconds()
        while count == 0 or time.perf_counter() - wall < least:
            result = self.call(seed)
            count += 1
        seconds = (time.perf_counter() - wall) / count
        cpu_seconds = (processor_seconds() - processor) / count
        np.save(out, np.asarray(result))
        return {"seconds": seconds, "cpu_seconds": cpu_seconds, "calls": count}

    def _listen(self) -> None:
        """Adds up what JAX says of its compiler."""
        if "jax" not in sys.modules:
            return

        def heard(event: str, duration: float, **_: Any) -> None:
            self.compile_seconds += duration if event == COMPILED else 0.0

        import_module("jax").monitoring.register_event_duration_secs_listener(heard)

    def _device(self) -> str:
        if "jax" in sys.modules:
            return import_module("jax").devices()[0].device_kind
        return "cpu"


def main() -> None:
    os.sched_setaffinity(0, {int(core) for core in sys.argv[1].split(",")})
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    session = Session()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = getattr(session, request.pop("do"))(**request)
        except Exception as error:  # whatever a package raises is the answer
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
