"""Lines of text files: their encoding, the first of them, and files that hold none to speak of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pyhits.errors import FileFormatError

#: Signs that begin a comment.
COMMENTS = "#%"

#: How spreadsheets write that a value is missing.
#: and what spreadsheets, and old C libraries, write for what is no number.
NOT_AVAILABLE = ("#N/A", "#DIV/0!", "#VALUE!", "#REF!", "#NUM!", "#NAME?", "#NULL!")
NO_NUMBER = (".#IND", ".#INF", ".#QNAN", ".#SNAN")

#: Bytes of a line, at most: a million numbers.
_LONGEST_LINE = 1 << 24

#: Blank lines, at most, where most lines are blank, and of lines and comments above the rows.
_MOST_BLANK = 1_000_000

#: Bytes read at once, and up to which nothing in a file can take long.
_CHUNK = 1 << 22

#: What every table holds.
_DIGIT = re.compile(rb"\d")

#: A field in quotes that goes on in the next line, and the end of one that began above.
_OPENS, _CLOSES = re.compile(r'(^|[,;\t])\s*"[^"]*$'), re.compile(r'[^"]*"\s*([,;\t]|$)')

#: Lines above the rows, and lines of one header with line breaks in quotes, at most.
_MOST_TITLES, _MOST_BREAKS = 8, 16

#: Lines with content from which the layout is found.
_SAMPLE = 200


@dataclass
class FirstLines:
    """The beginning of a text file."""

    encoding: str
    comments: list[str] = field(default_factory=list)  # comments above the first line with content
    #: Line numbers, from 0, of the lines with content.
    numbers: list[int] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)  # these lines, without their ends


def head_of(path: Path) -> FirstLines:
    """Return the first lines of a file that have content.

    Raises FileFormatError: the file holds no such line, or lines that no table has.
    """
    _check_lines(path)
    head = FirstLines(encoding_of(path))
    n_characters = 0
    with path.open(encoding=head.encoding) as stream:
        for number, line in enumerate(stream):
            text = line.strip()
            if text and is_comment(text):
                if not head.lines:
                    head.comments.append(text)
            elif text and not (number == 0 and text.lower().startswith("sep=") and len(text) == 5):
                head.numbers.append(number)
                head.lines.append(line.rstrip("\r\n"))
            n_characters += len(text)
            if number - len(head.lines) > _MOST_BLANK:
                raise FileFormatError(
                    f"{path} holds more than {_MOST_BLANK} blank lines and comments above its "
                    "rows; write it again without them."
                )
            if len(head.lines) == _SAMPLE or (n_characters > _CHUNK and len(head.lines) > 2):
                break
    if not head.lines:
        raise FileFormatError(f"{path} holds no rows, only comments or blank lines.")
    _join_quoted(head)
    return head


def _join_quoted(head: FirstLines) -> None:
    """Join the lines of a header whose names in quotes have line breaks, in place."""
    for first in range(min(_MOST_TITLES, len(head.lines))):
        while last := _end_of_quotes(head.lines[first : first + _MOST_BREAKS]):
            head.lines[first : first + last + 1] = [" ".join(head.lines[first : first + last + 1])]
            del head.numbers[first + 1 : first + last + 1]


def _end_of_quotes(lines: Sequence[str]) -> int:
    """Return in which line the quotes that the first one opens are closed; 0 if in none."""
    if not _OPENS.search(lines[0]):
        return 0
    return next((k for k, line in enumerate(lines) if k and _CLOSES.match(line)), 0)


def is_comment(text: str) -> bool:
    """Tell whether a line, stripped of its ends, is a comment and no row that lacks a value."""
    return text[0] in COMMENTS and not text.startswith(NOT_AVAILABLE)


def encoding_of(path: Path) -> str:
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


def _check_lines(path: Path) -> None:
    """Raise a FileFormatError where reading line by line would take long and find no table."""
    if path.stat().st_size <= _CHUNK:
        return
    wide = encoding_of(path) == "utf-16"
    n_lines = n_blank = length = 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            if stream.tell() == _CHUNK and not _DIGIT.search(chunk):
                raise FileFormatError(
                    f"{path} holds no digit in its first {_CHUNK >> 20} MB, and so no table of "
                    "numbers."
                )
            if not wide and b"\0" in chunk:
                n_lines += chunk[: chunk.index(b"\0")].count(b"\n")
                raise FileFormatError(
                    f"{path} holds bytes of zero in line {n_lines + 1}, as no text does: it is "
                    "damaged, or another kind of file. Write or copy it again."
                )
            array = np.frombuffer(chunk, np.uint8)
            ends = np.flatnonzero((array == 10) | (array == 13))
            if len(ends) == 0:
                length += len(chunk)
            else:
                gaps = np.diff(ends)
                length = max(length + int(ends[0]), int(gaps.max(initial=0)))
                # One line ends with both on Windows.
                pairs = int(
                    ((array[ends[:-1]] == 13) & (array[ends[1:]] == 10) & (gaps == 1)).sum()
                )
                n_lines += len(ends) - pairs
                n_blank += int((gaps == (2 if wide else 1)).sum()) - pairs
            if length > _LONGEST_LINE:
                raise FileFormatError(
                    f"{path} has a line of more than {_LONGEST_LINE >> 20} MB (line "
                    f"{n_lines + 1} or before), longer than a row of a table may be. Keep large "
                    "fields in .npy or .npz, and make sure that lines end."
                )
            if len(ends):
                length = len(chunk) - 1 - int(ends[-1])
    if n_blank > _MOST_BLANK and 2 * n_blank > n_lines:
        raise FileFormatError(
            f"{path} holds {n_blank} blank lines among {n_lines}; write it again without them."
        )


def holds_any(path: Path, texts: Sequence[str], encoding: str) -> bool:
    """Tell whether one of several texts stands anywhere in a file."""
    code = "utf-8" if encoding != "utf-16" else "utf-16-le"
    sought = re.compile(b"|".join(re.escape(text.encode(code)) for text in texts))
    longest = max(len(text.encode(code)) for text in texts)
    last = b""
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            if sought.search(last + chunk):
                return True
            last = chunk[-longest:]
    return False
