"""NetCDF files through xarray: NetCDF4 with h5netcdf, classic NetCDF3 with scipy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.data.files.classic import check_header
from pyhits.data.files.datasets import as_dataset, from_dataset
from pyhits.data.files.guard import (
    HDF5,
    NETCDF3,
    FileKind,
    expect_kind,
    kind_of,
    parsing,
)
from pyhits.data.files.heaps import check_heaps
from pyhits.data.files.netcdf_values import check_contents, gaps_of
from pyhits.data.files.reading import Reading
from pyhits.data.pieces import Pieces
from pyhits.data.trajectories import Trajectories
from pyhits.errors import DataError
from pyhits.util.extras import need

NETCDF4 = FileKind("a NetCDF file", ".nc")


def read(path: Path, wanted: Reading) -> Pieces:
    """Read one variable, or all those of the same dimensions as features.

    The dimension named ``time`` (or ``t`` ...) is the time, ``trajectory`` or ``run`` numbers the
    trajectories, all others are flattened into features.
    """
    with parsing(path, NETCDF4), opened(path) as dataset:
        is_hdf5 = kind_of(path) is HDF5

        def gaps(names: list[str]) -> dict[str, np.ndarray]:
            return gaps_of(path, names, raw=wanted.raw) if is_hdf5 else {}

        return from_dataset(dataset, path, wanted, gaps)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a file as a Dataset of xarray with numbers as they are stored, none of them loaded.

    What they mean :mod:`.conventions` says.

    Raises
    ------
    DataError, FileFormatError, MissingExtraError
    """
    kind = expect_kind(path, HDF5, NETCDF3)
    modules = ("xarray", "h5netcdf", "h5py") if kind is HDF5 else ("xarray",)
    xarray = need(*modules, action="Reading .nc files", extra="netcdf")
    if kind is HDF5:
        check_heaps(path)
    # xarray follows links, and h5netcdf prints what it cannot close in damaged files.
    grouped = check_contents(path) if kind is HDF5 else []
    if kind is NETCDF3:
        check_header(path)
    engine = "h5netcdf" if kind is HDF5 else "scipy"
    raw = {"decode_times": False, "mask_and_scale": False}
    with xarray.open_dataset(path, engine=engine, **raw) as dataset:
        if grouped and not dataset.data_vars:
            raise DataError(
                f"All variables lie in groups ({', '.join(grouped[:5])}), which are not read from "
                '.nc files. Copy the file to one that ends in .h5, and choose with variable="name" '
                "(on the command line: --variable name)."
            )
        yield dataset


def write(trajectories: Trajectories, path: Path) -> None:
    """Write ``values`` with dimensions (trajectory, time, feature), or packed rows if ragged."""
    modules = ("xarray", "h5netcdf", "h5py")
    xarray = need(*modules, action="Writing .nc files", extra="netcdf")
    dataset = as_dataset(xarray, trajectories)
    dataset.to_netcdf(path, engine="h5netcdf")
