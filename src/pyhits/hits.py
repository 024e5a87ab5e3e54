"""The estimator: fit recorded trajectories, then step forward."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeVar

from pyhits.data.grid import Grid
from pyhits.encoders import Encoder
from pyhits.errors import ArgumentError
from pyhits.fit.run import fit_stepper
from pyhits.fit.settings import Settings
from pyhits.policies import POLICIES, Coupling, FlowMapPolicy, HoldOut, Training, with_values
from pyhits.timestepper import TimeStepper, as_stepper
from pyhits.training.callbacks import Callback
from pyhits.util.card import card
from pyhits.util.estimator import Estimator
from pyhits.util.policy import NamedArguments

R = TypeVar("R")


def _of_stepper(method: Callable[..., R]) -> Callable[..., R]:
    """Return a method of an estimator that its fitted time-stepper answers."""

    @functools.wraps(method)
    def answered(self: HiTS, /, *args: Any, **kwargs: Any) -> R:
        return method(as_stepper(self), *args, **kwargs)

    return answered


class HiTS(NamedArguments, Estimator):
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
    limits : bool
        Hold forecasts at values of single columns that recordings came to time and again and turned
        back from, as no rain: :class:`~pyhits.data.natural_limits.Limits`.
    time_limit : float, optional
        Seconds for the whole fit. Results then depend on the machine.
    random_state : int, optional
        Equal seeds give bit-equal models on one machine with one number of threads.
    verbose : bool
        Say what is chosen and show progress, on standard error.
    **values
        Single values of the policies by their own names: ``HiTS(max_steps=1000)`` is
        ``HiTS(training=Training(max_steps=1000))``.

    Attributes
    ----------
    stepper_ : TimeStepper
        The fitted model. Its attributes are there with an underscore as well: ``selection_``,
        ``notes_``, ``flow_maps_``, ``history_``, ``coordinates_``, ``calibration_`` ...
    """

    stepper_: TimeStepper | None = None

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
        limits: bool = True,
        time_limit: float | None = None,
        random_state: int | None = None,
        verbose: bool = True,
        **values: Any,
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
        self.limits = limits
        self.time_limit = time_limit
        self.random_state = random_state
        self.verbose = verbose
        given = {argument: getattr(self, argument) for argument in POLICIES}
        for argument, policy in with_values(given, values).items():
            setattr(self, argument, policy)

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

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        validation: Any = None,
        dt: float | None = None,
        inputs: Any = None,
        grid: Grid | Sequence[int] | str | None = None,
        checkpoint: str | Path | None = None,
        callbacks: Callback | Sequence[Callback] = (),
    ) -> HiTS:
        """Train one flow map a step size and choose which to couple.

        Parameters
        ----------
        X : Trajectories, or anything that Trajectories accepts
            Training data. Fields and films know their grid if they come as xarray objects or from
            :func:`pyhits.read`; arrays ``(time, *shape)`` and ``(trajectory, time, *shape)`` need
            ``grid``.
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
        grid : Grid, sequence of int, or str, optional
            Where the features lie, as of :class:`~pyhits.Trajectories`: a :class:`~pyhits.Grid`, a
            shape, ``"ring"`` or ``"line"`` for the edges; ``"none"`` if they are no field.
        checkpoint : path, optional
            Folder in which finished and unfinished scales are kept. A fit that was killed continues
            from it and ends with the same model. Without ``random_state`` the seed is then 0.
        callbacks : Callback or sequence of Callback, optional
            Told how training goes: :class:`~pyhits.Callback`, :class:`~pyhits.CSVLogger`,
            :class:`~pyhits.TensorBoardLogger`.

        Returns
        -------
        HiTS
            Itself. Ctrl-C ends training early and keeps the scales that were finished. A fit that
            raises leaves the estimator as it was.

        Raises
        ------
        DataError, ArgumentError, CheckpointError, TrainingError
        """
        if y is not None:
            raise ArgumentError("fit takes no targets; give validation data as validation=...")
        stepper = fit_stepper(
            Settings.of(self),
            X,
            validation=validation,
            dt=dt,
            inputs=inputs,
            grid=grid,
            checkpoint=checkpoint,
            callbacks=callbacks,
        )
        self.stepper_ = replace(stepper, fitted_by=" ".join(repr(self).split()))
        return self

    def couple(self, selection: Coupling | str | Sequence[int], *, validation: Any = None) -> HiTS:
        """Choose anew which scales to couple, without training.

        Parameters
        ----------
        selection, validation
            As in :meth:`TimeStepper.coupled`.

        Returns
        -------
        HiTS
            Itself.
        """
        self.stepper_ = as_stepper(self).coupled(selection, validation=validation)
        return self

    def calibrate(self, data: Any) -> HiTS:
        """Measure the errors that prediction intervals rest on anew, on other data.

        Parameters
        ----------
        data
            As in :meth:`TimeStepper.calibrated`.

        Returns
        -------
        HiTS
            Itself.
        """
        self.stepper_ = as_stepper(self).calibrated(data)
        return self

    def update(self, data: Any) -> HiTS:
        """Fit to other rows with all that was chosen before, without a search.

        Parameters
        ----------
        data
            As in :meth:`TimeStepper.updated`.

        Returns
        -------
        HiTS
            Itself.
        """
        self.stepper_ = as_stepper(self).updated(data)
        return self

    forecast = _of_stepper(TimeStepper.forecast)
    forecast_from = _of_stepper(TimeStepper.forecast_from)
    adaptive_forecast = _of_stepper(TimeStepper.adaptive_forecast)
    disagreement = _of_stepper(TimeStepper.disagreement)
    predict = _of_stepper(TimeStepper.predict)
    prepared = _of_stepper(TimeStepper.prepared)
    evaluate = _of_stepper(TimeStepper.evaluate)
    backtest = _of_stepper(TimeStepper.backtest)
    score = _of_stepper(TimeStepper.score)
    as_data = _of_stepper(TimeStepper.as_data)
    on_grid = _of_stepper(TimeStepper.on_grid)
    equations = _of_stepper(TimeStepper.equations)
    modes = _of_stepper(TimeStepper.modes)
    plot_scales = _of_stepper(TimeStepper.plot_scales)
    save = _of_stepper(TimeStepper.save)

    def __str__(self) -> str:
        """Return the settings, and what was fitted with them."""
        fitted = "" if self.stepper_ is None else f"\n\n{self.stepper_}"
        return f"{self!r}{fitted}"

    def _repr_html_(self) -> str:
        """Return the card of the fitted model, or the settings, for notebooks."""
        if self.stepper_ is None:
            return card("HiTS, not fitted", {"settings": " ".join(repr(self).split())})
        return self.stepper_._repr_html_()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._repr_html_()}

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the fitted model, whose name ends in an underscore here."""
        if name.endswith("_") and not name.startswith("_"):
            return getattr(as_stepper(self), name[:-1])
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
