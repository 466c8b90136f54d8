"""Files of Apache Parquet."""

from collections.abc import Sequence
from pathlib import Path

from jaxal.data.readers.arrow import examples
from jaxal.data.readers.packages import need
from jaxal.data.readers.paths import find
from jaxal.data.readers.registry import Table, source


@source("parquet")
def read_parquet(
    path: str,
    *,
    folder: Path | None = None,
    label: str = "label",
    inputs: str | Sequence[str] | None = None,
) -> Table:
    """Reads a Parquet file: columns of numbers, or one column of lists or of encoded pictures.

    Args:
      path: the file.
      folder: where a relative path is looked for after the working directory.
      label: the column of the labels, integers or text; null where unknown.
      inputs: the column of the inputs, or a list of columns; None: all but the label's.

    Returns:
      Inputs [N, ...] in the type of the file.

    Raises:
      FileNotFoundError: no such file.
      TypeError: a column of another type.
      ValueError: a file of another kind, a column that is not there, or a missing value.
    """
    file = find(path, folder)
    parquet = need("pyarrow.parquet", "parquet", "pyarrow")
    import pyarrow as pa

    try:
        table = parquet.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{file}: expected a Parquet file, got {error}") from None
    train, names = examples(table, str(file), label, inputs)
    return Table(train, class_names=names)
