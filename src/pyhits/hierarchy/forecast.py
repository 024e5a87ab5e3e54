"""Forecasts in the user's units: encode, fill in, interpolate, decode, catch divergence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pyhits.checks import as_choice, as_numeric
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, DataError, DivergenceError
from pyhits.flowmaps import FlowMap
from pyhits.hierarchy.engine import fill, resolution, sequential
from pyhits.hierarchy.interpolate import METHODS, interpolate
from pyhits.trajectories import default_names

#: A state this many standard deviations away from the training data has diverged.
DIVERGED = 1e4

#: Bytes of encoded states worked on at a time, beside the result.
_CHUNK_BYTES = 32 << 20


def forecast(
    initial_states: np.ndarray,
    flow_maps: Mapping[int, FlowMap],
    encoder: Standardise,
    n_steps: int,
    *,
    at: np.ndarray | None = None,
    interpolation: str = "cubic",
    method: str = "vectorised",
    on_divergence: str = "raise",
    device: str = "cpu",
    rows_per_block: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Step all initial states forward together.

    Parameters
    ----------
    initial_states : array, shape (n, d)
        In the user's units; the result has their dtype.
    flow_maps : mapping of int to FlowMap
        By step size; each divides the next coarser. States between those that the finest fills in
        are interpolated.
    n_steps : int
        Horizon in multiples of ``dt``.
    at : array, shape (m,), optional
        Times in multiples of ``dt`` to return instead of all steps, each in ``[0, n_steps]``.
    interpolation : {"cubic", "linear"}
    method : {"vectorised", "sequential"}
        Algorithm 1, or its plain sequential definition.
    on_divergence : {"raise", "return"}
        Raise a DivergenceError, or return NaN from the diverged step on.
    progress : callable, optional
        Told how many trajectories of how many are done.

    Returns
    -------
    array, shape (n, n_steps + 1, d) or (n, m, d)
        Row 0 is the initial state.
    """
    as_choice(on_divergence, "on_divergence", ("raise", "return"))
    as_choice(interpolation, "interpolation", METHODS)
    as_choice(method, "method", ("vectorised", "sequential"))
    finest = resolution(flow_maps)
    maps = {size // finest: flow_map for size, flow_map in flow_maps.items()}
    dtype = _dtype(maps)
    grid = -(-n_steps // finest)
    positions = None
    if at is not None:
        positions = at / finest
    elif finest > 1:
        positions = np.arange(n_steps + 1) / finest
    n, d = initial_states.shape
    count = n_steps + 1 if at is None else len(at)
    out = np.empty((n, count, d), dtype=initial_states.dtype)
    size = torch.empty(0, dtype=dtype).element_size()
    bytes_each = size * d * (grid + 1)
    if positions is not None:
        # A spline's four coefficients an interval, and its values, all in float64.
        bytes_each += 8 * d * (5 * grid + 2 * count)
    chunk = max(1, _CHUNK_BYTES // bytes_each)
    if device != "cpu":
        chunk *= 64
    for begin in range(0, n, chunk):
        part = initial_states[begin : begin + chunk]
        states = torch.empty((len(part), grid + 1, d), dtype=dtype, device=device)
        states[:, 0] = torch.from_numpy(encoder.transform(part)).to(device, dtype)
        if method == "vectorised":
            fill(states, maps, rows_per_block=rows_per_block)
        else:
            sequential(states, maps)
        _catch_divergence(states, begin, finest, on_divergence)
        encoded = states.cpu().numpy()
        if positions is not None:
            encoded = interpolate(encoded, positions, interpolation)
        target = out[begin : begin + chunk]
        encoder.inverse_transform_into(encoded, target)
        # The initial state is the user's own number, not its round trip.
        target[:, np.flatnonzero(at == 0) if at is not None else [0]] = part[:, None]
        if progress is not None:
            progress(min(n, begin + chunk), n)
    return out


def as_states(initial_states: Any, feature_names: Sequence[str]) -> tuple[np.ndarray, bool]:
    """Return initial states as ``(n, d)``, and whether a single one of shape ``(d,)`` was given.

    Raises
    ------
    DataError
        The shape is another, or a value is not finite; its row and feature are named.
    """
    d = len(feature_names)
    if hasattr(initial_states, "columns"):
        named = {str(column): column for column in initial_states.columns}
        if set(named) == set(feature_names):
            initial_states = initial_states[[named[name] for name in feature_names]]
        elif default_names(d) != tuple(feature_names):
            raise DataError(
                f"Expected initial states with the columns {', '.join(feature_names)}, got "
                f"{', '.join(named)}."
            )
    states = as_numeric(initial_states, what="The initial states")
    single = states.ndim == 1
    states = states[None] if single else states
    if states.ndim != 2 or states.shape[1] != d or len(states) == 0:
        raise DataError(f"Expected initial states of shape (n, {d}), got {states.shape}.")
    if not np.isfinite(states).all():
        row, column = (int(k) for k in np.argwhere(~np.isfinite(states))[0])
        raise DataError(
            f"Initial state {row} is {states[row, column]} in {feature_names[column]!r}."
        )
    return states, single


def positions(t: Any, dt: float) -> np.ndarray:
    """Return times since the initial state in multiples of ``dt``, shape ``(m,)``."""
    at = np.atleast_1d(as_numeric(t, what="t").astype(np.float64)) / dt
    if at.ndim != 1 or len(at) == 0 or not (np.isfinite(at).all() and (at >= 0).all()):
        raise ArgumentError("Expected times t since the initial state, all 0 or later.")
    # A multiple of dt that rounding put just beside a step is that step.
    near = np.round(at)
    return np.asarray(np.where(np.abs(at - near) < 1e-9 * np.maximum(1, near), near, at))


def _dtype(flow_maps: Mapping[int, FlowMap]) -> torch.dtype:
    for flow_map in flow_maps.values():
        for tensor in (*flow_map.parameters(), *flow_map.buffers()):
            if tensor.is_floating_point():
                return tensor.dtype
    return torch.float32


def _catch_divergence(states: torch.Tensor, begin: int, finest: int, action: str) -> None:
    """Find the first state out of bounds; raise, or blank the trajectory from there on."""
    if float(states.abs().amax()) < DIVERGED:
        return
    bad = ~(states.abs() < DIVERGED).all(dim=2)
    lost = bad.any(dim=1)
    first = bad.to(torch.int8).argmax(dim=1)
    if action == "raise":
        trajectory = int(torch.nonzero(lost)[0])
        step = int(first[trajectory]) * finest
        more = f" ({int(lost.sum()) - 1} more diverged)" if int(lost.sum()) > 1 else ""
        raise DivergenceError(
            f"The forecast of trajectory {begin + trajectory} diverged at step {step}{more}. Its "
            "states left the training data far behind: train on more of the state space, couple "
            'fewer scales, or ask for the rest with on_divergence="return".',
            begin + trajectory,
            step,
        )
    after = torch.arange(states.shape[1], device=states.device) >= first[:, None]
    states[after & lost[:, None]] = torch.nan
