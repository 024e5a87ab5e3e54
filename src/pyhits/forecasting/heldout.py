"""What a fit keeps of its data to tell the errors of forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyhits.data.trajectories import Trajectories
from pyhits.forecasting.maps import FittedMaps


@dataclass(frozen=True, eq=False)
class Fold:
    """Recordings, and the data without them; both in the user's features, the inputs last."""

    data: Trajectories  # to forecast
    train: Trajectories  # to fit to, without noise if that was taken off


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Data that errors of forecasts are measured on, and what may forecast them."""

    data: Trajectories  # not trained on; in the user's features, the inputs last
    trained: Trajectories | None = None  # some that were trained on, likewise
    #: Flow maps and encoders that have not seen ``data``; None for the model's own.
    maps: FittedMaps | None = None
    #: For closed forms, which are fitted in a moment: all recordings, in parts.
    folds: tuple[Fold, ...] = ()
    #: (d,), or None: sizes that errors are measured in; None for the spread of the model's data.
    unit: np.ndarray | None = None
    #: (n, horizon, d): errors of forecasts of earlier parts by what had not seen these, in the
    #: user's units.
    earlier: Sequence[np.ndarray] = ()
    #: First rows of each recording that are known to its forecasts, which were trained on; None
    #: where all were held out.
    known: int | None = None
