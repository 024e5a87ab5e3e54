"""Numbers as files store them: packed, missing, never written, elsewhere, complex, in records."""

import decimal
import struct
import zipfile

import numpy as np
import pytest

import pyhits
from pyhits.data import limits
from pyhits.data.files import read, read_raw
from pyhits.errors import DataError, FileFormatError, PyHiTSError, PyHiTSWarning

h5py = pytest.importorskip("h5py")

T = 0.1 * np.arange(40)
X = np.column_stack([np.sin(T), np.cos(T), T])


def hdf5(path, make):
    with h5py.File(path, "w") as file:
        make(file)
    return path


# HDF5: what attributes say


def test_packed_numbers_are_scaled_and_shifted(tmp_path):
    def make(file):
        file.create_dataset("x", data=np.round((X - 0.5) / 1e-3).astype("i2"))
        file["x"].attrs.update(scale_factor=1e-3, add_offset=0.5)

    found = read(hdf5(tmp_path / "a.h5", make)).values
    np.testing.assert_allclose(found, X, atol=5.1e-4)


@pytest.mark.parametrize("attribute", ["_FillValue", "missing_value", "MissingValue"])
def test_codes_for_missing_values_are_missing(tmp_path, attribute):
    def make(file):
        stored = X.astype("f4")
        stored[7, 1] = -9999.9
        file["x"] = stored
        file["x"].attrs[attribute] = -9999.9  # in double precision, as many programs write it

    path = hdf5(tmp_path / "a.h5", make)
    with pytest.raises(DataError, match="NaN in trajectory 0, row 7, column 'x1'"):
        read(path)
    raw = read_raw(path).arrays[0]
    assert np.argwhere(np.isnan(raw)).tolist() == [[7, 1]]
    fixed = pyhits.repair(path).trajectories
    assert np.abs(fixed.values).max() < 10


def test_the_code_is_that_of_the_packed_numbers(tmp_path):
    def make(file):
        stored = np.arange(80, dtype="i2").reshape(40, 2)
        file["x"] = stored
        file["x"].attrs.update(scale_factor=0.1, _FillValue=np.int16(30), valid_max=np.int16(70))

    raw = read_raw(hdf5(tmp_path / "a.h5", make)).arrays[0]
    lost = np.isnan(raw).ravel()
    assert np.flatnonzero(lost).tolist() == [30, *range(71, 80)]
    np.testing.assert_allclose(raw.ravel()[~lost], 0.1 * np.arange(80)[~lost])


@pytest.mark.parametrize(("value", "match"), [(np.nan, "is nan"), ("much", "much"), (0.0, "is 0")])
def test_attributes_that_make_no_sense_are_named(tmp_path, value, match):
    def make(file):
        file["x"] = X
        file["x"].attrs["scale_factor"] = value

    with pytest.raises(DataError, match=f"attribute scale_factor of array 'x'.*{match}"):
        read(hdf5(tmp_path / "a.h5", make))


def test_what_no_attribute_speaks_of_stays_as_it_is(tmp_path):
    found = read(hdf5(tmp_path / "a.h5", lambda f: f.create_dataset("x", data=X)))
    np.testing.assert_array_equal(found.values, X)


# HDF5: what was never written


def test_datasets_that_were_never_written_are_no_zeros(tmp_path):
    path = hdf5(tmp_path / "a.h5", lambda f: f.create_dataset("x", (40, 3), "f8"))
    for reads in (read, read_raw):
        with pytest.raises(DataError, match=r"'x' \(40, 3\) was never written"):
            reads(path)
    chunked = hdf5(tmp_path / "b.h5", lambda f: f.create_dataset("x", (9, 3), "f8", chunks=(3, 3)))
    with pytest.raises(DataError, match="was never written"):
        read(chunked)


def test_blocks_that_were_never_written_are_missing(tmp_path):
    def make(file):
        file.create_dataset("x", (40, 3), "f8", chunks=(16, 2))[:30] = X[:30]

    path = hdf5(tmp_path / "a.h5", make)
    with pytest.raises(DataError, match=r"written in part \(4 of 6 blocks\).*--repair"):
        read(path)
    raw = read_raw(path).arrays[0]
    assert np.isnan(raw[32:]).all()
    np.testing.assert_array_equal(raw[:30], X[:30])


def test_a_fill_value_beyond_all_numbers_is_missing(tmp_path):
    def make(file):
        file.create_dataset("x", (40, 3), "f8", fillvalue=-999.0)[:30] = X[:30]

    path = hdf5(tmp_path / "a.h5", make)
    with pytest.raises(DataError, match=r"NaN in trajectory 0, row 30.*29 more"):
        read(path)
    # Among the other numbers it may be one of them.
    same = hdf5(tmp_path / "b.h5", lambda f: f.create_dataset("x", data=X, fillvalue=X[3, 0]))
    np.testing.assert_array_equal(read(same).values, X)


def test_empty_scales_of_netcdf_dimensions_are_no_times(tmp_path):
    def make(file):
        file["x"] = X
        file.create_dataset("time", (40,), "f4")
        file["time"].attrs["NAME"] = b"This is a netCDF dimension but not a netCDF variable.  40"

    assert read(hdf5(tmp_path / "a.h5", make)).dt == 1


# HDF5: what lies elsewhere


def test_external_storage_is_refused(tmp_path):
    (tmp_path / "secret").write_bytes(X.tobytes())

    def make(file):
        name = str(tmp_path / "secret")
        file.create_dataset("g/x", (40, 3), "f8", external=[(name, 0, X.nbytes)])

    for variable in (None, "g/x"):
        with pytest.raises(DataError, match=r"'g/x' are not in this file but in another.*secret"):
            read(hdf5(tmp_path / "a.h5", make), variable=variable)


def test_virtual_datasets_are_refused(tmp_path):
    other = hdf5(tmp_path / "other.h5", lambda f: f.create_dataset("x", data=X))

    def make(file):
        layout = h5py.VirtualLayout(X.shape, "f8")
        layout[:] = h5py.VirtualSource(str(other), "x", X.shape)
        file.create_virtual_dataset("x", layout)

    with pytest.raises(DataError, match="'x' are not in this file but in other files"):
        read(hdf5(tmp_path / "a.h5", make))


def test_links_are_named_and_not_followed(tmp_path):
    other = hdf5(tmp_path / "other.h5", lambda f: f.create_dataset("x", data=X))

    def make(file):
        file["g/far"] = h5py.ExternalLink(str(other), "/x")

    path = hdf5(tmp_path / "a.h5", make)
    with pytest.raises(DataError, match=r"only links \('g/far' to '/x' in another file"):
        read(path)
    with pytest.raises(DataError, match="'g/far' is a link to '/x' in another file"):
        read(path, variable="g/far")

    def soft(file):
        file["g/x"] = X
        file["latest"] = h5py.SoftLink("/g/x")

    near = hdf5(tmp_path / "b.h5", soft)
    np.testing.assert_array_equal(read(near).values, X)
    with pytest.raises(DataError, match="'latest' is a link to '/g/x' in this file"):
        read(near, variable="latest")


def test_references_are_no_numbers(tmp_path):
    def make(file):
        file["x"] = X
        file.create_dataset("r", (2,), h5py.ref_dtype)[:] = [file["x"].ref] * 2
        region = file.create_dataset("g", (1,), h5py.regionref_dtype)
        region[0] = file["x"].regionref[:3]

    path = hdf5(tmp_path / "a.h5", make)
    np.testing.assert_array_equal(read(path).values, X)
    for name in ("r", "g"):
        with pytest.raises(DataError, match=f"Expected numbers in Array '{name}'"):
            read(path, variable=name)


def test_arrays_larger_than_memory_are_refused_before_they_are_read(tmp_path):
    def make(file):
        file.create_dataset("x", (10**7, 10**7), "f4", chunks=(100, 100))[:9, :9] = 1

    with pytest.raises(DataError, match=r"takes 4e\+05 GB and this process may use .* GB"):
        read_raw(hdf5(tmp_path / "a.h5", make))


# Kinds of numbers


@pytest.mark.parametrize("dtype", ["f2", ">f2", "<f4", ">f4", ">f8", "g", "<i2", ">u4", "?", "i1"])
def test_kinds_of_numbers(tmp_path, dtype):
    stored = (10 * X).astype(dtype)
    path = hdf5(tmp_path / "a.h5", lambda f: f.create_dataset("x", data=stored))
    np.testing.assert_array_equal(read(path).values, stored.astype(read(path).values.dtype))
    np.savez(tmp_path / "a.npz", x=stored)
    np.testing.assert_array_equal(read(tmp_path / "a.npz").values, read(path).values)


def test_masks_beside_numbers_are_left_out(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, mask=X > 0)
    np.testing.assert_array_equal(read(tmp_path / "a.npz").values, X)


def test_enumerations_are_their_numbers(tmp_path):
    kind = h5py.enum_dtype({"off": 0, "on": 5})
    states = np.tile([0, 5], 20)
    path = hdf5(tmp_path / "a.h5", lambda f: f.create_dataset("x", data=states, dtype=kind))
    assert read(path).values.ravel().tolist() == states.tolist()


RECORDS = np.array(
    [*zip(T, X[:, 0], X[:, :2], strict=True)], [("t", "f8"), ("a", "f4"), ("b", "f8", (2,))]
)


@pytest.mark.parametrize("extension", [".npy", ".npz", ".h5"])
def test_records_are_tables(tmp_path, extension):
    path = tmp_path / f"a{extension}"
    if extension == ".npy":
        np.save(path, RECORDS)
    elif extension == ".npz":
        np.savez(path, run=RECORDS)
    else:
        hdf5(path, lambda f: f.create_dataset("run", data=RECORDS))
    found = read(path)
    assert found.feature_names == ("a", "b.0", "b.1")
    assert found.dt == pytest.approx(0.1)
    np.testing.assert_allclose(found.values, X[:, [0, 0, 1]], atol=1e-7)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_an_imaginary_part_of_rounding_is_left_out_and_said(tmp_path, dtype):
    spectrum = np.fft.fft(X, axis=0)
    back = np.fft.ifft(spectrum, axis=0).astype(dtype)
    back.imag += np.finfo(back.real.dtype).eps
    np.save(tmp_path / "a.npy", back)
    with pytest.warns(PyHiTSWarning, match="imaginary part is rounding"):
        found = read(tmp_path / "a.npy")
    np.testing.assert_array_equal(found.values, back.real)
    assert found.values.dtype == back.real.dtype


def test_complex_numbers_without_imaginary_part_are_real(tmp_path):
    np.save(tmp_path / "a.npy", X + 0j)
    np.testing.assert_array_equal(read(tmp_path / "a.npy").values, X)


@pytest.mark.parametrize("imaginary", [1.0, 1e-6, np.nan, np.inf])
def test_complex_numbers_are_refused(tmp_path, imaginary):
    numbers = X.astype(complex)
    numbers.imag[3, 1] = imaginary
    np.save(tmp_path / "a.npy", numbers)
    with pytest.raises(DataError, match="complex; give real and imaginary parts"):
        read(tmp_path / "a.npy")


# Archives of NumPy


def npy(header, values=b""):
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + values


HEADER = "{{'descr': '<f8', 'fortran_order': False, 'shape': {}}}\n"


def test_members_that_are_not_used_are_not_unpacked(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", t=T, x=X, other=np.zeros((500, 7)))
    opened = []
    load = np.lib.npyio.NpzFile.__getitem__
    monkeypatch.setattr(
        np.lib.npyio.NpzFile,
        "__getitem__",
        lambda self, name: opened.append(name) or load(self, name),
    )
    found = read(tmp_path / "a.npz", variable="x")
    np.testing.assert_array_equal(found.values, X)
    assert sorted(opened) == ["t.npy", "x.npy"]


@pytest.mark.parametrize("shape", ["(10**9, 10**9)", "(40, 4)", "(-1, 3)", "(1000000000000,)"])
@pytest.mark.parametrize("extension", [".npy", ".npz"])
def test_headers_that_promise_more_than_there_is(tmp_path, extension, shape):
    content = npy(HEADER.format(shape), X.tobytes())
    path = tmp_path / f"a{extension}"
    if extension == ".npy":
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", content)
    with pytest.raises(FileFormatError, match=r"damaged"):
        read(path)


def test_a_member_of_gigabytes_is_refused_from_its_header(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((1000, 50)), small=X)
    monkeypatch.setattr(limits, "memory", lambda: 100_000)
    with pytest.raises(DataError, match=r"'x' .1000, 50. takes 400000 bytes and .* 100000 bytes"):
        read(tmp_path / "a.npz", variable="x")
    assert read(tmp_path / "a.npz", variable="small").n_rows == 40


def test_lack_of_memory_is_no_damage(tmp_path, monkeypatch):
    def greedy(*_, **__):
        raise MemoryError

    np.save(tmp_path / "a.npy", X)
    monkeypatch.setattr(np, "load", greedy)
    with pytest.raises(DataError, match=r"a\.npy is too large.*more memory"):
        read(tmp_path / "a.npy")


def test_texts_of_no_characters(tmp_path):
    header = "{'descr': '<U2', 'fortran_order': False, 'shape': (5,)}\n"
    (tmp_path / "a.npy").write_bytes(npy(header, b"\xff" * 40))
    with pytest.raises(PyHiTSError, match=r"a\.npy"):
        read(tmp_path / "a.npy")


# Sounds


def wav(samples, *, rate=8000, bits=16, channels=1, kind=1, size=None, frame=None):
    frame = channels * bits // 8 if frame is None else frame
    form = struct.pack("<IHHIIHH", 16, kind, channels, rate, rate * frame, frame, bits)
    data = b"data" + struct.pack("<I", len(samples) if size is None else size) + samples
    body = b"WAVEfmt " + form + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


SAMPLES = (1000 * np.sin(np.arange(100))).astype("<i2")
BAD_SOUNDS = {
    "rate 0": (wav(SAMPLES.tobytes(), rate=0), "a rate of 0 samples a second"),
    "no channels": (wav(SAMPLES.tobytes(), channels=0, frame=0), "0 channels"),
    "no samples": (wav(b""), "There are no samples"),
    "half a sample": (wav(b"\0"), "There are no samples"),
    "A-law": (wav(b"\x55" * 100, kind=6, bits=8), r"compressed \(A-law\).*ffmpeg"),
    "ADPCM": (wav(b"\x55" * 100, kind=2, bits=4, frame=1), r"compressed \(ADPCM\)"),
    "half floats": (wav(b"\0" * 100, kind=3), "floating point take 2 bytes"),
    "wide frame": (wav(b"\0" * 100, channels=3, frame=7), "take 7 bytes"),
    "no data": (wav(b"")[:36], "holds no samples"),
    "no form": (b"RIFF\x10\0\0\0WAVEdata\4\0\0\0\0\0\0\0", "how its samples are stored"),
    "no sound": (b"RIFF\x10\0\0\0AVI LIST\4\0\0\0\0\0\0\0", "no WAV file"),
    "cut within its header": (wav(b"")[:24], "truncated within its header"),
}


@pytest.mark.parametrize("case", BAD_SOUNDS)
def test_bad_sounds(tmp_path, case):
    content, match = BAD_SOUNDS[case]
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(FileFormatError, match=match):
        read(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("kind", "bits", "stored"),
    [
        (1, 8, (SAMPLES // 256 + 128).astype("u1").tobytes()),
        (1, 24, b"".join(struct.pack("<i", int(s) << 8)[:3] for s in SAMPLES)),
        (1, 32, (SAMPLES.astype("<i4") << 16).tobytes()),
        (3, 32, (SAMPLES / 2**15).astype("<f4").tobytes()),
        (3, 64, (SAMPLES / 2**15).astype("<f8").tobytes()),
    ],
)
def test_depths_of_samples(tmp_path, kind, bits, stored):
    (tmp_path / "a.wav").write_bytes(wav(stored, kind=kind, bits=bits))
    found = read(tmp_path / "a.wav").values.ravel()
    wanted = SAMPLES // 256 * 256 if bits == 8 else SAMPLES
    np.testing.assert_array_equal(found, wanted / 2**15)


def test_sounds_of_the_extensible_kind_and_of_other_machines(tmp_path):
    form = struct.pack("<HHIIHH", 0xFFFE, 2, 8000, 32000, 4, 16)
    guid = struct.pack("<H", 1) + b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
    form += struct.pack("<HHI", 22, 16, 3) + guid
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"LIST\3\0\0\0abc\0"
    chunks += b"data" + struct.pack("<I", SAMPLES.nbytes) + SAMPLES.tobytes()
    (tmp_path / "a.wav").write_bytes(
        b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
    )
    np.testing.assert_array_equal(read(tmp_path / "a.wav").values, SAMPLES.reshape(50, 2) / 2**15)
    big = b"RIFX" + struct.pack(">I", 136) + b"WAVEfmt "
    big += struct.pack(">IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16) + b"data"
    big += struct.pack(">I", SAMPLES.nbytes) + SAMPLES.astype(">i2").tobytes()
    (tmp_path / "b.wav").write_bytes(big)
    np.testing.assert_array_equal(read(tmp_path / "b.wav").values[:, 0], SAMPLES / 2**15)


def test_truncated_sounds_are_read_up_to_there_and_it_is_said(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(SAMPLES.tobytes())[:-21])
    with pytest.warns(PyHiTSWarning, match="ends after 89 of its 100 samples"):
        assert read(tmp_path / "a.wav").n_rows == 89


@pytest.mark.parametrize("size", [0, 2**32 - 1])
def test_sounds_written_as_streams_do_not_know_their_length(tmp_path, size):
    (tmp_path / "a.wav").write_bytes(wav(SAMPLES.tobytes(), size=size))
    assert read(tmp_path / "a.wav").n_rows == 100


def test_rates_whose_filter_does_not_fit(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(SAMPLES.tobytes(), rate=2**31 - 1))
    with pytest.raises(DataError, match=r"samples a second, with the filter .* takes .* GB"):
        read(tmp_path / "a.wav", rate=44100)


# Parquet


def parquet(path, **columns):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as files

    table = {name: arrow.array(*c) if isinstance(c, tuple) else c for name, c in columns.items()}
    files.write_table(arrow.table({"t": T, **table}), path)
    return path


@pytest.mark.parametrize("kind", ["lists", "fixed lists", "structs", "lists of lists"])
def test_nested_columns_are_columns(tmp_path, kind):
    pa = pytest.importorskip("pyarrow")
    columns = {
        "lists": (X[:, :2].tolist(),),
        "fixed lists": (X[:, :2].tolist(), pa.list_(pa.float64(), 2)),
        "structs": ([{"u": a, "v": b} for a, b, _ in X],),
        "lists of lists": ([[[a], [b]] for a, b, _ in X],),
    }
    found = read(parquet(tmp_path / "a.parquet", x=columns[kind]))
    names = {"structs": ("x.u", "x.v"), "lists of lists": ("x.0.0", "x.1.0")}
    assert found.feature_names == names.get(kind, ("x.0", "x.1"))
    np.testing.assert_array_equal(found.values, X[:, :2])


def test_lists_of_several_lengths_are_left_out_and_said(tmp_path):
    path = parquet(tmp_path / "a.parquet", x=X[:, 0], y=([[1.0]] * 39 + [[1.0, 2.0]],))
    with pytest.warns(PyHiTSWarning, match="no numbers: 'y'"):
        assert read(path).feature_names == ("x",)


def test_missing_lists_are_missing_values(tmp_path):
    path = parquet(tmp_path / "a.parquet", x=([*X[:39, :2].tolist(), None],))
    assert np.argwhere(np.isnan(read_raw(path).arrays[0])).tolist() == [[39, 0], [39, 1]]


def test_decimals_and_dictionaries_are_numbers(tmp_path):
    pa = pytest.importorskip("pyarrow")
    exact = [decimal.Decimal(f"{value:.3f}") for value in X[:, 0]]
    coded = pa.array(np.round(X[:, 1], 1)).dictionary_encode()
    found = read(parquet(tmp_path / "a.parquet", x=(exact,), y=coded)).values
    np.testing.assert_array_equal(found[:, 0], [float(value) for value in exact])
    np.testing.assert_array_equal(found[:, 1], np.round(X[:, 1], 1))


def test_tables_larger_than_memory(tmp_path, monkeypatch):
    path = parquet(tmp_path / "a.parquet", x=X[:, 0])
    monkeypatch.setattr(limits, "memory", lambda: 600)
    with pytest.raises(DataError, match="A table of 40 rows takes 640 bytes"):
        read(path)


@pytest.mark.parametrize("kind", ["U", "S", "O"])
def test_dates_written_as_texts_are_times(tmp_path, kind):
    days = np.datetime_as_string(np.datetime64("2024-01-01") + np.arange(5))
    x = np.arange(10.0).reshape(5, 2) ** 2
    if kind == "O":
        h5py = pytest.importorskip("h5py")
        path = tmp_path / "texts.h5"
        with h5py.File(path, "w") as file:
            file["x"] = x
            file.create_dataset("date", data=days.tolist(), dtype=h5py.string_dtype())
    else:
        path = tmp_path / "texts.npz"
        np.savez(path, x=x, date=days.astype(kind))
    data = pyhits.read(path)
    assert (data.dt, data.span()) == (86400.0, ("2024-01-01", "2024-01-05"))


def test_texts_that_are_no_dates_are_said_to_be_left_out(tmp_path):
    path = tmp_path / "texts.npz"
    np.savez(path, x=np.arange(10.0).reshape(5, 2) ** 2, time=np.array(list("abcde")))
    with pytest.warns(PyHiTSWarning, match="'time' holds texts"):
        assert pyhits.read(path).dt == 1.0
