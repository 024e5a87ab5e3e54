"""Seasonal baselines: the last period again and again, and the means of the phases of a season."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from pyhits.baselines.simple import BASELINES, SimpleBaseline, finite
from pyhits.data.matching import as_trajectories
from pyhits.data.stretches import evenly
from pyhits.data.trajectories import Trajectories
from pyhits.numerics.periods import find_period
from pyhits.util.stored import Array

#: Numbers in one period, at most.
_MOST_NUMBERS = 1 << 20

#: Rows that forecasts from single ones are tried on, at most, and multiples of the spread.
_LOOKED_AT, _FACTORS = 400, (1.0, 4.0, 16.0, 64.0, 256.0)

#: Seasons that means are taken over, at least, and the part of the variance that they must leave
#: less than for there to be a season.
_SEASONS, _CLEARLY = 2, 0.9


class Cycle(SimpleBaseline):
    """A period that returns again and again; where in it a forecast begins is known or told.

    Dates tell it, where the training data and what is gone on from have them. Otherwise each phase
    counts by how likely it makes the rows that are known, and the forecast is the mean of what
    follows: sharp where these rows lie in one place of the period alone.

    Attributes
    ----------
    period_ : int
        In rows; 1 if none was found.
    template_ : array, shape (period, d)
        One period, scaled.
    first_ : int or None
        Number in the calendar of its first row; see
        :meth:`~pyhits.data.times.TimeAxis.row_numbers`. None without dates.
    spread_ : float or None
        Of the likelihoods, with which forecasts from single rows of the training data err least;
        None of models saved by earlier versions.
    """

    arrays: ClassVar[Mapping[str, Array]] = {
        "template": Array(2),
        "first": Array(1, ("I64",)),
        "spread": Array(),
    }
    cost = 1

    template_: np.ndarray
    period_: int
    first_: int | None = None
    spread_: float | None = None
    _numbers: Sequence[int] | None = None

    @property
    def label(self) -> str:
        """Name in a table, with the period."""
        if self.period_ == 1:
            return f"{self.kind} (no period found)"
        return f"{self.kind} (period {self.period_ * self.dt_:.4g})"

    def fit(
        self, X: Any, y: Any = None, *, validation: Any = None, dt: float | None = None
    ) -> Self:
        """Train on recorded trajectories; see :meth:`Baseline.fit`."""
        data = as_trajectories(X, dt)
        self._numbers = row_numbers(data)
        return super().fit(data, y, validation=validation)

    def _train(self, train: list[np.ndarray], validation: list[np.ndarray], seed: int) -> None:
        most = max(1, _MOST_NUMBERS // train[0].shape[1])
        phases = self._learn(train, most)
        self.period_ = len(self.template_)
        rows = np.concatenate(train)
        missed = rows - self.template_[phases % self.period_]
        spread = float(np.square(missed).mean())
        self.spread_ = self._least_spread(rows, phases, spread)
        self.history_ = []

    @property
    def n_parameters_(self) -> int:
        """Numbers of one period."""
        return self.template_.size

    @abstractmethod
    def _learn(self, train: list[np.ndarray], most: int) -> np.ndarray:
        """Set ``template_``, of ``most`` rows at most, and ``first_``.

        Returns array of int, shape (rows,): phases of all rows, modulo the period.
        """

    def _run(self, rows: np.ndarray, n_steps: int) -> np.ndarray:
        weights = _likely(self._distances(rows), self.spread_ or 0.0)
        after = np.arange(1, n_steps + 1)
        if (weights == 1).any(axis=1).all():  # no means to take, of fields in particular
            return np.asarray(
                self.template_[(weights.argmax(axis=1)[:, None] + after) % self.period_]
            )
        # What follows each phase, turn by turn.
        ahead = np.empty((len(rows), n_steps, rows.shape[2]))
        for k in range(min(n_steps, self.period_)):
            ahead[:, k :: self.period_] = (np.roll(weights, k + 1, axis=1) @ self.template_)[
                :, None
            ]
        return ahead

    def _distances(self, rows: np.ndarray) -> np.ndarray:
        """Return how far rows lie from the period if the last are at each phase: squares."""
        template = self.template_
        norms = np.einsum("pd,pd->p", template, template)
        distances = np.zeros((len(rows), self.period_))
        for back in range(min(rows.shape[1], self.period_)):
            row = rows[:, -1 - back]
            squares = norms - 2 * row @ template.T + np.einsum("nd,nd->n", row, row)[:, None]
            distances += np.roll(squares, back, axis=1)
        return distances

    def _least_spread(self, rows: np.ndarray, phases: np.ndarray, spread: float) -> float:
        """Return the multiple of a spread with which forecasts from single rows err least.

        Features and rows whose noise is one would make likelihoods too sharp. Errors are those over
        one period.

        Parameters
        ----------
        rows : array, shape (n, d)
        phases : array of int, shape (n,)
            Of the rows.
        spread : float
            Mean squared deviation of rows from the period.
        """
        some = evenly(len(rows), _LOOKED_AT)
        distances = self._distances(rows[some, None])
        true = np.eye(self.period_)[phases[some] % self.period_]
        # Products of the period with itself shifted are all that errors over a period take.
        spectrum = np.square(np.abs(np.fft.rfft(self.template_, axis=0))).sum(axis=1)
        errors = []
        for factor in _FACTORS:
            missed = np.fft.rfft(_likely(distances, factor * spread) - true, axis=1)
            each = np.square(np.abs(missed)) * spectrum
            errors.append(float(np.fft.irfft(each, self.period_, axis=1)[:, 0].sum()))
        return _FACTORS[int(np.argmin(errors))] * spread

    def going_on(
        self, rows: np.ndarray, n_steps: int, numbers: np.ndarray | None = None
    ) -> np.ndarray:
        """Return what follows rows, from the last of them on.

        Parameters
        ----------
        rows : array, shape (n, time, d)
            In the user's units.
        n_steps : int
        numbers : array of int, shape (n,), optional
            Of the last rows in the calendar.

        Returns
        -------
        array, shape (n, n_steps + 1, d)
        """
        scaled = self.scaling_.transform(rows)
        if numbers is None or self.first_ is None or self._repeats(rows.shape[1]):
            ahead = self._run(scaled, n_steps)
        else:
            after = (numbers - self.first_)[:, None] + np.arange(1, n_steps + 1)
            ahead = self.template_[after % self.period_]
        return np.concatenate([rows[:, -1:], self.scaling_.inverse_transform(ahead)], axis=1)

    def _repeats(self, n_rows: int) -> bool:
        """Whether so many rows are gone on from by themselves."""
        return False

    def _learned(self) -> dict[str, np.ndarray]:
        found = {"template": self.template_}
        if self.first_ is not None:
            found["first"] = np.array([self.first_])
        if self.spread_ is not None:
            found["spread"] = np.array([self.spread_])
        return found

    def _set_learned(self, arrays: dict[str, np.ndarray]) -> None:
        self.period_ = len(arrays["template"])
        self.template_ = finite(arrays["template"], (self.period_, self.n_features_in_))
        self.first_ = int(finite(arrays["first"], (1,))[0]) if "first" in arrays else None
        self.spread_ = float(finite(arrays["spread"], (1,))[0]) if "spread" in arrays else None


@BASELINES.register
class Seasonal(Cycle):
    """The forecast that the last period repeats itself.

    The period is the first lag at which the training data's autocorrelation has a peak that is
    nearly its highest. From a recording of at least one period, that recording's last one is
    repeated; from fewer rows, the training data's last. Data without a period, or less than two of
    them, give persistence.
    """

    kind: ClassVar[str] = "seasonal"

    def _learn(self, train: list[np.ndarray], most: int) -> np.ndarray:
        period = find_period(train, trend=1, most=most)
        last = max(k for k, rows in enumerate(train) if len(rows) >= period)
        self.template_ = train[last][-period:].copy()
        numbers = self._numbers
        self.first_ = None if numbers is None else numbers[last] + len(train[last]) - period
        # Of other trajectories the phase is known by dates alone: they count as ending alike.
        begins = [-len(rows) for rows in train]
        if numbers is not None and self.first_ is not None:
            begins = [number - self.first_ for number in numbers]
        return _numbered(train, begins)

    def _run(self, rows: np.ndarray, n_steps: int) -> np.ndarray:
        period = self.period_
        if self._repeats(rows.shape[1]):
            return np.asarray(rows[:, -period:][:, np.arange(n_steps) % period])
        return super()._run(rows, n_steps)

    def _repeats(self, n_rows: int) -> bool:
        return n_rows >= self.period_


@BASELINES.register
class SeasonMeans(Cycle):
    """The forecast that each phase of a season is as it was in the mean: of months, a climatology.

    The season is one of the calendar where dates show one, else the period that the data show;
    that, or none, whose means leave the least variance. Without one it is the mean.
    """

    kind: ClassVar[str] = "season means"

    def _learn(self, train: list[np.ndarray], most: int) -> np.ndarray:
        periods = [period for period in self._calendar if period <= most]
        periods = periods or [find_period(train, trend=1, most=most)]
        self.first_ = None if self._numbers is None else 0
        phases, rows = _numbered(train, self._numbers or [0] * len(train)), np.concatenate(train)
        self.template_ = rows.mean(axis=0, keepdims=True)
        best = float(rows.var(axis=0).mean())
        for period in periods:
            counts = np.bincount(phases % period, minlength=period)
            if period < 2 or counts.min() < _SEASONS:
                continue
            means = np.zeros((period, rows.shape[1]))
            np.add.at(means, phases % period, rows)
            means /= counts[:, None]
            squares = np.square(rows - means[phases % period]).mean()
            left = float(squares) * len(rows) / (len(rows) - period)
            if left < _CLEARLY * best:
                best, self.template_ = left, means
        return phases


def _numbered(train: Sequence[np.ndarray], begins: Sequence[int]) -> np.ndarray:
    """Return the numbers of all rows, where the first of each trajectory are known."""
    return np.concatenate(
        [begin + np.arange(len(rows)) for begin, rows in zip(begins, train, strict=True)]
    )


def _likely(distances: np.ndarray, spread: float) -> np.ndarray:
    """Return how likely each phase is, ``(n, period)``; the nearest alone without a spread."""
    least = distances.min(axis=1, keepdims=True)
    if spread <= 0:
        return np.asarray(np.eye(distances.shape[1])[distances.argmin(axis=1)])
    weights = np.exp((least - distances) / (2 * spread))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def row_numbers(data: Trajectories) -> list[int] | None:
    """Return the numbers in the calendar of the first rows of trajectories; None without dates."""
    if not data.axis.has_dates:
        return None
    return [int(number) for number in data.axis.row_numbers(data.start_times, data.dt)]
