"""Forecasts with intervals: coverage of fresh data, what is refused, files, and the commands."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from conftest import circles, quick
from scipy.stats import binom
from typer.testing import CliRunner

import pyhits
from pyhits import Trajectories
from pyhits.cli.app import app
from pyhits.encoders import POD, DelayEmbedding
from pyhits.errors import ArgumentError, DataError, FileFormatError, PyHiTSWarning
from pyhits.fit import calibrating
from pyhits.policies import arguments
from pyhits.report.text import describe, facts
from pyhits.util.tensorfile import read_tensors, write_tensors

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import intervals

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def model() -> pyhits.HiTS:
    """A model that is not worth much: small nets, hardly trained."""
    return quick(step_sizes=[1, 4], polynomial_degree=0, interpolation="linear").fit(
        circles(100, 60)
    )


def inside(found: pyhits.Forecast, truth: np.ndarray) -> np.ndarray:
    return (found.low <= truth) & (truth <= found.high)


# What is promised


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_fresh_trajectories_are_covered_as_often_as_promised(
    model: pyhits.HiTS, level: float, tmp_path: Path
) -> None:
    """Calibrated on 400, counted over 400: each variable at each time, within what both allow."""
    loaded = pyhits.load(model.save(tmp_path / "m.safetensors"))
    calibrated = loaded.calibrated(circles(400, 60, seed=5))
    fresh = circles(400, 60, seed=6)
    found = calibrated.forecast(fresh, 60, interval=level, on_divergence="return")
    shares = inside(found, fresh.to_array())[:, 1:].mean(axis=0)
    calibration = calibrated.calibration
    assert calibration is not None
    low, high = (binom.ppf(q, 400, level) / 400 for q in (1e-5, 1 - 1e-5))
    room = 4 * np.sqrt(level * (1 - level) / 400)
    assert (shares >= low - room).all()
    # Between calibrated steps widths are interpolated, at them they are exact.
    assert (shares[calibration.steps - 1] <= high + room).all()
    assert abs(shares.mean() - level) < room


def test_a_fit_keeps_errors_of_the_trajectories_that_it_held_out(model: pyhits.HiTS) -> None:
    """The widths are the ranked errors of the plain forecasts of these, by hand.

    Those of the training trajectories count as well, since a net of eight units errs alike on them.
    """
    calibration = model.calibration_
    assert calibration is not None
    assert (calibration.n_rollouts, calibration.n_trained) == (100, 80)
    assert calibration.horizon == 60
    data = circles(100, 60)
    errors = np.abs(model.forecast(data, 60) - data.to_array())
    by_hand = np.sort(errors, axis=0)[90]  # ceil(101 * 0.9) = 91
    widths = calibration.widths(np.arange(61.0), 0.9)
    np.testing.assert_allclose(widths[calibration.steps], by_hand[calibration.steps], rtol=1e-6)
    assert "20 held-out and 80 training trajectories, which err alike" in model.notes_[-1]
    assert "by 100 trajectories, up to step 60 and level 0.99" in describe(model)
    assert facts(model)["calibration"]["n_rollouts"] == 100
    assert facts(model)["calibration"]["n_trained"] == 80


def kernel(data: Trajectories) -> pyhits.HiTS:
    settings = {"flow_map": "kernel", "step_sizes": [1, 4], "selection": [1], "noise": False}
    return pyhits.HiTS(**arguments(**settings, random_state=0, n_jobs=1, verbose=False)).fit(data)


@pytest.mark.usefixtures("few_forms")
def test_every_trajectory_is_forecast_by_closed_forms_that_have_not_seen_it() -> None:
    """Of few points fits take all in the end: errors on them would be too small."""
    data = circles(15, 60)
    found = kernel(data)
    calibration = found.calibration_
    assert calibration is not None
    assert calibration.cross_fitted
    assert calibration.n_rollouts == 15
    assert "15 trajectories, each forecast by flow maps fitted without it" in found.notes_[-1]
    assert found.held_out_ is not None
    folds = found.held_out_.folds
    rows = {row.tobytes() for row in data.values}
    for fold in folds:
        own, others = ({r.tobytes() for r in d.values} for d in (fold.data, fold.train))
        assert own | others == rows
        assert not own & others
    assert sum(len(fold.data) for fold in folds) == 15
    fresh = circles(300, 60, seed=3)
    share = inside(found.forecast(fresh, 60, interval=0.9), fresh.to_array())[:, 1:].mean()
    assert 0.8 < share < 1


@pytest.mark.usefixtures("few_forms")
@pytest.mark.parametrize(
    ("data", "features"),
    [((15, 60), ["x", "y"]), ((1, 240), ["x", "y"]), ((1, 240), ["x"]), ((3, 120), ["y"])],
    ids=["trajectories", "recording", "of one variable", "few of one variable"],
)
def test_coupling_closed_forms_anew_still_measures_on_what_they_have_not_seen(
    data: tuple[int, int], features: list[str]
) -> None:
    found = kernel(circles(*data).select(features))
    assert (found.start_rows_ > 1) == (features != ["x", "y"])
    before = found.calibration_
    found.couple([4]).couple([1])
    after = found.calibration_
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(before.scores, after.scores)
    assert before.cross_fitted == after.cross_fitted == (data[0] > 3)


def test_folds_that_cannot_be_fitted_leave_the_held_out_part() -> None:
    """Without the fold of both long trajectories none is long enough for the coarse step."""
    rows = [circles(1, 200 if n > 7 else 20, seed=n)[0] for n in range(10)]
    data = Trajectories(rows, 0.1)
    seed = next(
        seed
        for seed in range(100)
        if [len(part[-1]) for part in data.split(0.1, random_state=seed)] == [201, 201]
    )
    settings = {"flow_map": "polynomial", "step_sizes": [1, 32], "selection": [1, 32]}
    found = pyhits.HiTS(
        **arguments(**settings, validation=0.1, random_state=seed, n_jobs=1, verbose=False)
    ).fit(data)
    assert found.calibration_ is not None
    assert not found.calibration_.cross_fitted
    assert "overlapping rollouts of the held-out data," in found.notes_[-1]


def test_copies_and_pickles_leave_the_data_behind(model: pyhits.HiTS) -> None:
    import copy
    import pickle

    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert model.held_out_ is not None
        assert again.held_out_ is None
        assert again.notes_ == model.notes_
        np.testing.assert_array_equal(again.forecast([1.0, 0.0], 9), model.forecast([1.0, 0.0], 9))


def test_intervals_hold_noisy_recordings() -> None:
    """Noise is taken off before training, yet intervals are of what is recorded."""
    noisy = circles(100, 60).add_noise(0.01, random_state=0)
    found = quick(step_sizes=[1, 4], noise=True).fit(noisy)
    assert found.noise_.min() > 0
    assert found.calibration_ is not None
    assert (found.calibration_.widths(np.arange(1.0, 61.0), 0.9) > found.noise_).all()
    fresh = circles(300, 60, seed=3).add_noise(0.01, random_state=1)
    share = inside(found.forecast(fresh, 60, interval=0.9), fresh.to_array())[:, 1:].mean()
    assert 0.8 < share < 0.99


def test_one_recording_gives_overlapping_rollouts_and_no_promise() -> None:
    wave = circles(1, 400)
    found = quick(step_sizes=[1, 4]).fit(wave)
    assert found.calibration_ is not None
    assert found.calibration_.overlapping
    assert found.calibration_.horizon == 40  # half of the last fifth, which alone was held out
    forecast = found.forecast_from(wave[0][:300], 40, interval=0.9)
    assert "overlapping" in forecast.notes[-1]
    assert forecast.states.shape == (41, 2)


@pytest.mark.parametrize("data", ["too few", "reproduced"])
def test_nothing_held_out_means_no_intervals(data: str) -> None:
    if data == "too few":
        found = quick(step_sizes=[1]).fit(circles(3, 12))
    else:
        found = quick(step_sizes=[1], training="reproduce", time_limit=0.3).fit(circles(1, 20))
    assert found.calibration_ is None
    assert any(note.startswith("Intervals: none") for note in found.notes_)
    start = circles(1, 20)[0][7]
    with pytest.raises(ArgumentError, match="no calibration"):
        found.forecast(start, 5, interval=0.9)
    assert found.calibrate(circles(20, 30)).forecast(start, 5, interval=0.9).level == 0.9


def test_an_interrupted_calibration_leaves_a_whole_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(calibrating, "calibrate", interrupt)
    with pytest.warns(PyHiTSWarning, match="Interrupted"):
        found = quick(step_sizes=[1]).fit(circles(20, 30))
    assert found.calibration_ is None
    assert found.forecast([0.5, 0.5], 5).shape == (6, 2)


@pytest.mark.slow
def test_the_benchmark_counts_what_is_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"step_sizes": [1, 4], "flow_map": "polynomial", "random_state": 0}
    monkeypatch.setitem(intervals.SYSTEMS, "harmonic-oscillator", (0.1, 40))
    monkeypatch.setattr(intervals, "SETTINGS", few)
    record = intervals.measure("harmonic-oscillator", n_fit=50, n_other=400)
    assert (record["n_by_itself"], record["n_calibrated"]) == (50, 400)
    for kind, room in (("by_itself", 0.2), ("calibrated", 0.06)):
        assert len(record[kind]) == 10
        np.testing.assert_allclose(record[kind], 0.9, atol=room)
    monkeypatch.setitem(intervals.RECORDED, "van-der-pol", 0.1)
    recorded = intervals.measure_recording("van-der-pol", n_rows=600)
    assert recorded["horizon"] == 60
    np.testing.assert_allclose(recorded["one_recording"], 0.9, atol=0.1)
    json.dumps([record, recorded], allow_nan=False)


# What comes out


def test_states_are_those_of_a_plain_forecast(model: pyhits.HiTS) -> None:
    start = circles(5, 9, seed=1).initial_states
    found = model.forecast(start, 30, interval=0.8)
    np.testing.assert_array_equal(found.states, model.forecast(start, 30))
    np.testing.assert_allclose(found.high - found.states, found.states - found.low, atol=1e-12)
    np.testing.assert_array_equal(found.low[:, 0], start)
    np.testing.assert_allclose(found.times, 0.1 * np.arange(31))
    assert len(found) == 5
    one = model.forecast(start[2], 30, interval=0.8)
    assert one.low.shape == (31, 2)
    assert one.outside.shape == one.leaves.shape == ()
    assert len(one) == 1
    np.testing.assert_allclose(one.high, found.high[2], atol=1e-6)
    columns, names = one.columns(("x", "y"))
    assert names == ("x", "x_low", "x_high", "y", "y_low", "y_high")
    np.testing.assert_array_equal(columns[0, :, 5], one.high[:, 1])
    assert one.sentences()[0] == found.notes[-1]
    at = model.forecast(start, t=[0.25, 3.0, 0.0], interval=0.8)
    np.testing.assert_allclose(at.times, [0.25, 3.0, 0.0])
    np.testing.assert_allclose(at.high[:, 1], found.high[:, 30], atol=1e-6)
    np.testing.assert_array_equal(at.high[:, 2], start)
    assert model.forecast(start.astype(np.float32), 3, interval=0.8).high.dtype == np.float32
    with pytest.raises(AttributeError):
        found.level = 0.5  # type: ignore[misc]


def test_beyond_the_calibration_bounds_are_infinite_and_it_is_said(model: pyhits.HiTS) -> None:
    start = circles(5, 9, seed=1).initial_states
    with pytest.warns(PyHiTSWarning, match="reach step 60, the last"):
        far = model.forecast(start, 70, interval=0.9)
    assert np.isfinite(far.high[:, :61]).all()
    assert np.isposinf(far.high[:, 61:]).all()
    assert np.isneginf(far.low[:, 61:]).all()
    assert any("step 60" in note for note in far.notes)
    with pytest.warns(PyHiTSWarning, match="need 999 calibration rollouts, there are 100"):
        high = model.forecast(start, 5, interval=0.999)
    assert np.isinf(high.high[:, 1:]).all()


def test_what_intervals_are_not_known_of_is_refused(model: pyhits.HiTS, tmp_path: Path) -> None:
    start = [[0.5, 0.5]]
    chosen = model.selection_.step_sizes
    other = [s for s in model.flow_maps_ if (s,) != chosen][:1]
    with pytest.raises(ArgumentError, match="calibrated for the coupling"):
        model.forecast(start, 5, interval=0.9, step_sizes=other)
    with pytest.raises(ArgumentError, match="interpolation='linear'"):
        model.forecast(start, 5, interval=0.9, interpolation="cubic")
    with pytest.raises(ArgumentError, match="out="):
        model.forecast(start, 5, interval=0.9, out=tmp_path / "x.npy")
    with pytest.raises(ArgumentError, match="level between 0 and 1"):
        model.forecast(start, 5, interval=90)
    assert model.forecast(start, 5, interval=0.9, step_sizes=chosen).level == 0.9
    with pytest.raises(DataError, match="nothing to compare with"):
        quick(step_sizes=[1], encoder=DelayEmbedding(4)).fit(circles(10, 40)).calibrate(
            circles(3, 3)
        )


def test_ragged_recordings_calibrate_as_far_as_each_reaches() -> None:
    even = circles(60, 60)
    rows = [values[: 20 + k % 41] for k, values in enumerate(even)]
    found = quick(step_sizes=[1, 4], polynomial_degree=0).fit(even)
    found.calibrate(Trajectories(rows, 0.1, feature_names=["x", "y"]))
    calibration = found.calibration_
    assert calibration is not None
    lengths = np.array([len(r) - 1 for r in rows])
    for step, count in zip(calibration.steps, calibration.counts, strict=True):
        assert count == (lengths >= step).sum()
    assert calibration.reach(0.9) < lengths.max()  # too few are that long
    with pytest.warns(PyHiTSWarning, match="too many calibration"):
        found.forecast(even, 59, interval=0.9)


def test_films_and_delays_have_intervals_too() -> None:
    circle = circles(30, 60)
    patterns = np.linalg.qr(np.random.default_rng(9).standard_normal((30, 2)))[0].T
    film = (circle.to_array() @ patterns + 50).reshape(30, 61, 5, 6)
    found = quick(step_sizes=[1, 4], encoder=POD(2), dtype="float64")
    forecast = found.fit(film, dt=0.1, grid=(5, 6)).forecast(film[:3, 0], 20, interval=0.5)
    assert forecast.states.shape == forecast.low.shape == (3, 21, 5, 6)
    assert inside(forecast, forecast.states).all()
    assert found.baselines_ is not None
    assert found.evaluate(film).baselines["linear"].nrmse < 1e-3
    signal = Trajectories(circle.to_array()[..., :1], 0.1)
    delayed = quick(step_sizes=[1, 4], encoder=DelayEmbedding(2, lag=3)).fit(signal)
    ahead = delayed.forecast_from(signal, 20, interval=0.5)
    assert ahead.low.shape == (30, 21, 1)
    assert delayed.evaluate(signal).baselines["linear"].nrmse < 1e-3


# The region


def test_initial_states_outside_warn_once_and_are_told(model: pyhits.HiTS) -> None:
    start = np.array([[0.5, 0.5], [0.2, 9.0], [0.1, 0.2]])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = model.forecast(start, 5, interval=0.9, on_divergence="return")
    said = [str(w.message) for w in caught if w.category is PyHiTSWarning]
    assert len(said) == 1
    assert "1 of 3 initial states lie outside" in said[0]
    assert "y, of trajectory 1, is 9" in said[0]
    assert said[0] in found.notes
    np.testing.assert_array_equal(found.outside, [False, True, False])
    assert found.leaves[1] == 0
    with pytest.warns(PyHiTSWarning, match="y is 9, recorded were"):
        model.forecast(start[1], 5, on_divergence="return")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.forecast(start[[0, 2]], 5)


def test_states_that_leave_the_data_are_flagged_at_their_first_row() -> None:
    """Growth that was recorded up to 2.7 goes on: at 1.1 times the range it has left."""
    t = 0.1 * np.arange(11)
    rows = np.exp(t)[None, :, None] * np.linspace(0.5, 1, 60)[:, None, None]
    found = quick(step_sizes=[1], dtype="float64").fit(Trajectories(rows, 0.1))
    forecast = found.forecast([[1.0], [0.5]], 10, interval=0.5)
    np.testing.assert_array_equal(forecast.leaves, [-1, -1])
    with pytest.warns(PyHiTSWarning, match="reach step 10"):
        forecast = found.forecast([[1.0], [0.5]], 20, interval=0.5)
    limit = np.e + 0.1 * (np.e - 0.5)
    expected = [int(np.ceil(np.log(limit / start) / 0.1)) for start in (1.0, 0.5)]
    np.testing.assert_array_equal(forecast.leaves, expected)


# Coupling anew, and files


def test_coupling_anew_calibrates_anew(model: pyhits.HiTS, tmp_path: Path) -> None:
    path = model.save(tmp_path / "m.safetensors")
    other = [s for s in model.flow_maps_ if (s,) != model.selection_.step_sizes][:1]
    fitted = quick(step_sizes=[1, 4], polynomial_degree=0, interpolation="linear")
    fitted.fit(circles(100, 60)).couple(other)
    assert fitted.calibration_ is not None
    assert fitted.calibration_.step_sizes == tuple(other)
    assert (fitted.calibration_.n_rollouts, fitted.calibration_.n_trained) == (100, 80)
    loaded = pyhits.load(path)
    assert loaded.coupled(model.selection_.step_sizes).calibration is not None
    with pytest.warns(PyHiTSWarning, match="those of another coupling"):
        again = loaded.coupled(other)
    assert again.calibration is None
    assert again.notes[-1].startswith("Intervals: none")
    again = loaded.coupled(other, validation=circles(30, 40, seed=2))
    assert "by 30 held-out" in again.notes[-1]
    assert sum(note.startswith("Intervals") for note in again.notes) == 1
    assert again.calibration is not None
    assert (again.calibration.n_rollouts, again.calibration.horizon) == (30, 40)


def test_a_loaded_model_knows_the_same_to_the_last_bit(model: pyhits.HiTS, tmp_path: Path) -> None:
    again = pyhits.load(model.save(tmp_path / "m.safetensors"))
    test = circles(8, 40, seed=4)
    one, two = (m.forecast(test, 40, interval=0.9) for m in (model, again))
    for name in ("states", "low", "high", "times", "outside", "leaves"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert one.notes == two.notes
    assert model.evaluate(test).baselines == again.evaluate(test).baselines
    assert (tmp_path / "m.safetensors").read_bytes() == again.save(
        tmp_path / "n.safetensors"
    ).read_bytes()


def test_older_files_load_and_say_that_there_is_no_calibration(
    model: pyhits.HiTS, tmp_path: Path
) -> None:
    path = model.save(tmp_path / "m.safetensors")
    tensors, content = read_tensors(path, what="a model")
    del content["trust"]
    kept = {k: t for k, t in tensors.items() if not k.startswith("trust.")}
    write_tensors(path, kept, content)
    old = pyhits.load(path)
    start = circles(4, 9).initial_states
    np.testing.assert_array_equal(old.forecast(start, 20), model.forecast(start, 20))
    with pytest.raises(ArgumentError, match="no calibration"):
        old.forecast(start, 20, interval=0.9)
    assert old.evaluate(circles(4, 20)).baselines == {}
    assert "none" in describe(old)
    assert old.calibrated(circles(20, 20)).forecast(start, 20, interval=0.9).level == 0.9


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trust.calibration.scores", np.ones((3, 2, 1), np.float32)),
        ("trust.calibration.steps", np.zeros(48, np.int64)),
        ("trust.calibration.counts", np.full(48, 1000)),
        ("trust.calibration.unit", np.zeros(2)),
        ("trust.region.points", np.ones((5, 3), np.float32)),
        ("trust.region.scale", np.zeros(2)),
        ("trust.baseline.linear.map", np.ones((2, 2))),
        ("trust.baseline.mean.value", np.full(2, np.nan)),
        ("trust.baseline.seasonal.template", np.ones((0, 2))),
    ],
)
def test_damaged_files_are_refused(
    model: pyhits.HiTS, tmp_path: Path, name: str, value: np.ndarray
) -> None:
    import torch

    path = model.save(tmp_path / "m.safetensors")
    tensors, content = read_tensors(path, what="a model")
    assert name in tensors
    write_tensors(path, {**tensors, name: torch.from_numpy(value)}, content)
    with pytest.raises(FileFormatError, match="damaged"):
        pyhits.load(path)


# The command line and the page


def test_the_command_line_writes_bounds_beside_states(model: pyhits.HiTS, tmp_path: Path) -> None:
    file, start = model.save(tmp_path / "m.safetensors"), tmp_path / "start.npz"
    pyhits.write(circles(12, 40, seed=8), start)
    command = ["forecast", str(file), "--from", str(start), "--steps", "40", "--interval", "0.8"]
    done = RUNNER.invoke(app, [*command, "-o", str(tmp_path / "f.csv")])
    assert done.exit_code == 0, done.output
    assert "by 20 held-out and 80 training trajectories" in done.stderr
    header = (tmp_path / "f.csv").read_text().splitlines()[0]
    assert header == "trajectory,t,x,x_low,x_high,y,y_low,y_high"
    written = pyhits.read(tmp_path / "f.csv").to_array()
    found = model.forecast(circles(12, 40, seed=8), 40, interval=0.8)
    np.testing.assert_allclose(written[..., 0::3], found.states, rtol=1e-6)
    np.testing.assert_allclose(written[..., 1::3], found.low, rtol=1e-6)
    np.testing.assert_allclose(written[..., 2::3], found.high, rtol=1e-6)
    for extra, words in (
        (["--interval", "0.999"], "need 999 calibration rollouts"),
        (["--steps", "61"], "--steps 60 has them at every step"),
        (["--interval", "1.5"], "between 0 and 1"),
        (["-o", str(tmp_path / "f.npy")], "has no place"),
    ):
        failed = RUNNER.invoke(app, [*command, "-o", str(tmp_path / "g.csv"), *extra])
        assert failed.exit_code == 2
        assert words in failed.stderr
    assert not (tmp_path / "g.csv").exists()
    asked = RUNNER.invoke(app, ["evaluate", str(file), str(start), "--json", "-q"])
    assert set(json.loads(asked.stdout)["baselines"]) >= {"persistence", "linear", "polynomial"}
    told = RUNNER.invoke(app, ["evaluate", str(file), str(start), "-q"])
    assert "times better (" in told.stdout


def test_bounds_that_would_take_a_variables_name_are_refused(tmp_path: Path) -> None:
    data = Trajectories(circles(40, 30).to_array(), 0.1, feature_names=["x", "x_low"])
    file = quick(step_sizes=[1]).fit(data).save(tmp_path / "m.safetensors")
    pyhits.write(data, tmp_path / "start.npz")
    out = str(tmp_path / "f.csv")
    words = ["forecast", str(file), "--from", str(tmp_path / "start.npz"), "--steps", "9"]
    failed = RUNNER.invoke(app, [*words, "--interval", "0.5", "-o", out])
    assert failed.exit_code == 2
    assert "'x_low'" in failed.stderr


@pytest.mark.usefixtures("undrawn")
def test_the_report_shows_intervals_and_baselines(model: pyhits.HiTS, tmp_path: Path) -> None:
    page = pyhits.write_report(model, circles(12, 80, seed=8), tmp_path / "r.html").read_text()
    for words in (
        "Beside simple forecasts",
        "times better (",
        "90&nbsp;% intervals",
        "20 held-out and 80 training trajectories",
        "up to step 60",
    ):
        assert words in page, words
