"""What the simple baselines share, and the two that learn nothing: persistence and the mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from pyhits.baselines.base import Baseline
from pyhits.baselines.origins import Fold
from pyhits.data.packing import default_names
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Standardise
from pyhits.util.stored import Array, Family, Stored, TensorSpec, check_arrays, same_names


class SimpleBaseline(Stored, Baseline):
    """A baseline that is fitted in closed form: fast, deterministic, and stored in model files.

    A subclass is decorated with ``@BASELINES.register``, has a ``kind``, and declares as ``arrays``
    what it learns beside the scaling.

    Parameters
    ----------
    scaling : Standardise, optional
        By default ``Standardise()``.
    """

    #: How long its fit takes beside others': cheap ones are fitted first where time is short.
    cost: ClassVar[int] = 0

    #: Last features that are given at every step, not forecast.
    n_inputs: int = 0

    # Settings that only trained baselines choose.
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

    @property
    def n_rows(self) -> int:
        """Rows that a forecast must know at least."""
        return 1

    @property
    def most_rows(self) -> int:
        """Rows that a forecast looks at where there are as many."""
        return self.n_rows

    def refitted(self, data: Trajectories) -> Self:
        """Return a baseline with the same settings, fitted to other data."""
        return type(self)(**self.get_params()).fit(data)

    def on_fold(self, fold: Fold) -> np.ndarray:
        """Return forecasts of a fold's origins, in its coordinates, fitted to its rows alone."""
        new = type(self)(**self.get_params())
        new.scaling_ = self.scaling_
        new._train(fold.train, fold.train, 0)
        return new._run(fold.origins.history, fold.origins.horizon)

    def ahead(self, rows: np.ndarray, n_steps: int) -> np.ndarray:
        """Return forecasts from scaled recordings, unchecked; (n, time, d) to (n, n_steps, d)."""
        return self._run(rows, n_steps)

    @property
    def n_parameters_(self) -> int:
        """Trained numbers: all that are not whole, beside the scaling."""
        learned = self._learned().values()
        return sum(array.size for array in learned if array.dtype.kind == "f")

    def _learned(self) -> dict[str, np.ndarray]:
        """Return what was learned, beside the scaling: arrays by the names that are declared."""
        return {name: np.asarray(getattr(self, f"{name}_")) for name in self.arrays}

    def _set_learned(self, arrays: dict[str, np.ndarray]) -> None:
        """Set what :meth:`_learned` returns; raise a ValueError if it does not fit together."""
        for name in self.arrays:
            setattr(self, f"{name}_", finite(arrays[name]))
        if not self._fits():
            raise ValueError(f"the baseline {self.kind!r} holds numbers that do not fit together")

    def _fits(self) -> bool:
        """Whether the arrays that were read go with each other and with the features."""
        return True

    def plain(self) -> dict[str, Any]:
        """Return the step of the training data."""
        return {"dt": self.dt_}

    def state(self) -> dict[str, np.ndarray]:
        """Return what was learned."""
        return {"mean": self.scaling_.mean_, "scale": self.scaling_.scale_, **self._learned()}

    @classmethod
    def check_state(
        cls, plain: Mapping[str, Any], found: Mapping[str, TensorSpec], where: str = ""
    ) -> None:
        """Compare the arrays of a file with those that there may be."""
        check_arrays({**Standardise.arrays, **cls.arrays}, found, where)

    @classmethod
    def from_stored(cls, plain: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> Self:
        """Return a fitted baseline; a ValueError if what was learned does not fit together."""
        baseline = cls()
        baseline.scaling_ = Standardise().set_state(mean=state["mean"], scale=state["scale"])
        baseline.n_features_in_ = len(state["mean"])
        baseline.feature_names_ = default_names(baseline.n_features_in_)
        baseline.dt_ = plain["dt"]
        baseline.history_, baseline.train_seconds_ = [], 0.0
        baseline._set_learned(dict(state))
        same_names(baseline.state(), state, f"the baseline {cls.kind!r}")
        return baseline


#: All simple baselines, by kind: those that a model file may hold.
BASELINES: Family[SimpleBaseline] = Family("baseline")


@BASELINES.register
class Persistence(SimpleBaseline):
    """The forecast that nothing changes: the last state, again and again."""

    kind: ClassVar[str] = "persistence"

    def _train(self, train: list[np.ndarray], validation: list[np.ndarray], seed: int) -> None:
        self.history_ = []

    def _run(self, rows: np.ndarray, n_steps: int) -> np.ndarray:
        return np.repeat(rows[:, -1:], n_steps, axis=1)


@BASELINES.register
class Mean(SimpleBaseline):
    """The forecast of the training data's mean, whatever the state."""

    kind: ClassVar[str] = "mean"
    arrays: ClassVar[Mapping[str, Array]] = {"value": Array()}

    value_: np.ndarray

    def _train(self, train: list[np.ndarray], validation: list[np.ndarray], seed: int) -> None:
        self.value_, self.history_ = np.concatenate(train).mean(axis=0), []

    def _run(self, rows: np.ndarray, n_steps: int) -> np.ndarray:
        return np.broadcast_to(self.value_, (len(rows), n_steps, len(self.value_)))

    def _fits(self) -> bool:
        return self.value_.shape == (self.n_features_in_,)


def finite(array: Any, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return a finite array, of that shape if one is given, or raise a ValueError."""
    found = np.asarray(array)
    if shape not in (None, found.shape) or not found.size or not np.isfinite(found).all():
        raise ValueError("a baseline holds numbers that are not finite, or in another shape")
    return found
