"""Model files on the command line: what reads them, and info, explore and export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pyhits.cli.limits import check_memory
from pyhits.cli.options import AsJson, Model, Out, reading_as_a_model, repairing
from pyhits.cli.reading import Files
from pyhits.cli.run import Debug, Quiet, command
from pyhits.errors import ArgumentError
from pyhits.util.atomic import check_target
from pyhits.util.progress import say
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

    Raises FileFormatError, ArgumentError: as :func:`pyhits.load`.
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

    Raises FileFormatError, ArgumentError: as :func:`pyhits.load`.
    """
    path = path.expanduser()
    check_file(path, "a PyHiTS model file")
    check_memory()
    from pyhits.modelfiles.load import load

    return load(path, device=device, verbose=verbose)


@command()
def info(
    model: Model,
    as_json: AsJson = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw how the scales were chosen to this file.")
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Show what a model file holds: scales, training, and how the coupling was chosen.

    Example: pyhits info vdp.safetensors
    """
    if plot is not None:
        check_target(plot)
    if as_json:
        from pyhits.report.text import facts

        loaded = load_model(model)
        print(json.dumps(facts(loaded), indent=2))
        selection = loaded.selection
    else:
        from pyhits.forecasting.described import text

        described = described_model(model)
        print(text(described))
        selection = described.selection
    if plot is not None:
        from pyhits.plots import blank, save_figure

        save_figure(selection.plot("path" if selection.path else "front", ax=blank()), plot)
        say(f"Selection drawn to {plot}", verbose=not quiet)


@command()
def export(
    model: Model,
    out: Out,
    step_size: Annotated[
        int | None, typer.Option("--step-size", help="A trained one; the finest by default.")
    ] = None,
    dense: Annotated[
        bool | None,
        typer.Option("--dense/--no-dense", help="All states inside a dense step, or its end."),
    ] = None,
    dtype: Annotated[
        str, typer.Option("--dtype", help="Of the states: float64, or float32.")
    ] = "float64",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write one step as an ONNX graph (.onnx) or a torch program (.pt2), in the data's units.

    Example: pyhits export vdp.safetensors -o step.onnx
    """
    from pyhits.modelfiles.export import export_model

    written = export_model(load_model(model), out, step_size=step_size, dense=dense, dtype=dtype)
    say(f"Step written to {written}", verbose=not quiet)


@command(how_to_read=reading_as_a_model, repairs=repairing)
def explore(
    model: Model,
    out: Out,
    how_to_read: dict[str, Any],
    repairs: dict[str, Any],
    data: Annotated[
        Path | None, typer.Option("--data", help="Recordings to start from and to compare with.")
    ] = None,
    steps: Annotated[int, typer.Option("--steps", help="Steps of the forecast at first.")] = 400,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write one page that holds a model and steps it in the browser, without a network.

    Drag the initial state, switch scales on and off, watch Algorithm 1 fill in.

    Example: pyhits explore vdp.safetensors --data test.npz -o explore.html
    """
    check_target(out)
    loaded = load_model(model, verbose=not quiet)
    recorded = None
    if data is not None:
        recorded = Files(how_to_read, repairs, loaded, quiet=quiet).read(data)
    from pyhits.report.explorer import write_explorer

    write_explorer(loaded, out, recorded, n_steps=steps, title=f"{model.stem}: explorer")
    say(f"Page written to {out}", verbose=not quiet)
