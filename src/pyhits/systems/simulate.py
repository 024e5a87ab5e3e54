"""From initial states to trajectories: transient, blocks, and what to say where they end."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyhits.errors import ArgumentError, DivergenceError
from pyhits.integrators.base import Integrator
from pyhits.util.checks import as_count, as_numeric

#: Trajectories that go through a transient together. Drawn states fill whole batches, so that the
#: steps taken, and with them the recorded states of a chaotic system, are the same for any number
#: of trajectories asked for.
TRANSIENT_BATCH = 512


@dataclass(frozen=True)
class Simulation:
    """Integrates a system's states, and names a trajectory that cannot be integrated.

    Parameters
    ----------
    name : str
        Of the system.
    """

    name: str
    feature_names: tuple[str, ...]
    integrator: Integrator

    def surplus(self, n: int) -> int:
        """Return how many states more than n go through a transient, to fill the batches."""
        return 0 if self.integrator.independent else -n % TRANSIENT_BATCH

    def after_transient(self, states: np.ndarray, duration: float, wanted: int) -> np.ndarray:
        """Return what states ``(n, d)`` at ``t = -duration`` become at 0; the first ``wanted``.

        Raises DivergenceError: a wanted one cannot be integrated; others may end.
        """
        reached = np.empty((wanted, states.shape[1]))
        for first in range(0, wanted, TRANSIENT_BATCH):
            batch = slice(first, first + TRANSIENT_BATCH)
            rows = np.empty((min(TRANSIENT_BATCH, wanted - first), 2, states.shape[1]))
            self._solve(states[batch], rows, duration, -duration, first, lambda done: None)
            reached[batch] = rows[:, 1]
        return reached

    def rows(
        self,
        states: np.ndarray,
        dt: float,
        n_steps: int,
        progress: Callable[[int, int], object] | None = None,
    ) -> np.ndarray:
        """Return the solutions from states ``(n, d)`` at t = 0 on, shape ``(n, n_steps + 1, d)``.

        Raises DivergenceError.
        """
        rows = np.empty((len(states), n_steps + 1, states.shape[1]))

        def report(done: int) -> None:
            if progress is not None:
                progress(done, len(states) * (n_steps + 1))

        self._solve(states, rows, dt, 0.0, 0, report)
        return rows

    def _solve(
        self,
        states: np.ndarray,
        rows: np.ndarray,
        dt: float,
        t: float,
        first: int,
        report: Callable[[int], None],
    ) -> None:
        """Fill the rows of as many trajectories as there are; the first is number ``first``."""
        n, length, _ = rows.shape
        rows[:, 0] = states[:n]
        with np.errstate(all="ignore"):
            for part, steps, piece in self.integrator.blocks(states, dt, length - 1, t):
                if part.start >= n:
                    return
                begin, end = steps.start + 1, steps.stop + 1
                rows[part, begin:end] = piece[: max(0, n - part.start)]
                ended = ~np.isfinite(rows[part, end - 1]).all(axis=1)
                if ended.any():
                    sound = np.isfinite(rows[part][ended, :end]).all(axis=2).sum(axis=1)
                    k = part.start + int(np.flatnonzero(ended)[np.argmin(sound)])
                    raise self._divergence(rows[k], int(sound.min()), first + k, dt, t)
                report(part.start * length + end * (part.stop - part.start))

    def _divergence(
        self, rows: np.ndarray, step: int, trajectory: int, dt: float, t: float
    ) -> DivergenceError:
        """Return the error for rows ``(n_rows, d)`` that are finite before row ``step`` alone."""
        last = zip(self.feature_names, rows[step - 1], strict=True)
        values = ", ".join(f"{name} = {x:.6g}" for name, x in last)
        return DivergenceError(
            f"Trajectory {trajectory} of {self.name} cannot be integrated from "
            f"t = {t + (step - 1) * dt:.6g} ({values}) to t = {t + step * dt:.6g}: it grows "
            "without bound, its derivative is not finite, or its steps become too small. Draw "
            "initial states from another region, simulate fewer steps, or check the right-hand "
            "side; for steps too small, raise rtol and atol (System.integrator) or "
            "declare the system stiff.",
            trajectory=trajectory,
            step=step if t >= 0 else 0,
        )


def as_box(region: Any) -> np.ndarray:
    """Return a region as a read-only array ``(dimension, 2)`` of lows and highs.

    Raises ArgumentError: another shape, ends that are not finite, or a low end above its high end.
    """
    box = np.array(as_numeric(region, what="The region"), dtype=np.float64)
    if box.ndim != 2 or box.shape[1] != 2 or len(box) == 0:
        raise ArgumentError(
            "Expected a region of shape (dimension, 2), a low and a high end a component; "
            f"got shape {box.shape}."
        )
    if not (np.isfinite(box).all() and (box[:, 0] <= box[:, 1]).all()):
        raise ArgumentError(f"Expected finite low ends below high ends, got {box.tolist()}.")
    box.flags.writeable = False
    return box


def as_transient(value: Any) -> float:
    """Return ``value`` as a finite time of 0 or more, or raise an ArgumentError."""
    sound = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (sound and math.isfinite(value) and value >= 0):
        raise ArgumentError(f"Expected transient to be a time of 0 or more, got {value!r}.")
    return float(value)


def as_starts(
    initial_states: Any, n_trajectories: int | None, dimension: int, name: str
) -> np.ndarray:
    """Return given initial states ``(n, dimension)`` of the system of that name, in float64.

    Raises ArgumentError: another shape, another number than ``n_trajectories``, or numbers that are
    not finite.
    """
    states = np.array(as_numeric(initial_states, what="initial_states"), dtype=np.float64, ndmin=2)
    if states.ndim != 2 or states.shape[1] != dimension or len(states) == 0:
        raise ArgumentError(
            f"Expected initial_states of shape (n_trajectories, {dimension}) for {name}, "
            f"got {states.shape}."
        )
    if n_trajectories is not None:
        n = as_count(n_trajectories, "n_trajectories", most=None)
        if n != len(states):
            raise ArgumentError(
                f"n_trajectories={n} was given with {len(states)} initial states; leave it out."
            )
    if not np.isfinite(states).all():
        bad = int(np.flatnonzero(~np.isfinite(states).all(axis=1))[0])
        raise ArgumentError(f"Initial state {bad} is not finite: {states[bad]}.")
    return states
