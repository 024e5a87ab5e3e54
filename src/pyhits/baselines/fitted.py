"""The simple baselines that stand beside a model in every evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from pyhits.baselines.driven import DrivenLinear, DrivenPolynomial
from pyhits.baselines.polynomial import MOST_TERMS, Linear, Polynomial
from pyhits.baselines.seasonal import Seasonal
from pyhits.baselines.simple import Mean, Persistence, Simple
from pyhits.data.matching import some_of, with_inputs
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Encoder
from pyhits.numerics.basis import n_monomials
from pyhits.util.clock import UNLIMITED, Clock

#: All that a model file may hold, by kind.
KINDS: dict[str, type[Simple]] = {
    kind.kind: kind
    for kind in (
        Persistence, Mean, Linear, Polynomial, DrivenLinear, DrivenPolynomial, Seasonal,
    )
}  # fmt: skip

#: Rows that they learn from, and numbers in these, at most; the seconds that they take at worst,
#: and the part of these that one is not begun without.
_MOST_ROWS, _MOST_NUMBERS, _SECONDS, _LEAST_SHARE = 200_000, 4_000_000, 2.0, 0.02

#: Coordinates up to which a linear map is fitted: its matrix is decomposed.
_MOST_LINEAR = 512


#: Forecasts initial states (n, d) over n_steps: the result is (n, n_steps + 1, d).
Forecaster = Callable[[np.ndarray, int], np.ndarray]


class BaselineForecast(NamedTuple):
    """A simple forecast to compare with: its name in tables, and what makes it."""

    label: str
    forecaster: Forecaster


class Rivals:
    """Simple baselines fitted to a model's training data, in the coordinates of its flow maps.

    Parameters
    ----------
    fitted : mapping of str to Simple
        By kind. Left out are those that as many coordinates would make slow.
    """

    def __init__(self, fitted: Mapping[str, Simple]) -> None:
        self.fitted = dict(fitted)

    @classmethod
    def fit(
        cls,
        train: Trajectories,
        held: Trajectories,
        acting: tuple[np.ndarray, np.ndarray] | None = None,
        *,
        clock: Clock = UNLIMITED,
    ) -> Rivals:
        """Fit all that are affordable to (part of) the data; ``held`` chooses.

        Parameters
        ----------
        train, held : Trajectories
        acting : pair of array, shape (n_rows, k), optional
            Inputs on the rows of both: the linear map and the polynomial then see them, too.
        clock : Clock, optional
            They learn from as many rows as it affords, and what it does not afford is left out.
        """
        joined, k = (train, held), 0
        if acting is not None:
            joined, k = (
                (with_inputs(train, acting[0]), with_inputs(held, acting[1])),
                acting[0].shape[1],
            )
        d = joined[0].n_features
        is_small = n_monomials(d, 2) <= MOST_TERMS
        made: list[Simple] = [Persistence(), Mean()]
        if is_small or d <= _MOST_LINEAR:
            made.append(DrivenLinear(k) if k else Linear())
        if is_small:
            # Forecasts start from one encoded state: a polynomial has no more rows to look at.
            made.append(DrivenPolynomial(k) if k else Polynomial(max_lags=1))
        made.insert(2, Seasonal())
        fitted = {}
        for baseline in made:
            seen, checks = joined if baseline.n_inputs else (train, held)
            share = min(1.0, clock.left / _SECONDS)
            if isinstance(baseline, (Persistence, Mean)):
                share = max(share, _LEAST_SHARE)
            elif share < _LEAST_SHARE:
                clock.cut(f"the baseline {baseline.kind!r}")
                continue
            fitted[baseline.kind] = baseline.fit(
                _some(seen, share), validation=_some(checks, share)
            )
        return cls({kind: fitted[kind] for kind in KINDS if kind in fitted})

    def forecasters(
        self,
        preprocessor: Encoder | None,
        starts: np.ndarray,
        inputs: np.ndarray | None = None,
    ) -> dict[str, BaselineForecast]:
        """Return by kind what forecasts initial states ``(n, d)`` in the user's units.

        Parameters
        ----------
        starts : array, shape (n, d) or (n, history, d)
            What an encoder makes the initial states of: these and, with delays, rows before them.
        inputs : array, shape (n, rows, k), optional
            What acts on them.
        """
        return {
            kind: BaselineForecast(
                baseline.label, partial(_ahead, baseline, preprocessor, starts, inputs)
            )
            for kind, baseline in self.fitted.items()
        }


def _ahead(
    baseline: Simple,
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


def _some(data: Trajectories, share: float = 1.0) -> Trajectories:
    """Return trajectories spread over the data, or the end of a long one, as far as affordable."""
    most = max(2, int(share * min(_MOST_ROWS, _MOST_NUMBERS // data.n_features)))
    if data.n_rows <= most:
        return data
    count = max(1, len(data) * most // data.n_rows)
    few = some_of(data, count)
    if few.n_rows <= 2 * most:
        return few
    return Trajectories([rows[-most:] for rows in few], few.dt, feature_names=few.feature_names)
