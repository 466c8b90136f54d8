"""What the terminal shows of a data set."""

from collections.abc import Sequence
from typing import Protocol

from rich.console import Group
from rich.table import Table
from rich.text import Text

from jaxal.report._text import printable
from jaxal.report.table import plain_table

MOST = 50  # classes that are listed one by one


class Part(Protocol):
    """What is read of a part of a data set."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> object: ...
    @property
    def smallest(self) -> float: ...
    @property
    def largest(self) -> float: ...
    @property
    def counts(self) -> Sequence[int]: ...
    @property
    def unknown(self) -> int: ...


class Contents(Protocol):
    """What `contents_table` reads of a data set: `jaxal.data.describe` returns such."""

    @property
    def train(self) -> Part: ...
    @property
    def test(self) -> Part | None: ...
    @property
    def class_names(self) -> Sequence[str]: ...


def contents_table(source: str, contents: Contents) -> Group:
    """Builds the description of a data set.

    Args:
      source: its name.
      contents: of `jaxal.data.describe`.

    Returns:
      Rows, shapes, types and values of its parts, and below a row for each class: its number, its
      name, how many rows each part has of it. Of many classes, the smallest and the largest count.
    """
    if contents.test is None:
        known = {"all": contents.train}
    else:
        known = {"train": contents.train, "test": contents.test}
    return Group(_summary(source, known), "", _classes(known, contents.class_names))


def _summary(source: str, parts: dict[str, Part]) -> Table:
    table = plain_table(title=Text(printable(source)))
    table.add_column("")
    for name in parts:
        table.add_column(name, justify="right")
    rows = {
        "rows": [f"{part.shape[0]:,}" for part in parts.values()],
        "shape of a row": [" x ".join(map(str, part.shape[1:])) for part in parts.values()],
        "type": [str(part.dtype) for part in parts.values()],
        "values": [f"{part.smallest:.6g} to {part.largest:.6g}" for part in parts.values()],
        "classes": [str(sum(count > 0 for count in part.counts)) for part in parts.values()],
        "rows without a label": [f"{part.unknown:,}" for part in parts.values()],
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def _classes(parts: dict[str, Part], names: Sequence[str]) -> Table:
    table = plain_table()
    table.add_column("class", justify="right")
    table.add_column("name", overflow="fold")
    for name in parts:
        table.add_column(f"{name} rows", justify="right")
    if len(names) > MOST:
        for word, pick in {"fewest": min, "most": max}.items():
            table.add_row(
                "",
                f"the {word} of {len(names)}",
                *(f"{pick(part.counts):,}" for part in parts.values()),
            )
        return table
    for number, name in enumerate(names):
        counts = (f"{part.counts[number]:,}" for part in parts.values())
        table.add_row(str(number), Text(printable(name)), *counts)
    return table
