"""Rows that may not fit into memory, gone through block by block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pyhits.data.trajectories import Trajectories
from pyhits.encoders.base import several
from pyhits.errors import DataError
from pyhits.util.checks import as_numeric


class Blocks:
    """Goes through the rows of a data set as often as it is asked to, a few of them at a time.

    Raises DataError: an iterator, which can be gone through only once.

    Parameters
    ----------
    data : array, memory map, HDF5 or Zarr array, Trajectories, or iterable of such
        Rows ``(..., n_features)``, or blocks of them.
    max_bytes : int
        Most bytes of the float64 rows handed out together; one row at least.
    """

    def __init__(self, data: Any, max_bytes: int) -> None:
        if isinstance(data, Trajectories):
            data = data.values
        elif hasattr(data, "columns") or (isinstance(data, (list, tuple)) and not several(data)):
            data = as_numeric(data, what="The data")
        if not hasattr(data, "shape") and (not hasattr(data, "__iter__") or iter(data) is data):
            raise DataError(
                f"Expected rows, or blocks of rows that can be gone through several times, got "
                f"{type(data).__name__}: give a list, or an object whose __iter__ begins anew."
            )
        self._data = data
        self._max_bytes = max_bytes

    def __iter__(self) -> Iterator[np.ndarray]:
        """Iterate over new float64 arrays ``(n, n_features)``, checked to be finite."""
        first, d = 0, None
        for piece in self._pieces(self._data):
            block = np.array(as_numeric(piece, what="The data"), dtype=np.float64)
            if d is not None and block.shape[1] != d:
                raise DataError(f"Row {first} has {block.shape[1]} features, row 0 has {d}.")
            d = block.shape[1]
            if not np.isfinite(block).all():
                row, column = (int(k) for k in np.argwhere(~np.isfinite(block))[0])
                raise DataError(
                    f"The data are {block[row, column]} in row {first + row}, column {column}."
                )
            first += len(block)
            yield block

    def columns(self) -> Iterator[tuple[slice, np.ndarray]] | None:
        """Return an iterator over slices of features and all rows of these, float64.

        None if the data are no single array ``(n, n_features)``.
        """
        shape: tuple[int, ...] = getattr(self._data, "shape", ())
        if len(shape) != 2:
            return None
        n = max(1, self._max_bytes // (8 * max(1, shape[0])))
        parts = (slice(begin, begin + n) for begin in range(0, shape[1], n))
        return ((part, np.array(self._data[:, part], dtype=np.float64)) for part in parts)

    def _pieces(self, data: Any) -> Iterator[Any]:
        if not hasattr(data, "shape"):
            for block in data:
                yield from self._pieces(block if hasattr(block, "shape") else np.asarray(block))
            return
        if len(data.shape) < 2 or 0 in data.shape[1:]:
            raise DataError(f"Expected rows of shape (n_rows, n_features), got {data.shape}.")
        if len(data.shape) > 2:
            for k in range(data.shape[0]):
                yield from self._pieces(data[k])
            return
        n = max(1, self._max_bytes // (8 * data.shape[1]))
        for begin in range(0, data.shape[0], n):
            yield data[begin : begin + n]
