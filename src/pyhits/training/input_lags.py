"""When inputs act: lags that regressions propose, compared by rollouts of closed forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pyhits.coordinates.coordinates import Coordinates
from pyhits.coordinates.inputs import Inputs, Lags
from pyhits.data.matching import with_inputs
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Chain, DelayEmbedding, Standardise
from pyhits.numerics.lag_regression import find_lags
from pyhits.training.jobs import JobSettings, TrainingData, make_jobs
from pyhits.training.recipe import Recipe
from pyhits.training.search import FormSearch
from pyhits.util.clock import UNLIMITED, Clock

#: Longest lag tried: rows, and parts of the shortest trajectory and of all rows.
_MOST, _OF_SHORTEST, _OF_ALL = 200, 4, 10

#: Rows of a state that are tried.
_ROWS = (1, 2, 3)

#: Errors of regressions below these parts of a simpler one's make another worth a rollout: of lags
#: for none, and of more rows of a state for fewer.
_PROMISING, _PROMISING_ROWS = 0.9, 0.6

#: Errors of rollouts likewise make it worth having; below the last nothing more is tried.
_WORTH, _WORTH_ROWS, _GOOD = 0.9, 0.5, 1e-6


@dataclass(frozen=True)
class InputLags:
    """When inputs act, and how many rows of a state are needed beside them."""

    lags: Lags  # rows back, of each input
    n_rows: int
    #: error, present: Errors of rollouts, in standard deviations: as chosen, and with the inputs
    #: of one row and one row of states.
    error: float
    present: float

    def note(self, names: Sequence[str]) -> str:
        """Return the sentence that says what was chosen."""
        each = zip(names, self.lags, strict=True)
        when = [f"{name} after {_listed(lags)} rows" for name, lags in each if lags != (0,)]
        found = [f"Inputs act later: {', '.join(when)}"] if when else []
        if self.n_rows > 1:
            found.append(f"{'a' if found else 'A'} state is {self.n_rows} rows")
        memory = max(max(lags) for lags in self.lags)
        before = (
            f" Forecasts take the inputs of the {memory} rows before their start as well."
            if memory
            else ""
        )
        return (
            f"{'; '.join(found)} (error of rollouts {self.error:.2g}, for {self.present:.2g} with "
            f"the inputs and states of one row).{before} encoder=[] does without."
        )


def choose_input_lags(
    train: Trajectories,
    validation: Trajectories,
    inputs: tuple[np.ndarray, np.ndarray],
    recipe: Recipe,
    step_size: int,
    *,
    one_row: bool,
    clock: Clock = UNLIMITED,
) -> InputLags | None:
    """Return when inputs act; None where nothing is gained by it.

    Parameters
    ----------
    train, validation : Trajectories
        States.
    inputs : pair of array, shape (n_rows, k)
        On their rows.
    recipe : Recipe
        Resolved.
    step_size : int
        At which rollouts step.
    one_row : bool
        Leave the state one row.
    """
    none: Lags = ((0,),) * inputs[0].shape[1]
    known = Inputs.of([str(k) for k in range(len(none))], inputs[0], train.offsets)
    shortest = int(min(train.lengths.min(), validation.lengths.min()))
    most = min(_MOST, shortest // _OF_SHORTEST, train.n_rows // _OF_ALL)
    candidates: list[tuple[int, Lags]] = []
    least = np.inf
    for rows in _ROWS[: 1 if one_row else None]:
        if clock.is_over or shortest < 4 * rows:
            break
        found = find_lags(
            train.values, inputs[0], train.offsets, n_rows=rows, most=most, varying=known.varying
        )
        lags = found.lags if found.error < _PROMISING * found.present else none
        error = min(found.error, found.present)
        if rows == 1:
            least = error
            candidates += [(1, lags)] if lags != none else []
        elif error < _PROMISING_ROWS**2 * least:
            least = error
            candidates.append((rows, lags))
    if not candidates:
        return None
    part = clock.part(1 / (1 + len(candidates)))
    how = recipe, step_size, part
    present = best = _error(train, validation, inputs, known, (1, none), *how)
    chosen = (1, none)
    for candidate in candidates:
        if best < _GOOD or clock.is_over:
            break
        error = _error(train, validation, inputs, known, candidate, *how)
        if error < (_WORTH if candidate[0] == chosen[0] else _WORTH_ROWS) * best:
            chosen, best = candidate, error
    if chosen == (1, none):
        return None
    return InputLags(chosen[1], chosen[0], best, present)


def _listed(lags: Sequence[int]) -> str:
    """Return lags in words: 3, 4 and 7."""
    texts = [str(lag) for lag in lags]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def _error(
    train: Trajectories,
    validation: Trajectories,
    inputs: tuple[np.ndarray, np.ndarray],
    known: Inputs,
    candidate: tuple[int, Lags],
    recipe: Recipe,
    step_size: int,
    clock: Clock,
) -> float:
    """Return the error of rollouts of the best closed form, in standard deviations."""
    rows, lags = candidate
    own = Coordinates(
        feature_names=train.feature_names,
        dt=train.dt,
        scaling=Standardise(),
        encoder=Chain([DelayEmbedding(rows)]).fit(train) if rows > 1 else None,
        inputs=replace(known, lags=lags),
    )
    first, second = (
        own.encode(with_inputs(part, acting))
        for part, acting in zip((train, validation), inputs, strict=True)
    )
    own = replace(own, scaling=Standardise().fit(first.states.values))
    scaled = own.scaled_inputs(first), own.scaled_inputs(second)
    assert scaled[0] is not None
    assert scaled[1] is not None
    data = TrainingData(
        first.states, second.states, own.scaling, (scaled[0], scaled[1]), own.trends
    )
    (job,) = make_jobs(data, JobSettings(recipe), [step_size])
    return FormSearch(job.train, job.validation, recipe.flow_map, clock=clock).run().score
