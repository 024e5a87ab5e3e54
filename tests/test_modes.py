"""Fields whose points follow no common map: their modes, if these forecast better."""

from dataclasses import replace

import numpy as np

import pyhits
from pyhits.fit.modes import by_modes, forecast_error, may_have_modes
from pyhits.fit.problem import Problem, pose
from pyhits.fit.run import fit_stepper
from pyhits.fit.settings import Settings


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


def test_good_maps_of_points_are_kept_without_a_look_at_modes():
    model = pyhits.HiTS(random_state=0, verbose=False).fit(turning(200, 40), dt=0.2, grid=(8, 5))
    assert model.coordinates_.encoder is None
    assert not any("odes" in note for note in model.notes_)
