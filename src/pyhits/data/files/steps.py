"""The step that a file states with its data: ``dt``, or a rate such as ``Fs``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pyhits.data.files.conventions import text_of
from pyhits.data.pieces import Pieces
from pyhits.data.tables.time_names import frozen_words, plain_name
from pyhits.data.times.uniform import same_step
from pyhits.errors import DataError

#: Names of the time between rows and of the rows a second, without case and signs.
_STEPS = frozen_words(
    "dt deltat timestep samplinginterval sampleinterval samplingperiod sampleperiod sampletime "
    "samplingtime tsample frameinterval"
)
_RATES = frozen_words(
    "fs sfreq samplerate samplingrate samplefrequency samplingfrequency samplefreq samplingfreq "
    "srate fps framerate framespersecond samplespersecond"
)

#: Names of rates, or of something else.
_PERHAPS_RATES = frozen_words("rate freq frequency hz sr")

#: Numbers that are looked at, at most.
_MOST = 1_000_000


def says_step(name: str) -> bool:
    """Tell whether a name says the time between rows, or the rows a second."""
    return _plain(name) in _STEPS | _RATES


def set_step(
    pieces: Pieces, facts: Mapping[str, Any], near: str = "", given: float | None = None
) -> None:
    """Give pieces without times the step that a file says; note what is not taken for one.

    Raises DataError: what is called the step is no number above 0.

    Parameters
    ----------
    facts : mapping
        Arrays but for the data and their times, and attributes, by name.
    near : str
        The group of the data, whose own step goes before those of others.
    given : float, optional
        The step that the user gave, in a unit of their own: rates do not count then.
    """
    names = [name for name in facts if _plain(name) in _STEPS | _RATES | _PERHAPS_RATES]
    if given is not None:
        names = [n for n in names if _plain(n) in _STEPS and _number(facts[n]) is not None]
    names.sort(key=lambda name: (_group(name) != near, _plain(name) not in _STEPS))
    for name in names:
        value = _number(facts[name])
        plain = _plain(name)
        if value is None:
            pieces.notes.append(
                f"{name!r} is {_shown(facts[name])}, which is no one step; it is not used. Give "
                "dt (--dt)."
            )
            continue
        if not (0 < value < np.inf):
            if plain in _PERHAPS_RATES:
                continue
            raise DataError(f"The file's own step is wrong: {name!r} is {value:g}.")
        dt = value if plain in _STEPS else 1 / value
        if plain in _PERHAPS_RATES:
            if pieces.dt is None:
                pieces.notes.append(
                    f"{name!r} is {value:g}, and not used. If that is the number of rows a second, "
                    f"dt={dt:g} (--dt {dt:g}) says so."
                )
        elif pieces.dt is None:
            pieces.dt = dt
        elif not same_step(pieces.dt, dt):
            pieces.notes.append(f"{name!r} is {value:g}, where the step is {pieces.dt:g}.")


def _plain(name: str) -> str:
    plain = plain_name(name.rsplit("/", 1)[-1])
    return plain.replace("_", "").replace(" ", "").replace("-", "")


def _group(name: str) -> str:
    return name.rpartition("/")[0]


def _number(array: Any) -> float | None:
    """Return the one number that an array or attribute holds, written out or several times."""
    if getattr(array, "size", np.prod(getattr(array, "shape", ()))) > _MOST:
        return None
    values = np.asarray(array).ravel()
    if values.dtype.kind in "OSU":
        try:
            values = np.array([float(text_of(text)) for text in values.tolist()])
        except (TypeError, ValueError):
            return None
    if values.dtype.kind not in "fiu" or not len(values) or (values != values[0]).any():
        return None
    return float(values[0])


def _shown(array: Any) -> str:
    shape = tuple(getattr(array, "shape", ()))
    if np.prod(shape) > 4:
        return f"an array of the shape {shape}"
    value = np.asarray(array).tolist()
    return repr(text_of(value) if isinstance(value, bytes) else value)
