"""Calibration rollouts: which stretches of validation data are forecast, and how far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from pyhits.data.stretches import Stretches, evenly
from pyhits.data.trajectories import Trajectories
from pyhits.forecasting.uncertainty.conformal import Calibration
from pyhits.forecasting.uncertainty.ranking import RolloutErrors, mean_ranks
from pyhits.numerics.forecast_errors import scaled_errors

#: Forecasts starts over n_steps and returns the states at some steps, shape (n, k, d); the last
#: argument is the rows of the data that the starts are.
ForecastAt = Callable[[np.ndarray, int, np.ndarray, np.ndarray], np.ndarray]

#: Parts of the horizon in each of which the errors of both are compared; and by how many standard
#: deviations validation errors may rank above and below those of training trajectories.
_COMPARED, _ABOVE, _BELOW = 4, 1.5, 2.0

#: Features whose errors say how much overlapping rollouts have in common, at most.
_RANKED = 8

#: In place of the error of a diverged forecast, where only its rank counts.
_WORST = float(np.finfo(np.float32).max)

#: Steps at which errors are kept: so many spread evenly, and so many by equal ratios.
_EVEN, _BY_RATIO = 40, 24


@dataclass(frozen=True)
class RolloutLimits:
    """How many calibration rollouts there are, and how long they may be."""

    #: Fewer trajectories are cut into overlapping rollouts: one each would give no 90 %.
    few: int = 9
    #: telling, enough: Rollouts of validation trajectories without which nothing tells whether
    #: those of training trajectories are like them, and from which on the latter are not looked
    #: at.
    telling: int = 4
    enough: int = 1024
    #: overlapping, most: Overlapping rollouts, at most, and rollouts of any kind: more change
    #: widths by a percent.
    overlapping: int = 256
    most: int = 2048
    least: int = 64  # rollouts that there are, if there are so many, even of more than ``states``
    longest: int = 1 << 62  # steps of a rollout, at most
    states: int = 6_000_000  # states stepped through in all, at most
    #: numbers, batch: Numbers decoded, at most, as for films; and those in memory at a time.
    numbers: int = 400_000_000
    batch: int = 1 << 24
    beside: int = 32  # overlapping rollouts beside errors of earlier parts, at most

    def within(self, states: int | None) -> Self:
        """Return the limits where time allows fewer states: several rollouts, shorter ones."""
        if states is None or states >= self.states:
            return self
        return replace(self, states=states, least=1, longest=max(1, states // 16))

    def count(self, horizon: int) -> int:
        """Return the number of rollouts of a horizon, at most."""
        return int(np.clip(self.states // horizon, self.least, self.most))


DEFAULT_LIMITS = RolloutLimits()


def calibration_steps(horizon: int) -> np.ndarray:
    """Return at most 64 steps from 1 to ``horizon``, dense at first, then even; increasing."""
    even = np.linspace(1, horizon, min(horizon, _EVEN))
    ratio = np.geomspace(1, horizon, min(horizon, _BY_RATIO))
    return np.unique(np.round(np.concatenate([even, ratio])).astype(np.int64))


def calibration_stretches(
    offsets: np.ndarray, history: int = 1, limits: RolloutLimits = DEFAULT_LIMITS
) -> Stretches:
    """Choose the calibration rollouts.

    Many trajectories give one rollout each, from its first state: fresh trajectories that start
    like these are exchangeable with them. Later states of the same trajectories are not, unless the
    process is stationary, so they do not count. One or a few recordings are cut into overlapping
    stretches of half the longest recording, as many as fit.

    Parameters
    ----------
    offsets : array of int, shape (n_trajectories + 1,)
        Row at which each trajectory begins.
    history : int
        Rows that a forecast starts from. Trajectories with no row beyond them are left out.
    """
    whole = Stretches.whole(offsets, history)
    if len(whole) == 0:
        return whole
    if len(whole) >= limits.few:
        whole = whole.cut(limits.longest)
        return whole.at_most(limits.count(whole.n_steps))
    span = min(max(1, whole.n_steps // 2), limits.longest)
    most = min(limits.count(span), limits.overlapping)
    return Stretches.overlapping(offsets, span, max(1, most // len(whole)), history)


@dataclass(frozen=True)
class ForecastData:
    """Recordings, and what forecasts them."""

    data: Trajectories
    forecast: ForecastAt  # in the user's units; NaN where it diverged

    def errors(
        self,
        stretches: Stretches,
        steps: np.ndarray,
        unit: np.ndarray,
        history: int,
        *,
        batch: int = DEFAULT_LIMITS.batch,
    ) -> RolloutErrors:
        """Forecast some stretches.

        Parameters
        ----------
        steps : array of int, shape (k,)
            Steps at which errors are taken, increasing.
        unit : array, shape (d,)
        history : int
            Rows that a forecast starts from.
        batch : int
            Numbers in memory at a time.
        """
        values, horizon = self.data.values, int(steps[-1])
        known = steps <= stretches.lengths[:, None]
        errors = np.empty((*known.shape, values.shape[1]), dtype=np.float32)
        size = max(1, batch // ((horizon + 1) * values.shape[1]))
        for begin in range(0, len(stretches), size):
            part = slice(begin, begin + size)
            own = stretches[part]
            rows = own.starts[:, None] + np.where(known[part], steps, 0)
            ahead = self.forecast(own.histories(values, history), horizon, steps, own.starts)
            missed = scaled_errors(values[rows], ahead, unit)
            errors[part] = np.abs(missed, out=missed)
        return RolloutErrors(errors, known, steps, stretches.leading)


def calibrate(
    validation: ForecastData,
    unit: np.ndarray,
    *,
    trained: ForecastData | None = None,
    earlier: Sequence[np.ndarray] = (),
    continues: bool = False,
    history: int = 1,
    limits: RolloutLimits = DEFAULT_LIMITS,
) -> Calibration | None:
    """Forecast validation data and rank the errors.

    Of overlapping rollouts of a few recordings, errors are widened by one over the number of
    independent ones that they are worth: as the quantiles of Student's distribution are wider than
    those of the normal one, since so few tell the size of errors but roughly. Where recordings go
    on, neighbouring steps tell of each other instead (:func:`smoothed_scores`).

    Returns Calibration or None: None where no trajectory is long enough to be forecast.

    Parameters
    ----------
    validation : ForecastData
        Neither trained on nor, for the exact promise, used to choose anything.
    unit : array, shape (d,)
        Positive sizes that errors are measured in, such as the spread of each feature.
    trained : ForecastData, optional
        What was trained on. Its errors are ranked together with the others where these do not tell
        them apart: a model of few parameters and many windows errs alike on both, and more rollouts
        leave less to the luck of the draw.
    earlier : sequence of array, shape (n, horizon, d)
        Errors of forecasts of other parts of a few recordings, of each along the starts, in the
        user's units; NaN where nothing is recorded. They count beside about as many rollouts of
        ``validation``.
    continues : bool
        Whether ``validation`` goes on with recordings, so that no rollout has a transient of its
        own.
    history : int
        Rows that a forecast starts from.
    """
    if trained is not None:
        pooled = _pooled(validation, trained, unit, history, limits)
        if pooled is not None:
            return Calibration.from_errors(pooled, unit)
    if earlier:
        limits = replace(limits, overlapping=limits.beside)
    stretches = calibration_stretches(validation.data.offsets, history, limits)
    if len(stretches) == 0:
        return None
    steps = calibration_steps(stretches.n_steps)
    most = max(1, limits.numbers // (len(steps) * validation.data.n_features))
    stretches = stretches.at_most(most)
    errors = validation.errors(stretches, steps, unit, history, batch=limits.batch)
    worth = None
    if errors.overlapping:
        for part in earlier:
            errors = errors.with_other(np.abs(part) / unit)
        worth = independent(errors)
        if not continues:
            errors = replace(errors, values=errors.values * (1 + 1 / worth)[:, None])
    return Calibration.from_errors(errors, unit, worth=worth, smooth=continues)


def _pooled(
    validation: ForecastData,
    trained: ForecastData,
    unit: np.ndarray,
    history: int,
    limits: RolloutLimits,
) -> RolloutErrors | None:
    """Return errors of validation and training trajectories, if these are alike; else None."""
    fresh, seen = (
        Stretches.whole(source.data.offsets, history).cut(limits.longest)
        for source in (validation, trained)
    )
    n = len(fresh)
    if not limits.telling <= n < limits.enough or n + len(seen) < limits.few or len(seen) == 0:
        return None
    steps = calibration_steps(max(fresh.n_steps, seen.n_steps))
    most = min(
        limits.count(int(steps[-1])),
        max(1, limits.numbers // (len(steps) * validation.data.n_features)),
    )
    if n >= most:
        return None
    own = validation.errors(fresh, steps, unit, history, batch=limits.batch)
    theirs = trained.errors(seen.at_most(most - n), steps, unit, history, batch=limits.batch)
    return own.with_trained(theirs) if alike(own, theirs) else None


def alike(errors: RolloutErrors, others: RolloutErrors) -> bool:
    """Whether errors do not rank clearly above or below others, in any part of the horizon.

    The share of pairs in which one of ``errors`` is the larger (Mann and Whitney 1947), on average
    over the steps of a part and over features, is measured in the standard deviation that it has at
    one step where both have the same distribution.
    """
    some = evenly(errors.values.shape[2], _RANKED)
    both = np.concatenate([errors.values[:, :, some], others.values[:, :, some]])
    both = np.nan_to_num(both, nan=_WORST, posinf=_WORST)
    reached = np.concatenate([errors.known, others.known])
    # What is not known ranks last and is then left out of the sum.
    ranks = mean_ranks(np.where(reached[:, :, None], both, np.inf))
    n, m = errors.counts, others.counts
    pairs = np.maximum(n * m, 1)
    own = np.where(errors.known[:, :, None], ranks[: len(errors.known)], 0.0).sum(axis=0)
    above = (own.mean(axis=1) - n * (n + 1) / 2) / pairs - 0.5
    spread = np.sqrt((n + m + 1) / (12 * pairs))
    parts = np.array_split(np.where((n > 0) & (m > 0), above / spread, 0.0), _COMPARED)
    shifts = [float(part.mean()) for part in parts if len(part)]
    return max(shifts) <= _ABOVE and min(shifts) >= -_BELOW


def independent(errors: RolloutErrors) -> np.ndarray:
    """Return about how many independent rollouts overlapping ones are worth, shape ``(k,)``.

    Their number over the integrated autocorrelation time of the errors' ranks, along the starts
    within each recording, summed up to where the correlation vanishes (Sokal 1997, Functional
    Integration, 131). Rollouts come along the starts, recording after recording.
    """
    known = errors.known
    n, k, d = errors.values.shape
    # Diverged ones are the worst that are known; beyond a recording's end is after all of them.
    some = np.nan_to_num(errors.values[:, :, evenly(d, _RANKED)], nan=_WORST, posinf=_WORST)
    ranks = np.where(known[:, :, None], some, np.inf).argsort(axis=0).argsort(axis=0)
    reached = errors.counts
    centred = np.where(known[:, :, None], ranks - (reached[:, None] - 1) / 2, 0.0)
    from scipy.fft import irfft, next_fast_len, rfft  # not needed to load and forecast

    size = next_fast_len(2 * n)
    products = np.zeros((n, k))
    pairs = np.zeros((n, k))
    for part in np.split(np.arange(n), np.flatnonzero(errors.leading)[1:]):
        spectrum = rfft(centred[part], size, axis=0)
        products += irfft(np.square(np.abs(spectrum)), size, axis=0)[:n].sum(axis=2)
        spectrum = rfft(known[part].astype(float), size, axis=0)
        pairs += np.round(irfft(np.square(np.abs(spectrum)), size, axis=0)[:n])
    variance = np.maximum(products[0], 1e-300)
    correlation = products / variance * reached / np.maximum(pairs, 1)
    positive = np.logical_and.accumulate((correlation > 0) & (pairs > 0), axis=0)
    time = 2 * np.where(positive, correlation, 0.0).sum(axis=0) - 1
    return np.asarray(np.clip(reached / np.maximum(time, 1.0), 1.0, np.maximum(reached, 1)))
