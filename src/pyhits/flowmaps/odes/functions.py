"""Functions of one column that a vector field may hold beside monomials: sines, poles, steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pyhits.flowmaps.form import Units

#: Range of a column, in its own, beyond which functions are those of the nearest point.
_REACH = 10.0

#: Exponents of e that exponentials may rise by beyond the states.
_RISE = 2.0


class Function(NamedTuple):
    """A function of one column: ``g(rate, shift, x)``, x kept between ``low`` and ``high``."""

    kind: str  # one of :data:`KINDS`
    column: int
    #: rate, shift: Where the kind has no rate, or no shift, these are 1 and 0.
    rate: float = 1.0
    shift: float = 0.0
    low: float = -1e6
    high: float = 1e6

    @classmethod
    def read(cls, values: Sequence[Any]) -> Function:
        """Return the function that plain JSON holds, its attributes in a row.

        Raises TypeError, ValueError: it is none.
        """
        kind, column, *numbers = values
        if kind not in KINDS or type(column) is not int or column < 0:
            raise ValueError(f"there is no function {kind!r} of column {column!r}")
        return cls(kind, column, *map(float, numbers))

    def encoded(self, units: Units) -> Function:
        """Return the same function of encoded states, but for a factor, from the user's units."""
        return self._moved(float(units.zero[self.column]), float(units.size[self.column]))

    def decoded(self, units: Units) -> Function:
        """Return the same in the user's units, from encoded states."""
        zero, size = float(units.zero[self.column]), float(units.size[self.column])
        return self._moved(-zero / size, 1 / size)

    def _moved(self, zero: float, size: float) -> Function:
        """Return the same of ``zero + size * x``."""
        kind = KINDS[self.kind]
        rate = self.rate / size if kind.per_unit else self.rate
        shift, low, high = (zero + size * x for x in (self.shift, self.low, self.high))
        return Function(self.kind, self.column, rate, shift if kind.shifts else 0.0, low, high)

    @property
    def n_values(self) -> int:
        """How many functions it stands for: sines come with cosines."""
        return KINDS[self.kind].n_values

    @property
    def is_sound(self) -> bool:
        """Whether it is there all the way from ``low`` to ``high``, beyond any pole."""
        return self.low <= self.high and not (KINDS[self.kind].ends and self.low < self.shift)

    def of(self, states: Tensor) -> list[Tensor]:
        """Return its values at states ``(d, ...)``, each of shape ``(...)``."""
        x = torch.clamp(states[self.column], self.low, self.high)
        return KINDS[self.kind].of(x, self.rate, self.shift)


class Range(NamedTuple):
    """What is known of a column: the least and the largest value, and where it is 0 to people."""

    low: float
    high: float
    zero: float

    @property
    def span(self) -> float:
        """From the least value to the largest."""
        return self.high - self.low


#: A number, or one for each of many functions, of shape ``(many, 1, 1)``.
Number = float | Tensor


@dataclass(frozen=True)
class Kind:
    """A kind of function."""

    name: str
    of: Callable[[Tensor, Number, Number], list[Tensor]]  # from x, rate and shift to its values
    #: From the range of a column to the rates and shifts that a search begins from.
    tried: Callable[[Range], Iterator[tuple[float, float]]]
    refined: tuple[str, ...]  # which of rate and shift are found by least squares from there
    #: For people, with ``{u}`` for ``rate (x - shift)``; empty where that is not all.
    text: str = ""
    n_values: int = 1
    #: per_unit, shifts: Whether the rate is one per unit of x, and whether there is a shift.
    per_unit: bool = True
    shifts: bool = True
    ends: bool = False  # whether there is none of it below the shift
    #: From range, rate and shift to the least and the largest x at which it is taken.
    limits: Callable[[Range, float, float], tuple[float, float]] | None = None
    #: Over the range of a column where the rate is one per unit: below it is a polynomial, or a
    #: logarithm.
    least_rate: float = 0.0

    def on(self, column: int, own: Range, rate: float, shift: float) -> Function:
        """Return the function of a column whose states have this range."""
        least = self.least_rate / (own.span if self.per_unit else 1.0)
        rate = math.copysign(max(abs(rate), least), rate)
        low, high = own.low - _REACH * own.span, own.high + _REACH * own.span
        if self.limits is not None:
            least, most = self.limits(own, rate, shift)
            low, high = max(low, least), min(high, most)
        return Function(self.name, column, rate, shift, low, high)


def _rates(low: float, high: float, n: int) -> Callable[[Range], Sequence[float]]:
    return lambda own: [float(rate) for rate in np.geomspace(low, high, n) / own.span]


def _inner(own: Range, n: int) -> Sequence[float]:
    """Return points that part the range."""
    return [float(x) for x in np.linspace(own.low, own.high, n + 2)[1:-1]]


def _waves(own: Range) -> Iterator[tuple[float, float]]:
    for rate in _rates(2.0, 40.0, 20)(own):
        yield rate, 0.0


def _exponentials(own: Range) -> Iterator[tuple[float, float]]:
    for rate in _rates(0.5, 60.0, 14)(own):
        yield rate, own.high
        yield -rate, own.low


def _steps(own: Range) -> Iterator[tuple[float, float]]:
    for rate in _rates(1.0, 100.0, 8)(own):
        for shift in _inner(own, 9):
            yield rate, shift


def _bells(own: Range) -> Iterator[tuple[float, float]]:
    for rate in _rates(2.0, 30.0, 6)(own):
        for shift in _inner(own, 7):
            yield rate, shift


def _below(own: Range) -> Iterator[tuple[float, float]]:
    for beyond in np.geomspace(0.003, 3.0, 12) * own.span:
        yield 1.0, own.low - float(beyond)
    if own.low > own.zero:
        yield 1.0, own.zero


def _from_zero(low: float, high: float, n: int) -> Callable[[Range], Iterator[tuple[float, float]]]:
    def tried(own: Range) -> Iterator[tuple[float, float]]:
        if own.low >= own.zero:
            for part in np.geomspace(low, high, n):
                yield 1 / (float(part) * (own.high - own.zero)), own.zero

    return tried


def _powers(own: Range) -> Iterator[tuple[float, float]]:
    if own.low >= own.zero:
        for exponent in (-1.5, -0.5, 0.5, 1.5, 2.5):
            yield exponent, own.zero


def _kinks(own: Range) -> Iterator[tuple[float, float]]:
    for shift in _inner(own, 16):
        yield 1.0, shift


def _half_way(own: Range, rate: float, shift: float) -> tuple[float, float]:
    """Come no nearer to a pole than half as near as the states."""
    return (own.low + shift) / 2, np.inf


def _risen(own: Range, rate: float, shift: float) -> tuple[float, float]:
    least = own.low + min(_RISE / rate, 0.0)
    return (least, np.inf) if rate < 0 else (-np.inf, own.high + _RISE / rate)


def _hill(n: int) -> Kind:
    return Kind(
        f"hill{n}",
        lambda x, rate, shift: [1 / (1 + (rate * (x - shift)) ** n)],
        _from_zero(0.03, 1.5, 12),
        ("rate",),
        f"(1 + ({{u}})^{n})^-1",
        limits=lambda own, rate, shift: (shift, np.inf),
    )


_KINDS = (
    Kind(
        "sine", lambda x, rate, shift: [torch.sin(rate * x), torch.cos(rate * x)],
        _waves, ("rate",), n_values=2, shifts=False, least_rate=1.0,
    ),
    Kind(
        "exponential", lambda x, rate, shift: [torch.exp(rate * (x - shift))],
        _exponentials, ("rate",), limits=_risen, least_rate=0.2,
    ),
    Kind(
        "step", lambda x, rate, shift: [torch.tanh(rate * (x - shift))],
        _steps, ("rate", "shift"), "tanh({u})", least_rate=0.5,
    ),
    Kind(
        "bell", lambda x, rate, shift: [torch.exp(-((rate * (x - shift)) ** 2))],
        _bells, ("rate", "shift"), "exp(-({u})^2)", least_rate=1.0,
    ),
    Kind(
        "pole", lambda x, rate, shift: [1 / (x - shift)],
        _below, ("shift",), per_unit=False, ends=True, limits=_half_way,
    ),
    Kind(
        "logarithm", lambda x, rate, shift: [torch.log(x - shift)],
        _below, ("shift",), per_unit=False, ends=True, limits=_half_way,
    ),
    _hill(2),
    _hill(4),
    Kind(
        "power", lambda x, rate, shift: [(x - shift) ** rate],
        _powers, ("rate",), per_unit=False, ends=True, limits=_half_way, least_rate=0.1,
    ),
    Kind(
        "kink", lambda x, rate, shift: [torch.abs(x - shift)],
        _kinks, ("shift",), per_unit=False,
    ),
)  # fmt: skip

#: All kinds, by name.
KINDS: dict[str, Kind] = {kind.name: kind for kind in _KINDS}
