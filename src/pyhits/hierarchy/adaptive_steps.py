"""The coarse path of an adaptive forecast: at every state the coarsest scale that is good there.

The error of a step is indicated by what it differs from the steps of the next finer scale that
make it up. The finer ones are kept, so nothing is computed in vain. A second path takes the coarse
steps alone: its distance from the accepted one is the error that has accumulated. Scales that are
known to be good enough take most of their steps uncompared.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pyhits.hierarchy.scales import PartialStates, Scales
from pyhits.numerics.rollout import DIVERGED

#: A step is tried one scale coarser where the last one was indicated this much better than asked.
_ROOM = 0.25

#: One in so many steps of a validated scale is compared, the first among them.
_SAMPLE = 16

#: So many of its steps the best scale goes on for where none is good enough, before finer ones are
#: tried again: to find that out takes an evaluation of each.
_PATIENCE = 16


@dataclass
class StepsTaken:
    """Steps taken by ``n`` trajectories, in no order."""

    #: trajectory, begin, level: int, (n_taken,); which one took a step, from which row, with which
    #: scale, counted from the finest.
    trajectory: Tensor
    begin: Tensor
    level: Tensor
    #: (n_taken,): its indicated error; NaN where it was not compared with anything.
    indicated: Tensor
    #: (n,): the largest distance between the accepted and the coarse path: the indicated error of
    #: the forecast.
    error: Tensor
    #: Int, (n,): the last row reached; less than the horizon by a part of the finest step, or
    #: where it diverged.
    end: Tensor
    evaluations: Tensor  # int, (n,)

    def replaced(self, other: StepsTaken, who: Tensor, better: Tensor) -> StepsTaken:
        """Return the steps with those of ``who`` that are ``better`` taken from ``other``.

        Evaluations stay what they are.
        """
        gone = torch.zeros(len(self.error), dtype=torch.bool, device=who.device)
        gone[who[better]] = True
        old, new = ~gone[self.trajectory], better[other.trajectory]
        error, end = self.error.clone(), self.end.clone()
        error[who[better]], end[who[better]] = other.error[better], other.end[better]
        return StepsTaken(
            torch.cat([self.trajectory[old], who[other.trajectory[new]]]),
            torch.cat([self.begin[old], other.begin[new]]),
            torch.cat([self.level[old], other.level[new]]),
            torch.cat([self.indicated[old], other.indicated[new]]),
            error,
            end,
            self.evaluations,
        )


class AdaptiveSteps:
    """Steps trajectories along, each at its own pace, all that try the same scale at once.

    Parameters
    ----------
    filled : PartialStates
        What the steps visit is written there.
    """

    def __init__(self, scales: Scales, filled: PartialStates) -> None:
        self.scales, self.filled = scales, filled

    def __call__(self, chosen: Tensor, allowed: Tensor) -> StepsTaken:
        """Step the ``chosen`` trajectories from their first row to the last.

        Returns StepsTaken: of the chosen, numbered as in ``chosen``.

        Parameters
        ----------
        chosen : Tensor of int, shape (m,)
        allowed : Tensor, shape (m,)
            The sum of indicated errors over the horizon that each may have.
        """
        attempt = _Attempt(self.scales, self.filled, chosen, allowed)
        while attempt.goes_on():
            pass
        return attempt.taken()


class _Attempt:
    """Trajectories on their way from the first row to the last."""

    def __init__(
        self, scales: Scales, filled: PartialStates, chosen: Tensor, allowed: Tensor
    ) -> None:
        self.scales, self.filled, self.chosen = scales, filled, chosen
        states = filled.states
        device, m = states.device, len(chosen)
        self.horizon = states.shape[1] - 1
        self.sizes = torch.tensor(scales.sizes, device=device)
        self.rate = allowed / self.horizon
        self.at = torch.zeros(m, dtype=torch.int64, device=device)
        self.now = states[chosen, 0]
        self.coarse = self.now.clone()
        self.level = torch.full((m,), len(scales.sizes) - 1, device=device)
        self.validated = torch.tensor(scales.validated, device=device)
        self.relying = torch.ones(m, dtype=torch.bool, device=device)  # on what validation shows
        self.unseen = torch.zeros_like(self.at)  # validated steps since one was compared
        self.wait = self.at.clone()  # row before which nothing coarser is tried
        self.pause = torch.ones_like(self.at)
        self.until = self.at.clone()  # row before which the best scale goes on, good or not
        self.best = torch.full((m,), torch.inf, dtype=states.dtype, device=device)
        self.best_level = self.level.clone()
        self.first = torch.empty_like(self.now)  # one step of the level to try, if known
        self.known = torch.zeros(m, dtype=torch.bool, device=device)
        self.active = ~self.known
        self.error = torch.zeros(m, dtype=states.dtype, device=device)
        self.evaluations = self.at.clone()
        nothing = self.at[:0]
        self.record = [(nothing, nothing, nothing, self.error[:0])]

    def goes_on(self) -> bool:
        """Try one step of every trajectory; return whether there are any left."""
        left = (self.horizon - self.at).contiguous()
        self.active &= left >= self.scales.sizes[0]
        if not bool(self.active.any()):
            return False
        fits = torch.searchsorted(self.sizes, left, right=True) - 1
        self.known &= self.level <= fits
        self.level = torch.minimum(self.level, fits)
        level = self.level.clone()
        for one in torch.unique(level[self.active]).tolist():
            self._try(int(one), (self.active & (level == one)).nonzero()[:, 0])
        return True

    def _try(self, level: int, who: Tensor) -> None:
        """Try a step of one scale with the trajectories ``who``."""
        scales = self.scales
        now, step = self.now[who], scales.steppers[level].step
        known = self.known[who]
        ends = self.first[who]
        if not bool(known.all()):
            ends[~known] = step(now[~known])
        self.evaluations[who] += (~known).long()
        blind = self.relying[who] & self.validated[level] & (self.unseen[who] > 0)
        if level == 0:
            blind = torch.ones_like(blind)
        sure = who[blind]
        if len(sure):
            self._accept(level, sure, ends[blind], ends[blind, None], None)
        if len(sure) < len(who):
            self._compare(level, who[~blind], ends[~blind])

    def _compare(self, level: int, who: Tensor, ends: Tensor) -> None:
        """Compare a step with finer ones, and take it or refuse it."""
        scales = self.scales
        size, ratio = scales.sizes[level], scales.sizes[level] // scales.sizes[level - 1]
        inside = scales.steppers[level - 1].steps(self.now[who], ratio)
        self.evaluations[who] += ratio
        indicated = scales.indicated_error(level, ends, inside[:, -1])
        indicated = torch.where(indicated.isfinite(), indicated, torch.inf)
        rate = indicated / size
        better = rate < self.best[who]
        self.best[who] = torch.where(better, rate, self.best[who])
        self.best_level[who] = torch.where(better, level, self.best_level[who])
        good = (rate <= self.rate[who]) | (self.at[who] < self.until[who])
        # The sum over a horizon is known to be small where a scale is validated; one step alone
        # must not use up all that is allowed.
        relied = self.relying[who] & self.validated[level]
        good |= relied & (indicated <= self.rate[who] * self.horizon)
        self.relying[who] &= good | ~relied
        # What is validated steps itself; elsewhere the finer steps are the better ones.
        itself = good & relied
        if bool(itself.any()):
            self._accept(level, who[itself], ends[itself], ends[itself, None], indicated[itself])
        other = good & ~relied
        if bool(other.any()):
            self._accept(level, who[other], ends[other], inside[other], indicated[other])
        self._refuse(level, who[~good], inside[~good, 0])

    def _refuse(self, level: int, who: Tensor, first: Tensor) -> None:
        """Go one scale finer; below the finest pair, back to what was best."""
        scales, relying = self.scales, self.relying[who]
        size = scales.sizes[level]
        self.wait[who] = torch.maximum(self.wait[who], self.at[who] + size * self.pause[who])
        below = torch.where(relying, scales.finer(level), level - 1)
        sure = relying & self.validated[below]
        self.pause[who] = torch.where(sure, 2 * self.pause[who], self.pause[who])
        self.first[who], self.known[who] = first, below == level - 1
        self.level[who] = below
        stuck = who[(below == 0) & ~sure]
        self.level[stuck] = self.best_level[stuck].clamp(min=1)
        self.until[stuck] = self.at[stuck] + _PATIENCE * self.sizes[self.level[stuck]]
        self.known[stuck] = False

    def _accept(
        self, level: int, who: Tensor, ends: Tensor, inside: Tensor, indicated: Tensor | None
    ) -> None:
        """Take a step; where the trajectory left every bound, end it there.

        Without ``indicated`` it was not compared, and the coarse path goes along with it.
        """
        scales, begin = self.scales, self.at[who]
        size, count = scales.sizes[level], inside.shape[1]
        rows = begin[:, None] + size // count * torch.arange(1, count + 1, device=who.device)
        along = self.chosen[who]
        self.filled.states[along[:, None], rows] = inside
        self.filled.ready[along[:, None], rows] = True
        self.filled.nodes[along, rows[:, -1]] = True
        reached = inside[:, -1]
        if count == 1:
            coarse = reached + (self.coarse[who] - self.now[who])
            known = torch.full_like(self.error[who], scales.errors[level])
            known = torch.where(known.isfinite(), known, 0.0)
            self.unseen[who] = (self.unseen[who] + 1) % _SAMPLE
        else:
            # Where both paths start together the step is known.
            coarse, differ = ends.clone(), (self.coarse[who] != self.now[who]).any(dim=1)
            if bool(differ.any()):
                coarse[differ] = scales.steppers[level].step(self.coarse[who[differ]])
            self.evaluations[who] += differ.long()
            known = scales.indicated_error(level, coarse, reached)
        if indicated is None:
            indicated = torch.full_like(known, torch.nan)
        self.coarse[who], self.now[who], self.at[who] = coarse, reached, begin + size
        self.error[who] = torch.maximum(self.error[who], known)
        self.record.append((who, begin, torch.full_like(who, level), indicated))
        room = ~(indicated / size > _ROOM * self.rate[who]) & (self.at[who] >= self.wait[who])
        sure = self.relying[who] & self.validated[level]
        above = torch.where(sure, scales.coarser(level), min(level + 1, len(scales.sizes) - 1))
        self.level[who] = torch.where(room, above, level)
        if count > 1:
            self.pause[who] = 1
        self.known[who] = False
        self.best[who] = torch.inf
        self.active[who] &= (reached.abs() < DIVERGED).all(dim=1)

    def taken(self) -> StepsTaken:
        """Return what was done."""
        who, begin, level, indicated = (torch.cat(part) for part in zip(*self.record, strict=True))
        return StepsTaken(who, begin, level, indicated, self.error, self.at, self.evaluations)
