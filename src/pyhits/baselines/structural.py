"""Level, trend and seasons that wander: what is to be expected of them after the last rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import ClassVar

import numpy as np

from pyhits.baselines.chosen import ChosenBaseline, Option, Tried
from pyhits.baselines.origins import Origins
from pyhits.baselines.simple import BASELINES
from pyhits.util.stored import Array

#: Variances of the steps of the level, of the slope (none: no trend) and, over a period, of the
#: season, in variances of the noise.
_LEVELS, _SLOPES, _SEASONS = (0.0, 0.01, 0.1, 1.0, 10.0), (None, 0.0, 1e-4, 1e-2), (0.0, 0.03, 0.3)

#: Variance of what is not known before the first row; of the shape of a season.
_UNKNOWN, _SHAPE = 1e5, 1e3

#: Rows that must be known, and that are looked at, without a season and at most; periods of one.
_LEAST_ROWS, _ROWS, _MOST_ROWS, _PERIODS = 3, 60, 240, 4


@BASELINES.register
class Structural(ChosenBaseline):
    """A level, a trend and seasons that are random walks, in noise (Harvey 1989).

    The forecast is their conditional mean given the last rows, which is linear in these: trend and
    seasons go on as they are now, not as they once were. Which of them there are, and how fast each
    wanders, is chosen; nothing else is learned.

    Attributes
    ----------
    option_ : tuple of int
        Which of the variances of level, slope and season; two periods, 0 for none.
    """

    kind: ClassVar[str] = "structural"
    most_features = 4096
    arrays: ClassVar[Mapping[str, Array]] = ChosenBaseline.arrays
    default = (len(_LEVELS) - 1, 0, 0, 0, 0)
    limits = (
        *((0, len(values) - 1) for values in (_LEVELS, _SLOPES, _SEASONS)),
        *[(0, _MOST_ROWS // 2)] * 2,
    )
    cost = 2

    @property
    def label(self) -> str:
        """Name in a table, with what moves."""
        _, slope, _, *seasons = self.option_
        about = ["trend"] if _SLOPES[slope] is not None else []
        about += [f"period {period * self.dt_:.4g}" for period in seasons if period]
        return f"{self.kind} ({', '.join(about)})" if about else self.kind

    @property
    def n_rows(self) -> int:
        """Rows that a forecast must know at least: two periods."""
        return max(_LEAST_ROWS, 2 * max(self.option_[3:]))

    @property
    def most_rows(self) -> int:
        """Rows that a forecast looks at where there are as many."""
        return _rows(self.option_)

    def _tried(self, train: Sequence[np.ndarray], origins: Origins) -> Iterator[Tried]:
        found = self._seasons(train)
        pairs = [(0, 0), *((period, 0) for period in found), tuple(found[:2])]
        for seasons in pairs:
            longest = max(seasons, default=0)
            if len(seasons) < 2 or max(_LEAST_ROWS, 2 * longest) > min(origins.rows, _MOST_ROWS):
                continue
            for slope in range(len(_SLOPES)):
                for level in range(len(_LEVELS)):
                    for season in range(len(_SEASONS) if longest else 1):
                        option = (level, slope, season, *seasons)
                        yield Tried(option, _ahead(origins.history, origins.horizon, option))

    def _solve(self, train: Sequence[np.ndarray], option: Option) -> None:
        """Nothing is learned beside the settings."""

    def _on(self, rows: np.ndarray, n_steps: int) -> np.ndarray:
        return _ahead(rows, n_steps, self.option_)


def _rows(option: Option) -> int:
    """Return the rows that a forecast looks at."""
    return min(_MOST_ROWS, max(_ROWS, _PERIODS * max(option[3:])))


def _ahead(rows: np.ndarray, n_steps: int, option: Option) -> np.ndarray:
    """Return the forecast of scaled rows; ``(n, time, d)`` to ``(n, n_steps, d)``."""
    known = rows[:, -_rows(option) :]
    return np.asarray(_weights(option, known.shape[1], n_steps) @ known)


@lru_cache(maxsize=256)
def _weights(option: Option, rows: int, n_steps: int) -> np.ndarray:
    """Return what forecasts take of the last rows, ``(n_steps, rows)``."""
    level, slope, season, *seasons = option
    ones, once, trend, wander = _parts(rows, n_steps)
    covariance = _UNKNOWN * ones + _LEVELS[level] * once
    if (wandering := _SLOPES[slope]) is not None:
        covariance += trend + wandering * wander
    for period in filter(None, seasons):
        same, turns = _seasonal_parts(period, rows, n_steps)
        covariance += _SHAPE * same + _SEASONS[season] * turns
    known = covariance[:rows] + np.eye(rows)
    return np.asarray(np.linalg.solve(known, covariance[rows:].T).T)


@lru_cache(maxsize=8)
def _parts(rows: int, n_steps: int) -> tuple[np.ndarray, ...]:
    """Return covariances of all rows with the known ones: of what stays, of a level that walks.

    Then of the slope that a trend begins with, and of the random walk of slopes, added up.
    """
    at = np.arange(1.0, rows + n_steps + 1)
    one, other = at[:, None], at[:rows]
    first, last = np.minimum(one, other), np.maximum(one, other)
    trend = _UNKNOWN / rows**2 * one * other
    return np.ones_like(first), first, trend, first**2 * (last - first / 3) / 2


@lru_cache(maxsize=8)
def _seasonal_parts(period: int, rows: int, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return covariances of a season: of its shape, and of its steps from turn to turn."""
    at = np.arange(rows + n_steps)
    one, other = at[:, None], at[:rows]
    same = ((one - other) % period == 0).astype(np.float64)
    return same, same * np.minimum(one // period, other // period)
