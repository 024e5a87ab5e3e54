"""How well a polynomial of delays steps on by itself: a flow map in a hundredth of the time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pyhits.data.stretches import evenly
from pyhits.numerics.forecast_errors import row_errors
from pyhits.numerics.rollout import last_state
from pyhits.util.clock import UNLIMITED, Clock

if TYPE_CHECKING:
    from pyhits.numerics.basis import Monomials

#: Degrees tried, and monomials at most: as many as flow maps have, which are to do as well.
_DEGREES, _MOST_TERMS = (3, 2, 1), 256

#: Rows that the polynomial is fitted to, and rollouts, at most.
_ROWS, _ROLLOUTS = 8_000, 400

#: Ridge, relative to the mean square of the monomials of standardised coordinates.
_RIDGE = 1e-8

#: Error of a single rollout that counts as lost, in standard deviations, and the bound of states.
_LOST, _BOUND = 3.0, 20.0


def embedded(
    trajectories: Sequence[np.ndarray], n_delays: int, lag: int, first: int, last: int
) -> np.ndarray:
    """Return delay vectors of all rows from ``first`` on that have ``last`` rows after them."""
    parts = []
    for x in trajectories:
        rows = np.arange(first, len(x) - last)
        parts.append(x[rows[:, None] - lag * np.arange(n_delays)].reshape(len(rows), -1))
    return np.concatenate(parts)


def rollout_error(
    library: Sequence[np.ndarray],
    validation: Sequence[np.ndarray],
    n_delays: int,
    lag: int,
    first: int,
    horizon: int,
    clock: Clock = UNLIMITED,
) -> float:
    """Return the error of rollouts over ``horizon`` rows, in standard deviations.

    A polynomial of the delay vectors is fitted to their changes over one row by ridge regression,
    and iterated from validation rows. The root mean squared error of the newest row at the end of
    the rollouts; no single one counts as more than 3.

    Parameters
    ----------
    library, validation : sequence of array, each (time, d)
        To learn from, and to step on from.
    n_delays, lag : int
    first : int
        Row of each trajectory that the first vector belongs to.
    horizon : int
    clock : Clock, optional

    Raises
    ------
    TimeIsUpError
    """
    import torch  # here, since settings with encoders are checked without it

    from pyhits.numerics.ridge import Ridge

    clock.check()
    d = library[0].shape[1]
    known, later = (embedded(library, n_delays, lag, first + k, 1 - k) for k in (0, 1))
    starts, ends = (
        embedded(validation, n_delays, lag, first + k, horizon - k) for k in (0, horizon)
    )
    mean, spread = known.mean(axis=0), known.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    some, begin = evenly(len(known), _ROWS), evenly(len(starts), _ROLLOUTS)
    x, y, z, end = (
        (rows - mean) / spread for rows in (known[some], later[some], starts[begin], ends[begin])
    )
    basis = _basis(x.shape[1])
    ridge = Ridge(torch.from_numpy(basis(x.T).T), torch.from_numpy(y - x), products=True)
    squares = ridge.values.square()
    weights = ridge.solve(_RIDGE * float(squares.mean() / squares.max())).numpy()

    def step(rows: np.ndarray) -> np.ndarray:
        return np.asarray(np.clip(rows + basis(rows.T).T @ weights, -_BOUND, _BOUND))

    reached = last_state(step, z, horizon, clock=clock)
    error = row_errors(end[:, :d], reached[:, :d])
    return float(np.sqrt(np.square(np.minimum(error, _LOST)).mean()))


def _basis(n: int) -> Monomials:
    """Return the monomials of ``n`` coordinates, of the highest degree that leaves them few."""
    from pyhits.numerics.basis import Monomials, n_monomials  # torch, as above

    fit = (degree for degree in _DEGREES if n_monomials(n, degree) <= _MOST_TERMS)
    return Monomials(n, next(fit, _DEGREES[-1]))
