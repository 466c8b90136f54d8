"""Meshes of devices, and arrays placed on them: pool rows over one axis, seeds over another."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxal.base import PyTree

SEEDS, DATA = "seeds", "data"


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
      ValueError: if the sizes do not divide the devices.
    """
    devices = jax.devices() if devices is None else list(devices)
    if seeds < 1 or len(devices) % seeds:
        raise ValueError(f"seeds: {seeds} does not divide the {len(devices)} devices")
    data = len(devices) // seeds if data is None else data
    if not 1 <= data * seeds <= len(devices):
        raise ValueError(
            f"mesh: seeds {seeds} x data {data} needs {seeds * data} devices, "
            f"there are {len(devices)}"
        )
    grid = np.asarray(devices[: seeds * data]).reshape(seeds, data)
    return Mesh(grid, (SEEDS, DATA), axis_types=(AxisType.Auto,) * 2)


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


def place_rows(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """Puts arrays on the devices, their rows over the data axis; rows must divide by its size."""
    if mesh is None:
        return jax.tree.map(jnp.asarray, tree)
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec(DATA)))


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
