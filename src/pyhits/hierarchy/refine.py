"""Algorithm 1 where it is needed: finer scales fill in between, until a curve does as well."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pyhits.hierarchy.disagreement import Agreement, distance
from pyhits.hierarchy.knots import Knots
from pyhits.hierarchy.stepper import Stepper

#: What the error of a curve is expected to be divided by when its intervals are: half of what the
#: division before has gained, within these bounds. Six nodes gain 2**6 from halves in the end.
_GAIN = 4.0, 32.0

#: Curves are tested, though not believed, at intervals so many times as long as those that resolve
#: the motion: a test is judged by the one before.
_EARLIER = 4

#: Nothing falls faster than this from one division to the next: what is smaller is so by chance.
_FASTEST = 128.0

#: At the ends of a trajectory all nodes lie on one side, and a curve is so many times worse between
#: the states that it is tested at.
_AT_AN_END = 10.0

#: States so many times closer than what barely resolves the motion are needed nearly everywhere.
_NEEDED = 4

#: Steps that fill in an interval may miss its end by this part of the tolerance: inside they may be
#: further off, where the motion is faster.
_MISS = 0.1


class Refine:
    """Fills in all rows between the ends of coarse steps, intervals of equal size at once.

    Each interval is divided by the next finer scale, or by one finer still where that misses its
    end. Where the states that it gives are what the polynomials through the known ones said, up to
    the tolerance, the curve is drawn through all of them; elsewhere the parts are divided again.

    Parameters
    ----------
    steps, sizes, weights
        As in :class:`~pyhits.hierarchy.march.March`; only the finest may be dense.
    longest : int
        Longest intervals whose motion the states at their ends resolve. Longer ones are divided in
        any case: a state that has gone round once looks as if it had stayed.
    tolerance : float
        Distance allowed between curve and states.
    trusted : sequence of bool
        Scales whose steps need not be compared with the coarser ones that they fill in.
    agreement : sequence of Agreement
        As in :class:`~pyhits.hierarchy.march.March`.
    """

    def __init__(
        self,
        steps: Sequence[Stepper],
        sizes: Sequence[int],
        weights: Tensor,
        *,
        longest: int,
        tolerance: float,
        trusted: Sequence[bool],
        agreement: Sequence[Agreement],
    ) -> None:
        self.steps, self.sizes, self.weights = steps, list(sizes), weights
        self.longest, self.tolerance, self.trusted = longest, tolerance, list(trusted)
        self.agreement = list(agreement)
        self.outputs = self.sizes[0] // self.steps[0].spacing

    def __call__(
        self, states: Tensor, knots: Tensor, ready: Tensor, level: Tensor, starts: Tensor
    ) -> Tensor:
        """Fill in the rest.

        Parameters
        ----------
        states : Tensor, shape (n, n_rows, d)
        knots, ready : Tensor of bool, shape (n, n_rows)
            Rows known from now on, and rows inside intervals that hold states already.
        level, starts : Tensor of int, shape (k,)
            Scale and first row of each interval, rows counted through all trajectories.

        Returns
        -------
        Tensor of int, shape (n,)
            Evaluations of each trajectory.
        """
        n, length, _ = states.shape
        flat, known, there = states.view(n * length, -1), knots.view(-1), ready.view(-1)
        before = flat.new_full((n * length,), torch.nan)
        used = torch.zeros(n, dtype=torch.int64, device=states.device)

        def count(begin: Tensor, each: int) -> None:
            used.add_(each * torch.bincount(begin // length, minlength=n))

        waiting = [starts[level == k] for k in range(len(self.sizes))]
        for k in range(len(self.sizes) - 1, 0, -1):
            size, left = self.sizes[k], waiting[k].sort().values
            done = there[left + self.sizes[k - 1]]
            divided = [(k - 1, left[done])]
            left = left[~done]
            for fine in range(k - 1, -1, -1):
                if len(left) == 0:
                    break
                if not self.trusted[fine] and self._has_better(fine):
                    continue
                good, evaluations = self._step(flat, left, size, fine)
                count(left, evaluations)
                divided.append((fine, left[good]))
                left = left[~good]
            for fine, begin in divided:
                if len(begin) == 0:
                    continue
                part = self.sizes[fine]
                inside = begin[:, None] + part * torch.arange(1, size // part, device=begin.device)
                parts = torch.cat([begin[:, None], inside], dim=1)
                again = self._unlike(states, knots, before, parts, size)
                known[inside] = True
                parts = parts[again]
                waiting[fine] = torch.cat([waiting[fine], parts.view(-1)])
        if self.outputs > 1:
            self._dense(flat, known, waiting[0], length)
            count(waiting[0], 1)
        Knots(states, knots).fill_gaps()
        return used

    def _has_better(self, fine: int) -> bool:
        """Whether a finer scale is trusted whose states a curve would need in any case."""
        return any(self.trusted[k] and _NEEDED * self.sizes[k] >= self.longest for k in range(fine))

    def _step(self, flat: Tensor, begin: Tensor, size: int, fine: int) -> tuple[Tensor, int]:
        """Fill in intervals by a finer scale; return where it meets their ends, and its price."""
        part = self.sizes[fine]
        ratio = size // part
        sure = self.trusted[fine] or fine == 0
        several = self.steps[fine].steps(flat[begin], ratio - 1 if sure else ratio)
        offsets = part * torch.arange(1, ratio, device=begin.device)
        flat[begin[:, None] + offsets] = several[:, : ratio - 1]
        if sure:
            return torch.ones_like(begin, dtype=torch.bool), ratio - 1
        apart = distance(several[:, -1], flat[begin + size], self.weights)
        return self.agreement[fine + 1].ratio * apart <= _MISS * self.tolerance, ratio

    def _unlike(
        self, states: Tensor, knots: Tensor, before: Tensor, parts: Tensor, size: int
    ) -> Tensor:
        """Return which intervals are to be divided further: curve and states differ too much.

        ``parts`` holds the rows where the parts of each begin; ``before`` what curve and states
        differed by when the interval was made, by row, and is kept for the parts.
        """
        begin, inside = parts[:, 0], parts[:, 1:]
        if size > _EARLIER * self.longest:
            return torch.ones_like(begin, dtype=torch.bool)
        curve = Knots(states, knots)(begin, size, inside[0] - begin[0])
        flat = states.view(-1, states.shape[2])
        differs = distance(curve, flat[inside], self.weights).amax(dim=1)
        differs = torch.where(differs.isfinite(), differs, torch.inf)
        length = states.shape[1]
        ends = (begin % length == 0) | ((begin + size) % length == length - 1)
        differs = torch.where(ends, _AT_AN_END * differs, differs)
        # A curve runs through the neighbours too, and one state may lie on a wrong curve by chance.
        touch = begin[1:] == begin[:-1] + size
        most = differs.clone()
        most[1:] = torch.where(touch, torch.maximum(most[1:], differs[:-1]), most[1:])
        most[:-1] = torch.where(touch, torch.maximum(most[:-1], differs[1:]), most[:-1])
        most = torch.fmax(most, before[begin] / _FASTEST)
        gain = torch.nan_to_num(0.5 * before[begin] / most, nan=0.0, posinf=0.0).clamp(*_GAIN)
        before[parts] = most[:, None].expand_as(parts)
        return (most > gain * self.tolerance) | (size > self.longest)

    def _dense(self, flat: Tensor, known: Tensor, begin: Tensor, length: int) -> None:
        """Write what a dense finest scale returns inside its steps."""
        spacing = self.sizes[0] // self.outputs
        offsets = spacing * torch.arange(1, self.outputs + 1, device=begin.device)
        rows = begin[:, None] + offsets
        # The last step may reach beyond the horizon; a state that is known already is kept.
        wanted = rows < (begin // length + 1)[:, None] * length
        wanted &= ~known[rows.clamp(max=len(known) - 1)]
        flat[rows[wanted]] = self.steps[0].within(flat[begin])[wanted]
        known[rows[wanted]] = True
