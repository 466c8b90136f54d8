"""What is shown while a run goes on: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.table import Column

from jaxal.records import Listener, Rmse
from jaxal.report._text import printable


@contextmanager
def progress(total: int, console: Console) -> Iterator[Listener]:
    """Shows the progress of a run of `total` steps while the context is open.

    On a terminal a bar, removed at the end; elsewhere (a log, a pipe) about ten lines in all.
    """
    if not console.is_terminal or console.is_dumb_terminal:
        yield _Lines(total, console)
        return
    with Bar(
        # A fixed width and no wrapping, or the bar would jump with every name.
        TextColumn("{task.description}", markup=False, table_column=Column(width=42, no_wrap=True)),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        console=console,
        expand=True,
        transient=True,
    ) as bar:
        yield _Live(bar, bar.add_task("", total=total))


@contextmanager
def rows_progress(console: Console) -> Iterator[Callable[[int], Callable[[int], None]]]:
    """Shows how many rows are done, as `progress` does.

    Yields:
      What is told the number of rows, and returns what is told of each part that is done.
    """
    if not console.is_terminal or console.is_dumb_terminal:
        yield lambda total: _Tenths(total, console).advance
        return
    columns = BarColumn(bar_width=None), MofNCompleteColumn(), TimeRemainingColumn(compact=True)
    with Bar(*columns, console=console, expand=True, transient=True) as bar:

        def begun(total: int) -> Callable[[int], None]:
            task = bar.add_task("", total=total)
            return lambda rows: bar.update(task, advance=rows)

        yield begun


class _Live:
    def __init__(self, bar: Bar, task: TaskID):
        self._bar, self._task = bar, task

    def begin(self, strategy: str) -> None:
        self._bar.update(self._task, description=printable(strategy))

    def advance(self, strategy: str, round: int, accuracy: float, *, steps: int = 1) -> None:
        message = _message(strategy, round, accuracy)
        self._bar.update(self._task, description=message, advance=steps)


class _Lines:
    def __init__(self, total: int, console: Console):
        self._tenths = _Tenths(total, console)

    def begin(self, strategy: str) -> None:
        pass

    def advance(self, strategy: str, round: int, accuracy: float, *, steps: int = 1) -> None:
        self._tenths.advance(steps, f": {_message(strategy, round, accuracy)}")


class _Tenths:
    """A line whenever another tenth is done."""

    def __init__(self, total: int, console: Console):
        self._total, self._console = total, console
        self._done, self._shown, self._start = 0, 0, time.monotonic()

    def advance(self, steps: int, message: str = "") -> None:
        self._done += steps
        tenth = 10 * self._done // max(self._total, 1)
        if tenth == self._shown:
            return
        self._shown = tenth
        seconds = time.monotonic() - self._start
        line = f"{self._done}/{self._total} in {seconds:.0f} s{message}"
        self._console.print(line, highlight=False, soft_wrap=True, markup=False)


def _message(strategy: str, round: int, accuracy: float) -> str:
    reached = f"RMSE {accuracy:.3g}" if isinstance(accuracy, Rmse) else f"{accuracy:.1%}"
    return f"{printable(strategy)}, round {round}: {reached}"
