"""Text tables: .csv, .tsv, .txt and .dat."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.data.files.guard import TEXT, expect_kind, parsing
from pyhits.data.files.reading import Reading
from pyhits.data.files.rows import completeness_check, read_table
from pyhits.data.files.sheet import Sheet, sniff
from pyhits.data.files.table import column_names, run_column
from pyhits.data.pieces import Pieces
from pyhits.data.tables.assemble import from_columns
from pyhits.data.tables.time_column import LEAST_ROWS, holds_dates, rise_of
from pyhits.data.tables.time_names import TimeName, time_name
from pyhits.data.trajectories import Trajectories
from pyhits.errors import DataError, warn
from pyhits.util.checks import BY_REPAIR


def read(path: Path, wanted: Reading) -> Pieces:
    """Read a table with one row a time, with or without a header.

    Without a header the first of several columns is the time if it increases uniformly.
    """
    expect_kind(path, TEXT)
    with parsing(path, TEXT):
        choice = wanted.choice
        sheet = sniff(path, header=wanted.header, decimal=wanted.decimal, names=choice.names)
        if sheet.names is not None and choice.names == tuple(sheet.names):
            choice = replace(choice, names=None)
        table = read_table(path, sheet, raw=wanted.raw)
    names = sheet.names or [f"column {k}" for k in range(sheet.n_columns)]
    if choice.time_column is None and (sheet.names is None or sheet.names[0] == ""):
        choice = replace(choice, time_column=_time(sheet, table.columns, raw=wanted.raw))
    check = completeness_check(sheet, table, raw=wanted.raw)
    pieces = from_columns(names, table.columns, choice=choice, raw=wanted.raw, check=check)
    pieces.notes = [*table.notes, *pieces.notes]
    if sheet.names is None and not choice.names:
        pieces.feature_names = None
    return pieces


def write(trajectories: Trajectories, path: Path, like: Path | None = None) -> None:
    """Write the columns trajectory (if several), the times, and the features, each value in full.

    Times stand under the name, and dates in the form, that they came in. Separated by commas in
    .csv, by tabs otherwise; as in the table ``like``, and with its decimals, if there is one.
    """
    names = column_names(trajectories)
    unfit = [name for name in names if name != name.strip() or len(name.splitlines()) != 1]
    if unfit:
        raise DataError(
            f"The feature {unfit[0]!r} cannot head a column: blank, or with spaces at its ends or "
            "a line break. Rename it, or write .npz instead."
        )
    delimiter, decimal = "," if path.suffix.lower() == ".csv" else "\t", "."
    if like is not None:
        dialect = sniff(like).dialect
        delimiter = dialect.delimiter if dialect.delimiter not in (None, "\n") else delimiter
        decimal = dialect.style.decimal if delimiter != dialect.style.decimal else "."
    # Without quotes these two would begin a comment.
    comments = any(character in name for name in names for character in "#%")
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(
            stream,
            delimiter=delimiter,
            quoting=csv.QUOTE_ALL if comments else csv.QUOTE_MINIMAL,
            lineterminator="\n",
        ).writerow(names)
        runs = run_column(trajectories)
        for k, values in enumerate(trajectories):
            lead = "" if runs is None else _cell(runs[1][k], delimiter)
            times = trajectories.axis.labels(trajectories.times(k))
            if decimal != "." and not trajectories.axis.has_dates:
                times = [time.replace(".", decimal) for time in times]
            if any(delimiter in time for time in times):
                times = [f'"{time}"' for time in times]
            for t, row in zip(times, values.tolist(), strict=True):
                numbers = delimiter.join(map(repr, row))
                numbers = numbers if decimal == "." else numbers.replace(".", decimal)
                stream.write(f"{lead}{t}{delimiter}{numbers}\n")


def _cell(held: Any, delimiter: str) -> str:
    """Return a cell and what separates it from the next."""
    text = str(held)
    quoted = f'"{text}"' if delimiter in text else text
    return f"{quoted}{delimiter}"


def _time(sheet: Sheet, columns: list[np.ndarray], *, raw: bool) -> int | None:
    """Return the first column if it has no name and rises as times do; None lets names decide."""
    if sheet.names is not None and any(time_name(name) >= TimeName.LIKELY for name in sheet.names):
        return None
    if any(holds_dates(column) for column in columns):
        return None
    # Two rows would be uniform whatever they hold.
    if len(columns) < 2 or len(columns[0]) < 3:
        return None
    rise = rise_of(columns[0])
    if sheet.names is not None and rise.counts_rows:
        return None
    if rise.is_even:
        return 0
    if rise.is_strict and rise.n_rows >= LEAST_ROWS:
        if raw:
            return 0
        warn(
            "The first column has no name and only increases, but not uniformly: it is read "
            f"as a feature. If it is the time, {BY_REPAIR} resamples the others."
        )
    return None
