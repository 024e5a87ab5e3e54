"""Prediction intervals of ``pyhits forecast``: what can be asked for, and how they are written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pyhits.errors import ArgumentError

if TYPE_CHECKING:
    import numpy as np

    from pyhits.timestepper import TimeStepper
    from pyhits.uncertainty import Forecast


def check_intervals(model: TimeStepper, interval: float, n_steps: int, out: Path) -> None:
    """Raise an ArgumentError where intervals would not be finite, or have no place in the file."""
    from pyhits.data.files.media import FILMS, SOUNDS
    from pyhits.hierarchy.writers import WRITERS
    from pyhits.uncertainty.conformal import as_level

    level = as_level(interval)
    if out.suffix.lower() in (*FILMS, *SOUNDS, *WRITERS):
        raise ArgumentError(
            f"--interval writes columns beside the states, for which {out.suffix} has no place; "
            "write .csv, .npz, .nc or .parquet."
        )
    if model.calibration is None:
        raise ArgumentError(
            "This model has no calibration, so there are no intervals: nothing was held out, or "
            "it was fitted by an older PyHiTS or coupled without data. pyhits couple --validation "
            "makes one."
        )
    short = model.calibration.shortfall(n_steps, level)
    if short is not None:
        raise ArgumentError(short)


def side_by_side(found: Forecast, names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return states and bounds as columns ``(n, time, 3 d)``, each variable's together, and names.

    Raises
    ------
    ArgumentError
        The name of a bound is that of a variable.
    """
    import numpy as np

    n, length = found.states.shape[:2]
    parts = [part.reshape(n, length, -1) for part in (found.states, found.low, found.high)]
    columns = np.stack(parts, axis=-1).reshape(n, length, -1)
    named = tuple(f"{name}{end}" for name in names for end in ("", "_low", "_high"))
    if len(set(named)) < len(named):
        taken = next(name for name in named if named.count(name) > 1)
        raise ArgumentError(f"A bound would be named {taken!r}, as a variable is: rename that.")
    return columns, named


def what_to_know(found: Forecast) -> list[str]:
    """Return the sentences that belong to a forecast with intervals."""
    sentences = [found.notes[-1]]
    gone = int((found.leaves >= 0).sum())
    if gone:
        first = int((found.leaves >= 0).argmax())
        sentences.append(
            f"{gone} of {len(found)} forecasts leave the range of the training data, the first of "
            f"them, trajectory {first}, at row {found.leaves[first]}: the model extrapolates there."
        )
    return sentences
