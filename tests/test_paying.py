"""Coarse scales are trained while they can still pay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

import pyhits
from pyhits import Trajectories
from pyhits.fit.paying import Paying
from pyhits.fit.preparing import prepare
from pyhits.fit.problem import pose
from pyhits.fit.settings import Settings
from pyhits.flowmaps import FlowMap, PolynomialMap, ResidualNet
from pyhits.util.clock import UNLIMITED


def bent() -> Trajectories:
    """A recording of which low degrees step short ways alone."""
    system = pyhits.systems.get("van-der-pol")
    return system.simulate(1, n_steps=700, dt=0.05, random_state=1)


def fit(data: Trajectories, **settings: object) -> pyhits.HiTS:
    return pyhits.HiTS(
        flow_map="polynomial", polynomial_degree=3, encoder=[], n_jobs=1, random_state=0,
        verbose=False, **settings,
    ).fit(data)  # fmt: skip


def test_scales_that_nobody_couples_are_not_trained() -> None:
    data = bent()
    model, every = fit(data), fit(data, selection="all")
    some, all_of_them = set(model.flow_maps_), set(every.flow_maps_)
    assert some < all_of_them
    assert some == set(sorted(all_of_them)[: len(some)])
    assert len(some) >= 2
    assert any("not trained" in note for note in model.notes_)
    assert not any("not trained" in note for note in every.notes_)
    # Those that are would have been coupled as well.
    assert every.couple("accuracy").selection_.step_sizes == model.selection_.step_sizes


@pytest.mark.slow
def test_step_sizes_that_are_asked_for_are_trained() -> None:
    assert set(fit(bent(), step_sizes=[1, 8, 64]).flow_maps_) == {1, 8, 64}


@pytest.mark.slow
def test_no_net_is_trained_where_finer_polynomials_are_exact() -> None:
    system = pyhits.systems.get("van-der-pol")
    data = system.simulate(40, n_steps=400, dt=0.01, random_state=1)
    settings = {"flow_map": "residual", "max_steps": 3, "random_state": 0, "verbose": False}
    model = pyhits.HiTS(encoder=[], **settings).fit(data)
    finest, *others = sorted(model.history_)
    assert model.history_[finest].stopped_by == "closed form"
    assert others
    assert not any("net" in model.history_[size].flow_map for size in others)
    asked = pyhits.HiTS([1, 64], encoder=[], **settings).fit(data)
    assert "net" in asked.history_[64].flow_map


@pytest.mark.parametrize("net", [False, True])
def test_a_net_that_does_not_pay_is_the_last(monkeypatch: pytest.MonkeyPatch, net: bool) -> None:
    """Of closed forms two must not, as the next costs little."""
    settings = Settings(verbose=False, random_state=0)
    problem = prepare(pose(settings, 0, bent(), None, None, None, None), UNLIMITED)
    errors = {1: 0.01, 2: 0.02, 4: 0.02}

    def least(self: Paying, flow_maps: object, sizes: Sequence[int]) -> float:
        return errors[sizes[-1]]

    monkeypatch.setattr(Paying, "_least", least)
    monkeypatch.setattr("pyhits.fit.paying._saves", lambda *_: True)
    coarse = ResidualNet(2, hidden_sizes=(4,)) if net else PolynomialMap(2, 1)
    maps: dict[int, FlowMap] = {1: PolynomialMap(2, 3), 2: coarse}
    paying = Paying(problem)
    assert paying.enough({1: maps[1]}) is False
    assert paying.enough(maps) is net
    assert paying.enough(maps | {4: coarse}) is True
    for error, is_far_better in ((0.01, True), (0.09, False), (math.inf, False)):
        rival: Any = SimpleNamespace(known_error=error)
        assert Paying(problem, rival=rival).enough({1: maps[1]}) is is_far_better
