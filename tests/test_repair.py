"""Repairs: resampling of its order, times that are wrong, files and the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import two_waves
from typer.testing import CliRunner, Result

import pyhits
from pyhits.cli.app import app
from pyhits.data.repair.check import check
from pyhits.data.repair.grid import grid_step, interpolate, left_out, uniform_grid
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DataError

RUNNER = CliRunner()
TINY = ["--max-steps", "5", "--hidden-sizes", "4", "--step-sizes", "1,2", "--n-jobs", "1", "-q"]


def run(*arguments: object) -> Result:
    return RUNNER.invoke(app, [str(a) for a in arguments])


def jittered(n: int, end: float, seed: int = 0) -> np.ndarray:
    """Times from 0 to ``end`` whose steps vary by up to a half on either side."""
    steps = np.random.default_rng(seed).uniform(0.5, 1.5, n - 1)
    return np.concatenate([[0], np.cumsum(steps)]) * end / steps.sum()


# Resampling


@pytest.mark.parametrize(("method", "order"), [("cubic", 4), ("pchip", 2), ("linear", 2)])
def test_resampling_converges_at_its_order(method: str, order: int) -> None:
    sizes, errors = (200, 400, 800, 1600), []
    for n in sizes:
        t = jittered(n, 20)
        found = pyhits.repair(two_waves(t), times=t, method=method).trajectories
        assert len(found) == 1
        errors.append(np.sqrt(np.mean((found[0] - two_waves(found.times(0))) ** 2)))
    slope = -np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert slope > order - 0.3


@pytest.mark.parametrize(("method", "degree"), [("cubic", 3), ("linear", 1), ("pchip", 1)])
def test_interpolation_is_exact_for_polynomials_of_its_degree(method: str, degree: int) -> None:
    t = jittered(12, 3)
    at = np.linspace(0, 3, 50)
    values = np.stack([np.polyval(np.arange(1.0, degree + 2), t), t], axis=1)
    back = interpolate(t, values, at, method)
    np.testing.assert_allclose(back[:, 0], np.polyval(np.arange(1.0, degree + 2), at), rtol=1e-12)
    np.testing.assert_allclose(back[:, 1], at, atol=1e-12)


def test_monotone_interpolation_does_not_overshoot_a_step() -> None:
    t = np.arange(10.0)
    x = (t >= 5)[:, None].astype(float)
    at = np.linspace(0, 9, 200)
    assert interpolate(t, x, at, "cubic").max() > 1.05
    back = interpolate(t, x, at, "pchip")
    assert back.min() >= 0
    assert back.max() <= 1


@pytest.mark.parametrize("method", ["cubic", "pchip", "linear"])
def test_two_and_three_rows_are_interpolated(method: str) -> None:
    for n in (2, 3):
        t = np.arange(n) * 1.5
        back = interpolate(t, 2 * t[:, None], np.array([0.7, 1.1]), method)
        np.testing.assert_allclose(back[:, 0], [1.4, 2.2])


def test_grids_stay_inside() -> None:
    for first, last, dt in ((0, 1, 0.1), (3.3, 7.7, 0.3), (-2, 5, 0.7), (1e9, 1e9 + 5, 0.25)):
        grid = uniform_grid(first, last, dt)
        assert grid[0] == first
        assert last - dt < grid[-1] <= last
    assert len(uniform_grid(0, 1, 0.1)) == 11
    t = jittered(100, 9)
    found = pyhits.repair(two_waves(t), times=t, resample=0.2).trajectories
    assert found.dt == 0.2
    assert found.times(0)[-1] <= t[-1] + 1e-12


def test_the_error_by_leaving_out_bounds_that_of_the_resampling() -> None:
    t = jittered(300, 20)
    repaired = pyhits.repair(two_waves(t), times=t)
    misses = left_out(t, two_waves(t), "cubic")
    said = (np.sqrt(np.mean(misses**2, axis=0)) / two_waves(t).std(axis=0)).max()
    found = repaired.trajectories
    error = np.sqrt(np.mean((found[0] - two_waves(found.times(0))) ** 2, axis=0)) / two_waves(
        t
    ).std(axis=0)
    assert error.max() < said < 100 * error.max()
    assert f"to {said:.2g} of the spread" in " ".join(repaired.notes)
    coarse = jittered(30, 60)
    assert "guessed" not in " ".join(repaired.notes)
    assert "guessed" in " ".join(pyhits.repair(two_waves(coarse), times=coarse).notes)


def test_long_gaps_are_not_bridged() -> None:
    t = jittered(400, 40)
    t = t[(t < 10) | (t > 12)]
    first_behind = t[t > 12][0]
    repaired = pyhits.repair(two_waves(t), times=t)
    found = repaired.trajectories
    assert len(found) == 2
    assert found.start_times[1] == first_behind
    assert found.times(0)[-1] <= 10
    for k in range(2):
        np.testing.assert_allclose(found[k], two_waves(found.times(k)), atol=1e-3)
    assert "1 gap longer than 0." in " ".join(repaired.notes)
    assert len(pyhits.repair(two_waves(t), times=t, longest_gap=100).trajectories) == 1


def test_known_steps_are_resampled_only_if_asked() -> None:
    data = Trajectories(two_waves(np.arange(200) * 0.1), 0.1, start_times=5)
    same = pyhits.repair(data)
    assert same.trajectories == data
    assert same.notes == []
    assert pyhits.repair(data, resample=0.1).trajectories == data
    finer = pyhits.repair(data, resample=0.05).trajectories
    np.testing.assert_allclose(finer[0], two_waves(finer.times(0) - 5), atol=1e-5)
    coarser = pyhits.repair(data, resample=0.4)
    np.testing.assert_allclose(coarser.trajectories[0], data[0][::4], atol=1e-12)
    assert "aliased" in " ".join(coarser.notes)
    with pytest.raises(ArgumentError, match="more than 1000 rows of each"):
        pyhits.repair(data, resample=1e-9)


# Times


def test_disorder_is_sorted_or_refused() -> None:
    t = np.arange(60) * 0.5
    data = Trajectories(two_waves(t), 0.5)
    order = np.random.default_rng(0).permutation(60)
    repaired = pyhits.repair(two_waves(t)[order], times=t[order])
    assert repaired.trajectories == data
    assert "out of order" in repaired.notes[0]
    back = pyhits.repair(two_waves(t)[::-1], times=t[::-1])
    assert back.trajectories == data
    assert "run backwards" in back.notes[0]
    with pytest.raises(DataError, match="Times decrease: row"):
        pyhits.repair(two_waves(t)[order], times=t[order], disorder="refuse")
    swapped = t[[*range(30), 31, 30, *range(32, 60)]]
    assert pyhits.repair(two_waves(swapped), times=swapped).trajectories == data


def test_a_clock_that_starts_again_cuts() -> None:
    t = np.arange(40) * 0.5
    twice = np.concatenate([t, t[:30]])
    repaired = pyhits.repair(two_waves(twice), times=twice)
    assert repaired.trajectories.lengths.tolist() == [40, 30]
    assert "starts anew 1 time (row 40)" in repaired.notes[0]


def test_repeated_times_are_averaged_or_refused() -> None:
    t = np.arange(30) * 1.0
    rows = np.sort([*range(30), 10, 10, 20])
    x = two_waves(t)[rows]
    x[11, 0] += 0.3
    x[23, 0] = np.nan
    repaired = pyhits.repair(x, times=t[rows])
    expected = two_waves(t)
    expected[10, 0] += 0.1
    np.testing.assert_allclose(repaired.trajectories[0], expected, rtol=1e-14)
    assert "3 rows with the time of the row before (rows 11, 12, 23)" in repaired.notes[0]
    assert "differ by up to 0.3" in repaired.notes[0]
    with pytest.raises(DataError, match="3 times repeated"):
        pyhits.repair(x, times=t[rows], repeated="refuse")


def test_rows_without_a_time_are_left_out() -> None:
    t = np.arange(30) * 1.0
    t[12] = np.nan
    repaired = pyhits.repair(two_waves(np.arange(30.0)), times=t)
    assert repaired.trajectories.lengths.tolist() == [12, 17]
    assert "1 row without a time left out (row 12)" in repaired.notes[0]


def test_dates_with_gaps() -> None:
    pandas = pytest.importorskip("pandas")
    hours = np.delete(np.arange(100), [5, 6, 50])
    times = pandas.Timestamp("2024-03-01") + pandas.to_timedelta(hours, "h")
    frame = pandas.DataFrame({"time": times, "T": np.sin(hours / 9)})
    found = pyhits.repair(frame).trajectories
    assert (found.dt, found.feature_names) == (3600, ("T",))
    np.testing.assert_array_equal(found.start_times, np.array([0, 7, 51]) * 3600)
    frame.loc[10, "time"] = pandas.NaT
    assert len(pyhits.repair(frame).trajectories) == 4


@pytest.mark.parametrize("dt", [0.1, 1 / 3, 3600.0, 1e-4])
def test_the_grid_under_rows_with_holes_is_found(dt: float) -> None:
    rng = np.random.default_rng(0)
    kept = np.sort(rng.choice(5000, 4500, replace=False))
    times = [7 + dt * (kept + rng.uniform(-2e-3, 2e-3, len(kept))), dt * np.arange(50) - 3]
    found = grid_step(times, float(np.median(np.diff(times[0]))))
    assert found == pytest.approx(dt, rel=1e-6)
    assert grid_step([np.cumsum(rng.uniform(0.5, 1.5, 100)) * dt], dt) is None


def test_times_that_contradict() -> None:
    t = np.arange(30) * 0.5
    with pytest.raises(ArgumentError, match="times were given, but the data carry their own"):
        pyhits.repair(Trajectories(two_waves(t), 0.5, start_times=1), times=t)
    with pytest.raises(ArgumentError, match=r"dt=0\.1 was given"):
        pyhits.repair(two_waves(t), times=t, dt=0.1)
    with pytest.raises(DataError, match=r"30 rows, but times of shape \(29,\)"):
        pyhits.repair(two_waves(t), times=t[1:])
    with pytest.raises(ArgumentError, match="times for 1 trajectories, got 2"):
        pyhits.repair(two_waves(t), times=[t, t])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"gaps": "bridge"}, "way with gaps 'bridge'"),
        ({"method": "spline"}, "method 'spline'"),
        ({"resample": -1}, "resample to be a positive number"),
        ({"longest_gap": 0}, "longest_gap to be a positive number"),
        ({"outliers": "mend"}, "way with outliers 'mend'"),
        ({"variable": "u"}, "variable='u' is for files"),
        ({"time_column": 0}, "time_column=0 is for files and DataFrames"),
    ],
)
def test_bad_options(options: dict[str, object], match: str) -> None:
    with pytest.raises(ArgumentError, match=match):
        pyhits.repair(two_waves(np.arange(20.0)), **options)  # type: ignore[arg-type]


def test_recordings_of_different_steps_are_brought_to_one() -> None:
    fine, coarse = np.arange(200) * 0.1, np.arange(60) * 0.2
    repaired = pyhits.repair([two_waves(fine), two_waves(coarse)], times=[fine, coarse])
    found = repaired.trajectories
    assert (found.dt, found.lengths.tolist()) == (0.1, [200, 119])
    np.testing.assert_allclose(found[0], two_waves(fine), atol=1e-12)
    np.testing.assert_allclose(found[1], two_waves(found.times(1)), atol=1e-3)
    assert repaired.numbers.tolist() == [0, 1]


# Files and the command line


def write(path: Path, rows: list[list[object]], header: str) -> Path:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    """A table with a missing value, two missing rows and an outlier."""
    t = np.arange(200)
    x = two_waves(t * 0.1)
    rows: list[list[object]] = [[f"{a * 0.1:.1f}", *b] for a, b in zip(t, x.tolist(), strict=True)]
    rows[50][1] = "NA"
    rows[120][2] = 30.0
    del rows[160:162]
    return write(tmp_path / "messy.csv", rows, "time [s],T,p")


def test_errors_name_the_repair(messy: Path) -> None:
    with pytest.raises(DataError, match=r"line 52, column 'T'.*pyhits\.repair \(or --repair\)"):
        pyhits.read(messy)
    for x, match in ((np.array([[1.0], [np.nan]]), "NaN"), (np.array([[1.0], [np.inf]]), "infin")):
        with pytest.raises(DataError, match=rf"{match}.*pyhits\.repair"):
            Trajectories(x)


def test_files_are_repaired_as_arrays_are(messy: Path, tmp_path: Path) -> None:
    found = pyhits.repair(messy).trajectories
    assert (found.feature_names, found.dt) == (("T", "p"), 0.1)
    assert found.lengths.tolist() == [50, 109, 38]
    t = np.delete(np.arange(200) * 0.1, [160, 161])
    x = two_waves(t)
    x[50, 0], x[120, 1] = np.nan, 30
    np.savez(tmp_path / "a.npz", t=t, x=x)
    np.save(tmp_path / "b.npy", np.column_stack([t, x]))
    ones = [pyhits.repair(tmp_path / "a.npz"), pyhits.repair(tmp_path / "b.npy", time_column=0)]
    for one in ones:
        np.testing.assert_array_equal(one.trajectories.values, found.values)
        np.testing.assert_allclose(one.trajectories.start_times, found.start_times)


def test_uneven_times_without_a_header(tmp_path: Path) -> None:
    t = jittered(100, 9)
    path = tmp_path / "uneven.dat"
    np.savetxt(path, np.column_stack([t, two_waves(t)]))
    with pytest.warns(pyhits.errors.PyHiTSWarning, match="only increases, but not uniformly"):
        assert pyhits.read(path).n_features == 3
    assert pyhits.repair(path).trajectories.n_features == 2


def test_a_temperature_is_no_time(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [[0, 5, 1], [1, 6, 2], [2, 8, 1]], "time,T,p")
    assert pyhits.read(path).feature_names == ("T", "p")
    path = write(tmp_path / "b.csv", [[0, 5], [1, 6], [2, 8]], "T,p")
    assert pyhits.read(path).feature_names == ("p",)


def test_fit_evaluate_and_forecast_repair(messy: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.safetensors"
    assert run("fit", messy, "-o", model, *TINY).exit_code == 1
    loud = [*(a for a in TINY if a != "-q"), "--encoder", "none"]
    done = run("fit", messy, "--repair", "--without-last", "0.2", "-o", model, *loud)
    assert done.exit_code == 0, done.output
    assert "'T' lacks 1 of 198 rows (row 50)" in done.stderr
    shown = run("evaluate", model, messy, "--repair", "--last", "0.2", "--json", "-q")
    assert np.isfinite(json.loads(shown.stdout)["mse"])
    assert shown.stderr == ""
    filled = ["--gaps", "fill", "--drop-outliers", "--longest-gap", "4"]
    out = tmp_path / "f.npz"
    done = run("forecast", model, "--after", messy, *filled, "--steps", 5, "-o", out)
    assert done.exit_code == 0, done.output
    assert pyhits.read(out).start_times.tolist() == [pytest.approx(19.9)]
    done = run("forecast", model, "--after", messy, "--repair", "--steps", 5, "-o", out)
    assert (done.exit_code, pyhits.read(out).start_times.tolist()) == (0, [pytest.approx(19.9)])
    done = run("forecast", model, "--from", messy, "--repair", "--steps", 5, "-o", out)
    assert (done.exit_code, pyhits.read(out).start_times.tolist()) == (0, [0])
    again = run("fit", messy, *filled, "--resample", "0.2", "-o", model, *TINY)
    assert again.exit_code == 0, again.output
    assert pyhits.load(model).dt == 0.2


def test_evaluation_resamples_to_the_step_of_the_model(tmp_path: Path) -> None:
    model = tmp_path / "m.safetensors"
    pyhits.write(Trajectories(two_waves(np.arange(200) * 0.1), 0.1), tmp_path / "even.npz")
    assert run("fit", tmp_path / "even.npz", "-o", model, *TINY).exit_code == 0
    t = jittered(300, 18)
    np.savez(tmp_path / "uneven.npz", t=t, x=two_waves(t))
    done = run("evaluate", model, tmp_path / "uneven.npz", "--repair", "--steps", 5)
    assert done.exit_code == 0, done.output
    assert "Resampled to the step 0.1" in done.stderr
    # Rows without times have the model's step, and nothing to resample.
    np.save(tmp_path / "plain.npy", two_waves(np.arange(50) * 0.1))
    done = run("evaluate", model, tmp_path / "plain.npy", "--repair", "--steps", 5)
    assert (done.exit_code, "Resampled" in done.stderr) == (0, False)


def test_check_tells_what_is_in_a_file(messy: Path, tmp_path: Path) -> None:
    done = run("check", messy)
    assert done.exit_code == 1
    for text in ("line 52", "'T' lacks 1 of 198 rows", "stands out: 30", "--repair"):
        assert text in done.stdout
    rows = [[k, np.sin(k), 3] for k in range(30)]
    fine = write(tmp_path / "fine.csv", rows, "t,x,c")
    done = run("check", fine)
    assert done.exit_code == 0
    for text in ("1 x 30 rows x 2 features", "constant", "30 rows are few", "from 0 to 29, step 1"):
        assert text in done.stdout
    values = json.loads(run("check", fine, "--json").stdout)
    assert (values["usable"], values["dt"], values["features"]) == (True, 1, ["x", "c"])
    hopeless = write(tmp_path / "bad.csv", [[0, "a"], [1, "b"]], "t,x")
    done = run("check", hopeless)
    assert (done.exit_code, "As it is" in done.stdout) == (1, True)
    assert run("check", tmp_path / "none.csv").exit_code == 2
    assert check(fine).is_usable


def test_fields_in_one_array_are_found_out(tmp_path: Path) -> None:
    t, y, x = np.meshgrid(np.arange(90) * 0.1, np.arange(9), np.arange(8), indexing="ij")
    path, model = tmp_path / "field.npy", tmp_path / "m.safetensors"
    np.save(path, np.sin(t + x / 3) + np.cos(t + y / 2))
    done = run("fit", path, "--encoder", "pod=4", "-o", model, *[a for a in TINY if a != "-q"])
    assert done.exit_code == 0, done.output
    assert "--grid none reads 90 trajectories" in done.stderr
    assert pyhits.load(model).coordinates.snapshot == (9, 8)
    assert run("evaluate", model, path, "--last", "0.2").exit_code == 0
    assert "--grid 9x8" in run("check", path).stdout
    assert "--grid 9x8" not in run("check", path, "--grid", "none").stdout
    run("fit", path, "--encoder", "pod=4", "--grid", "none", "-o", model, *TINY)
    assert pyhits.load(model).n_features_in == 8
    runs = pyhits.systems.get("van-der-pol").simulate(60, 40, random_state=0)
    pyhits.write(runs, tmp_path / "runs.npy")
    assert pyhits.read(path, grid="auto").snapshot == (9, 8)
    assert pyhits.read(tmp_path / "runs.npy", grid="auto").snapshot is None
    assert "--grid" not in run("check", tmp_path / "runs.npy").stdout
    done = run("fit", path, "--grid", "6by5", "-o", model)
    assert (done.exit_code, "64x64" in done.stderr) == (2, True)


def test_the_page_shows_what_happens(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parent.parent / "docs" / "data.md").read_text()
    section = page.split("## Repairs")[1]
    code = section.split("```python\n")[1].split("```")[0]
    exec(code, {"np": np, "pyhits": pyhits})
    printed = capsys.readouterr().out.splitlines()
    comments = [line.split("# ")[1] for line in code.splitlines() if "# Trajectories" in line]
    assert [line for line in printed if line.startswith("Trajectories(")] == comments


def test_checks_say_late_times_with_their_digits(tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    t = np.arange(300)
    rows = (f"{123456.789 + 0.01 * k:.3f},{np.sin(0.1 * k):.6f}" for k in t)
    path.write_text("\n".join(["time,x", *rows]))
    assert "Times from 123456.789 to 123459.779, step 0.01." in check(path).notes


def test_checks_do_not_advise_to_train_on_what_does_not_move(tmp_path: Path) -> None:
    path = tmp_path / "still.csv"
    path.write_text("t,x\n" + "\n".join(f"{k},{'' if k == 5 else 1}" for k in range(60)))
    said = check(path).suggestions
    assert said[0].startswith("Every feature is constant")
    assert not any("trains on the repaired data" in text for text in said)


def test_a_note_on_outliers_ends_in_one_full_stop() -> None:
    x = np.sin(0.05 * np.arange(2000))
    x[[200, 600, 1000, 1400]] = 30
    found = pyhits.repair(x[:, None]).notes[0]
    assert "; ... Kept" in found


def test_land_in_a_field_is_left_out_and_what_is_left_is_said_to_be_no_grid():
    field = np.random.default_rng(0).random((20, 4, 5))
    field[:, :2, :2] = np.nan
    mended = pyhits.repair(field.reshape(20, -1))
    assert mended.trajectories.n_features == 16
    assert "the rest is no grid: fit by modes, grid='none'" in mended.notes[0]
