"""States and those one step later, as fields on a grid."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pyhits.numerics.fourier import wavenumbers

#: Energy of a wavenumber that is empty, as a part of the most energetic one's: at most that, and
#: so many times what the highest wavenumbers hold, which is rounding.
_EMPTY, _OF_ROUNDING = 1e-10, 100.0

#: The highest wavenumbers, as a part of all.
_HIGHEST = 0.9


@dataclass(frozen=True)
class Pairs:
    """States and those one step later."""

    before: Tensor  # (n, channels, *transform): Fourier coefficients
    after: Tensor  # (n, channels, *shape): fields

    @classmethod
    def of(cls, before: Tensor, after: Tensor) -> Pairs:
        """Return them from fields ``(n, channels, *shape)`` on a periodic grid."""
        transformed = torch.fft.rfftn(before, dim=tuple(range(2, before.dim())))
        return cls(transformed, after.contiguous())

    @cached_property
    def seen(self) -> float:
        """Part of the wavenumbers, along each axis, beyond which the data leave them empty."""
        energy = self.before.abs().square().mean(dim=0).amax(dim=0)
        each = [k.abs() / math.pi for k in wavenumbers(self.after.shape[2:])]
        part = each[0]
        for other in each[1:]:
            part = torch.maximum(part, other)
        highest = energy[part > _HIGHEST]
        if not highest.numel():
            return 1.0
        rounding = _OF_ROUNDING * float(highest.median())
        held = energy > max(rounding, torch.finfo(energy.dtype).eps ** 2 * float(energy.max()))
        if rounding > _EMPTY * float(energy.max()) or not held.any():
            return 1.0
        return min(1.0, 1.05 * float(part[held].max()) + 1e-6)

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
