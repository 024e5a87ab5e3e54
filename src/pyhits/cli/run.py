"""What every command shares: exit codes, plain errors, and silence when told."""

from __future__ import annotations

import functools
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from pyhits.errors import ArgumentError, FileFormatError, PyHiTSError, PyHiTSWarning

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the result.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

#: Exit codes: wrong use of a command, anything else that went wrong, and Ctrl-C.
MISUSE, FAILURE, INTERRUPTED = 2, 1, 130

_Command = TypeVar("_Command", bound=Callable[..., Any])


def command(function: _Command) -> _Command:
    """Turn errors into one sentence on standard error and an exit code."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                warnings.simplefilter("always", PyHiTSWarning)
                warnings.showwarning = _show_warning
                function(*args, **kwargs)
        except PyHiTSError as error:
            _complain(str(error), kwargs)
            misused = isinstance(error, (ArgumentError, FileFormatError))
            raise typer.Exit(MISUSE if misused else FAILURE) from None
        except KeyboardInterrupt:
            _complain("Interrupted; nothing was finished.", kwargs)
            raise typer.Exit(INTERRUPTED) from None
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except BrokenPipeError:
            # The reader of a pipe has seen enough, as in `pyhits systems | head`.
            sys.stderr.close()
            raise typer.Exit(0) from None
        except Exception as error:  # the last line of defence, for a user without Python
            name = type(error).__name__
            _complain(f"{name}: {error} (run again with --debug to see where).", kwargs)
            raise typer.Exit(FAILURE) from None

    return run  # type: ignore[return-value]


def _complain(text: str, options: dict[str, Any]) -> None:
    if options.get("debug"):
        traceback.print_exc()
    print(f"Error: {' '.join(text.split())}", file=sys.stderr)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"Note: {message}", file=sys.stderr)
