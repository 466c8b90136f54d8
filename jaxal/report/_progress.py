"""What is shown while a run goes on: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

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


class Progress(Protocol):
    """What `progress` yields."""

    def begin(self, strategy: str) -> None:
        """Says what runs now; worth calling before a strategy compiles."""
        ...

    def advance(
        self,
        strategy: str,
        round: int,
        accuracy: float,
        *,
        seed: int | None = None,
        steps: int = 1,
    ) -> None:
        """Counts a finished round, or `steps` of them where seeds run together."""
        ...


@contextmanager
def progress(total: int, console: Console) -> Iterator[Progress]:
    """Shows the progress of a run of `total` steps while the context is open.

    On a terminal a bar, removed at the end; elsewhere (a log, a pipe) about ten lines in all.
    """
    if not console.is_terminal or console.is_dumb_terminal:
        yield _Lines(total, console)
        return
    with Bar(
        # A fixed width and no wrapping, or the bar would jump with every name.
        TextColumn("{task.description}", table_column=Column(width=42, no_wrap=True)),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        console=console,
        expand=True,
        transient=True,
    ) as bar:
        yield _Live(bar, bar.add_task("", total=total))


class _Live:
    def __init__(self, bar: Bar, task: TaskID):
        self._bar, self._task = bar, task

    def begin(self, strategy: str) -> None:
        self._bar.update(self._task, description=strategy)

    def advance(
        self,
        strategy: str,
        round: int,
        accuracy: float,
        *,
        seed: int | None = None,
        steps: int = 1,
    ) -> None:
        said = _say(strategy, round, accuracy, seed)
        self._bar.update(self._task, description=said, advance=steps)


class _Lines:
    def __init__(self, total: int, console: Console):
        self._total, self._console = total, console
        self._done, self._said, self._start = 0, 0, time.monotonic()

    def begin(self, strategy: str) -> None:
        pass

    def advance(
        self,
        strategy: str,
        round: int,
        accuracy: float,
        *,
        seed: int | None = None,
        steps: int = 1,
    ) -> None:
        self._done += steps
        tenth = 10 * self._done // max(self._total, 1)
        if tenth == self._said:
            return
        self._said = tenth
        took = time.monotonic() - self._start
        said = _say(strategy, round, accuracy, seed)
        line = f"{self._done}/{self._total} in {took:.0f} s: {said}"
        self._console.print(line, highlight=False, soft_wrap=True, markup=False)


def _say(strategy: str, round: int, accuracy: float, seed: int | None) -> str:
    which = "" if seed is None else f", seed {seed}"
    return f"{strategy}{which}, round {round}: {accuracy:.1%}"
