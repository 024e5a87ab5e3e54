"""What users hold: lists, tensors, DataFrames, xarray objects."""

from datetime import date

import numpy as np
import pytest
import torch

from pyhits.data.tables.assemble import from_columns
from pyhits.data.tables.column_choice import ColumnChoice
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DataError

pandas = pytest.importorskip("pandas")
xarray = pytest.importorskip("xarray")


def wave(n=4):
    return np.sin(np.arange(n))


# Arrays and lists


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        ([1, 2, 3], (1, 3, 1)),
        ([np.float64(1), np.float64(2)], (1, 2, 1)),
        ([[1, 2], [3, 4], [5, 6]], (1, 3, 2)),
        ([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], (2, 2, 2)),
        (np.zeros(5, dtype=int), (1, 5, 1)),
        (np.zeros((5, 2), dtype=bool), (1, 5, 2)),
        ([np.zeros((3, 2)), np.zeros((3, 2))], (2, 3, 2)),
        ((np.zeros(3),), (1, 3, 1)),
        ([torch.zeros(3, 2), torch.zeros(3, 2)], (2, 3, 2)),
        (torch.zeros(4, 3, 2, requires_grad=True), (4, 3, 2)),
    ],
)
def test_shapes(data, shape):
    assert Trajectories(data).to_array().shape == shape


@pytest.mark.parametrize(
    ("given", "held"),
    [
        (np.int32, np.float64),
        (np.float16, np.float32),
        (np.float32, np.float32),
        (np.longdouble, np.float64),
        (">f4", np.float32),
        (">f8", np.float64),
        (object, np.float64),
    ],
)
def test_numbers_become_floats_of_this_machine(given, held):
    data = Trajectories(np.array([[1, 2], [3, 4]]).astype(given))
    assert data.dtype == held
    assert data.dtype.isnative
    assert data.values.tolist() == [[1, 2], [3, 4]]


def test_lists_of_one_feature_of_different_lengths_are_trajectories():
    assert Trajectories([np.zeros(3), np.zeros(5)]).lengths.tolist() == [3, 5]


def test_lists_of_equal_vectors_could_be_rows_or_trajectories():
    with pytest.raises(DataError, match=r"5 arrays of shape \(2,\) can be read two ways"):
        Trajectories([np.zeros(2)] * 5)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (None, "got None"),
        ("abc", r"got the text 'abc'; read files with pyhits\.read"),
        (b"abc", "read files with"),
        ({"x": [1, 2]}, r"got a dict that holds 'x': give one of them, as in data\['x'\]"),
        ({}, "got a dict that holds nothing"),
        (object(), "Expected numbers in The data"),
        ([np.zeros((3, 1)), None], "Trajectory 1 of the list: .* got None"),
        ([np.zeros((2, 3, 1)), np.zeros((3, 1))], "Entry 0 of the list holds several"),
        (np.array(["a", "b"]), "got .*'a'.* in row 0"),
        (np.array(["2020-01-01"] * 2, dtype="M8[D]"), "values of type datetime64"),
    ],
)
def test_other_things_are_refused(data, match):
    with pytest.raises(DataError, match=match):
        Trajectories(data)


# DataFrames


def test_a_frame_of_states_has_names_and_no_times():
    data = Trajectories(pandas.DataFrame({"x": wave(), "y": -wave()}), 0.1)
    assert data.feature_names == ("x", "y")
    assert data.dt == 0.1


def test_a_frame_s_columns_of_times_and_runs():
    frame = pandas.DataFrame(
        {"Run": ["b", "b", "a", "a", "a"], "Time [s]": [0, 0.5, 2, 2.5, 3], "x": wave(5)}
    )
    data = Trajectories(frame)
    assert data.lengths.tolist() == [2, 3]
    assert data.dt == 0.5
    assert data.start_times.tolist() == [0, 2]
    assert data.feature_names == ("x",)


@pytest.mark.parametrize("zone", [None, "Europe/Paris"])
def test_a_frame_s_index_of_dates(zone):
    index = pandas.date_range("2020-05-01", periods=4, freq="h", tz=zone)
    data = Trajectories(pandas.DataFrame({"x": wave()}, index=index))
    assert data.dt == 3600
    assert data.n_features == 1


def test_a_frame_s_dates_as_text():
    data = Trajectories(pandas.DataFrame({"date": ["2020-01-01", "2020-01-02"], "x": [1, 2]}))
    assert data.dt == 86400


def test_a_frame_s_index_levels():
    index = pandas.MultiIndex.from_product([[1, 2], [0.0, 0.1, 0.2]], names=["run", "t"])
    data = Trajectories(pandas.DataFrame({"x": np.arange(6.0)}, index=index))
    assert data.to_array().shape == (2, 3, 1)
    assert data.dt == pytest.approx(0.1)


def test_a_frame_s_plain_index_is_no_time():
    assert Trajectories(pandas.DataFrame({"x": wave()}, index=[3, 5, 6, 9])).dt == 1


def test_lists_of_frames_keep_their_own_starts():
    frames = [pandas.DataFrame({"t": [s, s + 0.5], "x": [1, 2]}) for s in (0, 7)]
    data = Trajectories(frames)
    assert data.dt == 0.5
    assert data.start_times.tolist() == [0, 7]


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"x": ["a", "b"]}, "Column 'x' of the DataFrame, got 'a' in row 0"),
        ({"t": [0, 1], "time": [0, 1], "x": [1, 2]}, "Several columns .* time: t, time"),
        ({"t": [0, 1]}, "No column of the DataFrame holds a state"),
        ({"x": []}, "no rows"),
        ({"run": [1, 2, 1], "x": [1, 2, 3]}, "trajectory 1 begins again in row 2"),
        ({"run": [1, 1, np.nan], "x": [1, 2, 3]}, "'run' of the DataFrame is empty in row 2"),
        ({"run": [1, 1, 2, 2], "t": [0, 1, 0, 2], "x": wave()}, "steps by 2"),
        ({"run": [1, 1, 2, 2], "t": [0, 1, 0, 0], "x": wave()}, "DataFrame, trajectory 1"),
        ({"t": [0, 1], "x": [date(2020, 1, 1)] * 2}, "Column 'x'"),
    ],
)
def test_unusable_frames_are_refused(columns, match):
    with pytest.raises(DataError, match=match):
        Trajectories(pandas.DataFrame(columns))


def test_missing_integers_are_named():
    with pytest.raises(DataError, match="NaN in trajectory 0, row 1, column 'x'"):
        Trajectories(pandas.DataFrame({"x": pandas.array([1, None], dtype="Int64")}))


def test_a_step_that_contradicts_the_times_is_refused():
    frame = pandas.DataFrame({"t": [0, 0.5, 1], "x": [1, 2, 3]})
    assert Trajectories(frame, 0.5).dt == 0.5
    with pytest.raises(ArgumentError, match=r"dt=0\.1 was given, but .* step by 0\.5"):
        Trajectories(frame, 0.1)


def test_frames_of_other_features_do_not_go_together():
    frames = [pandas.DataFrame({name: [1, 2]}) for name in "ab"]
    with pytest.raises(DataError, match=r"Trajectory 1 has features \['b'\]"):
        Trajectories(frames)


# The choice of the time column


@pytest.mark.parametrize("choice", ["clock", 1, "CLOCK [s]"])
def test_the_time_column_can_be_chosen(choice):
    columns = [np.arange(3.0), np.arange(3) * 0.5, np.ones(3)]
    pieces = from_columns(["t", "clock", "x"], columns, choice=ColumnChoice(time_column=choice))
    assert pieces.dt == 0.5
    assert pieces.feature_names == ["t", "x"]


def test_no_column_may_be_the_time():
    pieces = from_columns(
        ["t", "x"], [np.ones(3), np.ones(3)], choice=ColumnChoice(time_column="none")
    )
    assert pieces.dt is None
    assert pieces.feature_names == ["t", "x"]


@pytest.mark.parametrize(
    ("choice", "match"),
    [("clok", "did you mean 'clock'"), (2, "columns of the table are 0 to 1"), (True, "name or")],
)
def test_a_time_column_that_is_not_there_is_refused(choice, match):
    with pytest.raises(ArgumentError, match=match):
        from_columns(
            ["clock", "x"], [np.ones(3), np.ones(3)], choice=ColumnChoice(time_column=choice)
        )


# xarray


def test_a_data_array_s_dimensions_are_put_in_order():
    values = np.arange(24.0).reshape(2, 3, 4)
    array = xarray.DataArray(
        values,
        dims=("mode", "time", "run"),
        coords={"time": [0.0, 0.5, 1.0], "mode": ["a", "b"]},
    )
    data = Trajectories(array)
    np.testing.assert_array_equal(data.to_array(), values.transpose(2, 1, 0))
    assert data.dt == 0.5
    assert data.feature_names == ("a", "b")


def test_fields_are_flattened():
    array = xarray.DataArray(np.zeros((5, 3, 4)), dims=("time", "lat", "lon"))
    assert Trajectories(array).to_array().shape == (1, 5, 12)


def test_runs_without_a_dimension_named_time():
    array = xarray.DataArray(np.zeros((5, 3, 4)), dims=("run", "step", "x"))
    assert Trajectories(array).to_array().shape == (5, 3, 4)


def test_a_dataset_s_variables_are_features():
    coords = {"time": pandas.date_range("2020", periods=3, freq="D")}
    dataset = xarray.Dataset({n: ("time", wave(3)) for n in ("x", "y")}, coords)
    data = Trajectories(dataset)
    assert data.feature_names == ("x", "y")
    assert data.dt == 86400
    assert len(Trajectories([dataset, dataset])) == 2


def test_a_dataset_may_use_the_name_feature():
    dataset = xarray.Dataset({n: (("time", "feature"), np.zeros((3, 2))) for n in ("x", "y")})
    assert Trajectories(dataset).n_features == 4


def test_one_variable_gives_its_name():
    assert Trajectories(xarray.DataArray(wave(), dims="t", name="h")).feature_names == ("h",)


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (xarray.DataArray(1.0), "time dimension"),
        (xarray.Dataset({"a": 1.0}), "no numeric variable"),
        (xarray.DataArray([1.0, 2, 4], dims="t", coords={"t": [0, 1, 3]}), "coordinate 't'"),
    ],
)
def test_unusable_xarray_objects_are_refused(array, match):
    with pytest.raises(DataError, match=match):
        Trajectories(array)
