"""Text that no terminal and no reader mistakes for anything else."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

#: Control characters but ends of lines and tabs, what hides or turns the text around it, and halves
#: of characters, as file names that are no UTF-8 have.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    r"""Return text whose control characters are written out, as ``\x1b``.

    Names and notes come from files: they must not move a terminal's cursor, or reverse the order
    in which what follows is read.
    """
    with suppress(UnicodeEncodeError):
        # Bytes of file names that the system's encoding lacks, which are UTF-8 nearly always.
        text = text.encode(errors="surrogateescape").decode(errors="surrogateescape")
    return _UNSAFE.sub(lambda found: _escaped(found[0]), text)


def one_line(text: str) -> str:
    """Return printable text without ends of lines."""
    return " ".join(printable(text).split())


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def is_number(text: str) -> bool:
    """Tell whether a text is a number, ``nan`` and ``inf`` included, but not ``1_000``."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def listing(items: Any, most: int = 8, *, quoted: bool = False) -> str:
    """Return ``"a, b"``, of many ``"a, b and 3 more"``; ``items`` is a sequence or a vector."""
    shown = ", ".join(repr(one) if quoted else str(one) for one in items[:most])
    return f"{shown} and {len(items) - most} more" if len(items) > most else shown
