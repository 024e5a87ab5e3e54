"""The face of the repairs: from what users hold to trajectories, with notes on what was done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pyhits.data.files import naming, read_raw
from pyhits.data.files.guard import as_path
from pyhits.data.files.reading import Reading
from pyhits.data.packing import default_names
from pyhits.data.pieces import Pieces, check_step
from pyhits.data.repair.costly import LostRows, costly_features
from pyhits.data.repair.filling import why_filled
from pyhits.data.repair.grid import METHODS, grid_step, places, usual_step
from pyhits.data.repair.missing import empty_features, what_is_missing, without_infinite
from pyhits.data.repair.order import in_order, merged, without_missing_times
from pyhits.data.repair.outliers import Outlier, find_outliers, outlier_note
from pyhits.data.repair.pieces import LONGEST_GAP, SHORTEST, Piece, RepairPlan, on_grid, resampled
from pyhits.data.repair.recording import (
    Recording,
    counted,
    named_of,
    raw_pieces,
    recordings,
    with_times,
)
from pyhits.data.times.notes import axis_notes
from pyhits.data.times.uniform import same_step, step_error
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DataError
from pyhits.util.checks import as_choice, as_names, as_positive

#: Least share of a recording's rows that the grid's next row follows; others are resampled.
_LEAST_ON_GRID = 0.5


@dataclass(frozen=True)
class Repaired:
    """What :func:`repair` returns."""

    trajectories: Trajectories
    notes: list[str]  # what was found and done, one sentence each; empty if nothing was to be done
    outliers: list[Outlier]  # what stands out, by trajectory and row of the data given
    #: Int, (n_trajectories,): of which trajectory of the data given each one is a piece, in order.
    numbers: np.ndarray
    #: Features that cost so many rows that it may be better to leave them out.
    costly: list[str] = field(default_factory=list)

    def pieces(self, which: slice) -> Trajectories:
        """Return the trajectories that are some pieces of those given, as ``slice(-1, None)``."""
        number = self.numbers.tolist()
        of = {n: [k for k, other in enumerate(number) if other == n] for n in dict.fromkeys(number)}
        return self.trajectories[[k for places in of.values() for k in places[which]]]


def repair(
    data: Any,
    times: Any = None,
    dt: float | None = None,
    *,
    resample: float | None = None,
    method: str = "cubic",
    gaps: str = "auto",
    longest_gap: float = LONGEST_GAP,
    repeated: str = "average",
    disorder: str = "sort",
    outliers: str = "keep",
    feature_names: Sequence[str] | None = None,
    **reading: Any,
) -> Repaired:
    """Make trajectories of recordings with uneven times, gaps, missing values or outliers.

    Rows are put in order, missing values named and counted, recordings cut or filled where values
    are missing, and resampled to one step where the times are on no uniform grid. Values that stay
    are not changed unless the recording is resampled. Whatever is done is said in the notes.

    Parameters
    ----------
    data : path, or anything that Trajectories accepts
        NaN, infinity, None, masks and texts such as ``NA`` are missing values.
    times : array, shape (n_rows,), or list of such, optional
        Times of the rows, where the data carry none: numbers or dates, in any order.
    dt : float, optional
        Time between rows, where there are no times.
    resample : float, optional
        Step to resample to. By default only uneven recordings are resampled, to the median step;
        with ``like``, a fitted model, all whose step is another than its own, to that.
    method : {"cubic", "pchip", "linear"}
        How values between rows are found: by a cubic spline (error of order 4 in the step), by
        monotone cubic pieces, which overshoot nowhere, or by straight lines (order 2). Never
        beyond the first row and the last.
    gaps : {"auto", "cut", "fill"}
        Where values are missing, cut the recording into several, or interpolate across gaps of up
        to ``longest_gap`` and cut at longer ones. By default short gaps are
        filled in noisy rows, in one variable with many gaps, and where most rows lack something;
        other smooth recordings are cut, as interpolation would spoil them.
    longest_gap : float
        Longest step between two known rows that is bridged, in median steps.
    repeated : {"average", "refuse"}
        What to do with rows of equal times.
    disorder : {"sort", "refuse"}
        What to do with times that decrease. Where they start anew, the recording is cut.
    outliers : {"keep", "drop"}
        Point outliers out, or take them for missing values too; see
        :func:`pyhits.data.repair.outliers.find_outliers`.
    feature_names : sequence of str, optional
        One name a feature, instead of the data's own.
    **reading
        How a file, and times, are read: any option of :func:`pyhits.read`.

    Returns
    -------
    Repaired
        Trajectories, notes, outliers.

    Raises
    ------
    DataError
        Nothing whole is left, or the data have no numbers or no shape that can be read.
    ArgumentError
    FileFormatError
    """
    plan = RepairPlan(
        None if resample is None else as_positive(resample, "resample"),
        as_choice(method, "method", METHODS),
        as_choice(gaps, "way with gaps", ("auto", "cut", "fill")),
        as_positive(longest_gap, "longest_gap"),
        as_choice(repeated, "way with repeated times", ("average", "refuse")),
        as_choice(disorder, "way with disorder", ("sort", "refuse")),
        as_choice(outliers, "way with outliers", ("keep", "drop")),
    )
    how = Reading.of(dt=dt, **reading)
    if isinstance(data, (str, os.PathLike)):
        pieces = read_raw(data, dt=dt, **reading)
        pieces.dt = pieces.dt if pieces.dt is not None else how.dt
        how = how.of_file(as_path(data))
        with naming(as_path(data)):
            return _in_step(pieces, times, how, plan, feature_names)
    for option in ("variable", "header", "decimal", "rate", "mono", "height", "grey", "stretch"):
        given = getattr(how, option)
        if given not in (None, False) or (option == "header" and given is not None):
            raise ArgumentError(f"{option}={given!r} is for files; the data are in memory.")
    pieces = raw_pieces(data, how.dt if times is None else None, how.choice)
    return _in_step(pieces, times, how, plan, feature_names)


def _in_step(
    pieces: Pieces, times: Any, how: Reading, plan: RepairPlan, feature_names: Sequence[str] | None
) -> Repaired:
    """Return raw pieces repaired as planned, in the step of the model that they are read for."""
    found, model = _mended(pieces, times, how, plan, feature_names), how.model
    if model is None or plan.resample is not None:
        return found
    own = found.trajectories
    # The steps of a calendar are not resampled; the model says whether they are its own.
    in_seconds = own.axis.step is None and model.axis.step is None
    if not (in_seconds and own.dt_known and own.dt != model.dt):
        return found
    plan = replace(plan, resample=model.dt)
    return _mended(pieces, times, how, plan, feature_names)


def _mended(
    pieces: Pieces, times: Any, how: Reading, plan: RepairPlan, feature_names: Sequence[str] | None
) -> Repaired:
    """Return raw pieces repaired as planned."""
    pieces = pieces if times is None else with_times(pieces, times, how.choice.style)
    given = recordings(pieces)
    if not given:
        raise DataError("Expected at least one trajectory, got none.")
    if feature_names is not None:
        feature_names = as_names(feature_names, "feature_names")
    names = list(feature_names or pieces.feature_names or default_names(given[0].values.shape[1]))
    notes = [*pieces.notes, *axis_notes(pieces.axis)]
    given, names, dropped = empty_features(without_infinite(given, notes), names)
    notes += dropped
    ordered, outliers = _outliers(_ordered(given, plan, notes), names, plan, notes)
    notes += what_is_missing(ordered, names)
    plan = _settled(ordered, pieces, plan, notes)
    costly, said = costly_features(ordered, names, plan.gaps)
    notes += said
    step, parts = _in_pieces(ordered, pieces, how.dt, plan, notes)
    _expect_rows(parts, plan, costly, said, notes)
    is_known = pieces.times is not None or pieces.dt is not None or plan.resample is not None
    mended = Trajectories(
        Pieces([piece.values for piece in parts], dt=step if is_known else None),
        feature_names=names,
        start_times=[piece.start for piece in parts],
        axis=pieces.axis,
        grid=None if dropped else how.grid.of_rows(len(names), pieces.grid),
    )
    return Repaired(mended, notes, outliers, np.array([piece.number for piece in parts]), costly)


def _settled(
    ordered: list[Recording], pieces: Pieces, plan: RepairPlan, notes: list[str]
) -> RepairPlan:
    """Return the plan with what is done where values are missing."""
    if plan.gaps != "auto":
        return plan
    step: float | None = pieces.dt or 1.0
    if pieces.times is not None:
        step = _step(ordered, usual_step([r.times for r in ordered]))
    why = "" if plan.resample is not None else why_filled(ordered, step, plan.longest_hole)
    if not why:
        return replace(plan, gaps="cut")
    notes.append(f'{why}: short gaps are filled; gaps="cut" (--gaps cut) cuts there.')
    return replace(plan, gaps="fill")


def _outliers(
    ordered: list[Recording], names: list[str], plan: RepairPlan, notes: list[str]
) -> tuple[list[Recording], list[Outlier]]:
    """Return recordings without what stands out if that is planned, and where it was given."""
    found = find_outliers(
        np.concatenate([r.values for r in ordered]),
        [len(r) for r in ordered],
        np.concatenate([r.times for r in ordered]),
    )
    where = _where_given(found, ordered)
    if found:
        notes.append(outlier_note(where, names, dropped=plan.outliers))
    return (_without(ordered, found) if plan.outliers == "drop" else ordered), where


def _in_pieces(
    ordered: list[Recording], pieces: Pieces, dt: float | None, plan: RepairPlan, notes: list[str]
) -> tuple[float, list[Piece]]:
    """Return the step, and whole pieces on its grid: as the rows lie, or resampled."""
    has_times = pieces.times is not None
    usual = usual_step([r.times for r in ordered])
    step = _step(ordered, usual) if has_times else pieces.dt or 1.0
    starts = np.array([r.times[0] for r in ordered])
    error = step_error(starts, np.array([len(r) for r in ordered]), pieces.axis)
    if has_times:
        check_step(dt, step or usual, error)
    if step is not None and (plan.resample is None or same_step(plan.resample, step, error)):
        return step, on_grid(ordered, step, plan, notes)
    return resampled(ordered, step, plan, notes)


def _expect_rows(
    parts: list[Piece], plan: RepairPlan, costly: list[str], said: list[str], notes: list[str]
) -> None:
    """Raise an error where nothing is left that moves, with the features that cost it."""
    if not parts:
        raise LostRows(
            f"No {SHORTEST} whole rows stand together after the repair. "
            + " ".join(notes)
            + (' gaps="fill" (--gaps fill) interpolates short gaps.' if plan.gaps == "cut" else ""),
            costly,
        )
    if costly and not any(np.ptp(piece.values, axis=0).any() for piece in parts):
        raise LostRows(
            "Every feature is constant in the rows that are left after the repair. "
            + " ".join(said),
            costly,
        )


def _ordered(given: list[Recording], plan: RepairPlan, notes: list[str]) -> list[Recording]:
    """Return the recordings with times that are there, increase and do not repeat."""
    ordered = []
    for recording in given:
        label = named_of(recording.number, len(given))
        timed, said = without_missing_times(recording)
        parts, more = in_order(timed, plan.disorder)
        said += more
        for part in parts:
            once, more = merged(part, plan.repeated)
            said += more
            if len(once) > 1:
                ordered.append(once)
            else:
                said.append(f"{counted(len(once), 'row')} left out, too few to show a step.")
        notes += [label + text for text in said]
    if not ordered:
        raise DataError(f"There are no two rows with different times. {' '.join(notes)}")
    return ordered


def _step(recordings: list[Recording], usual: float) -> float | None:
    """Return the step of the uniform grid on which all rows lie, None if there is none."""
    times = [r.times for r in recordings]
    smallest = min(float(np.diff(t).min()) for t in times)
    for guess in (usual, smallest):
        step = grid_step(times, guess)
        if step is None:
            continue
        # One that steps twice as far as the others has no row beside another.
        if all((np.diff(places(t, step)) == 1).mean() >= _LEAST_ON_GRID for t in times):
            return step
    return None


def _where_given(found: list[Outlier], ordered: list[Recording]) -> list[Outlier]:
    """Number outliers by the trajectories and rows of the data given."""
    return [
        replace(
            outlier,
            trajectory=ordered[outlier.trajectory].number,
            row=int(ordered[outlier.trajectory].rows[outlier.row]),
        )
        for outlier in found
    ]


def _without(ordered: list[Recording], found: list[Outlier]) -> list[Recording]:
    """Return the recordings with NaN in place of outliers."""
    values = [r.values.copy() for r in ordered]
    for outlier in found:
        values[outlier.trajectory][outlier.row, outlier.feature] = np.nan
    return [replace(r, values=v) for r, v in zip(ordered, values, strict=True)]
