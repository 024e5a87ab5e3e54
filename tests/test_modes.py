"""Fields whose points follow no common map: their modes, if these forecast better."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import search_few_forms

import pyhits
from pyhits.encoders import POD, Chain, DelayEmbedding, Standardise
from pyhits.errors import InterruptedWarning
from pyhits.fit import modes, run
from pyhits.fit.encoding import encode
from pyhits.fit.many_columns import (
    automatic_of_columns,
    modes_of_columns,
    signal_modes,
    usual_modes,
)
from pyhits.fit.mode_choice import choose_modes
from pyhits.fit.modes import by_modes, forecast_error, may_have_modes
from pyhits.fit.preparing import prepare
from pyhits.fit.problem import Problem, pose
from pyhits.fit.run import fit_stepper
from pyhits.fit.settings import Settings
from pyhits.flowmaps import BoundedMap, ConvolutionMap
from pyhits.training import closed
from pyhits.training.closed import has_land
from pyhits.util.clock import UNLIMITED


def turning(n: int, points: int = 24) -> np.ndarray:
    """Return fields of two patterns without any order, which turn into each other."""
    patterns = np.random.default_rng(0).normal(size=(2, points))
    t = 0.2 * np.arange(n)
    return np.stack([np.cos(t), np.sin(t)], axis=1) @ patterns


def posed(**settings: object) -> Problem:
    chosen = Settings(verbose=False, random_state=0, **settings)
    return pose(chosen, 0, turning(200, 40), None, 0.2, None, (8, 5))


def test_defaults_alone_look_at_modes():
    assert may_have_modes(posed())
    assert not may_have_modes(posed(flow_map="kernel"))
    assert not may_have_modes(posed(encoder=[]))
    assert not may_have_modes(posed(step_sizes=[1, 2]))
    assert not may_have_modes(replace(posed(), grid=None))


def test_modes_are_coordinates_of_the_same_data():
    problem = by_modes(posed())
    assert problem.encoder is not None
    assert problem.given is problem.states.train
    assert problem.scaling.common


def test_errors_are_parts_of_the_variance():
    problem = posed(flow_map="polynomial")
    model = fit_stepper(problem.settings, turning(200, 40), dt=0.2, grid=(8, 5))
    assert forecast_error(model, problem) < 1e-12


def with_land(n: int) -> np.ndarray:
    """Return fields ``(time, 9, 8)`` of two patterns, with points inside that never move."""
    rows = turning(n, 72).reshape(n, 9, 8)
    rows[:, 3:6, 2:5] = 0.3
    return rows


def test_points_that_never_move_count_for_nothing():
    chosen = Settings([1], encoder=[POD(2)], flow_map="polynomial", verbose=False, random_state=0)
    problem = pose(chosen, 0, with_land(80), None, 0.2, None, (9, 8))
    model = fit_stepper(chosen, with_land(80), dt=0.2, grid=(9, 8))
    assert forecast_error(model, problem) < 1e-12


def test_land_lies_inside():
    fields, grid = with_land(10).reshape(10, -1), pyhits.Grid((9, 8))
    assert has_land(fields, grid)
    rim = turning(10, 72).reshape(10, 9, 8)
    rim[:, [0, -1]] = rim[:, :, [0, -1]] = 0.0
    assert not has_land(rim.reshape(10, -1), grid)
    still = np.stack([fields, 0 * fields], axis=-1).reshape(10, -1)
    assert has_land(still, pyhits.Grid((9, 8), 2))


def test_modes_below_the_noise_are_left_out():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 80))

    def found(rows: np.ndarray) -> int:
        return signal_modes(POD(24).fit(rows), len(rows))

    assert found(signal + 0.5 * rng.normal(size=signal.shape)) == 3
    assert found(rng.normal(size=(300, 80))) <= 2
    t = np.linspace(0, 1, 200)
    bumps = np.exp(-np.square(10 * (np.linspace(0, 1, 60) - t[:, None])))
    assert found(bumps) == 24  # a spectrum that falls without a floor


def test_automatic_modes_of_fields_are_those_above_the_noise():
    clean = turning(200, 40)
    noisy = clean + 0.3 * np.random.default_rng(1).normal(size=clean.shape)
    for rows, n_modes in ((clean, None), (noisy, 2)):
        data = pyhits.Trajectories(rows, 0.2, grid=(8, 5))
        first = automatic_of_columns(data, data.grid)[0]
        assert isinstance(first, POD)
        assert first.n_modes == n_modes


def test_modes_hold_as_many_rows_as_forecasts_need():
    """A standing pattern shows where it is, and not which way it goes: two rows do."""
    t = np.arange(160)
    pattern, noise = np.random.default_rng(1).normal(size=(2, 160, 40))
    rows = np.sin(2 * np.pi * t / 12)[:, None] * pattern[0] + 0.05 * noise
    problem = prepare(
        by_modes(pose(Settings(verbose=False), 0, rows, None, 1.0, None, (8, 5))), UNLIMITED
    )
    assert isinstance(problem.encoder, Chain)
    assert [type(link) for link in problem.encoder.encoders] == [POD, DelayEmbedding]


def test_many_columns_of_a_season_are_forecast_to_the_noise():
    t = np.arange(160)
    pattern, noise = np.random.default_rng(1).normal(size=(2, 160, 80))
    rows = np.sin(2 * np.pi * t / 12)[:, None] * pattern[0] + 0.05 * noise
    model = pyhits.HiTS(random_state=0, n_jobs=1, verbose=False).fit(rows[:120])
    assert model.coordinates_.history > 1
    assert np.std(model.forecast_from(rows[:120], 40)[1:] - rows[120:]) < 0.08


def test_good_maps_of_points_are_kept_without_a_look_at_modes():
    model = pyhits.HiTS(random_state=0, verbose=False).fit(turning(200, 40), dt=0.2, grid=(8, 5))
    assert model.coordinates_.encoder is None
    assert not any("odes" in note for note in model.notes_)


def between_walls() -> np.ndarray:
    """Return fields ``(run, time, point)`` between walls, moved by another law at each point."""
    x, runs = np.linspace(0, 1, 24), []
    pull = 0.02 * (np.arange(24) % 3 == 0)
    for size in np.random.default_rng(3).normal(size=(6, 3)):
        field, rows = size @ np.cos(np.pi * np.arange(1, 4)[:, None] * x), []
        for _ in range(24):
            rows.append(field)
            for _ in range(20):
                wide = np.pad(field, 1, mode="edge")
                field = field + 0.2 * (wide[2:] - 2 * field + wide[:-2]) - pull * field**3
        runs.append(rows)
    return np.array(runs)


@pytest.fixture(scope="module")
def walled() -> pyhits.HiTS:
    model = pyhits.HiTS([1], random_state=0, verbose=False, n_jobs=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(closed, "_LEAST_SECONDS", 1.0)
        search_few_forms(patch)
        return model.fit(between_walls(), grid="line")


def test_convolutional_nets_compete_on_grids(walled: pyhits.HiTS) -> None:
    assert any("net" in history.scores for history in walled.history_.values())
    assert not any("time limit" in note for note in walled.notes_)


def test_updates_keep_the_coordinates_of_nets_that_are_trained_once(walled: pyhits.HiTS) -> None:
    data = between_walls()
    net = ConvolutionMap([24], periodic=[False], hidden=4, dilations=[1])
    bounds = BoundedMap({"kind": net.kind, "config": net.config()}, 1)
    assert (bounds.trained, bounds.trained_once) == (True, True)
    maps = {1: bounds}
    own = pyhits.TimeStepper.from_flow_maps(
        maps, pyhits.Trajectories(data, grid="line"), scaling=walled.coordinates_.scaling
    )
    again = own.updated(2 * data)
    assert again.flow_maps[1] is bounds
    assert again.coordinates is own.coordinates


def test_an_interruption_while_modes_are_compared_keeps_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(problem: Problem) -> Problem:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "poor", lambda model: True)
    monkeypatch.setattr(modes, "by_modes", interrupt)
    with pytest.warns(InterruptedWarning, match="modes"):
        model = pyhits.HiTS(random_state=0, verbose=False).fit(
            turning(200, 40), dt=0.2, grid=(8, 5)
        )
    assert np.isfinite(model.forecast(turning(200, 40)[0], 5)).all()
    assert model.stepper_.interrupted == ("modes",)


@pytest.mark.slow
def test_many_columns_of_few_rows_are_learned_by_their_modes() -> None:
    """Six tones seen by seventy sensors of different units, with noise."""
    rng = np.random.default_rng(0)
    angles = np.outer(np.arange(340), 0.05 + 0.06 * np.arange(6))
    tones = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    rows = tones @ rng.standard_normal((12, 70))
    rows += 0.05 * rows.std() * rng.standard_normal(rows.shape)
    rows *= np.logspace(-2, 2, 70)
    model = pyhits.HiTS(random_state=0, n_jobs=1, verbose=False).fit(rows[:300])
    assert any("their modes are learned" in note for note in model.notes_)
    ahead = np.asarray(model.forecast_from(rows[:300], 40)).reshape(-1, 70)[-40:]
    assert (np.abs(ahead - rows[300:]) / rows.std(axis=0)).mean() < 0.1
    still = pyhits.HiTS(random_state=0, n_jobs=1, verbose=False, max_steps=5).fit(0 * rows[:50])
    np.testing.assert_array_equal(still.forecast(0 * rows[:1], 3), 0)
    as_they_are = pyhits.HiTS(encoder=[], flow_map="closed", verbose=False, n_jobs=1)
    assert as_they_are.fit(rows[:300, :66]).stepper_.coordinates.encoder is None


def test_columns_of_one_unit_that_vary_alike_are_divided_by_one_number_each_quantity() -> None:
    rng = np.random.default_rng(0)
    angles = np.outer(np.arange(200), 0.05 + 0.06 * np.arange(6))
    tones = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    rows = tones @ rng.standard_normal((12, 70)) * np.linspace(1, 10, 70)
    rows[:, 30:35] = 0.0

    def scaling(names: list[str]) -> Standardise:
        data = pyhits.Trajectories(rows, feature_names=names)
        links = modes_of_columns(Settings(verbose=False), data, (), None)
        assert links is not None
        return Standardise(**links[0].get_params()).fit(rows)

    of_cells = scaling([f"t{k}" for k in range(70)])
    np.testing.assert_allclose(of_cells.scale_, of_cells.scale_[0], rtol=1e-12)
    of_two = scaling([f"{'pq'[k % 2]}{k // 2}" for k in range(70)])
    np.testing.assert_allclose(of_two.scale_, np.tile(of_two.scale_[:2], 35), rtol=1e-12)
    assert of_two.scale_[0] != of_two.scale_[1]
    of_many = scaling([f"{'pq'[k % 3 > 0]}{k}" for k in range(70)])
    np.testing.assert_allclose(of_many.scale_[60], rows[:, 60].std(), rtol=1e-12)


def test_as_many_modes_are_stepped_as_forecasts_are_better_for() -> None:
    """A narrow bump on its way to and fro has many modes, six tones of seventy columns twelve."""
    x, t = np.linspace(-1, 1, 120), np.arange(240)[:, None]

    def stepped(rows: np.ndarray) -> int:
        posed = pose(Settings(verbose=False), 0, rows, None, 1.0, None, "none")
        chosen = choose_modes(encode(posed, UNLIMITED), UNLIMITED)
        assert chosen.encoder is not None
        assert chosen.encoder.n_features_out_ == chosen.states.train.n_features
        return chosen.states.train.n_features

    assert stepped(np.exp(-np.square((x - 0.8 * np.sin(0.1 * t)) / 0.04))) > usual_modes(192)
    patterns = np.random.default_rng(0).standard_normal((12, 70))
    angles = t * (0.05 + 0.06 * np.arange(6))
    assert stepped(np.concatenate([np.sin(angles), np.cos(angles)], axis=1) @ patterns) < 24


def test_columns_that_move_together_are_of_one_unit_however_little_some_move() -> None:
    x, t = np.linspace(0, 1, 90), np.arange(160)[:, None]
    rows = 1e-3 + np.exp(-np.square((x - 0.3 - 0.1 * np.sin(0.1 * t)) / 0.08)) * (1 + 0 * t)
    links = modes_of_columns(Settings(verbose=False), pyhits.Trajectories(rows), (), None)
    assert links is not None
    assert links[0].get_params()["common"]


def test_points_of_a_film_are_no_categories() -> None:
    film = 10 * turning(200, 40)
    film[:, 7] = np.random.default_rng(0).integers(0, 5, 200)
    problem = pose(Settings(verbose=False), 0, film, None, 1.0, None, (8, 5))
    assert not any("categories" in note for note in problem.notes)
    table = pose(Settings(verbose=False), 0, film, None, 1.0, None, "none")
    assert any("categories" in note for note in table.notes)
