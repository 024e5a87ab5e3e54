"""Linear operators on periodic grids, as multipliers of Fourier coefficients."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

#: Kinds of an operator: derivatives; the same of the inverse Laplacian; a shift by whole points.
DERIVATIVE, INVERSE, SHIFT = 0, 1, 2

#: An operator: its kind, then an order of the derivative, or a number of points, for each axis.
Operator = tuple[int, ...]


def wavenumbers(shape: Sequence[int]) -> list[Tensor]:
    """Return wavenumbers along each axis in radians a point, to be broadcast, of a real transform.

    The last axis has half of them, as :func:`torch.fft.rfftn`.
    """
    n_axes = len(shape)
    found = []
    for axis, n in enumerate(shape):
        make = torch.fft.rfftfreq if axis == n_axes - 1 else torch.fft.fftfreq
        k = 2 * math.pi * make(n, dtype=torch.float64)
        found.append(k.view([-1 if other == axis else 1 for other in range(n_axes)]))
    return found


def half_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of a real transform over all axes."""
    return (*shape[:-1], shape[-1] // 2 + 1)


def multiplier(operator: Operator, shape: Sequence[int]) -> Tensor:
    """Return what an operator multiplies Fourier coefficients by, complex, shape of the transform.

    A derivative is in units of ``2 / pi`` a point: of the shortest wave that a grid resolves well
    its size is of order one. Odd derivatives of the shortest wave of all are none.
    """
    kind, *orders = operator
    found = torch.ones(half_shape(shape), dtype=torch.complex128)
    every = wavenumbers(shape)
    for k, order, n in zip(every, orders, shape, strict=True):
        if kind == SHIFT:
            found = found * torch.exp(1j * order * k)
            continue
        unit = k * (2 / math.pi)
        if order % 2 and n % 2 == 0:
            unit = torch.where(k.abs() >= math.pi - 1e-9, 0.0, unit)
        found = found * (1j * unit) ** order
    if kind == INVERSE:
        squares: Tensor = sum((k * (2 / math.pi)) ** 2 for k in every)  # type: ignore[assignment]
        found = torch.where(squares > 0, -found / squares.clamp(min=1e-300), 0.0)
    return found


def low_pass(shape: Sequence[int], part: float) -> Tensor:
    """Return 1 where all wavenumbers are below a part of the highest, 0 elsewhere."""
    keep = torch.ones(half_shape(shape), dtype=torch.float64)
    for k in wavenumbers(shape):
        keep = keep * (k.abs() < part * math.pi - 1e-9)
    return keep


def derivatives(n_axes: int, highest: int) -> Iterator[Operator]:
    """Yield all derivatives up to an order, the lower ones first; the first is none."""
    for order in range(highest + 1):
        for orders in itertools.product(range(order, -1, -1), repeat=n_axes):
            if sum(orders) == order:
                yield (DERIVATIVE, *orders)


def shifts(n_axes: int, reach: int) -> Iterator[Operator]:
    """Yield shifts of up to ``reach`` points in all, the shorter ones first; the first is none."""
    for far in range(reach + 1):
        for points in itertools.product(range(-far, far + 1), repeat=n_axes):
            if sum(abs(p) for p in points) == far:
                yield (SHIFT, *points)
