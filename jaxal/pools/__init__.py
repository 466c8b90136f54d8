"""Pools: rows to select from, on the devices, and functions mapped over them in batches."""

from jaxal.pools import devices
from jaxal.pools.base import Pool
from jaxal.pools.memory import ArrayPool, map_rows, place, size_class

__all__ = ["ArrayPool", "Pool", "devices", "map_rows", "place", "size_class"]
