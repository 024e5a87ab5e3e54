"""Noise on fields: what is white in space and time is told by wavenumber, and taken off there.

White noise has the same energy at all wavenumbers, where that of a field falls. Each wavenumber is
smoothed in time by the window of least risk, and those that hold less than their noise are left
out: a Wiener filter, but for its shape.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial

import numpy as np

from pyhits.data.grid import Grid
from pyhits.data.trajectories import Trajectories
from pyhits.noise.smooth import Window, choose_window, smooth
from pyhits.util.clock import UNLIMITED, Clock

#: Wavenumbers above this part of the highest tell of noise, in two parts of equal width.
_HIGH, _HIGHEST = 0.75, 0.875

#: By how much the energies of both, and those of differences in time, may differ from white noise.
_ALIKE = 0.2

#: Groups of wavenumbers that are smoothed alike, at most, and numbers that a window is chosen on.
_GROUPS, _CHOSEN = 40, 1 << 17

#: Numbers of fields that noise is taken off, at most.
_MOST = 1 << 26


@dataclass(frozen=True)
class CleanFields:
    """Fields with their noise taken off."""

    train: np.ndarray  # (n_rows, n_features)
    validation: np.ndarray  # (n_rows, n_features)
    sigma: np.ndarray  # (channels,): standard deviation of the noise
    risk: float  # estimated mean squared error that is left, in units of the noise variance
    left_out: float  # part of the wavenumbers that hold nothing but noise


def clean_fields(
    train: Trajectories, validation: Trajectories, clock: Clock = UNLIMITED
) -> CleanFields | None:
    """Take white noise off fields; None where there is none, or too much to be told from motion.

    Raises TimeIsUpError.

    Parameters
    ----------
    train, validation : Trajectories
        On a grid.
    """
    grid = train.grid
    if grid is None or train.values.size + validation.values.size > _MOST:
        return None
    parts = tuple(_modes(data.values, grid) for data in (train, validation))
    sigma = noise_of_modes(parts[0], train.offsets, grid)
    if not sigma.any():
        return None
    risks, sizes, left_out = 0.0, 0, 0
    groups = _groups(grid)
    for channel, own in enumerate(sigma.tolist()):
        for group in groups if own > 0 else ():
            clock.check()
            columns = [part[:, group, channel] / own for part in parts]
            window, signal = _window(columns[0], train, clock)
            if signal < window.risk:
                cleaned, risk = [np.zeros_like(each) for each in columns], signal
                left_out += len(group)
            else:
                data = zip((train, validation), columns, strict=True)
                cleaned = [smooth(of_modes(one, each), window, clock=clock) for one, each in data]
                risk = window.risk
            for part, each in zip(parts, cleaned, strict=True):
                part[:, group, channel] = own * each
            risks, sizes = risks + max(risk, 0.0) * len(group), sizes + len(group)
    rows = [_rows(part, grid) for part in parts]
    still = np.tile(sigma == 0, train.n_features // len(sigma))
    for given, clean in zip((train, validation), rows, strict=True):
        clean[:, still] = given.values[:, still]
    return CleanFields(rows[0], rows[1], sigma, risks / sizes, left_out / sizes)


def noise_of_modes(modes: np.ndarray, offsets: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the standard deviation of the noise of each channel, 0 where there is none.

    The energy of high wavenumbers is that of noise where it is the same at all of them and from row
    to row.

    Parameters
    ----------
    modes : array, shape (n_rows, n_points, channels)
    offsets : array of int, shape (n_trajectories + 1,)
    """
    part = np.max(_parts(grid), axis=0)
    lower, upper = (part > _HIGH) & (part <= _HIGHEST), part > _HIGHEST
    found = np.zeros(modes.shape[2])
    if not lower.any() or not upper.any():
        return found
    inside = np.ones(len(modes) - 1, dtype=bool)
    inside[offsets[1:-1] - 1] = False
    for channel in range(modes.shape[2]):
        energies = [np.square(modes[:, which, channel]).mean() for which in (lower, upper)]
        high = modes[:, lower | upper, channel]
        whole = np.square(high).mean()
        change = np.square(np.diff(high, axis=0)[inside]).mean() / 2 if inside.any() else 0.0
        flat = energies[0] / max(energies[1], 1e-300)
        white = change / max(whole, 1e-300)
        if all(1 / (1 + _ALIKE) < ratio < 1 + _ALIKE for ratio in (flat, white)):
            found[channel] = np.sqrt(whole)
    return found


def of_modes(data: Trajectories, columns: np.ndarray) -> Trajectories:
    """Return some modes of trajectories, as trajectories of the same lengths."""
    rows = [columns[begin:end] for begin, end in itertools.pairwise(data.offsets)]
    return Trajectories(rows, data.dt)


def _window(columns: np.ndarray, data: Trajectories, clock: Clock) -> tuple[Window, float]:
    """Return the window of least risk, and the risk of leaving the modes out; in noise units."""
    signal = float(np.square(columns).mean()) - 1
    few = columns[:, :: max(1, columns.shape[1] // 8)]
    if signal < 0:
        return Window(1, 0, 1.0), 0.0
    most = max(1, _CHOSEN // few.shape[1])
    rows, count = [], 0
    for begin, end in itertools.pairwise(data.offsets.tolist()):
        if count >= most:
            break
        rows.append(few[begin : min(end, begin + most)])
        count += len(rows[-1])
    return choose_window(Trajectories(rows, data.dt), np.ones(few.shape[1]), clock=clock), signal


def _modes(values: np.ndarray, grid: Grid) -> np.ndarray:
    """Return orthonormal waves of rows, ``(n, n_points, channels)``, float64.

    Hartley's along axes that are rings, cosines between walls: both are real, and white noise stays
    white.
    """
    from scipy import fft

    fields = grid.array(values).astype(np.float64).reshape(len(values), *grid.shape, -1)
    for axis, ring in enumerate(grid.periodic, 1):
        turned = _hartley if ring else partial(fft.dct, norm="ortho")
        fields = turned(fields, axis=axis)
    return fields.reshape(len(values), -1, fields.shape[-1])


def _rows(modes: np.ndarray, grid: Grid) -> np.ndarray:
    """Return rows of what :func:`_modes` returned."""
    from scipy import fft

    fields = modes.reshape(len(modes), *grid.shape, -1)
    for axis, ring in enumerate(grid.periodic, 1):
        turned = _hartley if ring else partial(fft.idct, norm="ortho")
        fields = turned(fields, axis=axis)
    return fields.reshape(len(modes), -1)


def _hartley(fields: np.ndarray, axis: int) -> np.ndarray:
    """Return Hartley's transform along an axis, which is its own inverse."""
    from scipy import fft

    found = fft.fft(fields, axis=axis, norm="ortho")
    return np.asarray(found.real - found.imag)


def _parts(grid: Grid) -> list[np.ndarray]:
    """Return wavenumbers of modes along each axis, as parts of the highest, ``(n_points,)``."""
    each = [
        2 * np.abs(np.fft.fftfreq(n)) if ring else np.arange(n) / n
        for n, ring in zip(grid.shape, grid.periodic, strict=True)
    ]
    return [own.ravel() for own in np.meshgrid(*each, indexing="ij")]


def _groups(grid: Grid) -> list[np.ndarray]:
    """Return the modes of about the same wavenumber, in points of the grid, flat."""
    far = np.sqrt(np.sum(np.square(_parts(grid)), axis=0))
    number = np.minimum(_GROUPS - 1, (far / far.max() * _GROUPS).astype(int))
    return [np.flatnonzero(number == k) for k in np.unique(number)]
