"""Options that several commands share, and how their texts are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pyhits.errors import ArgumentError
from pyhits.util.progress import say

if TYPE_CHECKING:
    from pyhits.data.repair import Repaired
    from pyhits.data.trajectories import Trajectories
    from pyhits.timestepper import TimeStepper

Out = Annotated[Path, typer.Option("--out", "-o", help="File to write.")]
Dt = Annotated[
    float | None, typer.Option("--dt", help="Time between rows, where the file does not say.")
]
Variable = Annotated[
    str | None, typer.Option("--variable", help="Array to read from a file that holds several.")
]
TimeColumn = Annotated[
    str | None,
    typer.Option("--time-column", help="Column that holds the time, by name or number, or none."),
]
TimeFormat = Annotated[
    str | None,
    typer.Option(
        "--time-format",
        help="How dates are written: dayfirst, monthfirst, a pattern (%d.%m.%y), excel, ms ...",
    ),
]
TimeZone = Annotated[
    str | None,
    typer.Option("--time-zone", help="Zone of dates that say none, such as Europe/Berlin."),
]
Columns = Annotated[
    list[str] | None,
    typer.Option("--columns", help="Features to read, by name or number: x,y. May be repeated."),
]
WithoutColumns = Annotated[
    list[str] | None,
    typer.Option("--without-columns", help="Columns not to read: station,flag. May be repeated."),
]
Names = Annotated[
    str | None,
    typer.Option("--names", help="Names of all columns, or of the features: t,x,y."),
]
Header = Annotated[
    bool | None,
    typer.Option("--header/--no-header", help="Whether a text table begins with names."),
]
Decimal = Annotated[
    str | None,
    typer.Option("--decimal", help="What begins the decimals of a text table's numbers: . or ,"),
]
StepSizes = Annotated[
    str | None,
    typer.Option("--step-sizes", help="Step sizes in multiples of dt, such as 1,2,4,8."),
]

Snapshot = Annotated[
    str | None,
    typer.Option(
        "--snapshot",
        help="Shape of a field's snapshots, such as 33x49; none: the array holds trajectories.",
    ),
]
Rate = Annotated[
    int | None, typer.Option("--rate", help="Samples a second, to which a sound is brought.")
]
Mono = Annotated[bool, typer.Option("--mono", help="Average a sound's channels.")]
Height = Annotated[
    int | None, typer.Option("--height", help="Pixels, to which a film's frames are scaled.")
]
Grey = Annotated[bool, typer.Option("--grey", help="Leave a film's colours out.")]
Stretch = Annotated[
    str | None,
    typer.Option("--stretch", help="Of a sound or film: from and to, in seconds, such as 2,4.5."),
]
WithoutLast = Annotated[
    str | None,
    typer.Option(
        "--without-last",
        help="Leave out the last part of every recording: a share, 0.2, or rows, 50.",
    ),
]

Repair = Annotated[
    bool,
    typer.Option(
        "--repair",
        help="Mend uneven times, gaps and missing values, and say what was done.",
    ),
]
Resample = Annotated[
    float | None, typer.Option("--resample", help="Step to resample to; implies --repair.")
]
Gaps = Annotated[
    str | None,
    typer.Option(
        "--gaps", help="Where values are missing: cut, or fill short gaps; implies --repair."
    ),
]
LongestGap = Annotated[
    float | None,
    typer.Option(
        "--longest-gap", help="Longest step to bridge, in median steps: 5; implies --repair."
    ),
]
DropOutliers = Annotated[
    bool,
    typer.Option("--drop-outliers", help="Take outliers as missing values; implies --repair."),
]

Selection = Annotated[
    str,
    typer.Option("--selection", help="accuracy, speed, all, or the step sizes, such as 1,16."),
]
Tolerance = Annotated[
    float,
    typer.Option("--tolerance", help="Validation error that --selection speed allows."),
]

Parameters = Annotated[
    list[str] | None,
    typer.Option("--parameter", help="Parameter of the system, as name=value; may be repeated."),
]


def how_to_select(text: str) -> str | list[int]:
    """Read ``"speed"``, or ``"1,16"``."""
    listed = whole_numbers(text, "--selection") if text[:1].isdigit() else None
    return text if listed is None else listed


def whole_numbers(text: str | None, option: str) -> list[int] | None:
    """Read ``"1,2,4"``."""
    if text is None:
        return None
    try:
        return [int(part) for part in text.replace(" ", ",").split(",") if part]
    except ValueError:
        raise ArgumentError(
            f"Expected {option} to be whole numbers such as 1,2,4, got {text!r}."
        ) from None


def numbers(text: str, option: str) -> list[float]:
    """Read ``"0.5,1,2"``."""
    try:
        values = [float(part) for part in text.replace(" ", ",").split(",") if part]
    except ValueError:
        values = []
    if not values:
        raise ArgumentError(f"Expected {option} to be numbers such as 0.5,1, got {text!r}.")
    return values


def named_numbers(texts: list[str] | None, option: str) -> dict[str, float]:
    """Read ``["mu=2", "rho=28"]``."""
    values = {}
    for text in texts or []:
        name, _, value = text.partition("=")
        try:
            values[name.strip()] = float(value)
        except ValueError:
            raise ArgumentError(f"Expected {option} name=value, got {text!r}.") from None
    return values


def column_of(text: str | None) -> str | int | None:
    """Read ``"clock"``, the name of a column, or ``"2"``, its number."""
    return int(text) if text is not None and text.isdigit() else text


def shape_of(text: str | None) -> tuple[int, ...] | None:
    """Read ``"33x49"``; ``"none"`` is no shape."""
    if text is None or text == "none":
        return None
    try:
        shape = tuple(int(length) for length in text.split("x"))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise ArgumentError(f"Expected --snapshot as a shape, 33x49, or none, got {text!r}.")
    return shape


def part(text: str | None, option: str) -> float | int | None:
    """Read ``"0.2"``, a share of the rows, or ``"50"``, a number of them."""
    if text is None:
        return None
    try:
        rows = int(text) if text.strip().isdigit() else float(text)
    except ValueError:
        rows = 0
    if not (0 < rows < 1 or (isinstance(rows, int) and rows > 0)):
        raise ArgumentError(
            f"Expected {option} to be a share of the rows such as 0.2, or a number of them such as "
            f"50, got {text!r}."
        )
    return rows


@dataclass(frozen=True)
class TableOptions:
    """What the options say of the columns of tables; see :func:`pyhits.read`."""

    columns: list[str] | None = None
    without_columns: list[str] | None = None
    names: str | None = None
    header: bool | None = None
    decimal: str | None = None

    def of_inputs(self) -> TableOptions:
        """Return what holds for a table of inputs too, which has other columns."""
        return TableOptions(header=self.header, decimal=self.decimal)

    def reading(self) -> dict[str, Any]:
        """Return the arguments of :func:`pyhits.read`."""
        names = None if self.names is None else [part.strip() for part in self.names.split(",")]
        return {
            "columns": self.columns or None,
            "without_columns": self.without_columns or None,
            "names": names,
            "header": self.header,
            "decimal": self.decimal,
        }


@dataclass(frozen=True)
class Mending:
    """How data are mended while they are read, as the options say; see :func:`pyhits.repair`.

    ``keep`` says which pieces of a recording that is cut are wanted, such as the last.
    """

    wanted: bool = False
    resample: float | None = None
    gaps: str | None = None
    longest_gap: float | None = None
    drop_outliers: bool = False
    quiet: bool = False
    keep: slice | None = None

    def __bool__(self) -> bool:
        values = (self.resample, self.gaps, self.longest_gap)
        return self.wanted or self.drop_outliers or any(value is not None for value in values)

    def __call__(self, path: Path, like: TimeStepper | None = None, **reading: Any) -> Trajectories:
        """Read and mend a file, to the step of a model if there is one, and say what was done."""
        from pyhits.data.repair import repair

        reading["gaps"] = self.gaps or "cut"
        reading["like"] = like
        if self.longest_gap is not None:
            reading["longest_gap"] = self.longest_gap
        reading["outliers"] = "drop" if self.drop_outliers else "keep"
        repaired = repair(path, resample=self.resample, **reading)
        own = repaired.trajectories
        # The steps of a calendar are not resampled; the model says whether they are its own.
        in_seconds = own.axis.step is None and (like is None or like.axis.step is None)
        unlike = like is not None and own.dt_known and own.dt != like.dt and in_seconds
        if self.resample is None and like is not None and unlike:
            repaired = repair(path, resample=like.dt, **reading)
        for note in repaired.notes or ["Nothing to repair."]:
            say(f"Repair of {path.name}: {note}", verbose=not self.quiet)
        return own_pieces(repaired, self.keep)


def own_pieces(repaired: Repaired, keep: slice | None) -> Trajectories:
    """Return the trajectories, or of each recording that was cut the pieces to keep."""
    if keep is None:
        return repaired.trajectories
    number = repaired.numbers.tolist()
    places = {n: [k for k, other in enumerate(number) if other == n] for n in dict.fromkeys(number)}
    return repaired.trajectories[[k for of in places.values() for k in of[keep]]]


@dataclass(frozen=True)
class Reading:
    """How files are read, as the options say.

    Attributes
    ----------
    dt, variable, time_column, time_format, time_zone
        For tables and archives.
    rate, mono, height, grey, stretch
        For sounds and films.
    snapshot
        For fields.
    mending
        Of tables and archives.
    table
        Columns of tables.
    """

    dt: float | None = None
    variable: str | None = None
    time_column: str | None = None
    rate: int | None = None
    mono: bool = False
    height: int | None = None
    grey: bool = False
    stretch: str | None = None
    snapshot: tuple[int, ...] | None = None
    mending: Mending = Mending()
    time_format: str | None = None
    time_zone: str | None = None
    table: TableOptions = TableOptions()

    def __call__(self, path: Path, like: TimeStepper | None = None) -> Trajectories:
        """Read trajectories, sounds and films as those that a model was trained on."""
        from pyhits.data.files import FIELDS
        from pyhits.data.files import read as read_file
        from pyhits.data.files.media import FILMS, SOUNDS

        column = column_of(self.time_column)
        rate, mono, height, grey = self.rate, self.mono, self.height, self.grey
        extension = path.suffix.lower()
        if like is not None and extension in SOUNDS:
            rate, mono = round(1 / like.dt) or None, like.n_features_in == 1
        snapshot = self.snapshot if like is None else like.coordinates.snapshot
        if extension in FILMS and like is not None and snapshot is not None:
            height, grey = snapshot[0], len(snapshot) == 2
        if extension not in FIELDS:
            snapshot = None
        if self.mending and extension not in (*SOUNDS, *FILMS):
            return self.mending(
                path,
                like,
                dt=self.dt,
                variable=self.variable,
                time_column=column,
                time_format=self.time_format,
                time_zone=self.time_zone,
                **self.table.reading(),
                snapshot=snapshot,
            )
        between = None if self.stretch is None else numbers(self.stretch, "--stretch")
        if between is not None and len(between) != 2:
            raise ArgumentError(
                f"Expected --stretch as two times in seconds, 2,4.5, got {self.stretch!r}."
            )
        return read_file(
            path,
            dt=self.dt,
            variable=self.variable,
            time_column=column,
            time_format=self.time_format,
            time_zone=self.time_zone,
            **self.table.reading(),
            like=like,
            snapshot=snapshot,
            rate=rate,
            mono=mono,
            height=height,
            grey=grey,
            stretch=None if between is None else (between[0], between[1]),
        )


def read(
    path: Path,
    dt: float | None,
    variable: str | None = None,
    time_column: str | None = None,
    *,
    stretch: str | None = None,
    like: TimeStepper | None = None,
    mending: Mending | None = None,
    time_format: str | None = None,
    time_zone: str | None = None,
    table: TableOptions | None = None,
) -> Trajectories:
    """Read trajectories from a file, a sound or film as those that a model was trained on."""
    mending = mending or Mending()
    reading = Reading(
        dt,
        variable,
        time_column,
        stretch=stretch,
        mending=mending,
        time_format=time_format,
        time_zone=time_zone,
        table=table or TableOptions(),
    )
    return reading(path, like)
