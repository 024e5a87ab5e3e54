"""Tables of many columns and no grid: their modes in place of nets as wide as they are."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from pyhits.data.grid import Grid
from pyhits.data.stretches import evenly
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import POD, Encoder, Standardise
from pyhits.encoders.chain import automatic
from pyhits.fit.settings import Settings
from pyhits.policies import Auto
from pyhits.training.recipe import FEW_FEATURES, FEW_ROWS

#: Columns of a table, at most: beyond, all modes are left to their energy.
_COLUMNS = 1024

#: Modes, so many at least; and rows that each takes.
_FEWEST, _ROWS_EACH = 4, 10

#: Columns of one name and other numbers are of one unit if the deviations of this part of those
#: that vary lie within so many times each other.
_PART, _ALIKE = 0.9, 30.0


def modes_of_columns(
    settings: Settings, train: Trajectories, inputs: Sequence[str], grid: Grid | None
) -> list[Encoder] | None:
    """Return what defaults encode many columns of few rows by; None where they stay as they are.

    That is so of inputs, fields on a grid, too few rows for four modes, and what does not vary.

    Columns are divided by their standard deviations first, as they may be of any units; those of
    one quantity at many places, as in a field with land, by one number.
    """
    is_open = settings.encoder is None and isinstance(settings.flow_map, Auto)
    if not is_open or grid is not None or inputs or settings.recipe.windows != "anywhere":
        return None
    n_modes = min(MOST_MODES, train.n_rows // _ROWS_EACH)
    if train.n_features <= FEW_FEATURES or train.n_rows > FEW_ROWS or n_modes < _FEWEST:
        return None
    if not (train.values != train.values[0]).any():
        return None
    rows = some_rows(train.values)
    quantities = _quantities(train.feature_names, rows)
    scaling = Standardise(common=quantities > 0, channels=quantities)
    scaled = scaling.fit(rows).transform(rows)
    modes = POD(min(n_modes, len(rows) - 1)).fit(scaled)
    return [scaling, POD(signal_modes(modes, len(rows)))]


def _quantities(names: Sequence[str], rows: np.ndarray) -> int:
    """Return how many quantities columns are, all of them at each of many places; 0 if they differ.

    Those of one quantity are numbered, and vary alike.
    """
    stems = [re.sub(r"\d+", "", name) for name in names]
    n = len(set(stems))
    if n > len(stems) // _FEWEST or stems != stems[:n] * (len(stems) // n):
        return 0
    spread = np.where(np.ptp(rows, axis=0) > 0, rows.std(axis=0, dtype=np.float64), 0.0)
    for of_one in spread.reshape(-1, n).T:
        moving = of_one[of_one > 0]
        if len(moving) == 0:
            return 0
        low, high = np.quantile(moving, [1 - _PART, 1.0])
        if not high < _ALIKE * low:
            return 0
    return n


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
        most = max(_FEWEST, min(MOST_MODES, train.n_rows // _ROWS_EACH))
    else:
        most = signal_modes(modes, train.n_rows)
    if found > most:
        encoders[0] = POD(most)
    return encoders


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
