"""Parquet tables through pyarrow and pandas."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pyhits.data.files.guard import PARQUET, expect_kind, parsing
from pyhits.data.files.layout import as_axis
from pyhits.data.files.reading import Reading
from pyhits.data.files.table import column_names, run_column
from pyhits.data.limits import TOO_LARGE, expect_to_fit, in_words
from pyhits.data.pieces import Pieces, common_step, step_rounding
from pyhits.data.sampling import PART
from pyhits.data.tables.frames import from_frame
from pyhits.data.times import TimeAxis
from pyhits.data.times.objects import as_objects
from pyhits.data.times.reading import joined_axes
from pyhits.data.times.uniform import same_step
from pyhits.data.trajectories import Trajectories
from pyhits.errors import DataError
from pyhits.util.extras import need

_STEP_KEY = b"pyhits"


def read(path: Path, wanted: Reading) -> Pieces:
    """Read a table with one row a time; columns (or an index) of times and trajectories count.

    A folder of files is one table. Of what is too large some row groups are read.
    """
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    for file in files:
        expect_kind(file, PARQUET)
    parquet = need("pyarrow.parquet", "pandas", action="Reading .parquet files", extra="parquet")
    with parsing(path, PARQUET):
        groups = row_groups(files, parquet)
        size = sum(group.size for group in groups)
        if size > wanted.sampling.max_bytes:
            some, n_rows = some_of(groups, wanted.sampling.max_bytes)
            tables = read_some(some, n_rows, parquet)
            parts = [_pieces(table, wanted) for table in tables]
            return joined(parts, note_of(groups, some, n_rows))
        expect_to_fit(size, f"A table of {sum(group.n_rows for group in groups)} rows")
        table = parquet.read_table(path)
        pieces = _pieces(table, wanted)
        note = json.loads((table.schema.metadata or {}).get(_STEP_KEY, b"{}"))
    own = float(note["dt"]) if "dt" in note else None
    # The column of times gives the step to ten digits; what write() noted is exact.
    if (
        own is not None
        and pieces.dt is not None
        and same_step(own, pieces.dt, step_rounding(pieces))
    ):
        pieces.dt = own
        if "time_axis" in note and len(note["start_times"]) == len(pieces.arrays):
            pieces.axis = as_axis(json.dumps(note["time_axis"]))
            pieces.start_times = np.array(note["start_times"])
    return pieces


def _pieces(table: Any, wanted: Reading) -> Pieces:
    return from_frame(
        _flat(table).to_pandas(), where="the table", choice=wanted.choice, raw=wanted.raw
    )


def write(trajectories: Trajectories, path: Path) -> None:
    """Write the columns trajectory (if several), t, features, and the step as metadata."""
    parquet = need("pyarrow.parquet", "pandas", action="Writing .parquet files", extra="parquet")
    import pyarrow as pa

    count = len(trajectories)
    axis = trajectories.axis
    times = np.concatenate([trajectories.times(k) for k in range(count)])
    is_numpy = axis.has_dates and axis.form not in ("texts", "digits", "epoch", "serial", "cf")
    columns: list[Any] = [axis.at(times) if is_numpy and axis.zone is None else _plain(axis, times)]
    runs = run_column(trajectories)
    if runs is not None:
        columns.insert(0, np.repeat(runs[1], trajectories.lengths))
    columns += list(trajectories.values.T)
    arrays = [
        pa.array(column if isinstance(column, list) else np.ascontiguousarray(column))
        for column in columns
    ]
    table = pa.table(arrays, names=column_names(trajectories))
    note: dict[str, Any] = {"dt": trajectories.dt}
    if axis.has_dates:
        note |= {"time_axis": axis.as_dict(), "start_times": trajectories.start_times.tolist()}
    parquet.write_table(table.replace_schema_metadata({_STEP_KEY: json.dumps(note)}), path)


def _plain(axis: TimeAxis, times: np.ndarray) -> Any:
    """Return times as a column of numbers or texts."""
    return as_objects(axis, times)


def _flat(table: Any) -> Any:
    """Return a table whose structs and lists of one length are columns, ``p.x`` and ``p.0``.

    Maps, and lists of several lengths, become texts, which are left out as any text is.
    """
    import pyarrow as pa
    from pyarrow import types

    while any(types.is_struct(column.type) for column in table.columns):
        table = table.flatten()
    names: list[str] = []
    columns: list[Any] = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
            entries = _entries(column)
            names += [f"{name}.{k}" for k in range(len(entries))] or [name]
            columns += entries or [pa.array(["a list"] * len(column))]
        else:
            names.append(name)
            columns.append(pa.array(["a map"] * len(column)) if types.is_map(kind) else column)
    flat = pa.Table.from_arrays(columns, names, metadata=table.schema.metadata)
    return flat if names == table.column_names else _flat(flat)


def _entries(column: Any) -> list[Any]:
    """Return the columns of a column of lists, none if these are of several lengths."""
    from pyarrow import compute

    lengths = set(compute.unique(compute.list_value_length(column)).to_pylist()) - {None}
    n = lengths.pop() if len(lengths) == 1 else 0
    return [compute.list_element(column, k) for k in range(n)]


class RowGroup(NamedTuple):
    """Rows of a Parquet file that are stored together."""

    path: Path
    number: int  # in its file
    n_rows: int
    n_columns: int

    @property
    def size(self) -> float:
        """Bytes of its numbers in float64."""
        return 8.0 * self.n_rows * self.n_columns


def row_groups(paths: Sequence[Path], parquet: Any) -> list[RowGroup]:
    """Return the row groups of files in order; only what stands at their ends is read."""
    found = []
    for path in paths:
        about = parquet.read_metadata(path)
        for k in range(about.num_row_groups):
            n_rows = about.row_group(k).num_rows
            found.append(RowGroup(path, k, n_rows, about.num_columns))
    return [group for group in found if group.n_rows]


def some_of(groups: Sequence[RowGroup], max_bytes: float) -> tuple[list[RowGroup], int]:
    """Return row groups that are spread evenly, and how many rows to read of each."""
    room = PART * max_bytes
    each = max(group.size / group.n_rows for group in groups)
    most = int(room / each)
    if most < 2:
        raise DataError(f"One row takes {in_words(each)}; {TOO_LARGE}")
    usual = int(np.median([group.n_rows for group in groups]))
    count = max(1, min(len(groups), most // max(1, min(usual, most))))
    places = np.linspace(0, len(groups) - 1, count).round().astype(int)
    return [groups[k] for k in places], most // count


def read_some(groups: Sequence[RowGroup], n_rows: int, parquet: Any) -> list[Any]:
    """Return the first rows of row groups as tables of Arrow."""
    tables = []
    for group in groups:
        with parquet.ParquetFile(group.path) as file:
            batches = file.iter_batches(batch_size=n_rows, row_groups=[group.number])
            tables.append(_table(next(batches)))
    return tables


def _table(batch: Any) -> Any:
    import pyarrow as pa

    return pa.Table.from_batches([batch])


def joined(parts: Sequence[Pieces], note: str) -> Pieces:
    """Return the pieces of several tables together; single rows, as cuts leave them, are left out.

    Raises DataError: their columns, times or steps differ.
    """
    first = parts[0]
    if any(part.feature_names != first.feature_names for part in parts):
        raise DataError("Its row groups have different columns.")
    arrays, starts, axes = [], [], []
    for part in parts:
        own = part.arrays if part.even is None else list(part.even)
        begins = np.zeros(len(own)) if part.start_times is None else part.start_times
        kept = [k for k, array in enumerate(own) if len(array) > 1]
        arrays += [own[k] for k in kept]
        starts += [float(begins[k]) for k in kept]
        axes += [part.axis] * len(kept)
    if not arrays:
        raise DataError("No two of its rows follow each other in one trajectory.")
    steps: list[float | None] = [part.dt for part in parts if part.dt is not None]
    error = max(step_rounding(part) for part in parts)
    axis, moved = joined_axes(axes, starts)
    dt = common_step(steps, error) if steps else None
    return Pieces(arrays, None, dt, first.feature_names, moved, notes=[note], axis=axis)


def note_of(all_groups: Sequence[RowGroup], some: Sequence[RowGroup], n_rows: int) -> str:
    """Return what is to be said of row groups that were left out."""
    whole = sum(group.n_rows for group in all_groups)
    read = sum(min(group.n_rows, n_rows) for group in some)
    size = math.fsum(group.size for group in all_groups)
    return (
        f"Of {whole} rows ({in_words(size)}) {read} are read, from {len(some)} of "
        f"{len(all_groups)} row groups, spread evenly. max_bytes of pyhits.read takes more of a "
        "file."
    )
