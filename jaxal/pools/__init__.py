"""Pools: rows to select from, on the devices or on disk, and functions mapped over them."""

from jaxal.pools import devices
from jaxal.pools.base import Pool
from jaxal.pools.compression import CompressedPool, compress
from jaxal.pools.directory import Directory, create, embed
from jaxal.pools.directory import open_directory as open
from jaxal.pools.memory import ArrayPool, map_rows, place, size_class
from jaxal.pools.sources import Source
from jaxal.pools.streaming import StreamedPool, stream

__all__ = [
    "ArrayPool",
    "CompressedPool",
    "Directory",
    "compress",
    "Pool",
    "Source",
    "StreamedPool",
    "create",
    "devices",
    "embed",
    "map_rows",
    "open",
    "place",
    "size_class",
    "stream",
]
