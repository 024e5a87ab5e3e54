"""How far from recorded data forecasts of recordings may lead before they count as lost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

#: Part of the range that any forecast may leave it by.
_BEYOND = 0.5


class Bounds(NamedTuple):
    """The range of training data, which moves on no faster than it was crossed.

    Attributes
    ----------
    low, high : array, shape (d,)
    rows : float
        Of a recording: those that its range was crossed in.
    """

    low: np.ndarray
    high: np.ndarray
    rows: float

    def around(self, known: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how low and how high forecasts may be, ``(n, m, d)`` each.

        The range of the training data and the known rows, half of it, and as much of it as a
        straight line would cross from the last row on.

        Parameters
        ----------
        known : array, shape (n, time, d)
            Rows up to the initial states.
        positions : array, shape (m,)
            Times since these, in multiples of ``dt``.
        """
        low = np.minimum(known.min(axis=1, keepdims=True), self.low)
        high = np.maximum(known.max(axis=1, keepdims=True), self.high)
        margin = (_BEYOND + positions / self.rows)[:, None] * (high - low)
        return low - margin, high + margin

    def is_lost(self, states: np.ndarray, known: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Return from where on forecasts ``(n, m, d)`` are beyond the bounds, ``(n, m, 1)``."""
        low, high = self.around(known, positions)
        with np.errstate(invalid="ignore"):
            far = ((states < low) | (states > high)).any(axis=2, keepdims=True)
        return np.asarray(np.logical_or.accumulate(far, axis=1))

    def held(self, states: np.ndarray, known: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Return forecasts within the bounds; what has diverged to no number stays as it is."""
        return np.where(
            np.isfinite(states), np.clip(states, *self.around(known, positions)), states
        )
