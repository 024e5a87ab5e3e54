"""Data on disk that are too large to be read: stretches of rows that stand for all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pyhits.data.declared_grid import DeclaredGrid
from pyhits.data.labelled import Layout, is_labelled
from pyhits.data.limits import TOO_LARGE, array_bytes, in_words
from pyhits.data.pieces import Pieces, check_is_one, is_of
from pyhits.errors import DataError
from pyhits.util.checks import as_numeric

#: Bytes of data that are read whole, at most; and the part of it that stretches take of more.
MOST_BYTES, PART = 1e9, 0.1

#: Rows, and those of a stretch, and stretches, where there are enough of them.
_FEWEST, _FEWEST_ROWS, _MOST_ROWS = 16, 8, 256
_STRETCHES, _MOST_STRETCHES = 8, 1000

#: Classes of arrays that lie on disk, or are computed when they are asked for.
_STORED = (("h5py", "Dataset"), ("zarr", "Array"), ("dask", "Array"))


class Stretch(NamedTuple):
    """Rows that follow each other in one run."""

    run: int
    begin: int
    end: int


@dataclass(frozen=True)
class Sampling:
    """Which rows are read of data that are larger than what may be read."""

    max_bytes: float = MOST_BYTES
    #: Rows at the end of each run alone, or, below 0, at its beginning; 0 takes stretches that are
    #: spread evenly over all runs and times.
    end: int = 0

    def stretches(self, shape: Sequence[int], dtype: Any) -> list[Stretch]:
        """Return stretches of data ``(run, time, ...)`` in order; none where all are to be read."""
        n_runs, n_rows = shape[:2]
        each = array_bytes(tuple(shape[2:]), dtype)
        if n_runs * n_rows * each <= self.max_bytes:
            return []
        room = max(int(PART * self.max_bytes / each), min(_FEWEST, int(self.max_bytes / each)))
        if room < 2:
            raise DataError(f"One row takes {in_words(each)}; {TOO_LARGE}")
        if self.end:
            count = min(n_rows, abs(self.end), max(2, room // n_runs))
            begin = n_rows - count if self.end > 0 else 0
            return [Stretch(run, begin, begin + count) for run in range(n_runs)]
        few = max(_FEWEST_ROWS, min(_MOST_ROWS, room // _STRETCHES), room // _MOST_STRETCHES)
        count = min(n_rows, room, few)
        n = max(1, min(room // count, _MOST_STRETCHES))
        runs = np.arange(n_runs) if n >= n_runs else np.linspace(0, n_runs - 1, n).round()
        shares = np.bincount(np.arange(n) * len(runs) // n, minlength=len(runs))
        found = []
        for k, run in enumerate(runs.astype(int)):
            share = min(int(shares[k]), n_rows // count)
            # Single stretches of several runs begin at other times, later ones first: one that
            # began after the one before it would seem to go on with its run.
            places = np.linspace(0, 1, share) if share > 1 else 1 - k / np.array([len(runs)])
            begins = np.rint(places * (n_rows - count)).astype(int).tolist()
            found += [Stretch(int(run), begin, begin + count) for begin in begins]
        return found

    def note(self, stretches: Sequence[Stretch], shape: Sequence[int], dtype: Any) -> str:
        """Return what is to be said of stretches."""
        each = array_bytes(tuple(shape[2:]), dtype)
        n_rows = sum(end - begin for _, begin, end in stretches)
        n_whole = math.prod(shape[:2])
        spread = "spread evenly over all of them"
        which = {0: spread, 1: "the last of each run", -1: "the first of each run"}
        return (
            f"Of {n_whole} rows ({in_words(n_whole * each)}) {n_rows} are read "
            f"({in_words(n_rows * each)}): {len(stretches)} x {n_rows // len(stretches)}, "
            f"{which[int(np.sign(self.end))]}. max_bytes of pyhits.read takes more of a file."
        )


class Parts(NamedTuple):
    """Stretches of large data."""

    items: list[Any]  # objects of xarray, or arrays ``(time, feature)``, one a stretch
    begins: np.ndarray  # int, (n,): the number of each one's first row in its run
    note: str


def last_labelled(data: Any, n: int) -> Any:
    """Return the last ``n`` times of an xarray object that is not in memory; all else as it is."""
    if not is_labelled(data) or _in_memory(data):
        return data
    return data.isel({Layout.of(data).time: slice(-n, None)})


def _in_memory(data: Any) -> bool:
    arrays = list(data.data_vars.values()) if hasattr(data, "data_vars") else [data]
    return all(array.variable._in_memory for array in arrays)


def parts_of_labelled(data: Any, sampling: Sampling) -> Parts | None:
    """Return stretches of an xarray object that is too large; None of one that may be read.

    What is in memory may be read, whatever its size.
    """
    arrays = list(data.data_vars.values()) if hasattr(data, "data_vars") else [data]
    if _in_memory(data):
        return None
    layout = Layout.of(data)
    lead = [1 if layout.runs is None else data.sizes[layout.runs], data.sizes[layout.time]]
    numbers = sum(array.size for array in arrays) // math.prod(lead)
    dtype = np.result_type(*(array.dtype for array in arrays))
    found = sampling.stretches((*lead, numbers), dtype)
    if not found:
        return None
    parts = []
    for run, begin, end in found:
        at = {layout.time: slice(begin, end)} | ({} if layout.runs is None else {layout.runs: run})
        parts.append(data.isel(at))
    begins = np.array([begin for _, begin, _ in found])
    return Parts(parts, begins, sampling.note(found, (*lead, numbers), dtype))


def parts_of_array(array: Any, time: int, run: int | None, sampling: Sampling) -> Parts | None:
    """Return stretches of an array that is read by its index; None of one that may be read.

    Parameters
    ----------
    array : array-like
        With shape, dtype and an index of slices.
    time, run : int
        Its axes of times, and of trajectories if there are several.
    """
    others = math.prod(n for k, n in enumerate(array.shape) if k not in (time, run))
    shape = (1 if run is None else array.shape[run], array.shape[time], others)
    found = sampling.stretches(shape, array.dtype)
    if not found:
        return None
    parts = []
    for number, begin, end in found:
        index: list[Any] = [slice(None)] * len(array.shape)
        index[time] = slice(begin, end)
        if run is not None:
            index[run] = slice(number, number + 1)
        block = np.asarray(array[tuple(index)])
        block = block if run is None else block.squeeze(run)
        moved = np.moveaxis(block, time - (run is not None and run < time), 0)
        parts.append(moved.reshape(end - begin, -1))
    begins = np.array([begin for _, begin, _ in found])
    return Parts(parts, begins, sampling.note(found, shape, array.dtype))


def as_rows(
    data: Any, dt: float | None, declared: DeclaredGrid, sampling: Sampling | None = None
) -> Any:
    """Return stretches of a large array on disk, or of Dask, as pieces; all else as it may be.

    Parameters
    ----------
    data : any
        A memory map, a dataset of h5py, or an array of Zarr or Dask: ``(time, *row)`` or
        ``(trajectory, time, *row)``.
    declared : DeclaredGrid
        What was said of the shape of a row.
    """
    check_is_one(data)
    is_map = isinstance(data, np.memmap)
    if not (is_map or any(is_of(data, *kind) for kind in _STORED)):
        return declared.rows(data)
    lead = len(data.shape) - declared.n_row_axes(tuple(data.shape))
    if lead in (1, 2):
        run = 0 if lead == 2 else None
        parts = parts_of_array(data, lead - 1, run, sampling or Sampling())
        if parts is not None:
            rows = [np.asarray(as_numeric(item, what="The data")) for item in parts.items]
            return Pieces(rows, start_times=parts.begins * (dt or 1.0), dt=dt, notes=[parts.note])
    return declared.rows(data if is_map else np.asarray(data))
