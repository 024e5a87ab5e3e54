"""The stage that encodes the data: as asked for, angles as such, inputs when they act."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pyhits.coordinates.coordinates import later_rows
from pyhits.encoders import Angle, Chain, DelayEmbedding
from pyhits.encoders.chain import AUTO, links, without_idle
from pyhits.fit.problem import Parts, Problem
from pyhits.fit.shares import UNTIL
from pyhits.training.input_lags import choose_input_lags
from pyhits.training.recipe import FEW_TRAJECTORIES
from pyhits.training.size import check_field_size, check_training_size
from pyhits.util.checks import check_row_length
from pyhits.util.clock import Clock
from pyhits.util.progress import say


def encode(problem: Problem, clock: Clock) -> Problem:
    """Fit the encoders that were asked for, and those of angles, and encode.

    Raises DataError, ArgumentError: the encoders do not fit the data, or states are too long for
    the memory.
    """
    problem = take_angles(problem)
    if problem.encoder is not None:
        with clock.stage("encoders"):
            encoder = problem.encoder.fit_in_time(
                problem.states.train, clock.until(UNTIL["encoders"])
            )
        problem = replace(problem.noted(*encoder.notes()), encoder=without_idle(encoder))
    if problem.encoder is not None:
        problem = _encoded(problem, problem.encoder)
    problem = delay_inputs(problem, clock)
    _check_size(problem)
    return problem


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


def _check_size(problem: Problem) -> None:
    """Raise an ArgumentError where states are too long, or nets too wide, for the memory."""
    settings, train = problem.settings, problem.states.train
    n_features = train.n_features + problem.input_width
    resolved = problem.recipe.resolve(n_features, len(train), train.n_rows, on_grid=problem.on_grid)
    if problem.on_grid and resolved.is_closed:  # maps of neighbours are as small on any grid
        check_field_size(n_features)
        return
    as_they_are = settings.encoder is not None and not links(settings.encoder)
    asked = as_they_are or settings.hidden_sizes is not None
    check_row_length(n_features, is_field=train.snapshot is not None, asked=asked)
    itemsize = np.dtype("float64" if settings.dtype == "float64" else "float32").itemsize
    own = settings.hidden_sizes
    by_scale = own.values() if isinstance(own, Mapping) else ()
    for hidden in (resolved.hidden_sizes or (), *by_scale):
        check_training_size(resolved, n_features, hidden, settings.dense, itemsize)


def take_angles(problem: Problem) -> Problem:
    """Return the problem with an encoder of its angles, where nobody chose another."""
    asked = problem.settings.encoder
    is_auto = isinstance(asked, str) and asked == AUTO
    if not (asked is None or is_auto) or not problem.angles:
        return problem
    turns = problem.angles
    encoders = [
        Angle([name for name in turns if turns[name] == turn], turn)
        for turn in sorted(set(turns.values()))
    ]
    shown = ", ".join(f"{name!r} (a turn is {turn:.6g})" for name, turn in turns.items())
    note = (
        f"Angles: {shown}; their cosines and sines are stepped, and forecasts stay in range. "
        "encoder=[] takes them as numbers."
    )
    return replace(problem.noted(note), encoder=Chain([*encoders, *links(problem.encoder)]))


#: Coordinates up to which inputs that act later are looked for.
_MOST_COORDINATES = 8


def delay_inputs(problem: Problem, clock: Clock) -> Problem:
    """Let inputs act from the rows back from which they do, and add rows to states beside them.

    The encoders are fitted, and states encoded by them.
    """
    train, held = problem.states
    settings, inputs = problem.settings, problem.inputs
    asked = settings.encoder
    as_it_is = asked is not None and not isinstance(asked, str) and not links(asked)
    if inputs is None or as_it_is or train.n_features > _MOST_COORDINATES:
        return problem
    say("Looking when inputs act.", verbose=settings.verbose)
    with clock.stage("delays"):
        found = choose_input_lags(
            train,
            held,
            (inputs.train, inputs.validation),
            problem.recipe.resolve(train.n_features, len(train), train.n_rows),
            problem.step_sizes[0] if problem.step_sizes else settings.dense,
            one_row=problem.encoder is not None or len(train) >= FEW_TRAJECTORIES,
            clock=clock.until(UNTIL["delays"]),
        )
    if found is None:
        return problem
    encoder = problem.encoder
    if found.n_rows > 1:
        encoder = Chain([DelayEmbedding(found.n_rows)]).fit(train)
    problem = replace(problem, encoder=encoder, lags=found.lags)
    own = problem.coordinates
    every = problem.split
    first = own.encode(every.train)
    second = first if every.validation is every.train else own.encode(every.validation)
    return problem.with_states(
        first.states, second.states, inputs=Parts(first.inputs, second.inputs)
    ).noted(found.note(problem.input_names))
