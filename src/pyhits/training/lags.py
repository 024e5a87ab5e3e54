"""How many past rows a state holds, and how far apart they lie: chosen by rollouts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from pyhits.data.stretches import evenly
from pyhits.data.stubs import rows_of_most
from pyhits.data.trajectories import Trajectories
from pyhits.encoders.standardise import Standardise
from pyhits.encoders.staterows import GOOD, StateRows
from pyhits.flowmaps.form import Form, Increments, Units
from pyhits.flowmaps.kernel import KernelForm
from pyhits.flowmaps.odes import ODEForm
from pyhits.numerics.basis import n_monomials
from pyhits.numerics.periods import find_period
from pyhits.training.comparison import units_of
from pyhits.training.delayed import PENALTIES, DelayedRollouts, DelayedRows, Windows
from pyhits.training.rollouts import LOST
from pyhits.util.clock import UNLIMITED, Clock, TimeIsUpError

#: Adjacent rows that are tried, and of rows further apart how many, at which lags.
_ADJACENT = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 100)
_SPREAD, _LAGS = (2, 3, 4, 6, 8, 12), (2, 3, 4, 6, 8, 12, 16, 24, 32, 48)

#: Coordinates of a state at most, of modes, of one of whole periods, and of one whose rows lie
#: apart; and rows that a state spans.
_MOST_COORDINATES, MOST_OF_MODES, _MOST_OF_PERIODS, _MOST_SPREAD, _LONGEST = 100, 200, 200, 32, 300

#: Monomials above degree 1, at most, and of one row or two; and the parts of the windows that they,
#: and those of degree 1, may be.
_MOST_TERMS, _MOST_OF_TWO, _SHARE, _LINEAR_SHARE = 256, 512, 0.6, 0.8

#: Degrees, and part of the error of the last that the next must reach for another to be tried.
_DEGREES, _RISING = (1, 2, 3, 4, 5, 6), 2.0

#: Rollouts and their steps, at most.
_ROLLOUTS, _STEPS = 48, 100

#: Rollouts and their steps, windows, as many for each coordinate, degrees, penalties of the first
#: look at all sets, and the part of the sets that is looked at again.
_FEW_ROLLOUTS, _FEW_STEPS, _FEW_WINDOWS, _FEW_EACH = 12, 50, 500, 20
_FEW_DEGREES, _FEW_PENALTIES, _AGAIN = _DEGREES[:3], PENALTIES[::2], 0.2

#: Error below which rounding decides; and the multiples of the best error that adjacent rows may
#: have, of which a step finds the newest alone, and fewer rows within a standard error.
_EXACT, _ADJACENT_AS_GOOD, _AS_GOOD = 1e-8, 1.15, 1.05

#: Windows that kernels are fitted to, and their lengths.
_CENTRES, _LENGTHS = 500, (1.0, 4.0)

#: Sets of rows that kernels are tried on, and the error from which on nothing is known of a state.
_FINALISTS, _NOTHING = 2, 1.0


class Worth(NamedTuple):
    """What several rows must be worth, since forecasts take as many to start from."""

    least: float  # error of one row up to which it is good enough
    share: float  # part of that error which several rows must reach
    finer: float = 0.0  # part which two must reach where one is good enough, and not exact


#: Of a recording, which forecasts go on from, and of modes of one, most of whose motion may be
#: noise that no rows foretell; where forecasts start from states; and where several rows are asked
#: for, if they help; and where their number is given.
FROM_RECORDINGS, FROM_MODES = Worth(GOOD, 0.8, 0.8), Worth(GOOD, 0.97, 0.8)
FROM_STATES = Worth(0.1, 0.3)
ASKED_FOR, FOR_CERTAIN = Worth(0.02, 0.75), Worth(0.0, math.inf)

#: Error of one row from which on two may be finer, and rows of a recording that this takes.
_NEARLY_EXACT, _MANY_ROWS = 1e-9, 500


def longest_history(
    train: Trajectories,
    validation: Trajectories,
    coarsest: int,
    *,
    by_time: bool,
    most_coordinates: int = _MOST_COORDINATES,
) -> int:
    """Return the rows that a state may span at most.

    Parameters
    ----------
    coarsest : int
        Rows that must be left of the longest trajectory.
    by_time : bool
        The validation data are the ends of recordings: earlier rows are known of them.
    most_coordinates : int
        Of a state.
    """
    d, most = train.n_features, len(train.values)
    for part in (train,) if by_time else (train, validation):
        longest = int(part.lengths.max())
        most = min(most, longest // 2, longest - coarsest - 1, rows_of_most(part.lengths) - 2)
    period = find_period(list(train))
    return max(1, min(most, max(most_coordinates // d, min(2 * period, _LONGEST))))


def choose_rows(
    train: Trajectories,
    validation: Trajectories,
    history: int,
    *,
    worth: Worth = FROM_RECORDINGS,
    tried: Sequence[tuple[int, int]] | None = None,
    back: Callable[[np.ndarray], np.ndarray] | None = None,
    scaling: Standardise | None = None,
    dtype: str = "float64",
    odes: bool = False,
    most_coordinates: int = _MOST_COORDINATES,
    clock: Clock = UNLIMITED,
    progress: Callable[[int, int], None] | None = None,
) -> StateRows:
    """Return the rows that a state should hold.

    Polynomials of low degree of every set of rows are fitted to the training data and stepped
    through the validation data, all from the same rows; then kernels, of one row and of the best
    sets. Of sets that do as well, but for one standard error, the one of fewest rows is taken; one
    row where others gain little.

    Parameters
    ----------
    train, validation : Trajectories
        Each validation trajectory begins with ``history - 1`` rows that forecasts only look back
        to, as far as it has them.
    history : int
        Rows that a state may span; see :func:`longest_history`.
    worth : Worth
        What several rows must be worth.
    tried : sequence of (int, int), optional
        Numbers of rows and lags to try; by default many.
    back : callable, optional
        From rows to those in whose standard deviations errors are measured.
    scaling : Standardise, optional
        Of the states: of modes a common one, so that those which hold little count little.
    dtype : str
        Arithmetic of the flow maps.
    odes : bool
        Whether these may be differential equations, which one row of several features
        may follow.
    most_coordinates : int
        Of a state, unless it holds whole periods.
    """
    scaling = (scaling or Standardise()).refitted(train.values)
    data = DelayedRows(scaling.transform(train.values), train.offsets)
    rollouts = DelayedRollouts.of(
        scaling.transform(validation.values), validation.offsets, history, _ROLLOUTS, _STEPS
    )
    rollouts = replace(rollouts, dtype=dtype)
    if back is not None:
        rollouts = replace(rollouts, units=_units(scaling, back, train.values))
    period = find_period(list(train))
    errors = {(1, 1): _polynomials(data.windows(1, 1), rollouts)}
    if odes and train.n_features > 1 and errors[1, 1].mean() > _NEARLY_EXACT:
        units = units_of(scaling)
        errors[1, 1] = _least([errors[1, 1], *_odes(data.windows(1, 1), units, rollouts, clock)])
    if errors[1, 1].mean() >= worth.least:
        tried = tried or list(sets_of(train.n_features, history, period, most_coordinates))
        for rows in _promising(data, rollouts, tried, clock, progress):
            if clock.is_over:
                break
            errors[rows] = _polynomials(data.windows(*rows), rollouts)
    elif _may_be_finer(float(errors[1, 1].mean()), worth, train, history):
        errors[2, 1] = _polynomials(data.windows(2, 1), rollouts)
    ranked = sorted(errors, key=lambda rows: float(errors[rows].mean()))
    for rows in dict.fromkeys([(1, 1), *ranked[:_FINALISTS]]):
        if len(errors) == 1 or clock.is_over or errors[rows].mean() < GOOD:
            continue
        errors[rows] = _least([errors[rows], *_kernels(data, rollouts, *rows)])
    scores = {rows: float(own.mean()) for rows, own in errors.items()}
    return StateRows(*_chosen(errors, rollouts.independent, worth, period), scores)


def _may_be_finer(one: float, worth: Worth, train: Trajectories, history: int) -> bool:
    """Whether two rows may give steps of higher order than one, whose error is good.

    A step of a polynomial in two rows has the order of a two-step method; chaos makes much of it.
    """
    is_long = train.n_features > 1 and int(train.lengths.max()) >= _MANY_ROWS
    return worth.finer > 0 and history > 1 and one > _NEARLY_EXACT and is_long


def _units(
    scaling: Standardise, back: Callable[[np.ndarray], np.ndarray], values: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """Return what takes scaled rows to others, in the standard deviations of these."""
    own = Standardise().fit(back(values))
    return lambda rows: np.asarray(own.transform(back(scaling.inverse_transform(rows))))


def sets_of(
    d: int, history: int, period: int, most_coordinates: int = _MOST_COORDINATES
) -> Iterator[tuple[int, int]]:
    """Yield numbers of rows of ``d`` features and lags that are tried, the fewest rows first."""
    adjacent = {*_ADJACENT, *((period, period + 1, 2 * period) if period > 1 else ())}
    spread = {(n, lag) for n in _SPREAD for lag in _LAGS if n * d <= _MOST_SPREAD}
    most = max(most_coordinates, min(2 * period, _MOST_OF_PERIODS)) // d
    ways = {(n, 1) for n in adjacent if n <= most} | spread
    quarter = max(2, -(-period // 4)) if period > 1 else max(_LAGS)
    for n, lag in sorted(ways):
        if (n - 1) * lag < history and (lag == 1 or lag <= quarter):
            yield n, lag


def _promising(
    data: DelayedRows,
    rollouts: DelayedRollouts,
    tried: Sequence[tuple[int, int]],
    clock: Clock,
    progress: Callable[[int, int], None] | None,
) -> list[tuple[int, int]]:
    """Return the sets that do best in few rollouts of polynomials of few windows."""
    few, scores = rollouts.at_most(_FEW_ROLLOUTS, _FEW_STEPS), {}
    for k, rows in enumerate(tried):
        if clock.is_over:
            clock.cut("the choice of the rows of a state")
            break
        windows = data.windows(*rows, max(_FEW_WINDOWS, _FEW_EACH * rows[0] * data.n_features))
        errors = _polynomials(windows, few, _FEW_DEGREES, _FEW_PENALTIES)
        scores[rows] = float(errors.mean())
        if progress is not None:
            progress(k + 1, len(tried))
    ranked = sorted(scores, key=lambda rows: max(scores[rows], _EXACT))
    return ranked[: max(1, round(_AGAIN * len(ranked)))]


def linear_errors(windows: Windows, rollouts: DelayedRollouts) -> np.ndarray:
    """Return the errors of rollouts of the best linear map; lost ones where windows are too few."""
    return _polynomials(windows, rollouts, _DEGREES[:1])


def _polynomials(
    windows: Windows,
    rollouts: DelayedRollouts,
    degrees: Sequence[int] = _DEGREES,
    penalties: Sequence[float] = PENALTIES,
) -> np.ndarray:
    """Return the errors of rollouts of the best polynomial; lost ones where windows are too few."""
    best = np.full(len(rollouts.starts), LOST)
    most = _MOST_OF_TWO if windows.n_rows <= 2 else _MOST_TERMS
    for degree in degrees:
        terms = n_monomials(windows.states.shape[1], degree)
        share = _LINEAR_SHARE if degree == 1 else _SHARE
        if terms > share * len(windows.states) or (degree > 1 and terms > most):
            break
        errors = rollouts.of_polynomials(windows, degree, penalties)
        if errors.mean() > _RISING * best.mean():
            break
        best = errors if errors.mean() < best.mean() else best
    return best


def _odes(
    windows: Windows, units: Units, rollouts: DelayedRollouts, clock: Clock
) -> Iterator[np.ndarray]:
    """Yield the errors of rollouts of the vector field that does best in few of them, if any."""
    some = evenly(len(windows.states), ODEForm.most_states[0])
    every = Increments(windows.states[some], windows.all_changes[some], units=units, clock=clock)
    few, tried = rollouts.at_most(_FEW_ROLLOUTS, _FEW_STEPS), dict[Form, float]()

    def rate(form: ODEForm) -> float:
        forms, steps = form.candidates(every, near=True)

        def step(states: np.ndarray) -> np.ndarray:
            return steps(torch.from_numpy(states).double()).numpy()

        scores = few.errors(windows, step, len(forms)).mean(axis=1)
        tried[forms[int(scores.argmin())]] = float(scores.min())
        return float(scores.min())

    best, failures = np.inf, 0
    try:
        for form in ODEForm.of_degrees(every):
            error = rate(form)
            best, failures = min(best, error), 0 if error < best else failures + 1
            if best < _NEARLY_EXACT or failures > 1:
                break
        if best > _NEARLY_EXACT:
            for form in ODEForm.with_functions(every):
                rate(form)
    except TimeIsUpError:
        clock.cut("the look for equations, by which one row may be enough")
    if tried:
        flow_map = min(tried, key=lambda form: tried[form]).solve(every)
        with torch.inference_mode():
            yield from rollouts.errors(
                windows, lambda states: flow_map(torch.from_numpy(states[0])).numpy()[None], 1
            )


def _kernels(
    data: DelayedRows, rollouts: DelayedRollouts, n_rows: int, lag: int
) -> Iterator[np.ndarray]:
    """Yield the errors of rollouts of kernels."""
    windows = data.windows(n_rows, lag)
    some = evenly(len(windows.states), _CENTRES)
    every = Increments(windows.states[some], windows.all_changes[some])
    for length in _LENGTHS:
        form = KernelForm(1, kernel="gaussian", length=length, whitening=1.0)
        with torch.inference_mode():
            forms, steps = form.candidates(every, near=False)

            def step(states: np.ndarray) -> np.ndarray:
                return steps(torch.from_numpy(states).double()).numpy()  # noqa: B023

            yield _least(list(rollouts.errors(windows, step, len(forms))))


def _least(errors: list[np.ndarray]) -> np.ndarray:
    """Return the errors whose mean is least."""
    return min(errors, key=lambda own: float(own.mean()))


def _chosen(
    errors: dict[tuple[int, int], np.ndarray], independent: float, worth: Worth, period: int
) -> tuple[int, int]:
    """Return the number of rows and the lag: the fewest rows that do as well as the best."""
    best = min(errors, key=lambda rows: float(errors[rows].mean()))
    least = float(errors[best].mean())
    one = float(errors[1, 1].mean())
    if one < worth.least and best == (2, 1) and least <= worth.finer * one:
        return best
    if one < worth.least or least > worth.share * one or least > _NOTHING:
        return 1, 1
    adjacent = [rows for rows in errors if rows[1] == 1 and rows[0] > 1]
    ways = [rows for rows in errors if rows != (1, 1)]
    if adjacent:
        beside = min(adjacent, key=lambda rows: float(errors[rows].mean()))
        if errors[beside].mean() <= max(_ADJACENT_AS_GOOD * least, _EXACT):
            best, ways = beside, adjacent
    as_good = []
    for rows in sorted(ways):
        own, worse = float(errors[rows].mean()), errors[rows] - errors[best]
        within = worse.mean() <= worse.std() / independent**0.5
        if (within and own <= _AS_GOOD * errors[best].mean()) or own < _EXACT:
            as_good.append(rows)
    # Where noise decides, whole periods are what the next rows depend on.
    whole = [(n, 1) for n in (2 * period, period + 1, period) if (n, 1) in as_good]
    return whole[0] if whole and period > 1 and least > GOOD else as_good[0]
