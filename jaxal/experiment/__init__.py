"""One experiment from a TOML file: the settings, the run, and the records it leaves."""

from jaxal.experiment._provenance import provenance
from jaxal.experiment._run import run
from jaxal.experiment.config import assignments, load, override, parse, to_toml
from jaxal.experiment.embedding import embed
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
    "Config",
    "DataConfig",
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
    "Writer",
    "assignments",
    "embed",
    "free_directory",
    "load",
    "override",
    "parse",
    "provenance",
    "read",
    "run",
    "to_toml",
]
