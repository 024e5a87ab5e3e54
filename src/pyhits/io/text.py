"""Text tables: .csv, .tsv, .txt and .dat."""

from __future__ import annotations

import csv
import math
import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from pyhits.checks import BY_REPAIR, is_missing
from pyhits.convert import Pieces, from_columns
from pyhits.errors import DataError, FileFormatError, PyHiTSWarning
from pyhits.io.choose import Wanted
from pyhits.io.guard import TEXT, expect_kind, reading
from pyhits.io.sheet import Sheet, is_number, shortened, sniff, split_line, without_comment
from pyhits.io.table import column_names
from pyhits.time_names import is_time_name
from pyhits.timeaxis import is_date
from pyhits.times import uniform_step
from pyhits.trajectories import Trajectories

#: Rows from which on a first column that only increases is taken for uneven times.
_ROWS_OF_TIMES = 10

#: What to do about a value that is missing.
_ON_GAPS = (
    "Fill the gap, or cut the recording there and give the pieces as separate trajectories: "
    f"{BY_REPAIR} does either."
)


def read(path: Path, wanted: Wanted) -> Pieces:
    """Read a table with one row a time, with or without a header.

    Without a header the first of several columns is the time if it increases uniformly.
    """
    expect_kind(path, TEXT)
    with reading(path, TEXT):
        sheet = sniff(path)
        columns = _columns(path, sheet, raw=wanted.raw)
    names = sheet.names or [f"column {k}" for k in range(len(columns))]
    time = _time(sheet, columns, wanted)
    if sheet.names is not None and names[0] == "" and time != 0 and _counts_rows(columns[0]):
        # The row numbers that pandas and R write are neither time nor state.
        names, columns = names[1:], columns[1:]
        time = time - 1 if isinstance(time, int) else time
    pieces = from_columns(
        names, columns, choice=replace(wanted.choice, time_column=time), raw=wanted.raw
    )
    if sheet.names is None:
        pieces.feature_names = None
    return pieces


def write(trajectories: Trajectories, path: Path) -> None:
    """Write the columns trajectory (if several), t, and the features, each value in full.

    Separated by commas in .csv, by tabs otherwise.
    """
    names = column_names(trajectories)
    unfit = [name for name in names if name != name.strip() or len(name.splitlines()) != 1]
    if unfit:
        raise DataError(
            f"The feature {unfit[0]!r} cannot head a column: blank, or with spaces at its ends or "
            "a line break. Rename it, or write .npz instead."
        )
    delimiter = "," if path.suffix.lower() == ".csv" else "\t"
    # Without quotes these two would begin a comment.
    comments = any(character in name for name in names for character in "#%")
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(
            stream,
            delimiter=delimiter,
            quoting=csv.QUOTE_ALL if comments else csv.QUOTE_MINIMAL,
            lineterminator="\n",
        ).writerow(names)
        for k, values in enumerate(trajectories):
            lead = f"{k}{delimiter}" if len(trajectories) > 1 else ""
            for t, row in zip(trajectories.times(k).tolist(), values.tolist(), strict=True):
                stream.write(lead + delimiter.join(map(repr, [t, *row])) + "\n")


def _columns(path: Path, sheet: Sheet, *, raw: bool = False) -> list[np.ndarray]:
    """Return the columns as numbers, those of dates and names as text."""
    texts = sheet.text_columns
    dtype = [(f"f{k}", "U40" if k in texts else "f8") for k in range(len(sheet.first_row))]
    # What follows the last delimiter is read to see that nothing does.
    open_end = [("open end", "U1")] if sheet.has_open_end else []
    is_mixed = bool(texts or open_end)
    try:
        table = np.loadtxt(
            path,
            dtype=dtype + open_end if is_mixed else np.float64,
            comments=sheet.comment,
            delimiter=sheet.delimiter,
            skiprows=sheet.n_skipped,
            encoding=sheet.encoding,
            quotechar='"',
            ndmin=1 if is_mixed else 2,
        )
    except ValueError:
        return _slow_columns(path, sheet, raw=raw)
    if open_end and (table["open end"] != "").any():
        return _slow_columns(path, sheet, raw=raw)
    columns = [table[name] for name, _ in dtype] if is_mixed else list(table.T)
    is_whole = all(np.isfinite(c).all() for k, c in enumerate(columns) if k not in texts)
    if not (is_whole or raw):
        return _slow_columns(path, sheet)
    return columns


def _slow_columns(path: Path, sheet: Sheet, *, raw: bool = False) -> list[np.ndarray]:
    """Read line by line what numpy refused, and name line and column of what is no number.

    Raw columns have NaN where a number is missing.
    """
    texts = sheet.text_columns
    rows = []
    with path.open(encoding=sheet.encoding) as stream:
        for number, full in enumerate(stream, start=1):
            line = without_comment(full.rstrip("\r\n"), sheet.comment)
            if number <= sheet.n_skipped or not line.strip() or line.strip()[0] in "#%":
                continue
            fields = split_line(line, sheet.delimiter)
            if sheet.has_open_end and fields[-1] == "":
                fields.pop()
            if len(fields) != len(sheet.first_row):
                raise FileFormatError(
                    f"{path}: line {number} has {len(fields)} columns ({shortened(full)}), the "
                    f"first row has {len(sheet.first_row)}."
                )
            rows.append(
                [
                    f if k in texts else _number(f, number, sheet.label(k), raw=raw)
                    for k, f in enumerate(fields)
                ]
            )
    kinds = [np.str_ if k in texts else np.float64 for k in range(len(sheet.first_row))]
    return [np.array(c, dtype=kind) for c, kind in zip(zip(*rows, strict=True), kinds, strict=True)]


def _number(field: str, line: int, column: str, *, raw: bool) -> float:
    """Return a field as a finite number, raw ones as any; Fortran's ``1.0D-3`` is one."""
    place = f"line {line}, {column}"
    if raw and is_missing(field):
        return math.nan
    if field == "":
        raise DataError(f"The field in {place} is empty. {_ON_GAPS}")
    fortran = re.sub(r"(?<=[\d.])[dD](?=[-+\d])", "e", field)
    if not is_number(fortran):
        raise DataError(f"Expected a number in {place}, got {shortened(field)!r}{_advice(field)}")
    number = float(fortran)
    if not (raw or np.isfinite(number)):
        raise DataError(f"Expected a finite number in {place}, got {field!r}. {_ON_GAPS}")
    return number


def _advice(field: str) -> str:
    if re.fullmatch(r"[-+]?\d*,\d+([eE][-+]?\d+)?", field):
        return ". Write decimal points instead of decimal commas."
    if is_date(field) or re.fullmatch(r"\d+[/.-]\d+[/.-]\d+.*", field):
        return ". Dates are read in the column of times; name it with time_column (--time-column)."
    if re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+(\.\d*)?", field):
        return ". Write it without commas between thousands."
    if is_missing(field):
        return f". {_ON_GAPS}"
    return f". Correct it, or leave it empty, which {BY_REPAIR} takes for a missing value."


def _time(sheet: Sheet, columns: list[np.ndarray], wanted: Wanted) -> str | int | None:
    """Return the column of times as :func:`pyhits.convert.from_columns` takes it."""
    if wanted.time_column is not None:
        return wanted.time_column
    if sheet.names is not None and any(is_time_name(name) for name in sheet.names):
        return None
    dates = [k for k in sheet.text_columns if is_date(sheet.first_row[k])]
    if len(dates) == 1:
        return dates[0]
    unnamed = sheet.names is None or sheet.names[0] == ""
    # Two rows would be uniform whatever they hold.
    if not unnamed or len(columns) < 2 or len(columns[0]) < 3:
        return None
    if sheet.names is not None and _counts_rows(columns[0]):
        return None
    try:
        uniform_step(columns[0])
    except DataError:
        increases = _only_increases(columns[0])
        if increases and not wanted.raw:
            warnings.warn(
                "The first column has no name and only increases, but not uniformly: it is read "
                f"as a feature. If it is the time, {BY_REPAIR} resamples the others.",
                PyHiTSWarning,
                stacklevel=2,
            )
        return 0 if increases and wanted.raw else None
    return 0


def _only_increases(column: np.ndarray) -> bool:
    """Tell whether a column grows from row to row for long enough not to do so by chance."""
    known = column[np.isfinite(column)] if column.dtype.kind == "f" else column[:0]
    return len(known) >= _ROWS_OF_TIMES and bool((np.diff(known) > 0).all())


def _counts_rows(column: np.ndarray) -> bool:
    """Tell whether a column is 0, 1, 2 ... or 1, 2, 3 ..."""
    if column.dtype.kind != "f" or column[0] not in (0, 1):
        return False
    return bool((np.diff(column) == 1).all())
