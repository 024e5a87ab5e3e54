"""The command that makes models: fit."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pyhits.cli.encoders import EncoderTexts, parse_encoders
from pyhits.cli.limits import check_memory
from pyhits.cli.models import check_model_name
from pyhits.cli.options import AsJson, Out, WithoutLast, policies, reading, repairing, settings
from pyhits.cli.reading import Files
from pyhits.cli.run import Debug, Quiet, command
from pyhits.cli.texts import part
from pyhits.util.progress import say

if TYPE_CHECKING:
    from pyhits.data.trajectories import Trajectories


#: Seconds that are left for a fit at least, and those that writing the model and ending take.
_LEAST, _ENDING = 0.01, 0.3


@command(own=settings, how_to_read=reading, repairs=repairing, finer=policies)
def fit(
    context: typer.Context,
    data: Annotated[Path, typer.Argument(help="Trajectories to train on.")],
    out: Out,
    own: dict[str, Any],
    how_to_read: dict[str, Any],
    repairs: dict[str, Any],
    finer: dict[str, Any],
    validation: Annotated[
        Path | None, typer.Option("--validation", help="Trajectories that choose the scales.")
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", help="Column that acts on the system, or a parameter; repeatable."),
    ] = None,
    encoder: EncoderTexts = None,
    without_last: WithoutLast = None,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="Folder to continue from after a kill.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train a model on recorded trajectories, a sound or a film, and write it to a file.

    Data and -o are enough: all other options are for those who know better than the defaults.

    Example: pyhits fit measured.csv --dt 0.1 -o wake.safetensors

    Example: pyhits fit film.mp4 --encoder pod=64 --encoder standardise=common
    --without-last 0.2 -o film.safetensors
    """
    from pyhits.coordinates.attached_inputs import attach
    from pyhits.fit.settings import Settings
    from pyhits.policies import arguments

    check_model_name(out)
    last = None if without_last is None else part(without_last, "--without-last")
    encoders = parse_encoders(encoder)
    own = own | finer
    settled = arguments(**{"random_state": 0, **own}, encoder=encoders, verbose=not quiet)
    Settings(**settled)
    files, train = _training_data(Files(how_to_read, repairs, quiet=quiet), data, encoders)
    other = None if validation is None else files.of_validation(train.dt).read(validation)
    if last is not None:
        whole = train
        train, rest = whole.split_time(last)
    if inputs:
        attach(train, inputs)  # looked at before what trains is imported, which takes seconds
    check_memory()
    from pyhits.data.declared_grid import AUTO
    from pyhits.fit.splitting import last_part
    from pyhits.hits import HiTS

    if last is not None:
        say(f"Left out: {last_part(whole, rest, last)}.", verbose=not quiet)
    if settled.get("time_limit") is not None:
        settled["time_limit"] = _left(settled["time_limit"], context.obj)
    model = HiTS(**settled)
    grid = None if how_to_read.get("grid") == AUTO else how_to_read.get("grid")
    model.fit(train, validation=other, inputs=inputs or None, grid=grid, checkpoint=checkpoint)
    model.save(out)
    from pyhits.report.text import facts, summary

    say(f"\n{summary(model)}\n\nModel written to {out}", verbose=not quiet)
    if as_json:
        print(json.dumps(facts(model), indent=2))


def _left(limit: float, begin: float | None) -> float:
    """Return what a fit has of the time limit of its command, which began at ``begin``."""
    spent = 0.0 if begin is None else time.perf_counter() - begin + _ENDING
    return max(limit - spent, _LEAST)


def _training_data(files: Files, path: Path, encoders: Any) -> tuple[Files, Trajectories]:
    """Read training data; return how, too: an array that looks like a field is one for modes."""
    from pyhits.data.declared_grid import AUTO

    is_said = "grid" in files.reading
    if not is_said:
        usual = AUTO if _with_modes(encoders) else None
        files = replace(files, reading={**files.reading, "grid": usual})
    train = files.read(path)
    if not is_said and path.suffix.lower() == ".npy":
        if files.reading["grid"] == AUTO and train.snapshot is not None:
            said = f"so it is read as snapshots of shape {train.snapshot}"
            other = f"--grid none reads {train.n_rows} trajectories"
            alike = f"{path}: neighbours along the first axis are alike"
            say(f"{alike}, {said}; {other}.", verbose=not files.quiet)
        files = replace(files, reading={**files.reading, "grid": train.grid})
    say(f"{path}: {train}", verbose=not files.quiet)
    return files, train


def _with_modes(encoder: Any) -> bool:
    """Tell whether the encoders make few coordinates of many features."""
    from pyhits.encoders import POD, Autoencoder
    from pyhits.encoders.chain import AUTO, links

    return encoder == AUTO or any(isinstance(one, (POD, Autoencoder)) for one in links(encoder))
