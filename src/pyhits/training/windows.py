"""Training windows: states and their successors, drawn from anywhere in the trajectories."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from pyhits.data.grid import Grid
from pyhits.encoders.standardise import Standardise
from pyhits.errors import DataError
from pyhits.flowmaps.form import Moves

#: Batch number of the windows that scales and held-out errors are measured on.
_VALIDATION_BATCH = 2**31 - 1

#: Windows of which all coordinates are compared with all, and coordinates at most.
_COMPARED, _MOST_COMPARED = 8, 512


class _Owners:
    """Finds the owners of numbered things in a time that does not depend on how many owners are.

    Parameters
    ----------
    ends : array, shape (n_owners,)
        Number of things up to the last of each owner; not decreasing.
    """

    def __init__(self, ends: np.ndarray) -> None:
        self._ends = ends
        self.total = int(ends[-1])
        # Buckets of 2**shift things, as many of them as owners at least. In one of them the search
        # is among the owners from that of its first thing to that of the next bucket's first.
        self._shift = max(0, (self.total // len(ends)).bit_length() - 1)
        begins = np.arange(0, self.total + (1 << self._shift), 1 << self._shift)
        owners = np.searchsorted(ends, np.minimum(begins, max(self.total - 1, 0)), side="right")
        self._lowest = owners
        self._rounds = int(np.diff(owners).max(initial=0)).bit_length()

    def find(self, numbers: np.ndarray) -> np.ndarray:
        """Return the owner of each thing; ``numbers`` are from 0 to below ``total``."""
        bucket = numbers >> self._shift
        low, high = self._lowest.take(bucket), self._lowest.take(bucket + 1)
        for _ in range(self._rounds):
            middle = (low + high) >> 1
            behind = self._ends.take(middle) <= numbers
            low, high = np.where(behind, middle + 1, low), np.where(behind, high, middle)
        return low


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
    coarser : int, optional
        Windows then begin only where forecasts from the first rows evaluate this flow map when all
        scales are coupled: at multiples of ``step_size``, but for the last inside each step of the
        next coarser size, which is this; 0 for the coarsest. They are drawn equally often. Of a
        dense flow map, forecasts evaluate that last one too, and one that ends beyond the
        trajectory's end, where the trajectory's last row stands in.
    n_inputs : int
        The last features are inputs over a step: within a step they stay; in windows of several
        steps those of each stand where it begins.
    grid : Grid, optional
        What the numbers of a row lie on.
    """

    values: np.ndarray
    offsets: np.ndarray
    encoder: Standardise
    step_size: int
    rollout_steps: int = 1
    early_bias: float = 1.0
    seed: int = 0
    outputs: int = 1
    coarser: int | None = None
    n_inputs: int = 0
    grid: Grid | None = None

    @cached_property
    def counts(self) -> np.ndarray:
        """Number of windows that fit each trajectory, shape ``(n_trajectories,)``."""
        span = self.rollout_steps * self.step_size
        return np.asarray(np.maximum(np.diff(self.offsets) - span, 0))

    @cached_property
    def _owners(self) -> _Owners:
        return _Owners(np.cumsum(self.counts))

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields alone: what is derived from them is made anew in another process."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @property
    def n_windows(self) -> int:
        """Number of different windows."""
        return self._owners.total if self.coarser is None else len(self._coupled_rows)

    def draw(self, n: int, batch: int) -> np.ndarray:
        """Return ``n`` windows, shape ``(rollout_steps * outputs + 1, n, d)``, encoded, float64.

        Raises DataError: no window fits any trajectory.

        Parameters
        ----------
        n : int
            Number of windows, drawn with replacement.
        batch : int
            Number of the batch; equal numbers give equal windows.
        """
        return self.gather(self.rows(n, batch))

    def rows(self, n: int, batch: int, *, early_bias: float | None = None) -> np.ndarray:
        """Return the rows at which the windows of :meth:`draw` begin, shape ``(n,)``.

        ``early_bias`` is the sampler's by default.
        """
        bias = self.early_bias if early_bias is None else early_bias
        total = self.n_windows
        if total == 0:
            raise DataError(self.too_short())
        rng = np.random.default_rng([self.seed, self.step_size, batch])
        if self.coarser is not None:
            return self._coupled_rows[rng.integers(0, total, n)]
        trajectory = self._owners.find(rng.integers(0, total, n))
        time = (self.counts.take(trajectory) * rng.random(n) ** bias).astype(np.int64)
        return np.asarray(self.offsets.take(trajectory) + time)

    def all_rows(self) -> np.ndarray:
        """Return the rows at which windows begin, all of them, shape ``(n_windows,)``."""
        if self.n_windows == 0:
            raise DataError(self.too_short())
        if self.coarser is not None:
            return self._coupled_rows
        trajectory, number = _numbered(self.counts)
        return np.asarray(self.offsets[trajectory] + number)

    def even_rows(self, most: int) -> np.ndarray:
        """Return the rows at which ``most`` windows begin, evenly numbered; or all of fewer."""
        if self.n_windows <= most or self.coarser is not None:
            rows = self.all_rows()
            return rows if len(rows) <= most else rows[_even(len(rows), most)]
        numbers = _even(self.n_windows, most)
        trajectory = self._owners.find(numbers)
        before = np.concatenate([[0], np.cumsum(self.counts)])
        return np.asarray(self.offsets.take(trajectory) + numbers - before.take(trajectory))

    def moves(self, rows: np.ndarray) -> Moves | None:
        """Return the coordinates that a step only moves on, as it does with those of past rows.

        They are known by being equal to others of the state before, in all windows that begin at
        ``rows``; None if there are none, or a step returns several states.
        """
        d = self.values.shape[1] - self.n_inputs
        if self.outputs > 1 or self.coarser is not None or d > _MOST_COMPARED:
            return None
        few = rows[:: max(1, len(rows) // _COMPARED)]
        before, after = (self.values.take(few + k, axis=0)[:, :d] for k in (0, self.step_size))
        equal = (after[:, :, None] == before[:, None, :]).all(axis=0)
        to = np.flatnonzero(equal.any(axis=1))
        source = equal[to].argmax(axis=1)
        known = self.values.take(rows, axis=0)[:, source]
        same = (self.values.take(rows + self.step_size, axis=0)[:, to] == known).all(axis=0)
        to, source = to[same], source[same]
        if len(to) == 0:
            return None
        mean, scale = self.encoder.mean_, self.encoder.scale_
        factor, shift = scale[source] / scale[to], (mean[source] - mean[to]) / scale[to]
        return Moves(to, source, factor, shift)

    @cached_property
    def _coupled_rows(self) -> np.ndarray:
        # The forecast goes on while the first output of a step is there to be filled in.
        rows_left = np.maximum(np.diff(self.offsets) - self.step_size // self.outputs, 0)
        trajectory, number = _numbered(-(-rows_left // self.step_size))
        time = self.step_size * number
        if self.coarser and self.outputs == 1:
            visited = time % self.coarser != self.coarser - self.step_size
            trajectory, time = trajectory[visited], time[visited]
        return np.asarray(self.offsets[trajectory] + time)

    def first(self) -> np.ndarray:
        """Return the first window of every trajectory (paper, equation 6); shape as ``draw``."""
        long_enough = self.counts > 0
        if not long_enough.any():
            raise DataError(self.too_short())
        return self.gather(self.offsets[:-1][long_enough])

    def spread(self, n: int) -> np.ndarray:
        """Return every window if there are at most ``n``, else ``n`` drawn ones; as ``draw``."""
        if self.n_windows > n:
            return self.draw(n, batch=_VALIDATION_BATCH)
        return self.gather(self.all_rows())

    def states(self, rows: np.ndarray) -> np.ndarray:
        """Return the states in which windows begin, shape ``(n, d)``, encoded, float64."""
        return np.asarray(self.encoder.transform(self.values.take(rows, axis=0)))

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Return the windows that begin at ``rows``; shape as ``draw``."""
        every = self.step_size // self.outputs
        steps = every * np.arange(self.rollout_steps * self.outputs + 1)
        visited = rows + steps[:, None]
        if self.coarser is not None:
            ends = self.offsets[np.searchsorted(self.offsets, rows, side="right")]
            visited = np.minimum(visited, ends - 1)
        windows = np.asarray(self.encoder.transform(self.values.take(visited, axis=0)))
        if self.n_inputs and self.rollout_steps == 1:
            windows[1:, :, -self.n_inputs :] = windows[0, :, -self.n_inputs :]
        return windows

    def too_short(self) -> str:
        """Return the sentence that says why no window fits."""
        span = self.rollout_steps * self.step_size
        return (
            f"Step size {self.step_size} with {self.rollout_steps} step(s) in the loss spans "
            f"{span + 1} rows, but the longest trajectory has {int(np.diff(self.offsets).max())}. "
            "Leave out the coarse step sizes, or record longer trajectories."
        )


def _even(total: int, n: int) -> np.ndarray:
    """Return ``n`` of the numbers below ``total``, evenly, from the first to the last."""
    return np.linspace(0, total - 1, n).astype(int)


def _numbered(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each of ``counts`` things which of the counts and which of its things it is."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
