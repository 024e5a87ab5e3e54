"""Parquet tables that are larger than may be read: row groups that stand for all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pyhits.data.limits import TOO_LARGE, in_words
from pyhits.data.pieces import Pieces, common_step, step_rounding
from pyhits.data.sampling import PART
from pyhits.data.times.reading import joined_axes
from pyhits.errors import DataError


class RowGroup(NamedTuple):
    """Rows of a Parquet file that are stored together.

    Attributes
    ----------
    path : Path
    number : int
        In its file.
    n_rows, n_columns : int
    """

    path: Path
    number: int
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

    Raises
    ------
    DataError
        Their columns, times or steps differ.
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
