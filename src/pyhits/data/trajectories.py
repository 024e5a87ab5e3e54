"""The one container for data: one or many trajectories, even or ragged, with one ``dt``."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np

from pyhits.data.convert import to_pieces
from pyhits.data.declared_grid import NONE, DeclaredGrid
from pyhits.data.grid import Grid
from pyhits.data.packed import PackedRows
from pyhits.data.packing import as_noise_level, as_starts, feature_names_of, pack, take, with_room
from pyhits.data.pieces import Pieces
from pyhits.data.recordings import RowsOf, parts_by_time, split_numbers
from pyhits.data.sampling import as_rows
from pyhits.data.statistics import with_noise
from pyhits.data.tables.column_choice import ColumnChoice
from pyhits.data.times import TimeAxis
from pyhits.errors import DataError, warn
from pyhits.util.checks import as_count, as_generator, as_numeric, as_positive, check_finite


class Trajectories(PackedRows):
    """One or many trajectories sampled with one step ``dt``.

    Rows are kept in one packed array, one trajectory below the other, so that uneven lengths cost
    nothing and windows are drawn with plain index arithmetic. A C-contiguous float array given as
    ``(trajectory, time, feature)`` is not copied.

    Parameters
    ----------
    data : array, list of arrays, DataFrame, xarray object, torch tensor or Trajectories
        ``(time, feature)``, ``(trajectory, time, feature)``, or a list of ``(time, feature)``. A
        1-D array is one feature. A DataFrame's column (or index) of times gives ``dt``; a column
        named ``trajectory`` cuts it into trajectories.
    dt : float, optional
        Time between rows, in the user's unit. Taken from the data's times where they carry some,
        otherwise 1.
    feature_names : sequence of str, optional
        One name a feature; ``x0, x1, ...`` where none are known.
    start_times : float or sequence of float, optional
        Time of each trajectory's first row; 0 by default.
    grid : Grid, sequence of int, or str, optional
        Where the numbers of a row lie: a :class:`~pyhits.Grid`, its shape ``(height, width)`` or
        ``(height, width, 3)``, or ``"ring"``, ``"line"`` for rows along one axis, periodic or not;
        then also arrays ``(time, *shape)`` are taken. Films and xarray objects carry theirs.
    axis : TimeAxis, optional
        What ``start_times`` and ``dt`` mean, where they are no plain numbers; data with dates carry
        their own.
    time_format, time_zone : str, optional
        How dates are written, and their zone, as of :func:`pyhits.read`.

    Raises
    ------
    DataError
        NaN, infinities, text, uneven times, one row alone, mixed dimensions; the place is named.
    """

    def __init__(
        self,
        data: Any,
        dt: float | None = None,
        *,
        feature_names: Sequence[str] | None = None,
        start_times: float | Sequence[float] | np.ndarray | None = None,
        grid: Grid | Sequence[int] | str | None = None,
        axis: TimeAxis | None = None,
        time_format: str | None = None,
        time_zone: str | None = None,
    ) -> None:
        choice = ColumnChoice.checked(time_format=time_format, time_zone=time_zone)
        declared = DeclaredGrid.of(grid)
        given = data.as_pieces() if isinstance(data, Trajectories) else as_rows(data, dt, declared)
        pieces = to_pieces(given, dt, choice=choice)
        for note in pieces.notes:
            warn(note)
        self.axis = pieces.axis if axis is None else axis
        self.dt_known = pieces.dt is not None
        self.dt = as_positive(pieces.dt if pieces.dt is not None else 1.0, "dt")
        values, lengths = pack(pieces.arrays, pieces.even)
        self.offsets = np.concatenate([[0], np.cumsum(lengths)])
        self.feature_names = feature_names_of(
            feature_names if feature_names is not None else pieces.feature_names, values.shape[1]
        )
        check_finite(values, self.offsets, self.feature_names, what="The data")
        self.values = with_room(values).view()
        self.values.flags.writeable = False
        starts = start_times if start_times is not None else pieces.start_times
        self.start_times = as_starts(starts, len(lengths), self.dt)
        self.grid = declared.of_rows(values.shape[1], pieces.grid)
        self.runs = pieces.runs

    def as_pieces(self) -> Pieces:
        """Return the trajectories one by one, and what they say of themselves."""
        own = self.dt if self.dt_known else None
        names = list(self.feature_names)
        pieces = Pieces(list(self), None, own, names, self.start_times, self.grid)
        pieces.axis, pieces.runs = self.axis, self.runs
        return pieces

    def _like(self, values: np.ndarray, lengths: np.ndarray, starts: np.ndarray) -> Trajectories:
        """Wrap rows that are known to be sound, with the step and names of these."""
        new = copy.copy(self)
        new.values = values.view()
        new.values.flags.writeable = False
        new.offsets = np.concatenate([[0], np.cumsum(lengths)])
        new.start_times = starts
        return new

    def __iter__(self) -> Iterator[np.ndarray]:
        """Iterate over the trajectories, each ``(time, feature)``, without copies."""
        for begin, end in itertools.pairwise(self.offsets.tolist()):
            yield self.values[begin:end]

    @overload
    def __getitem__(self, key: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, key: slice | Sequence[int] | np.ndarray) -> Trajectories: ...
    def __getitem__(
        self, key: int | slice | Sequence[int] | np.ndarray
    ) -> np.ndarray | Trajectories:
        """Return one trajectory as an array, or several as Trajectories."""
        if isinstance(key, (int, np.integer)):
            k = int(key) + (len(self) if key < 0 else 0)
            if not 0 <= k < len(self):
                raise IndexError(f"Trajectory {key} of {len(self)}.")
            return self.values[self.offsets[k] : self.offsets[k + 1]]
        chosen = np.arange(len(self))[key]
        if len(chosen) == 0:
            raise DataError(f"No trajectory of {len(self)} was selected.")
        lengths = self.lengths[chosen]
        if len(chosen) == chosen[-1] - chosen[0] + 1 and (np.diff(chosen) == 1).all():
            values = self.values[self.offsets[chosen[0]] : self.offsets[chosen[-1] + 1]]
        else:
            values = take(self.values, self.offsets[chosen], lengths)
        return self._like(values, lengths, self.start_times[chosen])._of_runs(chosen)

    def __eq__(self, other: object) -> bool:
        """Compare step, names, starts, the grid and every value."""
        return (
            isinstance(other, Trajectories)
            and self.dt == other.dt
            and self.feature_names == other.feature_names
            and self.grid == other.grid
            and np.array_equal(self.offsets, other.offsets)
            and self.axis.same_moments(self.start_times, other.axis, other.start_times)
            and self.dtype == other.dtype
            and np.array_equal(self.values, other.values)
        )

    __hash__ = None  # type: ignore[assignment]

    def split(
        self, fraction: float = 0.2, *, random_state: int | None = 0
    ) -> tuple[Trajectories, Trajectories]:
        """Split by trajectory: return the rest and a random ``fraction`` of the trajectories."""
        rest, chosen = split_numbers(len(self), fraction, random_state)
        return self[rest], self[chosen]

    def split_time(
        self, last: float | np.integer[Any] = 0.2, *, overlap: int = 1
    ) -> tuple[Trajectories, Trajectories]:
        """Split by time: return the beginnings, and the last part of each recording.

        Trajectories that follow each other in time are pieces of one recording, as gaps leave them
        (:attr:`recordings`): its last part is the last by time, whatever the pieces. Trajectories
        that begin at the same time, or in any other order, are each split by itself.

        Where a trajectory is cut, the last row of its beginning is also the first row of its rest,
        so that a forecast of the rest can start where the beginning ends. Both keep at least 2
        rows.

        Parameters
        ----------
        last : float or int
            Share of each recording's rows that the last part takes, or how many rows.
        overlap : int
            Rows that end a beginning and start its rest: as many as a forecast starts from. Whole
            trajectories in the last part that have no more rows are left out of it.

        Raises
        ------
        DataError
            A recording is too short; its trajectory is named.
        """
        parts = parts_by_time(self.lengths, self.recordings, last, as_count(overlap, "overlap"))
        first, second = map(self._part, parts)
        return first, second

    def _part(self, part: RowsOf) -> Trajectories:
        begins = self.offsets[part.trajectories] + part.begins
        starts = self.start_times[part.trajectories] + self.dt * part.begins
        rows = self._like(take(self.values, begins, part.counts), part.counts, starts)
        return rows._of_runs(part.trajectories)

    def _of_runs(self, numbers: np.ndarray) -> Trajectories:
        """Keep what is in the column of trajectories for those of these numbers; return itself."""
        if self.runs is not None:
            self.runs = self.runs[0], self.runs[1][numbers]
        return self

    def select(self, names: Sequence[str]) -> Trajectories:
        """Return a copy with these features, in this order; where they are all, without a copy."""
        if isinstance(names, (list, tuple)) and tuple(names) == self.feature_names:
            return self._like(self.values, self.lengths, self.start_times)
        columns = self._columns(names)
        values = np.ascontiguousarray(self.values[:, columns])
        new = self._like(values, self.lengths, self.start_times)
        new.feature_names = tuple(self.feature_names[k] for k in columns)
        new.grid = self.grid if columns == list(range(self.n_features)) else None
        return new

    def with_grid(self, grid: Grid | Sequence[int] | str | None) -> Trajectories:
        """Return the same rows, without a copy, on a grid as of ``Trajectories(grid=...)``."""
        new = self._like(self.values, self.lengths, self.start_times)
        new.grid = DeclaredGrid.of(NONE if grid is None else grid).of_rows(
            self.n_features, self.grid
        )
        return new

    def with_dt(self, dt: float) -> Trajectories:
        """Return the same rows, without a copy, with the step ``dt``."""
        new = self._like(self.values, self.lengths, self.start_times)
        new.dt, new.dt_known = as_positive(dt, "dt"), True
        return new

    def with_values(self, values: np.ndarray) -> Trajectories:
        """Return other rows of the same shape ``(n_rows, n_features)``, cut and named as these.

        Raises
        ------
        DataError
            The shape differs, or a row is not finite.
        """
        values = as_numeric(values, what="The data")
        if values.shape != self.values.shape:
            raise DataError(f"Expected rows of shape {self.values.shape}, got {values.shape}.")
        check_finite(values, self.offsets, self.feature_names, what="The data")
        return self._like(values, self.lengths, self.start_times)

    def cut(self, n_rows: int, start: int = 0) -> Trajectories:
        """Return rows ``start`` to ``start + n_rows`` of every trajectory."""
        n_rows, start = as_count(n_rows, "n_rows", least=2), as_count(start, "start", least=0)
        if (self.lengths < start + n_rows).any():
            raise DataError(
                f"Rows {start} to {start + n_rows} were asked for, but the shortest trajectory "
                f"has {self.lengths.min()} rows."
            )
        lengths = np.full(len(self), n_rows)
        values = take(self.values, self.offsets[:-1] + start, lengths)
        return self._like(values, lengths, self.start_times + start * self.dt)

    def add_noise(self, level: float, *, random_state: int | None = None) -> Trajectories:
        """Return a copy with Gaussian measurement noise, as in the paper's Appendix B.2.

        Parameters
        ----------
        level : float
            Variance of the noise as a fraction of each feature's variance: 0.01 is the paper's
            "1 %". The variance of a feature is taken over time and averaged over trajectories.
        """
        sigma = np.sqrt(as_noise_level(level) * self.mean_variance())
        noisy = with_noise(self.values, sigma, as_generator(random_state))
        return self._like(noisy, self.lengths, self.start_times)
