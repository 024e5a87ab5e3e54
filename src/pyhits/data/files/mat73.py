"""MATLAB's v7.3 files, which are HDF5: axes the other way round, structs as groups."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyhits.data.files.conventions import text_of
from pyhits.data.files.hdf5 import StoredArray
from pyhits.data.files.mat5 import Foreign, Struct, sparse_in_full

#: Structs and cells within each other, and values in all of them, beyond which a file is no data.
_DEEPEST, _MOST = 20, 100_000


def variables(file: Any, *, raw: bool) -> dict[str, Any]:
    """Return arrays, texts, lists, :class:`Struct` and :class:`Foreign` by their names."""
    return _Reader(file, raw).members(file, 0)


class Reversed:
    """A dataset with its axes in MATLAB's order; HDF5 holds them the other way round."""

    def __init__(self, stored: StoredArray) -> None:
        self._stored = stored
        self.shape = tuple(reversed(stored.shape))
        self.dtype = np.dtype(stored.dtype)
        #: MATLAB has its own way to store complex numbers, and truth values.
        self._is_complex = self.dtype.names == ("real", "imag")
        if self._is_complex:
            self.dtype = np.result_type(self.dtype["real"], np.complex64)
        elif text_of(stored.attributes.get("MATLAB_class")) == "logical":
            self.dtype = np.dtype(bool)

    def __getitem__(self, index: tuple[Any, ...]) -> np.ndarray:
        """Read a part, by an index of every axis."""
        return self._stored[tuple(reversed(index))].T

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values = np.asarray(self._stored)
        if self._is_complex:
            values = values["real"] + 1j * values["imag"]
        return np.asarray(values, dtype=dtype).T


class _Reader:
    """Reads what stands in groups, and what cells refer to."""

    def __init__(self, file: Any, raw: bool) -> None:
        self._file = file
        self._raw = raw
        self._count = 0

    def members(self, group: Any, depth: int) -> dict[str, Any]:
        """Return what stands in a group; neither links nor what MATLAB keeps for itself."""
        from h5py import HardLink

        return {
            name: self._value(group[name], depth)
            for name in group
            if not name.startswith("#") and isinstance(group.get(name, getlink=True), HardLink)
        }

    def _value(self, item: Any, depth: int) -> Any:
        self._count += 1
        if depth > _DEEPEST or self._count > _MOST:
            raise ValueError("structs and cells refer to each other without an end")
        kind = text_of(item.attrs.get("MATLAB_class", b""))
        if "MATLAB_object_decode" in item.attrs or kind == "function_handle":
            return Foreign(kind)
        if hasattr(item, "keys"):
            if "MATLAB_sparse" in item.attrs:
                return self._sparse(item)
            parts = self.members(item, depth + 1).items()
            return Struct({n: v if isinstance(v, _Elements) else [v] for n, v in parts})
        return self._dataset(item, kind, depth)

    def _dataset(self, item: Any, kind: str, depth: int) -> Any:
        from h5py import check_ref_dtype

        if item.shape is None or "MATLAB_empty" in item.attrs:
            return [] if kind == "cell" else np.empty(0)
        if check_ref_dtype(item.dtype) is not None:
            if item.size > _MOST:
                raise ValueError(f"a cell of {item.size} elements")
            # Cells are written column by column, as HDF5 holds them.
            found = [self._value(self._file[r], depth + 1) for r in np.ravel(item[()]) if r]
            return list(found) if kind == "cell" else _Elements(found)
        if kind == "char":
            if item.size > _MOST:
                return np.empty(0, dtype=np.str_)
            text = np.asarray(item[()]).astype("<u2").tobytes().decode("utf-16-le", "replace")
            return np.array([text] if item.size else [], dtype=np.str_)
        return Reversed(StoredArray(item, raw=self._raw))

    def _sparse(self, group: Any) -> np.ndarray:
        """Return a sparse matrix in full, if that fits."""
        starts = np.asarray(StoredArray(group["jc"]))
        shape = (int(group.attrs["MATLAB_sparse"]), len(starts) - 1)
        empty = np.empty(0, np.int64)
        values, rows = (
            np.asarray(StoredArray(group[name])) if name in group else empty
            for name in ("data", "ir")
        )
        return sparse_in_full(values, rows, starts, shape, group.name)


class _Elements(list[Any]):
    """The values of a field, one an element of a struct array; other lists are cells."""
