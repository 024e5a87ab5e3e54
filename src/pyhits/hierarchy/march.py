"""The coarse path of an adaptive forecast: at every state the coarsest scale that is good there.

The error of a step is indicated by what it differs from the steps of the next finer scale that
make it up. The finer ones are kept, so nothing is computed in vain. Beside the accepted path runs a
second one that takes the coarse steps alone: how far the two lie apart is the error that has
accumulated. Scales that are known to be good enough take most of their steps uncompared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pyhits.hierarchy.disagreement import Agreement, distance
from pyhits.hierarchy.divergence import DIVERGED
from pyhits.hierarchy.stepper import Stepper

#: A step is tried one scale coarser where the last one was indicated this much better than asked.
_ROOM = 0.25

#: From a trusted scale only one at least so many times coarser is tried that is not: comparing a
#: step takes about four evaluations.
_WORTH = 8

#: One in so many steps of a trusted scale is compared, the first among them.
_SAMPLE = 16

#: So many of its steps the best scale goes on for where none is good enough, before finer ones are
#: tried again: to find that out takes an evaluation of each.
_PATIENCE = 16


@dataclass
class Path:
    """Steps taken by ``n`` trajectories, in no order.

    Attributes
    ----------
    trajectory, begin, level : Tensor of int, shape (n_taken,)
        Which one took a step, from which row, with which scale, counted from the finest.
    indicated : Tensor, shape (n_taken,)
        Its indicated error; NaN where it was not compared with anything.
    error : Tensor, shape (n,)
        The largest distance between the accepted and the coarse path: the indicated error of the
        forecast.
    end : Tensor of int, shape (n,)
        The last row reached; less than the horizon by a part of the finest step, or where it
        diverged.
    evaluations : Tensor of int, shape (n,)
    """

    trajectory: Tensor
    begin: Tensor
    level: Tensor
    indicated: Tensor
    error: Tensor
    end: Tensor
    evaluations: Tensor

    def replaced(self, other: Path, who: Tensor, better: Tensor) -> Path:
        """Return the path with those of ``who`` that are ``better`` taken from ``other``.

        Evaluations stay what they are.
        """
        gone = torch.zeros(len(self.error), dtype=torch.bool, device=who.device)
        gone[who[better]] = True
        old, new = ~gone[self.trajectory], better[other.trajectory]
        error, end = self.error.clone(), self.end.clone()
        error[who[better]], end[who[better]] = other.error[better], other.end[better]
        return Path(
            torch.cat([self.trajectory[old], who[other.trajectory[new]]]),
            torch.cat([self.begin[old], other.begin[new]]),
            torch.cat([self.level[old], other.level[new]]),
            torch.cat([self.indicated[old], other.indicated[new]]),
            error,
            end,
            self.evaluations,
        )


class March:
    """Steps trajectories along, each at its own pace, all that try the same scale at once.

    Parameters
    ----------
    steps : sequence of Stepper
        The scales, finest first.
    sizes : sequence of int
        Their step sizes; each divides the next.
    weights : Tensor, shape (d,)
        One over the spread of each coordinate.
    trusted : sequence of float
        The error of a forecast with each scale where it is known to be small enough, else infinity.
    agreement : sequence of Agreement
        What the disagreement of each scale with finer steps is worth.
    """

    def __init__(
        self,
        steps: Sequence[Stepper],
        sizes: Sequence[int],
        weights: Tensor,
        trusted: Sequence[float],
        agreement: Sequence[Agreement],
    ) -> None:
        self.steps, self.sizes, self.weights = steps, list(sizes), weights
        self.trusted, self.agreement = list(trusted), list(agreement)
        known = [math.isfinite(error) for error in trusted]
        self.coarser = [self._coarser(level, known) for level in range(len(sizes))]
        self.finer = [self._finer(level, known) for level in range(len(sizes))]

    def apart(self, level: int, coarse: Tensor, fine: Tensor) -> Tensor:
        """Return the error that the distance of two solutions indicates; ``(n, d)`` to ``(n,)``."""
        ratio, least = self.agreement[level]
        return (ratio * distance(coarse, fine, self.weights)).clamp(min=least)

    def _coarser(self, level: int, known: list[bool]) -> int:
        """Return the scale to try after a good step of a trusted ``level``."""
        worth = _WORTH * self.sizes[level]
        above = range(level + 1, len(self.sizes))
        return next((k for k in above if known[k] or self.sizes[k] >= worth), level)

    def _finer(self, level: int, known: list[bool]) -> int:
        """Return the scale to try where ``level`` is not good enough."""
        sure = max((k for k in range(level) if known[k]), default=0)
        worth = known[sure] and self.sizes[level - 1] < _WORTH * self.sizes[sure]
        return sure if worth else max(level - 1, 0)

    def __call__(
        self, states: Tensor, chosen: Tensor, allowed: Tensor, knots: Tensor, ready: Tensor
    ) -> Path:
        """March the ``chosen`` trajectories from their first row, and write what they visit.

        Parameters
        ----------
        states : Tensor, shape (n, n_rows, d)
        chosen : Tensor of int, shape (m,)
        allowed : Tensor, shape (m,)
            The sum of indicated errors over the horizon that each may have.
        knots, ready : Tensor of bool, shape (n, n_rows)
            Set where accepted steps end, and where the finer steps inside them do.

        Returns
        -------
        Path
            Of the chosen, numbered as in ``chosen``.
        """
        run = _Run(self, states, chosen, allowed, knots, ready)
        while run.goes_on():
            pass
        return run.path()


class _Run:
    """One march under way."""

    def __init__(
        self,
        march: March,
        states: Tensor,
        chosen: Tensor,
        allowed: Tensor,
        knots: Tensor,
        ready: Tensor,
    ) -> None:
        self.march, self.states, self.chosen = march, states, chosen
        self.knots, self.ready = knots, ready
        device, m = states.device, len(chosen)
        self.horizon = states.shape[1] - 1
        self.sizes = torch.tensor(march.sizes, device=device)
        self.rate = allowed / self.horizon
        self.at = torch.zeros(m, dtype=torch.int64, device=device)
        self.now = states[chosen, 0]
        self.coarse = self.now.clone()
        self.level = torch.full((m,), len(march.sizes) - 1, device=device)
        self.trust = torch.tensor([math.isfinite(e) for e in march.trusted], device=device)
        self.trusting = torch.ones(m, dtype=torch.bool, device=device)
        self.unseen = torch.zeros_like(self.at)  # trusted steps since one was compared
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
        self.taken = [(nothing, nothing, nothing, self.error[:0])]

    def goes_on(self) -> bool:
        """Try one step of every trajectory; return whether there are any left."""
        left = (self.horizon - self.at).contiguous()
        self.active &= left >= self.march.sizes[0]
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
        march = self.march
        now, step = self.now[who], march.steps[level].step
        known = self.known[who]
        ends = self.first[who]
        if not bool(known.all()):
            ends[~known] = step(now[~known])
        self.evaluations[who] += (~known).long()
        blind = self.trusting[who] & self.trust[level] & (self.unseen[who] > 0)
        if level == 0:
            blind = torch.ones_like(blind)
        sure = who[blind]
        if len(sure):
            self._accept(level, sure, ends[blind], ends[blind, None], None)
        if len(sure) < len(who):
            self._compare(level, who[~blind], ends[~blind])

    def _compare(self, level: int, who: Tensor, ends: Tensor) -> None:
        """Compare a step with finer ones, and take it or refuse it."""
        march = self.march
        size, ratio = march.sizes[level], march.sizes[level] // march.sizes[level - 1]
        inside = march.steps[level - 1].steps(self.now[who], ratio)
        self.evaluations[who] += ratio
        indicated = march.apart(level, ends, inside[:, -1])
        indicated = torch.where(indicated.isfinite(), indicated, torch.inf)
        rate = indicated / size
        better = rate < self.best[who]
        self.best[who] = torch.where(better, rate, self.best[who])
        self.best_level[who] = torch.where(better, level, self.best_level[who])
        good = (rate <= self.rate[who]) | (self.at[who] < self.until[who])
        # The sum over a horizon is known to be small where a scale is trusted; one step alone must
        # not use up all that is allowed.
        trusted = self.trusting[who] & self.trust[level]
        good |= trusted & (indicated <= self.rate[who] * self.horizon)
        self.trusting[who] &= good | ~trusted
        # What is trusted steps itself; elsewhere the finer steps are the better ones.
        itself = good & trusted
        if bool(itself.any()):
            self._accept(level, who[itself], ends[itself], ends[itself, None], indicated[itself])
        other = good & ~trusted
        if bool(other.any()):
            self._accept(level, who[other], ends[other], inside[other], indicated[other])
        self._refuse(level, who[~good], inside[~good, 0])

    def _refuse(self, level: int, who: Tensor, first: Tensor) -> None:
        """Go one scale finer; below the finest pair, back to what was best."""
        march, trusting = self.march, self.trusting[who]
        size = march.sizes[level]
        self.wait[who] = torch.maximum(self.wait[who], self.at[who] + size * self.pause[who])
        below = torch.where(trusting, march.finer[level], level - 1)
        sure = trusting & self.trust[below]
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
        march, begin = self.march, self.at[who]
        size, count = march.sizes[level], inside.shape[1]
        rows = begin[:, None] + size // count * torch.arange(1, count + 1, device=who.device)
        along = self.chosen[who]
        self.states[along[:, None], rows] = inside
        self.ready[along[:, None], rows] = True
        self.knots[along, rows[:, -1]] = True
        reached = inside[:, -1]
        if count == 1:
            coarse = reached + (self.coarse[who] - self.now[who])
            known = torch.full_like(self.error[who], march.trusted[level])
            known = torch.where(known.isfinite(), known, 0.0)
            self.unseen[who] = (self.unseen[who] + 1) % _SAMPLE
        else:
            # Where both paths start together the step is known.
            coarse, apart = ends.clone(), (self.coarse[who] != self.now[who]).any(dim=1)
            if bool(apart.any()):
                coarse[apart] = march.steps[level].step(self.coarse[who[apart]])
            self.evaluations[who] += apart.long()
            known = march.apart(level, coarse, reached)
        if indicated is None:
            indicated = torch.full_like(known, torch.nan)
        self.coarse[who], self.now[who], self.at[who] = coarse, reached, begin + size
        self.error[who] = torch.maximum(self.error[who], known)
        self.taken.append((who, begin, torch.full_like(who, level), indicated))
        room = ~(indicated / size > _ROOM * self.rate[who]) & (self.at[who] >= self.wait[who])
        sure = self.trusting[who] & self.trust[level]
        above = torch.where(sure, march.coarser[level], min(level + 1, len(march.sizes) - 1))
        self.level[who] = torch.where(room, above, level)
        if count > 1:
            self.pause[who] = 1
        self.known[who] = False
        self.best[who] = torch.inf
        self.active[who] &= (reached.abs() < DIVERGED).all(dim=1)

    def path(self) -> Path:
        """Return what was done."""
        who, begin, level, indicated = (torch.cat(part) for part in zip(*self.taken, strict=True))
        return Path(who, begin, level, indicated, self.error, self.at, self.evaluations)
