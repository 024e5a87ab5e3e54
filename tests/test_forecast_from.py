"""Going on from the end of a recording: where it starts, what shape it has, what is refused."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import circles, quick
from typer.testing import CliRunner, Result

import pyhits
from pyhits import plots
from pyhits.cli.app import app
from pyhits.encoders import DelayEmbedding
from pyhits.errors import ArgumentError, DataError, NotFittedError, PyHiTSWarning

DATA = circles(6, 60)
RUNNER = CliRunner()


def run(*arguments: object) -> Result:
    return RUNNER.invoke(app, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def plain() -> pyhits.HiTS:
    return quick(step_sizes=[1, 2]).fit(DATA)


@pytest.fixture(scope="module")
def delayed() -> pyhits.HiTS:
    model = quick(step_sizes=[1, 2], encoder=DelayEmbedding(2, lag=3)).fit(DATA.select(["x"]))
    # Its own forecasts, without those of baselines that look at more rows.
    model.stepper_ = replace(model.stepper_, blend=None)
    return model


def test_it_goes_on_from_the_last_row(plain):
    rows = DATA[0]
    np.testing.assert_array_equal(plain.forecast_from(rows, 9), plain.forecast(rows[-1], 9))
    several = plain.forecast_from(DATA, 9)
    assert several.shape == (6, 10, 2)
    np.testing.assert_array_equal(several[:, 0], DATA.to_array()[:, -1])
    np.testing.assert_array_equal(several, plain.forecast(DATA.to_array()[:, -1], 9))
    for same in (DATA.to_array(), list(DATA), [DATA[k][-20 + k :] for k in range(6)]):
        np.testing.assert_array_equal(plain.forecast_from(same, 9), several)


def test_with_delays_it_takes_the_last_rows(delayed):
    recording = DATA.select(["x"])
    assert delayed.start_rows_ == 4
    ahead = delayed.forecast_from(recording[0], 9)
    np.testing.assert_array_equal(ahead, delayed.forecast(recording[0][-4:], 9))
    np.testing.assert_allclose(ahead[0], recording[0][-1])
    several = delayed.forecast_from(recording, 9)
    np.testing.assert_array_equal(several, delayed.forecast(recording.to_array()[:, -4:], 9))
    exact = circles(6, 70).select(["x"]).to_array()[:, 60:70]
    np.testing.assert_allclose(several, exact, atol=0.02)


def test_only_the_last_rows_count(delayed):
    rows = DATA.select(["x"])[0].copy()
    whole = delayed.forecast_from(rows, 5)
    rows[:-4] = np.nan
    np.testing.assert_array_equal(delayed.forecast_from(rows, 5), whole)
    np.testing.assert_array_equal(delayed.forecast_from(rows[-4:].astype(np.float64), 5), whole)


def test_frames_and_films_are_recordings_too(plain):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"t": DATA.times(), "y": DATA[0][:, 1], "x": DATA[0][:, 0]})
    ahead = plain.forecast_from(frame, 4)
    assert list(ahead.columns) == ["t", "y", "x"]
    np.testing.assert_array_equal(ahead[["x", "y"]], plain.forecast(DATA[0][-1], 4))
    np.testing.assert_allclose(ahead["t"], DATA.times()[-1] + DATA.dt * np.arange(5))
    film = DATA.to_array().reshape(6, 61, 1, 2)
    model = quick(step_sizes=[1, 2]).fit(film, dt=0.1, grid=(1, 2))
    assert model.forecast_from(film[0], 4).shape == (5, 1, 2)
    assert model.forecast_from(film, 4).shape == (6, 5, 1, 2)


def test_options_are_those_of_forecast(plain, tmp_path):
    at = plain.forecast_from(DATA[0], t=[0.0, 0.25])
    np.testing.assert_array_equal(at, plain.forecast(DATA[0][-1], t=[0.0, 0.25]))
    one = plain.forecast_from(DATA[0], 6, step_sizes=[2])
    np.testing.assert_array_equal(one, plain.forecast(DATA[0][-1], 6, step_sizes=[2]))
    later = pyhits.Trajectories(DATA, start_times=3.0)
    states = plain.forecast_from(later, 5, out=tmp_path / "a.npy")
    np.testing.assert_array_equal(states, plain.forecast_from(DATA, 5))
    assert '"start_times": 9.0' in (tmp_path / "a.npy.json").read_text()
    with pytest.raises(TypeError, match="step_size"):
        plain.forecast_from(DATA, 5, step_size=2)


def test_what_is_refused(plain, delayed):
    with pytest.raises(DataError, match=r"Trajectory 1 has 3 rows; .* take 4 to go on from"):
        delayed.forecast_from([np.zeros((5, 1)), np.zeros((3, 1))], 5)
    with pytest.raises(DataError, match="3 features"):
        plain.forecast_from(np.zeros((5, 3)), 5)
    with pytest.raises(ArgumentError, match="either n_steps or"):
        plain.forecast_from(DATA)
    with pytest.raises(NotFittedError):
        pyhits.HiTS().forecast_from(DATA, 5)


# The command line


@pytest.fixture(scope="module")
def files(plain, delayed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("after")
    plain.save(folder / "m.safetensors")
    delayed.save(folder / "d.safetensors")
    pyhits.write(pyhits.Trajectories(DATA[[0]], start_times=2.0), folder / "recording.csv")
    return folder


def test_after_goes_on_from_the_recordings_last_time(files, plain, tmp_path):
    out = tmp_path / "later.csv"
    done = run(
        "forecast", files / "m.safetensors", "--after", files / "recording.csv",
        "--steps", 20, "-o", out,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    later = pyhits.read(out)
    np.testing.assert_allclose(later.times(), 8.0 + 0.1 * np.arange(21))
    np.testing.assert_allclose(later[0], plain.forecast_from(DATA[0], 20), atol=1e-12)


def test_after_the_first_part(files, delayed, tmp_path):
    out = tmp_path / "later.npz"
    pyhits.write(DATA.select(["x"]), tmp_path / "x.npz")
    done = run(
        "forecast", files / "d.safetensors", "--after", tmp_path / "x.npz",
        "--without-last", 11, "--steps", 5, "-o", out,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    later = pyhits.read(out)
    assert later.start_times == pytest.approx(np.full(6, 4.9))
    np.testing.assert_allclose(later.initial_states, DATA.select(["x"]).to_array()[:, 49])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "Give either --from"),
        (["--from", "a.csv", "--after", "a.csv"], "Give either --from"),
        (["--from", "a.csv", "--without-last", "0.2"], "--without-last goes with --after"),
        (["--after", "a.csv", "--without-last", "1.5"], "a share of the rows such as 0.2"),
        (["--after", "a.csv", "--without-last", "some"], "a share of the rows such as 0.2"),
    ],
)
def test_either_from_or_after(files, options, message, tmp_path):
    model = files / "m.safetensors"
    done = run("forecast", model, *options, "--steps", 5, "-o", tmp_path / "a.csv")
    assert done.exit_code == 2
    assert message in done.stderr


def test_hybrids_go_on_too(files, tmp_path):
    system = pyhits.systems.get("van-der-pol")
    data = system.simulate(n_trajectories=4, n_steps=60, random_state=0)
    quick(step_sizes=[1, 4]).fit(data).save(tmp_path / "v.safetensors")
    pyhits.write(data, tmp_path / "v.npz")
    out = tmp_path / "out.npz"
    done = run(
        "forecast", tmp_path / "v.safetensors", "--after", tmp_path / "v.npz", "--steps", 8,
        "--hybrid", "rk4", "--system", "van-der-pol", "--step-sizes", "4", "-o", out,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    later = pyhits.read(out)
    np.testing.assert_allclose(later.initial_states, data.to_array()[:, -1])
    np.testing.assert_allclose(later.start_times, 60 * data.dt)


# Times go on where recordings stop


@pytest.mark.parametrize("dated", [False, True])
def test_intervals_go_on_at_the_recordings_last_time(plain, dated):
    pandas = pytest.importorskip("pandas")
    times = 3.0 + DATA.times()
    index = pandas.Index(times, name="t")
    if dated:
        index = pandas.date_range("2023-03-25", periods=61, freq="h", tz="Europe/Berlin")
    frame = pandas.DataFrame(DATA[0], columns=["x", "y"], index=index)
    model = plain if not dated else quick(step_sizes=[1, 2]).fit(frame)
    found = model.forecast_from(frame, 6, interval=0.5)
    later = model.forecast_from(frame, 6)
    assert list(found.to_dataframe().index) == list(later.index)
    stamps = found.to_xarray()["time"].values
    np.testing.assert_array_equal(stamps, found.stamps())
    assert stamps[0] == (index[-1].tz_localize(None) if dated else times[-1])
    axes = found.plot(features="x", residual=False, ax=plots.blank())
    past, *_, ahead = axes.lines
    assert past.get_xdata()[-1] == ahead.get_xdata()[0]


def test_arrays_count_their_rows(plain):
    found = plain.forecast_from(DATA[0], 5, interval=0.5)
    np.testing.assert_allclose(found.stamps(), 0.1 * (60 + np.arange(6)))
    np.testing.assert_allclose(found.past.times()[-1], 6.0)
    np.testing.assert_allclose(found.times, 0.1 * np.arange(6))
    assert repr(found).startswith("Forecast(6 rows to 6.5,")
    later = circles(1, 80).split_time(20)[1]
    truth = found.plot(later, ax=plots.blank())[0].lines[2]
    np.testing.assert_array_equal(truth.get_ydata(), later.values[:6, 0])


def test_times_have_no_digits_that_steps_added_up_leave(plain, tmp_path):
    pandas = pytest.importorskip("pandas")
    t = np.array([float(f"{k / 10:.1f}") for k in range(200)])
    rows = np.column_stack([np.cos(t), np.sin(t)]) * 0.5
    frame = pandas.DataFrame({"t": t, "x": rows[:, 0], "y": rows[:, 1]})
    later = plain.forecast_from(frame, 3)
    assert later["t"].tolist() == [19.9, 20.0, 20.1, 20.2]
    frame.to_csv(tmp_path / "a.csv", index=False)
    pyhits.write(pyhits.read(tmp_path / "a.csv"), tmp_path / "b.csv")
    assert pandas.read_csv(tmp_path / "b.csv").iloc[:, 0].tolist() == t.tolist()


@pytest.mark.parametrize("timed", [False, True])
def test_earlier_gaps_of_frames_do_not_count(plain, timed):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(DATA[0], columns=["x", "y"])
    frame.loc[[0, 30], "x"] = np.nan
    whole = pandas.DataFrame(DATA[0], columns=["x", "y"])
    if timed:
        frame["t"] = whole["t"] = 3 + DATA.times()
    later = plain.forecast_from(frame, 4)
    np.testing.assert_array_equal(later[["x", "y"]], plain.forecast_from(whole, 4)[["x", "y"]])
    begin = plain.forecast_from(frame, 4, interval=0.5).stamps()[0]
    assert begin == pytest.approx(DATA.times()[-1] + 3 * timed)
    frame.loc[60, "y"] = np.nan
    with pytest.raises(DataError, match="NaN in trajectory 0"):
        plain.forecast_from(frame, 4)
    with pytest.raises(DataError, match=r"features, .* 2\. 'y' is lacking"):
        plain.forecast_from(whole.drop(columns="y"), 4)


def test_recordings_that_end_apart_have_their_own_times(plain):
    ragged = [pyhits.Trajectories(DATA[k][: 40 + 9 * k], 0.1) for k in range(2)]
    rows = pyhits.Trajectories([one[0] for one in ragged], 0.1)
    found = plain.forecast_from(rows, 3, interval=0.5)
    labelled = found.to_xarray()
    np.testing.assert_allclose(labelled["time"], [0, 0.1, 0.2, 0.3])
    np.testing.assert_allclose(labelled["valid_time"][:, 0], [3.9, 4.8])
    np.testing.assert_allclose(found.to_dataframe().loc[1].index, 4.8 + 0.1 * np.arange(4))


@pytest.mark.parametrize("names", [["a", "a"], [0, 1], ["a", None]])
def test_frames_keep_their_columns_and_index(names):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(DATA[0], columns=names, index=5 + DATA.times())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PyHiTSWarning)  # names are made
        model = quick(step_sizes=[1, 2]).fit(frame)
        later = model.forecast_from(frame, 4)
    pandas.testing.assert_index_equal(later.columns, frame.columns)
    np.testing.assert_allclose(later.index, frame.index[-1] + 0.1 * np.arange(5))
    assert later.shape == (5, 2)


@pytest.mark.parametrize("named", [None, "tick"])
def test_a_frame_of_one_row_is_enough_and_keeps_its_time(plain, named):
    pandas = pytest.importorskip("pandas")
    index = pandas.Index(5 + DATA.times(), name=named)
    frame = pandas.DataFrame(DATA[0], columns=["x", "y"], index=index)
    later = plain.forecast_from(frame[-1:], 4)
    pandas.testing.assert_frame_equal(later, plain.forecast_from(frame, 4))


def test_a_value_that_the_end_lacks_is_named_where_it_is(plain):
    rows = np.array(DATA[0])
    rows[3], rows[-1, 1] = np.nan, np.nan
    with pytest.raises(DataError, match=rf"but row {len(rows) - 1}, column 'y' is nan"):
        plain.forecast_from(rows, 4)
    with pytest.raises(DataError, match=rf"trajectory 1, row {len(rows) - 1}, column 'y' is nan"):
        plain.forecast_from(np.stack([DATA[0], rows]), 4)
