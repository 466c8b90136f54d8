"""Package faces that import a public name when it is first used, so that `import jaxal` is fast."""

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def lazy(
    package: str, homes: Mapping[str, Iterable[str]], modules: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` (PEP 562) of a package that imports its names on first use.

    The package repeats the imports under `if TYPE_CHECKING`, for type checkers and editors.

    Args:
      package: `__name__` of the package.
      homes: the names of the package, by the module that defines them.
      modules: modules that are names of the package themselves, by the last part of their path.

    Returns:
      The two functions, to be called `__getattr__` and `__dir__`.

    Example:
      >>> find, names = lazy("json", {"json.decoder": ["JSONDecodeError"]})
      >>> find("JSONDecodeError").__module__
      'json.decoder'
    """
    home = {name: module for module, names in homes.items() for name in names}
    path = {module.rpartition(".")[2]: module for module in modules}

    def find(name: str) -> Any:
        if name in path:
            value = importlib.import_module(path[name])
        elif name in home:
            value = getattr(importlib.import_module(home[name]), name)
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(sys.modules[package], name, value)  # Python asks `__getattr__` no second time
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home, *path})

    return find, names
