"""The seasonal baseline: the last period, again and again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from pyhits.baselines.simple import BASELINES, SimpleBaseline, same_shape
from pyhits.numerics.periods import find_period
from pyhits.util.stored import Array

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
    template_ : array, shape (m, d)
        The last ``period_`` rows of the last trajectory that is as long, scaled.
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
        self.period_ = find_period(train, trend=1, most=most)
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
