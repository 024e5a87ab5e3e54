"""The ``pyhits`` command and its subcommands."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from pyhits._version import __version__
from pyhits.cli import (
    backtest,
    check,
    couple,
    data,
    demo,
    evaluate,
    fit,
    forecast,
    models,
    plot,
    reproduce,
)
from pyhits.cli.run import Command

#: Commands in the order of a user's work.
COMMANDS: dict[str, Command] = {
    "systems": data.systems,
    "simulate": data.simulate,
    "check": check.check,
    "fit": fit.fit,
    "couple": couple.couple,
    "info": models.info,
    "forecast": forecast.forecast,
    "evaluate": evaluate.evaluate,
    "backtest": backtest.backtest,
    "plot": plot.plot,
    "explore": models.explore,
    "export": models.export,
    "demo": demo.demo,
    "reproduce": reproduce.reproduce,
}


class InPanels(TyperCommand):
    """A command whose help shows options under the headings of their groups."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, the command's own options, and those of each group."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            panel = getattr(parameter, "rich_help_panel", None)
            is_argument = parameter.param_type_name == "argument"
            title = panel or ("Arguments" if is_argument else "Options")
            if record is not None:
                sections.setdefault(title, []).append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


@cache
def built(name: str) -> TyperCommand:
    """Return a command with all its options, for which what they are about is imported."""
    one = _app(None)
    one.command(name, cls=InPanels)(COMMANDS[name].expanded())
    made = typer.main.get_command(one)
    made.name = name
    return made  # type: ignore[return-value]


class Commands(TyperGroup):
    """The commands; the options of one are made when it is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the name, the command, and what is left of the words."""
        name, known, rest = super().resolve_command(ctx, args)
        return name, known and built(str(name)), rest


def _app(cls: type[TyperGroup] | None) -> typer.Typer:
    return typer.Typer(
        name="pyhits",
        cls=cls,
        help="Learned hierarchical time-steppers: recorded trajectories in, a fast simulator out.",
        no_args_is_help=cls is not None,
        add_completion=cls is not None,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


app = _app(Commands)


def _stub(command: Command) -> Any:
    """Return what stands for a command in the list of them."""

    def stub() -> None: ...

    stub.__doc__ = command.function.__doc__
    return stub


for _name, _command in COMMANDS.items():
    app.command(_name)(_stub(_command))


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
