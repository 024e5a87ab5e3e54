"""Options made of the signatures and docstrings of what they are for: name, type and help, once."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from pyhits.cli import texts

Out = Annotated[Path, typer.Option("--out", "-o", help="File to write.")]
Model = Annotated[Path, typer.Argument(help="Model file (.safetensors).")]
Device = Annotated[str, typer.Option("--device", help="cpu, or cuda.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
StepSizes = Annotated[
    str | None, typer.Option("--step-sizes", help="Step sizes in multiples of dt, such as 1,2,4,8.")
]
Last = Annotated[
    str | None,
    typer.Option(
        "--last", help="Forecast the last part of every recording alone: a share, 0.2, or rows, 50."
    ),
]
WithoutLast = Annotated[
    str | None,
    typer.Option(
        "--without-last",
        help="Leave out the last part of every recording: a share, 0.2, or rows, 50.",
    ),
]

#: How texts are read, and an example, where a value is more than one number or word.
_TEXTS: dict[str, tuple[Callable[[str, str], Any], str]] = {
    "hidden_sizes": (texts.widths, "64,64, or by step size 1=256,4=64x64"),
    "names": (texts.names, "t,x,y"),
    "selection": (texts.how_to_select, "1,16"),
    "grid": (texts.as_it_is, "33x49; ring; 33x49,ring,line; none; auto"),
    "step_sizes": (texts.whole_numbers, "1,2,4,8"),
    "stretch": (texts.stretch, "2,4.5"),
    "time_column": (texts.column, "clock, 0, or none"),
    "time_format": (texts.as_it_is, "dayfirst, %d.%m.%y, excel, or ms"),
}

#: Options that may be given several times.
_REPEATED = {"columns": "x,y", "without_columns": "station,flag"}

#: Types of the values of options, as they are spelt in annotations.
_TYPES = {"int": int, "float": float, "bool": bool}


@dataclass(frozen=True)
class Option:
    """One option of a command, and the argument that it is for."""

    name: str  # of the argument, and of the parameter of the command
    kind: Any  # of the value on the command line
    help: str
    flags: tuple[str, ...]
    #: Makes of a value on the command line what the argument takes.
    read: Callable[[Any, str], Any] = texts.as_it_is
    argument: str = ""  # name of the argument, where it is another

    def parameter(self, panel: str) -> inspect.Parameter:
        """Return the parameter of a command; what is not given is None."""
        option = typer.Option(*self.flags, help=self.help, rich_help_panel=panel)
        annotated: Any = Annotated
        of = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return inspect.Parameter(
            self.name, of, default=None, annotation=annotated[self.kind | None, option]
        )


@dataclass(frozen=True)
class Panel:
    """Options that belong together: under one heading of the help."""

    title: str
    options: tuple[Option, ...]

    def given(self, values: dict[str, Any]) -> dict[str, Any]:
        """Take the options' values out of ``values``; return those that were given, as arguments.

        Raises ArgumentError: a text cannot be read.
        """
        found = {o: values.pop(o.name) for o in self.options}
        return {
            option.argument or option.name: option.read(value, option.flags[0])
            for option, value in found.items()
            if value is not None and value != []
        }


def documented(docstring: str | None) -> dict[str, str]:
    """Return the first clause about each parameter of a docstring, and what it may be."""
    found: dict[str, str] = {}
    names: list[str] = []
    kinds, text = "", ""
    for line in [*inspect.cleandoc(docstring or "").splitlines(), "end : None"]:
        begins = re.fullmatch(r"(\w+(?:, \w+)*) : (.*)", line)
        if begins or not line.startswith("    "):
            choices = ", ".join(re.findall(r'"([^"]+)"', kinds.partition("}")[0]))
            said = re.sub(r":\w+:`~?([^`]*)`", r"\1", " ".join(text.split())).replace("``", "")
            said = re.split(r"[.;:](?= |$)", said)[0]
            end = f" One of {choices}." if choices and kinds.startswith("{") else ""
            found |= {name: f"{said}.{end}" for name in names if text}
            names, kinds, text = [], "", ""
        if begins:
            names, kinds = begins[1].split(", "), begins[2]
        elif line.startswith("    "):
            text += f" {line}"
    return found


def made_of(
    *sources: Any, only: Iterable[str] | None = None, but: Iterable[str] = ()
) -> tuple[Option, ...]:
    """Return an option for each parameter of functions or policies."""
    found: dict[str, Option] = {}
    for source in sources:
        helps: dict[str, str] = {}
        for of in (*getattr(source, "__mro__", ())[::-1], source):
            helps |= documented(of.__doc__)
        for name, parameter in inspect.signature(source).parameters.items():
            if name not in but and name not in found and (only is None or name in only):
                found[name] = _option(name, str(parameter.annotation), parameter.default, helps)
    return tuple(found.values())


def _option(name: str, annotation: str, default: Any, helps: Mapping[str, str]) -> Option:
    flag, text = "--" + name.replace("_", "-"), helps.get(name, "")
    if name in _REPEATED:
        return Option(name, list[str], f"{text} Such as {_REPEATED[name]}; repeatable.", (flag,))
    if name in _TEXTS:
        read, example = _TEXTS[name]
        return Option(name, str, f"{text} Such as {example}.", (flag,), read)
    kind = next((kind for word, kind in _TYPES.items() if word in annotation.split(" | ")), str)
    if kind is bool and default is not False:
        flag = f"{flag}/--no-{flag[2:]}"
    return Option(name, kind, text, (flag,))


def reading(*, but: tuple[str, ...] = ()) -> tuple[Panel, ...]:
    """Return the options of :func:`pyhits.read`."""
    from pyhits.data.files import read

    made = made_of(read, but=("path", "like", "feature_names", *but))
    return (Panel("Reading, where the file does not say it itself", made),)


def reading_as_a_model() -> tuple[Panel, ...]:
    """Return the options of :func:`pyhits.read` that a model does not settle."""
    return reading(but=("grid", "rate", "mono", "height", "grey"))


def reading_to_start_from() -> tuple[Panel, ...]:
    """Return the options of :func:`pyhits.read` that a model does not settle, and another grid."""
    return reading(but=("rate", "mono", "height", "grey"))


def reading_tables() -> tuple[Panel, ...]:
    """Return the options of :func:`pyhits.read` for tables and archives."""
    return reading(but=("grid", "rate", "mono", "height", "grey", "stretch"))


def reading_to_check() -> tuple[Panel, ...]:
    """Return the options of :func:`pyhits.read` for what :func:`pyhits.check` looks at."""
    return reading(but=("rate", "mono", "height", "grey", "stretch"))


def repairing() -> tuple[Panel, ...]:
    """Return the options of :func:`pyhits.repair`; each but ``--repair`` implies that."""
    from pyhits.data.repair import repair

    own = (
        Option("repair", bool, "Mend uneven times, gaps and missing values; say what was done.",
               ("--repair",)),
        *made_of(repair, only=("resample", "gaps", "longest_gap")),
        Option("outliers", bool, "Take outliers for missing values.", ("--drop-outliers",),
               lambda value, _: "drop"),
    )  # fmt: skip
    return (Panel("Repairs, each of which implies --repair", own),)


def settings() -> tuple[Panel, ...]:
    """Return the options that are arguments of :class:`~pyhits.HiTS`."""
    from pyhits.fit.settings import Settings

    own = (
        ("step_sizes", "Step sizes in multiples of dt."),
        ("training", "Preset: pyhits, paper, or reproduce, which meets the data alone."),
        (
            "flow_map",
            "auto, residual, closed, polynomial, ode, kernel, best; equation, velocities, stencil.",
        ),
        ("selection", "Scales to couple: accuracy, speed, all."),
        ("time_limit", "Seconds for all of it, reading included."),
        ("device", "cpu, or cuda."),
    )
    kinds = {name: str(p.annotation) for name, p in inspect.signature(Settings).parameters.items()}
    made = (
        *(_option(name, kinds[name], None, {name: text}) for name, text in own),
        Option("validation_fraction", float, "Part that chooses, where --validation gives none.",
               ("--validation-fraction",), argument="validation"),
        Option("noise", bool, "Take noise off the data first.", ("--denoise/--no-denoise",)),
        Option("limits", bool, "Hold forecasts where recorded values turned back time and again.",
               ("--limits/--no-limits",)),
        Option("n_jobs", int, "Processes; one a core by default.", ("--n-jobs", "--jobs")),
        Option("random_state", int, "Seed of data splits and training; 0 by default.",
               ("--seed", "--random-state")),
    )  # fmt: skip
    return (Panel("What is fitted, where the data are not to decide", made),)


def policies() -> tuple[Panel, ...]:
    """Return the options that are values of the policies of :class:`~pyhits.HiTS`."""
    from pyhits.policies import Nets, Training

    return (
        *coupling(),
        Panel("Flow maps, where defaults do not do", made_of(Nets, but=("family",))),
        Panel("Training of nets, where defaults do not do", made_of(Training, but=("preset",))),
    )


def coupling() -> tuple[Panel, ...]:
    """Return the options that are values of :class:`~pyhits.Coupling`."""
    from pyhits.policies import Coupling

    return (Panel("Coupling of scales", made_of(Coupling, but=("how",))),)
