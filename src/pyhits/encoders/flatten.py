"""Films and fields as rows: every snapshot laid out as one line of numbers, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from pyhits.encoders.base import ENCODERS, Encoder
from pyhits.errors import ArgumentError, DataError
from pyhits.util.checks import as_count
from pyhits.util.schema import Many, Record, Whole


@ENCODERS.register
class Flatten(Encoder):
    """Lay out snapshots of a shape as rows, and give rows that shape again.

    Parameters
    ----------
    shape : sequence of int
        Shape of one snapshot: ``(height, width)`` of a film, ``(nx, ny, nz, 3)`` of a velocity.

    Attributes
    ----------
    n_features_in_ : int
        Numbers in a snapshot.
    """

    kind: ClassVar[str] = "flatten"
    schema: ClassVar[Record] = Record({"shape": Many(Whole(1, loose=True), 1, 64)})

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = shape

    @property
    def snapshot(self) -> tuple[int, ...]:
        """The shape, checked."""
        if isinstance(self.shape, (str, bytes)) or not isinstance(self.shape, Sequence):
            raise ArgumentError(f"Expected the shape of a snapshot, got {self.shape!r}.")
        return tuple(as_count(n, "every length in shape") for n in self.shape)

    def fit(self, X: Any = None, y: Any = None) -> Flatten:
        """Check the shape; there is nothing to learn."""
        self.n_features_in_ = int(np.prod(self.snapshot))
        return self

    def is_film(self, X: Any) -> bool:
        """Whether ``X`` is an array (or a list of them) whose last axes are a snapshot."""
        first = X[0] if isinstance(X, (list, tuple)) and len(X) else X
        shape, wanted = getattr(first, "shape", ()), self.snapshot
        return len(wanted) > 0 and tuple(shape[-len(wanted) :]) == wanted

    def _check_features(self, X: np.ndarray, expected: int) -> None:
        if not (self.is_film(X) or X.shape[-1:] == (expected,)):
            raise DataError(f"Expected snapshots of shape {self.snapshot}, got {X.shape}.")

    def _encode(self, X: np.ndarray) -> np.ndarray:
        if not self.is_film(X):
            return X
        return X.reshape(*X.shape[: X.ndim - len(self.snapshot)], self.n_features_in_)

    def _decode(self, Z: np.ndarray) -> np.ndarray:
        return Z.reshape(*Z.shape[:-1], *self.snapshot)

    def state(self) -> dict[str, np.ndarray]:
        """Return nothing: all is in the constructor's arguments."""
        return {}

    def set_state(self, **arrays: np.ndarray) -> Flatten:
        """Fit, which takes no data."""
        return self.fit()
