"""How dates are written: patterns in the manner of ``strptime``, found from the texts."""

from __future__ import annotations

import re
from typing import NamedTuple

from pyhits.data.times.months import is_style, spelling_of
from pyhits.errors import ArgumentError
from pyhits.util.printable import is_number

#: A directive: the language of names or ordinals, how it is written, its letter.
DIRECTIVE = re.compile(r"%(%|(?:\[([\w.]+)\])?([-_^\d]?)([A-Za-z]))")

#: What a directive matches. ``%q`` is a quarter, ``%G``, ``%V`` and ``%u`` are year, week and day
#: of the ISO week.
_DIRECTIVES = {
    "Y": r"\d{4}",
    "y": r"\d{2}",
    "m": r"\d{1,2}",
    "d": r"\d{1,2}",
    "j": r"\d{1,3}",
    "q": r"[1-4]",
    "G": r"\d{4}",
    "V": r"\d{1,2}",
    "u": r"[1-7]",
    "H": r"\d{1,2}",
    "I": r"\d{1,2}",
    "M": r"\d{1,2}",
    "S": r"\d{1,2}",
    "f": r"\d{1,9}",
    "p": r"[AaPp]\.?[Mm]\.?",
    "b": r"[^\W\d_]{3,15}\.?",
    "B": r"[^\W\d_]{3,15}\.?",
    "a": r"[^\W\d_]{2,15}(?:-feira)?\.?",
    "A": r"[^\W\d_]{2,15}(?:-feira)?\.?",
    "z": r"Z|[+-]\d{2}(?::?\d{2})?",
    "Z": r"Z|UTC|GMT",
}
_SHORTHANDS = {"F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M", "D": "%m/%d/%y", "e": "%-d"}

#: The order of day, month and year in a text.
DAYFIRST, MONTHFIRST, YEARFIRST = "dayfirst", "monthfirst", "yearfirst"

#: Names of months and days, of any language, what stands beside them, and behind the days' numbers.
_WORD, _DAY_NAME = _DIRECTIVES["b"], _DIRECTIVES["a"]
_GAP = r"( de |[-/., ]*)"
ORDINAL = r"(?:st|nd|rd|th|er)?"

#: Dates without their time of day, the separators in groups, and the patterns that may be meant:
#: ``{0}`` and ``{1}`` are the separators.
_DATES: list[tuple[str, tuple[str, ...]]] = [
    (r"\d{4}([-/. _]|\. )\d{1,2}\1\d{1,2}(\.?)", ("%Y{0}%m{0}%d{1}",)),
    (
        r"\d{4}([\u5e74\ub144] ?)\d{1,2}([\u6708\uc6d4] ?)\d{1,2}([\u65e5\uc77c])",
        ("%Y{0}%m{1}%d{2}",),
    ),
    (r"\d{1,2}([-/. ]|\. )\d{1,2}\1\d{4}", ("%d{0}%m{0}%Y", "%m{0}%d{0}%Y")),
    (r"\d{1,2}([-/.])\d{1,2}\1\d{2}", ("%d{0}%m{0}%y", "%m{0}%d{0}%y", "%y{0}%m{0}%d")),
    (r"\d{4}([-/. ])\d{1,2}", ("%Y{0}%m",)),
    (r"\d{1,2}([-/. ])\d{4}", ("%m{0}%Y",)),
    (r"\d{4}([Mm])\d{1,2}", ("%Y{0}%m",)),
    (r"\d{4}([-/. ]?[Qq])[1-4]", ("%Y{0}%q",)),
    (r"([Qq])[1-4]([-/., ]*)\d{4}", ("{0}%q{1}%Y",)),
    (r"[1-4]([Qq][-/. ]?)\d{4}", ("%q{0}%Y",)),
    (r"\d{4}([-/. ]?[Ww])\d{2}([-.]?)[1-7]", ("%G{0}%V{1}%u",)),
    (r"\d{4}([-/. ]?[Ww])\d{1,2}", ("%G{0}%V",)),
    (r"([Ww])\d{1,2}([-/., ]*)\d{4}", ("{0}%V{1}%G",)),
    (r"\d{4}([-/.])\d{3}", ("%Y{0}%j",)),
    (r"\d{8}", ("%Y%m%d", "%d%m%Y", "%m%d%Y")),
    (r"\d{7}", ("%Y%j",)),
    (r"\d{6}", ("%Y%m", "%m%Y")),
    (r"\d{4}", ("%Y",)),
    (rf"\d{{1,2}}{ORDINAL}{_GAP}{_WORD}{_GAP}\d{{4}}( ?[\u0433r]\.)?", ("%d{0}%b{1}%Y{2}",)),
    (rf"\d{{1,2}}{ORDINAL}{_GAP}{_WORD}{_GAP}\d{{2}}", ("%d{0}%b{1}%y",)),
    (rf"{_WORD}([-/. ]*)\d{{1,2}}{ORDINAL}(, ?|[-/. ])\d{{4}}", ("%b{0}%d{1}%Y",)),
    (rf"\d{{4}}{_GAP}{_WORD}{_GAP}\d{{1,2}}(\.?)", ("%Y{0}%b{1}%d{2}",)),
    (rf"{_WORD}{_GAP}\d{{4}}", ("%b{0}%Y",)),
    (rf"{_WORD}([-/., ']+)\d{{2}}", ("%b{0}%y",)),
    (rf"\d{{4}}{_GAP}{_WORD}", ("%Y{0}%b",)),
    (rf"\d{{2}}([-/., ]+){_WORD}", ("%y{0}%b",)),
]

_CLOCK = re.compile(
    r"(?P<H>\d{1,2})(?:(?P<s1>[:.h])(?P<M>\d\d)(?:(?P<s2>[:.])(?P<S>\d\d)"
    r"(?:(?P<s3>[.,])(?P<f>\d{1,9}))?)?)?(?:(?P<s4> ?)(?P<p>[AaPp]\.?[Mm]\.?))?"
    r"|(?P<cH>\d\d)(?P<cM>\d\d)(?P<cS>\d\d)?"
)
_ZONE = re.compile(r"( ?)(Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)$")


class Pattern(NamedTuple):
    """One way to read a text: its pattern, and which of day, month and year comes first."""

    text: str
    order: str


def is_date(text: str) -> bool:
    """Tell whether a text is a date, with or without the time of day, and not a number."""
    text = text.strip()
    if not 5 <= len(text) <= 40 or is_number(text):
        return False
    return any(_is_possible(text, pattern.text) for pattern in patterns_of(text))


def is_clock(text: str) -> bool:
    """Tell whether a text is a time of day, such as ``12:30`` or ``8:00:00.5 PM``."""
    found = _CLOCK.fullmatch(text.strip())
    return found is not None and found["s1"] == ":"


def patterns_of(text: str) -> list[Pattern]:
    """Return the patterns that a text of date and time of day may be written by, if any."""
    found = _patterns_of(text)
    named = None if found else re.match(rf"({_DAY_NAME})([, ]+)", text, re.IGNORECASE)
    if named and spelling_of((named[1],), "Aa"):
        lead, rest = "%a" + named[2], text[named.end() :]
        ctime = re.fullmatch(
            rf"({_WORD}) +(\d{{1,2}}) (\d\d:\d\d:\d\d)( [A-Z]{{3}})? (\d{{4}})", rest, re.IGNORECASE
        )
        if ctime and ctime[4] in (None, " UTC", " GMT"):
            day = "%_d" if rest[len(ctime[1]) + 1] == " " else "%d"
            zone = " %Z" if ctime[4] else ""
            return [Pattern(f"{lead}%b {day} %H:%M:%S{zone} %Y", MONTHFIRST)]
        found = [Pattern(lead + own.text, own.order) for own in _patterns_of(rest)]
    return found


def _patterns_of(text: str) -> list[Pattern]:
    """Return the patterns of a text that begins with no day of the week."""
    found = []
    for match, patterns in _DATES:
        date = re.match(match, text, re.IGNORECASE)
        if date is None:
            continue
        tail = _tail_pattern(text[date.end() :])
        if tail is None:
            continue
        for pattern in patterns:
            full = pattern.format(*(_escaped(mark or "") for mark in date.groups()))
            found.append(Pattern(full + tail, _order(full)))
    return found


def _tail_pattern(text: str) -> str | None:
    """Return the pattern of what follows a date, None if it is no time of day."""
    if not text:
        return ""
    if text.endswith(" Uhr"):
        before = _tail_pattern(text.removesuffix(" Uhr"))
        return before and f"{before} Uhr"
    gap = re.match(r"(,? (?:at|à|um) |, | ?T ?| +|[:_-])(?=\d)", text)
    zone = _ZONE.search(text)
    if gap is None:
        return _zone_pattern(zone) if zone and zone.start() == 0 else None
    if zone and zone.start() < gap.end():
        zone = None
    clock = text[gap.end() : zone.start() if zone else None]
    found = _CLOCK.fullmatch(clock.strip(" ") if zone is None else clock)
    if found is None:
        return None
    if found["cH"]:
        if not re.search(r"[T_ ]", gap.group(0)):
            return None
        pattern = "%H%M%S" if found["cS"] else "%H%M"
    else:
        if found["M"] is None and found["p"] is None and gap.group(0) not in ("T", " "):
            return None
        pattern = "%I" if found["p"] else "%H"
        pattern += f"{found['s1']}%M" if found["M"] else ""
        pattern += f"{found['s2']}%S" if found["S"] else ""
        pattern += f"{found['s3']}%{len(found['f'])}f" if found["f"] else ""
        pattern += f"{found['s4']}%p" if found["p"] else ""
    return gap.group(0) + pattern + (_zone_pattern(zone) if zone else "")


def _zone_pattern(zone: re.Match[str]) -> str:
    return zone[1] + ("%z" if zone[2][0] in "+-" else "%Z")


def _order(pattern: str) -> str:
    letters = re.findall(r"%\W?([A-Za-z])", pattern)
    first = next((letter for letter in letters if letter in "YyGdmbB"), "Y")
    if first in "YyG" or "d" not in letters:
        return YEARFIRST if first in "YyG" else MONTHFIRST
    return DAYFIRST if first == "d" else MONTHFIRST


def _escaped(mark: str) -> str:
    return mark.replace("%", "%%")


def _is_possible(text: str, pattern: str) -> bool:
    """Tell whether the numbers of one text may be those of a date."""
    found = compiled(pattern).fullmatch(text)
    if found is None:
        return False
    limits = {"m": (1, 12), "d": (1, 31), "j": (1, 366), "V": (1, 53), "H": (0, 24), "M": (0, 59),
              "S": (0, 60), "I": (1, 12)}  # fmt: skip
    parts = found.groupdict()
    month = parts.get("b") or parts.get("B")
    if month and spelling_of((month,)) is None:
        return False
    return all(
        low <= int(parts[letter]) <= high
        for letter, (low, high) in limits.items()
        if letter in parts
    )


def _knows(letter: str, key: str) -> bool:
    """Tell whether a directive is of a language that there is; of days the ordinals of two."""
    return key in ("en", "fr") if letter == "d" else is_style(letter, key)


def expanded(pattern: str) -> str:
    """Return a pattern with ``%F``, ``%T`` ... written out."""
    for letter, sign in _SHORTHANDS.items():
        pattern = pattern.replace(f"%{letter}", sign)
    return pattern


def compiled(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a pattern, one group named after each directive.

    Raises ArgumentError: a directive is unknown, or twice there.
    """
    expression, at = "", 0
    for found in DIRECTIVE.finditer(pattern):
        expression += re.escape(pattern[at : found.start()])
        at = found.end()
        letter = found[4]
        if found[1] == "%":
            expression += "%"
        elif letter not in _DIRECTIVES:
            raise ArgumentError(
                f"time_format {pattern!r} has the unknown directive {found.group(0)}; known: "
                f"{', '.join('%' + known for known in _DIRECTIVES)}."
            )
        elif found[2] and not _knows(letter, found[2]):
            raise ArgumentError(f"time_format {pattern!r}: %{letter} knows no [{found[2]}].")
        elif f"(?P<{letter}>" in expression:
            raise ArgumentError(f"time_format {pattern!r} has %{letter} twice.")
        else:
            expression += rf" *(?P<{letter}>{_DIRECTIVES[letter]})" + ORDINAL * (letter == "d")
    return re.compile(expression + re.escape(pattern[at:]), re.IGNORECASE)
