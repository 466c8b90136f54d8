"""Pools that are read block by block, in whichever form the loop is given them."""

from typing import Any

from jax.sharding import Mesh

from jaxal.pools import StreamedPool, devices, stream
from jaxal.pools.sources import are_sources


def as_streamed(pool: Any, mesh: Mesh | None, batch_size: int) -> Any:
    """The pool as one that is read block by block; as it is, if it belongs in memory.

    Args:
      pool: from `pools.stream`; a pool on disk, with its labels; `(inputs, labels)`; or anything
        else.
      mesh: devices that share the rows, unless the pool has its own.
      batch_size: rows that go through a model at once, unless the pool has its own.

    Raises:
      ValueError: a mesh beside a pool that has one, or several processes.
      TypeError, ValueError: as of `pools.stream`.
    """
    devices.check_mesh(mesh)
    if isinstance(pool, StreamedPool):
        if mesh is not None and mesh != pool.mesh:
            raise ValueError("mesh: expected none beside a streamed pool's own, got another")
    elif (pair := _pair(pool)) is None:
        return pool
    else:
        refuse_processes("pool", mesh)
        pool = stream(*pair, mesh, batch_size=batch_size)
    refuse_processes("pool", pool.mesh)
    return pool


def refuse_processes(name: str, mesh: Mesh | None) -> None:
    """Raises ValueError where several processes share the devices of a pool that is read.

    Args:
      name: what messages call the pool.
      mesh: of the devices, if there are several.
    """
    if devices.is_shared(mesh):
        raise ValueError(
            f"{name}: expected a pool in memory, as several processes share the mesh, got one that "
            "is read block by block"
        )


def refuse_streamed(pool: Any, what: str) -> None:
    """Raises TypeError if a pool whose rows are read is given to a function that compiles rounds.

    Args:
      pool: in any form; of memory maps the rows are put on the devices.
      what: the function.
    """
    if isinstance(pool, StreamedPool) or (_pair(pool, maps=False) is not None):
        raise TypeError(
            f"pool: {what} compiles whole rounds, and this pool is read block by block meanwhile; "
            "jaxal.iterate, jaxal.ask and jaxal.acquire take it"
        )


def _pair(pool: Any, *, maps: bool = True) -> tuple[Any, Any] | None:
    """(sources, labels) of a pool that is to be read; `maps` says whether memory maps are."""
    if not isinstance(pool, tuple | list):
        labels = getattr(pool, "labels", None)
        return (pool, labels) if are_sources(pool, maps=maps) else None
    if len(pool) == 2 and are_sources(pool[0], maps=maps):
        return pool[0], pool[1]
    return None
