"""Policies: shorthand, checks, names that nobody has, nesting, files; the estimator's arguments."""

from __future__ import annotations

import inspect
import json
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import numpy as np
import pytest
from conftest import circles, quick
from sklearn.base import clone

from pyhits import Auto, Best, ClosedForms, Coupling, HiTS, HoldOut, Nets, Training
from pyhits.errors import ArgumentError
from pyhits.fit.settings import Settings
from pyhits.policies import POLICIES, arguments
from pyhits.training import Recipe, get_recipe

POLICY_CLASSES = (Auto, Best, ClosedForms, Coupling, HoldOut, Nets, Training)


@pytest.mark.parametrize(
    ("argument", "shorthand", "policy"),
    [
        ("flow_map", "auto", Auto()),
        ("flow_map", "best", Best()),
        ("flow_map", "closed", ClosedForms()),
        ("flow_map", "kernel", ClosedForms("kernel")),
        ("flow_map", "residual", Nets()),
        ("flow_map", "of-my-own", Nets(family="of-my-own")),
        ("training", "paper", Training("paper")),
        ("selection", "speed", Coupling("speed")),
        ("selection", [1, 4], Coupling((1, 4))),
        ("validation", 0.1, HoldOut(0.1)),
    ],
)
def test_shorthand_and_policies_are_the_same(argument: str, shorthand: Any, policy: Any) -> None:
    assert POLICIES[argument](shorthand) == policy == POLICIES[argument](policy)


def test_the_settings_have_the_parameters_and_defaults_of_the_estimator() -> None:
    own = dict(inspect.signature(HiTS).parameters)
    del own["values"]  # single values of the policies
    theirs = inspect.signature(Settings).parameters
    assert {n: p.default for n, p in own.items()} == {n: p.default for n, p in theirs.items()}
    assert Settings.of(HiTS()) == Settings()
    assert repr(Settings(np.array([1, 4]))).startswith("Settings(step_sizes=(1, 4)")


def test_every_setting_has_one_name() -> None:
    """So that the command line and files can name them one by one."""
    flow_maps = {f.name for of in (Auto, Best, ClosedForms, Nets) for f in fields(of)}
    names = [*flow_maps, *(f.name for of in (Training, Coupling, HoldOut) for f in fields(of))]
    assert len(set(names)) == len(names)
    assert not set(names) & set(inspect.signature(HiTS).parameters)


def test_policies_are_frozen_plain_and_show_what_differs() -> None:
    policy = Training("paper", max_steps=2e3)
    assert repr(policy) == "Training(preset='paper', max_steps=2000)"
    assert eval(repr(policy)) == policy == pickle.loads(pickle.dumps(policy))
    assert replace(policy, max_steps=None) == Training("paper")
    assert repr(Nets([8, 8])) == "Nets(hidden_sizes=(8, 8))"
    with pytest.raises(FrozenInstanceError):
        policy.max_steps = 3  # type: ignore[misc]
    assert json.loads(json.dumps(policy.given())) == {"preset": "paper", "max_steps": 2000}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HiTS(validaton=0.1), "'validaton' of HiTS; did you mean 'validation'?"),
        (lambda: HiTS(maxsteps=3), "'maxsteps' of HiTS; did you mean 'max_steps'?"),
        (lambda: HiTS(max_steps="many"), "max_steps"),
        (lambda: HiTS(flow_map="kernel", hidden_sizes=(3,)), "'hidden_sizes' of ClosedForms"),
        (lambda: Training(max_step=3), "'max_step' of Training; did you mean 'max_steps'?"),
        (lambda: replace(Coupling(), tolerence=1), "did you mean 'tolerance'?"),
        (lambda: ClosedForms(hidden_sizes=(3,)), "'hidden_sizes' of ClosedForms. Known: form"),
        (lambda: arguments(flow_map="kernel", activation="relu"), "of ClosedForms"),
        (lambda: Training("papr"), "Unknown preset 'papr'; did you mean 'paper'?"),
        (lambda: POLICIES["training"]("papr"), "did you mean 'paper'?"),
        (lambda: Coupling("sped"), "did you mean 'speed'?"),
        (lambda: Nets(activation="rel"), "did you mean 'relu'?"),
        (lambda: Nets({1: None}), "no widths for step size 1"),
        (lambda: ClosedForms("kernel", dtype="float32"), "is solved for and stepped in float64"),
        (lambda: Best(dtype="float32"), "is solved for and stepped in float64"),
        (lambda: HoldOut(1.5), "between 0 and 1"),
        (lambda: Training(synthetic=1.0), "from 0 to below 1"),
        (lambda: Settings([1, 3, 4]), "3 does not divide the next coarser, 4"),
        (lambda: Settings([1, 4], selection=[2]), "2 cannot be selected; there are 1, 4."),
        (lambda: Settings([1, 4], flow_map=Nets({2: (3,)})), "an entry for step size 2"),
        (lambda: Settings(noise="yes"), "True, False or 'auto'"),
        (lambda: Settings(flow_map="residul").recipe, "did you mean 'residual'?"),
    ],
)
def test_what_is_wrong_is_said_with_what_is_meant(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ArgumentError) as refused:
        make()
    assert message in str(refused.value)


def test_settings_by_name_become_policies() -> None:
    assert arguments(flow_map="best", dense=4, max_steps=100, noise=None) == {
        "flow_map": Best(dense=4),
        "training": Training(max_steps=100),
    }
    assert arguments(hidden_sizes=[3])["flow_map"] == Nets((3,))
    assert arguments(flow_map="auto", dtype="float64")["flow_map"] == Auto(dtype="float64")
    assert arguments(training="paper", max_steps=3)["training"] == Training("paper", max_steps=3)
    assert arguments(selection=[1, 4], interpolation="linear", random_state=1) == {
        "selection": Coupling((1, 4), interpolation="linear"),
        "random_state": 1,
    }


def test_scikit_learn_copies_and_sets_single_values() -> None:
    model = HiTS([1, 2], flow_map=Nets((8,)), training="paper", random_state=0)
    assert clone(model).get_params() == model.get_params()
    assert HiTS(**model.get_params()).get_params() == model.get_params()
    model.set_params(training__max_steps=3, flow_map__dense=2, selection__how="all", noise=False)
    assert model.training == Training("paper", max_steps=3)
    assert model.flow_map == Nets((8,), dense=2)
    assert (model.selection, model.noise) == (Coupling("all"), False)
    assert "training=Training(preset='paper', max_steps=3)" in repr(model)
    with pytest.raises(ArgumentError, match="did you mean 'max_steps'"):
        model.set_params(training__max_step=3)


def test_recipes_come_of_policies_and_their_preset() -> None:
    def recipe(**settings: Any) -> Recipe:
        return Settings(**arguments(**settings)).recipe

    assert recipe() == get_recipe("pyhits")
    assert recipe(training="paper") == get_recipe("paper")
    assert recipe(training="reproduce", max_steps=7) == replace(
        get_recipe("reproduce"), max_steps=7
    )
    assert recipe(noise=False, flow_map="closed") == replace(
        get_recipe("pyhits"), denoise=False, flow_map="closed"
    )
    # Whoever says how nets are trained wants nets, and so does who wants their arithmetic.
    assert recipe(batch_size=0).flow_map == "residual" == recipe(dtype="float32").flow_map
    assert recipe(polynomial_degree=3, dense=2, dtype="float64").flow_map == "auto"
    with pytest.raises(ArgumentError, match="residual net"):
        recipe(optimizer="ridge", flow_map="best")
    with pytest.raises(ArgumentError, match="nothing to choose from"):
        recipe(training="paper", sampling="density")
    with pytest.raises(ArgumentError, match="3 does not divide"):
        recipe(selection=[1, 3, 4])


def test_optimisers_of_older_files_are_read_as_the_nearest() -> None:
    known = get_recipe("pyhits").as_dict()
    assert Recipe.from_dict(known).optimizer == "soap"
    assert Recipe.from_dict(known | {"optimizer": "muon"}).optimizer == "adamw"
    with pytest.raises(ArgumentError, match="optimizer"):
        Recipe.from_dict(known | {"optimizer": "muons"})


def test_coupling_anew_keeps_what_is_not_said() -> None:
    model = quick(step_sizes=[1, 2], flow_map="polynomial", interpolation="linear", tolerance=1e-2)
    model.fit(circles(9, 40)).couple("all")
    assert model.coupling_ == Coupling("all", tolerance=1e-2, interpolation="linear")
    assert model.couple(Coupling([2])).coupling_ == Coupling((2,))


def test_single_values_stand_for_policies_that_hold_them() -> None:
    model = HiTS([1], max_steps=9, hidden_sizes=(3,), tolerance=1e-2, training="paper")
    assert model.training == Training("paper", max_steps=9)
    assert model.flow_map == Nets((3,))
    assert model.selection == Coupling(tolerance=1e-2)
    assert clone(model).get_params() == model.get_params()
    assert "max_steps" not in model.get_params(deep=False)
