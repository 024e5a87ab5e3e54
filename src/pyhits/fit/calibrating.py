"""Measuring the errors of a model's forecasts: on which recordings, and by which flow maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from pyhits.coordinates.coordinates import Fitted, split_inputs
from pyhits.data.matching import joined, some_of
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Autoencoder
from pyhits.encoders.chain import links
from pyhits.errors import DataError
from pyhits.fit.preparing import Prepared
from pyhits.flowmaps import ScaledNet
from pyhits.stepping import Stepping
from pyhits.training import Recipe
from pyhits.training.closed import fit_again
from pyhits.training.history import History
from pyhits.training.jobs import make_jobs
from pyhits.uncertainty import Calibration
from pyhits.uncertainty.result import basis
from pyhits.uncertainty.rollouts import (
    DEFAULT_LIMITS,
    ForecastData,
    RolloutLimits,
    calibrate,
    calibration_steps,
    calibration_stretches,
)
from pyhits.util.clock import UNLIMITED, Clock
from pyhits.util.transaction import transactional

if TYPE_CHECKING:
    from typing import Self

#: Level of the intervals that a note is about.
_NOTED = 0.9

#: Rollouts and their steps that say what others cost, and the part of the time that fits without
#: each of the folds may take, where there is a time limit.
_TIMED, _TIMED_STEPS, _FOR_FOLDS = 8, 64, 0.5

#: Parts that trajectories are held out in, one after the other, where fitting anew costs little.
_FOLDS = 5

#: Numbers of the data of which that costs little.
_MOST_NUMBERS = 4_000_000


@dataclass(frozen=True)
class Fold:
    """Recordings, and the data without them; both in the user's features, the inputs last.

    Attributes
    ----------
    data : Trajectories
        To forecast.
    train : Trajectories
        To fit to, without noise if that was taken off.
    """

    data: Trajectories
    train: Trajectories


@dataclass(frozen=True)
class Kept:
    """What a fit keeps of its data to tell the errors of forecasts.

    Attributes
    ----------
    held : Trajectories
        Not trained on; in the user's features, the inputs last.
    trained : Trajectories or None
        Some that were trained on, likewise.
    fitted : Fitted or None
        Flow maps and encoders that have not seen ``held``; None for the model's own.
    folds : tuple of Fold
        For closed forms, which are fitted in a moment: all recordings, in parts.
    unit : array, shape (d,), or None
        Sizes that errors are measured in; None for the spread of the model's data.
    """

    held: Trajectories
    trained: Trajectories | None = None
    fitted: Fitted | None = None
    folds: tuple[Fold, ...] = ()
    unit: np.ndarray | None = None

    @classmethod
    def of(
        cls, ready: Prepared, fitted: Fitted, unit: np.ndarray, *, all_seen: bool
    ) -> Kept | None:
        """Return what to keep of prepared data; None if nothing was held out.

        Parameters
        ----------
        ready : Prepared
        fitted : Fitted
            To the training part.
        unit : array, shape (d,)
            Spread of that part.
        all_seen : bool
            Whether all is fitted to the held-out part as well in the end.
        """
        split = ready.split
        if split.how == "none":
            return None
        most = DEFAULT_LIMITS.count(int(split.train.lengths.max()))
        trained = some_of(split.train, most)
        if not all_seen:
            return cls(split.validation, trained)
        return cls(split.validation, trained, fitted, _folds(ready), unit)


def _folds(ready: Prepared) -> tuple[Fold, ...]:
    """Return the recordings in parts, each with all the others; none where that does not serve.

    Parts of one recording would lie between those that are fitted to; and encoders, which are
    fitted without each part as well, may take long.
    """
    split = ready.split
    data = clean = split.whole
    numbers = data.recordings
    links_of = links(ready.preprocessor)
    if (
        split.how != "recordings"
        or data.values.size > _MOST_NUMBERS
        or any(isinstance(link, Autoencoder) for link in links_of)
    ):
        return ()
    if ready.noise is not None:
        data = joined([split.train, split.validation])
        clean = joined([ready.train, ready.held])
        is_other = links_of or not np.array_equal(clean.lengths, data.lengths)
        if is_other or numbers[-1] + 1 < len(data):
            return ()
        numbers = np.arange(len(data))
    parts = np.array_split(np.unique(numbers), min(_FOLDS, int(numbers[-1]) + 1))
    inside = (np.isin(numbers, part) for part in parts)
    return tuple(Fold(data[own], clean[~own]) for own in inside)


def _affordable(
    source: ForecastData, unit: np.ndarray, history: int, clock: Clock
) -> RolloutLimits:
    """Return how many rollouts there is time for, by what a few take."""
    if not clock.is_limited:
        return DEFAULT_LIMITS
    few = calibration_stretches(source.data.offsets, history).at_most(_TIMED).cut(_TIMED_STEPS)
    if len(few) == 0:
        return DEFAULT_LIMITS
    begin = clock.now()
    source.errors(few, calibration_steps(few.n_steps), unit, history)
    each = (clock.now() - begin) / (len(few) * few.n_steps)
    states = int(clock.left / 2 / max(each, 1e-9))
    if states < source.data.n_rows:
        clock.cut("the rollouts that intervals rest on")
    return DEFAULT_LIMITS.within(max(states, 1))


class Calibrating(Stepping):
    """The part of :class:`pyhits.HiTS` that measures what its prediction intervals rest on."""

    dense: int
    history_: dict[int, History]
    recipe_: Recipe
    notes_: list[str]

    #: What errors are measured on; neither files nor pickles hold it.
    _kept: Kept | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what pickles and copies hold."""
        state = cast(dict[str, Any], super().__getstate__())
        return {name: value for name, value in state.items() if name != "_kept"}

    @transactional
    def calibrate(self, data: Any) -> Self:
        """Measure the errors that prediction intervals rest on anew, on other data.

        Data that neither trained the model nor chose its scales make the promise of the intervals
        exact; more trajectories make it sharper.

        Parameters
        ----------
        data : Trajectories, or anything that Trajectories accepts
            Nine trajectories or more give one rollout each, from their first states; fewer are cut
            into overlapping ones.

        Returns
        -------
        HiTS
            Itself.

        Raises
        ------
        DataError
            The data do not match the model, or are too short to forecast any of.
        """
        recordings = self.as_data(data)
        if recordings.lengths.max() <= self.start_rows_:
            raise DataError(
                f"No trajectory has more than the {self.start_rows_} row(s) that a forecast starts "
                "from: there is nothing to compare with."
            )
        self._calibrate(Kept(recordings))
        return self

    def _calibrate(self, kept: Kept | None, clock: Clock = UNLIMITED) -> None:
        """Rank the errors of forecasts of what was kept; with nothing, nothing is known."""
        self.calibration_, self._kept = None, kept
        if kept is not None:
            self.calibration_ = self._ranked(kept, clock)
        self._note_intervals()

    def _note_intervals(self) -> None:
        """Put what intervals rest on at the end of the notes, in place of what was said before."""
        known = self.calibration_
        if known is None:
            said = "Intervals: none, as no data were kept for them; calibrate(data) makes some."
        else:
            short = known.shortfall(known.horizon, _NOTED)
            said = basis(known, _NOTED)
            said = said if short in (None, said) else f"{said} {short}"
        kept = [note for note in self.notes_ if not note.startswith("Intervals:")]
        self.notes_ = [*kept, said]

    def _ranked(self, kept: Kept, clock: Clock = UNLIMITED) -> Calibration | None:
        """Return the ranked errors of the selected coupling; None if no recording is long enough.

        Those of training data are ranked among the others where they are alike.
        """
        history = self.start_rows_
        unit = self._spread() if kept.unit is None else kept.unit
        maps = self._fitted_without(kept.folds, clock.part(_FOR_FOLDS))
        parts, fitted = [kept.held], [kept.fitted or Fitted(self.flow_maps_, self._coordinates)]
        if maps:
            parts, fitted = [fold.data for fold in kept.folds], maps
        source = self._source(parts, fitted)
        trained = None
        if not maps and kept.trained is not None:
            trained = self._source([kept.trained], fitted)
        limits = _affordable(source, unit, history, clock)
        found = calibrate(source, unit, trained=trained, history=history, limits=limits)
        return found and replace(
            found,
            step_sizes=self.selection_.step_sizes,
            interpolation=self.interpolation,
            cross_fitted=bool(maps),
        )

    def _fitted_without(self, folds: Sequence[Fold], clock: Clock = UNLIMITED) -> list[Fitted]:
        """Return the coupled flow maps fitted without each of the folds; none if that is dear."""
        if any(isinstance(self.flow_maps_[s], ScaledNet) for s in self.selection_.step_sizes):
            return []
        found: list[Fitted] = []
        begin = clock.now()
        for k, fold in enumerate(folds):
            each = (clock.now() - begin) / max(k, 1)
            if clock.is_over or not clock.affords(each * (len(folds) - k)):
                clock.cut("the folds that intervals rest on")
                return []
            try:
                found.append(self._fitted(fold))
            except DataError:
                # Without one of the folds nothing is long enough for the coarsest step.
                return []
        return found

    def _fitted(self, fold: Fold) -> Fitted:
        """Return the coupled flow maps, in the forms chosen, fitted to one fold's training data."""
        coupled = self.selection_.step_sizes
        coordinates = self._coordinates.refitted(fold.train)
        encoded = coordinates.encode(fold.train)
        scaled = coordinates.scaled(encoded)
        jobs = make_jobs(
            encoded.states,
            encoded.states,
            coordinates.encoder,
            self.recipe_,
            sorted({min(self.flow_maps_), *coupled}),
            seed=0,
            dense=self.dense,
            dtype=self.dtype_,
            inputs=None if scaled is None else (scaled, scaled),
        )
        maps = {
            (size := job.step_size): fit_again(job, self.flow_maps_[size], self.history_[size])
            for job in jobs
            if job.step_size in coupled
        }
        return Fitted(maps, coordinates)

    def _source(self, parts: Sequence[Trajectories], fitted: Sequence[Fitted]) -> ForecastData:
        """Return recordings and how they are forecast, each part by flow maps of its own."""
        whole = parts[0] if len(parts) == 1 else joined(parts)
        states, acting = split_inputs(whole, self.inputs_)
        ends = np.cumsum([part.n_rows for part in parts])

        def forecast_at(
            starts: np.ndarray, n_steps: int, steps: np.ndarray, begins: np.ndarray
        ) -> np.ndarray:
            owner = np.searchsorted(ends, begins, side="right")
            found = np.empty((len(starts), len(steps), states.n_features))
            for k in np.unique(owner):
                own = owner == k
                settings: dict[str, Any] = {"fitted": fitted[k]}
                if acting is not None:
                    rows = np.minimum(begins[own, None] + np.arange(n_steps), len(acting) - 1)
                    settings["inputs"] = acting[rows]
                preprocessor = fitted[k].coordinates.preprocessor
                if preprocessor is not None:
                    settings |= {"at": steps.astype(np.float64), "preprocessor": preprocessor}
                ahead = self._forecast(starts[own], n_steps, self.selection_.step_sizes, **settings)
                found[own] = ahead if preprocessor is not None else ahead[:, steps]
            return found

        return ForecastData(states, forecast_at)
