"""The command that looks at a file before anything is trained on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pyhits.cli.options import AsJson, reading_to_check
from pyhits.cli.run import Debug, Quiet, command
from pyhits.cli.sentences import FAILURE


@command(how_to_read=reading_to_check)
def check(
    data: Annotated[Path, typer.Argument(help="File to look at.")],
    how_to_read: dict[str, Any],
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", help="Column that acts on the system: not judged; repeatable."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Show what a file holds: trajectories, step, ranges, gaps, outliers, oddities, and what to do.

    The exit code is 0 if the file can be learned from as it is, 1 if it takes a repair or cannot be
    used, and 2 if it cannot be read.

    Example: pyhits check measured.csv
    """
    from pyhits.data.repair.check import check as look

    found = look(data, inputs=inputs or (), **how_to_read)
    print(json.dumps(found.as_dict(), indent=2) if as_json else found)
    if not found.is_usable:
        raise typer.Exit(FAILURE)
