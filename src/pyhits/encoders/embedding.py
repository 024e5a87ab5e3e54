"""How many delays, and how far apart: chosen by rollouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pyhits.data.stretches import evenly
from pyhits.data.trajectories import Trajectories
from pyhits.encoders.pod import POD
from pyhits.encoders.standardise import Standardise
from pyhits.encoders.staterows import StateRows
from pyhits.numerics.periods import find_period
from pyhits.util.clock import UNLIMITED, Clock

#: Coordinates looked at, at most: the leading ones of more features hold what there is to see; and
#: of a state, which closed forms and nets are to step.
_COORDINATES, _MOST_OF_A_STATE = 6, 40

#: Trajectories from which on some of them are held out; of fewer the ends are. As in planning.
_SEVERAL = 5

#: Part of the data that is held out, and of the shortest trajectory that delays may span.
_HELD_OUT, _SPAN = 0.25, 0.5

#: Rows that are looked at, at most, and of which nothing can be compared.
_ROWS, _FEW = 20_000, 24

#: Delays that are tried of a given lag, and lags of given delays.
_COUNTS, _LAGS = range(2, 11), (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48)

#: A feature that varies less, relative to its size, is constant but for rounding.
_CONSTANT = 1e-12


def choose_delays(
    trajectories: Sequence[np.ndarray],
    *,
    n_delays: int | None = None,
    lag: int | None = None,
    clock: Clock = UNLIMITED,
) -> StateRows:
    """Choose the number of delays and their lag, or the one that is not given.

    Polynomials and kernels of past rows are fitted to a part of the data and stepped through the
    rest, by :func:`pyhits.training.lags.choose_rows`; delays must gain a quarter. Of more than six
    features the leading modes are looked at.

    Parameters
    ----------
    trajectories : sequence of array, each (time, d)
        Finite.
    n_delays, lag : int, optional
        What is given stays.
    clock : Clock, optional
        What is not told when it is over is left out, up to the choice itself: then there are no
        delays.
    """
    from pyhits.training import lags  # takes torch

    none = StateRows(n_delays or 1, lag or 1)
    span = int(_SPAN * min(len(x) for x in trajectories))
    data = _leading(_some(trajectories))
    if n_delays == 1 or data is None or data.n_rows < _FEW:
        return none
    several = len(data) >= _SEVERAL
    n = max(1, round(_HELD_OUT * len(data)))
    train, held = (data[:-n], data[-n:]) if several else data.split_time(_HELD_OUT)
    history = min(span, lags.longest_history(train, held, 1, by_time=not several))
    if n_delays is None and lag is None:
        every = lags.sets_of(data.n_features, history, find_period(list(train)))
        tried = [rows for rows in every if rows[0] * data.n_features <= _MOST_OF_A_STATE]
    else:
        counts, apart = [n_delays] if n_delays else _COUNTS, [lag] if lag else _LAGS
        tried = [(n, k) for n in counts for k in apart if (n - 1) * k < history]
    if history < 2 or not tried:
        return none
    if not several:
        held = data.split_time(_HELD_OUT, overlap=history)[1]
    worth = lags.ASKED_FOR if n_delays is None else lags.FOR_CERTAIN
    scaling = Standardise(common=True)  # modes that hold little count little
    found = lags.choose_rows(
        train, held, history, worth=worth, tried=tried, scaling=scaling, clock=clock
    )
    if n_delays is None:
        return found
    errors = {rows: error for rows, error in found.scores.items() if rows[0] == n_delays}
    if not errors:  # there was no time for any
        return none
    return replace(found, n_rows=n_delays, lag=min(errors, key=errors.__getitem__)[1])


def _some(trajectories: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return so many whole trajectories, or the ends of them, that rows are few enough."""
    long = [x for x in trajectories if len(x) > 1]
    step = max(1, -(-sum(map(len, long)) // _ROWS))
    chosen = evenly(len(long), max(min(len(long), 2 * _SEVERAL), len(long) // step))
    each = max(2, _ROWS // max(1, len(chosen)))
    return [np.asarray(long[k][-each:], dtype=np.float64) for k in chosen]


def _leading(trajectories: Sequence[np.ndarray]) -> Trajectories | None:
    """Return features that vary, each of standard deviation 1, or the leading modes of many."""
    if not trajectories:
        return None
    together = np.concatenate(trajectories)
    spread = together.std(axis=0)
    moving = spread > _CONSTANT * np.abs(together).max(axis=0)
    if not moving.any():
        return None
    if moving.sum() > _COORDINATES:
        scaled = POD(min(_COORDINATES, len(together))).fit_transform(together)
        scaled = scaled[:, scaled.std(axis=0) > _CONSTANT * spread.max()]
    else:
        scaled = (together[:, moving] - together[:, moving].mean(axis=0)) / spread[moving]
    return Trajectories(np.split(scaled, np.cumsum([len(x) for x in trajectories])[:-1]), 1.0)
