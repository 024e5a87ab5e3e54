"""Parquet tables through pyarrow and pandas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.convert import Pieces, from_frame, step_rounding
from pyhits.io.choose import Wanted
from pyhits.io.guard import PARQUET, expect_kind, need, reading
from pyhits.io.table import column_names
from pyhits.times import same_step
from pyhits.trajectories import Trajectories

_STEP_KEY = b"pyhits"


def read(path: Path, wanted: Wanted) -> Pieces:
    """Read a table with one row a time; columns (or an index) of times and trajectories count."""
    expect_kind(path, PARQUET)
    parquet = need("pyarrow.parquet", action="Reading .parquet files", extra="parquet")
    need("pandas", action="Reading .parquet files", extra="parquet")
    with reading(path, PARQUET):
        table = parquet.read_table(path)
        pieces = from_frame(
            table.to_pandas(),
            where="the table",
            choice=wanted.choice,
            raw=wanted.raw,
        )
        own = _step(table)
    # The column of times gives the step to ten digits; what write() noted is exact.
    if (
        own is not None
        and pieces.dt is not None
        and same_step(own, pieces.dt, step_rounding(pieces))
    ):
        pieces.dt = own
    return pieces


def write(trajectories: Trajectories, path: Path) -> None:
    """Write the columns trajectory (if several), t, and the features; the step goes beside them."""
    parquet = need("pyarrow.parquet", action="Writing .parquet files", extra="parquet")
    pyarrow = need("pyarrow", action="Writing .parquet files", extra="parquet")
    count = len(trajectories)
    columns: list[Any] = [np.concatenate([trajectories.times(k) for k in range(count)])]
    if count > 1:
        columns.insert(0, np.repeat(np.arange(count), trajectories.lengths))
    columns += list(trajectories.values.T)
    arrays = [pyarrow.array(np.ascontiguousarray(column)) for column in columns]
    table = pyarrow.table(arrays, names=column_names(trajectories))
    note = json.dumps({"dt": trajectories.dt})
    parquet.write_table(table.replace_schema_metadata({_STEP_KEY: note}), path)


def _step(table: Any) -> float | None:
    note = (table.schema.metadata or {}).get(_STEP_KEY)
    return None if note is None else float(json.loads(note)["dt"])
