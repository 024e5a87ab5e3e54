"""The ``pyhits`` command and its subcommands."""

from __future__ import annotations

from typing import Annotated

import typer

from pyhits._version import __version__
from pyhits.cli import (
    check,
    data,
    demo,
    export,
    forecast,
    model,
    reproduce,
)

app = typer.Typer(
    name="pyhits",
    help="Learned hierarchical time-steppers: recorded trajectories in, a fast simulator out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(shown: bool) -> None:
    if shown:
        print(f"pyhits {__version__}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Learned hierarchical time-steppers: recorded trajectories in, a fast simulator out."""


app.command("systems")(data.systems)
app.command("simulate")(data.simulate)
app.command("check")(check.check)
app.command("fit")(model.fit)
app.command("couple")(model.couple)
app.command("info")(model.info)
app.command("forecast")(forecast.forecast)
app.command("evaluate")(forecast.evaluate)
app.command("export")(export.export)
app.command("demo")(demo.demo)
app.command("reproduce")(reproduce.reproduce)
