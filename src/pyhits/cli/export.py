"""The command that writes a step for other programs: export."""

from __future__ import annotations

from typing import Annotated

import typer

from pyhits.cli.models import load_model
from pyhits.cli.options import Model, Out
from pyhits.cli.run import Debug, Quiet, command
from pyhits.util.progress import say


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
