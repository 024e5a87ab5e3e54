"""What is in a file: shape, step, ranges, gaps, outliers, and what to do about them."""

from __future__ import annotations

import os
import shlex
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pyhits.data.diagnostics import Finding, examine
from pyhits.data.files import read
from pyhits.data.files.reading import Reading
from pyhits.data.repair.costly import LostRows
from pyhits.data.repair.outliers import outlier_notes
from pyhits.data.repair.repairing import repair
from pyhits.data.tables.column_choice import as_list
from pyhits.data.times.notes import axis_notes
from pyhits.data.trajectories import Trajectories
from pyhits.errors import DataError, PyHiTSError, PyHiTSWarning

#: Longest rows that a fit steps without modes; see ``pyhits fit``.
_MOST_FEATURES = 64

#: Rows below which a recording teaches little.
_FEW_ROWS = 50

#: How many times the rows there are without features that cost rows, so that it is better.
_MANY_MORE = 2

#: Features whose ranges are listed, at most.
_MOST_LISTED = 40

#: Said of data that nothing can be learned from.
_MOTIONLESS = "Every feature is constant: there is no motion to learn."


@dataclass(frozen=True)
class Check:
    """What :func:`check` found."""

    #: What the file holds, mended if it had to be; None if it could not be.
    data: Trajectories | None
    problem: str | None = None  # why it cannot be used as it is
    notes: list[str] = field(default_factory=list)  # what stands out, and what the repair does
    suggestions: list[str] = field(default_factory=list)  # what to do
    #: What a person would object to in the data; see :func:`pyhits.data.diagnostics.examine`.
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_usable(self) -> bool:
        """Whether the file can be learned from as it is."""
        return self.problem is None

    def as_dict(self) -> dict[str, object]:
        """Return what was found as plain values."""
        found = self.data
        shape = (
            {}
            if found is None
            else {
                "trajectories": len(found),
                "rows": found.n_rows,
                "shortest": int(found.lengths.min()),
                "longest": int(found.lengths.max()),
                "dt": found.dt,
                "step": found.axis.step_name(found.dt),
                "features": list(found.feature_names),
                "low": found.values.min(axis=0).astype(float).tolist(),
                "high": found.values.max(axis=0).astype(float).tolist(),
            }
        )
        return {
            "usable": self.is_usable,
            "problem": self.problem,
            "notes": self.notes,
            "suggestions": self.suggestions,
            "findings": [finding.as_dict() for finding in self.findings],
            **shape,
        }

    def __str__(self) -> str:
        lines = [] if self.problem is None else [f"As it is: {self.problem}"]
        if self.data is not None:
            mended = "" if self.problem is None else "Repaired: "
            table = self.data.summary().splitlines()
            lines.append(f"{mended}{self.data.size_name()}, {self.data.dtype}")
            lines += table[1 : _MOST_LISTED + 2]
            more = self.data.n_features - _MOST_LISTED
            if more > 0:
                lines.append(f"... and {more} more features")
        lines += [f"- {note}" for note in [*self.notes, *(f.message for f in self.findings)]]
        advice = [*self.suggestions, *(f.advice for f in self.findings)]
        lines += [f"> {suggestion}" for suggestion in dict.fromkeys(advice)]
        return "\n".join(lines)


def check(path: str | os.PathLike[str], *, inputs: Sequence[str] = (), **reading: Any) -> Check:
    """Find out what is in a file and whether it can be learned from.

    Parameters
    ----------
    path : str or path
    inputs : sequence of str
        Names of features that are inputs: they may jump, and are not judged.
    **reading
        How the file is read: any option of :func:`pyhits.read`.

    Raises
    ------
    FileFormatError, ArgumentError
        The file cannot be read at all.
    """
    Reading.of(**reading)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", PyHiTSWarning)
            data = read(path, **reading)
    except DataError as error:
        return _of_repair(path, str(error), reading, inputs)
    notes = [str(w.message) for w in said if issubclass(w.category, PyHiTSWarning)]
    notes = [*_of_times(data), *notes, *outlier_notes(data)]
    return Check(data, None, notes, _suggestions(data), _findings(data, reading, inputs))


def _of_repair(
    path: str | os.PathLike[str], problem: str, reading: dict[str, Any], inputs: Sequence[str]
) -> Check:
    """Return what a repair makes of a file that cannot be used as it is."""
    try:
        mended = repair(path, **reading)
    except DataError as error:
        notes = [] if str(error) == problem else [f"A repair fails too: {error}"]
        costly = error.costly if isinstance(error, LostRows) else []
        found = Check(None, problem, notes)
        return _without(costly, found, path, reading, inputs) if costly else found
    data = mended.trajectories
    suggestions = _suggestions(data)
    if _MOTIONLESS not in suggestions:
        command = (
            f"{fit_command(path, reading, inputs)} --repair trains on the repaired data; "
            "--gaps fill interpolates short gaps, --gaps cut cuts there, --drop-outliers takes "
            "outliers as missing."
        )
        suggestions.insert(0, command)
    known = set(axis_notes(data.axis))
    notes = [*_of_times(data), *(note for note in mended.notes if note not in known)]
    found = Check(data, problem, notes, suggestions, _findings(data, reading, inputs))
    return _without(mended.costly, found, path, reading, inputs) if mended.costly else found


def _without(
    costly: list[str],
    found: Check,
    path: str | os.PathLike[str],
    reading: dict[str, Any],
    inputs: Sequence[str],
) -> Check:
    """Return what is found without features that cost rows, if that is much more."""
    rest = {**reading, "without_columns": [*_listed(reading.get("without_columns")), *costly]}
    try:
        other = check(path, **rest, inputs=inputs)
    except PyHiTSError:
        return found
    n_rows = 0 if found.data is None else found.data.n_rows
    if other.data is None or other.data.n_rows <= _MANY_MORE * n_rows:
        return found
    lost = [note for note in found.notes if "of the rows are lost" in note]
    advice = other.suggestions
    if other.is_usable:
        advice = [f"{fit_command(path, rest, inputs)} trains on the other features.", *advice]
    return replace(other, problem=found.problem, notes=[*lost, *other.notes], suggestions=advice)


def fit_command(
    path: str | os.PathLike[str], reading: dict[str, Any], inputs: Sequence[str] = ()
) -> str:
    """Return the command that fits a file that is read so, as a shell takes it.

    Parameters
    ----------
    reading : dict
        Arguments of :func:`pyhits.read`; what is None is left out.
    """
    words = ["pyhits", "fit", os.fspath(path), "-o", "model.safetensors"]
    for name, value in reading.items():
        option = f"--{name.replace('_', '-')}"
        if name == "header" and value is not None:
            words.append("--header" if value else "--no-header")
        elif value is True:
            words.append(option)
        elif value is not None and value is not False:
            words += [option, _as_option(name, value)]
    for name in inputs:
        words += ["--input", name]
    return shlex.join(words)


def _as_option(name: str, value: Any) -> str:
    """Return the value of an option as the command line takes it."""
    if name == "grid" and not isinstance(value, str):
        return "x".join(map(str, getattr(value, "snapshot", value)))
    return as_list(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [] if value is None else [value]


def _of_times(data: Trajectories) -> list[str]:
    """Say from when to when the data go, and once how they step."""
    first, last = data.span()
    calendar = axis_notes(data.axis)
    step = "" if calendar else f", step {data.axis.step_name(data.dt)}"
    unknown = "" if data.dt_known else " (nothing says dt, so it is 1; give it with --dt)"
    return [f"Times from {first} to {last}{step}{unknown}.", *calendar]


def _findings(data: Trajectories, reading: dict[str, Any], inputs: Sequence[str]) -> list[Finding]:
    return examine(data, inputs=inputs, grid_is_said=reading.get("grid") is not None)


def _suggestions(data: Trajectories) -> list[str]:
    """Say what to do about data that can be read."""
    found = []
    if data.n_features > _MOST_FEATURES:
        found.append(f"{data.n_features} features are many: --encoder pod=16 steps modes of them.")
    flat = int((np.ptp(data.values, axis=0) == 0).sum())
    if flat == data.n_features:
        found.append(_MOTIONLESS)
    if data.n_rows < _FEW_ROWS:
        found.append(f"{data.n_rows} rows are few; expect a rough model.")
    return found
