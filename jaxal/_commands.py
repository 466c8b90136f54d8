"""How a command is added to the command line, and what several of them take.

Options are taken in full, none shortened.
"""

import argparse
from collections.abc import Callable
from typing import Any


def add_command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], int],
    *,
    help: str,
    description: str,
    examples: str | None = None,
) -> argparse.ArgumentParser:
    """Adds a command to the others.

    Args:
      commands: what `add_subparsers` returned.
      name: of the command.
      run: what it does; returns the exit status.
      help: a line in the list of commands.
      description: what its own help says first, as it is.
      examples: what its own help says last, as it is.

    Returns:
      Its parser, to which its arguments are added.
    """
    command = commands.add_parser(
        name,
        help=help,
        description=description,
        epilog=examples,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(command=run)
    return command


def add_overrides(command: argparse.ArgumentParser) -> None:
    """Adds the option that replaces settings of a config: `overrides`, a list of assignments."""
    command.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="overrides",
        help="replace a setting, as in strategy.budget=50; may be repeated",
    )
