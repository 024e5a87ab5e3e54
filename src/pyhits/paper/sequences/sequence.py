"""What every maker of a sequence returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pyhits.data.trajectories import Trajectories


@dataclass(frozen=True)
class Sequence:
    """One sequence of snapshots, and what is known about it.

    Parameters
    ----------
    name : str
        Of the sequence.
    data : np.ndarray, shape (time, feature)
        Snapshots, one a row; images are flattened row by row.
    dt : float
        Time between snapshots, in the unit that the maker names.
    facts : mapping of str to anything
        Numbers that describe it, such as the shape of an image or a sample rate.
    """

    name: str
    data: np.ndarray
    dt: float
    facts: Mapping[str, Any] = field(default_factory=dict)

    def trajectories(self) -> Trajectories:
        """Return the snapshots as one trajectory; whole numbers become float64."""
        return Trajectories(self.data, dt=self.dt)
