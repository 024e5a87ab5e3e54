"""Which features an encoder is of: by name or number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyhits.data.packing import default_names
from pyhits.data.trajectories import Trajectories
from pyhits.encoders.base import several
from pyhits.errors import ArgumentError, DataError
from pyhits.util.checks import as_numeric, suggest
from pyhits.util.schema import Either, Many, Maybe, Text, Whole

#: Features in model files: a name, a number, or several.
_ONE = Either({str: Text(), int: Whole()}, "the name or number of a feature")
FEATURES = Maybe(
    Either({**_ONE.kinds, list: Many(_ONE, 1)}, "names or numbers of features, or nothing")
)

#: What encoders of single features are told these by.
Features = str | int | Sequence[str | int] | None


def columns_of(features: Features, X: Any) -> np.ndarray:
    """Return the numbers of the features that are meant, in their order; all of them for None.

    Raises ArgumentError: there is no such feature, or it is there twice.

    Parameters
    ----------
    X : array, list of arrays, or Trajectories
        Whose features they are; arrays have ``x0``, ``x1`` and so on.
    """
    d = rows_of(X).shape[1]
    names = X.feature_names if isinstance(X, Trajectories) else default_names(d)
    if features is None:
        return np.arange(d)
    asked = [features] if isinstance(features, (str, int)) else list(features)
    found = []
    for one in asked:
        if isinstance(one, str) and one in names:
            found.append(names.index(one))
        elif isinstance(one, (int, np.integer)) and not isinstance(one, bool) and 0 <= one < d:
            found.append(int(one))
        else:
            raise ArgumentError(f"There is no feature {one!r}{suggest(str(one), list(names))}")
    if not found or len(set(found)) < len(found):
        raise ArgumentError(f"Expected different features, got {features!r}.")
    return np.array(sorted(found))


def label_of(features: Features, column: int) -> str:
    """Return how a message calls a column: the name that was asked for, or its number."""
    return repr(features) if isinstance(features, str) else str(column)


def rows_of(X: Any) -> np.ndarray:
    """Return all rows of arrays or trajectories, ``(n_rows, d)``.

    Raises DataError: they are no rows.
    """
    if isinstance(X, Trajectories):
        return np.asarray(X.values)
    if several(X):
        parts = [as_numeric(x, what="The data") for x in X]
        return np.concatenate([part.reshape(-1, part.shape[-1]) for part in parts])
    values = as_numeric(X, what="The data")
    if values.ndim < 2 or values.size == 0:
        raise DataError(f"Expected rows of shape (n_rows, n_features), got {values.shape}.")
    return values.reshape(-1, values.shape[-1])
