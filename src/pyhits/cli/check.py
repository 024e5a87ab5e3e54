"""The command that looks at a file before anything is trained on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pyhits.cli.options import (
    Columns,
    Decimal,
    Dt,
    Header,
    Names,
    Snapshot,
    TableOptions,
    TimeColumn,
    TimeFormat,
    TimeZone,
    Variable,
    WithoutColumns,
    column_of,
    shape_of,
)
from pyhits.cli.run import Debug, Quiet, command
from pyhits.cli.sentences import FAILURE


@command
def check(
    data: Annotated[Path, typer.Argument(help="File to look at.")],
    dt: Dt = None,
    variable: Variable = None,
    time_column: TimeColumn = None,
    time_format: TimeFormat = None,
    time_zone: TimeZone = None,
    columns: Columns = None,
    without_columns: WithoutColumns = None,
    names: Names = None,
    header: Header = None,
    decimal: Decimal = None,
    snapshot: Snapshot = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", help="Column that acts on the system: not judged; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Show what a file holds: trajectories, step, ranges, gaps, outliers, oddities, and what to do.

    The exit code is 0 if the file can be learned from as it is, 1 if it takes a repair or cannot be
    used, and 2 if it cannot be read.

    Example: pyhits check measured.csv
    """
    from pyhits.data.repair.check import check as look

    found = look(
        data,
        dt=dt,
        variable=variable,
        time_column=column_of(time_column),
        time_format=time_format,
        time_zone=time_zone,
        **TableOptions(columns, without_columns, names, header, decimal).reading(),
        snapshot=shape_of(snapshot),
        inputs=inputs or (),
    )
    print(json.dumps(found.as_dict(), indent=2) if as_json else found)
    if not found.is_usable:
        raise typer.Exit(FAILURE)
