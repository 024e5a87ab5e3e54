"""The columns of the tables that PyHiTS writes (text and Parquet)."""

from __future__ import annotations

from pyhits.data.tables.time_names import is_time_name, is_trajectory_name, time_name
from pyhits.data.trajectories import Trajectories
from pyhits.errors import DataError


def column_names(trajectories: Trajectories) -> list[str]:
    """Return ``trajectory`` (if there are several), the times' name and the features' names.

    Times keep the name that they came with; otherwise they are ``t``, and dates ``time``.

    Raises
    ------
    DataError
        A feature has a name that would be taken for the time or the trajectory on reading.
    """
    for name in trajectories.feature_names:
        if is_time_name(name) or is_trajectory_name(name):
            raise DataError(
                f"The feature {name!r} would be read as the time or the trajectory; rename it, or "
                "write .npz instead."
            )
    time = time_label(trajectories)
    lead = ["trajectory", time] if len(trajectories) > 1 else [time]
    return [*lead, *trajectories.feature_names]


def time_label(trajectories: Trajectories) -> str:
    """Return the name of the column of times."""
    axis = trajectories.axis
    known = axis.name is not None and axis.name not in trajectories.feature_names
    if known and axis.name and (axis.has_dates or axis.unit or time_name(axis.name)):
        return axis.name
    return "time" if axis.has_dates else "t"
