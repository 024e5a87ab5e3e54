"""WAV files through scipy: samples between -1 and 1, one feature a channel."""

from __future__ import annotations

import warnings
from math import gcd
from pathlib import Path

import numpy as np

from pyhits.convert import Pieces
from pyhits.errors import DataError, PyHiTSWarning
from pyhits.io.choose import Wanted
from pyhits.io.guard import WAV, expect_kind, reading
from pyhits.io.media import stretch_of, the_only_one
from pyhits.trajectories import Trajectories

#: Largest number of a sample of 16 bits, and one more.
_FULL = 1 << 15

#: More channels than any recorder writes: the data are no sound.
_MOST_CHANNELS = 64


def read(path: Path, wanted: Wanted) -> Pieces:
    """Read the samples in float64, ``dt`` in seconds, at another rate if one is asked for."""
    expect_kind(path, WAV)
    own, sound = load(path)
    first, last = stretch_of(wanted, len(sound), own)
    samples = as_float(sound[first:last]).reshape(last - first, -1)
    if wanted.mono:
        samples = samples.mean(axis=1, keepdims=True)
    rate = own if wanted.rate is None else wanted.rate
    return Pieces(
        [resampled(samples, own, rate)],
        dt=None if wanted.time_column == "none" else 1 / rate,
        feature_names=_names(samples.shape[1]),
        start_times=np.array([first / own]),
    )


def write(trajectories: Trajectories, path: Path) -> None:
    """Write samples of 16 bits; what is beyond -1 and 1 is clipped, and said."""
    values = the_only_one(trajectories, "A .wav file")
    rate = rate_of(trajectories.dt, values.shape[1])
    beyond = np.abs(values) > 1
    if beyond.any():
        warnings.warn(
            f"{beyond.mean():.2%} of the samples are beyond -1 and 1, up to "
            f"{np.abs(values).max():.3g}; they are clipped.",
            PyHiTSWarning,
            stacklevel=2,
        )
    save(path, values, rate)


def rate_of(dt: float, channels: int) -> int:
    """Return the samples a second of what a .wav file is to hold.

    Raises
    ------
    DataError
        There are too many features for channels, or ``dt`` is not that of samples.
    """
    if channels > _MOST_CHANNELS:
        raise DataError(
            f"A .wav file holds up to {_MOST_CHANNELS} channels, but there are {channels} "
            "features; write .npz instead."
        )
    rate = round(1 / dt)
    if rate < 1 or abs(rate * dt - 1) > 1e-3:
        raise DataError(
            f"A .wav file takes a whole number of samples a second, but dt is "
            f"{dt:g}; give the sound's own with .with_dt(1 / rate)."
        )
    return rate


def load(path: Path) -> tuple[int, np.ndarray]:
    """Return rate and samples as they are stored, ``(n,)`` or ``(n, channels)``."""
    from scipy.io import wavfile  # takes a third of a second to import

    with reading(path, WAV), warnings.catch_warnings():
        # Recorders add chunks of their own, which are no samples.
        warnings.simplefilter("ignore", wavfile.WavFileWarning)
        rate, sound = wavfile.read(path)
    return int(rate), sound


def save(path: Path, samples: np.ndarray, rate: int) -> None:
    """Write samples as 16 bits, clipped; :func:`load` gives equal ones, up to their rounding."""
    from scipy.io import wavfile

    whole = np.clip(np.round(samples * _FULL), -_FULL, _FULL - 1).astype(np.int16)
    with path.open("wb") as file:
        wavfile.write(file, rate, whole)


def as_float(sound: np.ndarray) -> np.ndarray:
    """Return samples of any kind that WAV files hold as float64 between -1 and 1."""
    if sound.dtype.kind == "f":
        return sound.astype(float)
    half = 2.0 ** (8 * sound.dtype.itemsize - 1)
    # Only 8-bit samples have no sign; their silence is the middle.
    return (sound.astype(float) - (half if sound.dtype.kind == "u" else 0)) / half


def resampled(samples: np.ndarray, own: int, rate: int) -> np.ndarray:
    """Return samples, ``(n,)`` or ``(n, channels)``, at another rate, with a polyphase filter.

    What lies above half the new rate is filtered out.
    """
    if rate == own:
        return samples
    from scipy import signal

    common = gcd(rate, own)
    new = signal.resample_poly(samples, rate // common, own // common, axis=0)
    return np.asarray(new[: round(len(samples) / own * rate)], dtype=float)


def _names(channels: int) -> list[str]:
    known = {1: ["sound"], 2: ["left", "right"]}
    return known.get(channels, [f"channel {k}" for k in range(1, channels + 1)])
