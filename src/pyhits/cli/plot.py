"""The command that draws data and models: plot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from pyhits.cli.models import load_model
from pyhits.cli.options import Out, reading, repairing
from pyhits.cli.reading import Files
from pyhits.cli.run import Debug, Quiet, command
from pyhits.util.atomic import check_target
from pyhits.util.progress import say


@command(how_to_read=reading, repairs=repairing)
def plot(
    file: Annotated[Path, typer.Argument(help="Data, a forecast, or a model (.safetensors).")],
    out: Out,
    how_to_read: dict[str, Any],
    repairs: dict[str, Any],
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            help="Of data: lines, portrait or field. Of models: scales, front, path or modes.",
        ),
    ] = "auto",
    features: Annotated[
        str | None, typer.Option("--features", help="Names of those to draw, such as x,y.")
    ] = None,
    trajectory: Annotated[
        int, typer.Option("--trajectory", help="The one that a picture of a field shows.")
    ] = 0,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Draw data as lines, portraits or pictures of fields, and what a model holds.

    Example: pyhits plot measured.csv -o measured.png

    Example: pyhits plot vdp.safetensors --kind front -o front.svg
    """
    from pyhits.plots import blank, left_out, save_figure

    check_target(out)
    figure = blank()
    if file.suffix == ".safetensors":
        from pyhits.errors import ArgumentError

        loaded = load_model(file)
        draw: dict[str, Callable[..., Any]] = {
            "auto": loaded.plot_scales,
            "scales": loaded.plot_scales,
            "front": loaded.selection.plot,
            "path": lambda ax: loaded.selection.plot("path", ax=ax),
            "modes": lambda ax: loaded.modes().plot(ax=ax),
        }
        if kind not in draw:
            raise ArgumentError(f"Unknown kind {kind!r} of a model; known: {', '.join(draw)}.")
        draw[kind](ax=figure)
    else:
        from pyhits.cli.texts import names

        data = Files(how_to_read, repairs, quiet=quiet).read(file)
        some = None if features is None else names(features, "--features")
        data.plot(kind, trajectory=trajectory, features=some, ax=figure)
    save_figure(figure, out)
    some_only = left_out(figure)
    say(f"Figure written to {out}{some_only and f': {some_only}'}", verbose=not quiet)
