"""Gaps in recordings: pieces with exact starts, short holes filled, long ones never bridged."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import two_waves

import pyhits
from pyhits.encoders import Standardise
from pyhits.errors import DataError
from pyhits.training.windows import WindowSampler


def test_missing_values_cut_the_recording_into_exact_pieces() -> None:
    t = 3 + np.arange(1200) * 0.1
    x = two_waves(t)
    x[[17, 18, 400], 0] = np.nan
    repaired = pyhits.repair(x, times=t, feature_names=["T", "p"])
    found = repaired.trajectories
    assert found.lengths.tolist() == [17, 381, 799]
    np.testing.assert_allclose(found.start_times, t[[0, 19, 401]], rtol=1e-14)
    for k, (a, b) in enumerate([(0, 17), (19, 400), (401, 1200)]):
        np.testing.assert_array_equal(found[k], x[a:b])
        np.testing.assert_allclose(found.times(k), t[a:b])
    assert "'T' lacks 3 of 1200 rows (rows 17, 18, 400)." in repaired.notes
    assert "1 recording cut into 3 trajectories" in " ".join(repaired.notes)


def test_windows_do_not_straddle_a_cut() -> None:
    t = np.arange(300.0)
    x = np.column_stack([t, t])
    x[[40, 41, 120, 250]] = np.nan
    found = pyhits.repair(x).trajectories
    encoder = Standardise().fit(found.values)
    sampler = WindowSampler(found.values, found.offsets, encoder, step_size=8, rollout_steps=2)
    windows = encoder.inverse_transform(sampler.gather(sampler.all_rows()))
    assert windows.shape == (3, sum(max(0, n - 16) for n in found.lengths), 2)
    # A row's value is its time, so that the states of a window step by 8.
    np.testing.assert_allclose(np.diff(windows, axis=0), 8, rtol=1e-12)


def test_rows_that_are_absent_are_gaps() -> None:
    t = np.arange(100) * 0.25
    kept = np.delete(np.arange(100), [10, 50, 51, 52])
    repaired = pyhits.repair(two_waves(t)[kept], times=t[kept])
    found = repaired.trajectories
    assert found.dt == 0.25
    assert found.lengths.tolist() == [10, 39, 47]
    np.testing.assert_array_equal(found.start_times, t[[0, 11, 53]])
    np.testing.assert_array_equal(found[1], two_waves(t)[11:50])
    assert "4 rows of the grid of step 0.25 not there" in " ".join(repaired.notes)


def test_short_gaps_are_filled_if_asked_and_long_ones_cut() -> None:
    t = np.arange(300) * 0.1
    x = two_waves(t)
    x[50:54, 0] = np.nan
    x[100:105, 1] = np.nan
    x[:3, 0] = np.nan
    repaired = pyhits.repair(x, dt=0.1, gaps="fill")
    found = repaired.trajectories
    # Nothing is known before the third row, and 5 rows are one too many.
    assert found.lengths.tolist() == [97, 195]
    np.testing.assert_allclose(found.start_times, [0.3, 10.5])
    for k in range(2):
        np.testing.assert_allclose(found[k], two_waves(found.times(k)), atol=5e-4)
    known = ~np.isnan(x[3:100, 0])
    np.testing.assert_array_equal(found[0][known, 0], x[3:100, 0][known])
    assert "4 numbers filled in by cubic interpolation" in " ".join(repaired.notes)
    assert len(pyhits.repair(x, dt=0.1, gaps="fill", longest_gap=6).trajectories) == 1


def test_gaps_in_noisy_rows_are_filled_and_others_cut() -> None:
    """By default: of a noisy season, also beside a long gap; not of smooth rows or of a map."""
    rng = np.random.default_rng(0)
    t = np.arange(400)
    season = np.sin(2 * np.pi * t / 24) + 0.1 * rng.standard_normal(400)
    logistic = np.full(400, 0.3)
    for k in range(399):
        logistic[k + 1] = 3.9 * logistic[k] * (1 - logistic[k])
    holes = [50, 120, 121, 300]
    kinds = {"season": season, "smooth": np.sin(t * 0.1), "map": logistic, "many holes": season}
    for kind, values in kinds.items():
        rows = values.copy()
        rows[holes if kind != "many holes" else 1 + rng.choice(398, 60, replace=False)] = np.nan
        repaired = pyhits.repair(rows, dt=1.0)
        assert (len(repaired.trajectories) == 1) == (values is season), kind
        assert ("Rows are noisy" in " ".join(repaired.notes)) == (values is season)
    rows = season.copy()
    rows[200:280] = np.nan
    rows[holes] = np.nan
    assert pyhits.repair(rows, dt=1.0).trajectories.lengths.tolist() == [200, 120]
    rows = season.copy()
    rows[holes] = np.nan
    assert len(pyhits.repair(rows, dt=1.0, gaps="cut").trajectories) == 4
    absent = pyhits.repair(np.delete(season, holes), times=np.delete(t, holes) * 3600.0)
    assert absent.trajectories.lengths.tolist() == [400]


def test_one_variable_with_many_gaps_is_filled() -> None:
    """Its past rows say where it goes; of several smooth variables, which say it too, none is."""
    rows = two_waves(np.arange(400) * 0.1)
    rows[1:399:12] = np.nan
    one = pyhits.repair(rows[:, :1], dt=0.1)
    assert len(one.trajectories) == 1
    assert "Few rows of one variable" in " ".join(one.notes)
    assert len(pyhits.repair(rows, dt=0.1).trajectories) > 30
    rows[:, 0] = np.random.default_rng(0).random(400)
    assert (
        len(pyhits.repair(np.where(np.isnan(rows[:, 1:2]), np.nan, rows[:, :1])).trajectories) > 30
    )


@pytest.mark.parametrize("n", [3, 5, 9])
def test_few_rows_with_a_gap_are_repaired(n: int) -> None:
    rows = np.arange(float(n)) ** 2
    rows[1] = np.nan
    assert pyhits.repair(rows, gaps="fill").trajectories.n_rows == n
    assert pyhits.repair(rows).trajectories.n_rows == n


def test_smooth_fields_that_lack_points_are_filled() -> None:
    """No row of them may be whole; a sensor that is dead for long is no reason."""
    rng = np.random.default_rng(0)
    rows = np.sin(0.1 * np.arange(60)[:, None] + np.linspace(0, 6, 80))
    holes = rng.random(rows.shape) < 0.03
    holes[[0, -1]] = False
    repaired = pyhits.repair(np.where(holes, np.nan, rows))
    assert "Cuts would lose most rows" in " ".join(repaired.notes)
    np.testing.assert_allclose(repaired.trajectories[0], rows, atol=1e-3)
    rows[10:55, 3] = np.nan
    rows[5, 7] = np.nan
    assert len(pyhits.repair(rows).trajectories) == 3


def test_filling_knows_nothing_of_what_lies_behind_a_long_gap() -> None:
    x = two_waves(np.arange(80) * 0.1)
    x[[10, 60]] = np.nan
    x[30:45] = np.nan
    other = x.copy()
    other[45:] = 7
    other[60] = np.nan
    one = pyhits.repair(x, dt=0.1, gaps="fill").trajectories[0]
    np.testing.assert_array_equal(one, pyhits.repair(other, dt=0.1, gaps="fill").trajectories[0])


def test_pieces_of_several_trajectories() -> None:
    arrays = [two_waves(np.arange(n) * 0.1) for n in (30, 20, 40)]
    arrays[1][:] = np.nan
    arrays[2][5] = np.nan
    repaired = pyhits.repair(arrays, dt=0.1)
    found = repaired.trajectories
    assert found.lengths.tolist() == [30, 5, 34]
    assert repaired.numbers.tolist() == [0, 2, 2]
    assert "Trajectory 1: every feature lacks 20 of 20 rows" in " ".join(repaired.notes)
    assert "Trajectory 2: every feature lacks 1 of 40 rows (row 5)." in repaired.notes


def test_short_pieces_and_empty_features_are_left_out() -> None:
    x = np.column_stack([two_waves(np.arange(40) * 0.1), np.full(40, np.nan)])
    x[[2, 5], 0] = np.nan
    repaired = pyhits.repair(x, feature_names=["a", "b", "c"])
    assert repaired.trajectories.feature_names == ("a", "b")
    assert repaired.trajectories.lengths.tolist() == [34]
    notes = " ".join(repaired.notes)
    assert "without a single value: 'c'" in notes
    assert "4 rows in pieces of fewer than 3 left out" in notes
    with pytest.raises(DataError, match="Every value is missing"):
        pyhits.repair(x * np.nan)
    x[::2, 0] = np.nan
    with pytest.raises(DataError, match=r"No 3 whole rows stand together.*gaps=\"fill\""):
        pyhits.repair(x)


def test_infinite_masked_and_absent_values_are_missing() -> None:
    x = two_waves(np.arange(50) * 0.1)
    bad = x.copy()
    bad[20, 0] = np.inf
    masked = np.ma.masked_array(x, mask=False)
    masked[20, 0] = np.ma.masked
    objects = x.astype(object)
    objects[20, 0] = None
    for data in (bad, masked, objects):
        found = pyhits.repair(data, dt=0.1).trajectories
        assert found.lengths.tolist() == [20, 29]
        np.testing.assert_array_equal(found[1], x[21:])
