"""The columns of the tables that PyHiTS writes (text and Parquet)."""

from __future__ import annotations

import numpy as np

from pyhits.data.tables.time_names import is_time_name, is_trajectory_name, time_name
from pyhits.data.trajectories import Trajectories
from pyhits.errors import DataError


def column_names(trajectories: Trajectories) -> list[str]:
    """Return ``trajectory`` (if there are several), the times' name and the features' names.

    The column of trajectories, and times, have the name that they came with; otherwise times are
    ``t``, and dates ``time``.

    Raises DataError: a feature has a name that would be taken for the time or the trajectory on
    reading.
    """
    for name in trajectories.feature_names:
        if is_time_name(name) or is_trajectory_name(name):
            raise DataError(
                f"The feature {name!r} would be read as the time or the trajectory; rename it, or "
                "write .npz instead."
            )
    time = time_label(trajectories)
    runs = run_column(trajectories)
    lead = [time] if runs is None else [runs[0], time]
    return [*lead, *trajectories.feature_names]


def run_column(trajectories: Trajectories) -> tuple[str, np.ndarray] | None:
    """Return the column of trajectories, its name and what it holds for each.

    It is as it came, otherwise their numbers if there are several; None for a single one.
    """
    runs = trajectories.runs
    if runs is None:
        n = len(trajectories)
        return ("trajectory", np.arange(n)) if n > 1 else None
    name, held = runs
    is_whole = held.dtype.kind == "f" and (held == np.rint(held)).all()
    return name, held.astype(np.int64) if is_whole else held


def time_label(trajectories: Trajectories) -> str:
    """Return the name of the column of times."""
    axis = trajectories.axis
    known = axis.name is not None and axis.name not in trajectories.feature_names
    if known and axis.name and (axis.has_dates or axis.unit or time_name(axis.name)):
        return axis.name
    return "time" if axis.has_dates else "t"
