"""How many past rows a flow map for few points should see, by the rollouts that choose its form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyhits.data.trajectories import Trajectories
from pyhits.encoders import DelayEmbedding, Standardise
from pyhits.training.search import FormSearch
from pyhits.training.windows import WindowSampler
from pyhits.util.clock import UNLIMITED, Clock

#: Rows that are tried.
_ROWS = (1, 2, 3)

#: More rows must reach the first part of the score of fewer, since forecasts take as many to start
#: from; and fewer will do where their score is below the second.
_WORTH, _GOOD = 0.5, 1e-3

#: Most coordinates of a state of several rows.
_MOST_COORDINATES = 24


@dataclass
class Lags:
    """What was found.

    Attributes
    ----------
    n_rows : int
        Rows that a state should hold.
    scores : dict of int to float
        By rows: mean error of rollouts of the finest step, in standard deviations.
    """

    n_rows: int
    scores: dict[int, float]

    def note(self) -> str:
        """Return the sentence that says what was chosen."""
        shown = ", ".join(f"{score:.2g} with {rows}" for rows, score in self.scores.items())
        if self.n_rows == 1:
            return f"A state is one row (errors of rollouts by rows: {shown})."
        return (
            f"A state is {self.n_rows} rows, as few do not show all that the next depends on "
            f"(errors of rollouts by rows: {shown}). Forecasts start from as many; encoder=[] does "
            "without."
        )


def choose_lags(
    train: Trajectories,
    validation: Trajectories,
    families: str,
    step_size: int,
    *,
    clock: Clock = UNLIMITED,
    progress: Callable[[int, int], None] | None = None,
) -> Lags:
    """Return how many rows a state should hold, judged at the finest step size."""
    scores: dict[int, float] = {}
    least = int(min(train.lengths.min(), validation.lengths.min()))
    for rows in _ROWS:
        if rows > 1 and (rows * train.n_features > _MOST_COORDINATES or least < rows + step_size):
            break
        if scores and clock.is_over:
            clock.cut("the choice of the rows of a state")
            break
        delays = DelayEmbedding(rows).fit(train)
        data = [delays.transform(part) if rows > 1 else part for part in (train, validation)]
        scaling = Standardise().fit(data[0].values)
        first, second = (WindowSampler(d.values, d.offsets, scaling, step_size) for d in data)
        scores[rows] = (
            FormSearch(first, second, families, clock=clock.part(1 / (len(_ROWS) - rows + 1)))
            .run()
            .score
        )
        if progress is not None:
            progress(rows, len(_ROWS))
        if scores[rows] < _GOOD:
            break
    enough = max(min(scores.values()) / _WORTH, _GOOD)
    return Lags(next(rows for rows, score in scores.items() if score <= enough), scores)
