"""Tables of many columns and no grid: their modes in place of nets as wide as they are."""

from __future__ import annotations

from collections.abc import Sequence

from pyhits.data.grid import Grid
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import POD, Encoder, Standardise
from pyhits.encoders.chain import automatic
from pyhits.fit.settings import Settings
from pyhits.fit.signal_modes import signal_modes, some_rows
from pyhits.policies import Auto
from pyhits.training.recipe import FEW_FEATURES, FEW_ROWS

#: Columns of a table, at most: beyond, all modes are left to their energy.
_COLUMNS = 1024

#: Modes, so many at least and at most; and rows that each takes.
_FEWEST, _MODES, _ROWS_EACH = 4, 24, 10


def modes_of_columns(
    settings: Settings, train: Trajectories, inputs: Sequence[str], grid: Grid | None
) -> list[Encoder] | None:
    """Return what defaults encode many columns of few rows by; None where they stay as they are.

    That is so of inputs, fields on a grid, too few rows for four modes, and what does not vary.

    Columns are divided by their standard deviations first, as they may be of any units.
    """
    is_open = settings.encoder is None and isinstance(settings.flow_map, Auto)
    if not is_open or grid is not None or inputs or settings.recipe.windows != "anywhere":
        return None
    n_modes = min(_MODES, train.n_rows // _ROWS_EACH)
    if train.n_features <= FEW_FEATURES or train.n_rows > FEW_ROWS or n_modes < _FEWEST:
        return None
    if not (train.values != train.values[0]).any():
        return None
    rows = some_rows(train.values)
    scaled = Standardise().fit(rows).transform(rows)
    modes = POD(min(n_modes, len(rows) - 1)).fit(scaled)
    return [Standardise(), POD(signal_modes(modes, len(rows)))]


def automatic_of_columns(train: Trajectories, grid: Grid | None) -> list[Encoder]:
    """Return what ``encoder="auto"`` stands for, without modes that hold noise alone.

    Noise upon many columns lies in all of their modes: those that hold most of the variance would
    be nearly as many as the columns. Of tables there are so many modes as rows tell apart at most.
    """
    encoders = automatic(train.n_features)
    is_small = train.n_rows <= FEW_ROWS and train.n_features <= _COLUMNS
    if not is_small or not isinstance(encoders[0], POD):
        return encoders
    if not (train.values != train.values[0]).any():
        return encoders
    modes = POD().fit(train.values)
    found = len(modes.modes_)
    if grid is None:
        most = max(_FEWEST, min(_MODES, train.n_rows // _ROWS_EACH))
    else:
        most = signal_modes(modes, train.n_rows)
    if found > most:
        encoders[0] = POD(most)
    return encoders
