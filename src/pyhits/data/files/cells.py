"""Cells of text tables: how numbers are written, and what they are worth."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pyhits.data.times import is_clock, is_date
from pyhits.errors import DataError
from pyhits.util.checks import is_missing
from pyhits.util.printable import is_number

#: Spaces between thousands: the usual one, no-break and thin ones.
_SPACES = " \u00a0\u2009\u202f"

#: Signs that stand for a minus: the hyphen of typesetters, dashes.
_MINUS = str.maketrans({"\u2212": "-", "\u2013": "-", "\x96": "-", "\ufe63": "-", "\uff0d": "-"})

CellKind = Literal["missing", "number", "date", "text"]


@dataclass(frozen=True)
class NumberStyle:
    """How the numbers of a table are written."""

    decimal: str = "."  # {".", ","}: what begins the decimals
    thousands: str = ""  # characters between thousands, to be left out

    @property
    def is_plain(self) -> bool:
        """Whether numbers are as Python writes them."""
        return self.decimal == "." and not self.thousands

    def plain(self, text: str) -> str:
        """Return a number as Python writes it, if it is one."""
        text = text.strip().translate(_MINUS)
        if self.thousands and any(c in text for c in self.thousands):
            sign = re.escape(self.thousands)
            if re.match(rf"[-+]?\d{{1,3}}([{sign}]\d{{3}})+(?!\d)", text):
                text = re.sub(rf"[{sign}]", "", text)
        if self.decimal == ",":
            text = text.replace(",", ".") if "." not in text else text.replace(".", "\0")
        return re.sub(r"(?<=[\d.])[dD](?=[-+\d])", "e", text)  # Fortran's 1.0D-3

    def number(self, text: str) -> float | None:
        """Return the number that a text is, None if it is none."""
        plain = self.plain(text)
        return float(plain) if is_number(plain) else None


PLAIN = NumberStyle()


def kind_of(text: str, style: NumberStyle = PLAIN) -> CellKind:
    """Tell what a field is."""
    if is_missing(text):
        return "missing"
    if style.number(text) is not None:
        return "number"
    return "date" if is_date(text) or is_clock(text) else "text"


#: Commas that only decimals have, that only thousands have, and that either may have.
_DECIMAL = re.compile(
    rf"[-+]?(\d*,(\d{{1,2}}|\d{{4,}})|0,\d+|\d{{4,}},\d+|\d{{1,3}}([.{_SPACES}']\d{{3}})+,\d+|\d*,\d+[eE][-+]?\d+)"
)
_THOUSANDS = re.compile(r"[-+]?\d{1,3}((,\d{3})+\.\d*|(,\d{3}){2,})")
_EITHER = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}")
_POINT = re.compile(r"[-+]?(\d*\.(\d{1,2}|\d{4,})|0\.\d+)([eE][-+]?\d+)?")
_SPACED = re.compile(rf"[-+]?\d{{1,3}}([{_SPACES}']\d{{3}})+([.,]\d*)?")


def style_of(fields: Sequence[str], decimal: str | None = None) -> NumberStyle:
    """Find out how numbers are written.

    Raises DataError: commas may stand before decimals or between thousands.

    Parameters
    ----------
    decimal : {".", ","}, optional
        What begins decimals, where it is known.
    """
    fields = [re.sub(r"(?<=\d)\s*[^\d\s.,']+$", "", f) for f in fields]
    spaced = any(_SPACED.fullmatch(f) for f in fields)
    signs = f"{_SPACES}'" if spaced else ""
    commas = [f for f in fields if "," in f]
    if decimal == ",":
        return NumberStyle(",", signs + ".")
    if not commas or decimal == ".":
        return NumberStyle(".", signs + ("," if commas else ""))
    decimals = [f for f in commas if _DECIMAL.fullmatch(f)]
    thousands = [f for f in commas if _THOUSANDS.fullmatch(f)]
    either = [f for f in commas if _EITHER.fullmatch(f)]
    if len(decimals) > len(thousands):
        return NumberStyle(",", signs + ".")
    if thousands or (either and any(_POINT.fullmatch(f) for f in fields)):
        return NumberStyle(".", signs + ",")
    if either and 2 * len(either) > len(commas):
        raise DataError(
            f"Numbers such as {either[0]!r} can be read two ways. decimal=',' (--decimal ,) takes "
            "the comma for what begins the decimals, decimal='.' (--decimal .) for what stands "
            "between thousands."
        )
    return NumberStyle(".", signs)


@dataclass(frozen=True)
class Cells:
    """The cells of one column, as numbers where they are."""

    #: (n_rows,): floats, NaN where a cell is missing or no number; texts if most cells are no
    #: numbers.
    values: np.ndarray
    #: missing, wrong: Rows whose cell is missing, and rows whose cell is neither missing nor a
    #: number.
    missing: list[int]
    wrong: list[int]
    unit: str = ""  # the unit of every number, such as ``"%"``, and was left out


def as_cells(fields: Sequence[str], style: NumberStyle) -> Cells:
    """Return the cells of one column as numbers, or as texts if most of them are no numbers."""
    if style.is_plain:
        try:
            values = np.array(fields, dtype=np.str_).astype(np.float64)
        except ValueError:
            pass
        else:
            if np.isfinite(values).all() and not any("_" in f for f in fields):
                return Cells(values, [], [])
    missing = [k for k, f in enumerate(fields) if is_missing(f)]
    absent = set(missing)
    known = [k for k in range(len(fields)) if k not in absent]
    values, wrong = _numbers(fields, known, style)
    if 2 * len(wrong) <= len(known):
        return Cells(values, missing, wrong)
    truths = {"true": 1.0, "false": 0.0}
    if all(fields[k].lower() in truths for k in known):
        values[known] = [truths[fields[k].lower()] for k in known]
        return Cells(values, missing, [])
    unit = _unit(fields[wrong[0]])
    if unit:
        bare = [f[: -len(unit)] if f.endswith(unit) else f[len(unit) :] for f in fields]
        if all(f.endswith(unit) or f.startswith(unit) for f in (fields[k] for k in known)):
            values, still = _numbers(bare, known, style)
            if not still:
                return Cells(values, missing, [], unit.strip())
    return Cells(np.array(fields, dtype=object), missing, wrong)


def _numbers(
    fields: Sequence[str], known: Sequence[int], style: NumberStyle
) -> tuple[np.ndarray, list[int]]:
    """Return the numbers in the known fields, NaN elsewhere, and the rows that hold none."""
    values = np.full(len(fields), np.nan)
    wrong = []
    for k in known:
        number = style.number(fields[k])
        if number is None:
            wrong.append(k)
        else:
            values[k] = number
    return values, wrong


def _unit(field: str) -> str:
    """Return what stands behind or before the digits of a cell such as ``12.5 kg`` or ``$3``."""
    behind = re.fullmatch(r"[-+]?[\d.,]+(\s*[^\d\s.,+-][^\d]{0,9})", field)
    if behind:
        return behind.group(1)
    before = re.fullmatch(r"([^\w\s.,+-]{1,2}\s*|[A-Z]{3}\s+)[-+]?[\d.,]+", field)
    return before.group(1) if before else ""
