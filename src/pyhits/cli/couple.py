"""The command that chooses scales anew: couple."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from pyhits.cli.models import check_model_name, load_model
from pyhits.cli.options import AsJson, Model, Out, coupling, reading_tables
from pyhits.cli.reading import Files
from pyhits.cli.run import Debug, Quiet, command
from pyhits.cli.texts import how_to_select
from pyhits.util.progress import say


@command(how_to_read=reading_tables, changes=coupling)
def couple(
    model: Model,
    out: Out,
    selection: Annotated[
        str,
        typer.Option("--selection", help="accuracy, speed, all, or the step sizes, such as 1,16."),
    ],
    how_to_read: dict[str, Any],
    changes: dict[str, Any],
    validation: Annotated[
        Path | None,
        typer.Option("--validation", help="Trajectories to choose on, not those of the fit."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Choose anew which scales of a model are coupled, without training.

    Example: pyhits couple vdp.safetensors --selection speed --tolerance 1e-4 -o fast.safetensors
    """
    check_model_name(out)
    loaded = load_model(model, verbose=not quiet)
    how = replace(loaded.coupling, how=how_to_select(selection), **changes)
    files = Files(how_to_read, like=loaded)
    data = None if validation is None else files.read(validation)
    loaded = loaded.coupled(how, validation=data)
    loaded.save(out)
    chosen = ", ".join(map(str, loaded.selection.step_sizes))
    say(
        f"Coupled step sizes {chosen}, validation error {loaded.selection.error:.2e}; "
        f"model written to {out}",
        verbose=not quiet,
    )
    if as_json:
        from pyhits.report.text import facts

        print(json.dumps(facts(loaded), indent=2))
