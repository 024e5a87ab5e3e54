"""Parareal: coarse states corrected until the fine solver agrees with them.

Lions, Maday, Turinici 2001, C. R. Acad. Sci. Paris 332, 661.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from pyhits.encoders import Standardise
from pyhits.flowmaps import FlowMap

#: Takes states (m, d) one coarse interval forward.
Coarse = Callable[[np.ndarray], np.ndarray]

#: Takes states (m, d), each the start of interval ``j`` of trajectory ``i``, one coarse interval
#: forward: ``fine(states, i, j)``.
Fine = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

#: A flow map that asks to move a coarse state by more standard deviations is outside its region;
#: the fine solution alone is taken there.
_LARGEST = 10.0


@dataclass(frozen=True)
class Parareal:
    """Corrected states, and how they came about; n trajectories of q coarse intervals.

    Attributes
    ----------
    states : array, shape (n, n_steps + 1, d)
        Fine solutions from the corrected coarse states; row 0 is the initial state.
    iterations : array of int, shape (n,)
        Corrections of each trajectory. After k of them its first k coarse intervals are the fine
        solver's own, one after another; to the last bit, if its right-hand side rounds alike for
        any number of states.
    jumps : array, shape (n, k_max + 1)
        Largest jump at the coarse states after 0, 1, 2 ... corrections, in standard deviations of
        the training data; NaN once a trajectory is left alone.
    converged : array of bool, shape (n,)
        Whether the last jump is within the tolerance.
    defect : float
        Largest ``|F(U_n) - U_{n+1}|`` of the coarse states U returned, F the fine solver over one
        coarse interval, in standard deviations; NaN if the fine solution itself diverged.
    fine_evaluations : int
        Coarse intervals that the fine solver integrated; one after another it would take n q.
    """

    states: np.ndarray
    iterations: np.ndarray
    jumps: np.ndarray
    converged: np.ndarray
    defect: float
    fine_evaluations: int


@dataclass
class Bounds:
    """Where states count as sound: ``limit`` scales around the centre; both of shape ``(d,)``."""

    centre: np.ndarray
    scale: np.ndarray
    limit: float

    def hold(self, states: np.ndarray) -> np.ndarray:
        """Return which states ``(..., d)`` are finite and inside; shape ``(...)``."""
        sound = np.ones(states.shape[:-1], dtype=bool)
        with np.errstate(all="ignore"):
            for k, (centre, scale) in enumerate(zip(self.centre, self.scale, strict=True)):
                sound &= np.abs(states[..., k] - centre) < self.limit * scale
        return sound


class CoarsePropagator:
    """One step of a flow map in the user's units and in float64.

    The correction is a difference of two such steps from nearby states; in float32 it would be
    all rounding.

    Parameters
    ----------
    flow_map : FlowMap
        Copied, to the CPU. Of a dense one the first output is taken.
    scaling : Standardise
        Fitted.
    rows : int
        States taken at once.
    """

    def __init__(self, flow_map: FlowMap, scaling: Standardise, rows: int = 1 << 14) -> None:
        self.flow_map = copy.deepcopy(flow_map).cpu().double().eval()
        self.scaling, self.rows = scaling, rows

    @torch.inference_mode()
    def __call__(self, states: np.ndarray) -> np.ndarray:
        """Return the states one step later; ``(m, d)`` to ``(m, d)``."""
        m, d = states.shape
        result = np.empty((m, d))
        for first in range(0, m, self.rows):
            part = slice(first, first + self.rows)
            encoded = torch.from_numpy(self.scaling.transform(states[part]))
            change = self.flow_map.increment(encoded)[:, :d].numpy()
            result[part] = states[part] + change * self.scaling.scale_
        return result


@dataclass
class Sweeps:
    """The iteration on the coarse states of n trajectories; call :meth:`run`.

    Parameters
    ----------
    points : array, shape (n, q + 1, d)
        First guess of the coarse states, corrected in place. Where it is not sound, the last sound
        state is taken.
    fine, coarse : callable
        The two propagators.
    bounds : Bounds
        Where states count as sound; its scale measures the jumps.
    tolerance : float
        Largest jump allowed.
    """

    points: np.ndarray
    fine: Fine
    coarse: Coarse
    bounds: Bounds
    tolerance: float

    def __post_init__(self) -> None:
        n, more, d = self.points.shape
        self.q = more - 1
        self.ends = np.empty((n, self.q, d))
        self.iterations = np.zeros(n, dtype=np.int64)
        self.converged = np.zeros(n, dtype=bool)
        self.defects = np.zeros(n)
        self.jumps = np.empty((n, 0))
        self.fine_evaluations = 0
        for j in range(1, more):
            lost = ~self.bounds.hold(self.points[:, j])
            self.points[lost, j] = self.points[lost, j - 1]

    def run(self, max_iterations: int) -> None:
        """Correct until all jumps are within the tolerance, at most ``max_iterations`` times.

        The last thing done is always a fine solution from the final coarse states.
        """
        n = len(self.points)
        active, stale = np.arange(n), np.ones((n, self.q), dtype=bool)
        propagated: np.ndarray = np.empty((0, 0, 0))  # a coarse step from each coarse state
        for k in range(max_iterations + 1):
            self._solve(active, stale)
            worst = self._measure(active)
            self.converged[active] = worst <= self.tolerance
            # After k corrections k + 1 intervals start from exact states: there the solution ends.
            ended = ~self.bounds.hold(self.ends[active, : k + 1]).all(axis=1)
            going = ~self.converged[active] & ~ended
            if k == max_iterations or not going.any():
                return
            active, stale = active[going], stale[going]
            if k == 0:
                starts = self.points[active, :-1]
                propagated = self.coarse(starts.reshape(-1, starts.shape[2])).reshape(starts.shape)
            else:
                propagated = propagated[going]
            stale = self._correct(active, propagated)
            self.iterations[active] += 1

    def _solve(self, active: np.ndarray, stale: np.ndarray) -> None:
        """Integrate every coarse interval whose start has changed."""
        row, j = np.nonzero(stale)
        i = active[row]
        self.ends[i, j] = self.fine(self.points[i, j], i, j)
        self.fine_evaluations += len(i)

    def _measure(self, active: np.ndarray) -> np.ndarray:
        """Append the largest jump of each active trajectory to the table, and return them."""
        with np.errstate(all="ignore"):
            jumps = np.abs(self.ends[active] - self.points[active, 1:]) / self.bounds.scale
        worst = np.asarray(jumps.max(axis=(1, 2), initial=0.0))
        column = np.full((len(self.points), 1), np.nan)
        column[active, 0] = self.defects[active] = worst
        self.jumps = np.hstack([self.jumps, column])
        return worst

    def _correct(self, active: np.ndarray, propagated: np.ndarray) -> np.ndarray:
        """Update the coarse states one after another; return which intervals start elsewhere now.

        ``propagated`` (m, q, d), of the active trajectories, is brought up to date with them.
        """
        old, new = self.points[active], self.points[active]
        changed = np.zeros(old.shape[:2], dtype=bool)
        for j in range(self.q):
            # Where the start has not moved, its fine solution is exact: no coarse steps are added,
            # which would leave their rounding.
            target = self.ends[active, j]
            before = propagated[:, j].copy()
            moved = np.flatnonzero(changed[:, j])
            if len(moved):
                propagated[moved, j] = self.coarse(new[moved, j])
                with np.errstate(all="ignore"):
                    correction = propagated[moved, j] - before[moved]
                wild = ~(np.abs(correction) < _LARGEST * self.bounds.scale).all(axis=1)
                target[moved] += np.where(wild[:, None], 0.0, correction)
            # A fine solution from a bad guess may be anything.
            for fallback in (self.ends[active, j], propagated[:, j], new[:, j]):
                bad = ~self.bounds.hold(target)
                target[bad] = fallback[bad]
            new[:, j + 1] = target
            changed[:, j + 1] = (target != old[:, j + 1]).any(axis=1)
        self.points[active] = new
        return changed[:, :-1]
