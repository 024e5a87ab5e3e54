"""A fitted model of fields, carried to another grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch

from pyhits.coordinates.coordinates import Coordinates
from pyhits.data.grid import Grid, as_lengths
from pyhits.data.packing import default_names
from pyhits.data.summary import Summary
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError
from pyhits.flowmaps.other_grid import OtherGrid
from pyhits.forecasting.fitted import FittedModel
from pyhits.hierarchy.hierarchy import Hierarchy
from pyhits.training.size import check_field_size

#: Fields that steps are tried on, and their shortest waves, of which so many fit on the old grid.
#: Long ones of the full range move things fastest.
_TRIED, _WAVES = 2, 2

#: Copies of a field, float64, that carrying and stepping hold, about.
_COPIES = 100

M = TypeVar("M", bound=FittedModel)


def on_grid(model: M, grid: Any, spacing: float | Sequence[float] | None = None) -> M:
    """Return a model on another grid; see :meth:`pyhits.TimeStepper.on_grid`."""
    own = model.coordinates
    old = _checked(own)
    fields = Trajectories(grid) if hasattr(grid, "dims") else grid
    new, ratios = _new_grid(old, fields, spacing)
    is_named = isinstance(fields, Trajectories)
    coordinates = replace(
        own,
        feature_names=fields.feature_names if is_named else default_names(new.n_features),
        scaling=_scaling(own.scaling, old, new),
        grid=new,
    )
    summary = _summary(model.summary, old, new)
    states = _like_recorded(summary, coordinates, old, ratios)
    if is_named:
        first = fields.initial_states[:_TRIED].astype(np.float64)
        states = np.concatenate([states, coordinates.scaling.transform(first)])
    tried = torch.from_numpy(states)
    every = {size: one.one_step_mse for size, one in model.history.items()}
    errors = {size: math.sqrt(mse) for size, mse in every.items() if math.isfinite(mse)}
    maps = {
        size: flow_map.on_grid(OtherGrid(new.shape, ratios, tried, errors.get(size, 0.0)))
        for size, flow_map in model.flow_maps.items()
        if size in model.selection.step_sizes
    }
    return replace(
        model,
        coordinates=coordinates,
        hierarchy=Hierarchy(maps),
        history={size: model.history[size] for size in maps if size in model.history},
        agreement={size: of for size, of in model.agreement.items() if size in maps},
        summary=summary,
        calibration=None,
        region=None,
        baselines=None,
        recording_baselines=None,
        blend=None,
        held_out=None,
    ).noted(
        f"Carried from {old.size_name()} to {new.size_name()}, {_finer(ratios)}. Errors are those "
        "measured on the old grid; intervals need calibrate(recordings)."
    )


def _checked(own: Coordinates) -> Grid:
    """Return the grid of a model that can be carried to another one."""
    if own.grid is None:
        raise ArgumentError(
            "This model does not step fields on a grid; on_grid is for models that do."
        )
    if own.encoder is not None or own.inputs is not None:
        what = "what acts on it" if own.encoder is None else repr(own.encoder)
        raise ArgumentError(
            f"This model steps its fields by {what}, which is known on its own grid of "
            f"{own.grid.size_name()} alone. Without encoder and inputs it can be carried."
        )
    return own.grid


def _new_grid(
    old: Grid, given: Any, spacing: float | Sequence[float] | None
) -> tuple[Grid, tuple[float, ...]]:
    """Return the other grid, with the old one's edges, and its spacing over the old one's."""
    new = _as_grid(given, old)
    check_field_size(new.n_features, copies=_COPIES, done="stepped", advice="give fewer points")
    if new.n_axes != old.n_axes or new.n_channels != old.n_channels:
        raise ArgumentError(
            f"Expected a grid of as many axes and channels as the model's, {old.size_name()}, got "
            f"{new.size_name()}."
        )
    own = old.spacing
    if spacing is not None:
        new = Grid(
            new.shape, old.channels, axes=old.axes, spacing=spacing, coordinates=new.coordinates
        )
    elif None in new.spacing:
        unit = (
            "in spacings of the model's own grid"
            if None in own
            else "in the unit of the model's axes"
        )
        raise ArgumentError(
            f"How far apart do the points of {new.size_name()} lie? Give spacing=..., {unit}: the "
            f"model was learned on {old.size_name()}, {_spacings(own)}."
        )
    elif None in own:
        raise ArgumentError(
            "The model does not know how far apart the points of its own grid lie. Give "
            "spacing=... in multiples of that: 0.5 is twice as fine."
        )
    ratios = tuple(
        float(h) / (1.0 if k is None else k)  # type: ignore[arg-type]
        for h, k in zip(new.spacing, own, strict=True)
    )
    kept = tuple(h if k is not None else None for h, k in zip(new.spacing, own, strict=True))
    axes = {"axes": old.axes, "periodic": old.periodic, "coordinates": new.coordinates}
    return Grid(new.shape, old.channels, spacing=kept, **axes), ratios  # type: ignore[arg-type]


def _as_grid(given: Any, old: Grid) -> Grid:
    """Return the grid that is given: itself, its points, or that of fields."""
    if isinstance(given, Grid):
        return given
    if not isinstance(given, Trajectories):
        lengths = as_lengths(given)
        axes = old.axes if len(lengths) == old.n_axes else None
        return Grid(lengths, old.channels, axes=axes)
    if given.grid is None:
        raise ArgumentError(f"Expected fields on a grid, got {given!r}, which know of none.")
    return given.grid


def _spacings(known: Sequence[float | None]) -> str:
    if None in known:
        return "of a spacing that is not known"
    return f"{' and '.join(f'{h:g}' for h in dict.fromkeys(known))} apart"


def _finer(ratios: Sequence[float]) -> str:
    """Say how much finer or coarser a grid is."""
    found = dict.fromkeys(round(ratio, 9) for ratio in ratios)
    said = [
        "as fine" if r == 1 else f"{1 / r:g} times as fine" if r < 1 else f"{r:g} times as coarse"
        for r in found
    ]
    return " and ".join(said)


def _scaling(own: Standardise, old: Grid, new: Grid) -> Standardise:
    """Return the same mean and deviation of each channel, at all points."""
    every = [values.reshape(-1, old.n_channels) for values in (own.mean_, own.scale_)]
    if any(np.ptp(values, axis=0).any() for values in every):
        raise ArgumentError(
            "This model scales each point of its grid by itself, and steps no other grid. "
            "standardise=False, or the default for fields, scales all alike."
        )
    mean, scale = (np.tile(values[0], new.n_points) for values in every)
    return Standardise(**own.get_params()).set_statistics(mean, scale)


def _summary(own: Summary, old: Grid, new: Grid) -> Summary:
    """Return extremes, spread and noise of each channel, at all points."""
    low, high = (values.reshape(-1, old.n_channels) for values in (own.low, own.high))
    pooled = (old.pooled(values)[: old.n_channels] for values in (own.std, own.noise))
    every = (low.min(axis=0), high.max(axis=0), *pooled)
    low, high, std, noise = (np.tile(values, new.n_points) for values in every)
    return replace(own, low=low, high=high, std=std, noise=noise)


def _like_recorded(summary: Summary, own: Coordinates, old: Grid, ratios: Sequence[float]) -> Any:
    """Return fields of long waves over the whole range of recorded ones, as flow maps see them."""
    grid = own.grid
    assert grid is not None
    rng = np.random.default_rng(0)
    axes = tuple(range(1, grid.n_axes + 1))
    waves = np.fft.fftn(rng.standard_normal((_TRIED, *grid.shape, grid.n_channels)), axes=axes)
    for axis, (n, m, ratio) in enumerate(zip(grid.shape, old.shape, ratios, strict=True), 1):
        kept = np.abs(np.fft.fftfreq(n)) * m <= (_WAVES + 1e-6) * ratio
        waves *= kept.reshape([-1 if k == axis else 1 for k in range(waves.ndim)])
    fields = np.fft.ifftn(waves, axes=axes).real
    fields -= fields.min(axis=axes, keepdims=True)
    most = fields.max(axis=axes, keepdims=True)
    parts = np.divide(fields, most, out=np.zeros_like(fields), where=most > 0)
    rows = summary.low + (summary.high - summary.low) * parts.reshape(_TRIED, -1)
    return own.scaling.transform(rows)
