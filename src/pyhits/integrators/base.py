"""The protocol that every integrator satisfies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from pyhits.errors import DataError, DivergenceError
from pyhits.integrators.righthandside import RightHandSide, Time
from pyhits.util.checks import as_count, as_numeric, as_positive

#: Bytes of one block of states, steps and components; results of any size go through such blocks.
_BLOCK_BYTES = 64 << 20


class Integrator(ABC):
    """Steps many states forward together, by a method other than a learned flow map.

    Subclass it and write :meth:`integrate` to make one of your own; for a simulator that takes one
    state at a time, :class:`~pyhits.integrators.Simulator` is enough.

    Attributes
    ----------
    restarts : bool
        Whether a solution stopped after any step and begun anew there gives the same numbers, as in
        one-step methods of fixed step. It may then be cut where that saves time.
    independent : bool
        Whether the solution from a state does not depend on those that are integrated with it.
    right_hand_side : RightHandSide or None
        What it integrates, if it knows.
    advice : str
        What to do where it fails; the end of an error message.
    """

    restarts: ClassVar[bool] = False
    independent: ClassVar[bool] = True
    right_hand_side: RightHandSide | None = None
    advice: str = "Take smaller steps, or start elsewhere."

    @abstractmethod
    def integrate(
        self, states: np.ndarray, dt: float, n_steps: int, t: Time = 0.0
    ) -> Iterator[np.ndarray]:
        """Yield the states after 1, 2, ... ``n_steps`` steps, in pieces along time.

        Parameters
        ----------
        states : array, shape (n, d)
            float64. A state that is not finite has only such states after it.
        dt : float
            Time between the states to return.
        t : float or array, shape (n,)
            Time of the states, or of each.

        Yields
        ------
        array, shape (n, k, d)
            Together ``n_steps`` states of each trajectory. Where the method fails, states are NaN
            or infinite from there on. A piece may be overwritten when the next is asked for.
        """

    def rows(self, dimension: int, n_steps: int) -> int:
        """Return how many states to integrate at once."""
        return max(1, _BLOCK_BYTES // (8 * dimension * max(1, n_steps)))

    def check(self, states: np.ndarray) -> None:
        """Raise an ArgumentError if states ``(n, d)`` such as these cannot be integrated."""
        if self.right_hand_side is not None:
            self.right_hand_side.check(states)

    def blocks(
        self, states: np.ndarray, dt: float, n_steps: int, t: Time = 0.0
    ) -> Iterator[tuple[slice, slice, np.ndarray]]:
        """Integrate in blocks of rows; yield rows, steps (the first is 0) and the states there."""
        size = self.rows(states.shape[1], n_steps)
        for first in range(0, len(states), size):
            rows = slice(first, min(first + size, len(states)))
            time = t[rows] if isinstance(t, np.ndarray) else t
            done = 0
            for piece in self.integrate(states[rows], dt, n_steps, time):
                yield rows, slice(done, done + piece.shape[1]), piece
                done += piece.shape[1]

    def __call__(
        self, states: Any, dt: float, n_steps: int, *, t: float | np.ndarray = 0.0
    ) -> np.ndarray:
        """Return the states after each of ``n_steps`` steps.

        Returns array, shape (n, n_steps, d) or (n_steps, d): float64, without the initial states.
        Raises DivergenceError: a state is not finite; it names trajectory and step.
        Raises ArgumentError, DataError.

        Parameters
        ----------
        states : array, shape (n, d) or (d,)
        t : float or array, shape (n,)
            Time of the states, or of each; only non-autonomous right-hand sides look at it.
        """
        start = as_numeric(states, what="The states").astype(np.float64)
        dt, n_steps = as_positive(dt, "dt"), as_count(n_steps, "n_steps")
        if start.ndim not in (1, 2) or start.size == 0 or not np.isfinite(start).all():
            raise DataError(f"Expected finite states of shape (n, d), got shape {start.shape}.")
        rows = np.atleast_2d(start)
        out = np.empty((len(rows), n_steps, rows.shape[1]))
        with np.errstate(all="ignore"):
            for part, steps, piece in self.blocks(rows, dt, n_steps, t):
                for component in range(rows.shape[1]):  # contiguous along time, as pieces are not
                    out[part, steps, component] = piece[:, :, component]
        if not np.isfinite(out).all():
            row, step = (int(k) for k in np.argwhere(~np.isfinite(out).all(axis=2))[0])
            raise DivergenceError(
                f"{self} came to {out[row, step]} at step {step + 1} from state {row}, "
                f"{rows[row]}. {self.advice}",
                row,
                step + 1,
            )
        return out[0] if start.ndim == 1 else out
