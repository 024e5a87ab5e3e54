"""One map for all points of a field, fitted to a sample: how well neighbours tell what comes next.

The increment of a point is a quadratic polynomial of the values around it and a linear one of their
last increments, the same at every point; least squares on some rows, errors on others. No model:
it shows whether columns lie on a grid, and where its edges are neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyhits.data.grid import Grid
from pyhits.data.trajectories import Trajectories

#: Steps of time that are looked at, and the increments wanted, in standard deviations of the data.
_STRIDES = (1, 2, 4, 8, 16, 32)
INCREMENTS = (0.1, 0.3)

#: Rows of one stretch, of which every third is kept for errors.
_STRETCH = 8

#: Samples that a map is fitted to, and that its errors are measured on.
_FITTED, _MEASURED = 9000, 3000

#: Values around a point of which all products are taken; of more, those with the point's own.
_MOST_SQUARED = 10

#: Distances of neighbours that are looked at, and the difference to the farthest that is wanted, in
#: standard deviations: of smooth fields the next points alone tell nothing.
_SPACINGS = (1, 2, 4, 8, 16, 32, 64)
_DIFFERENCE = 0.3

#: Penalty on coefficients, relative to the sum of squares of all columns.
_PENALTY = 1e-10

#: Rows and columns that statistics are taken from.
_MOST_ROWS, _MOST_COLUMNS = 1000, 256


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of data with a row ``stride`` before and after them."""

    values: np.ndarray  # (n_rows, n_features)
    stride: int
    #: fitted, measured: int; what a map is fitted to, and what its errors are measured on:
    #: stretches between these.
    fitted: np.ndarray
    measured: np.ndarray
    #: mean, scale: Of all features together.
    mean: float
    scale: float


def rows_to_look_at(data: Trajectories) -> list[Rows]:
    """Return the rows at the strides that show increments of about the wanted sizes."""
    rng = np.random.default_rng(0)
    columns = _some(rng, data.n_features, _MOST_COLUMNS)
    found: dict[int, Rows] = {}
    sizes: dict[int, float] = {}
    for stride in _STRIDES:
        rows = _inner_rows(data, stride)
        if len(rows) < 2 * _STRETCH:
            break
        some = rows[_some(rng, len(rows), _MOST_ROWS)][:, None]
        now = data.values[some, columns].astype(np.float64)
        later = data.values[some + stride, columns]
        spread = float(np.sqrt(now.var(axis=0).mean()))
        if not spread > 0:
            break
        is_measured = (np.arange(len(rows)) // _STRETCH) % 3 == 2
        parts = rows[~is_measured], rows[is_measured]
        found[stride] = Rows(data.values, stride, *parts, float(now.mean()), spread)
        sizes[stride] = float(np.sqrt(np.square(later - now).mean())) / spread
        if sizes[stride] >= INCREMENTS[-1]:
            break
    wanted = [next((s for s, size in sizes.items() if size >= w), None) for w in INCREMENTS]
    last = list(found)[-1:]
    chosen = dict.fromkeys([s for s in wanted if s is not None] or last)
    return [found[stride] for stride in chosen]


def _inner_rows(data: Trajectories, stride: int) -> np.ndarray:
    """Return the rows that have another ``stride`` before and after them in their trajectory."""
    lengths = np.maximum(data.lengths - 2 * stride, 0)
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.asarray(np.repeat(data.offsets[:-1] + stride, lengths) + within)


def _some(rng: np.random.Generator, n: int, most: int) -> np.ndarray:
    return np.arange(n) if n <= most else np.sort(rng.choice(n, most, replace=False))


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The features around the points of a grid."""

    grid: Grid
    offsets: np.ndarray  # int, (k, n_axes): the point's own first

    @classmethod
    def within(cls, grid: Grid, radius: int, rows: Rows) -> Neighbours:
        """Return those along each axis, as far as it is long enough.

        They are the next points or, of fields that change little from one to the next, every
        second, fourth ... of them.
        """
        offsets = [np.zeros((1, grid.n_axes), dtype=np.int64)]
        for axis, length in enumerate(grid.shape):
            longest = (length - 2) // 4
            far = min(radius, longest)
            apart = _spacing(rows, grid, axis, longest // far) if far else 1
            steps = np.array([s * apart for s in range(-far, far + 1) if s != 0], dtype=np.int64)
            offsets.append(steps[:, None] * np.eye(grid.n_axes, dtype=np.int64)[axis])
        return cls(grid, np.concatenate(offsets))

    @property
    def reach(self) -> np.ndarray:
        """Distance of the farthest along each axis."""
        return np.asarray(np.abs(self.offsets).max(axis=0))

    def columns(self, points: np.ndarray, lengths: Sequence[int] | None = None) -> np.ndarray:
        """Return the features around points ``(m, n_axes)``, shape ``(m, k * n_channels)``.

        Axes are rings, of other ``lengths`` if such are given.
        """
        around = points[:, None] + self.offsets
        around %= np.array(self.grid.shape if lengths is None else lengths)
        flat = np.ravel_multi_index(tuple(np.moveaxis(around, -1, 0)), self.grid.shape)
        channels = self.grid.n_channels
        every = flat[..., None] * channels + np.arange(channels)
        return np.asarray(every.reshape(len(points), -1))


def _spacing(rows: Rows, grid: Grid, axis: int, longest: int) -> int:
    """Return how far apart points along an axis are that differ as much as is wanted."""
    rng = np.random.default_rng(0)
    times = rng.choice(rows.fitted, _MEASURED)
    channel = rng.integers(grid.n_channels, size=_MEASURED)
    most = max((apart for apart in _SPACINGS if apart <= longest), default=1)
    for apart in _SPACINGS:
        if apart >= most:
            break
        lengths = np.array(grid.shape)
        lengths[axis] -= apart
        here = [rng.integers(length, size=_MEASURED) for length in lengths]
        there = [*here[:axis], here[axis] + apart, *here[axis + 1 :]]
        first, second = (
            rows.values[times, np.ravel_multi_index(at, grid.shape) * grid.n_channels + channel]
            for at in (tuple(here), tuple(there))
        )
        difference = np.square(second.astype(np.float64) - first).mean()
        if difference >= (_DIFFERENCE * rows.scale) ** 2:
            return apart
    return most


@dataclass(frozen=True, eq=False)
class LocalMap:
    """A map that has been fitted."""

    rows: Rows
    n_channels: int
    weights: np.ndarray  # (terms, n_channels)

    @classmethod
    def fit(
        cls, rows: Rows, columns: np.ndarray, n_channels: int, rng: np.random.Generator
    ) -> LocalMap:
        """Fit a map to columns ``(m, k * n_channels)``, the point's own channels first."""
        times = rng.choice(rows.fitted, _FITTED)
        design = _design(rows, times, columns[rng.integers(len(columns), size=_FITTED)], n_channels)
        terms, targets = design
        size = np.sqrt(np.square(terms).mean(axis=0))
        size[size == 0] = 1.0
        terms /= size
        products = terms.T @ terms
        products[np.diag_indices_from(products)] += _PENALTY * np.trace(products)
        return cls(rows, n_channels, np.linalg.solve(products, terms.T @ targets) / size[:, None])

    def error(self, columns: np.ndarray, rng: np.random.Generator) -> float:
        """Return the mean square error of increments as a share of theirs, on other rows."""
        missed, whole = self.squares(columns, rng)
        return missed / whole if whole > 0 else 0.0

    def squares(self, columns: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
        """Return the sums of squares of what is missed of increments, and of these."""
        times = rng.choice(self.rows.measured, _MEASURED)
        some = columns[rng.integers(len(columns), size=_MEASURED)]
        terms, targets = _design(self.rows, times, some, self.n_channels)
        missed = targets - terms @ self.weights
        return float(np.square(missed).sum()), float(np.square(targets).sum())


def _design(
    rows: Rows, times: np.ndarray, columns: np.ndarray, n_channels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the terms of a map and its targets, at one point for each of some times."""
    values, stride, at = rows.values, rows.stride, times[:, None]
    now = values[at, columns].astype(np.float64)
    last = (now - values[at - stride, columns]) / rows.scale
    own = columns[:, :n_channels]
    targets = (values[at + stride, own] - now[:, :n_channels]) / rows.scale
    now = (now - rows.mean) / rows.scale
    k = now.shape[1]
    if k <= _MOST_SQUARED:
        i, j = np.triu_indices(k)
        products = now[:, i] * now[:, j]
    else:
        products = (now[:, :n_channels, None] * now[:, None, :]).reshape(len(now), -1)
    return np.concatenate([np.ones((len(now), 1)), now, last, products], axis=1), targets
