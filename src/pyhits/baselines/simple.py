"""What the simple baselines share, and the two that learn nothing: persistence and the mean."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from pyhits.baselines.base import Baseline
from pyhits.data.trajectories import default_names
from pyhits.encoders import Standardise


class Simple(Baseline):
    """A baseline that is fitted in closed form: fast, deterministic, and saved as plain arrays.

    Parameters
    ----------
    scaling : Standardise, optional
        By default ``Standardise()``.
    """

    #: Name in tables and model files.
    kind: ClassVar[str] = ""

    #: Last features that are given at every step, not forecast.
    n_inputs: int = 0

    # Settings that only trained rivals choose.
    recipe = "pyhits"
    time_limit = None
    dtype = "float64"
    random_state = 0
    verbose = False

    def __init__(self, *, scaling: Standardise | None = None) -> None:
        self.scaling = scaling

    @property
    def label(self) -> str:
        """Name in a table, with what there is to say of the fit."""
        return self.kind

    def _learned(self) -> dict[str, np.ndarray]:
        """Return what was learned, beside the scaling, as named arrays."""
        return {}

    def _set_learned(self, arrays: dict[str, np.ndarray]) -> None:
        """Set what :meth:`_learned` returns; raise a ValueError if it does not fit together."""

    def state(self) -> dict[str, np.ndarray]:
        """Return what was learned, as named arrays that :meth:`set_state` takes."""
        return {"mean": self.scaling_.mean_, "scale": self.scaling_.scale_, **self._learned()}

    def set_state(self, dt: float, **arrays: np.ndarray) -> Self:
        """Set what was learned, as a loaded model does; returns itself.

        Raises
        ------
        ValueError
            The arrays do not fit together.
        """
        self.scaling_ = Standardise().set_state(mean=arrays["mean"], scale=arrays["scale"])
        self.n_features_in_ = len(arrays["mean"])
        self.feature_names_ = default_names(self.n_features_in_)
        self.dt_ = dt
        self.history_, self.n_parameters_, self.train_seconds_ = [], 0, 0.0
        self._set_learned(arrays)
        return self


class Persistence(Simple):
    """The forecast that nothing changes: the last state, again and again."""

    kind: ClassVar[str] = "persistence"

    def _train(self, train: list[np.ndarray], held: list[np.ndarray], seed: int) -> None:
        self.n_parameters_, self.history_ = 0, []

    def _run(self, rows: np.ndarray, n_steps: int) -> np.ndarray:
        return np.repeat(rows[:, -1:], n_steps, axis=1)


class Mean(Simple):
    """The forecast of the training data's mean, whatever the state."""

    kind: ClassVar[str] = "mean"

    def _train(self, train: list[np.ndarray], held: list[np.ndarray], seed: int) -> None:
        self.mean_ = np.concatenate(train).mean(axis=0)
        self.n_parameters_, self.history_ = len(self.mean_), []

    def _run(self, rows: np.ndarray, n_steps: int) -> np.ndarray:
        return np.broadcast_to(self.mean_, (len(rows), n_steps, len(self.mean_)))

    def _learned(self) -> dict[str, np.ndarray]:
        return {"value": self.mean_}

    def _set_learned(self, arrays: dict[str, np.ndarray]) -> None:
        self.mean_ = same_shape(arrays["value"], (self.n_features_in_,))
        self.n_parameters_ = len(self.mean_)


def same_shape(array: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return a finite array of that shape, or raise a ValueError."""
    found = np.asarray(array, dtype=np.float64)
    if found.shape != shape or not np.isfinite(found).all():
        raise ValueError(f"a baseline has {found.shape} in place of {shape} finite numbers")
    return found
