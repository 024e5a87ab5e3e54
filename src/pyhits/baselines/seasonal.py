"""The seasonal baseline: the last period, again and again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from pyhits.baselines.simple import BASELINES, SimpleBaseline, same_shape
from pyhits.util.stored import Array

#: Correlation that a period must have with the next, and the part of the best that is as good.
_LEAST, _AS_GOOD = 0.3, 0.9

#: Trajectories that a period is looked for in, and rows of each, at most.
_MOST, _MOST_ROWS = 64, 1 << 16

#: Numbers in one period, at most.
_MOST_NUMBERS = 1 << 20


@BASELINES.register
class Seasonal(SimpleBaseline):
    """The forecast that the last period repeats itself.

    The period is the first lag at which the training data's autocorrelation has a peak that is
    nearly its highest. From a recording of at least one period, that recording's last one is
    repeated; from a state alone, the training data's last, from where it comes nearest to the
    state. Data without a period, or less than two of them, give persistence.

    Attributes
    ----------
    period_ : int
        In rows; 1 if none was found.
    template_ : array, shape (period_, d)
        The last period of the last trajectory that is as long, scaled.
    """

    kind: ClassVar[str] = "seasonal"
    arrays: ClassVar[Mapping[str, Array]] = {"template": Array(2)}
    cost = 1

    @property
    def label(self) -> str:
        """Name in a table, with the period."""
        if self.period_ == 1:
            return f"{self.kind} (no period found)"
        return f"{self.kind} (period {self.period_ * self.dt_:.4g})"

    def _train(self, train: list[np.ndarray], validation: list[np.ndarray], seed: int) -> None:
        most = max(1, _MOST_NUMBERS // train[0].shape[1])
        self.period_ = find_period(train, most)
        long = [rows for rows in train if len(rows) >= self.period_]
        self.template_ = long[-1][-self.period_ :].copy()
        self.n_parameters_, self.history_ = self.template_.size, []

    def _run(self, rows: np.ndarray, n_steps: int) -> np.ndarray:
        period, last = self.period_, rows[:, -1]
        if period == 1:
            return np.repeat(rows[:, -1:], n_steps, axis=1)
        ahead = np.arange(n_steps)
        if rows.shape[1] >= period:
            return rows[:, -period:][:, ahead % period]
        template = self.template_
        lengths = np.einsum("pd,pd->p", template, template)
        nearest = (lengths - 2 * last @ template.T).argmin(axis=1)
        return np.asarray(template[(nearest[:, None] + 1 + ahead) % period])

    def _learned(self) -> dict[str, np.ndarray]:
        return {"template": self.template_}

    def _set_learned(self, arrays: dict[str, np.ndarray]) -> None:
        self.period_ = len(arrays["template"])
        self.template_ = same_shape(arrays["template"], (self.period_, self.n_features_in_))
        if self.period_ == 0:
            raise ValueError("a baseline has an empty period")
        self.n_parameters_ = self.template_.size


def find_period(train: Sequence[np.ndarray], most: int) -> int:
    """Return the period of trajectories in rows, at most ``most``; 1 where there is none.

    The autocorrelation is that of all features and trajectories together, each about its own mean,
    up to half the length of the longest.
    """
    longest = sorted(train, key=len)[-_MOST:]
    size = min(_MOST_ROWS, len(longest[-1]))
    length = next_fast_len(2 * size)
    power, pairs, lags = np.zeros(length // 2 + 1), np.zeros(size), np.arange(size)
    for rows in longest:
        part = rows[-size:] - rows[-size:].mean(axis=0)
        power += np.square(np.abs(rfft(part, length, axis=0))).sum(axis=1)
        pairs += np.maximum(len(part) - lags, 0)
    half = min(size // 2, most) + 1
    together = irfft(power, length)[:half]
    if half < 3 or together[0] <= 0:
        return 1
    correlation = together / together[0] * pairs[0] / np.maximum(pairs[:half], 1)
    negative = np.flatnonzero(correlation < 0)
    if not len(negative):
        return 1
    inner = correlation[1:-1]
    peaks = 1 + np.flatnonzero((inner >= correlation[:-2]) & (inner > correlation[2:]))
    peaks = peaks[peaks > negative[0]]
    if not len(peaks) or correlation[peaks].max() < _LEAST:
        return 1
    return int(peaks[correlation[peaks] >= _AS_GOOD * correlation[peaks].max()][0])
