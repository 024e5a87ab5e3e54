"""Multiple shooting: the field and the initial states that explain noisy observations best.

Bock 1983, "Recent advances in parameter identification techniques for ODE": trajectories are cut
into segments with an initial state each; these and the field's coefficients are fitted together by
Gauss-Newton steps. As each initial state touches one segment only, it is eliminated from the normal
equations segment by segment, and what is left is as small as the number of coefficients.
"""

from __future__ import annotations

import dataclasses
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from pyhits.noise.equations import SENSITIVITIES, SegmentEquations, eliminate, solve
from pyhits.noise.field import PolynomialField
from pyhits.noise.observations import Observations, misfits, substeps_needed
from pyhits.numerics.gauss_newton import GaussNewton, NormalEquations
from pyhits.util.clock import UNLIMITED, Clock

#: A segment is not followed if its sum of squares is this many times that of noise, a few more
#: residuals allowed.
_LOST, _SPARE = 2.0, 20

#: If no larger part of the segments is lost, these are followed in so many pieces.
_FEW, _PIECEMEAL = 0.2, 12

#: Gain in the sum of squares, a coefficient or a segment, below which a fit has converged.
_CONVERGED = 1e-3

#: Steps of initial states alone; and of them and the coefficients together.
_STATES = GaussNewton(max_trials=15, least_gain=_CONVERGED)
_MOST_STEPS, _LEAST_DAMPING, _MOST_DAMPING = 15, 1e-9, 1e4

#: What a step with its sensitivities takes, in steps without.
_LINEARISED = 3


@dataclass(frozen=True)
class ShootingFit:
    """A field, the initial states of all segments, and how well they explain observations."""

    field: PolynomialField
    starts: np.ndarray  # (n_segments, d)
    #: (n_segments,): sum of squared residuals of each segment, in units of the observations'
    #: variance; infinite where the field does not lead to the segment's end.
    misfits: np.ndarray
    precision: np.ndarray  # (p, p): inverse covariance of the field's free coefficients

    def followed(self, observed: Observations) -> np.ndarray:
        """Tell which segments are explained but for noise; bool, shape ``(n_segments,)``."""
        count = np.isfinite(observed.states).sum(axis=(1, 2))
        return np.asarray(self.misfits <= _LOST * (count + _SPARE))

    def without_idle_terms(self, price: float) -> PolynomialField:
        """Fix terms at 0, one after the other, while each adds less than ``price`` to the misfit.

        To second order fixing coefficient i costs ``c_i**2 / C_ii``, C being their covariance, and
        moves the others by ``-C_ji c_i / C_ii``.
        """
        free = self.field.free.copy()
        if len(free) == 0 or not np.isfinite(self.precision).all():
            return self.field
        scale = 1 / np.sqrt(np.maximum(np.diag(self.precision), 1e-300))
        values, vectors = np.linalg.eigh(self.precision * scale * scale[:, None])
        if not values[-1] > 0:
            return self.field
        values = np.maximum(values, 1e-12 * values[-1])
        covariance = (vectors / values) @ vectors.T * scale * scale[:, None]
        needed = np.ones(len(free), dtype=bool)
        while needed.any():
            cost = np.where(needed, free**2 / np.maximum(np.diag(covariance), 1e-300), np.inf)
            k = int(np.argmin(cost))
            if cost[k] > price:
                break
            column = covariance[:, k] / covariance[k, k]
            free = free - column * free[k]
            covariance = covariance - np.outer(column, covariance[k])
            needed[k] = False
            free[~needed] = 0.0
            covariance[~needed] = 0.0
            covariance[:, ~needed] = 0.0
        return self.field.with_free(free).without(~needed)


def fit_initial_states(
    field: PolynomialField,
    starts: np.ndarray,
    observed: Observations,
    *,
    n_threads: int = 1,
    clock: Clock = UNLIMITED,
) -> ShootingFit:
    """Improve the initial states of all segments, each by itself, with the field as it is.

    A segment that ends far from its observations, as one may that passes a saddle on the wrong
    side, is followed once more piece by piece from its begin.

    Raises TimeIsUpError.

    Parameters
    ----------
    starts : array, shape (n_segments, d)
    n_threads : int
        Blocks of segments worked on side by side.
    """
    fit = _fit_states(field, starts, observed, n_threads, clock)
    lost = np.flatnonzero(~fit.followed(observed))
    if not 0 < len(lost) <= _FEW * len(starts):
        return fit
    begin = starts[lost]
    n_times = observed.states.shape[1]
    for reach in np.unique(np.linspace(n_times / 2, n_times, _PIECEMEAL).astype(int)):
        states = observed.states[lost]
        states[:, reach:] = np.nan
        part = Observations(states, observed.first, observed.spacing, observed.sigma)
        again = _fit_states(field, begin, part, n_threads, clock)
        begin = again.starts
    better = again.misfits < fit.misfits[lost]
    fit.starts[lost[better]] = again.starts[better]
    fit.misfits[lost[better]] = again.misfits[better]
    return fit


def _fit_states(
    field: PolynomialField, starts: np.ndarray, observed: Observations, n_threads: int, clock: Clock
) -> ShootingFit:
    d = starts.shape[1]
    starts, costs = starts.copy(), np.full(len(starts), np.inf)
    substeps = substeps_needed(field, observed)

    def work(block: np.ndarray) -> None:
        problem = _States(field, observed[block], substeps, clock, len(starts))
        solved = _STATES(problem, starts[block])
        starts[block], costs[block] = solved.x, solved.costs

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(work, _blocks(np.arange(len(starts)), d * d)))
    return ShootingFit(field, starts, costs, np.zeros((0, 0)))


def fit_field(
    field: PolynomialField,
    starts: np.ndarray,
    observed: Observations,
    *,
    n_threads: int = 1,
    clock: Clock = UNLIMITED,
) -> ShootingFit:
    """Improve a field's free coefficients and all initial states together.

    Segments that diverge at first are left out.

    Raises TimeIsUpError.

    Parameters
    ----------
    starts : array, shape (n_segments, d)
    n_threads : int
        Blocks of segments worked on side by side.
    """
    substeps = substeps_needed(field, observed)
    d, p = starts.shape[1], len(field.free)
    sound = np.flatnonzero(np.isfinite(misfits(field, starts, observed, substeps)))
    solver = GaussNewton(
        max_steps=_MOST_STEPS,
        least_damping=_LEAST_DAMPING,
        most_damping=_MOST_DAMPING,
        least_gain=_CONVERGED * p,
    )
    with ThreadPoolExecutor(n_threads) as pool:
        blocks = _blocks(sound, d * (d + p))
        problem = _FieldAndStates(field, observed, substeps, blocks, pool, clock)
        x = np.concatenate([field.free, starts.ravel()])[None]
        field, starts = problem.split(solver(problem, x).x)
    precision = eliminate(problem.equations, np.array(0.0), p, d)[0]
    return ShootingFit(field, starts, misfits(field, starts, observed, substeps), precision)


def _blocks(segments: np.ndarray, numbers: int) -> list[np.ndarray]:
    """Return segments in blocks whose sensitivities, so many ``numbers`` each, fit a cache."""
    size = max(16, SENSITIVITIES // numbers)
    return [segments[k : k + size] for k in range(0, len(segments), size)]


@dataclass(frozen=True)
class _States:
    """Least squares in the initial states of segments, each a problem of its own."""

    field: PolynomialField
    observed: Observations
    substeps: int
    clock: Clock

    n_all: int  # segments of all blocks that share the clock

    def spend(self, times: int) -> None:
        n_steps = self.observed.n_steps(self.substeps)
        self.clock.spend(times * n_steps * len(self.observed.states) // self.n_all)

    def costs(self, x: np.ndarray, which: np.ndarray) -> np.ndarray:
        self.spend(1)
        return misfits(self.field, x, self.observed[which], self.substeps)

    def linearise(self, x: np.ndarray, which: np.ndarray) -> NormalEquations:
        self.spend(_LINEARISED)
        fixed = self.field.with_none_free()
        equations = SegmentEquations.of(fixed, x, self.observed[which], self.substeps)
        return NormalEquations(equations.own, equations.own_gradient)


@dataclass
class _FieldAndStates:
    """Least squares in a field's p free coefficients and all initial states, one problem.

    Unknowns are the coefficients, then the initial states one after the other.
    """

    field: PolynomialField
    observed: Observations
    substeps: int
    blocks: list[np.ndarray]
    pool: Executor
    clock: Clock
    equations: list[SegmentEquations] = dataclasses.field(default_factory=list)

    def split(self, x: np.ndarray) -> tuple[PolynomialField, np.ndarray]:
        """Return the field and the initial states that unknowns ``(1, n)`` are."""
        p = len(self.field.free)
        return self.field.with_free(x[0, :p]), x[0, p:].reshape(len(self.observed.states), -1)

    def costs(self, x: np.ndarray, which: np.ndarray) -> np.ndarray:
        self.clock.spend(self.observed.n_steps(self.substeps))
        now = misfits(*self.split(x), self.observed, self.substeps)
        return np.array([sum(now[block].sum() for block in self.blocks)])

    def linearise(self, x: np.ndarray, which: np.ndarray) -> _FieldAndStates:
        self.clock.spend(_LINEARISED * self.observed.n_steps(self.substeps))
        at, starts = self.split(x)

        def equations(block: np.ndarray) -> SegmentEquations:
            self.clock.check()
            return SegmentEquations.of(at, starts[block], self.observed[block], self.substeps)

        self.equations = list(self.pool.map(equations, self.blocks))
        return self

    def step(self, damping: np.ndarray) -> tuple[np.ndarray, None]:
        p, (n, _, d) = len(self.field.free), self.observed.states.shape
        change, moves = solve(self.equations, damping, p, d)
        moved = np.zeros((n, d))
        for block, move in zip(self.blocks, moves, strict=True):
            moved[block] = move
        return np.concatenate([change, moved.ravel()])[None], None
