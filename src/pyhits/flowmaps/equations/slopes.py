"""The right-hand side but for its linear part, for given coefficients, in the fewest transforms.

Transforms take most of the time of a step. What a single factor makes is linear and needs none;
each feature is transformed back once, whatever it is a factor of; and sums are transformed rather
than products, or products rather than sums under several operators, whichever are fewer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pyhits.flowmaps.equations.terms import Product, Terms
from pyhits.numerics.fourier import Operator

#: Products up to which they are summed one by one.
_FEW = 12


class Slopes:
    """``sum_j c_j d_j (f_1 f_2 ...)`` of Fourier coefficients, in Fourier space.

    Parameters
    ----------
    shape : sequence of int
        Points along each axis.
    coefficients : Tensor, shape (channels, n_products)
        Real, of the device and arithmetic to compute in.
    operator : callable
        Returns what an operator multiplies coefficients by, ``(*transform)``.
    before, after : Tensor, optional
        What factors and sums are multiplied by, against aliases, ``(*transform)``.
    source : Tensor, optional
        What is added at all times, ``(channels, *transform)``.
    """

    def __init__(
        self,
        shape: Sequence[int],
        terms: Terms,
        coefficients: Tensor,
        operator: Callable[[Operator], Tensor],
        before: Tensor | None = None,
        after: Tensor | None = None,
        source: Tensor | None = None,
    ) -> None:
        self._source = source
        self.shape, self.terms = tuple(shape), terms
        self._axes = tuple(range(-len(self.shape), 0))
        self._coefficients, self._operator = coefficients.detach(), operator
        self._before, self._after = before, after
        some = (self._coefficients != 0).any(0).nonzero().flatten().tolist()
        by_size: list[list[int]] = [[], [], []]
        for j in some:
            by_size[min(2, len(terms.products[j][1]))].append(j)
        self._constant = self._of_nothing(by_size[0])
        self._linear = self._of_one(by_size[1])
        self._settle(by_size[2])

    def __call__(self, v: Tensor) -> Tensor:
        """Return the slopes of ``(n, channels, *transform)``, of the same shape."""
        total = self._transformed(v)
        for (to, source), operator in self._linear.items():
            total[:, to].addcmul_(v[:, source], operator)
        if self._constant is not None:
            total.flatten(2)[..., 0] += self._constant
        return total if self._source is None else total.add_(self._source)

    def _cut(self, operator: Operator, low_pass: Tensor | None) -> Tensor | None:
        """Return the multiplier of an operator and a low pass; None where it changes nothing."""
        found = self._operator(operator) if any(operator[1:]) else None
        if low_pass is None:
            return found
        return low_pass if found is None else found * low_pass

    def _of_nothing(self, which: Sequence[int]) -> Tensor | None:
        """Return the sums of constants, by channel, as the first Fourier coefficient holds them."""
        plain = [j for j in which if not any(self.terms.products[j][0][1:])]
        if not plain:
            return None
        return self._coefficients[:, plain].sum(1) * math.prod(self.shape)

    def _of_one(self, which: Sequence[int]) -> dict[tuple[int, int], Tensor]:
        """Return operators from channels to channels, ``(*transform)``."""
        found: dict[tuple[int, int], Tensor] = {}
        for j in which:
            outer, (feature,) = self.terms.products[j]
            source, inner = self.terms.features[feature]
            both = self._operator(outer) * self._operator(inner)
            for cut in (self._before, self._after):
                both = both if cut is None else both * cut
            for to in self._coefficients[:, j].nonzero().flatten().tolist():
                own = self._coefficients[to, j] * both
                found[to, source] = found[to, source] + own if (to, source) in found else own
        return found

    def _settle(self, which: Sequence[int]) -> None:
        """Settle which features are transformed back, and what is transformed of their products."""
        every: list[Product] = [self.terms.products[j] for j in which]
        used = sorted({f for _, factors in every for f in factors})
        self._used = [self.terms.features[f] for f in used]
        self._inner = [self._cut(operator, self._before) for _, operator in self._used]
        each = sorted({factors for _, factors in every})
        place = {factors: k for k, factors in enumerate(each)}
        self._factors = [tuple(used.index(f) for f in factors) for factors in each]
        sums: dict[tuple[int, Operator], Tensor] = {}
        for j, (outer, factors) in zip(which, every, strict=True):
            for to in self._coefficients[:, j].nonzero().flatten().tolist():
                own = sums.setdefault((to, outer), self._coefficients.new_zeros(len(each)))
                own[place[factors]] += self._coefficients[to, j]
        self._outer: dict[tuple[int, int], Tensor | None] = {}
        self._weights: Tensor | None = None
        if len(sums) <= len(each):
            if sums:
                self._weights = torch.stack(list(sums.values()))
            for k, (to, outer) in enumerate(sums):
                self._outer[to, k] = self._cut(outer, self._after)
            return
        for (to, outer), own in sums.items():
            operator = self._operator(outer)
            operator = operator if self._after is None else operator * self._after
            for k in own.nonzero().flatten().tolist():
                known = self._outer.get((to, k))
                more = own[k] * operator
                self._outer[to, k] = more if known is None else known + more

    def _transformed(self, v: Tensor) -> Tensor:
        """Return the sums of products of two factors and more."""
        total = torch.zeros_like(v)
        if not self._factors:
            return total
        features = []
        for (channel, _), operator in zip(self._used, self._inner, strict=True):
            own = v[:, channel] if operator is None else v[:, channel] * operator
            features.append(torch.fft.irfftn(own, s=self.shape, dim=self._axes))
        made = []
        for first, *others in self._factors:
            product = features[first]
            for k in others:
                product = product * features[k]
            made.append(product)
        if self._weights is not None:
            made = _summed(made, self._weights)
        parts = [torch.fft.rfftn(one, dim=self._axes) for one in made]
        for (to, k), operator in self._outer.items():
            if operator is None:
                total[:, to] += parts[k]
            else:
                total[:, to].addcmul_(parts[k], operator)
        return total


def _summed(products: Sequence[Tensor], weights: Tensor) -> list[Tensor]:
    """Return weighted sums of products, by rows of the weights."""
    if len(products) > _FEW:
        flat = torch.stack(list(products)).flatten(1)
        return list((weights @ flat).view(-1, *products[0].shape))
    found = []
    for own in weights.tolist():
        total = products[0] * own[0]
        for made, weight in zip(products[1:], own[1:], strict=True):
            if weight:
                total.add_(made, alpha=weight)
        found.append(total)
    return found
