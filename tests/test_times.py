"""Time axes: names, dates, uniformity."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyhits.data.tables.time_names import is_time_name, is_trajectory_name
from pyhits.data.times import is_date, read_times
from pyhits.data.times.uniform import uniform_step
from pyhits.errors import DataError


@pytest.mark.parametrize("name", ["t", "time", "Time [s]", "Year", "# t", "t(ms)", "Date"])
def test_time_names(name):
    assert is_time_name(name)


@pytest.mark.parametrize("name", ["theta", "temperature", "x", "", "t0", "timeout"])
def test_other_names(name):
    assert not is_time_name(name)


def test_trajectory_names():
    assert is_trajectory_name("Trajectory")
    assert is_trajectory_name("run (no.)")
    assert not is_trajectory_name("running")


@pytest.mark.parametrize(
    "text",
    [
        "2020-01",
        "2020-01-31",
        "2020-01-31 12:00",
        "2020-01-31T12:00:00.5",
        "2020-01-31T12:00Z",
        "01/02/2020",
        "2020-1-1",
    ],
)
def test_dates(text):
    assert is_date(text)


@pytest.mark.parametrize(
    "text", ["2020", "1.5", "2020.01", "20200101", "1-2", "3 4 5", "today", "NaT", ""]
)
def test_no_dates(text):
    assert not is_date(text)


@given(
    dt=st.floats(1e-6, 1e6), start=st.integers(-1000, 1000), n=st.integers(2, 400), jitter=st.data()
)
def test_the_step_of_a_uniform_grid_is_found(dt, start, n, jitter):
    t = (start + np.arange(n)) * dt
    scale = jitter.draw(st.sampled_from([0.0, 1e-3]))
    noisy = t + scale * dt * np.random.default_rng(0).uniform(-1, 1, n)
    found, first = uniform_step(noisy)
    assert found == pytest.approx(dt, rel=1e-9 + 2 * scale / (n - 1))
    assert first == noisy[0]


def test_a_decimal_step_comes_back_as_written():
    assert uniform_step(np.arange(30000) * 0.1)[0] == 0.1
    assert uniform_step((np.arange(1000) * 0.01).astype(np.float32))[0] == pytest.approx(0.01)


@pytest.mark.parametrize(
    "times",
    [
        np.array(["2020-01-01", "2020-01-02", "2020-01-03"], dtype="M8[D]"),
        np.array(["2020-01-01", "2020-01-02", "2020-01-03"], dtype="M8[ns]"),
        ["2020-01-01", "2020-01-02", "2020-01-03"],
        [b"2020-01-01T00:00", b"2020-01-02T00:00", b"2020-01-03T00:00"],
        ["2020-01-01T00:00:00Z", "2020-01-02T01:00:00+01:00", "2020-01-03T00:00:00Z"],
        [date(2020, 1, d) for d in (1, 2, 3)],
        np.array([0, 1, 2], dtype="m8[D]"),
    ],
)
def test_dates_count_in_seconds_since_the_first(times):
    np.testing.assert_array_equal(read_times(times)[1][0], [0, 86400, 172800])


def test_years_and_months_are_one_step_each():
    for times in (
        np.array(["2001", "2002", "2004"], dtype="M8[Y]"),
        ["2020-01", "2020-02", "2020-04"],
    ):
        np.testing.assert_array_equal(read_times(times)[1][0], [0, 1, 3])


def test_numbers_as_text_are_numbers():
    assert read_times(np.array(["0.5", "1"], dtype=object))[1][0].tolist() == [0.5, 1]


@pytest.mark.parametrize(
    ("times", "match"),
    [
        ([0, 1, 1], r"row 2 of the log \(1\) repeats row 1"),
        ([0, 2, 1], "row 2 of the log .* comes before row 1"),
        ([0, 1, np.nan], "time in row 2 of the log is nan"),
        ([0, 1, 2, 4, 5, 6], "between rows 2 and 3 of the log the step is 2, elsewhere 1"),
        ([0, 1, 2.1], "not uniform"),
        ([0], "at least 2 rows in the log, got 1"),
        ([[0, 1], [0, 1]], r"got shape \(2, 2\)"),
        (np.array(["2020-01-01", "NaT"], dtype="M8[D]"), "row 1 of the log is missing"),
        (["2020-01-01", "yesterday"], "row 1 of the log is 'yesterday'"),
        (["2020-01-01", "2020-13-01"], "row 1 of the log is '2020-13-01'"),
        (["2020-01-01", "2020-01-02T00:00Z"], "mix"),
        ([1j, 2j], "complex"),
    ],
)
def test_unusable_times_are_refused(times, match):
    with pytest.raises(DataError, match=match):
        uniform_step(times, where="the log")
