"""The container: what it shares, how it splits, what it refuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pyhits
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DataError

ragged_shapes = st.tuples(st.lists(st.integers(2, 9), min_size=1, max_size=5), st.integers(1, 4))


def make(lengths, n_features, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((n, n_features)) for n in lengths]


# What it holds


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_three_dimensional_arrays_are_not_copied(dtype):
    array = np.zeros((3, 4, 2), dtype=dtype)
    held = Trajectories(array)
    assert np.shares_memory(held.values, array)
    assert np.shares_memory(held.to_array(), array)
    assert np.shares_memory(held[1], array)
    assert held.dtype == dtype


def test_values_are_read_only_but_the_caller_s_array_is_not():
    array = np.zeros((2, 3, 1))
    held = Trajectories(array)
    with pytest.raises(ValueError, match="read-only"):
        held.values[0] = 1
    assert array.flags.writeable


@given(ragged_shapes)
def test_trajectories_come_back_as_given(shape):
    arrays = make(*shape)
    held = Trajectories(arrays, 0.1)
    assert len(held) == len(arrays)
    assert held.lengths.tolist() == shape[0]
    assert held.n_rows == sum(shape[0])
    assert held.n_features == shape[1]
    for k, (mine, theirs) in enumerate(zip(held, arrays, strict=True)):
        np.testing.assert_array_equal(mine, theirs)
        np.testing.assert_array_equal(held[k - len(arrays)], theirs)
    np.testing.assert_array_equal(held.initial_states, [a[0] for a in arrays])
    assert Trajectories(held) == held


@given(ragged_shapes, st.data())
def test_a_selection_holds_the_trajectories_selected(shape, data):
    held = Trajectories(make(*shape), 0.5, start_times=np.arange(len(shape[0])))
    chosen = data.draw(st.lists(st.integers(0, len(held) - 1), min_size=1, max_size=6))
    part = held[chosen]
    assert part.start_times.tolist() == chosen
    for mine, k in zip(part, chosen, strict=True):
        np.testing.assert_array_equal(mine, held[k])


def test_a_slice_is_a_view():
    held = Trajectories(make([3, 5, 4], 2))
    assert np.shares_memory(held[1:].values, held.values)


def test_times_start_where_each_trajectory_starts():
    held = Trajectories(np.zeros((2, 3, 1)), 0.5, start_times=[1, 10])
    np.testing.assert_allclose(held.times(0), [1, 1.5, 2])
    np.testing.assert_allclose(held.times(1), [10, 10.5, 11])


def test_one_start_time_counts_for_all():
    assert Trajectories(np.zeros((2, 3, 1)), start_times=4).start_times.tolist() == [4, 4]


def test_without_times_dt_is_one_and_features_are_numbered():
    held = Trajectories(np.zeros((4, 2)))
    assert held.dt == 1.0
    assert held.feature_names == ("x0", "x1")


def test_repr_tells_shape_and_step():
    assert repr(Trajectories(np.zeros((2, 3, 4)), 0.1)) == (
        "Trajectories(2 x 3 rows x 4 features, dt=0.1, float64)"
    )
    assert "2-5 rows" in repr(Trajectories(make([2, 5], 1)))


def test_summary_marks_constant_features():
    table = Trajectories([[1.0, 0.0], [1.0, 2.0]], feature_names=["still", "moving"]).summary()
    assert "still" in table
    assert [line.endswith("constant") for line in table.splitlines()[2:]] == [True, False]


def test_equality_covers_values_step_names_and_starts():
    array = np.arange(12.0).reshape(2, 3, 2)
    held = Trajectories(array, 0.1)
    assert held == Trajectories(array.copy(), 0.1)
    assert held != Trajectories(array, 0.2)
    assert held != Trajectories(array, 0.1, feature_names=["a", "b"])
    assert held != Trajectories(array, 0.1, start_times=1)
    assert held != Trajectories(array.astype(np.float32), 0.1)
    assert held != Trajectories(array.reshape(1, 6, 2), 0.1)
    assert held != Trajectories(array + 1, 0.1)


def test_fingerprint_follows_values_lengths_and_step():
    array = np.arange(12.0).reshape(2, 3, 2)
    first = Trajectories(array, 0.1).fingerprint()
    assert first == Trajectories([array[0], array[1]], 0.1).fingerprint()
    changed = array.copy()
    changed[1, 2, 0] = np.nextafter(changed[1, 2, 0], 100)
    others = [
        Trajectories(changed, 0.1),
        Trajectories(array, 0.2),
        Trajectories(array.reshape(1, 6, 2), 0.1),
        Trajectories(array.astype(np.float32), 0.1),
    ]
    assert len({first, *(o.fingerprint() for o in others)}) == 5


# Parts


@given(st.integers(2, 12), st.floats(0.01, 0.99))
def test_split_by_trajectory_parts_them_without_overlap(n, fraction):
    held = Trajectories(np.arange(n * 2.0).reshape(n, 2, 1))
    rest, part = held.split(fraction, random_state=3)
    firsts = [*rest.initial_states.ravel(), *part.initial_states.ravel()]
    assert sorted(firsts) == held.initial_states.ravel().tolist()
    assert len(part) == min(max(round(fraction * n), 1), n - 1)
    assert held.split(fraction, random_state=3)[1] == part


@given(st.lists(st.integers(3, 30), min_size=1, max_size=4), st.floats(0.01, 0.99))
def test_split_by_time_shares_one_row(lengths, fraction):
    held = Trajectories(make(lengths, 2), 0.25, start_times=-np.arange(len(lengths)))
    first, second = held.split_time(fraction)
    for k in range(len(held)):
        np.testing.assert_array_equal(first[k][-1], second[k][0])
        np.testing.assert_array_equal(np.concatenate([first[k], second[k][1:]]), held[k])
        assert first.times(k)[-1] == pytest.approx(second.times(k)[0])
        assert min(len(first[k]), len(second[k])) >= 2


def test_cut_takes_the_same_rows_of_each():
    held = Trajectories(make([5, 7], 2), 0.5)
    part = held.cut(3, 2)
    np.testing.assert_array_equal(part.to_array(), np.stack([held[0][2:5], held[1][2:5]]))
    assert part.start_times.tolist() == [1, 1]


# Noise (the paper, Appendix B.2)


@given(ragged_shapes)
def test_mean_variance_is_over_time_averaged_over_trajectories(shape):
    arrays = make(*shape)
    expected = np.mean([a.var(axis=0) for a in arrays], axis=0)
    np.testing.assert_allclose(Trajectories(arrays).mean_variance(), expected, rtol=1e-10)


def test_noise_has_the_fraction_of_the_variance_asked_for():
    t = np.linspace(0, 20, 4000)
    # The offsets would dominate a variance that were pooled over trajectories.
    arrays = [np.column_stack([np.sin(t) + 100 * k, 10 * np.cos(3 * t)]) for k in range(4)]
    held = Trajectories(arrays)
    noise = held.add_noise(0.01, random_state=0).values - held.values
    expected = 0.01 * np.mean([a.var(axis=0) for a in arrays], axis=0)
    np.testing.assert_allclose(noise.var(axis=0), expected, rtol=0.05)
    np.testing.assert_allclose(noise.mean(axis=0) / noise.std(axis=0), 0, atol=0.03)


def test_noise_is_repeatable_and_leaves_the_original():
    held = Trajectories(make([9, 4], 2), 0.1, start_times=[1, 2])
    before = held.values.copy()
    assert held.add_noise(0.1, random_state=1) == held.add_noise(0.1, random_state=1)
    assert held.add_noise(0.1, random_state=1) != held.add_noise(0.1, random_state=2)
    assert held.add_noise(0) == held
    np.testing.assert_array_equal(held.values, before)
    float32 = Trajectories(np.ones((3, 2), dtype=np.float32))
    assert float32.add_noise(0.1).dtype == np.float32


# What it refuses


@given(ragged_shapes, st.data(), st.sampled_from([np.nan, np.inf, -np.inf, 1e200]))
def test_a_bad_value_is_found_where_it_is(shape, data, value):
    arrays = make(*shape)
    k = data.draw(st.integers(0, len(arrays) - 1))
    row = data.draw(st.integers(0, len(arrays[k]) - 1))
    column = data.draw(st.integers(0, shape[1] - 1))
    arrays[k][row, column] = value
    names = [f"name{j}" for j in range(shape[1])]
    with pytest.raises(DataError, match=f"trajectory {k}, row {row}, column 'name{column}'"):
        Trajectories(arrays, feature_names=names)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ([], "empty"),
        (np.zeros((0, 2)), "empty"),
        (np.zeros((1, 2)), r"Trajectory 0 has 1 row\(s\)"),
        ([np.zeros((3, 1)), np.zeros((1, 1))], r"Trajectory 1 has 1 row\(s\)"),
        ([np.zeros((3, 2)), np.zeros((3, 1))], "Trajectory 1 has 1 features, trajectory 0 has 2"),
        (np.zeros((2, 2, 2, 2)), r"got shape \(2, 2, 2, 2\)"),
        (5.0, r"got shape \(\)"),
        (np.ones((3, 2)) * 1j, "complex"),
        (np.ma.masked_equal([[1.0, 2.0], [3.0, 4.0]], 4), r"masked at index \[1, 1\]"),
        ([[1.0, 2.0], [3.0, "a"]], "got 'a' in row 1, column 1"),
        ([[[1.0], [2.0]], [[3.0], [{}]]], r"got \{\} in trajectory 1, row 1, column 0"),
        ([[[1.0], [2.0]], [[3.0], [None]]], "NaN in trajectory 1, row 1, column 'x0'"),
        ([[[1.0], [2.0]], [[3.0]]], "unequal length"),
        ([[1, 2], [3, np.nan], [np.nan, 5]], r"NaN .* row 1, column 'x1' \(1 more like it\)"),
    ],
)
def test_unusable_data_are_refused(data, match):
    with pytest.raises(DataError, match=match):
        Trajectories(data)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"dt": 0}, "dt to be a positive number, got 0"),
        ({"dt": np.nan}, "dt to be a positive number"),
        ({"dt": "1 s"}, "dt to be a positive number"),
        ({"feature_names": ["a"]}, "Expected 2 feature names"),
        ({"feature_names": "ab"}, "Expected 2 feature names, got 'ab'"),
        ({"feature_names": ["a", "a"]}, "repeat"),
        ({"start_times": [1, 2]}, "start time for each of 1"),
        ({"start_times": np.inf}, "finite start time"),
        ({"start_times": [1e308]}, "from which float64 can tell steps of 1, got 1e\\+308"),
    ],
)
def test_unusable_arguments_are_refused(arguments, match):
    with pytest.raises(ArgumentError, match=match):
        Trajectories(np.zeros((3, 2)), **arguments)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda t: t.to_array(), DataError, "3 to 4 rows .* cut"),
        (lambda t: t.cut(4), DataError, "shortest trajectory has 3 rows"),
        (lambda t: t.cut(1), ArgumentError, "n_rows to be at least 2"),
        (lambda t: t.cut(2, -1), ArgumentError, "start to be at least 0"),
        (lambda t: t[2], IndexError, "Trajectory 2 of 2"),
        (lambda t: t[2:], DataError, "No trajectory of 2"),
        (lambda t: t[:1].split(), DataError, "split_time"),
        (lambda t: t.cut(2).split_time(), DataError, "Trajectory 0 has 2 rows"),
        (lambda t: t.split(1.5), ArgumentError, "between 0 and 1, got 1.5"),
        (lambda t: t.split("half"), ArgumentError, "between 0 and 1, got 'half'"),
        (lambda t: t.add_noise(-1), ArgumentError, "noise level of 0 or more, got -1"),
        (lambda t: t.add_noise("much"), ArgumentError, "got 'much'"),
        (lambda t: Trajectories(t, 2.0), ArgumentError, "dt=2 was given"),
    ],
)
def test_unusable_calls_are_refused(call, error, match):
    with pytest.raises(error, match=match):
        call(Trajectories(make([3, 4], 1), 1.0))


def test_it_cannot_be_hashed_since_it_compares_by_value():
    with pytest.raises(TypeError):
        hash(Trajectories(np.zeros((2, 1))))


def test_save_and_load_go_through_the_file_formats(tmp_path):
    held = Trajectories(make([3, 5], 2), 0.1)
    assert pyhits.read(pyhits.write(held, tmp_path / "data.npz")) == held


def test_tables_of_very_many_features_are_short() -> None:
    lines = Trajectories(np.zeros((3, 5000))).summary().splitlines()
    assert len(lines) == 203
    assert lines[-1] == "and 4800 more"


@pytest.mark.parametrize("unit", [1e30, 1e-30])
def test_single_precision_has_no_room_for_odd_units(unit, recwarn):
    rows = (unit * np.sin(0.3 * np.arange(60))).astype(np.float32)
    data = Trajectories(rows, np.float32(0.1))
    assert data.dtype == np.float64
    np.testing.assert_array_equal(data[0][:, 0], rows)
    assert pyhits.baselines.Seasonal().fit(data).period_ == 21
    assert not recwarn
