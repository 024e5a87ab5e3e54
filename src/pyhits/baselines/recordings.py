"""The baselines of recordings: they look at many rows, in the user's features."""

from __future__ import annotations

from functools import partial
from typing import Self

import numpy as np

from pyhits.baselines.analog import Analog
from pyhits.baselines.autoregression import NVAR, Autoregression
from pyhits.baselines.base import blank_diverged
from pyhits.baselines.direct import DLinear
from pyhits.baselines.drift import SeasonalDrift
from pyhits.baselines.reservoir import EchoState
from pyhits.baselines.sets import BaselineForecast, BaselineSet
from pyhits.baselines.simple import Mean, Persistence, SimpleBaseline
from pyhits.data.trajectories import Trajectories
from pyhits.util.clock import UNLIMITED, Clock

#: Features up to which they are fitted, and rows of the longest recording, at least.
_MOST_FEATURES, _LEAST_ROWS = 64, 16

#: Seconds that one takes at worst, by its cost.
_SECONDS = (0.0, 0.1, 0.3, 1.0, 1.0, 1.5)


class RecordingBaselines(BaselineSet):
    """Baselines that look at the last rows of a recording, fitted to the user's features."""

    @classmethod
    def fit(cls, data: Trajectories, *, clock: Clock = UNLIMITED) -> Self | None:
        """Fit those that there is time for; None where features are too many or rows too few."""
        if data.n_features > _MOST_FEATURES or data.lengths.max() < _LEAST_ROWS:
            return None
        made: list[SimpleBaseline] = [
            Persistence(),
            Mean(),
            SeasonalDrift(),
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
        return cls(fitted)

    def refitted(self, data: Trajectories) -> Self:
        """Return them with the same settings, fitted to other data."""
        return type(self)({kind: one.refitted(data) for kind, one in self.by_kind.items()})

    @property
    def n_rows(self) -> int:
        """Rows that all of them can be asked with."""
        return max((one.n_rows for one in self.by_kind.values()), default=1)

    def forecasters(self, rows: np.ndarray) -> dict[str, BaselineForecast]:
        """Return by kind what goes on from recordings ``(n, time, d)``, of those that can.

        The initial states that each takes are the last rows.
        """
        return {
            kind: BaselineForecast(one.label, partial(_ahead, one, rows))
            for kind, one in self.by_kind.items()
            if one.n_rows <= rows.shape[1]
        }


def _ahead(
    baseline: SimpleBaseline, rows: np.ndarray, states: np.ndarray, n_steps: int
) -> np.ndarray:
    """Return forecasts from rows, ``(n, n_steps + 1, d)``; NaN where one diverged."""
    scaled = np.array(baseline.ahead(baseline.scaling_.transform(rows), n_steps))
    blank_diverged(scaled, raises=False)
    return np.concatenate([rows[:, -1:], baseline.scaling_.inverse_transform(scaled)], axis=1)
