"""Several processes that run one program: what all of them know, and errors that all raise.

Where a function is said to be a collective, every process has to call it, in the same order as the
others: one that does not leaves them waiting.
"""

import contextlib
import pickle
import zlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxal.base import PyTree
from jaxal.checks import describe, is_array, is_traced
from jaxal.numerics import key_data

T = TypeVar("T")

LOST = ("Gloo", "coordination service", "DistributedService", "heartbeat")
"""What JAX's errors speak of where another process cannot be reached."""

CACHE = ("jax_enable_compilation_cache", "jax_compilation_cache_dir")
"""Settings of JAX with which compiled programs are kept."""


def are_several() -> bool:
    """Whether this is one of several processes: `jax.distributed.initialize` made it so."""
    return jax.process_count() > 1


def is_first() -> bool:
    """Whether this process is the one that writes files and speaks to the user."""
    return jax.process_index() == 0


def mixes_up_exchanges() -> bool:
    """Whether XLA may have two processes exchange different arrays, and so crash, on CPUs alone.

    Collectives of a compiled program come one after another. Of one that is read from the
    persistent cache, those that do not depend on each other start in any order (jaxlib 0.10).
    """
    return jax.default_backend() == "cpu" and all(getattr(jax.config, name) for name in CACHE)


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
      The tree, of NumPy arrays; of random keys, the numbers that they are made of.
    """
    return jax.device_get(whole(jax.tree.map(key_data, tree)))


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
    found = np.flatnonzero(_gathered(failure is not None))
    if not found.size:
        return
    first = int(found[0])
    if jax.process_index() == first and failure is not None:
        _broadcast(pickle.dumps(plain(failure)), first)
        raise failure
    raise pickle.loads(_broadcast(None, first)) from failure


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
    return int(_gathered(number).max())


def check_same(**trees: PyTree) -> None:
    """Raises ValueError in all processes unless they have the same values; a collective.

    Args:
      **trees: by the names that messages have; of numbers, text, arrays and random keys. Of arrays
        that the processes share, and of whatever else there is, the types are compared.
    """
    sums = _gathered([_checksum(tree) for tree in trees.values()])
    for name, differs in zip(trees, (sums != sums[0]).any(axis=0), strict=True):
        if differs:
            raise ValueError(f"{name}: expected the same in every process, got others")


def _checksum(tree: PyTree) -> int:
    total = 0
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        text = repr(leaf) if isinstance(leaf, str | int | float) else describe(leaf)
        total = zlib.crc32(f"{jax.tree_util.keystr(path)} {text}".encode(), total)
        if not (is_array(leaf) or isinstance(leaf, np.generic)) or is_shared(leaf):
            continue
        values = np.ascontiguousarray(to_host(leaf))
        if values.dtype != object:
            total = zlib.crc32(values.reshape(-1).view(np.uint8).data, total)
    return total >> 1  # what is gathered has a sign


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


def _gathered(numbers: Any) -> np.ndarray:
    """An integer of each process, or some of each, in their order: [P, ...]."""
    # Takes a while to import, and is needed by few.
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(np.asarray(numbers, np.int32))


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


def plain(error: Exception) -> Exception:
    """An error that can be sent: of the first of its types that is Python's and takes a message."""
    unlike = UnicodeError, ExceptionGroup
    kinds = (kind for kind in type(error).__mro__ if kind.__module__ == "builtins")
    return next(kind for kind in kinds if not issubclass(kind, unlike))(str(error))
