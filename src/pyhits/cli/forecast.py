"""Commands that step forward: forecast, evaluate."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pyhits.cli.hybrid import (
    HybridDt,
    Integrator,
    MaxIterations,
    OfSystem,
    Tolerance,
    make_hybrid,
)
from pyhits.cli.intervals import check_intervals, side_by_side, what_to_know
from pyhits.cli.model import Device, Model
from pyhits.cli.models import load_model
from pyhits.cli.options import (
    Columns,
    Decimal,
    DropOutliers,
    Dt,
    Gaps,
    Header,
    LongestGap,
    Mending,
    Names,
    Out,
    Parameters,
    Repair,
    Resample,
    StepSizes,
    Stretch,
    TableOptions,
    TimeColumn,
    TimeFormat,
    TimeZone,
    Variable,
    WithoutColumns,
    WithoutLast,
    part,
    read,
    whole_numbers,
)
from pyhits.cli.run import Debug, Quiet, command
from pyhits.cli.sentences import INTERRUPTED
from pyhits.errors import ArgumentError, DataError
from pyhits.util.atomic import check_not_read, check_target
from pyhits.util.progress import say

if TYPE_CHECKING:
    import numpy as np

    from pyhits.data.times import TimeAxis
    from pyhits.timestepper import TimeStepper


@command
def forecast(
    model: Model,
    out: Out,
    steps: Annotated[
        int, typer.Option("--steps", help="Horizon in steps of dt, or of --hybrid-dt.")
    ],
    start: Annotated[
        Path | None, typer.Option("--from", help="Trajectories whose first states to start from.")
    ] = None,
    after: Annotated[
        Path | None, typer.Option("--after", help="Recordings from whose ends to go on.")
    ] = None,
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
    stretch: Stretch = None,
    repair: Repair = False,
    resample: Resample = None,
    gaps: Gaps = None,
    longest_gap: LongestGap = None,
    drop_outliers: DropOutliers = False,
    without_last: WithoutLast = None,
    step_sizes: StepSizes = None,
    interpolation: Annotated[str | None, typer.Option("--interpolation")] = None,
    denoise_start: Annotated[
        bool | None,
        typer.Option(
            "--denoise-start/--no-denoise-start",
            help="With --after: take noise off the last rows first; if training found some.",
        ),
    ] = None,
    on_divergence: Annotated[
        str, typer.Option("--on-divergence", help="raise, or return what did not diverge.")
    ] = "raise",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a .npy or .zarr of something else.")
    ] = False,
    rows_per_block: Annotated[
        int | None, typer.Option("--rows-per-block", help="States a flow map steps at once.")
    ] = None,
    compile: Annotated[
        bool, typer.Option("--compile", help="Step with code that torch compiles: for GPUs.")
    ] = False,
    tol: Annotated[
        float | None,
        typer.Option("--tol", help="Step to this error, in spreads, with all trained scales."),
    ] = None,
    hybrid: Integrator = None,
    system: OfSystem = None,
    parameter: Parameters = None,
    hybrid_dt: HybridDt = None,
    parareal: Tolerance = None,
    max_iterations: MaxIterations = None,
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--inputs", help="Table of what acts on the system at each step; else --from holds it."
        ),
    ] = None,
    interval: Annotated[
        float | None,
        typer.Option("--interval", help="Level of prediction intervals to write beside it: 0.9."),
    ] = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Forecast from the first state of every trajectory in a file, or go on from their ends.

    A .npy or .zarr may be larger than memory; called again, a forecast that was stopped continues.
    With --hybrid a numerical integrator fills in between learned coarse steps. With --interval the
    bounds of every variable NAME are written as NAME_low and NAME_high.

    Example: pyhits forecast vdp.safetensors --from test.npz --steps 5120 -o forecast.npz

    Example: pyhits forecast vdp.safetensors --from test.npz --steps 5120 --tol 1e-4 -o forecast.npz

    Example: pyhits forecast wake.safetensors --after measured.csv --steps 200 -o later.csv
    """
    if (start is None) == (after is None):
        raise ArgumentError(
            "Give either --from, trajectories whose first states to start from, or --after, "
            "recordings from whose ends to go on."
        )
    recording = start if after is None else after
    assert recording is not None
    last = part(without_last, "--without-last")
    if after is None and last is not None:
        raise ArgumentError("--without-last goes with --after: --from starts at the beginning.")
    if denoise_start is not None and (after is None or hybrid is not None):
        raise ArgumentError("--denoise-start goes with --after, and without --hybrid.")
    from pyhits.coordinates.starts import endings, histories
    from pyhits.data.files import EXTENSIONS
    from pyhits.data.files.media import FILMS, SOUNDS, the_only_one
    from pyhits.fit.splitting import before_last, last_part
    from pyhits.hierarchy.writers import WRITERS

    streamed = hybrid is None and out.suffix.lower() in WRITERS
    check_not_read(out, recording)
    if not streamed:
        check_target(out, EXTENSIONS if hybrid else (*EXTENSIONS, *WRITERS))
    loaded = load_model(model, device=device, verbose=not quiet)
    sizes = whole_numbers(step_sizes, "--step-sizes")
    mixed = make_hybrid(
        loaded,
        hybrid,
        system=system,
        parameters=parameter,
        dt=hybrid_dt,
        step_sizes=sizes,
        tolerance=parareal,
        max_iterations=max_iterations,
        without={
            "--compile": compile,
            "--rows-per-block": rows_per_block is not None,
            "--overwrite": overwrite,
            "--interpolation": interpolation is not None,
            "--tol": tol is not None,
            "--interval": interval is not None,
            "--inputs": inputs is not None,
        },
    )
    _check_form(loaded, out)
    if interval is not None:
        check_intervals(loaded, interval, steps, out)
    # Forecasts go on from the end of a recording that is cut, or start where it begins.
    kept = slice(0, 1) if after is None else slice(-1, None) if last is None else None
    mending = Mending(repair, resample, gaps, longest_gap, drop_outliers, quiet, kept)
    read_file = partial(
        read, time_column=time_column, time_format=time_format, time_zone=time_zone, like=loaded
    )
    chosen = TableOptions(columns, without_columns, names, header, decimal)
    data = read_file(recording, dt, variable, stretch=stretch, mending=mending, table=chosen)
    if out.suffix.lower() in (*FILMS, *SOUNDS):
        the_only_one(data, out.name)
    if last is not None:
        whole = data
        data = before_last(whole, last) if mending else whole.split_time(last)[0]
        left_out = last_part(whole, whole.split_time(last)[1], last)
        say(f"Left out: {left_out}.", verbose=not quiet)
    written: dict[str, Any] = {"like": recording, "verbose": not quiet}
    if mixed is not None:
        data = loaded.as_data(data)
        ends = None if after is None else endings(data, 1)
        states = mixed.forecast(
            data if ends is None else ends.states,
            steps,
            tolerance=parareal,
            max_iterations=max_iterations,
            on_divergence=on_divergence,
        )
        begin = data.start_times if ends is None else ends.times
        _write(states, loaded, mixed.dt, begin, out, axis=data.axis, **written)
        return
    data = loaded.as_data(data, inputs=False)
    begins: Any
    acting = None if inputs is None else read_file(inputs, dt, table=chosen.of_inputs())
    if after is None:
        begin = histories(data, loaded.start_rows)[1].start_times
        begins = loaded.forecast
    else:
        begin = endings(data, loaded.start_rows).times
        begins = partial(loaded.forecast_from, denoise_start=denoise_start)
    try:
        states = begins(
            data,
            steps,
            step_sizes=sizes,
            interpolation=interpolation,
            on_divergence=on_divergence,
            rows_per_block=rows_per_block,
            compile=compile,
            out=out if streamed else None,
            overwrite=overwrite,
            tol=tol,
            interval=interval,
            inputs=acting,
        )
    except KeyboardInterrupt:
        if streamed:  # it has said what is complete
            raise typer.Exit(INTERRUPTED) from None
        raise
    if streamed:
        say(f"{' x '.join(map(str, states.shape))} states written to {out}", verbose=not quiet)
        return
    if interval is not None:
        bounded, labels = side_by_side(states, loaded.feature_names)
        _write(bounded, loaded, loaded.dt, begin, out, axis=data.axis, names=labels, **written)
        for sentence in what_to_know(states):
            say(sentence, verbose=not quiet)
        return
    _write(states, loaded, loaded.dt, begin, out, axis=data.axis, **written)


def _check_form(model: TimeStepper, out: Path) -> None:
    """Raise at once if what a model forecasts cannot be written to a sound or film."""
    from pyhits.data.files.film import picture_shape
    from pyhits.data.files.media import FILMS, SOUNDS
    from pyhits.data.files.sound import rate_of

    if out.suffix.lower() in FILMS:
        picture_shape(model.coordinates.snapshot, out)
    if out.suffix.lower() in SOUNDS:
        rate_of(model.dt, model.n_features_in)


def _write(
    states: np.ndarray,
    model: TimeStepper,
    dt: float,
    start_times: np.ndarray,
    out: Path,
    *,
    axis: TimeAxis,
    names: tuple[str, ...] | None = None,
    like: Path,
    verbose: bool,
) -> None:
    """Write forecasts that begin at ``start_times``, each cut where it diverged."""
    import numpy as np

    from pyhits.data.files import write
    from pyhits.data.trajectories import Trajectories

    states = states.reshape(*states.shape[:2], -1)
    length = states.shape[1]
    rows = np.isfinite(states).all(axis=2).sum(axis=1)
    kept = np.flatnonzero(rows >= 2)
    if len(kept) == 0:
        raise DataError("Every forecast diverged at once, so there is nothing to write.")
    pieces = states if (rows == length).all() else [states[k, : rows[k]] for k in kept]
    result = Trajectories(
        pieces,
        dt,
        feature_names=names or model.feature_names,
        start_times=start_times[kept],
        snapshot=model.coordinates.snapshot if names is None else None,
        axis=axis,
    )
    write(result, out, like=like)
    for k in np.flatnonzero(rows < length):
        say(f"Trajectory {k} diverged at step {rows[k]}; it is cut there.", verbose=verbose)
    say(f"{result} written to {out}", verbose=verbose)


@command
def evaluate(
    model: Model,
    data: Annotated[Path, typer.Argument(help="Trajectories to compare with.")],
    steps: Annotated[
        int | None, typer.Option("--steps", help="Horizon; to the end otherwise.")
    ] = None,
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
    stretch: Stretch = None,
    repair: Repair = False,
    resample: Resample = None,
    gaps: Gaps = None,
    longest_gap: LongestGap = None,
    drop_outliers: DropOutliers = False,
    last: Annotated[
        str | None,
        typer.Option(
            "--last",
            help="Forecast the last part of every recording alone: a share, 0.2, or rows, 50.",
        ),
    ] = None,
    step_sizes: StepSizes = None,
    lyapunov: Annotated[
        float | None,
        typer.Option("--lyapunov", help="Largest Lyapunov exponent, for times in units of it."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write an HTML page with figures.")
    ] = None,
    hybrid: Integrator = None,
    system: OfSystem = None,
    parameter: Parameters = None,
    hybrid_dt: HybridDt = None,
    parareal: Tolerance = None,
    max_iterations: MaxIterations = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Forecast every trajectory from its first state and print the errors.

    Beside them stand those of simple baselines: persistence, mean, linear, polynomial, seasonal.

    Example: pyhits evaluate vdp.safetensors test.npz --report report.html

    Example: pyhits evaluate film.safetensors film.mp4 --last 0.2
    """
    from pyhits.fit.splitting import last_part

    if report is not None:
        check_target(report)
    loaded = load_model(model, device=device, verbose=not quiet)
    sizes = whole_numbers(step_sizes, "--step-sizes")
    mixed = make_hybrid(
        loaded,
        hybrid,
        system=system,
        parameters=parameter,
        dt=hybrid_dt,
        step_sizes=sizes,
        tolerance=parareal,
        max_iterations=max_iterations,
        without={"--report": report is not None, "--lyapunov": lyapunov is not None},
    )
    mending = Mending(repair, resample, gaps, longest_gap, drop_outliers, quiet)
    test = read(
        data,
        dt,
        variable,
        time_column,
        stretch=stretch,
        like=loaded,
        mending=mending,
        time_format=time_format,
        time_zone=time_zone,
        table=TableOptions(columns, without_columns, names, header, decimal),
    )
    held = part(last, "--last")
    if held is not None:
        whole, test = test, test.split_time(held, overlap=loaded.start_rows)[1]
        say(f"Forecast: {last_part(whole, test, held)}.", verbose=not quiet)
    if mixed is None:
        result = loaded.evaluate(test, n_steps=steps, step_sizes=sizes, lyapunov=lyapunov)
    else:
        result = mixed.evaluate(
            test, n_steps=steps, tolerance=parareal, max_iterations=max_iterations
        )
    print(json.dumps(result.as_dict()) if as_json else result)
    if report is not None:
        from pyhits.evaluation.report import write_report

        title = f"{model.stem} on {data.name}"
        write_report(
            loaded,
            test,
            report,
            title=title,
            evaluation=result,
            progress=lambda text: say(f"Report: {text}.", verbose=not quiet),
        )
        say(f"Report written to {report}", verbose=not quiet)
