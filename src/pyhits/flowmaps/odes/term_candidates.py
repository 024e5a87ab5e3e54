"""Functions of one column that might stand in a vector field, and what each of them leaves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pyhits.flowmaps.odes.functions import KINDS, Function, Kind
from pyhits.flowmaps.odes.term_fit import FieldFit, TermFits
from pyhits.util.clock import Clock

#: Steps for each term at least.
EACH = 4

#: Functions of a kind and a column that are refined, of all that are tried.
_REFINED = 8

#: Part of the squares of a function's terms that others do not hold, at least; and of what is left,
#: that differences of squares tell.
_NEW, _ROUNDING = 1e-12, 1e-15


class Candidates:
    """Finds the functions of columns that leave least, along the paths found so far.

    Parameters
    ----------
    columns : sequence of int
        Of which there may be functions.
    """

    def __init__(self, fits: TermFits, columns: Sequence[int], clock: Clock) -> None:
        self._fits, self._columns, self._clock = fits, columns, clock

    def beside(self, known: FieldFit) -> list[FieldFit]:
        """Return fits with one function more, refined, of those that leave least; the best first.

        Raises
        ------
        TimeIsUpError
        """
        added = (self._fits.added(known, function) for function in self._likely(known))
        return sorted((fit for fit in added if fit is not None), key=lambda fit: fit.level)

    def _likely(self, known: FieldFit) -> list[Function]:
        """Return the functions that gain most unrefined, one of each kind and column."""
        gains: list[tuple[float, Function]] = []
        for column in self._columns:
            for kind in KINDS.values():
                gains += self._best_of(known, kind, column)
        gains.sort(key=lambda pair: -pair[0])
        return [function for _, function in gains[:_REFINED]]

    def _best_of(
        self, known: FieldFit, kind: Kind, column: int
    ) -> Iterator[tuple[float, Function]]:
        """Yield the function of a kind and column that gains most, with its gain."""
        self._clock.check()
        own = self._fits.ranges[column]
        tried = torch.tensor(list(kind.tried(own)), dtype=torch.float64)
        size = known.terms.size + kind.n_values * (1 + known.terms.dimension)
        if len(tried) == 0 or EACH * size > len(self._fits.changes):
            return
        rates, shifts = tried.T[:, :, None, None]
        values = kind.of(self._fits.steps.states[column], rates, shifts)
        gains = (known.levels - self._levels_with(known, values)).sum(dim=1)
        gains = torch.where(torch.isfinite(gains), gains, -torch.inf)
        k = int(gains.argmax())
        if gains[k] > 0:
            rate, shift = tried[k].tolist()
            yield float(gains[k]), kind.on(column, own, rate, shift)

    def _levels_with(self, known: FieldFit, values: Sequence[Tensor]) -> Tensor:
        """Return the levels with each of many functions ``(many, nodes, n)``, ``(many, d)``.

        By products of terms, many times faster: of functions that are refined all digits count.
        """
        space, rest = known.space, known.rest
        block = torch.cat([self._fits.steps.blocks(value) for value in values], dim=1)
        many, each, n = block.shape
        block = block.view(many * each, n)
        size = block.norm(dim=1, keepdim=True)
        finite = torch.isfinite(size)
        block = torch.where(finite, block, 0.0) / torch.where(finite, size, 1.0).clamp(min=1e-300)
        block -= (block @ space) @ space.T
        along, own = (block @ rest).view(many, each, -1), block.view(many, each, n)
        squares, vectors = torch.linalg.eigh(own @ own.mT)
        along = vectors.mT @ along / squares.clamp(min=_NEW).sqrt()[:, :, None]
        gained = torch.where(squares[:, :, None] > _NEW, along, 0.0).square().sum(dim=1)
        before = rest.square().sum(dim=0)
        left = torch.log((1 - gained / before.clamp(min=1e-300)).clamp(min=_ROUNDING)) / 2
        sound = finite.view(many, each).all(dim=1, keepdim=True)
        return torch.where(sound, known.levels + left, torch.inf)
