"""How many modes of noisy rows hold more than noise."""

from __future__ import annotations

import numpy as np

from pyhits.data.stretches import evenly
from pyhits.encoders import POD

#: Modes that defaults take, at most: closed forms suit few coordinates.
MOST_MODES = 32

#: Numbers in the rows that are looked at, at most, but for so many rows.
_MOST_NUMBERS, _LEAST = 16_000_000, 100


def some_rows(values: np.ndarray) -> np.ndarray:
    """Return rows ``(n, d)`` evenly chosen, as many as tell modes from noise in little time."""
    most = max(_LEAST, _MOST_NUMBERS // values.shape[1])
    return values if len(values) <= most else values[evenly(len(values), most)]


def signal_modes(modes: POD, n: int) -> int:
    """Return how many of some leading modes, one at least, noise alone would not make.

    White noise of variance s**2 in n rows of d columns has singular values up to
    ``s * (sqrt(n) + sqrt(d))`` (Marchenko and Pastur 1967); what the kept modes leave tells its
    variance. Modes of smooth motion lie far above what they leave, and all are kept.

    Parameters
    ----------
    modes : POD
        Fitted.
    n : int
        Rows that they were fitted to.
    """
    values, d = modes.singular_values_, modes.n_features_in_
    squares = np.square(values)
    beyond, kept = squares.sum() * max(1 / modes.energy_ - 1, 0.0), 0
    while kept < len(values) and (spare := (n - kept) * (d - kept)) > 0:
        left = beyond + squares[kept:].sum()
        edge = np.sqrt(left / spare) * (np.sqrt(n) + np.sqrt(d))
        more = int((values > edge).sum())
        if more <= kept:
            break
        kept = more
    return max(1, kept)
