"""Several processes that run one program: what all of them know, and errors that all raise.

Where a function is said to be a collective, every process has to call it, in the same order as the
others: one that does not leaves them waiting.
"""

import builtins
import contextlib
import os
import pickle
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn, TypeVar

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxal.base import PyTree
from jaxal.checks import is_traced

T = TypeVar("T")

GRACE = 2.0
"""Seconds that the first process, which the others depend on, waits for them to end as well."""

LOST = ("Gloo", "coordination service", "DistributedService", "heartbeat")
"""What JAX's errors speak of where another process cannot be reached."""


def start(
    coordinator: str | None = None, count: int | None = None, number: int | None = None
) -> None:
    """Makes this process one of several, which all call this before they use JAX.

    What is not given is taken from the variables JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and
    JAX_PROCESS_ID, or found by JAX itself: on GKE, under Slurm or MPI, and on TPU pods.

    Args:
      coordinator: host:port, where process 0 can be reached by all.
      count: how many processes there are.
      number: of this one, from 0.

    Raises:
      ValueError: nothing says where the others are.
    """
    count = _from_environment("JAX_NUM_PROCESSES") if count is None else count
    number = _from_environment("JAX_PROCESS_ID") if number is None else number
    # It would take SIGTERM for itself, by which batch systems end a run.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(coordinator, count, number)
    except ValueError as error:
        raise ValueError(
            f"distributed: {error} Expected a cluster that JAX finds (GKE, Slurm, MPI, a TPU pod), "
            "or the coordinator's address, the number of processes and that of this one"
        ) from error


def _from_environment(name: str) -> int | None:
    value = os.environ.get(name)
    if value is not None and not value.isdecimal():
        raise ValueError(f"{name}: expected an integer, got {value!r}")
    return None if value is None else int(value)


def leave(status: int) -> NoReturn:
    """Ends this process, one of several, after an error: without waiting for those that go on.

    They see at once that it is gone. JAX's own end would wait for minutes until they end too.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if is_first():
        time.sleep(GRACE)
    os._exit(status)


def are_several() -> bool:
    """Whether this is one of several processes: `jax.distributed.initialize` made it so."""
    return jax.process_count() > 1


def is_first() -> bool:
    """Whether this process is the one that writes files and speaks to the user."""
    return jax.process_index() == 0


def which() -> tuple[int, int]:
    """The number of this process, from 0, and how many there are."""
    return jax.process_index(), jax.process_count()


def have_all(numbers: Iterable[int]) -> bool:
    """Whether these are processes that can work together: all that there are, or this one alone."""
    given = set(numbers)
    return given == {jax.process_index()} or len(given) == jax.process_count()


def is_shared(leaf: Any) -> bool:
    """Whether other processes have a part of an array, so that this one cannot see all of it."""
    return isinstance(leaf, jax.Array) and not is_traced(leaf) and not leaf.is_fully_addressable


def whole(tree: PyTree) -> PyTree:
    """The same arrays, whole on every device where processes share them; a collective then."""

    def one(leaf: Any) -> Any:
        if not is_shared(leaf) or leaf.is_fully_replicated:
            return leaf
        everywhere = NamedSharding(leaf.sharding.mesh, PartitionSpec())
        return jax.jit(_same, out_shardings=everywhere)(leaf)

    return jax.tree.map(one, tree)


def _same(leaf: jax.Array) -> jax.Array:
    return leaf


def to_host(tree: PyTree) -> PyTree:
    """The values of arrays, on the host, whole in every process.

    Args:
      tree: of arrays. Where several processes share one, this is a collective.

    Returns:
      The tree, of NumPy arrays.
    """
    return jax.device_get(whole(tree))


@contextlib.contextmanager
def agreed(together: bool = True) -> Iterator[None]:
    """An error inside, in whichever process, is raised in all; a collective at the end of it.

    What is inside works on the host alone: a process that fails does not take part in collectives
    that the others may wait in.

    Args:
      together: whether all processes do this; if not, it is one's own affair.

    Raises:
      The error of the first process that had one.
    """
    if not (together and are_several()):
        yield
        return
    failure: Exception | None = None
    try:
        yield
    except Exception as error:
        failure = error
    found = np.flatnonzero(_gathered(np.int32(failure is not None)))
    if not found.size:
        return
    first = int(found[0])
    if jax.process_index() == first and failure is not None:
        _broadcast(pickle.dumps((type(failure).__name__, str(failure))), first)
        raise failure
    raise _error_of(first, *pickle.loads(_broadcast(None, first))) from failure


def from_first(make: Callable[[], T], together: bool = True) -> T:
    """What the first process makes, in all of them; a collective.

    Args:
      make: works on the host alone, and returns what can be pickled.
      together: whether all processes do this; if not, each makes its own.

    Raises:
      The error of the first process.
    """
    if not (together and are_several()):
        return make()
    made = None
    with agreed():
        if is_first():
            made = pickle.dumps(make())
    return pickle.loads(_broadcast(made, 0))


def largest(number: int) -> int:
    """The largest of the numbers that the processes have; a collective."""
    return int(np.max(_gathered(np.int32(number))))


def check_same(name: str, tree: PyTree) -> None:
    """Raises ValueError in all processes unless they have the same values; a collective.

    Args:
      name: of the argument, for the message.
      tree: of NumPy arrays and of what has a `repr`.
    """
    sums = 0
    for leaf in jax.tree.leaves(tree):
        text = f"{leaf.dtype}{leaf.shape}" if isinstance(leaf, np.ndarray) else repr(leaf)
        sums = zlib.crc32(text.encode(), sums)
        if isinstance(leaf, np.ndarray):
            sums = zlib.crc32(leaf.tobytes(), sums)
    if len(np.unique(_gathered(np.uint32(sums)))) > 1:
        raise ValueError(f"{name}: expected the same in every process, got others")


@contextlib.contextmanager
def loss_explained() -> Iterator[None]:
    """Says it plainly where JAX fails as another process has ended.

    Raises:
      ConnectionError: in place of JAX's error.
    """
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if not (any(word in str(error) for word in LOST) and are_several()):
            raise
        reason = str(error).splitlines()[0]
        raise ConnectionError(f"another process of this run has ended: {reason}") from error


def _gathered(number: np.generic) -> np.ndarray:
    """A number of each process, in their order."""
    # Takes a while to import, and is needed by few.
    from jax.experimental import multihost_utils

    return np.ravel(multihost_utils.process_allgather(number))


def _broadcast(content: bytes | None, source: int) -> bytes:
    """What one process has, in all; None in the others."""
    from jax.experimental import multihost_utils

    is_source = jax.process_index() == source
    size = np.array(divmod(len(content or b""), 1 << 30), np.int32)  # it may not fit into one
    many, rest = map(int, multihost_utils.broadcast_one_to_all(size, is_source))
    size = (many << 30) + rest
    # Few sizes, so that few programs are compiled.
    buffer = np.zeros(1 << (size - 1).bit_length(), np.uint8)
    if content is not None:
        buffer[:size] = np.frombuffer(content, np.uint8)
    return multihost_utils.broadcast_one_to_all(buffer, is_source)[:size].tobytes()


def _error_of(process: int, name: str, message: str) -> Exception:
    """The error of another process: of its type, if that is one of Python's own."""
    kind = getattr(builtins, name, None)
    return RuntimeError(f"process {process}: {name}: {message}") if kind is None else kind(message)
