"""Tables in which each time stands once a station or variable: never averaged in silence."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pyhits
from pyhits.errors import DataError, PyHiTSWarning

T = 0.3 * np.arange(40)


def _long(by: str, *, day: bool = True, values: tuple[Any, ...] = ("north", "south")) -> Any:
    time = pd.date_range("2021-01-01", periods=40).strftime("%Y-%m-%d") if day else 0.5 * T
    parts = [
        pd.DataFrame({"date" if day else "t": time, "site": value, "u": np.sin(T + k)})
        for k, value in enumerate(values)
    ]
    frame = pd.concat(parts, ignore_index=True)
    return frame if by == "site" else frame.sort_values(frame.columns[0], kind="stable")


@pytest.mark.parametrize("call", [pyhits.read, pyhits.repair])
@pytest.mark.parametrize("values", [("north", "south"), (101, 102, 105)])
@pytest.mark.parametrize("day", [True, False])
def test_rows_of_one_time_are_told_apart_by_a_column(
    tmp_path: Path, call: Any, values: tuple[Any, ...], day: bool
) -> None:
    path = tmp_path / "long.csv"
    _long("site", day=day, values=values).to_csv(path, index=False)
    with pytest.raises(DataError, match="one for each value of 'site'") as raised:
        call(path)
    names = ["date" if day else "t", "trajectory", "u"]
    assert f"names={names!r}" in str(raised.value)
    data = pyhits.read(path, names=names)
    assert data.lengths.tolist() == [40] * len(values)
    assert data.feature_names == ("u",)


def test_rows_that_alternate_are_to_be_sorted_first() -> None:
    frame = _long("date")
    with pytest.raises(DataError, match="sort the rows by it and call the column 'trajectory'"):
        pyhits.Trajectories(frame)
    renamed = frame.sort_values("site", kind="stable").rename(columns={"site": "trajectory"})
    assert len(pyhits.Trajectories(renamed)) == 2


def test_rows_that_are_there_twice_are_repaired_as_before() -> None:
    frame = pd.DataFrame({"t": np.repeat(T, 2), "u": np.sin(np.repeat(T, 2)), "flag": [0, 1] * 40})
    twice = pd.DataFrame({"t": [*T, T[-1]], "u": np.sin([*T, T[-1]])})
    assert pyhits.repair(twice).trajectories.n_rows == 40
    with pytest.raises(DataError, match="one for each value of 'flag'"):
        pyhits.repair(frame)


@pytest.mark.parametrize("ids", [np.repeat([3, 1, 2], 10), np.repeat(list("abc"), 10)])
def test_runs_beside_a_column_that_counts_anew_are_pointed_out(ids: Any) -> None:
    frame = pd.DataFrame({"patient": ids, "visit": np.tile(np.arange(10), 3), "x": np.sin(T[:30])})
    with pytest.warns(PyHiTSWarning, match=r"'patient' has one value for each of 3 stretches"):
        pyhits.Trajectories(frame)
    named = frame.rename(columns={"patient": "trajectory"})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert len(pyhits.Trajectories(named)) == 3
        pyhits.Trajectories(frame.drop(columns="patient"))
    assert not any("stretches" in str(one.message) for one in caught)
