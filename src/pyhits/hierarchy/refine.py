"""Algorithm 1 where it is needed: finer scales fill in between, until a curve does as well."""

from __future__ import annotations

import torch
from torch import Tensor

from pyhits.hierarchy.scales import PartialStates, Scales

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


class Refinement:
    """Fills in all rows between the ends of coarse steps, intervals of equal size at once.

    Each interval is divided by the next finer scale, or by one finer still where that misses its
    end. Where the states that it gives are what the polynomials through the known ones said, up to
    the tolerance, the curve is drawn through all of them; elsewhere the parts are divided again.

    Parameters
    ----------
    filled : PartialStates
        The rest of it is filled in.
    longest : int
        Longest intervals whose motion the states at their ends resolve. Longer ones are divided in
        any case: a state that has gone round once looks as if it had stayed.
    tolerance : float
        Distance allowed between curve and states.
    """

    def __init__(
        self, scales: Scales, filled: PartialStates, *, longest: int, tolerance: float
    ) -> None:
        self.scales, self.filled = scales, filled
        self.longest, self.tolerance = longest, tolerance
        states = filled.states
        self.n, self.length, d = states.shape
        # Rows counted through all trajectories.
        self.flat = states.view(self.n * self.length, d)
        self.known, self.ready = filled.nodes.view(-1), filled.ready.view(-1)
        #: What curve and states differed by when the interval that begins at a row was made.
        self.before = states.new_full((self.n * self.length,), torch.nan)
        self.used = torch.zeros(self.n, dtype=torch.int64, device=states.device)

    def __call__(self, level: Tensor, starts: Tensor) -> Tensor:
        """Fill in the rest.

        Returns Tensor of int, shape (n,): evaluations of each trajectory.

        Parameters
        ----------
        level, starts : Tensor of int, shape (k,)
            Scale and first row of each interval, rows counted through all trajectories.
        """
        sizes = self.scales.sizes
        waiting = [starts[level == k] for k in range(len(sizes))]
        for k in range(len(sizes) - 1, 0, -1):
            for fine, begin in self._divide(k, waiting[k].sort().values):
                if len(begin) == 0:
                    continue
                part = sizes[fine]
                inside = part * torch.arange(1, sizes[k] // part, device=begin.device)
                parts = torch.cat([begin[:, None], begin[:, None] + inside], dim=1)
                again = self._unlike(parts, sizes[k])
                self.known[parts[:, 1:]] = True
                waiting[fine] = torch.cat([waiting[fine], parts[again].view(-1)])
        if self.scales.dense_outputs > 1:
            self._dense(waiting[0])
            self._count(waiting[0], 1)
        Nodes(self.filled.states, self.filled.nodes).fill_gaps()
        return self.used

    def _count(self, begin: Tensor, each: int) -> None:
        self.used.add_(each * torch.bincount(begin // self.length, minlength=self.n))

    def _divide(self, k: int, left: Tensor) -> list[tuple[int, Tensor]]:
        """Fill in intervals of scale ``k`` by finer ones; return which took which."""
        sizes = self.scales.sizes
        done = self.ready[left + sizes[k - 1]]
        divided = [(k - 1, left[done])]
        left = left[~done]
        for fine in range(k - 1, -1, -1):
            if len(left) == 0:
                break
            if not self.scales.validated[fine] and self._has_better(fine):
                continue
            good, evaluations = self._step(left, sizes[k], fine)
            self._count(left, evaluations)
            divided.append((fine, left[good]))
            left = left[~good]
        return divided

    def _has_better(self, fine: int) -> bool:
        """Whether a finer scale is validated whose states a curve would need in any case."""
        validated, sizes = self.scales.validated, self.scales.sizes
        return any(validated[k] and _NEEDED * sizes[k] >= self.longest for k in range(fine))

    def _step(self, begin: Tensor, size: int, fine: int) -> tuple[Tensor, int]:
        """Fill in intervals by a finer scale; return where it meets their ends, and its price."""
        scales, flat = self.scales, self.flat
        part = scales.sizes[fine]
        ratio = size // part
        sure = scales.validated[fine] or fine == 0
        stepper = scales.steppers[fine]
        inside = stepper.steps(flat[begin], ratio - 1 if sure else ratio)
        offsets = part * torch.arange(1, ratio, device=begin.device)
        flat[begin[:, None] + offsets] = inside[:, : ratio - 1]
        if sure:
            return torch.ones_like(begin, dtype=torch.bool), ratio - 1
        missed = scales.distance(inside[:, -1], flat[begin + size])
        return scales.agreement[fine + 1].ratio * missed <= _MISS * self.tolerance, ratio

    def _unlike(self, parts: Tensor, size: int) -> Tensor:
        """Return which intervals are to be divided further: curve and states differ too much.

        ``parts`` holds the rows where the parts of each begin.
        """
        begin, inside = parts[:, 0], parts[:, 1:]
        if size > _EARLIER * self.longest:
            return torch.ones_like(begin, dtype=torch.bool)
        nodes = Nodes(self.filled.states, self.filled.nodes)
        curve = nodes(begin, size, inside[0] - begin[0])
        differs = self.scales.distance(curve, self.flat[inside]).amax(dim=1)
        differs = torch.where(differs.isfinite(), differs, torch.inf)
        length, before = self.length, self.before
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

    def _dense(self, begin: Tensor) -> None:
        """Write what a dense finest scale returns inside its steps."""
        flat, known, length = self.flat, self.known, self.length
        outputs = self.scales.dense_outputs
        spacing = self.scales.sizes[0] // outputs
        offsets = spacing * torch.arange(1, outputs + 1, device=begin.device)
        rows = begin[:, None] + offsets
        # The last step may reach beyond the horizon; a state that is known already is kept.
        wanted = rows < (begin // length + 1)[:, None] * length
        wanted &= ~known[rows.clamp(max=len(known) - 1)]
        flat[rows[wanted]] = self.scales.steppers[0].within(flat[begin])[wanted]
        known[rows[wanted]] = True


#: Nodes that a polynomial runs through. Its error falls by 2**6 when the spacing is halved;
#: more would oscillate near the ends of a trajectory and where spacings change.
N_NODES = 6

#: Numbers of divided differences at once.
_AT_ONCE = 1 << 22


class Nodes:
    """Known rows of many trajectories, and what lies between them.

    Parameters
    ----------
    states : Tensor, shape (n, n_rows, d)
        Contiguous.
    known : Tensor of bool, shape (n, n_rows)
        Which rows are given.
    """

    def __init__(self, states: Tensor, known: Tensor) -> None:
        self.length = states.shape[1]
        self.flat = states.view(-1, states.shape[2])
        self.rows = known.view(-1).nonzero()[:, 0]
        ends = torch.cumsum(known.sum(dim=1), dim=0)
        self._end, self._begin = ends, ends - known.sum(dim=1)

    def __call__(self, starts: Tensor, size: int, offsets: Tensor) -> Tensor:
        """Return states ``offsets`` rows after known ``starts``, from the nodes around.

        Returns Tensor, shape (k, m, d): NaN in trajectories of fewer than ``N_NODES`` known rows.

        Parameters
        ----------
        starts : Tensor of int, shape (k,)
            Rows counted through all trajectories, each followed by a known row ``size`` later.
        size : int
            Rows to the next known one.
        offsets : Tensor of int, shape (m,)
            Less than ``size``.
        """
        k, m, d = len(starts), len(offsets), self.flat.shape[1]
        found = self.flat.new_empty((k, m, d))
        block = max(1, _AT_ONCE // (d * max(N_NODES, m)))
        at = (offsets / size).to(self.flat.dtype)
        for i in range(0, k, block):
            found[i : i + block] = self._newton(starts[i : i + block], size, at)
        return found

    def _newton(self, starts: Tensor, size: int, at: Tensor) -> Tensor:
        """Evaluate Newton's form of the polynomials at times ``at``, in units of ``size``."""
        along = starts // self.length
        begin, end = self._begin[along], self._end[along]
        place = torch.searchsorted(self.rows, starts.contiguous())
        first = torch.minimum(torch.maximum(place - (N_NODES // 2 - 1), begin), end - N_NODES)
        lacking = first < begin
        nodes = torch.maximum(first, begin)[:, None] + torch.arange(N_NODES, device=starts.device)
        nodes = self.rows[nodes.clamp(max=len(self.rows) - 1)]
        times = (nodes - starts[:, None]).to(at.dtype) / size
        differences = self.flat[nodes]
        for order in range(1, N_NODES):
            step = (times[:, order:] - times[:, :-order])[..., None]
            differences[:, order:] = (
                differences[:, order:] - differences[:, order - 1 : -1]
            ) / step
        values = differences[:, -1, None].expand(-1, len(at), -1)
        for node in range(N_NODES - 2, -1, -1):
            values = differences[:, node, None] + values * (at - times[:, node, None])[..., None]
        if bool(lacking.any()):
            values = values.clone()
            values[lacking] = torch.nan
        return values

    def fill_gaps(self) -> None:
        """Write all rows between consecutive known ones of each trajectory."""
        gaps = self.rows[1:] - self.rows[:-1]
        same = self.rows[1:] // self.length == self.rows[:-1] // self.length
        for size in torch.unique(gaps[same & (gaps > 1)]).tolist():
            starts = self.rows[:-1][same & (gaps == size)]
            offsets = torch.arange(1, size, device=starts.device)
            self.flat[starts[:, None] + offsets] = self(starts, size, offsets)
