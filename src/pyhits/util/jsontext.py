"""JSON from files that anybody may have written: parsed within limits, or refused in a sentence."""

from __future__ import annotations

import json
import math
import re
from typing import Any

#: Deepest nesting, most lists and objects, and most digits of a whole number that are read.
MOST_DEEP, MOST_PARTS, MOST_DIGITS = 32, 200_000, 20

#: A text in JSON, whose brackets do not count; one that never ends takes all that follows.
_TEXT = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)

_BRACKET = re.compile(r"[\[\]{}]")


def parse(text: str | bytes) -> Any:
    """Return the values of JSON text.

    Raises ValueError: it is no JSON in UTF-8, too deep, of too many parts or digits, or holds a
    number that is not finite or a name twice in one object.
    """
    if isinstance(text, bytes):
        text = text.decode()
    check_nesting(text)
    return json.loads(
        text, parse_int=_whole, parse_float=_real, parse_constant=_real, object_pairs_hook=_object
    )


def check_nesting(text: str) -> None:
    """Raise a ValueError if JSON text is nested deeper, or has more parts, than are read."""
    bare = _TEXT.sub("", text) if '"' in text else text
    if bare.count("[") + bare.count("{") > MOST_PARTS:
        raise ValueError(f"it has more than {MOST_PARTS} lists and objects")
    depth = 0
    for bracket in _BRACKET.finditer(bare):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > MOST_DEEP:
            raise ValueError(f"its lists and objects are nested deeper than {MOST_DEEP}")
        if depth < 0:
            raise ValueError("it closes more brackets than it opens")


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"it holds a whole number of {len(digits)} digits")
    return int(digits)


def _real(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"it holds a number that is not finite, {digits[:20]}")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it holds the name {twice[:40]!r} twice in one object")
    return found
