"""A new label project."""

from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from jaxal import entry
from jaxal.data.tables import check_folder
from jaxal.files import claimed
from jaxal.labeling import project
from jaxal.labeling._status import Status, status
from jaxal.labeling.ledger import Told
from jaxal.labeling.parts import build, data_folder
from jaxal.labeling.picking import first_rule, start
from jaxal.labeling.settings import load
from jaxal.loop.stepwise import ask
from jaxal.records import CONFIG


@entry.checked(config=check_folder, folder=check_folder, overrides=entry.texts, data=check_folder)
def create(
    config: str | Path,
    folder: str | Path,
    *,
    overrides: Sequence[str] = (),
    data: str | Path | None = None,
) -> Status:
    """Makes the folder of a label project from a config.

    All that `next_batch` will need is loaded and checked: rows, ids, classes, model and strategy.

    Args:
      config: a TOML file with the tables of an experiment and `[label]`.
      folder: that is made; a project that is there already is not touched.
      overrides: assignments such as "strategy.budget=50".
      data: the folder where data are looked for after the working directory; if not given, that of
        the config, of JAXAL_DATA, or the one around the project.

    Returns:
      Its `Status`.

    Raises:
      ValueError, TypeError: a config or data that cannot be used; a project in the folder already.
      OSError: a file that is not there, or a folder that cannot be written to.
    """
    folder = Path(folder)
    settings = load(config, overrides)
    with claimed(folder):
        if any((folder / name).exists() for name in (CONFIG, project.JOURNAL)):
            raise ValueError(f"{folder}: holds a project or a run already")
        parts = build(settings, data_folder(settings, folder, data))
        first_rule(settings, parts)
        nothing = np.zeros(0, np.int32)
        told = Told(nothing, nothing, np.zeros(0, np.float32), nothing)
        state, pool = start(settings, parts, told, 1)
        # Traced and not run: what the strategy needs is missed now, and not when people wait.
        budget = min(settings.strategy.budget, len(parts.items.ids))
        given = {"budget": budget, "validation": parts.held_out}
        jax.eval_shape(lambda s: ask(s, parts.learner, parts.strategy, pool, **given), state)
        project.write(folder, settings, parts)
    return status(folder)
