"""Recordings in pandas, xarray, pyarrow and polars: read as they are, forecast as they came."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import pyhits
from pyhits.errors import DataError, PyHiTSWarning

N = 60
T = 0.3 * np.arange(N)


def _frame(index: Any = None) -> pd.DataFrame:
    return pd.DataFrame({"u": np.sin(T), "v": np.cos(T)}, index=index)


def _after(data: Any, steps: int = 2) -> Any:
    model = pyhits.HiTS(
        flow_map="polynomial", encoder=[], noise=False, n_jobs=1, verbose=False
    ).fit(data)
    return model.forecast_from(data, steps)


@pytest.mark.parametrize("names", [("station", "date"), (None, None), ("run", "t")])
def test_two_levels_of_an_index_are_trajectories_and_times(names: tuple[str | None, ...]) -> None:
    times = pd.date_range("2020-01-01", periods=30) if names[1] == "date" else range(30)
    index = pd.MultiIndex.from_product([["a", "b"], times], names=names)
    frame = _frame(index)
    data = pyhits.Trajectories(frame)
    assert data.lengths.tolist() == [30, 30]
    assert data.feature_names == ("u", "v")
    later = _after(frame)
    assert later.index.names == list(names)
    assert later.index.get_level_values(0).tolist() == ["a"] * 3 + ["b"] * 3
    assert later.index.get_level_values(1)[0] == times[-1]
    np.testing.assert_allclose(later.iloc[0], frame.iloc[29])
    np.testing.assert_allclose(later.iloc[3], frame.iloc[59])


def test_levels_of_year_and_month_make_dates() -> None:
    index = pd.MultiIndex.from_product([range(2001, 2006), range(1, 13)], names=["year", "month"])
    with pytest.warns(PyHiTSWarning, match="together are the time"):
        data = pyhits.Trajectories(_frame(index))
    assert data.axis.step_name(data.dt) == "1 month"
    assert data.feature_names == ("u", "v")


def test_a_frame_of_several_trajectories_goes_on_with_each() -> None:
    frame = _frame().assign(trajectory=np.repeat([4, 7], 30), t=np.tile(0.1 * np.arange(30), 2))
    later = _after(frame)
    assert later["trajectory"].tolist() == [4, 4, 4, 7, 7, 7]
    np.testing.assert_allclose(later["t"], [2.9, 3.0, 3.1] * 2)


def test_dates_with_and_without_a_zone_are_not_joined() -> None:
    naive = _frame(pd.date_range("2020-01-01", periods=N))
    zoned = _frame(pd.date_range("2021-01-01", periods=N, tz="UTC"))
    with pytest.raises(DataError, match="give all of them a zone, or none"):
        pyhits.Trajectories([naive, zoned])


def test_business_days_keep_their_frequency_without_a_warning_of_pandas(
    recwarn: pytest.WarningsRecorder,
) -> None:
    later = _after(_frame(pd.bdate_range("2021-01-27", periods=N)))
    assert later.index.freqstr == "B"
    assert not [w for w in recwarn if "infer_freq" in str(w.message)]


def test_half_precision_is_read_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    pyhits.Trajectories(_frame().astype("float16"))
    assert not [w for w in recwarn if "overflow" in str(w.message)]


def test_columns_of_arrow_come_back() -> None:
    pa = pytest.importorskip("pyarrow")
    index = pd.date_range("2021-01-01", periods=N)
    later = _after(_frame(index).convert_dtypes(dtype_backend="pyarrow"))
    assert [str(kind) for kind in later.dtypes] == ["double[pyarrow]"] * 2
    table = pa.table({"t": 0.1 * np.arange(N), "u": np.sin(T), "v": np.cos(T)})
    data = pyhits.Trajectories(table)
    assert (data.feature_names, data.dt) == (("u", "v"), pytest.approx(0.1))
    after = _after(table)
    assert isinstance(after, pa.Table)
    assert after.column_names == ["t", "u", "v"]
    np.testing.assert_allclose(after["t"].to_numpy(), [5.9, 6.0, 6.1])


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_tables_of_arrow_with_dates_come_back(zone: str | None) -> None:
    pa = pytest.importorskip("pyarrow")
    dates = pd.date_range("2021-03-27", periods=N, freq="h", tz=zone)
    table = pa.table({"when": dates, "u": np.sin(T).astype("f4"), "": np.cos(T)})
    after = _after(table.to_batches()[0])
    assert isinstance(after, pa.RecordBatch)
    assert after.schema == table.schema
    assert after["when"][1].as_py() == dates[-1] + pd.Timedelta("1h")


def test_records_of_numpy_are_tables() -> None:
    table = _frame().reset_index(names="t").to_records(index=False)
    data = pyhits.Trajectories(table)
    assert data.feature_names == pyhits.Trajectories(_frame()).feature_names
    assert len(data[0]) == N


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pd.DataFrame(index=range(9)), "There are no columns in the DataFrame"),
        ((row for row in [[0.0]] * 9), r"a generator, which holds none yet: list\("),
        (pd.DataFrame({"u": [np.zeros(3)] * 9}), "got array.* in row 0"),
        (_frame().groupby(np.arange(N) % 2), r"give \[part for _, part in groups\]"),
        (sparse.csr_array(np.eye(9)), r"give its toarray\(\)"),
    ],
)
def test_what_holds_no_rows_yet_is_refused(data: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        pyhits.Trajectories(data)


def test_digits_that_are_lost_and_durations_are_pointed_out() -> None:
    with pytest.warns(PyHiTSWarning, match="beyond 2\\*\\*53"):
        pyhits.Trajectories(2**62 + np.arange(9))
    with pytest.warns(PyHiTSWarning, match=r"'lag' \(durations; dt.total_seconds\(\)"):
        pyhits.Trajectories(_frame().assign(lag=pd.to_timedelta(np.abs(np.sin(T)), unit="s")))


def test_the_times_of_arrow_keep_their_zone() -> None:
    pa = pytest.importorskip("pyarrow")
    dates = pd.date_range("2021-03-27", periods=N, freq="h", tz="Europe/Berlin")
    data = pyhits.Trajectories(pa.table({"when": dates, "u": np.sin(T)}))
    assert data.axis.zone == "Europe/Berlin"
    assert data.dt == 3600


class _PolarsSeries:
    """What PyHiTS uses of a Series of polars, which is no dependency of the tests."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.dtype = values, values.dtype

    def to_numpy(self) -> np.ndarray:
        return self.values


def _polars(monkeypatch: pytest.MonkeyPatch, columns: dict[str, Any]) -> Any:
    def init(self: Any, given: dict[str, Any]) -> None:
        self.given = {name: np.asarray(column) for name, column in given.items()}

    made = {
        "__init__": init,
        "__module__": "polars.dataframe.frame",
        "columns": property(lambda self: list(self.given)),
        "__len__": lambda self: len(next(iter(self.given.values()))),
        "get_columns": lambda self: [_PolarsSeries(column) for column in self.given.values()],
        "__getitem__": lambda self, name: _PolarsSeries(self.given[name]),
        "__array__": lambda self, dtype=None, copy=None: np.column_stack(
            [column.astype(object) for column in self.given.values()]
        ),
    }
    monkeypatch.setitem(sys.modules, "polars", ModuleType("polars"))
    return type("DataFrame", (), made)(columns)


def test_frames_of_polars_have_times(monkeypatch: pytest.MonkeyPatch) -> None:
    days = np.arange("2021-01-01", "2021-03-02", dtype="M8[D]")
    frame = _polars(monkeypatch, {"date": days, "u": np.sin(T), "v": np.cos(T)})
    data = pyhits.Trajectories(frame)
    assert data.feature_names == ("u", "v")
    assert data.axis.step_name(data.dt) == "1 day"
    later = _after(frame)
    assert later.columns == ["date", "u", "v"]
    assert later.given["date"].dtype == np.dtype("M8[D]")
    assert later.given["date"].astype(str).tolist()[0] == "2021-03-01"


def test_datasets_and_fields_of_xarray_come_back() -> None:
    xr = pytest.importorskip("xarray")
    time = pd.date_range("2021-01-01", periods=N)
    series = {"u": ("time", np.sin(T)), "v": ("time", np.cos(T))}
    dataset = xr.Dataset(series, coords={"time": time})
    later = _after(dataset)
    assert isinstance(later, xr.Dataset)
    assert str(later["time"].values[1])[:10] == "2021-03-02"
    np.testing.assert_allclose(later["v"].values[0], np.cos(T[-1]))
    field = np.stack([np.outer([1, 2, 3], np.sin(T + phase)) for phase in (0, 1)])
    array = xr.DataArray(field, dims=("lat", "lon", "time"), coords={"time": time})
    after = _after(array)
    assert after.dims == ("lat", "lon", "time")
    assert after.shape == (2, 3, 3)
    np.testing.assert_allclose(after.values[..., 0], field[..., -1], rtol=1e-6)


def test_variables_of_other_dimensions_are_neither_repeated_nor_states() -> None:
    xr = pytest.importorskip("xarray")
    both = np.column_stack([np.sin(T), np.cos(T)])
    dataset = xr.Dataset(
        {"u": ("time", np.sin(T)), "f": (("x", "time"), both.T), "mask": ("x", [0, 1])},
        coords={"time": pd.date_range("2021-01-01", periods=N)},
    )
    data = pyhits.Trajectories(dataset)
    assert data.feature_names == ("u", "f.0", "f.1")
    np.testing.assert_array_equal(data[0][:, 1:], both)
    assert data.axis.step_name(data.dt) == "1 day"


def test_an_index_of_floats_that_is_not_the_time_is_pointed_out() -> None:
    index = 0.1 * np.repeat(np.arange(N // 2), 2)
    with pytest.warns(PyHiTSWarning, match=r"floats that do not rise .*rename_axis\('t'\)"):
        assert pyhits.Trajectories(_frame(index)).dt == 1
    mended = pyhits.repair(_frame(index).rename_axis("t")).trajectories
    assert (len(mended[0]), mended.dt) == (N // 2, pytest.approx(0.1))


@pytest.mark.parametrize(("start", "step"), [(0.0, 0.1), (0.0, 0.008), (5.0, 0.001)])
def test_forecasts_meet_what_xarray_records_later(start: float, step: float) -> None:
    xr = pytest.importorskip("xarray")
    times = start + step * np.arange(N)
    whole = xr.DataArray(
        np.stack([np.sin(T), np.cos(T)], axis=1), dims=("time", "feature"), coords={"time": times}
    )
    later = _after(whole[:30], 29)
    assert (later - whole).sizes["time"] == 30


@pytest.mark.parametrize("place", ["index", "column", "runs"])
def test_forecasts_meet_what_pandas_records_later(place: str) -> None:
    whole = pd.DataFrame({"t": 0.1 * np.arange(N), "a": np.sin(T), "b": np.cos(T)})
    if place == "runs":
        whole = pd.concat([whole.assign(run=run) for run in (1, 2)], ignore_index=True)
    given = whole[whole["t"] < whole["t"][30]]
    given = given.set_index("t") if place == "index" else given
    later = _after(given, 29)
    found = later.index if place == "index" else later["t"]
    assert len(found) == (60 if place == "runs" else 30)
    assert found.isin(whole["t"]).all()
