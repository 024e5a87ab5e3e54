"""The code of one step of a flow map, over a block of states side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from llvmlite import ir

from pyhits.numerics.basis import Monomials
from pyhits.numerics.fused.code import LANES, WHOLE, Function, Library, Value, once, pointer, whole
from pyhits.numerics.fused.numbers import CELLS
from pyhits.numerics.fused.terms import field, horner, number_of

#: Stages of a Runge-Kutta method, at most.
MOST_STAGES = 16


@once
def compiled(
    kind: str,
    dimension: int,
    degree: int,
    dtype: np.dtype,
    functions: tuple[tuple[str, int], ...] = (),
    rank: int = 0,
) -> Library:
    """Return the code of a step; all flow maps of one shape share it.

    ``step(states, out, stride, count, numbers)`` writes ``count`` outputs, ``stride`` apart.
    ``numbers`` holds the addresses of the flow map's own.
    """
    name = f"{kind} {dimension} {degree} {dtype.name}"
    if functions:
        name += " " + " ".join(f"{one}{column}" for one, column in functions)
        return Library(name, lambda: ode(dimension, degree, dtype, functions))
    if rank:
        return Library(f"{name} of {rank}", lambda: polynomial(dimension, degree, dtype, rank))
    make = {"polynomial": polynomial, "cells": cells, "ode": ode}[kind]
    return Library(name, lambda: make(dimension, degree, dtype))


def polynomial(dimension: int, degree: int, dtype: np.dtype, rank: int = 0) -> ir.Module:
    """Write the step of polynomials, by Horner's rule in one variable after the other.

    Its numbers are lower and upper bounds (d,) each, then coefficients ``(outputs * d, n_terms)``,
    or of ``rank`` polynomials, and what multiplies these in each output, ``(outputs * d, rank)``.
    """
    basis, made = Monomials(dimension, degree), _step(dtype)
    build = made.build
    numbers = build.load(made.args[4])
    own = made.at(numbers, whole(2 * dimension))
    shared = made.variable(made.vector, size=max(rank, 1))
    with made.loop(whole(LANES), made.width) as lane:
        inside = []
        for f in range(dimension):
            x = made.load(made.args[0], build.add(lane, whole(f * LANES)))
            low, high = (number_of(made, numbers, k) for k in (f, dimension + f))
            inside.append(made.clamp(x, low, high) if degree > 1 else x)

        def of_monomials(row: Value, inside: list[Value] = inside) -> Value:
            begin = build.mul(row, whole(basis.size))
            return horner(made, basis, inside, made.at(own, begin))

        with made.loop(whole(rank)) as k:
            build.store(of_monomials(k), made.at(shared, k))
        with made.loop(made.args[3]) as output, made.loop(whole(dimension)) as feature:
            row = build.add(build.mul(output, whole(dimension)), feature)
            if rank:
                begin = build.add(whole(rank * basis.size), build.mul(row, whole(rank)))
                change = _weighted(made, shared, made.at(own, begin), rank)
            else:
                change = of_monomials(row)
            before = build.add(lane, build.mul(feature, whole(LANES)))
            x = made.load(made.args[0], before)
            after = build.add(before, build.mul(made.args[2], output))
            made.store(made.plus(x, change), made.args[1], after)
    return _finish(made)


def _weighted(made: Function, vectors: Value, weights: Value, count: int) -> Value:
    """Return the weighted sum of so many vectors."""
    total: Value | None = None
    for k in range(count):
        vector = made.build.load(made.at(vectors, whole(k)))
        total = made.times(number_of(made, weights, k), vector, total)
    return total


def cells(dimension: int, degree: int, dtype: np.dtype) -> ir.Module:
    """Write the step of tables, state by state: each has a polynomial of its own.

    Its numbers are those of :data:`~pyhits.numerics.fused.numbers.CELLS`.
    """
    basis, made = Monomials(dimension, degree), _step(dtype)
    build, number = made.build, made.real
    named = {}
    for k, (name, kind) in enumerate(CELLS.items()):
        raw = build.load(made.at(made.args[4], whole(k)))
        named[name] = build.bitcast(raw, pointer(ir.IntType(32) if kind == "whole" else number))

    def get(name: str, index: Value) -> Value:
        return build.load(made.at(named[name], index))

    def wide(value: Value) -> Value:
        return build.sext(value, WHOLE)

    kept = made.variable(number, size=dimension)
    with made.loop(whole(LANES)) as lane:
        states, box = [], whole(0)
        for f in range(dimension):
            each = whole(f)
            x = build.load(made.at(made.args[0], build.add(lane, whole(f * LANES))))
            inside = made.clamp(x, get("low", each), get("high", each))
            made.store(inside, kept, each)
            states.append((x, inside))
            at = made.build.fmul(build.fsub(inside, get("origin", each)), get("per_box", each))
            # What is no number becomes 0, since no integer stands for it.
            at = build.select(build.fcmp_ordered(">", at, number(0.0)), at, number(0.0))
            last = get("last_box", each)
            at = build.select(build.fcmp_ordered("<", at, last), at, last)
            box = build.add(box, build.mul(build.fptosi(at, WHOLE), wide(get("strides", each))))
        node = made.variable(WHOLE, wide(get("table", box)))
        _descend(made, node, kept, get, wide)
        leaf = wide(get("leaf", build.load(node)))
        local = []
        for f, (_, inside) in enumerate(states):
            place = build.add(build.mul(leaf, whole(dimension)), whole(f))
            centred = build.fsub(inside, get("centre", place))
            local.append(made.build.fmul(centred, get("per_half", place)))
        for f, (x, _) in enumerate(states):
            row = build.add(build.mul(leaf, whole(dimension)), whole(f))
            own = made.at(named["coefficients"], build.mul(row, whole(basis.size)))
            change = horner(made, basis, local, own, alike=False)
            made.store(made.plus(x, change), made.args[1], build.add(lane, whole(f * LANES)))
    return _finish(made)


def ode(
    dimension: int, degree: int, dtype: np.dtype, functions: Sequence[tuple[str, int]] = ()
) -> ir.Module:
    """Write the step of vector fields of few terms, by explicit Runge-Kutta steps.

    Its numbers are those of steps, of stages and of each stage's weights, ``(stages, stages)`` and
    ``(stages,)``, which the length of a step is in; then lower and upper bounds (d,) each,
    coefficients ``(d, n_terms)``, and rate, shift and bounds of each function.
    """
    basis, made = Monomials(dimension, degree), _step(dtype)
    build, features = made.build, range(dimension)
    numbers = build.load(made.args[4])
    n_steps, n_stages = (
        build.fptosi(build.load(made.at(numbers, whole(k))), WHOLE) for k in range(2)
    )
    last = build.add(whole(2), build.mul(n_stages, n_stages))
    box = made.at(numbers, build.add(last, n_stages))
    own = made.at(box, whole(2 * dimension))
    now, at = (made.variable(made.vector, size=dimension) for _ in range(2))
    slopes = made.variable(made.vector, size=dimension * MOST_STAGES)

    def of(array: Value, feature: int, row: Value | None = None) -> Value:
        begin = whole(0) if row is None else build.mul(row, whole(dimension))
        return made.at(array, build.add(begin, whole(feature)))

    def add(sums: Value, weights: Value, count: Value) -> None:
        with made.loop(count) as stage:
            weight = made.spread(build.load(made.at(numbers, build.add(weights, stage))))
            for f in features:
                more = made.times(weight, build.load(of(slopes, f, stage)), build.load(of(sums, f)))
                build.store(more, of(sums, f))

    with made.loop(whole(LANES), made.width) as lane:
        for f in features:
            start = made.load(made.args[0], build.add(lane, whole(f * LANES)))
            build.store(start, of(now, f))
        with made.loop(made.args[3]) as output:
            with made.loop(n_steps):
                with made.loop(n_stages) as stage:
                    for f in features:
                        build.store(build.load(of(now, f)), of(at, f))
                    add(at, build.add(whole(2), build.mul(stage, n_stages)), stage)
                    inside = []
                    for f in features:
                        low, high = (number_of(made, box, k) for k in (f, dimension + f))
                        inside.append(made.clamp(build.load(of(at, f)), low, high))
                    for f, slope in enumerate(field(made, basis, functions, inside, own)):
                        build.store(slope, of(slopes, f, stage))
                add(now, last, n_stages)
            after = build.mul(made.args[2], output)
            for f in features:
                place = build.add(build.add(lane, whole(f * LANES)), after)
                made.store(build.load(of(now, f)), made.args[1], place)
    return _finish(made)


def _descend(
    made: Function,
    node: Value,
    inside: Value,
    get: Callable[[str, Value], Value],
    wide: Callable[[Value], Value],
) -> None:
    """Lead a ``node`` on to its cell: as long as it is none."""
    build = made.build
    head, body, end = (build.append_basic_block(name) for name in ("head", "body", "end"))
    build.branch(head)
    build.position_at_end(head)
    here = build.load(node)
    is_cell = build.icmp_signed(">=", get("leaf", here), ir.IntType(32)(0))
    build.cbranch(is_cell, end, body)
    build.position_at_end(body)
    value = build.load(made.at(inside, wide(get("axis", here))))
    upper = build.fcmp_ordered(">=", value, get("threshold", here))
    build.store(build.add(wide(get("child", here)), build.zext(upper, WHOLE)), node)
    build.branch(head)
    build.position_at_end(end)


def _step(dtype: np.dtype) -> Function:
    """Return the beginning of a step."""
    number = pointer(ir.DoubleType() if dtype == np.float64 else ir.FloatType())
    return Function(ir.Module(), "step", dtype, [number, number, WHOLE, WHOLE, pointer(number)])


def _finish(made: Function) -> ir.Module:
    made.build.ret_void()
    return made.function.module
