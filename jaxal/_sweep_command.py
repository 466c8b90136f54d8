"""The command `jaxal sweep GRID.toml`: many complete experiments in one program."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxal._commands import add_command, add_run_flags, given_overrides

if TYPE_CHECKING:  # rich takes time to import
    from rich.table import Table

_EXAMPLES = """\
examples:
  jaxal sweep benchmarks/sweeps/small.toml
  jaxal sweep benchmarks/sweeps/small.toml --seeds 100 --out runs/more
  jaxal sweep benchmarks/sweeps/small.toml --seeds 100 --out runs/more --resume
  jaxal report runs/more/wine
"""
_DESCRIPTION = """\
Run data sets x budgets x strategies x seeds of a config with a table [sweep]. Data sets of like
sizes are padded to the same shapes and run as one program, all seeds at once; padding is never
picked, and changes nothing. Each data set with each budget becomes a run in a folder of its name,
which `jaxal report` and `jaxal compare` take.
"""


def add_sweep(commands: Any) -> None:
    """Adds the command to the others.

    Args:
      commands: what `add_subparsers` returned.
    """
    sweep = add_command(
        commands,
        "sweep",
        _sweep,
        help="run many experiments in one program",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    sweep.add_argument("grid", metavar="GRID", type=Path, help="a TOML file with a table [sweep]")
    add_run_flags(sweep, "sweep")
    sweep.add_argument("--quiet", "-q", action="store_true", help="print only the folder's path")
    sweep.add_argument("--traceback", action="store_true", help="show where an error came from")


def _sweep(arguments: argparse.Namespace) -> int:
    from jaxal._cache import set_up_cache

    set_up_cache(not arguments.no_cache)
    from rich.console import Console

    from jaxal import experiment, report
    from jaxal._interrupts import Interruptible
    from jaxal.experiment.sweep import JOURNAL
    from jaxal.report._text import printable

    grid = experiment.load_grid(arguments.grid, given_overrides(arguments))
    out = wanted = arguments.out or Path("runs", grid.name)
    if not arguments.resume:
        out = experiment.free_directory(wanted, [JOURNAL])
    console = Console(stderr=True, quiet=arguments.quiet)
    if out != wanted:
        message = f"{printable(wanted)} holds a sweep already: writing to {printable(out)}"
        console.print(message, markup=False)
    sweep = experiment.Sweep(grid)
    console.print(f"{sweep.experiments} experiments in {sweep.groups} programs", highlight=False)
    with report.progress(sweep.total, console) as progress:
        sweep.run(out, Interruptible(progress), resume=arguments.resume)
    if arguments.quiet:
        print(out)
        return 0
    shown = Console()
    shown.print(_table([cell.name for cell in grid.cells], out))
    shown.print(printable(out), highlight=False, markup=False, soft_wrap=True)
    return 0


def _table(cells: list[str], out: Path) -> "Table":
    """The mean over each curve, by data set and strategy."""
    from rich.table import Table

    from jaxal import experiment, report

    table = Table("data set", "strategy", "seeds", "mean over the curve", box=None)
    for cell in cells:
        for one in report.summarize(experiment.read(out / cell / "history.jsonl")):
            spread = f"{one.area_mean:.4f} ± {one.area_std:.4f}"
            table.add_row(cell, one.strategy, str(one.seeds), spread)
    return table
