"""Forecasts and evaluations of a fitted model, as users ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np

from pyhits.data.pieces import is_of
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError
from pyhits.evaluation.evaluation import Evaluation
from pyhits.forecasting.evaluate import evaluate_model
from pyhits.forecasting.fitted import FittedModel
from pyhits.forecasting.forecast import forecast_states
from pyhits.forecasting.horizon import Horizon
from pyhits.forecasting.prepared import PreparedStepper
from pyhits.forecasting.recording import forecast_recording
from pyhits.forecasting.tolerance import disagreement, forecast_to_tolerance
from pyhits.forecasting.uncertainty import Forecast
from pyhits.hierarchy.adaptive import AdaptiveForecast
from pyhits.util.checks import as_count


@dataclass(frozen=True, eq=False, kw_only=True)
class ForecastingModel(FittedModel):
    """A fitted model, and all that it does with states; :class:`pyhits.TimeStepper` is one."""

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
        past_inputs: Any = None,
    ) -> np.ndarray | Forecast:
        """Step forward from one or many initial states, with all coupled scales at once.

        Parameters
        ----------
        initial_states : array or DataFrame, shape (n, d) or (d,), or Trajectories
            In the user's units. Columns of a DataFrame are matched by name; Trajectories start from
            their first states. With delays it takes histories, shape (n, rows, d) or (rows, d), of
            :attr:`start_rows` rows or more that end in the initial state; of Trajectories, their
            first rows. Of fields, d may be the shape of a snapshot.
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
        past_inputs : as ``inputs``, optional
            What acted on it before, where inputs act with a delay: the rows before the initial
            states, the last of them the row before. Without them the first of ``inputs`` is taken
            for these, and a warning says so.

        Returns
        -------
        array, shape (n, n_steps + 1, d) or (n, m, d)
            Row 0 of a trajectory is its initial state. Without the first axis for one state of
            shape (d,). The dtype is that of ``initial_states``. Of fields the last axis is the
            shape of a snapshot. With ``out`` a read-only memory map or Zarr array of rows. Of an
            array of Dask another one, of which nothing is computed yet: its blocks are the chunks.
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
        if is_of(initial_states, "dask", "Array"):
            from pyhits.forecasting.ensembles import lazily

            options = {
                "step_sizes": step_sizes, "interpolation": interpolation, "out": out, "tol": tol,
                "method": method, "on_divergence": on_divergence, "compile": compile,
                "rows_per_block": rows_per_block, "interval": interval, "inputs": inputs,
                "past_inputs": past_inputs,
            }  # fmt: skip
            found: Any = lazily(self, initial_states, Horizon.of(n_steps, t, self.dt), options)
            return found  # type: ignore[no-any-return]
        if tol is not None:
            others = {"interpolation": interpolation, "out": out, "inputs": inputs}
            others["past_inputs"] = past_inputs
            _refuse_with_tolerance(**others, interval=interval, method=method, compile=compile)
            return self.adaptive_forecast(
                initial_states,
                n_steps,
                tol=tol,
                t=t,
                step_sizes=step_sizes,
                on_divergence=on_divergence,
                rows_per_block=rows_per_block,
            ).states
        return forecast_states(
            self,
            initial_states,
            Horizon.of(n_steps, t, self.dt),
            step_sizes=step_sizes,
            interval=interval,
            out=out,
            overwrite=overwrite,
            inputs=inputs,
            past_inputs=past_inputs,
            interpolation=interpolation,
            method=method,
            on_divergence=on_divergence,
            rows_per_block=rows_per_block,
            compile=compile,
        )

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
        return forecast_to_tolerance(
            self,
            initial_states,
            n_steps,
            tol,
            t,
            step_sizes=step_sizes,
            on_divergence=on_divergence,
            rows_per_block=rows_per_block,
        )

    def disagreement(
        self, initial_states: Any, n_steps: int, *, step_sizes: Sequence[int] | None = None
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
        return disagreement(self, initial_states, n_steps, step_sizes)

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
            In the user's units. The last :attr:`start_rows` rows of each are looked at, or
            :attr:`blended_rows` where baselines take part (:attr:`blend`). Of fields, d may be
            the shape of a snapshot.
        n_steps : int, optional
            Horizon in multiples of ``dt``. Give this or ``t``, times since the recording's end.
        denoise_start : bool, optional
            Start from the state that the model's own steps over the last rows, 256 at most, explain
            best, in place of a last row with noise on it. By default where noise was found in the
            training data (:attr:`noise`). Where the model does not follow the rows, or they carry
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
        return forecast_recording(
            self, self.forecast, recording, n_steps, denoise_start=denoise_start, **options
        )

    def predict(
        self,
        states: Any,
        *,
        step_size: int | None = None,
        inputs: Any = None,
        past_inputs: Any = None,
    ) -> np.ndarray:
        """Return the states one step of ``step_size`` later (the finest by default); (n, d)."""
        size = min(self.flow_maps) if step_size is None else as_count(step_size, "step_size")
        end = Horizon(size, np.array([float(size)]))
        acting = {"inputs": inputs, "past_inputs": past_inputs}
        later = np.asarray(forecast_states(self, states, end, step_sizes=[size], **acting))
        axis = later.ndim - 1 - len(self.coordinates.snapshot or (1,))
        return np.asarray(later.take(0, axis=axis))

    def prepared(self) -> PreparedStepper:
        """Return what steps few states many times, as a control loop does, and checks little."""
        return PreparedStepper(self)

    def evaluate(
        self,
        test: Any,
        *,
        n_steps: int | None = None,
        step_sizes: Sequence[int] | None = None,
        interpolation: str | None = None,
        baselines: bool = True,
        lyapunov: float | None = None,
        given: int | None = None,
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
        given : int, optional
            First rows of each trajectory that are known; forecasts start from the last of them. By
            default as many as a forecast needs, :attr:`start_rows`, or where it is blended as many
            as it looks at, up to half the shortest. Baselines that look at more are left out.
        """
        return evaluate_model(
            self,
            test,
            n_steps=n_steps,
            step_sizes=step_sizes,
            interpolation=interpolation,
            baselines=baselines,
            lyapunov=lyapunov,
            given=given,
        )

    def score(self, X: Any, y: Any = None) -> float:
        """Return minus the normalised root mean squared error, for scikit-learn's searches."""
        return -self.evaluate(X, baselines=False).nrmse

    def as_data(self, data: Any, *, inputs: bool = True) -> Trajectories:
        """Return ``data`` as Trajectories with the model's step, its features in its order.

        Of a model with inputs these come last, and may be lacking unless ``inputs``.

        Raises
        ------
        DataError
            Step or features are others than those of the training data.
        """
        return self.coordinates.recorded(data, inputs=inputs)


def _refuse_with_tolerance(*, method: str, compile: bool, **others: Any) -> None:
    """Raise an ArgumentError for what does not go together with a tolerance."""
    given = [name for name, value in others.items() if value is not None]
    given += ["method"] * (method != "vectorised") + ["compile"] * compile
    if given:
        raise ArgumentError(f"tol and {given[0]} do not go together; leave one of them out.")
