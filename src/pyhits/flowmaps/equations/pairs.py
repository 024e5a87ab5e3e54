"""States and those one step later, as fields on a grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pairs:
    """States and those one step later.

    Attributes
    ----------
    before : Tensor, shape (n, channels, *transform)
        Fourier coefficients.
    after : Tensor, shape (n, channels, *shape)
        Fields.
    """

    before: Tensor
    after: Tensor

    @classmethod
    def of(cls, states: Tensor, later: Tensor, shape: tuple[int, ...], channels: int) -> Pairs:
        """Return them from rows ``(n, d)``."""
        first, last = (
            x.view(len(x), *shape, channels).movedim(-1, 1).contiguous() for x in (states, later)
        )
        return cls(torch.fft.rfftn(first, dim=tuple(range(-len(shape), 0))), last)

    def spread(self, n: int) -> Pairs:
        """Return at most ``n`` of them, evenly chosen."""
        own = len(self.after)
        if own <= n:
            return self
        chosen = torch.linspace(0, own - 1, n).long()
        return Pairs(self.before[chosen], self.after[chosen])

    def chunks(self, columns: int, most: int) -> Iterator[Pairs]:
        """Yield them, few at a time: ``columns`` fields of each hold ``most`` numbers at most."""
        each = max(1, most // (columns * self.after[0].numel()))
        for begin in range(0, len(self.after), each):
            yield Pairs(self.before[begin : begin + each], self.after[begin : begin + each])
