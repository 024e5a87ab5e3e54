"""Runge-Kutta steps of vector fields of few terms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor

from pyhits.flowmaps.odes.terms import TermBuffer, Terms
from pyhits.integrators.tableaux import EXPLICIT, Tableau

#: The Runge-Kutta method of all steps: of few stages for its order.
_SCHEME = "tsit5"


@cache
def scheme() -> Tableau:
    """Return the Runge-Kutta method of all steps."""
    return EXPLICIT[_SCHEME]()


def integrated(
    slopes: Callable[[Tensor], Tensor], states: Tensor, substeps: int, units: int = 1
) -> Tensor:
    """Return the states some units of time later, by so many equal steps in each; any shape.

    Parameters
    ----------
    slopes : callable
        From states to their derivatives, of the same shape.
    """
    h = 1.0 / substeps
    weights = (h * scheme().A).tolist()
    last = (h * scheme().b).tolist()
    for _ in range(units * substeps):
        found: list[Tensor] = []
        for row in weights:
            at = states
            for weight, slope in zip(row, found, strict=False):
                if weight:
                    at = torch.add(at, slope, alpha=weight)
            found.append(slopes(at))
        for weight, slope in zip(last, found, strict=True):
            states = torch.add(states, slope, alpha=weight)
    return states


#: Numbers of states that blocks are kept for, at most.
_MOST_BLOCKS = 64

_Blocks = tuple[TermBuffer, Tensor, tuple[Tensor, ...]]


class FieldSteps:
    """The same for vector fields of the same terms, written into memory that is used again.

    Parameters
    ----------
    coefficients : Tensor, shape (fields, d, terms)
    low, high : Tensor, shape (d,)
        Outside, a vector field is that of the nearest point of the box.
    """

    def __init__(
        self, terms: Terms, coefficients: Tensor, low: Tensor, high: Tensor, substeps: int
    ) -> None:
        self._terms, self._coefficients, self._substeps = terms, coefficients, substeps
        self._low, self._high = low[:, None], high[:, None]
        h = 1.0 / substeps
        self._weights = [*(h * scheme().A).tolist(), (h * scheme().b).tolist()]
        self._room = coefficients.new_empty(0)
        self._blocks: dict[int, _Blocks] = {}

    def into(self, states: Tensor, out: Tensor) -> None:
        """Write the states after each unit of time.

        Parameters
        ----------
        states : Tensor, shape (fields, n, d)
        out : Tensor, shape (fields, n, outputs, d)
        """
        fields, n, d = states.shape
        terms, of_fields, (now, at, *slopes) = self._of(n)
        now.view(d, fields, n).copy_(states.permute(2, 0, 1))
        for output in out.unbind(dim=2):
            for _ in range(self._substeps):
                for row, slope in zip(self._weights, slopes, strict=False):
                    _add(now, row, slopes, at)
                    torch.clamp(at, self._low, self._high, out=terms.variables)
                    terms.fill()
                    if fields == 1:
                        torch.mm(self._coefficients[0], terms.all, out=slope)
                    else:
                        found = torch.bmm(self._coefficients, of_fields)
                        slope.view(d, fields, n).copy_(found.transpose(0, 1))
                _add(now, self._weights[-1], slopes, now)
            output.copy_(now.view(d, fields, n).permute(1, 2, 0))

    def last(self, states: Tensor, units: int = 1) -> Tensor:
        """Return the states some units of time later; ``(fields, n, d)`` to the same."""
        out = states.new_empty((*states.shape[:2], units, states.shape[2]))
        self.into(states, out)
        return out[:, :, -1]

    def _of(self, n: int) -> _Blocks:
        """Return blocks for all terms of n states, the same by fields, for states and for slopes.

        All of them lie in one room, as large as the most states take so far.
        """
        if n in self._blocks:
            return self._blocks[n]
        fields, d, size = self._coefficients.shape
        n_blocks, columns = scheme().b.size + 2, fields * n
        numbers = (size + n_blocks * d) * columns
        if numbers > len(self._room) or len(self._blocks) == _MOST_BLOCKS:
            self._room = self._coefficients.new_empty(max(numbers, len(self._room)))
            self._blocks = {}
        terms, rest = self._room[: size * columns], self._room[size * columns : numbers]
        buffer = TermBuffer(self._terms, terms.view(size, columns))
        of_fields = buffer.all.view(size, fields, n).transpose(0, 1)
        self._blocks[n] = buffer, of_fields, rest.view(n_blocks, d, columns).unbind()
        return self._blocks[n]


def _add(states: Tensor, weights: Sequence[float], slopes: Sequence[Tensor], out: Tensor) -> None:
    """Write states and weighted slopes into ``out``."""
    if out is not states:
        out.copy_(states)
    for weight, slope in zip(weights, slopes, strict=False):
        if weight:
            out.add_(slope, alpha=weight)
