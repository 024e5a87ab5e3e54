"""MATLAB .mat files: v4 through scipy, v5 to v7 by :mod:`.mat5`, v7.3 through h5py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pyhits.data.files import mat5
from pyhits.data.files.conventions import text_of
from pyhits.data.files.guard import BINARY, HDF5, MATLAB5, MATLAB73, expect_kind, parsing
from pyhits.data.files.hdf5 import StoredArray, check_links
from pyhits.data.files.heaps import check_heaps
from pyhits.data.files.layout import from_arrays, is_ours, to_arrays
from pyhits.data.files.mat5 import Foreign, Struct, sparse_in_full
from pyhits.data.files.nested import Flat, pieces
from pyhits.data.files.reading import Reading
from pyhits.data.pieces import Pieces
from pyhits.data.trajectories import Trajectories
from pyhits.util.extras import need


def read(path: Path, wanted: Reading) -> Pieces:
    """Read MATLAB variables; structs and cells by their fields, ``run/x``."""
    # v4 has no signature.
    kind = expect_kind(path, MATLAB5, MATLAB73, HDF5, BINARY)
    if kind in (HDF5, MATLAB73):
        h5py = need("h5py", action="Reading MATLAB v7.3 .mat files", extra="hdf5")
        with parsing(path, MATLAB73):
            check_heaps(path)
        with parsing(path, MATLAB73), h5py.File(path, "r") as file:
            found = variables(file, raw=wanted.raw)
            said = check_links(file, found, wanted)
            made = _pieces(found, path, wanted)
        made.notes += said
        return made
    with parsing(path, MATLAB5):
        if kind is MATLAB5 or not _may_be_v4(path):
            # Nested values are small; arrays of numbers are loaded once they are chosen.
            known = mat5.variables(path)
            found = {v.name: v if v.has_numbers else v.load() for v in known}
            return _pieces(found, path, wanted)
        from scipy.io import loadmat  # takes a third of a second to import

        loaded = loadmat(path, appendmat=False)
        arrays = {n: a for n, a in loaded.items() if isinstance(a, np.ndarray)}
        return _pieces(arrays, path, wanted)


def _may_be_v4(path: Path) -> bool:
    """Tell whether a file may be v4, by the rule of SciPy: its first number is below 2**24.

    On damaged files of v5 SciPy ends the process.
    """
    with path.open("rb") as stream:
        return 0 in stream.read(4)


def write(trajectories: Trajectories, path: Path) -> None:
    """Write packed rows, lengths, step, names (a cell) and start times as v5."""
    from scipy.io import savemat

    arrays = to_arrays(trajectories)
    arrays["feature_names"] = arrays["feature_names"].astype(object)
    savemat(path, arrays, appendmat=False)


def _pieces(variables: dict[str, Any], path: Path, wanted: Reading) -> Pieces:
    if is_ours(variables):
        names = variables.get("feature_names")
        if isinstance(names, list):  # a cell
            cell = np.empty(len(names), dtype=object)
            cell[:] = names
            variables = {**variables, "feature_names": cell}
        return from_arrays(variables, path, wanted.time_column)
    flat = Flat()
    for name, value in variables.items():
        flat.add(name, [value])
    return pieces(flat, wanted)


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
