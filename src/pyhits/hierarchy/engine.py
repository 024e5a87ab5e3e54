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

#: Bytes of a block's rows that are stepped before they are written, of blocks that splines go
#: through together, and of rows between the nodes of splines.
_SEGMENT_BYTES, _BLOCK_BYTES, _BETWEEN_BYTES = 1 << 17, 1 << 19, 1 << 15

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
            code = steps.compiled(
                numbers.kind, self.dimension, numbers.degree, dtype, numbers.functions, numbers.rank
            )
            self._maps[size] = code.address("step"), table.ctypes.data
        library = algorithm.stepping(dtype)
        self._fill = library.function("fill", 5)
        self._inside = library.function("inside", 8)
        self._slopes = library.function("slopes", 8)
        self._onward = library.function("onward", 19)
        least = np.full(self.dimension, -DIVERGED), *(m.low for m in maps.values())
        most = np.full(self.dimension, DIVERGED), *(m.high for m in maps.values())
        self._low = np.max(least, axis=0).astype(dtype)
        self._high = np.min(most, axis=0).astype(dtype)
        squares = min(m.squares for m in maps.values())
        self._squares = np.array([squares], dtype=dtype)
        self._bounds = [a.ctypes.data for a in (self._low, self._high, self._squares)]
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

        Returns bool: whether it is done. Not where a state has diverged or lies beyond the bounds
        of a flow map, nor of splines through few or far too many rows.

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
        """
        n, n_times, _ = out.shape
        n_rows = -(-(n_times - 1) // ratio) + 1
        if ratio > 1 and not 4 <= n_rows <= _SPLINE_BYTES // (self._width * self.dtype.itemsize):
            return False
        way_out = _WayOut(self.dtype, out, scale, mean)
        if ratio == 1:
            return self._segments(self._in_blocks(starts), way_out, check)
        together = max(1, _BLOCK_BYTES // (self._width * self.dtype.itemsize * n_rows))
        for begin in range(0, n, together * LANES):
            part = slice(begin, begin + together * LANES)
            few = self._in_blocks(starts[part])
            if not self._splines(few, n_rows, way_out.of(part), ratio, check):
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

    def _segments(self, starts: np.ndarray, way_out: _WayOut, check: bool) -> bool:
        """Fill in and write the rows of blocks, segment by segment of whole coarsest steps."""
        n_rows = way_out.n_times
        row_bytes = self._width * self.dtype.itemsize
        most = max(1, _SEGMENT_BYTES // (row_bytes * self._coarsest)) * self._coarsest
        length = min(most, self._planned_rows, max(1, n_rows - 1))
        block = np.empty((length + 1) * self._width, dtype=self.dtype)
        where = starts.ctypes.data, block.ctypes.data, len(starts)
        for begin in range(0, max(1, n_rows - 1), length):
            rows = min(length, n_rows - 1 - begin) + 1
            plan = self._plan(rows - 1)
            seen = rows if check else 0
            stepped = plan.ctypes.data, len(plan), rows, seen, self.dimension
            if not self._onward(*where, *stepped, *self._bounds, *way_out.rows(begin, rows)):
                return False
        return True

    def _splines(
        self, starts: np.ndarray, n_rows: int, way_out: _WayOut, ratio: int, check: bool
    ) -> bool:
        """Fill in all rows of blocks, and what lies between them."""
        # One more than there are, which the last is weighed with by 0.
        blocks, slopes = np.empty((2, len(starts), n_rows + 1, *starts.shape[1:]), self.dtype)
        blocks[:, 0], blocks[:, -1], slopes[:, -1] = starts, 0.0, 0.0
        self._run(blocks, n_rows)
        if check and not self._are_inside(blocks, n_rows):
            return False
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
        found = self._inside(
            blocks.ctypes.data, n_rows, self.dimension, *self._bounds, len(blocks), size
        )
        return bool(found)

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
        self, dtype: np.dtype, out: np.ndarray, scale: np.ndarray | float, mean: np.ndarray | float
    ) -> None:
        self._out = out
        self._dtypes = dtype, out.dtype
        self._statistics = tuple(np.asarray(a, np.float64).tobytes() for a in (scale, mean))
        self._library = algorithm.writing(dtype, out.dtype)

    @property
    def n_times(self) -> int:
        """Rows that are to be written."""
        return int(self._out.shape[1])

    def of(self, part: slice) -> _WayOut:
        """Return the same for some of the trajectories."""
        other = object.__new__(_WayOut)
        other.__dict__.update(self.__dict__, _out=self._out[part])
        return other

    def rows(self, begin: int, n_rows: int) -> tuple[int, ...]:
        """Return how rows from ``begin`` on are written, as the code takes it."""
        n, n_times, d = self._out.shape
        length, item = n_times * d, self._out.itemsize
        place = self._out.ctypes.data + begin * d * item
        size = length * LANES * item
        write = self._library.address("write")
        return write, n_rows * d, place, size, length, n, *self._factors_of(n_rows)

    def between(self, nodes: np.ndarray, slopes: np.ndarray, n_rows: int, ratio: int) -> None:
        """Write ``ratio`` rows of splines for each of ``n_rows`` nodes, as far as there is room."""
        n, n_times, d = self._out.shape
        row_bytes = nodes.itemsize * d * LANES
        some = min(n_rows, max(1, _BETWEEN_BYTES // (row_bytes * ratio)))
        buffer = np.empty((some * ratio, d, LANES), dtype=nodes.dtype)
        self._library.function("write_between", 14)(
            nodes.ctypes.data, slopes.ctypes.data, nodes.strides[0] // nodes.itemsize, n_rows,
            ratio, _weights(ratio, nodes.dtype).ctypes.data, d, buffer.ctypes.data, some,
            self._out.ctypes.data, n_times * d, n, *self._factors_of(some * ratio),
        )  # fmt: skip

    def _factors_of(self, n_rows: int) -> tuple[int, int]:
        """Return where the factors of so many rows are, and of how many numbers they are."""
        d = self._out.shape[2]
        # Held here, since other threads may drive it out of what is remembered.
        self._factors = _factors(*self._dtypes, d, n_rows, *self._statistics)
        return int(self._factors.ctypes.data), n_rows * d


@lru_cache(maxsize=8)
def _factors(
    dtype: np.dtype, out: np.dtype, d: int, n_rows: int, scale: bytes, mean: bytes
) -> np.ndarray:
    """Return scale, and mean as a small rest and a large number, for so many rows."""
    one = np.empty((3, d), dtype=np.promote_types(dtype, out))
    one[0], exact = (np.frombuffer(numbers) for numbers in (scale, mean))
    one[2] = exact
    one[1] = exact - one[2].astype(np.float64)
    return np.tile(one, (1, n_rows))


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
