"""Exponential Runge-Kutta steps, in which the linear part of an equation is exact."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

#: Points on the circle that the functions phi are averaged over, which keeps their digits: what
#: the average misses is their derivative of that order over its factorial, 1e-18.
_POINTS = 20

#: Growth in one step, as the real part of an exponent, beyond which nothing is stepped.
_FASTEST = 50.0


def phi(exponent: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return exp(z), and phi_1 to phi_3 of z by averages over a circle (Kassam, Trefethen 2005).

    ``phi_1(z) = (exp(z) - 1) / z``, and so on: of any complex shape to the same shape.
    """
    points = torch.arange(_POINTS, device=exponent.device, dtype=torch.float64)
    angle = 2 * math.pi * (points + 0.5) / _POINTS
    circle = torch.polar(torch.ones_like(angle), angle).to(exponent.dtype)
    real = exponent.real.clamp(max=_FASTEST)
    z = torch.complex(real, exponent.imag)[..., None] + circle
    first = (torch.exp(z) - 1) / z
    second = (first - 1) / z
    third = (second - 0.5) / z
    whole = torch.exp(torch.complex(real, exponent.imag))
    return whole, first.mean(-1), second.mean(-1), third.mean(-1)


@dataclass(frozen=True)
class ExponentialSteps:
    """Steps of ``dv/dt = L v + N(v)`` with a diagonal L, several within a unit of time.

    Attributes
    ----------
    order : {2, 4}
        Of the scheme: ETDRK2 or ETDRK4 (Cox, Matthews 2002).
    substeps : int
    inner : tuple of Tensor
        What the stages of order 4 multiply by: ``exp(L h / 2)`` and the slope's weight.
    outer : tuple of Tensor
        What the result multiplies its :meth:`columns` by. Those of order 2 stand in its stage, too.
    """

    order: int
    substeps: int
    inner: tuple[Tensor, ...]
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

    def __call__(self, v: Tensor, nonlinear: Callable[[Tensor], Tensor]) -> Tensor:
        """Return ``v`` one unit of time later."""
        for _ in range(self.substeps):
            columns = self.columns(v, nonlinear)
            v = self.outer[0] * columns[0]
            for weight, column in zip(self.outer[1:], columns[1:], strict=True):
                v = v + weight * column
        return v

    def columns(self, v: Tensor, nonlinear: Callable[[Tensor], Tensor]) -> list[Tensor]:
        """Return what a substep is a weighted sum of: ``v``, and slopes at the stages."""
        slope = nonlinear(v)
        if self.order == 2:
            whole, first, _ = self.outer
            return [v, slope, nonlinear(whole * v + first * slope) - slope]
        half, q = self.inner
        a = half * v + q * slope
        slope_a = nonlinear(a)
        slope_b = nonlinear(half * v + q * slope_a)
        c = half * a + q * (2 * slope_b - slope)
        return [v, slope, slope_a + slope_b, nonlinear(c)]
