"""The command that forecasts from rolling origins of a recording: backtest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pyhits.cli.models import load_model
from pyhits.cli.options import AsJson, Device, Model, reading_as_a_model, repairing
from pyhits.cli.reading import Files
from pyhits.cli.run import Debug, Quiet, command
from pyhits.util.atomic import check_target
from pyhits.util.progress import say


@command(how_to_read=reading_as_a_model, repairs=repairing)
def backtest(
    model: Model,
    data: Annotated[Path, typer.Argument(help="A recording to forecast parts of.")],
    how_to_read: dict[str, Any],
    repairs: dict[str, Any],
    origins: Annotated[int, typer.Option("--origins", help="How many forecasts.")] = 8,
    horizon: Annotated[
        int | None, typer.Option("--horizon", help="Steps of each; a tenth of the rows otherwise.")
    ] = None,
    refit: Annotated[
        bool, typer.Option("--refit", help="Fit to the rows up to each origin first.")
    ] = False,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Draw the errors by horizon into this file.")
    ] = None,
    as_json: AsJson = False,
    device: Device = "cpu",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Forecast from rolling origins of a recording and print the errors by horizon.

    Beside them stand those of baselines. Without --refit the recording should go on behind the rows
    that the model was fitted to: origins lie there.

    Example: pyhits backtest model.safetensors measured.csv --origins 12 --horizon 24 --refit
    """
    if figure is not None:
        check_target(figure)
    loaded = load_model(model, device=device, verbose=not quiet)
    recording = Files(how_to_read, repairs, loaded, quiet=quiet).read(data)
    result = loaded.backtest(recording, origins=origins, horizon=horizon, refit=refit)
    print(json.dumps(result.as_dict()) if as_json else result)
    if figure is not None:
        from pyhits.plots import blank, save_figure

        save_figure(result.plot(ax=blank()), figure)
        say(f"Figure written to {figure}", verbose=not quiet)
