"""Splits by time and by recording, and times as large as a clock's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import circles
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

import pyhits
from pyhits import Trajectories
from pyhits.cli.app import app
from pyhits.errors import DataError
from pyhits.policies import arguments

SETTINGS: dict[str, Any] = {
    "step_sizes": [1, 2, 4], "flow_map": "polynomial", "polynomial_degree": 1, "encoder": [],
    "noise": False, "random_state": 0, "n_jobs": 1, "verbose": False,
}  # fmt: skip

#: Seconds since 1970, the same in milliseconds and in nanoseconds.
CLOCKS = [0.0, 1.7e9, 1.7e12, 1.7e18]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def in_pieces(
    lengths: list[int], gaps: list[int], dt: float = 0.1, start: float = 0.0
) -> Trajectories:
    """Return one turning state whose rows are its row numbers' angles, with gaps between pieces."""
    begins = np.cumsum([0, *(n + g for n, g in zip(lengths, gaps, strict=True))])[:-1]
    angles = [0.07 * (b + np.arange(n)) for b, n in zip(begins, lengths, strict=True)]
    rows = [np.stack([np.cos(a), np.sin(a)], axis=1) for a in angles]
    return Trajectories(rows, dt, start_times=start + dt * begins)


pieces = st.lists(st.tuples(st.integers(2, 40), st.integers(1, 30)), min_size=1, max_size=12)


@given(pieces, st.floats(0.05, 0.9), st.sampled_from(CLOCKS[:2]))
def test_the_last_part_of_a_recording_comes_after_all_the_rest(
    shape: list[tuple[int, int]], fraction: float, clock: float
) -> None:
    lengths, gaps = (list(part) for part in zip(*shape, strict=True))
    data = in_pieces(lengths, gaps, start=clock)
    total = sum(lengths)
    if total < 3:
        return
    assert (data.recordings == 0).all()
    try:
        train, rest = data.split_time(fraction)
    except DataError:
        # Too little of the first piece would stay.
        assert round((1 - fraction) * total) < 2 + lengths[0]
        return
    ends = train.start_times + train.dt * (train.lengths - 1)
    assert ends.max() <= rest.start_times.min() + 0.5 * data.dt
    # Nothing is lost: one row is in both if a piece was cut.
    shared = int(abs(ends.max() - rest.start_times.min()) < 0.5 * data.dt)
    assert train.n_rows + rest.n_rows - shared == total
    # No more than a row is added by a piece of which too little stays.
    assert abs(rest.n_rows - shared - fraction * total) <= 2


def test_trajectories_that_begin_together_are_each_split() -> None:
    data = circles(3, 50)
    train, rest = data.split_time(0.2)
    assert (train.lengths.tolist(), rest.lengths.tolist()) == ([41] * 3, [11] * 3)
    both = Trajectories([*in_pieces([30, 30], [5, 5]), *in_pieces([40, 20], [5, 5])], 0.1,
                        start_times=[0, 3.5, 0, 4.5])  # fmt: skip
    assert both.recordings.tolist() == [0, 0, 1, 1]
    train, rest = both.split_time(10)
    assert (train.lengths.tolist(), rest.lengths.tolist()) == ([30, 20, 40, 10], [11, 11])


def test_pieces_too_short_to_start_from_are_left_out_of_the_last_part() -> None:
    data = in_pieces([50, 4, 30, 3], [2, 2, 2, 2])
    _, rest = data.split_time(37, overlap=6)
    assert rest.lengths.tolist() == [30]
    with pytest.raises(DataError, match="no trajectory of more than 6 rows"):
        data.split_time(3, overlap=6)


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("spread", [0.0, 100.0])
def test_a_fit_does_not_depend_on_when_the_clock_began(clock: float, spread: float) -> None:
    """With a relative tolerance of times, trajectories were spliced near 1.7e9."""
    dt = 0.1 if clock < 1e12 else 100.0 * clock / 1.7e12
    starts = np.arange(10) * spread * dt
    data, late = (
        Trajectories(list(circles(10, 40)), dt, start_times=begin + starts) for begin in (0, clock)
    )
    models = [
        pyhits.HiTS(**arguments(**SETTINGS, validation=0.5)).fit(some) for some in (data, late)
    ]
    errors = [model.evaluate(data).mse for model in models]
    assert errors[1] == errors[0] < 1e-15
    assert models[0].calibration_.n_rollouts == models[1].calibration_.n_rollouts


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("step", [1e-3, 0.05, 1 / 3])
def test_files_of_a_clock_have_one_step(clock: float, step: float, tmp_path: Path) -> None:
    unit = 1.0 if clock < 1e10 else clock / 1.7e9
    tables = []
    for k, n in enumerate((40, 90)):
        t = clock + unit * step * (np.arange(n) + 200 * k)
        table = np.column_stack([t, np.sin(np.arange(n)), np.cos(np.arange(n))])
        np.savetxt(tmp_path / f"{k}.csv", table, delimiter=",", header="t,x,y", comments="")
        tables.append(pyhits.read(tmp_path / f"{k}.csv"))
    model = pyhits.HiTS(**arguments(**SETTINGS)).fit(tables[0])
    assert model.evaluate(tables[1]).mse < 1e-15
    repaired = pyhits.repair(tmp_path / "1.csv").trajectories
    assert (len(repaired), repaired.n_rows) == (1, 90)
    assert model.evaluate(repaired).mse < 1e-15
    again = pyhits.repair(tmp_path / "1.csv", resample=tables[0].dt).trajectories
    assert again.n_rows == 90
    Trajectories(tables[0], model.dt_)


def test_times_of_a_forecast_are_kept_apart_however_late() -> None:
    model = pyhits.HiTS(**arguments(**SETTINGS)).fit(circles(10, 40))
    t = np.array([1e4, 1e4 + 4e-6]) * model.dt_
    states = model.forecast(circles(1, 4).initial_states[0], t=t)
    assert np.abs(states[1] - states[0]).max() > 0


def test_what_was_held_out_is_said_with_its_times() -> None:
    data = in_pieces([60, 80, 60], [10, 10, 10], start=1.7e9)
    model = pyhits.HiTS(**arguments(**SETTINGS)).fit(data)
    note = "Validation: the last 20% of the recording in 3 pieces, t = 1700000018 to 1700000021.9."
    assert note in model.notes_
    one = pyhits.HiTS(**arguments(**SETTINGS)).fit(data[:1])
    assert (
        "Validation: the last 20% of the recording, t = 1700000004.8 to 1700000005.9." in one.notes_
    )
    many = in_pieces([30] * 49, [10] * 49)
    model = pyhits.HiTS(**arguments(**SETTINGS)).fit(many)
    assert any("the last 20% of the recording in 49 pieces" in note for note in model.notes_)


@pytest.fixture(scope="module")
def gappy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table whose rows have gaps: 25 pieces."""
    k = np.arange(1000)
    k = k[k % 40 < 37]
    table = np.column_stack([0.1 * k, np.cos(0.07 * k), np.sin(0.07 * k)])
    path = tmp_path_factory.mktemp("gappy") / "gappy.csv"
    np.savetxt(path, table, delimiter=",", header="t,x,y", comments="")
    return path


def test_the_command_line_leaves_out_the_end_of_the_recording(gappy: Path, tmp_path: Path) -> None:
    model, out = tmp_path / "m.safetensors", tmp_path / "f.npz"
    few = ["--step-sizes", "1,2,4", "--flow-map", "polynomial", "--encoder", "none", "--no-denoise"]
    done = run("fit", gappy, "--repair", "--without-last", "0.2", "-o", model, *few)
    assert done.exit_code == 0, done.output
    assert "Left out: the last 20% of the recording in 25 pieces, t = 80 to 99.6." in done.stderr
    done = run("evaluate", model, gappy, "--repair", "--last", "0.2", "--json")
    assert "Forecast: the last 20% of the recording in 25 pieces, t = 80 to 99.6." in done.stderr
    assert json.loads(done.stdout)["n_trajectories"] == 5
    go_on = ["--after", gappy, "--repair", "--without-last", "0.2", "--steps", 5, "-o", out]
    done = run("forecast", model, *go_on)
    assert done.exit_code == 0, done.output
    assert pyhits.read(out).start_times.tolist() == [pytest.approx(79.6)]
