"""The command `jaxal data SOURCE`: what is in a data set."""

import argparse
from pathlib import Path
from typing import Any

from jaxal._commands import add_command

_EXAMPLES = """\
examples:
  jaxal data sklearn:digits
  jaxal data mnist --folder ~/data
  jaxal data csv:letters.csv --test csv:letters_test.csv --set label=first
"""


def add_data(commands: Any) -> None:
    """Adds the command to the others.

    Args:
      commands: what `add_subparsers` returned.
    """
    data = add_command(
        commands,
        "data",
        _data,
        help="show what is in a data set, or list the sources",
        description="Show rows, shapes and types of a data set, and its classes with their counts.",
        examples=_EXAMPLES,
    )
    data.add_argument(
        "source",
        metavar="SOURCE",
        nargs="?",
        help="as `[data] source` in a config; without one, the sources are listed",
    )
    data.add_argument("--test", metavar="SOURCE", help="the source of the test part")
    data.add_argument(
        "--folder",
        metavar="DIR",
        type=Path,
        help="folder in which files are looked for as well (default: JAXAL_DATA)",
    )
    data.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="options",
        help="an option of the source, as `[data.options]` in a config; may be repeated",
    )
    data.add_argument("--traceback", action="store_true", help="show where an error came from")


def _data(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from jaxal import data, experiment, report

    if arguments.source is None:
        print(*data.sources(), sep="\n")
        return 0
    contents = data.describe(
        arguments.source,
        test=arguments.test,
        folder=arguments.folder,
        options=experiment.assignments(arguments.options),
    )
    Console().print(report.contents_table(arguments.source, contents))
    return 0
