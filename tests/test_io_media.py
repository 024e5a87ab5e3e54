"""Sounds and films: units, shapes, colours, rates, what is refused, and the way back."""

from __future__ import annotations

import importlib
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile

import pyhits
from pyhits.data import limits
from pyhits.data.files import film as film_format
from pyhits.data.files.media import FILMS
from pyhits.data.statistics import spread
from pyhits.data.trajectories import Trajectories
from pyhits.errors import (
    ArgumentError,
    DataError,
    FileFormatError,
    MissingExtraError,
    PyHiTSWarning,
)

COLOURS = np.array([[200, 30, 40], [20, 180, 60], [30, 60, 220], [240, 220, 20]])


def sine(n: int = 2000, rate: int = 4000) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * 100 * np.arange(n) / rate)


def stripes(n: int = 8, height: int = 32, width: int = 48) -> np.ndarray:
    """Four upright stripes of colour, and a white bar at the top left that grows by the frame."""
    pictures = np.zeros((n, height, width, 3), np.float32)
    pictures[:] = np.repeat(COLOURS, width // 4, axis=0)
    for k in range(n):
        pictures[k, : height // 4, : 4 * k + 4] = 255
    return pictures


def as_data(pictures: np.ndarray, dt: float = 0.04) -> Trajectories:
    rows = pictures.reshape(len(pictures), -1)
    return Trajectories(rows, dt, grid=pictures.shape[1:])


# Sound


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_sound_of_16_bits_comes_back_exactly(tmp_path, channels):
    rng = np.random.default_rng(channels)
    stored = rng.integers(-(2**15), 2**15, (400, channels)).astype(np.int16)
    wavfile.write(tmp_path / "a.wav", 8000, stored)
    data = pyhits.read(tmp_path / "a.wav")
    assert (data.dt, data.n_rows, data.n_features) == (1 / 8000, 400, channels)
    np.testing.assert_array_equal(data[0], stored / 2**15)
    if channels < 3:
        assert data.feature_names == {1: ("sound",), 2: ("left", "right")}[channels]
    pyhits.write(data, tmp_path / "b.wav")
    assert pyhits.read(tmp_path / "b.wav") == data
    rate, again = wavfile.read(tmp_path / "b.wav")
    assert rate == 8000
    np.testing.assert_array_equal(again.reshape(stored.shape), stored)


def test_rate_mono_and_stretch(tmp_path):
    both = np.stack([sine(), -0.5 * sine()], axis=1)
    wavfile.write(tmp_path / "a.wav", 4000, both.astype(np.float32))
    data = pyhits.read(tmp_path / "a.wav", rate=1000, mono=True, stretch=(0.1, 0.3))
    assert (data.n_rows, data.n_features, data.dt) == (200, 1, 0.001)
    assert data.start_times[0] == pytest.approx(0.1)
    exact = 0.125 * np.sin(2 * np.pi * 100 * data.times())
    np.testing.assert_allclose(data[0][20:-20, 0], exact[20:-20], atol=2e-3)
    frames = pyhits.read(tmp_path / "a.wav", time_column="none", dt=2.0)
    assert frames.dt == 2.0


def test_clipping_is_said(tmp_path):
    data = Trajectories([0.0, 2.0, -3.0, 0.5], 0.001)
    with pytest.warns(PyHiTSWarning, match=r"50\.00% of the samples .* up to 3; they are clipped"):
        pyhits.write(data, tmp_path / "a.wav")
    back = pyhits.read(tmp_path / "a.wav")[0][:, 0]
    np.testing.assert_allclose(back, [0, 1, -1, 0.5], atol=1e-4)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Trajectories(np.zeros((2, 5, 1)), 0.1), "one recording, but there are 2"),
        (Trajectories(np.zeros((5, 100)), 0.1), "up to 64 channels"),
        (Trajectories(np.zeros((5, 1)), 3.0), "whole number of samples a second, but dt is 3"),
        (Trajectories(np.zeros((5, 1)), 0.3), "dt is 0.3"),
    ],
)
def test_what_is_no_sound(tmp_path, data, message):
    with pytest.raises(DataError, match=message):
        pyhits.write(data, tmp_path / "a.wav")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stretch": (0.2, 9)}, "within the 0.5 seconds"),
        ({"stretch": (2, 1)}, "earlier to a later"),
        ({"stretch": 3}, "two times in seconds"),
        ({"rate": 0}, "rate to be at least 1"),
        ({"mono": "yes"}, "mono to be True or False"),
        ({"height": 20}, r"height is for \.mp4"),
        ({"dt": 0.1}, "the data's own times step by"),
        ({"time_column": "t"}, "no columns"),
        ({"variable": "x"}, "no named arrays"),
    ],
)
def test_options_that_a_sound_does_not_have(tmp_path, options, message):
    wavfile.write(tmp_path / "a.wav", 4000, sine().astype(np.float32))
    with pytest.raises(ArgumentError, match=message):
        pyhits.read(tmp_path / "a.wav", **options)


def test_a_table_has_no_rate(tmp_path):
    pyhits.write(Trajectories([1.0, 2.0], 1.0), tmp_path / "a.csv")
    for option in ({"rate": 5}, {"grey": True}, {"stretch": (0, 1)}):
        with pytest.raises(ArgumentError, match=f"{next(iter(option))} is for"):
            pyhits.read(tmp_path / "a.csv", **option)


# Films


@pytest.fixture
def av() -> Any:
    return pytest.importorskip("av")


@pytest.mark.usefixtures("av")
@pytest.mark.parametrize("extension", FILMS)
def test_colours_places_and_rate_come_back(tmp_path, extension):
    written = as_data(stripes())
    path = pyhits.write(written, tmp_path / f"a{extension}")
    back = pyhits.read(path)
    assert (back.n_rows, back.snapshot, back.dtype) == (8, (32, 48, 3), np.float32)
    assert back.dt == pytest.approx(0.04)
    pictures = back[0].reshape(8, 32, 48, 3)
    middles = pictures[:, 20, 6::12]
    np.testing.assert_allclose(middles, np.broadcast_to(COLOURS, middles.shape), atol=8)
    assert pictures[4, 3, 8:16].min() > 230
    np.testing.assert_allclose(pictures[4, 3, -4], COLOURS[-1], atol=20)


@pytest.mark.usefixtures("av")
def test_grey_and_smaller(tmp_path):
    path = pyhits.write(as_data(stripes(height=64, width=96)), tmp_path / "a.mp4")
    data = pyhits.read(path, grey=True, height=32)
    assert data.snapshot == (32, 48)
    luma = COLOURS @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(data[0].reshape(8, 32, 48)[0, 20, 6::12], luma, atol=4)
    again = pyhits.read(pyhits.write(data, tmp_path / "b.mp4"), grey=True)
    np.testing.assert_allclose(again[0], data[0], atol=25)
    assert np.abs(again[0] - data[0]).mean() < 2


@pytest.mark.usefixtures("av")
def test_a_stretch_of_a_film(tmp_path):
    path = pyhits.write(as_data(stripes(), 1 / 8), tmp_path / "a.mp4")
    whole, some = pyhits.read(path), pyhits.read(path, stretch=(0.25, 0.75))
    assert some.start_times[0] == pytest.approx(0.25)
    np.testing.assert_array_equal(some[0], whole[0][2:6])
    with pytest.raises(ArgumentError, match="within the 1 seconds"):
        pyhits.read(path, stretch=(7, 8))


@pytest.mark.usefixtures("av")
def test_odd_sizes_repeat_the_border(tmp_path):
    data = as_data(stripes()[:, :31, :45])
    with pytest.warns(PyHiTSWarning, match="31 x 45 repeat their last row or column"):
        pyhits.write(data, tmp_path / "a.mp4")
    assert pyhits.read(tmp_path / "a.mp4").snapshot == (32, 46, 3)
    assert pyhits.read(pyhits.write(data, tmp_path / "a.gif")).snapshot == (31, 45, 3)


@pytest.mark.usefixtures("av")
def test_an_upright_film_of_a_telephone(tmp_path):
    """Cameras held upright write lying pictures and say by how much to turn them."""
    path = pyhits.write(as_data(stripes()), tmp_path / "a.mp4")
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 40
    turned = [0, 1, 0, -1, 0, 0, 0, 0, 1 << 14]
    matrix = b"".join(
        (value << (0 if k == 8 else 16)).to_bytes(4, "big", signed=True)
        for k, value in enumerate([*turned[:8], 1 << 30])
    )
    content[place : place + 36] = matrix
    path.write_bytes(content)
    data = pyhits.read(path)
    assert data.snapshot == (48, 32, 3)
    pictures = data[0].reshape(8, 48, 32, 3)
    # Turned to the right: the first stripe is on top, the white bar at the right.
    np.testing.assert_allclose(pictures[0, 6::12, 12], COLOURS, atol=8)
    assert pictures[4, :16, -3].min() > 230
    assert pyhits.read(path, height=24).snapshot == (24, 16, 3)


@pytest.mark.usefixtures("av")
def test_numbers_that_are_no_brightness(tmp_path):
    wide = stripes()
    wide[:, :, ::2] += 300
    with pytest.warns(PyHiTSWarning, match=r"5\d% of the numbers are beyond 0 and 255"):
        pyhits.write(as_data(wide), tmp_path / "a.mp4")
    with pytest.warns(PyHiTSWarning, match=r"to 1, where pictures go .* black"):
        pyhits.write(as_data(stripes() / 255), tmp_path / "a.mp4")


@pytest.mark.usefixtures("av")
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Trajectories(np.zeros((5, 12)), 0.1), "the shape none"),
        (Trajectories(np.zeros((5, 12)), 0.1, grid=(2, 3, 2)), r"the shape \(2, 3, 2\)"),
        (Trajectories(np.zeros((2, 5, 12)), 0.1, grid=(3, 4)), "there are 2 trajectories"),
    ],
)
def test_what_is_no_film(tmp_path, data, message):
    with pytest.raises(DataError, match=message):
        pyhits.write(data, tmp_path / "a.mp4")
    assert not any(tmp_path.iterdir())


def test_files_that_are_no_film(tmp_path, av):
    (tmp_path / "a.mp4").write_text("a letter about a film\n" * 9)
    with pytest.raises(FileFormatError, match=r"to be a film, .* but it is a text file"):
        pyhits.read(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_bytes(b"\0\1" * 5000)
    with pytest.raises(FileFormatError, match="cannot be read as a film"):
        pyhits.read(tmp_path / "b.mp4")
    wavfile.write(tmp_path / "c.avi", 4000, sine().astype(np.float32))
    with pytest.raises(FileFormatError, match="no pictures"):
        pyhits.read(tmp_path / "c.avi")
    pyhits.write(Trajectories([1.0, 2.0], 1.0), tmp_path / "d.npz").rename(tmp_path / "d.wav")
    with pytest.raises(FileFormatError, match=r"but it is a NumPy \.npz"):
        pyhits.read(tmp_path / "d.wav")


@pytest.mark.usefixtures("av")
def test_a_film_too_large_is_refused_at_once(tmp_path, monkeypatch):
    path = pyhits.write(as_data(stripes()), tmp_path / "a.mp4")
    monkeypatch.setattr(limits, "memory", lambda: 100_000)
    with pytest.raises(DataError, match=r"8 frames of 4608 numbers .*height"):
        pyhits.read(path)
    assert pyhits.read(path, height=16).n_rows == 8


def test_frames_that_a_small_file_cannot_hold_are_not_decoded(tmp_path):
    """The header of a few bytes says frames of a gigabyte."""
    path = tmp_path / "small.gif"
    shape = (12, 16)
    pyhits.write(Trajectories(np.full((4, 192), 100.0), 0.1, grid=shape), path)
    assert pyhits.read(path, grey=True).snapshot == shape
    film = bytearray(path.read_bytes())
    film[6:10] = np.array([20000, 15000], "<u2").tobytes()
    path.write_bytes(film)
    with pytest.raises(FileFormatError, match=r"small.gif .*(damaged|can hold)"):
        pyhits.read(path)


def test_without_pyav_an_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(64))
    load = importlib.import_module

    def missing(name: str, *rest: Any) -> Any:
        if name == "av":
            raise ImportError(name)
        return load(name, *rest)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r'needs av: pip install "pyhits\[video\]"'):
        pyhits.read(tmp_path / "a.mp4")
    with pytest.raises(MissingExtraError, match=r"pyhits\[video\]"):
        pyhits.write(as_data(stripes()), tmp_path / "b.mp4")


def test_the_step_of_frames():
    step = film_format._step
    rate = Fraction(30000, 1001)
    rounded = [round(k / rate, 3) for k in range(100)]
    assert step(rounded, rate) == float(1 / rate)
    assert step([0.0, 0.5, 1.0], None) == 0.5
    # What the film says of its rate is wrong.
    assert step([0.0, 0.5, 1.0], Fraction(25)) == 0.5
    assert step([0.0], Fraction(25)) == 0.04
    assert step([0.0], Fraction(0)) is None
    with pytest.warns(PyHiTSWarning, match=r"not evenly spaced, but up to 0\.167 s"):
        assert step([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.9, 1.0, 1.1, 1.2], None) > 0.1


# The shape of a snapshot


def test_parts_keep_the_shape_and_archives_too(tmp_path):
    data = as_data(stripes(20, 4, 8))
    begin, rest = data.split_time(0.2)
    parts = [begin, rest, data.cut(5), data[[0]], data.with_dt(1.0), Trajectories(data)]
    assert all(part.snapshot == (4, 8, 3) for part in parts)
    assert data.select(["x0"]).snapshot is None
    assert "4 x 8 x 3 numbers" in repr(data)
    for extension in (".npz", ".mat", ".h5", ".nc"):
        assert pyhits.read(pyhits.write(data, tmp_path / f"a{extension}")) == data
    with pytest.raises(ArgumentError, match="grid of rows of 96 numbers"):
        Trajectories(data, grid=(4, 9, 3))


def test_fields_in_archives_are_read_as_rows(tmp_path):
    field = np.random.default_rng(0).standard_normal((10, 4, 5))
    np.savez(tmp_path / "a.npz", u=field, t=0.1 * np.arange(10))
    data = pyhits.read(tmp_path / "a.npz", grid=(4, 5))
    assert (data.snapshot, data.dt) == ((4, 5), pytest.approx(0.1))
    np.testing.assert_array_equal(data[0], field.reshape(10, 20))
    np.save(tmp_path / "a.npy", np.stack([field, field]))
    assert len(pyhits.read(tmp_path / "a.npy", grid=[4, 5])) == 2
    for wrong, message in (
        ((4, 6), "which holds 24"),
        (5, "shape of a grid"),
        ("abc", "Expected a grid"),
    ):
        with pytest.raises(ArgumentError, match=message):
            pyhits.read(tmp_path / "a.npz", grid=wrong)


def test_split_time_by_rows_and_with_overlap():
    data = Trajectories([np.arange(10.0), np.arange(7.0)], 0.5)
    begin, rest = data.split_time(3, overlap=4)
    assert (begin.lengths.tolist(), rest.lengths.tolist()) == ([7, 4], [7, 7])
    assert rest.start_times.tolist() == [1.5, 0.0]
    np.testing.assert_array_equal(rest[0][:4], begin[0][-4:])
    with pytest.raises(DataError, match="Trajectory 1 has 7 rows, of which 2 lie before"):
        data.split_time(5, overlap=3)


def test_the_spread_is_numpys():
    values = np.random.default_rng(0).standard_normal((50, 300)).astype(np.float32)
    data = Trajectories(values, 1.0)
    exact = values.std(axis=0, dtype=np.float64)
    np.testing.assert_array_equal(data.spread(), exact)
    np.testing.assert_allclose(spread(values, at_once=128), exact, rtol=1e-14)


@pytest.mark.usefixtures("av")
def test_a_film_is_fitted_and_forecast_in_its_shape(tmp_path):
    t = 0.1 * np.arange(60)
    base, other = np.random.default_rng(0).uniform(20, 60, (2, 8, 12, 3))
    pictures = 100 + base * np.cos(t)[:, None, None, None] + other * np.sin(t)[:, None, None, None]
    film = as_data(pictures.astype(np.float32), 0.1)
    common = pyhits.encoders.Standardise(common=True)
    model = pyhits.HiTS(
        [1, 2], encoder=[pyhits.encoders.POD(2), common], n_jobs=1, random_state=0, verbose=False
    )
    model.fit(film)
    assert model.coordinates_.snapshot == (8, 12, 3)
    states = model.forecast(pictures[0].astype(np.float32), 30)
    assert states.shape == (31, 8, 12, 3)
    np.testing.assert_allclose(states, pictures[:31], atol=1.0)
    ahead = model.forecast_from(film.cut(31), 20)
    assert ahead.shape == (1, 21, 8, 12, 3)
    np.testing.assert_allclose(ahead[0], pictures[30:51], atol=1.0)
    with pytest.raises(ArgumentError, match=r"rows of 288 numbers, got \(8, 11, 3\)"):
        pyhits.HiTS([1, 2]).fit(film, grid=(8, 11, 3))


def test_still_pictures_take_no_more_memory_than_their_bytes_answer_for(tmp_path):
    pytest.importorskip("av")
    picture = b"\x21\xf9\x04\x00\x0a\x00\x00\x00\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\x00"
    size = (2000).to_bytes(2, "little") + (1500).to_bytes(2, "little")
    whole = b"\x2c\0\0\0\0" + size + b"\0\x02" + 3 * (b"\xff\x44\x01" + bytes(253)) + b"\0"
    path, begin = tmp_path / "still.gif", b"GIF89a" + size + b"\xf0\0\0" + bytes(6)
    path.write_bytes(begin + 140 * picture + b"\x3b")
    with pytest.raises(FileFormatError, match="2000 x 1500, but its pictures can fill 1 x 1"):
        pyhits.read(path)
    path.write_bytes(begin + whole + 140 * picture + b"\x3b")
    with pytest.raises(DataError, match=r"frames of 9000000 numbers and more .* 4020 bytes"):
        pyhits.read(path)
    assert pyhits.read(path, height=30).n_features == 30 * 40 * 3
