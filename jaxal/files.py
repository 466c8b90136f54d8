"""Files that appear whole or not at all, lines that are appended so, and folders with one owner."""

import contextlib
import errno
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

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


class Lines:
    """A file that lines are appended to: all of a call or none, on the disk when it returns.

    Use it as a context manager. A last line that was torn when a process was killed is dropped.

    Args:
      path: of the file; it is made if it is not there.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        # Without a buffer: what a failed write leaves behind is known, and taken back.
        self._file = open(self.path, "a+b", buffering=0)
        self._end = _mend(self._file)
        _sync(self.path.parent)

    def append(self, *lines: str) -> None:
        """Appends lines.

        Raises:
          OSError: the disk is full, or the file was deleted; then it is made anew, with all lines.
        """
        text = "".join(f"{line}\n" for line in lines).encode()
        try:
            _append(self._file, text)
        except BaseException as error:
            self._cut(self._end)
            if isinstance(error, OSError):
                error.filename = str(self.path)
            raise
        self._end += len(text)
        if not is_open_at(self._file, self.path):
            self._save_elsewhere()

    def keep(self, count: int) -> None:
        """Drops all lines but the first `count`."""
        lines = _content(self._file).split(b"\n")[:count]
        self._end = sum(len(line) + 1 for line in lines)
        self._cut(self._end)

    def close(self) -> None:
        """Closes the file; lines already written are safe without it."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _cut(self, size: int) -> None:
        self._file.truncate(size)
        os.fsync(self._file.fileno())

    def _save_elsewhere(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(self.path) as part:
            part.write_bytes(_content(self._file))
        raise OSError(f"{self.path}: deleted during the run; written anew, with all its lines")


def whole_lines(path: Path) -> tuple[list[bytes], bool]:
    """The lines of a file that `Lines` writes, and whether a torn last one was left out.

    A last line without its end is torn, unless it is JSON: then its end alone is missing.

    Args:
      path: of the file.
    """
    *lines, tail = path.read_bytes().split(b"\n")
    if _is_json(tail):
        return [*lines, tail], False
    return lines, bool(tail)


def _mend(file: IO[bytes]) -> int:
    """Ends or drops an unfinished last line, so that the next one starts its own.

    Returns:
      The size of the file.
    """
    text = _content(file)
    ended, newline, tail = text.rpartition(b"\n")
    if _is_json(tail):
        _append(file, b"\n")
        return len(text) + 1
    if tail:
        file.truncate(len(ended + newline))
    return len(ended + newline)


def _append(file: IO[bytes], text: bytes) -> None:
    while text:
        text = text[file.write(text) :]
    os.fsync(file.fileno())


def _content(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


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
