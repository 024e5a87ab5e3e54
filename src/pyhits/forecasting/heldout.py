"""What a fit keeps of its data to tell the errors of forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyhits.data.trajectories import Trajectories
from pyhits.forecasting.maps import FittedMaps


@dataclass(frozen=True, eq=False)
class Fold:
    """Recordings, and the data without them; both in the user's features, the inputs last.

    Attributes
    ----------
    data : Trajectories
        To forecast.
    train : Trajectories
        To fit to, without noise if that was taken off.
    """

    data: Trajectories
    train: Trajectories


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Data that errors of forecasts are measured on, and what may forecast them.

    Attributes
    ----------
    data : Trajectories
        Not trained on; in the user's features, the inputs last.
    trained : Trajectories or None
        Some that were trained on, likewise.
    maps : FittedMaps or None
        Flow maps and encoders that have not seen ``data``; None for the model's own.
    folds : tuple of Fold
        For closed forms, which are fitted in a moment: all recordings, in parts.
    unit : array, shape (d,), or None
        Sizes that errors are measured in; None for the spread of the model's data.
    earlier : sequence of array, shape (n, horizon, d)
        Errors of forecasts of earlier parts by what had not seen these, in the user's units.
    known : int or None
        First rows of each recording that are known to its forecasts, which were trained on; None
        where all were held out.
    """

    data: Trajectories
    trained: Trajectories | None = None
    maps: FittedMaps | None = None
    folds: tuple[Fold, ...] = ()
    unit: np.ndarray | None = None
    earlier: Sequence[np.ndarray] = ()
    known: int | None = None
