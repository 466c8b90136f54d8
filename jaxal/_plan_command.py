"""The command `jaxal plan STRATEGY`: what a decision would take of a pod, a card, or a host."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from jaxal._commands import add_command

if TYPE_CHECKING:  # jax takes a second to import
    from rich.table import Table

    from jaxal.accelerators import Decision, Plan

_EXAMPLES = """\
examples:
  jaxal plan core_set --rows 1e9 --features 256 --budget 10000 --topology v5e:8x8 --dtype bfloat16
  jaxal plan badge --rows 1e6 --features 512 --budget 1000 --topology h100:1 --classes 1000
  jaxal plan badge --rows 1e8 --features 256 --budget 10000 --devices h100x8
  jaxal plan entropy --rows 1e6 --features 64 --budget 100
"""
_DESCRIPTION = """\
Show whether a decision fits on accelerators, what travels between them, how often it reads the
pool, and a time range from published peaks. It is compiled for shapes alone: no data is needed,
and no device but with neither option, for which those here are taken.
Exit status 0 if it fits, 1 if it does not.
"""


def add_plan(commands: Any) -> None:
    """Adds the command to the others.

    Args:
      commands: what `add_subparsers` returned.
    """
    plan = add_command(
        commands,
        "plan",
        _plan,
        help="show what a decision would take of a pod or a card",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    plan.add_argument("strategy", metavar="STRATEGY", help="as `jaxal strategies` lists them")
    for name, words in {
        "rows": "of the pool, as in 1e9",
        "features": "numbers in a row",
        "budget": "rows to be picked",
    }.items():
        plan.add_argument(f"--{name}", metavar="N", required=True, help=words)
    plan.add_argument("--classes", metavar="C", default="10", help="of the labels (default: 10)")
    plan.add_argument("--dtype", default="float32", help="of the features (default: float32)")
    plan.add_argument(
        "--hidden",
        metavar="WIDTH",
        default="0",
        help="width of a hidden layer over the features (default: none, the last layer alone)",
    )
    plan.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="options",
        help="an option of the strategy, as block_size=1024; may be repeated",
    )
    where = plan.add_mutually_exclusive_group()
    where.add_argument(
        "--topology",
        metavar="MACHINE:SHAPE",
        help="compile for v4, v5e, v5p or v6e chips, as v5e:8x8, or a100, h100 or h200 cards, as "
        "h100:8, by their own compiler",
    )
    where.add_argument(
        "--devices",
        metavar="MACHINExN",
        help="for as many chips or cards, as h100x8, without their compiler: by arithmetic on the "
        "program for CPUs",
    )
    plan.add_argument("--traceback", action="store_true", help="show where an error came from")


def _plan(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from jaxal import accelerators, experiment

    counts = ("rows", "features", "budget", "classes", "hidden")
    decision = accelerators.Decision(
        arguments.strategy,
        dtype=arguments.dtype,
        options=experiment.assignments(arguments.options),
        **{name: _count(name, getattr(arguments, name)) for name in counts},
    )
    if arguments.topology is not None:
        where, plan = arguments.topology, accelerators.plan_for(decision, arguments.topology)
    elif arguments.devices is not None:
        where = f"{arguments.devices}, by arithmetic"
        plan = accelerators.plan_by_arithmetic(decision, arguments.devices)
    else:
        where, plan = "the devices here", accelerators.plan_here(decision)
    Console().print(_table(decision, where, plan))
    return 0 if plan.fits else 1


def _count(name: str, text: str) -> int:
    """A whole number, which may be written as 1e9."""
    try:
        number = float(text)
        if number == int(number):
            return int(number)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{name}: expected a whole number, as 1000 or 1e9, got {text!r}")


def _table(decision: "Decision", where: str, plan: "Plan") -> "Table":
    from rich.text import Text

    from jaxal.report._text import printable
    from jaxal.report.table import plain_table

    title = (
        f"{decision.strategy} on {where}: {decision.budget:,} of {decision.rows:,} x "
        f"{decision.features} {decision.dtype}, {decision.classes} classes"
    )
    table = plain_table(title=Text(printable(title)))
    table.add_column("")
    table.add_column("", overflow="fold")
    for name, words in _lines(plan):
        table.add_row(name, Text(printable(words)))
    return table


def _lines(plan: "Plan") -> Iterator[tuple[str, str]]:
    """What is said of a plan, line by line."""
    from jaxal.accelerators.chips import GiB

    compiled = plan.compiled
    yield "chips", f"{plan.chips:,}, with {plan.memory / GiB:.1f} GiB each"
    yield "fits", "yes" if plan.fits else f"no: {compiled.refused or 'see the next line'}"
    if compiled.text:
        parts = {"pool and model": compiled.arguments, "temporaries": compiled.temporaries}
        parts["result"] = compiled.results
        said = " + ".join(f"{size / GiB:.2f} ({name})" for name, size in parts.items())
        yield "GiB a chip", f"{said} = {compiled.bytes / GiB:.2f}"
    for one in plan.exchanges:
        when = "sent once" if one.loop is None else f"a step of {one.loop}"
        axes = " x ".join(f"{axis:,}" for axis in one.largest.shape) or "one number"
        yield (
            when,
            f"{one.bytes / 1024:,.1f} KiB in {one.count} collectives, the largest "
            f"{one.largest.kind} of {axes}",
        )
    if compiled.text and not plan.exchanges:
        yield "sent", "nothing"
    if plan.passes is not None and plan.seconds is not None:
        least, most = (f"{number:,.0f}" for number in plan.passes)
        yield "passes", f"{least} to {most} over the pool" if most != least else most
        yield "time", f"{_time(plan.seconds.least)} to {_time(plan.seconds.most)}, from the peaks"


def _time(seconds: float) -> str:
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 600 else f"{seconds / 3600:.2g} h"
