"""Which column is the time: what names say, what values say, and what is asked."""

import warnings

import numpy as np
import pytest

import pyhits
from pyhits.data.tables.time_names import TimeName, time_name
from pyhits.errors import DataError, PyHiTSWarning

pandas = pytest.importorskip("pandas")

N = 40
T = 0.05 * np.arange(N)
X = np.sin(3 * T)
NOISE = np.random.default_rng(0).normal(20, 3, N).round(3)

#: Names under which times come.
TIMES = [
    *(
        "Laufzeit",
        "Messzeit [s]",
        "t",
        "time",
        "Time [s]",
        "time_s",
        "elapsed",
        "t_sec",
        "ts",
        "hour",
        "sec",
        "time/s",
    ),
    *("date_time", "ds", "index", "utc", "Zeit", "temps", "tiempo", "tempo", "Datum", "fecha"),
    *("elapsedTime", "Timestamp", "t [ms]", "Time(s)", "epoch", "frame", "step", "sample"),
    *("unix_time", "day_of_year", "JD", "MJD", "Unnamed: 0", "Zeit [s]", "timeSec", "t_ms"),
    *(
        "time (UTC)",
        "Elapsed Time (s)",
        "\u65f6\u95f4",
        "\u0412\u0440\u0435\u043c\u044f",
        "minutes",
    ),
    *("minutes", "simTime", "recorded_at", "Julian_Date", "T", "timestep", "iteration", "# t"),
    *("recorded_on", "acq_time", "Messzeitpunkt", "when", "stamp", "timecode", "cuando"),
    "decimal_year",
]

#: Names of what is no time.
OTHERS = [
    *("temperature", "tension", "thickness", "times_used", "hours_worked", "sector"),
    *("index_price", "dayrate", "stage", "tsunami_height", "reaction_time", "lifetime", "t0"),
    *("second_moment", "step_size", "sample_mean", "clock_speed", "uptime", "y", "weekday"),
]

#: Names that are times if the values rise.
MAYBE = ["T", "period", "temps", "tempo", "data", "t_min", "epoch", "index", "hour", "min", "cycle"]


def read(path, header, *columns):
    rows = zip(*(c.tolist() for c in columns), strict=True)
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return pyhits.read(path)


@pytest.mark.parametrize("name", TIMES)
def test_a_column_that_rises_and_is_named_as_a_time_is_the_time(tmp_path, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = read(tmp_path / "a.csv", f"{name},x", T, X)
        framed = pyhits.Trajectories(pandas.DataFrame({name: T, "x": X}))
        last = pyhits.Trajectories(pandas.DataFrame({"x": X, name: T + 7}))
    assert data.feature_names == framed.feature_names == last.feature_names == ("x",)
    assert data.dt == framed.dt == last.dt == pytest.approx(0.05)
    assert last.start_times[0] == 7


@pytest.mark.parametrize("name", [*OTHERS, *MAYBE])
def test_other_columns_and_those_that_do_not_rise_are_states(tmp_path, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = read(tmp_path / "a.csv", f"{name},x", NOISE, X)
    assert data.feature_names == (name, "x")
    assert not data.dt_known


@pytest.mark.parametrize("name", OTHERS)
def test_what_rises_evenly_without_such_a_name_is_pointed_out(tmp_path, name):
    with pytest.warns(PyHiTSWarning, match=rf"'{name}' rises evenly .* time_column='{name}'"):
        data = read(tmp_path / "a.csv", f"{name},x", T, X)
    assert data.feature_names == (name, "x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pyhits.read(tmp_path / "a.csv", time_column=name).dt == pytest.approx(0.05)
        assert pyhits.read(tmp_path / "a.csv", time_column="none").n_features == 2


def test_a_check_points_it_out(tmp_path):
    with pytest.warns(PyHiTSWarning):
        read(tmp_path / "a.csv", "position,x", T, X)
    notes = pyhits.check(tmp_path / "a.csv").notes
    assert any("--time-column position" in note for note in notes)


@pytest.mark.parametrize("name", ["time_s", "Zeit", "elapsed time", "sampling time"])
def test_a_column_named_as_a_time_that_does_not_rise_is_pointed_out(tmp_path, name):
    with pytest.warns(PyHiTSWarning, match="named like a time, but does not rise"):
        assert read(tmp_path / "a.csv", f"{name},x", NOISE, X).n_features == 2


@pytest.mark.parametrize("name", ["time_s", "hour", "sec"])
def test_uneven_times_under_such_names_are_refused_and_repaired(tmp_path, name):
    with pytest.raises(DataError, match="Times are not uniform"):
        read(tmp_path / "a.csv", f"{name},x", T**1.5, X)
    assert pyhits.repair(tmp_path / "a.csv").trajectories.n_features == 1


@pytest.mark.parametrize("name", ["index", "Unnamed: 0", "id", "frame", "sample", "No.", ""])
def test_columns_that_number_the_rows_leave_the_step_open(tmp_path, name):
    read(tmp_path / "a.csv", f"{name},x", np.arange(N), X)
    data = pyhits.read(tmp_path / "a.csv", dt=0.1)
    assert (data.feature_names, data.dt) == (("x",), 0.1)


def test_units_of_time_count_from_zero_as_well(tmp_path):
    data = read(tmp_path / "a.csv", "hour,x", np.arange(N), X)
    assert (data.n_features, data.dt, data.dt_known) == (1, 1, True)


def test_an_hour_of_the_day_is_a_state(tmp_path):
    data = read(tmp_path / "a.csv", "hour,x", np.arange(N) % 24, X)
    assert data.feature_names == ("hour", "x")


def test_the_surer_name_is_the_time_and_the_other_is_pointed_out(tmp_path):
    with pytest.warns(PyHiTSWarning, match="'frame' counts on with it .* .--without-columns frame"):
        data = read(tmp_path / "a.csv", "frame,time_s,x", 3.0 * np.arange(N), T, X)
    assert data.dt == 0.05
    assert data.feature_names == ("frame", "x")


def test_two_times_as_sure_are_asked_about(tmp_path):
    with pytest.raises(DataError, match=r"look like the time: time_s, Zeit\. .*--time-column"):
        read(tmp_path / "a.csv", "time_s,Zeit,x", T, T, X)


def test_times_rise_within_each_trajectory(tmp_path):
    run = np.repeat([0, 1], N // 2)
    data = read(tmp_path / "a.csv", "run,sec,x", run, np.tile(T[: N // 2], 2), X)
    assert data.lengths.tolist() == [N // 2, N // 2]
    assert data.dt == 0.05


@pytest.mark.parametrize(
    ("index", "dt", "features"),
    [
        (pandas.Index(T), 0.05, ("x",)),
        (pandas.Index(T, name="s"), 0.05, ("x",)),
        (pandas.Index(T, name="time_s"), 0.05, ("x",)),
        (pandas.RangeIndex(N), None, ("x",)),
        (pandas.RangeIndex(N, name="index"), None, ("x",)),
        (pandas.RangeIndex(100, 100 + N), None, ("x",)),
        (pandas.RangeIndex(1990, 1990 + N, name="year"), 1, ("x",)),
        (pandas.Index(np.arange(N) * 10, name="ms"), 10, ("x",)),
        (pandas.date_range("2024-01-01", periods=N, freq="D"), 86400, ("x",)),
        (pandas.Index(NOISE, name="city"), None, ("x",)),
    ],
)
def test_the_index_of_a_frame(index, dt, features):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = pyhits.Trajectories(pandas.DataFrame({"x": X}, index=index))
    assert data.feature_names == features
    assert data.dt == pytest.approx(dt or 1)
    assert data.dt_known == (dt is not None)


def test_an_index_with_rows_left_out_is_pointed_out():
    frame = pandas.DataFrame({"x": X}).drop(index=[7, 8])
    with pytest.warns(PyHiTSWarning, match="skips numbers, as if rows had been left out"):
        pyhits.Trajectories(frame)
    with pytest.warns(PyHiTSWarning, match="steps by 4"):
        pyhits.Trajectories(frame[:6].iloc[[0, 4]].reindex([0, 4, 8, 12], fill_value=1.0))


def test_the_words_of_a_name():
    assert time_name("Time_of_day_x") is TimeName.NO
    assert time_name("dateUTC") is TimeName.LIKELY
    assert time_name("TIME") is TimeName.SURE
    assert time_name("s") is TimeName.NO
    assert time_name("x" * 200) is TimeName.NO


@pytest.mark.parametrize("name", ["time_s", "Zeit", "elapsed", "ms", "tspan/time_s"])
def test_vectors_of_archives_go_by_the_same_names(tmp_path, name):
    np.savez(tmp_path / "a.npz", **{name: T, "u": np.column_stack([X, NOISE])})
    data = pyhits.read(tmp_path / "a.npz")
    assert data.dt == pytest.approx(0.05)
    assert data.n_features == 2


def test_a_vector_that_counts_rows_or_rises_not_is_no_time(tmp_path):
    np.savez(tmp_path / "a.npz", frame=np.arange(N), hour=NOISE, u=np.column_stack([X, NOISE]))
    assert pyhits.read(tmp_path / "a.npz", dt=0.1).dt == 0.1


def test_dimensions_of_xarray_go_by_the_same_names():
    xarray = pytest.importorskip("xarray")
    field = xarray.DataArray(np.ones((3, N)), dims=("x", "time_s"), coords={"time_s": T})
    data = pyhits.Trajectories(field)
    assert data.lengths.tolist() == [N]
    assert data.dt == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("header", "lead", "dt"),
    [
        ("Date;Time;x", "16/12/2006;17:{m:02d}:00", None),
        ("day;clock;x", "2006-12-16;17:{m:02d}:00", None),
        ("year;month;day;hour;minute;x", "2010;1;3;17;{m}", None),
        ("clock;x", "17:{m:02d}:00", 60),
    ],
)
def test_dates_in_several_columns_are_put_together(tmp_path, header, lead, dt):
    path = tmp_path / "a.csv"
    rows = [f"{lead.format(m=m)};{x}" for m, x in enumerate(X)]
    path.write_text("\n".join([header, *rows]) + "\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pyhits.read(path)
        assert pyhits.repair(path).trajectories == data
    assert data.feature_names == ("x",)
    assert data.dt_known
    if dt is None:
        assert data.axis.step_name(data.dt) == "1 minute"
    else:
        assert data.dt == dt


def test_years_and_months_are_put_together(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{1990 + k // 12},{k % 12 + 1},{x}" for k, x in enumerate(X)]
    path.write_text("\n".join(["year,month,x", *rows]) + "\n")
    data = pyhits.read(path)
    assert data.feature_names == ("x",)
    assert data.axis.step_name(data.dt) == "1 month"


def test_a_date_goes_before_its_parts(tmp_path):
    path = tmp_path / "a.csv"
    days = pandas.date_range("2024-01-01", periods=N, freq="h")
    rows = [f"{d},{d.year},{d.month},{d.day},{x}" for d, x in zip(days, X, strict=True)]
    path.write_text("\n".join(["date,year,month,day,x", *rows]) + "\n")
    data = pyhits.read(path)
    assert data.feature_names == ("year", "month", "day", "x")


def test_row_numbers_beside_the_parts_of_dates_are_left_out(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{k + 1},2010,1,{1 + k // 24},{k % 24},{x}" for k, x in enumerate(X)]
    path.write_text("\n".join(["No,year,month,day,hour,x", *rows]) + "\n")
    assert pyhits.read(path).feature_names == ("x",)


@pytest.mark.parametrize(
    ("pattern", "freq", "step"),
    [
        ("%Y %m %d", "D", "1 day"),
        ("%Y %m %d %H", "3h", "3 hours"),
        ("%Y %m %d %H %M", "20min", "20 minutes"),
    ],
)
def test_dates_in_the_first_columns_without_a_header(tmp_path, pattern, freq, step):
    dates = pandas.date_range("2020-12-25 01:00", periods=N, freq=freq)
    path = tmp_path / "plain.txt"
    path.write_text(
        "".join(
            f"{d.strftime(pattern)} {x:.5f} {y}\n" for d, x, y in zip(dates, X, NOISE, strict=True)
        )
    )
    with pytest.warns(PyHiTSWarning, match="together are the time"):
        data = pyhits.read(path)
    assert data.n_features == 2
    assert data.axis.step_name(data.dt) == step
    assert str(data.axis.at(data.start_times)[0])[:10] == "2020-12-25"


def test_whole_numbers_in_the_first_columns_are_no_dates_unless_they_rise(tmp_path):
    path = tmp_path / "counts.txt"
    rows = [f"{1500 + (37 * k) % 11} {k % 12 + 1} {k % 28 + 1} {x}\n" for k, x in enumerate(X)]
    path.write_text("".join(rows))
    assert pyhits.read(path).n_features == 4


@pytest.mark.parametrize("name", ["hhmm", "time", "hour"])
def test_a_date_and_a_time_of_day_as_a_number_are_put_together(tmp_path, name):
    dates = pandas.date_range("2021-03-05 22:00", periods=N, freq="30min")
    rows = [f"{d:%Y-%m-%d},{d.hour * 100 + d.minute},{x}\n" for d, x in zip(dates, X, strict=True)]
    path = tmp_path / "hhmm.csv"
    path.write_text(f"date,{name},x\n" + "".join(rows))
    with pytest.warns(PyHiTSWarning, match="together are the time"):
        data = pyhits.read(path)
    assert data.feature_names == ("x",)
    assert data.axis.step_name(data.dt) == "30 minutes"


def test_a_column_named_like_a_time_that_is_left_out_is_pointed_out(tmp_path):
    path = tmp_path / "quarters.csv"
    rows = [f"{1990 + k // 4}:{k % 4 + 1},{x}\n" for k, x in enumerate(X)]
    path.write_text("quarter,x\n" + "".join(rows))
    with pytest.warns(PyHiTSWarning, match="If 'quarter' holds the time.*--time-format"):
        pyhits.read(path)
    data = pyhits.read(path, time_column="quarter", time_format="%Y:%q")
    assert data.axis.step_name(data.dt) == "1 quarter"
    assert data.feature_names == ("x",)


@pytest.mark.parametrize(
    ("first", "step"), [(1609459200000, 86400000), (44197, 1), (1609459200, 86400)]
)
def test_dates_that_are_numbers_are_said_as_dates(tmp_path, first, step):
    path = tmp_path / "numbers.csv"
    path.write_text("date,x\n" + "".join(f"{first + k * step},{x}\n" for k, x in enumerate(X)))
    data = pyhits.read(path)
    assert data.span() == ("2021-01-01", "2021-02-09")
    pyhits.write(data, tmp_path / "back.csv")
    assert (tmp_path / "back.csv").read_text().splitlines()[1].startswith(f"{first},")


@pytest.mark.parametrize("name", ["ts", "timestamp", "unixtime"])
def test_a_clock_that_ticks_more_slowly_than_rows_come(name):
    rows = np.arange(40)
    frame = pandas.DataFrame({name: 1_672_531_200 + rows // 2, "x": np.sin(rows / 9)})
    with pytest.raises(DataError, match=r"2 rows share each time.* about dt=0\.5 \(--dt 0\.5\)"):
        pyhits.Trajectories(frame)
    counter = frame.rename(columns={name: "packets"})
    assert pyhits.Trajectories(counter).n_features == 2


@pytest.mark.parametrize("name", ["when", "ts", "timestamp", "stamp", "Zeit", "utc"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_since_1970_are_dates_in_every_unit(tmp_path, name, unit):
    days = np.datetime64("2021-03-01T12:00", unit) + np.timedelta64(1, "m") * np.arange(N)
    texts = [str(value) for value in days.astype(f"M8[{unit}]").astype(np.int64).tolist()]
    path = tmp_path / "a.csv"
    path.write_text(f"{name},x\n" + "".join(f"{t},{x}\n" for t, x in zip(texts, X, strict=True)))
    data = pyhits.read(path)
    assert (data.feature_names, data.dt) == (("x",), 60.0)
    np.testing.assert_array_equal(data.dates(), days)
    again = pyhits.write(data, tmp_path / "b.csv").read_text().split("\n")
    assert [line.partition(",")[0] for line in again[1:-1]] == texts


def test_uneven_times_since_1970_are_pointed_out_under_any_name(tmp_path):
    stamps = 1_614_600_000_000 + 60_000 * np.arange(N) + np.arange(N) % 3
    path = tmp_path / "a.csv"
    path.write_text("k,x\n" + "".join(f"{t},{x}\n" for t, x in zip(stamps, X, strict=True)))
    with pytest.warns(PyHiTSWarning, match="'k' rises as times since 1970 do.*--time-column k"):
        assert pyhits.read(path).n_features == 2
    people = 5e8 + 4e7 * np.arange(N) + 1e6 * NOISE
    for others in (NOISE, people.round()):
        path.write_text("k,x\n" + "".join(f"{t},{x}\n" for t, x in zip(others, X, strict=True)))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert pyhits.read(path).n_features == 2


@pytest.mark.parametrize(
    ("kind", "first"), [("excel", 44256.0), ("matlab", 738216.0), ("julian", 2459274.5)]
)
def test_days_that_are_counted_are_pointed_out(tmp_path, kind, first):
    path = tmp_path / "a.csv"
    path.write_text("when,x\n" + "".join(f"{first + k},{x}\n" for k, x in enumerate(X)))
    match = f"may count days, this one 2021-03-01: time_format='{kind}' .--time-format {kind}."
    with pytest.warns(PyHiTSWarning, match=match):
        assert pyhits.read(path).dt == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        days = np.datetime64("2021-03-01") + np.arange(N)
        np.testing.assert_array_equal(pyhits.read(path, time_format=kind).dates(), days)
        assert not pyhits.read(path, time_format="numbers").axis.has_dates
        path.write_text("t,x\n" + "".join(f"{k},{x}\n" for k, x in enumerate(X)))
        assert pyhits.read(path).dt == 1
