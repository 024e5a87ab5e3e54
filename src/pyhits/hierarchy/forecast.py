"""Forecasts in the user's units: encode, fill in, interpolate, decode, catch divergence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyhits.coordinates.input_steps import PER_INPUT, over_steps
from pyhits.encoders import Encoder, Standardise
from pyhits.flowmaps import FlowMap
from pyhits.hierarchy.compiled import compiled
from pyhits.hierarchy.divergence import Lost, find_divergence
from pyhits.hierarchy.engine import (
    InputsOf,
    fill,
    resolution,
    sequential,
    worthwhile_shares,
)
from pyhits.hierarchy.interpolate import METHODS, interpolate
from pyhits.util.checks import as_choice, as_count
from pyhits.util.progress import Advance

#: Bytes of encoded states worked on at a time, beside the result.
_CHUNK_BYTES = 32 << 20

#: Chunks of trajectories are multiples of it, so that a file may store a fourth of one together.
PARTS = 4

#: Multiply-adds of a flow map from which torch's own threads are of use within one step.
_WIDE = 100_000

#: Numbers decoded with one row of constants, which stay in a core's cache.
_PERIOD = 1 << 12


@dataclass
class Forecaster:
    """Steps any number of initial states forward, chunk by chunk.

    A chunk's size follows from the shapes alone, and every result is computed in the same chunks:
    what is kept in memory and what is written to a file agree to the last bit.

    Parameters
    ----------
    flow_maps : mapping of int to FlowMap
        By step size; each divides the next coarser. States between those that the finest fills in
        are interpolated.
    encoder : Standardise
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
    device : str
    rows_per_block : int, optional
        States that a flow map steps at once; by default chosen from the shapes.
    compile : bool
        Step with code that torch compiles for the device.
    preprocessor : Encoder, optional
        Fitted. It stands between the user's states and those that ``encoder`` scales.
    inputs : array, shape (n, n_steps, k) or (1, n_steps, k), optional
        Scaled inputs that act on each trajectory, or on all of them alike; the flow maps take what
        :func:`~pyhits.coordinates.input_steps.over_steps` tells of them as further features.

    Raises
    ------
    ArgumentError
        An option is unknown, or the step sizes do not nest.
    MissingExtraError
        There is no compiler.
    """

    flow_maps: Mapping[int, FlowMap]
    encoder: Standardise
    n_steps: int
    at: np.ndarray | None = None
    interpolation: str = "cubic"
    method: str = "vectorised"
    on_divergence: str = "raise"
    device: str = "cpu"
    rows_per_block: int | None = None
    compile: bool = False
    preprocessor: Encoder | None = None
    inputs: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check the options, and count the states to fill in."""
        as_choice(self.on_divergence, "on_divergence", ("raise", "return"))
        as_choice(self.interpolation, "interpolation", METHODS)
        as_choice(self.method, "method", ("vectorised", "sequential"))
        if self.rows_per_block is not None:
            self.rows_per_block = as_count(self.rows_per_block, "rows_per_block")
        finest = resolution(self.flow_maps)
        self._finest = finest
        self._maps: Mapping[int, FlowMap] = {
            size // finest: flow_map for size, flow_map in self.flow_maps.items()
        }
        self._dtype = _dtype(self._maps)
        if self.compile:
            self._maps = compiled(self._maps, self.device)
        self._n_filled = -(-self.n_steps // finest) + 1
        self._positions: np.ndarray | None = None
        if self.at is not None:
            self._positions = self.at / finest
        elif finest > 1:
            self._positions = np.arange(self.n_steps + 1) / finest

    @property
    def n_times(self) -> int:
        """States returned of each trajectory."""
        return self.n_steps + 1 if self.at is None else len(self.at)

    @property
    def _n_told(self) -> int:
        """Numbers that a step is told about inputs."""
        return 0 if self.inputs is None else PER_INPUT * self.inputs.shape[-1]

    @property
    def chunk(self) -> int:
        """Trajectories stepped at once."""
        d = len(self.encoder.mean_)
        bytes_each = self._dtype.itemsize * (d + self._n_told) * self._n_filled
        if self._positions is not None:
            # A spline's four coefficients an interval, and its values, all in float64.
            bytes_each += 8 * d * (5 * self._n_filled + 2 * self.n_times)
        if self.preprocessor is not None:
            # The coordinates at all times, and what is decoded of them in float64.
            bytes_each += 8 * (d + self.preprocessor.n_features_in_) * self.n_times
        size = max(1, _CHUNK_BYTES // bytes_each)
        if self.device != "cpu":
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

        Parameters
        ----------
        initial_states : array, shape (n, d), or (n, history, d) with delays
            In the user's units.
        out : array, shape (n, n_times, d)
            Contiguous, with the dtype of the initial states.
        first : int
            Number of the first trajectory, for what is said of diverged ones.
        progress : callable, optional
            Told how many trajectories of how many are done.

        Raises
        ------
        DivergenceError
            A trajectory diverged, unless ``on_divergence`` is ``"return"``.
        """
        n, chunk = len(initial_states), self.chunk
        found: list[Lost | None] = []
        for begin in range(0, n, chunk):
            part = slice(begin, begin + chunk)
            found.append(self._step(initial_states[part], out[part], first + begin))
            if progress is not None:
                progress(min(n, begin + chunk), n)
        return Lost.together(found)

    def _step(self, starts: np.ndarray, out: np.ndarray, first: int) -> Lost | None:
        """Forecast one chunk, its trajectories shared among threads from beginning to end."""
        threads = torch.get_num_threads() if self.device == "cpu" else 1
        worthwhile = worthwhile_shares(self._maps, len(starts), self._n_filled - 1)
        shares = max(1, min(threads, len(starts) // 2, worthwhile))
        wide = max(flow_map.multiply_adds for flow_map in self._maps.values()) >= _WIDE
        if threads == 1 or (shares == 1 and wide and not self.compile):
            lost = self._share(starts, out, first)
        else:

            def work(part: np.ndarray) -> Lost | None:
                begin, end = int(part[0]), int(part[-1]) + 1
                return self._share(starts[begin:end], out[begin:end], first + begin)

            # As in the engine; it finds one thread of torch's in each of these and starts no more.
            with ThreadPoolExecutor(
                shares, initializer=torch.set_num_threads, initargs=(1,)
            ) as pool:
                parts = np.array_split(np.arange(len(starts)), shares)
                lost = Lost.together(list(pool.map(work, parts)))
        if lost is not None and self.on_divergence == "raise":
            raise lost.error()
        return lost

    def _share(self, starts: np.ndarray, out: np.ndarray, first: int) -> Lost | None:
        if self.preprocessor is None:
            return self._scaled(starts, out, first)
        rows = starts if starts.ndim == 3 else starts[:, None]
        begin = self.preprocessor.transform(rows)[:, -1]
        coordinates = np.empty((len(begin), self.n_times, begin.shape[1]), dtype=out.dtype)
        lost = self._scaled(begin, coordinates, first)
        if lost is not None and self.on_divergence == "raise":
            return lost
        out[:] = self.preprocessor.inverse_transform(coordinates)
        self._keep_starts(rows[:, -1], out)
        return lost

    @torch.inference_mode()
    def _scaled(self, starts: np.ndarray, out: np.ndarray, first: int) -> Lost | None:
        n, d = starts.shape
        result = torch.from_numpy(out)
        # Where nothing lies between, states are filled in where they are to be in the end.
        in_place = self._positions is None and self.device == "cpu" and result.dtype == self._dtype
        in_place &= self.inputs is None
        states = result
        if not in_place:
            shape = (n, self._n_filled, d + self._n_told)
            states = torch.empty(shape, dtype=self._dtype, device=self.device)
        begin = torch.from_numpy(self.encoder.transform(starts))
        states[:, 0, :d] = begin.to(self.device, self._dtype)
        self._fill(states, first)
        if self.inputs is not None:
            states = states[:, :, :d].contiguous()
        lost = find_divergence(states, first, self._finest, blank=self.on_divergence == "return")
        if lost is not None and self.on_divergence == "raise":
            return lost
        if self._positions is not None:
            between = interpolate(states.cpu().numpy(), self._positions, self.interpolation)
            states = torch.from_numpy(between)
        elif states.device.type not in ("cpu", "cuda"):
            states = states.cpu()  # other devices know no float64
        _decode(states, self.encoder, result)
        self._keep_starts(starts, out)
        return lost

    def _fill(self, states: Tensor, first: int) -> None:
        """Fill in all states after the first, in place; ``first`` numbers the trajectories."""
        told = None if self.inputs is None else self._told(first, len(states))
        if self.method == "vectorised":
            fill(states, self._maps, rows_per_block=self.rows_per_block, inputs=told)
        else:
            sequential(states, self._maps, inputs=told)

    def _told(self, first: int, n: int) -> InputsOf:
        """Return what is told about the inputs of ``n`` trajectories from ``first`` on."""
        assert self.inputs is not None
        acting = self.inputs if len(self.inputs) == 1 else self.inputs[first : first + n]

        def told(size: int) -> Tensor:
            rows = over_steps(acting, size * self._finest)[:, :: self._finest]
            rows = rows[:, : self._n_filled]
            lacking = self._n_filled - rows.shape[1]
            rows = np.concatenate([rows, np.repeat(rows[:, -1:], lacking, axis=1)], axis=1)
            each = torch.from_numpy(rows).to(self.device, self._dtype)
            return each.expand(n, -1, -1)

        return told

    def _keep_starts(self, starts: np.ndarray, out: np.ndarray) -> None:
        """Make the initial states the user's own numbers, not their round trips."""
        rows = [0] if self.at is None else np.flatnonzero(self.at == 0)
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
    flow_maps: Mapping[int, FlowMap],
    encoder: Standardise,
    n_steps: int,
    *,
    keep: Keep = in_memory,
    progress: Advance | None = None,
    **settings: Any,
) -> np.ndarray:
    """Step all initial states forward together.

    Parameters
    ----------
    initial_states : array, shape (n, d), or (n, history, d) with delays
        In the user's units; the result has their dtype.
    flow_maps, encoder, n_steps, **settings
        As in :class:`Forecaster`.
    keep : callable
        What becomes of the states: an array in memory, or a file
        (:class:`~pyhits.hierarchy.stream.ToFile`).
    progress : callable, optional
        Told how many trajectories of how many are done.

    Returns
    -------
    array, shape (n, n_steps + 1, d) or (n, m, d)
        Row 0 is the initial state.
    """
    forecaster = Forecaster(flow_maps, encoder, n_steps, **settings)
    states: np.ndarray = keep(forecaster, initial_states, progress)
    return states


def _dtype(flow_maps: Mapping[int, FlowMap]) -> torch.dtype:
    for flow_map in flow_maps.values():
        for tensor in (*flow_map.parameters(), *flow_map.buffers()):
            if tensor.is_floating_point():
                return tensor.dtype
    return torch.float32


def _decode(states: Tensor, encoder: Standardise, out: Tensor) -> None:
    """Write states in the user's units into ``out``; contiguous, of equal shape, maybe the same.

    The arithmetic is float64 where states or result are; ``states`` are used up.
    """
    if out.device == states.device and out.dtype == torch.promote_types(out.dtype, states.dtype):
        work = out if out.data_ptr() == states.data_ptr() else out.copy_(states)
    else:
        # What comes from between the steps need not lie in a row.
        work = states.to(torch.promote_types(out.dtype, states.dtype)).contiguous()
    d = states.shape[-1]
    # One constant for each of many numbers: no loops over a handful of features.
    period = d * max(1, min(_PERIOD // d, work.numel() // d))
    scale, mean = (
        torch.from_numpy(statistic).repeat(period // d)
        for statistic in (encoder.scale_, encoder.mean_)
    )
    # A large mean is added last, and what float32 cuts off from it first: no digit is lost.
    large = mean.to(work.dtype)
    small, scale, large = (c.to(work.device, work.dtype) for c in (mean - large, scale, large))
    flat = work.view(-1)
    whole = len(flat) // period * period
    for part in (flat[:whole].view(-1, period), flat[whole:]):
        k = part.shape[-1]
        torch.addcmul(small[:k], part, scale[:k], out=part).add_(large[:k])
    if work is not out:
        out.copy_(work)
