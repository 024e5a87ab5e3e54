"""Delay coordinates: what a few recorded signals do not show now, their past may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from pyhits.checks import as_count, as_numeric
from pyhits.encoders.base import Encoder, several
from pyhits.errors import DataError
from pyhits.trajectories import Trajectories


class DelayEmbedding(Encoder):
    """Put each row beside the rows before it (Takens 1981), the newest first.

    A trajectory ``(time, d)`` becomes ``(time - (n_delays - 1) * lag, n_delays * d)``; its row t is
    ``x(t), x(t - lag dt), ..., x(t - (n_delays - 1) lag dt)``. Trajectories are never joined.

    The way back takes the newest of the rows. Averaging all copies of a row would need a whole
    forecast at equal steps, and would mix a state with what later, less certain steps say about it;
    the newest is there for a single state, at any time.

    Parameters
    ----------
    n_delays : int
        Rows side by side, the present one included; 1 changes nothing.
    lag : int
        Rows from one to the next.
    """

    kind: ClassVar[str] = "delay"

    def __init__(self, n_delays: int, lag: int = 1) -> None:
        self.n_delays = n_delays
        self.lag = lag

    @property
    def history(self) -> int:
        """Rows of a trajectory that one encoded row is made of."""
        return (as_count(self.n_delays, "n_delays") - 1) * as_count(self.lag, "lag") + 1

    @property
    def n_features_out_(self) -> int:
        """Number of encoded coordinates."""
        return self.n_features_in_ * self.n_delays

    def fit(self, X: Any, y: Any = None) -> DelayEmbedding:
        """Check that every trajectory of ``X`` is long enough.

        Raises
        ------
        DataError
            One is not; it is named.
        """
        if isinstance(X, Trajectories) or several(X):
            parts = [as_numeric(x, what="The data") for x in X]
        else:
            parts = [as_numeric(X, what="The data")]
        if parts[0].ndim < 2:
            raise DataError(f"Expected rows of shape (time, d), got {parts[0].shape}.")
        for k, part in enumerate(parts):
            if part.shape[-2] < self.history:
                raise DataError(
                    f"Trajectory {k} has {part.shape[-2]} row(s); {self!r} takes at least "
                    f"{self.history}."
                )
        self.n_features_in_ = int(parts[0].shape[-1])
        return self

    def _encode(self, X: np.ndarray) -> np.ndarray:
        first, n_rows = self.history - 1, X.shape[-2] - self.history + 1
        begins = [first - k * self.lag for k in range(self.n_delays)]
        return np.concatenate([X[..., b : b + n_rows, :] for b in begins], axis=-1)

    def _decode(self, Z: np.ndarray) -> np.ndarray:
        return Z[..., : self.n_features_in_]

    def _names(self, names: Sequence[str]) -> Sequence[str]:
        ages = ["t"]
        for k in range(1, self.n_delays):
            rows = k * self.lag
            ages.append("t - dt" if rows == 1 else f"t - {rows} dt")
        return [f"{name}({age})" for age in ages for name in names]

    def state(self) -> dict[str, np.ndarray]:
        """Return ``n_features``, one whole number."""
        return {"n_features": np.array([self.n_features_in_])}

    def set_state(self, **arrays: np.ndarray) -> DelayEmbedding:
        """Set ``n_features``."""
        self.n_features_in_ = as_count(int(arrays["n_features"][0]), "n_features")
        return self
