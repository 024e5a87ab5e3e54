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

#: Modes, so many at least; those that are taken in any case, at most, and rows that each of them
#: takes, as closed forms suit few coordinates; and rows that each mode takes that is looked at.
_FEWEST, _USUAL, _ROWS_OF_USUAL, _ROWS_EACH = 4, 32, 10, 3

#: Numbers in the rows that are looked at, at most, but for so many rows.
_MOST_NUMBERS, _LEAST = 16_000_000, 100

#: Columns of one name and other numbers are of one unit if the deviations of this part of those
#: that vary lie within so many times each other; or if the mean square of differences between
#: columns beside each other is no more than a part of that between unrelated ones.
_PART, _ALIKE, _NEAR = 0.9, 30.0, 0.2


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
    is_small = train.n_features <= FEW_FEATURES or usual_modes(train.n_rows) < _FEWEST
    if is_small or train.n_rows > FEW_ROWS:
        return None
    if not (train.values != train.values[0]).any():
        return None
    rows = some_rows(train.values)
    quantities = _quantities(train.feature_names, rows)
    scaling = Standardise(common=quantities > 0, channels=quantities)
    scaled = scaling.fit(rows).transform(rows)
    modes = POD(min(most_modes(train.n_rows), len(rows) - 1, train.n_features)).fit(scaled)
    return [scaling, POD(signal_modes(modes, len(rows)))]


def _quantities(names: Sequence[str], rows: np.ndarray) -> int:
    """Return how many quantities columns are, all of them at each of many places; 0 if they differ.

    Those of one quantity are numbered, and vary alike, or together with those beside them.
    """
    stems = [re.sub(r"\d+", "", name) for name in names]
    n = len(set(stems))
    if n > len(stems) // _FEWEST or stems != stems[:n] * (len(stems) // n):
        return 0
    every = (rows[:, k::n] for k in range(n))
    return n if all(_vary_alike(of_one) or _vary_together(of_one) for of_one in every) else 0


def _vary_alike(rows: np.ndarray) -> bool:
    """Tell whether the deviations of columns are of one size."""
    spread = rows.std(axis=0, dtype=np.float64)[np.ptp(rows, axis=0) > 0]
    if len(spread) == 0:
        return False
    low, high = np.quantile(spread, [1 - _PART, 1.0])
    return bool(high < _ALIKE * low)


def _vary_together(rows: np.ndarray) -> bool:
    """Tell whether columns beside each other move in the same way, and as far."""
    moved = rows - rows.mean(axis=0, dtype=np.float64)
    between = float(np.square(np.diff(moved, axis=1)).mean())
    return between < _NEAR * 2 * float(np.square(moved).mean())


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
        most = max(_FEWEST, usual_modes(train.n_rows))
    else:
        most = signal_modes(modes, train.n_rows)
    if found > most:
        encoders[0] = POD(most)
    return encoders


def most_modes(n_rows: int) -> int:
    """Return how many modes defaults look at, of so many rows."""
    return max(usual_modes(n_rows), min(FEW_FEATURES, n_rows // _ROWS_EACH))


def usual_modes(n_rows: int) -> int:
    """Return how many modes defaults take of so many rows, unless more are better."""
    return min(_USUAL, n_rows // _ROWS_OF_USUAL)


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
