"""Pools on disk: a directory of NumPy files that any tool can write, and a manifest of them."""

from jaxal.pools.directory.embedding import embed
from jaxal.pools.directory.manifest import MANIFEST, File, Manifest, Shard
from jaxal.pools.directory.reader import Directory, open_directory
from jaxal.pools.directory.writer import create, finish, write_shard

__all__ = [
    "MANIFEST",
    "Directory",
    "File",
    "Manifest",
    "Shard",
    "create",
    "embed",
    "finish",
    "open_directory",
    "write_shard",
]
