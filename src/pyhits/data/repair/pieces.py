"""From rows in order to whole pieces on uniform grids: cut, filled or resampled."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pyhits.data.repair.gaps import alike, complete_stretches, fill
from pyhits.data.repair.grid import interpolate, left_out, places, uniform_grid, usual_step
from pyhits.data.repair.recording import Recording, counted, named_of
from pyhits.data.times import TimeAxis
from pyhits.errors import ArgumentError

#: Longest step that is bridged, in usual steps: a cubic spline says little about longer ones.
LONGEST_GAP = 5.0

#: Rows of the shortest piece that is kept: one that can be split by time.
SHORTEST = 3

#: Share of the spread from which on an interpolation is called doubtful.
_DOUBTFUL = 0.1

#: New rows for one old one, at most: more only repeat what interpolation guessed.
_MOST_NEW_ROWS = 1000

#: Pieces whose rows a note lists, at most.
_MOST_PIECES = 6


class Piece(NamedTuple):
    """Whole rows on a uniform grid."""

    number: int  # of the trajectory of the data given that it is a part of
    start: float  # time of its first row
    values: np.ndarray  # (n_rows, n_features)


@dataclass(frozen=True)
class RepairPlan:
    """The choices of :func:`repair`, checked."""

    resample: float | None
    method: str
    gaps: str
    longest_gap: float
    repeated: str
    disorder: str
    outliers: str

    @property
    def longest_hole(self) -> int:
        """Missing rows between known ones that are bridged, at most."""
        return int(self.longest_gap + 1e-9) - 1


def on_grid(
    recordings: list[Recording], dt: float, plan: RepairPlan, notes: list[str]
) -> list[Piece]:
    """Return the whole stretches of recordings on a uniform grid, each with its start."""
    longest = plan.longest_hole if plan.gaps == "fill" else 0
    parts: list[Piece] = []
    lost = 0
    step = _span(recordings[0].axis, dt)
    for recording in recordings:
        at = places(recording.times, dt)
        label = named_of(recording.number, recordings[-1].number + 1)
        absent = int(at[-1]) + 1 - len(at)
        is_whole = absent == 0 and not np.isnan(recording.values).any()
        if is_whole:
            parts.append(Piece(recording.number, float(recording.times[0]), recording.values))
            continue
        steps = np.diff(at)
        if absent:
            k = int(np.argmax(steps))
            gap = f"the longest gap is {_span(recording.axis, steps[k] * dt)}"
            when = f" at {recording.at(recording.times[k])}" if recording.axis.has_dates else ""
            notes.append(
                f"{label}{counted(absent, 'row')} of the grid of step {step} not there ({gap}, "
                f"behind row {recording.rows[k]}{when})."
            )
        # Long holes are cut out first, so that a pause of a year costs nothing.
        for a, b in _stretches(steps > max(longest + 1, LONGEST_GAP)):
            stretch = at[a:b] - at[a]
            grid = np.full((int(stretch[-1]) + 1, recording.values.shape[1]), np.nan)
            grid = grid.astype(recording.values.dtype, copy=False)
            grid[stretch] = recording.values[a:b]
            filled = 0
            if longest:
                grid, filled = fill(grid, longest, plan.method)
            if filled:
                notes.append(
                    f"{label}{counted(filled, 'number')} filled in by {plan.method} interpolation "
                    f"across gaps of up to {counted(longest, 'row')}."
                )
            found, short = complete_stretches(grid, SHORTEST)
            lost += short
            begin = float(recording.times[a])
            parts += [Piece(recording.number, begin + dt * i, grid[i:j]) for i, j in found.tolist()]
    notes += _on_pieces(recordings, parts, dt, lost)
    return parts


def _stretches(cut_behind: np.ndarray) -> list[tuple[int, int]]:
    """Return the stretches of rows between cuts; entry i cuts between the rows i and i + 1."""
    bounds = [0, *(np.flatnonzero(cut_behind) + 1).tolist(), len(cut_behind) + 1]
    return list(itertools.pairwise(bounds))


def resampled(
    recordings: list[Recording], known: float | None, plan: RepairPlan, notes: list[str]
) -> tuple[float, list[Piece]]:
    """Return the step, and the stretches of recordings interpolated to uniform grids."""
    usual = known if known is not None else usual_step([r.times for r in recordings])
    dt = plan.resample if plan.resample is not None else float(f"{usual:.6g}")
    if dt * _MOST_NEW_ROWS < usual:
        raise ArgumentError(
            f"resample={dt:g} makes more than {_MOST_NEW_ROWS} rows of each, which step by "
            f"{usual:.4g}; give a longer step."
        )
    seconds = " seconds" if recordings[0].axis.has_dates else ""
    longest = plan.longest_gap * max(usual, dt) * (1 + 1e-9)
    steps = np.concatenate([np.diff(r.times) for r in recordings])
    if known is None:
        notes.append(
            f"Times are uneven: steps from {steps.min():.4g} to {steps.max():.4g}, median "
            f"{usual:.4g}{seconds}."
        )
    parts: list[Piece] = []
    missed, lost = _Missed(recordings), 0
    for recording in recordings:
        for a, b in _stretches(np.diff(recording.times) > longest):
            stretch = recording.take(slice(a, b))
            grid = uniform_grid(stretch.times[0], stretch.times[-1], dt)
            values = _interpolated(stretch, grid, longest, plan, missed)
            found, short = complete_stretches(values, SHORTEST)
            lost += short
            values, begin = values.astype(recording.values.dtype), float(stretch.times[0])
            parts += [
                Piece(recording.number, begin + dt * i, values[i:j]) for i, j in found.tolist()
            ]
    notes += _on_interpolation(missed.share(), dt, usual, plan)
    gaps = int((steps > longest).sum())
    if gaps:
        notes.append(
            f"{counted(gaps, 'gap')} longer than {longest:.4g} (up to {steps.max():.4g}) not "
            "bridged: the recording is cut there."
        )
    notes += _on_pieces(recordings, parts, dt, lost)
    return dt, parts


def _on_interpolation(error: float, dt: float, usual: float, plan: RepairPlan) -> list[str]:
    """Say how rows were resampled, and how well that gives back those there are."""
    said = f"Resampled to the step {dt:g} by {plan.method} interpolation"
    if error > 0:
        said += f"; every other row gives back those between to {error:.2g} of the spread"
    notes = [f"{said}."]
    if error > _DOUBTFUL:
        notes.append(
            "Rows are too far apart for that interpolation to be trusted: what happens between "
            "them is guessed."
        )
    if plan.resample is not None and dt > 1.5 * usual:
        notes.append(
            f"The new step is longer than the rows' own, {usual:.4g}: nothing is averaged, so "
            "noise stays and fast motion is aliased."
        )
    return notes


class _Missed:
    """By how much every other row misses those between, over all recordings."""

    def __init__(self, recordings: list[Recording]) -> None:
        values = np.concatenate([r.values for r in recordings]).astype(np.float64)
        self._spread = np.nanstd(values, axis=0)
        self._squares = np.zeros(values.shape[1])
        self._counts = np.zeros(values.shape[1])

    def add(self, columns: np.ndarray, misses: np.ndarray) -> None:
        """Count the misses of some features, shape ``(n, n_columns)``."""
        self._squares[columns] += np.square(misses).sum(axis=0)
        self._counts[columns] += len(misses)

    def share(self) -> float:
        """Return the root mean square miss as a share of the spread, of the worst feature."""
        seen = (self._counts > 0) & (self._spread > 0)
        misses = np.sqrt(self._squares[seen] / self._counts[seen]) / self._spread[seen]
        return float(misses.max()) if len(misses) else 0.0


def _interpolated(
    recording: Recording, grid: np.ndarray, longest: float, plan: RepairPlan, missed: _Missed
) -> np.ndarray:
    """Return values on a grid, NaN where a gap is not bridged; ``missed`` counts the misses."""
    values = np.full((len(grid), recording.values.shape[1]), np.nan)
    for hole, columns in alike(np.isnan(recording.values)):
        known = np.flatnonzero(~hole)
        cut = np.diff(recording.times[known]) > longest
        if plan.gaps == "cut":
            cut |= np.diff(known) > 1
        for a, b in _stretches(cut):
            rows = known[a:b]
            if len(rows) < 2:
                continue
            t = recording.times[rows]
            x = recording.values[np.ix_(rows, columns)].astype(np.float64)
            inside = np.flatnonzero((grid >= t[0]) & (grid <= t[-1]))
            values[np.ix_(inside, columns)] = interpolate(t, x, grid[inside], plan.method)
            missed.add(columns, left_out(t, x, plan.method))
    return values


def _span(axis: TimeAxis, length: float) -> str:
    return axis.step_name(length) if axis.has_dates else f"{length:.6g}"


def _on_pieces(recordings: list[Recording], parts: list[Piece], dt: float, lost: int) -> list[str]:
    """Say into what recordings were cut, and how many rows lie in pieces too short to be kept."""
    notes = []
    n_given = len(recordings)
    if len(parts) not in (0, n_given):
        at = recordings[0].at
        spans = [
            f"{at(piece.start)} to {at(piece.start + dt * (len(piece.values) - 1))}"
            for piece in parts[:_MOST_PIECES]
        ]
        more = " ..." if len(parts) > _MOST_PIECES else ""
        pieces = "1 trajectory" if len(parts) == 1 else f"{len(parts)} trajectories"
        notes.append(
            f"{counted(n_given, 'recording')} cut into {pieces} (times {', '.join(spans)}{more})."
        )
    if lost:
        notes.append(f"{counted(lost, 'row')} in pieces of fewer than {SHORTEST} left out.")
    return notes
