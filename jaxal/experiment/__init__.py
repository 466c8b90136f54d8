"""One experiment from a TOML file: the settings, the run, and the records it leaves."""

from pathlib import Path
from typing import Any

from jaxal.experiment._provenance import provenance
from jaxal.experiment.config import (
    Config,
    DataConfig,
    LearnerConfig,
    ModelConfig,
    StrategyConfig,
    load,
    override,
    parse,
    to_toml,
)
from jaxal.records import (
    RUN_FILES,
    Record,
    Seconds,
    Writer,
    free_directory,
    read,
)

__all__ = [
    "RUN_FILES",
    "Config",
    "DataConfig",
    "LearnerConfig",
    "ModelConfig",
    "Record",
    "Seconds",
    "StrategyConfig",
    "Writer",
    "free_directory",
    "load",
    "override",
    "parse",
    "provenance",
    "read",
    "run",
    "to_toml",
]


def run(config: Config, out: Path, console: Any) -> Path:
    """Runs an experiment and writes its files.

    Args:
        config: what to run.
        out: the folder to write into; it is created.
        console: a `rich.console.Console` for the progress display.

    Returns:
        The folder with `config.toml`, `history.jsonl`, `summary.csv` and `curves.png`.
    """
    # The runner needs the report, and the report needs the records: at the top of the
    # module this import would be a circle.
    from jaxal.experiment import _run

    return _run.run(config, out, console)
