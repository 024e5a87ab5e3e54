"""Many trajectories as one large system through an explicit method of order 8."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from pyhits.systems.divergence import divergence
from pyhits.util.checks import LARGEST_MAGNITUDE

if TYPE_CHECKING:
    from scipy.integrate import DOP853

    from pyhits.systems.system import System

#: Most trajectories, and most numbers, of one block: more would leave the processor's cache.
LARGEST_BLOCK, LARGEST_SIZE = 1024, 8192

#: The solver keeps the root mean square error of a block below the tolerance, which lets one of n
#: trajectories exceed it sqrt(n) times. Dividing by sqrt(LARGEST_BLOCK) holds each one to it, and
#: doing so in small blocks too makes results independent of the number of trajectories.
MARGIN = math.sqrt(LARGEST_BLOCK)

#: Least relative tolerance that the solver accepts.
LEAST_RTOL = 2.3e-14

#: Steps a row, on average, beyond which integration is given up: noise in the right-hand side, or
#: stiffness, holds the step size down and the end would not be reached in hours. Progress is
#: measured over STRIDE steps.
MOST_STEPS, STRIDE = 10_000, 1000

#: Rows interpolated at once, to keep the temporary arrays small where steps span many rows.
ROWS_AT_ONCE = 64


def integrate(
    system: System,
    states: np.ndarray,
    times: np.ndarray,
    rows: np.ndarray,
    *,
    rtol: float,
    atol: float,
    block: int = LARGEST_BLOCK,
    progress: Callable[[int, int], object] | None = None,
) -> None:
    """Fill ``rows`` with the solutions from ``states`` on, block by block.

    Parameters
    ----------
    states : array, shape (n_trajectories, dimension)
    times : array, shape (n_rows,)
        Increasing; the states belong to the first.
    rows : array, shape (n_trajectories, n_rows, dimension)
        Written to.
    block : int
        Most trajectories integrated together.

    Raises
    ------
    DivergenceError
        A trajectory left every bound, or its derivative is not finite.
    """
    n, d = states.shape
    size = min(block, max(1, LARGEST_SIZE // d))
    total = n * len(times)

    for first in range(0, n, size):
        part = slice(first, first + size)

        def report(row: int, first: int = first) -> None:
            if progress is not None:
                progress(first * len(times) + row * min(size, n - first), total)

        _block(system, states[part], times, rows[part], rtol, atol, first, report)


def _block(
    system: System,
    states: np.ndarray,
    times: np.ndarray,
    rows: np.ndarray,
    rtol: float,
    atol: float,
    first: int,
    report: Callable[[int], None],
) -> None:
    from scipy.integrate import DOP853

    n, d = states.shape
    rhs, parameters = system.rhs, system.parameters

    def derivative(t: float, y: np.ndarray) -> np.ndarray:
        # One component of all trajectories is contiguous: the fastest layout for x[..., k].
        slope = rhs(t, y.reshape(d, n).T, **parameters)
        return np.asarray(slope, dtype=np.float64).T.ravel()

    rows[:, 0] = states
    with np.errstate(all="ignore"):
        start = derivative(times[0], states.T.ravel())
        if not np.isfinite(start).all():
            worst = _worst(start, states.T.ravel(), n)
            raise divergence(system, first + worst, times, times[0], states[worst])
        solver = DOP853(
            derivative,
            times[0],
            states.T.ravel(),
            times[-1],
            rtol=max(rtol / MARGIN, LEAST_RTOL),
            atol=atol / MARGIN,
        )
        done = 1
        for sound in _steps(solver, len(times)):
            if not sound:
                worst = _worst(derivative(solver.t, solver.y), solver.y, n)
                state = solver.y.reshape(d, n)[:, worst]
                raise divergence(system, first + worst, times, solver.t, state)
            reached = int(np.searchsorted(times, solver.t, side="right"))
            if reached > done:
                solution = solver.dense_output()
                for begin in range(done, reached, ROWS_AT_ONCE):
                    end = min(begin + ROWS_AT_ONCE, reached)
                    values = solution(times[begin:end]).reshape(d, n, end - begin)
                    rows[:, begin:end] = values.transpose(1, 2, 0)
                done = reached
                report(done)


def _steps(solver: DOP853, n_rows: int) -> Iterator[bool]:
    """Step to the end; tell after each step whether the solution can be continued."""
    most = MOST_STEPS * max(n_rows, STRIDE)
    before = solver.t
    for count in itertools.count(1):
        if solver.t >= solver.t_bound:
            return
        solver.step()
        sound = solver.status != "failed" and bool(np.abs(solver.y).max() < LARGEST_MAGNITUDE)
        if count % STRIDE == 0:
            to_come = (solver.t_bound - solver.t) / (solver.t - before) * STRIDE
            sound = sound and to_come <= most
            before = solver.t
        yield sound


def _worst(slope: np.ndarray, y: np.ndarray, n: int) -> int:
    """Return the trajectory of a block that cannot be continued whose state changes fastest."""
    slope, states = slope.reshape(-1, n), y.reshape(-1, n)
    speed = np.abs(slope / (1 + np.abs(states))).max(axis=0)
    speed[~(np.isfinite(slope) & np.isfinite(states)).all(axis=0)] = np.inf
    return int(np.argmax(speed))
