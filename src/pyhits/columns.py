"""Columns of a table: what they are called, which are read, and what each of them is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pyhits.checks import suggest
from pyhits.date_parts import joined_dates
from pyhits.errors import ArgumentError, DataError
from pyhits.time_column import find_time, holds_dates, rise_of
from pyhits.time_names import is_trajectory_name, plain_name
from pyhits.timeaxis.values import check_format
from pyhits.timeaxis.zones import check_zone

#: Columns that a note lists, at most.
_MOST_LISTED = 8

Column = str | int


@dataclass(frozen=True)
class ModelColumns:
    """The columns that a model was fitted to.

    Attributes
    ----------
    features, inputs : tuple of str
        Names of its features, and of the inputs that act on them.
    dt : float
        Its step.
    """

    features: tuple[str, ...]
    inputs: tuple[str, ...]
    dt: float

    @classmethod
    def of(cls, model: Any) -> ModelColumns | None:
        """Return the columns of a fitted model, None if they have no names.

        Raises
        ------
        ArgumentError
            It is no fitted model.
        """
        features = getattr(model, "feature_names_", None)
        if features is None:
            raise ArgumentError(f"Expected like to be a fitted model, got {model!r}.")
        if tuple(features) == tuple(f"x{k}" for k in range(len(features))):
            return None
        inputs = getattr(model, "inputs_", None)
        return cls(tuple(features), () if inputs is None else tuple(inputs.names), model.dt_)

    def among(self, names: Sequence[str]) -> list[int] | None:
        """Return the numbers of the columns so named, None if a feature is not there."""
        if not all(name in names for name in self.features):
            return None
        inputs = [name for name in self.inputs if name in names]
        return [list(names).index(name) for name in (*self.features, *inputs)]


@dataclass(frozen=True)
class ColumnChoice:
    """Which columns of a table are read, and what they are called.

    Attributes
    ----------
    columns : tuple of str or int, optional
        The features to read, by name or number (from 0), in this order; all by default. Times and
        trajectory numbers are read as well.
    without_columns : tuple of str or int
        Columns that are not read.
    names : tuple of str, optional
        Names of all columns, of the ``columns`` chosen, or of the features, instead of the table's
        own.
    time_column : str or int, optional
        The column of times, where it is not recognised; ``"none"`` if there is none.
    time_format, time_zone : str, optional
        How its dates are written, and the zone of those that say none; see :func:`pyhits.read`.
    like : ModelColumns, optional
        Those that a model was fitted to; they are read where nothing else is chosen.
    """

    columns: tuple[Column, ...] | None = None
    without_columns: tuple[Column, ...] = ()
    names: tuple[str, ...] | None = None
    time_column: Column | None = None
    time_format: str | None = None
    time_zone: str | None = None
    like: ModelColumns | None = None

    @classmethod
    def checked(
        cls,
        columns: Any = None,
        without_columns: Any = None,
        names: Any = None,
        time_column: Any = None,
        time_format: str | None = None,
        time_zone: str | None = None,
        like: Any = None,
    ) -> ColumnChoice:
        """Return a choice as users give it.

        Raises
        ------
        ArgumentError
            A column is neither a name nor a number, or none are given.
        """
        if time_column is not None:
            _check_column(time_column, "time_column")
        return cls(
            _listed(columns, "columns"),
            _listed(without_columns, "without_columns") or (),
            None if names is None else tuple(map(str, _listed(names, "names") or ())),
            time_column,
            check_format(time_format),
            None if time_zone is None else check_zone(time_zone),
            None if like is None else ModelColumns.of(like),
        )

    @property
    def reading(self) -> dict[str, str | None]:
        """How times are read, as :func:`~pyhits.timeaxis.read_times` takes it."""
        return {"time_format": self.time_format, "time_zone": self.time_zone}

    def __bool__(self) -> bool:
        """Whether anything but the time is chosen."""
        return self.columns is not None or bool(self.without_columns) or self.names is not None


#: Every column, under its own name.
ALL_COLUMNS = ColumnChoice()


def _listed(given: Any, option: str) -> tuple[Column, ...] | None:
    if given is None:
        return None
    items = [given] if isinstance(given, (str, int, np.integer)) else list(given)
    if not items:
        raise ArgumentError(f"Expected {option} to be one column or more, got none.")
    return tuple(_check_column(item, option) for item in items)


def _check_column(item: Any, option: str) -> Column:
    if isinstance(item, (bool, np.bool_)) or not isinstance(item, (str, int, np.integer)):
        raise ArgumentError(f"Expected {option} to be a name or a number, got {item!r}.")
    return item if isinstance(item, str) else int(item)


@dataclass(frozen=True)
class Roles:
    """What each column of a table is.

    Attributes
    ----------
    names : list of str
        One a column, none of them blank or there twice.
    features : list of int
        Numbers of the columns that are features, in order.
    time, trajectory : int or None
        Numbers of the columns of times and of trajectory numbers.
    notes : list of str
        What a user should know.
    times : array, optional
        Dates that were put together from several columns, of which ``time`` is the first.
    """

    names: list[str]
    features: list[int]
    time: int | None = None
    trajectory: int | None = None
    notes: list[str] = field(default_factory=list)
    times: np.ndarray | None = None


def assign_roles(
    names: Sequence[str], columns: Sequence[Any], where: str, choice: ColumnChoice
) -> Roles:
    """Find out which columns are features, which the time, and which numbers the trajectories.

    Parameters
    ----------
    names : sequence of str
        As they head the columns; blank, or there twice, they are replaced.
    columns : sequence of array, each shape (n_rows,)
    where : str
        What holds them, for messages.

    Raises
    ------
    ArgumentError
        A column that was chosen is not there.
    DataError
        Several columns are times or number the trajectories, or no column is a feature.
    """
    n = len(names)
    given, shown = choice.names, list(names)
    if given is not None and len(given) == n:
        shown, given = list(given), None
    own, notes = distinct(shown)
    gone = set(_numbers(choice.without_columns, own, where, "without_columns"))
    wanted = None if choice.columns is None else _numbers(choice.columns, own, where, "columns")
    like = None
    if not choice and choice.like is not None:
        like = wanted = choice.like.among(own)
    left = [k for k in range(n) if k not in gone]
    ids = [k for k in left if is_trajectory_name(own[k])]
    if len(ids) > 1:
        both = ", ".join(own[k] for k in ids)
        raise DataError(
            f"Several columns of {where} look like the trajectory: {both}. Leave all but one out "
            "with without_columns=[...] (--without-columns)."
        )
    trajectory = ids[0] if ids else None
    candidates = [k for k in left if k != trajectory]
    blank = [own[k] if shown[k].strip() else "" for k in candidates]
    starts = trajectory_starts(None if trajectory is None else columns[trajectory])
    parts = joined_dates(own, columns, candidates) if choice.time_column is None else None
    time: int | None
    said: list[str]
    if parts is not None:
        time, dropped, said = parts[0][0], set(parts[0]), []
    else:
        time, dropped, said = _time(blank, candidates, columns, own, where, choice, starts)
    if like is not None and choice.like is not None and choice.time_column is None:
        time = _time_beside(like, time, candidates, columns, starts, choice.like.dt)
    features = [k for k in candidates if k != time and k not in dropped]
    if wanted is None:
        notes += said
        features, texts = _numeric(features, columns, own)
        notes += texts
    else:
        features = [k for k in wanted if k not in (time, trajectory)]
    if not features:
        raise DataError(f"No column of {where} holds a state: got only {', '.join(names)}.")
    if given is not None:
        targets = features if len(given) == len(features) else (wanted or [])
        if len(given) != len(targets):
            raise ArgumentError(
                f"names gives {len(given)} names, but {where} has {n} columns, of which "
                f"{len(features)} are features: {', '.join(own[k] for k in features)}."
            )
        for k, name in zip(targets, given, strict=True):
            own[k] = name
    whole = parts[1] if parts is not None and time == parts[0][0] else None
    return Roles(own, features, time, trajectory, notes, whole)


def _time(
    names: list[str],
    candidates: list[int],
    columns: Sequence[Any],
    own: list[str],
    where: str,
    choice: ColumnChoice,
    starts: Sequence[int],
) -> tuple[int | None, set[int], list[str]]:
    """Return the column of times, those that only number the rows, and what is to be said."""
    if choice.time_column is not None:
        return column_number(choice.time_column, own, where), set(), []
    found = find_time(names, [columns[k] for k in candidates], starts, where)
    time = None if found.number is None else candidates[found.number]
    return time, {candidates[k] for k in found.row_numbers}, list(found.notes)


def _time_beside(
    like: Sequence[int],
    found: int | None,
    candidates: Sequence[int],
    columns: Sequence[Any],
    starts: Sequence[int],
    dt: float,
) -> int | None:
    """Return the column of times beside the features of a model: one with its step, if need be."""
    if found in like:
        return None
    if found is not None:
        return found
    for k in candidates:
        if k in like:
            continue
        rise = rise_of(columns[k], starts)
        if rise.is_even and abs(rise.step - dt) <= 1e-6 * dt:
            return k
    return None


def _numeric(
    features: list[int], columns: Sequence[Any], own: list[str]
) -> tuple[list[int], list[str]]:
    """Leave out columns of text and of dates, and say so; if nothing else is there, keep them."""
    texts = [k for k in features if _is_text(columns[k])]
    kept = [k for k in features if k not in texts]
    if not texts or not kept:
        return features, []
    first = [f"{own[k]!r} ({_example(columns[k])})" for k in texts[:_MOST_LISTED]]
    more = f" and {len(texts) - _MOST_LISTED} more" if len(texts) > _MOST_LISTED else ""
    return kept, [
        f"Left out, as they hold no numbers: {', '.join(first)}{more}. If a column names the "
        "trajectories, call it 'trajectory' (names=[...], --names)."
    ]


def _is_text(column: Any) -> bool:
    """Tell whether a column holds texts or dates: less than half of what is there are numbers."""
    array = np.asarray(column)
    if array.dtype.kind in "mM":
        return True
    if array.dtype.kind not in "OSU":
        return False
    if holds_dates(array):
        return True
    known = [item for item in array[:1000].tolist() if isinstance(item, str) and item.strip()]
    texts = sum(not _is_number(item) for item in known)
    return len(known) > 0 and 2 * texts > len(known) and 2 * texts > len(array[:1000])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _example(column: Any) -> str:
    known = [str(item) for item in np.asarray(column)[:20].tolist() if str(item).strip()]
    text = known[0] if known else ""
    return repr(text if len(text) <= 20 else f"{text[:17]}...")


def distinct(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return names of which none is blank or there twice, and what is to be said about them."""
    tidy = [" ".join(name.splitlines()).strip() for name in names]
    taken = set(tidy)
    found: list[str] = []
    blank, twice = [], []
    seen: set[str] = set()
    for k, name in enumerate(tidy):
        own = name or f"column_{k}"
        count = 0
        while own in seen or (count and own in taken):
            count += 1
            own = f"{name or f'column_{k}'}.{count}"
        if not name:
            blank.append(own)
        elif count:
            twice.append(f"{name!r} to {own!r}")
        seen.add(own)
        found.append(own)
    # The first column of pandas and R is without a name.
    notes = []
    if blank not in ([], [found[0]]):
        rest = [name for name in blank if name != found[0]][:_MOST_LISTED]
        notes.append(
            f"Columns without a name are called {', '.join(map(repr, rest))}; names=[...] "
            "(--names) gives others."
        )
    if twice:
        notes.append(
            f"Names that are there twice are changed: {', '.join(twice[:_MOST_LISTED])}; "
            "names=[...] (--names) gives others, without_columns=[...] (--without-columns) leaves "
            "columns out."
        )
    return found, notes


def chosen_features(
    choice: ColumnChoice, names: Sequence[str], where: str
) -> tuple[list[int], list[str]]:
    """Return the numbers and names of the features chosen among those of an array.

    Parameters
    ----------
    names : sequence of str
        Of all features.

    Raises
    ------
    ArgumentError
        A feature that was chosen is not there, none is left, or the names are not one a feature.
    """
    gone = _numbers(choice.without_columns, names, where, "without_columns")
    wanted: Sequence[int] = range(len(names))
    if choice.columns is not None:
        wanted = _numbers(choice.columns, names, where, "columns")
    kept = [k for k in wanted if k not in gone]
    if not kept:
        raise ArgumentError(f"No feature of {where} is left; there are {', '.join(names)}.")
    own = list(names) if choice.names is None else list(choice.names)
    if len(own) == len(names):
        return kept, [own[k] for k in kept]
    if len(own) == len(kept):
        return kept, own
    raise ArgumentError(f"names gives {len(own)} names for {len(names)} features of {where}.")


def trajectory_starts(column: Any) -> list[int]:
    """Return the first row of each trajectory, by the column that numbers them if there is one."""
    if column is None:
        return [0]
    ids = np.asarray(column)
    if ids.dtype.kind == "O":
        ids = ids.astype(str)
    return [0, *(np.flatnonzero(ids[1:] != ids[:-1]) + 1).tolist()]


def _numbers(wanted: Sequence[Column], names: Sequence[str], where: str, option: str) -> list[int]:
    """Return the numbers of the columns asked for; a text may list several, with commas."""
    numbers: list[int] = []
    for item in wanted:
        parts: Sequence[Column] = [item]
        if isinstance(item, str) and item not in names and "," in item:
            parts = [part.strip() for part in item.split(",") if part.strip()]
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
    _check_column(wanted, "time_column")
    if wanted == "none" and wanted not in names:
        return None
    return _number(wanted, names, where, "time_column")
