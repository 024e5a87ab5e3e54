"""Data as others are: with the step, the features and the time axis of what they are used with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyhits.data.packing import default_names
from pyhits.data.stretches import evenly
from pyhits.data.times import TimeAxis
from pyhits.data.times.reading import again, joined_axes
from pyhits.data.times.uniform import same_step, step_error
from pyhits.data.trajectories import Trajectories
from pyhits.errors import DataError
from pyhits.util.printable import listing


def as_trajectories(
    data: Any, dt: float | None = None, *, default_dt: float | None = None
) -> Trajectories:
    """Return ``data`` as Trajectories; ``default_dt`` serves where nothing says the step."""
    trajectories = data if isinstance(data, Trajectories) and dt is None else Trajectories(data, dt)
    if default_dt is not None and not trajectories.dt_known:
        return trajectories.with_dt(default_dt)
    return trajectories


def are_states_alone(data: Trajectories, features: Sequence[str], inputs: Sequence[str]) -> bool:
    """Tell whether data hold the features of a model, by name or number, but not its inputs."""
    own = set(data.feature_names)
    is_named = data.feature_names != default_names(data.n_features)
    by_name = is_named and set(features) <= own and not set(inputs) <= own
    return data.n_features == len(features) or by_name


def in_same_steps(data: Trajectories, axis: TimeAxis, name: str) -> Trajectories:
    """Return data with dates in the steps of an axis with dates; others as they are.

    A week of business days looks like days, and a few months may be equally long.

    Raises DataError: the dates step otherwise.
    """
    if not (data.axis.has_dates and axis.has_dates) or data.axis.same_steps(axis):
        return data
    found = [again(data.axis, data.times(k), axis) for k in range(len(data))]
    moved = [pair for pair in found if pair is not None]
    steps = [times[1] - times[0] for _, times in moved]
    if len(moved) < len(found) or max(steps) - min(steps) > 1e-6 * max(steps):
        raise DataError(
            f"The {name} data step by {data.axis.step_name(data.dt)}, the training data by "
            f"{axis.unit if axis.step else 'equal spans of time'}; resample one of them."
        )
    joined, starts = joined_axes([own for own, _ in moved], [float(t[0]) for _, t in moved])
    return Trajectories(
        list(data),
        float(f"{steps[0]:.10g}"),
        feature_names=data.feature_names,
        start_times=starts,
        grid=data.grid,
        axis=joined,
    )


def matched(data: Trajectories, dt: float, feature_names: Sequence[str], name: str) -> Trajectories:
    """Return ``data`` with its features in the order of ``feature_names``.

    Features are matched by name where both sides have names, else by position; others are left
    out where all of them are there by name.

    Raises DataError: the number or the names of the features differ, or the step does.
    """
    named = tuple(feature_names) != default_names(len(feature_names))
    if named and set(feature_names) < set(data.feature_names):
        data = data.select(feature_names)
    if data.n_features != len(feature_names):
        lacking = [one for one in feature_names if one not in data.feature_names]
        missed = lacking if named else []
        verb = "is" if len(missed) == 1 else "are"
        which = f" {listing(missed, quoted=True)} {verb} lacking." if missed else ""
        raise DataError(
            f"The {name} data have {data.n_features} features, the training data "
            f"{len(feature_names)}.{which}"
        )
    if not same_step(data.dt, dt, step_error(data.start_times, data.lengths, data.axis)):
        raise DataError(
            f"The {name} data step by {data.dt:g}, the training data by {dt:g}; resample one of "
            "them."
        )
    wanted, found = tuple(feature_names), data.feature_names
    unnamed = default_names(len(wanted))
    if found == wanted or unnamed in (found, wanted):
        return data
    if set(found) != set(wanted):
        raise DataError(
            f"The {name} data have the features {', '.join(found)}, the training data "
            f"{', '.join(wanted)}; rename them."
        )
    return data.select(wanted)


def joined(parts: Sequence[Trajectories]) -> Trajectories:
    """Return the trajectories of several sets, the first's in front."""
    return Trajectories(
        [rows for part in parts for rows in part],
        parts[0].dt,
        feature_names=list(parts[0].feature_names),
        start_times=np.concatenate([part.start_times for part in parts]),
        axis=parts[0].axis,
        grid=parts[0].grid,
    )


def with_inputs(data: Trajectories, inputs: np.ndarray) -> Trajectories:
    """Return trajectories with inputs ``(n_rows, k)`` as their last features, without names."""
    values = np.concatenate([data.values, inputs], axis=1)
    pieces = np.split(values, data.offsets[1:-1])
    return Trajectories(pieces, data.dt, start_times=data.start_times)


def some_of(data: Trajectories, most: int) -> Trajectories:
    """Return at most ``most`` of the trajectories, evenly chosen."""
    return data if len(data) <= most else data[evenly(len(data), most)]
