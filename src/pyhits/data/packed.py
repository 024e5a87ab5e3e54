"""Packed rows of trajectories, and the views of them: times, sizes, figures, other containers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyhits.data.grid import Grid
from pyhits.data.packing import as_number
from pyhits.data.recordings import recording_numbers
from pyhits.data.statistics import feature_rows, feature_table, mean_variance, spread
from pyhits.data.times import TimeAxis
from pyhits.data.times.objects import as_objects
from pyhits.errors import ArgumentError, DataError
from pyhits.util.card import card
from pyhits.util.checks import as_choice, as_names
from pyhits.util.extras import need


class PackedRows:
    """Rows of trajectories, one below the other, and what they say of themselves."""

    values: np.ndarray
    offsets: np.ndarray
    start_times: np.ndarray
    feature_names: tuple[str, ...]
    dt: float
    #: Whether the data or the caller said ``dt``; where neither did, it is 1.
    dt_known: bool
    #: What ``start_times`` and ``dt`` mean: numbers, seconds since a date, steps of a calendar.
    axis: TimeAxis
    #: Where the numbers of a row lie, if that is known.
    grid: Grid | None = None

    def __len__(self) -> int:
        """Return the number of trajectories."""
        return len(self.offsets) - 1

    @property
    def snapshot(self) -> tuple[int, ...] | None:
        """Shape that each row stands for, where it is known: that of the grid."""
        return None if self.grid is None else self.grid.snapshot

    @property
    def n_features(self) -> int:
        """Number of features (state variables)."""
        return int(self.values.shape[1])

    @property
    def lengths(self) -> np.ndarray:
        """Number of rows of each trajectory, shape ``(n_trajectories,)``."""
        return np.diff(self.offsets)

    @property
    def n_rows(self) -> int:
        """Number of rows of all trajectories together."""
        return int(self.offsets[-1])

    @property
    def is_even(self) -> bool:
        """Whether all trajectories have the same number of rows."""
        return bool((self.lengths == self.lengths[0]).all())

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the rows, float32 or float64."""
        return self.values.dtype

    @property
    def initial_states(self) -> np.ndarray:
        """First row of each trajectory, shape ``(n_trajectories, n_features)``."""
        return np.asarray(self.values[self.offsets[:-1]])

    def rows_of(self, trajectory: int = 0) -> np.ndarray:
        """Rows of one trajectory, ``(time, feature)``, without a copy."""
        k = as_number(trajectory, len(self))
        return self.values[self.offsets[k] : self.offsets[k + 1]]

    def times(self, trajectory: int = 0) -> np.ndarray:
        """Times of one trajectory's rows, shape ``(n_rows_of_it,)``, in the unit of ``dt``."""
        k = as_number(trajectory, len(self))
        return np.asarray(self.start_times[k] + self.dt * np.arange(int(self.lengths[k])))

    @property
    def recordings(self) -> np.ndarray:
        """Number of the recording that each trajectory is a piece of, shape ``(n_trajectories,)``.

        A trajectory that begins after the one before it has ended goes on with its recording.
        """
        return recording_numbers(self.start_times, self.lengths, self.dt)

    def dates(self, trajectory: int = 0) -> np.ndarray:
        """Dates of one trajectory's rows, datetime64; its times where they are plain numbers."""
        return self.axis.at(self.times(trajectory))

    def to_array(self) -> np.ndarray:
        """Return the rows as ``(trajectory, time, feature)``, without a copy.

        Raises
        ------
        DataError
            The trajectories are ragged; take them one by one, or ``cut`` them.
        """
        if not self.is_even:
            lengths = self.lengths
            raise DataError(
                f"Trajectories have {lengths.min()} to {lengths.max()} rows and do not fit one "
                "array; iterate over them, or cut them with .cut(n_rows)."
            )
        return self.values.reshape(len(self), -1, self.n_features)

    def to_dataframe(self) -> Any:
        """Return a DataFrame with a column a feature, its index the times or dates.

        Of several trajectories the index has two levels, ``trajectory`` and the time.

        Raises
        ------
        MissingExtraError
            pandas is not installed.
        """
        pd = need("pandas", action="to_dataframe", extra="pandas")
        frame = pd.DataFrame(self.values, columns=list(self.feature_names))
        parts = [as_objects(self.axis, self.times(k)) for k in range(len(self))]
        named = self.axis.name or "time"
        if len(parts) == 1:
            frame.index = pd.Index(parts[0], name=named)
        else:
            pieces = {k: pd.Index(part).to_frame(index=False) for k, part in enumerate(parts)}
            stamps = pd.concat(pieces)
            frame.index = pd.MultiIndex.from_arrays(
                [stamps.index.get_level_values(0), stamps.iloc[:, 0]], names=["trajectory", named]
            )
        return frame

    def to_xarray(self) -> Any:
        """Return a DataArray: time and features, or the axes and channels of the grid.

        Several trajectories come first, as a dimension ``trajectory``, and share the times of the
        first.

        Raises
        ------
        DataError
            The trajectories are ragged.
        MissingExtraError
            xarray is not installed.
        """
        xr = need("xarray", action="to_xarray", extra="netcdf")
        values = self.to_array()
        named = self.axis.name or "time"
        coords: dict[str, Any] = {named: as_objects(self.axis, self.times())}
        if self.grid is None:
            along, own = ["feature"], {"feature": list(self.feature_names)}
        else:
            values = values.reshape(*values.shape[:2], *self.grid.snapshot)
            along, own = self.grid.labels()
        coords, dims = coords | own, [named, *along]
        if len(self) == 1:
            return xr.DataArray(values[0], coords, dims)
        return xr.DataArray(values, coords, ["trajectory", *dims])

    def plot(
        self,
        kind: str = "auto",
        *,
        trajectory: int = 0,
        features: Sequence[str] | None = None,
        ax: Any = None,
    ) -> Any:
        """Draw the trajectories.

        Parameters
        ----------
        kind : {"auto", "lines", "portrait", "field"}
            Features over time; two features over one another; the field on its grid as a picture.
            By default the field where there is a grid, and lines otherwise.
        trajectory : int
            The one that a picture of a field shows.
        features : sequence of str, optional
            Names of those to draw, of which six are; by default the first six, of a portrait the
            first two. The figure says how many it leaves out.
        ax : Axes, array of Axes, or Figure, optional
            Where to draw; by default pyplot makes a figure.

        Returns
        -------
        Axes, or array of Axes

        Raises
        ------
        ArgumentError
            An unknown kind, feature or trajectory; a field without a grid.
        """
        from pyhits import plots

        kind = as_choice(kind, "kind", ("auto", "lines", "portrait", "field"))
        if kind == "field" and self.grid is None:
            raise ArgumentError("These data lie on no grid; give it with .with_grid(shape).")
        trajectory, unit = as_number(trajectory, len(self)), self.axis.unit
        if self.grid is not None and kind in ("auto", "field"):
            rows, times = self.rows_of(trajectory), self.dates(trajectory)
            return plots.field(rows, times, self.grid, unit=unit, ax=ax)
        columns = self._columns(features)
        names = [self.feature_names[k] for k in columns]
        curves = [self.rows_of(k)[:, columns] for k in range(min(len(self), plots.MOST_CURVES))]
        if kind == "portrait":
            return plots.portrait(curves, names, n_trajectories=len(self), ax=ax)
        each = [plots.Rows(self.dates(k), values) for k, values in enumerate(curves)]
        return plots.lines(each, names, unit=unit, n_trajectories=len(self), ax=ax)

    def _columns(self, names: Sequence[str] | None) -> list[int]:
        """Return the numbers of features by their names; of all by default."""
        if names is None:
            return list(range(self.n_features))
        place = {name: k for k, name in enumerate(self.feature_names)}
        wanted = as_names([names] if isinstance(names, str) else names, "names")
        missing = [name for name in wanted if name not in place]
        if missing or not wanted:
            raise ArgumentError(
                f"There is no feature {missing[0] if missing else ''!r}; there are "
                f"{', '.join(self.feature_names)}."
            )
        return [place[name] for name in wanted]

    def mean_variance(self) -> np.ndarray:
        """Variance of each feature over time, averaged over the trajectories; ``(n_features,)``."""
        return mean_variance(self.values, self.offsets)

    def spread(self) -> np.ndarray:
        """Standard deviation of each feature over all rows, float64; ``(n_features,)``.

        On a grid each channel has one, the root mean square of those of its points: errors in units
        of a point that hardly moves would hide all others.
        """
        found = spread(self.values)
        return found if self.grid is None else self.grid.pooled(found)

    def __repr__(self) -> str:
        step = f"dt={self.dt:g}"
        if self.axis.has_dates:
            first, last = self.span()
            step = f"step {self.axis.step_name(self.dt)} from {first} to {last}"
        return f"{type(self).__name__}({self.size_name()}, {step}, {self.dtype})"

    def _repr_html_(self) -> str:
        """Return a card for notebooks: the size, the step, and a table of the features."""
        first, last = self.span()
        facts = {
            "size": self.size_name(),
            "step": self.axis.step_name(self.dt),
            "times": f"{first} to {last}",
            "numbers": str(self.dtype),
        }
        return card("Trajectories", facts, feature_rows(self.values, self.feature_names, 12))

    def size_name(self) -> str:
        """Return how many there are of what: ``"3 x 50-60 rows x 2 features"``."""
        low, high = int(self.lengths.min()), int(self.lengths.max())
        rows = f"{low}" if low == high else f"{low}-{high}"
        shape = "" if self.snapshot is None else " x ".join(map(str, self.snapshot))
        features = f"{shape} numbers" if shape else f"{self.n_features} features"
        return f"{len(self)} x {rows} rows x {features}"

    def span(self) -> tuple[str, str]:
        """Return the first time and the last, as texts for people."""
        ends = self.start_times + self.dt * (self.lengths - 1)
        first, last = self.axis.readable([self.start_times.min(), ends.max()])
        return first, last

    def summary(self) -> str:
        """Return a table of the features: range, mean and standard deviation."""
        return "\n".join([repr(self), *feature_table(self.values, self.feature_names)])

    def fingerprint(self) -> str:
        """Return a SHA-256 of the values, lengths and step; equal data give equal fingerprints."""
        digest = hashlib.sha256(f"{self.dt!r} {self.n_features} {self.dtype}".encode())
        digest.update(np.ascontiguousarray(self.offsets).data)
        digest.update(np.ascontiguousarray(self.values).data)
        return digest.hexdigest()
