"""DataArrays and Datasets of xarray as plain arrays, and which dimension is what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pyhits.data.grid import MOST_AXES, Grid
from pyhits.data.packing import default_names
from pyhits.data.pieces import Pieces, from_array, is_of, set_times
from pyhits.data.tables.time_names import is_trajectory_name, time_name
from pyhits.data.times import SHOWN, TimeStyle
from pyhits.errors import DataError
from pyhits.util.checks import as_numeric

#: Dimensions whose entries are different things, not points of an axis.
_CHANNELS = re.compile(
    "(feature|variable|channel|component|band)s?|species|vector|rgb|colou?r|pyhits_variable",
    re.IGNORECASE,
)

#: Dimensions whose entries lie in no order that means anything.
_UNORDERED = re.compile(
    "(mode|station|sensor|site|id|node|cell|unit|neuron|member|sample|individual|column)s?|index",
    re.IGNORECASE,
)

#: Dimensions that are axes of a field, even where nothing says their coordinates.
_AXIS = re.compile(
    r"(x|y|z|s|r|theta|phi|lat|lon|latitude|longitude|level|depth|height|width|row|col|"
    r"(n|grid)?_?[xyz](_?(c|coord|axis|dim|grid))?|r?(lat|lon)_?\w?)\d?",
    re.IGNORECASE,
)

#: Fewest points of the one axis of a field.
FEWEST_POINTS = 8


@dataclass(frozen=True)
class Layout:
    """What the dimensions of a DataArray, or of the variables of a Dataset, are."""

    time: str
    runs: str | None  # numbers the trajectories
    points: tuple[str, ...]  # the dimensions that a row lies along, in their order
    #: The dimension whose entries are different things, which comes last.
    channel: str | None = None
    #: Of a Dataset: what its rows hold, the channels of each point, or one variable beside the
    #: other where their dimensions differ. Empty for a DataArray.
    variables: tuple[Any, ...] = ()
    is_side_by_side: bool = False  # whether their dimensions differ

    @classmethod
    def of(cls, data: Any) -> Layout:
        """Tell what the dimensions of an xarray object are.

        Raises DataError: None can be the time, or nothing in it is a number.
        """
        is_dataset = is_of(data, "xarray", "Dataset")
        kept = _variables(data) if is_dataset else ()
        arrays = [data[name] for name in kept] if is_dataset else [data]
        dims = [str(d) for d in (data[list(kept)] if is_dataset else data).dims]
        runs, time = _runs_and_time(dims)
        if time is None:
            raise DataError(
                f"Expected an xarray object with a time dimension, got dimensions {dims}."
            )
        if len({frozenset(array.dims) for array in arrays}) > 1:
            return cls(time, runs, (), None, kept, is_side_by_side=True)
        rest = [str(d) for d in arrays[0].dims if str(d) not in (time, runs)]
        channels = [d for d in rest if _is_channel(data, d)] if len(kept) < 2 else []
        channel = channels[0] if len(channels) == 1 and len(rest) > 1 else None
        return cls(time, runs, tuple(d for d in rest if d != channel), channel, kept)

    @property
    def lead(self) -> tuple[str, ...]:
        """The dimensions before those of a row."""
        return (self.time,) if self.runs is None else (self.runs, self.time)

    @property
    def along(self) -> tuple[str, ...]:
        """The dimensions of a row, of one variable."""
        return self.points if self.channel is None else (*self.points, self.channel)

    def along_of(self, array: Any) -> tuple[str, ...]:
        """Return the dimensions of a row that one of several variables has."""
        own = tuple(str(d) for d in array.dims if str(d) not in self.lead)
        return own if self.is_side_by_side else self.along

    def sizes(self, array: Any) -> tuple[int, ...]:
        """Return the lengths of an array's dimensions along a row."""
        return tuple(array.sizes[d] for d in self.along_of(array))

    def rows(self, data: Any) -> np.ndarray:
        """Return the values as ``(run, time, feature)``, or ``(time, feature)``."""
        if not self.variables:
            values = data.transpose(*self.lead, *self.along).values
            return np.asarray(values).reshape(*values.shape[: len(self.lead)], -1)
        arrays = [data[name] for name in self.variables]
        if self.is_side_by_side:
            parts = [self._alone(array, data) for array in arrays]
            return np.concatenate(parts, axis=-1)
        parts = [array.transpose(*self.lead, *self.along).values for array in arrays]
        values = np.stack(parts, axis=-1) if len(parts) > 1 else parts[0][..., None]
        return np.asarray(values).reshape(*values.shape[: len(self.lead)], -1)

    def _alone(self, array: Any, data: Any) -> np.ndarray:
        if self.runs is not None and self.runs not in array.dims:
            array = array.expand_dims({self.runs: data.sizes[self.runs]})
        values = array.transpose(*self.lead, ...).values
        return np.asarray(values).reshape(*values.shape[: len(self.lead)], -1)


def is_labelled(data: Any) -> bool:
    """Tell whether data are of a class that :func:`from_xarray` reads."""
    return is_of(data, "xarray", "Dataset") or is_of(data, "xarray", "DataArray")


def from_xarray(data: Any, *, raw: bool = False, style: TimeStyle = SHOWN) -> Pieces:
    """Read a DataArray, or the variables of a Dataset.

    The time dimension goes by its name, ``trajectory`` before it; all others are features, or the
    axes and the channels of a field.
    """
    layout = Layout.of(data)
    values = as_numeric(layout.rows(data), what="The xarray object", missing=raw)
    grid, names = grid_of(data, layout), _feature_names(data, layout)
    empty = None if raw or grid is None else points_without_values(values)
    if empty is None:
        pieces = from_array(values)
        pieces.grid = grid
        is_named = grid is None or len(layout.variables) < 2  # else the grid names the channels
        pieces.feature_names = names if is_named else None
    else:
        pieces = from_array(np.ascontiguousarray(values[..., ~empty]))
        every = names or default_names(len(empty))
        pieces.feature_names = [name for name, left in zip(every, empty, strict=True) if not left]
        pieces.notes.append(
            f"{int(empty.sum())} of {len(empty)} points hold no value at any time, as land does, "
            "and are left out; forecasts hold none there. The others are no grid any more."
        )
    if layout.time in data.coords:
        axis = data.coords[layout.time]
        units = {name: axis.attrs.get(name) for name in ("units", "calendar")}
        label = [f"coordinate {layout.time!r}"]
        own = replace(style, **units)
        set_times(pieces, [axis.values], label, raw=raw, name=layout.time, style=own)
    return pieces


def points_without_values(rows: np.ndarray) -> np.ndarray | None:
    """Return which columns of rows ``(..., d)`` are NaN throughout; None if none or all are."""
    if rows.dtype.kind != "f" or not np.isnan(rows.reshape(-1, rows.shape[-1])[:1]).any():
        return None
    empty = np.isnan(rows).all(axis=tuple(range(rows.ndim - 1)))
    return empty if empty.any() and not empty.all() else None


def grid_of(data: Any, layout: Layout) -> Grid | None:
    """Return the grid of an xarray object's rows; None where its dimensions are no axes."""
    axes = [d for d in layout.points if data.sizes[d] > 1]
    if layout.is_side_by_side or not 1 <= len(axes) <= MOST_AXES:
        return None
    if any(_UNORDERED.fullmatch(d) or _is_channel(data, d) for d in axes):
        return None
    if len(axes) == 1 and not (data.sizes[axes[0]] >= FEWEST_POINTS and _is_axis(data, axes[0])):
        return None
    channels = layout.variables if len(layout.variables) > 1 else _labels(data, layout.channel)
    one = layout.variables[0] if layout.variables else getattr(data, "name", None)
    return Grid(
        [data.sizes[d] for d in axes],
        channels or ([str(one)] if one is not None else 1),
        axes=axes,
        coordinates=[_coordinates(data, d) for d in axes],
    )


def _feature_names(data: Any, layout: Layout) -> list[str] | None:
    """Return the features' names, where there is one dimension or variable that names them."""
    if layout.is_side_by_side:
        return [
            str(name) if width == 1 and data[name].ndim <= len(layout.lead) else f"{name}.{k}"
            for name in layout.variables
            for width in [int(np.prod(layout.sizes(data[name])))]
            for k in range(width)
        ]
    if len(layout.variables) > 1:
        return _names_of_points(data, layout)
    if len(layout.points) == 1 and layout.channel is None:
        return _labels(data, layout.points[0])
    name = layout.variables[0] if layout.variables else data.name
    return [str(name)] if not layout.points and name is not None else None


def _names_of_points(data: Any, layout: Layout) -> list[str]:
    """Return names of several variables at each point: that of the variable, and the point's."""
    own = list(map(str, layout.variables))
    if not layout.points:
        return own
    labels = _labels(data, layout.points[0]) if len(layout.points) == 1 else None
    n_points = int(np.prod(layout.sizes(data[layout.variables[0]])))
    if labels is None or len(set(labels)) < n_points:
        labels = list(map(str, range(n_points)))
    return [f"{name}.{point}" for point in labels for name in own]


def _labels(data: Any, dim: str | None) -> list[str] | None:
    """Return the coordinates of a dimension as texts."""
    if dim is None:
        return None
    if dim not in data.coords:
        return [f"{dim}{k}" for k in range(data.sizes[dim])] if _is_channel(data, dim) else None
    return [str(label) for label in data.coords[dim].values]


def _is_channel(data: Any, dim: str) -> bool:
    """Tell whether the entries of a dimension are different things."""
    texts = dim in data.coords and data.coords[dim].dtype.kind in "OSU"
    return _CHANNELS.fullmatch(dim) is not None or texts


def _is_axis(data: Any, dim: str) -> bool:
    """Tell whether a dimension is an axis by its name, or by coordinates that only an axis has."""
    points = _coordinates(data, dim)
    counts = points is not None and np.array_equal(points, points[0] + np.arange(len(points)))
    return is_axis_name(dim) or (points is not None and not counts)


def _coordinates(data: Any, dim: str) -> np.ndarray | None:
    """Return where the points of a dimension lie, if these are numbers that rise or fall."""
    if dim not in data.coords or data.coords[dim].dtype.kind not in "fiu":
        return None
    return rising_or_falling(data.coords[dim].values)


def is_axis_name(name: str) -> bool:
    """Tell whether a name is that of an axis of a field."""
    return _AXIS.fullmatch(name) is not None


def rising_or_falling(values: Any) -> np.ndarray | None:
    """Return coordinates, shape ``(n,)``, if they are numbers that rise or fall throughout."""
    points = np.asarray(values, dtype=np.float64)
    steps = np.diff(points)
    is_one_way = (steps > 0).all() or (steps < 0).all()
    return points if np.isfinite(points).all() and is_one_way else None


def _runs_and_time(dims: Sequence[str]) -> tuple[str | None, str | None]:
    """Return the dimensions that number trajectories and times, None where none does."""
    runs = next((d for d in dims if is_trajectory_name(d)), None)
    others = [d for d in dims if d != runs]
    return runs, max(others, key=time_name) if others else None


def _variables(dataset: Any) -> tuple[Any, ...]:
    """Return the variables of a Dataset that are states: numbers that move."""
    keep = [n for n in dataset.data_vars if dataset[n].dtype.kind in "fiu" and dataset[n].ndim]
    if not keep:
        raise DataError("The xarray Dataset holds no numeric variable with a dimension.")
    _, time = _runs_and_time([str(d) for d in dataset[keep].dims])
    moving = [n for n in keep if time is None or time in dataset[n].dims]
    return tuple(moving or keep)  # a mask or an area is no state
