"""HDF5 files through h5py: every dataset, at the top level or in groups."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.data.files.choose import choose
from pyhits.data.files.conventions import decoded, filled, text_of
from pyhits.data.files.guard import HDF5, MATLAB73, expect_kind, parsing
from pyhits.data.files.heaps import check_heaps
from pyhits.data.files.layout import from_arrays, is_ours, to_arrays
from pyhits.data.files.reading import Reading
from pyhits.data.limits import array_bytes, expect_to_fit
from pyhits.data.pieces import Pieces
from pyhits.data.trajectories import Trajectories
from pyhits.errors import DataError, FileFormatError
from pyhits.util.checks import BY_REPAIR
from pyhits.util.extras import need
from pyhits.util.printable import listing

#: How NetCDF marks a dataset that is the name of a dimension, and holds nothing.
_NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable"


def read(path: Path, wanted: Reading) -> Pieces:
    """Read one dataset and its times; only these are loaded."""
    expect_kind(path, HDF5, MATLAB73)
    h5py = need("h5py", action=f"Reading {path.suffix} files", extra="hdf5")
    with parsing(path, HDF5):
        check_heaps(path)
    with parsing(path, HDF5), h5py.File(path, "r") as file:
        found = datasets(file, raw=wanted.raw)
        if is_ours(found):
            return from_arrays(found, path, wanted.time_column)
        said = check_links(file, found, wanted)
        pieces = choose(found, wanted, dict(file.attrs))
    pieces.notes += said
    return pieces


def write(trajectories: Trajectories, path: Path) -> None:
    """Write packed rows, lengths, step, names and start times as top-level datasets."""
    h5py = need("h5py", action=f"Writing {path.suffix} files", extra="hdf5")
    arrays: dict[str, Any] = to_arrays(trajectories)
    for name in ("feature_names", "grid", "time_axis"):
        if name in arrays:
            arrays[name] = arrays[name].astype(h5py.string_dtype())
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)


class StoredArray:
    """A dataset, loaded when NumPy converts it: as it is meant, with NaN where nothing is.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy dtype
        As stored.
    attributes : mapping
        What the file says of it.
    """

    def __init__(self, dataset: Any, *, raw: bool = False) -> None:
        self.shape: tuple[int, ...] = dataset.shape
        self.dtype = dataset.dtype
        self.attributes = dataset.attrs
        self._dataset = dataset
        self._raw = raw

    @property
    def said_of_groups(self) -> dict[str, Any]:
        """What the file says of the groups around it: of the nearest first, then of its parents."""
        said: dict[str, Any] = {}
        group = self._dataset.parent
        while group.name != "/":
            said = {**group.attrs, **said}
            group = group.parent
        return said

    def __getitem__(self, index: Any) -> np.ndarray:
        """Read a part."""
        check_stored(self._dataset)
        unwritten(self._dataset, raw=False)
        name = self._dataset.name.lstrip("/")
        return decoded(np.asarray(self._dataset[index]), self.attributes, f"array {name!r}")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        name = self._dataset.name.lstrip("/")
        check_stored(self._dataset)
        expect_to_fit(array_bytes(self.shape, self.dtype), f"Array {name!r} {self.shape}")
        gaps = unwritten(self._dataset, raw=self._raw)
        values = np.asarray(self._dataset[()])
        lost = gaps if gaps is not None else _filled(self._dataset, values)
        values = decoded(values, self.attributes, f"array {name!r}")
        if lost.any():
            values = values.astype(np.result_type(values.dtype, np.float32), copy=False)
            values[lost] = np.nan
        return np.asarray(values, dtype=dtype)


def datasets(file: Any, *, raw: bool = False) -> dict[str, StoredArray]:
    """Return every dataset by its name in the file; links are not followed.

    Those of types that NumPy does not know are left out.
    """
    found: dict[str, StoredArray] = {}

    def keep(name: str, item: Any) -> None:
        # Groups, named types and empty datasets have no shape.
        if getattr(item, "shape", None) is None:
            return
        if is_dimension(item):
            return
        with contextlib.suppress(TypeError):
            found[name] = StoredArray(item, raw=raw)

    file.visititems(keep)
    return found


def is_dimension(dataset: Any) -> bool:
    """Tell whether a dataset is but the name of a NetCDF dimension, and holds nothing."""
    return text_of(dataset.attrs.get("NAME")).startswith(_NO_VARIABLE)


def links(file: Any) -> dict[str, str]:
    """Return where each soft or external link of a file leads, by its name."""
    found: dict[str, str] = {}

    def keep(name: str, link: Any) -> None:
        if hasattr(link, "filename"):
            found[name] = f"{link.path!r} in another file, {link.filename!r}"
        elif hasattr(link, "path"):
            found[name] = f"{link.path!r} in this file"

    file.visititems_links(keep)
    return found


def check_links(file: Any, found: Collection[str], wanted: Reading) -> list[str]:
    """Return what to say of links to other files, which are not followed.

    Raises DataError: what was asked for is a link, or there is nothing but links.
    """
    known = links(file)
    for name in (wanted.variable, wanted.time_column):
        plain = str(name).strip("/")
        if name is not None and plain in known and plain not in found:
            raise DataError(
                f"{name!r} is a link to {known[plain]}. Links are not followed; ask for what it "
                "leads to, in the file that holds it."
            )
    if known and not found:
        name, target = next(iter(known.items()))
        raise DataError(
            f"The file holds only links ({name!r} to {target}), which are not followed. Read the "
            "file that holds the data."
        )
    outside = [f"{name!r} to {target}" for name, target in known.items() if "another" in target]
    if not outside:
        return []
    return [f"Links to other files are not followed: {listing(outside, 1)}."]


def check_stored(dataset: Any) -> None:
    """Raise an error if the numbers of a dataset lie in other files, or cannot be unpacked."""
    name = dataset.name.lstrip("/")
    where = "in other files" if dataset.is_virtual else None
    with contextlib.suppress(TypeError, AttributeError):
        where = f"in another file, {dataset.external[0][0]!r}" if dataset.external else where
    if where is not None:
        raise DataError(
            f"The numbers of array {name!r} are not in this file but {where}. Links to other files "
            "are not followed; read that file, or copy the array: file.create_dataset(name, "
            "data=other[name][()])."
        )
    from h5py import h5z

    plan = dataset.id.get_create_plist()
    for k in range(plan.get_nfilters()):
        number, _, _, label = plan.get_filter(k)
        if not h5z.filter_avail(number):
            text = label.decode(errors="replace") or "without a name"
            raise FileFormatError(
                f"Array {name!r} is packed with the filter {number} ({text}), which is not "
                "installed. Unpack the file: h5repack -f NONE in.h5 out.h5"
            )


def unwritten(dataset: Any, *, raw: bool) -> np.ndarray | None:
    """Return where nothing was ever written, None if something was everywhere.

    Raises DataError: something is missing, and the data are not raw, to be mended.
    """
    total = math.prod(dataset.shape)
    if total == 0:
        return None
    if dataset.chunks is None:
        # Small arrays lie in the header itself; all others have a place once they are written.
        begun = dataset.id.get_storage_size() > 0 or dataset.id.get_offset() is not None
        chunks, there = 1, int(begun)
    else:
        chunks = math.prod(-(-n // c) for n, c in zip(dataset.shape, dataset.chunks, strict=True))
        there = dataset.id.get_num_chunks()
    if there >= chunks:
        return None
    if not raw or there == 0:
        how = "never written" if there == 0 else f"written in part ({there} of {chunks} blocks)"
        advice = "" if there == 0 else f" {BY_REPAIR} takes the rest as missing."
        raise DataError(
            f"Array {dataset.name.lstrip('/')!r} {dataset.shape} was {how}: the program that made "
            f"the file was stopped, or did not close it.{advice}"
        )
    expect_to_fit(total, f"Array {dataset.name.lstrip('/')!r} {dataset.shape}")
    gaps = np.ones(dataset.shape, bool)
    for k in range(there):
        first = dataset.id.get_chunk_info(k).chunk_offset
        gaps[tuple(slice(a, a + c) for a, c in zip(first, dataset.chunks, strict=True))] = False
    return gaps


def _filled(dataset: Any, values: np.ndarray) -> np.ndarray:
    """Return where numbers are what the file's author said that it be filled with at first."""
    from h5py import h5d

    plan = dataset.id.get_create_plist()
    if values.dtype.kind not in "fiu" or plan.fill_value_defined() != h5d.FILL_VALUE_USER_DEFINED:
        return np.zeros(values.shape, bool)
    return filled(values, dataset.fillvalue)
