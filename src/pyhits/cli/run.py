"""What every command shares: exit codes, plain errors, and silence where it is asked for."""

from __future__ import annotations

import inspect
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn, TextIO, cast

import typer

from pyhits.cli.options import Panel
from pyhits.cli.sentences import INTERRUPTED, sentence
from pyhits.cli.streams import Printable
from pyhits.errors import InterruptedWarning, PyHiTSWarning
from pyhits.util.printable import one_line

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the result.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

#: Makes the options of a group when the command is called: what they are for is imported then.
MakePanels = Callable[[], tuple[Panel, ...]]


@dataclass(frozen=True)
class Command:
    """A function that is a command, and its groups of options."""

    #: Takes what its signature says; of each group a dict of the arguments that were given.
    function: Callable[..., None]
    groups: dict[str, MakePanels]  # by the name of the parameter; each makes panels of options

    def expanded(self) -> Callable[..., None]:
        """Return a function with every option as a parameter, which ends as a program does."""
        panels = {name: make() for name, make in self.groups.items()}
        parameters = []
        for parameter in inspect.signature(self.function, eval_str=True).parameters.values():
            if parameter.name not in panels:
                parameters.append(parameter)
            for panel in panels.get(parameter.name, ()):
                parameters += [option.parameter(panel.title) for option in panel.options]

        def run(**values: Any) -> None:
            with _ending(values):
                given = {name: _given(of, values) for name, of in panels.items()}
                self.function(**values, **given)

        parameters.sort(key=lambda parameter: parameter.default is not parameter.empty)
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        run.__doc__ = self.function.__doc__
        return run


def _given(panels: tuple[Panel, ...], values: dict[str, Any]) -> dict[str, Any]:
    """Take the values of panels' options out of all; return those that were given."""
    return {name: value for panel in panels for name, value in panel.given(values).items()}


def command(**groups: MakePanels) -> Callable[[Callable[..., None]], Command]:
    """Make a command of a function; a group of options is one of its parameters."""
    return lambda function: Command(function, groups)


@contextmanager
def _ending(options: dict[str, Any]) -> Iterator[None]:
    """Turn errors into one sentence on standard error and an exit code."""
    notes = _Notes()
    try:
        with warnings.catch_warnings(), _printing():
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", PyHiTSWarning)
            warnings.showwarning = notes.show
            yield
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except KeyboardInterrupt:
        _end("Interrupted; nothing was finished.", INTERRUPTED, options)
    except Exception as error:
        _end(*sentence(error), options)
    if notes.interrupted:
        raise typer.Exit(INTERRUPTED)


@contextmanager
def _printing() -> Iterator[None]:
    """Print without control characters, and all of it before the command ends."""
    if sys.stdout is None:
        yield
        return
    with redirect_stdout(cast("TextIO", Printable(sys.stdout))):
        yield
        sys.stdout.flush()


class _Notes:
    """Shows warnings as sentences, and remembers whether one says that Ctrl-C ended the work."""

    def __init__(self) -> None:
        self.interrupted = False

    def show(self, message: Warning | str, *_: Any, **__: Any) -> None:
        self.interrupted |= isinstance(message, InterruptedWarning)
        _print(f"Note: {one_line(str(message))}")


def _end(text: str, code: int, options: dict[str, Any]) -> NoReturn:
    """Say what happened, and leave nothing in a stream that cannot be written to any more."""
    if options.get("debug"):
        traceback.print_exc()
    if text:
        _print(f"Error: {one_line(text)}")
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        # Python would try once more when it ends, and complain in its own way.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(code) from None


def _print(text: str) -> None:
    """Print to standard error, where there is one that can be written to."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            print(text, file=sys.stderr, flush=True)
