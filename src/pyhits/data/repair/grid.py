"""Whether times lie on one uniform grid, with or without rows left out, and which grid it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyhits.data.times.uniform import lies_on_grid


def usual_step(times: Sequence[np.ndarray]) -> float:
    """Return the median step of all recordings together, each of 2 rows or more."""
    return float(np.median(np.concatenate([np.diff(t) for t in times])))


def grid_step(times: Sequence[np.ndarray], usual: float) -> float | None:
    """Return the step of the grid on which all times lie, None if there is none.

    Each recording may begin anywhere; its steps are whole multiples of one step, to
    :data:`pyhits.data.times.uniform.UNIFORM_TOLERANCE` of it.

    Parameters
    ----------
    times : sequence of array, each shape (n_rows,)
        Increasing.
    usual : float
        About that step.
    """
    counts = [places(t, usual) for t in times]
    # Least squares through all recordings, each with a start of its own.
    above = sum(
        float((_centred(k) * _centred(t)).sum()) for k, t in zip(counts, times, strict=True)
    )
    below = sum(float((_centred(k) ** 2).sum()) for k in counts)
    if not below:
        return None
    dt = above / below
    # The mean of printed times has digits that nobody wrote.
    rounded = float(f"{dt:.6g}")
    for step in (rounded, dt):
        if all(lies_on_grid(t, step, k) for t, k in zip(times, counts, strict=True)):
            return float(f"{step:.10g}")
    return None


def places(times: np.ndarray, dt: float) -> np.ndarray:
    """Return how many steps of about ``dt`` each row lies behind the first, shape ``(n_rows,)``."""
    steps = np.maximum(np.rint(np.diff(times) / dt), 1)
    return np.concatenate([[0], np.cumsum(steps)]).astype(np.int64)


def _centred(values: np.ndarray) -> np.ndarray:
    return np.asarray(values - values.mean())
