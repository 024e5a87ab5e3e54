"""How far a forecast goes: all steps, or some times."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyhits.coordinates.starts import positions
from pyhits.data.limits import check_size
from pyhits.errors import ArgumentError
from pyhits.util.checks import as_count


@dataclass(frozen=True)
class Horizon:
    """Steps of a forecast, and the times to return."""

    n_steps: int  # in multiples of ``dt``
    at: np.ndarray | None  # (m,), or None: times in multiples of ``dt``; None for all steps

    @classmethod
    def of(cls, n_steps: Any, t: Any, dt: float) -> Horizon:
        """Return the horizon asked for: ``n_steps``, or times ``t`` in the unit of ``dt``.

        Raises ArgumentError: both or none are given, or one of them is no such thing.
        """
        if (n_steps is None) == (t is None):
            raise ArgumentError("Give either n_steps or the times t.")
        if t is None:
            return cls(as_count(n_steps, "n_steps", most=None), None)
        at = positions(t, dt)
        return cls(max(1, math.ceil(at.max())), at)

    @property
    def steps(self) -> np.ndarray:
        """Times returned, in multiples of ``dt``."""
        return np.arange(self.n_steps + 1, dtype=np.float64) if self.at is None else self.at

    def check_size(self, states: np.ndarray, n_features: int, *, to_file: bool = False) -> None:
        """Raise an ArgumentError where a forecast from ``states`` does not fit into memory."""
        check_size(
            len(states),
            self.n_steps,
            n_features,
            n_times=None if self.at is None else len(self.at),
            to_file=to_file,
            itemsize=states.dtype.itemsize,
        )
