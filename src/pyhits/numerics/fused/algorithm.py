"""The code around the steps: Algorithm 1, splines between its states, and the way out."""

from __future__ import annotations

import numpy as np
from llvmlite import ir

from pyhits.numerics.fused.code import (
    LANES,
    WHOLE,
    Function,
    Library,
    Value,
    once,
    pointer,
    real,
    whole,
)

#: Trajectories that are written side by side, and rows of each.
_TILE = 8


@once
def stepping(dtype: np.dtype) -> Library:
    """Compile what works on blocks of states alone."""

    def make() -> ir.Module:
        module = ir.Module()
        _onward(module, dtype, _fill(module, dtype), _inside(module, dtype))
        _slopes(module, dtype)
        return module

    return Library(f"stepping {dtype.name}", make)


@once
def writing(dtype: np.dtype, out: np.dtype) -> Library:
    """Compile the way out of blocks: scaled, shifted, turned into trajectories of another dtype."""

    def make() -> ir.Module:
        module = ir.Module()
        write = _write(module, dtype, out)
        _write_between(module, (dtype, out), _between(module, dtype), write)
        return module

    return Library(f"writing {dtype.name} {out.name}", make)


def _fill(module: ir.Module, dtype: np.dtype) -> Value:
    """``fill(blocks, stages, n_stages, n_blocks, block)``: Algorithm 1 in every block.

    A stage is eight integers: addresses of a step and of its numbers, where its first states lie,
    how far it is to the next, how many there are, where the first outputs go, how far it is from
    one output to the next, and how many of them are written. ``block`` is the size of a block.
    """
    number = pointer(real(dtype))
    made = Function(module, "fill", dtype, [number, pointer(WHOLE), WHOLE, WHOLE, WHOLE])
    blocks, stages, n_stages, n_blocks, size = made.args
    build = made.build
    data = pointer(number)
    step = pointer(ir.FunctionType(ir.VoidType(), [number, number, WHOLE, WHOLE, data]))
    with made.loop(n_blocks) as block:
        own = made.at(blocks, build.mul(block, size))
        with made.loop(n_stages) as stage:
            first = build.mul(stage, whole(8))
            row = [build.load(made.at(stages, build.add(first, whole(k)))) for k in range(8)]
            take, numbers = build.inttoptr(row[0], step), build.inttoptr(row[1], data)
            with made.loop(row[4]) as column:
                along = build.mul(column, row[3])
                before = made.at(own, build.add(row[2], along))
                after = made.at(own, build.add(row[5], along))
                build.call(take, [before, after, row[6], row[7], numbers])
    build.ret_void()
    return made.function


def _inside(module: ir.Module, dtype: np.dtype) -> Value:
    """``inside(blocks, n_rows, d, low, high, squares, n_blocks, block)``: whether all states are.

    Each feature lies between ``low`` and ``high``, the sum of its squares is at most ``squares``.
    """
    number = pointer(real(dtype))
    types = [number, WHOLE, WHOLE, number, number, number, WHOLE, WHOLE]
    made = Function(module, "inside", dtype, types, WHOLE)
    blocks, n_rows, d, low, high, squares, n_blocks, size = made.args
    build, flags = made.build, ir.VectorType(ir.IntType(1), made.width)
    good = made.variable(flags, ir.Constant(flags, [1] * made.width))
    total, nothing = made.variable(made.vector), ir.Constant(made.vector, [0.0] * made.width)
    most = made.spread(build.load(squares))
    with made.loop(n_blocks) as block:
        own = made.at(blocks, build.mul(block, size))
        with made.loop(n_rows) as row, made.loop(whole(LANES), made.width) as lane:
            build.store(nothing, total)
            with made.loop(d) as feature:
                place = build.mul(build.add(build.mul(row, d), feature), whole(LANES))
                x = made.load(own, build.add(place, lane))
                least, largest = (made.spread(build.load(made.at(p, feature))) for p in (low, high))
                above = build.fcmp_ordered(">", x, least)
                within = build.and_(above, build.fcmp_ordered("<", x, largest))
                build.store(build.and_(build.load(good), within), good)
                build.store(made.times(x, x, build.load(total)), total)
            small = build.fcmp_ordered("<=", build.load(total), most)
            build.store(build.and_(build.load(good), small), good)
    together = build.bitcast(build.load(good), ir.IntType(made.width))
    sound = build.icmp_unsigned("==", together, ir.IntType(made.width)(-1))
    build.ret(build.zext(sound, WHOLE))
    return made.function


def _onward(module: ir.Module, dtype: np.dtype, fill: Value, inside: Value) -> None:
    """``onward``: from the states of blocks to as many rows on, filled in, looked at, written.

    It takes ``starts`` (n_blocks, d, lanes), which become the last rows; ``block``, in which one
    after another is stepped, so that it stays in the first cache; the ``stages`` of :func:`_fill`;
    ``n_rows`` and how many of them are looked at as by :func:`_inside`; and the address of a
    function, what it writes as :func:`_write` does, and the bytes of a block of trajectories. It
    returns whether all that was looked at is inside.
    """
    number = pointer(real(dtype))
    types = [number, number, WHOLE, pointer(WHOLE), WHOLE, WHOLE, WHOLE, WHOLE, number, number]
    made = Function(module, "onward", dtype, [*types, number, *[WHOLE] * 8], WHOLE)
    starts, block, n_blocks, stages, n_stages, n_rows, n_seen, d, *bounds = made.args[:11]
    write, n_numbers, out, out_bytes, length, n, factors, most = made.args[11:]
    build, one, none = made.build, whole(1), whole(0)
    kind = ir.FunctionType(ir.VoidType(), [number, *[WHOLE] * 7])
    write = build.inttoptr(write, pointer(kind))
    width, good = build.mul(d, whole(LANES)), made.variable(WHOLE, one)
    last = made.at(block, build.mul(build.sub(n_rows, one), width))

    def copy(source: Value, target: Value) -> None:
        with made.loop(width, made.width) as lane:
            made.store(made.load(source, lane), target, lane)

    with made.loop(n_blocks) as k:
        own = made.at(starts, build.mul(k, width))
        copy(own, block)
        build.call(fill, [block, stages, n_stages, one, none])
        sound = build.call(inside, [block, n_seen, d, *bounds, one, none])
        build.store(build.and_(build.load(good), sound), good)
        left = build.sub(n, build.mul(k, whole(LANES)))
        lanes = build.select(build.icmp_signed("<", left, whole(LANES)), left, whole(LANES))
        place = build.add(out, build.mul(k, out_bytes))
        build.call(write, [block, none, n_numbers, place, length, lanes, factors, most])
        copy(last, own)
    build.ret(build.load(good))


def _slopes(module: ir.Module, dtype: np.dtype) -> None:
    """``slopes(nodes, slopes, n, width, pivots, upper, n_blocks, block)``: of cubic splines.

    Those of a not-a-knot spline through ``n`` rows, 1 apart: elimination without pivoting, whose
    inverse ``pivots`` and factors ``upper`` depend on ``n`` alone.
    """
    number = pointer(real(dtype))
    types = [number, number, WHOLE, WHOLE, number, number, WHOLE, WHOLE]
    made = Function(module, "slopes", dtype, types)
    nodes, slopes, n, width, pivots, upper, n_blocks, size = made.args
    build = made.build

    def constant(value: float) -> Value:
        return ir.Constant(made.vector, [value] * made.width)

    kept = made.variable(made.vector)
    last = build.sub(n, whole(1))
    with made.loop(n_blocks) as block, made.loop(width, made.width) as lane:
        first = build.add(build.mul(block, size), lane)

        def at(row: Value, first: Value = first) -> Value:
            return build.add(first, build.mul(row, width))

        def difference(row: Value) -> Value:
            later = made.load(nodes, at(build.add(row, whole(1))))
            return build.fsub(later, made.load(nodes, at(row)))

        def end(near: Value, far: Value) -> Value:
            return made.times(
                difference(near), constant(2.5), build.fmul(difference(far), constant(0.5))
            )

        def keep(row: Value, value: Value, pivot: Value) -> None:
            scaled = build.fmul(value, made.spread(build.load(made.at(pivots, pivot))))
            build.store(scaled, kept)
            made.store(scaled, slopes, at(row))

        keep(whole(0), end(whole(0), whole(1)), whole(0))
        with made.loop(build.sub(last, whole(1))) as row:
            both = build.fadd(difference(row), difference(build.add(row, whole(1))))
            right = build.fsub(build.fmul(both, constant(3.0)), build.load(kept))
            here = build.add(row, whole(1))
            keep(here, right, here)
        right = end(build.sub(last, whole(1)), build.sub(last, whole(2)))
        keep(last, build.fsub(right, build.fmul(build.load(kept), constant(2.0))), last)
        with made.loop(last) as back:
            row = build.sub(build.sub(last, whole(1)), back)
            factor = made.spread(build.load(made.at(upper, row)))
            less = build.fmul(factor, build.load(kept))
            value = build.fsub(made.load(slopes, at(row)), less)
            build.store(value, kept)
            made.store(value, slopes, at(row))
    build.ret_void()


def _between(module: ir.Module, dtype: np.dtype) -> Value:
    """``between(nodes, slopes, out, n, ratio, weights, width)``: ``n * ratio`` rows of splines.

    Weights ``(ratio, 4)`` are those of both nodes, then of both slopes.
    """
    number = pointer(real(dtype))
    types = [number, number, number, WHOLE, WHOLE, number, WHOLE]
    made = Function(module, "between", dtype, types)
    nodes, slopes, out, n, ratio, weights, width = made.args
    build = made.build
    with made.loop(n) as row, made.loop(width, made.width) as lane:
        here = build.add(build.mul(row, width), lane)
        there = build.add(here, width)
        known = [made.load(p, place) for p in (nodes, slopes) for place in (here, there)]
        begin = build.add(build.mul(build.mul(row, ratio), width), lane)
        with made.loop(ratio) as part:
            four = build.mul(part, whole(4))
            factors = [
                made.spread(build.load(made.at(weights, build.add(four, whole(k)))))
                for k in range(4)
            ]
            value = build.fmul(known[0], factors[0])
            for x, factor in zip(known[1:], factors[1:], strict=True):
                value = made.times(x, factor, value)
            made.store(value, out, build.add(begin, build.mul(part, width)))
    build.ret_void()
    return made.function


def _write_between(
    module: ir.Module, dtypes: tuple[np.dtype, np.dtype], between: Value, write: Value
) -> None:
    """``write_between``: rows of splines to trajectories, some at a time through a ``buffer``.

    It takes ``nodes, slopes, block, n_rows, ratio, weights, d, buffer, some, out, length, n,
    factors, most``, as :func:`_between` and :func:`_write` do; ``some`` nodes fill the buffer.
    """
    dtype, out_dtype = dtypes
    number, result = pointer(real(dtype)), pointer(real(out_dtype))
    inner = pointer(real(np.promote_types(dtype, out_dtype)))
    types = [number, number, WHOLE, WHOLE, WHOLE, number, WHOLE, number, WHOLE, result]
    made = Function(module, "write_between", dtype, [*types, WHOLE, WHOLE, inner, WHOLE])
    nodes, slopes, size, n_rows, ratio, weights, d, buffer, some, *rest = made.args
    out, length, n, *last = rest
    build = made.build
    width = build.mul(d, whole(LANES))
    each = build.mul(ratio, d)

    def least(a: Value, b: Value) -> Value:
        return build.select(build.icmp_signed("<", a, b), a, b)

    with made.loop(n, LANES) as lane:
        block = build.mul(build.sdiv(lane, whole(LANES)), size)
        lanes = least(build.sub(n, lane), whole(LANES))
        with made.loop(build.sdiv(build.add(n_rows, build.sub(some, whole(1))), some)) as part:
            begin = build.mul(part, some)
            first, place = build.add(block, build.mul(begin, width)), build.mul(begin, each)
            rows = least(build.sub(n_rows, begin), some)
            known = made.at(nodes, first), made.at(slopes, first)
            build.call(between, [*known, buffer, rows, ratio, weights, width])
            target = made.at(out, build.add(build.mul(lane, length), place))
            rows = least(build.mul(rows, each), build.sub(length, place))
            build.call(write, [buffer, whole(0), rows, target, length, lanes, *last])
    build.ret_void()


def _write(module: ir.Module, dtype: np.dtype, out_dtype: np.dtype) -> Value:
    """``write(blocks, block, rows, out, length, n, factors, most)``: rows to trajectories.

    ``out`` is where the first of ``n`` trajectories begins, ``length`` what lies between two of
    them. Rows are multiplied and shifted by ``factors`` (3, most): scale, small and large shift.
    """
    wider = np.promote_types(dtype, out_dtype)
    number, inner, result = (real(kind) for kind in (dtype, wider, out_dtype))
    types = [pointer(number), WHOLE, WHOLE, pointer(result), WHOLE, WHOLE, pointer(inner), WHOLE]
    made = Function(module, "write", dtype, types)
    blocks, size, n_rows, out, length, n, factors, most = made.args
    build = made.build

    def factors_of(row: Value, width: int) -> list[Value]:
        like = ir.VectorType(inner, width) if width > 1 else inner
        starts = (build.add(row, build.mul(most, whole(k))) for k in range(3))
        return [made.load(factors, start, like) for start in starts]

    def decoded(x: Value, each: list[Value], width: int) -> Value:
        def like(kind: ir.Type) -> ir.Type:
            return ir.VectorType(kind, width) if width > 1 else kind

        scale, rest, mean = each
        if number != inner:
            x = build.fpext(x, like(inner))
        # In float64 the shift has no rest.
        small = made.times(x, scale, None if wider == np.float64 else rest)
        x = made.plus(small, mean)
        return x if inner == result else build.fptrunc(x, like(result))

    def of_lane(lane: Value, row: Value) -> Value:
        block = build.mul(build.ashr(lane, whole(LANES.bit_length() - 1)), size)
        place = build.add(block, build.and_(lane, whole(LANES - 1)))
        return made.at(blocks, build.add(place, build.mul(row, whole(LANES))))

    def one(lane: Value, row: Value) -> None:
        x = decoded(build.load(of_lane(lane, row)), factors_of(row, 1), 1)
        made.store(x, out, build.add(build.mul(lane, length), row))

    in_tiles, lanes_in_tiles = (build.and_(v, whole(-_TILE)) for v in (n_rows, n))
    kind = ir.VectorType(number, _TILE)
    with made.loop(in_tiles, _TILE) as row:
        each = factors_of(row, _TILE)
        with made.loop(lanes_in_tiles, _TILE) as lane:
            first = of_lane(lane, row)
            rows = [made.load(first, whole(k * LANES), kind) for k in range(_TILE)]
            for k, column in enumerate(transposed(made, rows)):
                place = build.add(build.mul(build.add(lane, whole(k)), length), row)
                made.store(decoded(column, each, _TILE), out, place)
    with made.loop(lanes_in_tiles) as lane, made.loop(build.sub(n_rows, in_tiles)) as row:
        one(lane, build.add(in_tiles, row))
    with made.loop(build.sub(n, lanes_in_tiles)) as more, made.loop(n_rows) as row:
        one(build.add(lanes_in_tiles, more), row)
    build.ret_void()
    return made.function


def transposed(made: Function, rows: list[Value]) -> list[Value]:
    """Return the columns of eight vectors of eight: pairs, fours and halves change places."""
    half = 1
    while half < _TILE:
        # Of each pair of rows, the blocks off the diagonal change places.
        first = [k if not k & half else _TILE + k - half for k in range(_TILE)]
        second = [k + half if not k & half else _TILE + k for k in range(_TILE)]
        masks = [
            ir.Constant(ir.VectorType(ir.IntType(32), _TILE), mask) for mask in (first, second)
        ]
        pairs = [k for k in range(_TILE) if not k & half]
        changed = {
            k + half * j: made.build.shuffle_vector(rows[k], rows[k + half], masks[j])
            for k in pairs
            for j in (0, 1)
        }
        rows = [changed[k] for k in range(_TILE)]
        half *= 2
    return rows
