"""Meshes of devices, and arrays placed on them: pool rows over one axis, seeds over another."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec, Sharding

from jaxal import processes
from jaxal.base import PyTree
from jaxal.checks import check_integer, describe, is_key, is_traced
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
    if not processes.have_all(device.process_index for device in mesh.devices.flat):
        raise ValueError("mesh: expected devices of this process alone or of all, got of some")


def mesh_for(seeds: int) -> Mesh | None:
    """A mesh of all devices for that many seeds, or None where there is one device.

    As many devices as can share the seeds evenly do; the others share the rows.
    """
    count = jax.device_count()
    return None if count == 1 else make_mesh(seeds=math.gcd(seeds, count))


def pad_rows(tree: PyTree, size: int, fill: int | float | bool = 0) -> PyTree:
    """Pads the leading axis of every leaf with `fill` up to `size` rows."""

    def pad(leaf):
        missing = size - leaf.shape[0]
        if missing == 0:
            return leaf
        widths = [(0, missing)] + [(0, 0)] * (leaf.ndim - 1)
        xp = np if isinstance(leaf, np.ndarray) else jnp
        return xp.pad(leaf, widths, constant_values=fill)

    return jax.tree.map(pad, tree)


def place_rows(
    tree: PyTree, mesh: Mesh | None, size: int | None = None, fill: int = 0, *, first: int = 0
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


def replicate(tree: PyTree, mesh: Mesh | None, name: str = "arrays") -> PyTree:
    """Puts arrays on the devices, whole on each.

    Args:
      tree: of arrays; where several processes share the devices, they have to have the same.
      mesh: one device if None.
      name: of the arrays, for the message.

    Raises:
      ValueError: other arrays in another process.
    """
    if mesh is None:
        return jax.tree.map(jnp.asarray, tree)
    if is_shared(mesh):
        own = [leaf for leaf in jax.tree.leaves(tree) if not processes.is_shared(leaf)]
        if not is_traced(own):
            processes.check_same(name, jax.device_get([_words(leaf) for leaf in own]))
    return put(tree, NamedSharding(mesh, PartitionSpec()))


def place_seeds(keys: PyTree, mesh: Mesh | None) -> PyTree:
    """Puts one key (or state) a seed on the devices, over the seeds axis."""
    if mesh is None:
        return jax.tree.map(jnp.asarray, keys)
    return put(keys, NamedSharding(mesh, PartitionSpec(SEEDS)))


def to_host(tree: PyTree) -> PyTree:
    """The values of arrays on the host: whole in every process, where several share the devices.

    Args:
      tree: of arrays, as results of a simulation whose seeds several devices share. All processes
        have to call this then.

    Returns:
      The tree, of NumPy arrays.
    """
    return processes.to_host(tree)


def is_shared(mesh: Mesh | None) -> bool:
    """Whether the devices of a mesh are those of several processes."""
    return mesh is not None and mesh.is_multi_process


def is_on_hosts(tree: PyTree, mesh: Mesh | None) -> bool:
    """Whether arrays are to be shared by several processes, and each has them for itself so far."""
    return is_shared(mesh) and not any(map(processes.is_shared, jax.tree.leaves(tree)))


def own_rows(rows: int, mesh: Mesh) -> list[slice]:
    """Which of so many rows are on this process's devices, once they are padded; in order."""
    size = rows + -rows % mesh.shape[DATA]
    parts = NamedSharding(mesh, PartitionSpec(DATA)).addressable_devices_indices_map((size,))
    bounds = {part[0].indices(size)[:2] for part in parts.values() if part}
    return [slice(start, min(stop, rows)) for start, stop in sorted(bounds) if start < rows]


def check_one_after_another(mesh: Mesh) -> None:
    """Raises ValueError unless all devices share the rows, and as many of each process in turn."""
    if mesh.size != mesh.shape[DATA]:
        raise ValueError("mesh: expected all devices to share the rows, got some that share seeds")
    owners = [device.process_index for device in mesh.devices.flat]
    _, count = processes.which()
    if owners != [number for number in range(count) for _ in range(len(owners) // count)]:
        raise ValueError(
            "mesh: expected as many devices of each process, one process after another"
        )


class Padding(NamedTuple):
    """How the rows of arrays become those of a placed one."""

    size: int | None = None  # rows that there are to be; as many as there are, if None
    fill: int = 0
    first: int = 0  # number of the first row that is there

    def padded(self, leaf: Any) -> Any:
        return leaf if self.size is None else pad_rows(leaf, self.size, self.fill)


NO_PADDING = Padding()


def put(tree: PyTree, sharding: Sharding, padding: Padding = NO_PADDING) -> PyTree:
    """Puts arrays on devices; of those that other processes have, this one sees to its own."""

    def one(leaf: Any) -> jax.Array:
        if not isinstance(leaf, jax.Array):
            return _put_parts(np.asarray(leaf), sharding, padding)
        if processes.is_shared(leaf):
            return _moved(sharding, padding)(leaf)
        if sharding.is_fully_addressable or is_traced(leaf):
            return jax.device_put(padding.padded(leaf), sharding)
        if is_key(leaf):
            return jax.random.wrap_key_data(one(_words(leaf)), impl=jax.random.key_impl(leaf))
        # Not `device_put`, which sends everything around to see that all processes have the same.
        return _put_parts(np.asarray(leaf), sharding, padding)

    return jax.tree.map(one, tree)


def _put_parts(leaf: np.ndarray, sharding: Sharding, padding: Padding) -> jax.Array:
    """Puts an array of the host on devices: of each, what is to be there is looked at, no more."""
    dtype, (size, fill, first) = jax.dtypes.canonicalize_dtype(leaf.dtype), padding

    def part(index: Any) -> np.ndarray:
        if size is None:
            return np.asarray(leaf[index], dtype, order="C")
        start, stop, _ = index[0].indices(size)
        own = np.asarray(leaf[start - first : stop - first], dtype, order="C")
        return pad_rows(own, stop - start, fill)

    shape = leaf.shape if size is None else (size, *leaf.shape[1:])
    return jax.make_array_from_callback(shape, sharding, part, dtype=dtype)


@functools.lru_cache(maxsize=64)
def _moved(sharding: Sharding, padding: Padding) -> Callable[..., Any]:
    """What moves an array that processes share to where it is to be, padded."""
    return jax.jit(padding.padded, out_shardings=sharding)


def _words(leaf: Any) -> Any:
    """An array, or the numbers that random keys are made of."""
    return jax.random.key_data(leaf) if is_key(leaf) else leaf
