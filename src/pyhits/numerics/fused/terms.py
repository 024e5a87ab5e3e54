"""The code of the terms of flow maps: polynomials, and functions of single variables."""

from __future__ import annotations

from collections.abc import Sequence

from pyhits.numerics.basis import Monomials
from pyhits.numerics.fused.code import Function, Value, whole

#: Functions of the C library that each kind of function calls, one for each of its values.
CALLS: dict[str, tuple[str | None, ...]] = {
    "sine": ("sin", "cos"),
    "exponential": ("exp",),
    "step": ("tanh",),
    "bell": ("exp",),
    "pole": (None,),
    "logarithm": ("log",),
    "hill2": (None,),
    "hill4": (None,),
    "power": ("pow",),
    "kink": (None,),
}


def number_of(made: Function, numbers: Value, place: int) -> Value:
    """Return one of the numbers of a flow map, alike in all lanes."""
    return made.spread(made.build.load(made.at(numbers, whole(place))))


def horner(
    made: Function,
    basis: Monomials,
    variables: list[Value],
    coefficients: Value,
    *,
    alike: bool = True,
) -> Value:
    """Return the value of a polynomial, whose coefficients are ``alike`` in all lanes or of one."""
    numbers = {tuple(powers): k for k, powers in enumerate(basis.exponents.tolist())}

    def value(axis: int, powers: tuple[int, ...], left: int) -> Value:
        if axis < 0:
            place = made.at(coefficients, whole(numbers[powers]))
            number = made.build.load(place)
            return made.spread(number) if alike else number
        result: Value | None = None
        for power in range(left, -1, -1):
            inner = value(axis - 1, (power, *powers), left - power)
            result = inner if result is None else made.times(result, variables[axis], inner)
        return result

    return value(basis.dimension - 1, (), basis.degree)


def field(
    made: Function,
    basis: Monomials,
    functions: Sequence[tuple[str, int]],
    inside: list[Value],
    numbers: Value,
) -> list[Value]:
    """Return the slopes of a vector field.

    Its numbers are coefficients ``(d, n_terms)``, then rate, shift and bounds of each function.
    """
    d = basis.dimension
    n_terms = basis.size + (1 + d) * sum(len(CALLS[kind]) for kind, _ in functions)
    values = _values(made, functions, inside, made.at(numbers, whole(d * n_terms)))
    slopes = []
    for f in range(d):
        row = made.at(numbers, whole(f * n_terms))
        slope = horner(made, basis, inside, row)
        for k, value in enumerate(values):
            begin = made.at(row, whole(basis.size + k * (1 + d)))
            slope = made.times(value, _linear(made, inside, begin), slope)
        slopes.append(slope)
    return slopes


def _values(
    made: Function, functions: Sequence[tuple[str, int]], inside: list[Value], numbers: Value
) -> list[Value]:
    """Return the values of functions of single columns."""
    found: list[Value] = []
    for k, (kind, column) in enumerate(functions):
        rate, shift, low, high = (number_of(made, numbers, 4 * k + j) for j in range(4))
        x = made.clamp(inside[column], low, high)
        found += _of_kind(made, kind, x, rate, shift)
    return found


def _of_kind(made: Function, kind: str, x: Value, rate: Value, shift: Value) -> list[Value]:
    build, one = made.build, made.spread(made.real(1.0))
    beyond = build.fsub(x, shift)
    u = build.fmul(rate, beyond)
    square = build.fmul(u, u)
    if kind == "sine":
        angle = build.fmul(rate, x)
        return [made.called("sin", angle), made.called("cos", angle)]
    if kind == "bell":
        return [made.called("exp", build.fneg(square))]
    if kind == "power":
        return [made.called("pow", beyond, rate)]
    if kind == "logarithm":
        return [made.called("log", beyond)]
    if kind == "pole":
        return [build.fdiv(one, beyond)]
    if kind == "kink":
        below = build.fcmp_ordered("<", beyond, made.spread(made.real(0.0)))
        return [build.select(below, build.fneg(beyond), beyond)]
    if kind in ("hill2", "hill4"):
        power = square if kind == "hill2" else build.fmul(square, square)
        return [build.fdiv(one, build.fadd(one, power))]
    (name,) = CALLS[kind]
    return [made.called(str(name), u)]


def _linear(made: Function, variables: list[Value], coefficients: Value) -> Value:
    """Return a number and a multiple of each variable, added."""
    total = number_of(made, coefficients, 0)
    for k, variable in enumerate(variables):
        total = made.times(number_of(made, coefficients, 1 + k), variable, total)
    return total
