"""How the lines of a text table are cut into fields: delimiter, quotes, comments, decimals."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pyhits.data.files.cells import PLAIN, NumberStyle, style_of
from pyhits.data.times import is_date
from pyhits.errors import DataError
from pyhits.util.printable import is_number

#: Delimiters, the less they mean otherwise the earlier.
DELIMITERS = "\t;|,"

#: One number with a decimal comma; group 1 are its decimals.
_WITH_COMMA = re.compile(r"[-+]?\d*,(\d+)(?:[eE][-+]?\d+)?")
_PARTED = re.compile(r"[-+]?\d{1,3}(?:[ \u00a0\u2009\u202f'.]\d{3})+,(\d+)")

#: One number, with commas between its thousands if it has some.
_THOUSANDS = re.compile(r"[-+]?(\d{1,3}(,\d{3})+(\.\d*)?|\d{1,3}(\.\d*)?)")

#: Rows from which on decimals would begin with a nought here and there.
_ENOUGH_ROWS = 40


@dataclass(frozen=True)
class Dialect:
    """How lines are cut into fields."""

    #: None is any run of spaces and tabs; ``"\\n"`` is none, a line is one field.
    delimiter: str | None
    comment: str  # the character that begins one
    style: NumberStyle = PLAIN

    def split(self, line: str, *, comments: bool = True) -> list[str]:
        """Return the fields of a line, without the spaces around them or their quotes."""
        if comments:
            line = without_comment(line, self.comment, self.delimiter)
        return split_line(line, self.delimiter)


def dialect_of(
    lines: Sequence[str], comments: Sequence[str], decimal: str | None = None
) -> Dialect:
    """Find out how lines are cut into fields.

    Raises DataError: a comma may stand before decimals, between thousands or between columns.

    Parameters
    ----------
    lines : sequence of str
        The first lines with content, a header among them or not.
    comments : sequence of str
        Comments above them.
    decimal : {".", ","}, optional
        What begins decimals, where it is known.
    """
    comment = "%" if comments and all(c.startswith("%") for c in comments) else "#"
    plain = [re.sub(r'"[^"]*"', "", line) for line in lines]
    delimiter = next(
        (d for d in DELIMITERS if 2 * sum(d in line.strip(" ") for line in plain) > len(plain)),
        None,
    )
    if delimiter == "," and decimal != ".":
        delimiter = _comma(lines, decimal)
    if delimiter is None and (_are_parted(lines) or _have_units(lines)):
        delimiter = "\n"
    dialect = Dialect(delimiter, comment)
    fields = [f for line in lines[1 if len(lines) > 1 else 0 :] for f in dialect.split(line)]
    return Dialect(delimiter, comment, style_of(fields, decimal))


def _are_parted(rows: Sequence[str]) -> bool:
    """Tell whether every line is one number with spaces between its thousands."""
    spaced = [row.strip() for row in rows if re.search(r"\d[ \u00a0\u2009\u202f]\d", row.strip())]
    return bool(spaced) and all(
        _PARTED.fullmatch(row) or re.fullmatch(r"[-+]?\d{1,3}([\u00a0\u2009\u202f]\d{3})+", row)
        for row in spaced
    )


def _have_units(lines: Sequence[str]) -> bool:
    """Tell whether every line but a header is one number with the same unit behind it."""
    words = [line.split() for line in lines[1:]]
    units = {row[1] for row in words if len(row) == 2}
    return (
        len(units) == 1
        and all(len(row) == 2 and is_number(row[0].replace(",", ".")) for row in words)
        and not is_number(next(iter(units)))
    )


def _comma(lines: Sequence[str], decimal: str | None) -> str | None:
    """Return the delimiter of lines that hold commas: these, spaces, or none."""
    rows = [line.strip() for line in lines]
    body = rows[1:] if len(rows) > 1 else rows
    words = [re.split(r"[ \t]+", row) for row in body]
    spaced = all(
        len(fields) > 1 and all(_WITH_COMMA.fullmatch(f) or "," not in f for f in fields)
        for fields in words
    )
    if spaced and any("," in row for row in body):
        return "," if _are_dated(rows[0], body) else None
    if "," not in rows[0] and len(rows) > 1 and all(_THOUSANDS.fullmatch(row) for row in body):
        return "\n"
    if decimal == ",":
        return "\n" if all(row.count(",") <= 1 for row in body) else ","
    found = [_WITH_COMMA.fullmatch(row) or _PARTED.fullmatch(row) for row in body]
    if not all(found):
        whole = [row for row, match in zip(body, found, strict=True) if not match]
        # 2,5 / 3 / 2,7: who writes two columns gives every row two.
        few = len(rows) >= 8 and 3 * len(whole) <= len(rows)
        if not few or not all(re.fullmatch(r"[-+]?\d+", row) for row in whole):
            return ","
    header = None if _WITH_COMMA.fullmatch(rows[0]) or _PARTED.fullmatch(rows[0]) else rows[0]
    if header is not None and len(rows) > 1:
        return "," if "," in header else "\n"
    decimals = [match.group(1) for match in found if match]
    if not all(found) or any(len(d) > 1 and d.startswith("0") for d in decimals):
        return "\n"
    if any(_PARTED.fullmatch(row) for row in body):
        return "\n"
    if _may_be_decimals(body, decimals):
        raise DataError(_two_ways(rows[0]))
    return ","


def _are_dated(header: str, body: Sequence[str]) -> bool:
    """Tell whether spaces stand within dates (1 March 2021,5), as many commas as in the header."""
    return "," in header and all(
        row.count(",") == header.count(",") and any(map(is_date, row.split(","))) for row in body
    )


def _may_be_decimals(rows: Sequence[str], decimals: Sequence[str]) -> bool:
    """Tell whether the second of two whole numbers on every line may be the decimals of one."""
    first = [int(row.partition(",")[0] or "0") for row in rows]
    if len(set(first)) == len(first) and len({b - a for a, b in itertools.pairwise(first)}) == 1:
        return False  # the times of the second column
    n, digits = len(decimals), {len(d) for d in decimals}
    if digits == {1}:
        return n >= 10 and len(set(decimals)) > 7
    return len(digits) == 1 and 8 <= n < _ENOUGH_ROWS


def _two_ways(row: str) -> str:
    return (
        f"Lines such as {row!r} may be one number with a decimal comma, or two columns. "
        "decimal=',' (--decimal ,) reads one number, decimal='.' (--decimal .) two."
    )


def split_line(line: str, delimiter: str | None) -> list[str]:
    """Return the fields of a line, without the spaces around them or their quotes."""
    # A quote that is not closed stays where it is, to be reported.
    quoted = '"' in line and line.count('"') % 2 == 0
    if delimiter == "\n":
        return [line.strip().strip('"')]
    if delimiter is None:
        if not quoted:
            return [field for field in re.split(r"[ \t\f\v]+", line) if field]
        fields = next(csv.reader([line.replace("\t", " ")], delimiter=" ", skipinitialspace=True))
        return [field for field in fields if field]
    if not quoted:
        return [field.strip() for field in line.split(delimiter)]
    return [f.strip() for f in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))]


#: What old C libraries write for what is no number, behind ``1.``.
_NO_NUMBER = r"(?<=\d\.)#(?=IND|INF|QNAN|SNAN)"


def without_comment(line: str, comment: str, delimiter: str | None = None) -> str:
    """Return a line up to the comment at its end, if it has one outside quotes.

    What a field begins with is no comment: ``#N/A``; nor is the rest of ``-1.#IND``.
    """
    if comment not in line:
        return line
    if delimiter in (None, "\n"):
        before = re.match(rf'(?:[^"{comment}]+|"[^"]*(?:"|$)|{_NO_NUMBER})*', line)
        return before.group(0) if before else line
    begins = re.escape(delimiter or "")
    before = re.match(
        rf'(?:[^"{comment}]+|"[^"]*(?:"|$)|(?:^|(?<={begins})){comment}|{_NO_NUMBER})*', line
    )
    return before.group(0) if before else line


def shortened(text: str, length: int = 60) -> str:
    """Return a text that fits in an error message."""
    text = text.strip()
    return text if len(text) <= length else f"{text[: length - 3]}..."
