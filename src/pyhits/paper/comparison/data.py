"""The sequences as models see them: a few modes of fields and films, rows of the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.data.files import read
from pyhits.data.files.guard import existing_file
from pyhits.encoders import POD
from pyhits.errors import DataError
from pyhits.paper import sequences
from pyhits.paper.cache import file_checksum
from pyhits.paper.comparison.problems import LAST, SequenceProblem
from pyhits.paper.sequences import Sequence
from pyhits.paper.sequences.music import delay_vectors
from pyhits.paper.study import Study

#: Raised whenever equal settings begin to give other data.
VERSION = 1

#: The paper's music and film: seconds, samples a second and delays; frames.
_SECONDS, _RATE, _DELAYS, _FRAMES = 2.0, 1102, 128, 175

#: A film is taken with at most so many rows of pixels, the paper's, and needs so many frames.
_HEIGHT, _LEAST_FRAMES = 540, 30


@dataclass(frozen=True)
class Coded:
    """One sequence in the coordinates that models are trained in.

    Attributes
    ----------
    problem : SequenceProblem
    values : array, shape (time, feature)
        Float64: POD coefficients, or the snapshots themselves.
    dt : float
    facts : mapping
        Of the sequence, as its maker tells them; ``source`` is a line for people.
    modes : array, shape (feature, n_points), or None
        Float32, of fields and films.
    mean : array, shape (n_points,), or None
    n_train : int
        Rows that the ``forecast`` protocol trains on; the modes are those of these or of all rows.
    """

    problem: SequenceProblem
    values: np.ndarray
    dt: float
    facts: Mapping[str, Any]
    modes: np.ndarray | None
    mean: np.ndarray | None

    @property
    def n_train(self) -> int:
        """Rows that the ``forecast`` protocol trains on."""
        return round((1 - LAST) * len(self.values))

    @property
    def variance(self) -> float:
        """Mean square of the distance from the mean, per feature."""
        return float(self.values.var(axis=0).mean())

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a snapshot."""
        return tuple(self.facts.get("shape", (self.values.shape[1],)))

    def decode(self, rows: np.ndarray, points: Any = slice(None)) -> np.ndarray:
        """Return snapshots of coded rows ``(n, feature)``, at some of their points, float32."""
        if self.modes is None or self.mean is None:
            return np.asarray(rows[:, points], dtype=np.float32)
        part = self.modes[:, points]
        return np.asarray(rows.astype(np.float32) @ part + self.mean[points])


def coded(study: Study, name: str, protocol: str) -> Coded:
    """Return a sequence, from the cache or made and put there.

    For ``forecast`` the modes are those of the first part alone.
    """
    problem = study.sequence_problem(name)
    partly = protocol == "forecast" and problem.n_modes is not None
    return study.once(("sequence", name, partly), lambda: _coded(study, problem, partly))


def settings(study: Study, problem: SequenceProblem, *, partly: bool = False) -> dict[str, Any]:
    """Return all that a coded sequence depends on, as plain JSON values."""
    own_file = _own_file(study, problem)
    size = problem.small if study.budget.small_sequences and own_file is None else {}
    return {
        "version": VERSION,
        "sequence": problem.name,
        "n_modes": problem.n_modes,
        "size": {k: list(v) if isinstance(v, tuple) else v for k, v in size.items()},
        "file": own_file,
        "modes_of_first_part": partly,
    }


def _own_file(study: Study, problem: SequenceProblem) -> str | None:
    """Return a hash of the user's own file, where there is one."""
    path = {"music": study.audio, "video": study.video}.get(problem.name)
    if path is None:
        return None
    return study.once(("file", path), lambda: file_checksum(existing_file(path)))


def _coded(study: Study, problem: SequenceProblem, partly: bool) -> Coded:
    def make() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        sequence = study.once(("snapshots", problem.name), lambda: _snapshots(study, problem))
        return _encode(sequence, problem, partly), {"dt": sequence.dt, **sequence.facts}

    about = settings(study, problem, partly=partly)
    arrays, facts = study.cache.arrays("sequences", about, make, mapped=("modes", "mean"))
    values, modes, mean = (arrays.get(name) for name in ("values", "modes", "mean"))
    assert values is not None
    return Coded(problem, values, facts["dt"], facts, modes, mean)


def _encode(sequence: Sequence, problem: SequenceProblem, partly: bool) -> dict[str, np.ndarray]:
    rows = sequence.data
    if problem.n_modes is None:
        return {"values": np.asarray(rows, dtype=np.float64)}
    first = rows[: round((1 - LAST) * len(rows))] if partly else rows
    pod = POD(min(problem.n_modes, len(first) - 1)).fit(first)
    return {
        "values": pod.transform(rows),
        "modes": pod.modes_.astype(np.float32),
        "mean": pod.mean_.astype(np.float32),
    }


def _snapshots(study: Study, problem: SequenceProblem) -> Sequence:
    """Make a sequence, or read the user's own."""
    study.say(f"{problem.label}: making the sequence.")
    sizes = settings(study, problem)["size"]
    if problem.name == "music" and study.audio is not None:
        return _sound(study.audio)
    if problem.name == "video" and study.video is not None:
        return _film(study.video)
    makers: dict[str, Callable[..., Sequence]] = {
        "fluid": sequences.cylinder_wake,
        "video": sequences.blooming_flower,
        "music": sequences.fugue,
        "ks": sequences.kuramoto_sivashinsky,
    }
    sequence = makers[problem.name](**sizes)
    return Sequence(
        sequence.name, sequence.data, sequence.dt, {**sequence.facts, "source": sequence.name}
    )


def _sound(path: Path) -> Sequence:
    """Return the loudest two seconds of a recording, as the fugue is: delay vectors."""
    samples = sequences.read_audio(path, rate=_RATE)
    length = round(_SECONDS * _RATE)
    if len(samples) < length:
        raise DataError(
            f"{path} lasts {len(samples) / _RATE:.3g} seconds; it takes {_SECONDS:g} or more."
        )
    power = np.concatenate([[0.0], np.cumsum(np.square(samples))])
    begins = np.arange(0, len(samples) - length + 1, _RATE // 10)
    begin = int(begins[np.argmax(power[begins + length] - power[begins])])
    chosen = samples[begin : begin + length]
    if not chosen.any():
        raise DataError(f"{path} is silent.")
    facts = {
        "rate": _RATE,
        "samples": length,
        "start": begin / _RATE,
        "source": f"{path.name} from {begin / _RATE:.4g} s, the loudest {_SECONDS:g} s",
    }
    return Sequence("recording", delay_vectors(chosen, _DELAYS), 1 / _RATE, facts)


def _film(path: Path) -> Sequence:
    """Return the first frames of a film."""
    beginning = read(path, stretch=(0.0, 1.0))
    high = beginning.snapshot is not None and beginning.snapshot[0] > _HEIGHT
    # A frame more, as times are rounded; a long film is not read to its end.
    data = read(path, stretch=(0.0, (_FRAMES + 1) * beginning.dt), height=_HEIGHT if high else None)
    rows = data[0][:_FRAMES]
    if len(rows) < _LEAST_FRAMES:
        raise DataError(f"{path} has {len(rows)} frames; it takes {_LEAST_FRAMES} or more.")
    shape = data.snapshot or (rows.shape[1],)
    facts = {"shape": shape, "source": f"the first {len(rows)} frames of {path.name}"}
    return Sequence("film", rows, 1.0, facts)
