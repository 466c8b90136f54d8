"""Files that appear whole or not at all, and folders that one process at a time writes to."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK = ".lock"
"""The file whose lock a folder's owner holds; a process that is killed leaves it, without."""


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` if the block ends without an error.

    Whoever looks, and whatever stops the process, there is the old file or the whole new one.

    Args:
      path: of the file that is made or replaced.

    Yields:
      A path in the same folder, with the same suffix.
    """
    part = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        yield part
        _sync(part)
        os.replace(part, path)
        _sync(path.parent)
    except OSError as error:
        error.filename = str(path)  # what was to be written, for the message
        raise
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Holds a folder for this process alone; makes it, and takes it away again if nothing came.

    The lock is the system's, so a process that is killed leaves none.

    Args:
      folder: with a path of any depth.

    Raises:
      BlockingIOError: another run holds the folder.
      OSError: it cannot be made or written to.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    lock = _lock(folder)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if is_open_at(lock, folder / LOCK):
                (folder / LOCK).unlink()
        lock.close()
        with contextlib.suppress(OSError):  # there is something in it
            for path in made:
                path.rmdir()


def _lock(folder: Path) -> IO[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    file = open(folder / LOCK, "ab")
    try:
        if sys.platform == "win32":
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            raise  # a file system without locks
        raise BlockingIOError(f"{folder}: another run is writing to this folder") from None
    if not is_open_at(file, folder / LOCK):  # its owner took the folder away in between
        file.close()
        return _lock(folder)
    return file


def is_open_at(file: IO[bytes], path: Path) -> bool:
    """Whether an open file is still the one of that path: neither deleted nor replaced."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except OSError:
        return False


def _sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    if sys.platform == "win32" and path.is_dir():
        return  # folders cannot be opened there
    descriptor = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
