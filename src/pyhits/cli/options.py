"""Options that several commands share, and how their texts are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pyhits.errors import ArgumentError

Out = Annotated[Path, typer.Option("--out", "-o", help="File to write.")]
Dt = Annotated[
    float | None, typer.Option("--dt", help="Time between rows, where the file does not say.")
]
Variable = Annotated[
    str | None, typer.Option("--variable", help="Array to read from a file that holds several.")
]
TimeColumn = Annotated[
    str | None,
    typer.Option("--time-column", help="Column that holds the time, by name or number, or none."),
]
StepSizes = Annotated[
    str | None,
    typer.Option("--step-sizes", help="Step sizes in multiples of dt, such as 1,2,4,8."),
]

Select = Annotated[
    str,
    typer.Option("--select", help="accuracy, speed, all, or the step sizes, such as 1,16."),
]
Tolerance = Annotated[
    float,
    typer.Option("--tolerance", help="Validation error that --select speed allows."),
]

Parameters = Annotated[
    list[str] | None,
    typer.Option("--parameter", help="Parameter of the system, as name=value; may be repeated."),
]


def how_to_select(text: str) -> str | list[int]:
    """Read ``"speed"``, or ``"1,16"``."""
    listed = whole_numbers(text, "--select") if text[:1].isdigit() else None
    return text if listed is None else listed


def whole_numbers(text: str | None, option: str) -> list[int] | None:
    """Read ``"1,2,4"``."""
    if text is None:
        return None
    try:
        return [int(part) for part in text.replace(" ", ",").split(",") if part]
    except ValueError:
        raise ArgumentError(
            f"Expected {option} to be whole numbers such as 1,2,4, got {text!r}."
        ) from None


def numbers(text: str, option: str) -> list[float]:
    """Read ``"0.5,1,2"``."""
    try:
        values = [float(part) for part in text.replace(" ", ",").split(",") if part]
    except ValueError:
        values = []
    if not values:
        raise ArgumentError(f"Expected {option} to be numbers such as 0.5,1, got {text!r}.")
    return values


def named_numbers(texts: list[str] | None, option: str) -> dict[str, float]:
    """Read ``["mu=2", "rho=28"]``."""
    values = {}
    for text in texts or []:
        name, _, value = text.partition("=")
        try:
            values[name.strip()] = float(value)
        except ValueError:
            raise ArgumentError(f"Expected {option} name=value, got {text!r}.") from None
    return values


def read(
    path: Path, dt: float | None, variable: str | None = None, time_column: str | None = None
) -> Any:
    """Read trajectories from a file."""
    from pyhits.io import read as read_file

    column = int(time_column) if time_column is not None and time_column.isdigit() else time_column
    return read_file(path, dt=dt, variable=variable, time_column=column)
