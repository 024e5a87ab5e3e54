"""Files of trajectories: one ``read`` and one ``write``, the format follows from the extension."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from pyhits.data.declared_grid import AUTO, DeclaredGrid
from pyhits.data.diagnostics.film import field_shape
from pyhits.data.files import archive, film, hdf5, matlab, netcdf, parquet, sound, text, zarrs
from pyhits.data.files.guard import as_path, existing_file, is_zarr
from pyhits.data.files.like import MODELS, WRITTEN, write_like
from pyhits.data.files.media import FILMS
from pyhits.data.files.reading import TEXTS, Reading
from pyhits.data.grid import Grid
from pyhits.data.limits import TOO_LARGE, in_words, memory
from pyhits.data.pieces import Pieces, check_step, step_rounding, with_features
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DataError, FileFormatError
from pyhits.util.atomic import replacing
from pyhits.util.checks import suggest

__all__ = ["EXTENSIONS", "naming", "read", "read_raw", "write"]


class _Format(NamedTuple):
    read: Callable[[Path, Reading], Pieces]
    write: Callable[[Trajectories, Path], None]


_TEXT = _Format(text.read, text.write)
_HDF5 = _Format(hdf5.read, hdf5.write)
_FORMATS = {
    ".npz": _Format(archive.read_npz, archive.write_npz),
    ".npy": _Format(archive.read_npy, archive.write_npy),
    ".csv": _TEXT,
    ".tsv": _TEXT,
    ".txt": _TEXT,
    ".dat": _TEXT,
    ".parquet": _Format(parquet.read, parquet.write),
    ".mat": _Format(matlab.read, matlab.write),
    ".h5": _HDF5,
    ".hdf5": _HDF5,
    ".nc": _Format(netcdf.read, netcdf.write),
    ".zarr": _Format(zarrs.read, zarrs.write),
    ".wav": _Format(sound.read, sound.write),
    **dict.fromkeys(FILMS, _Format(film.read, film.write)),
}

#: The extensions of files that hold other files.
_PACKED = (".gz", ".zip", ".bz2", ".xz", ".zst", ".tgz", ".tar", ".7z")

#: The extensions that :func:`read` and :func:`write` know.
EXTENSIONS = tuple(_FORMATS)


def read(
    path: str | os.PathLike[str],
    *,
    dt: float | None = None,
    variable: str | None = None,
    time_column: str | int | None = None,
    columns: Sequence[str | int] | None = None,
    without_columns: Sequence[str | int] | None = None,
    names: Sequence[str] | None = None,
    header: bool | None = None,
    decimal: str | None = None,
    time_format: str | None = None,
    time_zone: str | None = None,
    like: Any = None,
    feature_names: Sequence[str] | None = None,
    grid: Grid | Sequence[int] | str | None = None,
    rate: int | None = None,
    mono: bool = False,
    height: int | None = None,
    grey: bool = False,
    stretch: tuple[float, float] | None = None,
    max_bytes: float | None = None,
) -> Trajectories:
    """Read trajectories from a file.

    Tables (.csv .tsv .txt .dat .parquet) hold one row a time. A column named ``t``, ``time [s]``,
    ``Year`` ... is the time, one named ``trajectory`` or ``run`` numbers the trajectories, all
    others are features. In a text table without a header the first of several columns is the time
    if it increases uniformly over 3 rows or more.

    Archives (.npz .mat .h5 .hdf5 .nc .zarr) hold named arrays: a vector ``t`` or ``time`` (or a
    scalar ``dt``), and one array ``(time, feature)`` or ``(trajectory, time, feature)``. Data that
    lie ``(feature, time)`` are transposed if the times say so. Where vectors such as ``x``, ``y``,
    ``lat`` or ``lon`` fit all other axes, the rows lie on a grid, and several arrays of one shape
    are its channels. Vectors as long as the times are features. Groups that differ by a number
    alone, ``run_1``, ``run_2`` ..., are trajectories. A .npy file is one such array.

    Sounds (.wav) hold one feature a channel, between -1 and 1, in float64. Films (.mp4 .mov .avi
    .mkv .webm .gif) hold one row a frame, ``height * width * 3`` numbers from 0 to 255 in float32,
    and the rows carry them as their ``grid``. Their ``dt`` is in seconds.

    Parameters
    ----------
    path : str or path
        The file; its extension tells the format, see :data:`EXTENSIONS`.
    dt : float, optional
        Time between rows, in the user's unit, for files that carry no times. 1 if neither says.
        Dates in the file count in seconds, months, business days ... one a step.
    variable : str, optional
        Name of the array that holds the data, where an archive holds several.
    time_column : str or int, optional
        Name of the times, or number of their column (from 0), where they are not recognised;
        ``"none"`` if the file holds no times, or they are to be left aside.
    columns : sequence of str or int, optional
        The features to read, by name or number of their column (from 0), in this order. Times and
        the column that numbers the trajectories are read as well.
    without_columns : sequence of str or int, optional
        Columns that are not read.
    names : sequence of str, optional
        Names of all columns of a table, or of those that are features, instead of its own.
    header : bool, optional
        Whether the first line of a text table holds names; found out by default.
    decimal : {".", ","}, optional
        What begins the decimals of the numbers of a text table; found out by default.
    time_format : str, optional
        How dates are written, where the column does not show it: ``"dayfirst"``, ``"monthfirst"``,
        ``"yearfirst"``, or a pattern of ``strptime`` such as ``"%d.%m.%y %H:%M"`` (``%q`` is a
        quarter). Numbers may be ``"s"``, ``"ms"``, ``"us"`` or ``"ns"`` since 1970, ``"excel"``,
        ``"matlab"``, ``"julian"`` or ``"mjd"`` days, or ``"numbers"`` that are no dates.
    time_zone : str, optional
        Zone of dates that say none, such as ``"Europe/Berlin"``, whose clocks are set twice a year.
    like : HiTS, optional
        A fitted model, whose columns are read where no others are chosen: its features and inputs
        by their names, and as the time, if none is recognised, what steps as it does. Sounds, films
        and fields are read with its rate, size and colours.
    feature_names : sequence of str, optional
        One name a feature, instead of the file's own.
    grid : Grid, sequence of int, or str, optional
        Grid of a field, as of :class:`~pyhits.Trajectories`: an array ``(time, *shape)`` or
        ``(trajectory, time, *shape)`` is read as rows, which carry it. Films have their own.
        ``"auto"`` reads a .npy array of three axes so if neighbours along the first are alike.
    rate : int, optional
        Samples a second of a sound, if others than its own; what it cannot hold is filtered out.
    mono : bool
        Average a sound's channels.
    height : int, optional
        Rows of pixels to scale a film's frames to; its proportions stay.
    grey : bool
        Read a film without its colours, ``height * width`` numbers a frame.
    stretch : tuple of float, optional
        From when to when, in seconds, to read a sound or film; ``(2, 4.5)``.
    max_bytes : float, optional
        Bytes of an array in a .npy, .h5, .nc, .zarr or MATLAB 7.3 file up to which it is read
        whole; 1e9 by default. Stretches of rows that are spread evenly over all runs and times
        stand for a larger one, a tenth of these bytes, and a warning says so.

    Raises
    ------
    FileFormatError
        The file is missing, empty, damaged, of another kind than its extension says, or of an
        unknown kind.
    DataError
        What it holds cannot be used: gaps, text, uneven times, several arrays. Line or row and
        column are named.
    ArgumentError
        ``dt`` contradicts the file's times, or a name that was asked for is not there.
    MissingExtraError
        The reader of this format is not installed; the message says how to install it.
    """
    is_auto = isinstance(grid, str) and grid == AUTO
    reading = Reading.of(
        dt=dt,
        variable=variable,
        time_column=time_column,
        columns=columns,
        without_columns=without_columns,
        names=names,
        header=header,
        decimal=decimal,
        time_format=time_format,
        time_zone=time_zone,
        like=like,
        grid=None if is_auto else grid,
        rate=rate,
        mono=mono,
        height=height,
        grey=grey,
        stretch=stretch,
        max_bytes=max_bytes,
    )
    return _read(path, reading, feature_names, is_auto=is_auto)


def read_ends(path: str | os.PathLike[str], end: int, **options: Any) -> Trajectories:
    """Read what forecasts start from or go on from.

    Parameters
    ----------
    end : int
        Rows at the end of each run, or, below 0, at its beginning, that are read of what is too
        large to be read whole.
    **options
        Of :func:`read`.
    """
    is_auto = options.get("grid") == AUTO
    own = {**options, "grid": None if is_auto else options.get("grid")}
    return _read(path, replace(Reading.of(**own), end=end), None, is_auto=is_auto)


def _read(
    path: str | os.PathLike[str],
    reading: Reading,
    feature_names: Sequence[str] | None,
    *,
    is_auto: bool,
) -> Trajectories:
    reading = reading.of_file(as_path(path))
    with naming(as_path(path)):
        data = _trajectories(path, reading, feature_names)
        looks_like = is_auto and as_path(path).suffix.lower() == ".npy"
        shape = field_shape(data) if looks_like else None
        if shape is None:
            return data
        return _trajectories(path, replace(reading, grid=DeclaredGrid.of(shape)), feature_names)


def _trajectories(
    path: str | os.PathLike[str], reading: Reading, feature_names: Sequence[str] | None
) -> Trajectories:
    data = Trajectories(_pieces(path, reading), reading.dt, feature_names=feature_names)
    return data.with_grid(reading.grid_of(data))


def _pieces(path: str | os.PathLike[str], reading: Reading) -> Pieces:
    """Return what a file holds; of ``raw`` ones as it is, gaps and uneven times included.

    Errors are those of :func:`read`, but for what is to be mended.
    """
    file = existing_file(path)
    form = _format(file)
    reading.expect_to_suit(file)
    pieces = form.read(file, reading)
    if reading.choice and not pieces.are_chosen:
        pieces = with_features(pieces, reading.choice)
    _check_step(reading.dt, pieces)
    return pieces


def read_raw(path: str | os.PathLike[str], **options: Any) -> Pieces:
    """Return what a file holds as it is, to be mended; options as of :func:`read`."""
    with naming(as_path(path)):
        return _pieces(path, Reading.of(**options).of_file(as_path(path)).to_be_mended())


@contextlib.contextmanager
def naming(file: Path) -> Iterator[None]:
    """Begin the messages about what a file holds with its name."""
    try:
        yield
    except (ArgumentError, DataError, FileFormatError) as error:
        if str(file) in str(error):
            raise
        named = type(error)(f"{file}: {error}")
        vars(named).update(vars(error))
        raise named from error.__cause__
    except MemoryError:
        raise DataError(
            f"{file} is too large: reading it takes more than the {in_words(memory())} of memory "
            f"that this process may use. {TOO_LARGE}"
        ) from None


def write(
    trajectories: Trajectories,
    path: str | os.PathLike[str],
    *,
    like: str | os.PathLike[str] | None = None,
) -> Path:
    """Write trajectories to a file, so that :func:`read` returns them as they were.

    All formats keep every value; .npz, .mat, .h5, .nc and .parquet also the data type and the exact
    ``dt``. Text tables give float64 and a ``dt`` to ten digits. A .npy file holds the values
    alone. The file appears once it is written in full, and missing folders are made.

    Sounds and films are other than the rest: .wav holds 16 bits a sample, clipped at -1 and 1.
    Films hold whole numbers from 0 to 255, compressed so that the eye sees no difference; the
    data need a ``grid``, ``(height, width)`` or ``(height, width, 3)``.

    Parameters
    ----------
    trajectories : Trajectories
    path : str or path
    like : str or path, optional
        A text table: another is written with its separator and its decimals. A NetCDF file or a
        Zarr store: .nc, .h5 and .zarr are written with its dimensions, coordinates and attributes,
        if the trajectories are rows of its variables.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    FileFormatError
        The extension is unknown, or the file cannot be written there.
    DataError
        The format cannot hold them: uneven lengths in .npy, a feature named as the time is in a
        table, several trajectories or rows that are no pictures in a film.
    MissingExtraError
        The writer of this format is not installed.
    """
    if not isinstance(trajectories, Trajectories):
        raise ArgumentError(
            f"Expected Trajectories to write, got {type(trajectories).__name__}; wrap the data: "
            "pyhits.Trajectories(data, dt)."
        )
    file = as_path(path)
    form = _format(file)
    model = None if like is None else existing_file(like)
    with replacing(file, is_zarr) as temporary:
        if model is None or not _written_like(trajectories, temporary, model):
            form.write(trajectories, temporary)
    return file


def _written_like(trajectories: Trajectories, path: Path, model: Path) -> bool:
    """Write trajectories in the manner of another file; tell whether there is one."""
    of, to = model.suffix.lower(), path.suffix.lower()
    if of in TEXTS and to in TEXTS:
        text.write(trajectories, path, model)
        return True
    return of in MODELS and to in WRITTEN and write_like(trajectories, path, model)


#: What pandas reads and PyHiTS does not, and by which of its functions.
_READ_BY_PANDAS = {
    ".xlsx": "read_excel", ".xls": "read_excel", ".ods": "read_excel", ".json": "read_json",
    ".feather": "read_feather", ".arrow": "read_feather", ".dta": "read_stata",
    ".sav": "read_spss", ".sas7bdat": "read_sas",
}  # fmt: skip


def _format(path: Path) -> _Format:
    extension = path.suffix.lower()
    if extension in _FORMATS:
        return _FORMATS[extension]
    if not extension:
        known = ", ".join(EXTENSIONS)
        raise FileFormatError(f"{path} has no extension to tell its format by. Known: {known}.")
    if extension in _PACKED:
        raise FileFormatError(f"{path} is compressed; unpack it first, so that it ends in .csv ...")
    if extension == ".safetensors":
        raise FileFormatError(
            f"{path} is a model file, not data; pyhits info shows it. Known: "
            f"{', '.join(EXTENSIONS)}."
        )
    reader = _READ_BY_PANDAS.get(extension)
    hint = f" pandas reads it: fit takes pandas.{reader}({path.name!r})." if reader else ""
    raise FileFormatError(
        f"{path} has an unknown extension {extension!r}{suggest(extension, EXTENSIONS)}{hint}"
    )


def _check_step(given: float | None, pieces: Pieces) -> None:
    try:
        check_step(given, pieces.dt, step_rounding(pieces))
    except ArgumentError as error:
        raise ArgumentError(
            f'{error} Leave dt out, or pass time_column="none" if the file holds no times.'
        ) from None
