"""What a fitted model does with states: forecasts, to a tolerance, with intervals; evaluations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import numpy as np

from pyhits.baselines.fitted import FittedBaselines
from pyhits.coordinates.coordinates import Coordinates, Fitted
from pyhits.coordinates.inputs import Inputs, acting
from pyhits.coordinates.starts import (
    Starts,
    as_states,
    endings,
    histories,
    is_single,
    last_rows,
    positions,
)
from pyhits.data.containers import as_recording, dates_of
from pyhits.data.diagnostics import units
from pyhits.data.matching import are_states_alone, as_trajectories, in_same_steps, matched
from pyhits.data.memory_use import check_size
from pyhits.data.stretches import Stretches
from pyhits.data.times import TimeAxis
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Chain, Standardise
from pyhits.encoders.flatten import as_rows
from pyhits.errors import ArgumentError, NotFittedError, warn
from pyhits.evaluation.evaluate import evaluate
from pyhits.evaluation.evaluation import Evaluation
from pyhits.fit import evidence
from pyhits.flowmaps import FlowMap
from pyhits.hierarchy import Selection, chain
from pyhits.hierarchy.adaptive import AdaptiveForecast, adaptive_forecast
from pyhits.hierarchy.disagreement import along as disagreement_along
from pyhits.hierarchy.disagreement import pair
from pyhits.hierarchy.forecast import Keep, forecast, in_memory
from pyhits.hierarchy.hierarchy import Hierarchy
from pyhits.hierarchy.to_file import ToFile
from pyhits.noise import initial_state
from pyhits.uncertainty import Calibration, Forecast, Region
from pyhits.uncertainty.conformal import as_level
from pyhits.uncertainty.result import with_intervals
from pyhits.util.checks import as_count, as_positive
from pyhits.util.progress import bar, say

#: Initial states of a forecast without intervals whose neighbours in the data are looked for.
_LOOKED_AT = 256

#: Features that may have units of their own; more are points of a field.
_MOST_WITH_UNITS = 1024


class Stepping:
    """The face of a fitted model; :class:`~pyhits.HiTS` adds how it is fitted.

    Its attributes are those of :class:`~pyhits.HiTS`.
    """

    interpolation: str
    device: str
    verbose: bool
    flow_maps_: dict[int, FlowMap]
    selection_: Selection
    encoder_: Standardise
    dt_: float
    feature_names_: tuple[str, ...]
    data_: dict[str, Any]
    noise_: np.ndarray
    calibration_: Calibration | None
    region_: Region | None
    baselines_: FittedBaselines | None
    preprocessor_: Chain | None = None
    #: Shape of the user's snapshots, where the encoder begins with a Flatten.
    snapshot_: tuple[int, ...] | None = None
    inputs_: Inputs | None = None

    @overload
    def forecast(
        self,
        initial_states: Any,
        n_steps: int | None = None,
        *,
        interval: None = None,
        **options: Any,
    ) -> np.ndarray: ...
    @overload
    def forecast(
        self, initial_states: Any, n_steps: int | None = None, *, interval: float, **options: Any
    ) -> Forecast: ...
    # The overloads do not repeat the options, which are those of this signature.
    def forecast(  # type: ignore[misc]
        self,
        initial_states: Any,
        n_steps: int | None = None,
        *,
        t: Any = None,
        step_sizes: Sequence[int] | None = None,
        interpolation: str | None = None,
        method: str = "vectorised",
        on_divergence: str = "raise",
        rows_per_block: int | None = None,
        compile: bool = False,
        out: str | Path | None = None,
        overwrite: bool = False,
        tol: float | None = None,
        interval: float | None = None,
        inputs: Any = None,
    ) -> np.ndarray | Forecast:
        """Step forward from one or many initial states, with all coupled scales at once.

        Parameters
        ----------
        initial_states : array or DataFrame, shape (n, d) or (d,), or Trajectories
            In the user's units. Columns of a DataFrame are matched by name; Trajectories start from
            their first states. With delays it takes histories, shape (n, rows, d) or (rows, d), of
            :attr:`start_rows_` rows or more that end in the initial state; of Trajectories, their
            first rows. With a Flatten, d may be the shape of a snapshot.
        n_steps : int, optional
            Horizon in multiples of ``dt``. Give this or ``t``.
        t : array, shape (m,), optional
            Times since the initial state, in the unit of ``dt``, in any order.
        step_sizes : sequence of int, optional
            Scales to couple instead of the selected ones. A single one is the single-scale
            time-stepper of the paper.
        interpolation : {"cubic", "linear"}, optional
        method : {"vectorised", "sequential"}
            Algorithm 1, or one state after another: its plain definition, equal up to rounding.
        on_divergence : {"raise", "return"}
            Raise a DivergenceError that names trajectory and step, or return NaN from there on.
        rows_per_block : int, optional
            States that a flow map steps at once; by default as many as a core's cache holds.
        compile : bool
            Step with code that torch compiles, once a model: for GPUs.
        out : path, optional
            File (.npy or .zarr) to write block by block instead of filling the memory. A forecast
            that was stopped continues from it when it is called again.
        overwrite : bool
            Replace a file that holds anything else than this forecast.
        tol : float, optional
            Step to a tolerance instead, all trained scales taking part, and return what
            :meth:`adaptive_forecast` does as its ``states``. Not with ``interpolation``,
            ``method``, ``compile``, ``out`` or ``interval``.
        interval : float, optional
            Level of prediction intervals, such as 0.9: the result is then a
            :class:`~pyhits.Forecast`. They are those of the selected coupling.
        inputs : array, mapping of str to array, DataFrame or Trajectories, optional
            What acts on the system, if the model takes any: row i from step i to the next, shape
            ``(n_steps, k)`` for all trajectories alike, ``(n, n_steps, k)`` for each; ``(k,)``, or
            ``(n, 1, k)``, held all the time. Trajectories to start from may hold them themselves.

        Returns
        -------
        array, shape (n, n_steps + 1, d) or (n, m, d)
            Row 0 of a trajectory is its initial state. Without the first axis for one state of
            shape (d,). The dtype is that of ``initial_states``. With a Flatten the last axis is the
            shape of a snapshot. With ``out`` a read-only memory map or Zarr array of rows.
        Forecast
            With ``interval``: states, bounds, and what is known of their errors.

        Raises
        ------
        ArgumentError, DataError, DivergenceError
        CheckpointError
            ``out`` holds another forecast.
        FileFormatError
            ``out`` cannot be written; what is complete is kept.
        MissingExtraError
            Zarr, or a compiler, is not installed.

        Warns
        -----
        PyHiTSWarning
            Initial states lie outside the training data, or intervals do not reach the horizon.
        """
        if tol is not None:
            refused = {
                "interpolation": interpolation is not None,
                "method": method != "vectorised",
                "compile": compile,
                "out": out is not None,
                "interval": interval is not None,
                "inputs": inputs is not None,
            }
            for name in (name for name, given in refused.items() if given):
                raise ArgumentError(f"tol and {name} do not go together; leave one of them out.")
            return self.adaptive_forecast(
                initial_states,
                n_steps,
                tol=tol,
                t=t,
                step_sizes=step_sizes,
                on_divergence=on_divergence,
                rows_per_block=rows_per_block,
            ).states
        self._check_fitted()
        level = self._level(interval, step_sizes, interpolation, out)
        states, single, starts = self._starts(initial_states)
        n_steps, at = self._times(n_steps, t)
        self._check_size(states, n_steps, at, to_file=out is not None)
        if inputs is None and isinstance(initial_states, Trajectories):
            inputs = self._held_inputs(initial_states)
        settings = self._acting(inputs, len(states), n_steps)
        if single and out is not None:
            raise ArgumentError("With out=... give initial states of shape (n, d): [state].")
        keep: Keep = in_memory
        if out is not None:
            names = self.feature_names_
            keep = ToFile(out, self.dt_, names, starts, overwrite=overwrite, verbose=self.verbose)
        outside, notes = self._outside(states, None if level else _LOOKED_AT)
        result = self._forecast(
            states,
            n_steps,
            self.selection_.step_sizes if step_sizes is None else step_sizes,
            interpolation=interpolation,
            on_divergence=on_divergence,
            at=at,
            method=method,
            rows_per_block=rows_per_block,
            compile=compile,
            keep=keep,
            preprocessor=self.preprocessor_,
            **settings,
        )
        if level is not None:
            at = np.arange(result.shape[1], dtype=np.float64) if at is None else at
            found = self._with_intervals(result, at, level, outside, notes)
            return found.first() if single else found
        if self.snapshot_ is not None and out is None:
            result = result.reshape(*result.shape[:2], *self.snapshot_)
        return result[0] if single else result

    def adaptive_forecast(
        self,
        initial_states: Any,
        n_steps: int | None = None,
        *,
        tol: float,
        t: Any = None,
        step_sizes: Sequence[int] | None = None,
        on_divergence: str = "raise",
        rows_per_block: int | None = None,
    ) -> AdaptiveForecast:
        """Step forward to a tolerance, each trajectory with the scales that are good enough for it.

        At every state of a trajectory the coarsest scale is taken whose indicated error is small
        enough: what it differs from finer steps by, and what validation has shown. Finer scales
        fill in between where a curve through the states would not do. The result of a trajectory
        does not depend on which others are stepped with it, up to rounding.

        Parameters
        ----------
        initial_states, n_steps, t, on_divergence, rows_per_block
            As in :meth:`forecast`.
        tol : float
            Error aimed at, the largest over all times of a trajectory: a root mean square over
            features, in units of their spread (of encoded coordinates, with an encoder).
        step_sizes : sequence of int, optional
            Trained scales to choose from, at least two; by default all of them.

        Returns
        -------
        AdaptiveForecast
            States, steps taken, indicated errors and evaluations.

        Raises
        ------
        ArgumentError
            The tolerance is not a positive number, or there are no two scales to choose from.
        DataError, DivergenceError
            As :meth:`forecast`.

        Warns
        -----
        PyHiTSWarning
            The trained scales do not meet the tolerance; it says what they reach.
        """
        self._check_fitted()
        self._check_without_inputs("A tolerance")
        tol = as_positive(tol, "tol")
        states, single, _ = self._starts(initial_states)
        n_steps, at = self._times(n_steps, t)
        self._check_size(states, n_steps, at)
        sizes = list(self.flow_maps_) if step_sizes is None else step_sizes
        with bar("forecasting", verbose=self.verbose) as progress:
            result = adaptive_forecast(
                states,
                self._hierarchy,
                self.encoder_,
                n_steps,
                step_sizes=sizes,
                tol=tol,
                at=at,
                on_divergence=on_divergence,
                device=self.device,
                progress=progress,
                rows_per_block=rows_per_block,
                preprocessor=self.preprocessor_,
                **evidence.known(self),
            )
        states = result.states
        if self.snapshot_ is not None:
            states = states.reshape(*states.shape[:2], *self.snapshot_)
        return replace(result, states=states[0] if single else states)

    def disagreement(
        self,
        initial_states: Any,
        n_steps: int,
        *,
        step_sizes: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Return how far two neighbouring scales disagree at every coarse step of a forecast.

        Each coarse step is compared with the finer ones that make it up, from the same state: an
        indicator of the error that it adds. It does not see what both scales learned wrongly.

        Parameters
        ----------
        initial_states : as in :meth:`forecast`
        n_steps : int
            Horizon in multiples of ``dt``; coarse steps that end beyond it are left out.
        step_sizes : two ints, optional
            The scales to compare; by default the coarsest coupled one and the next finer trained
            one, or the next coarser where it is the finest.

        Returns
        -------
        array, shape (n, n_steps // coarse step)
            A root mean square over features, in units of their spread (of encoded coordinates, with
            an encoder). Without the first axis for one initial state.

        Raises
        ------
        ArgumentError
            One scale alone was trained, or the horizon is shorter than a coarse step.
        DataError
            As :meth:`forecast`.
        """
        self._check_fitted()
        self._check_without_inputs("The disagreement of scales")
        states, single, _ = self._starts(initial_states)
        n_steps = as_count(n_steps, "n_steps", most=None)
        self._check_size(states, n_steps)
        if step_sizes is None:
            coarse, fine = pair(self.flow_maps_, max(self.selection_.step_sizes), n_steps)
        else:
            self._check_trained(step_sizes)
            coarse, fine = pair(
                {s: self.flow_maps_[s] for s in step_sizes}, max(step_sizes), n_steps
            )
        if self.preprocessor_ is not None:
            rows = states if states.ndim == 3 else states[:, None]
            states = self.preprocessor_.transform(rows)[:, -1]
        maps = {s: self.flow_maps_[s].to(self.device) for s in (fine, coarse)}
        found = disagreement_along(
            self.encoder_.transform(states), maps, coarse, fine, n_steps // coarse,
            evidence.weights(self),
        )  # fmt: skip
        return found[0] if single else found

    def _starts(self, initial_states: Any) -> tuple[np.ndarray, bool, np.ndarray | None]:
        """Return initial states, whether a single one was given, and their times if known."""
        starts = None
        if isinstance(initial_states, Trajectories):
            whole, _ = self._apart(self.as_data(initial_states, inputs=False))
            initial_states, data = histories(whole, self.start_rows_)
            starts = data.start_times
        elif isinstance(initial_states, Starts):
            initial_states, starts = initial_states
        else:
            initial_states = as_rows(initial_states, self.snapshot_)
        return *as_states(initial_states, self.feature_names_, self.start_rows_), starts

    def _times(self, n_steps: int | None, t: Any) -> tuple[int, np.ndarray | None]:
        """Return the horizon, and times in multiples of ``dt`` if they were asked for."""
        if (n_steps is None) == (t is None):
            raise ArgumentError("Give either n_steps or the times t.")
        if t is None:
            return as_count(n_steps, "n_steps", most=None), None
        at = positions(t, self.dt_)
        return max(1, math.ceil(at.max())), at

    def _check_size(
        self,
        states: np.ndarray,
        n_steps: int,
        at: np.ndarray | None = None,
        *,
        to_file: bool = False,
    ) -> None:
        """Raise an ArgumentError where a forecast from ``states`` does not fit into memory."""
        check_size(
            len(states),
            n_steps,
            len(self.feature_names_),
            n_times=None if at is None else len(at),
            to_file=to_file,
            itemsize=states.dtype.itemsize,
        )

    def _level(
        self,
        interval: float | None,
        step_sizes: Sequence[int] | None,
        interpolation: str | None,
        out: Any,
    ) -> float | None:
        """Return the level of the intervals asked for, if there can be such."""
        if interval is None:
            return None
        level = as_level(interval)
        if self.calibration_ is None:
            raise ArgumentError(
                "This model has no calibration, so there are no intervals: nothing was held out, "
                "or it was fitted or coupled without. Call calibrate with recordings."
            )
        known = self.calibration_
        if step_sizes is not None and tuple(chain(step_sizes)) != known.step_sizes:
            raise ArgumentError(
                f"Intervals are calibrated for the coupling {list(known.step_sizes)}, not for "
                f"{list(step_sizes)}; couple these with couple({list(step_sizes)}) first."
            )
        if (interpolation or self.interpolation) != known.interpolation:
            raise ArgumentError(
                f"Intervals are calibrated for interpolation={known.interpolation!r}; ask for that."
            )
        if out is not None:
            raise ArgumentError("Intervals go into memory: leave out=... or interval=... away.")
        return level

    def _outside(self, states: np.ndarray, most: int | None) -> tuple[np.ndarray, list[str]]:
        """Return which states to start from lie outside the training data, and warn of them.

        Neighbours in the data are looked for of the first ``most`` alone.
        """
        if self.region_ is None:
            return np.zeros(len(states), dtype=bool), []
        coordinates = states
        if self.preprocessor_ is not None:
            rows = states if states.ndim == 3 else states[:, None]
            coordinates = self.preprocessor_.transform(rows)[:, -1]
        found = self.region_.outside(coordinates, most)
        sentences = [found.sentence(), *self._other_units(states, "initial states")]
        notes = [sentence for sentence in sentences if sentence is not None]
        if notes:
            warn(" ".join(notes))
        return found.any, notes

    def _other_units(self, states: np.ndarray, what: str) -> list[str]:
        """Say so if states ``(..., d)`` would lie in the training data in other units."""
        names, low, high = self.feature_names_, self.data_["low"], self.data_["high"]
        if len(names) > _MOST_WITH_UNITS:
            return []
        return [str(f) for f in units(states.reshape(-1, len(names)), names, low, high, what=what)]

    def _with_intervals(
        self,
        states: np.ndarray,
        at: np.ndarray,
        level: float,
        outside: np.ndarray,
        notes: list[str],
    ) -> Forecast:
        assert self.calibration_ is not None
        short = self.calibration_.shortfall(math.ceil(at.max()), level)
        if short is not None:
            warn(f"{short} Bounds are infinite there.")
            notes = [*notes, short]
        box = np.array(self.data_["low"]), np.array(self.data_["high"])
        found = with_intervals(states, at, self.dt_, level, self.calibration_, outside, box, notes)
        return found if self.snapshot_ is None else found.shaped(self.snapshot_)

    @overload
    def forecast_from(
        self,
        recording: Any,
        n_steps: int | None = None,
        *,
        interval: None = None,
        **options: Any,
    ) -> Any: ...
    @overload
    def forecast_from(
        self, recording: Any, n_steps: int | None = None, *, interval: float, **options: Any
    ) -> Forecast: ...
    def forecast_from(
        self,
        recording: Any,
        n_steps: int | None = None,
        *,
        denoise_start: bool | None = None,
        **options: Any,
    ) -> Any:
        """Go on from the end of a recording.

        Parameters
        ----------
        recording : array or DataFrame, shape (rows, d); several of them; or Trajectories
            In the user's units. The last :attr:`start_rows_` rows of each are looked at. With a
            Flatten, d may be the shape of a snapshot.
        n_steps : int, optional
            Horizon in multiples of ``dt``. Give this or ``t``, times since the recording's end.
        denoise_start : bool, optional
            Start from the state that the model's own steps over the last rows, 256 at most, explain
            best, in place of a last row with noise on it. By default where noise was found in the
            training data (:attr:`noise_`). Where the model does not follow the rows, or they carry
            hardly any noise, the last of them stays.
        **options
            As in :meth:`forecast`.

        Returns
        -------
        array, shape (n, n_steps + 1, d) or (n, m, d)
            As :meth:`forecast`; row 0 is the last of the recording, without noise that was taken
            off. Without the first axis for one recording of shape ``(rows, d)``.
        DataFrame, Series or DataArray
            Of one recording that came as such, with the times that follow, in its columns and with
            an index of its kind; DataFrames in a list come back as a list.
        Forecast
            With ``interval``.

        Raises
        ------
        DataError
            A recording is shorter than the model's delays, or has other features.
        ArgumentError, DivergenceError, CheckpointError, FileFormatError, MissingExtraError
            As :meth:`forecast`.
        """
        self._check_fitted()
        rows = as_rows(recording, self.snapshot_)
        single = is_single(rows)
        if denoise_start:
            self._check_without_inputs("denoise_start")
        smooth = initial_state.is_estimated(denoise_start, self.noise_, self.start_rows_)
        if isinstance(rows, np.ndarray) and rows.ndim > 1:
            # Earlier rows do not count: neither their gaps nor their size in float64.
            rows = last_rows(
                rows, max(2, self.start_rows_), initial_state.ROWS[-1] if smooth else 0
            )
        data, _ = self._apart(self.as_data(rows, inputs=False))
        starts = endings(data, self.start_rows_)
        single = single and len(starts.times) == 1
        if smooth:
            found, note = initial_state.last_rows_without_noise(
                data,
                lambda x, n: self._forecast(x, n, self.selection_.step_sizes, quiet=True),
                self.preprocessor_,
                self.noise_,
                self.encoder_.scale_,
            )
            say(note, verbose=self.verbose)
            starts = Starts(found, starts.times)
        states: np.ndarray | Forecast = self.forecast(starts, n_steps, **options)
        begin = (data.axis, starts.times)
        if isinstance(states, Forecast):
            dated = replace(states, dates=dates_of(states.times, *begin))
            return dated.first() if single else dated
        if options.get("out") is not None:
            return states
        at = positions(options["t"], self.dt_) * self.dt_ if options.get("t") is not None else None
        times = self.dt_ * np.arange(states.shape[1]) if at is None else at
        found_states = states[0] if single else states
        return as_recording(found_states, recording, self.feature_names_, times, *begin)

    def _forecast(
        self,
        states: np.ndarray,
        n_steps: int,
        step_sizes: Sequence[int],
        *,
        interpolation: str | None = None,
        on_divergence: str = "return",
        quiet: bool = False,
        inputs: np.ndarray | None = None,
        fitted: Fitted | None = None,
        **settings: Any,
    ) -> np.ndarray:
        hierarchy = self._hierarchy if fitted is None else Hierarchy(fitted.maps)
        coordinates = self._coordinates if fitted is None else fitted.coordinates
        if inputs is not None:
            assert coordinates.inputs is not None
            settings["inputs"] = coordinates.inputs.scaled(inputs)
        with bar("forecasting", verbose=self.verbose and not quiet) as progress:
            return forecast(
                states,
                hierarchy,
                coordinates.encoder,
                n_steps,
                step_sizes=step_sizes,
                interpolation=interpolation or self.interpolation,
                on_divergence=on_divergence,
                device=self.device,
                progress=progress,
                **settings,
            )

    def predict(
        self, states: Any, *, step_size: int | None = None, inputs: Any = None
    ) -> np.ndarray:
        """Return the states one step of ``step_size`` later (the finest by default); (n, d)."""
        self._check_fitted()
        size = min(self.flow_maps_) if step_size is None else as_count(step_size, "step_size")
        later = self.forecast(states, t=[size * self.dt_], step_sizes=[size], inputs=inputs)
        axis = later.ndim - 1 - len(self.snapshot_ or (1,))
        return np.asarray(later.take(0, axis=axis))

    def evaluate(
        self,
        test: Any,
        *,
        n_steps: int | None = None,
        step_sizes: Sequence[int] | None = None,
        interpolation: str | None = None,
        baselines: bool = True,
        lyapunov: float | None = None,
    ) -> Evaluation:
        """Forecast every trajectory from its first state and measure the errors.

        Parameters
        ----------
        test : Trajectories, or anything that Trajectories accepts
        n_steps : int, optional
            Horizon; by default to the end of each trajectory.
        step_sizes, interpolation
            As in :meth:`forecast`.
        baselines : bool
            Measure the simple baselines, too.
        lyapunov : float, optional
            Largest Lyapunov exponent; valid times are then said in Lyapunov times, too.
        """
        self._check_fitted()
        joined = self.as_data(test)
        whole, _ = self._apart(joined)
        for sentence in self._other_units(whole.values, "data"):
            warn(sentence)
        starts, data = histories(whole, self.start_rows_)
        sizes = tuple(chain(self.selection_.step_sizes if step_sizes is None else step_sizes))
        if n_steps is not None:
            n_steps = as_count(n_steps, "n_steps", most=None)
        acting = self._held_inputs(joined)

        def forecaster(states: np.ndarray, steps: int) -> np.ndarray:
            return self._forecast(
                starts,
                steps,
                sizes,
                interpolation=interpolation,
                preprocessor=self.preprocessor_,
                **self._acting(acting, len(starts), steps),
            )

        simple: dict[str, Any] = {}
        if baselines and self.baselines_ is not None:
            simple = self.baselines_.forecasters(self.preprocessor_, starts, acting)
        decoded = None
        if self.preprocessor_ is not None and self.preprocessor_.lossy:
            decoded = data.with_values(
                np.concatenate(
                    self.preprocessor_.inverse_transform(self.preprocessor_.transform(whole))
                )
            )
        return evaluate(
            forecaster,
            data,
            scale=self._spread(),
            n_steps=n_steps,
            step_sizes=sizes,
            baselines=simple,
            decoded=decoded,
            lyapunov=lyapunov,
        )

    @property
    def _hierarchy(self) -> Hierarchy:
        """The flow maps, with what was made to step them."""
        known: Hierarchy | None = self.__dict__.get("_prepared")
        if known is None or known.flow_maps is not self.flow_maps_:
            known = self._prepared = Hierarchy(self.flow_maps_)
        return known

    @property
    def _coordinates(self) -> Coordinates:
        return Coordinates(self.preprocessor_, self.encoder_, self.inputs_)

    @property
    def start_rows_(self) -> int:
        """Rows that a forecast starts from."""
        return 1 if self.preprocessor_ is None else self.preprocessor_.history

    @property
    def dtype_(self) -> str:
        """Arithmetic of the flow maps."""
        self._check_fitted()
        first = next(iter(self.flow_maps_.values()))
        return str(next(iter(first.state_dict().values())).dtype).removeprefix("torch.")

    @property
    def coordinate_names_(self) -> tuple[str, ...]:
        """Names of the encoded coordinates."""
        self._check_fitted()
        if self.preprocessor_ is None:
            return self.feature_names_
        return tuple(self.preprocessor_.get_feature_names_out(self.feature_names_))

    @property
    def axis_(self) -> TimeAxis:
        """What the times of the training data meant: numbers, or dates and their steps."""
        self._check_fitted()
        return TimeAxis.from_dict(self.data_.get("time_axis", {}))

    def as_data(self, data: Any, *, inputs: bool = True) -> Trajectories:
        """Return ``data`` as Trajectories with the model's step, its features in its order.

        Of a model with inputs these come last, and may be lacking unless ``inputs``.

        Raises
        ------
        DataError
            Step or features are others than those of the training data.
        """
        self._check_fitted()
        flat = as_rows(data, self.snapshot_)
        trajectories = as_trajectories(flat, None, default_dt=self.dt_)
        trajectories = in_same_steps(trajectories, self.axis_, "given")
        names = self.feature_names_
        if self.inputs_ is not None:
            bare = not inputs and are_states_alone(trajectories, names, self.inputs_.names)
            names = names if bare else (*names, *self.inputs_.names)
        return matched(trajectories, self.dt_, names, "given")

    def _apart(self, data: Trajectories) -> tuple[Trajectories, np.ndarray | None]:
        """Return data without the inputs, and these in the user's units, ``(n_rows, k)``."""
        if self.inputs_ is None or data.n_features == len(self.feature_names_):
            return data, None
        return data.select(data.feature_names[: len(self.feature_names_)]), np.asarray(
            data.values[:, len(self.feature_names_) :]
        )

    def _held_inputs(self, data: Trajectories) -> np.ndarray | None:
        """Return the inputs that trajectories hold, from the rows that forecasts start from on."""
        if self.inputs_ is None:
            return None
        joined = self.as_data(data, inputs=False)
        if joined.n_features == len(self.feature_names_):
            return None
        inputs = joined.values[:, len(self.feature_names_) :]
        return Stretches.whole(joined.offsets, self.start_rows_).gather_inputs(inputs)

    def _acting(self, inputs: Any, n: int, n_steps: int) -> dict[str, Any]:
        """Return the setting of a forecast that its inputs are, in the user's units."""
        if self.inputs_ is None:
            if inputs is not None:
                raise ArgumentError("This model was fitted without inputs; leave inputs=... out.")
            return {}
        found = acting(inputs, self.inputs_.names, n, n_steps)
        beyond = self.inputs_.outside(found)
        if beyond:
            warn(
                f"The input {beyond[0]!r} leaves the range of the training data: nothing is "
                "promised there."
            )
        return {"inputs": found}

    def _check_without_inputs(self, what: str) -> None:
        if self.inputs_ is not None:
            raise ArgumentError(f"{what} is not for models with inputs.")

    def _spread(self) -> np.ndarray:
        """Return the standard deviation of each feature in the training data, 1 where it is 0."""
        spread = np.array(self.data_["std"])
        return np.where(spread > 0, spread, 1.0)

    def _check_trained(self, step_sizes: Sequence[int]) -> None:
        missing = [s for s in chain(step_sizes) if s not in self.flow_maps_]
        if missing:
            raise ArgumentError(
                f"Step size {missing[0]} was not trained; there are "
                f"{', '.join(map(str, self.flow_maps_))}."
            )

    def _check_fitted(self) -> None:
        if not hasattr(self, "selection_"):
            raise NotFittedError("This HiTS is not fitted yet; call fit with trajectories first.")
