"""The commands `jaxal pool info DIR` and `jaxal pool check DIR`: what is in a pool on disk."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxal._commands import add_command

if TYPE_CHECKING:
    from jaxal.pools import Directory

_EXAMPLES = """\
examples:
  jaxal pool info embeddings
  jaxal pool check embeddings
"""


def add_pool(commands: Any) -> None:
    """Adds the command to the others.

    Args:
      commands: what `add_subparsers` returned.
    """
    pool = add_command(
        commands,
        "pool",
        _pool,
        help="show or check a pool on disk",
        description="Show what is in a pool on disk, or read every byte of it and compare.",
        examples=_EXAMPLES,
    )
    pool.add_argument("action", choices=["info", "check"])
    pool.add_argument("folder", metavar="DIR", type=Path, help="the folder of the pool")
    pool.add_argument("--traceback", action="store_true", help="show where an error came from")


def _pool(arguments: argparse.Namespace) -> int:
    from jaxal.pools.directory import open_directory
    from jaxal.report._text import printable

    pool = open_directory(arguments.folder)
    if arguments.action == "check":
        pool.check(lambda name: print(name, file=sys.stderr))
        print(f"all {len(pool.manifest.files)} files are as the manifest says")
        return 0
    for name, value in _facts(pool).items():
        print(f"{name:10s} {printable(value)}")
    return 0


def _facts(pool: "Directory") -> dict[str, str]:
    manifest = pool.manifest
    known = 0 if pool.labels is None else int((pool.labels >= 0).sum())
    has_ids = manifest.shards[0].ids is not None
    return {
        "rows": f"{len(pool):,}",
        "a row": " x ".join(map(str, manifest.row_shape)) or "a number",
        "type": manifest.dtype,
        "bytes": f"{pool.nbytes:,}",
        "files": f"{len(manifest.files):,}",
        "ids": str(pool.ids([0]).dtype) if has_ids else "none: rows are known by number",
        "labels": f"{known:,} known",
        "encoder": ", ".join((manifest.encoder or {"": "not said"}).values()),
        "SHA-256": manifest.digest,
    }
