"""What all baselines share: how they take data, and forecast from states and recordings."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from pyhits.coordinates.starts import as_states
from pyhits.data.limits import check_size
from pyhits.data.matching import as_trajectories, matched
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, DivergenceError, NotFittedError
from pyhits.numerics.rollout import DIVERGED
from pyhits.util.checks import as_choice, as_count, as_positive, as_seed
from pyhits.util.estimator import Estimator
from pyhits.util.transaction import transactional

RECIPES = ("pyhits", "paper")


class Baseline(Estimator, ABC):
    """A sequence model that reads rows into a memory and predicts the next row.

    A subclass trains in ``_train`` and runs in ``_run``, both in the coordinates of ``scaling_``.

    Attributes
    ----------
    scaling_ : Standardise
        From the user's rows to the coordinates that the model works in.
    train_seconds_ : float
    history_ : list of dict
        One entry a check or candidate: ``seconds`` since the beginning, closed-loop ``error`` (mean
        squared, in scaled coordinates) and what else there is to say.
    feature_names_ : tuple of str
    dt_ : float
    """

    #: Features that it can be trained on, at most: its weights grow with their square.
    most_features: ClassVar[float] = math.inf

    recipe: str
    scaling: Standardise | None
    time_limit: float | None
    dtype: str
    random_state: int | None
    verbose: bool

    scaling_: Standardise
    train_seconds_: float
    history_: list[dict[str, Any]]
    feature_names_: tuple[str, ...]
    dt_: float
    n_features_in_: int

    #: Seasons of the calendar, in rows of the data trained on.
    _calendar: Sequence[int] = ()

    @property
    @abstractmethod
    def n_parameters_(self) -> int:
        """Trained numbers, as the paper's Table 3 counts them."""

    @abstractmethod
    def _train(self, train: list[np.ndarray], validation: list[np.ndarray], seed: int) -> None:
        """Learn from scaled trajectories, each ``(time, d)``; ``validation`` chooses."""

    @abstractmethod
    def _run(self, rows: np.ndarray, n_steps: int) -> np.ndarray:
        """Read scaled rows from an empty memory, then go on.

        Returns array, shape (n, n_steps, d).

        Parameters
        ----------
        rows : array, shape (n, time, d)
        n_steps : int
            Rows to generate, each fed back as the next input.
        """

    def _check(self) -> None:
        """Check the settings that the subclass adds."""

    @transactional
    def fit(
        self, X: Any, y: Any = None, *, validation: Any = None, dt: float | None = None
    ) -> Self:
        """Train on recorded trajectories.

        Parameters
        ----------
        X : Trajectories, or anything that Trajectories accepts
        y : None
            There for scikit-learn's tools; must be None.
        validation : as X, optional
            Data on which forecasts from the first rows choose weights or hyper-parameters. Without
            any, the training data do: the paper's protocol, which asks a model to reproduce them.
        dt : float, optional
            Time step of ``X``, where it does not carry its own.

        Returns
        -------
        Baseline
            Itself. Ctrl-C ends training early and keeps the best so far.

        Raises
        ------
        DataError, ArgumentError, TrainingError
        """
        begin = time.perf_counter()
        if y is not None:
            raise ArgumentError("fit takes no targets; give validation data as validation=...")
        self._check_settings()
        train = as_trajectories(X, dt)
        if train.n_features > self.most_features:
            raise ArgumentError(
                f"{type(self).__name__} is for up to {self.most_features} features, got "
                f"{train.n_features}: take modes of them, POD(64).fit_transform(data)."
            )
        self._begin, self._calendar = begin, train.axis.seasons(train.dt)
        self.scaling_ = self._scaling(train)
        scaled = checks = self._scaled(train)
        if validation is not None:
            given = as_trajectories(validation, dt, default_dt=train.dt)
            given = matched(given, train.dt, train.feature_names, "validation")
            checks = self._scaled(given)
        self._train(scaled, checks, self._seed())
        self.dt_ = train.dt
        self.feature_names_ = train.feature_names
        self.n_features_in_ = train.n_features
        self.train_seconds_ = time.perf_counter() - begin
        return self

    def _scaled(self, data: Trajectories) -> list[np.ndarray]:
        """Return the trajectories, scaled."""
        return np.split(self.scaling_.transform(data.values), data.offsets[1:-1])

    def forecast(
        self, initial_states: Any, n_steps: int, *, on_divergence: str = "raise"
    ) -> np.ndarray:
        """Step forward from states alone, with an empty memory.

        Parameters
        ----------
        initial_states : array or DataFrame, shape (n, d) or (d,), or Trajectories
            In the user's units; Trajectories start from their first states.
        n_steps : int
            Horizon in multiples of ``dt``.
        on_divergence : {"raise", "return"}
            Raise a DivergenceError that names trajectory and step, or return NaN from there on.

        Returns
        -------
        array, shape (n, n_steps + 1, d) or (n_steps + 1, d)
            Row 0 is the initial state. The dtype is that of ``initial_states``.

        Raises
        ------
        ArgumentError, DataError, DivergenceError, NotFittedError
        """
        self._check_fitted()
        if isinstance(initial_states, Trajectories):
            initial_states = self._as_data(initial_states).initial_states
        states, single = as_states(initial_states, self.feature_names_)
        ahead = self._ahead([state[None] for state in states], n_steps, on_divergence)
        return ahead[0] if single else ahead

    def forecast_from(
        self, recording: Any, n_steps: int, *, on_divergence: str = "raise"
    ) -> np.ndarray:
        """Read a recording to build up the memory, then go on from its last row.

        Parameters
        ----------
        recording : array, shape (rows, d); a list or array of several; or Trajectories
            In the user's units; several may be of different lengths.
        n_steps, on_divergence
            As in :meth:`forecast`.

        Returns
        -------
        array, shape (n_steps + 1, d), or (n, n_steps + 1, d) of several
            Row 0 is the recording's last.

        Raises
        ------
        ArgumentError, DataError, DivergenceError, NotFittedError
        """
        self._check_fitted()
        data = self._as_data(recording)
        ahead = self._ahead(list(data), n_steps, on_divergence)
        several = isinstance(recording, (list, tuple, Trajectories)) or np.ndim(recording) > 2
        return ahead if several and not _is_one(recording) else ahead[0]

    def _ahead(self, read: list[np.ndarray], n_steps: int, on_divergence: str) -> np.ndarray:
        """Forecast from recordings, those of one length at once; ``(n, n_steps + 1, d)``."""
        n_steps = as_count(n_steps, "n_steps", most=None)
        as_choice(on_divergence, "on_divergence", ("raise", "return"))
        # Scaled states, and the result.
        check_size(2 * len(read), n_steps, read[0].shape[1])
        lengths = np.array([len(rows) for rows in read])
        scaled = np.empty((len(read), n_steps, read[0].shape[1]))
        for length in np.unique(lengths):
            where = np.flatnonzero(lengths == length)
            rows = self.scaling_.transform(np.stack([read[k] for k in where]))
            scaled[where] = self._run(rows, n_steps)
        blank_diverged(scaled, raises=on_divergence == "raise")
        ahead = np.empty((len(read), n_steps + 1, scaled.shape[2]), dtype=read[0].dtype)
        ahead[:, 0] = [rows[-1] for rows in read]
        ahead[:, 1:] = self.scaling_.inverse_transform(scaled)
        return ahead

    def _check_settings(self) -> None:
        as_choice(self.recipe, "recipe", RECIPES)
        as_choice(self.dtype, "dtype", ("float32", "float64"))
        if self.time_limit is not None:
            as_positive(self.time_limit, "time_limit")
        if self.scaling is not None and not isinstance(self.scaling, Standardise):
            raise ArgumentError(f"Expected scaling to be a Standardise, got {self.scaling!r}.")
        self._check()

    def _seed(self) -> int:
        """Return the seed of a training, drawn where none was given."""
        if self.random_state is None:
            return int(np.random.SeedSequence().generate_state(1)[0])
        return as_seed(self.random_state)

    def _as_data(self, data: Any) -> Trajectories:
        trajectories = as_trajectories(data, None, default_dt=self.dt_)
        return matched(trajectories, self.dt_, self.feature_names_, "given")

    def _scaling(self, train: Trajectories) -> Standardise:
        """Return a fitted copy of the scaling, or the recipe's."""
        if self.scaling is not None:
            return Standardise(**self.scaling.get_params()).fit(train.values)
        scaling = Standardise().fit(train.values)
        if self.recipe == "pyhits":
            return scaling
        values = train.values.astype(np.float64, copy=False)
        spread = np.ptp(values, axis=0)
        return scaling.set_statistics(scaling.mean_, np.where(spread > 0, spread, 1.0))

    def _left(self) -> float:
        """Return the seconds that are left of the time limit."""
        limit = np.inf if self.time_limit is None else float(self.time_limit)
        return limit - (time.perf_counter() - self._begin)

    def _check_fitted(self) -> None:
        if not hasattr(self, "train_seconds_"):
            name = type(self).__name__
            raise NotFittedError(
                f"This {name} is not fitted yet; call fit with trajectories first."
            )


def _is_one(recording: Any) -> bool:
    """Whether a list is the rows of one recording, not a list of recordings."""
    return isinstance(recording, (list, tuple)) and np.ndim(recording[0]) < 2


def blank_diverged(scaled: np.ndarray, *, raises: bool) -> None:
    """Find rows out of bounds and set them and what follows to NaN, in place.

    Raises DivergenceError: on request.

    Parameters
    ----------
    scaled : array, shape (n, n_steps, d)
        Scaled coordinates.
    """
    bad = ~(np.abs(scaled) < DIVERGED).all(axis=2)
    lost = np.flatnonzero(bad.any(axis=1))
    if not len(lost):
        return
    begin = bad.argmax(axis=1)
    if raises:
        more = f" ({len(lost) - 1} more diverged)" if len(lost) > 1 else ""
        first = int(lost[0])
        raise DivergenceError(
            f"The forecast of trajectory {first} diverged at step {begin[first] + 1}{more}. Its "
            "states left the training data far behind: train longer or on more of the state space, "
            'or ask for the rest with on_divergence="return".',
            first,
            int(begin[first]) + 1,
        )
    after = np.arange(scaled.shape[1]) >= begin[:, None]
    scaled[after & bad.any(axis=1)[:, None]] = np.nan
