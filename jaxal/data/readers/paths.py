"""Files of data sources: where they are looked for, and their text by lines."""

from collections.abc import Iterator
from pathlib import Path


def find(path: str, folder: Path | None, *, is_folder: bool = False) -> Path:
    """A file that is there.

    Args:
      path: as the user wrote it; "~" is the home folder.
      folder: where a relative path is looked for after the working directory, if anywhere.
      is_folder: whether a folder is looked for.

    Raises:
      FileNotFoundError: it is at none of these places; names them.
    """
    given = Path(path).expanduser()
    places = [given] if folder is None or given.is_absolute() else [given, folder / given]
    for place in places:
        if place.is_dir() if is_folder else place.is_file():
            return place
    kind = "folder" if is_folder else "file"
    raise FileNotFoundError(f"no such {kind}: {', nor '.join(map(str, places))}")


def lines(file: Path, encoding: str = "utf-8") -> Iterator[str]:
    """The lines of a text file, with their ends; carriage returns inside of a line stay.

    Args:
      file: one that is there.
      encoding: by a name that Python knows.

    Raises:
      ValueError: text of another encoding, or an encoding that nobody knows; names the file.
    """
    name = "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding
    try:
        with file.open(encoding=name, newline="\n") as stream:
            yield from stream
    except LookupError:
        raise ValueError(f"encoding: expected one that Python knows, got {encoding!r}") from None
    except UnicodeError:
        raise ValueError(
            f"{file}: expected text encoded in {encoding}; the option encoding names another"
        ) from None
