"""Commands that step forward: forecast, evaluate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pyhits.atomic import check_target
from pyhits.cli.hybrid import HybridDt, Integrator, MaxIterations, OfSystem, Tolerance, make_hybrid
from pyhits.cli.model import Device, Model
from pyhits.cli.options import (
    Dt,
    Out,
    Parameters,
    StepSizes,
    TimeColumn,
    Variable,
    read,
    whole_numbers,
)
from pyhits.cli.run import INTERRUPTED, Debug, Quiet, command
from pyhits.errors import DataError
from pyhits.progress import say

if TYPE_CHECKING:
    import numpy as np

    from pyhits.estimator import HiTS


@command
def forecast(
    model: Model,
    out: Out,
    start: Annotated[
        Path, typer.Option("--from", help="Trajectories whose first states to start from.")
    ],
    steps: Annotated[
        int, typer.Option("--steps", help="Horizon in steps of dt, or of --hybrid-dt.")
    ],
    dt: Dt = None,
    variable: Variable = None,
    time_column: TimeColumn = None,
    step_sizes: StepSizes = None,
    interpolation: Annotated[str | None, typer.Option("--interpolation")] = None,
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
    """Forecast from the first state of every trajectory in a file.

    A .npy or .zarr may be larger than memory; called again, a forecast that was stopped continues.
    With --hybrid a numerical integrator fills in between learned coarse steps.

    Example: pyhits forecast vdp.safetensors --from test.npz --steps 5120 -o forecast.npz
    """
    from pyhits.hierarchy.sinks import SINKS
    from pyhits.hierarchy.starts import histories
    from pyhits.io import EXTENSIONS
    from pyhits.save import load

    streamed = hybrid is None and out.suffix.lower() in SINKS
    if not streamed:
        check_target(out, EXTENSIONS if hybrid else (*EXTENSIONS, *SINKS))
    loaded = load(model, device=device).set_params(verbose=not quiet)
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
        },
    )
    data = read(start, dt, variable, time_column)
    if mixed is not None:
        states = mixed.forecast(
            data,
            steps,
            tolerance=parareal,
            max_iterations=max_iterations,
            on_divergence=on_divergence,
        )
        _write(states, loaded, mixed.dt, data.start_times, out, verbose=not quiet)
        return
    data = loaded.as_data(data)
    begin = histories(data, loaded.start_rows_)[1].start_times
    try:
        states = loaded.forecast(
            data,
            steps,
            step_sizes=sizes,
            interpolation=interpolation,
            on_divergence=on_divergence,
            rows_per_block=rows_per_block,
            compile=compile,
            out=out if streamed else None,
            overwrite=overwrite,
        )
    except KeyboardInterrupt:
        if streamed:  # it has said what is complete
            raise typer.Exit(INTERRUPTED) from None
        raise
    if streamed:
        say(f"{' x '.join(map(str, states.shape))} states written to {out}", verbose=not quiet)
        return
    _write(states, loaded, loaded.dt_, begin, out, verbose=not quiet)


def _write(
    states: np.ndarray,
    model: HiTS,
    dt: float,
    start_times: np.ndarray,
    out: Path,
    *,
    verbose: bool,
) -> None:
    """Write forecasts that begin at ``start_times``, each cut where it diverged."""
    import numpy as np

    from pyhits.io import write
    from pyhits.trajectories import Trajectories

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
        feature_names=model.feature_names_,
        start_times=start_times[kept],
    )
    write(result, out)
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
    step_sizes: StepSizes = None,
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

    Example: pyhits evaluate vdp.safetensors test.npz --report report.html
    """
    from pyhits.save import load

    if report is not None:
        check_target(report)
    loaded = load(model, device=device).set_params(verbose=not quiet)
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
        without={"--report": report is not None},
    )
    test = read(data, dt, variable, time_column)
    if mixed is None:
        result = loaded.evaluate(test, n_steps=steps, step_sizes=sizes)
    else:
        result = mixed.evaluate(
            test, n_steps=steps, tolerance=parareal, max_iterations=max_iterations
        )
    print(json.dumps(result.as_dict()) if as_json else result)
    if report is not None:
        from pyhits.report import write_report

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
