"""How many rows a state of angles holds, by rollouts of closed forms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Angle, Standardise
from pyhits.training.search import FormSearch
from pyhits.training.windows import WindowSampler
from pyhits.util.clock import UNLIMITED, Clock

#: Rows that are tried, and how many in turn must gain nothing for an end.
_ROWS, _PATIENCE = (1, 2, 3, 4, 6, 8, 12), 2

#: More rows must reach this part of the error of fewer; below the other, fewer will do. Most
#: coordinates of a state.
_WORTH, _GOOD, _MOST_COORDINATES = 0.7, 1e-6, 24

#: Parts of the shortest trajectory that a state may be long, one over.
_OF_SHORTEST = 5


def choose_angle_rows(
    train: Trajectories,
    validation: Trajectories,
    embed: Callable[[int], Angle],
    step_size: int,
    *,
    families: str = "closed",
    clock: Clock = UNLIMITED,
) -> tuple[int, dict[int, float]]:
    """Return how many rows a state should hold, and the errors of rollouts by rows.

    Parameters
    ----------
    train, validation : Trajectories
        With angles as they came.
    embed : callable
        Returns the encoder of so many rows.
    step_size : int
        At which rollouts step.
    families : str
        Of closed forms.
    """
    scores: dict[int, float] = {}
    shortest = int(min(train.lengths.min(), validation.lengths.min()))
    chosen, idle = 1, 0
    for rows in _ROWS:
        wide = rows * train.n_features > _MOST_COORDINATES
        if rows > 1 and (wide or rows > shortest // _OF_SHORTEST):
            break
        if scores and clock.is_over:
            clock.cut("the choice of the rows of a state")
            break
        encoder = embed(rows).fit(train)
        data = [encoder.transform(part) for part in (train, validation)]
        scaling = Standardise().fit(data[0].values)
        first, second = (WindowSampler(d.values, d.offsets, scaling, step_size) for d in data)
        search = FormSearch(first, second, families, clock=clock.part(1 / len(_ROWS)))
        score = search.run().score
        idle += 1
        if not scores or score < _WORTH * scores[chosen]:
            chosen, idle = rows, 0
        scores[rows] = score
        if min(scores.values()) < _GOOD or idle == _PATIENCE:
            break
    return chosen, {rows: float(np.round(score, 12)) for rows, score in scores.items()}
