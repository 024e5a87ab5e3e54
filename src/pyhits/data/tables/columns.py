"""Columns of a table: what they are called, which are read, and what each of them is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pyhits.data.tables.column_choice import ColumnChoice, column_number, column_numbers, for_shell
from pyhits.data.tables.time_column import find_time, holds_dates, rise_of
from pyhits.data.tables.time_names import is_count_name, is_trajectory_name, time_name
from pyhits.errors import ArgumentError, DataError
from pyhits.util.printable import is_number, listing


@dataclass(frozen=True)
class Roles:
    """What each column of a table is."""

    names: list[str]  # one a column, none of them blank or there twice
    features: list[int]  # numbers of the columns that are features, in order
    #: time, trajectory: Numbers of the columns of times and of trajectory numbers.
    time: int | None = None
    trajectory: int | None = None
    notes: list[str] = field(default_factory=list)  # what a user should know


def assign_roles(
    names: Sequence[str], columns: Sequence[Any], where: str, choice: ColumnChoice
) -> Roles:
    """Find out which columns are features, which the time, and which numbers the trajectories.

    Raises ArgumentError: a column that was chosen is not there.
    Raises DataError: several columns are times or number the trajectories, or no column is a
    feature.

    Parameters
    ----------
    names, columns : sequence of str, and of array of shape (n_rows,)
    """
    n, given, shown = len(names), choice.names, list(names)
    if given is not None and len(given) == n:
        shown, given = list(given), None
    own, notes = distinct(shown)
    gone = set(column_numbers(choice.without_columns, own, where, "without_columns"))
    wanted = None
    if choice.columns is not None:
        wanted = column_numbers(choice.columns, own, where, "columns")
    like = choice.like.among(own) if choice.like is not None and not choice else None
    wanted = wanted if like is None else like
    left = [k for k in range(n) if k not in gone]
    trajectory = _trajectory(left, own, where)
    candidates = [k for k in left if k != trajectory]
    named = {k: own[k] if shown[k].strip() else "" for k in candidates}
    starts = trajectory_starts(None if trajectory is None else columns[trajectory])
    if choice.time_column is None:
        time, dropped, said = _time(named, columns, starts, where)
    else:
        time, said = column_number(choice.time_column, own, where), []
        dropped = set() if time is None else _row_numbers(named, columns, time)
    if like is not None and choice.like is not None and choice.time_column is None:
        time = _time_for_model(like, time, candidates, columns, starts, choice.like.dt)
    features = [k for k in candidates if k != time and k not in dropped]
    if wanted is None:
        features, texts = _numeric(features, columns, own, time)
        notes += [*said, *texts]
    else:
        features = [k for k in wanted if k not in (time, trajectory)]
    if not features:
        raise DataError(f"No column of {where} holds a state: got only {', '.join(names)}.")
    if given is not None:
        _rename(own, given, features, wanted, where)
    return Roles(own, features, time, trajectory, notes)


def _trajectory(left: Sequence[int], own: Sequence[str], where: str) -> int | None:
    """Return the column that numbers the trajectories, if there is one."""
    found = [k for k in left if is_trajectory_name(own[k])]
    if len(found) > 1:
        both = ", ".join(own[k] for k in found)
        raise DataError(
            f"Several columns of {where} look like the trajectory: {both}. Leave all but one out "
            "with without_columns=[...] (--without-columns)."
        )
    return found[0] if found else None


def _rename(
    own: list[str],
    given: Sequence[str],
    features: Sequence[int],
    wanted: Sequence[int] | None,
    where: str,
) -> None:
    """Give the features, or the columns that were chosen, the names that were given."""
    targets = features if len(given) == len(features) else (wanted or [])
    if len(given) != len(targets):
        raise ArgumentError(
            f"names gives {len(given)} names, but {where} has {len(own)} columns, of which "
            f"{len(features)} are features: {', '.join(own[k] for k in features)}."
        )
    for k, name in zip(targets, given, strict=True):
        own[k] = name


def _time(
    named: dict[int, str], columns: Sequence[Any], starts: Sequence[int], where: str
) -> tuple[int | None, set[int], list[str]]:
    """Return the column of times, those that only number the rows, and what is to be said.

    Parameters
    ----------
    named : dict
        Names of the columns that may be the time, by their numbers; blank where they have none.
    """
    candidates = list(named)
    found = find_time(list(named.values()), [columns[k] for k in candidates], starts, where)
    time = None if found.number is None else candidates[found.number]
    return time, {candidates[k] for k in found.row_numbers}, list(found.notes)


def _row_numbers(named: dict[int, str], columns: Sequence[Any], time: int) -> set[int]:
    """Return the columns that only number the rows, other than the time that was chosen."""
    return {k for k, name in named.items() if k != time and _numbers_rows(name, columns[k])}


def _numbers_rows(name: str, column: Any) -> bool:
    """Tell whether a column counts the rows, and is named so."""
    return (not name or is_count_name(name)) and rise_of(column).counts_rows


def _time_for_model(
    like: Sequence[int],
    found: int | None,
    candidates: Sequence[int],
    columns: Sequence[Any],
    starts: Sequence[int],
    dt: float,
) -> int | None:
    """Return the column of times next to the features of a model: one with its step, if need be."""
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
    features: list[int], columns: Sequence[Any], own: list[str], time: int | None
) -> tuple[list[int], list[str]]:
    """Leave out columns of text and of dates, and say so; if nothing else is there, keep them."""
    texts = [k for k in features if _is_text(columns[k])]
    chosen = [k for k in features if k not in texts]
    if not texts or not chosen:
        return features, []
    timed = [
        own[k] for k in texts if time is None and (time_name(own[k]) or _may_be_dates(columns[k]))
    ][:1]
    hint = (
        f" If {timed[0]!r} holds the time, time_column={timed[0]!r} with time_format "
        f"(--time-column {for_shell(timed[0])} --time-format) says how it is written."
        if timed
        else ""
    )
    shown = listing([f"{own[k]!r} ({_example(columns[k])})" for k in texts])
    return chosen, [
        f"Left out, as they hold no numbers: {shown}. If a column names the "
        f"trajectories, call it 'trajectory' (names=[...], --names).{hint}"
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
    texts = sum(not is_number(item) for item in known)
    return len(known) > 0 and 2 * texts > len(known) and 2 * texts > len(array[:1000])


def _may_be_dates(column: Any) -> bool:
    """Tell whether texts differ from row to row and hold numbers, as dates do."""
    texts = [str(item) for item in np.asarray(column)[:1000].tolist()]
    return len(set(texts)) == len(texts) > 1 and all(
        sum(map(str.isdigit, text)) > 3 for text in texts
    )


def _example(column: Any) -> str:
    if np.asarray(column).dtype.kind == "m":
        return "durations; dt.total_seconds() makes numbers of them"
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
        rest = listing([name for name in blank if name != found[0]], quoted=True)
        notes.append(
            f"Columns without a name are called {rest}; names=[...] (--names) gives others."
        )
    if twice:
        notes.append(
            f"Names that are there twice are changed: {listing(twice)}; "
            "names=[...] (--names) gives others, without_columns=[...] (--without-columns) leaves "
            "columns out."
        )
    return found, notes


def chosen_features(
    choice: ColumnChoice, names: Sequence[str], where: str
) -> tuple[list[int], list[str]]:
    """Return the numbers and names of the features chosen among those of an array.

    Raises ArgumentError: a feature that was chosen is not there, none is left, or the names are not
    one a feature.

    Parameters
    ----------
    names : sequence of str
        Of all features.
    """
    gone = column_numbers(choice.without_columns, names, where, "without_columns")
    wanted: Sequence[int] = range(len(names))
    if choice.columns is not None:
        wanted = column_numbers(choice.columns, names, where, "columns")
    chosen = [k for k in wanted if k not in gone]
    if not chosen:
        raise ArgumentError(f"No feature of {where} is left; there are {', '.join(names)}.")
    own = list(names) if choice.names is None else list(choice.names)
    if len(own) == len(names):
        return chosen, [own[k] for k in chosen]
    if len(own) == len(chosen):
        return chosen, own
    raise ArgumentError(f"names gives {len(own)} names for {len(names)} features of {where}.")


def trajectory_starts(column: Any) -> list[int]:
    """Return the first row of each trajectory, by the column that numbers them if there is one."""
    if column is None:
        return [0]
    ids = np.asarray(column)
    if ids.dtype.kind == "O":
        ids = ids.astype(str)
    return [0, *(np.flatnonzero(ids[1:] != ids[:-1]) + 1).tolist()]
