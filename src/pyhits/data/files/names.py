"""The names in the header of a text table, one a column."""

from __future__ import annotations

import re
from pathlib import Path

from pyhits.data.files.cells import kind_of
from pyhits.data.files.dialect import Dialect, shortened, split_line
from pyhits.data.files.header import HeaderLines
from pyhits.data.files.lines import COMMENTS, FirstLines
from pyhits.data.tables.time_names import is_time_name, is_trajectory_name
from pyhits.errors import FileFormatError


def header_fields(
    head: FirstLines,
    found: HeaderLines,
    dialect: Dialect,
    rows: list[list[str]],
    whole: list[list[str]],
) -> list[str]:
    """Return the fields of the header.

    Parameters
    ----------
    rows, whole : list of list of str
        The fields of the first lines, without comments at their ends and with them: in a header
        such a sign may belong to a name.
    """
    line = found.line or 0
    if found.n_columns == 1 and dialect.delimiter is None:
        return [head.lines[line].strip().strip('"')]
    if len(whole[line]) > found.n_columns > 1 and len(rows[line]) == found.n_columns:
        return rows[line]
    return whole[line]


def fitted(
    names: list[str],
    n: int,
    path: Path,
    head: FirstLines,
    found: HeaderLines,
    below: list[list[str]],
) -> list[str]:
    """Return one name for each of ``n`` columns, from a header of as many fields or nearly so.

    Raises
    ------
    FileFormatError
        The header has other columns than the rows.
    """
    if len(names) == n:
        return names
    if len(names) == n + 1 and names[-1] == "":
        return names[:-1]
    if len(names) == n - 1 and _are_row_names([row[0] for row in below if row]):
        return ["", *names]  # as R writes them
    for delimiter in (*"\t;,|", None):
        other = split_line(head.lines[found.line or 0], delimiter)
        if len(other) == n > 1:
            return other
    line = head.lines[found.line or 0].strip()
    for other in (
        re.split(r"\s{2,}", line),
        re.findall(r"[^\s(\[]+(?:\s*[(\[][^)\]]*[)\]])?", line),
    ):
        if len(other) == n > 1:  # Time (s)  Voltage (V)
            return other
    number = head.numbers[found.n_lines] + 1
    raise FileFormatError(
        f"{path}: the header names {len(names)} columns, but line {number} has {n} "
        f"({shortened(head.lines[found.n_lines])}). Correct it, or name all columns with "
        "names=[...] (--names)."
    )


def _are_row_names(fields: list[str]) -> bool:
    """Tell whether a first column without a name numbers or names the rows."""
    if all(kind_of(field) == "text" for field in fields):
        return len(set(fields)) == len(fields)
    return fields == [str(k + 1) for k in range(len(fields))]


def commented_names(comments: list[str], dialect: Dialect, n: int) -> list[str] | None:
    """Return the names in the last comment, as ``numpy.savetxt(header=...)`` writes them.

    Each of them may have the sign of a comment; where some are there twice, they are units below.
    A comment counts as a header only if it names a time or a trajectory, or if its words are none
    of prose, since prose may have as many words as there are columns.
    """
    if not comments:
        return None
    names = split_line(comments[-1].lstrip(COMMENTS).strip(), dialect.delimiter)
    if all(name[:1] in COMMENTS and name for name in names[1:]):
        names = [name.lstrip(COMMENTS).strip() for name in names]
    if len(set(names)) < len(names) == n and len(comments) > 1:
        return commented_names(comments[:-1], dialect, n)
    if len(names) != n or not all(names) or any(kind_of(name) == "number" for name in names):
        return None
    known = any(is_time_name(name) or is_trajectory_name(name) for name in names)
    known = known or (n == len(comments) == 1 and " " not in names[0])
    if dialect.delimiter is not None:
        known = known or (n > 1 and not any(" " in name for name in names))
    short = all(len(name) <= 2 or any(c in name for c in "_[(0123456789") for name in names)
    return names if known or short else None
