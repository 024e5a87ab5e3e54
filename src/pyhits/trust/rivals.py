"""The simple baselines that stand beside a model in every evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from pyhits.baselines.polynomial import MOST_TERMS, Linear, Polynomial, n_terms
from pyhits.baselines.seasonal import Seasonal
from pyhits.baselines.simple import Mean, Persistence, Simple
from pyhits.encoders import Encoder
from pyhits.evaluation import Rival
from pyhits.trajectories import Trajectories

#: Their order in tables.
KINDS: dict[str, type[Simple]] = {
    kind.kind: kind for kind in (Persistence, Mean, Linear, Polynomial, Seasonal)
}

#: Rows that they learn from, and numbers in these, at most: two seconds at worst.
_MOST_ROWS, _MOST_NUMBERS = 200_000, 4_000_000

#: Coordinates up to which a linear map is fitted: its matrix is decomposed.
_MOST_LINEAR = 512


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
    def fit(cls, train: Trajectories, held: Trajectories) -> Rivals:
        """Fit all that are affordable to (part of) the data; ``held`` chooses."""
        d = train.n_features
        if n_terms(d, 2) <= MOST_TERMS:
            kinds = list(KINDS)
        else:
            kinds = [k for k in KINDS if k != "polynomial" and (k != "linear" or d <= _MOST_LINEAR)]
        few, checks = _some(train), _some(held)
        # Forecasts start from one encoded state, so that a polynomial has no more rows to look at.
        made = [Polynomial(max_lags=1) if k == "polynomial" else KINDS[k]() for k in kinds]
        return cls({baseline.kind: baseline.fit(few, validation=checks) for baseline in made})

    def forecasters(self, preprocessor: Encoder | None, starts: np.ndarray) -> dict[str, Rival]:
        """Return by kind what forecasts initial states ``(n, d)`` in the user's units.

        Parameters
        ----------
        starts : array, shape (n, d) or (n, history, d)
            What an encoder makes the initial states of: these and, with delays, rows before them.
        """
        return {
            kind: Rival(baseline.label, partial(_ahead, baseline, preprocessor, starts))
            for kind, baseline in self.fitted.items()
        }


def _ahead(
    baseline: Simple,
    preprocessor: Encoder | None,
    starts: np.ndarray,
    states: np.ndarray,
    n_steps: int,
) -> np.ndarray:
    """Forecast states ``(n, d)``; NaN where a forecast diverged."""
    if baseline.kind == "persistence":
        # As recorded, not as an encoder would have it.
        return np.broadcast_to(states[:, None], (len(states), n_steps + 1, states.shape[1]))
    if preprocessor is None:
        return baseline.forecast(states, n_steps, on_divergence="return")
    rows = starts if starts.ndim == 3 else starts[:, None]
    begin = preprocessor.transform(rows)[:, -1]
    ahead = baseline.forecast(begin, n_steps, on_divergence="return")
    return np.asarray(preprocessor.inverse_transform(ahead))


def _some(data: Trajectories) -> Trajectories:
    """Return trajectories spread over the data, or the end of a long one, as far as affordable."""
    most = max(2, min(_MOST_ROWS, _MOST_NUMBERS // data.n_features))
    if data.n_rows <= most:
        return data
    count = max(1, len(data) * most // data.n_rows)
    few = data[np.linspace(0, len(data) - 1, count).astype(int)]
    if few.n_rows <= 2 * most:
        return few
    return Trajectories([rows[-most:] for rows in few], few.dt, feature_names=few.feature_names)
