"""Where a forecast begins that goes on from a noisy recording."""

from __future__ import annotations

import numpy as np

from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Encoder
from pyhits.errors import ArgumentError
from pyhits.noise import noise_level, smooth_ends
from pyhits.noise.start import ROWS, Stepper

#: Rows of a recording that are looked at, at most.
MOST_ROWS = ROWS[-1]


def is_smoothed(asked: bool | None, noise: np.ndarray, start_rows: int) -> bool:
    """Return whether starts are to be smoothed: as asked, or where training found noise.

    Raises
    ------
    ArgumentError
        It was asked for, and the model starts from more rows than one.
    """
    if asked and start_rows > 1:
        raise ArgumentError(
            "denoise_start=True goes without delays, whose rows repeat the noise of others; smooth "
            "the recording first."
        )
    return bool((noise > 0).any()) if asked is None else bool(asked)


def smoothed(
    data: Trajectories,
    stepper: Stepper,
    preprocessor: Encoder | None,
    noise: np.ndarray,
    scale: np.ndarray,
) -> tuple[np.ndarray, str]:
    """Return the last rows of recordings without the noise on them, and a sentence on it.

    Parameters
    ----------
    data : Trajectories
        In the user's units.
    stepper : callable
        Steps coordinates.
    preprocessor : Encoder, optional
        Between the user's rows and the coordinates.
    noise, scale : array, shape (n_coordinates,)
        Noise that training found, which counts where the recordings do not say theirs, and the size
        of the coordinates.

    Returns
    -------
    states : array, shape (n, d)
    note : str
    """
    last = data.values[data.offsets[1:] - 1]
    if int(data.lengths.max()) > MOST_ROWS:
        names = data.feature_names
        data = Trajectories([x[-MOST_ROWS:] for x in data], data.dt, feature_names=names)
    encoded = data if preprocessor is None else preprocessor.transform(data)
    own = noise_level(encoded)
    sigma = np.where(np.isfinite(own), own, noise)
    if not (sigma > 0).any():
        return last, "Start: as recorded; no noise can be told from the motion."
    found = smooth_ends(stepper, [x.astype(np.float64) for x in encoded], sigma, scale)
    states = found.states if preprocessor is None else preprocessor.inverse_transform(found.states)
    return np.where(found.rows[:, None] > 0, states, last).astype(last.dtype), found.note()
