"""Films through PyAV, which is FFmpeg: every frame one row of numbers from 0 to 255."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.data.files.gif import check_gif
from pyhits.data.files.guard import BINARY, FILM, WAV, expect_kind, parsing
from pyhits.data.files.media import beyond, the_only_one
from pyhits.data.files.reading import Reading
from pyhits.data.grid import Grid
from pyhits.data.limits import expect_to_fit
from pyhits.data.pieces import Pieces
from pyhits.data.trajectories import Trajectories
from pyhits.errors import DataError, FileFormatError, warn
from pyhits.util.extras import need

#: Encoders for each extension, the first that this FFmpeg has; pictures too good to tell apart.
_CODECS = {".webm": ("libvpx-vp9", "libvpx"), ".avi": ("mpeg4",), ".gif": ("gif",)}
_USUAL = ("libx264", "mpeg4")
_QUALITY = {
    "libx264": {"crf": "18"},
    "libvpx-vp9": {"crf": "18", "b": "0"},
    "libvpx": {"crf": "4", "b": "20M"},
    "mpeg4": {"qscale": "2", "b": "20M"},
}

#: Share of numbers beyond 0 and 255 above which clipping is said: modes overshoot a little.
_CLIPPED = 0.01

#: What to do about a film that does not fit.
_SMALLER = (
    "Take smaller frames (height), grey ones (grey), or a shorter stretch of it (stretch); on the "
    "command line --height, --grey, --stretch."
)

#: Pixels of a frame that any film may have, and those for each byte of a larger one: no codec makes
#: more of it, so that a header which says so is damaged. FFmpeg counts up to the last.
_MOST_UNASKED, _PER_BYTE, _MOST = 1_000_000, 1_000, 2**31 - 1

#: Numbers that any film may come to, and those for each byte of a larger one: still pictures cost
#: a codec next to nothing, but nobody records them for their own sake.
_NUMBERS_UNASKED, _NUMBERS_PER_BYTE = 50_000_000, 15_000

#: BT.601 as the container states it, and colours from 16 to 235.
_BT601, _LIMITED = 5, 1

#: Channels of a film.
_COLOURS = ("red", "green", "blue")


def read(path: Path, wanted: Reading) -> Pieces:
    """Read frames in float32, flattened, and their shape; ``dt`` is that between frames.

    Memory holds the result and a fourth as much again.
    """
    # A RIFF may hold either; films of most kinds are recognised later.
    expect_kind(path, FILM, WAV, BINARY)
    if path.suffix.lower() == ".gif":
        check_gif(path)
    av = need("av", action=f"Reading {path.suffix} files", extra="video")
    # Frames are decoded as soon as a film is opened, so they are bounded before that.
    most = min(max(_MOST_UNASKED, _PER_BYTE * path.stat().st_size), _MOST)
    bound = {"max_pixels": str(most)}
    with parsing(path, FILM), av.open(str(path), options=bound) as film:
        if not film.streams.video:
            raise FileFormatError(f"There are no pictures in {path}.")
        stream = film.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.options = bound
        frames, times = _decoded(film, stream, wanted, path, most)
        average = stream.average_rate
        seconds = 0.0 if stream.duration is None else float(stream.duration * stream.time_base)
    if not frames:
        if wanted.stretch is not None:
            raise beyond(seconds, wanted.stretch)
        raise FileFormatError(f"There are no pictures in {path}.")
    shape = frames[0].shape
    values = np.empty((len(frames), math.prod(shape)), np.float32)
    for k, row in enumerate(values):
        if frames[k].shape != shape:
            raise DataError(f"Frame {k} is {frames[k].shape}, the first one {shape}.")
        row[:] = frames[k].ravel()
        frames[k] = None
    return Pieces(
        [values],
        dt=None if wanted.time_column == "none" else _step(times, average),
        start_times=np.array([times[0]]),
        grid=Grid(shape[:2], _COLOURS if len(shape) == 3 else 1),
    )


def _decoded(
    film: Any, stream: Any, wanted: Reading, path: Path, most: int
) -> tuple[list[Any], list[float]]:
    """Return the pictures and their times, as long as they are no more than the file can hold.

    Parameters
    ----------
    most : int
        Pixels of a frame.
    """
    n_bytes = path.stat().st_size
    width, height = stream.width or 0, stream.height or 0
    if width * height > most:
        raise FileFormatError(
            f"{path} says that its frames are {width} x {height}, more than its {n_bytes} bytes "
            "can hold; write or copy it again."
        )
    _check_size(1, 3 * width * height, n_bytes)
    announced = _announced(stream, wanted)
    frames: list[Any] = []
    times: list[float] = []
    for time, frame in _stretch(film, stream, wanted):
        frames.append(_picture(frame, wanted))
        times.append(time)
        if len(frames) == 1 or len(frames) > announced:
            # Some films do not say how many there are, or too few.
            _check_size(max(announced, len(frames)), frames[0].size, n_bytes)
    return frames, times


def write(trajectories: Trajectories, path: Path) -> None:
    """Write pictures at the rate of ``dt``, rounded to whole numbers from 0 to 255.

    Colours are stored at half the resolution, as in nearly all films, and in even sizes. A .gif
    holds 256 colours.
    """
    values = the_only_one(trajectories, "A film")
    shape = picture_shape(trajectories.snapshot, path)
    av = need("av", action=f"Writing {path.suffix} files", extra="video")
    _say_clipping(values)
    extension = path.suffix.lower()
    even = extension != ".gif"
    padding = (shape[0] % 2, shape[1] % 2) if even else (0, 0)
    if any(padding):
        warn(
            f"Films have even sizes: the frames of {shape[0]} x {shape[1]} repeat their last row "
            "or column."
        )
    rate = Fraction(1 / trajectories.dt).limit_denominator(1001)
    if rate <= 0:
        rate = Fraction(1, round(trajectories.dt))
    with av.open(str(path), "w") as film:
        stream = film.add_stream(_codec(av, extension), rate=rate)
        stream.height, stream.width = shape[0] + padding[0], shape[1] + padding[1]
        stream.options = _QUALITY.get(stream.codec_context.name, {})
        pictures = (_padded(row.reshape(shape), padding) for row in values)
        frames = (
            av.VideoFrame.from_ndarray(picture, format="gray" if picture.ndim == 2 else "rgb24")
            for picture in pictures
        )
        if even:
            stream.pix_fmt = "yuv420p"
            stream.codec_context.colorspace = _BT601
            stream.codec_context.color_range = _LIMITED
            encoded: Iterator[Any] = map(_video_frame, frames)
        else:
            stream.pix_fmt = "pal8"
            encoded = _in_256_colours(av, frames, stream)
        for frame in encoded:
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))


def picture_shape(snapshot: tuple[int, ...] | None, path: Path) -> tuple[int, ...]:
    """Return the shape of a picture, ``(height, width)`` or ``(height, width, 3)``.

    Raises DataError: rows have no shape, or that of something else.
    """
    if snapshot is None or len(snapshot) not in (2, 3) or snapshot[2:] not in ((), (3,)):
        found = "none" if snapshot is None else str(snapshot)
        raise DataError(
            f"Rows for {path.name} must be pictures (height, width) or (height, width, 3), but the "
            f"data's snapshots have the shape {found}. In Python: Trajectories(data, dt, "
            "grid=(height, width, 3))."
        )
    return snapshot


def _stretch(film: Any, stream: Any, wanted: Reading) -> Iterator[tuple[float, Any]]:
    """Yield the frames that were asked for and their times since the film's begin, in seconds."""
    begin, end = (0.0, math.inf) if wanted.stretch is None else wanted.stretch
    origin = float((stream.start_time or 0) * stream.time_base)
    step = float(1 / stream.average_rate) if stream.average_rate else 0.0
    if begin > 0:
        # To the last frame before it that can be decoded by itself.
        film.seek(int((begin + origin) / stream.time_base), stream=stream)
    # Times are rounded to the film's own unit.
    slack = step / 2
    for k, frame in enumerate(film.decode(stream)):
        time = k * step if frame.time is None else frame.time - origin
        if time >= end - slack:
            return
        if time >= begin - slack:
            yield max(0.0, time), frame


def _picture(frame: Any, wanted: Reading) -> np.ndarray:
    """Return a frame as it is to be seen: upright, scaled, in colours or grey; uint8."""
    turns = round(frame.rotation / 90) % 4
    size: dict[str, Any] = {}
    if wanted.height is not None:
        shown = (frame.width, frame.height) if turns % 2 else (frame.height, frame.width)
        across = max(1, round(shown[1] * wanted.height / shown[0]))
        new = (across, wanted.height) if turns % 2 else (wanted.height, across)
        size = {"height": new[0], "width": new[1], "interpolation": "AREA"}
    picture = frame.to_ndarray(format="gray" if wanted.grey else "rgb24", **size)
    return np.rot90(picture, turns) if turns else picture


def _check_size(count: int, size: int, n_bytes: int) -> None:
    """Raise a DataError if frames do not fit into memory, or are more than a file of bytes holds.

    Parameters
    ----------
    count, size : int
        Frames, and numbers of one, in float32 besides their bytes.
    n_bytes : int
        Of the file.
    """
    what = f"A film of {count} frames of {size} numbers"
    expect_to_fit(5 * size * count, what, _SMALLER)
    if size * count > max(_NUMBERS_UNASKED, _NUMBERS_PER_BYTE * n_bytes):
        raise DataError(
            f"{what} and more is said to come of {n_bytes} bytes: still pictures, or a damaged "
            f"file. {_SMALLER}"
        )


def _announced(stream: Any, wanted: Reading) -> int:
    """Return how many frames there will be, as far as the film says; 0 if it does not."""
    count = int(stream.frames)
    if wanted.stretch is not None and stream.average_rate:
        begin, end = wanted.stretch
        asked = math.ceil((end - begin) * stream.average_rate)
        return min(count, asked) if count else int(asked)
    return count


def _step(times: list[float], average: Fraction | None) -> float | None:
    """Return the time between frames: what the film says, or what their times come to."""
    if len(times) < 2:
        return float(1 / average) if average else None
    mean = (times[-1] - times[0]) / (len(times) - 1)
    step = float(1 / average) if average else mean
    if step == 0 or abs(step - mean) > 0.01 * mean:
        step = mean
    if step <= 0:
        return None
    off = np.abs(np.array(times) - times[0] - step * np.arange(len(times))).max()
    if off > step:
        warn(
            f"The frames are not evenly spaced, but up to {off:.3g} s from where {1 / step:.4g} "
            "frames a second would put them; they are taken as if they were."
        )
    return step


def _codec(av: Any, extension: str) -> str:
    for name in _CODECS.get(extension, _USUAL):
        try:
            return str(av.codec.Codec(name, "w").name)
        except av.codec.codec.UnknownCodecError:
            continue
    raise FileFormatError(f"The installed FFmpeg cannot write {extension} files; write .gif.")


def _say_clipping(values: np.ndarray) -> None:
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        warn(
            f"All numbers are from {low:.3g} to {high:.3g}, where pictures go from 0, black, to "
            "255; the film will be black. Multiply them by 255 first."
        )
    if low >= -0.5 and high <= 255.5:
        return
    # One row at a time: a comparison of all would take a fourth of the film's size.
    beyond = sum(int(((row < -0.5) | (row > 255.5)).sum()) for row in values) / values.size
    if beyond > _CLIPPED:
        warn(
            f"{beyond:.0%} of the numbers are beyond 0 and 255 ({low:.3g} to {high:.3g}); they are "
            "clipped."
        )


def _padded(picture: np.ndarray, padding: tuple[int, int]) -> np.ndarray:
    """Return a picture in bytes, with so many more rows and columns like its last ones."""
    whole = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    more = [(0, n) for n in padding] + [(0, 0)] * (whole.ndim - 2)
    return np.ascontiguousarray(np.pad(whole, more, mode="edge")) if any(padding) else whole


def _video_frame(frame: Any) -> Any:
    return frame.reformat(format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG")


def _in_256_colours(av: Any, frames: Iterator[Any], stream: Any) -> Iterator[Any]:
    """Yield frames in the 256 colours that suit all of them best, which takes all at once."""
    from av.filter import Graph

    graph = Graph()
    unit = 1 / stream.average_rate if stream.average_rate else 1 / stream.rate
    source: Any = None
    for k, frame in enumerate(frames):
        if source is None:
            source = graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=unit
            )
            split, colours = graph.add("split"), graph.add("palettegen")
            paint, sink = graph.add("paletteuse"), graph.add("buffersink")
            source.link_to(split)
            split.link_to(colours, 0)
            split.link_to(paint, 1, 0)
            colours.link_to(paint, 0, 1)
            paint.link_to(sink)
            graph.configure()
        frame.pts, frame.time_base = k, unit
        graph.push(frame)
    graph.push(None)
    while True:
        try:
            yield graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
