"""Files that forecasts are written to block by block: NumPy's .npy, and Zarr."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from abc import ABC, abstractmethod
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.data.files.guard import is_zarr
from pyhits.errors import ArgumentError
from pyhits.util.atomic import write_bytes
from pyhits.util.extras import need

#: Places, and bytes at each, by which a finished file is known again.
_PLACES, _SAMPLE = 64, 4096

#: Bytes of one Zarr chunk at most.
_CHUNK_BYTES = 64 << 20


class Writer(ABC):
    """A file that grows by whole trajectories, and the record that says how far it is.

    Until it is finished the states are in ``<path>.part``; the record is ``<path>.json``.

    Parameters
    ----------
    path : Path
        Where the finished file is to be.
    shape : tuple of int
        ``(n, n_times, d)``.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> None:
        # As files that are written at once: a link stays, what it leads to is replaced.
        path = path.resolve() if path.is_symlink() else path
        self.path = path
        self._mode = stat.S_IMODE(path.stat().st_mode) if path.is_file() else None
        self.part = path.with_name(f"{path.name}.part")
        self.record_file = path.with_name(f"{path.name}.json")
        self.shape = shape
        self.dtype = dtype

    def read_record(self) -> dict[str, Any]:
        """Return the record, an empty one where there is none or it is damaged."""
        try:
            record = json.loads(self.record_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def write_record(self, record: dict[str, Any]) -> None:
        """Replace the record, whole or not at all."""
        write_bytes(self.record_file, json.dumps(record, indent=1).encode())

    def remove(self) -> None:
        """Delete what is there: finished, unfinished, and the record.

        Raises ArgumentError: a folder that PyHiTS would not write is in the way.
        """
        for path in (self.part, self.path):
            if path.is_dir():
                self._remove_folder(path)
            else:
                path.unlink(missing_ok=True)
        self.record_file.unlink(missing_ok=True)

    def _remove_folder(self, path: Path) -> None:
        raise ArgumentError(f"Cannot write {path}: it is a folder.")

    @abstractmethod
    def create(self, rows: int) -> None:
        """Begin a file; ``rows`` trajectories are best stored together."""

    @abstractmethod
    def reopen(self, complete: int) -> bool:
        """Open an unfinished file; false if it does not hold ``complete`` trajectories."""

    @abstractmethod
    def write(self, begin: int, block: np.ndarray) -> None:
        """Write trajectories from number ``begin`` on, and have them on the disk."""

    @abstractmethod
    def finish(self, record: dict[str, Any]) -> None:
        """Give the whole file its name, and keep its record with it."""

    @abstractmethod
    def is_finished(self, record: dict[str, Any]) -> bool:
        """Tell whether the finished file is there and is the one that the record speaks of."""

    @abstractmethod
    def open(self) -> Any:
        """Return the finished file as an array that is read where it is used."""


class NpyWriter(Writer):
    """One array in NumPy's format, written plainly: pages of a map would fill the memory."""

    def create(self, rows: int) -> None:
        self.part.write_bytes(self._header())

    def reopen(self, complete: int) -> bool:
        if not self.part.is_file():
            return False
        header = self._header()
        with self.part.open("rb") as file:
            same = file.read(len(header)) == header
        return same and self.part.stat().st_size >= len(header) + complete * self._bytes_each

    def write(self, begin: int, block: np.ndarray) -> None:
        with self.part.open("r+b") as file:
            file.seek(len(self._header()) + begin * self._bytes_each)
            file.write(block.data)
            file.flush()
            os.fsync(file.fileno())

    def finish(self, record: dict[str, Any]) -> None:
        self.write_record({**record, "seal": _seal(self.part)})
        if self._mode is not None:
            self.part.chmod(self._mode)
        self.part.replace(self.path)

    def is_finished(self, record: dict[str, Any]) -> bool:
        return self.path.is_file() and record.get("seal") == _seal(self.path)

    def open(self) -> Any:
        return np.load(self.path, mmap_mode="r")

    @property
    def _bytes_each(self) -> int:
        return self.shape[1] * self.shape[2] * self.dtype.itemsize

    def _header(self) -> bytes:
        """Return what numpy.save writes before the values."""
        stream = BytesIO()
        described = np.lib.format.dtype_to_descr(self.dtype)
        np.lib.format.write_array_header_1_0(
            stream, {"descr": described, "fortran_order": False, "shape": self.shape}
        )
        return stream.getvalue()


class ZarrWriter(Writer):
    """One uncompressed Zarr array in chunks of trajectories; its record ends up in its attributes.

    Raises MissingExtraError: zarr is not installed.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> None:
        super().__init__(path, shape, dtype)
        self._zarr = need("zarr", action="Writing .zarr", extra="zarr")
        self._array: Any = None

    def read_record(self) -> dict[str, Any]:
        """Return the record: of a finished array its attributes."""
        found = self._opened(self.path, "r")
        return super().read_record() if found is None else dict(found.attrs)

    def _remove_folder(self, path: Path) -> None:
        if not is_zarr(path):
            raise ArgumentError(f"Cannot write {path}: it is a folder, and no Zarr array.")
        shutil.rmtree(path)

    def create(self, rows: int) -> None:
        n, n_times, d = self.shape
        rows = min(rows, n)
        self._array = self._zarr.create_array(
            self.part,
            shape=self.shape,
            dtype=self.dtype,
            # One trajectory may be larger than a chunk should be.
            chunks=(rows, min(n_times, max(1, _CHUNK_BYTES // (d * self.dtype.itemsize))), d),
            compressors=None,
            fill_value=np.nan,
            dimension_names=("trajectory", "time", "feature"),
            config={"write_empty_chunks": True},
            overwrite=True,
        )

    def reopen(self, complete: int) -> bool:
        self._array = self._opened(self.part, "r+")
        return self._array is not None and self._array.shape == self.shape

    def write(self, begin: int, block: np.ndarray) -> None:
        end = begin + len(block)
        self._array[begin:end] = block
        rows = self._array.chunks[0]
        for number in range(begin // rows, -(-end // rows)):
            for file in (self.part / "c" / str(number)).rglob("*"):
                if file.is_file():
                    with file.open("rb") as chunk:
                        os.fsync(chunk.fileno())

    def finish(self, record: dict[str, Any]) -> None:
        self._array.attrs.put(record)
        self.part.replace(self.path)
        self.record_file.unlink(missing_ok=True)

    def is_finished(self, record: dict[str, Any]) -> bool:
        found = self._opened(self.path, "r")
        return found is not None and found.shape == self.shape

    def open(self) -> Any:
        return self._zarr.open_array(self.path, mode="r")

    def _opened(self, path: Path, mode: str) -> Any:
        """Return the array in a folder, None if there is none."""
        if not (path / "zarr.json").is_file():
            return None
        try:
            return self._zarr.open_array(path, mode=mode)
        except (OSError, ValueError, KeyError, TypeError):  # of another kind, or damaged
            return None


#: The extensions that can be written block by block.
WRITERS: dict[str, type[Writer]] = {".npy": NpyWriter, ".zarr": ZarrWriter}


def _seal(path: Path) -> str:
    """Return a fingerprint of a file's size and of some of its bytes, however large it is."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        for k in range(_PLACES):
            file.seek(k * max(0, size - _SAMPLE) // (_PLACES - 1))
            digest.update(file.read(_SAMPLE))
    return digest.hexdigest()
