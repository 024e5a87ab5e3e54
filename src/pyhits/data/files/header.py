"""Which of the first lines of a text table hold names: those that fit what follows worse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyhits.data.files.cells import CellKind, NumberStyle, kind_of
from pyhits.data.tables.time_names import TimeName, is_trajectory_name, time_name
from pyhits.errors import DataError

#: Lines above the data, at most: titles, names, units.
_MOST_LINES = 20

#: How much worse the first line fits than the worst of the others, to be no row.
_WORSE = 3.0

#: What differs less than this share of the standard deviation from row to row is smooth.
_SMOOTH = 0.4

#: Rows below which nothing is known from how they follow each other.
_FEW = 5

#: Columns by which a first line is judged.
_MOST_COLUMNS = 1000


@dataclass(frozen=True)
class HeaderLines:
    """Where the names stand."""

    line: int | None  # which of the lines given holds the names, from 0; None if none does
    n_lines: int  # lines before the first row
    n_columns: int  # of the rows


def find_header(
    rows: Sequence[Sequence[str]],
    quoted: Sequence[bool],
    style: NumberStyle,
    wanted: bool | None = None,
) -> HeaderLines:
    """Find the line of names among the first lines of a table.

    Raises DataError: the first line may be names or a row.

    Parameters
    ----------
    rows : sequence of sequence of str
        The fields of the first lines.
    quoted : sequence of bool
        Whether every field of a line stands in quotes.
    wanted : bool, optional
        Whether there is such a line, where it is known.
    """
    n = Counter(len(row) for row in rows).most_common(1)[0][0]
    if wanted is False:
        return HeaderLines(None, 0, n)
    below = rows[min(len(rows) - 1, max(1, len(rows) // 2), _MOST_LINES) :]
    kinds = _kinds([row for row in below if len(row) == n][-50:], n, style)
    last = next(
        (k for k, row in enumerate(rows[:_MOST_LINES]) if not _names(row, kinds, style)),
        min(len(rows), _MOST_LINES),
    )
    if last == len(rows) or (last == 0 and _is_all_text(rows[0], kinds, style)):
        last = 1  # texts throughout: the first names the others
    if last:
        full = [k for k in range(last) if _is_full(rows[k])]
        fitting = [k for k in full if len(rows[k]) == n]
        near = [k for k in full if abs(len(rows[k]) - n) == 1]
        return HeaderLines((fitting or near or [last - 1])[0], last, n)
    if wanted or len(rows) == 1:
        return HeaderLines(0 if wanted else None, 1 if wanted else 0, n)
    if any(quoted) and quoted[0] and not any(quoted[1:]):
        return HeaderLines(0, 1, n)
    table = [row for row in rows[1:] if len(row) == n]
    if len(rows[0]) == n and _is_header_of_numbers(rows[0], table, kinds, style):
        return HeaderLines(0, 1, n)
    return HeaderLines(None, 0, n)


def _is_all_text(row: Sequence[str], kinds: Sequence[CellKind], style: NumberStyle) -> bool:
    return all(kind in ("text", "missing") for kind in kinds) and all(
        kind_of(field, style) in ("text", "missing") for field in row
    )


def _is_full(row: Sequence[str]) -> bool:
    return 2 * sum(bool(field) for field in row) >= len(row)


def _kinds(rows: Sequence[Sequence[str]], n: int, style: NumberStyle) -> list[CellKind]:
    """Return what most fields of each column are, but for what is missing."""
    found: list[CellKind] = []
    for k in range(n):
        counts = Counter(kind_of(row[k], style) for row in rows)
        counts.pop("missing", None)
        found.append(counts.most_common(1)[0][0] if counts else "missing")
    return found


def _names(row: Sequence[str], kinds: Sequence[CellKind], style: NumberStyle) -> bool:
    """Tell whether a line above the data is none of them: of names, units, or a title."""
    own = [kind_of(field, style) for field in row]
    if len(row) != len(kinds) and own[0] == "text":
        return True
    pairs = [(a, b) for a, b in zip(own, kinds, strict=False) if b in ("number", "date")]
    other = [a for a, b in pairs if a == "text" or (a == "date" and b == "number")]
    lead = row[0]
    if lead == "" and len(row) > 1:
        # Numbers may be names after such a beginning: pandas numbers its columns by default.
        rest = [style.number(field) for field in row[1:]]
        return bool(other) or (kinds[0] != "missing" and rest == list(range(len(rest))))
    if own[0] == "text" and (time_name(lead) is TimeName.SURE or is_trajectory_name(lead)):
        return True
    # A name for the column of dates, and numbers for the others.
    return 2 * len(other) > len([a for a, _ in pairs if a != "missing"])


def _is_header_of_numbers(
    first: Sequence[str],
    rows: Sequence[Sequence[str]],
    kinds: Sequence[CellKind],
    style: NumberStyle,
) -> bool:
    """Tell whether a line of numbers, all of them different, heads columns of numbers.

    It does if it fits the rows less than they fit each other: in what they are (dates or numbers),
    how they follow each other, or how they are written.
    """
    columns = range(min(len(first), _MOST_COLUMNS))
    own = [kind_of(first[k], style) for k in columns]
    if any(own[k] == "number" and kinds[k] == "date" for k in columns):
        return True
    if any(own[k] == kinds[k] == "date" for k in columns):
        return False
    numbers = [style.number(first[k]) for k in columns]
    text = [k for k in columns if numbers[k] is None and kinds[k] == "number" and first[k]]
    known = [value for value in numbers if value is not None]
    if not known or any(own[k] == "missing" for k in text):
        return False
    rising = len(known) > 1 and bool((np.diff(known) > 0).all())
    whole = all(first[k].lstrip("+-").isdigit() for k in columns if numbers[k] is not None)
    if text:  # country,1980,1990
        return rising
    counts = whole and known == [known[0] + k for k in range(len(known))] and known[0] in (0, 1)
    evenly = rising and len(known) > 2 and bool(np.ptp(np.diff(known)) < 0.02 * np.diff(known)[0])
    named = (rising and whole) or evenly or (len(known) == 1 and whole)
    if len(rows) < 2:
        return False
    fits = [_fit(numbers[k], [style.number(row[k]) for row in rows]) for k in columns]
    written = [_is_written_otherwise(first[k], [row[k] for row in rows]) for k in columns]
    judged = [fit for fit in fits if fit is not None]
    if len(rows) < _FEW and not all(written):
        return False
    if not judged:
        return counts and all(written)
    if named:
        return _decide(judged, all(written), counts, evenly, first)
    smooth = [fit for fit in judged if fit.is_smooth]
    breaks = all(written) and bool(smooth) and all(fit.ratio > _WORSE for fit in smooth)
    if breaks or 2 * sum(fit.is_far for fit in judged) > len(judged):
        raise DataError(_asked(first))
    return False


@dataclass(frozen=True)
class _LineFit:
    """How well a first value fits those below it."""

    ratio: float  # its deviation from what they lead to expect, over the largest of theirs
    is_far: bool  # whether it lies far outside of all of them
    is_smooth: bool  # whether they follow each other smoothly, so that the ratio says much


def _fit(value: float | None, below: Sequence[float | None]) -> _LineFit | None:
    """Compare a first value with those below it, by straight lines or as they are."""
    known = np.array([v for v in below if v is not None], dtype=np.float64)
    known = known[np.isfinite(known)]
    if value is None or len(known) < 2 or not np.isfinite(value):
        return None
    spread = float(np.ptp(known))
    low, high = float(known.min()), float(known.max())
    far = max(low - value, value - high) > 2 * spread > 0
    rounding = max(1e-5 * max(spread, 1e-9 * abs(high)), np.finfo(np.float64).tiny)
    # Of two or three values over and over any may come first.
    is_one_of_few = len(np.unique(known)) <= min(3, len(known) // 4) and value in known
    best = _LineFit(max(low - value, value - high, 0.0) / (spread or 1.0), far, is_one_of_few)
    for order in (1, 2, 3):
        if len(known) < order + 4:
            break
        jumps = np.abs(np.diff(known, order))
        own = float(np.abs(np.diff(np.concatenate([[value], known]), order)[0]))
        smooth = float(np.median(jumps)) < _SMOOTH * float(known.std())
        ratio = own / (float(jumps.max()) + rounding)
        if smooth and not is_one_of_few and (not best.is_smooth or ratio > best.ratio):
            best = _LineFit(ratio, far, True)
    return best


def _is_written_otherwise(first: str, below: Sequence[str]) -> bool:
    """Tell whether a whole number stands above decimals alone."""
    if not first.lstrip("+-").isdigit():
        return False
    return all(not field.lstrip("+-").isdigit() for field in below if field)


def _decide(
    fits: Sequence[_LineFit], written: bool, counts: bool, evenly: bool, first: Sequence[str]
) -> bool:
    """Decide on a first line that looks like names: rising whole numbers, or even steps."""
    smooth = [fit for fit in fits if fit.is_smooth]
    worse = sum(fit.ratio > _WORSE for fit in fits)
    far = sum(fit.is_far for fit in fits)
    if far and (written or (len(fits) > 1 and 2 * far > len(fits))):
        return True
    if worse and (written or counts or (smooth and 2 * worse > len(smooth) > 1)):
        return True
    if worse or far:
        raise DataError(_asked(first))
    if smooth:
        return False
    if written:
        return True
    if (counts and len(first) > 1) or (evenly and len(first) > 2):
        raise DataError(_asked(first))
    return False


def _asked(first: Sequence[str]) -> str:
    shown = ",".join(first[:6]) + (",..." if len(first) > 6 else "")
    return (
        f"The first line ({shown}) may hold the names of the columns, or be a row. header=True "
        "(--header) takes it for names, header=False (--no-header) for a row."
    )
