"""How many delays, and how far apart: what the data say about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyhits.encoders.delay_rollout import embedded, rollout_error
from pyhits.encoders.information import (
    LEAST_TARGETS,
    MOST_LIBRARY,
    cao,
    mutual_information,
    usual_lag,
)
from pyhits.encoders.pod import POD
from pyhits.util.clock import UNLIMITED, Clock, TimeIsUpError

#: Coordinates looked at, at most: the leading ones of more features hold what there is to see.
_COORDINATES = 6

#: Rows that are looked at, at most, and targets predicted.
_ROWS, _TARGETS = 20_000, 1_000

#: Delays tried, coordinates of all of them together, and lags looked at, at most.
_MOST_DELAYS, _MOST_COORDINATES, _MOST_LAG = 10, 40, 512

#: Rows of the rollouts that compare more delays, in lags, and how many times longer their windows
#: are at most. Polynomials of few delays are accurate over a few rows, but leave the attractor.
_HORIZON, _LONGEST = 8, 4

#: A feature that varies less, relative to its size, is constant but for rounding.
_CONSTANT = 1e-12

#: A window of delays spans this part of the shortest trajectory at most; less of a few long ones,
#: of which only a part is left to validate on.
_PART, _PART_OF_FEW = 2, 8

#: Trajectories from which on some of them are held out; of fewer the ends are. As in planning.
_SEVERAL = 5

#: Neighbours that a prediction averages over; d + 1 of them span d dimensions (Sugihara, May 1990),
#: and four tell embeddings apart in any.
_NEIGHBOURS = 4

#: More delays, or a shorter lag, must make the error so much smaller; errors below the second
#: number count as that, since flow maps do better than neighbours, which then tell no more.
_WORTH_IT, _GOOD_ENOUGH = 0.75, 0.02

#: Where E1 says that one row has no false neighbours, delays must make the error so much smaller:
#: neighbours are far where rows are few, and delays then help these, but not a flow map.
_CLEARLY = 0.3

#: Cao's E1 from which on it has settled. So many delays are taken if the error is then so many
#: times larger at most, unless the rows cannot be predicted: of white noise the error is 0.7.
_SETTLED, _AS_GOOD, _UNPREDICTABLE = 0.8, 1.1, 0.7

#: Parts of the time that is left that the lag and E1 may take.
_FOR_LAGS = 0.25

#: Delays whose lag the shortest trajectory must have room for.
_ROOM = 3


@dataclass(frozen=True)
class DelayChoice:
    """What was chosen, and the curves that it was chosen by.

    Attributes
    ----------
    n_delays, lag : int
    information : array, shape (n_lags,)
        Average mutual information, in bits, of rows 1, 2, ... apart; the mean over the features.
    information_lag : int
        First minimum of that, or the first zero of the correlation if that comes before.
    e1 : array, shape (n,)
        Cao's E1 of 1, 2, ... delays that far apart, which rises to 1 where more delays no longer
        part false neighbours; NaN where it cannot be told.
    e1_delays : int
        Delays at which it has settled; 0 if it has not.
    errors : array, shape (m,)
        Neighbours' prediction errors with 1, 2, ... delays, in units of the error of the forecast
        that nothing changes, on rows held out; empty where these are too few.
    fewest, fewest_lag : int
        Delays that neighbours need, and the lag of ``errors``.
    """

    n_delays: int
    lag: int
    information: np.ndarray
    information_lag: int
    e1: np.ndarray
    e1_delays: int
    errors: np.ndarray
    fewest: int
    fewest_lag: int

    def note(self) -> str:
        """Return a sentence for people."""
        if len(self.errors) == 0:
            return f"Delays: {self.n_delays}, as the rows are too few to compare any."
        settled = (
            f"Cao's E1 settles at {self.e1_delays}" if self.e1_delays else "E1 does not settle"
        )
        alone, error = float(self.errors[0]), float(self.errors[self.fewest - 1])
        how = (
            f"information and correlation suggest lag {self.information_lag}, {settled}, "
            f"neighbours predict held-out rows"
        )
        if self.n_delays == 1:
            return f"Delays: none; {how} with an error of {alone:.2g} without any."
        how += f" from {self.fewest} with an error of {error:.2g}, {alone:.2g} without delays"
        if (self.fewest, self.fewest_lag) != (self.n_delays, self.lag):
            how += ", and a polynomial steps on best with these"
        return f"Delays: {self.n_delays}, {self.lag} row(s) apart; {how}."

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything as named arrays, for model files."""
        numbers = [self.n_delays, self.lag, self.information_lag, self.e1_delays]
        return {
            "choice": np.array([*numbers, self.fewest, self.fewest_lag]),
            "information": self.information,
            "e1": self.e1,
            "errors": self.errors,
        }

    @classmethod
    def from_arrays(cls, **arrays: np.ndarray) -> DelayChoice:
        """Return what :meth:`arrays` holds."""
        n_delays, lag, information_lag, e1_delays, *fewest = (int(n) for n in arrays["choice"])
        information, e1, errors = (arrays[name] for name in ("information", "e1", "errors"))
        return cls(n_delays, lag, information, information_lag, e1, e1_delays, errors, *fewest)


def choose_delays(
    trajectories: Sequence[np.ndarray],
    *,
    n_delays: int | None = None,
    lag: int | None = None,
    clock: Clock = UNLIMITED,
) -> DelayChoice:
    """Choose the number of delays and their lag, or the one that is not given.

    The lag begins with the first minimum of the average mutual information (Fraser, Swinney 1986,
    Phys. Rev. A 33, 1134), or the first zero of the correlation if that comes before. Then nearest
    neighbours (Sugihara, May 1990, Nature 344, 734) predict rows that were held out, from
    embeddings of all sizes with that lag, with half of it and with lag 1; the fewest delays are
    taken that nothing beats by a quarter, or those at which Cao's E1 (1997, Physica D 110, 43) has
    settled where these are as good. Those are the fewest that tell the state; if a polynomial of
    more, over up to four times the rows, steps on by itself with an error smaller by a quarter,
    they are taken.

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
    rows = _leading(_some(trajectories))
    shortest = min(len(x) for x in trajectories)
    span = shortest // (_PART if len(trajectories) >= _SEVERAL else _PART_OF_FEW)
    room = max(1, span // max(_ROOM - 1, (n_delays or 1) - 1))
    information = mutual_information(rows, min(_MOST_LAG, room), clock=clock.part(_FOR_LAGS))
    first = usual_lag(rows, information)
    most = max(1, min(_MOST_DELAYS, _MOST_COORDINATES // rows[0].shape[1]))
    lags = [lag] if lag else sorted({first, -(-first // 2), 1}, reverse=True)
    # Delays by lag that trajectories are long enough for.
    allowed = {k: n_delays or max(1, min(most, (span - 1) // k + 1)) for k in lags}
    e1 = cao(rows, lags[0], allowed[lags[0]], clock=clock.part(_FOR_LAGS))
    settled = np.flatnonzero(e1 >= _SETTLED)
    e1_delays = int(settled[0]) + 1 if len(settled) else 0
    tried: dict[int, np.ndarray] = {}
    try:
        tried = _validate(rows, allowed, max(lags), clock)
    except TimeIsUpError:
        clock.cut("the choice of delays")
    if not tried:
        given = n_delays or 1, lag or 1
        return DelayChoice(*given, information, first, e1, e1_delays, np.zeros(0), *given)
    fewest = chosen = _fewest(tried, e1_delays, n_delays)
    if n_delays is None and fewest[0] > 1:
        try:
            chosen = _longer(rows, *fewest, allowed, clock)
        except TimeIsUpError:
            clock.cut("the comparison of more delays")
    errors = tried[fewest[1]]
    return DelayChoice(*chosen, information, first, e1, e1_delays, errors, *fewest)


def _fewest(tried: dict[int, np.ndarray], e1_delays: int, n_delays: int | None) -> tuple[int, int]:
    """Return the fewest delays, and their lag, that nothing beats by much.

    Parameters
    ----------
    tried : dict of int to array
        Errors of 1, 2, ... delays by lag, the longest first.
    e1_delays : int
        Delays at which E1 has settled; 0 if it has not.
    n_delays : int, optional
        If these are given.
    """
    longest = max(tried)
    chosen, best = (1, longest), np.inf
    for lag, found in tried.items():
        errors = np.maximum(found, _GOOD_ENOUGH)
        count = n_delays or 1 + int(np.argmax(errors <= errors.min() / _WORTH_IT))
        if lag == longest and count < e1_delays and n_delays is None:
            unsure = _GOOD_ENOUGH < errors[count - 1] < _UNPREDICTABLE
            if unsure and errors[e1_delays - 1] <= _AS_GOOD * errors[count - 1]:
                count = e1_delays
        if errors[count - 1] < _WORTH_IT * best:
            chosen, best = (count, lag), float(errors[count - 1])
    if n_delays is None:
        single = float(tried[chosen[1]][0])
        wanted = _CLEARLY * single if e1_delays == 1 else _UNPREDICTABLE
        if best > min(wanted, _UNPREDICTABLE):
            return 1, chosen[1]
    return chosen


def _longer(
    trajectories: Sequence[np.ndarray],
    n_delays: int,
    lag: int,
    most: dict[int, int],
    clock: Clock,
) -> tuple[int, int]:
    """Return more delays, if a polynomial of them steps on by itself better than of the fewest.

    These tell the state, but not all flow maps of them are as smooth, nor as steady; and of rows
    that noise or rounding lies on, more say more.
    """
    span = (n_delays - 1) * lag
    horizon = _HORIZON * max(most)
    ways = [
        (m, k)
        for k, limit in most.items()
        for m in range(2, limit + 1)
        if span <= (m - 1) * k <= _LONGEST * span
    ]
    first = max((m - 1) * k for m, k in ways)
    library, validation = _split(trajectories, first + horizon)
    if sum(len(x) - first - horizon for x in validation) < LEAST_TARGETS or not library:
        return n_delays, lag
    errors = {
        way: max(rollout_error(library, validation, *way, first, horizon, clock), _GOOD_ENOUGH)
        for way in ways
    }
    best = min(errors, key=lambda way: errors[way])
    return best if errors[best] < _WORTH_IT * errors[n_delays, lag] else (n_delays, lag)


def _validate(
    trajectories: Sequence[np.ndarray], most: dict[int, int], horizon: int, clock: Clock
) -> dict[int, np.ndarray]:
    """Return the prediction errors of 1, 2, ... delays for each lag, all on the same rows.

    The geometric mean over three horizons, of the next row up to ``horizon`` rows ahead.
    """
    first = max((m - 1) * lag for lag, m in most.items())
    library, validation = _split(trajectories, first + horizon)
    if not library or not validation:
        return {}
    ahead = sorted({1, -(-horizon // 2), horizon})
    known, asked = (
        [embedded(part, 1, 1, first + h, horizon - h) for h in (0, *ahead)]
        for part in (library, validation)
    )
    n_library, n_validation = len(known[0]), len(asked[0])
    if min(n_library, n_validation) < LEAST_TARGETS:
        return {}
    some = np.unique(np.linspace(0, n_library - 1, min(n_library, MOST_LIBRARY)).astype(int))
    targets = np.unique(np.linspace(0, n_validation - 1, min(n_validation, _TARGETS)).astype(int))
    changes = np.stack([x[some] - known[0][some] for x in known[1:]])
    truth = np.stack([x[targets] - asked[0][targets] for x in asked[1:]])
    still = np.sqrt(np.square(truth).mean(axis=(1, 2)))
    if not (still > 0).all():
        return {}
    found = {}
    for lag, n in most.items():
        errors = []
        for m in range(1, n + 1):
            clock.check()
            from_, at = (
                embedded(part, m, lag, first, horizon)[chosen]
                for part, chosen in ((library, some), (validation, targets))
            )
            wrong = np.square(_neighbours(from_, changes, at) - truth).mean(axis=(1, 2))
            errors.append(float(np.exp(np.mean(np.log(np.sqrt(wrong) / still + 1e-12)))))
        found[lag] = np.array(errors)
    return found


def _neighbours(library: np.ndarray, changes: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Predict changes ``(h, n, d)`` at vectors from those of their nearest neighbours."""
    from scipy.spatial import cKDTree

    distance, nearest = cKDTree(library).query(at, k=min(_NEIGHBOURS, len(library)))
    closest = np.maximum(distance[:, :1], 1e-12)
    weights = np.exp(-distance / closest)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("nk,hnkd->hnd", weights, changes[:, nearest]))


def _split(
    trajectories: Sequence[np.ndarray], lost: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return trajectories to learn from and others, or their ends, to predict."""
    long = [x for x in trajectories if len(x) > lost]
    if len(long) >= _SEVERAL:
        n = max(1, len(long) // 4)
        return long[:-n], long[-n:]
    pieces = [(x[: len(x) - len(x) // 4], x[len(x) - len(x) // 4 :]) for x in long]
    return (
        [a for a, _ in pieces if len(a) > lost],
        [b for _, b in pieces if len(b) > lost],
    )


def _some(trajectories: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return so many whole trajectories, or the end of one, that rows are few enough."""
    step = max(1, -(-sum(len(x) for x in trajectories) // _ROWS))
    n = max(min(len(trajectories), 2 * _SEVERAL), len(trajectories) // step)
    chosen = np.unique(np.linspace(0, len(trajectories) - 1, n).astype(int))
    each = max(2, _ROWS // len(chosen))
    return [np.asarray(trajectories[k][-each:], dtype=np.float64) for k in chosen]


def _leading(trajectories: list[np.ndarray]) -> list[np.ndarray]:
    """Return features that vary, each of standard deviation 1, or the leading modes of many."""
    together = np.concatenate(trajectories)
    spread = together.std(axis=0)
    moving = spread > _CONSTANT * np.abs(together).max(axis=0)
    if not moving.any():
        return [np.zeros((len(x), 1)) for x in trajectories]
    if moving.sum() > _COORDINATES:
        scaled = POD(min(_COORDINATES, len(together))).fit_transform(together)
        scaled = scaled[:, scaled.std(axis=0) > _CONSTANT * spread.max()]
        scaled = scaled / scaled.std()
    else:
        scaled = (together[:, moving] - together[:, moving].mean(axis=0)) / spread[moving]
    ends = np.cumsum([len(x) for x in trajectories])[:-1]
    return np.split(scaled, ends)
