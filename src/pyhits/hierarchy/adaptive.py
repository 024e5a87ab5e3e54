"""Forecasts to a tolerance: coarse steps where they are good, finer ones where they are needed.

Each trajectory takes, at every state, the coarsest scale whose indicated error is small enough
(:mod:`~pyhits.hierarchy.adaptive_steps`), and finer scales fill in between where a curve through
the states would not do (:mod:`~pyhits.hierarchy.refine`). The error that has accumulated is
measured along the way; where it is above the tolerance, that trajectory is stepped once more and
more carefully.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, warn
from pyhits.flowmaps import FlowMap
from pyhits.hierarchy.adaptive_steps import AdaptiveSteps, StepsTaken
from pyhits.hierarchy.disagreement import Agreement
from pyhits.hierarchy.forecast import Forecaster, in_memory, take_stepper
from pyhits.hierarchy.hierarchy import Hierarchy
from pyhits.hierarchy.refine import Refinement
from pyhits.hierarchy.scales import PartialStates, Scales
from pyhits.hierarchy.stepper import Stepper
from pyhits.numerics.rollout import DIVERGED
from pyhits.util.progress import Advance

#: Parts of the tolerance for the error that accumulates and for that of curves between states.
_PATH, _BETWEEN = 0.5, 0.5

#: A trajectory is stepped so often at most, each time more carefully.
_ATTEMPTS = 4

#: The sum of indicated errors that the first attempt allows, over the tolerance for the path:
#: errors cancel and fade as well as grow, and the later attempts know by how much.
_FIRST = 2.0

#: The largest error of a forecast over its root mean square, about, as seen over trajectories with
#: fast and slow phases.
_PEAK = 20.0

#: A later attempt aims at this part of what the one before says would do.
_CAREFUL = 0.5


@dataclass(frozen=True)
class AdaptiveForecast:
    """A forecast to a tolerance, and what it took.

    Attributes
    ----------
    states : array, shape (n, n_steps + 1, d) or (n, m, d)
        As :meth:`pyhits.HiTS.forecast` returns them.
    tol : float
        What was asked for.
    step_sizes : list of array of int
        The coarse steps that each trajectory took, one after another, in multiples of ``dt``.
    indicated : list of array
        What each of them differed from the finer steps that make it up, in units of the features'
        spread; NaN where there is nothing finer.
    error : array, shape (n,)
        The indicated error of each trajectory, accumulated: the largest distance between the path
        of accepted steps and that of coarse ones alone. In units of the features' spread, a root
        mean square over features.
    evaluations : array of int, shape (n,)
        Evaluations of flow maps for each trajectory, rejected steps and earlier attempts included.
    met : array of bool, shape (n,)
        Whether the indicated error is within the tolerance.
    """

    states: np.ndarray
    tol: float
    step_sizes: list[np.ndarray]
    indicated: list[np.ndarray]
    error: np.ndarray
    evaluations: np.ndarray
    met: np.ndarray


@dataclass
class _Part:
    """What a run of consecutive trajectories took."""

    sizes: list[np.ndarray]
    indicated: list[np.ndarray]
    error: np.ndarray
    evaluations: np.ndarray


class AdaptiveFill:
    """Fills in states to a tolerance, and keeps what it took.

    Raises ArgumentError: there are no two scales, or one but the finest is dense.

    Parameters
    ----------
    stepper : Stepper
        The scales to choose from.
    tol : float
        Largest error, at any time, that is aimed at: a root mean square over features, in units of
        their spread.
    weights : array, shape (d,)
        One over the spread of each encoded coordinate.
    longest : int
        Longest spacing, in multiples of ``dt``, at which states resolve the motion.
    known : mapping of int to float
        Root mean square error of validation forecasts whose coarsest scale is that step size, in
        the same units, where it was measured.
    agreement : mapping of int to Agreement
        What the disagreement of a scale is worth, by step size, where it was measured
        (:func:`~pyhits.hierarchy.disagreement.agreements`).
    """

    def __init__(
        self,
        stepper: Stepper,
        tol: float,
        weights: np.ndarray,
        longest: int = 1,
        known: Mapping[int, float] | None = None,
        agreement: Mapping[int, Agreement] | None = None,
    ) -> None:
        sizes, spacing = stepper.sizes, stepper.spacing
        if len(sizes) == 1:
            raise ArgumentError(
                "A tolerance chooses between scales, but there is only step size "
                f"{sizes[0]}; fit, or name, several step sizes."
            )
        dense = [s for s in sizes[1:] if stepper.flow_maps[s].outputs > 1]
        if dense:
            raise ArgumentError(
                f"With a tolerance only the finest flow map may be dense, but that of step size "
                f"{dense[0]} is; leave the finer ones out."
            )
        self.spacing, self.tol, self.longest = spacing, tol, longest
        self._scales = Scales(
            [stepper.scale(s) for s in sizes],
            [s // spacing for s in sizes],
            torch.from_numpy(weights).to(stepper.device, stepper.dtype),
            [_PEAK * (known or {}).get(s, np.inf) for s in sizes],
            [(agreement or {}).get(s, Agreement()) for s in sizes],
        )
        self._parts: dict[int, _Part] = {}

    def __call__(self, states: Tensor, first: int) -> None:
        """Fill in all states after the first, in place, and keep what it took."""
        n, length, _ = states.shape
        filled = PartialStates.of(states)
        # What no scale meets is not chased: the best known is all there is.
        least = min(self._scales.errors)
        reachable = max(self.tol, least) if np.isfinite(least) else self.tol
        # A tolerance may be beyond the numbers of the states, which it then allows all.
        reachable = min(reachable, torch.finfo(states.dtype).max)
        errors = [e if e <= reachable else np.inf for e in self._scales.errors]
        scales = replace(self._scales, errors=errors)
        taken = self._careful(scales, filled, goal=_PATH * reachable)
        starts, level = self._sound(taken, filled)
        left = length - 1 - taken.end
        sound = filled.nodes[torch.arange(n, device=states.device), taken.end]
        rest = (sound & (left > 0) & (left < scales.sizes[0])).nonzero()[:, 0]
        refine = Refinement(
            scales, filled, longest=self.longest // self.spacing, tolerance=_BETWEEN * reachable
        )
        used = refine(
            torch.cat([level, torch.zeros_like(rest)]),
            torch.cat([starts, rest * length + taken.end[rest]]),
        )
        self._keep(taken, taken.evaluations + used, first, length)

    def _sound(self, taken: StepsTaken, filled: PartialStates) -> tuple[Tensor, Tensor]:
        """Return where the steps begin, and their scales; blank what diverged.

        Curves run through neighbours, so nothing that is not finite may be one.
        """
        states = filled.states
        n, length, _ = states.shape
        size = torch.tensor(self._scales.sizes, device=states.device)[taken.level]
        everyone = torch.arange(n, device=states.device)
        lost = ~(states[everyone, taken.end].abs() < DIVERGED).all(dim=1)
        last = lost[taken.trajectory] & (taken.begin + size == taken.end[taken.trajectory])
        who, rows = taken.trajectory[last], torch.arange(length, device=states.device)
        after = rows > taken.begin[last, None]
        states[who] = torch.where(after[..., None], torch.nan, states[who])
        filled.nodes[who] &= ~after
        return (taken.trajectory * length + taken.begin)[~last], taken.level[~last]

    @staticmethod
    def _careful(scales: Scales, filled: PartialStates, *, goal: float) -> StepsTaken:
        """Step all trajectories, and those above the goal again while that helps."""
        states = filled.states
        n = len(states)
        everyone = torch.arange(n, device=states.device)
        allowed = torch.full((n,), _FIRST * goal, dtype=states.dtype, device=states.device)
        step = AdaptiveSteps(scales, filled)
        taken = step(everyone, allowed)
        goal = max([goal, *(e for e in scales.errors if np.isfinite(e))])
        who = (taken.error > goal).nonzero()[:, 0]
        for _ in range(1, _ATTEMPTS):
            if len(who) == 0:
                break
            before = filled[who]
            filled.forget(who)
            allowed[who] *= (_CAREFUL * goal / taken.error[who]).clamp(max=_CAREFUL)
            again = step(who, allowed[who])
            taken.evaluations[who] += again.evaluations
            better = again.error < taken.error[who]
            filled[who[~better]] = before[~better]
            helped = better & (again.error < _CAREFUL * taken.error[who])
            taken = taken.replaced(again, who, better)
            who = who[helped & (again.error > goal)]
        return taken

    def _keep(self, taken: StepsTaken, evaluations: Tensor, first: int, length: int) -> None:
        """Keep what the trajectories from ``first`` on took, by trajectory and in order."""
        n = len(taken.error)
        order = torch.argsort(taken.trajectory * (length + 1) + taken.begin)
        rows = torch.tensor(self._scales.sizes, device=order.device)
        sizes = rows[taken.level[order]] * self.spacing
        each = torch.bincount(taken.trajectory, minlength=n).cumsum(0)[:-1].cpu().numpy()
        self._parts[first] = _Part(
            np.split(sizes.cpu().numpy(), each),
            np.split(taken.indicated[order].double().cpu().numpy(), each),
            taken.error.double().cpu().numpy(),
            evaluations.cpu().numpy(),
        )

    def result(self, states: np.ndarray) -> AdaptiveForecast:
        """Return the forecast that was made last, with what it took."""
        parts = [self._parts[first] for first in sorted(self._parts)]
        error = np.concatenate([part.error for part in parts])
        return AdaptiveForecast(
            states,
            self.tol,
            [sizes for part in parts for sizes in part.sizes],
            [indicated for part in parts for indicated in part.indicated],
            error,
            np.concatenate([part.evaluations for part in parts]),
            error <= self.tol,
        )


def adaptive_forecast(
    initial_states: np.ndarray,
    flow_maps: Mapping[int, FlowMap] | Hierarchy,
    scaling: Standardise,
    n_steps: int,
    *,
    tol: float = 1e-4,
    progress: Advance | None = None,
    **settings: Any,
) -> AdaptiveForecast:
    """Step all initial states forward together, to a tolerance.

    Parameters
    ----------
    initial_states : array, shape (n, d), or (n, history, d) with delays
        In the user's units; the result has their dtype.
    flow_maps : mapping of int to FlowMap, or Hierarchy
        The scales to choose from, by step size.
    scaling, n_steps
        As in :class:`~pyhits.hierarchy.forecast.Forecaster`.
    tol : float
        Largest error that is aimed at, at any time.
    progress : callable, optional
        Called with how many trajectories of how many are done.
    **settings
        As in :func:`~pyhits.hierarchy.forecast.forecast` and :class:`AdaptiveFill`.

    Warns
    -----
    PyHiTSWarning
        The indicated error of some trajectories is above the tolerance.
    """
    weights = settings.pop("weights", np.ones(len(scaling.mean_)))
    about = {k: settings.pop(k) for k in ("longest", "known", "agreement") if k in settings}
    stepper, rest = take_stepper(flow_maps, settings)
    fill = AdaptiveFill(stepper, tol, weights, **about)
    forecaster = Forecaster(stepper, scaling, n_steps, fill=fill, **rest)
    result = fill.result(in_memory(forecaster, initial_states, progress))
    above = np.flatnonzero(result.error > result.tol)
    # Of those that diverged more is said, or asked for, elsewhere.
    above = above[np.isfinite(result.states[above]).all(axis=(1, 2))]
    if len(above):
        warn(
            f"The tolerance of {result.tol:g} is not met by the trained scales in {len(above)} of "
            f"{len(result.error)} trajectories: the indicated error is up to "
            f"{result.error[above].max():.2g}, of trajectory "
            f"{above[result.error[above].argmax()]}. Ask for less, train longer or with more "
            'data, or fit with dtype="float64".'
        )
    return result
