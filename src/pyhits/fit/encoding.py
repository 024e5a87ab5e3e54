"""The stages that encode the data: as asked for, or with the delays that the data need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pyhits.coordinates.coordinates import later_rows
from pyhits.encoders import Chain, DelayEmbedding
from pyhits.encoders.chain import links, without_idle
from pyhits.fit.angles import take_angles
from pyhits.fit.input_delays import delay_inputs
from pyhits.fit.planning import FEW_TRAJECTORIES
from pyhits.fit.problem import Parts, Problem
from pyhits.fit.shares import UNTIL
from pyhits.noise import noise_level
from pyhits.training.lags import choose_lags
from pyhits.training.size import check_training_size
from pyhits.util.checks import check_row_length
from pyhits.util.clock import Clock
from pyhits.util.progress import bar, say

#: Noise, in standard deviations, from which on neighbouring rows do not tell how a state changes.
_NOISY = 1e-3

#: Features of a recording whose state may need several rows, at most; beyond, an encoder says so.
_MOST_DELAYED = 8


def encode(problem: Problem, clock: Clock) -> Problem:
    """Fit the encoders that were asked for, or the delays that recordings need, and encode.

    Raises
    ------
    DataError, ArgumentError
        The encoders do not fit the data, or states are too long for the memory.
    """
    problem = take_angles(problem, clock)
    if problem.encoder is not None:
        with clock.stage("encoders"):
            encoder = problem.encoder.fit_in_time(
                problem.states.train, clock.until(UNTIL["encoders"])
            )
        problem = replace(problem.noted(*encoder.notes()), encoder=without_idle(encoder))
    elif problem.settings.encoder is None and not problem.input_names:
        with clock.stage("delays"):
            problem = _with_needed_delays(problem, clock.until(UNTIL["delays"]))
    if problem.encoder is not None:
        problem = _encoded(problem, problem.encoder)
    problem = delay_inputs(problem, clock)
    _check_size(problem)
    return problem


def add_rows(problem: Problem, clock: Clock) -> Problem:
    """Join rows to states where few points without noise are stepped better for it."""
    settings, recipe = problem.settings, problem.recipe
    train, held = problem.states
    few = recipe.is_closed and len(train) < FEW_TRAJECTORIES
    asked = problem.encoder is not None or settings.encoder is not None or problem.input_names
    if not few or asked or problem.noise is not None:
        return problem
    finest = problem.step_sizes[0] if problem.step_sizes else settings.dense
    stage = "rows of a state"
    with bar(stage, verbose=settings.verbose) as progress, clock.stage(stage):
        lags = choose_lags(
            train,
            held,
            recipe.flow_map,
            finest,
            clock=clock.until(UNTIL[stage]),
            progress=progress,
        )
    problem = problem.noted(lags.note())
    if lags.n_rows == 1:
        return problem
    encoder = Chain([DelayEmbedding(lags.n_rows)]).fit(train)
    return problem.with_states(encoder.transform(train), encoder.transform(held), encoder=encoder)


def _encoded(problem: Problem, encoder: Chain) -> Problem:
    """Return the problem in the coordinates of a fitted encoder."""
    train, held = problem.states
    inputs = problem.inputs
    if inputs is not None:
        lost = encoder.history - 1
        pairs = zip(inputs, problem.states, strict=True)
        inputs = Parts(*(later_rows(acting, states, lost) for acting, states in pairs))
    encoded = encoder.transform(train)
    problem = problem.with_states(
        encoded, encoded if held is train else encoder.transform(held), inputs=inputs
    )
    return problem.noted(
        f"Encoded: {train.n_features} features as {encoded.n_features} coordinates, by "
        f"{', '.join(map(repr, encoder.encoders))}."
    )


def _with_needed_delays(problem: Problem, clock: Clock) -> Problem:
    """Add delays without which recordings do not show their state.

    Of few points without noise the rollouts that choose closed forms choose the rows of a state as
    well. Of many trajectories of one variable, which are forecast from first states, delays are
    only spoken of.
    """
    train, held = problem.states
    recipe = problem.recipe
    few = recipe.resolve(train.n_features, len(train), train.n_rows).is_closed
    several = len(train) >= FEW_TRAJECTORIES
    if train.n_features > (1 if several else _MOST_DELAYED) or recipe.windows != "anywhere":
        return problem
    if few and not (noise_level(train) > _NOISY * train.spread()).any():
        return problem
    say("Looking whether one row tells the next.", verbose=problem.settings.verbose)
    delays = DelayEmbedding("auto")
    found = Chain([delays]).fit_in_time(train, clock)
    choice = delays.choice_
    # What moves to and fro in one variable has a state of more.
    if choice is None or not (choice.needed or (train.n_features == 1 and choice.n_delays > 1)):
        return problem
    if several or held.lengths.min() < 2 * found.history:
        return problem.noted(
            "One row does not tell the next, as if a variable were missing: try encoder='auto', "
            "which takes delays."
        )
    note = f"{choice.note()} One row does not tell the next; encoder=[] takes one."
    return replace(problem.noted(note), encoder=found)


def _check_size(problem: Problem) -> None:
    """Raise an ArgumentError where states are too long, or nets too wide, for the memory."""
    settings, train = problem.settings, problem.states.train
    n_features = train.n_features + problem.input_width
    resolved = problem.recipe.resolve(n_features, len(train), train.n_rows)
    as_they_are = settings.encoder is not None and not links(settings.encoder)
    asked = as_they_are or settings.hidden_sizes is not None
    check_row_length(n_features, is_field=train.snapshot is not None, asked=asked)
    itemsize = np.dtype("float64" if settings.dtype == "float64" else "float32").itemsize
    own = settings.hidden_sizes
    by_scale = own.values() if isinstance(own, Mapping) else ()
    for hidden in (resolved.hidden_sizes or (), *by_scale):
        check_training_size(resolved, n_features, hidden, settings.dense, itemsize)
