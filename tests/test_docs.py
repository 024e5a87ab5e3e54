"""The documents: their Python runs, their commands exist, their links lead somewhere."""

from __future__ import annotations

import inspect
import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import distributed
import numpy as np
import pytest
from conftest import fit_few_baselines, search_few_forms

import pyhits
from pyhits import flowmaps, systems
from pyhits.cli.app import COMMANDS, built
from pyhits.encoders import ENCODERS, dense_net
from pyhits.flowmaps.base import FLOW_MAPS
from pyhits.systems import registry
from pyhits.training import Recipe, lags, last_layer, parallel, varpro

ROOT = Path(__file__).parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
#: Pages whose Python blocks run one after another, as a reader would type them.
RUN = (
    "README",
    "quickstart",
    "baselines",
    "encoders",
    "metrics",
    "sequences",
    "training",
    "forecasting",
    "adaptive",
    "inputs",
    "few-points",
    "uncertainty",
    "hybrid",
    "model-files",
    "extending",
    "export",
    "clusters",
)

#: Those whose forecasts go over hundreds of steps.
LONG = ("extending", "metrics", "uncertainty")

_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """Code blocks whose fence says exactly ``language``."""
    found = _FENCE.findall(page.read_text(encoding="utf-8"))
    return [code for says, code in found if says.strip() == language]


def titled(pages: list[Path]) -> list[Any]:
    return [pytest.param(page, id=page.stem) for page in pages]


@pytest.fixture
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Little data, short trainings of little models, one process, and a recording to read.

    Of the rows that a state may hold few are tried.
    """
    longest = 500 if request.node.callspec.params["page"].stem in LONG else 200
    simulate, resolve = systems.System.simulate, Recipe.resolve
    cluster, net = distributed.LocalCluster, dense_net.DenseNetFit

    def fewer(self: Any, n_trajectories: int, n_steps: int, **rest: Any) -> Any:
        most = n_steps if n_trajectories == 1 else longest
        return simulate(self, min(n_trajectories, 8), min(n_steps, most), **rest)

    def shorter(self: Recipe, *size: int, **sizes: int) -> Recipe:
        return resolve(self, *size, **sizes).override(max_steps=20, hidden_sizes=(8,))

    def briefer(widths: Any, seed: int, max_steps: int, *rest: Any) -> Any:
        return net(widths, seed, min(max_steps, 20), *rest)

    def in_threads(**settings: Any) -> Any:
        return cluster(**settings, processes=False, dashboard_address=":0")

    monkeypatch.setattr(systems.System, "simulate", fewer)
    monkeypatch.setattr(Recipe, "resolve", shorter)
    monkeypatch.setattr(dense_net, "DenseNetFit", briefer)
    monkeypatch.setattr(last_layer, "_DRAWS", 1)
    monkeypatch.setattr(varpro, "_GENTLE_STEPS", 25)
    monkeypatch.setattr(lags, "_ADJACENT", (1, 2, 3))
    monkeypatch.setattr(lags, "_LAGS", (2, 3))
    search_few_forms(monkeypatch)
    fit_few_baselines(monkeypatch)
    monkeypatch.setattr(parallel, "n_cores", lambda: 1)
    monkeypatch.setattr(distributed, "LocalCluster", in_threads)
    monkeypatch.setattr(registry, "_catalogue", dict(registry._catalogue))
    for family in (FLOW_MAPS, ENCODERS):
        monkeypatch.setattr(family, "classes", dict(family.classes))
    monkeypatch.chdir(tmp_path)
    t = np.arange(0, 40, 0.1)
    table = np.column_stack([t, np.sin(t), np.cos(t)])
    np.savetxt("measured.csv", table, delimiter=",", header="t,x,y", comments="")


@pytest.mark.parametrize("page", titled([p for p in PAGES if p.stem in RUN]))
@pytest.mark.usefixtures("small", "undrawn")
def test_the_python_of_a_page_runs(page: Path) -> None:
    names = {"__name__": "__main__"}
    for code in blocks(page, "python"):
        exec(compile(code, f"{page.name}", "exec"), names)
    assert blocks(page, "python")


def commands(page: Path) -> list[list[str]]:
    """Words of every ``pyhits`` line in a block of shell."""
    lines = []
    for code in blocks(page, "sh"):
        for line in code.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["pyhits"]:
                lines.append(words[1:])
    return lines


@pytest.mark.parametrize("page", titled([p for p in PAGES if commands(p)]))
def test_the_commands_of_a_page_are_understood(page: Path) -> None:
    """Names, options, types and what may not be left out; nothing is run."""
    for name, *words in commands(page):
        context = built(name).make_context(name, list(words))
        assert not context.args


@pytest.mark.parametrize("page", titled(PAGES))
def test_commands_inside_sentences_exist(page: Path) -> None:
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for text in re.findall(r"`pyhits ([a-z][^`]*)`", prose):
        words = text.split()
        names = [word.strip(",") for word in words if not word.startswith("-")]
        chosen = names if "," in text and "-" not in text else names[:1]
        for name in chosen:
            assert name in COMMANDS, text
        options = {option for p in built(chosen[0]).params for option in p.opts}
        assert {w for w in words if w.startswith("-")} <= options, text


@pytest.mark.parametrize("page", titled(PAGES))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page if not path else page.parent / path
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """Names that GitHub gives to a page's headings."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.stem == "index" or f"({page.name})" in index, page.name


def test_the_changelog_names_this_version() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(pyhits.__version__)} - \d{{4}}-\d\d-\d\d$", changes, re.M)


def test_the_model_files_page_names_every_kind_of_tensor() -> None:
    """What a net on a polynomial writes is what the page lists."""
    page = (ROOT / "docs" / "model-files.md").read_text(encoding="utf-8")
    net = flowmaps.ResidualNet(2, (4,), base_degree=2)
    for name in net.state_dict():
        last = name.rsplit(".", 1)[-1]
        assert f"`.{last}`" in page or f".{last}`" in page, name


def test_every_public_name_has_a_page_in_the_reference() -> None:
    listed = runpy.run_path(str(ROOT / "docs" / "reference.py"))["names"]()
    every = {name for names in listed.values() for name in names}
    own = {
        f"pyhits.{name}"
        for name in pyhits.__all__
        if not name.startswith("__") and not inspect.ismodule(getattr(pyhits, name))
    }
    assert own <= every
    for module in ("encoders", "flowmaps", "plots", "integrators"):
        exported = getattr(pyhits, module).__all__
        assert {f"pyhits.{module}.{name}" for name in exported} <= every


def test_the_gallery_has_titles_and_no_rests_of_its_runs() -> None:
    scripts = sorted((ROOT / "examples" / "gallery").glob("[0-9]*.py"))
    assert len(scripts) >= 16
    for script in scripts:
        title, line, *_ = script.read_text(encoding="utf-8").splitlines()[1:]
        assert len(title) == len(line), script.name
