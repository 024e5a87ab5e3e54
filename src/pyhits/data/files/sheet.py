"""How a text table is laid out: encoding, dialect, header, columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyhits.data.files.cells import as_cells, kind_of
from pyhits.data.files.dialect import DELIMITERS, Dialect, dialect_of, shortened, split_line
from pyhits.data.files.header import HeaderLines, find_header
from pyhits.data.files.lines import COMMENTS, FirstLines, head_of, is_comment
from pyhits.data.tables.time_names import is_time_name, is_trajectory_name
from pyhits.errors import FileFormatError

#: Columns of a text table, at most.
_MOST_COLUMNS = 100_000


@dataclass(frozen=True)
class Sheet:
    """The layout of one text table."""

    encoding: str
    dialect: Dialect
    names: list[str] | None  # the header, None where there is none
    header: list[str] | None  # its fields as they stand there, to know it again
    n_skipped: int  # lines before the first row
    n_columns: int
    has_open_end: bool  # whether lines end with a delimiter that no column follows
    text_columns: list[int]  # columns whose first rows hold dates or other texts

    def label(self, column: int) -> str:
        """Return how error messages call a column."""
        if self.names is None or not self.names[column]:
            return f"column {column} (counted from 0)"
        return f"column {self.names[column]!r}"

    def rows(self, path: Path) -> Iterator[tuple[int, list[str]]]:
        """Yield the number, from 1, and the fields of every line that is a row or a header."""
        with path.open(encoding=self.encoding) as stream:
            for number, line in enumerate(stream, start=1):
                text = line.strip()
                if number <= self.n_skipped or not text or is_comment(text):
                    continue
                fields = self.dialect.split(line.rstrip("\r\n"))
                if self.has_open_end and len(fields) > self.n_columns and fields[-1] == "":
                    fields.pop()
                yield number, fields


def sniff(
    path: Path,
    *,
    header: bool | None = None,
    decimal: str | None = None,
    names: Sequence[str] | None = None,
) -> Sheet:
    """Find out the layout from the beginning of a file.

    Parameters are those of :func:`pyhits.read`.

    Raises FileFormatError: there is no row, or the header has another number of columns than the
    rows.
    Raises DataError: the first line or commas can be read in two ways.
    """
    head = head_of(path)
    n = max(line.count(d) + 1 for line in head.lines for d in DELIMITERS)
    if n > _MOST_COLUMNS:
        raise _too_wide(path, n)
    dialect = dialect_of(head.lines, head.comments, decimal)
    rows = [dialect.split(line) for line in head.lines]
    # In a header this sign may belong to a name.
    whole = [dialect.split(line, comments=False) for line in head.lines]
    n = max(len(row) for row in rows)
    if n > _MOST_COLUMNS:
        raise _too_wide(path, n)
    found = find_header(rows, [_is_quoted(line) for line in head.lines], dialect.style, header)
    if found.n_lines >= len(rows):
        raise FileFormatError(f"{path} holds a header ({shortened(head.lines[0])}) but no rows.")
    below = rows[found.n_lines :]
    fields = None if found.line is None else header_fields(head, found, dialect, rows, whole)
    n = found.n_columns
    is_open = _has_open_end(fields, [row for row in below if len(row) == n])
    n -= is_open
    given = list(names) if names is not None and len(names) == n else None
    if given is None and fields is not None:
        given = fitted(fields, n, path, head, found, below)
    elif given is None and header is not False:
        given = commented_names(head.comments, dialect, n)
    texts = _text_columns(below[:50], n, dialect, given)
    skipped = head.numbers[found.n_lines]
    return Sheet(head.encoding, dialect, given, fields, skipped, n, is_open, texts)


def _too_wide(path: Path, n: int) -> FileFormatError:
    return FileFormatError(
        f"{path} has {n} columns, more than the {_MOST_COLUMNS} of a text table. Keep fields "
        "in .npy or .npz, one row a time."
    )


def _text_columns(
    rows: list[list[str]], n: int, dialect: Dialect, names: list[str] | None
) -> list[int]:
    """Return the columns whose first cells are dates or other texts."""
    found = []
    for k in range(n):
        fields = [row[k] for row in rows if len(row) > k]
        kinds = {kind_of(field, dialect.style) for field in fields}
        if names is not None and is_trajectory_name(names[k]):  # it may be called anything
            is_text = "text" in kinds or "date" in kinds
        else:
            cells = as_cells(fields, dialect.style)
            is_text = "number" not in kinds and cells.values.dtype.kind != "f"
        if is_text:
            found.append(k)
    return found


def _has_open_end(names: list[str] | None, rows: list[list[str]]) -> bool:
    """Tell whether every line ends with a delimiter that no column follows."""
    n = len(rows[0])
    if n == 1 or not all(row[-1] == "" for row in rows):
        return False
    return len(rows) > 1 if names is None else names[-1] == "" or len(names) < n


def _is_quoted(line: str) -> bool:
    text = line.strip()
    return len(text) > 2 and text[0] == text[-1] == '"'


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

    Raises FileFormatError: the header has other columns than the rows.
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
