"""From the rows of a text table to columns of numbers and texts, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.data.files.cells import Cells, as_cells
from pyhits.data.files.dialect import shortened
from pyhits.data.files.lines import NO_NUMBER, NOT_AVAILABLE, holds_any
from pyhits.data.files.sheet import Sheet
from pyhits.data.tables.column_choice import as_list, for_shell
from pyhits.data.tables.columns import Roles
from pyhits.errors import DataError, FileFormatError
from pyhits.util.checks import BY_REPAIR, is_missing
from pyhits.util.printable import listing

#: Rows that are converted together.
_CHUNK = 1 << 14

#: Share of the rows that a column may lack before it is said which columns these are.
_MANY = 0.05

#: Columns and lines that a message lists, at most.
_MOST_LISTED = 6

#: What to do about a value that is missing.
_ON_GAPS = (
    "Fill the gap, or cut the recording there and give the pieces as separate trajectories: "
    f"{BY_REPAIR} does either."
)

#: What to do about a first line that is no row.
_FIRST = " If the line holds the names of the columns, header=True (--header) says so."


@dataclass
class Flaws:
    """What is wrong in one column."""

    n_missing: int = 0  # cells that are empty, or hold a word for nothing
    #: missing, wrong: Line and cell of the first of these, and of the first that is neither
    #: missing nor a number.
    missing: tuple[int, str] | None = None
    wrong: tuple[int, str] | None = None
    infinite: tuple[int, str] | None = None  # line and cell of the first infinite number


@dataclass
class TextTable:
    """The columns of a text table."""

    columns: list[Any]  # (n_rows,)
    #: One a column; empty if every cell is a finite number or a text among texts.
    flaws: list[Flaws] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_table(path: Path, sheet: Sheet, *, raw: bool = False) -> TextTable:
    """Return the columns as numbers, those of dates and names as text.

    Raises FileFormatError: a line has more or fewer columns than the others.

    Parameters
    ----------
    raw : bool
        Take what is missing as NaN, and leave out a last line that was cut off.
    """
    fast = _fast(path, sheet) if sheet.dialect.style.is_plain else None
    return fast or _slow(path, sheet, raw=raw)


def _fast(path: Path, sheet: Sheet) -> TextTable | None:
    """Let numpy read the table, and return None if that finds anything else than numbers."""
    marks = (*NOT_AVAILABLE, *NO_NUMBER)
    if sheet.dialect.delimiter == "\n" or holds_any(path, marks, sheet.encoding):
        return None  # for numpy the rest of such a line is a comment
    texts = sheet.text_columns
    dtype = [(f"f{k}", "U64" if k in texts else "f8") for k in range(sheet.n_columns)]
    # What follows the last delimiter is read to see that nothing does.
    open_end = [("open end", "U1")] if sheet.has_open_end else []
    is_mixed = bool(texts or open_end)
    try:
        table = np.loadtxt(
            path,
            dtype=dtype + open_end if is_mixed else np.float64,
            comments=sheet.dialect.comment,
            delimiter=sheet.dialect.delimiter,
            skiprows=sheet.n_skipped,
            encoding=sheet.encoding,
            quotechar='"',
            ndmin=1 if is_mixed else 2,
        )
    except ValueError:
        return None
    if open_end and (table["open end"] != "").any():
        return None
    columns = [table[name] for name, _ in dtype] if is_mixed else list(table.T)
    if len(columns) != sheet.n_columns:
        return None
    if not all(np.isfinite(c).all() for k, c in enumerate(columns) if k not in texts):
        return None
    flaws = [Flaws() for _ in columns]
    for k in texts:
        flaws[k].wrong = sheet.n_skipped + 1, str(columns[k][0])
    return TextTable(columns, flaws)


def _slow(path: Path, sheet: Sheet, *, raw: bool) -> TextTable:
    """Read line by line what numpy refused, and note line and cell of what is no number."""
    n = sheet.n_columns
    chunks: list[list[Cells]] = []
    flaws = [Flaws() for _ in range(n)]
    notes: list[str] = []
    again: list[int] = []
    for numbers, rows in _chunked(_rows(path, sheet, again, notes, raw=raw)):
        fields = list(zip(*rows, strict=True))
        chunk = [as_cells(column, sheet.dialect.style) for column in fields]
        for flaw, cells, column in zip(flaws, chunk, fields, strict=True):
            _noted(flaw, cells, column, numbers)
        chunks.append(chunk)
    if not chunks:
        raise FileFormatError(f"{path} holds a header but no rows.")
    columns = [_joined([chunk[k] for chunk in chunks]) for k in range(n)]
    if again:
        lines = listing(again, _MOST_LISTED)
        notes.append(
            f"The header stands again in line {lines}: left out. If a recording of its own begins "
            "there, number the recordings in a column 'trajectory'."
        )
    units = [
        f"{unit!r} in {sheet.label(k)}"
        for k in range(n)
        for unit in sorted({chunk[k].unit for chunk in chunks} - {""})
    ]
    if units:
        notes.append(f"Units next to the numbers are left out: {listing(units, _MOST_LISTED)}.")
    return TextTable(columns, flaws, notes)


def _rows(
    path: Path, sheet: Sheet, again: list[int], notes: list[str], *, raw: bool
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows, without headers that are repeated, and check how many fields they have."""
    short: tuple[int, list[str]] | None = None
    for number, fields in sheet.rows(path):
        if short is not None:
            raise _ragged(path, sheet, *short)
        if sheet.header is not None and fields == sheet.header[: len(fields)] and fields:
            again.append(number)
            continue
        if len(fields) == sheet.n_columns:
            yield number, fields
        elif raw and len(fields) < sheet.n_columns:
            short = number, fields
        else:
            raise _ragged(path, sheet, number, fields)
    if short is not None:
        notes.append(f"Line {short[0]}, the last, is cut off: left out.")


def _ragged(path: Path, sheet: Sheet, number: int, fields: list[str]) -> FileFormatError:
    text = shortened((sheet.dialect.delimiter or " ").join(fields))
    return FileFormatError(
        f"{path}: line {number} has {len(fields)} columns ({text}), the first row has "
        f"{sheet.n_columns}."
    )


def _chunked(rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[list[int], list[list[str]]]]:
    numbers: list[int] = []
    found: list[list[str]] = []
    for number, fields in rows:
        numbers.append(number)
        found.append(fields)
        if len(found) == _CHUNK:
            yield numbers, found
            numbers, found = [], []
    if found:
        yield numbers, found


def _noted(flaw: Flaws, cells: Cells, column: Sequence[str], numbers: Sequence[int]) -> None:
    """Count what is wrong in one chunk of a column."""
    flaw.n_missing += len(cells.missing)
    if cells.missing and flaw.missing is None:
        flaw.missing = numbers[cells.missing[0]], column[cells.missing[0]]
    if cells.wrong and flaw.wrong is None:
        flaw.wrong = numbers[cells.wrong[0]], column[cells.wrong[0]]
    if cells.values.dtype.kind == "f" and flaw.wrong is None:
        infinite = np.flatnonzero(np.isinf(cells.values))
        if len(infinite) and flaw.infinite is None:
            flaw.infinite = numbers[int(infinite[0])], column[int(infinite[0])]


def _joined(parts: list[Cells]) -> np.ndarray:
    """Return a whole column, as texts if a part of it is."""
    if len({part.values.dtype.kind for part in parts}) == 1:
        return np.concatenate([part.values for part in parts])
    return np.concatenate([part.values.astype(object) for part in parts])


def completeness_check(sheet: Sheet, table: TextTable, *, raw: bool) -> Callable[[Roles], None]:
    """Return what raises a DataError where the columns that are read lack cells or hold texts."""

    def check(roles: Roles) -> None:
        used = [k for k in (roles.time, *roles.features) if k is not None]
        texts = [k for k in used if table.columns[k].dtype.kind in "OUS"]
        wrong = [
            (*flaw.wrong, k)
            for k, flaw in enumerate(table.flaws)
            if k in used and flaw.wrong is not None and not (k == roles.time and k in texts)
        ]
        if wrong:
            line, cell, k = min(wrong)
            raise DataError(
                f"Expected a number in line {line}, {sheet.label(k)}, got "
                f"{shortened(cell)!r}{_advice(cell)}"
                + (_FIRST if sheet.names is None and line == sheet.n_skipped + 1 else "")
            )
        if raw:
            return
        missing = [
            (*flaw.missing, k)
            for k, flaw in enumerate(table.flaws)
            if k in used and flaw.missing is not None
        ]
        infinite = [
            (*flaw.infinite, k)
            for k, flaw in enumerate(table.flaws)
            if k in used and flaw.infinite is not None
        ]
        if not missing and not infinite:
            return
        line, cell, k = min([*missing, *infinite])
        costly = _costly(roles, table, [k for *_, k in missing], len(table.columns[0]))
        raise DataError(f"{_lacking(line, cell, sheet.label(k))} {costly or _ON_GAPS}")

    return check


def _lacking(line: int, cell: str, label: str) -> str:
    """Say where the first value is missing."""
    place = f"line {line}, {label}"
    if cell == "":
        return f"The field in {place} is empty."
    finite = "finite " if not is_missing(cell) or cell.strip().lower() == "nan" else ""
    return f"Expected a {finite}number in {place}, got {cell!r}."


def _costly(roles: Roles, table: TextTable, lacking: list[int], n_rows: int) -> str:
    """Say which columns lack many of the rows, and how to do without them."""
    many = [
        (k, table.flaws[k].n_missing)
        for k in lacking
        if k in roles.features and table.flaws[k].n_missing > max(1, _MANY * n_rows)
    ]
    if not many or len(many) == len(roles.features):
        return ""
    names = [roles.names[k] for k, _ in many]
    shown = listing([f"{roles.names[k]!r} {count}" for k, count in many], _MOST_LISTED)
    return (
        f"Of {n_rows} rows lack: {shown}. without_columns={names} "
        f"(--without-columns {for_shell(as_list(names))}) reads the other columns; {BY_REPAIR} "
        "keeps these, and cuts the recording where they lack a value, or fills short gaps."
    )


def _advice(field: str) -> str:
    if any(c.isdigit() for c in field) and "," in field:
        return (
            ". decimal=',' (--decimal ,) takes commas for what begins the decimals, decimal='.' "
            "(--decimal .) for what stands between thousands."
        )
    return (
        f". Correct it, or leave it empty, which {BY_REPAIR} takes for a missing value; "
        "without_columns=[...] (--without-columns) leaves the column out."
    )
