"""The equations of maps that are polynomials, and of differential equations, as text."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from pyhits.errors import ArgumentError
from pyhits.flowmaps import ODEMap, PolynomialMap
from pyhits.flowmaps.form import Units
from pyhits.flowmaps.odes.functions import KINDS, Function
from pyhits.forecasting.fitted import FittedModel

#: Terms of an equation that people read, at most; and size of those left out, as a part of the
#: largest where the data lie.
_MOST, _SMALL = 30, 1e-5

#: Where the data lie, in standard deviations from their mean; and points of it.
_FAR, _POINTS = 2.0, 9

#: Exponent up to which a constant factor of an exponential is taken out of it; and shift that is
#: none, where the data lie.
_MOST_EXPONENT, _NO_SHIFT = 50.0, 1e-5

#: Terms by their names, and the coefficient of each.
Equation = Mapping[str, float]


def written(left: str, terms: Equation) -> str:
    """Return one line: ``du/dt = -0.5 (u^2)_x + 0.01 u_xx``."""
    parts = []
    for name, value in terms.items():
        number = f"{abs(value):.4g}"
        term = name if number == "1" and name else f"{number} {name}".strip()
        parts += ["-" if value < 0 else "+", term]
    if parts and parts[0] == "+":
        parts = parts[1:]
    elif parts:
        parts = ["-" + parts[1], *parts[2:]]
    return f"{left} = {' '.join(parts) or '0'}"


def of_states(model: FittedModel, flow_map: PolynomialMap | ODEMap, size: int) -> str:
    """Return what states of coordinates become in a step, or their derivatives."""
    names = model.coordinate_names
    coefficients = flow_map.coefficients.double().cpu().numpy()[-len(names) :]
    later = model.axis.step_name(size * model.dt)
    left, note = f"{{0}}(t + {later}) - {{0}}(t)", "increments over one step, not derivatives"
    functions: tuple[Function, ...] = ()
    if isinstance(flow_map, ODEMap):
        coefficients = coefficients * flow_map.outputs / (size * model.dt)
        left, note = "d{0}/dt", f"t counts {model.axis.unit or 'the unit of dt'}"
        functions = flow_map.functions
    exponents = flow_map.basis.exponents
    if flow_map.dimension != len(names):
        raise ArgumentError(
            f"The flow map of step size {size} is not one of {len(names)} coordinates."
        )
    if len(exponents) > _MOST * 4:
        _refuse(len(exponents), size)
    text = _Text(names, model.scaling.mean_, model.scaling.scale_)
    text.add_monomials(exponents, coefficients[:, : len(exponents)])
    text.add_functions(functions, coefficients[:, len(exponents) :])
    lines = []
    for k, name in enumerate(names):
        terms = text.equation(k)
        if len(terms) > _MOST:
            _refuse(len(terms), size)
        lines.append(written(left.format(name), terms))
    return "\n".join([*lines, f"({note})"])


def _refuse(n: int, size: int) -> None:
    raise ArgumentError(
        f"The polynomial of step size {size} has {n} terms, more than anybody reads ({_MOST}); "
        "HiTS(flow_map='ode', polynomial_degree=2, encoder=[]) fits few, of derivatives."
    )


class _Text:
    """Terms of all coordinates in the units that these are recorded in.

    Parameters
    ----------
    mean, scale : array, shape (d,)
        Coefficients are those of ``(x - mean) / scale``.
    """

    def __init__(self, names: Sequence[str], mean: np.ndarray, scale: np.ndarray) -> None:
        self._names, self._mean, self._scale = names, mean, scale
        self._units = Units(-mean / scale, 1 / scale)
        self._far = np.abs(mean) + _FAR * scale
        #: Name, coefficients, and size where the data lie, by what terms are sorted by.
        self._terms: dict[tuple[float, ...], tuple[str, np.ndarray, float]] = {}

    def equation(self, k: int) -> Equation:
        """Return the terms of one coordinate that are not next to nothing."""
        reach = {key: abs(c[k]) * far for key, (_, c, far) in self._terms.items()}
        least = _SMALL * max(reach.values())
        found: dict[str, float] = {}
        for key in sorted(self._terms):
            name, coefficients, _ = self._terms[key]
            if reach[key] > least:  # names of functions that are nearly the same may be
                found[name] = found.get(name, 0.0) + float(coefficients[k])
        return found

    def add_monomials(self, exponents: np.ndarray, coefficients: np.ndarray) -> None:
        """Add monomials, with coefficients ``(d, n)``."""
        for powers, column in zip(exponents.tolist(), coefficients.T, strict=True):
            self._add_monomial(powers, column * self._scale)

    def _add_monomial(self, powers: Sequence[int], column: np.ndarray) -> None:
        for below in itertools.product(*(range(p + 1) for p in powers)):
            factor = math.prod(
                math.comb(p, q) * (-m) ** (p - q) / s**p
                for p, q, m, s in zip(powers, below, self._mean, self._scale, strict=True)
            )
            far = float(np.prod(self._far ** np.array(below)))
            self._add(
                (0, sum(below), *(-q for q in below)), self._monomial(below), factor * column, far
            )

    def _add(self, key: tuple[float, ...], name: str, column: np.ndarray, far: float) -> None:
        known = self._terms.get(key)
        self._terms[key] = name, column if known is None else known[1] + column, far

    def _monomial(self, powers: Sequence[int]) -> str:
        named = zip(self._names, powers, strict=True)
        return " ".join(name if n == 1 else f"{name}^{n}" for name, n in named if n)

    def add_functions(self, functions: Sequence[Function], coefficients: np.ndarray) -> None:
        """Add functions, and their products with coordinates, with coefficients ``(d, n)``."""
        each = 1 + len(self._names)
        begin = 0
        for number, function in enumerate(functions):
            own = function.decoded(self._units)
            blocks = [
                coefficients[:, begin + k * each : begin + (k + 1) * each] * self._scale[:, None]
                for k in range(function.n_values)
            ]
            begin += function.n_values * each
            if function.kind == "pole":
                blocks = [self._without_own(function, blocks[0])]
            largest = self._largest(function)
            for part, (name, block, factor) in enumerate(self._of_users(own, blocks)):
                far = largest / factor
                self._add_products((1, number, part), name, factor * block, far, self._raised(own))

    def _raised(self, own: Function) -> dict[int, str]:
        """Return the name of a power's product with its own column, by that column."""
        name = self._names[own.column]
        if own.kind != "power" or self._apart(own) != name:
            return {}
        return {own.column: f"{name}^{own.rate + 1:.4g}"}

    def _without_own(self, pole: Function, block: np.ndarray) -> np.ndarray:
        """Say the product of a pole with its own column by a constant and itself."""
        block, own = block.copy(), block[:, 1 + pole.column].copy()
        block[:, 0] += pole.shift * own
        block[:, 1 + pole.column] = 0.0
        self._add_monomial([0] * len(self._names), own)
        return block

    def _largest(self, function: Function) -> float:
        """Return the largest value of a function of scaled coordinates where the data lie."""
        x = torch.linspace(-_FAR, _FAR, _POINTS, dtype=torch.float64)
        values = torch.stack(function.of(x.expand(len(self._names), -1)))
        return float(values.abs().max())

    def _of_users(
        self, own: Function, blocks: Sequence[np.ndarray]
    ) -> Iterator[tuple[str, np.ndarray, float]]:
        """Yield each value of a function in the user's units: name, coefficients and a factor."""
        column, rate = own.column, _factor(own.rate)
        name, scale = self._names[column], float(self._scale[column])
        alone = _factor(own.rate, abs(own.rate) * float(self._far[column]))
        apart = self._apart(own)
        beyond = name if apart == name else f"({apart})"
        if own.kind == "sine":
            turn, (sine, cosine) = own.rate * self._mean[column], blocks
            yield f"sin({alone}{name})", np.cos(turn) * sine + np.sin(turn) * cosine, 1.0
            yield f"cos({alone}{name})", np.cos(turn) * cosine - np.sin(turn) * sine, 1.0
        elif own.kind == "exponential":
            exponent = -own.rate * own.shift
            if abs(exponent) > _MOST_EXPONENT:
                yield f"exp({rate}{beyond})", blocks[0], 1.0
            else:
                yield f"exp({alone}{name})", blocks[0], math.exp(exponent)
        elif own.kind in ("pole", "power"):
            power = -1.0 if own.kind == "pole" else own.rate
            yield f"{beyond}^{power:.4g}", blocks[0], scale**-power
        elif own.kind == "logarithm":
            self._add_linear(-math.log(scale) * blocks[0])
            yield f"log({apart})", blocks[0], 1.0
        elif own.kind == "kink":
            yield f"|{apart}|", blocks[0], 1 / scale
        else:
            inner, text = f"{rate}{beyond}" if rate else apart, KINDS[own.kind].text
            text = text.replace("({u})^", "{u}^") if inner == name else text
            yield text.format(u=inner), blocks[0], 1.0

    def _apart(self, own: Function) -> str:
        """Return ``x - shift``; the name alone where the shift is next to nothing."""
        name, shift = self._names[own.column], own.shift
        if abs(shift) < _NO_SHIFT * float(self._far[own.column]):
            return name
        size = _number(abs(shift), abs(shift) / float(self._scale[own.column]))
        return f"{name} {'-' if shift > 0 else '+'} {size}"

    def _add_linear(self, block: np.ndarray) -> None:
        """Add a constant, and a multiple of each scaled coordinate, ``(d, 1 + d)``."""
        d = len(self._names)
        for powers, column in zip(np.eye(1 + d, dtype=int)[:, 1:].tolist(), block.T, strict=True):
            self._add_monomial(powers, column)

    def _add_products(
        self,
        key: tuple[float, ...],
        name: str,
        block: np.ndarray,
        far: float,
        named: Mapping[int, str],
    ) -> None:
        """Add a function and its products with scaled coordinates, ``(d, 1 + d)``.

        Some of the products have a name of their own.
        """
        alone = block[:, 0] - block[:, 1:] @ (self._mean / self._scale)
        self._add((*key, -1), name, alone, far)
        for k, other in enumerate(self._names):
            column = block[:, 1 + k] / self._scale[k]
            product = named.get(k, f"{other} {name}")
            self._add((*key, k), product, column, far * float(self._far[k]))


def _factor(value: float, counts: float = 1.0) -> str:
    """Return a number before a name, as :func:`_number`; nothing where it is 1."""
    number = _number(value, counts)
    return {"1": "", "-1": "-"}.get(number, f"{number} ")


def _number(value: float, counts: float) -> str:
    """Return a number in four digits, and in more where its size ``counts`` as so many units."""
    return f"{value:.{4 + max(0, math.floor(math.log10(max(counts, 1.0))))}g}"
