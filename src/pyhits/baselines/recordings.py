"""The baselines of recordings: they look at many rows, in the user's features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np

from pyhits.baselines.analog import Analog
from pyhits.baselines.autoregression import NVAR, Autoregression
from pyhits.baselines.base import blank_diverged
from pyhits.baselines.chosen import LIMITS
from pyhits.baselines.direct import DLinear
from pyhits.baselines.drift import SeasonalDrift
from pyhits.baselines.origins import Fold, folds_of
from pyhits.baselines.reservoir import EchoState
from pyhits.baselines.sets import BaselineForecast, BaselineSet
from pyhits.baselines.simple import Mean, Persistence, SimpleBaseline
from pyhits.baselines.structural import Structural
from pyhits.data.trajectories import Trajectories
from pyhits.numerics.periods import find_period, spread_grows
from pyhits.util.clock import UNLIMITED, Clock

#: Features up to which they are fitted, and rows of the longest recording, at least.
_MOST_FEATURES, _LEAST_ROWS = 64, 16

#: Seconds that one takes at worst, by its cost.
_SECONDS = (0.0, 0.1, 0.3, 1.0, 1.0, 1.5)

#: How many of them, the best, tell whether logarithms are forecast better, and the part of their
#: error that these must reach.
_BEST, _BETTER = 3, 0.97

#: Error, in standard deviations, beyond which a forecast is no worse.
_WORST = 4.0


class RecordingBaselines(BaselineSet):
    """Baselines that look at the last rows of a recording, in the user's features.

    Parameters
    ----------
    by_kind : mapping of str to SimpleBaseline
    logarithms : bool
        Whether they are fitted to the logarithms of the rows.
    """

    def __init__(self, by_kind: Mapping[str, SimpleBaseline], logarithms: bool = False) -> None:
        super().__init__(by_kind)
        self.logarithms = logarithms

    @classmethod
    def fit(
        cls, data: Trajectories, *, whole: Trajectories | None = None, clock: Clock = UNLIMITED
    ) -> Self | None:
        """Fit those that there is time for; None where features are too many or rows too few.

        Where positive rows move the more the higher their level, they are fitted to logarithms if
        these are forecast better in later parts of ``whole``, by default of the data.
        """
        if data.n_features > _MOST_FEATURES or data.lengths.max() < _LEAST_ROWS:
            return None
        found = cls(_fitted(data, clock))
        known = list(whole or data)
        if not spread_grows(known, find_period(known)) or not clock.affords(sum(_SECONDS)):
            return found
        grown = cls(_fitted(data.with_values(np.log(data.values)), clock), logarithms=True)
        folds, scale = folds_of(list(whole or data), LIMITS), data.values.std(axis=0)
        better = grown._error(folds, scale) < _BETTER * found._error(folds, scale)
        return grown if better else found

    def _error(self, folds: Sequence[Fold], scale: np.ndarray) -> float:
        """Return the mean error of the best of them in all folds, in units of ``scale``."""
        errors = []
        for kind in self.by_kind:
            with np.errstate(invalid="ignore"):
                own = [(self.on_fold(kind, fold) - fold.origins.truth) / scale for fold in folds]
            bounded = [np.clip(np.nan_to_num(of, nan=_WORST), -_WORST, _WORST) for of in own]
            known = [np.isfinite(fold.origins.truth) for fold in folds]
            squares = [np.square(of)[at] for of, at in zip(bounded, known, strict=True)]
            errors.append(float(np.sqrt(np.concatenate(squares).mean())))
        return float(np.mean(sorted(errors)[:_BEST]))

    def refitted(self, data: Trajectories) -> Self:
        """Return them with the same settings, fitted to other data.

        Where these have no logarithms, settings are chosen anew.
        """
        if not self.logarithms:
            return type(self)({kind: one.refitted(data) for kind, one in self.by_kind.items()})
        if not (data.values > 0).all():
            return type(self)(_fitted(data, UNLIMITED))
        rows = data.with_values(np.log(data.values))
        found = {kind: one.refitted(rows) for kind, one in self.by_kind.items()}
        return type(self)(found, logarithms=True)

    @property
    def n_rows(self) -> int:
        """Rows that they look at, at most."""
        return max((one.most_rows for one in self.by_kind.values()), default=1)

    def forecasters(self, rows: np.ndarray) -> dict[str, BaselineForecast]:
        """Return by kind what goes on from recordings ``(n, time, d)``, of those that can.

        The initial states that each takes are the last rows.
        """
        return {
            kind: BaselineForecast(one.label, partial(self._forecast, kind, rows))
            for kind, one in self.by_kind.items()
            if one.n_rows <= rows.shape[1]
        }

    def _forecast(
        self, kind: str, rows: np.ndarray, states: np.ndarray, n_steps: int
    ) -> np.ndarray:
        """Return forecasts from rows, ``(n, n_steps + 1, d)``; NaN where one diverged."""
        return np.concatenate([rows[:, -1:], self.ahead(kind, rows, n_steps)], axis=1)

    def ahead(self, kind: str, rows: np.ndarray, n_steps: int) -> np.ndarray:
        """Return one's forecasts; ``(n, time, d)`` to ``(n, n_steps, d)``, NaN once diverged."""
        one, known = self.by_kind[kind], self._stepped(rows)
        scaled = np.array(one.ahead(one.scaling_.transform(known), n_steps))
        scaled[~np.isfinite(known).all(axis=(1, 2))] = np.nan
        return self._returned(one, scaled)

    def on_fold(self, kind: str, fold: Fold) -> np.ndarray:
        """Return one's forecasts of a fold's origins, fitted to its rows alone.

        NaN where it would look at more rows than there are.
        """
        one, origins = self.by_kind[kind], fold.origins
        if one.n_rows > origins.rows:
            return np.full_like(origins.truth, np.nan)
        train = [one.scaling_.transform(self._stepped(rows)) for rows in fold.train]
        history = one.scaling_.transform(self._stepped(origins.history))
        scaled = one.on_fold(Fold(train, replace(origins, history=history)))
        return self._returned(one, np.array(scaled))

    def _stepped(self, rows: np.ndarray) -> np.ndarray:
        """Return what is stepped: the rows or their logarithms, NaN of what has none."""
        if not self.logarithms:
            return rows
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(rows > 0, np.log(rows), np.nan)

    def _returned(self, one: SimpleBaseline, scaled: np.ndarray) -> np.ndarray:
        """Return scaled forecasts in the user's units."""
        blank_diverged(scaled, raises=False)
        found = one.scaling_.inverse_transform(scaled)
        with np.errstate(over="ignore"):
            found = np.exp(found) if self.logarithms else found
        return np.where(np.isfinite(found), found, np.nan)

    @classmethod
    def from_stored(cls, plain: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> Self:
        """Return fitted baselines; a ValueError if what was learned does not fit together."""
        return cls(super().from_stored(plain, state).by_kind, plain["logarithms"])


def _fitted(data: Trajectories, clock: Clock) -> dict[str, SimpleBaseline]:
    """Return those fitted that there is time for."""
    made: list[SimpleBaseline] = [
        Persistence(),
        Mean(),
        SeasonalDrift(),
        Structural(),
        Autoregression(),
        DLinear(),
        Analog(),
        NVAR(),
        EchoState(),
    ]
    fitted: dict[str, SimpleBaseline] = {}
    for baseline in made:
        if clock.affords(_SECONDS[baseline.cost]):
            fitted[baseline.kind] = baseline.fit(data)
        else:
            clock.cut(f"the baseline {baseline.kind!r}")
    return fitted
