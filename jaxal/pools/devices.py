"""Meshes of devices, and arrays placed on them: pool rows over one axis, seeds over another."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxal.base import PyTree
from jaxal.checks import check_integer, describe
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
      devices: the devices; all of this process's backend if not given.

    Returns:
      A mesh [seeds, data] whose axes are `AxisType.Auto`: explicit axes refuse `top_k` and gathers
      of sharded rows.

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
    grid = np.asarray(devices[: seeds * data]).reshape(seeds, data)
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


def place_rows(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """Puts arrays on the devices, their rows over the data axis; rows must divide by its size."""
    if mesh is None:
        return jax.tree.map(jnp.asarray, tree)
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(DATA)))


def share_rows(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """Has a traced function share the rows of arrays [N, ...] that it makes over the data axis."""
    if mesh is None:
        return tree
    return jax.lax.with_sharding_constraint(tree, NamedSharding(mesh, PartitionSpec(DATA)))


def replicate(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """Puts arrays on the devices, whole on each."""
    if mesh is None:
        return jax.tree.map(jnp.asarray, tree)
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def place_seeds(keys: PyTree, mesh: Mesh | None) -> PyTree:
    """Puts one key (or state) a seed on the devices, over the seeds axis."""
    if mesh is None:
        return jax.tree.map(jnp.asarray, keys)
    return jax.device_put(keys, NamedSharding(mesh, PartitionSpec(SEEDS)))
