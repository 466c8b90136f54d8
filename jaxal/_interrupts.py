"""Signals that end a command: Ctrl-C, and SIGTERM, which batch systems send before they kill.

Python raises KeyboardInterrupt wherever it is when a signal comes. In a callback, as JAX has one
for the garbage collector, it prints the exception and drops it; so signals are also written down,
and looked for when a round has ended.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

from jaxal.records import Listener

_came: list[int] = []


@contextlib.contextmanager
def interrupts() -> Iterator[None]:
    """Has both signals raise KeyboardInterrupt inside the block; does nothing in other threads."""
    _came.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: Any) -> None:
    _came.append(number)
    raise KeyboardInterrupt


class Interruptible:
    """A listener that raises KeyboardInterrupt after a round if one that was raised was dropped."""

    def __init__(self, listener: Listener):
        self._listener = listener

    def begin(self, strategy: str) -> None:
        """As the listener."""
        self._listener.begin(strategy)

    def advance(self, strategy: str, round: int, accuracy: float, *, steps: int = 1) -> None:
        """As the listener."""
        self._listener.advance(strategy, round, accuracy, steps=steps)
        if _came:
            raise KeyboardInterrupt
