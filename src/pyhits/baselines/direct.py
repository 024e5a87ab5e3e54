"""Linear maps from a window of rows to the whole horizon at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np

from pyhits.baselines.chosen import ChosenBaseline, Option, Tried
from pyhits.baselines.origins import Origins
from pyhits.baselines.simple import BASELINES
from pyhits.numerics.ridge_path import ridge_path
from pyhits.util.stored import Array

#: Relative ridges tried, the strongest first, as powers of ten; windows, beside whole periods.
_RIDGES, _WINDOWS = (-2, -3, -4, -6), (4, 12, 24, 48, 96)

#: Rows of the horizon that one map goes to; features up to which each has a map of its own.
_HORIZON, _MOST_MAPS = 100, 8

#: Windows times squared rows of one regression, at most.
_MOST_WORK = 1e7


@BASELINES.register
class DLinear(ChosenBaseline):
    """Every row of the horizon as a linear map of a window (Zeng et al. 2023, AAAI 37, 11121).

    Windows are taken relative to their last row or to their mean, which is the trend; ridge
    regression takes the place of gradient descent. Beyond the horizon that was learned the map is
    applied to its own forecasts.

    Attributes
    ----------
    option_ : tuple of int
        Rows of the window, what it is relative to (0 its last row, 1 its mean), exponent of the
        ridge without its sign.
    weights_ : array, shape (maps, 1 + window, horizon)
        One map a feature, or one for all; the constant first.
    """

    kind: ClassVar[str] = "dlinear"
    most_features = 4096
    arrays: ClassVar[Mapping[str, Array]] = {**ChosenBaseline.arrays, "weights": Array(3)}
    default = (1, 0, -_RIDGES[0])
    limits = (1, 1 << 16), (0, 1), (0, 16)
    cost = 3

    weights_: np.ndarray

    @property
    def label(self) -> str:
        """Name in a table, with the window."""
        return f"{self.kind} (window {self.option_[0]})"

    @property
    def n_rows(self) -> int:
        """Rows that a forecast looks at."""
        return self.option_[0]

    def _tried(self, train: Sequence[np.ndarray], origins: Origins) -> Iterator[Tried]:
        longest = len(max(train, key=len))
        horizon = min(_horizon(train), origins.horizon)
        seasons = self._seasons(train)
        for window in sorted({*_WINDOWS, *seasons, *(2 * period for period in seasons)}):
            if window > min(origins.rows, 2 * longest // 5):
                continue
            for relative in (0, 1):
                found = _maps(train, (window, horizon, relative), _RIDGES)
                for power, weights in zip(_RIDGES, found, strict=True):
                    ahead = _ahead(origins.history, origins.horizon, weights, relative)
                    yield Tried((window, relative, -power), ahead)

    def _solve(self, train: Sequence[np.ndarray], option: Option) -> None:
        window, relative, power = option
        self.weights_ = _maps(train, (window, _horizon(train), relative), (-power,))[0]

    def _on(self, rows: np.ndarray, n_steps: int) -> np.ndarray:
        return _ahead(rows, n_steps, self.weights_, self.option_[1])

    def _fits(self) -> bool:
        return self.weights_.shape[:2] == (_n_maps(self.n_features_in_), 1 + self.option_[0])


def _horizon(train: Sequence[np.ndarray]) -> int:
    """Return the rows of the horizon that one map goes to."""
    return max(1, min(_HORIZON, 2 * max(map(len, train)) // 5))


def _n_maps(d: int) -> int:
    return d if d <= _MOST_MAPS else 1


def _level(windows: np.ndarray, relative: int) -> np.ndarray:
    """Return what windows ``(..., rows)`` are taken relative to."""
    return windows.mean(axis=-1, keepdims=True) if relative else windows[..., -1:]


def _maps(train: Sequence[np.ndarray], shape: Sequence[int], ridges: Sequence[int]) -> np.ndarray:
    """Return maps under each ridge, ``(ridges, maps, 1 + window, horizon)``."""
    window, horizon, relative = shape
    d = train[0].shape[1]
    found = np.zeros((len(ridges), _n_maps(d), 1 + window, horizon))
    span = window + horizon
    long = [one for one in train if len(one) >= span]
    if not long:
        return found
    view = np.lib.stride_tricks.sliding_window_view
    most = int(max(2 * window, _MOST_WORK / (window + 1) ** 2 / (1 if d <= _MOST_MAPS else d)))
    pieces = np.concatenate([view(one[1 - span - most :], span, axis=0) for one in long])[-most:]
    pieces = pieces - _level(pieces[..., :window], relative)
    groups = pieces.swapaxes(0, 1) if d <= _MOST_MAPS else pieces.reshape(1, -1, span)
    mean = groups.mean(axis=1, keepdims=True)
    known, later = np.split(groups - mean, [window], axis=2)
    weights = ridge_path(known, later, [10.0**power for power in ridges], products=True)
    found[:, :, 1:] = weights
    found[:, :, :1] = mean[..., window:] - mean[..., :window] @ weights
    return found


def _ahead(rows: np.ndarray, n_steps: int, weights: np.ndarray, relative: int) -> np.ndarray:
    """Return the forecast of scaled rows ``(n, time, d)``."""
    window, horizon = weights.shape[1] - 1, weights.shape[2]
    n, _, d = rows.shape
    past = np.empty((n, d, window + n_steps))
    past[..., :window] = rows[:, -window:].transpose(0, 2, 1)
    for begin in range(0, n_steps, horizon):
        more = min(horizon, n_steps - begin)
        seen = past[..., begin : begin + window]
        level = _level(seen, relative)
        # Maps of all features at once; one map serves all of them where it is the only one.
        found = np.matmul((seen - level).transpose(1, 0, 2), weights[:, 1:, :more])
        found += weights[:, :1, :more]
        past[..., begin + window : begin + window + more] = found.transpose(1, 0, 2) + level
    return past[..., window:].transpose(0, 2, 1)
