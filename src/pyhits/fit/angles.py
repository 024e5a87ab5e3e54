"""The stage that takes angles for what they are."""

from __future__ import annotations

from dataclasses import replace

from pyhits.encoders import Angle, Chain
from pyhits.encoders.chain import AUTO, links
from pyhits.fit.problem import Problem
from pyhits.fit.shares import UNTIL
from pyhits.training.angle_rows import choose_angle_rows
from pyhits.training.recipe import FEW_TRAJECTORIES
from pyhits.util.clock import Clock


def take_angles(problem: Problem, clock: Clock) -> Problem:
    """Return the problem with an encoder of its angles, where nobody chose another.

    A recording's state is as many rows as rollouts of closed forms are best with.
    """
    asked = problem.settings.encoder
    is_auto = isinstance(asked, str) and asked == AUTO
    if not (asked is None or is_auto) or not problem.angles:
        return problem
    train, held = problem.states
    turns = problem.angles
    first, *others = sorted(set(turns.values()))
    own = [name for name, turn in turns.items() if turn == first]
    rows = 1
    errors: dict[int, float] = {}
    few = len(train) < FEW_TRAJECTORIES and problem.recipe.windows == "anywhere"
    if asked is None and few and not others and not problem.input_names:
        with clock.stage("delays"):
            rows, errors = choose_angle_rows(
                train,
                held,
                lambda rows: Angle(own, first, rows=rows),
                problem.step_sizes[0] if problem.step_sizes else problem.settings.dense,
                clock=clock.until(UNTIL["delays"]),
            )
    each = ([name for name in turns if turns[name] == turn] for turn in others)
    encoders = [Angle(own, first, rows=rows), *map(Angle, each, others)]
    shown = ", ".join(f"{name!r} (a turn is {turn:.6g})" for name, turn in turns.items())
    note = f"Angles: {shown}; their cosines and sines are stepped, and forecasts stay in range."
    if rows > 1:
        listed = ", ".join(f"{error:.2g} with {n}" for n, error in errors.items())
        note += f" A state is {rows} rows (errors of rollouts by rows: {listed})."
    chain = Chain([*encoders, *links(problem.encoder)])
    return replace(problem.noted(f"{note} encoder=[] takes them as numbers."), encoder=chain)
