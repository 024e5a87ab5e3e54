"""Normal equations of multiple shooting: sensitivities along segments, states eliminated."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from pyhits.noise.field import PolynomialField
from pyhits.noise.observations import Observations, advance
from pyhits.numerics.gauss_newton import damped
from pyhits.numerics.rollout import last_state

#: Numbers of the sensitivities that are integrated together, which stay in a core's cache.
SENSITIVITIES = 40_000

#: Least eigenvalue of the scaled normal matrix, relative to the largest, that a step follows.
_RANK = 1e-11


@dataclass(frozen=True)
class SegmentEquations:
    """Normal equations of some segments."""

    #: (n, d, d + p): products of the derivatives in a segment's initial state with all
    #: derivatives.
    own: np.ndarray
    own_gradient: np.ndarray  # (n, d)
    #: (p, p): products of the derivatives in the coefficients, summed over the segments.
    shared: np.ndarray
    shared_gradient: np.ndarray  # (p,)

    @classmethod
    def of(
        cls, field: PolynomialField, starts: np.ndarray, observed: Observations, substeps: int
    ) -> SegmentEquations:
        """Accumulate them along the segments."""
        n, d = starts.shape
        p = int(field.active.sum())
        z = np.zeros((d, d + p, n))
        z[np.arange(d), np.arange(d)] = 1.0
        own, own_gradient = np.zeros((d, d + p, n)), np.zeros((d, n))
        shared, shared_gradient = np.zeros((p, p)), np.zeros(p)
        with np.errstate(all="ignore"):
            moves = _moves(field, starts, observed, substeps)
            for (states, _), (x, moved) in zip(observed.intervals(substeps), moves, strict=True):
                z = np.einsum("ijn,jkn->ikn", moved[:, :d], z)
                z[:, d:] += moved[:, d:]
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


def _moves(
    field: PolynomialField, starts: np.ndarray, observed: Observations, substeps: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the states at the end of each interval, ``(d, n)``, and their derivatives.

    These, ``(d, d + p, n)``, are by the states at its begin and by the coefficients. States are
    known before any derivative is, so that those of many intervals are integrated side by side.
    """
    path = [np.ascontiguousarray(starts.T)]
    steps = [h for _, h in observed.intervals(substeps)]
    for h in steps:
        path.append(advance(field, path[-1], h, substeps))
    (d, n), width = path[0].shape, len(path[0]) + len(field.free)
    together = max(1, SENSITIVITIES // (d * width * n))
    edges = [0, *range(1, len(steps), together), len(steps)]  # the first may be shorter
    for begin, end in itertools.pairwise(edges):
        x = np.concatenate(path[begin:end], axis=1)
        z = np.zeros((d, width, x.shape[1]))
        z[np.arange(d), np.arange(d)] = 1.0
        step = partial(_step_with, field, steps[begin])
        z = last_state(step, (x, z), substeps if steps[begin] else 0)[1]
        each = np.split(z, end - begin, axis=2)
        yield from zip(path[begin + 1 : end + 1], each, strict=True)


def _step_with(
    field: PolynomialField, h: float, state: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Step states and their sensitivities together."""
    x, z = state
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


def eliminate(
    equations: list[SegmentEquations], damping: np.ndarray, p: int, d: int
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Eliminate the initial states: matrix and gradient of the coefficients, and what was solved.

    The last of what is returned are, for each block, the solutions ``(n, d, p + 1)`` of the
    segments' own equations for all coefficients and for the gradient.
    """
    matrix, gradient = np.zeros((p, p)), np.zeros(p)
    solved = []
    for part in equations:
        block = damped(part.own[:, :, :d], damping)
        cross = part.own[:, :, d:]
        sides = np.concatenate([cross, part.own_gradient[:, :, None]], axis=2)
        solution = np.linalg.solve(block, sides)
        flat = cross.reshape(len(cross) * d, p)
        matrix += part.shared - flat.T @ solution[:, :, :p].reshape(len(cross) * d, p)
        matrix += damping * np.diag(np.diag(part.shared))
        gradient += part.shared_gradient - flat.T @ solution[:, :, p].reshape(-1)
        solved.append(solution)
    return matrix, gradient, solved


def solve(
    equations: list[SegmentEquations], damping: np.ndarray, p: int, d: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the step of the coefficients ``(p,)`` and those of the initial states, by block."""
    matrix, gradient, solved = eliminate(equations, damping, p, d)
    change = np.zeros(p)
    if np.isfinite(matrix).all() and p:
        scale = 1 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))
        values, vectors = np.linalg.eigh(matrix * scale * scale[:, None])
        followed = values > _RANK * values[-1]
        part = vectors[:, followed]
        change = scale * (part @ ((part.T @ (scale * gradient)) / values[followed]))
    else:
        change[:] = np.nan
    return change, [solution[:, :, p] - solution[:, :, :p] @ change for solution in solved]
