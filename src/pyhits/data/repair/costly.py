"""Features that cost a recording most of its rows, and the ways around."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyhits.data.repair.gaps import longest_run
from pyhits.data.repair.recording import Recording
from pyhits.data.tables.column_choice import as_list, for_shell
from pyhits.errors import DataError
from pyhits.util.printable import listing

#: Share of the rows whose loss is said.
_LOSS = 0.1

#: Share of the rows that a feature lacks before it is called costly.
_LACK = 0.05

#: Features that a note names, at most.
_MOST_NAMED = 6

#: Longest gap, in rows, that is worth filling.
_LONGEST = 20


class LostRows(DataError):
    """So little is left of a recording that nothing can be learned from it.

    Attributes
    ----------
    costly : list of str
        Features that rows were lost for; empty if it was something else.
    """

    def __init__(self, why: str, costly: Sequence[str] = ()) -> None:
        super().__init__(why)
        self.costly = list(costly)


def costly_features(
    given: list[Recording], names: Sequence[str], gaps: str
) -> tuple[list[str], list[str]]:
    """Find features that cost many rows, and say how many, and how to keep these.

    Parameters
    ----------
    names : sequence of str
        One a feature.
    gaps : {"cut", "fill"}
        What is done where values are missing.

    Returns
    -------
    costly : list of str
        Their names; empty if no feature would be left without them.
    notes : list of str
        Empty if few rows are lost.
    """
    missing = np.concatenate([np.isnan(r.values) for r in given])
    n_rows = len(missing)
    n_whole = int((~missing.any(axis=1)).sum())
    lacks = missing.mean(axis=0)
    costly = np.flatnonzero(lacks > _LACK)
    if n_whole >= (1 - _LOSS) * n_rows or len(costly) == 0:
        return [], []
    longest = max(longest_run(np.isnan(r.values[:, k])) for r in given for k in costly)
    if gaps == "fill" and longest <= _LONGEST:
        return [], []
    shown = listing([f"{names[k]!r} lacks {lacks[k]:.0%}" for k in costly.tolist()], _MOST_NAMED)
    lost = 1 - n_whole / n_rows
    note = f"{lost:.0%} of the rows are lost, {n_whole} of {n_rows} are whole: {shown}."
    rest = np.delete(missing, costly, axis=1)
    listed = [names[int(k)] for k in costly] if rest.shape[1] else []
    if listed:
        n_kept = int((~rest.any(axis=1)).sum())
        note += (
            f" without_columns={listed!r} (--without-columns {for_shell(as_list(listed))}) leaves "
            f"{'it' if len(costly) == 1 else 'them'} out and keeps {n_kept}."
        )
    if gaps == "cut" and longest <= _LONGEST:
        note += (
            f" gaps='fill' with longest_gap={longest + 1} (--gaps fill --longest-gap "
            f"{longest + 1}) interpolates what is missing."
        )
    return listed, [note]
