"""Files as commands read them: with the options given, mended where that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyhits.util.progress import say

if TYPE_CHECKING:
    from pyhits.data.trajectories import Trajectories

#: Options of reading that are about the columns of one table.
_OF_ONE_TABLE = ("columns", "without_columns", "names", "variable", "stretch")


@dataclass(frozen=True)
class Files:
    """How files are read."""

    reading: Mapping[str, Any]  # arguments of :func:`pyhits.read`
    #: Arguments of :func:`pyhits.repair`, or ``repair`` alone; empty: nothing is mended.
    repairs: Mapping[str, Any] = field(default_factory=dict)
    like: Any = None  # what the files are read for
    #: Which pieces of a recording that the repair cuts are wanted, such as the last.
    pieces: slice | None = None
    quiet: bool = False
    end: int = 0  # of :func:`~pyhits.data.files.read_ends`; 0 reads as :func:`pyhits.read`

    def read(self, path: Path) -> Trajectories:
        """Read a file, and say what was mended."""
        from pyhits.data.declared_grid import AUTO
        from pyhits.data.diagnostics.film import field_shape
        from pyhits.data.files import read, read_ends
        from pyhits.data.files.media import FILMS, SOUNDS
        from pyhits.data.files.reading import FIELDS
        from pyhits.data.repair import repair

        extension = path.suffix.lower()
        skipped = () if extension in FIELDS else ("grid",)
        reading = {name: v for name, v in self.reading.items() if name not in skipped}
        if not self.repairs or extension in (*SOUNDS, *FILMS):
            if self.end:
                return read_ends(path, self.end, like=self.like, **reading)
            return read(path, like=self.like, **reading)
        if isinstance(reading.get("grid"), str) and reading["grid"] == AUTO:
            data = replace(self, reading=reading | {"grid": None}).read(path)
            shape = field_shape(data) if extension == ".npy" else None
            found = reading | {"grid": shape}
            return data if shape is None else replace(self, reading=found).read(path)
        how = {name: value for name, value in self.repairs.items() if name != "repair"}
        repaired = repair(path, like=self.like, **how, **reading)
        for note in repaired.notes or ["Nothing to repair."]:
            say(f"Repair of {path.name}: {note}", verbose=not self.quiet)
        return repaired.trajectories if self.pieces is None else repaired.pieces(self.pieces)

    def of_validation(self, dt: float) -> Files:
        """Return how validation data are read: whole, and mended to the same step."""
        repairs = {**self.repairs, "resample": dt} if self.repairs else {}
        reading = {name: value for name, value in self.reading.items() if name != "stretch"}
        return replace(self, reading=reading, repairs=repairs)

    def of_inputs(self) -> Files:
        """Return how a table of inputs is read, which has other columns, as it is."""
        reading = {name: v for name, v in self.reading.items() if name not in _OF_ONE_TABLE}
        return replace(self, reading=reading, repairs={})
