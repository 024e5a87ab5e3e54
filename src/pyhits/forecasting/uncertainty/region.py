"""The region of the training data: a box for each variable, and nearness to recorded states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from pyhits.data.packing import default_names
from pyhits.data.stretches import evenly
from pyhits.data.trajectories import Trajectories
from pyhits.util.checks import LARGEST_MAGNITUDE
from pyhits.util.schema import Real, Record
from pyhits.util.stored import StoredRecord, TensorSpec, check_specs

#: How far beyond its recorded range a variable may lie, in parts of that range: fresh trajectories
#: often pass the extremes of the recorded ones by a little.
MARGIN = 0.1

#: How far from its nearest recorded state a state may lie: in parts of the largest distance of a
#: held-out one, and at least so many standard deviations in each variable. Noiseless data of a
#: cycle lie so close that later turns of it would be outside otherwise.
_SLACK, _NEAR = 1.5, 0.1

#: Recorded states kept, at most, half of them first rows; numbers of all of them, at most.
_MOST_POINTS, _MOST_NUMBERS = 2048, 1 << 19

#: Up to so many coordinates a tree finds neighbours faster than comparing all pairs.
_TREE = 8

#: Pairs of states compared at a time.
_PAIRS = 1 << 20

#: Pairs of states and points of which all are compared before a tree, and SciPy with it, is there.
_LITTLE = 1 << 17

#: Part of a variable's size that float32 cannot tell from nothing.
_ROUNDING = 1e-5


@dataclass(frozen=True, eq=False)
class Region(StoredRecord):
    """Where the training data lie, in coordinates of the model.

    A state is outside if a variable is beyond its recorded range by a tenth of it, or if the state
    is farther from its nearest recorded neighbour than one and a half times as far as any held-out
    state is (and than a tenth of a standard deviation in each variable). The second finds states
    inside the box, yet far from all data: the middle of a ring.

    Attributes
    ----------
    names : tuple of str
        The variables: features, or the coordinates that an encoder makes of them.
    low, high : array, shape (d,)
        Range of each variable in the training data.
    scale : array, shape (d,)
        Size of each in distances: its standard deviation.
    points : array of float32, shape (m, d)
        Some of the recorded states: how far above ``low`` they are, divided by ``scale``.
    radius : float
        Largest distance to the nearest of them that is not outside.
    """

    schema: ClassVar[Record] = Record({"radius": Real(positive=True)})

    names: tuple[str, ...]
    low: np.ndarray
    high: np.ndarray
    scale: np.ndarray
    points: np.ndarray
    radius: float

    @classmethod
    def of(
        cls,
        train: Trajectories,
        validation: Trajectories,
        scale: np.ndarray,
        every: Trajectories | None = None,
    ) -> Region:
        """Return the region of training data.

        Parameters
        ----------
        train : Trajectories
        validation : Trajectories
            How far these lie from the training data says how far fresh states may; ``train`` itself
            where nothing was held out.
        scale : array, shape (d,)
        every : Trajectories, optional
            What was fitted to in the end, validation data included: the region is that of these.
        """
        some = _some_rows(train)
        # With nothing held out, every other row says how far the rest lie from each other.
        others = some[1::2] if validation is train else _some_rows(validation)
        some = some[::2] if validation is train else some
        region = cls._spanned(train, some, scale)
        farthest = float(region.distances(validation.values[others]).max())
        if every is not None:
            region = cls._spanned(every, _some_rows(every), scale)
        least = _NEAR * float(np.sqrt(train.n_features))
        return replace(region, names=train.feature_names, radius=max(least, _SLACK * farthest))

    @classmethod
    def _spanned(cls, data: Trajectories, rows: np.ndarray, scale: np.ndarray) -> Region:
        """Return the box of data with the states of some rows; what is near is not known yet."""
        low = data.values.min(axis=0).astype(np.float64)
        return cls(
            names=data.feature_names,
            low=low,
            high=data.values.max(axis=0).astype(np.float64),
            scale=np.asarray(scale, dtype=np.float64),
            points=((data.values[rows] - low) / scale).astype(np.float32),
            radius=0.0,
        )

    @classmethod
    def check_state(
        cls, plain: Mapping[str, Any], found: Mapping[str, TensorSpec], where: str = ""
    ) -> None:
        """Compare arrays with each other's lengths."""
        low = found.get("low", TensorSpec("F64", ())).shape[:1] or (1,)
        points = found.get("points", TensorSpec("F32", ())).shape[:1] or (1,)
        expected = {name: TensorSpec("F64", low) for name in ("low", "high", "scale")}
        check_specs(expected | {"points": TensorSpec("F32", points + low)}, found, where)

    @classmethod
    def from_stored(cls, plain: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> Region:
        """Return a region of variables without names; a ValueError if it cannot be one."""
        found = cls(default_names(len(state["low"])), **state, radius=float(plain["radius"]))
        found._check()
        return found

    def _check(self) -> None:
        if not len(self.points):
            raise ValueError("the region of its training data holds no states")
        if not (self.scale > 0).all():
            raise ValueError("the region of its training data has no size")
        arrays = self.state().values()
        # Beyond that, distances in units of the scale overflow.
        with np.errstate(over="ignore", invalid="ignore"):
            spans = (*arrays, (self.high - self.low) / self.scale)
        if (
            not all((np.abs(array) < LARGEST_MAGNITUDE).all() for array in spans)
            or (self.low > self.high).any()
        ):
            raise ValueError("the region of its training data is not finite")

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the box, its margins included; two arrays of shape ``(d,)``."""
        return self._bounds

    @cached_property
    def _bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return margins(self.low, self.high)

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import cKDTree  # only some models need it

        return cKDTree(self.points)

    def distances(self, states: np.ndarray) -> np.ndarray:
        """Return how far states ``(n, d)`` lie from their nearest recorded ones, shape ``(n,)``."""
        return self._nearest(states)[0]

    def _nearest(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return distances to, and indices of, the nearest points; each ``(n,)``."""
        scaled = np.asarray((states - self.low) / self.scale, dtype=np.float64)
        is_little = len(scaled) * len(self.points) <= _LITTLE
        if scaled.shape[1] <= _TREE and not is_little:
            distance, index = self._tree.query(scaled)
            return np.asarray(distance), np.asarray(index)
        centre = self.points.mean(axis=0, dtype=np.float64)
        points = self.points - centre
        lengths = np.einsum("md,md->m", points, points)
        index = np.empty(len(scaled), dtype=np.int64)
        size = max(1, _PAIRS // len(points))
        for begin in range(0, len(scaled), size):
            part = scaled[begin : begin + size] - centre
            index[begin : begin + size] = (lengths - 2 * part @ points.T).argmin(axis=1)
        return np.linalg.norm(scaled - self.points[index], axis=1), index

    def outside(self, states: np.ndarray, most: int | None = None) -> Outside:
        """Look which states lie outside.

        Parameters
        ----------
        states : array, shape (n, d)
            In the coordinates of the region, finite.
        most : int, optional
            Neighbours are looked for of the first so many states alone; by default of all.
        """
        low, high = self.bounds()
        boxed = np.asarray(((states < low) | (states > high)).any(axis=1))
        distance, index = self._nearest(states[:most])
        far = np.zeros(len(states), dtype=bool)
        far[:most] = (distance > self.radius) & ~boxed[:most]
        return Outside(self, states, boxed, far, distance, index)


@dataclass(frozen=True, eq=False)
class Outside:
    """Which of some states lie outside a region, and why."""

    region: Region
    states: np.ndarray
    boxed: np.ndarray  # bool, (n,): a variable is beyond its range
    far: np.ndarray  # bool, (n,): all variables are within theirs, but no recorded state is near
    #: distance, nearest: (n,) or less; to the nearest recorded state, and its index, of the states
    #: that neighbours were looked for.
    distance: np.ndarray
    nearest: np.ndarray

    @property
    def any(self) -> np.ndarray:
        """Which lie outside, for either reason; bool, shape ``(n,)``."""
        return np.asarray(self.boxed | self.far)

    def sentence(self) -> str | None:
        """Return how many lie outside, with the first of them; None if none does."""
        lost = np.flatnonzero(self.any)
        if not len(lost):
            return None
        n, first = len(self.any), int(lost[0])
        count = "The initial state lies" if n == 1 else f"{len(lost)} of {n} initial states lie"
        which = "" if n == 1 else f", of trajectory {first},"
        region, state = self.region, self.states[first]
        if self.boxed[first]:
            low, high = region.bounds()
            over = np.maximum(low - state, state - high) / np.maximum(high - low, _tiny(low, high))
            k = int(over.argmax())
            why = (
                f"{region.names[k]}{which} is {state[k]:.4g}, recorded were {region.low[k]:.4g} to "
                f"{region.high[k]:.4g}"
            )
        else:
            gap = (state - region.low) / region.scale - region.points[self.nearest[first]]
            name = region.names[int(np.abs(gap).argmax())]
            why = (
                f"each variable{which} is within its range, but the nearest recorded state is "
                f"{self.distance[first]:.2g} standard deviations away (within {region.radius:.2g} "
                f"is near), most of all in {name}"
            )
        return f"{count} outside the training data: {why}. Nothing is promised from there."


def margins(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a box widened by a tenth of its sides, and by rounding where they have no length."""
    room = np.where(high > low, MARGIN * (high - low), _tiny(low, high))
    return low - room, high + room


def first_exit(states: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the first row at which each trajectory is outside the box, -1 where none is.

    Parameters
    ----------
    states : array, shape (n, time, d)
        NaN, where a forecast diverged, is outside.
    low, high : array, shape (d,)
        The box, its margins included.
    """
    n, _, d = states.shape
    if d <= _TREE:
        # Extremes of one feature at a time: over the last axis, few features would take long.
        least = np.stack([states[:, :, k].min(axis=1) for k in range(d)], axis=1)
        most = np.stack([states[:, :, k].max(axis=1) for k in range(d)], axis=1)
    else:
        least, most = states.min(axis=1), states.max(axis=1)
    # Neither is true of NaN, which extremes hand on.
    lost = np.flatnonzero(~((least >= low) & (most <= high)).all(axis=1))
    rows = np.full(n, -1, dtype=np.int64)
    if len(lost):
        some = states[lost]
        rows[lost] = (~((some >= low) & (some <= high)).all(axis=2)).argmax(axis=1)
    return rows


def _tiny(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return what rounding may add to numbers of this size; positive."""
    size = _ROUNDING * np.maximum(np.abs(low), np.abs(high))
    return np.asarray(np.maximum(size, np.finfo(np.float64).tiny))


def _some_rows(data: Trajectories) -> np.ndarray:
    """Return rows of some first states and of states spread over all data."""
    most = int(np.clip(_MOST_NUMBERS // data.n_features, _TREE, _MOST_POINTS))
    first = data.offsets[:-1][evenly(len(data), most // 2)]
    some = evenly(data.n_rows, most - len(first))
    return np.unique(np.concatenate([first, some]))
