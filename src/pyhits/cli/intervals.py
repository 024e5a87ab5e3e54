"""Prediction intervals of ``pyhits forecast``: what can be asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pyhits.errors import ArgumentError

if TYPE_CHECKING:
    from pyhits.timestepper import TimeStepper


def check_intervals(model: TimeStepper, interval: float, n_steps: int, out: Path) -> None:
    """Raise an ArgumentError where intervals would not be finite, or have no place in the file."""
    from pyhits.data.files.media import FILMS, SOUNDS
    from pyhits.forecasting.uncertainty.conformal import as_level
    from pyhits.hierarchy.writers import WRITERS

    level = as_level(interval)
    if out.suffix.lower() in (*FILMS, *SOUNDS, *WRITERS):
        raise ArgumentError(
            f"--interval writes bounds as further columns, for which {out.suffix} has no place; "
            "write .csv, .npz, .nc or .parquet."
        )
    if model.calibration is None:
        raise ArgumentError(
            "This model has no calibration, so there are no intervals: no validation data were "
            "left out, or it was fitted by an older PyHiTS or coupled without data. pyhits couple "
            "--validation makes one."
        )
    short = model.calibration.shortfall(n_steps, level)
    if short is not None:
        reach = model.calibration.reach(level)
        fewer = f"; --steps {reach} has them at every step" if reach else ""
        raise ArgumentError(f"{short} Without --interval a forecast has no bounds{fewer}.")
