"""Fine solutions from coarse states, for all intervals of all trajectories at once."""

from __future__ import annotations

import numpy as np

from pyhits.integrators.base import Integrator


class FinePropagator:
    """Integrates from coarse states on, and fills in the rows of a result ``(n, n_steps + 1, d)``.

    Parameters
    ----------
    dt : float
        Time between rows of the result.
    ratio : int
        Rows from one coarse state to the next.
    """

    def __init__(self, integrator: Integrator, dt: float, ratio: int) -> None:
        self.integrator, self.dt, self.ratio = integrator, dt, ratio

    def fill(self, out: np.ndarray, coarse: np.ndarray) -> None:
        """Write all rows after the first.

        Parameters
        ----------
        out : array, shape (n, n_steps + 1, d)
        coarse : array, shape (n, q + 1, d)
            Coarse states within the horizon, float64. The rows after the last of them are
            integrated from it.
        """
        q, rest = divmod(out.shape[1] - 1, self.ratio)
        out[:, self.ratio :: self.ratio] = coarse[:, 1:]
        if self.integrator.restarts:
            # The incomplete last interval goes along with the others as far as it reaches.
            reached = self.intervals(out, coarse, 0, rest)
            self.intervals(out, reached[:, :q], rest, self.ratio - 1 - rest)
        else:
            self.intervals(out, coarse[:, :q], 0, self.ratio - 1)
            self.intervals(out, coarse[:, q:], 0, rest, first=q)

    def intervals(
        self, out: np.ndarray, starts: np.ndarray, offset: int, steps: int, *, first: int = 0
    ) -> np.ndarray:
        """Integrate consecutive intervals of all trajectories, and return where they end.

        Parameters
        ----------
        starts : array, shape (n, k, d)
            States ``offset`` rows after the starts of the intervals ``first``, ``first + 1``, ...
        steps : int
            Rows of each to write; none is left as it is.
        """
        n, k, d = starts.shape
        if steps == 0 or k == 0:
            return starts
        i, j = np.divmod(np.arange(n * k), k)
        ends = self.propagate(out, starts.reshape(-1, d), i, first + j, steps, offset)
        return ends.reshape(starts.shape)

    def propagate(
        self,
        out: np.ndarray,
        starts: np.ndarray,
        i: np.ndarray,
        j: np.ndarray,
        steps: int,
        offset: int = 0,
    ) -> np.ndarray:
        """Integrate from row ``ratio * j + offset`` of trajectory i on; return the last states.

        Parameters
        ----------
        starts : array, shape (m, d)
            The states there; what ``out`` holds is not looked at.
        i, j : array of int, shape (m,)
        steps : int
            Rows of each to write.
        """
        if len(starts) == 0:
            return starts
        rows = j * self.ratio + offset
        times: float | np.ndarray = self.dt * rows
        if (rows == rows[0]).all():
            times = float(self.dt * rows[0])
        ends = np.empty(starts.shape)
        # Rows after each start, as one more axis: every index is a row itself.
        view = np.lib.stride_tricks.sliding_window_view(out, steps, axis=1, writeable=True)
        with np.errstate(all="ignore"):
            for part, along, piece in self.integrator.blocks(starts, self.dt, steps, times):
                for component in range(out.shape[2]):
                    target = view[:, :, component]
                    target[i[part], rows[part] + 1, along] = piece[:, :, component]
                ends[part] = piece[:, -1]
        return ends
