"""The estimator: fit recorded trajectories, then step forward."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from pyhits import onset, planning
from pyhits.checks import as_count
from pyhits.choice import Chooser, choose_again
from pyhits.encoders import Chain, Encoder, Flatten
from pyhits.encoders.chain import AUTO, automatic, split, without_idle
from pyhits.errors import ArgumentError, DataError, NotFittedError
from pyhits.evaluation import Evaluation, evaluate
from pyhits.hierarchy import chain
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
from pyhits.training.jobs import fingerprint, make_jobs
from pyhits.training.parallel import n_workers, train_scales, warn_interrupted
from pyhits.trajectories import Trajectories

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
        Registered family of nets to train; ``"residual"`` is the default.
    encoder : Encoder, list of Encoder, or "auto", optional
        What stands between the user's rows and the flow maps, such as ``[POD(22),
        Standardise(common=True)]`` or ``DelayEmbedding(5)``. :meth:`fit` fits copies of it to the
        training data. If the last is no Standardise, the recipe's is added. ``"auto"`` takes delays
        if the data say that they help, of POD modes where there are more than 32 features.
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
    dtype : {"float32", "float64"}
        Arithmetic of the flow maps.
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
    """

    preprocessor_: Chain | None = None
    #: Shape of the user's snapshots, where the encoder begins with a Flatten.
    snapshot_: tuple[int, ...] | None = None

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
        dtype: str = "float32",
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
        given = train
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
        if sizes is None:
            sizes = planning.default_step_sizes(train, held, recipe.rollout_steps, self.dense)
            notes.append(f"Step sizes: {', '.join(map(str, sizes))} (x dt = {train.dt:g}).")
            check_selection(self.select, self.tolerance, sizes)
        if self.dense > 1:
            notes.append(f"The flow map of step size {sizes[0]} returns {self.dense} states.")
        recipe = recipe.resolve(train.n_features, len(train), train.n_rows)
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
            dtype=self.dtype,
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
            key = fingerprint(
                train, held, recipe, seed, self.dtype, self.dense, encoder, widths, sizes
            )
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
        self.seconds_ = time.perf_counter() - begin
        say(
            f"Coupled step sizes {', '.join(map(str, self.selection_.step_sizes))}; "
            f"{self.seconds_:.0f} s.",
            verbose=self.verbose,
        )
        return self

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
        if validation is not None:
            held = self.as_data(validation)
            if self.preprocessor_ is not None:
                held = self.preprocessor_.transform(held)
            selection = self._chooser(held).choose(how, tolerance)
        else:
            selection = choose_again(self.selection_, list(self.flow_maps_), how, tolerance)
        self.selection_ = selection
        self.set_params(select=select, tolerance=tolerance)
        return self

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

    def forecast(
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
    ) -> np.ndarray:
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

        Returns
        -------
        array, shape (n, n_steps + 1, d) or (n, m, d)
            Row 0 of a trajectory is its initial state. Without the first axis for one state of
            shape (d,). The dtype is that of ``initial_states``. With a Flatten the last axis is the
            shape of a snapshot. With ``out`` a read-only memory map or Zarr array of rows.

        Raises
        ------
        ArgumentError, DataError, DivergenceError
        CheckpointError
            ``out`` holds another forecast.
        FileFormatError
            ``out`` cannot be written; what is complete is kept.
        MissingExtraError
            Zarr, or a compiler, is not installed.
        """
        self._check_fitted()
        starts = None
        if isinstance(initial_states, Trajectories):
            initial_states, data = histories(self.as_data(initial_states), self.start_rows_)
            starts = data.start_times
        elif isinstance(initial_states, Starts):
            initial_states, starts = initial_states
        else:
            initial_states = _flat(initial_states, self.snapshot_)
        states, single = as_states(initial_states, self.feature_names_, self.start_rows_)
        at = None
        if (n_steps is None) == (t is None):
            raise ArgumentError("Give either n_steps or the times t.")
        if t is not None:
            at = positions(t, self.dt_)
            n_steps = max(1, math.ceil(at.max()))
        if single and out is not None:
            raise ArgumentError("With out=... give initial states of shape (n, d): [state].")
        keep: Keep = in_memory
        if out is not None:
            names = self.feature_names_
            keep = ToFile(out, self.dt_, names, starts, overwrite=overwrite, verbose=self.verbose)
        result = self._forecast(
            states,
            as_count(n_steps, "n_steps"),
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
        if self.snapshot_ is not None and out is None:
            result = result.reshape(*result.shape[:2], *self.snapshot_)
        return result[0] if single else result

    def forecast_from(
        self,
        recording: Any,
        n_steps: int | None = None,
        *,
        denoise_start: bool | None = None,
        **options: Any,
    ) -> np.ndarray:
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
        states = self.forecast(starts, n_steps, **options)
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

        spread = np.array(self.data_["std"])
        scale = np.where(spread > 0, spread, 1.0)
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
            scale=scale,
            n_steps=n_steps,
            step_sizes=sizes,
            kept=kept,
            lyapunov=lyapunov,
        )

    @property
    def start_rows_(self) -> int:
        """Rows that a forecast starts from."""
        return 1 if self.preprocessor_ is None else self.preprocessor_.history

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
        return -self.evaluate(X).nrmse

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
