"""Model files on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pyhits.cli.limits import check_memory
from pyhits.errors import ArgumentError
from pyhits.util.atomic import check_target
from pyhits.util.tensorheader import check_file

if TYPE_CHECKING:
    from pyhits.forecasting.described import Described
    from pyhits.timestepper import TimeStepper


def check_model_name(out: Path) -> None:
    """Raise at once if a model could not be written to a file."""
    if out.suffix != ".safetensors":
        raise ArgumentError(f"Model files end in .safetensors, got {str(out)!r}.")
    check_target(out)


def described_model(path: Path) -> Described:
    """Read what a model file says of the model, without torch where that is enough.

    Raises
    ------
    FileFormatError, ArgumentError
        As :func:`pyhits.load`.
    """
    path = path.expanduser()
    check_file(path, "a PyHiTS model file")
    from pyhits.modelfiles.described import read_described

    try:
        return read_described(path)
    except MemoryError:
        raise
    except Exception:  # of another version, or damaged, which is said below
        return load_model(path)


def load_model(path: Path, *, device: str = "cpu", verbose: bool = False) -> TimeStepper:
    """Read a model; a file that is none is refused before what steps is imported.

    Raises
    ------
    FileFormatError, ArgumentError
        As :func:`pyhits.load`.
    """
    path = path.expanduser()
    check_file(path, "a PyHiTS model file")
    check_memory()
    from pyhits.modelfiles.load import load

    return load(path, device=device, verbose=verbose)
