"""Delays chosen from the data: as many as the motion has hidden coordinates, and none in vain."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import circles, quick, settled
from typer.testing import CliRunner

import pyhits
from pyhits import Trajectories, plots
from pyhits.cli.app import app
from pyhits.encoders import POD, Chain, DelayEmbedding, Standardise, choose_delays
from pyhits.encoders.chain import fresh, from_plain, links, to_plain
from pyhits.encoders.staterows import StateRows
from pyhits.errors import ArgumentError, NotFittedError
from pyhits.report.text import describe

T = np.arange(2000)[:, None]


@pytest.fixture(scope="module")
def lorenz() -> Trajectories:
    """Long recordings on the attractor, 0.02 apart."""
    return settled("lorenz", 3, 1000, 1, 0.02).cut(700, 300)


@pytest.fixture(scope="module")
def of_x(lorenz: Trajectories) -> StateRows:
    """The delays of its first variable."""
    return choose_delays([x[:, :1] for x in lorenz])


def henon(n: int) -> np.ndarray:
    states = np.empty((n, 2))
    states[0] = 0.1
    for k in range(1, n):
        x, y = states[k - 1]
        states[k] = 1 - 1.4 * x * x + y, 0.3 * x
    return states[100:]


# The choice


def test_one_variable_of_lorenz_takes_three_delays_or_more(lorenz, of_x):
    for choice in (of_x, choose_delays([x[:, 2:] for x in lorenz[:2]])):
        assert choice.n_rows >= 3
        assert choice.score < 0.2 * choice.scores[1, 1]


@pytest.mark.parametrize("omega", [pytest.param(0.03, marks=pytest.mark.slow), 2 * np.pi / 50, 0.7])
def test_a_sine_takes_two(omega):
    assert choose_delays([np.sin(omega * T[:1000])]).n_rows == 2


def test_two_frequencies_take_four():
    t = T[:1000]
    assert choose_delays([np.sin(0.1 * t) + 0.7 * np.sin(0.1 * np.sqrt(3) * t)]).n_rows == 4


def test_what_is_fully_observed_takes_none(lorenz):
    systems = (pyhits.systems.get(name) for name in ("van-der-pol", "hyperbolic", "hopf"))
    recorded = [s.simulate(n_trajectories=12, n_steps=300, random_state=1) for s in systems]
    for data in (lorenz, *recorded, circles(4, 300), circles(20, 60)):
        assert choose_delays(list(data)).n_rows == 1


def test_maps_take_the_rows_before():
    rows = henon(400)
    choice = choose_delays([rows[:, :1]])
    assert (choice.n_rows, choice.lag) == (2, 1)
    assert choose_delays([rows]).n_rows == 1


def test_what_cannot_be_predicted_takes_none():
    rng = np.random.default_rng(0)
    assert choose_delays([rng.standard_normal((300, 1))]).n_rows == 1
    assert choose_delays([rng.standard_normal((300, 1)).cumsum(axis=0)]).n_rows == 1


@pytest.mark.parametrize(
    "rows",
    [
        np.ones((100, 2)),
        np.full((50, 1), 101325.3) * (1 + 1e-16 * T[:50]),
        np.random.default_rng(0).standard_normal((20, 1)),
        np.sin(0.5 * T[:20]),
        np.zeros((2, 1)),
    ],
    ids=["constant", "rounding", "noise", "short", "two rows"],
)
def test_too_little_to_choose_from_is_said(rows):
    encoder = DelayEmbedding("auto").fit(rows)
    assert encoder.n_delays_ == 1
    assert encoder.notes()[0].startswith("A state is one row")
    np.testing.assert_array_equal(encoder.transform(rows), rows)


@pytest.mark.slow
def test_whole_numbers_of_a_detector(lorenz):
    """Intensities as an eight-bit converter writes them, one column."""
    intensity = np.square(np.concatenate([x[:, :1] for x in lorenz[:1]]))
    counts = np.round(255 * intensity / intensity.max())
    choice = choose_delays([counts])
    assert choice.n_rows >= 2
    assert choice.score < 0.4 * choice.scores[1, 1]


@pytest.mark.usefixtures("few_baselines")
def test_what_is_given_stays():
    wave = np.sin(0.1 * T[:1000])
    assert DelayEmbedding("auto", lag=3).fit(wave).lag_ == 3
    given = DelayEmbedding(4, lag="auto").fit(wave)
    assert given.n_delays_ == 4
    assert given.choice_.score == min(given.choice_.scores.values())
    assert DelayEmbedding(4).fit(wave).lag_ == 1
    assert DelayEmbedding(4).fit(wave).notes() == []
    # One that is given and does not fit is refused as ever; one that is chosen always fits.
    assert DelayEmbedding("auto").fit([wave[:300], wave[:9]]).history <= 9


def test_every_trajectory_is_long_enough_for_what_is_chosen():
    for n in (3, 8):
        pieces = [np.sin(0.02 * T[: 40 + 3 * k] + k) for k in range(n)]
        encoder = DelayEmbedding("auto").fit(pieces)
        assert encoder.history <= 20
        data = Trajectories(pieces, 0.1)
        assert len(encoder.transform(data)) == n
        assert DelayEmbedding(9, lag="auto").fit(pieces).history <= 21


@pytest.mark.slow
def test_fields_are_looked_at_through_their_modes(lorenz):
    patterns = np.random.default_rng(0).standard_normal((3, 200))
    assert choose_delays([x[:300] @ patterns for x in lorenz]).n_rows == 1
    choice = choose_delays([x[:, :1] @ patterns[:1] for x in lorenz[:2]])
    assert choice.n_rows >= 3


# The encoder


def test_a_choice_survives_copies_and_files(lorenz):
    data = lorenz[:1].select(["x"]).cut(300)
    encoder = Chain([DelayEmbedding("auto"), POD(2)]).fit(data)
    again = Chain(from_plain(to_plain(links(encoder)))).set_state(**encoder.state())
    assert repr(again) == repr(encoder)
    np.testing.assert_array_equal(again.transform(data[0]), encoder.transform(data[0]))
    assert again.notes() == encoder.notes()
    delays = links(again)[0]
    assert delays.choice_ == encoder.encoders[0].choice_
    torn = delays.state() | {"tried": np.array([1, 1]), "scores": np.array([0.5])}
    with pytest.raises(ValueError, match="does not fit together"):
        DelayEmbedding("auto").set_state(**torn)
    unfitted = fresh(links(encoder))[0]
    with pytest.raises(NotFittedError, match="call fit first"):
        unfitted.history  # noqa: B018
    fields = {"n_features": np.array([1])}
    with pytest.raises(ValueError, match="its delays are missing"):
        unfitted.set_state(**fields)
    assert DelayEmbedding(2, 3).set_state(**fields).history == 4


@pytest.mark.parametrize("wrong", [{"n_delays": "many"}, {"n_delays": 2, "lag": "some"}])
def test_other_words_are_refused(wrong):
    with pytest.raises(ArgumentError, match="a whole number or 'auto'"):
        DelayEmbedding(**wrong).fit(np.sin(T))


def test_the_figure_marks_the_choice(lorenz, of_x):
    choice = of_x
    axes = plots.delay_choice(choice, lorenz.dt, ax=plots.blank())
    drawn = sorted(y for line in axes.lines[:-1] for y in line.get_ydata())
    np.testing.assert_array_equal(drawn, sorted(choice.scores.values()))
    assert axes.lines[-1].get_xdata()[0] == pytest.approx(0.02 * (choice.history - 1))
    plots.delay_choice(choose_delays([np.ones((5, 1))]), ax=plots.blank())


# The estimator


@pytest.mark.slow
def test_one_variable_of_lorenz_is_forecast_better_with_its_past():
    system = pyhits.systems.get("lorenz")
    rows = system.simulate(6, n_steps=1500, dt=0.02, random_state=1, transient=5)
    data = rows.cut(1200, 300).select(["x"])
    train, test = data[:5], data[5:]
    alone, delayed = (
        quick(step_sizes=[1, 2], encoder=e, selection=[1, 2], dtype="float64").fit(train)
        for e in ([], "auto")
    )
    assert len(delayed.coordinate_names_) >= 3
    starts = np.arange(100, 1100, 100)
    # The same rows for both: they begin where a forecast's first rows end.
    errors = []
    for model in (alone, delayed):
        rows = [test[0][k + 1 - model.start_rows_ : k + 61] for k in starts]
        found = model.evaluate(Trajectories(rows, 0.02))
        errors.append((np.sqrt(np.median(found.per_step_mse[1:31])), found.valid_time))
    assert errors[1][0] < 0.1 * errors[0][0]
    assert errors[1][1] > 3 * errors[0][1]


def test_a_model_chooses_says_so_and_keeps_it(tmp_path: Path):
    data = circles(8, 120).select(["x"])
    model = quick(step_sizes=[1, 4], encoder="auto").fit(data)
    assert len(model.coordinate_names_) == 2
    assert model.notes_[1].startswith("A state is 2 rows")
    assert "DelayEmbedding" in describe(model)
    again = pyhits.load(model.save(tmp_path / "m.safetensors"))
    assert repr(again.encoder) == repr(model.stepper_.encoder)
    assert again.start_rows == model.start_rows_ > 1
    late = circles(3, 200, seed=5).select(["x"])
    past, rest = late.split_time(60, overlap=1)
    ahead = model.forecast_from(past, 60)
    np.testing.assert_array_equal(again.forecast_from(past, 60), ahead)
    np.testing.assert_allclose(ahead, rest.to_array(), atol=1e-3)
    alone = replace(quick(step_sizes=[1, 4], encoder=[]).fit(data).stepper_, blend=None)
    assert model.evaluate(late).nrmse < 0.01 * alone.evaluate(late).nrmse


def test_a_model_without_need_of_delays_is_that_without_an_encoder():
    data = circles(8, 120)
    plain, automatic = (quick(step_sizes=[1, 4], encoder=e).fit(data) for e in (None, "auto"))
    assert automatic.encoder_ is None
    assert automatic.start_rows_ == 1
    starts = data.initial_states
    np.testing.assert_array_equal(automatic.forecast(starts, 50), plain.forecast(starts, 50))
    assert any(note.startswith("A state is one row") for note in automatic.notes_)


def test_fields_get_modes_first():
    circle = circles(6, 60).to_array()
    patterns = np.linalg.qr(np.random.default_rng(9).standard_normal((40, 2)))[0].T
    whole = quick(step_sizes=[1], encoder="auto").fit(circle @ patterns, dt=0.1)
    assert whole.coordinate_names_ == ("mode 1", "mode 2")
    assert whole.scaling_.common
    assert isinstance(links(whole.encoder_)[0], POD)
    half = quick(step_sizes=[1], encoder="auto").fit(circle[..., :1] @ patterns[:1], dt=0.1)
    assert len(half.coordinate_names_) == 2
    assert half.coordinate_names_[0] == "mode 1(t)"


@pytest.mark.slow
def test_on_the_command_line(tmp_path: Path):
    t = 0.1 * np.arange(400)
    table = np.column_stack([t, np.sin(t)])[:200]
    np.savetxt(tmp_path / "x.csv", table, delimiter=",", header="t,x", comments="")
    model = tmp_path / "m.safetensors"
    for encoder in ("auto", "delay=auto"):
        words = [
            "fit",
            tmp_path / "x.csv",
            "-o",
            model,
            "--encoder",
            encoder,
            "--step-sizes",
            "1,2",
        ]
        result = CliRunner().invoke(app, [*map(str, words), "--max-steps", "5", "--jobs", "1"])
        assert result.exit_code == 0, result.output
        shown = CliRunner().invoke(app, ["info", str(model), "--json"])
        facts = json.loads(shown.stdout)
        assert len(facts["coordinate_names"]) == 2
        assert any(note.startswith("A state is 2 rows") for note in facts["notes"])
    wrong = CliRunner().invoke(app, [*map(str, words[:-3]), "delay=some"])
    assert wrong.exit_code != 0
    assert "delay=auto" in wrong.output


def test_auto_is_no_link_of_a_list():
    with pytest.raises(ArgumentError, match="Expected an encoder such as"):
        quick(encoder=["auto", Standardise()]).fit(circles(6, 30))


# Without being asked


@pytest.mark.slow
def test_recordings_that_lack_a_variable_are_delayed_unless_told_otherwise():
    wave = circles(1, 300).select(["x"])
    found = quick(step_sizes=[1, 4]).fit(wave)
    assert found.start_rows_ > 1
    assert any(note.startswith("A state is") for note in found.notes_)
    plain = quick(step_sizes=[1, 4], encoder=[]).fit(wave)
    whole = quick(step_sizes=[1]).fit(circles(1, 300))
    assert plain.start_rows_ == whole.start_rows_ == 1
    test = circles(1, 300, seed=3).select(["x"])
    alone = replace(plain.stepper_, blend=None)
    assert found.evaluate(test).nrmse < 0.2 * alone.evaluate(test).nrmse


@pytest.mark.usefixtures("few_baselines")
def test_none_on_the_command_line_takes_rows_as_they_are(tmp_path: Path):
    pyhits.write(circles(1, 200).select(["x"]), tmp_path / "x.npz")
    words = ["fit", tmp_path / "x.npz", "-o", tmp_path / "m.safetensors", "--step-sizes", "1,4"]
    for more, said in (([], "DelayEmbedding"), (["--encoder", "none"], "")):
        command = [*map(str, words), "--max-steps", "5", "--hidden-sizes", "8", "--jobs", "1"]
        done = CliRunner().invoke(app, [*command, *more])
        assert done.exit_code == 0, done.output
        loaded = pyhits.load(tmp_path / "m.safetensors")
        assert (loaded.start_rows > 1) == bool(said)
        assert said in describe(loaded)
