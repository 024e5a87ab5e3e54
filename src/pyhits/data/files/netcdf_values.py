"""Which values of a NetCDF file are missing, and which are not in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pyhits.data.files.conventions import decoded, default_fill, filled, has_codes
from pyhits.data.files.hdf5 import check_stored, is_dimension, links, unwritten
from pyhits.data.limits import array_bytes, expect_to_fit
from pyhits.errors import DataError


def gaps_of(path: Path, names: list[str], *, raw: bool) -> dict[str, np.ndarray]:
    """Return where variables of a NetCDF4 file were never written, by their names.

    Raises DataError: something was never written, and is not to be mended.
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

    Raises DataError: there are links to other files, or arrays whose numbers lie in them; xarray
    follows both.
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
    """Return a DataArray or a Dataset with numbers as they are meant, NaN for what is missing.

    That is what attributes say; what NetCDF filled with where nothing was written; and ``gaps``.
    """
    coords = {name: (c.dims, _cleaned(c, None), c.attrs) for name, c in data.coords.items()}
    if not hasattr(data, "data_vars"):
        made = data.copy(data=_cleaned(data, gaps.get(str(data.name))))
    else:
        parts = {name: (data[name], gaps.get(str(name))) for name in data.data_vars}
        made = data.assign({n: a.copy(data=_cleaned(a, lost)) for n, (a, lost) in parts.items()})
    return made.assign_coords(coords)


def _cleaned(array: Any, gaps: np.ndarray | None) -> np.ndarray:
    expect_to_fit(array_bytes(array.shape, array.dtype), f"Variable {array.name!r} {array.shape}")
    stored = np.asarray(array.values)
    values = decoded(stored, array.attrs, f"variable {array.name!r}")
    fill = None if has_codes(array.attrs) else default_fill(stored.dtype)
    missing = np.zeros(stored.shape, bool) if fill is None else filled(stored, fill)
    if gaps is not None:
        missing |= gaps
    if missing.any():
        kind = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
        values = np.where(missing, kind.type(np.nan), values.astype(kind))
    return values
