"""What a WAV file's chunks say, and its samples: RIFF, RIFX (big-endian) and RF64 (large)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyhits.data.files.guard import WAV
from pyhits.errors import FileFormatError

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
