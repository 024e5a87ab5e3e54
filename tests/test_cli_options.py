"""Options are made of what they are for: nothing is missing, nothing is said twice."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

import pytest
from typer.testing import CliRunner

import pyhits
from pyhits.cli import options
from pyhits.cli.app import COMMANDS, app, built
from pyhits.cli.options import documented
from pyhits.errors import ArgumentError
from pyhits.fit.settings import Settings
from pyhits.policies import Auto, Best, ClosedForms, Coupling, HoldOut, Nets, Training, arguments


def flags(name: str) -> set[str]:
    return {flag for p in built(name).params for flag in (*p.opts, *p.secondary_opts)}


def test_all_that_is_settled_of_a_fit_is_an_option() -> None:
    names = set(inspect.signature(Settings).parameters) - {"verbose"}
    for policy in (Auto, Best, ClosedForms, Coupling, HoldOut, Nets, Training):
        names |= {one.name for one in fields(policy)}
    # What a text names by its shorthand: --training paper, --flow-map kernel, --selection 1,16.
    names -= {"preset", "family", "form", "how", "fraction"}
    known = {"validation": "validation-fraction", "noise": "denoise"}
    wanted = {f"--{known.get(name, name).replace('_', '-')}" for name in names}
    assert wanted <= flags("fit"), wanted - flags("fit")


def test_all_that_reading_takes_is_an_option() -> None:
    names = set(inspect.signature(pyhits.read).parameters) - {"path", "like", "feature_names"}
    wanted = {f"--{name.replace('_', '-')}" for name in names}
    assert wanted <= flags("fit")
    of_models = wanted - {"--grid", "--rate", "--mono", "--height", "--grey"}
    assert of_models <= flags("forecast") & flags("evaluate")
    assert of_models - {"--stretch"} <= flags("couple") & flags("check")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is_for(name: str) -> None:
    silent = [p.name for p in built(name).params if not getattr(p, "help", None)]
    assert not set(silent) - {"seed", "help"}


def test_options_stand_in_groups() -> None:
    shown = CliRunner().invoke(app, ["fit", "--help"]).stdout
    titles = ("Options:", "What is fitted", "Reading,", "Repairs", "Coupling of", "Flow maps,")
    places = [shown.index(title) for title in (*titles, "Training of nets")]
    assert places == sorted(places)
    assert places[-1] < shown.index("--max-steps")


def test_what_is_given_becomes_arguments() -> None:
    panels = (*options.settings(), *options.policies())
    values: dict[str, Any] = {o.name: None for panel in panels for o in panel.options}
    values |= {"hidden_sizes": "1=8,4=3x3", "max_steps": 9, "selection": "1,4", "noise": False}
    values |= {"validation_fraction": 0.1, "out": "kept"}
    given = {k: v for panel in panels for k, v in panel.given(values).items()}
    assert values == {"out": "kept"}
    assert arguments(**given) == {
        "flow_map": Nets({1: [8], 4: [3, 3]}),
        "training": Training(max_steps=9),
        "selection": [1, 4],
        "noise": False,
        "validation": 0.1,
    }
    with pytest.raises(ArgumentError, match="--hidden-sizes to be widths such as"):
        options.Panel("", options.made_of(Nets)).given({"hidden_sizes": "1=a"} | dict.fromkeys(
            ("activation", "family", "polynomial_degree", "dense", "dtype")))  # fmt: skip


def test_docstrings_give_their_first_clause() -> None:
    said = documented(
        """Do.

        Parameters
        ----------
        a, b : int
            Both of :class:`~x.Y`, at most 2.5; more is left. And so on.
        kind : {"one", "two"}, optional
            Which kind: ``one`` is usual.

        Returns
        -------
        int
        """
    )
    assert said == {
        "a": "Both of x.Y, at most 2.5.",
        "b": "Both of x.Y, at most 2.5.",
        "kind": "Which kind. One of one, two.",
    }
