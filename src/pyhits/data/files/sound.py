"""WAV files: samples between -1 and 1, one feature a channel."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np

from pyhits.data.files.guard import WAV, expect_kind, parsing
from pyhits.data.files.media import stretch_of, the_only_one
from pyhits.data.files.reading import Reading
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


#: Kinds of samples that are plain numbers, and the word that points to one of them further on.
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE

#: Compressed kinds that people do meet.
_COMPRESSED = {2: "ADPCM", 6: "A-law", 7: "mu-law", 0x11: "ADPCM", 0x31: "GSM", 0x55: "MP3"}

#: A size that was not known when the file was begun, as programs write that send it on.
_UNKNOWN = 0xFFFFFFFF


@dataclass(frozen=True)
class SoundHeader:
    """How samples are stored."""

    rate: int  # samples a second of each channel
    channels: int
    is_float: bool  # floating-point samples; else whole numbers
    width: int  # bytes a sample
    order: str  # ``"<"`` or ``">"``, the order of bytes
    begin: int  # where in the file the samples begin, in bytes
    #: Number of samples of each channel that the file says it has, if it does.
    announced: int | None
    there: int  # number of those that are there


def header(path: Path) -> SoundHeader:
    """Return what a WAV file says of its samples.

    Raises FileFormatError: it says nothing that makes sense, or the samples are compressed.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        kind = stream.read(4)
        order = ">" if kind == b"RIFX" else "<"
        stream.read(4)
        if kind not in WAV.signatures:
            raise FileFormatError(f"{path} cannot be read as a WAV file: it begins otherwise.")
        if stream.read(4) != b"WAVE":
            raise FileFormatError(f"{path} is a RIFF file, but no WAV file: it holds no sound.")
        form: tuple[int, ...] | None = None
        large = None
        while len(head := stream.read(8)) == 8:
            name, length = head[:4], struct.unpack(order + "I", head[4:])[0]
            if name == b"data":
                if form is None:
                    break
                length = large if large is not None and length == _UNKNOWN else length
                return _described(path, form, order, stream.tell(), length, size)
            begin = stream.tell()
            if name == b"fmt ":
                form = _form(stream.read(min(length, 40)), order, path)
            elif name == b"ds64":
                large = struct.unpack("<8xQ", stream.read(16).ljust(16, b"\0"))[0]
            stream.seek(begin + length + length % 2)
    missing = "does not say how its samples are stored" if form is None else "holds no samples"
    raise FileFormatError(f"{path} {missing}; it is truncated or damaged. Write or copy it again.")


def samples(path: Path, found: SoundHeader, first: int, last: int) -> np.ndarray:
    """Return samples ``first`` to ``last`` (exclusive) as stored, ``(n, channels)``.

    Those of 3, 5, 6 and 7 bytes fill the upper bytes of the next larger whole number.
    """
    frame = found.width * found.channels
    with path.open("rb") as stream:
        stream.seek(found.begin + first * frame)
        raw = np.fromfile(stream, np.uint8, (last - first) * frame)
    raw = raw[: len(raw) // frame * frame]
    if found.width in (1, 2, 4, 8):
        kind = "f" if found.is_float else "u" if found.width == 1 else "i"
        return raw.view(f"{found.order}{kind}{found.width}").reshape(-1, found.channels)
    wide = 4 if found.width == 3 else 8
    filled = np.zeros((len(raw) // found.width, wide), np.uint8)
    place = slice(wide - found.width, None) if found.order == "<" else slice(None, found.width)
    filled[:, place] = raw.reshape(-1, found.width)
    return filled.view(f"{found.order}i{wide}").reshape(-1, found.channels)


def _form(data: bytes, order: str, path: Path) -> tuple[int, ...]:
    """Return kind, channels, rate, bytes a frame and bits a sample."""
    if len(data) < 16:
        raise FileFormatError(f"{path} is truncated within its header; copy it again.")
    kind, channels, rate, _, frame, bits = struct.unpack(order + "HHIIHH", data[:16])
    if kind == _EXTENSIBLE and len(data) >= 26:
        kind = struct.unpack(order + "H", data[24:26])[0]
    return kind, channels, rate, frame, bits


def _described(
    path: Path, form: tuple[int, ...], order: str, begin: int, length: int, size: int
) -> SoundHeader:
    kind, channels, rate, frame, bits = form
    if kind not in (_PCM, _FLOAT):
        name = _COMPRESSED.get(kind, f"of the kind {kind:#06x}")
        raise FileFormatError(
            f"The samples of {path} are compressed ({name}), which is not read. Convert it to PCM, "
            "for example: ffmpeg -i in.wav -c:a pcm_s16le out.wav"
        )
    if not (channels and rate):
        what = "0 channels" if rate else "a rate of 0 samples a second"
        raise FileFormatError(
            f"{path} says that it has {what}, so its header is damaged; write or copy it again."
        )
    width = frame // channels
    fits = frame == width * channels and 0 < bits <= 8 * width
    if not fits or width not in ((4, 8) if kind == _FLOAT else range(1, 9)):
        raise FileFormatError(
            f"{path} says that {channels} samples of {bits} bits "
            f"{'in floating point ' if kind == _FLOAT else ''}take {frame} bytes, which is not "
            "read. Convert it to PCM, for example: ffmpeg -i in.wav -c:a pcm_s16le out.wav"
        )
    there = max(0, size - begin)
    # What begins a stream says 0, or the largest number, where it cannot know.
    announced = None if length >= _UNKNOWN - frame or (length == 0 < there) else length // frame
    there = there // frame if announced is None else min(there // frame, announced)
    return SoundHeader(rate, channels, kind == _FLOAT, width, order, begin, announced, there)
