"""Hybrid time-steppers: learned coarse steps, then an integrator (paper, Algorithm 2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pyhits.coordinates.starts import as_states, positions
from pyhits.data.limits import check_size
from pyhits.data.matching import as_trajectories, matched
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DataError
from pyhits.evaluation.evaluate import evaluate
from pyhits.evaluation.evaluation import Evaluation
from pyhits.hierarchy.interpolate import METHODS, interpolate
from pyhits.hierarchy.nesting import chain
from pyhits.hierarchy.stages import resolution
from pyhits.hits import HiTS
from pyhits.integrators.choose import as_integrator
from pyhits.integrators.fine import FinePropagator
from pyhits.integrators.parareal import Bounds, Parareal
from pyhits.integrators.righthandside import check_features
from pyhits.integrators.run import Run, Scheme
from pyhits.numerics.rollout import DIVERGED
from pyhits.timestepper import TimeStepper, as_stepper
from pyhits.util.checks import as_choice, as_count, as_positive

#: Most steps of the integrator in a learned one.
_LARGEST_RATIO = 10**9


class Hybrid:
    """Learned coarse steps and a numerical integrator for the fine ones (paper, Section 2.3).

    The learned scales come first, as in a forecast by the model (Algorithm 1); from every coarse
    state of every trajectory at once, the integrator then goes on to the next (Algorithm 2).
    :meth:`parareal` corrects the coarse states until they agree with the integrator.

    Parameters
    ----------
    model : HiTS or TimeStepper
        Fitted.
    integrator : str, Integrator or callable
        A name such as ``"rk4"`` (:func:`pyhits.integrators.names`), with ``system``; an integrator
        from :mod:`pyhits.integrators`; or a simulator to call as ``function(state, dt, n_steps)``.
    step_sizes : sequence of int, optional
        Learned scales to use, in multiples of the model's dt; any number of them that nest. By
        default the coarsest that the model has selected.
    dt : float, optional
        Time between the states of a forecast; it divides the finest learned step. By default the
        model's.
    system : System, str or callable, optional
        Right-hand side of an integrator given by name: a System, the name of one, or ``f(t, x)``
        with states x of shape ``(n, d)`` and times t of shape ``(n,)``.

    Attributes
    ----------
    integrator : Integrator
    step_sizes : tuple of int
        Finest first.
    dt : float
    ratio : int
        Steps of ``dt`` from one learned state to the next.

    Raises
    ------
    ArgumentError
        A step size is not trained, steps do not divide, nothing is left to integrate, or the
        right-hand side does not fit the model's features.
    NotFittedError
    MissingExtraError
        The integrator is not installed.
    """

    def __init__(
        self,
        model: HiTS | TimeStepper,
        integrator: Any,
        *,
        step_sizes: Sequence[int] | None = None,
        dt: float | None = None,
        system: Any = None,
        chunk_bytes: int = 32 << 20,
    ) -> None:
        stepper = as_stepper(model)
        if stepper.inputs is not None:
            raise ArgumentError("Hybrids are not for models with inputs.")
        if stepper.encoder is not None:
            raise ArgumentError(
                "A hybrid integrates the user's features, but this model steps encoded ones "
                f"({', '.join(map(repr, stepper.encoder.encoders))}); fit one without an "
                "encoder, or on encoded data."
            )
        self.model = stepper
        self.integrator = as_integrator(integrator, system)
        self.dt = stepper.dt if dt is None else as_positive(dt, "dt")
        self.step_sizes = tuple(_chosen(stepper, step_sizes))
        spacing = resolution({size: stepper.flow_maps[size] for size in self.step_sizes})
        self.ratio = _ratio(spacing * stepper.dt, self.dt)
        if step_sizes is None and self.ratio == 1:
            raise ArgumentError(
                f"The coarsest step size that the model has selected, {self.step_sizes[0]}, leaves "
                "nothing to integrate: give step_sizes=..., some of "
                f"{', '.join(map(str, stepper.flow_maps))}, or a smaller dt."
            )
        self._scheme = Scheme(
            stepper,
            self.step_sizes,
            FinePropagator(self.integrator, self.dt, self.ratio),
            Bounds(stepper.scaling.mean_, stepper.summary.spread, DIVERGED),
            as_count(chunk_bytes, "chunk_bytes", most=None),
        )
        self._check_right_hand_side()

    def __repr__(self) -> str:
        sizes = ", ".join(map(str, self.step_sizes))
        return f"Hybrid(step sizes {sizes}; {self.integrator}, dt = {self.dt:g})"

    def _check_right_hand_side(self) -> None:
        if self.integrator.right_hand_side is not None:
            check_features(self.integrator.right_hand_side, self.model.feature_names)
        low, high = self.model.summary.low, self.model.summary.high
        d = len(low)
        places = (1 + (np.arange((d + 1) * d).reshape(d + 1, d) * 7) % 11) / 12
        self.integrator.check(low + places * (high - low))

    # Using it

    def forecast(
        self,
        initial_states: Any,
        n_steps: int | None = None,
        *,
        t: Any = None,
        tolerance: float | None = None,
        max_iterations: int | None = None,
        interpolation: str | None = None,
        on_divergence: str = "raise",
    ) -> np.ndarray:
        """Step forward from one or many initial states, as :meth:`pyhits.HiTS.forecast`.

        Parameters
        ----------
        initial_states : array or DataFrame, shape (n, d) or (d,), or Trajectories
        n_steps : int, optional
            Horizon in steps of the hybrid's ``dt``. Give this or ``t``.
        t : array, shape (m,), optional
            Times since the initial state, in any order; interpolated between steps of ``dt``.
        tolerance, max_iterations : float and int, optional
            Correct the coarse states as :meth:`parareal` does, which may warn.
        interpolation : {"cubic", "linear"}, optional
            By default the model's.
        on_divergence : {"raise", "return"}
            Raise a DivergenceError that names trajectory and step, or return NaN from there on.

        Returns
        -------
        array, shape (n, n_steps + 1, d) or (n, m, d)
            Row 0 of a trajectory is its initial state. Without the first axis for one state of
            shape (d,). The dtype is that of ``initial_states``; the arithmetic is float64.

        Raises
        ------
        ArgumentError, DataError, DivergenceError
        PyHiTSError
            The integrator is a simulator, and raised.
        """
        states, single = self._starts(initial_states)
        if (n_steps is None) == (t is None):
            raise ArgumentError("Give either n_steps or the times t.")
        at = None if t is None else positions(t, self.dt)
        horizon: Any = n_steps if at is None else max(1, math.ceil(at.max()))
        method = as_choice(interpolation or self.model.interpolation, "interpolation", METHODS)
        run = Run(self._scheme, horizon, on_divergence, tolerance, max_iterations)
        out = self._forecast(run, states) if at is None else self._at(run, states, at, method)
        run.warn()
        return out[0] if single else out

    def parareal(
        self,
        initial_states: Any,
        n_steps: int,
        *,
        tolerance: float = 1e-8,
        max_iterations: int | None = None,
        on_divergence: str = "raise",
    ) -> Parareal:
        """Forecast with coarse states corrected until the integrator agrees with them.

        With G one step of the finest learned scale and F the integrator over the same time,
        ``U[k+1]_{n+1} = G(U[k+1]_n) + F(U[k]_n) - G(U[k]_n)``, from the coupled scales' states
        U[0] (Lions, Maday, Turinici 2001, C. R. Acad. Sci. Paris 332, 661). The result has the
        integrator's accuracy, whatever the model's.

        Parameters
        ----------
        initial_states : array or DataFrame, shape (n, d) or (d,), or Trajectories
        n_steps : int
            Horizon in steps of the hybrid's ``dt``.
        tolerance : float
            Largest jump ``|F(U_n) - U_{n+1}|`` of any feature at the coarse states, in its standard
            deviations in the training data.
        max_iterations : int, optional
            Most corrections; by default one a coarse interval: then all are exact.
        on_divergence : {"raise", "return"}
            As in :meth:`forecast`.

        Returns
        -------
        Parareal
            float64; a single initial state is one trajectory.

        Raises
        ------
        ArgumentError, DataError, DivergenceError

        Warns
        -----
        PyHiTSWarning
            The tolerance was not met within ``max_iterations``.
        """
        states, _ = self._starts(initial_states)
        run = Run(self._scheme, n_steps, on_divergence, tolerance, max_iterations)
        out = self._forecast(run, states.astype(np.float64))
        run.warn()
        return run.parareal(out)

    def evaluate(
        self,
        test: Any,
        *,
        n_steps: int | None = None,
        tolerance: float | None = None,
        max_iterations: int | None = None,
    ) -> Evaluation:
        """Forecast every trajectory from its first state and measure the errors.

        Parameters
        ----------
        test : Trajectories, or anything that Trajectories accepts
            Its step divides the hybrid's ``dt``, or is a multiple of it; what both have in common
            is compared. Data without a step have the model's.
        n_steps : int, optional
            Horizon in steps of the hybrid's ``dt``; by default to the end of each trajectory.
        tolerance, max_iterations
            As in :meth:`forecast`.

        Raises
        ------
        ArgumentError, DataError
        """
        data, every = self._comparable(test)
        if n_steps is not None:
            n_steps = as_count(n_steps, "n_steps", least=every) // every

        def forecaster(starts: np.ndarray, rows: int) -> np.ndarray:
            states = self.forecast(
                starts,
                rows * every,
                tolerance=tolerance,
                max_iterations=max_iterations,
                on_divergence="return",
            )
            return states[:, ::every]

        return evaluate(
            forecaster,
            data,
            scale=self._scheme.bounds.scale,
            n_steps=n_steps,
            step_sizes=self.step_sizes,
        )

    def _forecast(self, run: Run, states: np.ndarray) -> np.ndarray:
        """Return the forecast at all steps, ``(n, n_steps + 1, d)``."""
        n, d = states.shape
        check_size(n, run.n_steps, d)
        out = np.empty((n, run.n_steps + 1, d), dtype=states.dtype)
        for part in run.chunks(n):
            run(states[part], out[part], part.start)
        return out

    def _at(self, run: Run, states: np.ndarray, at: np.ndarray, method: str) -> np.ndarray:
        """Return the forecast at times ``at``, in steps of dt; ``(n, m, d)``."""
        n, d = states.shape
        check_size(n, run.n_steps, d, n_times=len(at))
        out = np.empty((n, len(at), d), dtype=states.dtype)
        for part in run.chunks(n, dense=True):
            rows = np.empty((part.stop - part.start, run.n_steps + 1, d))
            run(states[part], rows, part.start)
            out[part] = interpolate(rows, at, method)
            out[part, np.flatnonzero(at == 0)] = states[part, None]
        return out

    def _starts(self, initial_states: Any) -> tuple[np.ndarray, bool]:
        names = self.model.feature_names
        if isinstance(initial_states, Trajectories):
            data = matched(initial_states, initial_states.dt, names, "given")
            initial_states = data.initial_states
        return as_states(initial_states, names)

    def _comparable(self, test: Any) -> tuple[Trajectories, int]:
        """Return the data's rows that forecasts hit, and every how many of their rows."""
        data = as_trajectories(test, None, default_dt=self.model.dt)
        data = matched(data, data.dt, self.model.feature_names, "given")
        coarser, finer = _as_multiple(self.dt / data.dt), _as_multiple(data.dt / self.dt)
        if finer is not None:
            return data, finer
        if coarser is None:
            raise DataError(
                f"The given data step by {data.dt:g}, the hybrid by {self.dt:g}; one must be a "
                "multiple of the other."
            )
        short = np.flatnonzero(data.lengths <= coarser)
        if len(short):
            raise DataError(
                f"Trajectory {short[0]} ends before the hybrid's first step of {self.dt:g}."
            )
        thinned = Trajectories(
            [rows[::coarser] for rows in data],
            self.dt,
            feature_names=data.feature_names,
            start_times=data.start_times,
        )
        return thinned, 1


def _chosen(model: TimeStepper, step_sizes: Sequence[int] | None) -> list[int]:
    """Return the learned step sizes to use, finest first."""
    if step_sizes is None:
        return [max(model.selection.step_sizes)]
    sizes = chain(step_sizes)
    for size in sizes:
        if size not in model.flow_maps:
            raise ArgumentError(
                f"Step size {size} was not trained; there are "
                f"{', '.join(map(str, model.flow_maps))}."
            )
    return sizes


def _ratio(learned: float, dt: float) -> int:
    """Return how many times ``dt`` goes into the finest learned step."""
    ratio = _as_multiple(learned / dt)
    if ratio is not None and ratio > _LARGEST_RATIO:
        raise ArgumentError(
            f"dt = {dt:g} goes {ratio:.3g} times into the finest learned step, {learned:g}; take "
            f"one that goes no more than {_LARGEST_RATIO} times."
        )
    if ratio is None:
        raise ArgumentError(
            f"dt = {dt:g} must divide the finest learned step, {learned:g}, such as "
            f"{learned / max(1, round(learned / dt)):g}."
        )
    return ratio


def _as_multiple(ratio: float) -> int | None:
    """Return a ratio as an integer of at least 1, or None if it is none."""
    near = round(ratio)
    return near if near >= 1 and abs(ratio - near) < 1e-9 * near else None
