"""The commands: `jaxal run`, `report`, `compare`, `data`, `embed`, `pool`, `label` and more."""

# jax and matplotlib take a second to import: only the commands that need them do.
import argparse
import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from jaxal._commands import add_command, add_run_flags, given_overrides
from jaxal._data_command import add_data
from jaxal._distributed import add_flags, joined, run_to_end
from jaxal._embed_command import add_embed
from jaxal._evaluate_command import add_evaluate
from jaxal._interrupts import Interruptible, interrupts
from jaxal._label_command import add_label
from jaxal._plan_command import add_plan
from jaxal._pool_command import add_pool
from jaxal._sweep_command import add_sweep

_RUN_EXAMPLES = """\
examples:
  jaxal run configs/digits.toml
  jaxal run configs/digits.toml --seeds 20 --out runs/more
  jaxal run configs/digits.toml --seeds 20 --out runs/more --resume
  jaxal run configs/digits.toml --set strategy.budget=50 --set strategy.names=random,badge
  jaxal run config_2lnet_satimage_entropysampling.json --data datasets
  jaxal run configs/digits.toml --distributed
  jaxal run configs/digits.toml --distributed --coordinator 10.0.0.1:1234 --processes 2 --process 0
"""

_REPORT_EXAMPLES = """\
examples:
  jaxal report runs/digits
  jaxal report runs/digits --html digits.html
  jaxal report runs/digits runs/warm --html both.html
"""

_COMPARE_EXAMPLES = """\
example:
  jaxal run configs/digits.toml
  jaxal run configs/digits.toml --set learner.warm_start=true --out runs/warm
  jaxal compare runs/digits runs/warm --out runs/warm_or_cold
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
      argv: arguments without the program's name; None: those of the process.

    Returns:
      The exit status: 0, 2 for a mistake in the input or what stops a run from outside (a full
      disk, no memory), 130 for an interrupt, 141 if whoever read the output has gone.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help(sys.stderr)
        return 2
    if getattr(arguments, "distributed", False):
        return run_to_end(lambda: _status(arguments))
    return _status(arguments)


def _status(arguments: argparse.Namespace) -> int:
    """Does what a command says."""
    try:
        with interrupts(), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            status = arguments.command(arguments)
            sys.stdout.flush()  # what goes wrong with the output is seen here, and not at the end
            return status
    except BrokenPipeError:  # as `head` has, once it has its lines: what is left goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ValueError, TypeError, OSError, FloatingPointError, MemoryError) as error:
        if arguments.traceback:
            raise
        _tell(f"error: {_message(error)}")
        return 2
    except KeyboardInterrupt:
        _tell("interrupted")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jaxal",
        description="Active learning for JAX: which examples to label next.",
        allow_abbrev=False,  # or `--seed` would mean `--seeds`
    )
    version = f"jaxal {metadata.version('jaxal')}"
    parser.add_argument("--version", action="version", version=version)
    parser.set_defaults(command=None, traceback=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_run(commands)
    add_sweep(commands)
    _add_report(commands)
    _add_compare(commands)
    add_data(commands)
    add_embed(commands)
    add_evaluate(commands)
    add_plan(commands)
    add_pool(commands)
    add_label(commands)
    add_command(
        commands,
        "strategies",
        _strategies,
        help="list the strategies",
        description="List the strategies: meaning, options with defaults, paper.",
    )
    return parser


def _add_run(commands: Any) -> None:
    run = add_command(
        commands,
        "run",
        _run,
        help="run an experiment",
        description="Run an experiment: every strategy and seed of a config file.",
        examples=_RUN_EXAMPLES,
    )
    run.add_argument(
        "config", metavar="CONFIG", type=Path, help="a TOML file, or a JSON file that DISTIL takes"
    )
    add_run_flags(run, "run")
    add_flags(run)
    _add_common(run)


def _add_report(commands: Any) -> None:
    report = add_command(
        commands,
        "report",
        _report,
        help="make the table and the picture of a run again, or a page that shows it",
        description="Make summary.csv and curves.png of a run again from its records,\n"
        "also of one that is not finished; with --html, one page that shows it all.",
        examples=_REPORT_EXAMPLES,
    )
    report.add_argument(
        "folders", metavar="DIR", type=Path, nargs="+", help="the folder of the run"
    )
    report.add_argument(
        "--html",
        metavar="FILE",
        type=Path,
        help="write a page that needs no network: curves, the comparison, what each round bought, "
        "and the pool as a map; of several runs on the same data, side by side",
    )
    report.add_argument(
        "--layout",
        choices=("auto", "pca", "t-sne", "both"),
        help="the map of the page: two principal components (pca), t-SNE, which keeps like rows "
        "together, or both, to choose on the page; auto: both up to 100,000 rows, above them pca",
    )
    _add_common(report)


def _add_compare(commands: Any) -> None:
    compare = add_command(
        commands,
        "compare",
        _compare,
        help="show several runs side by side",
        description="Show several runs on one picture and in one table.\n"
        "A strategy that several runs have is called RUN/STRATEGY; runs are never merged.",
        examples=_COMPARE_EXAMPLES,
    )
    compare.add_argument(
        "runs",
        metavar="RUN",
        type=Path,
        nargs="+",
        help="the folder of a run, or its history.jsonl",
    )
    compare.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("runs/comparison"),
        help="folder for comparison.csv and comparison.png (default: runs/comparison); "
        "where it has them already, DIR-2, DIR-3, ... is used",
    )
    compare.add_argument(
        "--different-data",
        action="store_true",
        help="put runs on different data side by side all the same",
    )
    _add_common(compare)


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--quiet", "-q", action="store_true", help="print only the folder's path")
    command.add_argument("--traceback", action="store_true", help="show where an error came from")


def _run(arguments: argparse.Namespace) -> int:
    from jaxal._cache import set_up_cache

    set_up_cache(not arguments.no_cache)
    with joined(arguments):
        return _run_joined(arguments)


def _run_joined(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from jaxal import experiment, processes, report
    from jaxal.experiment.distil import distil_numbers
    from jaxal.report._text import printable

    with processes.agreed():
        config = experiment.load(arguments.config, given_overrides(arguments))
    wanted = arguments.out or Path("runs", config.name)
    out = wanted
    if not arguments.resume:
        out = processes.from_first(lambda: experiment.free_directory(wanted))
    # The display goes to stderr, so that stdout is the result alone.
    console = Console(stderr=True, quiet=arguments.quiet or not processes.is_first())
    if out != wanted:
        message = f"{printable(wanted)} holds a run already: writing to {printable(out)}"
        console.print(message, markup=False)
    try:
        total = len(config.strategy.names) * config.seeds * (config.strategy.rounds + 1)
        with report.progress(total, console) as progress:
            listener = Interruptible(progress)
            with distil_numbers(config, arguments.config):
                experiment.run(config, out, listener, resume=arguments.resume)
        # Nobody ends before all is written: the others would be taken for lost.
        return processes.from_first(lambda: _show_run(out, arguments.quiet))
    except BlockingIOError:
        raise  # the run is another one's
    except BaseException as error:
        history = out / "history.jsonl"
        if processes.is_first() and history.exists() and history.stat().st_size:
            _tell(f"the finished rounds are in {history}")
            if isinstance(error, KeyboardInterrupt | OSError | MemoryError):
                _tell(f"to go on: {_resume_command(arguments, out)}")
        raise


def _resume_command(arguments: argparse.Namespace, out: Path) -> str:
    words = ["jaxal", "run", str(arguments.config)]
    for assignment in arguments.overrides:
        words += ["--set", assignment]
    if arguments.seeds is not None:
        words += ["--seeds", arguments.seeds]
    if arguments.data is not None:
        words += ["--data", arguments.data]
    flags = {
        "--no-cache": arguments.no_cache,
        "--quiet": arguments.quiet,
        "--distributed": arguments.distributed,  # as many processes as there are then
    }
    words += [flag for flag, given in flags.items() if given]
    return shlex.join([*words, "--out", str(out), "--resume"])


def _report(arguments: argparse.Namespace) -> int:
    from jaxal import report
    from jaxal.report._text import printable

    if arguments.layout is not None and arguments.html is None:
        raise ValueError("--layout: needs --html")
    for folder in arguments.folders:
        _show_run(folder, arguments.quiet)
    if arguments.html is not None:
        for note in report.write_runs_page(
            arguments.folders, arguments.html, layout=arguments.layout or "auto"
        ):
            _tell(f"note: {note}")
        print(printable(arguments.html))
    return 0


def _show_run(folder: Path, quiet: bool) -> int:
    """Makes the table and the picture from the records, and prints where they are."""
    from rich.console import Console

    from jaxal import experiment, report

    rebuilt = report.rebuild(folder)
    for note in rebuilt.notes:
        _tell(f"note: {note}")
    if quiet:
        print(folder)
        return 0
    _show_tables(rebuilt.summaries, rebuilt.paired, console := Console())
    _show_files(console, folder, experiment.RUN_FILES)
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from jaxal import experiment, report

    comparison = report.compare(arguments.runs, different_data=arguments.different_data)
    for note in comparison.notes:
        _tell(f"note: {note}")
    out = experiment.free_directory(arguments.out, report.COMPARISON_FILES)
    report.write_comparison(comparison, out)
    if arguments.quiet:
        print(out)
        return 0
    _show_tables(comparison.summaries, comparison.paired, console := Console())
    _show_files(console, out, report.COMPARISON_FILES)
    return 0


def _show_tables(summaries: Sequence[Any], paired: Sequence[Any], console: Any) -> None:
    from jaxal import report

    console.print(report.results_table(summaries, console))
    if paired:
        console.print()
        regression = any(summary.regression for summary in summaries)
        console.print(report.paired_table(paired, console, regression=regression))


def _show_files(console: Any, folder: Path, names: Sequence[str]) -> None:
    from jaxal.report._text import printable

    console.print()
    for name in names:
        path = printable(folder / name)
        console.print(path, highlight=False, markup=False, soft_wrap=True)


def _strategies(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from jaxal import report, strategies

    Console().print(report.strategies_list(strategies.describe()))
    return 0


def _show_warning(message: Warning | str, *where: Any) -> None:
    _tell(f"warning: {message}")


def _tell(message: str) -> None:
    """Prints a line to stderr, which is not the result."""
    from jaxal.report._text import printable

    print(f"jaxal: {printable(message)}", file=sys.stderr)


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return f"out of memory: {error}".rstrip(": ")
    return str(error)
