"""One dynamical system: its right-hand side, its region of initial states, its defaults."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyhits.data.limits import check_size
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError
from pyhits.integrators.adaptive import AdaptiveRungeKutta
from pyhits.integrators.base import Integrator
from pyhits.integrators.choose import as_integrator
from pyhits.integrators.righthandside import RightHandSide, check_vectorised
from pyhits.integrators.scipysolver import LSODA
from pyhits.systems.simulate import Simulation, as_box, as_starts, as_transient
from pyhits.util.checks import (
    LARGEST_MAGNITUDE,
    as_count,
    as_generator,
    as_numeric,
    as_positive,
    is_number,
    shown,
    suggest,
)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class System:
    """A system of ordinary differential equations ``dx/dt = rhs(t, x, **parameters)``.

    Parameters
    ----------
    name : str
        Name in the registry, such as ``"van-der-pol"``.
    rhs : callable
        ``rhs(t, x, **parameters)`` takes states of shape ``(..., dimension)`` and returns their
        time derivatives in the same shape: components are ``x[..., 0]``, ``x[..., 1]`` and so on.
    region : array, shape (dimension, 2)
        Lowest and highest initial value of each component; states are drawn uniformly from it.
    dt : float
        Default time between recorded rows.
    n_steps : int
        Default number of steps of a trajectory; the paper's test trajectories have 5120.
    feature_names : sequence of str, optional
        One name a component; ``x0, x1, ...`` by default.
    parameters : mapping of str to float
        Keyword arguments of ``rhs`` with their default values.
    title, equations, citation : str, sequence of str, str
        For people to read; ``equations`` is plain text, a line an equation.
    transient : float
        Time cut off before the first recorded row; above 0 where the attractor is to be recorded.
    stiff : bool
        Integrate with an implicit method, one trajectory at a time.
    sampler : callable, optional
        ``sampler(rng, n)`` returns ``(n, dimension)`` initial states where the region is no box.
        It should fill row by row, so that the first rows are the same for any ``n``.
    jacobian : callable, optional
        ``jacobian(t, x, **parameters)`` takes ``(..., dimension)`` and returns
        ``(..., dimension, dimension)``; it spares stiff systems finite differences.
    invariant : callable, optional
        ``invariant(x, **parameters)`` takes ``(..., dimension)`` and returns ``(...)``: a quantity
        that exact solutions conserve.
    period, lyapunov : float, optional
        Period of the limit cycle and largest Lyapunov exponent, at the default parameters.
    resize : callable, optional
        ``resize(dimension)`` returns the system with another number of components.

    Raises
    ------
    ArgumentError
        A region that is no ``(dimension, 2)`` box, a step or transient that is no time, names that
        do not match the dimension.
    """

    name: str
    rhs: Callable[..., Any]
    region: Any
    dt: float
    n_steps: int = 5120
    feature_names: Sequence[str] | None = None
    parameters: Mapping[str, float] = dataclasses.field(default_factory=dict)
    title: str = ""
    equations: Sequence[str] = ()
    citation: str = ""
    transient: float = 0.0
    stiff: bool = False
    sampler: Callable[[np.random.Generator, int], Any] | None = None
    jacobian: Callable[..., Any] | None = None
    invariant: Callable[..., Any] | None = None
    period: float | None = None
    lyapunov: float | None = None
    resize: Callable[[int], System] | None = None

    def __post_init__(self) -> None:
        for what in ("rhs", "sampler", "jacobian", "invariant", "resize"):
            value = getattr(self, what)
            if not callable(value) and (value is not None or what == "rhs"):
                raise ArgumentError(f"Expected {what} to be callable, got {value!r}.")
        region = as_box(self.region)
        names = self.feature_names
        if names is None:
            names = [f"x{k}" for k in range(len(region))]
        if isinstance(names, str) or len(set(names)) != len(region):
            raise ArgumentError(
                f"Expected {len(region)} different feature names for {self.name}, got {names!r}."
            )
        equations = (self.equations,) if isinstance(self.equations, str) else self.equations
        settled = {
            "region": region,
            "dt": as_positive(self.dt, "dt"),
            "n_steps": as_count(self.n_steps, "n_steps"),
            "feature_names": tuple(names),
            "parameters": dict(self.parameters),
            "title": self.title or self.name,
            "equations": tuple(equations),
            "transient": as_transient(self.transient),
        }
        for key, value in settled.items():
            object.__setattr__(self, key, value)

    @property
    def dimension(self) -> int:
        """Number of components of a state."""
        return len(self.region)

    def __repr__(self) -> str:
        given = "".join(f", {name}={value}" for name, value in self.parameters.items())
        return f"System({self.name!r}, dimension={self.dimension}{given})"

    def summary(self) -> str:
        """Return equations, parameters, region, defaults and source as lines of text."""
        box = " x ".join(f"[{low:g}, {high:g}]" for low, high in self.region)
        given = ", ".join(f"{name} = {value}" for name, value in self.parameters.items())
        facts = {
            "parameters": given,
            "region": box,
            "defaults": f"dt = {self.dt:g}, n_steps = {self.n_steps}",
            "transient": f"{self.transient:g} time units" if self.transient else "",
            "source": self.citation,
        }
        lines = [f"{self.title} ({self.name})", *(f"  {line}" for line in self.equations)]
        lines += [f"{what}: {fact}" for what, fact in facts.items() if fact]
        return "\n".join(lines)

    def field(self, x: Any, t: float = 0.0) -> np.ndarray:
        """Return the time derivatives at states ``x`` of shape ``(..., dimension)``.

        Raises
        ------
        ArgumentError
            The last axis is not the system's dimension.
        """
        states = np.asarray(as_numeric(x, what="The states"), dtype=np.float64)
        if states.ndim == 0 or states.shape[-1] != self.dimension:
            raise ArgumentError(
                f"Expected states of shape (..., {self.dimension}) for {self.name}, "
                f"got {states.shape}."
            )
        return np.asarray(self.rhs(t, states, **self.parameters), dtype=np.float64)

    __call__ = field

    @property
    def right_hand_side(self) -> RightHandSide:
        """Field and Jacobian at the system's parameters, as integrators take them."""
        jacobian = self.jacobian
        return RightHandSide(
            functools.partial(self.rhs, **self.parameters),
            None if jacobian is None else functools.partial(jacobian, **self.parameters),
            self.dimension,
            tuple(self.feature_names or ()),
            f"right-hand side of {self.name}",
            broadcasts=True,
        )

    def integrator(
        self, *, rtol: float = 1e-12, atol: float = 1e-14, n_jobs: int = 1
    ) -> Integrator:
        """Return the integrator for accurate solutions: LSODA if stiff, otherwise DOP853.

        DOP853 (:class:`~pyhits.integrators.AdaptiveRungeKutta`) takes hundreds of trajectories at
        once, LSODA (:class:`~pyhits.integrators.LSODA`) one by one. At these tolerances the rows
        of every catalogued system lie within 1e-8 of the exact solution, with two reservations
        that no solver in double precision escapes: in chaotic systems any error grows e-fold in
        each Lyapunov time, and rows that fall into a jump of ``van-der-pol-stiff`` (1 in 20,000)
        may belong to a time 5e-12 off.

        Parameters
        ----------
        rtol, atol : float
            Tolerances, relative and absolute. Below about 1e-12 double precision sets the limit.
        n_jobs : int
            Processes for stiff systems, as joblib counts them; others take one core.

        Raises
        ------
        ArgumentError
        """
        if self.stiff:
            return LSODA(self, rtol=rtol, atol=atol, n_jobs=n_jobs)
        return AdaptiveRungeKutta(self, rtol=rtol, atol=atol)

    def check(self) -> None:
        """Raise an ArgumentError unless ``rhs`` treats many states as it treats each by itself."""
        d = self.dimension
        states = self.sample(6, random_state=0).reshape(2, 3, d)
        how = (
            f"The rhs of {self.name} must take states of shape (..., {d}) and return their "
            "derivatives in the same shape: index components with x[..., 0] and return "
            "np.stack([...], axis=-1)"
        )
        check_vectorised(self.field, states, list(states.reshape(-1, d)), how)

    def with_parameters(self, **parameters: float) -> System:
        """Return the system with other parameter values.

        Raises
        ------
        ArgumentError
            The system has no parameter of that name, or a value is no finite number.
        """
        for name, value in parameters.items():
            if name not in self.parameters:
                known = (
                    suggest(name, list(self.parameters)) if self.parameters else "; it has none."
                )
                raise ArgumentError(f"Unknown parameter {name!r} of {self.name}{known}")
            if not is_number(value) or not abs(value) < LARGEST_MAGNITUDE:
                raise ArgumentError(
                    f"Expected a finite number for the parameter {name!r}, got {shown(value)}."
                )
        merged = {**self.parameters, **parameters}
        if merged == self.parameters:
            return self
        return dataclasses.replace(self, parameters=merged, period=None, lyapunov=None)

    def with_dimension(self, dimension: int) -> System:
        """Return the system with another number of components, such as a longer Lorenz-96 ring.

        Raises
        ------
        ArgumentError
            The system comes in one dimension only.
        """
        if dimension == self.dimension:
            return self
        if self.resize is None:
            raise ArgumentError(f"{self.name} has dimension {self.dimension} and no other.")
        return self.resize(dimension).with_parameters(**self.parameters)

    def with_region(self, region: Any) -> System:
        """Return the system with another box ``(dimension, 2)`` to draw initial states from.

        Raises
        ------
        ArgumentError
            A region of another dimension, or one whose low ends lie above its high ends.
        """
        box = as_box(region)
        if len(box) != self.dimension:
            raise ArgumentError(
                f"Expected a region of shape ({self.dimension}, 2) for {self.name}, "
                f"got {box.shape}."
            )
        return dataclasses.replace(self, region=box, sampler=None)

    def sample(self, n: int, random_state: int | np.random.Generator | None = None) -> np.ndarray:
        """Draw ``n`` initial states, shape ``(n, dimension)``.

        States are drawn row by row: with one seed, the first rows are the same for any ``n``.

        Raises
        ------
        ArgumentError
        """
        n = as_count(n, "n")
        rng = as_generator(random_state)
        if self.sampler is None:
            low, high = self.region.T
            return np.asarray(low + rng.random((n, self.dimension)) * (high - low))
        states = np.asarray(self.sampler(rng, n), dtype=np.float64)
        if states.shape != (n, self.dimension):
            raise ArgumentError(
                f"Expected the sampler of {self.name} to return shape "
                f"{(n, self.dimension)}, got {states.shape}."
            )
        return states

    def simulate(
        self,
        n_trajectories: int | None = None,
        n_steps: int | None = None,
        dt: float | None = None,
        *,
        random_state: int | np.random.Generator | None = None,
        initial_states: Any = None,
        transient: float | None = None,
        integrator: Any = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> Trajectories:
        """Integrate many trajectories; row 0 of each is at t = 0.

        Parameters
        ----------
        n_trajectories : int, optional
            By default as many as ``initial_states``, or 1.
        n_steps, dt : int and float, optional
            Steps a trajectory and time between rows; the system's own by default.
        random_state : int or Generator, optional
            Seed of the initial states; with one, the first are the same for any number.
        initial_states : array, shape (n_trajectories, dimension) or (dimension,), optional
            States to start from instead of drawn ones.
        transient : float, optional
            Time to integrate before the first row. By default the system's own for drawn states,
            and 0 for given ones.
        integrator : str or Integrator, optional
            By default :meth:`integrator`, which is accurate.
        progress : callable, optional
            Called as ``progress(done, total)`` with numbers of recorded rows.

        Raises
        ------
        ArgumentError
        DivergenceError
            A trajectory grows without bound or has no derivative; it is named with the time.
        """
        n_steps = self.n_steps if n_steps is None else as_count(n_steps, "n_steps", most=None)
        dt = self.dt if dt is None else as_positive(dt, "dt")
        solver = self._simulation(integrator)
        default = self.transient if initial_states is None else 0.0
        skip = default if transient is None else as_transient(transient)
        surplus = solver.surplus if skip else lambda n: 0
        states, n = self._starts(n_trajectories, n_steps, initial_states, random_state, surplus)
        self.check()
        if skip:
            states = solver.after_transient(states, skip, n)
        rows = solver.rows(states, dt, n_steps, progress)
        return Trajectories(rows, dt, feature_names=self.feature_names)

    def _starts(
        self,
        n_trajectories: int | None,
        n_steps: int,
        initial_states: Any,
        random_state: int | np.random.Generator | None,
        surplus: Callable[[int], int],
    ) -> tuple[np.ndarray, int]:
        """Return initial states, and how many of them are wanted; the rest fills a transient."""
        if initial_states is not None:
            states = as_starts(initial_states, n_trajectories, self.dimension, self.name)
            check_size(len(states), n_steps, self.dimension, what="A simulation")
            return states, len(states)
        n = as_count(1 if n_trajectories is None else n_trajectories, "n_trajectories", most=None)
        check_size(n, n_steps, self.dimension, what="A simulation")
        return self.sample(n + surplus(n), random_state), n

    def _simulation(self, integrator: Any) -> Simulation:
        if integrator is None:
            integrator = self.integrator()
        elif isinstance(integrator, str):
            integrator = as_integrator(integrator, self)
        return Simulation(self.name, tuple(self.feature_names or ()), as_integrator(integrator))
