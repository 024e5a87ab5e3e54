"""The grid that the numbers of a row lie on: axes, spacing, edges and channels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from pyhits.errors import ArgumentError
from pyhits.util.checks import as_count, as_names, is_number, shown
from pyhits.util.schema import Flag, Many, Maybe, Real, Record, Text, Whole
from pyhits.util.stored import Array, StoredRecord

#: Names of axes that nobody named, by how many there are.
_AXES = ((), ("x",), ("y", "x"), ("z", "y", "x"))

#: Axes of a grid, at most.
MOST_AXES = 3

#: Characters of a name in a file, at most.
_NAME = Text(1, 1000)


@dataclass(frozen=True, eq=False, init=False)
class Grid(StoredRecord):
    """Where the numbers of a row lie: a regular grid of one to three axes, with several channels.

    A row is the C-order flattening of ``(axis 1, ..., axis n, channel)``, the channel last.

    Parameters
    ----------
    shape : sequence of int
        Points along each axis, ``(ny, nx)``.
    channels : int or sequence of str
        Numbers at each point, or their names: ``("u", "v")``. 1 by default.
    axes : sequence of str, optional
        Names of the axes; ``x``, ``y, x`` or ``z, y, x`` by default.
    spacing : float or sequence of float, optional
        Distance of neighbours along each axis; None where it is not known or uneven. By default
        that of the coordinates.
    periodic : bool or sequence of bool, optional
        Whether the last point along each axis is the first one's neighbour; None where it is not
        known, and is found out by a fit.
    coordinates : sequence of array, optional
        Where the points lie along each axis, as forecasts are given back; None where not known.

    Raises
    ------
    ArgumentError
    """

    schema: ClassVar[Record] = Record(
        {
            "shape": Many(Whole(1), 1, MOST_AXES),
            "channels": Many(_NAME, 1, unique=True),
            "axes": Many(_NAME, 1, MOST_AXES, unique=True),
            "spacing": Many(Maybe(Real(positive=True)), 1, MOST_AXES),
            "periodic": Many(Maybe(Flag()), 1, MOST_AXES),
        }
    )
    arrays: ClassVar[Mapping[str, Array]] = {"coordinates[.][012]": Array()}

    shape: tuple[int, ...]
    channels: tuple[str, ...]
    axes: tuple[str, ...]
    spacing: tuple[float | None, ...]
    periodic: tuple[bool | None, ...]
    coordinates: tuple[np.ndarray | None, ...]

    def __init__(
        self,
        shape: Sequence[int],
        channels: int | Sequence[str] = 1,
        *,
        axes: Sequence[str] | None = None,
        spacing: float | Sequence[float | None] | None = None,
        periodic: bool | Sequence[bool | None] | None = None,
        coordinates: Sequence[Any] | None = None,
    ) -> None:
        lengths = as_lengths(shape)
        n = len(lengths)
        if not 1 <= n <= MOST_AXES:
            raise ArgumentError(f"Expected a grid of 1 to {MOST_AXES} axes, got {lengths}.")
        names = _AXES[n] if axes is None else tuple(as_names(axes, "axes"))
        given = _one_each(coordinates, n, "coordinates")
        points = tuple(map(_as_coordinates, given, lengths, names[:n]))
        own = tuple(map(_spacing_of, points))
        own = own if spacing is None else _one_each(spacing, n, "spacing")
        put = object.__setattr__
        put(self, "shape", lengths)
        put(self, "channels", _as_channels(channels))
        put(self, "axes", names)
        put(self, "spacing", tuple(map(_as_spacing, own)))
        put(self, "periodic", tuple(map(_as_periodic, _one_each(periodic, n, "periodic"))))
        put(self, "coordinates", points)
        if len(names) != n or len(set(names)) != n:
            raise ArgumentError(f"Expected {n} different names of axes, got {shown(axes)}.")

    def __eq__(self, other: object) -> bool:
        """Compare everything."""
        return (
            isinstance(other, Grid)
            and self.plain() == other.plain()
            and self.state().keys() == other.state().keys()
            and all(np.array_equal(x, other.state()[name]) for name, x in self.state().items())
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        channels = f", channels={list(self.channels)}" if self.n_channels > 1 else ""
        known = any(edge is not None for edge in self.periodic)
        edges = f", periodic={list(self.periodic)}" if known else ""
        return f"Grid({self.shape}{channels}, axes={list(self.axes)}{edges})"

    @property
    def n_axes(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return len(self.channels)

    @property
    def n_points(self) -> int:
        """Number of points."""
        return math.prod(self.shape)

    @property
    def n_features(self) -> int:
        """Numbers in a row: points times channels."""
        return self.n_points * self.n_channels

    @property
    def snapshot(self) -> tuple[int, ...]:
        """Shape that a row has: the axes, and the channels as the last where there are several."""
        return self.shape if self.n_channels == 1 else (*self.shape, self.n_channels)

    def size_name(self) -> str:
        """Return how large it is, in words: ``"64 x 64 points, 2 channels"``."""
        points = " x ".join(map(str, self.shape))
        several = f", {self.n_channels} channels" if self.n_channels > 1 else ""
        return f"{points} points{several}"

    def with_edges(self, *periodic: bool | None) -> Grid:
        """Return the grid with these edges, one for all axes or one each; None leaves an axis."""
        given = _one_each(periodic[0] if len(periodic) == 1 else periodic, self.n_axes, "periodic")
        both = zip(given, self.periodic, strict=True)
        return replace(self, periodic=tuple(own if edge is None else edge for edge, own in both))

    def labels(self) -> tuple[list[str], dict[str, Any]]:
        """Return the dimensions of a snapshot, and their coordinates, as xarray has them."""
        known = zip(self.axes, self.coordinates, strict=True)
        coords: dict[str, Any] = {name: points for name, points in known if points is not None}
        if self.n_channels == 1:
            return list(self.axes), coords
        return [*self.axes, "channel"], coords | {"channel": list(self.channels)}

    def array(self, rows: np.ndarray) -> np.ndarray:
        """Return rows ``(..., n_features)`` as ``(..., axis 1, ..., axis n, channel)``."""
        return rows.reshape(*rows.shape[:-1], *self.shape, self.n_channels)

    def pooled(self, values: np.ndarray) -> np.ndarray:
        """Return the root mean square of values over the points of each channel, as a row."""
        by_channel = np.asarray(values, dtype=np.float64).reshape(-1, self.n_channels)
        top = by_channel.max(axis=0)
        top[top == 0] = 1.0
        return np.tile(top * np.sqrt(np.square(by_channel / top).mean(axis=0)), self.n_points)

    def state(self) -> dict[str, np.ndarray]:
        """Return the coordinates that are known."""
        found = enumerate(self.coordinates)
        return {f"coordinates.{k}": points for k, points in found if points is not None}

    @classmethod
    def from_stored(cls, plain: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> Grid:
        """Return a grid from what :meth:`plain` and :meth:`state` have returned."""
        n = len(plain["shape"])
        return cls(**plain, coordinates=[state.get(f"coordinates.{k}") for k in range(n)])


#: What :meth:`Grid.plain` returns with its coordinates, where both are one JSON text.
WITH_COORDINATES = Record(
    Grid.schema.needed, {"coordinates": Many(Maybe(Many(Real())), 1, MOST_AXES)}
)


def as_lengths(shape: Any) -> tuple[int, ...]:
    """Return the lengths of the axes of a grid; an ArgumentError if they are none."""
    if isinstance(shape, (str, bytes)) or not isinstance(shape, (Sequence, np.ndarray)):
        raise ArgumentError(f"Expected the shape of a grid, (20, 25), got {shown(shape)}.")
    return tuple(as_count(n, "every length in the shape of a grid") for n in shape)


def _one_each(given: Any, n: int, what: str) -> tuple[Any, ...]:
    """Return one value for each of ``n`` axes."""
    if given is None or is_number(given) or isinstance(given, (bool, np.bool_)):
        return (given,) * n
    found = tuple(given) if isinstance(given, (Sequence, np.ndarray)) else ()
    if isinstance(given, str) or len(found) != n:
        raise ArgumentError(f"Expected {what} of {n} axes, one each, got {shown(given)}.")
    return found


def _as_channels(channels: Any) -> tuple[str, ...]:
    if isinstance(channels, (str, bytes)) or not isinstance(channels, (Sequence, np.ndarray)):
        n = as_count(channels, "channels")
        return ("value",) if n == 1 else tuple(f"channel{k}" for k in range(n))
    names = tuple(as_names(channels, "channels"))
    if not names or len(set(names)) != len(names):
        raise ArgumentError(f"Expected different names of channels, got {shown(channels)}.")
    return names


def _as_spacing(value: Any) -> float | None:
    if value is None:
        return None
    if not is_number(value) or not 0 < value < math.inf:
        raise ArgumentError(f"Expected a positive spacing of the points, got {shown(value)}.")
    return float(value)


def _as_periodic(value: Any) -> bool | None:
    if value is not None and not isinstance(value, (bool, np.bool_)):
        raise ArgumentError(f"Expected periodic to be True, False or None, got {shown(value)}.")
    return None if value is None else bool(value)


def _as_coordinates(given: Any, length: int, name: str) -> np.ndarray | None:
    if given is None:
        return None
    points = np.array(given, dtype=np.float64)
    if points.shape != (length,) or not np.isfinite(points).all():
        raise ArgumentError(
            f"Expected {length} finite coordinates along {name!r}, got shape {points.shape}."
        )
    points.flags.writeable = False
    return points


def _spacing_of(points: np.ndarray | None) -> float | None:
    """Return the distance of evenly spaced points."""
    if points is None or len(points) < 2:
        return None
    steps = np.abs(np.diff(points))
    mean = float(steps.mean())
    room = 1e-4 * mean + 4 * np.spacing(np.abs(points).max())
    return mean if mean > 0 and (np.abs(steps - mean) < room).all() else None
