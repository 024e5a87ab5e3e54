"""Commands that make models and show them: fit, couple, info."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from pyhits.cli.encoders import EncoderTexts, parse_encoders, snapshot_of
from pyhits.cli.limits import check_memory
from pyhits.cli.models import load_model
from pyhits.cli.options import (
    Columns,
    Decimal,
    DropOutliers,
    Dt,
    Gaps,
    Grey,
    Header,
    Height,
    LongestGap,
    Mending,
    Mono,
    Names,
    Out,
    Rate,
    Reading,
    Repair,
    Resample,
    Selection,
    Snapshot,
    StepSizes,
    Stretch,
    TableOptions,
    TimeColumn,
    TimeFormat,
    TimeZone,
    Tolerance,
    Variable,
    WithoutColumns,
    WithoutLast,
    how_to_select,
    part,
    read,
    shape_of,
    whole_numbers,
)
from pyhits.cli.run import Debug, Quiet, command
from pyhits.errors import ArgumentError
from pyhits.util.atomic import check_target
from pyhits.util.checks import check_row_length
from pyhits.util.progress import say

Model = Annotated[Path, typer.Argument(help="Model file (.safetensors).")]
Device = Annotated[str, typer.Option("--device", help="cpu, or cuda.")]


@command
def fit(
    data: Annotated[Path, typer.Argument(help="Trajectories to train on.")],
    out: Out,
    validation: Annotated[
        Path | None, typer.Option("--validation", help="Trajectories that choose the scales.")
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
    snapshot: Snapshot = None,
    rate: Rate = None,
    mono: Mono = False,
    height: Height = None,
    grey: Grey = False,
    stretch: Stretch = None,
    repair: Repair = False,
    resample: Resample = None,
    gaps: Gaps = None,
    longest_gap: LongestGap = None,
    drop_outliers: DropOutliers = False,
    without_last: WithoutLast = None,
    encoder: EncoderTexts = None,
    step_sizes: StepSizes = None,
    dense: Annotated[
        int, typer.Option("--dense", help="States the finest flow map returns from one evaluation.")
    ] = 1,
    training: Annotated[
        str,
        typer.Option(
            "--training",
            help="pyhits; paper; or reproduce, which meets the data from their first rows alone.",
        ),
    ] = "pyhits",
    hidden_sizes: Annotated[
        str | None,
        typer.Option(
            "--hidden-sizes", help="Widths of the nets, such as 64,64,64, or 1=256,4=64x64."
        ),
    ] = None,
    activation: Annotated[str | None, typer.Option("--activation")] = None,
    polynomial_degree: Annotated[
        int | None, typer.Option("--polynomial-degree", help="Of the first stage; 0: none.")
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option("--optimizer", help="soap, adam, adamw, muon, sgd, or ridge, in closed form."),
    ] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch-size")] = None,
    max_steps: Annotated[
        int | None, typer.Option("--max-steps", help="Optimiser steps a scale.")
    ] = None,
    rollout_steps: Annotated[
        int | None, typer.Option("--rollout-steps", help="Steps p in the loss.")
    ] = None,
    sampling: Annotated[
        str | None,
        typer.Option("--sampling", help="Of windows: early, uniform, density, or residual."),
    ] = None,
    early_bias: Annotated[float | None, typer.Option("--early-bias")] = None,
    denoise: Annotated[
        bool | None,
        typer.Option("--denoise/--no-denoise", help="Take noise off the data first."),
    ] = None,
    target_error: Annotated[float | None, typer.Option("--target-error")] = None,
    time_limit: Annotated[
        float | None, typer.Option("--time-limit", help="Seconds for the whole fit.")
    ] = None,
    validation_fraction: Annotated[float, typer.Option("--validation-fraction")] = 0.2,
    selection: Selection = "accuracy",
    tolerance: Tolerance = 1e-6,
    interpolation: Annotated[
        str, typer.Option("--interpolation", help="cubic, or linear.")
    ] = "cubic",
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", help="Column that acts on the system, or a parameter; repeatable."),
    ] = None,
    flow_map: Annotated[
        str | None,
        typer.Option("--flow-map", help="residual, closed, polynomial, kernel, or best of all."),
    ] = None,
    dtype: Annotated[str | None, typer.Option("--dtype", help="float32, or float64.")] = None,
    device: Device = "cpu",
    n_jobs: Annotated[
        int | None, typer.Option("--n-jobs", "--jobs", help="Processes; one a core by default.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", "--random-state")] = 0,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="Folder to continue from after a kill.")
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train a model on recorded trajectories, a sound or a film, and write it to a file.

    Example: pyhits fit measured.csv --dt 0.1 -o wake.safetensors

    Example: pyhits fit film.mp4 --encoder pod=64 --encoder standardise=common
    --without-last 0.2 -o film.safetensors
    """
    from pyhits.coordinates.inputs import attach
    from pyhits.data.files.fields import field_shape
    from pyhits.fit.settings import Settings
    from pyhits.policies import arguments

    if out.suffix != ".safetensors":
        raise ArgumentError(f"Model files end in .safetensors, got {str(out)!r}.")
    check_target(out)
    last = part(without_last, "--without-last")
    encoders = parse_encoders(encoder)
    options: dict[str, Any] = {
        "step_sizes": whole_numbers(step_sizes, "--step-sizes"),
        "dense": dense,
        "training": training,
        "flow_map": flow_map,
        "encoder": encoders,
        "hidden_sizes": widths(hidden_sizes),
        "activation": activation,
        "polynomial_degree": polynomial_degree,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "max_steps": max_steps,
        "rollout_steps": rollout_steps,
        "sampling": sampling,
        "early_bias": early_bias,
        "noise": denoise,
        "target_error": target_error,
        "time_limit": time_limit,
        "validation": validation_fraction,
        "selection": how_to_select(selection),
        "tolerance": tolerance,
        "interpolation": interpolation,
        "dtype": dtype,
        "device": device,
        "n_jobs": n_jobs,
        "random_state": seed,
        "verbose": not quiet,
    }
    settled = arguments(**options)
    Settings(**settled)
    shape = shape_of(snapshot) or snapshot_of(encoders)
    mending = Mending(repair, resample, gaps, longest_gap, drop_outliers, quiet)
    reading = Reading(
        dt,
        variable,
        time_column,
        rate,
        mono,
        height,
        grey,
        stretch,
        shape,
        mending,
        time_format,
        time_zone,
        TableOptions(columns, without_columns, names, header, decimal),
    )
    train = reading(data)
    field = field_shape(train) if snapshot is None and data.suffix.lower() == ".npy" else None
    if field is not None and with_modes(encoders):
        say(
            f"{data}: neighbours along the first axis are alike, so it is read as snapshots of "
            f"shape {field}; --snapshot none reads {len(train)} trajectories.",
            verbose=not quiet,
        )
        reading = replace(reading, snapshot=field)
        train = reading(data)
    elif field is not None:
        say(
            f"{data}: neighbours along the first axis are alike. If it is a field over time, add "
            f"--snapshot {field[0]}x{field[1]} and --encoder pod=16.",
            verbose=not quiet,
        )
    say(f"{data}: {train}", verbose=not quiet)
    of_same_step = replace(mending, resample=train.dt) if mending else mending
    rereading = replace(reading, stretch=None, mending=of_same_step)
    held = None if validation is None else rereading(validation)
    if last is not None:
        whole = train
        train, rest = whole.split_time(last)
    if not with_modes(encoders):
        is_field = train.snapshot is not None
        check_row_length(train.n_features, is_field=is_field, asked=hidden_sizes is not None)
    if inputs:
        attach(train, inputs)  # looked at before what trains is imported, which takes seconds
    check_memory()
    from pyhits.fit.splitting import last_part
    from pyhits.hits import HiTS

    if last is not None:
        say(f"Left out: {last_part(whole, rest, last)}.", verbose=not quiet)
    model = HiTS(**settled)
    model.fit(train, validation=held, inputs=inputs or None, checkpoint=checkpoint)
    model.save(out)
    say(f"Model written to {out}", verbose=not quiet)


def widths(text: str | None) -> list[int] | dict[int, list[int]] | None:
    """Read ``"64,64"``, of all nets, or ``"1=256,4=64x64"``, by step size."""
    if text is None or "=" not in text:
        return whole_numbers(text, "--hidden-sizes")
    found: dict[int, list[int]] = {}
    for entry in text.replace(" ", ",").split(","):
        size, _, layers = entry.partition("=")
        try:
            step, of_it = int(size), [int(width) for width in layers.split("x")]
        except ValueError:
            raise ArgumentError(
                "Expected --hidden-sizes to be widths such as 64,64, or such by step size, "
                f"1=256,4=64x64, got {entry!r}."
            ) from None
        if step in found:
            raise ArgumentError(f"--hidden-sizes has step size {step} twice.")
        found[step] = of_it
    return found


def with_modes(encoder: Any) -> bool:
    """Tell whether the encoders make few coordinates of many features."""
    from pyhits.encoders import POD, Autoencoder
    from pyhits.encoders.chain import AUTO, links

    return encoder == AUTO or any(isinstance(one, (POD, Autoencoder)) for one in links(encoder))


@command
def couple(
    model: Model,
    out: Out,
    selection: Selection,
    tolerance: Tolerance = 1e-6,
    validation: Annotated[
        Path | None,
        typer.Option("--validation", help="Trajectories to choose on, not those of the fit."),
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
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Choose anew which scales of a model are coupled, without training.

    Example: pyhits couple vdp.safetensors --selection speed --tolerance 1e-4 -o fast.safetensors
    """

    if out.suffix != ".safetensors":
        raise ArgumentError(f"Model files end in .safetensors, got {str(out)!r}.")
    check_target(out)
    loaded = load_model(model, verbose=not quiet)
    data = None
    if validation is not None:
        data = read(
            validation,
            dt,
            variable,
            time_column,
            like=loaded,
            time_format=time_format,
            time_zone=time_zone,
            table=TableOptions(columns, without_columns, names, header, decimal),
        )
    how = replace(loaded.coupling, how=how_to_select(selection), tolerance=tolerance)
    loaded = loaded.coupled(how, validation=data)
    loaded.save(out)
    chosen = ", ".join(map(str, loaded.selection.step_sizes))
    say(
        f"Coupled step sizes {chosen}, validation error {loaded.selection.error:.2e}; "
        f"model written to {out}",
        verbose=not quiet,
    )


@command
def info(
    model: Model,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw how the scales were chosen to this file.")
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Show what a model file holds: scales, training, and how the coupling was chosen.

    Example: pyhits info vdp.safetensors
    """
    if plot is not None:
        check_target(plot)
    loaded = load_model(model)
    from pyhits.evaluation.report.text import describe, facts

    print(json.dumps(facts(loaded), indent=2) if as_json else describe(loaded))
    if plot is not None:
        from pyhits.evaluation.plots import accuracy_front, save_figure, selection_path

        draw = selection_path if loaded.selection.path else accuracy_front
        save_figure(draw(loaded.selection), plot)
        say(f"Selection drawn to {plot}", verbose=not quiet)
