"""The stage that takes angles for what they are."""

from __future__ import annotations

from dataclasses import replace

from pyhits.encoders import Angle, Chain
from pyhits.encoders.chain import AUTO, links
from pyhits.fit.problem import Problem


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
