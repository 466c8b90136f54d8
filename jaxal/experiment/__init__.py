"""One experiment from a TOML file: the settings, the run, and the records it leaves."""

from jaxal.experiment._provenance import provenance
from jaxal.experiment._run import run
from jaxal.experiment.config import assignments, load, override, parse, to_toml
from jaxal.experiment.embedding import embed
from jaxal.experiment.grid import Cell, Grid, load_grid
from jaxal.experiment.settings import (
    Config,
    DataConfig,
    LearnerConfig,
    ModelConfig,
    ScenarioConfig,
    SetConfig,
    SetsConfig,
    StopConfig,
    StrategyConfig,
)
from jaxal.experiment.sweep import Sweep
from jaxal.records import (
    RUN_FILES,
    Listener,
    Record,
    Seconds,
    Writer,
    free_directory,
    read,
)

__all__ = [
    "RUN_FILES",
    "Cell",
    "Config",
    "DataConfig",
    "Grid",
    "LearnerConfig",
    "Listener",
    "ModelConfig",
    "Record",
    "ScenarioConfig",
    "Seconds",
    "SetConfig",
    "SetsConfig",
    "StopConfig",
    "StrategyConfig",
    "Sweep",
    "Writer",
    "assignments",
    "embed",
    "free_directory",
    "load",
    "load_grid",
    "override",
    "parse",
    "provenance",
    "read",
    "run",
    "to_toml",
]
