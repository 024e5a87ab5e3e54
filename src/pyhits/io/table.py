"""The columns of the tables that PyHiTS writes (text and Parquet)."""

from __future__ import annotations

from pyhits.errors import DataError
from pyhits.time_names import is_time_name, is_trajectory_name
from pyhits.trajectories import Trajectories


def column_names(trajectories: Trajectories) -> list[str]:
    """Return ``trajectory`` (if there are several), ``t`` and the features' names.

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
    lead = ["trajectory", "t"] if len(trajectories) > 1 else ["t"]
    return [*lead, *trajectories.feature_names]
