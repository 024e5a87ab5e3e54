"""States between known ones that are unevenly spaced: polynomials through the nearest six."""

from __future__ import annotations

import torch
from torch import Tensor

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

        Parameters
        ----------
        starts : Tensor of int, shape (k,)
            Rows counted through all trajectories, each followed by a known row ``size`` later.
        size : int
            Rows to the next known one.
        offsets : Tensor of int, shape (m,)
            Less than ``size``.

        Returns
        -------
        Tensor, shape (k, m, d)
            NaN in trajectories of fewer than ``N_NODES`` known rows.
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
