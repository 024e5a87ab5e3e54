"""Which columns are read, and what they are called, as users say it."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyhits.data.tables.time_names import plain_name
from pyhits.data.times import SHOWN, TimeStyle
from pyhits.errors import ArgumentError
from pyhits.util.checks import suggest

Column = str | int


@dataclass(frozen=True)
class ModelColumns:
    """The columns that a model was fitted to."""

    #: features, inputs: Names of its features, and of the inputs that act on them.
    features: tuple[str, ...]
    inputs: tuple[str, ...]
    dt: float  # its step

    @classmethod
    def of(cls, model: Any) -> ModelColumns | None:
        """Return the columns of a fitted model, None if they have no names.

        Raises ArgumentError: it is no fitted model.
        """
        stepper = getattr(model, "stepper_", model)
        features = getattr(stepper, "feature_names", None)
        if features is None or not hasattr(stepper, "coordinates"):
            raise ArgumentError(f"Expected like to be a fitted model, got {model!r}.")
        if tuple(features) == tuple(f"x{k}" for k in range(len(features))):
            return None
        inputs = stepper.inputs
        return cls(tuple(features), () if inputs is None else tuple(inputs.names), stepper.dt)

    def among(self, names: Sequence[str]) -> list[int] | None:
        """Return the numbers of the columns so named, None if a feature is not there."""
        if not all(name in names for name in self.features):
            return None
        inputs = [name for name in self.inputs if name in names]
        return [list(names).index(name) for name in (*self.features, *inputs)]


@dataclass(frozen=True)
class ColumnChoice:
    """Which columns of a table are read, and what they are called."""

    #: The features to read, by name or number (from 0), in this order; all by default. Times and
    #: trajectory numbers are read as well.
    columns: tuple[Column, ...] | None = None
    without_columns: tuple[Column, ...] = ()  # columns that are not read
    #: Names of all columns, of the ``columns`` chosen, or of the features, instead of the table's
    #: own.
    names: tuple[str, ...] | None = None
    #: The column of times, where it is not recognised; ``"none"`` if there is none.
    time_column: Column | None = None
    style: TimeStyle = SHOWN  # how its dates are written
    #: Those that a model was fitted to; they are read where nothing else is chosen.
    like: ModelColumns | None = None

    @classmethod
    def checked(cls, **given: Any) -> ColumnChoice:
        """Return a choice as users give it: some of :data:`COLUMN_OPTIONS`.

        Raises ArgumentError: a column is neither a name nor a number, or none are given.
        """
        known = {name: value for name, value in given.items() if value is not None}
        if "time_column" in known:
            _check_column(known["time_column"], "time_column")
        for name in ("columns", "without_columns"):
            if name in known:
                known[name] = _listed(known[name], name)
        if "names" in known:
            known["names"] = _as_names(known["names"])
        if "like" in known:
            known["like"] = ModelColumns.of(known["like"])
        of_times = {k: known.pop(k) for k in ("time_format", "time_zone") if k in known}
        return cls(**known, style=TimeStyle(**of_times))

    def __bool__(self) -> bool:
        """Whether anything but the time is chosen."""
        return self.columns is not None or bool(self.without_columns) or self.names is not None


#: What users say of columns; see :func:`pyhits.read`.
COLUMN_OPTIONS = (
    "columns", "without_columns", "names", "time_column", "time_format", "time_zone", "like",
)  # fmt: skip

#: Every column, under its own name.
ALL_COLUMNS = ColumnChoice()


def _listed(given: Any, option: str) -> tuple[Column, ...]:
    single = isinstance(given, (str, int, np.integer)) or not isinstance(given, Iterable)
    items = [given] if single else list(given)
    if not items:
        raise ArgumentError(f"Expected {option} to be one column or more, got none.")
    return tuple(_check_column(item, option) for item in items)


def _as_names(given: Any) -> tuple[str, ...]:
    """Return names; one text lists them, as in a CSV file."""
    return tuple(map(str, _listed(listed_in(given) if isinstance(given, str) else given, "names")))


def listed_in(text: str) -> list[str]:
    """Return the names in a text such as ``t,x`` or ``t,"x, in mm"``, quoted where with commas."""
    rows = csv.reader([text], skipinitialspace=True)
    return [part.strip() for row in rows for part in row if part.strip()]


def as_list(names: Iterable[str]) -> str:
    """Return names as :func:`listed_in` takes them."""
    texts = (str(name) for name in names)
    return ",".join(f'"{t.replace(chr(34), 2 * chr(34))}"' if "," in t else t for t in texts)


def for_shell(text: str) -> str:
    """Return a text as a shell takes it for one word."""
    if text.isidentifier() or text.isdigit():
        return text
    return shlex.quote(text) if '"' in text else f'"{text}"'


def _check_column(item: Any, option: str) -> Column:
    if isinstance(item, (bool, np.bool_)) or not isinstance(item, (str, int, np.integer)):
        raise ArgumentError(f"Expected {option} to be a name or a number, got {item!r}.")
    return item if isinstance(item, str) else int(item)


def column_numbers(
    wanted: Sequence[Column], names: Sequence[str], where: str, option: str
) -> list[int]:
    """Return the numbers of the columns asked for; a text may list several, as in a CSV file."""
    numbers: list[int] = []
    for item in wanted:
        parts: Sequence[Column] = [item]
        if isinstance(item, str) and item not in names:
            parts = listed_in(item)
        for part in parts:
            number = _number(part, names, where, option)
            if number not in numbers:
                numbers.append(number)
    return numbers


def _number(wanted: Column, names: Sequence[str], where: str, option: str) -> int:
    if isinstance(wanted, str) and wanted not in names and wanted.isdigit():
        wanted = int(wanted)
    if isinstance(wanted, int):
        if not 0 <= wanted < len(names):
            raise ArgumentError(
                f"{option}={wanted}, but the columns of {where} are 0 to {len(names) - 1}."
            )
        return wanted
    if wanted in names:
        return list(names).index(wanted)
    plain = [plain_name(name) for name in names]
    if plain.count(plain_name(wanted)) == 1:
        return plain.index(plain_name(wanted))
    raise ArgumentError(f"No column {wanted!r} in {where} for {option}{suggest(wanted, names)}")


def column_number(wanted: Column, names: Sequence[str], where: str) -> int | None:
    """Return the number of the column of times that was asked for, None for ``"none"``."""
    wanted = _check_column(wanted, "time_column")
    if wanted == "none" and wanted not in names:
        return None
    return _number(wanted, names, where, "time_column")
