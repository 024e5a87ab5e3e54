"""One forecast of a hybrid: learned coarse states, the integrator's from them, corrections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pyhits.errors import ArgumentError, DivergenceError, warn
from pyhits.hierarchy.divergence import Lost
from pyhits.hierarchy.forecast import forecast
from pyhits.hierarchy.stages import resolution
from pyhits.integrators.fine import FinePropagator
from pyhits.integrators.parareal import Bounds, CoarsePropagator, Parareal, Sweeps
from pyhits.timestepper import TimeStepper
from pyhits.util.checks import as_choice, as_count, as_positive
from pyhits.util.progress import bar

#: Arrays of coarse states that a correction holds.
_COPIES = 8

#: Bytes that a state takes on its way through a flow map.
_BYTES_A_STATE = 2048

#: Numbers looked at together for those out of bounds.
_LOOKED_AT = 1 << 18


@dataclass(frozen=True)
class Scheme:
    """What all forecasts of a hybrid share.

    Parameters
    ----------
    step_sizes : tuple of int
        Learned scales, finest first.
    fine : FinePropagator
        Takes their states to the next.
    bounds : Bounds
        Beyond which a state has diverged.
    chunk_bytes : int
        Memory for coarse states, and for whatever else is not the result, worked on at a time.
    """

    model: TimeStepper
    step_sizes: tuple[int, ...]
    fine: FinePropagator
    bounds: Bounds
    chunk_bytes: int


@dataclass
class Run:
    """A forecast of ``n_steps``, chunk by chunk of trajectories.

    Raises ArgumentError.

    Parameters
    ----------
    on_divergence : {"raise", "return"}
    tolerance : float, optional
        Correct the coarse states until they jump by no more.
    max_iterations : int, optional
        Most corrections; by default one a coarse interval.
    """

    scheme: Scheme
    n_steps: int
    on_divergence: str = "raise"
    tolerance: float | None = None
    max_iterations: int | None = None
    sweeps: list[Sweeps] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        as_choice(self.on_divergence, "on_divergence", ("raise", "return"))
        if self.tolerance is not None:
            self.tolerance = as_positive(self.tolerance, "tolerance")
        elif self.max_iterations is not None:
            raise ArgumentError("max_iterations goes with a tolerance to reach.")
        self.n_steps = as_count(self.n_steps, "n_steps")
        self.q = self.most = self.n_steps // self.scheme.fine.ratio
        if self.max_iterations is not None:
            self.most = as_count(self.max_iterations, "max_iterations", least=0)
        self.blank = self.on_divergence == "return"

    def chunks(self, n: int, *, dense: bool = False) -> Iterator[slice]:
        """Yield which trajectories to compute together; ``dense`` if all steps are temporary."""
        d = len(self.scheme.model.feature_names)
        each = _COPIES * (self.q + 1) + (8 * (self.n_steps + 1) if dense else 0)
        size = max(1, self.scheme.chunk_bytes // (8 * d * each))
        with bar("forecasting", verbose=self.scheme.model.verbose) as progress:
            for first in range(0, n, size):
                yield slice(first, min(first + size, n))
                if progress is not None:
                    progress(min(first + size, n), n)

    def __call__(self, starts: np.ndarray, out: np.ndarray, first: int) -> None:
        """Forecast into ``out`` (n, n_steps + 1, d), the first trajectory being number ``first``.

        Raises DivergenceError.
        """
        out[:, 0] = starts
        coarse = self._coarse(starts, first)
        if self.tolerance is None:
            self.scheme.fine.fill(out, coarse)
        else:
            self._correct(out, coarse)
        self._check(out, first)

    def _coarse(self, starts: np.ndarray, first: int) -> np.ndarray:
        """Return the learned states at multiples of the finest learned step, ``(n, q + 1, d)``."""
        begin = starts.astype(np.float64)
        if self.q == 0:
            return begin[:, None]
        maps = {size: self.scheme.model.flow_maps[size] for size in self.scheme.step_sizes}
        spacing = resolution(maps)
        coarse = forecast(
            begin,
            {
                size // spacing: flow_map.to(self.scheme.model.device)
                for size, flow_map in maps.items()
            },
            self.scheme.model.scaling,
            self.q,
            on_divergence="return",
            device=self.scheme.model.device,
        )
        # Corrected ones may begin anywhere; otherwise what is lost is not worth integrating.
        if self.tolerance is None and not self.blank:
            lost = _lost(coarse, self.scheme.bounds, first)
            if lost is not None:
                raise lost._replace(step=lost.step * self.scheme.fine.ratio).error()
        return coarse

    def _correct(self, out: np.ndarray, coarse: np.ndarray) -> None:
        """Parareal: correct ``coarse`` in place, and fill in from it."""
        fine, model = self.scheme.fine, self.scheme.model

        def propagate(states: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
            return fine.propagate(out, states, i, j, fine.ratio)

        assert self.tolerance is not None
        propagator = CoarsePropagator(
            model.flow_maps[self.scheme.step_sizes[0]],
            model.scaling,
            max(1, self.scheme.chunk_bytes // _BYTES_A_STATE),
        )
        sweeps = Sweeps(coarse, propagate, propagator, self.scheme.bounds, self.tolerance)
        sweeps.run(self.most)
        self.sweeps.append(sweeps)
        out[:, fine.ratio :: fine.ratio] = coarse[:, 1:]
        rest = self.n_steps - self.q * fine.ratio
        fine.intervals(out, coarse[:, self.q :], 0, rest, first=self.q)

    def _check(self, out: np.ndarray, first: int) -> None:
        """Find what has diverged; raise, or make it NaN from there on."""
        lost = _lost(out, self.scheme.bounds, first, blank=self.blank)
        if lost is None or self.blank:
            return
        more = f" ({lost.n_lost - 1} more diverged)" if lost.n_lost > 1 else ""
        fine = self.scheme.fine
        begin = (lost.step - 1) // fine.ratio * fine.ratio
        raise DivergenceError(
            f"The forecast of trajectory {lost.trajectory} diverged at step {lost.step}{more}, "
            f"integrated by {fine.integrator} from step {max(0, begin)}. {fine.integrator.advice} "
            "Learned steps may also have led there; ask for the rest with "
            'on_divergence="return".',
            lost.trajectory,
            lost.step,
        )

    def warn(self) -> None:
        """Warn of trajectories whose corrections ended before the tolerance was met."""
        ended = [~s.converged & (s.iterations >= self.most) for s in self.sweeps]
        count = sum(int(e.sum()) for e in ended)
        if count:
            worst = max(
                float(np.nanmax(s.jumps[e, -1], initial=0.0))
                for s, e in zip(self.sweeps, ended, strict=True)
            )
            warn(
                f"After {self.most} corrections the coarse states of {count} trajectories still "
                f"jump by up to {worst:.1e} standard deviations, more than the tolerance of "
                f"{self.tolerance:g}: allow more (max_iterations) or a larger tolerance."
            )

    def parareal(self, states: np.ndarray) -> Parareal:
        """Return the corrected states and how they came about."""
        columns = max(s.jumps.shape[1] for s in self.sweeps)
        jumps = np.full((len(states), columns), np.nan)
        row = 0
        for s in self.sweeps:
            jumps[row : row + len(s.jumps), : s.jumps.shape[1]] = s.jumps
            row += len(s.jumps)
        return Parareal(
            states=states,
            iterations=np.concatenate([s.iterations for s in self.sweeps]),
            jumps=jumps,
            converged=np.concatenate([s.converged for s in self.sweeps]),
            defect=float(np.max([s.defects.max() for s in self.sweeps])),
            fine_evaluations=sum(s.fine_evaluations for s in self.sweeps),
        )


def _lost(states: np.ndarray, bounds: Bounds, first: int, *, blank: bool = False) -> Lost | None:
    """Find trajectories that leave the bounds; on request make them NaN from there on."""
    # Bounds that hold for every feature spare most trajectories a look at each state.
    flat = states.reshape(len(states), -1)
    with np.errstate(invalid="ignore"):
        most = np.maximum(flat.max(axis=1), -flat.min(axis=1)) + np.abs(bounds.centre).max()
    suspect = np.flatnonzero(~(most < bounds.limit * bounds.scale.min()))  # NaN is, too
    steps = np.full(len(states), -1)
    size = max(1, _LOOKED_AT // states[0].size)
    for group in (suspect[k : k + size] for k in range(0, len(suspect), size)):
        sound = bounds.hold(states[group])
        steps[group] = np.where(sound.all(axis=1), -1, sound.argmin(axis=1))
    diverged = np.flatnonzero(steps >= 0)
    if len(diverged) == 0:
        return None
    if blank:
        for k in diverged:
            states[k, steps[k] :] = np.nan
    return Lost(first + int(diverged[0]), int(steps[diverged[0]]), len(diverged))
