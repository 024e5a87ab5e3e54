"""A right-hand side on a periodic grid, and the scheme that integrates it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from pyhits.flowmaps.equations.slopes import Slopes
from pyhits.flowmaps.equations.terms import Terms, fluxes
from pyhits.numerics.exponential import ExponentialSteps
from pyhits.numerics.fourier import Operator, half_shape, low_pass, multiplier

#: What high wavenumbers are cut from, against aliases: nothing, what products are made of, or the
#: products as well.
DEALIASED = ("none", "factors", "all")

#: Part of the wavenumbers that keeps products of two free of aliases (Orszag 1971).
TWO_THIRDS = 2 / 3


@dataclass(frozen=True)
class Scheme:
    """How the equation is integrated over a step."""

    substeps: int = 1
    order: int = 4  # {2, 4}: of exponential Runge-Kutta
    dealiased: str = "none"  # {"none", "factors", "all"}
    kept: float = TWO_THIRDS  # part of the wavenumbers, along each axis, that are not cut
    #: Part of the wavenumbers, along each axis, that the data hold: what they leave empty does not
    #: grow by the linear part, of which they tell nothing there.
    seen: float = 1.0


class Equation:
    """A right-hand side in Fourier space: what is set up once for a grid, device and arithmetic.

    Parameters
    ----------
    shape : sequence of int
        Points along each axis.
    like : Tensor
        Real, of the device and arithmetic to compute in.
    source : Tensor, complex, shape (channels, *transform), optional
        What drives the fields at all times, by place.
    """

    def __init__(
        self,
        shape: Sequence[int],
        channels: int,
        terms: Terms,
        scheme: Scheme,
        like: Tensor,
        source: Tensor | None = None,
    ) -> None:
        self.source = source
        self.shape, self.channels, self.terms, self.scheme = tuple(shape), channels, terms, scheme
        self.axes = tuple(range(-len(self.shape), 0))
        real = self.real = like.dtype
        self.complex = torch.complex(like.new_zeros(1), like.new_zeros(1)).dtype
        self._device = like.device
        keep = low_pass(self.shape, scheme.kept).to(device=like.device, dtype=real)
        self.before = keep if scheme.dealiased != "none" else None
        self.after = keep if scheme.dealiased == "all" else None
        unseen = low_pass(self.shape, scheme.seen).to(device=like.device) == 0
        self._operators: dict[Operator, Tensor] = {}
        self._unseen = unseen if scheme.seen < 1.0 else None

    def _stack(self, operators: Sequence[Operator]) -> Tensor:
        if not operators:
            return self._here(torch.zeros((0, *half_shape(self.shape))))
        return torch.stack([self.operator(o) for o in operators])

    def _here(self, x: Tensor) -> Tensor:
        return x.to(device=self._device, dtype=self.complex)

    def operator(self, operator: Operator) -> Tensor:
        """Return what an operator multiplies coefficients by, ``(*transform)``, made once."""
        if operator not in self._operators:
            self._operators[operator] = self._here(multiplier(operator, self.shape))
        return self._operators[operator]

    def slopes(self, coefficients: Tensor) -> Slopes:
        """Return the rest of the right-hand side for coefficients ``(channels, n_products)``."""
        before, after = (
            None if cut is None else self._here(cut) for cut in (self.before, self.after)
        )
        terms = self.terms
        if self.after is not None and self.scheme.kept <= TWO_THIRDS:  # no aliases are left
            terms, factors = fluxes(terms)
            coefficients = coefficients * coefficients.new_tensor(factors)
        return Slopes(self.shape, terms, coefficients, self.operator, before, after, self.source)

    @cached_property
    def linear(self) -> Tensor:
        """Operators of the linear part, ``(n_linear, *transform)``."""
        return self._stack(self.terms.linear)

    @cached_property
    def _features(self) -> Tensor:
        return self._stack([operator for _, operator in self.terms.features])

    @cached_property
    def _channels(self) -> list[int]:
        return [channel for channel, _ in self.terms.features]

    def forward(self, u: Tensor) -> Tensor:
        """Return Fourier coefficients of fields ``(..., *shape)``."""
        transformed: Tensor = torch.fft.rfftn(u, dim=self.axes)
        return transformed

    def back(self, v: Tensor) -> Tensor:
        """Return the fields of Fourier coefficients."""
        fields: Tensor = torch.fft.irfftn(v, s=self.shape, dim=self.axes)
        return fields

    def exponents(self, linear: Tensor) -> Tensor:
        """Return L for coefficients ``(channels, n_linear)``: ``(channels, *transform)``."""
        found: Tensor = torch.tensordot(linear.to(self.complex), self.linear, dims=1)
        if self._unseen is None:
            return found
        real = torch.where(self._unseen, found.real.clamp(max=0.0), found.real)
        return torch.complex(real, found.imag)

    def factors(self, v: Tensor) -> Tensor:
        """Return the features at each point; ``(n, channels, *transform)``."""
        if not self._channels:  # a constant alone
            return v.real.new_zeros(len(v), 0, *self.shape)
        v = v if self.before is None else v * self.before
        return self.back(v[:, self._channels] * self._features)

    def product(self, factors: Tensor, j: int) -> Tensor:
        """Return a product at each point, without the operator on it, ``(n, *shape)``."""
        which = self.terms.products[j][1]
        if not which:
            return torch.ones(
                (len(factors), *self.shape), dtype=factors.dtype, device=factors.device
            )
        found = factors[:, which[0]]
        for f in which[1:]:
            found = found * factors[:, f]
        return found

    def outer(self, transformed: Tensor, j: int) -> Tensor:
        """Return the transform of a product with the operator on it, and cut against aliases."""
        operator, _ = self.terms.products[j]
        if any(operator[1:]):
            transformed = transformed * self.operator(operator)
        return transformed if self.after is None else transformed * self.after

    def steps(self, linear: Tensor, weights: Tensor | None = None) -> ExponentialSteps:
        """Return the scheme over one step of the flow map, with its weights or others."""
        scheme = self.scheme
        steps = ExponentialSteps.of(self.exponents(linear), scheme.order, scheme.substeps)
        return steps if weights is None else replace(steps, outer=tuple(weights))

    def stepped(
        self,
        v: Tensor,
        values: Tensor,
        weights: Tensor | None = None,
        steps: ExponentialSteps | None = None,
    ) -> Tensor:
        """Return the fields one step after Fourier coefficients ``v``.

        Parameters
        ----------
        v : Tensor, shape (n, channels, *transform)
        values : Tensor, shape (channels, n_linear + n_products)
        weights : Tensor, shape (n_weights, channels, *transform), optional
            In place of those of the scheme.
        steps : ExponentialSteps, optional
            What :meth:`steps` returns, where it is known.
        """
        n_linear = len(self.terms.linear)
        steps = self.steps(values[:, :n_linear], weights) if steps is None else steps
        return self.back(steps(v, self.slopes(values[:, n_linear:])))
