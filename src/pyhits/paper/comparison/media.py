"""Films and sounds of what was generated, beside the originals."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pyhits.data.files import write
from pyhits.data.trajectories import Trajectories
from pyhits.errors import PyHiTSWarning
from pyhits.paper.comparison.data import Coded, coded
from pyhits.paper.comparison.generate import best, truth
from pyhits.paper.comparison.problems import MODELS
from pyhits.paper.sequences import write_wav
from pyhits.paper.study import Study

#: Frames a second, and rows of pixels of one picture at most.
_RATE, _MOST_ROWS = 25, 300

#: Pixels between the two pictures of a film.
_GAP = 8

#: What writes a file of a given path.
Write = Callable[[Path], None]


def of(study: Study) -> dict[str, Write]:
    """Return the films and sounds that a study can write, by file name.

    Films take the extra ``video``; without it there are none.
    """
    found: dict[str, Write] = {}
    if "music" in study.sequences:
        found["music-original.wav"] = partial(_write_original_sound, study)
        for model in MODELS:
            found[f"music-{model}.wav"] = partial(_write_sound, study, model)
    for name in ("fluid", "video"):
        if name in study.sequences and find_spec("av") is not None:
            for model in MODELS:
                found[f"{name}-{model}.mp4"] = partial(_write_film, study, name, model)
    return found


def samples(rows: np.ndarray) -> np.ndarray:
    """Return the sound of delay vectors ``(time, delays)``: their first samples, then the last row.

    What is beyond full scale is clipped; what diverged is silent.
    """
    sound = np.concatenate([rows[:, 0], rows[-1, 1:]])
    return np.asarray(np.clip(np.nan_to_num(sound, nan=0.0), -1.0, 1.0))


def pictures(found: Coded, rows: np.ndarray) -> np.ndarray:
    """Return colour pictures of coded rows, ``(n, height, width, 3)``, 0 to 255, float32.

    Of large ones every second or third pixel is taken. Velocities are coloured from low to high.
    """
    shape = found.shape
    every = -(-shape[0] // _MOST_ROWS)
    points = np.arange(int(np.prod(shape))).reshape(shape)[::every, ::every]
    shown = found.decode(np.nan_to_num(rows, nan=0.0), points.ravel()).reshape(-1, *points.shape)
    if len(shape) == 3:
        return np.asarray(np.clip(shown, 0, 255))
    low, high = value_range(found)
    levels = np.clip((shown[:, ::-1] - low) / (high - low), 0, 1)
    return np.asarray(255 * colours(levels), dtype=np.float32)


def value_range(found: Coded) -> tuple[float, float]:
    """Return the lowest and highest value of the last true snapshot, for colours."""
    last = found.decode(found.values[-1:])
    return float(last.min()), float(last.max())


def colours(levels: np.ndarray) -> np.ndarray:
    """Return the colours of levels from 0 to 1, shape ``(..., 3)``, from 0 to 1."""
    from matplotlib import colormaps

    table = np.asarray(colormaps["cividis"](np.arange(256))[:, :3], dtype=np.float32)
    return np.asarray(table[(255 * levels).astype(np.uint8)])


def _write_original_sound(study: Study, path: Path) -> None:
    found = coded(study, "music", "reproduce")
    write_wav(path, samples(found.values), int(found.facts["rate"]))


def _write_sound(study: Study, model: str, path: Path) -> None:
    found = coded(study, "music", "reproduce")
    states = best(study, "music", "reproduce", model).states
    write_wav(path, samples(states), int(found.facts["rate"]))


def _write_film(study: Study, name: str, model: str, path: Path) -> None:
    """Write the original, left, beside what was generated."""
    found = coded(study, name, "reproduce")
    states = best(study, name, "reproduce", model).states
    left, right = (pictures(found, rows) for rows in (truth(found, "reproduce"), states))
    gap = np.full((len(left), left.shape[1], _GAP, 3), 255, dtype=np.float32)
    film = _joined([left, gap, right])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PyHiTSWarning)  # of odd sizes
        write(Trajectories(film.reshape(len(film), -1), 1 / _RATE, grid=film.shape[1:]), path)


def _joined(parts: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate(list(parts), axis=2)
