"""A grid that the flow maps of fields are carried to, from the one that they were learned on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from pyhits.errors import ArgumentError

#: Parts by which a spacing may differ and still be the same.
_SAME = 1e-6


@dataclass(frozen=True)
class OtherGrid:
    """Another grid of the same axes and channels.

    Attributes
    ----------
    shape : tuple of int
        Points along each axis.
    ratios : tuple of float
        Distance of its points along each axis, over that of the grid that was learned on.
    states : Tensor, shape (n, d)
        On it, of the size of recorded ones: steps are tried on them.
    error : float
        Root mean square of what a step misses.
    """

    shape: tuple[int, ...]
    ratios: tuple[float, ...]
    states: Tensor
    error: float

    @property
    def is_as_fine(self) -> bool:
        """Whether points lie as far apart as those that were learned on."""
        return all(math.isclose(ratio, 1.0, rel_tol=_SAME) for ratio in self.ratios)

    @property
    def is_stretched(self) -> bool:
        """Whether axes differ in how much finer or coarser they are."""
        return not math.isclose(min(self.ratios), max(self.ratios), rel_tol=_SAME)

    def check_as_fine(self, what: str) -> None:
        """Raise an ArgumentError unless points lie as far apart as those that were learned on."""
        if not self.is_as_fine:
            raise ArgumentError(
                f"A flow map of {what} steps grids of any size whose points lie as far apart as "
                "those that it was learned on, and no finer or coarser ones. An equation of "
                "derivatives does: HiTS(flow_map='equation')."
            )
