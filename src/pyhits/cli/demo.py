"""The demonstration command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pyhits.cli.run import Debug, Quiet, command


@command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for its files.")] = Path("demo"),
    trajectories: Annotated[int, typer.Option("--trajectories", help="To train on.")] = 400,
    steps: Annotated[int, typer.Option("--steps", help="Steps of each.")] = 5120,
    scales: Annotated[
        int | None,
        typer.Option("--scales", help="Step sizes 1, 2, 4, ...; else while coarser ones pay."),
    ] = None,
    max_steps: Annotated[
        int | None,
        typer.Option("--max-steps", help="Train nets, of so many optimiser steps a scale."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train on the Van der Pol oscillator, forecast, and write a report.

    Example: pyhits demo --out demo
    """
    from pyhits.cli.demonstration import run_demo

    result = run_demo(
        out,
        n_trajectories=trajectories,
        n_steps=steps,
        n_scales=scales,
        max_steps=max_steps,
        seed=seed,
        verbose=not quiet,
        say=(lambda text: None) if quiet else print,
    )
    if quiet:
        print(result.evaluation.mse)
