"""Pools: examples on the devices, and functions mapped over them in batches."""

from jaxal.pools import devices
from jaxal.pools.memory import Pool, map_rows, place

__all__ = ["Pool", "devices", "map_rows", "place"]
