"""Training windows: states and their successors, drawn from anywhere in the trajectories."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyhits.encoders import Standardise
from pyhits.errors import DataError

#: Batch number of the windows that scales and held-out errors are measured on.
_HELD_BATCH = 2**31 - 1


@dataclass(frozen=True)
class WindowSampler:
    """Draws windows of ``rollout_steps`` steps of ``step_size`` rows, ``outputs`` states a step.

    A window has ``rollout_steps * outputs + 1`` states, the first of them where it begins.

    Only the rows drawn are touched: nothing is materialised, and the packed values may be a memory
    map shared by all processes.

    Parameters
    ----------
    values : array, shape (n_rows, d)
        Packed rows of all trajectories, in the user's units.
    offsets : array, shape (n_trajectories + 1,)
        Row at which each trajectory begins.
    encoder : Standardise
        Maps rows to the coordinates that the flow maps work in.
    step_size : int
        Rows per step.
    rollout_steps : int
        Number of steps p in the loss (paper, equation 9).
    early_bias : float
        A window starts at ``T u**early_bias`` with u uniform on [0, 1): 1 draws uniformly over
        time, 3 favours the transients at the beginning.
    seed : int
        Batches are a function of the seed and their number alone, so that a resumed training draws
        what the uninterrupted one would have drawn.
    outputs : int
        States a step, equally spaced, for dense flow maps; ``step_size`` is a multiple of it.
    """

    values: np.ndarray
    offsets: np.ndarray
    encoder: Standardise
    step_size: int
    rollout_steps: int = 1
    early_bias: float = 1.0
    seed: int = 0
    outputs: int = 1

    @property
    def counts(self) -> np.ndarray:
        """Number of windows that fit each trajectory, shape ``(n_trajectories,)``."""
        span = self.rollout_steps * self.step_size
        return np.asarray(np.maximum(np.diff(self.offsets) - span, 0))

    @property
    def n_windows(self) -> int:
        """Number of different windows."""
        return int(self.counts.sum())

    def draw(self, n: int, batch: int) -> np.ndarray:
        """Return ``n`` windows, shape ``(rollout_steps * outputs + 1, n, d)``, encoded, float64.

        Parameters
        ----------
        n : int
            Number of windows, drawn with replacement.
        batch : int
            Number of the batch; equal numbers give equal windows.

        Raises
        ------
        DataError
            No window fits any trajectory.
        """
        return self.gather(self.rows(n, batch))

    def rows(self, n: int, batch: int) -> np.ndarray:
        """Return the rows at which the windows of :meth:`draw` begin, shape ``(n,)``."""
        counts = self.counts
        total = int(counts.sum())
        if total == 0:
            raise DataError(self.too_short())
        rng = np.random.default_rng([self.seed, self.step_size, batch])
        begins = np.cumsum(counts) - counts
        trajectory = np.searchsorted(begins, rng.integers(0, total, n), side="right") - 1
        # searchsorted lands on the last of several equal begins: those in front of it are empty.
        time = (counts[trajectory] * rng.random(n) ** self.early_bias).astype(np.int64)
        return np.asarray(self.offsets[trajectory] + time)

    def all_rows(self) -> np.ndarray:
        """Return the rows at which windows begin, all of them, shape ``(n_windows,)``."""
        counts = self.counts
        trajectory = np.repeat(np.arange(len(counts)), counts)
        within = np.arange(len(trajectory)) - np.repeat(np.cumsum(counts) - counts, counts)
        if len(trajectory) == 0:
            raise DataError(self.too_short())
        return np.asarray(self.offsets[trajectory] + within)

    def first(self) -> np.ndarray:
        """Return the first window of every trajectory (paper, equation 6); shape as ``draw``."""
        long_enough = self.counts > 0
        if not long_enough.any():
            raise DataError(self.too_short())
        return self.gather(self.offsets[:-1][long_enough])

    def spread(self, n: int) -> np.ndarray:
        """Return every window if there are at most ``n``, else ``n`` drawn ones; as ``draw``."""
        if self.n_windows > n:
            return self.draw(n, batch=_HELD_BATCH)
        return self.gather(self.all_rows())

    def states(self, rows: np.ndarray) -> np.ndarray:
        """Return the states in which windows begin, shape ``(n, d)``, encoded, float64."""
        return np.asarray(self.encoder.transform(self.values[rows]))

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Return the windows that begin at ``rows``; shape as ``draw``."""
        every = self.step_size // self.outputs
        steps = every * np.arange(self.rollout_steps * self.outputs + 1)
        return np.asarray(self.encoder.transform(self.values[rows + steps[:, None]]))

    def too_short(self) -> str:
        """Return the sentence that says why no window fits."""
        span = self.rollout_steps * self.step_size
        return (
            f"Step size {self.step_size} with {self.rollout_steps} step(s) in the loss spans "
            f"{span + 1} rows, but the longest trajectory has {int(np.diff(self.offsets).max())}. "
            "Leave out the coarse step sizes, or record longer trajectories."
        )
