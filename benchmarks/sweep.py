"""Complete experiments a minute: `jaxal sweep` on `benchmarks/sweeps/small.toml`.

Loading the data and writing the records are counted; compilation, once a program, stands apart.
"""

import json
import pathlib
import tempfile
import time

import common

from jaxal import experiment
from jaxal.files import whole_lines

CONFIG = pathlib.Path(__file__).parent / "sweeps" / "small.toml"


def main():
    options = common.arguments(__doc__, seeds=500, strategies="random,margin")
    changed = [f"seeds={options.seeds}", f"strategy.names={options.strategies}"]
    start, processor = time.perf_counter(), time.process_time()
    sweep = experiment.Sweep(experiment.load_grid(CONFIG, changed))
    with tempfile.TemporaryDirectory() as folder:
        out = sweep.run(pathlib.Path(folder) / "sweep")
        groups = [json.loads(line) for line in whole_lines(out / "sweep.jsonl")[0]]
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    compiling = sum(group["compile_seconds"] for group in groups)
    cases = {
        "experiments": sweep.experiments,
        "rounds_each": sweep.total // sweep.experiments - 1,
        "seconds": seconds,
        "processor_seconds": processor,
        "compile_seconds": compiling,
        "seconds_in_programs": sum(group["seconds"] for group in groups),
        "experiments_a_minute": 60 * sweep.experiments / seconds,
        "experiments_a_minute_without_compilation": 60 * sweep.experiments / (seconds - compiling),
    }
    common.write("sweep", options.out, {"small": cases})


if __name__ == "__main__":
    main()
