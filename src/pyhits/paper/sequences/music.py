"""The opening of Bach's Fugue No. 1 in C major, BWV 846, from the score; sound files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pyhits.data.files import sound
from pyhits.data.files.guard import as_path, existing_file
from pyhits.errors import ArgumentError, DataError
from pyhits.paper.sequences.sequence import Sequence
from pyhits.util.atomic import replacing
from pyhits.util.checks import as_count, as_positive

#: Score of the first two bars from the first note on: pitch, and length in 32nds. The alto has the
#: subject and runs on; the soprano answers a fifth higher (The Well-Tempered Clavier, book 1).
ALTO = (
    "C4:4 D4:4 E4:4 F4:6 G4:1 F4:1 E4:4 A4:4 "
    "D4:4 G4:6 A4:2 G4:2 F4:2 E4:2 F4:2 E4:2 D4:2 C4:2 D4:2 C4:2 B3:2"
)
SOPRANO = "R:48 G4:4 A4:4 B4:4"

#: Semitones of the white keys above C.
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}

#: Inharmonicity of the strings, and where the hammer strikes them, as a share of their length.
STIFFNESS, STRUCK = 4e-4, 1 / 8


def fugue(
    seconds: float = 2.0, *, rate: int = 1102, tempo: float = 80.0, delays: int = 128
) -> Sequence:
    """Return the fugue's opening as delay vectors (the paper's Section 3.2 and Appendix A.3).

    Two seconds at 1102 Hz are 2204 samples, whose 128 delays are 2077 snapshots. The paper does not
    say who plays, nor how fast; here a synthetic piano does, and the time unit is a second.

    Parameters
    ----------
    seconds : float
        How long; at the default tempo the entered score lasts for 5.6 of them, then all is silent.
    rate : int
        Samples a second.
    tempo : float
        Quarter notes a minute.
    delays : int
        Successive samples in one snapshot.

    Returns
    -------
    Sequence
        ``data`` of float64, shape ``(round(seconds * rate) - delays + 1, delays)``. Facts:
        ``rate`` in Hz, ``samples`` (how many), ``seconds``, ``tempo``.
    """
    samples = synthesise(seconds, rate=rate, tempo=tempo)
    facts = {"rate": rate, "samples": len(samples), "seconds": seconds, "tempo": tempo}
    return Sequence("fugue", delay_vectors(samples, delays), 1 / rate, facts)


def synthesise(seconds: float = 2.0, *, rate: int = 1102, tempo: float = 80.0) -> np.ndarray:
    """Return the fugue's opening as samples in [-1, 1], float64, shape (round(seconds * rate),)."""
    rate = as_count(rate, "rate")
    n_samples = as_count(round(as_positive(seconds, "seconds") * rate), "seconds * rate")
    # A quarter is eight 32nds.
    unit = 60 / as_positive(tempo, "tempo") / 8
    samples = np.zeros(n_samples)
    for voice in (ALTO, SOPRANO):
        begin = 0
        for pitch, length in (note.split(":") for note in voice.split()):
            rest = samples[round(begin * unit * rate) :]
            if pitch != "R" and len(rest):
                rest += _note(_frequency(pitch), int(length) * unit, len(rest), rate)
            begin += int(length)
    # The first of all samples is the silence before the first key is struck.
    return np.asarray(0.9 * samples / max(np.abs(samples).max(), np.finfo(float).tiny))


def delay_vectors(samples: np.ndarray, delays: int = 128) -> np.ndarray:
    """Return every stretch of ``delays`` samples, shape ``(n - delays + 1, delays)``.

    Raises
    ------
    DataError
        There are fewer samples than one stretch needs.
    """
    delays = as_count(delays, "delays")
    if len(samples) < delays:
        raise DataError(
            f"Expected at least {delays} samples, as many as delays, got {len(samples)}."
        )
    return np.lib.stride_tricks.sliding_window_view(samples, delays).copy()


def write_wav(path: str | Path, samples: np.ndarray, rate: int) -> None:
    """Write samples ``(n,)`` in [-1, 1] as a mono WAV file of 16 bits.

    Raises
    ------
    DataError
        A sample is beyond [-1, 1], or not a number; scale them first.
    """
    samples = np.asarray(samples, dtype=float)
    if samples.ndim != 1 or not (np.abs(samples) <= 1).all():
        raise DataError(
            f"Expected one-dimensional samples between -1 and 1, got shape {samples.shape} and "
            f"a largest magnitude of {np.abs(samples).max(initial=0.0):g}."
        )
    with replacing(as_path(path)) as temporary:
        sound.save(temporary, samples, as_count(rate, "rate"))


def read_audio(
    path: str | Path, *, rate: int = 1102, seconds: float | None = None, start: float = 0.0
) -> np.ndarray:
    """Read a WAV file as samples of one channel at another rate.

    Parameters
    ----------
    path : str or Path
        The file. Channels are averaged.
    rate : int
        Samples a second to return; what lies above half of it is filtered out.
    seconds : float, optional
        How long; to the end of the file by default.
    start : float
        Where to begin, in seconds.

    Returns
    -------
    np.ndarray, shape (n_samples,)
        Float64; the loudest a file can hold is 1.

    Raises
    ------
    FileFormatError
        The file is missing, or is not a WAV file.
    ArgumentError
        It ends before the stretch that was asked for.
    """
    rate = as_count(rate, "rate")
    file = existing_file(path)
    own, stored = sound.load(file)
    first = round(start * own)
    last = len(stored) if seconds is None else first + round(as_positive(seconds, "seconds") * own)
    if not 0 <= first < last <= len(stored):
        raise ArgumentError(
            f"Expected a stretch within the {len(stored) / own:g} seconds of {file}, got "
            f"start={start:g}, seconds={seconds}."
        )
    channels = sound.as_float(stored[first:last]).reshape(last - first, -1)
    return sound.resampled(channels.mean(axis=1), own, rate)


def _frequency(pitch: str) -> float:
    """Return the frequency in Hz of a white key such as ``C4``, with A4 at 440 Hz."""
    semitones = _SEMITONES[pitch[0]] + 12 * (int(pitch[1:]) - 4)
    return float(440 * 2 ** ((semitones - 9) / 12))


def _note(pitch: float, length: float, n_samples: int, rate: int) -> np.ndarray:
    """Return a struck string, from its beginning on, shape (n_samples,).

    A stiff string's partials are ``n f sqrt(1 + B n^2)`` (Fletcher and Rossing 1998, The Physics of
    Musical Instruments, chapter 12); the higher ones fade sooner. Those beyond half the rate are
    left out, as a recording's filter would.
    """
    t = np.arange(n_samples) / rate
    n = np.arange(1, 25)
    partials = n * pitch * np.sqrt(1 + STIFFNESS * n**2)
    kept = partials < rate / 2
    n, partials = n[kept, None], partials[kept, None]
    loudness = np.abs(np.sin(np.pi * n * STRUCK)) / n**1.2
    fading = 0.7 + 0.25 * n + 1e-3 * partials
    # Two rates a partial: the strings of a key lose step, and the sound dies ever more slowly.
    envelope = 0.8 * np.exp(-2 * fading * t) + 0.2 * np.exp(-0.4 * fading * t)
    tone = (loudness * envelope * np.sin(2 * np.pi * partials * t)).sum(axis=0)
    attack = np.sin(np.pi / 2 * np.minimum(t / 0.004, 1)) ** 2
    damper = np.exp(-np.maximum(t - length, 0) / 0.06)
    return np.asarray(tone * attack * damper)
