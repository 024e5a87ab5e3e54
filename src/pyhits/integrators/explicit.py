"""Explicit Runge-Kutta methods of fixed step, all states in one array."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from pyhits.errors import ArgumentError
from pyhits.integrators.base import Integrator
from pyhits.integrators.righthandside import RightHandSide, Time, as_right_hand_side
from pyhits.integrators.tableaux import EXPLICIT, Tableau
from pyhits.util.checks import as_choice, as_count

#: Numbers, and least steps, in one piece of a solution: few steps are slow to copy along time.
_PIECE, _LEAST = 65536, 32


class RungeKutta(Integrator):
    """An explicit Runge-Kutta method with a fixed step.

    Rounding is the same for any number of states, as long as the right-hand side's is.

    Parameters
    ----------
    system : System or callable
        Right-hand side: a System, or ``f(t, x)`` with states x of shape ``(n, d)``. Component k of
        all states is ``x[..., k]``, contiguous in memory. Where states have different times, as in
        a hybrid, t is an array of shape ``(n,)``.
    method : {"rk4", "euler", "rk2", "heun", "tsit5", "dop853"} or Tableau
        Orders 4, 1, 2, 2, 5 and 8; see :class:`Tableau` for coefficients of your own.
    substeps : int
        Steps of the method in one step that is asked for.
    block : int
        Numbers in one array of stages. Larger ones leave a processor's cache, smaller ones spend
        the time on calls; the default is measured.

    Raises
    ------
    ArgumentError
        The method is unknown or implicit.
    """

    restarts: ClassVar[bool] = True
    advice: str = "Take smaller steps (substeps=...), or an implicit method if the system is stiff."

    def __init__(
        self, system: Any, method: str | Tableau = "rk4", *, substeps: int = 1, block: int = 16384
    ) -> None:
        self.right_hand_side: RightHandSide = as_right_hand_side(system)
        if not isinstance(method, Tableau):
            method = EXPLICIT[as_choice(method, "method", EXPLICIT)]()
        if not method.is_explicit:
            raise ArgumentError(f"{method.name} is implicit; give it to ImplicitRungeKutta.")
        self.tableau = method
        self.substeps, self.block = as_count(substeps, "substeps"), as_count(block, "block")

    def __repr__(self) -> str:
        return f"{self.tableau.name} ({self.right_hand_side.name})"

    def rows(self, dimension: int, n_steps: int) -> int:
        """Return how many states to integrate at once."""
        return max(1, self.block // dimension)

    def integrate(
        self, states: np.ndarray, dt: float, n_steps: int, t: Time = 0.0
    ) -> Iterator[np.ndarray]:
        """Yield states in pieces; see :meth:`Integrator.integrate`."""
        n, d = states.shape
        h = dt / self.substeps
        step = self._stepper(h, (d, n))
        length = min(n_steps, max(_LEAST, _PIECE // (n * d)))
        buffer = np.empty((length, d, n))
        inner = np.empty((2, d, n))
        y = np.ascontiguousarray(states.T, dtype=np.float64)
        stored = 0
        for k in range(n_steps * self.substeps):
            done = (k + 1) % self.substeps == 0
            target = buffer[stored] if done else inner[k % 2]
            step(t, k, y, target)
            y = target
            stored += done
            if stored == length or k + 1 == n_steps * self.substeps:
                yield buffer[:stored].transpose(2, 0, 1)
                y = y.copy()  # the next step may be written where it is
                stored = 0

    def _stepper(
        self, h: float, shape: tuple[int, int]
    ) -> Callable[[Time, int, np.ndarray, np.ndarray], None]:
        """Return ``step(t, k, y, out)``, which takes step k from t on, in arrays ``(d, n)``.

        Each slope is added to all sums that it belongs to as soon as it is known, so that none
        has to be stored.
        """
        s = len(self.tableau.b)
        sums = [np.empty(shape) for _ in range(s)]
        spare = np.empty(shape)
        weights = h * np.vstack([self.tableau.A, self.tableau.b])
        begun: set[int] = set()
        program: list[tuple[float, list[tuple[int, float, bool]]]] = []
        for stage in range(s):
            adds = []
            for row in np.flatnonzero(weights[:, stage]).tolist():
                adds.append((row, float(weights[row, stage]), row not in begun))
                begun.add(row)
            program.append((float(self.tableau.c[stage]), adds))
        function = self.right_hand_side
        multiply, add = np.multiply, np.add

        def step(t: Time, k: int, y: np.ndarray, out: np.ndarray) -> None:
            arrays = [y, *sums[1:], out]
            for stage, (c, adds) in enumerate(program):
                slope = function(t + (k + c) * h, arrays[stage].T).T
                for row, weight, first in adds:
                    total = arrays[row]
                    if first:
                        multiply(slope, weight, total)
                        add(total, y, total)
                    else:
                        multiply(slope, weight, spare)
                        add(total, spare, total)

        return step
