"""Packages that one kind of source alone needs, which are imported when it is read."""

import importlib
from typing import Any


def need(module: str, kind: str, install: str | None = None) -> Any:
    """The imported module.

    Args:
      module: its name.
      kind: of the source that needs it.
      install: what pip calls it, if that is another name.

    Raises:
      ValueError: it is not installed; says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise ValueError(
            f"source {kind}: expected the package {install or error.name} to be installed; "
            f"pip install {install or error.name}"
        ) from None
