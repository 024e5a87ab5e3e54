"""What baselines of many rows share: settings chosen on rolling origins, then a fit to all rows."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, NamedTuple, Self

import numpy as np

from pyhits.baselines.origins import Fold, OriginLimits, Origins, folds_of, simplest_as_good
from pyhits.baselines.simple import SimpleBaseline
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Standardise
from pyhits.errors import DataError
from pyhits.numerics.periods import find_period, strongest_periods
from pyhits.util.stored import Array

#: Whole numbers that say how a baseline looks at rows.
Option = tuple[int, ...]

#: Origins that settings are chosen on.
LIMITS = OriginLimits(rows=400, horizon=100, most=20)


#: Origins of a fold that tell as much as independent ones, about.
_INDEPENDENT = 8.0


class Tried(NamedTuple):
    """Settings, and the forecasts that they give."""

    option: Option
    ahead: np.ndarray  # (n, horizon, d)


class ChosenBaseline(SimpleBaseline):
    """A baseline that looks at several rows, with settings that it chooses.

    Later parts of a recording are forecast from rolling origins by what was fitted to the rows
    before (of many trajectories: every third by what was fitted to the others). The simplest
    settings within a standard error of the best are taken and fitted to all rows. Periods are also
    those of all rows, since the first parts of short recordings show none, and of the calendar.

    Attributes
    ----------
    option_ : tuple of int
        The settings chosen.
    """

    arrays: ClassVar[Mapping[str, Array]] = {"option": Array(1, ("I64",))}

    #: Settings for rows that are too few to choose on, and the range of each of their numbers.
    default: ClassVar[Option]
    limits: ClassVar[tuple[tuple[int, int], ...]]

    option_: Option

    #: Periods of all rows, the strongest first, and of the calendar, in rows.
    _periods: Sequence[int] = ()

    @abstractmethod
    def _tried(self, train: Sequence[np.ndarray], origins: Origins) -> Iterator[Tried]:
        """Yield settings, the simplest first, fitted to scaled rows, and their forecasts."""

    @abstractmethod
    def _solve(self, train: Sequence[np.ndarray], option: Option) -> None:
        """Fit to scaled rows with these settings."""

    def _train(self, train: list[np.ndarray], validation: list[np.ndarray], seed: int) -> None:
        if train[0].shape[0] < 2:
            raise DataError("A recording has one row: there is no step to learn from.")
        is_alone, train = validation is train, [rows[-LIMITS.longest :] for rows in train]
        strongest = strongest_periods(train) or [p for p in (find_period(train),) if p > 1]
        self._periods = [*dict.fromkeys([*strongest, *self._calendar])]
        if is_alone:
            folds = folds_of(train, LIMITS)
        else:
            rest = [rows[-LIMITS.longest :] for rows in validation]
            begins = [len(rows) // 2 for rows in rest]
            folds = [Fold(train, Origins.of(rest, begins, LIMITS))]
        self.option_ = self._chosen(folds) or self.default
        self._solve(train, self.option_)

    def _chosen(self, folds: Sequence[Fold]) -> Option | None:
        """Return the simplest settings that are as good as the best in all folds together."""
        errors: dict[Option, list[np.ndarray]] = {}
        for fold in folds:
            for option, ahead in self._tried(fold.train, fold.origins):
                errors.setdefault(option, []).append(fold.origins.errors(ahead))
        every = {key: np.concatenate(of) for key, of in errors.items()}
        # What one of the folds was too short for has been tried at fewer origins.
        most = max(map(len, every.values()), default=0)
        known = {key: of for key, of in every.items() if len(of) == most}
        self.history_ = [
            {"option": option, "error": float(of.mean())} for option, of in known.items()
        ]
        if not known:
            return None
        chosen = simplest_as_good(np.array(list(known.values())), _INDEPENDENT * len(folds))
        return list(known)[chosen]

    def _seasons(self, train: Sequence[np.ndarray], most: int = 2) -> list[int]:
        """Return periods to try: the strongest of a part of the rows, of all, and the calendar's.

        In more rows multiples of a period may stand out, as they are nearer to whole rows.
        """
        strongest = [*strongest_periods(train, most), *self._periods[:most]]
        return [*dict.fromkeys([*strongest, *self._calendar])]

    def refitted(self, data: Trajectories) -> Self:
        """Return a baseline with the same settings, fitted to other recordings."""
        new = copy.copy(self)
        new.scaling_ = Standardise().fit(data.values)
        new._solve([new.scaling_.transform(rows[-LIMITS.longest :]) for rows in data], self.option_)
        return new

    def on_fold(self, fold: Fold) -> np.ndarray:
        """Return forecasts of a fold's origins, in its coordinates, fitted to its rows alone."""
        new = copy.copy(self)
        new._solve(fold.train, self.option_)
        return new._run(fold.origins.history, fold.origins.horizon)

    def _run(self, rows: np.ndarray, n_steps: int) -> np.ndarray:
        if rows.shape[1] < self.n_rows:
            raise DataError(
                f"This {type(self).__name__} looks at {self.n_rows} rows, got {rows.shape[1]}: use "
                "forecast_from with a recording of so many."
            )
        return self._on(rows, n_steps)

    @abstractmethod
    def _on(self, rows: np.ndarray, n_steps: int) -> np.ndarray:
        """Return forecasts from enough rows; ``(n, time, d)`` to ``(n, n_steps, d)``."""

    def _set_learned(self, arrays: dict[str, np.ndarray]) -> None:
        option = tuple(int(k) for k in arrays["option"])
        if len(option) != len(self.limits) or not all(
            low <= k <= high for k, (low, high) in zip(option, self.limits, strict=True)
        ):
            raise ValueError(f"the baseline {self.kind!r} has settings that it cannot have")
        super()._set_learned(arrays)
        self.option_ = option
