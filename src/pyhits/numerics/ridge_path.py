"""Ridge regression of arrays: torch is imported when there is something to solve."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def ridge_path(
    design: np.ndarray, targets: np.ndarray, penalties: Sequence[float], *, products: bool = False
) -> np.ndarray:
    """Return weights under each penalty, ``(penalties, ..., terms, m)``.

    Parameters
    ----------
    design : array, shape (..., rows, terms)
    targets : array, shape (..., rows, m)
    products : bool
        As of :class:`~pyhits.numerics.ridge.Ridge`.
    """
    import torch

    from pyhits.numerics.ridge import Ridge

    ridge = Ridge(torch.from_numpy(design), torch.from_numpy(targets), products=products)
    return ridge.path(penalties).numpy()
