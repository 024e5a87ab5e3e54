"""The command that compares forecasts with recordings: evaluate."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from pyhits.cli.hybrid import hybrids, make_hybrid
from pyhits.cli.models import load_model
from pyhits.cli.options import AsJson, Device, Last, Model, StepSizes, reading_as_a_model, repairing
from pyhits.cli.reading import Files
from pyhits.cli.run import Debug, Quiet, command
from pyhits.cli.texts import part, whole_numbers
from pyhits.util.atomic import check_target
from pyhits.util.progress import say


@command(how_to_read=reading_as_a_model, repairs=repairing, hybrid=hybrids)
def evaluate(
    model: Model,
    data: Annotated[Path, typer.Argument(help="Trajectories to compare with.")],
    how_to_read: dict[str, Any],
    repairs: dict[str, Any],
    hybrid: dict[str, Any],
    steps: Annotated[
        int | None, typer.Option("--steps", help="Horizon; to the end otherwise.")
    ] = None,
    last: Last = None,
    given: Annotated[
        int | None,
        typer.Option(
            "--given",
            help="First rows of each trajectory that are known; with --last all before it are.",
        ),
    ] = None,
    step_sizes: StepSizes = None,
    lyapunov: Annotated[
        float | None,
        typer.Option("--lyapunov", help="Largest Lyapunov exponent, for times in units of it."),
    ] = None,
    as_json: AsJson = False,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write an HTML page with figures.")
    ] = None,
    device: Device = "cpu",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Forecast every trajectory from its first state and print the errors.

    Beside them stand those of simple baselines: persistence, mean, linear, polynomial, seasonal; of
    recordings with --last or --given also autoregression and others that look at many rows.

    Example: pyhits evaluate vdp.safetensors test.npz --report report.html

    Example: pyhits evaluate film.safetensors film.mp4 --last 0.2
    """
    from pyhits.data.stubs import without_stubs
    from pyhits.errors import ArgumentError
    from pyhits.fit.splitting import last_part

    if report is not None:
        check_target(report)
    loaded = load_model(model, device=device, verbose=not quiet)
    sizes = None if step_sizes is None else whole_numbers(step_sizes, "--step-sizes")
    without = {"--report": report, "--lyapunov": lyapunov, "--given": given}
    mixed = make_hybrid(loaded, hybrid, sizes, without)
    test = Files(how_to_read, repairs, loaded, quiet=quiet).read(data)
    share = None if last is None else part(last, "--last")
    if share is not None and given is not None:
        raise ArgumentError("With --last all earlier rows are given: leave --given out.")
    if share is not None:
        whole = test
        known = int(without_stubs(whole.split_time(share)[0]).lengths.min())
        given = max(loaded.start_rows, min(known, loaded.recording_rows))
        test = whole.split_time(share, overlap=given)[1]
        say(f"Forecast: {last_part(whole, test, share, overlap=given)}.", verbose=not quiet)
    if mixed is None:
        result = loaded.evaluate(
            test, n_steps=steps, step_sizes=sizes, lyapunov=lyapunov, given=given
        )
    else:
        result = mixed.hybrid.evaluate(test, n_steps=steps, **mixed.stepping)
    print(json.dumps(result.as_dict()) if as_json else result)
    if report is not None:
        from pyhits.report import write_report

        title = f"{model.stem} on {data.name}"
        progress = partial(_progress, verbose=not quiet)
        write_report(loaded, test, report, title=title, evaluation=result, progress=progress)
        say(f"Report written to {report}", verbose=not quiet)


def _progress(text: str, *, verbose: bool) -> None:
    say(f"Report: {text}.", verbose=verbose)
