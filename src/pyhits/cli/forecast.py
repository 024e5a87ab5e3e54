"""The command that steps forward: forecast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pyhits.cli.ensembles import check_dask, forecast_on, say_written
from pyhits.cli.hybrid import Mixed, hybrids, make_hybrid
from pyhits.cli.intervals import check_intervals
from pyhits.cli.models import load_model
from pyhits.cli.options import (
    Device,
    Model,
    Option,
    Out,
    Panel,
    WithoutLast,
    reading_to_start_from,
    repairing,
)
from pyhits.cli.reading import Files
from pyhits.cli.run import Debug, Quiet, command
from pyhits.cli.sentences import INTERRUPTED
from pyhits.cli.texts import numbers, part, whole_numbers
from pyhits.errors import ArgumentError
from pyhits.util.atomic import check_not_read, check_target
from pyhits.util.progress import say

if TYPE_CHECKING:
    import numpy as np

    from pyhits.data.trajectories import Trajectories


#: Rows at the ends of recordings on disk that are read, where all of them are too many.
_ENDS = 1000


def stepping() -> tuple[Panel, ...]:
    """Return the options of :meth:`HiTS.forecast` and :meth:`HiTS.forecast_from`."""
    options = (
        ("interpolation", str, "Between the finest steps: cubic, or linear."),
        ("on_divergence", str, "raise, or return what did not diverge."),
        ("rows_per_block", int, "States a flow map steps at once."),
        ("tol", float, "Step to this error, in spreads, with all trained scales."),
        ("interval", float, "Level of prediction intervals to write as well: 0.9."),
    )
    flags = (
        ("overwrite", "--overwrite", "Replace a .npy or .zarr of something else."),
        ("compile", "--compile", "Step with code that torch compiles: for GPUs."),
        (
            "denoise_start",
            "--denoise-start/--no-denoise-start",
            "With --after: take noise off the last rows first; if training found some.",
        ),
    )
    sizes = "Step sizes in multiples of dt, such as 1,2,4,8."
    made = (
        Option("step_sizes", str, sizes, ("--step-sizes",), whole_numbers),
        *(Option(n, kind, text, ("--" + n.replace("_", "-"),)) for n, kind, text in options),
        *(Option(name, bool, text, (flag,)) for name, flag, text in flags),
    )
    return (Panel("Stepping", made),)


InputTable = Annotated[
    Path | None,
    typer.Option(
        "--inputs", help="Table of what acts on the system at each step; else --from holds it."
    ),
]


PastInputTable = Annotated[
    Path | None,
    typer.Option(
        "--past-inputs",
        help="Table of what acted before the first states, where inputs act with a delay.",
    ),
]


Spacing = Annotated[
    str | None,
    typer.Option(
        "--spacing",
        help="Distance of the file's points, along each axis: 0.1,0.2; of another grid than the "
        "model's, where the file does not say it.",
    ),
]


@command(how_to_read=reading_to_start_from, repairs=repairing, how=stepping, hybrid=hybrids)
def forecast(
    model: Model,
    out: Out,
    steps: Annotated[
        int, typer.Option("--steps", help="Horizon in steps of dt, or of --hybrid-dt.")
    ],
    how_to_read: dict[str, Any],
    repairs: dict[str, Any],
    how: dict[str, Any],
    hybrid: dict[str, Any],
    start: Annotated[
        Path | None, typer.Option("--from", help="Trajectories whose first states to start from.")
    ] = None,
    after: Annotated[
        Path | None, typer.Option("--after", help="Recordings from whose ends to go on.")
    ] = None,
    without_last: WithoutLast = None,
    spacing: Spacing = None,
    inputs: InputTable = None,
    past_inputs: PastInputTable = None,
    dask: Annotated[
        str | None,
        typer.Option("--dask", help="Address of a Dask scheduler whose workers write the .zarr."),
    ] = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Forecast from the first state of every trajectory in a file, or go on from their ends.

    A .npy or .zarr may be larger than memory; called again, a forecast that was stopped continues.
    With --hybrid a numerical integrator fills in between learned coarse steps. With --interval the
    bounds of every variable NAME are written as NAME_low and NAME_high. Fields on another grid than
    the model's are stepped by its equation there.

    Example: pyhits forecast vdp.safetensors --from test.npz --steps 5120 -o forecast.npz

    Example: pyhits forecast vdp.safetensors --from test.npz --steps 5120 --tol 1e-4 -o forecast.npz

    Example: pyhits forecast wake.safetensors --after measured.csv --steps 200 -o later.csv
    """
    recording = _recording(start, after)
    last = None if without_last is None else part(without_last, "--without-last")
    _check_after(start, last, how, hybrid)
    if dask is not None:
        of_steps = {"interval": "--interval", "tol": "--tol", "compile": "--compile"}
        others = {"--after": after, "--hybrid": hybrid, "--inputs": inputs}
        check_dask(out, {**others, **{option: how.get(name) for name, option in of_steps.items()}})
    streamed = _is_streamed(out, recording, hybrid="hybrid" in hybrid)
    loaded = load_model(model, device=device, verbose=not quiet)
    both = ("step_sizes", "on_divergence", "denoise_start")
    without = {f"--{name.replace('_', '-')}": how[name] for name in how if name not in both}
    tables = {"--inputs": inputs, "--past-inputs": past_inputs}
    mixed = make_hybrid(loaded, hybrid, how.get("step_sizes"), {**without, **tables})
    _check_form(loaded, out)
    if "interval" in how:
        check_intervals(loaded, how["interval"], steps, out)
    # Forecasts go on from the end of a recording that is cut, or start where it begins.
    pieces = slice(0, 1) if after is None else slice(-1, None) if last is None else None
    end = 0 if last is not None else _ENDS if start is None else -_ENDS
    files = Files(how_to_read, repairs, loaded, pieces, quiet, end)
    data = _to_start_from(files, recording, last, out)
    loaded = _on_its_grid(loaded, data, spacing)
    if dask is not None:
        say_written(forecast_on(dask, loaded, data, steps, how, out), out, verbose=not quiet)
        return
    if mixed is None:
        own = {"inputs": inputs, "past_inputs": past_inputs}
        read = {name: path and files.of_inputs().read(path) for name, path in own.items()}
        how = {**how, "out": out if streamed else None, **read}
        found = _forecast(loaded, data, steps, how, after=after is not None)
    else:
        how = {name: how[name] for name in ("on_divergence",) if name in how}
        found = _forecast_mixed(mixed, data, steps, how, after=after is not None)
    if streamed:
        say_written(found.states.shape, out, verbose=not quiet)
    else:
        _write(found, out, like=recording, verbose=not quiet)


def _recording(start: Path | None, after: Path | None) -> Path:
    """Return the file to start from, of which there must be one."""
    recording = start if after is None else after
    if recording is None or (start is not None and after is not None):
        raise ArgumentError(
            "Give either --from, trajectories whose first states to start from, or --after, "
            "recordings from whose ends to go on."
        )
    return recording


def _check_after(
    start: Path | None, last: float | int | None, how: dict[str, Any], hybrid: dict[str, Any]
) -> None:
    """Raise an ArgumentError for options that go with ``--after`` alone."""
    if start is not None and last is not None:
        raise ArgumentError("--without-last goes with --after: --from starts at the beginning.")
    if "denoise_start" in how and (start is not None or "hybrid" in hybrid):
        raise ArgumentError("--denoise-start goes with --after, and without --hybrid.")


def _is_streamed(out: Path, recording: Path, *, hybrid: bool) -> bool:
    """Check that the file can be written; return whether that is done while stepping."""
    from pyhits.data.files import EXTENSIONS
    from pyhits.data.files.guard import is_zarr
    from pyhits.data.files.like import MODELS
    from pyhits.hierarchy.writers import WRITERS

    check_not_read(out, recording)
    form = out.suffix.lower()
    # A store is written with the dimensions of a recording that has some.
    streamed = form in WRITERS and not (form == ".zarr" and recording.suffix.lower() in MODELS)
    if hybrid or not streamed:
        check_target(out, EXTENSIONS, is_zarr)
    return streamed and not hybrid


def _check_form(model: Any, out: Path) -> None:
    """Raise at once if what a model forecasts cannot be written to a sound or film."""
    from pyhits.data.files.film import picture_shape
    from pyhits.data.files.media import FILMS, SOUNDS
    from pyhits.data.files.sound import rate_of

    if out.suffix.lower() in FILMS:
        picture_shape(model.coordinates.snapshot, out)
    if out.suffix.lower() in SOUNDS:
        rate_of(model.dt, model.n_features_in)


def _to_start_from(
    files: Files, recording: Path, last: float | int | None, out: Path
) -> Trajectories:
    """Read recordings, without their last part if that is left out."""
    from pyhits.data.files.media import FILMS, SOUNDS, the_only_one
    from pyhits.fit.splitting import before_last, last_part

    data = files.read(recording)
    if out.suffix.lower() in (*FILMS, *SOUNDS):
        the_only_one(data, out.name)
    if last is None:
        return data
    first, rest = data.split_time(last)
    say(f"Left out: {last_part(data, rest, last)}.", verbose=not files.quiet)
    return before_last(data, last) if files.repairs else first


def _on_its_grid(model: Any, data: Trajectories, spacing: str | None) -> Any:
    """Return the model on the grid of data, where that is another one."""
    own, grid = model.coordinates.grid, data.grid
    if own is None or grid is None or grid.shape == own.shape:
        if spacing is not None:
            raise ArgumentError("--spacing is for fields on another grid than the model's.")
        return model
    given = None if spacing is None else numbers(spacing, "--spacing")
    return model.on_grid(data, spacing=given[0] if given and len(given) == 1 else given)


@dataclass(frozen=True)
class Forecasts:
    """States that are to be written, and what belongs to them."""

    states: np.ndarray  # (n, time, ...): rows that are not finite have diverged
    model: Any
    data: Trajectories  # what they start from
    start_times: np.ndarray  # (n,)
    names: Sequence[str] | None = None  # of the columns, where they are not the model's features
    notes: Sequence[str] = ()


def _forecast(
    model: Any, data: Trajectories, steps: int, how: dict[str, Any], *, after: bool
) -> Forecasts:
    """Forecast with learned flow maps alone."""
    data = model.as_data(data, inputs=False)
    if after:
        begin, step = model.coordinates.endings(data).times, model.forecast_from
    else:
        begin, step = model.coordinates.starts(data).times, model.forecast
    try:
        states = step(data, steps, **how)
    except KeyboardInterrupt:
        if how["out"] is not None:  # it has said what is complete
            raise typer.Exit(INTERRUPTED) from None
        raise
    if "interval" not in how:
        return Forecasts(states, model, data, begin)
    bounded, labels = states.columns(model.feature_names)
    return Forecasts(bounded, model, data, begin, labels, states.sentences())


def _forecast_mixed(
    mixed: Mixed, data: Trajectories, steps: int, how: dict[str, Any], *, after: bool
) -> Forecasts:
    """Forecast with a numerical integrator between learned coarse steps."""
    from pyhits.coordinates.starts import endings

    data = mixed.hybrid.model.as_data(data)
    ends = endings(data, 1) if after else None
    states = mixed.hybrid.forecast(
        data if ends is None else ends.states, steps, **mixed.stepping, **how
    )
    begin = data.start_times if ends is None else ends.times
    return Forecasts(states, mixed.hybrid, data, begin)


def _write(found: Forecasts, out: Path, *, like: Path, verbose: bool) -> None:
    """Write forecasts in the form of a recording, each cut where it diverged."""
    from pyhits.data.containers import as_trajectories
    from pyhits.data.files import write

    model = getattr(found.model, "model", found.model)  # that of a hybrid
    result, rows = as_trajectories(
        found.states,
        found.model.dt,
        found.start_times,
        feature_names=found.names or model.feature_names,
        grid=model.coordinates.grid if found.names is None else None,
        axis=found.data.axis,
    )
    if found.data.runs is not None:
        name, held = found.data.runs
        result.runs = name, held[rows >= 2]
    write(result, out, like=like)
    for k, n in enumerate(rows):
        if n < found.states.shape[1]:
            say(f"Trajectory {k} diverged at step {n}; it is cut there.", verbose=verbose)
    say(f"{result} written to {out}", verbose=verbose)
    for note in found.notes:
        say(note, verbose=verbose)
