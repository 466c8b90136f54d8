"""Reading ahead: the next parts of a source are read while the last is computed on."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Asked = TypeVar("Asked")
Read = TypeVar("Read")


def read_ahead(
    read: Callable[[Asked], Read], asked: Iterable[Asked], *, depth: int = 2
) -> Iterator[Read]:
    """Yields what is read of each that is asked for, in order; a thread reads ahead.

    Args:
      read: is called by the thread, one call at a time. What it raises is raised here, in its turn.
      asked: what it is called with.
      depth: how many may be read that were not yielded yet; memory is that of one more.
    """
    executor = ThreadPoolExecutor(1, "read-ahead")
    waiting: deque[Future[Read]] = deque()
    try:
        for one in asked:
            waiting.append(executor.submit(read, one))
            if len(waiting) > depth:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)
