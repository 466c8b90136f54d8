"""Objects of the user's own code, which a config names as "module:function"."""

from collections.abc import Mapping
from typing import Any

from jaxal.checks import check_options
from jaxal.imports import imported


def from_factory(key: str, path: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """What the function returns for the arguments and the options.

    Args:
      key: of the config, for messages.
      path: "module:function".
      args: are given by position, before the options.
      options: of the config.

    Raises:
      TypeError: a path that is no text.
      ValueError: a path that cannot be imported, or an option that the function does not take.
    """
    if not isinstance(path, str):
        raise TypeError(f"{key}: expected a string, got {path!r}")
    factory = imported(key, path)
    check_options(key, path, factory, options)
    return factory(*args, **options)
