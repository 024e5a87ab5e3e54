"""The last seasons again, with the drift from one to the next: the simplest forecast of a trend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np

from pyhits.baselines.chosen import ChosenBaseline, Option, Tried
from pyhits.baselines.origins import Origins
from pyhits.baselines.simple import BASELINES
from pyhits.util.stored import Array

#: Last seasons whose shapes are averaged; and from which part of the rows the drift is taken.
_SEASONS, _PARTS = (1, 2, 4), (0, 1, 3)


@BASELINES.register
class SeasonalDrift(ChosenBaseline):
    """The mean shape of the last seasons on the level of the last, moving on as it did.

    The period, one that shows or one of the calendar, how many seasons are averaged, and whether
    the drift is none, that of all rows or that of their last third are chosen. Without a period it
    is persistence with drift.

    Attributes
    ----------
    option_ : tuple of int
        Period, seasons, and the part of the rows that the drift is of: 0 none, 1 all, 3 a third.
    slope_ : array, shape (d,)
        Drift from row to row, scaled.
    """

    kind: ClassVar[str] = "seasonal drift"
    arrays: ClassVar[Mapping[str, Array]] = {**ChosenBaseline.arrays, "slope": Array()}
    default = (1, 1, 0)
    limits = (1, 1 << 20), (1, max(_SEASONS)), (0, max(_PARTS))
    cost = 1

    @property
    def label(self) -> str:
        """Name in a table, with the period."""
        period, _, part = self.option_
        about = [f"period {period * self.dt_:.4g}"] if period > 1 else []
        about += [] if part else ["no drift"]
        return f"{self.kind} ({', '.join(about)})" if about else self.kind

    @property
    def n_rows(self) -> int:
        """Rows that a forecast looks at."""
        return self.option_[0] * self.option_[1]

    def _tried(self, train: Sequence[np.ndarray], origins: Origins) -> Iterator[Tried]:
        for period in dict.fromkeys((1, *self._periods)):
            for seasons in _SEASONS if period > 1 else (1,):
                if period * seasons > min(origins.rows, len(max(train, key=len)) - 1):
                    continue
                for part in _PARTS:
                    slope = _slope(train, period, part)
                    ahead = _ahead(origins.history, origins.horizon, (period, seasons), slope)
                    yield Tried((period, seasons, part), ahead)

    def _solve(self, train: Sequence[np.ndarray], option: Option) -> None:
        self.slope_ = _slope(train, option[0], option[2])

    def _on(self, rows: np.ndarray, n_steps: int) -> np.ndarray:
        period, seasons, _ = self.option_
        return _ahead(rows, n_steps, (period, seasons), self.slope_)

    def _fits(self) -> bool:
        return self.slope_.shape == (self.n_features_in_,)


def _slope(train: Sequence[np.ndarray], period: int, part: int) -> np.ndarray:
    """Return the mean change from row to row, over whole periods."""
    zero = np.zeros(train[0].shape[1])
    if part == 0:
        return zero
    some = [rows[-max(len(rows) // part, 2 * period + 1) :] for rows in train]
    changes = [rows[period:] - rows[:-period] for rows in some if len(rows) > period]
    return np.asarray(np.concatenate(changes).mean(axis=0) / period) if changes else zero


def _ahead(
    rows: np.ndarray, n_steps: int, option: tuple[int, int], slope: np.ndarray
) -> np.ndarray:
    """Return the forecast of scaled rows ``(n, time, d)``."""
    period, seasons = option
    last = rows[:, -period * seasons :].reshape(len(rows), seasons, period, rows.shape[2])
    level = last.mean(axis=2, keepdims=True)
    # Within a season rows are apart by their places, which the drift goes on from.
    shape = (last - level).mean(axis=1) + level[:, -1]
    steps = np.arange(n_steps)
    ahead = shape[:, steps % period]
    turns = (steps // period + 1) * period
    return np.asarray(ahead + turns[:, None] * slope)
