"""How many modes of noisy rows hold more than noise."""

from __future__ import annotations

import numpy as np

from pyhits.encoders import POD


def signal_modes(rows: np.ndarray, most: int) -> int:
    """Return how many leading modes, one at least, noise alone would not make.

    White noise of variance s**2 in n rows of d columns has singular values up to
    ``s * (sqrt(n) + sqrt(d))`` (Marchenko and Pastur 1967); what the kept modes leave tells its
    variance. Modes of smooth motion lie far above what they leave, and all are kept.

    Parameters
    ----------
    rows : array, shape (n, d)
    most : int
        Modes looked at.
    """
    n, d = rows.shape
    modes = POD(min(most, n - 1, d)).fit(rows)
    values = modes.singular_values_
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
