"""Functions that settings name by where they can be imported from."""

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any


def imported(argument: str, path: str) -> Callable[..., Any]:
    """The function "module:function"; modules are looked for in the working directory too.

    Args:
      argument: what is called so in messages.
      path: the module and the function, dotted where it is inside something.

    Raises:
      ValueError: another form, or nothing there that can be imported.
      TypeError: what is there is no function.
    """
    module, _, name = path.partition(":")
    if not (module and name):
        raise ValueError(f"{argument}: expected module:function, got {path!r}")
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"{argument}: expected what can be imported, got {path!r}: {error}"
        ) from error
    finally:
        sys.path.remove(here)
    if not callable(found):
        raise TypeError(f"{argument}: expected a function, got {path!r}, {found!r}")
    return found
