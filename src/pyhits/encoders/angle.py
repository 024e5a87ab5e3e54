"""Angles, phases and hours as what they are: points of a circle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from pyhits.encoders.base import ENCODERS, Encoder
from pyhits.encoders.columns import FEATURES, Features, columns_of, label_of, rows_of
from pyhits.errors import DataError
from pyhits.util.checks import as_positive
from pyhits.util.schema import Real, Record
from pyhits.util.stored import Array
from pyhits.util.transaction import transactional


@ENCODERS.register
class Angle(Encoder):
    """Put the cosine and sine of angles in their place, and give angles again.

    An angle that runs over the end of its range jumps by a turn, where nothing happens; its cosine
    and sine do not. What is decoded lies in the range in which the angles came: from 0 where none
    of them is below, else from minus half a turn, to a turn more.

    Parameters
    ----------
    features : str, int, or sequence of these, optional
        Names or numbers of the angles; by default all features.
    turn : float
        Length of a turn: 2 pi by default, 360 of degrees, 24 of hours.

    Attributes
    ----------
    columns_ : array of int, shape (k,)
        Numbers of the angles.
    starts_ : array, shape (k,)
        Where the range of each begins.
    """

    kind: ClassVar[str] = "angle"
    arrays: ClassVar[Mapping[str, Array]] = {
        "n_features|columns": Array(1, ("I64",)),
        "starts": Array(),
    }
    schema: ClassVar[Record] = Record({"features": FEATURES, "turn": Real()})

    columns_: np.ndarray
    starts_: np.ndarray

    def __init__(self, features: Features = None, turn: float = 2 * np.pi) -> None:
        self.features = features
        self.turn = turn

    @property
    def n_features_out_(self) -> int:
        """Number of encoded coordinates."""
        return self.n_features_in_ + len(self.columns_)

    @transactional
    def fit(self, X: Any, y: Any = None) -> Angle:
        """Find the range in which the angles of rows ``X`` lie.

        Raises
        ------
        ArgumentError
            There is no such feature.
        DataError
            A feature spans more than a turn.
        """
        rows, turn = rows_of(X), as_positive(self.turn, "turn")
        self.columns_ = columns_of(self.features, X)
        self.n_features_in_ = rows.shape[1]
        angles = rows[:, self.columns_]
        low, high = angles.min(axis=0), angles.max(axis=0)
        rounding = 1e-6 * turn
        wide = np.flatnonzero(high - low > turn + rounding)
        if len(wide):
            raise DataError(
                f"Feature {label_of(self.features, self.columns_[wide[0]])} runs from "
                f"{low[wide[0]]:g} to {high[wide[0]]:g},"
                f" more than a turn of {turn:g}: it is no angle that starts again after a turn."
            )
        starts = np.where(low >= -rounding, 0.0, -turn / 2)
        fits = (low >= starts - rounding) & (high <= starts + turn + rounding)
        self.starts_ = np.where(fits, starts, low).astype(np.float64)
        return self

    @property
    def _others(self) -> np.ndarray:
        return np.setdiff1d(np.arange(self.n_features_in_), self.columns_)

    def _encode(self, X: np.ndarray) -> np.ndarray:
        phase = (2 * np.pi / self.turn) * X[..., self.columns_]
        return np.concatenate([X[..., self._others], np.cos(phase), np.sin(phase)], axis=-1)

    def _decode(self, Z: np.ndarray) -> np.ndarray:
        k, n = len(self.columns_), self.n_features_in_ - len(self.columns_)
        cosines, sines = Z[..., n : n + k], Z[..., n + k : n + 2 * k]
        angles = np.arctan2(sines, cosines) * (self.turn / (2 * np.pi)) - self.starts_
        out = np.empty((*Z.shape[:-1], self.n_features_in_))
        out[..., self._others] = Z[..., :n]
        out[..., self.columns_] = self.starts_ + np.mod(angles, self.turn)
        return out

    def _names(self, names: Sequence[str]) -> Sequence[str]:
        own, others = ([names[j] for j in of] for of in (self.columns_, self._others))
        return [*others, *(f"cos {name}" for name in own), *(f"sin {name}" for name in own)]

    def state(self) -> dict[str, np.ndarray]:
        """Return ``n_features``, ``columns`` and ``starts``."""
        return {
            "n_features": np.array([self.n_features_in_]),
            "columns": np.asarray(self.columns_, dtype=np.int64),
            "starts": self.starts_,
        }

    def set_state(self, **arrays: np.ndarray) -> Angle:
        """Set what :meth:`state` returns; a ValueError if it does not fit together."""
        d, columns = int(arrays["n_features"][0]), arrays["columns"]
        if not len(columns) or columns.shape != arrays["starts"].shape:
            raise ValueError("its angles do not fit together")
        if (np.diff(columns) <= 0).any() or columns[0] < 0 or columns[-1] >= d:
            raise ValueError("its angles are of features that there are not")
        if not self.turn > 0 or not np.isfinite(arrays["starts"]).all():
            raise ValueError("its turn is not positive, or a range not finite")
        self.n_features_in_, self.columns_, self.starts_ = d, columns, arrays["starts"]
        return self


def turns_of(encoders: Sequence[Encoder], names: Sequence[str]) -> np.ndarray | None:
    """Return the length of a turn of each feature, infinite of those that are no angles.

    Returns array, shape (d,), or None: None without angles.

    Parameters
    ----------
    encoders : sequence of Encoder
        Fitted, one after the other.
    names : sequence of str
        Of the features that the first of them takes.
    """
    turns, now = np.full(len(names), np.inf), list(names)
    for encoder in encoders:
        own = encoder.columns_ if isinstance(encoder, Angle) else ()
        for name in (now[j] for j in own):
            if isinstance(encoder, Angle) and name in names:
                turns[list(names).index(name)] = encoder.turn
        now = list(encoder.get_feature_names_out(now))
    return turns if np.isfinite(turns).any() else None


def nearest(values: np.ndarray, truth: np.ndarray, turns: np.ndarray | None) -> np.ndarray:
    """Return angles as near to others as whole turns bring them, for differences to be taken.

    Parameters
    ----------
    values, truth : array, shape (..., d)
        NaN stays.
    turns : array, shape (d,), or None
        As :func:`turns_of` returns them.
    """
    if turns is None:
        return values
    angles = np.flatnonzero(np.isfinite(turns))
    found = np.array(values)
    with np.errstate(invalid="ignore"):
        whole = np.round((truth[..., angles] - found[..., angles]) / turns[angles])
    found[..., angles] += turns[angles] * np.nan_to_num(whole)
    return found
