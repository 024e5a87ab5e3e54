"""Small sound files of every format that PyHiTS reads, in the layouts that others write too."""

from __future__ import annotations

import io
import warnings
from datetime import date, timedelta
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import scipy.io
import xarray as xr

import pyhits
from pyhits.data.trajectories import Trajectories

_T = 0.1 * np.arange(40)
_X = np.column_stack([np.sin(_T), np.cos(_T), np.sin(2 * _T)])


def samples(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Return name to extension and content of each sample; ``folder`` takes what is written."""
    found: dict[str, tuple[str, bytes]] = {}

    def keep(name: str, path: Path) -> None:
        found[name] = (path.suffix, path.read_bytes())

    for extension in pyhits.data.files.EXTENSIONS:
        if extension == ".zarr":  # a folder of many files
            continue
        path = folder / f"ours{extension}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pyhits.write(_written(extension), path)
        keep(f"ours{extension}", path)
    for make in (_numpy, _matlab, _hdf5, _netcdf, _tables, _sounds):
        for path in make(folder):
            keep(path.name, path)
    for name, text in _TEXTS.items():
        found[name] = (Path(name).suffix, text)
    return found


def _written(extension: str) -> Trajectories:
    """Return what the format can hold: films pictures, sounds one recording, others several."""
    if extension in pyhits.data.files.FILMS:
        pictures = 127 * (1 + np.sin(_T[:12, None] + np.arange(16 * 16) / 40))
        return Trajectories(pictures, 0.04, grid=(16, 16))
    if extension == ".wav":
        return Trajectories(_X[:, :2], 1 / 8000)
    return Trajectories([_X[:25], _X[10:]] if extension != ".npy" else [_X[:20], _X[20:]], 0.1)


def _numpy(folder: Path) -> list[Path]:
    paths = [folder / name for name in ("plain.npz", "packed.npz", "table.npy", "other_order.npy")]
    np.savez(paths[0], t=_T, x=_X, grid=np.arange(3))
    np.savez_compressed(paths[1], t=_T, x=_X)
    table = np.array([*zip(_T, _X[:, 0], strict=True)], dtype=[("t", "f8"), ("x", "f4")])
    np.save(paths[2], table)
    np.save(paths[3], np.asfortranarray(_X.astype(">f8")))
    return paths


def _matlab(folder: Path) -> list[Path]:
    names = ("plain.mat", "packed.mat", "struct.mat", "cells.mat", "v4.mat", "v73.mat")
    paths = [folder / name for name in names]
    plain = {"t": _T, "x": _X, "label": "a"}
    scipy.io.savemat(paths[0], plain)
    scipy.io.savemat(paths[1], plain, do_compression=True)
    scipy.io.savemat(paths[2], {"run": {"t": _T, "x": _X, "note": {"who": "me"}}})
    cells = np.empty(2, dtype=object)
    cells[:] = [_X[:25], _X[10:]]
    scipy.io.savemat(paths[3], {"x": cells})
    scipy.io.savemat(paths[4], {"t": _T, "x": _X}, format="4")
    with h5py.File(paths[5], "w", userblock_size=512) as file:
        for name, array in (("t", _T[None]), ("x", _X.T)):
            file[name] = array
            file[name].attrs["MATLAB_class"] = np.bytes_("double")
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    paths[5].write_bytes(head + paths[5].read_bytes()[128:])
    return paths


def _hdf5(folder: Path) -> list[Path]:
    paths = [folder / name for name in ("plain.h5", "chunked.h5", "packed.h5", "table.h5")]
    with h5py.File(paths[0], "w") as file:
        file["run/t"], file["run/x"] = _T, _X
        file["run/x"].attrs["units"] = "m"
    with h5py.File(paths[1], "w") as file:
        file.create_dataset("t", data=_T, chunks=(16,), maxshape=(None,))
        file.create_dataset("x", data=_X, chunks=(16, 3), compression="gzip", shuffle=True)
    with h5py.File(paths[2], "w", libver="latest") as file:
        file["t"] = _T
        file.create_dataset("x", data=(1000 * _X).astype("i2"), fletcher32=True)
        file["x"].attrs.update(scale_factor=0.001, add_offset=1.0, _FillValue=np.int16(-9999))
    with h5py.File(paths[3], "w") as file:
        file["run"] = np.array([*zip(_T, _X[:, 0], strict=True)], dtype=[("t", "f8"), ("x", "f4")])
    return paths


def _netcdf(folder: Path) -> list[Path]:
    days = pd.date_range("2020-01-01", periods=len(_T), freq="D")
    data = xr.Dataset({"u": (("time", "x"), _X)}, {"time": days, "x": [1.0, 2.0, 3.0]})
    packing = {"u": {"dtype": "i2", "scale_factor": 1e-3, "add_offset": 0.5, "_FillValue": -9999}}
    paths = [folder / name for name in ("dates.nc", "packed.nc", "classic.nc", "classic_packed.nc")]
    data.to_netcdf(paths[0], engine="h5netcdf")
    data.to_netcdf(paths[1], engine="h5netcdf", encoding=packing)
    data.to_netcdf(paths[2], engine="scipy", format="NETCDF3_CLASSIC")
    data.to_netcdf(paths[3], engine="scipy", format="NETCDF3_64BIT", encoding=packing)
    return paths


def _tables(folder: Path) -> list[Path]:
    frame = pd.DataFrame(_X, columns=["a", "b", "c"])
    frame.insert(0, "time", pd.date_range("2020-01-01", periods=len(_T), freq="h"))
    path, packed = folder / "dates.parquet", folder / "packed.parquet"
    frame.to_parquet(path)
    frame.assign(a=frame["a"].round(1).astype("category")).to_parquet(packed, compression="gzip")
    return [path, packed]


def _sounds(folder: Path) -> list[Path]:
    path, wide = folder / "float.wav", folder / "wide.wav"
    scipy.io.wavfile.write(path, 8000, _X.astype(np.float32))
    scipy.io.wavfile.write(wide, 44100, (2**30 * _X[:, 0]).astype(np.int32))
    return [path, wide]


def _table(delimiter: str, header: bool = True, dates: bool = False) -> str:
    stream = io.StringIO()
    if header:
        stream.write(delimiter.join(["time", "a", "b", "c"]) + "\n")
    for k, (t, row) in enumerate(zip(_T, _X, strict=True)):
        first = str(date(2020, 1, 1) + timedelta(k)) if dates else f"{t:.1f}"
        stream.write(delimiter.join([first, *(f"{v:.6g}" for v in row)]) + "\n")
    return stream.getvalue()


_TEXTS = {
    "comma.csv": _table(",").encode(),
    "semicolon.csv": _table(";").encode(),
    "decimal_comma.csv": _table(";").replace(".", ",").encode(),
    "dates.csv": _table(",", dates=True).encode(),
    "quoted.csv": "\n".join(
        ",".join(f'"{field}"' for field in line.split(",")) for line in _table(",").splitlines()
    ).encode(),
    "wide.csv": _table(",").encode("utf-16"),
    "plain.tsv": _table("\t").encode(),
    "plain.txt": ("# made\n" + _table(" ", header=False)).encode(),
    "plain.dat": _table("  ", header=False).encode(),
}
