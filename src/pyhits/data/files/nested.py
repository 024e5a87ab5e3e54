"""Structs and cells of MATLAB, laid out flat: arrays by name, and lists of them as trajectories."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pyhits.data.convert import to_pieces
from pyhits.data.files.choose import base_name, choose
from pyhits.data.files.mat5 import Foreign, Struct
from pyhits.data.files.reading import Reading
from pyhits.data.files.steps import set_step
from pyhits.data.pieces import Pieces, set_times
from pyhits.data.tables.time_names import is_time_name
from pyhits.errors import DataError, warn
from pyhits.util.checks import as_numeric

#: What to save instead of objects that only MATLAB reads, by their class.
_INSTEAD = {
    "datetime": "seconds(t - t(1)), or posixtime(t)",
    "duration": "seconds(t)",
    "calendarDuration": "numbers",
    "timeseries": "x.Time and x.Data",
    "table": "table2array(x)",
    "timetable": "x.Variables and seconds(x.Time - x.Time(1))",
    "string": "char(x)",
    "categorical": "double(x)",
}
_TIMES = ("datetime", "duration", "calendarDuration")


@dataclass
class Flat:
    """Variables by their full names, ``run/x`` for ``run.x``."""

    #: Arrays of numbers, or what NumPy converts to them; texts too.
    arrays: dict[str, Any] = field(default_factory=dict)
    #: Those of struct arrays and cells, one array an element.
    lists: dict[str, list[Any]] = field(default_factory=dict)
    #: Classes of objects that only MATLAB reads.
    foreign: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, values: list[Any]) -> None:
        """Enter the values that a variable or field has, one an element."""
        if len(values) == 1 and isinstance(values[0], list):
            self.add(name, values[0])
        elif any(isinstance(value, Foreign) for value in values):
            self.foreign[name] = next(v.kind for v in values if isinstance(v, Foreign))
        elif len(values) > 1 and all(map(_is_text, values)):
            self.arrays[name] = np.array(["".join(value.tolist()) for value in values])
        elif values and all(isinstance(value, Struct) for value in values):
            for key in values[0].fields:
                parts = [part for value in values for part in value.fields.get(key, [])]
                self.add(f"{name}/{key}", parts)
        elif not any(isinstance(value, (list, Struct)) for value in values):
            if len(values) == 1:
                self.arrays[name] = flat_vector(values[0])
            elif values:
                self.lists[name] = [flat_vector(value) for value in values]


def pieces(flat: Flat, wanted: Reading) -> Pieces:
    """Return data and times among what MATLAB nests.

    Raises DataError: what was asked for, or all that there is, only MATLAB can read.
    """
    wanted = replace(wanted, variable=_slashed(wanted.variable, flat))
    for name in (wanted.variable, wanted.time_column):
        if name in flat.foreign:
            raise DataError(_foreign(str(name), flat.foreign[str(name)]))
    name = _list_name(flat, wanted)
    if name is None and flat.foreign and not any(map(_is_data, flat.arrays.values())):
        raise DataError(_foreign(*next(iter(flat.foreign.items()))))
    found = (
        choose(_nearest(flat.arrays, wanted), wanted, flat.arrays)
        if name is None
        else _from_lists(flat, name, wanted)
    )
    clock = next((n for n, kind in flat.foreign.items() if kind in _TIMES), None)
    no_times = found.dt is None and found.times is None and wanted.time_column != "none"
    if clock is not None and no_times:
        warn(f"{_foreign(clock, flat.foreign[clock])} Without it the rows have no times.")
    return found


def flat_vector(array: Any) -> Any:
    """Return an array, but ``(n,)`` if it is a vector, which MATLAB keeps as ``(1, n)``."""
    is_vector = len(array.shape) == 2 and min(array.shape) == 1 and max(array.shape) > 1
    return _Vector(array) if is_vector else array


def _is_text(value: Any) -> bool:
    """Tell whether a value is one text, or an empty one."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "U" and value.size < 2


class _Vector:
    """A row or a column as ``(n,)``, loaded when NumPy converts it."""

    def __init__(self, array: Any) -> None:
        self.shape = (max(array.shape),)
        self.dtype = array.dtype
        self._array = array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._array, dtype=dtype).ravel()


def _foreign(name: str, kind: str) -> str:
    instead = _INSTEAD.get(kind, "its numbers")
    return (
        f"{name!r} is a MATLAB {kind} object, which only MATLAB can read. Save {instead} instead, "
        "as an array of numbers."
    )


def _slashed(name: str | None, flat: Flat) -> str | None:
    """Return the name of a field as it is kept here, if it came as MATLAB writes it: ``s.x``."""
    known = {*flat.arrays, *flat.lists, *flat.foreign}
    if name is None or name in known or name.replace(".", "/") not in known:
        return name
    return name.replace(".", "/")


def _is_data(array: Any) -> bool:
    return array.dtype.kind in "fiuc" and any(n > 1 for n in array.shape)


def _nearest(arrays: dict[str, Any], wanted: Reading) -> dict[str, Any]:
    """Return the arrays to choose from: fields only where no variable is an array of numbers."""
    top = {name: array for name, array in arrays.items() if "/" not in name}
    times = _time_names(top)
    if wanted.variable is not None or not any(_is_data(top[n]) for n in top if n not in times):
        return arrays
    clocks = [] if times else _time_names(arrays)
    asked = [str(wanted.time_column)] if wanted.time_column in arrays else []
    return {**top, **{name: arrays[name] for name in (*clocks, *asked)}}


def _list_name(flat: Flat, wanted: Reading) -> str | None:
    """Return the name of the list that holds the data, if it is not an array that does.

    Raises DataError: several could.
    """
    if wanted.variable is not None:
        return wanted.variable if wanted.variable in flat.lists else None
    times = _time_names(flat.lists)
    found = [
        name
        for name, values in flat.lists.items()
        if name not in times and name != wanted.time_column and all(map(_is_data, values))
    ]
    times = _time_names(flat.arrays)
    arrays = {n: a for n, a in flat.arrays.items() if n not in times and _is_data(a)}
    if not found or arrays:
        return None
    if len(found) > 1:
        raise DataError(
            f"Several lists of arrays could be the data: {', '.join(found)}. Choose one with "
            'variable="name" (on the command line: --variable name).'
        )
    return found[0]


def _time_names(names: Iterable[str]) -> list[str]:
    return [name for name in names if is_time_name(base_name(name))]


def _from_lists(flat: Flat, name: str, wanted: Reading) -> Pieces:
    """Return one trajectory an element, with its own times, or those that are common to all."""
    arrays = [
        as_numeric(np.asarray(value), what=f"Element {k} of {name!r}", missing=wanted.raw)
        for k, value in enumerate(flat.lists[name])
    ]
    if isinstance(wanted.time_column, int):
        raise DataError(
            f"time_column={wanted.time_column} is a number; {name!r} is a list of arrays, which "
            "needs the name of its times."
        )
    clock = _clock(flat, wanted, name)
    if clock is None:
        found = to_pieces([a[:, None] if a.ndim == 1 else a for a in arrays], raw=wanted.raw)
        if wanted.time_column != "none":
            set_step(found, flat.arrays, name.rpartition("/")[0], wanted.dt)
        return found
    times = flat.lists.get(clock) or [flat.arrays[clock]] * len(arrays)
    axes = [np.asarray(t).ravel() for t in times]
    rows = [
        _oriented(a, t, f"Element {k} of {name!r}", clock)
        for k, (a, t) in enumerate(zip(arrays, axes, strict=True))
    ]
    found = Pieces(rows)
    set_times(
        found,
        axes,
        [f"{clock!r}, trajectory {k}" for k in range(len(axes))],
        raw=wanted.raw,
        style=wanted.choice.style,
    )
    return found


def _clock(flat: Flat, wanted: Reading, name: str) -> str | None:
    """Return the name of the times that belong to a list."""
    if wanted.time_column == "none":
        return None
    n = len(flat.lists[name])
    fitting = [*(k for k, v in flat.lists.items() if len(v) == n), *flat.arrays]
    if wanted.time_column is not None:
        asked = str(wanted.time_column)
        asked = asked if asked in fitting else asked.replace(".", "/")
        if asked not in fitting:
            raise DataError(f"There are no times {wanted.time_column!r} for the list {name!r}.")
        return asked
    found = [k for k in _time_names(fitting) if k != name]
    near = [k for k in found if k.rpartition("/")[0] == name.rpartition("/")[0]]
    found = near if len(near) == 1 else found
    if len(found) > 1:
        raise DataError(
            f"Several arrays look like the time: {', '.join(found)}. Choose one with "
            'time_column="name".'
        )
    return found[0] if found else None


def _oriented(array: np.ndarray, times: np.ndarray, what: str, clock: str) -> np.ndarray:
    """Return an array as ``(time, feature)``."""
    array = array[:, None] if array.ndim == 1 else array
    if len(array) == len(times):
        return array.reshape(len(array), -1)
    if array.ndim == 2 and array.shape[1] == len(times):
        return array.T
    raise DataError(
        f"{what} has the shape {array.shape}, which does not match its {len(times)} times "
        f'{clock!r}. Choose other times with time_column="name", or none with time_column="none".'
    )
