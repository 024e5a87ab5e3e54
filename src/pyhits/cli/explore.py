"""The command that writes a page to play with a model: explore."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pyhits.cli.models import load_model
from pyhits.cli.options import Model, Out, reading_as_a_model, repairing
from pyhits.cli.reading import Files
from pyhits.cli.run import Debug, Quiet, command
from pyhits.util.atomic import check_target
from pyhits.util.progress import say


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
