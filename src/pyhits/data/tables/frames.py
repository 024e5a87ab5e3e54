"""DataFrames and Series of pandas and polars, and Tables of pyarrow, as trajectories."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pyhits.data.pieces import Pieces, is_of
from pyhits.data.tables.assemble import from_columns
from pyhits.data.tables.column_choice import ALL_COLUMNS, ColumnChoice
from pyhits.data.tables.time_column import index_levels, index_note, is_index_of_times
from pyhits.data.tables.time_names import TimeName, is_trajectory_name, time_name
from pyhits.errors import DataError

_CLASSES = (
    ("pandas", "DataFrame"), ("pandas", "Series"), ("polars", "DataFrame"), ("polars", "LazyFrame"),
    ("polars", "Series"), ("pyarrow", "Table"), ("pyarrow", "RecordBatch"),
)  # fmt: skip


def is_frame(data: Any) -> bool:
    """Tell whether data are of a class that :func:`from_frame` reads."""
    return any(is_of(data, package, name) for package, name in _CLASSES)


def from_frame(
    frame: Any, *, where: str | None = None, choice: ColumnChoice = ALL_COLUMNS, raw: bool = False
) -> Pieces:
    """Read a DataFrame or Series of pandas or polars, or a Table of pyarrow: one row a time.

    Raises DataError: they are no numbers and times, or a LazyFrame, which holds no rows yet.
    """
    if is_of(frame, "polars", "LazyFrame"):
        raise DataError("A LazyFrame holds no rows yet; give frame.collect().")
    if is_of(frame, "pandas", "Series") or is_of(frame, "polars", "Series"):
        name = frame.name
        pieces = from_frame(frame.to_frame(), where=where, choice=choice, raw=raw)
        pieces.feature_names = None if name in (None, "") else [str(name)]
        return pieces
    if is_of(frame, "pandas", "DataFrame"):
        return _from_pandas(frame, where=where or "the DataFrame", choice=choice, raw=raw)
    names, columns = named_columns(frame)
    where = where or f"the {type(frame).__name__}"
    return from_columns(names, columns, where=where, choice=choice, raw=raw)


def _from_pandas(
    frame: Any,
    *,
    where: str = "the DataFrame",
    choice: ColumnChoice = ALL_COLUMNS,
    raw: bool = False,
) -> Pieces:
    """Read a pandas DataFrame: one row a time.

    Index levels with the name of a trajectory count as columns. An index of dates, of floats that
    rise, or of anything that rises under a name is the time, unless a column is.
    """
    # None stands as NaN among names that are texts.
    names = ["" if c is None or c != c else str(c) for c in frame.columns]
    columns = [frame.iloc[:, k].to_numpy() for k in range(len(names))]
    has_time = any(time_name(n) >= TimeName.LIKELY for n in names)
    notes: list[str] = []
    levels = [
        ("" if label is None else str(label), frame.index.get_level_values(k).to_numpy())
        for k, label in enumerate(frame.index.names)
    ]
    are_times = len(levels) > 1 and all(time_name(level) for level, _ in levels)
    if len(levels) > 1 and not has_time and choice.time_column is None:
        levels = index_levels(levels, notes)
    for level, values in levels:
        if are_times and not has_time and choice.time_column is None:
            names.append(level)  # a year and a month, which make a date
            columns.append(values)
        elif is_trajectory_name(level) or (level and level == choice.time_column):
            names.append(level)
            columns.append(values)
        elif not has_time and is_index_of_times(level, values, len(levels)):
            names.append(level or "time")
            columns.append(values)
            if choice.time_column is None:
                choice = replace(choice, time_column=len(names) - 1)
        elif not has_time and choice.time_column is None:
            notes += index_note(level, values)
    pieces = from_columns(names, columns, where=where, choice=choice, raw=raw)
    if pieces.axis.name == "time" and "time" not in (*map(str, frame.columns), *frame.index.names):
        pieces.axis = replace(pieces.axis, name=None)
    pieces.notes += notes
    return pieces


def named_columns(table: Any) -> tuple[list[str], list[np.ndarray]]:
    """Return the columns of a DataFrame of polars or a Table of pyarrow; dates keep their zone."""
    if is_of(table, "pyarrow", "RecordBatch"):
        import pyarrow as pa

        table = pa.Table.from_batches([table])
    if not is_of(table, "polars", "DataFrame"):
        zones = [getattr(kind, "tz", None) for kind in table.schema.types]
        columns = [table.column(k) for k in range(table.num_columns)]
        names = list(table.column_names)
    else:
        columns, names = list(table.get_columns()), list(table.columns)
        zones = [getattr(column.dtype, "time_zone", None) for column in columns]
    made = []
    for column, zone in zip(columns, zones, strict=True):
        if zone is None:
            made.append(np.asarray(column.to_numpy()))
        else:
            dates = column.to_list() if hasattr(column, "to_list") else column.to_pylist()
            made.append(np.array([*dates, None], dtype=object)[:-1])
    return names, made
