"""The stage that chooses how many modes of many columns are stepped: by rollouts of linear maps."""

from __future__ import annotations

import numpy as np

from pyhits.data.trajectories import Trajectories
from pyhits.encoders import POD, Chain, Standardise
from pyhits.encoders.chain import links
from pyhits.fit.many_columns import usual_modes
from pyhits.fit.problem import Problem
from pyhits.fit.shares import UNTIL
from pyhits.fit.state_rows import compared_rows
from pyhits.training.delayed import DelayedRollouts, DelayedRows
from pyhits.training.lags import linear_errors
from pyhits.util.clock import Clock

#: Factor from one number of modes that is tried to the next, the multiple of the least mean squared
#: error that more may have, and the part of what is missed of them that the others must hold for
#: more to be tried.
_FACTOR, _AS_GOOD, _LITTLE = 1.4, 1.1, 0.02

#: Rows of a state that are tried, at most.
_MOST_ROWS = 6

#: Rollouts and steps of each, at most.
_ROLLOUTS, _STEPS = 24, 100


def choose_modes(problem: Problem, clock: Clock) -> Problem:
    """Return the problem with as many modes as forecasts are better for, where defaults took them.

    Few modes leave out what the others hold, which no map of theirs forecasts; of many modes maps
    are told less well by the same rows. So linear maps of some rows of more and more modes are
    stepped through the validation data, and what is left out counts as missed.
    """
    chain, split = problem.encoder, problem.split
    modes = links(chain)[-1] if chain is not None else None
    is_open = problem.settings.encoder is None and not problem.input_names
    if chain is None or not isinstance(modes, POD) or not is_open or split.how == "none":
        return problem
    train = problem.states.train
    least = usual_modes(train.n_rows)
    if train.n_features <= least:
        return problem
    with clock.stage("modes"):
        held = compared_rows(problem, _history(train))
        n_modes = _best_number(train, held, least, clock.until(UNTIL["encoders"]))
    if n_modes == train.n_features:
        return problem
    few = Chain([*links(chain)[:-1], modes.leading(n_modes)])
    few.n_features_in_ = chain.n_features_in_
    parts = (part.select(part.feature_names[:n_modes]) for part in problem.states)
    train, held = parts
    return problem.with_states(train, held, encoder=few).noted(
        f"Of these {n_modes} modes are stepped: more do not make forecasts better."
    )


def _best_number(train: Trajectories, held: Trajectories, least: int, clock: Clock) -> int:
    """Return the most modes whose linear maps leave about the least of the validation data.

    In the end all rows are fitted to, which tell more modes.
    """
    missed: dict[int, float] = {}
    n_modes = least
    while True:
        stepped, left = _errors(train, held, n_modes)
        missed[n_modes] = stepped + left
        if n_modes == train.n_features or left < _LITTLE * stepped or clock.is_over:
            break
        n_modes = min(train.n_features, round(_FACTOR * n_modes))
    return max(n for n, own in missed.items() if own <= _AS_GOOD * min(missed.values()))


def _errors(train: Trajectories, held: Trajectories, n_modes: int) -> tuple[float, float]:
    """Return what linear maps of some modes miss of these, and what the others hold.

    Mean squares over the validation data, in parts of the variance of all.
    """
    kept, left = np.split(np.asarray(held.values), [n_modes], axis=1)
    variance = train.values.var(axis=0)
    scaling = Standardise(common=True).fit(train.values[:, :n_modes])
    data = DelayedRows(scaling.transform(train.values[:, :n_modes]), train.offsets)
    history = _history(train)
    rollouts = DelayedRollouts.of(scaling.transform(kept), held.offsets, history, _ROLLOUTS, _STEPS)
    tried = (linear_errors(data.windows(rows, 1), rollouts) for rows in range(1, history + 1))
    stepped = min(float(np.square(own).mean()) for own in tried)
    whole = float(variance.sum())
    return (
        stepped * float(variance[:n_modes].sum()) / whole,
        float(np.square(left).mean(axis=0).sum()) / whole,
    )


def _history(train: Trajectories) -> int:
    """Return how many rows states hold at most that are tried."""
    return max(1, min(_MOST_ROWS, int(train.lengths.max()) // 4))
