"""The command `jaxal evaluate RUN`: how good the last models of a run are, from few labels."""

import argparse
from pathlib import Path
from typing import Any

from jaxal._commands import add_command

_EXAMPLES = """\
examples:
  jaxal evaluate runs/digits
  jaxal evaluate runs/digits --labels 50 --width 0.02 --confidence 0.95
"""
_DESCRIPTION = """\
Estimate the accuracy of every strategy's last model from few test labels, by active inference and
uniformly, and show how many labels an interval of a width takes.
"""


def add_evaluate(commands: Any) -> None:
    """Adds the command to the others.

    Args:
      commands: what `add_subparsers` returned.
    """
    command = add_command(
        commands,
        "evaluate",
        _evaluate,
        help="estimate how good the last models of a run are, from few labels",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    command.add_argument("run", metavar="DIR", type=Path, help="the folder of a finished run")
    command.add_argument(
        "--labels", metavar="N", type=int, default=100, help="test labels to look at (default: 100)"
    )
    command.add_argument(
        "--width",
        metavar="W",
        type=float,
        default=0.01,
        help="half the width of the interval that labels are counted for (default: 0.01)",
    )
    command.add_argument(
        "--confidence",
        metavar="P",
        type=float,
        default=0.9,
        help="of the intervals (default: 0.9)",
    )
    command.add_argument(
        "--seed", metavar="S", type=int, default=0, help="whose models they are (default: 0)"
    )
    command.add_argument(
        "--rows",
        metavar="N",
        type=int,
        default=100_000,
        help="examples like the test rows, of which some would be labelled (default: 100000)",
    )
    command.add_argument("--traceback", action="store_true", help="show where an error came from")


def _evaluate(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from jaxal import report

    shared = {name: getattr(arguments, name) for name in ("width", "confidence", "seed", "rows")}
    found = report.evaluate_run(arguments.run, labels=arguments.labels, **shared)
    Console().print(report.evaluation_table(found, **shared))
    return 0
