"""The stage that finds when inputs act."""

from __future__ import annotations

from dataclasses import replace

from pyhits.encoders import Chain, DelayEmbedding
from pyhits.encoders.chain import links
from pyhits.fit.problem import Parts, Problem
from pyhits.fit.shares import UNTIL
from pyhits.training.input_lags import choose_input_lags
from pyhits.training.recipe import FEW_TRAJECTORIES
from pyhits.util.clock import Clock
from pyhits.util.progress import say

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
