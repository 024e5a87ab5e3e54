"""Times of day without a date: past midnight, of twelve hours, and as they came."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pyhits
from pyhits.errors import DataError, PyHiTSWarning


def _table(path: Path, clock: list[str], name: str = "time") -> Path:
    t = 0.3 * np.arange(len(clock))
    pd.DataFrame({name: clock, "u": np.sin(t), "v": np.cos(t)}).to_csv(path, index=False)
    return path


def _clock(n: int, start: str, step: str, pattern: str) -> list[str]:
    return list(pd.date_range(f"2024-05-05 {start}", periods=n, freq=step).strftime(pattern))


@pytest.mark.parametrize(
    ("start", "step", "pattern", "dt"),
    [
        ("10:00", "h", "%H:%M", 3600),
        ("23:59:58", "250ms", "%H:%M:%S.%f", 0.25),
        ("22:30", "10min", "%I:%M %p", 600),
        ("06:15:30", "90min", "%H:%M:%S", 5400),
    ],
)
def test_clocks_go_on_over_midnight(
    tmp_path: Path, start: str, step: str, pattern: str, dt: float
) -> None:
    path = _table(tmp_path / "clock.csv", _clock(60, start, step, pattern))
    with pytest.warns(PyHiTSWarning, match="pass midnight"):
        data = pyhits.read(path)
    first = pd.Timedelta(f"{start}:00" if start.count(":") == 1 else start).total_seconds()
    assert len(data) == 1
    assert data.dt == pytest.approx(dt)
    assert data.start_times[0] == pytest.approx(first)
    assert data.feature_names == ("u", "v")


def test_forecasts_go_on_by_the_same_clock(tmp_path: Path) -> None:
    path = _table(tmp_path / "clock.csv", _clock(80, "10:00", "10min", "%H:%M"))
    data = pyhits.read(path)
    model = pyhits.HiTS(flow_map="polynomial", encoder=[], noise=False, n_jobs=1).fit(data)
    later = model.forecast_from(data, 6)
    frame = pd.read_csv(path)
    after = model.forecast_from(frame, 6)
    assert np.shape(later)[-2:] == (7, 2)
    assert after["time"].tolist() == _clock(7, "23:10", "10min", "%H:%M")


def test_hours_since_a_start_go_on_beyond_24(tmp_path: Path) -> None:
    path = _table(tmp_path / "long.csv", [f"{k:02d}:30:00" for k in range(40)], "elapsed")
    data = pyhits.read(path)
    assert data.dt == 3600
    assert data.axis.labels([3600.0 * 40.5]) == ["40:30:00"]


def test_clocks_in_disorder_are_not_unrolled(tmp_path: Path) -> None:
    clock = _clock(40, "10:00", "10min", "%H:%M")
    clock[10], clock[20] = clock[20], clock[10]
    with pytest.raises(DataError, match="must increase"):
        pyhits.read(_table(tmp_path / "clock.csv", clock))


def test_recordings_of_one_day_each_stay_apart(tmp_path: Path) -> None:
    text = "trajectory,time,u\n" + "".join(
        f"{run},{12 + k // 6:02d}:{k % 6}0,{np.sin(0.3 * k + run)}\n"
        for run in range(2)
        for k in range(40)
    )
    path = tmp_path / "two.csv"
    path.write_text(text)
    data = pyhits.read(path)
    assert data.start_times.tolist() == [43200.0, 43200.0]


@pytest.mark.parametrize("step", ["D", "MS"])
def test_ambiguous_dates_are_shown_where_they_differ(step: str) -> None:
    dates = pd.date_range("2020-01-01", periods=12, freq=step)
    frame = pd.DataFrame(
        {"date": [f"{d.month}/{d.day}/{d.year}" for d in dates], "u": np.sin(np.arange(12))}
    )
    with pytest.raises(DataError, match=r"may be 1 February 2020|may be 2 January 2020") as raised:
        pyhits.Trajectories(frame)
    message = str(raised.value)
    assert "2 January 2020" in message
    assert "1 February 2020" in message
    assert 'time_format="monthfirst"' in message


def test_tables_keep_the_name_of_times_that_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("time_s,u\n" + "".join(f"{0.05 * k:.2f},{np.sin(k)}\n" for k in range(30)))
    pyhits.write(pyhits.read(path), tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text().startswith("time_s,u\n")
    assert pyhits.read(tmp_path / "b.csv").dt == pytest.approx(0.05)
