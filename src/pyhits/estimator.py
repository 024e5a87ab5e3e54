"""The estimator: fit recorded trajectories, then step forward."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from sklearn.base import BaseEstimator

from pyhits import evidence, onset, planning
from pyhits.checks import as_count, as_positive
from pyhits.choice import Chooser, choose_again
from pyhits.encoders import Chain, DelayEmbedding, Encoder, Flatten
from pyhits.encoders.chain import AUTO, automatic, split, without_idle
from pyhits.errors import ArgumentError, DataError, NotFittedError, PyHiTSWarning
from pyhits.evaluation import Evaluation, evaluate
from pyhits.hierarchy import chain
from pyhits.hierarchy.adaptive import AdaptiveForecast, adaptive_forecast
from pyhits.hierarchy.disagreement import along as disagreement_along
from pyhits.hierarchy.disagreement import pair
from pyhits.hierarchy.forecast import Keep, forecast, in_memory
from pyhits.hierarchy.starts import (
    Starts,
    as_states,
    endings,
    histories,
    is_single,
    last_rows,
    positions,
)
from pyhits.hierarchy.stream import ToFile
from pyhits.noise import denoise
from pyhits.planning import as_trajectories
from pyhits.progress import bar, say, scale_bars
from pyhits.settings import check_selection, check_settings, widths_by_scale
from pyhits.training import Recipe
from pyhits.training.checkpoint import CheckpointFolder
from pyhits.training.few import solve
from pyhits.training.forms import Form
from pyhits.training.jobs import fingerprint, make_jobs
from pyhits.training.lags import choose_lags
from pyhits.training.parallel import n_workers, train_scales, warn_interrupted
from pyhits.trajectories import Trajectories
from pyhits.trust import Calibration, Forecast, Region
from pyhits.trust.conformal import as_level
from pyhits.trust.result import basis, with_intervals
from pyhits.trust.rivals import Rivals
from pyhits.trust.rollouts import calibrate

#: Initial states of a forecast without intervals whose neighbours in the data are looked for.
_LOOKED_AT = 256

#: Level of the intervals that a note is about.
_NOTED = 0.9

#: Constant features that a note names, at most.
_MOST_NAMES = 20


class HiTS(BaseEstimator):  # type: ignore[misc]
    """A hierarchical time-stepper (Liu, Kutz, Brunton 2020).

    One flow map is trained for each step size; cross-validation chooses which of them to couple;
    forecasts use all chosen scales at once, coarse steps first. What is left ``None`` follows from
    the data, and :attr:`notes_` says what was chosen.

    Parameters
    ----------
    step_sizes : sequence of int, optional
        Step sizes in multiples of ``dt``, each dividing the next coarser. By default powers of two
        as far as the trajectories allow, at most 1024.
    dense : int
        States that the finest flow map returns from one evaluation: it then steps ``dense`` times
        as far, fills in everything inside that step, and stands in for all step sizes up to it. A
        forecast takes so many times fewer evaluations; 1 is the paper's plain hierarchy.
    recipe : {"pyhits", "paper", "reproduce"} or Recipe
        Training settings; ``"paper"`` is Appendix A.1, ``"reproduce"`` learns to generate the
        training data from their first rows and nothing else (Section 3.2). The settings below
        override it one by one.
    flow_map : str, optional
        ``"residual"`` or another registered family of nets; ``"polynomial"`` or ``"kernel"``,
        closed forms that are solved for; ``"closed"``, of each scale the closed form that steps the
        held-out part best. By default closed forms for few points (4000 rows of 64 features), if
        nothing is said about nets, and residual nets else. Closed forms are solved for again with
        all the data, once everything is chosen.
    encoder : Encoder, list of Encoder, or "auto", optional
        What stands between the user's rows and the flow maps, such as ``[POD(22),
        Standardise(common=True)]`` or ``DelayEmbedding(5)``. :meth:`fit` fits copies of it to the
        training data. If the last is no Standardise, the recipe's is added. ``"auto"`` takes delays
        if the data say that they help, of POD modes where there are more than 32 features. By
        default there is none, but for few points of one recording, of which a state may need
        several rows; ``encoder=[]`` is none for certain.
    hidden_sizes : sequence of int, or mapping of int to such, optional
        Widths of the hidden layers: of all nets, or by step size.
    activation : {"gelu", "silu", "tanh", "relu"}, optional
    polynomial_degree : int, optional
        Highest degree of the closed-form first stage of each scale; 0 leaves it out.
    optimizer : {"soap", "adam", "adamw", "muon", "sgd", "ridge"}, optional
        ``"ridge"`` draws the hidden layers and solves for the last: seconds, and exact where there
        are fewer windows than hidden units.
    learning_rate : float, optional
    batch_size, max_steps, rollout_steps : int, optional
        Windows a step, optimiser steps a scale, steps p in the loss (equation 9).
    sampling : {"early", "uniform", "density", "residual"}, optional
        How windows are drawn for the nets: by ``early_bias``; every window equally often; evenly
        over the region visited; where the net's error is.
    early_bias : float, optional
        Windows start at ``T u**early_bias``, u uniform: 1 draws uniformly over time, 3 favours
        transients.
    denoise : bool, optional
        Take white noise off the data first, where they carry any; by default the recipe decides,
        and ``"pyhits"`` does. With an encoder it is taken off the encoded data, and left there if
        they hold delays.
    target_error : float, optional
        One-step mean squared error at which a scale's training stops.
    time_limit : float, optional
        Seconds for the whole fit. Results then depend on the machine.
    validation_fraction : float
        Part of the data held out where no validation data are given; nothing is where the training
        data themselves are to be met, as by the recipe ``"reproduce"``.
    select : {"accuracy", "speed", "all"} or sequence of int
        Which scales to couple: by the paper's greedy rule; the cheapest coupling whose validation
        error is within ``tolerance``; all; or those given. Where windows are coupled, as those of
        the recipe ``"reproduce"``, ``"accuracy"`` means all.
    tolerance : float
        Mean squared error, in standardised coordinates, that ``"speed"`` allows.
    interpolation : {"cubic", "linear"}
        Between the finest coupled steps where these are coarser than ``dt``; the paper is linear.
    dtype : {"float32", "float64"}, optional
        Arithmetic of the flow maps; by default float64 for closed forms, float32 for nets.
    device : str
        ``"cpu"``, ``"cuda"`` or any torch device.
    n_jobs : int, optional
        Processes that train scales side by side; by default one a core, one alone for little work.
        The result is the same.
    random_state : int, optional
        Equal seeds give bit-equal models on one machine.
    verbose : bool
        Say what is chosen and show progress, on standard error.

    Attributes
    ----------
    flow_maps_ : dict of int to FlowMap
        The trained scales, by step size.
    selection_ : Selection
        The coupled step sizes and every candidate on the way.
    history_ : dict of int to History
        How each scale's training went.
    dt_ : float
    feature_names_ : tuple of str
    encoder_ : Standardise
        The scaling of the coordinates that the flow maps work in.
    preprocessor_ : Chain or None
        What :attr:`encoder` does before that scaling.
    coordinate_names_ : tuple of str
        Names of the encoded coordinates; those of the features without an encoder.
    start_rows_ : int
        Rows that a forecast starts from: more than 1 with delays.
    recipe_ : Recipe
        The settings used, with nothing left open.
    noise_ : array, shape (n_coordinates,)
        Standard deviation of the noise that was taken off the data (off the encoded data, with an
        encoder), in their units.
    notes_ : list of str
        What was chosen on the user's behalf.
    calibration_ : Calibration or None
        Errors of forecasts of the held-out data, for intervals; None where nothing was held out, or
        the model is older than they are.
    region_ : Region or None
        Where the training data lie.
    baselines_ : Rivals or None
        Simple baselines fitted to the same data, for :meth:`evaluate`.
    """

    preprocessor_: Chain | None = None
    #: Shape of the user's snapshots, where the encoder begins with a Flatten.
    snapshot_: tuple[int, ...] | None = None
    calibration_: Calibration | None = None
    region_: Region | None = None
    baselines_: Rivals | None = None
    #: Held-out data in the user's units, as long as the fitted model is in memory.
    _held: Trajectories | None = None

    def __init__(
        self,
        step_sizes: Sequence[int] | None = None,
        *,
        dense: int = 1,
        recipe: str | Recipe = "pyhits",
        flow_map: str | None = None,
        encoder: Encoder | Sequence[Encoder] | str | None = None,
        hidden_sizes: Sequence[int] | Mapping[int, Sequence[int]] | None = None,
        activation: str | None = None,
        polynomial_degree: int | None = None,
        optimizer: str | None = None,
        learning_rate: float | None = None,
        batch_size: int | None = None,
        max_steps: int | None = None,
        rollout_steps: int | None = None,
        sampling: str | None = None,
        early_bias: float | None = None,
        denoise: bool | None = None,
        target_error: float | None = None,
        time_limit: float | None = None,
        validation_fraction: float = 0.2,
        select: str | Sequence[int] = "accuracy",
        tolerance: float = 1e-6,
        interpolation: str = "cubic",
        dtype: str | None = None,
        device: str = "cpu",
        n_jobs: int | None = None,
        random_state: int | None = None,
        verbose: bool = True,
    ) -> None:
        self.step_sizes = step_sizes
        self.dense = dense
        self.recipe = recipe
        self.flow_map = flow_map
        self.encoder = encoder
        self.hidden_sizes = hidden_sizes
        self.activation = activation
        self.polynomial_degree = polynomial_degree
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_steps = max_steps
        self.rollout_steps = rollout_steps
        self.sampling = sampling
        self.early_bias = early_bias
        self.denoise = denoise
        self.target_error = target_error
        self.time_limit = time_limit
        self.validation_fraction = validation_fraction
        self.select = select
        self.tolerance = tolerance
        self.interpolation = interpolation
        self.dtype = dtype
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    # Fitting

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        validation: Any = None,
        dt: float | None = None,
        checkpoint: str | Path | None = None,
    ) -> HiTS:
        """Train one flow map a step size and choose which to couple.

        Parameters
        ----------
        X : Trajectories, or anything that Trajectories accepts
            Training data; with a Flatten also films, their snapshots along the last axes. Films
            that :func:`pyhits.read` returned know the shape of theirs and need none.
        y : None
            There for scikit-learn's tools; must be None.
        validation : as X, optional
            Data that choose weights and scales. A part of ``X`` is held out where none are given.
        dt : float, optional
            Time step of ``X``, where it does not carry its own.
        checkpoint : path, optional
            Folder in which finished and unfinished scales are kept. A fit that was killed continues
            from it and ends with the same model. Without ``random_state`` the seed is then 0.

        Returns
        -------
        HiTS
            Itself. Ctrl-C ends training early and keeps the scales that were finished.

        Raises
        ------
        DataError, ArgumentError, CheckpointError, TrainingError
        """
        begin = time.perf_counter()
        if y is not None:
            raise ArgumentError("fit takes no targets; give validation data as validation=...")
        recipe, n_jobs, seed = check_settings(self, with_checkpoint=checkpoint is not None)
        snapshot, preprocessor, encoder = split(self.encoder, recipe.standardise)
        if snapshot is None and isinstance(X, Trajectories):
            snapshot = X.snapshot
        train, held, notes = planning.load_data(
            _flat(X, snapshot),
            _flat(validation, snapshot),
            dt,
            fraction=self.validation_fraction,
            seed=seed,
            reproduce=recipe.windows == "coupled",
        )
        if snapshot is not None and math.prod(snapshot) != train.n_features:
            raise DataError(
                f"Expected snapshots of shape {snapshot}, got rows of {train.n_features} features."
            )
        given, recorded = train, None if held is train else held
        if isinstance(self.encoder, str) and self.encoder == AUTO:
            _, preprocessor, encoder = split(automatic(train.n_features), recipe.standardise)
        if preprocessor is not None:
            preprocessor.fit(train)
            notes += preprocessor.notes()
            preprocessor = without_idle(preprocessor)
        if preprocessor is not None:
            train, held = preprocessor.transform(train), preprocessor.transform(held)
            notes.append(
                f"Encoded: {given.n_features} features as {train.n_features} coordinates, by "
                f"{', '.join(map(repr, preprocessor.encoders))}."
            )
        sizes: list[int] | None = None
        if self.step_sizes is not None:
            sizes = planning.dense_step_sizes(self.step_sizes, self.dense)
            check_selection(self.select, self.tolerance, sizes)
            widths_by_scale(self.hidden_sizes, sizes)
        seen, unseen = train, held
        noise = None
        if recipe.denoise and preprocessor is not None and preprocessor.history > 1:
            notes.append("Noise is left: delays repeat that of each row, so it is not white.")
        elif recipe.denoise:
            with bar("noise", verbose=self.verbose) as progress:
                noise = denoise(
                    train,
                    held,
                    shortest=2 * sizes[-1] * recipe.rollout_steps if sizes else 2,
                    progress=progress,
                    deadline=None if self.time_limit is None else begin + 0.2 * self.time_limit,
                )
        if noise is not None:
            train, held = noise.train, noise.held
            notes.append(noise.note)
        recipe_now = recipe.resolve(train.n_features, len(train), train.n_rows)
        whole = planning.rejoin(train, held) if recipe_now.is_closed else train
        few = recipe_now.is_closed and len(train) < planning.FEW_TRAJECTORIES
        if few and noise is None and self.encoder is None:
            with bar("rows of a state", verbose=self.verbose) as progress:
                lags = choose_lags(
                    train,
                    held,
                    recipe_now.flow_map,
                    sizes[0] if sizes else self.dense,
                    deadline=None if self.time_limit is None else begin + 0.3 * self.time_limit,
                    progress=progress,
                )
            notes.append(lags.note())
            if lags.n_rows > 1:
                preprocessor = Chain([DelayEmbedding(lags.n_rows)]).fit(train)
                train, held, whole = (preprocessor.transform(d) for d in (train, held, whole))
        if sizes is None:
            sizes = planning.default_step_sizes(train, held, recipe.rollout_steps, self.dense)
            notes.append(f"Step sizes: {', '.join(map(str, sizes))} (x dt = {train.dt:g}).")
            check_selection(self.select, self.tolerance, sizes)
        if self.dense > 1:
            notes.append(f"The flow map of step size {sizes[0]} returns {self.dense} states.")
        recipe = recipe_now
        dtype = self.dtype or ("float64" if recipe.is_closed else "float32")
        widths = widths_by_scale(self.hidden_sizes, sizes)
        notes.append(planning.nets_note(recipe, train.n_features, sizes, widths))
        low, high = train.values.min(axis=0), train.values.max(axis=0)
        flat = [train.feature_names[k] for k in np.flatnonzero(low == high)]
        if flat:
            shown_names = ", ".join([*flat[:_MOST_NAMES], "..."][: len(flat)])
            notes.append(f"Constant features stay constant: {shown_names}.")
        for note in notes:
            say(note, verbose=self.verbose)

        encoder.fit(train.values)
        jobs = make_jobs(
            train,
            held,
            encoder,
            recipe,
            sizes,
            seed=seed,
            dense=self.dense,
            dtype=dtype,
            device=self.device,
            hidden_sizes=widths,
        )
        if self.time_limit is not None:
            # A tenth of it is for choosing the scales; each process trains several in turn.
            turns = -(-len(jobs) // n_workers(jobs, n_jobs))
            left = max(0.9 * self.time_limit - (time.perf_counter() - begin), 0.0)
            for job in jobs:
                job.time_limit = left / turns
        folder = None
        if checkpoint is not None:
            key = fingerprint(train, held, recipe, seed, dtype, self.dense, encoder, widths, sizes)
            folder = CheckpointFolder(checkpoint, key)
            for job in jobs:
                job.checkpoint = folder.progress_file(job.step_size)
        with scale_bars(sizes, verbose=self.verbose) as watch:
            trained = train_scales(jobs, n_jobs=n_jobs, folder=folder, watch=watch)
        finished = sorted(trained.flow_maps)
        if trained.interrupted:
            if not finished:
                raise KeyboardInterrupt
            warn_interrupted(finished, [s for s in sizes if s not in trained.flow_maps])

        self.snapshot_, self.preprocessor_, self.encoder_ = snapshot, preprocessor, encoder
        self.recipe_ = recipe
        self.dt_ = train.dt
        self.feature_names_ = given.feature_names
        self.n_features_in_ = given.n_features
        self.flow_maps_ = {s: trained.flow_maps[s] for s in finished}
        self.history_ = {s: trained.histories[s] for s in finished}
        self.notes_ = notes
        self.noise_ = np.zeros(train.n_features) if noise is None else noise.sigma
        # Without an encoder the data are those that noise was taken off.
        shown = train if preprocessor is None else given
        self.data_ = {
            "fingerprint": shown.fingerprint(),
            "n_trajectories": len(shown),
            "n_rows": shown.n_rows,
            "low": shown.values.min(axis=0).astype(float).tolist(),
            "std": shown.spread().tolist(),
            "high": shown.values.max(axis=0).astype(float).tolist(),
            "noise": self.noise_.tolist(),
        }
        say("Choosing which scales to couple.", verbose=self.verbose)
        deadline = None if self.time_limit is None else begin + self.time_limit
        chooser = self._chooser(held, deadline)
        asked = self._askable(finished)
        how = self._how_to_select(asked)
        if how is not asked:
            note = "Coupled: all scales, since each was trained for the rows that it steps then."
            notes.append(note)
            say(note, verbose=self.verbose)
        self.selection_ = chooser.choose(how, self.tolerance)
        self.data_["agreement"] = evidence.measured(self, held)
        self.calibration_, self.region_, self.baselines_ = None, None, None
        self._held = recorded
        try:
            self.region_ = Region.of(seen, unseen, self.encoder_.scale_)
            self.baselines_ = Rivals.fit(train, held)
            self._calibrate(recorded)
        except KeyboardInterrupt:
            warnings.warn(
                "Interrupted: the model is whole, but has no prediction intervals or baselines.",
                PyHiTSWarning,
                stacklevel=2,
            )
        self._note_intervals()
        say(self.notes_[-1], verbose=self.verbose)
        if recipe.is_closed and validation is None:
            self._solve_again(whole, recipe, dtype)
        self.seconds_ = time.perf_counter() - begin
        say(
            f"Coupled step sizes {', '.join(map(str, self.selection_.step_sizes))}; "
            f"{self.seconds_:.0f} s.",
            verbose=self.verbose,
        )
        return self

    def _solve_again(self, data: Trajectories, recipe: Recipe, dtype: str) -> None:
        """Solve for the closed forms that were chosen, with the held-out part as well."""
        jobs = make_jobs(
            data,
            data,
            self.encoder_,
            recipe,
            list(self.flow_maps_),
            seed=0,
            dense=self.dense,
            dtype=dtype,
        )
        for job in jobs:
            form = Form.from_dict(self.history_[job.step_size].form)
            self.flow_maps_[job.step_size] = solve(job.train, form, getattr(torch, dtype))

    def couple(
        self, select: str | Sequence[int], *, tolerance: float | None = None, validation: Any = None
    ) -> HiTS:
        """Choose anew which scales to couple, without training.

        Parameters
        ----------
        select, tolerance
            As in the constructor; what is not given stays.
        validation : Trajectories, or anything that Trajectories accepts, optional
            Data to choose on; by default what was measured in :meth:`fit` decides.

        Returns
        -------
        HiTS
            Itself.
        """
        self._check_fitted()
        tolerance = self.tolerance if tolerance is None else tolerance
        check_selection(select, tolerance, self.flow_maps_)
        how = self._how_to_select(select)
        recorded = self._held
        if validation is not None:
            held = recorded = self.as_data(validation)
            if self.preprocessor_ is not None:
                held = self.preprocessor_.transform(held)
            selection = self._chooser(held).choose(how, tolerance)
            self.data_["agreement"] = evidence.measured(self, held)
        else:
            selection = choose_again(self.selection_, list(self.flow_maps_), how, tolerance)
        self.selection_ = selection
        self.set_params(select=select, tolerance=tolerance)
        known = self.calibration_
        if validation is not None or (known and known.step_sizes != selection.step_sizes):
            self._calibrate(recorded)
            self._note_intervals()
            if self.calibration_ is None:
                warnings.warn(
                    "The prediction intervals were those of another coupling, and the held-out "
                    "data are not in the model file: call calibrate with recordings to have some.",
                    PyHiTSWarning,
                    stacklevel=2,
                )
        return self

    def calibrate(self, data: Any) -> HiTS:
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
        self._calibrate(recordings)
        self._held = recordings
        self._note_intervals()
        return self

    def _calibrate(self, held: Trajectories | None) -> None:
        """Rank the errors of forecasts of held-out data; with none of them nothing is known."""
        self.calibration_ = None
        if held is None:
            return
        sizes = self.selection_.step_sizes

        def forecast_at(states: np.ndarray, n_steps: int, steps: np.ndarray) -> np.ndarray:
            if self.preprocessor_ is None:
                return self._forecast(states, n_steps, sizes)[:, steps]
            at = steps.astype(np.float64)
            return self._forecast(states, n_steps, sizes, at=at, preprocessor=self.preprocessor_)

        self.calibration_ = calibrate(
            forecast_at,
            held,
            self._spread(),
            history=self.start_rows_,
            step_sizes=sizes,
            interpolation=self.interpolation,
        )

    def _note_intervals(self) -> None:
        """Put what intervals rest on at the end of the notes, in place of what was said before."""
        known = self.calibration_
        if known is None:
            said = "Intervals: none, as no data were kept for them; calibrate(data) makes some."
        else:
            short = known.shortfall(known.horizon, _NOTED)
            said = basis(known, _NOTED) if short is None else f"{basis(known, _NOTED)} {short}"
        kept = [note for note in self.notes_ if not note.startswith("Intervals:")]
        self.notes_ = [*kept, said]

    def _spread(self) -> np.ndarray:
        """Return the standard deviation of each feature in the training data, 1 where it is 0."""
        spread = np.array(self.data_["std"])
        return np.where(spread > 0, spread, 1.0)

    def _askable(self, finished: Sequence[int]) -> str | Sequence[int]:
        """Return how to select among the scales that an interruption has left."""
        if isinstance(self.select, str):
            return self.select
        return [size for size in self.select if size in finished] or "accuracy"

    def _how_to_select(self, select: str | Sequence[int]) -> str | Sequence[int]:
        """Return ``"all"`` for ``"accuracy"`` where no other coupling was trained for."""
        is_coupled = self.recipe_.windows == "coupled"
        return "all" if is_coupled and isinstance(select, str) and select == "accuracy" else select

    def _chooser(self, held: Trajectories, deadline: float | None = None) -> Chooser:
        return Chooser(
            self._forecast,
            self.flow_maps_,
            held,
            self.encoder_.scale_,
            deadline=deadline,
            verbose=self.verbose,
            reproduce=self.recipe_.windows == "coupled",
        )

    # Using it

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
        tol = as_positive(tol, "tol")
        states, single, _ = self._starts(initial_states)
        n_steps, at = self._times(n_steps, t)
        sizes = list(self.flow_maps_) if step_sizes is None else step_sizes
        self._check_trained(sizes)
        with bar("forecasting", verbose=self.verbose) as progress:
            result = adaptive_forecast(
                states,
                {s: self.flow_maps_[s].to(self.device) for s in chain(sizes)},
                self.encoder_,
                n_steps,
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
        states, single, _ = self._starts(initial_states)
        n_steps = as_count(n_steps, "n_steps")
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
            initial_states, data = histories(self.as_data(initial_states), self.start_rows_)
            starts = data.start_times
        elif isinstance(initial_states, Starts):
            initial_states, starts = initial_states
        else:
            initial_states = _flat(initial_states, self.snapshot_)
        return *as_states(initial_states, self.feature_names_, self.start_rows_), starts

    def _times(self, n_steps: int | None, t: Any) -> tuple[int, np.ndarray | None]:
        """Return the horizon, and times in multiples of ``dt`` if they were asked for."""
        if (n_steps is None) == (t is None):
            raise ArgumentError("Give either n_steps or the times t.")
        if t is None:
            return as_count(n_steps, "n_steps"), None
        at = positions(t, self.dt_)
        return max(1, math.ceil(at.max())), at

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
        if self.preprocessor_ is not None:
            rows = states if states.ndim == 3 else states[:, None]
            states = self.preprocessor_.transform(rows)[:, -1]
        found = self.region_.outside(states, most)
        sentence = found.sentence()
        if sentence is None:
            return found.any, []
        warnings.warn(sentence, PyHiTSWarning, stacklevel=3)
        return found.any, [sentence]

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
            warnings.warn(f"{short} Bounds are infinite there.", PyHiTSWarning, stacklevel=3)
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
    ) -> np.ndarray: ...
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
    ) -> np.ndarray | Forecast:
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
        rows = _flat(recording, self.snapshot_)
        single = is_single(rows)
        smooth = onset.is_smoothed(denoise_start, self.noise_, self.start_rows_)
        if isinstance(rows, np.ndarray) and rows.ndim > 1:
            # Earlier rows do not count: neither their gaps nor their size in float64.
            rows = last_rows(rows, max(2, self.start_rows_), onset.MOST_ROWS if smooth else 0)
        data = self.as_data(rows)
        starts = endings(data, self.start_rows_)
        if smooth:
            found, note = onset.smoothed(
                data,
                lambda x, n: self._forecast(x, n, self.selection_.step_sizes, quiet=True),
                self.preprocessor_,
                self.noise_,
                self.encoder_.scale_,
            )
            say(note, verbose=self.verbose)
            starts = Starts(found, starts.times)
        states: np.ndarray | Forecast = self.forecast(starts, n_steps, **options)
        if isinstance(states, Forecast):
            return states.first() if single else states
        return states[0] if single and options.get("out") is None else states

    def _forecast(
        self,
        states: np.ndarray,
        n_steps: int,
        step_sizes: Sequence[int],
        *,
        interpolation: str | None = None,
        on_divergence: str = "return",
        quiet: bool = False,
        **settings: Any,
    ) -> np.ndarray:
        self._check_trained(step_sizes)
        maps = {s: self.flow_maps_[s].to(self.device) for s in step_sizes}
        with bar("forecasting", verbose=self.verbose and not quiet) as progress:
            return forecast(
                states,
                maps,
                self.encoder_,
                n_steps,
                interpolation=interpolation or self.interpolation,
                on_divergence=on_divergence,
                device=self.device,
                progress=progress,
                **settings,
            )

    def predict(self, states: Any, *, step_size: int | None = None) -> np.ndarray:
        """Return the states one step of ``step_size`` later (the finest by default); (n, d)."""
        self._check_fitted()
        size = min(self.flow_maps_) if step_size is None else as_count(step_size, "step_size")
        later = self.forecast(states, t=[size * self.dt_], step_sizes=[size])
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
        whole = self.as_data(test)
        starts, data = histories(whole, self.start_rows_)
        sizes = tuple(chain(self.selection_.step_sizes if step_sizes is None else step_sizes))
        if n_steps is not None:
            n_steps = as_count(n_steps, "n_steps")

        def forecaster(states: np.ndarray, steps: int) -> np.ndarray:
            return self._forecast(
                starts, steps, sizes, interpolation=interpolation, preprocessor=self.preprocessor_
            )

        rivals: dict[str, Any] = {}
        if baselines and self.baselines_ is not None:
            rivals = self.baselines_.forecasters(self.preprocessor_, starts)
        kept = None
        if self.preprocessor_ is not None and self.preprocessor_.lossy:
            kept = data.with_values(
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
            rivals=rivals,
            kept=kept,
            lyapunov=lyapunov,
        )

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

    def as_data(self, data: Any) -> Trajectories:
        """Return ``data`` as Trajectories with the model's step, its features in its order.

        Raises
        ------
        DataError
            Step or features are others than those of the training data.
        """
        self._check_fitted()
        flat = _flat(data, self.snapshot_)
        trajectories = as_trajectories(flat, None, default_dt=self.dt_)
        return planning.matched(trajectories, self.dt_, self.feature_names_, "given")

    def score(self, X: Any, y: Any = None) -> float:
        """Return minus the normalised root mean squared error, for scikit-learn's searches."""
        return -self.evaluate(X, baselines=False).nrmse

    def save(self, path: str | Path) -> Path:
        """Write the model to a safetensors file; see :func:`pyhits.load`."""
        from pyhits.save import save_model  # save builds estimators, so it imports this module

        self._check_fitted()
        return save_model(self, path)

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


def _flat(data: Any, snapshot: tuple[int, ...] | None) -> Any:
    """Return films of that shape as rows, and everything else as it is."""
    if snapshot is None or isinstance(data, Trajectories):
        return data
    flatten = Flatten(snapshot).fit()
    return flatten.transform(data) if flatten.is_film(data) else data
