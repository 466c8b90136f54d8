"""Meshes of devices, and arrays placed on them: pool rows over one axis, seeds over another."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxal import processes
from jaxal.base import PyTree
from jaxal.checks import check_integer, describe, is_traced
from jaxal.pools.placing import Padding, pad_rows, put
from jaxal.rows import DATA

SEEDS = "seeds"


def make_mesh(
    data: int | None = None,
    *,
    seeds: int = 1,
    devices: Sequence[Any] | None = None,
) -> Mesh:
    """A mesh with an axis for pool rows and one for seeds.

    Args:
      data: devices that share the rows of a pool; all that `seeds` leaves, if not given.
      seeds: devices that share the seeds of a vmapped simulation.
      devices: the devices; all that there are, of every process, if not given.

    Returns:
      A mesh [seeds, data] whose axes are `AxisType.Auto`: explicit axes refuse `top_k` and gathers
      of sharded rows. Devices of a process come one after another, and so do its rows.

    Raises:
      TypeError: a size that is no integer, or devices that are none.
      ValueError: no device, or sizes that do not divide the devices.
    """
    devices = _checked(jax.devices() if devices is None else devices)
    check_integer(1, seeds=seeds)
    if data is not None:
        check_integer(1, data=data)
    if len(devices) % seeds:
        raise ValueError(
            f"seeds: expected a divisor of {len(devices)}, the number of devices, got {seeds}"
        )
    data = len(devices) // seeds if data is None else data
    if not 1 <= data * seeds <= len(devices):
        raise ValueError(
            f"seeds x data: expected at most {len(devices)}, the number of devices, "
            f"got {seeds} x {data}"
        )
    devices = sorted(devices[: seeds * data], key=lambda device: device.process_index)
    grid = np.asarray(devices).reshape(seeds, data)
    return Mesh(grid, (SEEDS, DATA), axis_types=(AxisType.Auto,) * 2)


def _checked(devices: Any) -> list[Any]:
    """The devices as a list, once it is seen that they are some."""
    given = list(devices) if isinstance(devices, Sequence | np.ndarray) else [devices]
    if not all(isinstance(device, jax.Device) for device in given):
        raise TypeError(f"devices: expected a list of jax.Device, got {describe(devices)}")
    if not given:
        raise ValueError("devices: expected at least one, got none")
    return given


def check_mesh(mesh: Any) -> None:
    """Raises unless it is a mesh with an axis for the rows of pools, or None."""
    expected = "mesh: expected a mesh of jaxal.devices.make_mesh"
    if mesh is None:
        return
    if not isinstance(mesh, Mesh):
        raise TypeError(f"{expected}, got {describe(mesh)}")
    if DATA not in mesh.shape:
        raise ValueError(f"{expected}, got one with the axes {', '.join(mesh.axis_names)}")
    owners = {device.process_index for device in mesh.devices.flat}
    if owners != {jax.process_index()} and len(owners) < jax.process_count():
        raise ValueError("mesh: expected devices of this process alone or of all, got of some")
    if is_shared(mesh) and processes.mixes_up_exchanges():
        raise ValueError(
            "mesh: several processes on CPUs cannot use programs that JAX keeps on a disk, as XLA "
            "forgets in which order these exchange arrays; expected "
            'jax.config.update("jax_enable_compilation_cache", False) in all'
        )


def mesh_for(seeds: int) -> Mesh | None:
    """A mesh of all devices for that many seeds, or None where there is one device.

    As many devices as can share the seeds evenly do; the others share the rows.
    """
    count = jax.device_count()
    return None if count == 1 else make_mesh(seeds=math.gcd(seeds, count))


def mesh_of(tree: PyTree) -> Mesh | None:
    """The mesh over whose data axis some array is shared, None if none is."""
    for leaf in jax.tree.leaves(tree):
        over = getattr(leaf, "sharding", None)
        if isinstance(over, NamedSharding) and DATA in jax.tree.leaves(tuple(over.spec)):
            return over.mesh if isinstance(over.mesh, Mesh) else None
    return None


def place_rows(
    tree: PyTree,
    mesh: Mesh | None,
    size: int | None = None,
    fill: int | float = 0,
    *,
    first: int = 0,
) -> PyTree:
    """Puts arrays on the devices, their rows over the data axis, each device's by its own process.

    Args:
      tree: leaves [N, ...]. Of NumPy's, which may be on a disk, only the rows of this process's own
        devices are read.
      mesh: one device if None.
      size: rows to pad to, a multiple of the data axis; N if not given.
      fill: what padding is filled with.
      first: the number of the first row that the arrays hold, where each process has its own.
    """
    if mesh is None:
        return jax.tree.map(jnp.asarray, tree if size is None else pad_rows(tree, size, fill))
    return put(tree, NamedSharding(mesh, PartitionSpec(DATA)), Padding(size, fill, first))


def share_rows(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """Has a traced function share the rows of arrays [N, ...] that it makes over the data axis."""
    if mesh is None:
        return tree
    return jax.lax.with_sharding_constraint(tree, NamedSharding(mesh, PartitionSpec(DATA)))


def replicate(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """Puts arrays on the devices, whole on each; processes that share these have the same."""
    if mesh is None:
        return jax.tree.map(jnp.asarray, tree)
    return put(tree, NamedSharding(mesh, PartitionSpec()))


def place_seeds(keys: PyTree, mesh: Mesh | None) -> PyTree:
    """Puts one key (or state) a seed on the devices, over the seeds axis."""
    if mesh is None:
        return jax.tree.map(jnp.asarray, keys)
    check_same(mesh, keys=keys)
    return put(keys, NamedSharding(mesh, PartitionSpec(SEEDS)))


def share_seeds(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """Has a traced function share arrays [seeds, ...] that it makes over the seeds axis."""
    if mesh is None:
        return tree
    return jax.lax.with_sharding_constraint(tree, NamedSharding(mesh, PartitionSpec(SEEDS)))


def is_shared(mesh: Mesh | None) -> bool:
    """Whether the devices of a mesh are those of several processes."""
    return mesh is not None and mesh.is_multi_process


def is_on_hosts(tree: PyTree, mesh: Mesh | None) -> bool:
    """Whether arrays are to be shared by several processes, and each has them for itself so far."""
    return is_shared(mesh) and not any(map(processes.is_shared, jax.tree.leaves(tree)))


def check_same(mesh: Mesh | None, **trees: PyTree) -> None:
    """`processes.check_same` of processes that share a mesh, and of how it has their devices.

    Args:
      mesh: of one process, or none: nothing is looked at.
      **trees: by the names that messages have. Nothing is looked at where one is traced.
    """
    if mesh is not None and is_shared(mesh) and not is_traced(trees):
        numbers = np.vectorize(lambda device: device.id, otypes=[int])(mesh.devices)
        processes.check_same(mesh=numbers, **trees)


def check_alike(mesh: Mesh | None, **trees: PyTree) -> None:
    """`check_same` of types and shapes alone: for rows, of which each process reads its own."""
    if is_shared(mesh) and not is_traced(trees):
        check_same(mesh, **jax.tree.map(describe, trees))


def own_rows(rows: int, size: int, mesh: Mesh) -> list[slice]:
    """Which of so many rows, padded to `size`, are on this process's devices; in order."""
    parts = NamedSharding(mesh, PartitionSpec(DATA)).addressable_devices_indices_map((size,))
    bounds = {part[0].indices(size)[:2] for part in parts.values() if part}
    return [slice(start, min(stop, rows)) for start, stop in sorted(bounds) if start < rows]


def check_one_after_another(mesh: Mesh) -> None:
    """Raises ValueError unless all devices share the rows, and as many of each process in turn."""
    if mesh.size != mesh.shape[DATA]:
        raise ValueError("mesh: expected all devices to share the rows, got some that share seeds")
    owners = [device.process_index for device in mesh.devices.flat]
    count = jax.process_count()
    if owners != [number for number in range(count) for _ in range(len(owners) // count)]:
        raise ValueError(
            "mesh: expected as many devices of each process, one process after another"
        )
