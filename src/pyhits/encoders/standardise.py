"""Centre and scale every feature, so that flow maps see states of order one."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyhits.checks import as_numeric
from pyhits.errors import DataError, NotFittedError


class Standardise:
    """Map each feature to zero mean and unit standard deviation, and back.

    Statistics are kept in float64, and stepping happens in the standardised coordinates, so that a
    large offset (a pressure of 101325 +- 1) costs no accuracy in float32. A constant feature keeps
    the scale 1.

    Parameters
    ----------
    enabled : bool
        When false the map is the identity: the paper's own setting, which trains on raw states.
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled

    def fit(self, X: Any, y: Any = None) -> Standardise:
        """Learn mean and scale from rows ``X``, shape ``(n_rows, n_features)``."""
        values = as_numeric(X, what="The data")
        n = values.shape[1]
        if not self.enabled:
            return self.set_statistics(np.zeros(n), np.ones(n))
        mean = values.mean(axis=0, dtype=np.float64)
        # A constant column takes its own value for the mean, which rounding would miss.
        flat = values.max(axis=0) == values.min(axis=0)
        mean = np.where(flat, values[0], mean)
        centred = values - mean
        # Divided by the largest first, so that the squares of tiny numbers do not vanish.
        largest = np.abs(centred).max(axis=0)
        largest[flat] = 1.0
        centred /= largest
        scale = largest * np.sqrt(np.mean(np.square(centred, out=centred), axis=0))
        return self.set_statistics(mean, np.where(flat | (scale == 0), 1.0, scale))

    def set_statistics(self, mean: np.ndarray, scale: np.ndarray) -> Standardise:
        """Set the statistics directly, as a loaded model does; each shape ``(n_features,)``."""
        self.mean_ = np.asarray(mean, dtype=np.float64)
        self.scale_ = np.asarray(scale, dtype=np.float64)
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return standardised rows in float64, shape ``(..., n_features)``."""
        self._check(X)
        return np.asarray((X - self.mean_) / self.scale_)

    def inverse_transform(self, Z: np.ndarray) -> np.ndarray:
        """Return rows in the user's units, float64, shape ``(..., n_features)``."""
        self._check(Z)
        return np.asarray(Z * self.scale_ + self.mean_)

    def _check(self, X: np.ndarray) -> None:
        if not hasattr(self, "mean_"):
            raise NotFittedError("Standardise knows no statistics yet; call fit first.")
        if X.shape[-1] != len(self.mean_):
            raise DataError(f"Expected {len(self.mean_)} features, got {X.shape[-1]}.")
