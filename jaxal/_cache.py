"""JAX's persistent compilation cache in the user's cache folder, as the command line sets it up."""

import os
import sys
from pathlib import Path

import jax

_FOLDER = "jax_compilation_cache_dir"
LIMIT = 2**30
"""Bytes of compiled programs that are kept."""

# Without these JAX keeps only programs that took a second to compile: most of ours take less.
_KEEP_ALL = {
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


def cache_folder() -> Path:
    """The folder for compiled programs, by the conventions of the platform."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "jaxal"


def set_up_cache(use: bool = True) -> None:
    """Has JAX keep what it compiles, and use what was kept, from here on in this process.

    A folder that is set already (`JAX_COMPILATION_CACHE_DIR`) is used as it is. Does nothing where
    the folder cannot be written to.

    Args:
      use: False switches off every cache.
    """
    if not use:
        jax.config.update("jax_enable_compilation_cache", False)
        return
    if getattr(jax.config, _FOLDER) is None:
        try:
            folder = cache_folder()
            folder.mkdir(parents=True, exist_ok=True)
            _trim(folder, LIMIT)
        except (OSError, RuntimeError):  # RuntimeError: there is no home
            return
        if not os.access(folder, os.W_OK):
            return
        jax.config.update(_FOLDER, str(folder))
    for name, value in _KEEP_ALL.items():
        if name.upper() not in os.environ:
            jax.config.update(name, value)


def _trim(folder: Path, limit: int) -> None:
    """Deletes the oldest files above `limit` bytes in all.

    JAX's own limit needs a lock around every program, and an interrupt can leave it broken.
    """
    files = [(path, path.stat()) for path in folder.iterdir() if path.is_file()]
    size = sum(stat.st_size for _, stat in files)
    for path, stat in sorted(files, key=lambda one: one[1].st_mtime):
        if size <= limit:
            break
        path.unlink(missing_ok=True)
        size -= stat.st_size
