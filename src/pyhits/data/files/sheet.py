"""How a text table is laid out: encoding, dialect, header, columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pyhits.data.files.cells import as_cells, kind_of
from pyhits.data.files.dialect import DELIMITERS, Dialect, dialect_of, shortened
from pyhits.data.files.header import find_header
from pyhits.data.files.lines import head_of, is_comment
from pyhits.data.files.names import commented_names, fitted, header_fields
from pyhits.data.tables.time_names import is_trajectory_name
from pyhits.errors import FileFormatError

#: Columns of a text table, at most.
_MOST_COLUMNS = 100_000


@dataclass(frozen=True)
class Sheet:
    """The layout of one text table.

    Attributes
    ----------
    encoding : str
    dialect : Dialect
    names : list of str or None
        The header, None where there is none.
    header : list of str or None
        Its fields as they stand there, to know it again.
    n_skipped : int
        Lines before the first row.
    n_columns : int
    has_open_end : bool
        Whether lines end with a delimiter that no column follows.
    text_columns : list of int
        Columns whose first rows hold dates or other texts.
    """

    encoding: str
    dialect: Dialect
    names: list[str] | None
    header: list[str] | None
    n_skipped: int
    n_columns: int
    has_open_end: bool
    text_columns: list[int]

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

    Raises
    ------
    FileFormatError
        There is no row, or the header has another number of columns than the rows.
    DataError
        The first line or commas can be read in two ways.
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
