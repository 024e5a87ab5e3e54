"""What every encoder shares: scikit-learn's face, and how trajectories go through it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self, overload

import numpy as np

from pyhits.data.packing import default_names
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DataError, NotFittedError
from pyhits.util.checks import as_numeric
from pyhits.util.clock import Clock
from pyhits.util.estimator import Estimator
from pyhits.util.stored import Family, Stored, same_names


class Encoder(Estimator, Stored, ABC):
    """A reversible map from the user's rows to the coordinates that flow maps work in.

    A subclass fits itself, maps arrays of shape ``(..., time, n_features_in_)`` in ``_encode`` and
    back in ``_decode``, and says in ``state`` what it has learned. To be known to model files it is
    decorated with ``@ENCODERS.register``, has a ``kind``, and declares its constructor's arguments
    as ``schema`` and what it learns as ``arrays``. Its constructor only stores;
    what is fitted ends in an underscore. ``clone`` and pipelines of scikit-learn take it.
    """

    n_features_in_: int

    # What a subclass writes

    @abstractmethod
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from rows ``X``; returns itself."""

    def fit_in_time(self, X: Any, clock: Clock) -> Self:
        """Learn from rows ``X`` as :meth:`fit` does, as well as there is time for.

        Encoders whose fit may take long look at the clock, and say by it what was cut short.
        """
        return self.fit(X)

    @abstractmethod
    def _encode(self, X: np.ndarray) -> np.ndarray:
        """Map ``(..., time, n_features_in_)`` to ``(..., fewer or as many times, n_out)``."""

    @abstractmethod
    def _decode(self, Z: np.ndarray) -> np.ndarray:
        """Map ``(..., n_out)`` to ``(..., n_features_in_)``, every row by itself."""

    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """Return what was learned, as named arrays that :meth:`set_state` takes."""

    @abstractmethod
    def set_state(self, **arrays: np.ndarray) -> Self:
        """Set what was learned, as a loaded model does.

        Raises
        ------
        ValueError
            The arrays do not fit together.
        """

    def plain(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return self.get_params()

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return an unfitted encoder from what :meth:`plain` has returned."""
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()})

    @classmethod
    def from_stored(cls, plain: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> Self:
        """Return a fitted encoder; a ValueError if what was learned does not fit together."""
        encoder = cls.from_plain(plain).set_state(**state)
        same_names(encoder.state(), state, f"the encoder {cls.kind!r}")
        return encoder

    @property
    def n_features_out_(self) -> int:
        """Number of encoded coordinates."""
        return self.n_features_in_

    @property
    def history(self) -> int:
        """Rows of a trajectory that one encoded row is made of."""
        return 1

    @property
    def lossy(self) -> bool:
        """Whether decoded rows may differ from the rows that were encoded."""
        return False

    def notes(self) -> list[str]:
        """Return sentences on what the fit chose, for people."""
        return []

    def _names(self, names: Sequence[str]) -> Sequence[str]:
        return names

    # Mapping

    @overload
    def transform(self, X: np.ndarray) -> np.ndarray: ...
    @overload
    def transform(self, X: Trajectories) -> Trajectories: ...
    @overload
    def transform(self, X: Any) -> Any: ...
    def transform(self, X: Any) -> Any:
        """Return encoded rows in float64.

        Parameters
        ----------
        X : array, shape (time, d) or (..., time, d); list of arrays; or Trajectories
            Several trajectories are encoded one by one.

        Returns
        -------
        array, list of arrays, or Trajectories
            What was given. Each trajectory loses its first ``history - 1`` rows.

        Raises
        ------
        DataError
            The features are others, or a trajectory is too short; it is named.
        NotFittedError
        """
        self._check_fitted()
        if isinstance(X, Trajectories):
            return self._encode_trajectories(X)
        if several(X):
            return [self._encoded(x, trajectory=k) for k, x in enumerate(X)]
        return self._encoded(X)

    @overload
    def inverse_transform(self, Z: np.ndarray) -> np.ndarray: ...
    @overload
    def inverse_transform(self, Z: Any) -> Any: ...
    def inverse_transform(self, Z: Any) -> Any:
        """Return rows in the user's units, float64; an array for an array, a list for a list."""
        self._check_fitted()
        if isinstance(Z, Trajectories) or several(Z):
            return [self._decoded(z) for z in Z]
        return self._decoded(Z)

    def refitted(self, X: Any) -> Self:
        """Return another of the same kind and size, fitted to other rows ``X``.

        What a fit has chosen stays, such as a number of modes or delays.
        """
        return type(self)(**self.get_params()).fit(X)

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit to ``X`` and return it encoded."""
        return self.fit(X, y).transform(X)

    def get_feature_names_out(self, input_features: Sequence[str] | None = None) -> np.ndarray:
        """Return the names of the encoded coordinates, shape ``(n_features_out_,)``."""
        self._check_fitted()
        names = default_names(self.n_features_in_) if input_features is None else input_features
        if len(names) != self.n_features_in_:
            raise ArgumentError(f"Expected {self.n_features_in_} feature names, got {len(names)}.")
        return np.asarray(self._names(list(names)), dtype=object)

    def _encoded(self, X: Any, trajectory: int | None = None) -> np.ndarray:
        array = as_numeric(X, what="The data")
        self._check_features(array, self.n_features_in_)
        if self.history > 1:
            n_rows = array.shape[-2] if array.ndim > 1 else 1
            if n_rows < self.history:
                which = "The data have" if trajectory is None else f"Trajectory {trajectory} has"
                raise DataError(f"{which} {n_rows} row(s); {self!r} takes at least {self.history}.")
        return self._encode(array)

    def _decoded(self, Z: Any) -> np.ndarray:
        array = as_numeric(Z, what="The encoded data")
        self._check_features(array, self.n_features_out_)
        return self._decode(array)

    def _encode_trajectories(self, data: Trajectories) -> Trajectories:
        lost = self.history - 1
        short = np.flatnonzero(data.lengths < lost + 2)
        if len(short):
            raise DataError(
                f"Trajectory {short[0]} has {data.lengths[short[0]]} rows; encoding takes "
                f"{self.history} for each state, and it takes two states to show a step."
            )
        return Trajectories(
            [self._encoded(rows) for rows in data],
            data.dt if data.dt_known else None,
            feature_names=list(self.get_feature_names_out(data.feature_names)),
            start_times=data.start_times + lost * data.dt,
            axis=data.axis,
        )

    def _check_fitted(self) -> None:
        if not hasattr(self, "n_features_in_"):
            raise NotFittedError(f"{type(self).__name__} is not fitted yet; call fit first.")

    def _check_features(self, X: np.ndarray, expected: int) -> None:
        if X.ndim == 0 or X.shape[-1] != expected:
            found = X.shape[-1] if X.ndim else 0
            raise DataError(f"Expected {expected} features, got {found}.")

    # What scikit-learn asks for

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import TransformerTags  # asked for by scikit-learn

        tags = super().__sklearn_tags__()
        tags.transformer_tags = TransformerTags()
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_in_")


def several(X: Any) -> bool:
    """Whether ``X`` is a list of arrays, each with rows of its own."""
    return isinstance(X, (list, tuple)) and len(X) > 0 and all(np.ndim(x) >= 2 for x in X)


#: All encoders that model files may hold.
ENCODERS: Family[Encoder] = Family("encoder")
