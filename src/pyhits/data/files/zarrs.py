"""Zarr stores, of formats 2 and 3: groups of named dimensions through xarray, or plain arrays."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.data.files.choose import choose
from pyhits.data.files.conventions import decoded, sound_texts
from pyhits.data.files.datasets import as_dataset, from_dataset
from pyhits.data.files.guard import FileKind, expect_kind, parsing
from pyhits.data.files.reading import Reading
from pyhits.data.limits import array_bytes, expect_to_fit
from pyhits.data.pieces import Pieces
from pyhits.data.trajectories import Trajectories
from pyhits.errors import DataError, FileFormatError
from pyhits.util.extras import need

ZARR = FileKind("a Zarr store", ".zarr")


def read(path: Path, wanted: Reading) -> Pieces:
    """Read one variable, or all those of the same dimensions as channels of each point.

    An array whose dimensions have no names is chosen as in any file of named arrays.
    """
    zarr = need("zarr", action="Reading .zarr files", extra="zarr")
    if path.is_file():
        expect_kind(path, ZARR)
    with parsing(path, ZARR):
        _refuse_pickles(path)
        store = zarr.open(path, mode="r")
        arrays = _arrays(store)
        if not arrays:
            raise DataError("The Zarr store holds no array at its top.")
        if isinstance(store, zarr.Array) and "pyhits" in store.attrs:
            return _forecast(store)
        if _have_dimensions(arrays):
            return from_dataset(opened(path), path, wanted)
        stored = {name: StoredArray(name, array) for name, array in arrays.items()}
        return choose(stored, wanted, dict(store.attrs))


def write(trajectories: Trajectories, path: Path) -> None:
    """Write what a NetCDF file holds as well."""
    xarray = need("xarray", "zarr", action="Writing .zarr files", extra="zarr")
    write_dataset(as_dataset(xarray, trajectories), path)


def write_dataset(dataset: Any, path: Path) -> None:
    """Write a Dataset of xarray; what opens it then finds all metadata in one place."""
    need("xarray", "zarr", action="Writing .zarr files", extra="zarr")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*(Consolidated metadata|data type)")
        dataset.to_zarr(path, mode="w", consolidated=True)


def opened(path: Path) -> Any:
    """Return a store as a Dataset of xarray with numbers as they are stored, none of them loaded.

    Raises MissingExtraError, FileFormatError.
    """
    xarray = need("xarray", "zarr", action="Reading .zarr files", extra="zarr")
    zarr = need("zarr", action="Reading .zarr files", extra="zarr")
    store = zarr.open(path, mode="r")
    for array in _arrays(store).values():
        if array.dtype.kind == "U":
            sound_texts(np.asarray(array[...]))
    if isinstance(store, zarr.Array):
        dims = store.metadata.dimension_names
        lazy = xarray.Variable(dims, StoredArray("values", store), dict(store.attrs))
        return xarray.Dataset({"values": lazy})
    dataset = xarray.open_zarr(
        path, chunks=None, decode_times=False, mask_and_scale=False, consolidated=False
    )
    dataset = dataset[sorted(dataset.data_vars)]  # a store keeps no order of its own
    for array in dataset.variables.values():
        # Format 2 gives every array something to be filled with at first, mostly 0: no code.
        if store.metadata.zarr_format == 2 and array.attrs.get("_FillValue") == 0:
            del array.attrs["_FillValue"]
    return dataset


def has_dimensions(path: Path) -> bool:
    """Tell whether the dimensions of all arrays of a store have names."""
    zarr = need("zarr", action="Reading .zarr files", extra="zarr")
    return _have_dimensions(_arrays(zarr.open(path, mode="r")))


class StoredArray:
    """An array of a store, loaded when NumPy converts it, or in parts."""

    def __init__(self, name: str, array: Any) -> None:
        self.shape: tuple[int, ...] = array.shape
        self.ndim = len(self.shape)
        self.dtype = array.dtype
        self.attributes: Mapping[str, Any] = dict(array.attrs)
        self._name = name
        self._array = array

    def __getitem__(self, index: Any) -> np.ndarray:
        return decoded(np.asarray(self._array[index]), self.attributes, f"array {self._name!r}")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        expect_to_fit(array_bytes(self.shape, self.dtype), f"Array {self._name!r} {self.shape}")
        return np.asarray(self[...], dtype=dtype)


def _arrays(store: Any) -> dict[str, Any]:
    """Return the arrays at the top of a store, or the one that it is."""
    return dict(sorted(store.arrays())) if hasattr(store, "arrays") else {"values": store}


def _have_dimensions(arrays: Mapping[str, Any]) -> bool:
    return all(
        array.metadata.dimension_names
        if array.metadata.zarr_format == 3
        else "_ARRAY_DIMENSIONS" in array.attrs
        for array in arrays.values()
    )


def _forecast(array: Any) -> Pieces:
    """Return a forecast that was written block by block."""
    expect_to_fit(array_bytes(array.shape, array.dtype), f"The forecast {array.shape}")
    facts = dict(array.attrs)
    starts = np.asarray(facts["start_times"], dtype=np.float64)
    return Pieces(
        even=np.asarray(array[...]),
        dt=None if "times" in facts else float(facts["dt"]),
        feature_names=[str(name) for name in facts["feature_names"]],
        start_times=np.array(np.broadcast_to(starts, len(array))),
    )


def _refuse_pickles(path: Path) -> None:
    """Raise a FileFormatError if an array of a store is packed as Python objects."""
    for file in (*path.glob(".zarray"), *path.glob("*/.zarray"), *path.glob("**/zarr.json")):
        if "pickle" in json.dumps(json.loads(file.read_text(encoding="utf-8"))):
            raise FileFormatError(
                f"{file.parent.name!r} in {path} holds pickled Python objects, which are never "
                "opened."
            )
