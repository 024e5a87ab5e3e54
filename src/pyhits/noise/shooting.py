"""Multiple shooting: the field and the initial states that explain noisy observations best.

Bock 1983, "Recent advances in parameter identification techniques for ODE": trajectories are cut
into segments with an initial state each; these and the field's coefficients are fitted together by
Gauss-Newton steps. As each initial state touches one segment only, it is eliminated from the normal
equations segment by segment, and what is left is as small as the number of coefficients.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from pyhits.noise.field import PolynomialField
from pyhits.util.clock import UNLIMITED, Clock

#: Numbers in one block of sensitivities, which stay in a core's cache.
_BLOCK = 40_000

#: Least eigenvalue of the scaled normal matrix, relative to the largest, that a step follows.
_RANK = 1e-11

#: Trials of one step with ever more damping.
_TRIALS = 8

#: A segment is not followed if its sum of squares is this many times that of noise, a few more
#: residuals allowed.
_LOST, _SPARE = 2.0, 20

#: Iterations for initial states alone, at most.
_MOST_ITERATIONS = 15

#: If no larger part of the segments is lost, these are followed in so many pieces.
_FEW, _PIECEMEAL = 0.2, 12

#: Sum of squares of a segment that is taken for diverged.
_DIVERGED = 1e12

#: Distance of two states that are followed side by side.
_APART = 1e-6

#: Damping of one segment beyond which its initial state stays.
_MOST_DAMPING = 1e6

#: Gain in the sum of squares, a coefficient or a segment, below which a fit has converged.
_CONVERGED = 1e-3

#: Substeps of an interval at most, and the error of an interval, in units of the observations'
#: standard deviation, that needs no more of them.
_MOST_SUBSTEPS, _INTEGRATED = 8, 1e-2


@dataclass(frozen=True)
class Observations:
    """Noisy states at even times, one row a segment.

    Attributes
    ----------
    states : array, shape (n_segments, n_times, d)
        NaN where a segment has ended.
    first : float
        Time from a segment's initial state to its first observation.
    spacing : float
        Time between observations.
    sigma : array, shape (d,)
        Standard deviation of an observation's error.
    """

    states: np.ndarray
    first: float
    spacing: float
    sigma: np.ndarray

    @property
    def count(self) -> int:
        """Number of observed numbers."""
        return int(np.isfinite(self.states).sum())

    def __getitem__(self, segments: np.ndarray | slice) -> Observations:
        """Return some of the segments."""
        return Observations(self.states[segments], self.first, self.spacing, self.sigma)

    def intervals(self, substeps: int) -> Iterator[tuple[np.ndarray, float]]:
        """Iterate over the observations ``(d, n)`` with the size of the steps that lead to them."""
        for k in range(self.states.shape[1]):
            span = self.spacing if k else self.first
            yield self.states[:, k].T, span / substeps


@dataclass(frozen=True)
class Fit:
    """A field, the initial states of all segments, and how well they explain observations.

    Attributes
    ----------
    field : PolynomialField
    starts : array, shape (n_segments, d)
    misfits : array, shape (n_segments,)
        Sum of squared residuals of each segment, in units of the observations' variance; infinite
        where the field does not lead to the segment's end.
    precision : array, shape (p, p)
        Inverse covariance of the field's free coefficients.
    """

    field: PolynomialField
    starts: np.ndarray
    misfits: np.ndarray
    precision: np.ndarray

    def followed(self, observed: Observations) -> np.ndarray:
        """Tell which segments are explained but for noise; bool, shape ``(n_segments,)``."""
        count = np.isfinite(observed.states).sum(axis=(1, 2))
        return np.asarray(self.misfits <= _LOST * (count + _SPARE))


def step(field: PolynomialField, states: np.ndarray, h: float) -> np.ndarray:
    """Return states ``(d, n)`` a time ``h`` later, by the classical Runge-Kutta method."""
    a = field(states)
    b = field(states + 0.5 * h * a)
    c = field(states + 0.5 * h * b)
    e = field(states + h * c)
    return np.asarray(states + h / 6 * (a + 2 * (b + c) + e))


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

    def advance(n: int) -> np.ndarray:
        x = begin
        for _ in range(n):
            x = step(field, x, observed.spacing / n)
        return x

    n = 1
    with np.errstate(all="ignore"):
        coarse = advance(n)
        while n < _MOST_SUBSTEPS:
            fine = advance(2 * n)
            error = np.abs(fine - coarse) / observed.sigma[:, None]
            if not np.nanmax(error) > enough:
                break
            n, coarse = 2 * n, fine
    return n


def spreading(field: PolynomialField, starts: np.ndarray, observed: Observations) -> float:
    """Return how many times a small difference of the initial states grows over a segment.

    The median over the segments, of one random direction each.
    """
    rng = np.random.default_rng(0)
    substeps = substeps_needed(field, observed)
    apart = rng.standard_normal(starts.shape)
    apart *= _APART / np.linalg.norm(apart, axis=1, keepdims=True)
    x = np.concatenate([starts, starts + apart]).T
    with np.errstate(all="ignore"):
        for _, h in observed.intervals(substeps):
            for _ in range(substeps if h else 0):
                x = step(field, x, h)
        a, b = np.split(x, 2, axis=1)
        grown = np.linalg.norm(b - a, axis=0) / _APART
    return float(np.median(np.nan_to_num(grown, nan=np.inf)))


def settle(
    field: PolynomialField,
    starts: np.ndarray,
    observed: Observations,
    *,
    n_threads: int = 1,
    clock: Clock = UNLIMITED,
) -> Fit:
    """Improve the initial states of all segments, each by itself, with the field as it is.

    A segment that ends far from its observations, as one may that passes a saddle on the wrong
    side, is followed once more piece by piece from its begin.

    Parameters
    ----------
    field : PolynomialField
    starts : array, shape (n_segments, d)
    observed : Observations
    n_threads : int
        Blocks of segments worked on side by side.
    clock : Clock, optional

    Raises
    ------
    TimeIsUpError
    """
    fit = _settle(field, starts, observed, n_threads, clock)
    lost = np.flatnonzero(~fit.followed(observed))
    if not 0 < len(lost) <= _FEW * len(starts):
        return fit
    begin = starts[lost]
    n_times = observed.states.shape[1]
    for reach in np.unique(np.linspace(n_times / 2, n_times, _PIECEMEAL).astype(int)):
        states = observed.states[lost]
        states[:, reach:] = np.nan
        part = Observations(states, observed.first, observed.spacing, observed.sigma)
        again = _settle(field, begin, part, n_threads, clock)
        begin = again.starts
    better = again.misfits < fit.misfits[lost]
    fit.starts[lost[better]] = again.starts[better]
    fit.misfits[lost[better]] = again.misfits[better]
    return fit


def _settle(
    field: PolynomialField,
    starts: np.ndarray,
    observed: Observations,
    n_threads: int,
    clock: Clock,
) -> Fit:
    fixed = PolynomialField(field.basis, field.coefficients, np.zeros_like(field.active))
    substeps = substeps_needed(field, observed)
    d = starts.shape[1]
    starts = starts.copy()
    misfits = _misfits(fixed, starts, observed, substeps)
    size = max(16, _BLOCK // (d * d))

    def work(block: np.ndarray) -> None:
        damping = np.full(len(block), 1e-4)
        for _ in range(_MOST_ITERATIONS):
            clock.check()
            with np.errstate(all="ignore"):
                normal = _Normal.of(fixed, starts[block], observed[block], substeps)
            _, moves = _solve([normal], damping, 0, d)
            trial = starts[block] + moves[0]
            now = _misfits(fixed, trial, observed[block], substeps)
            gain = np.nan_to_num(misfits[block] - now, nan=-np.inf)
            better = gain >= 0
            starts[block[better]] = trial[better]
            misfits[block[better]] = now[better]
            damping = np.where(better, damping / 10, damping * 10)
            going = (gain > _CONVERGED) | (~better & (damping < _MOST_DAMPING))
            block, damping = block[going], damping[going]
            if len(block) == 0:
                return

    sound = np.flatnonzero(np.isfinite(misfits))
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(work, [sound[k : k + size] for k in range(0, len(sound), size)]))
    return Fit(field, starts, misfits, np.zeros((0, 0)))


def refine(
    field: PolynomialField,
    starts: np.ndarray,
    observed: Observations,
    *,
    n_threads: int = 1,
    max_iterations: int = 15,
    clock: Clock = UNLIMITED,
) -> Fit:
    """Improve a field's free coefficients and all initial states together.

    Damped Gauss-Newton steps (Levenberg 1944, Marquardt 1963). Segments that diverge at first are
    left out.

    Parameters
    ----------
    field : PolynomialField
    starts : array, shape (n_segments, d)
    observed : Observations
    n_threads : int
        Blocks of segments worked on side by side.
    clock : Clock, optional

    Raises
    ------
    TimeIsUpError
    """
    substeps = substeps_needed(field, observed)
    d = starts.shape[1]
    p = int(field.active.sum())
    misfits = _misfits(field, starts, observed, substeps)
    sound = np.flatnonzero(np.isfinite(misfits))
    size = max(16, _BLOCK // (d * (d + p)))
    blocks = [sound[k : k + size] for k in range(0, len(sound), size)]
    damping = np.array(1e-4)
    equations: list[_Normal] = []
    with ThreadPoolExecutor(n_threads) as pool:
        for _ in range(max_iterations):

            def normal(block: np.ndarray, at: Fit) -> _Normal:
                clock.check()
                with np.errstate(all="ignore"):
                    return _Normal.of(at.field, at.starts[block], observed[block], substeps)

            here = Fit(field, starts, misfits, np.zeros((0, 0)))
            equations = list(pool.map(lambda block: normal(block, here), blocks))  # noqa: B023
            for _ in range(_TRIALS):
                clock.check()
                change, moves = _solve(equations, damping, p, d)
                moved = starts.copy()
                for block, move in zip(blocks, moves, strict=True):
                    moved[block] += move
                trial = field.with_free(field.free + change)
                now = _misfits(trial, moved, observed, substeps)
                gain = misfits[sound].sum() - now[sound].sum()
                if np.isfinite(gain) and gain >= 0:
                    break
                damping = damping * 10
            else:
                break
            field, starts, misfits = trial, moved, now
            damping = np.maximum(damping / 10, 1e-9)
            if gain < _CONVERGED * p:
                break
    return Fit(field, starts, misfits, _schur(equations, np.array(0.0), p, d)[0])


def _misfits(
    field: PolynomialField, starts: np.ndarray, observed: Observations, substeps: int
) -> np.ndarray:
    x = np.ascontiguousarray(starts.T)
    total = np.zeros(len(starts))
    with np.errstate(all="ignore"):
        for states, h in observed.intervals(substeps):
            for _ in range(substeps if h else 0):
                x = step(field, x, h)
            residual = (states - x) / observed.sigma[:, None]
            total += np.where(np.isnan(states), 0.0, np.square(residual)).sum(axis=0)
    total[~(total < _DIVERGED)] = np.inf
    return total


@dataclass(frozen=True)
class _Normal:
    """Normal equations of some segments.

    Attributes
    ----------
    own : array, shape (n, d, d + p)
        Products of the derivatives in a segment's initial state with all derivatives.
    own_gradient : array, shape (n, d)
    shared : array, shape (p, p)
        Products of the derivatives in the coefficients, summed over the segments.
    shared_gradient : array, shape (p,)
    """

    own: np.ndarray
    own_gradient: np.ndarray
    shared: np.ndarray
    shared_gradient: np.ndarray

    @classmethod
    def of(
        cls, field: PolynomialField, starts: np.ndarray, observed: Observations, substeps: int
    ) -> _Normal:
        """Accumulate them along the segments."""
        n, d = starts.shape
        p = int(field.active.sum())
        x = np.ascontiguousarray(starts.T)
        z = np.zeros((d, d + p, n))
        z[np.arange(d), np.arange(d)] = 1.0
        own, own_gradient = np.zeros((d, d + p, n)), np.zeros((d, n))
        shared, shared_gradient = np.zeros((p, p)), np.zeros(p)
        for states, h in observed.intervals(substeps):
            for _ in range(substeps if h else 0):
                x, z = _step_with(field, x, z, h)
            for a in range(d):
                known = np.isfinite(states[a])
                weight = known / observed.sigma[a]
                residual = np.where(known, states[a] - x[a], 0.0) / observed.sigma[a]
                derivative = z[a] * weight
                for j in range(d):
                    own[j] += derivative[j] * derivative
                    own_gradient[j] += derivative[j] * residual
                shared += derivative[d:] @ derivative[d:].T
                shared_gradient += derivative[d:] @ residual
        return cls(own.transpose(2, 0, 1), own_gradient.T, shared, shared_gradient)


def _step_with(
    field: PolynomialField, x: np.ndarray, z: np.ndarray, h: float
) -> tuple[np.ndarray, np.ndarray]:
    """Step states and their sensitivities together."""
    a, az = field.slopes(x, z)
    b, bz = field.slopes(x + 0.5 * h * a, z + 0.5 * h * az)
    c, cz = field.slopes(x + 0.5 * h * b, z + 0.5 * h * bz)
    e, ez = field.slopes(x + h * c, z + h * cz)
    bz += cz
    bz *= 2
    bz += az
    bz += ez
    bz *= h / 6
    bz += z
    return x + h / 6 * (a + 2 * (b + c) + e), bz


def _schur(
    equations: list[_Normal], damping: np.ndarray, p: int, d: int
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Eliminate the initial states: matrix and gradient of the coefficients, and what was solved.

    The damping is one number, or one a segment where no coefficient is free. The last of what is
    returned are, for each block, the solutions ``(n, d, p + 1)`` of the segments' own equations for
    all coefficients and for the gradient.
    """
    matrix, gradient = np.zeros((p, p)), np.zeros(p)
    solved = []
    for part in equations:
        block = part.own[:, :, :d]
        size = np.trace(block, axis1=1, axis2=2)[:, None, None]
        damped = 1 + damping.reshape(-1, 1, 1) * np.eye(d)
        block = block * damped + (1e-12 * size + 1e-300) * np.eye(d)
        cross = part.own[:, :, d:]
        sides = np.concatenate([cross, part.own_gradient[:, :, None]], axis=2)
        solution = np.linalg.solve(block, sides)
        flat = cross.reshape(len(cross) * d, p)
        matrix += part.shared - flat.T @ solution[:, :, :p].reshape(len(cross) * d, p)
        if p:
            matrix += damping * np.diag(np.diag(part.shared))
        gradient += part.shared_gradient - flat.T @ solution[:, :, p].reshape(-1)
        solved.append(solution)
    return matrix, gradient, solved


def _solve(
    equations: list[_Normal], damping: np.ndarray, p: int, d: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the step of the coefficients ``(p,)`` and those of the initial states, by block."""
    matrix, gradient, solved = _schur(equations, damping, p, d)
    change = np.zeros(p)
    if p and np.isfinite(matrix).all():
        scale = 1 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))
        values, vectors = np.linalg.eigh(matrix * scale * scale[:, None])
        kept = values > _RANK * values[-1]
        part = vectors[:, kept]
        change = scale * (part @ ((part.T @ (scale * gradient)) / values[kept]))
    elif p:
        change[:] = np.nan
    return change, [solution[:, :, p] - solution[:, :, :p] @ change for solution in solved]
