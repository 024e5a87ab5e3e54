"""The stage that chooses how many past rows a state holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pyhits.data.stubs import long_enough
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import (
    POD,
    Angle,
    Bounded,
    Chain,
    DelayEmbedding,
    Encoder,
    Standardise,
    StateRows,
)
from pyhits.encoders.chain import links
from pyhits.fit.problem import Problem
from pyhits.fit.shares import UNTIL
from pyhits.fit.splitting import by_time
from pyhits.numerics.periods import find_period, spread_grows
from pyhits.training.lags import (
    FROM_MODES,
    FROM_RECORDINGS,
    FROM_STATES,
    MOST_OF_MODES,
    Worth,
    choose_rows,
    longest_history,
)
from pyhits.training.recipe import FEW_FEATURES, FEW_TRAJECTORIES
from pyhits.util.clock import Clock
from pyhits.util.progress import Advance, bar

#: Features whose past is looked at, at most: of few points, and of more.
_MOST_FEATURES, _MOST_OF_MANY = 32, 8

#: Part of the error of rollouts that logarithms must reach, and the sentence that says of them.
_BETTER = 0.95
_GROWS = "What moves grows with its level: logarithms are stepped."

#: Name of the stage.
_STAGE = "rows of a state"


def add_rows(problem: Problem, clock: Clock) -> Problem:
    """Join as many rows to a state as forecasts are better for, where nothing else was asked."""
    settings, before = problem.settings, links(problem.encoder)
    # Modes and angles that defaults have chosen show no more of the past than the rows themselves.
    other = not all(isinstance(link, (Angle, POD, Standardise)) for link in before)
    if other or settings.encoder is not None or problem.input_names or not _may_hold_rows(problem):
        return problem
    split = problem.split
    at_end = split.how == "time"
    train, held = problem.observed
    coarsest = max(problem.step_sizes, default=1) * (problem.recipe.rollout_steps or 1)
    most = {"most_coordinates": MOST_OF_MODES} if _are_modes(problem) else {}
    history = longest_history(train, held, coarsest, by_time=at_end, **most)
    if history < 2:
        return problem
    compared = compared_rows(problem, history)
    with bar(_STAGE, verbose=settings.verbose) as progress, clock.stage(_STAGE):
        first, found = _found(problem, (train, compared), history, clock, progress)
    problem = problem.noted(*([_GROWS] if first else []), found.note())
    if found.n_rows == 1:
        return problem
    problem = _of_length(problem, found.history)
    train, held = problem.split.train, problem.split.validation
    encoder = Chain([*before, *first, DelayEmbedding(found.n_rows, found.lag)]).fit(train)
    if problem.noise is not None:
        problem = _left_noisy(problem)
    return problem.with_states(
        encoder.transform(train), encoder.transform(held), encoder=encoder, noise=None
    )


def compared_rows(problem: Problem, history: int) -> Trajectories:
    """Return the validation states with ``history - 1`` rows before them, as far as known."""
    if problem.split.how != "time":
        held: Trajectories = problem.observed.validation
        return held
    fraction = problem.settings.validation.fraction
    compared = by_time(problem.split.whole, fraction, overlap=history)[1]
    if problem.encoder is None:
        return compared
    encoded: Trajectories = problem.encoder.transform(compared)
    return encoded


def _are_modes(problem: Problem) -> bool:
    """Whether states are modes of fields, or of many columns."""
    return any(isinstance(link, POD) for link in links(problem.encoder))


def _left_noisy(problem: Problem) -> Problem:
    """Return the problem with its noise left, on which nets have nothing to gain."""
    note = "Noise is left: the past rows average it"
    if problem.recipe.with_nets and problem.settings.flow_map.kind == "auto":
        problem = replace(problem, recipe=replace(problem.recipe, flow_map="closed"))
        note += ", and nets gain nothing there"
    return problem.noted(f"{note}.")


def _of_length(problem: Problem, history: int) -> Problem:
    """Return the problem with those trajectories that have more rows than a state spans."""
    split, n_rows = problem.split, history + 1
    whole = long_enough(split.whole, n_rows)
    lost = len(split.whole) - len(whole)
    if lost:
        some = "1 trajectory" if lost == 1 else f"{lost} trajectories"
        problem = problem.noted(f"Left out: {some} of no more than {history} rows.")
    train, held = split.train, split.validation
    if split.how == "time":
        train, held = by_time(whole, problem.settings.validation.fraction, overlap=history)
    train, held = long_enough(train, n_rows), long_enough(held, n_rows)
    return replace(problem, split=replace(split, whole=whole, train=train, validation=held))


def _found(
    problem: Problem,
    parts: tuple[Trajectories, Trajectories],
    history: int,
    clock: Clock,
    progress: Advance | None,
) -> tuple[list[Encoder], StateRows]:
    """Return the rows that are best, of the data or of their logarithms, and what takes these."""
    worth, limit = _worth(problem), clock.until(UNTIL[_STAGE])
    how: dict[str, Any] = {"worth": worth, "dtype": problem.dtype, "clock": limit}
    if _are_modes(problem):
        how["most_coordinates"] = MOST_OF_MODES
    how["odes"] = problem.encoder is None and problem.recipe.flow_map in ("best", "closed")
    found = choose_rows(*parts, history, scaling=problem.scaling, progress=progress, **how)
    known = list(parts[0])
    if not spread_grows(known, find_period(known)):
        return [], found
    positive = Bounded().fit(parts[0])
    grown = [positive.transform(part) for part in parts]
    back = positive.inverse_transform
    other = choose_rows(grown[0], grown[1], history, back=back, **how)
    if other.n_rows > 1 and other.score < _BETTER * found.score:
        return [positive], other
    return [], found


def _may_hold_rows(problem: Problem) -> bool:
    """Whether the past of the rows may be looked at."""
    few = problem.recipe.is_closed
    most = _MOST_FEATURES if few else _MOST_OF_MANY
    most = FEW_FEATURES if few and _are_modes(problem) else most
    solved = problem.noise is not None and problem.noise.method == "field"
    return (
        (problem.grid is None or problem.encoder is not None)
        and problem.states.train.n_features <= most
        and problem.recipe.windows == "anywhere"
        and problem.split.how != "none"
        and problem.recipe.flow_map != "ode"  # its equations are of single rows
        and not solved
    )


def _worth(problem: Problem) -> Worth:
    """Return what several rows must be worth: more where forecasts start from states."""
    if int(problem.split.whole.recordings[-1]) + 1 >= FEW_TRAJECTORIES:
        return FROM_STATES
    if _are_modes(problem):
        return FROM_MODES
    few = problem.recipe.is_closed
    return FROM_RECORDINGS if few or problem.states.train.n_features == 1 else FROM_STATES
