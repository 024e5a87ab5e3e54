"""NetCDF: packed, missing and never written values, ranges, groups, links, memory."""

import numpy as np
import pytest
import scipy.io

from pyhits.data import limits
from pyhits.data.files import read, read_raw
from pyhits.errors import DataError, FileFormatError

h5py = pytest.importorskip("h5py")
xarray = pytest.importorskip("xarray")
pytest.importorskip("h5netcdf")

T = np.arange(40.0)
X = np.column_stack([np.sin(T), np.cos(T)])
ENGINES = {"h5netcdf": "NETCDF4", "scipy": "NETCDF3_64BIT"}


def saved(path, values, engine, attributes=None, **encoding):
    u = (("time", "x"), values, attributes or {})
    data = xarray.Dataset({"u": u}, {"time": ("time", T)})
    options = {"u": encoding, "time": {"_FillValue": None}}
    data.to_netcdf(path, engine=engine, format=ENGINES[engine], encoding=options)
    return path


@pytest.mark.parametrize("engine", ENGINES)
def test_packed_and_missing_values(tmp_path, engine):
    values = X.copy()
    values[5, 1] = np.nan
    packing = {"dtype": "i2", "scale_factor": 1e-3, "add_offset": 0.25, "_FillValue": -9999}
    path = saved(tmp_path / "a.nc", values, engine, **packing)
    with pytest.raises(DataError, match="NaN in trajectory 0, row 5"):
        read(path)
    raw = read_raw(path).arrays[0]
    assert np.argwhere(np.isnan(raw)).tolist() == [[5, 1]]
    np.testing.assert_allclose(raw, values, atol=6e-4)


@pytest.mark.parametrize("engine", ENGINES)
def test_values_beyond_the_valid_range_are_missing(tmp_path, engine):
    values = X.astype("f4")
    values[3, 0] = 1e4
    path = saved(tmp_path / "a.nc", values, engine, {"valid_range": np.float32([-2, 2])})
    raw = read_raw(path).arrays[0]
    assert np.argwhere(np.isnan(raw)).tolist() == [[3, 0]]


@pytest.mark.parametrize("scale", [0.1, -0.1])
def test_the_valid_range_is_that_of_packed_values(tmp_path, scale):
    packing = {"dtype": "i2", "scale_factor": scale, "_FillValue": -9999}
    values = scale * np.arange(80.0).reshape(40, 2)
    path = saved(tmp_path / "a.nc", values, "h5netcdf", {"valid_max": np.int16(70)}, **packing)
    lost = np.isnan(read_raw(path).arrays[0]).ravel()
    assert np.flatnonzero(lost).tolist() == list(range(71, 80))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
def test_what_netcdf_fills_with_is_missing(tmp_path, engine, dtype):
    """Programs that write with its C library leave the default fill, and no attribute."""
    values = (100 * X).astype(dtype)
    values[-3:] = -2147483647 if dtype == "i4" else 9.969209968386869e36
    path = saved(tmp_path / "a.nc", values, engine, _FillValue=None)
    with pytest.raises(DataError, match=r"NaN in trajectory 0, row 37.*5 more"):
        read(path)


def test_variables_that_were_never_written(tmp_path):
    path = saved(tmp_path / "a.nc", X, "h5netcdf", _FillValue=None)
    with h5py.File(path, "r+") as file:
        scale = file["u"].attrs["DIMENSION_LIST"]
        del file["u"]
        file.create_dataset("u", X.shape, "f8", chunks=(16, 2))
        file["u"].attrs["DIMENSION_LIST"] = scale
    with pytest.raises(DataError, match=r"'u' .* was never written"):
        read(path)
    with h5py.File(path, "r+") as file:
        file["u"][:20] = X[:20]
    with pytest.raises(DataError, match=r"written in part \(2 of 3 blocks\)"):
        read(path)
    assert np.isnan(read_raw(path).arrays[0][32:]).all()


def test_external_storage_links_and_virtual_variables_are_refused(tmp_path):
    other = saved(tmp_path / "other.nc", X, "h5netcdf")
    (tmp_path / "secret").write_bytes(X.tobytes())
    layout = h5py.VirtualLayout(X.shape, "f8")
    layout[:] = h5py.VirtualSource(str(other), "u", X.shape)
    secret = [(str(tmp_path / "secret"), 0, X.nbytes)]
    ways = {
        "in another file": lambda file: file.create_dataset("v", X.shape, "f8", external=secret),
        "in other files": lambda file: file.create_virtual_dataset("v", layout),
        "a link": lambda file: file.update({"v": h5py.ExternalLink(str(other), "/u")}),
    }
    for k, (match, add) in enumerate(ways.items()):
        path = saved(tmp_path / f"{k}.nc", X, "h5netcdf")
        with h5py.File(path, "r+") as file:
            add(file)
        with pytest.raises(DataError, match=match):
            read(path, variable="u")


def test_variables_in_groups_are_named(tmp_path):
    data = xarray.Dataset({"u": (("time", "x"), X)})
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf", group="run")
    with pytest.raises(DataError, match=r"lie in groups \(run/u\).*\.h5"):
        read(tmp_path / "a.nc")
    (tmp_path / "a.nc").rename(tmp_path / "a.h5")
    np.testing.assert_array_equal(read(tmp_path / "a.h5", variable="run/u").values, X)


@pytest.mark.parametrize("engine", ENGINES)
def test_variables_larger_than_memory(tmp_path, engine, monkeypatch):
    path = saved(tmp_path / "a.nc", X, engine)
    monkeypatch.setattr(limits, "memory", lambda: 600)
    with pytest.raises(DataError, match=r"Variable 'u' \(40, 2\) takes 640 bytes"):
        read(path)


def test_fields_of_the_c_library_of_old(tmp_path):
    with scipy.io.netcdf_file(tmp_path / "a.nc", "w") as file:
        file.createDimension("time", 40)
        file.createDimension("x", 2)
        file.createVariable("time", "f8", ("time",))[:] = T
        file.createVariable("u", ">f4", ("time", "x"))[:] = X
    found = read(tmp_path / "a.nc")
    assert found.dt == 1
    np.testing.assert_array_equal(found.values, X.astype("f4"))


def classic(path, replace=None):
    saved(path, X, "scipy")
    if replace is not None:
        old, new = replace
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new, 1))
    return path


BAD_HEADERS = {
    "dimensions": (b"\0\0\0\x0a\0\0\0\x02", b"\0\0\0\x0a\x7f\xff\xff\xff"),
    "variables": (b"\0\0\0\x0b\0\0\0\x02", b"\0\0\0\x0b\x7f\xff\xff\xff"),
    "a long name": (b"\0\0\0\x04time", b"\x7f\xff\xff\xfctime"),
    "a negative length": (b"time\0\0\0\x28", b"time\xff\xff\xff\x28"),
    "a long dimension": (b"time\0\0\0\x28", b"time\x7f\0\0\x28"),
    "another list": (b"\0\0\0\x0b\0\0\0\x02", b"\0\0\0\x63\0\0\0\x02"),
}


@pytest.mark.parametrize("case", BAD_HEADERS)
def test_headers_that_promise_more_than_there_is(tmp_path, case):
    with pytest.raises(FileFormatError, match=r"a\.nc cannot be read as a NetCDF file"):
        read(classic(tmp_path / "a.nc", BAD_HEADERS[case]))


def test_a_variant_that_scipy_does_not_read_is_named(tmp_path):
    with pytest.raises(FileFormatError, match=r"CDF-5, which is not read.*nccopy"):
        read(classic(tmp_path / "a.nc", (b"CDF\x02", b"CDF\x05")))
