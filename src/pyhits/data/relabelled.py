"""Forecasts as DataArrays and Datasets of xarray, with the dimensions of a recording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyhits.data.labelled import Layout, points_without_values
from pyhits.data.times.objects import counted_on

#: Rows at the end of a recording, which may lie on disk, that tell which points hold no value.
_LAST = 1000


def relabelled(states: np.ndarray, names: Sequence[str], stamps: Any, like: Any) -> Any:
    """Return rows of a forecast as another object like the recording that it goes on from.

    Parameters
    ----------
    states : array, shape (m, d), or (n, m, d) of several trajectories
    names : sequence of str
        Of the features.
    stamps : array, shape (m,)
        The times, as what the recording's came as.
    like : DataArray or Dataset
        Its dimensions, its coordinates but those of the time, its names and attributes are kept.

    Returns
    -------
    DataArray, Dataset, or None
        None where the states are no such object's rows.
    """
    layout = Layout.of(like)
    if states.ndim != len(layout.lead) + 1:
        return None
    if layout.runs is not None and len(states) != like.sizes[layout.runs]:
        return None
    states = _with_points_without_values(states, like, layout)
    if not layout.variables:
        return _as_data_array(states, stamps, like, layout)
    found = _variables(states, names, like, layout)
    if found is None:
        return None
    import xarray as xr  # the user's object is of it

    coords = _coordinates(like, layout.time, stamps)
    arrays = {k: array.transpose(*like[k].dims) for k, array in found.items()}
    return xr.Dataset(arrays, coords=coords, attrs=like.attrs)


def _with_points_without_values(states: np.ndarray, like: Any, layout: Layout) -> np.ndarray:
    """Return states with NaN at the points that a recording has no values of, left out of them."""
    if layout.is_side_by_side or not layout.points:
        return states
    one = like[layout.variables[0]] if layout.variables else like
    if int(np.prod(layout.sizes(one))) * max(1, len(layout.variables)) == states.shape[-1]:
        return states
    empty = points_without_values(layout.rows(like.isel({layout.time: slice(-_LAST, None)})))
    if empty is None or states.shape[-1] != int((~empty).sum()):
        return states
    every = np.full((*states.shape[:-1], len(empty)), np.nan, dtype=states.dtype)
    every[..., ~empty] = states
    return every


def _as_data_array(states: np.ndarray, stamps: Any, like: Any, layout: Layout) -> Any:
    import xarray as xr  # the user's object is of it

    sizes = layout.sizes(like)
    if int(np.prod(sizes)) != states.shape[-1]:
        return None
    made = xr.DataArray(
        states.reshape(*states.shape[:-1], *sizes),
        dims=[*layout.lead, *layout.along],
        coords=_coordinates(like, layout.time, stamps),
        name=like.name,
        attrs=like.attrs,
    )
    return made.transpose(*like.dims)


def _variables(
    states: np.ndarray, names: Sequence[str], like: Any, layout: Layout
) -> dict[Any, Any] | None:
    """Return the variables of a Dataset by name, each with the dimensions of its rows."""
    own = layout.variables
    if layout.is_side_by_side:
        widths = [int(np.prod(layout.sizes(like[name]))) for name in own]
        if sum(widths) != states.shape[-1]:
            return None
        parts = np.split(states, np.cumsum(widths)[:-1], axis=-1)
    elif not layout.points and len(names) < len(own) and set(names) <= set(map(str, own)):
        own = tuple(name for name in own if str(name) in set(names))  # the others are inputs
        parts = [states[..., [list(names).index(str(name))]] for name in own]
    else:
        sizes = layout.sizes(like[own[0]])
        if int(np.prod(sizes)) * len(own) != states.shape[-1]:
            return None
        by_channel = states.reshape(*states.shape[:-1], -1, len(own))
        parts = [by_channel[..., k] for k in range(len(own))]
    return {
        name: _variable(part, like[name], layout) for name, part in zip(own, parts, strict=True)
    }


def _variable(rows: np.ndarray, like: Any, layout: Layout) -> Any:
    """Return one variable without coordinates."""
    import xarray as xr  # the user's object is of it

    along = layout.along_of(like)
    sizes = [like.sizes[d] for d in along]
    made = xr.Variable((*layout.lead, *along), rows.reshape(*rows.shape[:-1], *sizes), like.attrs)
    return made if layout.lead[0] in like.dims else made.isel({layout.lead[0]: 0})


def _coordinates(like: Any, time: str, stamps: Any) -> dict[Any, Any]:
    """Return the coordinates of a recording, with other times."""
    kept = {key: of for key, of in like.coords.items() if time not in of.dims}
    if time not in like.coords:
        return kept
    known = like.coords[time]
    return {**kept, time: (time, counted_on(stamps, known.values), known.attrs)}
