"""What stands between a file and its reader: missing, of another kind, damaged, not writable."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyhits.errors import ArgumentError, FileFormatError, PyHiTSError
from pyhits.util.atomic import first_line


@dataclass(frozen=True)
class FileKind:
    """A kind of file, recognised by its first bytes."""

    label: str
    extension: str
    signatures: tuple[bytes, ...] = ()


NPY = FileKind("a NumPy .npy file", ".npy", (b"\x93NUMPY",))
NPZ = FileKind("a NumPy .npz (zip) file", ".npz", (b"PK\x03\x04", b"PK\x05\x06"))
HDF5 = FileKind("an HDF5 file", ".h5", (b"\x89HDF\r\n\x1a\n",))
NETCDF3 = FileKind("a classic NetCDF file", ".nc", (b"CDF\x01", b"CDF\x02", b"CDF\x05"))
PARQUET = FileKind("a Parquet file", ".parquet", (b"PAR1\x15",))
MATLAB5 = FileKind("a MATLAB .mat file", ".mat", (b"MATLAB 5.0 MAT-file",))
MATLAB73 = FileKind("a MATLAB v7.3 .mat file", ".mat", (b"MATLAB 7.3 MAT-file",))
WAV = FileKind("a WAV file", ".wav", (b"RIFF", b"RIFX", b"RF64"))
FILM = FileKind("a film", "", (b"GIF8", b"\x1aE\xdf\xa3"))
TEXT = FileKind("a text file", ".csv")
BINARY = FileKind("an unknown binary file", "")
_OTHERS = (
    FileKind("a gzip file (unpack it first)", "", (b"\x1f\x8b",)),
    FileKind("a PNG image", "", (b"\x89PNG",)),
    FileKind("a PDF document", "", (b"%PDF-",)),
    FileKind(
        "a Python pickle (PyHiTS never opens pickles)",
        "",
        (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
    ),
)
_KINDS = (NPY, NPZ, HDF5, NETCDF3, PARQUET, MATLAB5, MATLAB73, WAV, FILM, *_OTHERS)

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def existing_file(path: Any) -> Path:
    """Return ``path`` as a Path to a file that is there, or a folder of Zarr or Parquet."""
    file = as_path(path)
    try:
        if file.is_dir():
            if file.suffix.lower() == ".zarr":
                if is_zarr(file):
                    return file
                raise FileFormatError(f"Expected a Zarr store, got {file}, which holds none.")
            if file.suffix.lower() == ".parquet" and any(file.rglob("*.parquet")):
                return file
            way = ""
            if next(file.rglob("*.parquet"), None) is not None:
                way = f" Parquet folders end in .parquet: rename it to {file.name}.parquet."
            elif is_zarr(file):
                way = f" Zarr stores end in .zarr: rename it to {file.name}.zarr."
            raise FileFormatError(f"Expected a file, got the folder {file}.{way}")
        if not file.exists():
            place = "" if file.is_absolute() else f" in the folder {Path.cwd()}"
            lost = ", but a link that leads to none" if file.is_symlink() else ""
            raise FileFormatError(f"There is no file {file}{place}{lost}.")
        if not file.is_file():
            raise FileFormatError(f"Expected a file, got {file}, a pipe or device.")
        with file.open("rb") as stream:
            empty = not stream.read(1)
    except PyHiTSError:
        raise
    except OSError as error:
        raise FileFormatError(f"Cannot open {file}: {error.strerror or error}.") from None
    if empty:
        raise FileFormatError(f"{file} is empty (0 bytes); write or copy it again.")
    return file


def is_zarr(path: Path) -> bool:
    """Tell whether a folder is a Zarr store."""
    return any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup"))


def as_path(path: Any) -> Path:
    """Return text or a path object as a Path, ``~`` expanded."""
    if not isinstance(path, (str, os.PathLike)) or not str(path) or "\0" in str(path):
        raise ArgumentError(f"Expected the path of a file, got {path!r}.")
    return Path(path).expanduser()


def kind_of(path: Path) -> FileKind:
    """Tell the kind of a file from its first bytes."""
    with path.open("rb") as stream:
        head = stream.read(4096)
    for kind in _KINDS:
        if head.startswith(kind.signatures):
            return kind
    if any(head.startswith(HDF5.signatures, at) for at in (512, 1024, 2048)):
        return HDF5
    is_binary = b"\0" in head and not head.startswith(_UTF16_MARKS)
    return BINARY if is_binary else TEXT


def expect_kind(path: Path, *allowed: FileKind) -> FileKind:
    """Return the kind of a file, or say what it is instead of one of those ``allowed``."""
    found = kind_of(path)
    if found in allowed:
        return found
    advice = f"; rename it to {found.extension}" if found.extension else ""
    raise FileFormatError(
        f"Expected {path} to be {allowed[0].label}, as its extension says, but it is "
        f"{found.label}{advice}."
    )


@contextlib.contextmanager
def parsing(path: Path, kind: FileKind) -> Iterator[None]:
    """Turn whatever a reader raises on a damaged file into a FileFormatError."""
    try:
        yield
    except (PyHiTSError, MemoryError):
        raise
    except Exception as error:  # the parsers of other packages raise anything on damaged files
        raise FileFormatError(
            f"{path} cannot be read as {kind.label}: {first_line(error)}. It may be truncated or "
            "damaged; write or copy it again."
        ) from error
