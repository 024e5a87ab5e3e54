"""Missing values, named and counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pyhits.data.repair.gaps import alike
from pyhits.data.repair.recording import Recording, counted, listed, named_of
from pyhits.data.tables.column_choice import as_list, for_shell
from pyhits.errors import DataError
from pyhits.util.printable import listing

#: Columns that may be the points of a field, at least.
_FIELD = 16

#: Notes on missing values, at most; the others are counted.
_MOST_NOTES = 8

#: Rows with a value, and the share of them that are as far apart as most, from which on a feature
#: was recorded at another rate.
_LEAST_KNOWN, _MOSTLY = 4, 0.8

#: Features that one note names, at most.
_MOST_NAMES = 6


def without_infinite(given: list[Recording], notes: list[str]) -> list[Recording]:
    """Take infinite values for missing, and say how many there are."""
    cleaned = []
    for recording in given:
        infinite = np.isinf(recording.values)
        if infinite.any():
            rows = recording.rows[infinite.any(axis=1)]
            notes.append(
                f"{named_of(recording.number, len(given))}"
                f"{counted(int(infinite.sum()), 'infinite value')} taken as missing "
                f"({listed(rows)})."
            )
            values = np.where(infinite, np.nan, recording.values)
            cleaned.append(replace(recording, values=values))
        else:
            cleaned.append(recording)
    return cleaned


def empty_features(
    given: list[Recording], names: Sequence[str]
) -> tuple[list[Recording], list[str], list[str]]:
    """Leave out features without a single value; return recordings, names and what is to be said.

    Raises DataError: no feature has a value.
    """
    empty = np.all([np.isnan(r.values).all(axis=0) for r in given], axis=0)
    if not empty.any():
        return given, list(names), []
    if empty.all():
        raise DataError("Every value is missing; there is nothing to learn from.")
    gone = [names[k] for k in np.flatnonzero(empty).tolist()]
    left = [replace(r, values=r.values[:, ~empty]) for r in given]
    note = f"Left out, without a single value: {listing(gone, _MOST_NAMES, quoted=True)}."
    if len(names) >= _FIELD:
        note += " If these are points of a field, the rest is no grid: fit by modes, grid='none'."
    return left, [names[k] for k in np.flatnonzero(~empty).tolist()], [note]


def what_is_missing(given: list[Recording], names: Sequence[str]) -> list[str]:
    """Say which features lack which rows, by trajectory; those that lack the same together."""
    notes: list[str] = []
    untold = 0
    for recording in given:
        missing = np.isnan(recording.values)
        if not missing.any():
            continue
        for hole, of in sorted(alike(missing), key=lambda group: -int(group[0].sum())):
            rows = recording.rows[hole]
            if not len(rows):
                continue
            if len(notes) == _MOST_NOTES:
                untold += len(rows) * len(of)
                continue
            label = named_of(recording.number, given[-1].number + 1)
            all_of_them = len(of) == len(names) > 1
            lacking = [names[j] for j in of.tolist()]
            who = "every feature" if all_of_them else listing(lacking, _MOST_NAMES, quoted=True)
            lack = "lacks" if len(of) == 1 or all_of_them else "lack"
            notes.append(
                f"{label}{who} {lack} {len(rows)} of {len(recording)} rows ({listed(rows)})."
                + _at_another_rate(hole, lacking)
            )
    if untold:
        notes.append(f"{counted(untold, 'more value')} missing.")
    return notes


def _at_another_rate(hole: np.ndarray, names: Sequence[str]) -> str:
    """Return what to do about features that have a value in every k-th row; empty if they do not.

    Parameters
    ----------
    hole : array of bool, shape (n_rows,)
        Where they lack one.
    """
    known = np.flatnonzero(~hole)
    spans, counts = np.unique(np.diff(known), return_counts=True)
    if len(known) < _LEAST_KNOWN:
        return ""
    usual = int(spans[np.argmax(counts)])
    if usual < 2 or counts.max() < _MOSTLY * (len(known) - 1):
        return ""
    one = len(names) == 1
    shown = list(names[:_MOST_NAMES])
    return (
        f" {'It was' if one else 'They were'} recorded in one row of {usual}: gaps='fill' with "
        f"longest_gap={usual} (--gaps fill --longest-gap {usual}) interpolates between, and "
        f"without_columns={shown!r} (--without-columns {for_shell(as_list(shown))}) leaves "
        f"{'it' if one else 'them'} out."
    )
