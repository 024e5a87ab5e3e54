"""Which of a file's arrays is the data, which the time, and which way round they lie."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pyhits.data.convert import from_list, to_pieces
from pyhits.data.files.axes import grid_of
from pyhits.data.files.conventions import text_of
from pyhits.data.files.in_parts import in_parts
from pyhits.data.files.reading import Reading
from pyhits.data.files.steps import says_step, set_step
from pyhits.data.pieces import Pieces, set_times
from pyhits.data.sampling import Parts
from pyhits.data.tables.assemble import from_columns
from pyhits.data.tables.records import columns as table_columns
from pyhits.data.tables.records import the_only_table
from pyhits.data.tables.time_column import holds_dates, rise_of
from pyhits.data.tables.time_names import is_count_name, is_time_name, time_name
from pyhits.errors import ArgumentError, DataError, warn
from pyhits.util.checks import as_numeric, suggest


def choose(
    arrays: Mapping[str, Any], wanted: Reading, facts: Mapping[str, Any] | None = None
) -> Pieces:
    """Pick data and time among named arrays and lay the data out ``(..., time, feature)``.

    The time is a vector named ``t``, ``time`` ...; where there is none a ``dt`` counts, or a rate
    such as ``Fs``. The data are the one other numeric array; vectors as long as one of its axes are
    grids, not data. Where the times match the last axis only, the data are transposed.

    Raises ArgumentError: no array has the name that was asked for.
    Raises DataError: no array or several could be the data, or the times match no axis of it.

    Parameters
    ----------
    arrays : mapping
        Name to array, or to anything with ``shape`` and ``dtype`` that numpy converts. Only those
        that are picked are converted.
    facts : mapping, optional
        What the file says of itself.
    """
    runs = _numbered_groups(arrays, wanted)
    if runs:
        made = from_list([choose(run, wanted, facts) for run in runs.values()], raw=wanted.raw)
        first = next(iter(runs))
        made.notes.append(
            f"{len(runs)} groups such as {first!r} hold the same arrays, and are read as "
            f'trajectories; variable="{first}/..." (--variable) reads one.'
        )
        return made
    pieces, used, parts = _laid_out(arrays, wanted)
    has_times = pieces.dt is not None or pieces.times is not None
    if not has_times and wanted.time_column != "none":
        data = arrays[used[0]]
        of_groups = getattr(data, "said_of_groups", {})
        said = {**(facts or {}), **of_groups, **_attributes(data), **arrays}
        said = {name: value for name, value in said.items() if name not in used}
        set_step(pieces, said, used[0].rpartition("/")[0], wanted.dt)
    if parts is not None:
        pieces.notes.append(parts.note)
        if not has_times:
            pieces.start_times = parts.begins * (pieces.dt or wanted.dt or 1.0)
    return pieces


def _numbered_groups(
    arrays: Mapping[str, Any], wanted: Reading
) -> dict[str, dict[str, Any]] | None:
    """Return groups that differ by a number, ``run_1`` and ``run_2``, and hold the same arrays.

    None where there are others, or one array is asked for.
    """
    if wanted.variable is not None or wanted.time_column is not None:
        return None
    groups: dict[str, dict[str, Any]] = {}
    for name, array in arrays.items():
        groups.setdefault(name.rpartition("/")[0], {})[name] = array
    held = {frozenset(map(base_name, group)) for group in groups.values()}
    called = {re.sub(r"\d+", "", group) for group in groups}
    return groups if len(groups) > 1 and len(held) == len(called) == 1 else None


def _laid_out(arrays: Mapping[str, Any], wanted: Reading) -> tuple[Pieces, list[str], Parts | None]:
    """Return data and times that were picked, what holds them, and stretches of large ones."""
    table = the_only_table(arrays, wanted.variable)
    if table is not None:
        columns = table_columns(np.asarray(arrays[table]).ravel())
        where = f"the table {table!r}"
        made = from_columns(*columns, where=where, choice=wanted.choice, raw=wanted.raw)
        return made, [table], None
    time = _time_name(arrays, wanted)
    names = _data_names(arrays, time, wanted.variable)
    name = names[0]
    large = in_parts(arrays, names, time, wanted)
    if large is not None:
        pieces, parts = large
        if time is not None:
            every = np.asarray(arrays[time]).ravel()
            ends = parts.begins + [len(rows) for rows in pieces.arrays]
            vectors = [every[a:b] for a, b in zip(parts.begins, ends, strict=True)]
            labels = [f"{time!r}, trajectory {k}" for k in range(len(vectors))]
            _set_times(pieces, arrays, time, vectors, labels, wanted)
        return pieces, names if time is None else [*names, time], parts
    values = _values(arrays, names, wanted)
    if isinstance(wanted.time_column, int):
        return _with_time_column(values, wanted.time_column, name, wanted), names, None
    if time is None:
        return _as_field(values, arrays, names) or to_pieces(values), names, None
    pieces = _with_times(arrays, values, names, time, wanted)
    return pieces, [*names, time], None


def _with_times(
    arrays: Mapping[str, Any], values: np.ndarray, names: Sequence[str], time: str, wanted: Reading
) -> Pieces:
    """Lay data out along their times."""
    name, times = names[0], np.asarray(arrays[time])
    if len(names) > 1 and _are_columns(arrays, names, time):
        pieces = to_pieces(values)
        pieces.feature_names = list(map(base_name, names))
        vectors, labels = [times.ravel()], [repr(time)]
    elif times.ndim == 2 and min(times.shape) > 1:
        if times.shape != values.shape[:2]:
            raise DataError(_mismatch(times, time, values, name))
        pieces = to_pieces(values.reshape(*times.shape, -1))
        pieces.grid = grid_of(arrays, names, values.shape[2:])
        vectors, labels = list(times), [f"{time!r}, trajectory {k}" for k in range(len(times))]
    else:
        turned = _oriented(values, times, time, name)
        lead = 2 if turned is values and values.ndim > 2 and values.shape[1] == times.size else 1
        pieces = to_pieces(turned.reshape(*turned.shape[:lead], -1))
        is_last = lead == 1 and values.shape[0] != times.size
        pieces.grid = grid_of(arrays, names, turned.shape[lead:], reverse=is_last)
        vectors, labels = [times.ravel()], [repr(time)]
    _set_times(pieces, arrays, time, vectors, labels, wanted)
    return pieces


def _set_times(
    pieces: Pieces,
    arrays: Mapping[str, Any],
    time: str,
    vectors: list[Any],
    labels: list[str],
    wanted: Reading,
) -> None:
    """Give pieces the times of an array, in the units that it says."""
    facts = _attributes(arrays[time])
    units = {name: text_of(facts[name]) for name in ("units", "calendar") if name in facts}
    style = replace(wanted.choice.style, **units)
    set_times(pieces, vectors, labels, raw=wanted.raw, name=base_name(time), style=style)


def _attributes(array: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = getattr(array, "attributes", {})
    return found


def listing(arrays: Mapping[str, Any]) -> str:
    """Return names and shapes for an error message."""
    if not arrays:
        return "nothing"
    return ", ".join(f"{name} {tuple(array.shape)}" for name, array in arrays.items())


def named(arrays: Mapping[str, Any], name: str, option: str) -> str:
    """Return the array of that name, in whichever group; otherwise suggest the nearest.

    Raises ArgumentError: there is none, or several groups have one.
    """
    if name in arrays:
        return name
    found = [other for other in arrays if base_name(other) == name or other == name.strip("/")]
    if len(found) == 1:
        return found[0]
    if found:
        raise ArgumentError(f"Several arrays are {name!r} for {option}: {', '.join(found)}.")
    raise ArgumentError(f"There is no array {name!r} for {option}{suggest(name, list(arrays))}")


def base_name(name: str) -> str:
    """Return the last part of a name such as ``group/x``."""
    return name.rsplit("/", 1)[-1]


def _is_vector(array: Any) -> bool:
    return len([n for n in array.shape if n > 1]) == 1


def _time_name(arrays: Mapping[str, Any], wanted: Reading) -> str | None:
    """Return the name of the array of times, if there is one."""
    if isinstance(wanted.time_column, int) or wanted.time_column == "none":
        return None
    if wanted.time_column is not None:
        return named(arrays, wanted.time_column, "time_column")
    leading = {tuple(a.shape[:2]) for a in arrays.values() if len(a.shape) > 2}
    found = [
        name
        for name, array in arrays.items()
        if is_time_name(base_name(name))
        and name != wanted.variable
        and (_is_vector(array) or tuple(array.shape) in leading)
        and _may_be_times(arrays, name)
    ]
    found = found or _by_values(arrays, wanted)
    if len(found) > 1 and wanted.variable is not None:
        group = wanted.variable.rpartition("/")[0]
        found = [name for name in found if name.rpartition("/")[0] == group] or found
    if len(found) > 1:
        raise DataError(
            f"Several arrays look like the time: {listing({n: arrays[n] for n in found})}. Choose "
            'one with time_column="name" (on the command line: --time-column name).'
        )
    return found[0] if found else None


def _may_be_times(arrays: Mapping[str, Any], name: str) -> bool:
    """Tell whether an array is of numbers or dates, one a row; say what is not."""
    array = arrays[name]
    if array.dtype.kind in "OSU":
        if holds_dates(np.asarray(array).ravel()):
            return True
        warn(
            f"Array {name!r} holds texts, which are not read as times: without them a step is dt. "
            "Write them as numbers or dates, or give dt (on the command line --dt)."
        )
        return False
    rows = [max(a.shape[:2], default=0) for n, a in arrays.items() if n != name and _is_numeric(a)]
    if array.dtype.kind != "M" and np.prod(array.shape) == 2 and min(rows, default=2) > 2:
        first, last = np.asarray(array).ravel().tolist()
        hint = f"; as the first and the last, dt={(last - first) / (rows[0] - 1):.6g} says so"
        warn(
            f"Array {name!r} holds 2 numbers, {first:g} and {last:g}, which are no times of "
            f"{rows[0]} rows, and is not used{hint if len(rows) == 1 and last > first else ''}. "
            "Give dt (--dt)."
        )
        return False
    return array.dtype.kind in "fiuM"


def _is_numeric(array: Any) -> bool:
    return array.dtype.kind in "fiuc" and any(n > 1 for n in array.shape)


def _by_values(arrays: Mapping[str, Any], wanted: Reading) -> list[str]:
    """Return vectors whose name may say time, and whose values rise as times do."""
    others = {name: array for name, array in arrays.items() if name != wanted.variable}
    numeric = [a for a in others.values() if a.dtype.kind in "fiu" and max(a.shape, default=0) > 1]
    if wanted.variable is None and len(numeric) < 2:  # a lone vector is the data
        return []
    rank = {
        name: time_name(base_name(name))
        for name, array in others.items()
        if array.dtype.kind in "fiuMOSU" and _is_vector(array) and max(array.shape) > 2
    }
    likely = sorted((name for name in rank if rank[name]), key=lambda name: -rank[name])
    rising = []
    for name in likely:
        rise = rise_of(np.asarray(arrays[name]).ravel())
        if rise.is_strict and not (rise.counts_rows and is_count_name(base_name(name))):
            rising.append(name)
    return [name for name in rising if rank[name] == rank[rising[0]]]


def _values(arrays: Mapping[str, Any], names: Sequence[str], wanted: Reading) -> np.ndarray:
    """Return the data, those of several arrays as the last axis."""
    parts = [
        as_numeric(np.asarray(arrays[name]), what=f"Array {name!r}", missing=wanted.raw)
        for name in names
    ]
    if len(parts) > 1 and all(map(_is_vector, parts)):
        parts = [part.ravel() for part in parts]
    rows = wanted.grid.rows(parts[0] if len(parts) == 1 else np.stack(parts, axis=-1))
    return np.asarray(rows)


def _data_names(arrays: Mapping[str, Any], time: str | None, variable: str | None) -> list[str]:
    """Return the array that is the data, or several: channels of one grid, columns beside times."""
    if variable is not None:
        return [named(arrays, variable, "variable")]
    numeric = {
        name: array
        for name, array in arrays.items()
        if name != time and _is_numeric(array) and not says_step(name)
    }
    axes = {n for array in numeric.values() if not _is_vector(array) for n in array.shape}
    candidates = {
        name: array
        for name, array in numeric.items()
        if not (_is_vector(array) and max(array.shape) in axes)
    }
    if not candidates:
        # Truth values are masks where there is anything else.
        candidates = {n: a for n, a in arrays.items() if a.dtype.kind == "b" and len(a.shape)}
    if len(candidates) == 1 or _are_channels(arrays, candidates, time):
        return list(candidates)
    if _are_columns(arrays, list(candidates), time):
        return list(candidates)
    if not candidates:
        raise DataError(
            f"Expected an array of numbers, found {listing(arrays)}. Python objects and "
            "texts are not read."
        )
    raise DataError(
        f"Several arrays could be the data: {listing(candidates)}. Choose one with "
        'variable="name" (on the command line: --variable name).'
    )


def _are_channels(
    arrays: Mapping[str, Any], candidates: Mapping[str, Any], time: str | None
) -> bool:
    """Tell whether arrays are of one shape, whose axes all have coordinates in the file."""
    shapes = {tuple(array.shape) for array in candidates.values()}
    if time is None or len(shapes) != 1 or len({n.rpartition("/")[0] for n in candidates}) != 1:
        return False
    shape, n = shapes.pop(), max(arrays[time].shape, default=0)
    at = next((k for k in (1, 0) if len(shape) > k + 1 and shape[k] == n), None)
    if at is None:
        return False
    return grid_of(arrays, list(candidates), (*shape[at + 1 :], len(candidates))) is not None


def _are_columns(arrays: Mapping[str, Any], names: Sequence[str], time: str | None) -> bool:
    """Tell whether arrays are vectors as long as the times that stand beside them."""
    if time is None or not _is_vector(arrays[time]):
        return False
    n, group = max(arrays[time].shape), time.rpartition("/")[0]
    return all(
        _is_vector(arrays[name])
        and max(arrays[name].shape) == n
        and name.rpartition("/")[0] == group
        for name in names
    )


def _oriented(values: np.ndarray, times: np.ndarray, time: str, name: str) -> np.ndarray:
    """Return data as ``(time, ...)`` or ``(trajectory, time, ...)``."""
    n = times.size
    axes = [k for k, length in enumerate(values.shape) if length == n]
    if not axes:
        raise DataError(_mismatch(times, time, values, name))
    return values if values.ndim > 2 and 1 in axes else np.moveaxis(values, axes[0], 0)


def _as_field(values: np.ndarray, arrays: Mapping[str, Any], names: Sequence[str]) -> Pieces | None:
    """Return data without times whose last axes have coordinates; None where they have not."""
    for lead in (1, 2):
        grid = grid_of(arrays, names, values.shape[lead:]) if values.ndim > lead else None
        if grid is not None:
            pieces = to_pieces(values.reshape(*values.shape[:lead], -1))
            pieces.grid = grid
            return pieces
    return None


def _mismatch(times: np.ndarray, time: str, values: np.ndarray, name: str) -> str:
    return (
        f"The times {time!r} have shape {times.shape}, which matches no axis of {name!r} "
        f'{values.shape}. Choose other times with time_column="name", or none with '
        'time_column="none".'
    )


def _with_time_column(values: np.ndarray, column: int, name: str, wanted: Reading) -> Pieces:
    """Take one column of ``(time, feature)`` data for the times."""
    if values.ndim != 2 or not 0 <= column < values.shape[1]:
        raise ArgumentError(
            f"time_column={column} is no column of {name!r}, which has shape {values.shape}."
        )
    pieces = to_pieces(np.delete(values, column, axis=1))
    label = f"column {column} of {name!r}"
    set_times(pieces, [values[:, column]], [label], raw=wanted.raw, style=wanted.choice.style)
    return pieces
