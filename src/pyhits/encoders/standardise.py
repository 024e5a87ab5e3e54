"""Centre and scale every feature, so that flow maps see states of order one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from pyhits.data.trajectories import Trajectories
from pyhits.encoders.base import ENCODERS, Encoder, several
from pyhits.errors import DataError
from pyhits.util.checks import as_numeric
from pyhits.util.schema import Flag, Record, Whole
from pyhits.util.stored import Array


@ENCODERS.register
class Standardise(Encoder):
    """Map each feature to zero mean and unit standard deviation, and back.

    Statistics are kept in float64, and stepping happens in the standardised coordinates, so that a
    large offset (a pressure of 101325 +- 1) costs no accuracy in float32. A constant feature keeps
    the scale 1.

    Parameters
    ----------
    enabled : bool
        When false the map is the identity: the paper's own setting, which trains on raw states.
    common : bool
        Divide all features by one number, the root mean square of the standard deviations of those
        that vary. For features of one unit whose sizes mean something, such as POD coefficients:
        small ones stay small, and their errors count as little as they do in the field.
    channels : int
        Of fields: numbers at each point, the last axis of a row. Each channel has one mean and one
        deviation, common to all its points; with ``common`` one number alone. 0 for rows that are
        no fields.

    Attributes
    ----------
    mean_, scale_ : array, shape (n_features,)
        Standardised rows are ``(x - mean_) / scale_``.
    """

    kind: ClassVar[str] = "standardise"
    arrays: ClassVar[Mapping[str, Array]] = {"mean|scale": Array()}
    schema: ClassVar[Record] = Record(
        {"enabled": Flag(loose=True), "common": Flag(loose=True)},
        {"channels": Whole(0, loose=True)},
    )

    def __init__(self, enabled: bool = True, *, common: bool = False, channels: int = 0) -> None:
        self.enabled = enabled
        self.common = common
        self.channels = channels

    def fit(self, X: Any, y: Any = None) -> Standardise:
        """Learn mean and scale from rows ``X``, shape ``(n_rows, n_features)``, or several such."""
        if isinstance(X, Trajectories):
            X = X.values
        elif several(X):
            X = np.concatenate([as_numeric(x, what="The data") for x in X])
        values = as_numeric(X, what="The data")
        if values.ndim < 2 or values.size == 0:
            raise DataError(f"Expected rows of shape (n_rows, n_features), got {values.shape}.")
        values = values.reshape(-1, values.shape[-1])
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
        flat |= scale == 0
        scale[flat] = 0.0
        if self.common:
            return self.set_statistics(mean, _common(scale, max(1, self.channels)))
        if self.channels:
            return self.set_statistics(*_by_channel(mean, scale, self.channels))
        return self.set_statistics(mean, np.where(flat, 1.0, scale))

    def set_statistics(self, mean: np.ndarray, scale: np.ndarray) -> Standardise:
        """Set the statistics directly, as a loaded model does; each shape ``(n_features,)``."""
        self.mean_ = np.asarray(mean, dtype=np.float64)
        self.scale_ = np.asarray(scale, dtype=np.float64)
        self.n_features_in_ = len(self.mean_)
        return self

    def _encode(self, X: np.ndarray) -> np.ndarray:
        return np.asarray((X - self.mean_) / self.scale_)

    def _decode(self, Z: np.ndarray) -> np.ndarray:
        return np.asarray(Z * self.scale_ + self.mean_)

    def state(self) -> dict[str, np.ndarray]:
        """Return ``mean`` and ``scale``."""
        return {"mean": self.mean_, "scale": self.scale_}

    def set_state(self, **arrays: np.ndarray) -> Standardise:
        """Set ``mean`` and ``scale``; a ValueError if they are no scaling."""
        mean, scale = arrays["mean"], arrays["scale"]
        if mean.ndim != 1 or mean.shape != scale.shape:
            raise ValueError(f"its scaling has shapes {mean.shape} and {scale.shape}")
        if not (np.isfinite(mean).all() and np.isfinite(scale).all() and (scale > 0).all()):
            raise ValueError("its scaling is not finite and positive")
        return self.set_statistics(mean, scale)


def _common(scale: np.ndarray, channels: int) -> np.ndarray:
    """Return the root mean square over those columns of each channel that vary, on all columns.

    Raises DataError: rows are no points of so many channels.
    """
    by_channel = _points(scale, channels)
    moving = np.maximum(1, (by_channel > 0).sum(axis=0))
    top = by_channel.max(axis=0)
    top[top == 0] = 1.0
    found = top * np.sqrt(np.square(by_channel / top).sum(axis=0) / moving)
    return np.tile(np.where(found == 0, 1.0, found), len(by_channel))


def _points(row: np.ndarray, channels: int) -> np.ndarray:
    if len(row) % channels:
        raise DataError(f"Expected fields of {channels} channels, got rows of {len(row)} numbers.")
    return row.reshape(-1, channels)


def _by_channel(
    mean: np.ndarray, scale: np.ndarray, channels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the deviation of each channel of a field, on all its points.

    Raises DataError: rows are no points of so many channels.
    """
    means, scales = _points(mean, channels), _points(scale, channels)
    centre = means.mean(axis=0)
    # Divided by the largest first, so that the squares of tiny numbers do not vanish.
    every = np.concatenate([scales, means - centre])
    top = np.abs(every).max(axis=0)
    top[top == 0] = 1.0
    deviation = top * np.sqrt(np.square(every / top).sum(axis=0) / len(means))
    is_flat = (scales == 0).all(axis=0) & (np.ptp(means, axis=0) == 0)
    deviation[is_flat] = 1.0
    return np.tile(centre, len(means)), np.tile(deviation, len(means))
