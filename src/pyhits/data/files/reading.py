"""How a file is read: every option of :func:`pyhits.read`, checked, in one object."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pyhits.data.declared_grid import DeclaredGrid
from pyhits.data.files.media import FILMS, SOUNDS
from pyhits.data.sampling import MOST_BYTES, Sampling
from pyhits.data.tables.column_choice import ALL_COLUMNS, COLUMN_OPTIONS, ColumnChoice
from pyhits.errors import ArgumentError
from pyhits.util.checks import as_count, as_positive, suggest

if TYPE_CHECKING:
    from pyhits.data.grid import Grid
    from pyhits.data.trajectories import Trajectories

#: Extensions of text tables, and of files of named arrays.
TEXTS = (".csv", ".tsv", ".txt", ".dat")
ARCHIVES = (".npz", ".mat", ".h5", ".hdf5", ".nc", ".zarr")

#: Extensions of files that may hold fields, arrays of three axes and more.
FIELDS = (".npy", *ARCHIVES)

#: Which files an option is for, where it is not for all.
_FOR = {
    "header": TEXTS,
    "decimal": TEXTS,
    "rate": SOUNDS,
    "mono": SOUNDS,
    "height": FILMS,
    "grey": FILMS,
    "stretch": (*SOUNDS, *FILMS),
}


@dataclass(frozen=True)
class Reading:
    """What the caller of :func:`pyhits.read` asked for; see there."""

    dt: float | None = None
    variable: str | None = None
    #: Columns or features to read, their names, and the times.
    choice: ColumnChoice = field(default=ALL_COLUMNS)
    header: bool | None = None
    decimal: str | None = None
    grid: DeclaredGrid = field(default=DeclaredGrid())
    rate: int | None = None
    mono: bool = False
    height: int | None = None
    grey: bool = False
    stretch: tuple[float, float] | None = None
    max_bytes: float = MOST_BYTES
    model: Any = None  # what is read is read as its training data were
    #: Take the data as they are, to be mended: missing values as NaN, times unchecked.
    raw: bool = False
    end: int = 0  # of :class:`~pyhits.data.sampling.Sampling`

    @classmethod
    def of(cls, **options: Any) -> Reading:
        """Return the options of :func:`pyhits.read`, checked.

        Raises ArgumentError: an option is unknown, or a value of the wrong kind.
        """
        own = [f.name for f in fields(cls) if f.name not in ("choice", "model", "raw", "end")]
        for name in options:
            known = [*own, *COLUMN_OPTIONS]
            if name not in known:
                raise ArgumentError(f"There is no option {name!r}{suggest(name, known)}")
        given = {name: options[name] for name in own if options.get(name) is not None}
        checked = {name: _CHECKS[name](value) for name, value in given.items()}
        of_columns = {name: options.get(name) for name in COLUMN_OPTIONS}
        choice = ColumnChoice.checked(**of_columns)
        return cls(choice=choice, model=_stepper(options.get("like")), **checked)

    def of_file(self, file: Path) -> Reading:
        """Return how a file is read: a sound, film or field as a model's own, if there is one."""
        model, extension = self.model, file.suffix.lower()
        if model is None:
            return self
        snapshot = model.coordinates.snapshot
        if extension in SOUNDS:
            rate = self.rate or round(1 / model.dt) or None
            return replace(self, rate=rate, mono=self.mono or model.n_features_in == 1)
        if extension in FILMS and snapshot is not None:
            height, grey = self.height or snapshot[0], self.grey or len(snapshot) == 2
            return replace(self, height=height, grey=grey)
        if extension in FIELDS and not self.grid:
            return replace(self, grid=DeclaredGrid.of(model.coordinates.grid))
        return self

    def grid_of(self, data: Trajectories) -> Grid | None:
        """Return the grid of what was read: as declared, or as the file says it.

        A model's grid is taken for that of the file unless this says another one.
        """
        own, declared = data.grid, self.grid.grid
        is_model = self.model is not None and declared is self.model.coordinates.grid
        if is_model and declared is not None and data.n_features != declared.n_features:
            return own
        return self.grid.of_rows(data.n_features, own)

    @property
    def sampling(self) -> Sampling:
        """What is read of data that are too large; those that are to be mended are read whole."""
        return Sampling(math.inf if self.raw else self.max_bytes, self.end)

    @property
    def time_column(self) -> str | int | None:
        """The column of times that was asked for."""
        return self.choice.time_column

    def expect_to_suit(self, file: Path) -> None:
        """Raise an ArgumentError if an option does not go with the kind of file."""
        extension = file.suffix.lower()
        if self.variable is not None and extension not in ARCHIVES:
            raise ArgumentError(
                f"variable={self.variable!r} was given, but {file} holds no named arrays; only "
                f"{', '.join(ARCHIVES)} files do."
            )
        for option, extensions in _FOR.items():
            if getattr(self, option) not in (None, False) and extension not in extensions:
                raise ArgumentError(
                    f"{option} is for {', '.join(extensions)} files, and {file} is none of them."
                )
        if extension in (*SOUNDS, *FILMS) and self.time_column not in (None, "none"):
            raise ArgumentError(
                f"There are no columns in {file}, so time_column={self.time_column!r} is not "
                'there; only time_column="none" makes sense, which leaves its rate aside.'
            )

    def to_be_mended(self) -> Reading:
        """Return the same, of data as they are."""
        return replace(self, raw=True)


def _stepper(model: Any) -> Any:
    """Return the time-stepper of a model: itself, or what an estimator holds."""
    return getattr(model, "stepper_", model)


def _as_name(value: Any) -> str:
    if not isinstance(value, str):
        raise ArgumentError(f"Expected variable to be the name of an array, got {value!r}.")
    return value


def _as_switch(name: str) -> Any:
    def check(value: Any) -> bool:
        if not isinstance(value, (bool, np.bool_)):
            raise ArgumentError(f"Expected {name} to be True or False, got {value!r}.")
        return bool(value)

    return check


def _as_decimal(value: Any) -> str:
    if value not in (".", ","):
        raise ArgumentError(f"Expected decimal to be '.' or ',', got {value!r}.")
    return str(value)


def _as_stretch(value: Any) -> tuple[float, float]:
    """Return ``(from, to)`` in seconds."""
    pair = tuple(value) if isinstance(value, (Sequence, np.ndarray)) else ()
    if len(pair) != 2 or not all(isinstance(x, numbers.Real) for x in pair):
        raise ArgumentError(f"Expected stretch as two times in seconds, (2, 4.5), got {value!r}.")
    first, last = float(pair[0]), float(pair[1])
    if not (0 <= first < last and math.isfinite(last)):
        raise ArgumentError(
            f"Expected a stretch from an earlier to a later time of 0 or more, got {value!r}."
        )
    return first, last


_CHECKS: dict[str, Any] = {
    "dt": lambda value: as_positive(value, "dt"),
    "variable": _as_name,
    "header": _as_switch("header"),
    "decimal": _as_decimal,
    "grid": DeclaredGrid.of,
    "rate": lambda value: as_count(value, "rate"),
    "mono": _as_switch("mono"),
    "height": lambda value: as_count(value, "height"),
    "grey": _as_switch("grey"),
    "stretch": _as_stretch,
    "max_bytes": lambda value: as_positive(value, "max_bytes"),
}
