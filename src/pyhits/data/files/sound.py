"""WAV files: samples between -1 and 1, one feature a channel."""

from __future__ import annotations

from math import gcd
from pathlib import Path

import numpy as np

from pyhits.data.files.guard import WAV, expect_kind, parsing
from pyhits.data.files.media import stretch_of, the_only_one
from pyhits.data.files.reading import Reading
from pyhits.data.files.riff import SoundHeader, header, samples
from pyhits.data.limits import expect_to_fit
from pyhits.data.pieces import Pieces
from pyhits.data.trajectories import Trajectories
from pyhits.errors import DataError, FileFormatError, warn

#: Largest number of a sample of 16 bits, and one more.
_FULL = 1 << 15

#: More channels than any recorder writes: the data are no sound.
_MOST_CHANNELS = 64


def read(path: Path, wanted: Reading) -> Pieces:
    """Read the samples in float64, ``dt`` in seconds, at another rate if one is asked for."""
    expect_kind(path, WAV)
    with parsing(path, WAV):
        found = header(path)
    first, last = stretch_of(wanted.stretch, _length(path, found), found.rate)
    rate = found.rate if wanted.rate is None else wanted.rate
    channels = 1 if wanted.mono else found.channels
    _check_size(path, last - first, found, rate)
    with parsing(path, WAV):
        sound = as_float(samples(path, found, first, last))
    if wanted.mono:
        sound = sound.mean(axis=1, keepdims=True)
    return Pieces(
        [resampled(sound, found.rate, rate)],
        dt=None if wanted.time_column == "none" else 1 / rate,
        feature_names=_names(channels),
        start_times=np.array([first / found.rate]),
    )


def write(trajectories: Trajectories, path: Path) -> None:
    """Write samples of 16 bits; what is beyond -1 and 1 is clipped, and said."""
    values = the_only_one(trajectories, "A .wav file")
    rate = rate_of(trajectories.dt, values.shape[1])
    beyond = np.abs(values) > 1
    if beyond.any():
        warn(
            f"{beyond.mean():.2%} of the samples are beyond -1 and 1, up to "
            f"{np.abs(values).max():.3g}; they are clipped."
        )
    save(path, values, rate)


def rate_of(dt: float, channels: int) -> int:
    """Return the samples a second of what a .wav file is to hold.

    Raises DataError: there are too many features for channels, or ``dt`` is not that of samples.
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
    with parsing(path, WAV):
        found = header(path)
        sound = samples(path, found, 0, found.there)
    return found.rate, sound[:, 0] if found.channels == 1 else sound


def _length(path: Path, found: SoundHeader) -> int:
    """Return the number of samples that are there; say it if there should be more.

    Raises FileFormatError: there are none.
    """
    if not found.there:
        raise FileFormatError(f"There are no samples in {path}; record or copy it again.")
    if found.announced is not None and found.there < found.announced:
        warn(
            f"{path} ends after {found.there} of its {found.announced} samples: it is truncated, "
            "and read up to there."
        )
    return found.there


def _check_size(path: Path, n: int, found: SoundHeader, rate: int) -> None:
    """Raise a DataError if ``n`` samples at another rate do not fit, or its filter does not."""
    common = gcd(rate, found.rate)
    taps = 0 if rate == found.rate else 20 * max(rate, found.rate) // common
    n_bytes = 8.0 * found.channels * n * (1 + rate / found.rate) + 8.0 * taps
    expect_to_fit(
        n_bytes,
        f"{n} samples of {path.name} at {rate} samples a second, with the filter between the rates",
        "Take a shorter stretch of it (stretch), or a rate that has a large divisor in common with "
        f"the sound's own, {found.rate} (rate).",
    )


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
