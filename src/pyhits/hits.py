"""The estimator: fit recorded trajectories, then step forward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator

from pyhits.baselines.fitted import FittedBaselines
from pyhits.coordinates.coordinates import Fitted, split_inputs
from pyhits.data.times import TimeAxis
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Encoder
from pyhits.errors import ArgumentError, InterruptedWarning, warn
from pyhits.fit import evidence
from pyhits.fit.calibrating import Calibrating, Kept
from pyhits.fit.choice import Chooser, choose_again
from pyhits.fit.preparing import UNTIL, UNTIL_SEEN, Prepared, prepare
from pyhits.fit.refitting import baselines_of_all, fit_to_all, region_of_all, renewed
from pyhits.fit.settings import Settings, check_selection, widths_by_scale
from pyhits.policies import (
    POLICIES,
    Coupling,
    FlowMapPolicy,
    HoldOut,
    Training,
    as_coupling,
    as_flow_map,
    place_of,
)
from pyhits.training.checkpoint import CheckpointFolder
from pyhits.training.jobs import fingerprint, make_jobs
from pyhits.training.nets import nets_taken
from pyhits.training.parallel import train_scales, warn_interrupted
from pyhits.uncertainty import Calibration, Region
from pyhits.util.clock import UNLIMITED, Clock
from pyhits.util.policy import NamedArguments
from pyhits.util.progress import bar, say, scale_bars
from pyhits.util.transaction import transactional


class HiTS(NamedArguments, Calibrating, BaseEstimator):  # type: ignore[misc]
    """A hierarchical time-stepper (Liu, Kutz, Brunton 2020).

    One flow map is trained for each step size; cross-validation chooses which of them to couple;
    forecasts use all chosen scales at once, coarse steps first. What is left ``None`` follows from
    the data, and :attr:`notes_` says what was chosen.

    Parameters
    ----------
    step_sizes : sequence of int, optional
        Step sizes in multiples of ``dt``, each dividing the next coarser. By default powers of two
        as far as the trajectories allow, at most 1024.
    flow_map : FlowMapPolicy or str
        What approximates the flow map of each scale: :class:`~pyhits.Nets`,
        :class:`~pyhits.ClosedForms`, :class:`~pyhits.Best` or :class:`~pyhits.Auto`; as texts
        ``"residual"`` or another registered family of nets, ``"closed"``, ``"polynomial"`` or
        ``"kernel"``, ``"best"``, ``"auto"``.
    encoder : Encoder, list of Encoder, or "auto", optional
        What stands between the user's rows and the flow maps, such as ``[POD(22),
        Standardise(common=True)]`` or ``DelayEmbedding(5)``. :meth:`fit` fits copies of it to the
        training data. If the last is no Standardise, one is added. ``"auto"`` takes delays
        if the data say that they help, of POD modes where there are more than 32 features. By
        default there is none, but for recordings (fewer than five trajectories, of few features)
        whose rows do not tell the next: a state is then several of them. ``encoder=[]`` is none for
        certain.
    training : Training or {"pyhits", "paper", "reproduce"}
        How flow maps are trained; a text names a preset of :class:`~pyhits.Training`.
    selection : Coupling, {"accuracy", "speed", "all"} or sequence of int
        Which scales are coupled, and how states between coarse steps are found:
        :class:`~pyhits.Coupling`.
    noise : bool or "auto"
        Take white noise off the data first, where they carry any; by default the training preset
        decides, and ``"pyhits"`` does. With an encoder it is taken off the encoded data, and left
        there if they hold delays.
    validation : HoldOut or float
        What chooses weights and scales where :meth:`fit` is given no validation data: the fraction
        of the data that is held out, :class:`~pyhits.HoldOut`.
    device : str
        ``"cpu"``, ``"cuda"`` or any torch device.
    n_jobs : int, optional
        Processes that train scales side by side; by default one a core, one alone for little work.
        The result is the same.
    time_limit : float, optional
        Seconds for the whole fit. Results then depend on the machine.
    random_state : int, optional
        Equal seeds give bit-equal models on one machine with one number of threads.
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
    inputs_ : Inputs or None
        Names, scaling and range of what acts on the system.
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
    baselines_ : FittedBaselines or None
        Simple baselines fitted to the same data, for :meth:`evaluate`.
    seconds_ : float
        How long the fit took.
    stage_seconds_ : dict of str to float
        How long each stage of it took; files do not hold it.
    interrupted_ : tuple of str
        Stages of the fit that Ctrl-C has cut short; empty where the fit is complete.
    """

    calibration_: Calibration | None = None
    region_: Region | None = None
    baselines_: FittedBaselines | None = None
    interrupted_: tuple[str, ...] = ()

    def __init__(
        self,
        step_sizes: Sequence[int] | None = None,
        *,
        flow_map: FlowMapPolicy | str = "auto",
        encoder: Encoder | Sequence[Encoder] | str | None = None,
        training: Training | str = "pyhits",
        selection: Coupling | str | Sequence[int] = "accuracy",
        noise: bool | str = "auto",
        validation: HoldOut | float = 0.2,
        device: str = "cpu",
        n_jobs: int | None = None,
        time_limit: float | None = None,
        random_state: int | None = None,
        verbose: bool = True,
    ) -> None:
        self.step_sizes = step_sizes
        self.flow_map = flow_map
        self.encoder = encoder
        self.training = training
        self.selection = selection
        self.noise = noise
        self.validation = validation
        self.device = device
        self.n_jobs = n_jobs
        self.time_limit = time_limit
        self.random_state = random_state
        self.verbose = verbose

    @classmethod
    def _place_of(cls, name: str) -> str | None:
        return place_of(name)

    @property
    def dense(self) -> int:  # type: ignore[override]
        """States that the finest flow map returns from one evaluation."""
        return as_flow_map(self.flow_map).dense

    @property
    def interpolation(self) -> str:  # type: ignore[override]
        """How states between the finest coupled steps are found."""
        return as_coupling(self.selection).interpolation

    def set_params(self, **params: Any) -> Self:
        """Set arguments, and single values of policies, as in ``training__max_steps=100``."""
        deep: dict[str, dict[str, Any]] = {}
        for name in list(params):
            argument, _, value = name.partition("__")
            if value and argument in POLICIES:
                deep.setdefault(argument, {})[value] = params.pop(name)
        super().set_params(**params)
        for argument, values in deep.items():
            policy = POLICIES[argument](getattr(self, argument))
            setattr(self, argument, replace(policy, **values))
        return self

    # Fitting

    @transactional
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        validation: Any = None,
        dt: float | None = None,
        inputs: Any = None,
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
        inputs : str or sequence of str, array, list of arrays, mapping or Trajectories, optional
            What acts on the system and is known: names of features of ``X``; or values, row i of
            which acts from row i to the next, shape ``(time, k)`` for one trajectory,
            ``(n, time, k)`` or a list for several, ``(n, k)`` for constant parameters of each.
            Forecasts then take inputs too. Validation data hold them as features of these names.
        checkpoint : path, optional
            Folder in which finished and unfinished scales are kept. A fit that was killed continues
            from it and ends with the same model. Without ``random_state`` the seed is then 0.

        Returns
        -------
        HiTS
            Itself. Ctrl-C ends training early and keeps the scales that were finished. A fit that
            raises leaves the estimator as it was.

        Raises
        ------
        DataError, ArgumentError, CheckpointError, TrainingError
        """
        settings = Settings.of(self)
        clock = Clock.start(settings.time_limit)
        if y is not None:
            raise ArgumentError("fit takes no targets; give validation data as validation=...")
        seed = settings.seed(with_checkpoint=checkpoint is not None)
        self._forget()
        ready = prepare(settings, X, validation, dt, inputs, seed=seed, clock=clock)
        recipe, notes, sizes = ready.recipe, ready.notes, ready.step_sizes
        train, held, encoder = ready.train, ready.held, ready.encoder
        for note in notes:
            say(note, verbose=self.verbose)

        encoder.fit(train.values)
        dtype = settings.dtype or ready.dtype
        widths = widths_by_scale(settings.hidden_sizes, sizes)
        acting = ready.scaled()
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
            inputs=acting,
        )
        folder = None
        if checkpoint is not None:
            key = fingerprint(
                train, held, recipe, seed, dtype, self.dense, encoder, widths, sizes, acting
            )
            folder = CheckpointFolder(checkpoint, key)
            for job in jobs:
                job.checkpoint = folder.progress_file(job.step_size)
        all_seen = recipe.is_closed and validation is None
        until = UNTIL_SEEN if all_seen else UNTIL
        with scale_bars(sizes, verbose=self.verbose) as watch, clock.stage("training"):
            trained = train_scales(
                jobs,
                n_jobs=settings.n_jobs,
                folder=folder,
                watch=watch,
                clock=clock.until(until["training"]),
            )
        finished = sorted(trained.flow_maps)
        if trained.interrupted:
            if not finished:
                raise KeyboardInterrupt
            warn_interrupted(finished, [s for s in sizes if s not in trained.flow_maps])
            self.interrupted_ = ("training",)

        given, noise = ready.given, ready.noise
        self.snapshot_, self.preprocessor_, self.encoder_ = (
            ready.snapshot,
            ready.preprocessor,
            encoder,
        )
        self.inputs_ = ready.inputs
        self.recipe_ = recipe
        self.dt_ = train.dt
        self.feature_names_ = given.feature_names
        self.n_features_in_ = given.n_features
        self.flow_maps_ = {s: trained.flow_maps[s] for s in finished}
        self.history_ = {s: trained.histories[s] for s in finished}
        if recipe.with_nets:
            notes.append(nets_taken(self.history_))
            say(notes[-1], verbose=self.verbose)
        self.notes_ = notes
        self.noise_ = np.zeros(train.n_features) if noise is None else noise.sigma
        # Without an encoder the data are those that noise was taken off.
        shown = train if ready.preprocessor is None else given
        self.data_ = _summary(shown, self.noise_, given.axis) | {"findings": ready.findings}
        say("Choosing which scales to couple.", verbose=self.verbose)
        short = [s for s, h in self.history_.items() if h.stopped_by == "time"]
        if short:
            clock.cut(f"the training of step sizes {', '.join(map(str, short))}")
        asked = self._askable(settings.selection.how, finished)
        how = self._how_to_select(asked)
        if how is not asked:
            note = "Coupled: all scales, since each was trained for the rows that it steps then."
            notes.append(note)
            say(note, verbose=self.verbose)
        with clock.stage("choice of scales"):
            chooser = self._chooser(
                held, clock.until(until["choice"]), acting=ready.acting.get("held")
            )
            self.selection_ = chooser.choose(how, settings.selection.tolerance)
        if chooser.interrupted:
            self.interrupted_ = (*self.interrupted_, "choice")
        if self.selection_.n_steps is not None:
            notes.append(self.selection_.note())
            say(notes[-1], verbose=self.verbose)
        if self.inputs_ is None:
            with clock.stage("agreement of scales"):
                agreed = evidence.measured(self, held, clock.until(until["agreement"]))
            self.data_["agreement"] = agreed
        self.calibration_, self.region_, self.baselines_ = None, None, None
        own = Fitted(dict(self.flow_maps_), self._coordinates)
        try:
            with clock.stage("baselines"):
                self.region_ = Region.of(ready.seen, ready.unseen, self.encoder_.scale_)
                self.baselines_ = FittedBaselines.fit(
                    train, held, ready.on_rows(), clock=clock.until(until["baselines"])
                )
            with clock.stage("intervals"):
                self._calibrate(
                    Kept.of(ready, own, self._spread(), all_seen=all_seen),
                    clock.until(until["intervals"]),
                )
        except KeyboardInterrupt:
            what = "the model is whole, but has no prediction intervals or baselines."
            self._interrupted("calibration", what)
            self._note_intervals()
        say(self.notes_[-1], verbose=self.verbose)
        if all_seen:
            try:
                with clock.stage("fit to all rows"):
                    self._fit_to_all(ready, own, dtype, clock)
            except KeyboardInterrupt:
                what = "the model is whole, but its flow maps have not seen the held-out part."
                self._interrupted("refit", what)
        shortened = clock.note()
        if shortened is not None:
            self.notes_ = [*self.notes_, shortened]
            say(shortened, verbose=self.verbose)
        self.seconds_, self.stage_seconds_ = clock.elapsed, dict(clock.seconds)
        say(
            f"Coupled step sizes {', '.join(map(str, self.selection_.step_sizes))}; "
            f"{self.seconds_:.0f} s.",
            verbose=self.verbose,
        )
        return self

    def _forget(self) -> None:
        """Drop what an earlier fit has left, so that nothing of it joins what follows."""
        for name in [n for n in vars(self) if n.endswith("_") or n == "_kept"]:
            delattr(self, name)

    def _interrupted(self, stage: str, what: str) -> None:
        """Record that Ctrl-C has ended a stage, and warn of it."""
        self.interrupted_ = (*self.interrupted_, stage)
        warn(f"Interrupted: {what}", InterruptedWarning)

    def _fit_to_all(self, ready: Prepared, own: Fitted, dtype: str, clock: Clock) -> None:
        """Fit what was chosen to all data, in coordinates that are fitted to them, too."""
        with bar("fitting to all rows", verbose=self.verbose) as progress:
            again = fit_to_all(
                ready,
                own,
                self.history_,
                self.selection_.step_sizes,
                dense=self.dense,
                dtype=dtype,
                clock=clock,
                progress=progress,
            )
        new = again.fitted.coordinates
        changed: dict[str, Any] = {"flow_maps_": again.fitted.maps}
        if new is not own.coordinates:
            noise = np.zeros(again.states.n_features) if again.noise is None else again.noise.sigma
            shown = again.states
            if ready.preprocessor is not None:
                shown, _ = split_inputs(ready.split.whole, ready.inputs)
            changed |= {
                "noise_": noise,
                "data_": self.data_ | _summary(shown, noise, ready.given.axis),
                "preprocessor_": new.preprocessor,
                "encoder_": new.encoder,
                "inputs_": new.inputs,
                "notes_": renewed(self.notes_, own.coordinates, new),
            }
            if self.region_ is not None:
                changed["region_"] = region_of_all(ready, new)
            if self.baselines_ is not None and ready.preprocessor is not None:
                changed["baselines_"] = baselines_of_all(ready, again, clock)
        # All at once: an interruption comes before, or after.
        self.__dict__.update(changed)

    @transactional
    def couple(self, selection: Coupling | str | Sequence[int], *, validation: Any = None) -> HiTS:
        """Choose anew which scales to couple, without training.

        Parameters
        ----------
        selection : Coupling, {"accuracy", "speed", "all"} or sequence of int
            As in the constructor; of a text or step sizes the other values stay.
        validation : Trajectories, or anything that Trajectories accepts, optional
            Data to choose on; by default what was measured in :meth:`fit` decides.

        Returns
        -------
        HiTS
            Itself.
        """
        self._check_fitted()
        if not isinstance(selection, Coupling):
            selection = replace(as_coupling(self.selection), how=selection)
        check_selection(selection, self.flow_maps_)
        how, tolerance = self._how_to_select(selection.how), selection.tolerance
        kept = self._kept
        if validation is not None:
            kept = Kept(self.as_data(validation))
            encoded = self._coordinates.encode(kept.held)
            chooser = self._chooser(encoded.states, acting=encoded.inputs)
            chosen = chooser.choose(how, tolerance)
            if self.inputs_ is None:
                self.data_ = {
                    **self.data_,
                    "agreement": evidence.measured(self, encoded.states),
                }
        else:
            chosen = choose_again(self.selection_, list(self.flow_maps_), how, tolerance)
        self.selection_, self.selection = chosen, selection
        known = self.calibration_
        if validation is not None or (known and known.step_sizes != chosen.step_sizes):
            self._calibrate(kept)
            if self.calibration_ is None:
                warn(
                    "The prediction intervals were those of another coupling, and the held-out "
                    "data are not in the model file: call calibrate with recordings to have some."
                )
        return self

    def _askable(self, how: str | Sequence[int], finished: Sequence[int]) -> str | Sequence[int]:
        """Return how to select among the scales that an interruption has left."""
        if isinstance(how, str):
            return how
        return [size for size in how if size in finished] or "accuracy"

    def _how_to_select(self, how: str | Sequence[int]) -> str | Sequence[int]:
        """Return ``"all"`` for ``"accuracy"`` where no other coupling was trained for."""
        return "all" if self.recipe_.windows == "coupled" and how == "accuracy" else how

    def _chooser(
        self,
        held: Trajectories,
        clock: Clock = UNLIMITED,
        *,
        acting: np.ndarray | None = None,
    ) -> Chooser:
        return Chooser(
            self._forecast,
            self.flow_maps_,
            held,
            self.encoder_.scale_,
            clock=clock,
            verbose=self.verbose,
            reproduce=self.recipe_.windows == "coupled",
            inputs=acting,
        )

    def score(self, X: Any, y: Any = None) -> float:
        """Return minus the normalised root mean squared error, for scikit-learn's searches."""
        return -self.evaluate(X, baselines=False).nrmse

    def save(self, path: str | Path) -> Path:
        """Write the model to a safetensors file; see :func:`pyhits.load`."""
        from pyhits.modelfiles.save import (
            save_model,  # save builds estimators, so it imports this module
        )

        self._check_fitted()
        return save_model(self, path)


def _summary(data: Trajectories, noise: np.ndarray, axis: TimeAxis) -> dict[str, Any]:
    """Return what is told of the training data, as JSON values."""
    return {
        "fingerprint": data.fingerprint(),
        "n_trajectories": len(data),
        "n_rows": data.n_rows,
        "low": data.values.min(axis=0).astype(float).tolist(),
        "std": data.spread().tolist(),
        "high": data.values.max(axis=0).astype(float).tolist(),
        "noise": noise.tolist(),
        "time_axis": axis.steps_alone().as_dict(),
    }
