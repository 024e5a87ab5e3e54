"""Writes the reference: a page for each public name, and a list of them."""

from __future__ import annotations

import importlib
import inspect
import re
import shutil
from pathlib import Path

import pyhits
from pyhits.util.policy import NamedArguments

#: Headings, the modules whose public names come below, and what they are for.
SECTIONS = {
    "pyhits": "Fit, forecast, read and write.",
    "pyhits.policies": "What settles a fit.",
    "pyhits.encoders": "Maps between your rows and the states of flow maps.",
    "pyhits.flowmaps": "Families of flow maps, and what makes new ones.",
    "pyhits.plots": "Figures.",
    "pyhits.evaluation.metrics": "Measures of errors.",
    "pyhits.evaluation.long_runs": "Measures of long runs.",
    "pyhits.baselines": "Simple forecasts.",
    "pyhits.integrators": "Numerical integrators.",
    "pyhits.systems": "The catalogue of systems.",
    "pyhits.paper": "The study of the paper.",
    "pyhits.errors": "Errors and the warning.",
}

#: What functions return, and public names do not hold.
RETURNED = (
    "pyhits.data.times.TimeAxis",
    "pyhits.evaluation.backtest.Backtest",
    "pyhits.evaluation.evaluation.Scores",
    "pyhits.forecasting.modes.Modes",
    "pyhits.hierarchy.Candidate",
    "pyhits.hierarchy.Selection",
    "pyhits.hierarchy.adaptive.AdaptiveForecast",
    "pyhits.training.History",
    "pyhits.forecasting.uncertainty.Calibration",
    "pyhits.forecasting.uncertainty.Region",
)

#: Bases whose members are no part of the reference.
_BASES = "Module, BaseEstimator, TransformerMixin, Stored, NamedArguments, ABC, tuple, Exception"

#: Members that scikit-learn adds, and those without a docstring of our own.
_REQUESTS = [f"set_{name}_request" for name in ("fit", "predict", "score", "transform")]
_REQUESTS += ["get_metadata_routing", "set_output"]
_LEFT_OUT = {
    "pyhits.flowmaps.ConvolutionMap": ("net",),
    "pyhits.flowmaps.EquationMap": ("of",),
}


def names() -> dict[str, list[str]]:
    """Return the public names of each section, in full."""
    found: dict[str, list[str]] = {}
    for module in SECTIONS:
        home = importlib.import_module(module)
        own = getattr(home, "__all__", None) or _defined(home)
        known = {id(_value(full)) for every in found.values() for full in every}
        found[module] = [
            f"{module}.{name}"
            for name in own
            if not (name.startswith("__") or inspect.ismodule(getattr(home, name)))
            and id(getattr(home, name)) not in known
        ]
    return {**found, "returned": list(RETURNED)}


def _defined(module: object) -> list[str]:
    """Return the public functions and classes that a module defines."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", None) == getattr(module, "__name__", "")
    ]


def write(folder: Path) -> None:
    """Write a page for each name, and the list of all."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lines = ["# Reference", "", "Every public name, and what it does.", ""]
    toctree = []
    for section, every in names().items():
        title = "What is returned" if section == "returned" else section
        lines += [f"## {title}", "", SECTIONS.get(section, "What functions return."), ""]
        lines += ["| name | |", "|---|---|"]
        for full in every:
            (folder / f"{full}.rst").write_text(_page(full), encoding="utf-8")
            toctree.append(full)
            lines.append(f"| [{full}]({full}.rst) | {_summary(full)} |")
        lines.append("")
    lines += ["```{toctree}", ":hidden:", ":maxdepth: 1", "", *toctree, "```", ""]
    (folder / "index.md").write_text("\n".join(lines), encoding="utf-8")
    for name in ("README", "CONTRIBUTING", "CHANGELOG"):
        text = (folder.parent.parent / f"{name}.md").read_text(encoding="utf-8")
        for prefix, here in (("docs/", "../"), ("examples/", "../../examples/")):
            text = text.replace(f"]({prefix}", f"]({here}")
        text = text.replace("](../../examples/gallery)", "](../gallery/index.rst)")
        text = re.sub(r"\[([^]]+)\]\((?:CITATION.cff|LICENSE)\)", r"\1", text)
        text = re.sub(r"\]\((README|CONTRIBUTING|CHANGELOG)\.md", _lower, text)
        (folder / f"{name.lower()}.md").write_text(f"---\norphan: true\n---\n\n{text}", "utf-8")


def _lower(found: re.Match[str]) -> str:
    return f"]({found[1].lower()}.md"


def _value(full: str) -> object:
    module, _, name = full.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _summary(full: str) -> str:
    value = _value(full)
    if not (inspect.isclass(value) or callable(value)):
        return ""
    text = (inspect.getdoc(value) or "").split("\n\n")[0]
    return " ".join(text.replace("|", "\\|").replace("``", "`").split()) if ":" not in text else (
        " ".join(text.replace("|", "\\|").split()).replace(":class:", "").replace(":func:", "")
        .replace(":meth:", "").replace("`~pyhits.", "`").replace("``", "`")
    )  # fmt: skip


def _page(full: str) -> str:
    value = _value(full)
    title = f"{full}\n{'=' * len(full)}\n\n"
    module = full.rpartition(".")[0]
    head = f"{title}.. currentmodule:: {module}\n\n"
    if inspect.isclass(value):
        if issubclass(value, BaseException):
            return f"{head}.. autoexception:: {full}\n   :show-inheritance:\n"
        left_out = ", ".join([*_REQUESTS, *_LEFT_OUT.get(full, ())])
        return (
            f"{head}.. autoclass:: {full}{_arguments(value)}\n   :members:\n"
            f"   :inherited-members: {_BASES}\n   :exclude-members: {left_out}\n"
        )
    if callable(value):
        return f"{head}.. autofunction:: {full}\n"
    return f"{head}.. autodata:: {full}\n   :no-value:\n"


def _arguments(value: type) -> str:
    """Return what a class takes, where its ``__new__`` would hide it."""
    if not issubclass(value, NamedArguments):
        return ""
    bare = inspect.Parameter.empty
    found = inspect.signature(value)
    parameters = [p.replace(annotation=bare) for p in found.parameters.values()]
    return str(found.replace(parameters=parameters, return_annotation=bare))


if __name__ == "__main__":
    write(Path(__file__).parent / "reference")
    print(sum(map(len, names().values())), "pages for", pyhits.__version__)
