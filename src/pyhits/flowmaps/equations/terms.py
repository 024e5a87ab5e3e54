"""The terms that an equation on a grid may have: operators, features and their products."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from pyhits.numerics.fourier import DERIVATIVE, INVERSE, SHIFT, Operator, derivatives, shifts

#: Orders of derivatives in the linear part of each channel: along one axis, and along several,
#: where of the fourth order even ones alone are taken.
_LINEAR, _LINEAR_OF_SEVERAL = 6, 4


#: An operator on the product of some features, by number; of no feature it is 1.
Product = tuple[Operator, tuple[int, ...]]


@dataclass(frozen=True)
class Terms:
    """A right-hand side ``L u + sum_j c_j d_j (f_1 f_2 ...)`` but for its coefficients."""

    linear: tuple[Operator, ...]  # whose sum L is, of each channel by itself
    #: Channels and operators on them: what is multiplied at each point.
    features: tuple[tuple[int, Operator], ...]
    #: An operator on the product of some features, by number; of no feature it is 1.
    products: tuple[Product, ...]

    def up_to(self, order: int) -> Terms:
        """Return the terms without linear derivatives above an order."""
        low = [a for a, o in enumerate(self.linear) if o[0] == SHIFT or sum(o[1:]) <= order]
        return self.kept(low, list(range(len(self.products))))

    def kept(self, linear: list[int], products: list[int]) -> Terms:
        """Return some of the terms, without the features that they do not need."""
        chosen = [self.products[j] for j in products]
        used = sorted({f for _, factors in chosen for f in factors})
        number = {f: k for k, f in enumerate(used)}
        return Terms(
            tuple(self.linear[a] for a in linear),
            tuple(self.features[f] for f in used),
            tuple((outer, tuple(number[f] for f in factors)) for outer, factors in chosen),
        )


def fluxes(terms: Terms) -> tuple[Terms, tuple[float, ...]]:
    """Return terms with products of a derivative and the next one as derivatives of squares.

    ``f f_x`` is half of ``(f f)_x``, as far as no aliases tell them apart, and takes one transform
    instead of two.

    Returns
    -------
    terms : Terms
        With as many products.
    factors : tuple of float
        What the coefficient of each is multiplied by.
    """
    products, factors = [], []
    for outer, which in terms.products:
        flux = _flux(terms, outer, which)
        products.append(flux or (outer, which))
        factors.append(0.5 if flux else 1.0)
    return Terms(terms.linear, terms.features, tuple(products)), tuple(factors)


def _flux(terms: Terms, outer: Operator, which: tuple[int, ...]) -> Product | None:
    """Return twice a product as a derivative of a square; None if it is none."""
    if len(which) != 2 or outer[0] != DERIVATIVE:
        return None
    for first, second in (which, which[::-1]):
        (own, low), (other, high) = terms.features[first], terms.features[second]
        if own == other and low[0] == high[0] == DERIVATIVE:
            axis = _next(low, high)
            if axis is not None:
                raised = tuple(k + (a == axis) for a, k in enumerate(outer[1:]))
                return (DERIVATIVE, *raised), (first, first)
    return None


def _next(low: Operator, high: Operator) -> int | None:
    """Return the axis along which one derivative is the first derivative of another."""
    more = [b - a for a, b in zip(low[1:], high[1:], strict=True)]
    return more.index(1) if sorted(more) == [*[0] * (len(more) - 1), 1] else None


def library(
    n_axes: int, channels: int, degree: int, reach: int, *, kind: str = "derivatives"
) -> Terms:
    """Return the terms up to a degree and a reach.

    Parameters
    ----------
    degree : int
        Most factors in a product.
    reach : int
        Derivatives in a product, at most; of shifts, points to each side.
    kind : {"derivatives", "fluxes", "stream", "shifts"}
        Products of derivatives; derivatives of products; products of derivatives with those of the
        inverse Laplacian, as of a stream function; products of neighbours.
    """
    none = (DERIVATIVE, *(0 for _ in range(n_axes)))
    if kind == "shifts":
        near = list(shifts(n_axes, reach))
        features = [(c, shift) for c in range(channels) for shift in near]
        products = [(none, f) for f in _choices(len(features), 1 if channels > 1 else 2, degree)]
        return Terms(tuple(near), tuple(features), ((none, ()), *products))
    linear = _linear(n_axes)
    if kind == "fluxes":
        features = [(c, none) for c in range(channels)]
        powers = list(_choices(channels, 2, degree))
        products = [(outer, f) for f in powers for outer in derivatives(n_axes, reach)]
        first = list(derivatives(n_axes, 1))
        linked = [(o, (c,)) for o in first for c in range(channels)] if channels > 1 else []
        return Terms(linear, tuple(features), ((none, ()), *linked, *products))
    operators = list(derivatives(n_axes, reach))
    if kind == "stream":
        first = [o for o in derivatives(n_axes, 1) if sum(o[1:]) == 1]
        operators += [(INVERSE, *o[1:]) for o in first]
    features = [(c, o) for c in range(channels) for o in operators]
    # Channels act on each other linearly, too.
    least = 1 if channels > 1 else 2
    products = []
    for factors in _choices(len(features), least, degree):
        order = sum(sum(o[1:]) for _, o in (features[f] for f in factors) if o[0] == DERIVATIVE)
        if order <= (reach if len(factors) > 1 else 1):
            products.append((none, factors))
    return Terms(linear, tuple(features), ((none, ()), *products))


def _linear(n_axes: int) -> tuple[Operator, ...]:
    if n_axes == 1:
        return tuple(derivatives(1, _LINEAR))
    every = derivatives(n_axes, _LINEAR_OF_SEVERAL)
    return tuple(o for o in every if sum(o) < 3 or (sum(o) == 4 and not any(k % 2 for k in o[1:])))


def _choices(n: int, least: int, most: int) -> Iterator[tuple[int, ...]]:
    for k in range(least, most + 1):
        yield from itertools.combinations_with_replacement(range(n), k)
