"""Dates as people write them, and the steps of calendars: read, counted on, and written back."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest

from pyhits.data.times import (
    NUMBERS,
    TimeAxis,
    TimeStyle,
    is_clock,
    is_date,
    read_times,
)
from pyhits.data.times.calendars import day_number, year_month_day
from pyhits.data.times.objects import as_objects
from pyhits.errors import ArgumentError, DataError

DAYS = [date(2020, 12, 20) + timedelta(days=k) for k in range(40)]
MONTHS = [date(1949 + k // 12, k % 12 + 1, 1) for k in range(40)]
HOURS = [datetime(2020, 12, 31, 20) + timedelta(hours=k) for k in range(30)]


def texts(dates, pattern):
    return [d.strftime(pattern) for d in dates]


def bare(dates, separator, *letters):
    """Write dates without zeros in front of their numbers."""
    return [separator.join(str(getattr(d, letter)) for letter in letters) for d in dates]


@pytest.mark.parametrize(
    ("written", "unit", "step"),
    [
        *[
            (texts(DAYS, pattern), "s", 86400)
            for pattern in (
                "%Y-%m-%d",
                "%Y/%m/%d",
                "%Y.%m.%d",
                "%Y_%m_%d",
                "%Y\u5e74%m\u6708%d\u65e5",
                "%Y%m%d",
                "%d.%m.%Y",
                "%d/%m/%Y",
                "%m/%d/%Y",
                "%d-%m-%Y",
                "%d.%m.%y",
                "%m/%d/%y",
                "%d-%b-%Y",
                "%d %B %Y",
                "%B %d, %Y",
                "%b %d %Y",
                "%d%b%Y",
                "%Y-%j",
                "%a, %d %b %Y",
                "%A, %B %d, %Y",
                "%G-W%V-%u",
                "%Y-%m-%dT%H:%M:%SZ",
                "%Y-%m-%d %H:%M:%S+0200",
                "%Y-%m-%dT%H:%M:%S-05:30",
                "%a, %d %b %Y %H:%M:%S GMT",
                "%a %b %d %H:%M:%S %Y",
                "%d/%b/%Y:%H:%M:%S +0000",
            )
        ],
        (bare(DAYS, "/", "month", "day", "year"), "s", 86400),
        (bare(DAYS, ".", "day", "month", "year"), "s", 86400),
        *[
            (texts(MONTHS, pattern), "month", 1)
            for pattern in (
                "%Y-%m",
                "%Y%m",
                "%YM%m",
                "%m/%Y",
                "%b %Y",
                "%B %Y",
                "%b-%y",
                "%Y %b",
                "%d/%m/%Y",
                "%m/%d/%Y",
                "%Y%m%d",
            )
        ],
        *[
            (texts(HOURS, pattern), "s", 3600)
            for pattern in (
                "%Y-%m-%d %H:%M",
                "%d.%m.%Y %H:%M:%S",
                "%m/%d/%Y %I:%M:%S %p",
                "%d/%m/%Y, %H:%M",
                "%Y-%m-%dT%H",
                "%Y%m%d%H",
                "%Y%m%d%H%M%S",
                "%Y%m%dT%H%M%S",
                "%Y-%m-%d %H:%M:%S.%f",
                "%Y-%m-%d %H.%M.%S",
            )
        ],
        ([f"{1949 + k // 4}Q{k % 4 + 1}" for k in range(20)], "quarter", 1),
        ([f"Q{k % 4 + 1} {1949 + k // 4}" for k in range(20)], "quarter", 1),
        ([f"{d.isocalendar()[0]}-W{d.isocalendar()[1]:02d}" for d in DAYS[::7]], "s", 604800),
        (["2020-03-31", "2020-06-30", "2020-09-30", "2020-12-31"], "quarter", 1),
        (["2020-01-31", "2020-02-29", "2020-03-31", "2020-04-30"], "month", 1),
        (["2020-01-31", "2020-02-28", "2020-03-31", "2020-04-30", "2020-05-29"], "month", 1),
        (["2018-12-31", "2019-12-31", "2020-12-31", "2021-12-31"], "year", 1),
        (["2000-01-01", "2005-01-01", "2010-01-01", "2015-01-01"], "5 years", 1),
        (["00:00:01", "00:00:03", "00:00:05"], "s", 2),
        ([str(year) for year in range(1949, 1969)], "", 1),
        ([str(int(h.replace(tzinfo=UTC).timestamp())) for h in HOURS], "s", 3600),
        ([str(int(h.timestamp()) * 1000) for h in HOURS], "s", 3600),
        ([str(int(h.timestamp()) * 10**9) for h in HOURS], "s", 3600),
    ],
)
def test_dates_are_read_counted_on_and_written_as_they_came(written, unit, step):
    known, new = written[:-2], written[-2:]
    axis, (times,) = read_times(known)
    assert axis.unit == unit
    np.testing.assert_allclose(np.diff(times), step, rtol=1e-12)
    assert axis.labels(times) == known
    assert axis.labels(times[-1] + step * np.arange(1, 3)) == new
    assert TimeAxis.from_dict(axis.as_dict()) == axis
    assert TimeAxis.from_dict(axis.as_dict()).labels(times) == known


@pytest.mark.parametrize("pattern", ["dayfirst", "%d/%m/%Y"])
def test_the_order_of_day_and_month_is_asked_for_where_both_make_sense(pattern):
    both = [f"{k}/1/1981" for k in range(1, 10)]
    with pytest.raises(DataError, match='time_format="dayfirst", --time-format dayfirst'):
        read_times(both)
    axis, (times,) = read_times(both, style=TimeStyle(time_format=pattern))
    np.testing.assert_array_equal(np.diff(times), 86400)
    axis, (times,) = read_times(both, style=TimeStyle(time_format="monthfirst"))
    assert axis.unit == "month"


def test_the_order_of_day_and_month_follows_from_the_steps():
    months = [f"1/{k % 12 + 1}/{1981 + k // 12}" for k in range(24)]
    axis, _ = read_times(months)
    assert axis.labels([1.0]) == ["1/2/1981"]
    assert axis.unit == "month"


@pytest.mark.parametrize(
    ("word", "number", "expected"),
    [
        ("excel", 43831.0, "2020-01-01"),
        ("matlab", 737791.0, "2020-01-01"),
        ("julian", 2458849.5, "2020-01-01"),
        ("mjd", 58849.0, "2020-01-01"),
        ("s", 1577836800.0, "2020-01-01"),
        ("ms", 1577836800000.0, "2020-01-01"),
    ],
)
def test_numbers_that_are_said_to_be_dates(word, number, expected):
    axis, (times,) = read_times([number, number + 1, number + 2], style=TimeStyle(time_format=word))
    assert str(axis.at(times)[0])[:10] == expected
    assert [float(label) for label in axis.labels(times)] == [number, number + 1, number + 2]


def test_numbers_under_a_name_of_dates_are_days_of_a_spreadsheet():
    axis, _ = read_times(43831 + np.arange(5.0), name="Date")
    assert axis.form == "serial"
    assert read_times(43831 + np.arange(5.0), name="t")[0] == NUMBERS
    assert (
        read_times(43831 + np.arange(5.0), name="Date", style=TimeStyle(time_format="numbers"))[0]
        == NUMBERS
    )


@pytest.mark.parametrize("times", [np.arange(20) * 0.1, 1e6 + np.arange(9.0), [0, 1e8, 2e8]])
def test_plain_numbers_stay_numbers(times):
    axis, (found,) = read_times(times)
    assert not axis.has_dates
    np.testing.assert_array_equal(found, times)


def test_business_days_leave_holidays_out_and_go_on_without_any():
    days = np.arange("2020-12-01", "2021-01-20", dtype="M8[D]")
    days = days[np.is_busday(days, holidays=["2020-12-25", "2021-01-01", "2021-01-18"])]
    axis, (times,) = read_times(days)
    assert axis.unit == "business day"
    np.testing.assert_array_equal(times, np.arange(len(days)))
    np.testing.assert_array_equal(axis.at(times), days)
    assert axis.labels(times[-1] + [1, 2, 3, 4]) == [
        "2021-01-20",
        "2021-01-21",
        "2021-01-22",
        "2021-01-25",
    ]


@pytest.mark.parametrize(("week", "nth"), [("Fri", 2), ("Mon", 0), ("Sun", 3)])
def test_one_such_day_a_month_is_one_step(week, nth):
    months = np.arange("1990-01", "1995-01", dtype="M8[M]").astype("M8[D]")
    days = np.busday_offset(months, nth, roll="forward", weekmask=week)
    axis, (times,) = read_times(days[:-12])
    assert axis.unit == "month"
    np.testing.assert_array_equal(np.diff(times), 1)
    np.testing.assert_array_equal(axis.at(np.arange(len(days))), days)
    assert TimeAxis.from_dict(axis.as_dict()) == axis
    assert read_times(days[0] + 28 * np.arange(30))[0].unit == "s"


def test_other_weeks_and_days_that_lack_rows_in_the_middle_of_the_week():
    days = np.arange("2021-01-03", "2021-03-01", dtype="M8[D]")
    shop = days[np.is_busday(days, weekmask="1111110")]
    assert read_times(shop)[0].unit == "day of Mon, Tue, Wed, Thu, Fri, Sat"
    gaps = np.delete(days, [5, 20])
    assert read_times(gaps)[0].step is None


def test_years_of_365_days():
    days = np.arange("2019-12-01", "2024-04-01", dtype="M8[D]")
    text = days.astype(str)
    leap = ~np.char.endswith(text, "02-29")
    axis, (times,) = read_times(days[leap])
    assert axis.calendar == "noleap"
    np.testing.assert_array_equal(np.diff(times), 86400)
    np.testing.assert_array_equal(axis.at(times), days[leap])
    last = ~(np.char.endswith(text, "20-12-31") | np.char.endswith(text, "24-12-31"))
    axis, (times,) = read_times(days[last])
    np.testing.assert_array_equal(np.diff(times), 1)
    np.testing.assert_array_equal(axis.at(times), days[last])


@pytest.mark.parametrize("calendar", ["standard", "noleap", "all_leap", "360_day", "julian"])
def test_day_numbers_and_dates_are_inverse(calendar):
    number = np.arange(-800_000, 800_000, 7)
    year, month, day = year_month_day(number, calendar)
    assert month.min() == 1
    assert month.max() == 12
    np.testing.assert_array_equal(day_number(year, month, day, calendar), number)
    assert [int(part) for part in year_month_day(np.array(0), calendar)] == [1970, 1, 1]


@pytest.mark.parametrize(
    ("units", "calendar", "numbers", "unit", "following"),
    [
        ("days since 1850-01-01", "noleap", np.arange(50, 62), "s", "1850-03-04"),
        ("days since 1850-01-01", "360_day", np.arange(45, 60), "s", "1850-03-01"),
        ("months since 1949-01-01", "360_day", np.arange(12), "month", "1950-01-01"),
        ("months since 1949-01-01", "standard", np.arange(12), "month", "1950-01-01"),
        ("hours since 2000-1-1 00:00:0.0", "gregorian", 6 * np.arange(8), "s", "2000-01-03"),
        ("days since 1850-01-01", "noleap", [15.5, 45, 74.5, 105], "month", "1850-05-16T12:00:00"),
        ("days since 1850-01-01", "noleap", [15, 45, 74, 105], "month", "1850-05-16"),
        ("day as %Y%m%d.%f", "standard", np.arange(20000228, 20000230), "s", "20000301"),
    ],
)
def test_numbers_in_units_of_climate_data(units, calendar, numbers, unit, following):
    axis, (times,) = read_times(
        np.asarray(numbers, float), style=TimeStyle(units=units, calendar=calendar)
    )
    assert axis.unit == unit
    step = np.diff(times)
    assert (step == step[0]).all()
    assert axis.labels([times[-1] + step[0]])[0].removesuffix("T00:00:00") == following
    np.testing.assert_allclose(as_objects(axis, times), numbers, rtol=0, atol=1e-6)


def test_clocks_that_are_set():
    utc = np.datetime64("2020-10-24T20:00") + np.arange(12) * np.timedelta64(1, "h")
    ahead = np.where(utc < np.datetime64("2020-10-25T01:00"), 2, 1)
    wall = utc + ahead * np.timedelta64(1, "h")
    axis, (times,) = read_times(wall, style=TimeStyle(time_zone="Europe/Berlin"))
    np.testing.assert_array_equal(np.diff(times), 3600)
    np.testing.assert_array_equal(axis.at(times), wall)
    with pytest.raises(ArgumentError, match="Unknown time zone 'Europe/Nowhere'"):
        read_times(wall, style=TimeStyle(time_zone="Europe/Nowhere"))


def test_days_of_a_zone_begin_at_its_midnight():
    pandas = pytest.importorskip("pandas")
    days = pandas.date_range("2020-03-25", periods=9, tz="Europe/Berlin")
    axis, (times,) = read_times(days[:7])
    np.testing.assert_array_equal(np.diff(times), 86400)
    pandas.testing.assert_index_equal(
        as_objects(axis, times[-1] + 86400 * np.arange(1, 3)), days[7:], check_names=False
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda pd: pd.period_range("1949-01", periods=20, freq="M"),
        lambda pd: pd.period_range("1949", periods=20, freq="Q-NOV"),
        lambda pd: pd.period_range("1949", periods=20, freq="Y"),
        lambda pd: pd.date_range("1949-01-31", periods=20, freq="ME"),
        lambda pd: pd.date_range("2020-01-01", periods=20, freq="B"),
        lambda pd: pd.date_range("2020-01-01", periods=20, freq="D", tz="UTC"),
        lambda pd: pd.timedelta_range("1h", periods=20, freq="h"),
        lambda pd: pd.date_range("2020-01-01", periods=20, freq="100ns"),
    ],
)
def test_indices_of_pandas_come_back(make):
    pandas = pytest.importorskip("pandas")
    whole = make(pandas)
    axis, (times,) = read_times(whole[:15])
    steps = np.diff(times)
    np.testing.assert_allclose(steps, steps[0])
    back = as_objects(axis, times[-1] + steps[0] * np.arange(1, 6))
    assert list(pandas.Index(back)) == list(whole[15:])


def test_python_dates_come_back():
    axis, (times,) = read_times(MONTHS[:30])
    assert list(as_objects(axis, times[-1] + np.arange(1, 11))) == MONTHS[30:]
    zone = timezone(timedelta(hours=2))
    axis, _ = read_times([hour.replace(tzinfo=zone) for hour in HOURS])
    assert axis.zone == "+02:00"


@pytest.mark.parametrize(
    ("written", "match"),
    [
        (["2020-01-01", "2020-02-30"], "row 1 of .* is '2020-02-30'"),
        (["2020-01-01", "soon"], "row 1 of .* 'soon'; expected a number, or a date"),
        (["2020-01-01", "2020-01-02T00:00Z"], "mix"),
        (["01 Foo 2020", "02 Foo 2020"], "row 0 of .*'01 Foo 2020'"),
    ],
)
def test_texts_that_are_no_dates_are_named(written, match):
    with pytest.raises(DataError, match=match):
        read_times(written)


def test_formats_that_cannot_be_are_refused():
    with pytest.raises(ArgumentError, match="Expected time_format as a pattern"):
        read_times(["2020-01-01"], style=TimeStyle(time_format="german"))
    with pytest.raises(ArgumentError, match="unknown directive %L"):
        read_times(["2020-01-01"], style=TimeStyle(time_format="%L"))
    with pytest.raises(DataError, match="not written as time_format='%d/%m/%Y'"):
        read_times(["2020-01-01", "2020-01-02"], style=TimeStyle(time_format="%d/%m/%Y"))


def test_midnight_without_its_time_of_day_and_leap_seconds():
    _axis, (times,) = read_times(["2020-01-01", "2020-01-01 06:00", "2020-01-01 12:00"])
    np.testing.assert_array_equal(times, [0, 21600, 43200])
    _axis, (times,) = read_times(["2016-12-31 23:59:60", "2017-01-01 00:00:01"])
    np.testing.assert_array_equal(times, [0, 1])


@pytest.mark.parametrize("text", ["12:30", "8:00:00 PM", "23:59:59.5"])
def test_times_of_day(text):
    assert is_clock(text)
    assert not is_date(text)


def test_the_day_before_a_leap_day_is_kept_by_months_and_by_dates_between_steps():
    axis, (_times,) = read_times(["2020-01-31", "2020-02-29", "2020-03-31"])
    assert str(axis.at([0.5])[0])[:10] == "2020-02-14"


def test_a_row_a_month_keeps_no_days_of_the_week() -> None:
    dates = [f"0{k}/0{k}/2020" for k in range(1, 10)]
    axis, _ = read_times(np.array(dates))
    assert axis.step is None


def test_times_are_said_so_that_people_can_read_them() -> None:
    assert NUMBERS.readable([123456.789 + 299 * 0.01, 3 * 0.1]) == ["123459.779", "0.3"]
    assert NUMBERS.readable([1234567890.123]) == ["1234567890.123"]
    axis, (times,) = read_times([str(1_700_000_000 + 60 * k) for k in range(10)])
    assert axis.labels(times[:1]) == ["1700000000"]
    assert axis.readable(times[:1]) == ["2023-11-14T22:13:20"]
