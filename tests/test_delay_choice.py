"""Delays chosen from the data: as many as the motion has hidden coordinates, and none in vain."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import circles, quick
from typer.testing import CliRunner

import pyhits
from pyhits import Trajectories, plots
from pyhits.cli.app import app
from pyhits.encoders import (
    POD,
    Chain,
    DelayEmbedding,
    Standardise,
    choose_delays,
)
from pyhits.encoders.chain import fresh, from_plain, links, to_plain
from pyhits.encoders.delay_rollout import embedded, rollout_error
from pyhits.encoders.information import (
    cao,
    correlation,
    first_minimum,
    mutual_information,
    usual_lag,
)
from pyhits.errors import ArgumentError, NotFittedError
from pyhits.report.text import describe

T = np.arange(2000)[:, None]


@pytest.fixture(scope="module")
def lorenz() -> Trajectories:
    """Long recordings on the attractor, 0.02 apart."""
    system = pyhits.systems.get("lorenz")
    rows = system.simulate(6, n_steps=1500, dt=0.02, random_state=1, transient=5)
    return rows.cut(1200, 300)


def henon(n: int) -> np.ndarray:
    states = np.empty((n, 2))
    states[0] = 0.1
    for k in range(1, n):
        x, y = states[k - 1]
        states[k] = 1 - 1.4 * x * x + y, 0.3 * x
    return states[100:]


# The parts


def test_mutual_information_of_known_distributions():
    rng = np.random.default_rng(0)
    white = rng.standard_normal((20_000, 1))
    # Independent rows tell nothing of each other, but for (bins - 1)**2 / (2 n ln 2) of bias.
    assert 0 < mutual_information([white], 3).max() < 2 * 31**2 / (2 * 20_000 * np.log(2))
    coins = rng.integers(0, 2, (5000, 1)).astype(float)
    held = np.repeat(coins, 2, axis=0)
    # Of two equal rows one tells all, 1 bit; of pairs that begin anywhere half do.
    found = mutual_information([held], 2)
    assert found[0] == pytest.approx(1 - 0.8113, abs=0.01)
    assert found[1] == pytest.approx(0, abs=0.01)
    # Each feature counts alike, and its units do not count at all.
    both = np.hstack([white[:5000], 7 + 3 * white[:5000]])
    np.testing.assert_allclose(
        mutual_information([both], 5), mutual_information([white[:5000]], 5), rtol=1e-12
    )


def test_mutual_information_crosses_no_trajectory():
    rng = np.random.default_rng(1)
    whole = rng.standard_normal((600, 1)).cumsum(axis=0)
    pieces = [whole[:200], whole[200:203], whole[203:]]
    shuffled = [pieces[2], pieces[0], pieces[1]]
    np.testing.assert_allclose(mutual_information(pieces, 9), mutual_information(shuffled, 9))
    assert len(mutual_information([whole[:6]], 9)) == 4


def test_first_minima():
    assert first_minimum(np.array([5.0, 3, 2, 1, 2, 3, 4, 0.5])) == 4
    assert first_minimum(np.array([5.0, 3, 3.1, 2, 1, 2, 3, 4])) == 5  # a ripple is none
    falling = np.exp(-np.arange(20) / 5)
    assert first_minimum(falling) == 6  # the lag at which 1/e is left
    assert first_minimum(np.linspace(2, 1, 20)) == 10
    assert first_minimum(np.zeros(0)) == 1
    assert first_minimum(np.array([5.0, 1, 2, 3, 2, 1, 2, 3, 4]), begin=3) == 6


def test_correlation_and_the_lag_it_bounds():
    wave = [np.sin(0.1 * T), np.sin(0.1 * T[:700] + 1)]
    np.testing.assert_allclose(correlation(wave, 40), np.cos(0.1 * np.arange(1, 41)), atol=0.01)
    # A quarter of a period at most, however the information ripples.
    assert 5 <= usual_lag(wave, mutual_information(wave, 100)) <= 16
    assert usual_lag(wave, np.linspace(2, 1, 100)) == 16
    white = [np.random.default_rng(0).standard_normal((5000, 1))]
    assert usual_lag(white, np.ones(9)) <= 4
    np.testing.assert_array_equal(correlation([np.ones((9, 1))], 3), 0)


def test_vectors_are_those_of_the_encoder():
    pieces = [np.random.default_rng(k).standard_normal((30, 2)) for k in range(2)]
    wanted = DelayEmbedding(3, lag=4).fit(pieces).transform(pieces)
    found = embedded(pieces, 3, 4, 8, 0)
    np.testing.assert_array_equal(found, np.concatenate(wanted))
    early = embedded(pieces, 3, 4, 8, 5)
    np.testing.assert_array_equal(early, np.concatenate([w[:-5] for w in wanted]))


def test_caos_curve_settles_where_no_false_neighbours_are_left(lorenz):
    e1 = cao([x[:, :1] for x in lorenz], 8, 6)
    assert (e1[:2] < 0.5).all()
    assert (e1[2:] > 0.75).all()
    assert cao(list(lorenz), 8, 3)[0] > 0.9
    assert np.isnan(cao([np.zeros((50, 1))], 2, 3)).all()


def test_rollouts_of_a_polynomial_are_its_own_iterates():
    """The logistic map is a polynomial of one delay, and one of two takes nothing more."""
    rows = np.empty((400, 1))
    rows[0] = 0.3
    for k in range(1, 400):
        rows[k] = 3.2 * rows[k - 1] * (1 - rows[k - 1])
    errors = [rollout_error([rows[:300]], [rows[300:]], m, 1, 1, 8) for m in (1, 2)]
    assert max(errors) < 1e-3
    wave = np.sin(0.3 * T)
    one, two = (rollout_error([wave[:1500]], [wave[1500:]], m, 5, 5, 20) for m in (1, 2))
    assert two < 1e-4 < 0.5 < one <= 3


def test_more_delays_are_taken_where_they_step_on_better(lorenz):
    choice = choose_delays([x[:, :1] for x in lorenz])
    rows = [x[:, :1] for x in lorenz]
    ways = {(choice.n_delays, choice.lag), (choice.fewest, choice.fewest_lag)}
    first = max((m - 1) * k for m, k in ways)
    errors = {way: rollout_error(rows[:4], rows[4:], *way, first, 64) for way in ways}
    assert min(errors, key=errors.get) == (choice.n_delays, choice.lag)


# The choice


def test_one_variable_of_lorenz_takes_three_delays_or_more(lorenz):
    choices = [choose_delays([x[:, [k]] for x in lorenz]) for k in range(3)]
    assert all(3 <= choice.fewest <= 5 for choice in choices)
    assert all(choice.fewest <= choice.n_delays for choice in choices)
    # A fifth of the time that a lobe takes, 0.75, about.
    assert all(0.08 <= 0.02 * choice.information_lag <= 0.3 for choice in choices)
    assert all(c.errors[c.fewest - 1] < 0.2 * c.errors[0] for c in choices)


@pytest.mark.parametrize("omega", [0.03, 0.1, 2 * np.pi / 50, 0.7])
def test_a_sine_takes_two(omega):
    choice = choose_delays([np.sin(omega * T)])
    assert choice.n_delays == 2
    vectors = DelayEmbedding("auto").fit_transform(np.sin(omega * T))
    # Neither a line nor nearly one: the coordinates are well apart.
    assert np.linalg.cond(vectors - vectors.mean(axis=0)) < 6


def test_two_frequencies_take_four():
    assert choose_delays([np.sin(0.1 * T) + 0.7 * np.sin(0.1 * np.sqrt(3) * T)]).n_delays == 4


def test_what_is_fully_observed_takes_none(lorenz):
    systems = (pyhits.systems.get(name) for name in ("van-der-pol", "hyperbolic", "cubic", "hopf"))
    recorded = [s.simulate(n_trajectories=12, n_steps=300, random_state=1) for s in systems]
    for data in (lorenz, *recorded, circles(4, 300), circles(20, 60)):
        assert choose_delays(list(data)).n_delays == 1


def test_maps_take_the_rows_before():
    rows = henon(3000)
    choice = choose_delays([rows[:, :1]])
    assert (choice.n_delays, choice.lag) == (2, 1)
    assert choose_delays([rows]).n_delays == 1


def test_what_cannot_be_predicted_takes_none():
    rng = np.random.default_rng(0)
    assert choose_delays([rng.standard_normal((2000, 1))]).n_delays == 1
    assert choose_delays([rng.standard_normal((2000, 1)).cumsum(axis=0)]).n_delays == 1


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
    assert "too few to compare" in encoder.notes()[0] or "none" in encoder.notes()[0]
    np.testing.assert_array_equal(encoder.transform(rows), rows)


def test_whole_numbers_of_a_detector(lorenz):
    """Intensities as an eight-bit converter writes them, one column."""
    intensity = np.square(np.concatenate([x[:, :1] for x in lorenz[:2]]))
    counts = np.round(255 * intensity / intensity.max())
    choice = choose_delays([counts])
    assert choice.n_delays >= 2
    assert choice.errors[choice.fewest - 1] < 0.4 * choice.errors[0]


def test_what_is_given_stays():
    wave = np.sin(0.1 * T)
    assert DelayEmbedding("auto", lag=3).fit(wave).lag_ == 3
    given = DelayEmbedding(4, lag="auto").fit(wave)
    assert given.n_delays_ == 4
    assert given.lag_ > 1
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


def test_fields_are_looked_at_through_their_modes(lorenz):
    patterns = np.random.default_rng(0).standard_normal((3, 200))
    assert choose_delays([x @ patterns for x in lorenz]).n_delays == 1
    choice = choose_delays([x[:, :1] @ patterns[:1] for x in lorenz])
    assert choice.n_delays >= 3


# The encoder


def test_a_choice_survives_copies_and_files(lorenz):
    data = lorenz.select(["x"])
    encoder = Chain([DelayEmbedding("auto"), POD(2)]).fit(data)
    again = Chain(from_plain(to_plain(links(encoder)))).set_state(**encoder.state())
    assert repr(again) == repr(encoder)
    np.testing.assert_array_equal(again.transform(data[0]), encoder.transform(data[0]))
    assert again.notes() == encoder.notes()
    delays = links(again)[0]
    np.testing.assert_array_equal(
        delays.choice_.information, encoder.encoders[0].choice_.information
    )
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


def test_the_figure_marks_the_choice(lorenz):
    choice = choose_delays([x[:, :1] for x in lorenz])
    axes = plots.delay_choice(choice, lorenz.dt, ax=plots.blank())
    assert [axis.lines[0].get_ydata() is not None for axis in axes] == [True] * 3
    assert axes[0].lines[1].get_xdata()[0] == pytest.approx(0.02 * choice.lag)
    assert axes[2].lines[1].get_xdata()[0] == choice.n_delays
    assert len(plots.delay_choice(choose_delays([np.ones((5, 1))]), ax=plots.blank())) == 3


# The estimator


def test_one_variable_of_lorenz_is_forecast_better_with_its_past(lorenz):
    data = lorenz.select(["x"])
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
    assert model.notes_[1].startswith("Delays: 2, ")
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
    assert any(note.startswith("Delays: none") for note in automatic.notes_)


def test_fields_get_modes_first():
    circle = circles(8, 120).to_array()
    patterns = np.linalg.qr(np.random.default_rng(9).standard_normal((40, 2)))[0].T
    whole = quick(step_sizes=[1], encoder="auto").fit(circle @ patterns, dt=0.1)
    assert whole.coordinate_names_ == ("mode 1", "mode 2")
    assert whole.scaling_.common
    assert isinstance(links(whole.encoder_)[0], POD)
    half = quick(step_sizes=[1], encoder="auto").fit(circle[..., :1] @ patterns[:1], dt=0.1)
    assert len(half.coordinate_names_) == 2
    assert half.coordinate_names_[0] == "mode 1(t)"


def test_on_the_command_line(tmp_path: Path):
    t = 0.1 * np.arange(600)
    table = np.column_stack([t, np.sin(t)])
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
        assert any(note.startswith("Delays: 2, ") for note in facts["notes"])
    wrong = CliRunner().invoke(app, [*map(str, words[:-3]), "delay=some"])
    assert wrong.exit_code != 0
    assert "delay=auto" in wrong.output


def test_auto_is_no_link_of_a_list():
    with pytest.raises(ArgumentError, match="Expected an encoder such as"):
        quick(encoder=["auto", Standardise()]).fit(circles(6, 30))


# Without being asked


def test_recordings_that_lack_a_variable_are_delayed_unless_told_otherwise():
    wave = circles(1, 2500).select(["x"])
    found = quick(step_sizes=[1, 4]).fit(wave)
    assert found.start_rows_ > 1
    assert any(note.startswith("A state is") for note in found.notes_)
    plain = quick(step_sizes=[1, 4], encoder=[]).fit(wave)
    whole = quick(step_sizes=[1, 4]).fit(circles(1, 2500))
    assert plain.start_rows_ == whole.start_rows_ == 1
    test = circles(1, 300, seed=3).select(["x"])
    assert found.evaluate(test).nrmse < 0.2 * plain.evaluate(test).nrmse


def test_none_on_the_command_line_takes_rows_as_they_are(tmp_path: Path):
    pyhits.write(circles(1, 2500).select(["x"]), tmp_path / "x.npz")
    words = ["fit", tmp_path / "x.npz", "-o", tmp_path / "m.safetensors", "--step-sizes", "1,4"]
    for more, said in (([], "DelayEmbedding"), (["--encoder", "none"], "")):
        command = [*map(str, words), "--max-steps", "5", "--hidden-sizes", "8", "--jobs", "1"]
        done = CliRunner().invoke(app, [*command, *more])
        assert done.exit_code == 0, done.output
        loaded = pyhits.load(tmp_path / "m.safetensors")
        assert (loaded.start_rows > 1) == bool(said)
        assert said in describe(loaded)
