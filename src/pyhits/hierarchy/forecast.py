"""Forecasts in the user's units: encode, fill in, interpolate, decode, catch divergence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pyhits.coordinates.input_steps import over_steps
from pyhits.encoders import Encoder, Standardise
from pyhits.flowmaps import FlowMap
from pyhits.hierarchy.decode import decode_into
from pyhits.hierarchy.divergence import Lost, find_divergence
from pyhits.hierarchy.hierarchy import Hierarchy
from pyhits.hierarchy.interpolate import METHODS, interpolate
from pyhits.hierarchy.stepper import InputsOf, Stepper, sequential
from pyhits.util.checks import as_choice
from pyhits.util.progress import Advance
from pyhits.util.threads import side_by_side

if TYPE_CHECKING:
    from pyhits.hierarchy.engine import Engine

#: Chunks of trajectories are multiples of it, so that a file may store a fourth of one together.
PARTS = 4

#: Fills in all states after the first, in place; the number says which trajectory is the first.
Fill = Callable[[Tensor, int], None]

#: Settings of :func:`forecast` that are those of its stepper.
_OF_THE_STEPPER = ("step_sizes", "device", "compile", "rows_per_block", "batching")


@dataclass
class Forecaster:
    """Steps any number of initial states forward, chunk by chunk.

    A chunk's size follows from the shapes alone, and every result is computed in the same chunks:
    what is kept in memory and what is written to a file agree to the last bit.

    Raises ArgumentError: an option is unknown.

    Parameters
    ----------
    stepper : Stepper
        The coupled scales. States between those that the finest fills in are interpolated.
    scaling : Standardise
        Fitted.
    n_steps : int
        Horizon in multiples of ``dt``.
    at : array, shape (m,), optional
        Times in multiples of ``dt`` to return instead of all steps, each in ``[0, n_steps]``.
    interpolation : {"cubic", "linear"}
    method : {"vectorised", "sequential"}
        Algorithm 1, or its plain sequential definition.
    on_divergence : {"raise", "return"}
        Raise a DivergenceError, or return NaN from the diverged step on.
    encoder : Encoder, optional
        Fitted. It stands between the user's states and those that ``scaling`` scales.
    inputs : array, shape (n, n_steps, k) or (1, n_steps, k), optional
        Scaled inputs that act on each trajectory, or on all of them alike; the flow maps take what
        :func:`~pyhits.coordinates.input_steps.over_steps` makes of them as further features.
    trends : sequence of int, optional
        Inputs of which steps of many rows see the trends as well; by default all.
    fill : callable, optional
        What fills in the states, in place of Algorithm 1.
    engine : Engine, optional
        What steps by machine code: settled for a whole forecast, not for what a chunk or a thread
        has of it, so that results do not depend on these.
    """

    stepper: Stepper
    scaling: Standardise
    n_steps: int
    at: np.ndarray | None = None
    interpolation: str = "cubic"
    method: str = "vectorised"
    on_divergence: str = "raise"
    encoder: Encoder | None = None
    inputs: np.ndarray | None = None
    trends: Sequence[int] | None = None
    fill: Fill | None = None
    engine: Engine | None = None

    def __post_init__(self) -> None:
        """Check the options, and count the states to fill in."""
        as_choice(self.on_divergence, "on_divergence", ("raise", "return"))
        as_choice(self.interpolation, "interpolation", METHODS)
        as_choice(self.method, "method", ("vectorised", "sequential"))
        spacing = self.stepper.spacing
        self._n_filled = -(-self.n_steps // spacing) + 1
        self._positions: np.ndarray | None = None
        if self.at is not None:
            self._positions = self.at / spacing
        elif spacing > 1:
            self._positions = np.arange(self.n_steps + 1) / spacing

    @property
    def n_times(self) -> int:
        """States returned of each trajectory."""
        return self.n_steps + 1 if self.at is None else len(self.at)

    @property
    def _n_inputs(self) -> int:
        """Numbers that a step takes of the inputs."""
        if self.inputs is None:
            return 0
        k = int(self.inputs.shape[-1])
        return k + (k if self.trends is None else len(self.trends))

    @property
    def chunk(self) -> int:
        """Trajectories stepped at once."""
        return self._chunk_of(splines=self.engine is None or self.at is not None)

    def _chunk_of(self, *, splines: bool) -> int:
        """Return how many trajectories take so much memory, with splines of SciPy or without."""
        d = len(self.scaling.mean_)
        bytes_each = self.stepper.dtype.itemsize * (d + self._n_inputs) * self._n_filled
        if self._positions is not None and splines:
            # A spline's four coefficients an interval, and its values, all in float64.
            bytes_each += 8 * d * (5 * self._n_filled + 2 * self.n_times)
        if self.encoder is not None:
            # The coordinates at all times, and what is decoded of them in float64.
            bytes_each += 8 * (d + self.encoder.n_features_in_) * self.n_times
        size = max(1, self.stepper.batching.chunk_bytes // bytes_each)
        if self.stepper.device.type != "cpu":
            size *= 8
        return size if size < PARTS else size // PARTS * PARTS

    def __call__(
        self,
        initial_states: np.ndarray,
        out: np.ndarray,
        *,
        first: int = 0,
        progress: Advance | None = None,
    ) -> Lost | None:
        """Forecast into ``out`` and return which trajectories are lost, if any.

        Raises DivergenceError: a trajectory diverged, unless ``on_divergence`` is ``"return"``.

        Parameters
        ----------
        initial_states : array, shape (n, d), or (n, history, d) with delays
            In the user's units.
        out : array, shape (n, n_times, d)
            Contiguous, with the dtype of the initial states.
        first : int
            Number of the first trajectory, for what is said of diverged ones.
        progress : callable, optional
            Called with how many trajectories of how many are done.
        """
        n, chunk = len(initial_states), self.chunk
        found: list[Lost | None] = []
        for begin in range(0, n, chunk):
            part = slice(begin, begin + chunk)
            found.append(self._chunk(initial_states[part], out[part], first + begin))
            if progress is not None:
                progress(min(n, begin + chunk), n)
        return Lost.together(found)

    def _chunk(self, starts: np.ndarray, out: np.ndarray, first: int) -> Lost | None:
        """Forecast one chunk, its trajectories shared among threads from beginning to end."""
        shares = self._shares(len(starts))
        if shares == 0:
            lost = self._share(starts, out, first)
        else:

            def work(part: np.ndarray) -> Lost | None:
                begin, end = int(part[0]), int(part[-1]) + 1
                return self._share(starts[begin:end], out[begin:end], first + begin)

            parts = np.array_split(np.arange(len(starts)), shares)
            lost = Lost.together(side_by_side(work, parts))
        if lost is not None and self.on_divergence == "raise":
            raise lost.error()
        return lost

    def _shares(self, n: int) -> int:
        """Return among how many threads to divide trajectories; 0 to step in this one."""
        stepper = self.stepper
        threads = torch.get_num_threads() if stepper.device.type == "cpu" else 1
        if threads == 1:
            return 0
        if self.engine is not None:
            shares = min(threads, self.engine.shares(n))
            return 0 if shares == 1 else shares
        steps = self._n_filled - 1
        shares = max(1, min(threads, n // 2, stepper.shares(n, steps * stepper.spacing)))
        # Of little, and within wide steps, torch makes what it can of its threads by itself.
        plain = stepper.is_wide or n * steps <= stepper.batching.shared_rows[0]
        return 0 if shares == 1 and plain and not stepper.is_compiled else shares

    def _share(self, starts: np.ndarray, out: np.ndarray, first: int) -> Lost | None:
        if self.encoder is None:
            return self._scaled(starts, out, first)
        rows = starts if starts.ndim == 3 else starts[:, None]
        begin = self.encoder.transform(rows)[:, -1]
        coordinates = np.empty((len(begin), self.n_times, begin.shape[1]), dtype=out.dtype)
        lost = self._scaled(begin, coordinates, first)
        if lost is not None and self.on_divergence == "raise":
            return lost
        out[:] = self.encoder.inverse_transform(coordinates)
        self._restore_starts(rows[:, -1], out)
        return lost

    def _scaled(self, starts: np.ndarray, out: np.ndarray, first: int) -> Lost | None:
        if self.engine is not None and self._at_once(starts, out, self.engine):
            return None
        few = self._chunk_of(splines=True)
        parts = (slice(k, k + few) for k in range(0, len(starts), few))
        return Lost.together([self._stepped(starts[p], out[p], first + p.start) for p in parts])

    @torch.inference_mode()
    def _stepped(self, starts: np.ndarray, out: np.ndarray, first: int) -> Lost | None:
        n, d = starts.shape
        result, stepper = torch.from_numpy(out), self.stepper
        # Where nothing lies between, states are filled in where they are to be in the end.
        in_place = self._positions is None and result.dtype == stepper.dtype
        in_place &= stepper.device.type == "cpu" and self.inputs is None
        states = result
        if not in_place:
            shape = (n, self._n_filled, d + self._n_inputs)
            states = torch.empty(shape, dtype=stepper.dtype, device=stepper.device)
        begin = torch.from_numpy(self.scaling.transform(starts))
        states[:, 0, :d] = begin.to(stepper.device, stepper.dtype)
        self._fill(states, first)
        if self.inputs is not None:
            states = states[:, :, :d].contiguous()
        blank = self.on_divergence == "return"
        held = stepper.held(states)
        lost = find_divergence(states, first, stepper.spacing, blank=blank, held=held)
        if lost is not None and not blank:
            return lost
        if self._positions is not None:
            between = interpolate(states.cpu().numpy(), self._positions, self.interpolation)
            states = torch.from_numpy(between)
        elif states.device.type not in ("cpu", "cuda"):
            states = states.cpu()  # other devices know no float64
        decode_into(states, self.scaling, result)
        self._restore_starts(starts, out)
        return lost

    def _at_once(self, starts: np.ndarray, out: np.ndarray, engine: Engine) -> bool:
        """Whether all was done by machine code: filled in, interpolated, looked at, decoded."""
        if self.inputs is not None or self.method != "vectorised":
            return False
        ratio, target, rows = self.stepper.spacing, out, None
        if self.at is not None:
            rows = (self.at / ratio).astype(np.int64)
            if (rows * ratio != self.at).any():
                return False
            ratio = 1
            target = np.empty((len(out), self._n_filled, out.shape[2]), dtype=out.dtype)
        elif ratio > 1 and self.interpolation != "cubic":
            return False
        scaling = self.scaling
        begin = scaling.transform(starts).astype(engine.dtype)
        if not engine(begin, target, ratio=ratio, scale=scaling.scale_, mean=scaling.mean_):
            return False
        if rows is not None:
            out[:] = target[:, rows]
        self._restore_starts(starts, out)
        return True

    def _fill(self, states: Tensor, first: int) -> None:
        """Fill in all states after the first, in place; ``first`` numbers the trajectories."""
        if self.fill is not None:
            self.fill(states, first)
            return
        inputs = None if self.inputs is None else self._inputs_of(first, len(states))
        if self.method == "vectorised":
            self.stepper.fill(states, inputs, self.engine)
        else:
            sequential(states, self.stepper, inputs)

    def _inputs_of(self, first: int, n: int) -> InputsOf:
        """Return the inputs of steps of any size, of ``n`` trajectories from ``first`` on."""
        assert self.inputs is not None
        own = self.inputs if len(self.inputs) == 1 else self.inputs[first : first + n]
        stepper = self.stepper

        def inputs_of(size: int) -> Tensor:
            rows = over_steps(own, size, self.trends)[:, :: stepper.spacing]
            rows = rows[:, : self._n_filled]
            lacking = self._n_filled - rows.shape[1]
            rows = np.concatenate([rows, np.repeat(rows[:, -1:], lacking, axis=1)], axis=1)
            each = torch.from_numpy(rows).to(stepper.device, stepper.dtype)
            return each.expand(n, -1, -1)

        return inputs_of

    def _restore_starts(self, starts: np.ndarray, out: np.ndarray) -> None:
        """Make the initial states the user's own numbers, not their round trips."""
        rows = [0] if self.at is None else np.flatnonzero(self.at == 0)
        if len(rows):
            out[:, rows] = starts[:, None]


#: Takes a forecast's chunks as they are made, and returns the array that holds them in the end.
Keep = Callable[[Forecaster, np.ndarray, Advance | None], Any]


def in_memory(
    forecaster: Forecaster, initial_states: np.ndarray, progress: Advance | None
) -> np.ndarray:
    """Return the whole forecast as one array, shape ``(n, n_times, d)``."""
    n, d = len(initial_states), initial_states.shape[-1]
    out = np.empty((n, forecaster.n_times, d), dtype=initial_states.dtype)
    forecaster(initial_states, out, progress=progress)
    return out


def forecast(
    initial_states: np.ndarray,
    flow_maps: Mapping[int, FlowMap] | Hierarchy,
    scaling: Standardise,
    n_steps: int,
    *,
    keep: Keep = in_memory,
    progress: Advance | None = None,
    **settings: Any,
) -> np.ndarray:
    """Step all initial states forward together.

    Returns array, shape (n, n_steps + 1, d) or (n, m, d): row 0 is the initial state.

    Parameters
    ----------
    initial_states : array, shape (n, d), or (n, history, d) with delays
        In the user's units; the result has their dtype.
    flow_maps : mapping of int to FlowMap, or Hierarchy
        By step size. A hierarchy keeps what it has made to step for the next forecast.
    scaling, n_steps
        As in :class:`Forecaster`.
    keep : callable
        What becomes of the states: an array in memory, or a file
        (:class:`~pyhits.hierarchy.to_file.ToFile`).
    progress : callable, optional
        Called with how many trajectories of how many are done.
    **settings
        As in :meth:`Hierarchy.stepper` and :class:`Forecaster`.
    """
    made = forecaster(flow_maps, scaling, n_steps, len(initial_states), **settings)
    states: np.ndarray = keep(made, initial_states, progress)
    return states


def forecaster(
    flow_maps: Mapping[int, FlowMap] | Hierarchy,
    scaling: Standardise,
    n_steps: int,
    n_trajectories: int,
    **settings: Any,
) -> Forecaster:
    """Return what :func:`forecast` makes forecasts of so many trajectories with."""
    stepper, rest = take_stepper(flow_maps, settings)
    engine = stepper.fused(n_trajectories, n_steps)
    return Forecaster(stepper, scaling, n_steps, engine=engine, **rest)


def take_stepper(
    flow_maps: Mapping[int, FlowMap] | Hierarchy, settings: dict[str, Any]
) -> tuple[Stepper, dict[str, Any]]:
    """Return the stepper that some of the settings are of, and the other settings."""
    hierarchy = flow_maps if isinstance(flow_maps, Hierarchy) else Hierarchy(flow_maps)
    rest = {name: value for name, value in settings.items() if name not in _OF_THE_STEPPER}
    how = {name: value for name, value in settings.items() if name in _OF_THE_STEPPER}
    return hierarchy.stepper(**how), rest
