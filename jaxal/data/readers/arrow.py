"""Tables of Arrow as arrays: columns of numbers, of lists, or of encoded pictures."""

import json
from typing import Any

import numpy as np

from jaxal.checks import nearest
from jaxal.data.readers.packages import need
from jaxal.data.readers.pictures import decode


def examples(
    table: Any, where: str, label: str, inputs: Any
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[str, ...] | None]:
    """Inputs and labels of a table.

    Args:
      table: a `pyarrow.Table`.
      where: what it is, for the messages.
      label: the column of the labels, integers or text; null where unknown.
      inputs: the column of the inputs, or a list of columns; None: all but the label's.

    Returns:
      (inputs, labels), and the names of the classes if the table has them, as those do that the
      library `datasets` wrote.

    Raises:
      TypeError: a column of another type.
      ValueError: a column that is not there, a missing value, or lists that differ in length.
    """
    columns = table.column_names
    if label not in columns:
        raise ValueError(f"label: {label!r} is unknown in {where}; {nearest(label, columns)}")
    wanted = [name for name in columns if name != label] if inputs is None else inputs
    wanted = [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(wanted, list | tuple) or not all(isinstance(name, str) for name in wanted):
        raise TypeError(f"inputs: expected a column or a list of columns, got {inputs!r}")
    for name in wanted:
        if name not in columns:
            raise ValueError(f"inputs: {name!r} is unknown in {where}; {nearest(name, columns)}")
    if not wanted:
        raise ValueError(f"{where}: expected a column of inputs beside {label!r}, got none")
    arrays = _columns(table, list(wanted), where)
    return (arrays, _labels(table[label], f"{where}, column {label!r}")), _names(table, label)


def _columns(table: Any, names: list[str], where: str) -> np.ndarray:
    """The one column as it is, or columns of numbers side by side."""
    import pyarrow as pa

    kinds = {name: table.schema.field(name).type for name in names}
    if len(names) == 1:
        [(name, kind)] = kinds.items()
        place = f"{where}, column {name!r}"
        if pa.types.is_struct(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return _pictures(table[name], place)
        values = _values(table[name], place)
        return values if values.ndim > 1 else values[:, None]
    for name, kind in kinds.items():
        if not _is_number(kind):
            raise TypeError(
                f"{where}, column {name!r}: expected numbers, got {kind}; "
                "the option inputs says which columns are the inputs"
            )
    arrays = (_values(table[name], f"{where}, column {name!r}") for name in names)
    dtype = np.result_type(*(kind.to_pandas_dtype() for kind in kinds.values()))
    columns = np.empty((table.num_rows, len(names)), dtype)
    for position, array in enumerate(arrays):
        columns[:, position] = array
    return columns


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _values(column: Any, where: str) -> np.ndarray:
    """Numbers [N], or of lists [N, ...] if all are equally long."""
    import pyarrow as pa

    compute = need("pyarrow.compute", "parquet", "pyarrow")
    if column.null_count:
        row = int(column.is_null().to_numpy().argmax())
        raise ValueError(f"{where}: expected no missing values, got one at row {row}")
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        rows = len(column)
        lengths = np.unique(compute.list_value_length(column).to_numpy())
        if len(lengths) > 1:
            raise ValueError(f"{where}: expected lists of one length, got {list(lengths)}")
        inner = _values(compute.list_flatten(column), where)
        return inner.reshape(rows, -1, *inner.shape[1:])
    if not _is_number(kind):
        raise TypeError(f"{where}: expected numbers, lists of them or pictures, got {kind}")
    return column.to_numpy()


def _pictures(column: Any, where: str) -> np.ndarray:
    """Pictures from bytes, or from what `datasets` calls an image: a struct that has them."""
    import pyarrow as pa

    if pa.types.is_struct(column.type):
        if column.type.get_field_index("bytes") < 0:
            raise TypeError(f"{where}: expected numbers or pictures, got {column.type}")
        column = need("pyarrow.compute", "parquet", "pyarrow").struct_field(column, "bytes")
    if column.null_count:
        row = int(column.is_null().to_numpy().argmax())
        raise ValueError(f"{where}: expected the bytes of a picture, got none at row {row}")
    files = ((f"{where} row {row}", file.as_py()) for row, file in enumerate(column))
    return decode(files, len(column))


def _labels(column: Any, where: str) -> np.ndarray:
    """Integers, -1 where unknown, or text, "" where unknown."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array(column.fill_null("").to_pylist())
    if not pa.types.is_integer(column.type):
        raise TypeError(f"{where}: expected integers or text as labels, got {column.type}")
    if column.null_count:
        column = column.cast(pa.int64()).fill_null(-1)
    return column.to_numpy()


def _names(table: Any, label: str) -> tuple[str, ...] | None:
    """The names of classes that `datasets` leaves in a schema."""
    try:
        said = json.loads((table.schema.metadata or {})[b"huggingface"])
        return tuple(said["info"]["features"][label]["names"])
    except (KeyError, TypeError, ValueError):
        return None
