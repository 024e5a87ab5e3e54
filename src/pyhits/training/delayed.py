"""Polynomials of past rows: fitted to windows of recordings, and stepped on by themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from pyhits.data.stretches import Stretches, evenly
from pyhits.numerics.basis import Monomials
from pyhits.numerics.ridge import Ridge
from pyhits.training.rollouts import LOST

#: Penalties that are tried together, relative to the largest singular value squared.
PENALTIES = (1e-15, 1e-13, 1e-11, 1e-9, 1e-7, 1e-5, 1e-3, 1e-2, 1e-1)

#: Windows that polynomials are fitted to, at most; and states beyond which a rollout is lost.
_MOST_WINDOWS, _BOUND = 2_000, 1e6

#: Above degree 1 states count as far as they lie beyond those known by the range of these.
_MARGIN = 1.0


@dataclass(frozen=True)
class Windows:
    """States of several rows, the newest first, and the rows after them."""

    n_rows: int
    lag: int
    n_features: int  # of one row
    states: np.ndarray  # (n, n_rows * n_features)
    all_changes: np.ndarray  # (n, n_rows * n_features)

    @property
    def n_new(self) -> int:
        """Coordinates that a step must find; of adjacent rows, the others only move on."""
        return self.n_features if self.lag == 1 else self.states.shape[1]


@dataclass(frozen=True)
class DelayedRows:
    """Recordings that windows are cut from."""

    values: np.ndarray  # (n_rows, n_features): packed, of order one
    offsets: np.ndarray  # (n_trajectories + 1,)

    @property
    def n_features(self) -> int:
        """Of one row."""
        return int(self.values.shape[1])

    def windows(self, n_rows: int, lag: int, most: int = _MOST_WINDOWS) -> Windows:
        """Return (evenly chosen) windows of so many rows, so far apart."""
        at = Stretches.anywhere(self.offsets, 1, 1 + (n_rows - 1) * lag).starts
        at = at[evenly(len(at), most)] if len(at) else at
        states, after = (self.delayed(at + k, n_rows, lag) for k in (0, 1))
        return Windows(n_rows, lag, self.n_features, states, after - states)

    def delayed(self, at: np.ndarray, n_rows: int, lag: int) -> np.ndarray:
        """Return the states that end in some rows."""
        return self.values[at[:, None] - lag * np.arange(n_rows)].reshape(len(at), -1)


@dataclass(frozen=True)
class DelayedRollouts:
    """Where flow maps of past rows are stepped on from, and what they should meet."""

    rows: DelayedRows
    starts: np.ndarray  # int, (n,): rows to start from
    n_steps: int
    independent: float  # those that do not overlap, about
    #: From rows to what errors are measured in.
    units: Callable[[np.ndarray], np.ndarray] | None = None
    dtype: str = "float64"  # arithmetic whose rounding states are to bear

    @classmethod
    def of(
        cls, values: np.ndarray, offsets: np.ndarray, history: int, most: int, most_steps: int
    ) -> DelayedRollouts:
        """Return at most ``most`` rollouts, evenly spread, over half of what follows a history."""
        rest = int(np.diff(offsets).max()) - history
        n_steps = max(1, min(most_steps, rest // 2))
        starts = Stretches.anywhere(offsets, n_steps, history).starts
        independent = max(1.0, len(starts) / n_steps)
        starts = starts[evenly(len(starts), most)]
        return cls(DelayedRows(values, offsets), starts, n_steps, min(independent, len(starts)))

    def at_most(self, count: int, n_steps: int) -> DelayedRollouts:
        """Return the first steps of at most ``count`` of them, evenly chosen."""
        starts = self.starts[evenly(len(self.starts), count)]
        return replace(self, starts=starts, n_steps=min(n_steps, self.n_steps))

    @cached_property
    def truth(self) -> np.ndarray:
        """Rows that should be met, shape ``(n_steps, n, n_features)``."""
        rows = self.rows.values[self.starts + np.arange(1, self.n_steps + 1)[:, None]]
        return rows if self.units is None else self.units(rows)

    def of_polynomials(
        self, windows: Windows, degree: int, penalties: Sequence[float] = PENALTIES
    ) -> np.ndarray:
        """Return the errors of the best of several penalties, shape ``(n,)``."""
        states = windows.states
        basis = Monomials(states.shape[1], degree)
        changes = windows.all_changes[:, : windows.n_new]
        ridge = Ridge(torch.from_numpy(basis(states.T).T), torch.from_numpy(changes), scaled=True)
        weights = ridge.path(penalties).numpy()
        low, high = states.min(axis=0), states.max(axis=0)
        low, high = low - _MARGIN * (high - low), high + _MARGIN * (high - low)
        n_new = windows.n_new

        def step(states: np.ndarray) -> np.ndarray:
            inside = _held(states, low, high) if degree > 1 else states
            new = states[..., :n_new] + np.matmul(basis.of_rows(inside), weights)
            return (
                new
                if n_new == states.shape[2]
                else np.concatenate([new, states[..., :-n_new]], axis=2)
            )

        errors = self.errors(windows, step, len(penalties))
        return np.asarray(errors[errors.mean(axis=1).argmin()])

    def errors(
        self, windows: Windows, step: Callable[[np.ndarray], np.ndarray], n: int
    ) -> np.ndarray:
        """Return mean errors of rollouts of ``n`` flow maps at once, shape ``(n, n_rollouts)``.

        In standard deviations, each error at most 1.4 of them; of the newest row alone.
        """
        d = windows.n_features
        begin = self.rows.delayed(self.starts, windows.n_rows, windows.lag)
        states = np.broadcast_to(begin, (n, *begin.shape)).copy()
        total = np.zeros((n, len(begin)))
        with np.errstate(over="ignore", invalid="ignore"):
            for truth in self.truth:
                states = _held(step(states), -_BOUND, _BOUND).astype(self.dtype, copy=False)
                newest = states[..., :d] if self.units is None else self.units(states[..., :d])
                squares = np.square(newest - truth) @ np.full(d, 1 / d)
                total += np.fmin(np.sqrt(squares), LOST)  # not a number is lost, too
        return total / self.n_steps


def _held(states: np.ndarray, low: Any, high: Any) -> np.ndarray:
    """Return states within bounds; of few states :func:`numpy.clip` takes ten times as long."""
    return np.asarray(np.minimum(np.maximum(states, low), high))
