"""Errors of forecasts, measured in one way for the whole library.

Arrays are ``(n, time, d)``. Where the truth is not finite, as beyond the end of a shorter
trajectory, nothing is compared; where the forecast alone is not finite, it has diverged and its
error is infinite. All arithmetic is in float64, on some trajectories at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

#: A forecast is valid while its error, in standard deviations of the truth, stays below this.
VALID_THRESHOLD = 0.4

#: Numbers compared at a time; one trajectory at least.
AT_ONCE = 1 << 18


@dataclass(frozen=True, eq=False)
class ForecastErrors:
    """Squared errors of a forecast, summed over trajectories."""

    #: (time, d): squared errors in units of ``scale**2``; infinite where a forecast diverged.
    sums: np.ndarray
    counts: np.ndarray  # (time, d): values of the truth that are known
    #: Bool, (n,): which forecasts are not finite somewhere where the truth is known.
    diverged: np.ndarray

    @classmethod
    def of(
        cls,
        truth: np.ndarray,
        forecast: np.ndarray,
        scale: np.ndarray | float = 1.0,
        *,
        first: int = 1,
        bound: float = np.inf,
    ) -> ForecastErrors:
        """Compare a forecast with the truth.

        Parameters
        ----------
        truth : array, shape (n, time, d)
        forecast : array, shape (n, time, d)
            Or one that broadcasts to it, such as ``(n, 1, d)``.
        scale : array, shape (d,), or float
            Unit of the errors.
        first : int
            First row that counts; initial states are given, and do not.
        bound : float
            The most that a squared error counts for, that of a forecast that diverged included.
        """
        sums = np.zeros(truth.shape[1:])
        counts = np.zeros(truth.shape[1:])
        diverged = np.zeros(len(truth), dtype=bool)
        rest = slice(first, None)
        for part, known, squares in _blocks(truth[:, rest], _like(forecast, truth)[:, rest], scale):
            if not np.isfinite(squares.sum()):
                lost = known & ~np.isfinite(squares)
                diverged[part] = lost.reshape(len(lost), -1).any(axis=1)
                squares[lost] = np.inf
                squares[~known] = 0.0
            if bound < np.inf:
                np.minimum(squares, bound, out=squares)
            sums[rest] += squares.sum(axis=0)
            counts[rest] += len(known) if known.all() else known.sum(axis=0)
        return cls(sums, counts, diverged)

    @property
    def per_feature(self) -> np.ndarray:
        """Mean squared error of each feature, shape ``(d,)``; 0 where nothing is known."""
        # A product is several times faster than a sum over all but a short last axis.
        every = np.ones(len(self.sums))
        return np.asarray((every @ self.sums) / np.maximum(every @ self.counts, 1))

    @property
    def per_step(self) -> np.ndarray:
        """Mean squared error at each time, shape ``(time,)``; 0 where nothing is known."""
        return np.asarray(self.sums.sum(axis=1) / np.maximum(self.counts.sum(axis=1), 1))

    @property
    def mse(self) -> float:
        """Mean squared error over the features; infinite if one diverged or nothing is known."""
        return float(self.per_feature.mean()) if self.counts.any() else np.inf

    @property
    def rmse(self) -> float:
        """Root of :attr:`mse`."""
        return float(np.sqrt(self.mse))

    @property
    def n_diverged(self) -> int:
        """Number of forecasts that diverged."""
        return int(self.diverged.sum())


def scaled_errors(truth: np.ndarray, forecast: np.ndarray, scale: np.ndarray | float) -> np.ndarray:
    """Return ``(forecast - truth) / scale`` in float64; what is not finite stays so, unsaid."""
    with np.errstate(invalid="ignore", over="ignore"):
        errors = np.subtract(forecast, truth, dtype=np.float64)
        errors /= scale
    return np.asarray(errors)


def count_valid_steps(
    truth: np.ndarray,
    forecast: np.ndarray,
    scale: np.ndarray | float,
    threshold: float = VALID_THRESHOLD,
) -> np.ndarray:
    """Return the steps of each trajectory before its row error passes a threshold, ``(n,)``.

    The number of steps recorded, for a trajectory whose error never passes; 0 where the first row
    is as wrong.
    """
    steps = np.zeros(len(truth), dtype=np.int64)
    for part, known, squares in _blocks(truth, _like(forecast, truth), scale):
        recorded = known.all(axis=2)
        wrong = recorded & ~(_row_means(squares) <= threshold)
        right = np.maximum(np.argmax(wrong, axis=1) - 1, 0)
        steps[part] = np.where(wrong.any(axis=1), right, recorded.sum(axis=1) - 1)
    return steps


def _blocks(
    truth: np.ndarray, forecast: np.ndarray, scale: np.ndarray | float
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yield some trajectories, where their truth is known, and their squared errors; new arrays."""
    size = max(1, AT_ONCE // max(1, truth[:1].size))
    for begin in range(0, len(truth), size):
        part = slice(begin, begin + size)
        squares = scaled_errors(truth[part], forecast[part], scale)
        with np.errstate(over="ignore"):
            np.square(squares, out=squares)
        yield part, np.isfinite(truth[part]), squares


def _like(forecast: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return a forecast in the shape of the truth; one row may stand for all times."""
    return np.broadcast_to(forecast, truth.shape)


def _row_means(squares: np.ndarray) -> np.ndarray:
    """Return the roots of means over the last axis."""
    d = squares.shape[-1]
    # A product is several times faster than a mean over a short last axis.
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(np.sqrt(squares @ np.full(d, 1.0 / d)))
