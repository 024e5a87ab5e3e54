"""Observations of noisy trajectories in segments, and the solutions of a field through them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pyhits.noise.field import PolynomialField
from pyhits.numerics.rollout import beyond, last_state

#: Sum of squares of a segment that is taken for diverged.
_DIVERGED = 1e12

#: Distance of two states whose growth is measured.
_DISTANCE = 1e-6

#: Substeps of an interval at most, and the error of an interval, in units of the observations'
#: standard deviation, that needs no more of them.
_MOST_SUBSTEPS, _INTEGRATED = 8, 1e-2


@dataclass(frozen=True)
class Observations:
    """Noisy states at even times, one row a segment."""

    states: np.ndarray  # (n_segments, n_times, d): NaN where a segment has ended
    first: float  # time from a segment's initial state to its first observation
    spacing: float  # time between observations
    sigma: np.ndarray  # (d,): standard deviation of an observation's error

    @property
    def count(self) -> int:
        """Number of observed numbers."""
        return int(np.isfinite(self.states).sum())

    def __getitem__(self, segments: np.ndarray | slice) -> Observations:
        """Return some of the segments."""
        return Observations(self.states[segments], self.first, self.spacing, self.sigma)

    def n_steps(self, substeps: int) -> int:
        """Return how many steps one after another lead through a segment."""
        return int(self.states.shape[1]) * substeps

    def intervals(self, substeps: int) -> Iterator[tuple[np.ndarray, float]]:
        """Iterate over the observations ``(d, n)`` with the size of the steps that lead to them."""
        for k in range(self.states.shape[1]):
            span = self.spacing if k else self.first
            yield self.states[:, k].T, span / substeps


def step(field: PolynomialField, states: np.ndarray, h: float) -> np.ndarray:
    """Return states ``(d, n)`` a time ``h`` later, by the classical Runge-Kutta method."""
    a = field(states)
    b = field(states + 0.5 * h * a)
    c = field(states + 0.5 * h * b)
    e = field(states + h * c)
    return np.asarray(states + h / 6 * (a + 2 * (b + c) + e))


def advance(field: PolynomialField, states: np.ndarray, h: float, n_steps: int) -> np.ndarray:
    """Return states ``(d, n)`` after ``n_steps`` steps of ``h``; the same where ``h`` is 0."""
    return last_state(lambda x: step(field, x, h), states, n_steps if h else 0)


def substeps_needed(
    field: PolynomialField, observed: Observations, *, enough: float = _INTEGRATED
) -> int:
    """Return into how many steps an interval is to be cut, as the observed states suggest.

    ``enough`` is the error of an interval, in the observations' standard deviations, that needs no
    more of them.
    """
    states = observed.states.reshape(-1, len(observed.sigma))
    states = states[np.isfinite(states).all(axis=1)]
    begin = np.ascontiguousarray(states[:: max(1, len(states) // 4096)].T)

    def after(n: int) -> np.ndarray:
        return advance(field, begin, observed.spacing / n, n)

    n = 1
    with np.errstate(all="ignore"):
        coarse = after(n)
        while n < _MOST_SUBSTEPS:
            fine = after(2 * n)
            error = np.abs(fine - coarse) / observed.sigma[:, None]
            if not np.nanmax(error) > enough:
                break
            n, coarse = 2 * n, fine
    return n


def spreading(field: PolynomialField, starts: np.ndarray, observed: Observations) -> float:
    """Return the factor by which a small difference of initial states grows over a segment.

    The median over the segments, of one random direction each.
    """
    rng = np.random.default_rng(0)
    substeps = substeps_needed(field, observed)
    nearby = rng.standard_normal(starts.shape)
    nearby *= _DISTANCE / np.linalg.norm(nearby, axis=1, keepdims=True)
    x = np.concatenate([starts, starts + nearby]).T
    with np.errstate(all="ignore"):
        for _, h in observed.intervals(substeps):
            x = advance(field, x, h, substeps)
        a, b = np.split(x, 2, axis=1)
        grown = np.linalg.norm(b - a, axis=0) / _DISTANCE
    return float(np.median(np.nan_to_num(grown, nan=np.inf)))


def strays(field: PolynomialField, starts: np.ndarray, observed: Observations) -> bool:
    """Whether a field leads far from the data from somewhere a little beyond the starts.

    Noise decides what its highest terms are like there.

    Parameters
    ----------
    starts : array, shape (n, d)
    observed : Observations
        Of whole trajectories; the field is followed for as long.
    """
    states = observed.states.reshape(-1, len(observed.sigma))
    further, low, high = beyond(starts, states)
    substeps = substeps_needed(field, observed)
    x = np.ascontiguousarray(further.T)
    with np.errstate(all="ignore"):
        for _, h in observed.intervals(substeps):
            x = advance(field, x, h, substeps)
    after = x.T
    return not bool(((after > low) & (after < high)).all())


def misfits(
    field: PolynomialField, starts: np.ndarray, observed: Observations, substeps: int
) -> np.ndarray:
    """Return each segment's sum of squared residuals, in units of the observations' variance.

    Infinite where the field does not lead to the segment's end.
    """
    x = np.ascontiguousarray(starts.T)
    total = np.zeros(len(starts))
    with np.errstate(all="ignore"):
        for states, h in observed.intervals(substeps):
            x = advance(field, x, h, substeps)
            residual = (states - x) / observed.sigma[:, None]
            total += np.where(np.isnan(states), 0.0, np.square(residual)).sum(axis=0)
    total[~(total < _DIVERGED)] = np.inf
    return total
