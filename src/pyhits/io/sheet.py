"""How a text table is laid out: encoding, delimiter, comments, header, columns of dates."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from pyhits.errors import FileFormatError
from pyhits.time_names import is_time_name, is_trajectory_name
from pyhits.timeaxis import is_clock, is_date

_COMMENTS = "#%"


@dataclass(frozen=True)
class Sheet:
    """The layout of one text table.

    Attributes
    ----------
    delimiter : str or None
        None is any run of spaces and tabs.
    comment : str
        The character that begins a comment.
    names : list of str or None
        The header, None where there is none.
    n_skipped : int
        Lines before the first row of numbers.
    first_row : list of str
        The fields of that row.
    has_open_end : bool
        Whether lines end with a delimiter that no column follows.
    """

    encoding: str
    delimiter: str | None
    comment: str
    names: list[str] | None
    n_skipped: int
    first_row: list[str]
    has_open_end: bool = False

    @property
    def text_columns(self) -> list[int]:
        """Columns that hold dates or trajectory names instead of numbers."""
        labels = [is_trajectory_name(name) for name in self.names or self.first_row]
        return [
            k
            for k, field in enumerate(self.first_row)
            if is_date(field) or is_clock(field) or (labels[k] and field and not is_number(field))
        ]

    def label(self, column: int) -> str:
        """Return how error messages call a column."""
        if self.names is None:
            return f"column {column} (counted from 0)"
        return f"column {self.names[column]!r}"


def sniff(path: Path) -> Sheet:
    """Find out the layout from the beginning of a file.

    Raises
    ------
    FileFormatError
        There is no row of numbers, or the header has another number of columns than the rows.
    """
    encoding = _encoding(path)
    comments: list[str] = []
    content: list[tuple[int, str]] = []
    with path.open(encoding=encoding) as stream:
        for number, line in enumerate(stream):
            if line.strip()[:1] in _COMMENTS.strip() and line.strip():
                comments.append(line.strip())
            elif line.strip():
                content.append((number, line.rstrip("\r\n")))
            if len(content) == 2:
                break
    comment = "%" if comments and all(c.startswith("%") for c in comments) else "#"
    if not content:
        raise FileFormatError(f"{path} holds no rows, only comments or blank lines.")
    first_line = without_comment(content[0][1], comment)
    is_data = re.match(r'[\s"]*[-+.\d]', first_line) is not None
    delimiter = _delimiter(first_line if is_data else without_comment(content[-1][1], comment))
    first = split_line(first_line, delimiter)
    if not _is_header(first):
        second = split_line(without_comment(content[-1][1], comment), delimiter)
        has_open_end = len(content) > 1 < len(first) and first[-1] == second[-1] == ""
        first = first[:-1] if has_open_end else first
        names = _commented_names(comments, delimiter, len(first))
        return Sheet(encoding, delimiter, comment, names, content[0][0], first, has_open_end)
    if len(content) == 1:
        raise FileFormatError(f"{path} holds a header ({first_line.strip()}) but no rows.")
    number, text = content[1]
    row = split_line(without_comment(text, comment), delimiter)
    names = [first_line.strip()] if len(row) == 1 and delimiter is None else first
    has_open_end = len(row) > 1 and row[-1] == "" and (names[-1] == "" or len(names) < len(row))
    if has_open_end:
        row = row[:-1]
        names = names[:-1] if names[-1] == "" else names
    if len(names) != len(row):
        raise FileFormatError(
            f"{path}: the header names {len(names)} columns, but line {number + 1} has {len(row)} "
            f"({shortened(text)})."
        )
    return Sheet(encoding, delimiter, comment, names, number, row, has_open_end)


def split_line(line: str, delimiter: str | None) -> list[str]:
    """Return the fields of a line, without the spaces around them or their quotes."""
    # A quote that is not closed stays where it is, to be reported.
    quoted = '"' in line and line.count('"') % 2 == 0
    if delimiter is None:
        if not quoted:
            return line.split()
        fields = next(csv.reader([line.replace("\t", " ")], delimiter=" ", skipinitialspace=True))
        return [field for field in fields if field]
    if not quoted:
        return [field.strip() for field in line.split(delimiter)]
    return [f.strip() for f in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))]


def without_comment(line: str, comment: str) -> str:
    """Return a line up to the comment at its end, if it has one outside quotes."""
    if comment not in line:
        return line
    before = re.match(rf'(?:[^"{comment}]+|"[^"]*(?:"|$))*', line)
    return before.group(0) if before else line


def is_number(text: str) -> bool:
    """Tell whether a field is a number, ``nan`` and ``inf`` included."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def shortened(text: str, length: int = 60) -> str:
    """Return a text that fits in an error message."""
    text = text.strip()
    return text if len(text) <= length else f"{text[: length - 3]}..."


def _is_header(fields: list[str]) -> bool:
    """A header holds no number, or it begins as PyHiTS and pandas begin theirs.

    Numbers may be names after such a beginning: pandas numbers its columns by default.
    """
    lead = fields[0]
    if lead == "" or is_time_name(lead) or is_trajectory_name(lead):
        return any(not is_number(f) and not is_date(f) for f in fields if f) or not lead
    return not any(is_number(f) or is_date(f) for f in fields)


def _commented_names(comments: list[str], delimiter: str | None, n: int) -> list[str] | None:
    """Return the names in the last comment, as ``numpy.savetxt(header=...)`` writes them.

    A comment counts as a header only if it names a time or a trajectory, since prose may have as
    many words as there are columns.
    """
    if not comments:
        return None
    names = split_line(comments[-1].lstrip(_COMMENTS).strip(), delimiter)
    known = any(is_time_name(name) or is_trajectory_name(name) for name in names)
    return names if len(names) == n and known else None


def _delimiter(line: str) -> str | None:
    unquoted = re.sub(r'"[^"]*"', "", line)
    return next((d for d in "\t;," if d in unquoted.strip(" ")), None)


def _encoding(path: Path) -> str:
    """Return the encoding of a text file: its mark, UTF-8, or else Latin-1."""
    with path.open("rb") as stream:
        head = stream.read(1 << 16)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        head.decode()
    except UnicodeDecodeError as error:
        # A character may be cut in two where the sample ends.
        if error.start < len(head) - 3:
            return "latin-1"
    return "utf-8-sig"
