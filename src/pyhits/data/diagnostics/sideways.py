"""Snapshots as columns: few rows, many columns, smooth along the columns."""

from __future__ import annotations

import numpy as np

from pyhits.data.diagnostics.finding import Finding
from pyhits.data.packing import default_names
from pyhits.data.trajectories import Trajectories

#: Columns a row from which data may lie on their side; below so many columns they may not.
_COLUMNS_A_ROW, _FEWEST_COLUMNS = 5, 30

#: Rows up to which smooth columns are enough of a sign.
_FEW_ROWS = 5

#: Mean squared step by that of rows in any order: below the first a line of numbers is smooth,
#: above the second its order means nothing.
_SMOOTH, _ROUGH = 0.3, 0.7

#: Rows and columns that are looked at.
_MOST_ROWS, _MOST_COLUMNS = 64, 4096


def sideways(data: Trajectories) -> list[Finding]:
    """Look whether the arrays lie on their side."""
    rows, columns = int(data.lengths.max()), data.n_features
    named = data.feature_names != default_names(columns)
    # Columns that somebody has named are features.
    if named and not all(
        name.lstrip("-").replace(".", "").isdigit() for name in data.feature_names
    ):
        return []
    if data.snapshot is not None or columns < max(_FEWEST_COLUMNS, rows + 1):
        return []
    if rows > _FEW_ROWS and columns < 2 * rows:
        return []
    x = np.asarray(data[int(data.lengths.argmax())], dtype=np.float64)
    along_columns = _roughness(x[:_MOST_ROWS, :_MOST_COLUMNS].T)
    if not along_columns < _SMOOTH:
        return []
    every = max(1, columns // _MOST_COLUMNS)
    along_rows = _roughness(x[:, ::every]) if rows > 2 else np.inf
    if not (rows <= _FEW_ROWS and columns >= _COLUMNS_A_ROW * rows) and not along_rows > _ROUGH:
        return []
    return [
        Finding(
            "sideways",
            f"The data have {rows} rows of {columns} features, and neighbouring columns are alike: "
            "snapshots may stand in columns instead of rows.",
            f"If these are {rows} features at {columns} times, give the transpose: array.T in "
            "Python, or write the file with a row a time.",
        )
    ]


def _roughness(x: np.ndarray) -> float:
    """Return the mean squared step down the rows by that of rows in any order, in the median."""
    variance = x.var(axis=0)
    moving = variance > 1e-20 * np.square(x).max(axis=0)
    if len(x) < 3 or not moving.any():
        return np.inf
    # Without their mean, since rows of different size are smooth by that alone.
    steps = np.square(np.diff(x[:, moving], axis=0)).mean(axis=0)
    return float(np.median(steps / (2 * variance[moving])))
