"""The command that shows models: info."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pyhits.cli.models import described_model, load_model
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
