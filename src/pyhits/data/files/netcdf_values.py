"""Which values of a NetCDF file are missing beyond what xarray masks, and which are not in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pyhits.data.files.conventions import beyond, default_fill, filled
from pyhits.data.files.hdf5 import check_stored, is_dimension, links, unwritten
from pyhits.data.files.limits import array_bytes, expect_to_fit
from pyhits.errors import DataError


def gaps_of(path: Path, names: list[str], *, raw: bool) -> dict[str, np.ndarray]:
    """Return where variables of a NetCDF4 file were never written, by their names.

    Raises
    ------
    DataError
        Something was never written, and is not to be mended.
    """
    import h5py

    found = {}
    with h5py.File(path, "r") as file:
        for name in names:
            dataset = file.get(name)  # xarray makes some variables up
            if isinstance(dataset, h5py.Dataset) and dataset.shape:
                gaps = unwritten(dataset, raw=raw)
                if gaps is not None:
                    found[name] = gaps
    return found


def check_contents(path: Path) -> list[str]:
    """Return the variables that lie in groups, in a file that leads to no others.

    Raises
    ------
    DataError
        There are links to other files, or arrays whose numbers lie in them; xarray follows both.
    """
    import h5py

    grouped: list[str] = []

    def look(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.shape is not None:
            if item.is_virtual or item.id.get_create_plist().get_external_count():
                check_stored(item)
            if "/" in name and item.shape and not is_dimension(item):
                grouped.append(name)

    with h5py.File(path, "r") as file:
        for name, target in links(file).items():
            if "another file" in target:
                raise DataError(
                    f"{name!r} is a link to {target}. Links are not followed; read the file that "
                    "holds the data."
                )
        file.visititems(look)
    return grouped


def cleaned(data: Any, gaps: dict[str, np.ndarray]) -> Any:
    """Return a DataArray or a Dataset with NaN for what is missing.

    That is what lies beyond ``valid_range``, ``valid_min`` and ``valid_max``; what NetCDF filled
    with where nothing was written; and ``gaps``.
    """
    if not hasattr(data, "data_vars"):
        return _cleaned(data, gaps.get(str(data.name)))
    changed = {name: _cleaned(data[name], gaps.get(str(name))) for name in data.data_vars}
    return data.assign(changed)


def _cleaned(array: Any, gaps: np.ndarray | None) -> Any:
    expect_to_fit(array_bytes(array.shape, array.dtype), f"Variable {array.name!r} {array.shape}")
    values = array.values
    if values.dtype.kind not in "fiu":
        return array
    missing = beyond(values, _unpacked_range(array), f"variable {array.name!r}")
    stored = np.dtype(array.encoding.get("dtype", values.dtype))
    if not {"_FillValue", "missing_value"} & set(array.encoding) and stored == values.dtype:
        fill = default_fill(stored)
        missing |= np.zeros(values.shape, bool) if fill is None else filled(values, fill)
    if gaps is not None:
        missing |= gaps
    if not missing.any():
        return array
    kind = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
    return array.copy(data=np.where(missing, kind.type(np.nan), values.astype(kind)))


def _unpacked_range(array: Any) -> dict[str, Any]:
    """Return the valid range in the units of the values; the file has it in those of packed ones.

    Unless it is of another type, which the conventions take for that of the values.
    """
    names = [n for n in ("valid_range", "valid_min", "valid_max") if n in array.attrs]
    found = {n: np.asarray(array.attrs[n]) for n in names}
    scale, offset = (array.encoding.get(n) for n in ("scale_factor", "add_offset"))
    packed = np.dtype(array.encoding.get("dtype", array.dtype)).kind
    if scale is None and offset is None:
        return found
    scale, offset = (1.0 if scale is None else scale), (0.0 if offset is None else offset)
    for name in names:
        if found[name].dtype.kind in "iu" and packed in "iu":
            found[name] = found[name] * scale + offset
    if float(np.ravel(scale)[0]) < 0:
        turned = {"valid_min": "valid_max", "valid_max": "valid_min", "valid_range": "valid_range"}
        found = {turned[n]: found[n][::-1] if found[n].ndim else found[n] for n in found}
    return found
