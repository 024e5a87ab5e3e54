"""Recordings that gaps have cut into pieces: a short one limits no other, and nothing fails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import quick

import pyhits
from pyhits.data.stubs import long_enough, rows_of_most, without_stubs
from pyhits.errors import PyHiTSWarning
from pyhits.numerics.periods import spread_grows


def in_pieces(lengths: list[int]) -> pyhits.Trajectories:
    """A noisy season with a row missing behind each piece but the last."""
    t = np.arange(sum(lengths) + len(lengths) - 1)
    noise = np.random.default_rng(0).standard_normal(len(t))
    rows = 10 + 3 * np.sin(2 * np.pi * t / 24) + np.sin(2 * np.pi * t / 7) + 0.1 * noise
    starts = np.cumsum([0, *(n + 1 for n in lengths[:-1])])
    arrays = [rows[a : a + n, None] for a, n in zip(starts, lengths, strict=True)]
    return pyhits.Trajectories(arrays, 1.0, feature_names=["x"], start_times=list(starts))


def test_stubs_are_left_out_of_pieces_alone() -> None:
    data = in_pieces([300, 9, 3, 200, 40])
    assert without_stubs(data).lengths.tolist() == [300, 200, 40]  # 40 of 552 rows are not few
    whole = in_pieces([300])
    assert without_stubs(whole) is whole
    apart = pyhits.Trajectories([np.zeros((n, 1)) for n in (300, 5)], 1.0)
    assert without_stubs(apart) is apart
    assert rows_of_most(np.array([300, 9, 3, 200, 40])) == 200
    assert rows_of_most(np.array([5])) == 5
    assert long_enough(data, 40).lengths.tolist() == [300, 200, 40]
    assert long_enough(data, 1000) is data


@pytest.mark.usefixtures("few_baselines")
def test_fits_look_back_further_than_the_shortest_piece(tmp_path: Path) -> None:
    data = in_pieces([260, 9, 120, 30, 3, 200])
    model = quick(flow_map="polynomial", step_sizes=[1, 2]).fit(data)
    assert model.coordinates_.history > 9
    assert "Left out: 2 of 6 pieces, 12 rows in all, too short beside the rest." in model.notes_
    with pytest.warns(PyHiTSWarning, match="Left out"):
        assert np.isfinite(model.evaluate(data).nrmse)
    later = pyhits.load(model.save(tmp_path / "m.safetensors")).forecast_from(data[-1], 48)
    t = len(data.values) + 5 + np.arange(48)
    truth = 10 + 3 * np.sin(2 * np.pi * t / 24) + np.sin(2 * np.pi * t / 7)
    assert np.abs(np.asarray(later)[1:, 0] - truth).std() < 0.6  # of 2.2


def test_a_period_longer_than_a_piece_tells_nothing_of_growth() -> None:
    rows = np.exp(0.02 * np.arange(200))[:, None] * (
        2 + np.sin(2 * np.pi * np.arange(200) / 24)[:, None]
    )
    assert spread_grows([rows, rows[:9]], 24)
    assert not spread_grows([rows[:9]], 24)
