"""What every command shares: exit codes, plain errors, and silence when told."""

from __future__ import annotations

import functools
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Annotated, Any, NoReturn, TextIO, TypeVar, cast

import typer

from pyhits.cli.sentences import INTERRUPTED, sentence
from pyhits.cli.streams import Printable
from pyhits.errors import InterruptedWarning, PyHiTSWarning
from pyhits.util.printable import one_line

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the result.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def command(function: _Command) -> _Command:
    """Turn errors into one sentence on standard error and an exit code."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        notes = _Notes()
        try:
            with warnings.catch_warnings(), _printing():
                warnings.simplefilter("ignore")
                warnings.simplefilter("always", PyHiTSWarning)
                warnings.showwarning = notes.show
                function(*args, **kwargs)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except KeyboardInterrupt:
            _end("Interrupted; nothing was finished.", INTERRUPTED, kwargs)
        except Exception as error:
            _end(*sentence(error), kwargs)
        if notes.interrupted:
            raise typer.Exit(INTERRUPTED)

    return run  # type: ignore[return-value]


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
