"""The command that shows models: info."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pyhits.cli.models import load_model
from pyhits.cli.options import AsJson, Model
from pyhits.cli.run import Debug, Quiet, command
from pyhits.util.atomic import check_target
from pyhits.util.progress import say


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
    loaded = load_model(model)
    from pyhits.report.text import describe, facts

    print(json.dumps(facts(loaded), indent=2) if as_json else describe(loaded))
    if plot is not None:
        from pyhits.plots import blank, save_figure

        kind = "path" if loaded.selection.path else "front"
        save_figure(loaded.selection.plot(kind, ax=blank()), plot)
        say(f"Selection drawn to {plot}", verbose=not quiet)
