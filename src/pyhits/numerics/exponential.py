"""Exponential Runge-Kutta steps, in which the linear part of an equation is exact."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

#: Terms of the power series of phi_3 below 1: what they leave out is 1 / 22!.
_SERIES = 18

#: Growth in one step, as the real part of an exponent, beyond which nothing is stepped.
_FASTEST = 50.0


def phi(exponent: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return exp(z), and phi_1 to phi_3 of z: ``phi_1(z) = (exp(z) - 1) / z``, and so on.

    Of any complex shape to the same shape, in double precision within. Near zero, where these
    lose their digits, they are power series.
    """
    z = torch.complex(exponent.real.clamp(max=_FASTEST), exponent.imag).to(torch.complex128)
    near = z.abs() < 1.0
    small = torch.where(near, z, 0.0)
    series = torch.full_like(z, 1 / math.factorial(_SERIES + 3))
    for k in range(_SERIES - 1, -1, -1):
        series = series * small + 1 / math.factorial(k + 3)
    whole = torch.exp(z)
    far = torch.where(near, 1.0, z)
    found = [whole]
    for k in range(3):
        found.append((found[-1] - 1 / math.factorial(k)) / far)
    third = torch.where(near, series, found[3])
    second = torch.where(near, series * small + 0.5, found[2])
    first = torch.where(near, second * small + 1.0, found[1])
    return (
        whole.to(exponent.dtype), first.to(exponent.dtype),
        second.to(exponent.dtype), third.to(exponent.dtype),
    )  # fmt: skip


@dataclass(frozen=True)
class ExponentialSteps:
    """Steps of ``dv/dt = L v + N(v)`` with a diagonal L, several within a unit of time."""

    order: int  # {2, 4}: of the scheme: ETDRK2 or ETDRK4 (Cox, Matthews 2002)
    substeps: int
    #: What the stages of order 4 multiply by: ``exp(L h / 2)`` and the slope's weight.
    inner: tuple[Tensor, ...]
    #: What the result multiplies its :meth:`columns` by. Those of order 2 stand in its stage, too.
    outer: tuple[Tensor, ...]

    @classmethod
    def of(cls, linear: Tensor, order: int, substeps: int) -> ExponentialSteps:
        """Return the steps for the exponents of a unit of time, complex, of any shape."""
        h = 1 / substeps
        whole, first, second, third = phi(linear * h)
        if order == 2:
            return cls(order, substeps, (), (whole, h * first, h * second))
        half, half_first, _, _ = phi(linear * (h / 2))
        begin = h * (first - 3 * second + 4 * third)
        middle, end = 2 * h * (second - 2 * third), h * (4 * third - second)
        return cls(order, substeps, (half, half_first * (h / 2)), (whole, begin, middle, end))

    def to(self, dtype: torch.dtype) -> ExponentialSteps:
        """Return them in another complex arithmetic."""
        inner, outer = (tuple(x.to(dtype) for x in of) for of in (self.inner, self.outer))
        return replace(self, inner=inner, outer=outer)

    def __call__(self, v: Tensor, nonlinear: Callable[[Tensor], Tensor]) -> Tensor:
        """Return ``v`` one unit of time later."""
        for _ in range(self.substeps):
            columns = self.columns(v, nonlinear)
            v = self.outer[0] * columns[0]
            for weight, column in zip(self.outer[1:], columns[1:], strict=True):
                v.addcmul_(weight, column)
        return v

    def columns(self, v: Tensor, nonlinear: Callable[[Tensor], Tensor]) -> list[Tensor]:
        """Return what a substep is a weighted sum of: ``v``, and slopes at the stages."""
        slope = nonlinear(v)
        if self.order == 2:
            whole, first, _ = self.outer
            return [v, slope, nonlinear(torch.addcmul(whole * v, first, slope)) - slope]
        half, q = self.inner
        begin = half * v
        a = torch.addcmul(begin, q, slope)
        slope_a = nonlinear(a)
        slope_b = nonlinear(begin.addcmul_(q, slope_a))
        c = (half * a).addcmul_(q, torch.add(-slope, slope_b, alpha=2))
        return [v, slope, slope_a + slope_b, nonlinear(c)]
