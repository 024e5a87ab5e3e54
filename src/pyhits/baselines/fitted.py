"""The simple baselines that every evaluation compares a model with."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from pyhits.baselines.driven import DrivenLinear, DrivenPolynomial
from pyhits.baselines.polynomial import MOST_TERMS, Linear, Polynomial
from pyhits.baselines.seasonal import Cycle, Seasonal, SeasonMeans
from pyhits.baselines.sets import BaselineForecast, BaselineSet
from pyhits.baselines.simple import Mean, Persistence, SimpleBaseline
from pyhits.data.matching import some_of, with_inputs
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Encoder
from pyhits.numerics.basis import n_monomials
from pyhits.util.clock import UNLIMITED, Clock

#: Rows that they learn from, and numbers in these, at most; the seconds that they take at worst,
#: and the part of these that one is not begun without.
_MOST_ROWS, _MOST_NUMBERS, _SECONDS, _LEAST_SHARE = 200_000, 4_000_000, 2.0, 0.02

#: Coordinates up to which a linear map is fitted: its matrix is decomposed.
_MOST_LINEAR = 512


class FittedBaselines(BaselineSet):
    """Simple baselines fitted to a model's training data, in the coordinates of its flow maps.

    Parameters
    ----------
    by_kind : mapping of str to SimpleBaseline
        Left out are those that as many coordinates would make slow.
    """

    @classmethod
    def fit(
        cls,
        train: Trajectories,
        validation: Trajectories,
        inputs: tuple[np.ndarray, np.ndarray] | None = None,
        *,
        clock: Clock = UNLIMITED,
    ) -> FittedBaselines:
        """Fit all that are affordable to (part of) the data; ``validation`` chooses.

        Parameters
        ----------
        inputs : pair of array, shape (n_rows, k), optional
            Inputs on the rows of both: the linear map and the polynomial then see them, too.
        clock : Clock, optional
            They learn from as many rows as it affords, and what it does not afford is left out.
        """
        joined = train, validation
        if inputs is not None:
            joined = with_inputs(train, inputs[0]), with_inputs(validation, inputs[1])
        made = _affordable(joined[0].n_features, 0 if inputs is None else inputs[0].shape[1])
        fitted = {}
        for baseline in sorted(made, key=lambda one: one.cost):
            seen, checks = joined if baseline.n_inputs else (train, validation)
            share = min(1.0, clock.left / _SECONDS)
            if baseline.cost == 0:
                share = max(share, _LEAST_SHARE)
            elif share < _LEAST_SHARE:
                clock.cut(f"the baseline {baseline.kind!r}")
                continue
            found = baseline.fit(_some(seen, share), validation=_some(checks, share))
            if not (isinstance(found, SeasonMeans) and found.period_ == 1):  # else the mean again
                fitted[found.kind] = found
        return cls({one.kind: fitted[one.kind] for one in made if one.kind in fitted})

    def forecasters(
        self,
        preprocessor: Encoder | None,
        starts: np.ndarray,
        inputs: np.ndarray | None = None,
        *,
        rows: np.ndarray | None = None,
        numbers: np.ndarray | None = None,
    ) -> dict[str, BaselineForecast]:
        """Return by kind what forecasts initial states ``(n, d)`` in the user's units.

        Parameters
        ----------
        starts : array, shape (n, d) or (n, history, d)
            What an encoder makes the initial states of: these and, with delays, rows before them.
        inputs : array, shape (n, rows, k), optional
            What acts on them.
        rows : array, shape (n, given, d), optional
            All that is known up to the initial states, by default the starts: seasons are told
            from them.
        numbers : array of int, shape (n,), optional
            Of the initial states in the calendar.
        """
        known = starts if rows is None else rows
        known = known if known.ndim == 3 else known[:, None]
        return {
            kind: BaselineForecast(
                baseline.label,
                partial(_of_cycle, baseline, preprocessor, known, numbers)
                if isinstance(baseline, Cycle)
                else partial(_ahead, baseline, preprocessor, starts, inputs),
            )
            for kind, baseline in self.by_kind.items()
        }


def _affordable(d: int, n_inputs: int) -> list[SimpleBaseline]:
    """Return the baselines, not yet fitted, that ``d`` coordinates, inputs included, leave fast."""
    is_small = n_monomials(d, 2) <= MOST_TERMS
    made: list[SimpleBaseline] = [Persistence(), Mean()]
    if is_small or d <= _MOST_LINEAR:
        made.append(DrivenLinear(n_inputs) if n_inputs else Linear())
    if is_small:
        # Forecasts start from one encoded state: a polynomial has no more rows to look at.
        made.append(DrivenPolynomial(n_inputs) if n_inputs else Polynomial(max_lags=1))
    return [*made, Seasonal(), SeasonMeans()]


def _ahead(
    baseline: SimpleBaseline,
    preprocessor: Encoder | None,
    starts: np.ndarray,
    inputs: np.ndarray | None,
    states: np.ndarray,
    n_steps: int,
) -> np.ndarray:
    """Forecast states ``(n, d)``; NaN where a forecast diverged."""
    if isinstance(baseline, Persistence):
        # As recorded, not as an encoder would have it.
        return np.broadcast_to(states[:, None], (len(states), n_steps + 1, states.shape[1]))
    settings: dict[str, Any] = {"on_divergence": "return"}
    if isinstance(baseline, DrivenPolynomial):
        settings["inputs"] = inputs
    if preprocessor is None:
        return baseline.forecast(states, n_steps, **settings)
    rows = starts if starts.ndim == 3 else starts[:, None]
    begin = preprocessor.transform(rows)[:, -1]
    ahead = baseline.forecast(begin, n_steps, **settings)
    return np.asarray(preprocessor.inverse_transform(ahead))


def _of_cycle(
    baseline: Cycle,
    preprocessor: Encoder | None,
    rows: np.ndarray,
    numbers: np.ndarray | None,
    states: np.ndarray,
    n_steps: int,
) -> np.ndarray:
    """Go on from rows ``(n, given, d)``, the last of which are the states."""
    known = rows if preprocessor is None else preprocessor.transform(rows)
    ahead = baseline.going_on(known, n_steps, numbers)
    return ahead if preprocessor is None else np.asarray(preprocessor.inverse_transform(ahead))


def _some(data: Trajectories, share: float = 1.0) -> Trajectories:
    """Return trajectories spread over the data, or the end of a long one, as far as affordable."""
    most = max(2, int(share * min(_MOST_ROWS, _MOST_NUMBERS // data.n_features)))
    if data.n_rows <= most:
        return data
    count = max(1, len(data) * most // data.n_rows)
    some = some_of(data, count)
    if some.n_rows <= 2 * most:
        return some
    return Trajectories(
        [rows[-most:] for rows in some],
        some.dt,
        feature_names=some.feature_names,
        start_times=some.start_times + some.dt * np.maximum(some.lengths - most, 0),
        axis=some.axis,
    )
