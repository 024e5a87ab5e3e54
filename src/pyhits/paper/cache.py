"""What was computed before, found again by a hash of all that it depends on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.errors import FileFormatError
from pyhits.util.atomic import check_target, replacing, write_bytes


def default_folder() -> Path:
    """Return the folder in which this platform keeps what can be made again."""
    given = os.environ.get("XDG_CACHE_HOME")
    if given:
        return Path(given) / "pyhits"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "pyhits" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "pyhits"
    return Path.home() / ".cache" / "pyhits"


class Cache:
    """A folder of entries, each a folder named after a hash of its settings.

    Parameters
    ----------
    folder : path, optional
        Made when something is stored; by default :func:`default_folder`.

    Raises
    ------
    FileFormatError
        The folder cannot be written to.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = default_folder() if folder is None else Path(folder).expanduser()
        if folder is None:
            with contextlib.suppress(OSError):  # said below
                self.folder.parent.mkdir(parents=True, exist_ok=True)
        check_target(self.folder / "settings.json")

    def entry(self, kind: str, settings: Mapping[str, Any]) -> Path:
        """Return the folder of what ``settings`` describe; made, with the settings in it.

        Parameters
        ----------
        kind : str
            Folder of like entries.
        settings : mapping
            Plain JSON values: everything that the content depends on, code versions included.
        """
        text = json.dumps(settings, sort_keys=True, indent=1)
        name = hashlib.sha256(text.encode()).hexdigest()[:24]
        path = self.folder / kind / name
        about = path / "settings.json"
        if not about.exists():
            path.parent.mkdir(exist_ok=True)
            write_bytes(about, text.encode())
        return path

    def has(self, kind: str, settings: Mapping[str, Any]) -> bool:
        """Whether :meth:`arrays` finds something; it may yet turn out to be damaged."""
        return (self.entry(kind, settings) / "facts.json").exists()

    def arrays(
        self,
        kind: str,
        settings: Mapping[str, Any],
        make: Callable[[], tuple[Mapping[str, np.ndarray], Mapping[str, Any]]],
        mapped: tuple[str, ...] = (),
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return stored arrays and facts, or make and store them; damaged ones are made again.

        Parameters
        ----------
        kind, settings
            As in :meth:`entry`.
        make : callable
            Returns arrays by name, and plain JSON values.
        mapped : tuple of str
            Arrays of which little is looked at: they are mapped, not read.
        """
        folder = self.entry(kind, settings)
        try:
            facts = _load_facts(folder / "facts.json")
            return {
                name: _load_array(folder / f"{name}.npy", checksum, mapped=name in mapped)
                for name, checksum in facts.pop("arrays").items()
            }, facts
        except (OSError, ValueError, EOFError, KeyError):
            arrays, made = make()
        sums = {name: _save_array(folder / f"{name}.npy", a) for name, a in arrays.items()}
        facts = json.loads(json.dumps({**made, "arrays": sums}))
        content = {"sha256": _facts_checksum(facts), **facts}
        write_bytes(folder / "facts.json", json.dumps(content).encode())
        facts.pop("arrays")
        return dict(arrays), facts


def _save_array(path: Path, array: np.ndarray) -> str:
    """Write an array as NumPy does; return the SHA-256 of the file."""
    with replacing(path) as temporary:
        np.save(temporary, array)
        return file_checksum(temporary)


def _load_array(path: Path, checksum: object, *, mapped: bool) -> np.ndarray:
    """Read an array, or map it; raise a ValueError if its file has changed since."""
    if file_checksum(path) != checksum:
        raise ValueError(f"{path} has changed since it was written")
    return np.asanyarray(np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False))


def file_checksum(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load_facts(path: Path) -> dict[str, Any]:
    """Read plain values; raise a ValueError if they have changed since."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        facts = None
    if not isinstance(facts, dict) or facts.pop("sha256", None) != _facts_checksum(facts):
        raise ValueError(f"{path} has changed since it was written")
    return facts


def _facts_checksum(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def forget(folder: Path) -> None:
    """Remove a folder of the cache, if it is there."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise FileFormatError(f"Cannot remove {folder}: {error.strerror}.") from None
