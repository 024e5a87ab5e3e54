"""Dates on their way through: recordings, models, forecasts, files and the command line."""

from __future__ import annotations

import csv
import warnings
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import circles, quick
from typer.testing import CliRunner, Result

import pyhits
from pyhits import Trajectories, plots
from pyhits.cli.app import app
from pyhits.data.times.objects import as_objects
from pyhits.errors import DataError, PyHiTSWarning

VALUES = circles(1, 119)[0]
N = len(VALUES)
MONTHS = [date(1949 + k // 12, k % 12 + 1, 1) for k in range(N + 4)]
RUNNER = CliRunner()


def run(*arguments: object) -> Result:
    return RUNNER.invoke(app, [str(a) for a in arguments])


def table(path: Path, dates: list[str], name: str = "month", values: np.ndarray = VALUES) -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([name, "x", "y"])
        writer.writerows([d, *row] for d, row in zip(dates, values.tolist(), strict=False))
    return path


@pytest.fixture(scope="module")
def monthly() -> pyhits.HiTS:
    times = np.array(MONTHS[:N], dtype="M8[M]")
    return quick(step_sizes=[1, 2]).fit(
        pyhits.repair(VALUES, times=times, feature_names=["x", "y"]).trajectories
    )


def test_models_and_their_files_keep_what_times_mean(monthly, tmp_path):
    assert monthly.axis_.unit == "month"
    assert monthly.dt_ == 1
    assert any("one step is one month" in note for note in monthly.notes_)
    monthly.save(tmp_path / "m.safetensors")
    assert pyhits.load(tmp_path / "m.safetensors").axis == monthly.axis_
    assert quick(step_sizes=[1]).fit(circles(3, 30)).axis_.unit == ""


@pytest.mark.parametrize(
    "index",
    [
        lambda pd: pd.period_range("1949-01", periods=N + 4, freq="M", name="month"),
        lambda pd: pd.date_range("1949-01-31", periods=N + 4, freq="ME"),
        lambda pd: pd.date_range("1949-01-01", periods=N + 4, freq="MS", tz="Europe/Berlin"),
        lambda pd: pd.date_range("1949-01-01", periods=N + 4, freq="MS", tz="UTC", unit="ns"),
        lambda pd: pd.Index([f"{d:%b %Y}" for d in MONTHS], name="when"),
    ],
)
def test_frames_come_back_as_frames_with_the_dates_that_follow(monthly, index):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(VALUES, columns=["x", "y"], index=index(pandas)[:N])
    ahead = monthly.forecast_from(frame, 4)
    pandas.testing.assert_index_equal(ahead.index, index(pandas)[N - 1 :], exact=False)
    np.testing.assert_array_equal(ahead.to_numpy(), monthly.forecast_from(VALUES, 4))
    assert list(ahead.columns) == ["x", "y"]
    assert getattr(ahead.index, "unit", None) == getattr(frame.index, "unit", None)
    with_bounds = quick(step_sizes=[1]).fit(pandas.concat([frame]))
    assert with_bounds.axis_.unit == "month"


def test_columns_of_dates_series_and_arrays_with_labels_come_back_alike(monthly):
    pandas = pytest.importorskip("pandas")
    xarray = pytest.importorskip("xarray")
    column = pandas.DataFrame(
        {"y": VALUES[:, 1], "day": [f"{d:%d.%m.%Y}" for d in MONTHS[:N]], "x": VALUES[:, 0]}
    )
    ahead = monthly.forecast_from(column, 4)
    assert list(ahead.columns) == ["y", "day", "x"]
    assert list(ahead["day"]) == [f"{d:%d.%m.%Y}" for d in MONTHS[N - 1 :]]
    stamps = np.array(MONTHS, dtype="M8[ns]")
    array = xarray.DataArray(
        VALUES.T, dims=("place", "time"), coords={"time": stamps[:N], "place": ["x", "y"]}, name="u"
    )
    more = monthly.forecast_from(array, 4)
    assert more.dims == ("place", "time")
    assert more.name == "u"
    np.testing.assert_array_equal(more["time"].values, stamps[N - 1 :])
    np.testing.assert_array_equal(more.values.T, monthly.forecast_from(VALUES, 4))
    series = pandas.Series(VALUES[:, 0], pandas.DatetimeIndex(stamps[:N]), name="x")
    later = quick(step_sizes=[1, 2]).fit(series).forecast_from(series, 4)
    assert later.name == "x"
    np.testing.assert_array_equal(later.index.values, stamps[N - 1 :])


def test_recordings_of_other_steps_are_refused_and_short_ones_understood(monthly):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(VALUES[:9], columns=["x", "y"])
    frame.index = pandas.date_range("2020-01-01", periods=9, freq="QS")
    with pytest.raises(DataError, match="step by 1 quarter, the training data by month"):
        monthly.forecast_from(frame, 2)
    days = pandas.bdate_range("2021-03-01", periods=N)
    whole = pandas.DataFrame(VALUES, columns=["x", "y"], index=days)
    model = quick(step_sizes=[1]).fit(whole)
    assert model.axis_.unit == "business day"
    week = whole[:5]
    assert Trajectories(week).dt == 86400
    ahead = model.forecast_from(week, 2)
    np.testing.assert_array_equal(ahead.index, days[4:7])


@pytest.mark.parametrize("extension", ["csv", "tsv", "npz", "mat", "h5", "nc", "parquet"])
def test_files_keep_dates(tmp_path, extension):
    pytest.importorskip(
        {"h5": "h5py", "nc": "h5netcdf", "parquet": "pyarrow"}.get(extension, "csv")
    )
    days = np.arange("2020-12-01", "2021-02-20", dtype="M8[D]")
    days = days[np.is_busday(days, holidays=["2020-12-25", "2021-01-01"])]
    for times in (days, np.array(MONTHS[: len(days)], dtype="M8[M]"), days[:5]):
        values = VALUES[: len(times)]
        data = pyhits.repair(values, times=times).trajectories
        pyhits.write(data, tmp_path / f"a.{extension}")
        again = pyhits.read(tmp_path / f"a.{extension}")
        np.testing.assert_array_equal(again.dates().astype("M8[D]"), times.astype("M8[D]"))
        assert again.axis.unit == data.axis.unit
        assert again.dt == data.dt


@pytest.mark.parametrize(
    ("pattern", "name"),
    [("%Y-%m", "Month"), ("%Y%m%d", "date"), ("%d.%m.%Y", "Datum"), ("%B %d, %Y", "ds")],
)
def test_the_command_line_goes_on_in_the_same_column_and_format(monthly, tmp_path, pattern, name):
    monthly.save(tmp_path / "m.safetensors")
    recorded = table(tmp_path / "a.csv", [d.strftime(pattern) for d in MONTHS[:N]], name)
    done = run("forecast", tmp_path / "m.safetensors", "--after", recorded, "--steps", 4, "-o",
               tmp_path / "out.csv")  # fmt: skip
    assert done.exit_code == 0, done.output
    with (tmp_path / "out.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == [name, "x", "y"]
    assert [row[0] for row in rows[1:]] == [d.strftime(pattern) for d in MONTHS[N - 1 :]]


def test_options_say_how_dates_are_written(tmp_path):
    both = table(tmp_path / "a.csv", [f"{k}/1/1981" for k in range(1, 10)], "date")
    done = run("check", both)
    assert done.exit_code == 1
    assert "--time-format dayfirst" in " ".join(done.output.split())
    done = run("check", both, "--time-format", "monthfirst")
    assert done.exit_code == 0, done.output
    assert (
        "Times from 1/1/1981 to 9/1/1981. - Rows are dated by a calendar: one step is one month."
        in " ".join(done.output.split())
    )
    assert pyhits.read(both, time_format="dayfirst").dt == 86400
    wall = ["2020-10-25 01:00", "2020-10-25 02:00", "2020-10-25 02:00", "2020-10-25 03:00"]
    local = table(tmp_path / "b.csv", wall, "time")
    with pytest.raises(DataError, match="--time-zone Europe/Berlin"):
        pyhits.read(local)
    assert pyhits.read(local, time_zone="Europe/Berlin").dt == 3600


def test_rows_that_come_newest_first_are_turned(tmp_path):
    newest = table(
        tmp_path / "a.csv", [f"{d:%Y-%m}" for d in MONTHS[:N][::-1]], values=VALUES[::-1]
    )
    with pytest.warns(PyHiTSWarning, match="newest first"):
        data = pyhits.read(newest)
    np.testing.assert_array_equal(data[0], VALUES)
    assert data.span() == ("1949-01", f"{MONTHS[N - 1]:%Y-%m}")


def test_a_missing_month_and_a_long_gap_of_business_days_are_said(tmp_path):
    dates = [f"{d:%Y-%m}" for d in MONTHS[:N]]
    with pytest.raises(
        DataError, match=r"rows 49 and 50 \(1953-04\).*the step is 2 months, elsewhere 1 m"
    ):
        pyhits.read(table(tmp_path / "a.csv", dates[:50] + dates[51:]))
    repaired = pyhits.repair(tmp_path / "a.csv", gaps="fill")
    assert len(repaired.trajectories) == 1
    assert repaired.trajectories.n_rows == N
    days = np.arange("2020-01-01", "2021-02-20", dtype="M8[D]")
    days = days[np.is_busday(days)]
    days = np.delete(days, [9, *range(50, 70)])[:N]
    repaired = pyhits.repair(VALUES, times=days)
    assert len(repaired.trajectories) == 2
    assert repaired.trajectories.n_rows == N
    assert any("as holidays (2020-01-14 ...)" in note for note in repaired.notes)


def test_nights_without_rows_may_be_left_out_with_their_times(tmp_path):
    hours = pd.date_range("2020-01-06", periods=400, freq="h")
    hours = hours[(hours.hour >= 9) & (hours.hour < 17)]
    path = tmp_path / "open.csv"
    pd.DataFrame({"when": hours, "v": np.arange(len(hours)) % 7}).to_csv(path, index=False)
    with pytest.raises(DataError, match=r"the step is 17 hours, elsewhere 1 hour.*leave the times"):
        pyhits.read(path)
    assert len(pyhits.read(path, without_columns=["when"])[0]) == len(hours)


def test_errors_of_forecasts_are_said_in_the_steps_of_the_data(monthly):
    times = np.array(MONTHS[: N // 2], dtype="M8[M]")
    data = pyhits.repair(VALUES[: N // 2], times=times, feature_names=["x", "y"]).trajectories
    result = monthly.evaluate(data, n_steps=24, given=1)
    assert "24 steps (24 months)" in str(result)
    assert "1949-01-01 to 1953-12-01" in str(result)
    assert result.as_dict()["unit"] == "month"
    assert "time units" in str(monthly.evaluate(VALUES[:30]))


def test_figures_have_axes_of_dates(monthly):
    dates = np.array(MONTHS[:N], dtype="M8[D]")
    data = pyhits.repair(VALUES, times=dates, feature_names=["x", "y"]).trajectories
    axes = data.plot(ax=plots.blank())
    axes[-1].figure.canvas.draw()
    labels = [label.get_text() for label in axes[-1].get_xticklabels()]
    assert any(label.startswith("195") for label in labels)
    assert monthly.evaluate(data).plot(ax=plots.blank()).get_xlabel() == "time ahead (months)"


@pytest.mark.parametrize(
    ("units", "calendar", "numbers", "unit", "ahead"),
    [
        ("days since 1850-01-01", "noleap", np.arange(58.0, 58 + N), "s", "1850-06-28"),
        ("months since 1949-01-01", "360_day", np.arange(float(N)), "month", "1959-01-01"),
        ("hours since 2000-01-01", "standard", 6 * np.arange(float(N)), "s", "2000-01-31"),
    ],
)
def test_netcdf_calendars_are_read_with_and_without_a_decoder(
    tmp_path, units, calendar, numbers, unit, ahead
):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    time = ("time", numbers, {"units": units, "calendar": calendar, "bounds": "time_bnds"})
    bounds = (("time", "nv"), np.stack([numbers, numbers + 1], axis=1))
    variables = {"u": (("time", "place"), VALUES), "time_bnds": bounds}
    dataset = xarray.Dataset(variables, {"time": time})
    dataset.to_netcdf(tmp_path / "a.nc")
    data = pyhits.read(tmp_path / "a.nc")
    assert data.axis.unit == unit
    assert data.n_features == 2
    after = data.times()[-1] + data.dt
    assert data.axis.labels([after])[0][:10] == ahead
    model = quick(step_sizes=[1, 2]).fit(dataset["u"])
    later = model.forecast_from(dataset["u"], 3)
    np.testing.assert_allclose(later["time"], numbers[-1] + np.arange(4) * np.diff(numbers)[0])


def test_features_of_another_rate_are_said_with_what_helps():
    rare = VALUES.copy()
    rare[np.arange(N) % 10 > 0, 1] = np.nan
    with pytest.raises(DataError, match=r"one row of 10: gaps='fill' with longest_gap=10"):
        pyhits.repair(rare)
    filled = pyhits.repair(rare, gaps="fill", longest_gap=10)
    assert filled.trajectories.n_rows == N - 9


def test_an_hour_that_is_there_twice_is_said_by_a_repair():
    hours = np.datetime64("2020-10-25T00:00") + np.arange(N) * np.timedelta64(1, "h")
    local = hours - np.where(np.arange(N) > 2, 1, 0) * np.timedelta64(1, "h")
    repaired = pyhits.repair(VALUES, times=local)
    assert any('time_zone="Europe/Berlin"' in note for note in repaired.notes)
    repaired = pyhits.repair(VALUES, times=local, time_zone="Europe/Berlin")
    assert repaired.trajectories.n_rows == N
    assert repaired.notes == []


@pytest.mark.parametrize(
    ("header", "rows", "unit", "dt", "name"),
    [
        (
            "YEAR,WEEK",
            [(2014 + (k + 40) // 53, (k + 40) % 53 + 1) for k in range(60)],
            "s",
            604800,
            "YEAR WEEK",
        ),
        ("year,month", [(1949 + k // 12, k % 12 + 1) for k in range(60)], "month", 1, "year month"),
        ("Year,Qtr", [(1949 + k // 4, k % 4 + 1) for k in range(60)], "quarter", 1, "Year Qtr"),
        (
            "year,month,day,hour",
            [(2020, 2, 28 + k // 24, k % 24) for k in range(48)],
            "s",
            3600,
            "year month day hour",
        ),
        (
            "Date,Time",
            [(f"{28 + k // 24}.02.2020", f"{k % 24:02d}:00") for k in range(48)],
            "s",
            3600,
            "Date Time",
        ),
        (
            "date,hour",
            [(f"2020-02-{28 + k // 24}", k % 24) for k in range(48)],
            "s",
            3600,
            "date hour",
        ),
    ],
)
def test_dates_in_several_columns_are_put_together(tmp_path, header, rows, unit, dt, name):
    path = tmp_path / "a.csv"
    body = [f"{','.join(map(str, row))},{x}" for row, x in zip(rows, VALUES[:, 0], strict=False)]
    path.write_text("\n".join([f"{header},x", *body]) + "\n")
    with pytest.warns(PyHiTSWarning, match="together are the time"):
        data = pyhits.read(path)
    assert data.feature_names == ("x",)
    assert (data.axis.unit, data.dt, data.axis.name) == (unit, dt, name)


def test_a_year_that_rises_alone_is_the_time_and_a_month_beside_it_a_feature(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("year,month,x\n" + "\n".join(f"{1990 + k},{k % 12 + 1},1.5" for k in range(20)))
    assert pyhits.read(path).feature_names == ("month", "x")


@pytest.mark.parametrize("name", ["when", "period", "k"])
def test_numbers_that_are_dates_are_times_under_any_name(tmp_path, name):
    dates = [f"{d:%Y%m%d}" for d in MONTHS[:N]]
    assert pyhits.read(table(tmp_path / "a.csv", dates, name)).axis.unit == "month"
    people = [f"{2_500_000_000 + 7_000_000 * k + k**2}" for k in range(N)]
    assert pyhits.read(table(tmp_path / "b.csv", people, "people")).n_features == 3


def test_a_repaired_week_of_business_days_is_gone_on_from(tmp_path):
    days = np.arange("2021-03-01", "2021-12-01", dtype="M8[D]")
    days = [str(day) for day in days[np.is_busday(days)][:N]]
    data = pyhits.read(table(tmp_path / "all.csv", days, "date"))
    model = quick(step_sizes=[1]).fit(data)
    assert any("x dt = 1 business day" in note for note in model.notes_) or model.dt_ == 1
    model.save(tmp_path / "m.safetensors")
    week = table(tmp_path / "week.csv", days[:5], "date", VALUES[:5])
    done = run("forecast", tmp_path / "m.safetensors", "--after", week, "--repair", "--steps", 2,
               "-o", tmp_path / "out.csv")  # fmt: skip
    assert done.exit_code == 0, done.output
    rows = (tmp_path / "out.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == days[4:7]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Sydney"])
@pytest.mark.parametrize("freq", ["h", "D"])
def test_offsets_that_change_with_the_clock_stay_what_they_were(tmp_path, zone, freq):
    times = pd.date_range("2020-01-01", periods=2000 if freq == "h" else 300, freq=freq, tz=zone)
    texts = [moment.isoformat() for moment in times]
    path = tmp_path / "a.csv"
    values = np.sin(np.arange(len(texts)))
    path.write_text("time,x\n" + "".join(f"{t},{v}\n" for t, v in zip(texts, values, strict=True)))
    data = pyhits.read(path)
    assert data.axis.labels(data.times()) == texts
    following = data.axis.labels(data.times()[-1:] + data.dt)
    assert following == [(times[-1] + times.freq).isoformat()]


def test_offsets_of_no_zone_are_of_utc_and_a_zone_may_be_given(tmp_path):
    path = tmp_path / "a.csv"
    lines = [f"2020-01-01T{k:02d}:00:00{'+01:00' if k % 2 else '+02:00'}" for k in range(6)]
    path.write_text("time,x\n" + "".join(f"{text},{k * k}\n" for k, text in enumerate(lines)))
    with pytest.raises(DataError, match="Times must increase"):
        pyhits.read(path)
    path.write_text("time,x\n" + "".join(f"2020-01-0{k}T00:00:00Z,{k * k}\n" for k in range(1, 9)))
    assert pyhits.read(path, time_zone="Asia/Tokyo").span()[0] == "2020-01-01T09:00:00+09:00"


def test_periods_of_business_days_do_not_warn_twice():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        index = pd.period_range("2020-01-01", periods=50, freq="B")
    frame = pd.DataFrame({"x": np.sin(np.arange(50.0))}, index=index)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = pyhits.Trajectories(frame)
        assert len(as_objects(data.axis, data.times())) == 50


@pytest.mark.parametrize("extension", [".csv", ".parquet"])
def test_files_of_runs_come_back_with_their_names_and_exact_times(monthly, tmp_path, extension):
    first = 1_700_000_000_000_000_000 + 250_000_000 * np.arange(9)
    frame = pd.DataFrame({"run": np.repeat(["hot, dry", "cold"], 9), "timestamp": [*first, *first]})
    path, out = tmp_path / f"a{extension}", tmp_path / f"b{extension}"
    frame = frame.assign(x=np.tile(VALUES[:9, 0], 2), y=1.5)
    getattr(frame, f"to_{extension[1:]}")(path, index=False)
    data = pyhits.read(path)[::-1].cut(3, start=6)
    pyhits.write(data, out, like=path)
    again = getattr(pd, f"read_{extension[1:]}")(out)
    assert again["run"].tolist() == ["cold"] * 3 + ["hot, dry"] * 3
    assert again["timestamp"].tolist() == [*first[6:], *first[6:]]


def test_the_command_line_keeps_the_names_of_runs(monthly, tmp_path):
    rows = "".join(f"{run},{t},0.5,0.5\n" for run in ("hot", "cold") for t in range(4))
    path, out = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_text(f"run,t,x,y\n{rows}")
    model = quick(step_sizes=[1]).fit(VALUES, dt=1.0)
    file = model.save(tmp_path / "m.safetensors")
    done = run("forecast", file, "--after", path, "--steps", 1, "-o", out)
    assert done.exit_code == 0, done.output
    lines = out.read_text().splitlines()
    assert lines[0] == "run,t,x0,x1"
    assert [line[:6] for line in lines[1:]] == ["hot,3,", "hot,4,", "cold,3", "cold,4"]


def test_parquet_keeps_dates_of_a_zone_as_dates(tmp_path):
    pytest.importorskip("pyarrow")
    dates = pd.date_range("2024-03-30", periods=N, freq="h", tz="Europe/Berlin")
    data = Trajectories(pd.DataFrame({"when": dates, "x": VALUES[:, 0]}))
    pyhits.write(data, tmp_path / "a.parquet")
    assert pd.read_parquet(tmp_path / "a.parquet")["when"].tolist() == dates.tolist()
    assert pyhits.read(tmp_path / "a.parquet") == data
