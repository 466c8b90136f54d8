"""How a command is added to the command line, and what several of them take.

Options are taken in full, none shortened.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
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


def add_run_flags(command: argparse.ArgumentParser, what: str) -> None:
    """Adds what a command that runs a config takes.

    Args:
      command: its parser.
      what: it leaves in a folder, as "run".
    """
    add_overrides(command)
    command.add_argument("--seeds", metavar="N", help="same as --set seeds=N")
    command.add_argument(
        "--data",
        metavar="DIR",
        help="folder that holds the data, same as --set data.folder=DIR (default: JAXAL_DATA)",
    )
    command.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        help="folder for the results (default: runs/NAME); "
        f"where it holds a {what} already, DIR-2, DIR-3, ... is used",
    )
    command.add_argument(
        "--resume",
        action="store_true",
        help=f"go on with the {what} in DIR, which was interrupted or killed; "
        "begin it where there is none",
    )
    command.add_argument(
        "--no-cache",
        action="store_true",
        help="compile everything anew; otherwise compiled programs are kept in "
        "JAX_COMPILATION_CACHE_DIR, or in the user's cache folder",
    )


def given_overrides(arguments: argparse.Namespace) -> list[str]:
    """The assignments that `--set`, `--seeds` and `--data` stand for."""
    given = list(arguments.overrides)
    if arguments.seeds is not None:
        given.append(f"seeds={arguments.seeds}")
    if arguments.data is not None:
        given.append(f"data.folder={json.dumps(arguments.data, ensure_ascii=False)}")
    return given
