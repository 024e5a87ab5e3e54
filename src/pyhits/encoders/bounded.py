"""Quantities that stay between bounds: concentrations, populations, shares."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from pyhits.encoders.base import ENCODERS, Encoder
from pyhits.encoders.chain import links
from pyhits.encoders.columns import FEATURES, Features, columns_of, label_of, rows_of
from pyhits.errors import ArgumentError, DataError
from pyhits.util.schema import Maybe, Real, Record
from pyhits.util.stored import Array
from pyhits.util.transaction import transactional

#: Part of the usual distance to a bound that values upon it are moved inside by.
_INSIDE = 1e-6


def declared_bounds(encoder: Encoder | None, d: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the bounds that an encoder declares of its ``d`` features, in the user's units.

    Those of the first links of a chain; None where there are none.
    """
    low, high = np.full(d, -np.inf), np.full(d, np.inf)
    first = list(itertools.takewhile(lambda link: isinstance(link, Bounded), links(encoder)))
    for link in first:
        assert isinstance(link, Bounded)
        low[link.columns_] = link.low
        high[link.columns_] = np.inf if link.high is None else link.high
    return (low, high) if first else None


@ENCODERS.register
class Bounded(Encoder):
    """Step the logarithm of positive quantities, or the logit of what lies between two bounds.

    Whatever a flow map makes of them, what is decoded stays between the bounds. Values upon a bound
    are moved inside by a millionth of what is usual.

    Parameters
    ----------
    features : str, int, or sequence of these, optional
        Names or numbers of the features; by default all.
    low : float
    high : float, optional
        Without one there is no upper bound.

    Attributes
    ----------
    columns_ : array of int, shape (k,)
    margins_ : array, shape (k,)
        Distances from the bounds that values keep.
    """

    kind: ClassVar[str] = "bounded"
    arrays: ClassVar[Mapping[str, Array]] = {
        "n_features|columns": Array(1, ("I64",)),
        "margins": Array(),
    }
    schema: ClassVar[Record] = Record({"features": FEATURES, "low": Real(), "high": Maybe(Real())})

    columns_: np.ndarray
    margins_: np.ndarray

    def __init__(
        self, features: Features = None, low: float = 0.0, high: float | None = None
    ) -> None:
        self.features = features
        self.low = low
        self.high = high

    @transactional
    def fit(self, X: Any, y: Any = None) -> Bounded:
        """Check that rows ``X`` lie between the bounds.

        Raises
        ------
        ArgumentError
            There is no such feature, or the bounds are none.
        DataError
            A value lies beyond a bound.
        """
        if self.high is not None and not self.high > self.low:
            raise ArgumentError(f"Expected low < high, got low={self.low}, high={self.high}.")
        rows = rows_of(X)
        self.columns_, self.n_features_in_ = columns_of(self.features, X), rows.shape[1]
        values = rows[:, self.columns_].astype(np.float64)
        self._check(values)
        if self.high is None:
            usual = np.median(values - self.low, axis=0)
            largest = (values - self.low).max(axis=0)
            usual = np.where(usual > 0, usual, np.where(largest > 0, largest, 1.0))
        else:
            usual = np.full(len(self.columns_), self.high - self.low)
        self.margins_ = _INSIDE * usual
        return self

    def _check(self, values: np.ndarray) -> None:
        """Raise a DataError where values ``(..., k)`` lie beyond the bounds."""
        beyond = values < self.low
        if self.high is not None:
            beyond |= values > self.high
        if beyond.any():
            at = np.argwhere(beyond)[0]
            limits = f"at least {self.low:g}"
            if self.high is not None:
                limits = f"from {self.low:g} to {self.high:g}"
            name = label_of(self.features, self.columns_[at[-1]])
            raise DataError(f"Expected feature {name} to be {limits}, got {values[tuple(at)]:g}.")

    def _encode(self, X: np.ndarray) -> np.ndarray:
        out = np.array(X, dtype=np.float64)
        values = out[..., self.columns_]
        self._check(values)
        above = np.maximum(values - self.low, self.margins_)
        coded = np.log(above)
        if self.high is not None:
            below = np.maximum(self.high - values, self.margins_)
            coded = coded - np.log(below)
        out[..., self.columns_] = coded
        return out

    def _decode(self, Z: np.ndarray) -> np.ndarray:
        out = np.array(Z, dtype=np.float64)
        coded = out[..., self.columns_]
        with np.errstate(over="ignore"):
            if self.high is None:
                values = self.low + np.exp(coded)
            else:
                values = self.low + (self.high - self.low) / (1 + np.exp(-coded))
        out[..., self.columns_] = values
        return out

    def _names(self, names: Sequence[str]) -> Sequence[str]:
        what = "log" if self.high is None else "logit"
        return [f"{what} {n}" if j in self.columns_ else n for j, n in enumerate(names)]

    def state(self) -> dict[str, np.ndarray]:
        """Return ``n_features``, ``columns`` and ``margins``."""
        return {
            "n_features": np.array([self.n_features_in_]),
            "columns": np.asarray(self.columns_, dtype=np.int64),
            "margins": self.margins_,
        }

    def set_state(self, **arrays: np.ndarray) -> Bounded:
        """Set what :meth:`state` returns; a ValueError if it does not fit together."""
        d, columns, margins = int(arrays["n_features"][0]), arrays["columns"], arrays["margins"]
        if not len(columns) or columns.shape != margins.shape:
            raise ValueError("its bounded features do not fit together")
        if (np.diff(columns) <= 0).any() or columns[0] < 0 or columns[-1] >= d:
            raise ValueError("its bounds are of features that there are not")
        if not (np.isfinite(margins).all() and (margins > 0).all()):
            raise ValueError("its margins are not finite and positive")
        if self.high is not None and not self.high > self.low:
            raise ValueError("its bounds are none")
        self.n_features_in_, self.columns_, self.margins_ = d, columns, margins
        return self
