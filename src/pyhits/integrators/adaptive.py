"""An explicit Runge-Kutta method of order 8 whose steps follow its error, many states at once."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pyhits.integrators.base import Integrator
from pyhits.integrators.righthandside import RightHandSide, Time, as_right_hand_side
from pyhits.util.checks import LARGEST_MAGNITUDE, as_count, as_positive

if TYPE_CHECKING:
    from scipy.integrate import DOP853

#: Most states, and most numbers, of one block: more would leave the processor's cache.
LARGEST_BLOCK, LARGEST_SIZE = 1024, 8192

#: The solver keeps the root mean square error of a block below the tolerance, which lets one of n
#: states exceed it sqrt(n) times. Dividing by sqrt(LARGEST_BLOCK) holds each one to it, and doing
#: so in small blocks too makes results independent of the number of states.
MARGIN = math.sqrt(LARGEST_BLOCK)

#: Least relative tolerance that the solver accepts.
LEAST_RTOL = 2.3e-14

#: Steps a row, on average, beyond which integration is given up: noise in the right-hand side, or
#: stiffness, holds the step size down and the end would not be reached in hours. Progress is
#: measured over STRIDE steps.
MOST_STEPS, STRIDE = 10_000, 1000

#: Rows interpolated at once, to keep the temporary arrays small where steps span many rows.
ROWS_AT_ONCE = 64


class AdaptiveRungeKutta(Integrator):
    """DOP853 (Hairer, Norsett, Wanner 1993, II.10), blocks of states as one large system.

    The states of a block share their steps, so that a solution depends, within the tolerances, on
    the others; tolerances are tightened so that each state by itself meets them. A state
    whose solution ends is left out, and the others go on.

    Parameters
    ----------
    system : System or callable
        As in :class:`~pyhits.integrators.RungeKutta`.
    rtol, atol : float
        Tolerances on the error of a step, relative and absolute. Below about 1e-12 double
        precision sets the limit.
    block : int
        Most states integrated together.

    Raises
    ------
    ArgumentError
    """

    independent: ClassVar[bool] = False
    advice: str = (
        "The solution may end there, or its steps become too small: raise rtol and atol, or take "
        "an implicit method if the system is stiff."
    )

    def __init__(
        self, system: Any, *, rtol: float = 1e-12, atol: float = 1e-14, block: int = LARGEST_BLOCK
    ) -> None:
        self.right_hand_side: RightHandSide = as_right_hand_side(system)
        self.rtol, self.atol = as_positive(rtol, "rtol"), as_positive(atol, "atol")
        self.block = as_count(block, "block")

    def __repr__(self) -> str:
        return f"DOP853 of adaptive step ({self.right_hand_side.name})"

    def rows(self, dimension: int, n_steps: int) -> int:
        """Return how many states to integrate at once."""
        return min(self.block, max(1, LARGEST_SIZE // dimension))

    def integrate(
        self, states: np.ndarray, dt: float, n_steps: int, t: Time = 0.0
    ) -> Iterator[np.ndarray]:
        """Yield states in pieces; see :meth:`Integrator.integrate`."""
        begin, shift = (0.0, t) if isinstance(t, np.ndarray) else (float(t), None)
        times = begin + dt * np.arange(1, n_steps + 1)
        sound = np.flatnonzero(np.isfinite(states).all(axis=1))
        done = 0
        y = states[sound]
        while len(sound) and done < n_steps:
            each = None if shift is None else shift[sound]
            block = _Block(self.right_hand_side, each, begin, y)
            lost = block.undefined()
            if not lost.any():
                for solution in block.solve(times[done:], self.rtol, self.atol):
                    yield _among(solution, sound, len(states))
                    done += solution.shape[1]
                lost = block.ended()
            begin, y, sound = block.t, block.states[~lost], sound[~lost]
        if done < n_steps:
            yield np.full((len(states), n_steps - done, states.shape[1]), np.nan)


def _among(solution: np.ndarray, sound: np.ndarray, n: int) -> np.ndarray:
    """Return solutions ``(m, k, d)`` of the states numbered ``sound`` among n; the others NaN."""
    if len(sound) == n:
        return solution
    among = np.full((n, *solution.shape[1:]), np.nan)
    among[sound] = solution
    return among


class _Block:
    """States ``(n, d)`` that share their steps, from time t on; ``shift`` is added to each one's.

    Attributes
    ----------
    t, states : float and array, shape (n, d)
        What has been reached.
    """

    def __init__(
        self, function: RightHandSide, shift: np.ndarray | None, t: float, states: np.ndarray
    ) -> None:
        self.function, self.shift, self.t, self.states = function, shift, t, states

    def slope(self, t: float, y: np.ndarray) -> np.ndarray:
        """Return the derivatives of all components, those of one contiguous: fast as x[..., k]."""
        x = y.reshape(-1, len(self.states)).T
        slopes = self.function.function(t if self.shift is None else self.shift + t, x)
        return np.asarray(slopes, dtype=np.float64).T.ravel()

    def undefined(self) -> np.ndarray:
        """Return which states, of shape ``(n,)``, have no finite derivative.

        Raises ArgumentError: the right-hand side returns another shape; later calls do not look.
        """
        slopes = self.function(self.t if self.shift is None else self.shift + self.t, self.states)
        return np.asarray(~np.isfinite(slopes).all(axis=1))

    def ended(self) -> np.ndarray:
        """Return which cannot be continued, shape ``(n,)``: the one that changes fastest too."""
        size = np.abs(self.states).max(axis=1)
        lost = self.undefined() | ~(size < LARGEST_MAGNITUDE)
        if not lost.any():
            slopes = self.slope(self.t, self.states.T.ravel()).reshape(-1, len(self.states))
            lost[np.argmax(np.abs(slopes / (1 + np.abs(self.states.T))).max(axis=0))] = True
        return np.asarray(lost)

    def solve(self, times: np.ndarray, rtol: float, atol: float) -> Iterator[np.ndarray]:
        """Yield the states at the times, ``(n, k, d)``, as far as all of them can be continued."""
        from scipy.integrate import DOP853

        n, d = self.states.shape
        solver = DOP853(
            self.slope,
            self.t,
            self.states.T.ravel(),
            times[-1],
            rtol=max(rtol / MARGIN, LEAST_RTOL),
            atol=atol / MARGIN,
        )
        done = 0
        for _ in _steps(solver, len(times)):
            self.t, self.states = solver.t, solver.y.reshape(d, n).T
            reached = int(np.searchsorted(times, solver.t, side="right"))
            if reached > done:
                solution = solver.dense_output()
                for begin in range(done, reached, ROWS_AT_ONCE):
                    part = times[begin : min(begin + ROWS_AT_ONCE, reached)]
                    yield solution(part).reshape(d, n, len(part)).transpose(1, 2, 0)
                done = reached


def _steps(solver: DOP853, n_rows: int) -> Iterator[None]:
    """Step towards the end while the solution can be continued."""
    most = MOST_STEPS * max(n_rows + 1, STRIDE)
    before = solver.t
    for count in itertools.count(1):
        if solver.t >= solver.t_bound:
            return
        solver.step()
        if solver.status == "failed":
            return
        yield
        if not np.abs(solver.y).max() < LARGEST_MAGNITUDE:
            return
        if count % STRIDE == 0:
            if (solver.t_bound - solver.t) / (solver.t - before) * STRIDE > most:
                return
            before = solver.t
