"""Examples that a function of one's own returns: `python:MODULE:FUNCTION`."""

from typing import Any, TypeGuard

from jaxal.checks import check_options, describe
from jaxal.data.readers.registry import Table, source
from jaxal.imports import imported


@source("python")
def python(module_function: str, **options: Any) -> Table:
    """Calls a function with the source's options; the module may be in the working directory.

    It returns a `data.Table`, a pair (inputs [N, ...], labels [N]), or two such pairs, the second
    of the test part.
    """
    function = imported("source python", module_function)
    check_options("source", f"python:{module_function}", function, options)
    made = function(**options)
    if isinstance(made, Table):
        return made
    if _is_pair(made) and all(map(_is_pair, made)):
        return Table(made[0], made[1])
    if _is_pair(made):
        return Table(made)
    raise TypeError(
        f"source python: expected {module_function} to return a data.Table, (inputs, labels), or "
        f"two such pairs, got {describe(made)}"
    )


def _is_pair(value: Any) -> TypeGuard[tuple[Any, Any]]:
    return isinstance(value, tuple) and len(value) == 2
