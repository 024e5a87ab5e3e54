"""The stage that encodes the data as asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pyhits.coordinates.coordinates import later_rows
from pyhits.encoders import Chain
from pyhits.encoders.chain import links, without_idle
from pyhits.fit.angles import take_angles
from pyhits.fit.input_delays import delay_inputs
from pyhits.fit.problem import Parts, Problem
from pyhits.fit.shares import UNTIL
from pyhits.training.size import check_field_size, check_training_size
from pyhits.util.checks import check_row_length
from pyhits.util.clock import Clock


def encode(problem: Problem, clock: Clock) -> Problem:
    """Fit the encoders that were asked for, and those of angles, and encode.

    Raises
    ------
    DataError, ArgumentError
        The encoders do not fit the data, or states are too long for the memory.
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
