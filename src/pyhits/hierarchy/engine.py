"""Coupled flow maps stepped by machine code, in blocks of states that stay in caches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

import numpy as np

from pyhits.hierarchy.stages import stages
from pyhits.numerics.fused import algorithm, steps, terms
from pyhits.numerics.fused.code import LANES, can_call
from pyhits.numerics.fused.numbers import Numbers
from pyhits.numerics.rollout import DIVERGED

#: Bytes of blocks that are stepped together, and of rows between the nodes of splines.
_BLOCK_BYTES, _BETWEEN_BYTES = 1 << 19, 1 << 15

#: Bytes of one block up to which splines go through all of its rows.
_SPLINE_BYTES = 1 << 26

#: Rows whose stages are planned at once.
_PLANNED = 1 << 11


class Engine:
    """Steps any number of states by Algorithm 1; may be called from several threads at once.

    Parameters
    ----------
    maps : mapping of int to Numbers
        By step size in multiples of the spacing of the states that they fill in.
    outputs : mapping of int to int
        States inside one step of each.
    dtype : dtype
        float32 or float64, that of all arithmetic and of the flow maps' numbers.
    """

    def __init__(
        self, maps: Mapping[int, Numbers], outputs: Mapping[int, int], dtype: np.dtype
    ) -> None:
        self.dtype = dtype
        self.dimension = next(iter(maps.values())).dimension
        self.is_bounded = any(numbers.is_bounded for numbers in maps.values())
        self._width = self.dimension * LANES
        self._outputs = outputs
        self._maps, self._kept = {}, []
        for size, numbers in maps.items():
            table = np.array([a.ctypes.data for a in numbers.arrays], dtype=np.int64)
            self._kept.append((table, numbers.arrays))
            shape = numbers.kind, self.dimension, numbers.degree, dtype, numbers.functions
            code = steps.compiled(*shape)
            self._maps[size] = code.address("step"), table.ctypes.data
        library = algorithm.stepping(dtype)
        self._fill = library.function("fill", 5)
        self._inside = library.function("inside", 8)
        self._slopes = library.function("slopes", 8)
        least = np.full(self.dimension, -DIVERGED), *(m.low for m in maps.values())
        most = np.full(self.dimension, DIVERGED), *(m.high for m in maps.values())
        self._low = np.max(least, axis=0).astype(dtype)
        self._high = np.min(most, axis=0).astype(dtype)
        squares = min(m.squares for m in maps.values())
        self._squares = np.array([squares], dtype=dtype)
        self._plan = lru_cache(maxsize=16)(self._planned)
        self._coarsest = max(outputs)
        self._planned_rows = max(1, _PLANNED // self._coarsest) * self._coarsest

    def __call__(
        self,
        starts: np.ndarray,
        out: np.ndarray,
        *,
        ratio: int = 1,
        scale: np.ndarray | float = 1.0,
        mean: np.ndarray | float = 0.0,
        check: bool = True,
    ) -> bool:
        """Step forward from ``starts`` and write all states, as ``state * scale + mean``.

        Parameters
        ----------
        starts : array, shape (n, d)
        out : array, shape (n, n_times, d)
            float32 or float64, contiguous.
        ratio : int
            Times of ``out`` for each state that is filled in; those between are on cubic splines.
        scale, mean : array, shape (d,), or float
        check : bool
            Look at all states.

        Returns
        -------
        bool
            Whether it is done. Not where a state has diverged or lies beyond the bounds of a flow
            map, nor of splines through few or far too many rows.
        """
        n, n_times, _ = out.shape
        n_rows = -(-(n_times - 1) // ratio) + 1
        if ratio > 1 and not 4 <= n_rows <= _SPLINE_BYTES // (self._width * self.dtype.itemsize):
            return False
        together = max(1, _BLOCK_BYTES // (self._width * self.dtype.itemsize * n_rows))
        way_out = _WayOut(self.dtype, out, scale, mean)
        for begin in range(0, n, together * LANES):
            part = slice(begin, begin + together * LANES)
            few = self._in_blocks(starts[part])
            step = self._splines if ratio > 1 else self._segments
            if not step(few, n_rows, way_out.of(part), ratio, check):
                return False
        return True

    @staticmethod
    def serves(maps: Iterable[Numbers]) -> bool:
        """Return whether the functions that the code of flow maps calls are there."""
        kinds = {kind for numbers in maps for kind, _ in numbers.functions}
        return can_call(name for kind in kinds for name in terms.CALLS[kind] if name)

    @staticmethod
    def shares(n: int) -> int:
        """Return among how many threads so many trajectories may be divided: whole blocks."""
        return -(-n // LANES)

    def _in_blocks(self, states: np.ndarray) -> np.ndarray:
        """Return states by block and feature, ``(n_blocks, d, lanes)``; the last are repeated."""
        n, d = states.shape
        whole = np.empty((-(-n // LANES) * LANES, d), dtype=self.dtype)
        whole[:n] = states
        whole[n:] = states[-1]
        return np.ascontiguousarray(whole.reshape(-1, LANES, d).transpose(0, 2, 1))

    def _segments(
        self, starts: np.ndarray, n_rows: int, way_out: _WayOut, ratio: int, check: bool
    ) -> bool:
        """Fill in the rows of blocks, segment by segment of whole coarsest steps."""
        row_bytes = self._width * self.dtype.itemsize * len(starts)
        most = max(1, _BLOCK_BYTES // (row_bytes * self._coarsest)) * self._coarsest
        length = min(most, max(1, n_rows - 1))
        blocks = np.empty((len(starts), length + 1, *starts.shape[1:]), dtype=self.dtype)
        blocks[:, 0] = starts
        for begin in range(0, max(1, n_rows - 1), length):
            rows = min(length, n_rows - 1 - begin) + 1
            self._run(blocks, rows)
            if check and not self._are_inside(blocks, rows):
                return False
            way_out(blocks, rows, begin)
            blocks[:, 0] = blocks[:, rows - 1]
        return True

    def _splines(
        self, starts: np.ndarray, n_rows: int, way_out: _WayOut, ratio: int, check: bool
    ) -> bool:
        """Fill in all rows of blocks, and what lies between them."""
        # One more than there are, which the last is weighed with by 0.
        blocks = np.zeros((len(starts), n_rows + 1, *starts.shape[1:]), dtype=self.dtype)
        blocks[:, 0] = starts
        self._run(blocks, n_rows)
        if check and not self._are_inside(blocks, n_rows):
            return False
        slopes = np.zeros_like(blocks)
        pivots, upper = _elimination(n_rows, self.dtype)
        size = blocks.strides[0] // blocks.itemsize
        self._slopes(
            blocks.ctypes.data, slopes.ctypes.data, n_rows, self._width,
            pivots.ctypes.data, upper.ctypes.data, len(blocks), size,
        )  # fmt: skip
        way_out.between(blocks, slopes, n_rows, ratio)
        return True

    def _run(self, blocks: np.ndarray, n_rows: int) -> None:
        """Fill in rows after the first, so many at a time as a plan has stages for."""
        size = blocks.strides[0] // blocks.itemsize
        for begin in range(0, n_rows - 1, self._planned_rows):
            plan = self._plan(min(self._planned_rows, n_rows - 1 - begin))
            first = blocks[:, begin:].ctypes.data
            self._fill(first, plan.ctypes.data, len(plan), len(blocks), size)

    def _are_inside(self, blocks: np.ndarray, n_rows: int) -> bool:
        size = blocks.strides[0] // blocks.itemsize
        low, high = self._low.ctypes.data, self._high.ctypes.data
        squares = self._squares.ctypes.data
        return bool(
            self._inside(
                blocks.ctypes.data, n_rows, self.dimension, low, high, squares, len(blocks), size
            )
        )

    def _planned(self, n_steps: int) -> np.ndarray:
        """Return the stages that fill in so many rows, as the code takes them."""
        rows = []
        for s in stages(self._outputs, n_steps):
            spacing = s.size // self._outputs[s.size]
            where = s.begin, s.every, s.columns, s.begin + spacing, spacing, s.count
            source, every, columns, target, stride, count = where
            w = self._width
            rows.append(
                (*self._maps[s.size], source * w, every * w, columns, target * w, stride * w, count)
            )
        return np.array(rows, dtype=np.int64).reshape(-1, 8)


class _WayOut:
    """Writes rows of blocks where they are to be in the end."""

    def __init__(
        self,
        dtype: np.dtype,
        out: np.ndarray,
        scale: np.ndarray | float,
        mean: np.ndarray | float,
    ) -> None:
        self._out, self._scale, self._mean = out, scale, mean
        self._dtype = np.promote_types(dtype, out.dtype)
        library = algorithm.writing(dtype, out.dtype)
        self._write = library.function("write", 8)
        self._write_between = library.function("write_between", 14)
        self._factors = np.empty((3, 0), dtype=self._dtype)

    def of(self, part: slice) -> _WayOut:
        """Return the same for some of the trajectories."""
        other = object.__new__(_WayOut)
        other.__dict__.update(self.__dict__, _out=self._out[part])
        return other

    def __call__(self, blocks: np.ndarray, n_rows: int, begin: int) -> None:
        """Write rows from ``begin`` on, as far as there is room."""
        n, n_times, d = self._out.shape
        count = min(n_rows, n_times - begin)
        if count <= 0:
            return
        factors = self._factors_of(count * d)
        self._write(
            blocks.ctypes.data, blocks.strides[0] // blocks.itemsize, count * d,
            self._out[:, begin:].ctypes.data, n_times * d, n, *factors,
        )  # fmt: skip

    def between(self, nodes: np.ndarray, slopes: np.ndarray, n_rows: int, ratio: int) -> None:
        """Write ``ratio`` rows of splines for each of ``n_rows`` nodes, as far as there is room."""
        n, n_times, d = self._out.shape
        row_bytes = nodes.itemsize * d * LANES
        some = min(n_rows, max(1, _BETWEEN_BYTES // (row_bytes * ratio)))
        buffer = np.empty((some * ratio, d, LANES), dtype=nodes.dtype)
        self._write_between(
            nodes.ctypes.data, slopes.ctypes.data, nodes.strides[0] // nodes.itemsize, n_rows,
            ratio, _weights(ratio, nodes.dtype).ctypes.data, d, buffer.ctypes.data, some,
            self._out.ctypes.data, n_times * d, n, *self._factors_of(some * ratio * d),
        )  # fmt: skip

    def _factors_of(self, n_rows: int) -> tuple[int, int]:
        """Return where scale, and mean as a small rest and a large number, are for so many rows.

        And how many rows they are for.
        """
        if self._factors.shape[1] < n_rows:
            d = self._out.shape[2]
            one = np.empty((3, d), dtype=self._dtype)
            one[0], one[2] = self._scale, self._mean
            one[1] = self._mean - one[2].astype(np.float64)
            self._factors = np.tile(one, (1, -(-n_rows // d)))
        return self._factors.ctypes.data, self._factors.shape[1]


@lru_cache(maxsize=16)
def _elimination(n: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Return inverse pivots and factors of the not-a-knot system of ``n`` slopes."""
    pivots, upper = np.ones(n), np.empty(n)
    upper[0] = 2.0
    for k in range(1, n - 1):
        pivots[k] = 1 / (4 - upper[k - 1])
        upper[k] = pivots[k]
    pivots[-1], upper[-1] = 1 / (1 - 2 * upper[-2]), 0.0
    return pivots.astype(dtype), upper.astype(dtype)


@lru_cache(maxsize=16)
def _weights(ratio: int, dtype: np.dtype) -> np.ndarray:
    """Return the cubic Hermite polynomials at ``ratio`` places of an interval, ``(ratio, 4)``."""
    p = np.arange(ratio) / ratio
    second = p * p * (3 - 2 * p)
    each = 1 - second, second, p * (1 - p) ** 2, p * p * (p - 1)
    return np.ascontiguousarray(np.stack(each, axis=1).astype(dtype))
