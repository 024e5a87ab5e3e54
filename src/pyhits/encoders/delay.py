"""Delay coordinates: what a few recorded signals do not show now, their past may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from pyhits.data.trajectories import Trajectories
from pyhits.encoders.base import ENCODERS, Encoder, several
from pyhits.encoders.embedding import choose_delays
from pyhits.encoders.staterows import StateRows
from pyhits.errors import ArgumentError, DataError, NotFittedError
from pyhits.util.checks import as_count, as_numeric
from pyhits.util.clock import UNLIMITED, Clock
from pyhits.util.schema import Either, Maybe, Record, Text, Whole
from pyhits.util.stored import Array
from pyhits.util.transaction import transactional

#: A number of rows in model files, given or left to the fit.
_ROWS = Whole(1, loose=True)
_COUNT = Either(
    {int: _ROWS, float: _ROWS, str: Text(choices=("auto",))}, "a whole number or 'auto'"
)


@ENCODERS.register
class DelayEmbedding(Encoder):
    """Put each row beside the rows before it (Takens 1981), the newest first.

    A trajectory ``(time, d)`` becomes ``(time - (n_delays - 1) * lag, n_delays * d)``; its row t is
    ``x(t), x(t - lag dt), ..., x(t - (n_delays - 1) lag dt)``. Trajectories are never joined.

    The way back takes the newest of the rows. Averaging all copies of a row would need a whole
    forecast at equal steps, and would mix a state with what later, less certain steps say about it;
    the newest is there for a single state, at any time.

    Parameters
    ----------
    n_delays : int or "auto"
        Rows side by side, the present one included; 1 changes nothing. ``"auto"`` chooses in
        :meth:`fit`, by rollouts through rows held out.
    lag : int or "auto", optional
        Rows from one to the next; by default 1, or chosen with the delays.

    Attributes
    ----------
    n_delays_, lag_ : int
        What was given or chosen.
    choice_ : StateRows or None
        The errors that a choice was made by, for :func:`pyhits.plots.delay_choice`.
    """

    kind: ClassVar[str] = "delay"
    arrays: ClassVar[Mapping[str, Array]] = {
        "n_features|delays|tried": Array(1, ("I64",)),
        "scores": Array(),
        # Of older files, and no longer looked at.
        "choice": Array(1, ("I64",)),
        "information|e1|errors": Array(),
    }
    schema: ClassVar[Record] = Record({"n_delays": _COUNT, "lag": Maybe(_COUNT)})

    choice_: StateRows | None = None

    def __init__(self, n_delays: int | str, lag: int | str | None = None) -> None:
        self.n_delays = n_delays
        self.lag = lag

    @property
    def history(self) -> int:
        """Rows of a trajectory that one encoded row is made of."""
        n_delays, lag = self._settled()
        return (n_delays - 1) * lag + 1

    @property
    def n_features_out_(self) -> int:
        """Number of encoded coordinates."""
        return self.n_features_in_ * self.n_delays_

    @property
    def idle(self) -> bool:
        """Whether it was left to choose, and chose no delays."""
        return self.choice_ is not None and self.n_delays_ == 1

    def notes(self) -> list[str]:
        """Return what was chosen, and why."""
        return [] if self.choice_ is None else [self.choice_.note()]

    def _given(self) -> tuple[int | None, int | None]:
        """Return the number of delays and the lag; None for what is to be chosen."""
        n_delays, lag = self.n_delays, self.lag
        for value, name in ((n_delays, "n_delays"), (lag, "lag")):
            if isinstance(value, str) and value != "auto":
                raise ArgumentError(
                    f"Expected {name} to be a whole number or 'auto', got {value!r}."
                )
        automatic = n_delays == "auto"
        if lag is None:
            lag = "auto" if automatic else 1
        return (
            None if automatic else as_count(n_delays, "n_delays"),
            None if lag == "auto" else as_count(lag, "lag"),
        )

    def _settled(self) -> tuple[int, int]:
        """Return the number of delays and the lag, given or chosen."""
        if hasattr(self, "n_delays_"):
            return self.n_delays_, self.lag_
        n_delays, lag = self._given()
        if n_delays is None or lag is None:
            raise NotFittedError(f"{self!r} chooses its delays when it is fitted; call fit first.")
        return n_delays, lag

    @transactional
    def fit(self, X: Any, y: Any = None) -> DelayEmbedding:
        """Choose what is to be chosen, and check that every trajectory of ``X`` is long enough.

        Raises
        ------
        DataError
            One is not; it is named.
        """
        return self.fit_in_time(X, UNLIMITED)

    def fit_in_time(self, X: Any, clock: Clock) -> DelayEmbedding:
        """As :meth:`fit`; without the time for a choice there are no delays."""
        if isinstance(X, Trajectories):
            parts = list(X)
        elif several(X):
            parts = [as_numeric(x, what="The data") for x in X]
        else:
            parts = [as_numeric(X, what="The data")]
        if parts[0].ndim < 2:
            raise DataError(f"Expected rows of shape (time, d), got {parts[0].shape}.")
        n_delays, lag = self._given()
        self.choice_ = None
        if n_delays is None or lag is None:
            flat = [x for p in parts for x in p.reshape(-1, *p.shape[-2:])]
            self.choice_ = choose_delays(flat, n_delays=n_delays, lag=lag, clock=clock)
            n_delays, lag = self.choice_.n_rows, self.choice_.lag
        self.n_delays_, self.lag_ = n_delays, lag
        for k, part in enumerate(parts):
            if part.shape[-2] < self.history:
                raise DataError(
                    f"Trajectory {k} has {part.shape[-2]} row(s); {self!r} takes at least "
                    f"{self.history}."
                )
        self.n_features_in_ = int(parts[0].shape[-1])
        return self

    def refitted(self, X: Any) -> DelayEmbedding:
        """Return another of the same delays, whose rows are as long as those of ``X``."""
        found = DelayEmbedding(self.n_delays_, self.lag_).fit(X)
        found.n_delays, found.lag, found.choice_ = self.n_delays, self.lag, self.choice_
        return found

    def _encode(self, X: np.ndarray) -> np.ndarray:
        first, n_rows = self.history - 1, X.shape[-2] - self.history + 1
        begins = [first - k * self.lag_ for k in range(self.n_delays_)]
        return np.concatenate([X[..., b : b + n_rows, :] for b in begins], axis=-1)

    def _decode(self, Z: np.ndarray) -> np.ndarray:
        return Z[..., : self.n_features_in_]

    def _names(self, names: Sequence[str]) -> Sequence[str]:
        ages = ["t"]
        for k in range(1, self.n_delays_):
            rows = k * self.lag_
            ages.append("t - dt" if rows == 1 else f"t - {rows} dt")
        return [f"{name}({age})" for age in ages for name in names]

    def state(self) -> dict[str, np.ndarray]:
        """Return ``n_features``, ``delays`` (number and lag), and what a choice was made by."""
        tried = {} if self.choice_ is None else self.choice_.arrays()
        delays = np.array([self.n_delays_, self.lag_])
        return {"n_features": np.array([self.n_features_in_]), "delays": delays, **tried}

    def set_state(self, **arrays: np.ndarray) -> DelayEmbedding:
        """Set what :meth:`state` returns; of older files ``n_features`` alone."""
        n_features = as_count(int(arrays["n_features"][0]), "n_features")
        n_delays, lag = self._given()
        if "delays" in arrays:
            n_delays, lag = (as_count(int(n), "delays") for n in arrays["delays"])
        if n_delays is None or lag is None:
            raise ValueError("its delays are missing")
        self.n_delays_, self.lag_ = n_delays, lag
        self.choice_ = None
        if "tried" in arrays:
            tried = map(tuple, arrays["tried"].reshape(-1, 2).tolist())
            scores = dict(zip(tried, arrays["scores"].tolist(), strict=True))
            if scores and not {(1, 1), (n_delays, lag)} <= scores.keys():
                raise ValueError("its choice of delays does not fit together")
            self.choice_ = StateRows(n_delays, lag, scores)
        self.n_features_in_ = n_features
        return self
