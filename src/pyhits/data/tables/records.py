"""Structured arrays, which are tables: NumPy's records and the compound types of HDF5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def is_table(array: Any) -> bool:
    """Tell whether an array holds one record a row."""
    return array.dtype.names is not None and sum(n > 1 for n in array.shape) == 1


def the_only_table(arrays: Mapping[str, Any], variable: str | None) -> str | None:
    """Return the name of the table asked for, or of the only one without arrays next to it."""
    tables = [name for name, array in arrays.items() if is_table(array)]
    if variable is not None:
        return variable if variable in tables else None
    others = any(array.dtype.kind in "fiuc" and sum(array.shape) > 1 for array in arrays.values())
    return tables[0] if len(tables) == 1 and not others else None


def columns(records: np.ndarray) -> tuple[list[str], list[np.ndarray]]:
    """Return the names and columns of a table; fields of several numbers are several columns."""
    names: list[str] = []
    found: list[np.ndarray] = []
    for field in records.dtype.names or ():
        part = records[field]
        if part.dtype.names is not None:
            inner, more = columns(part)
            names += [f"{field}.{name}" for name in inner]
            found += more
        elif part.ndim == 1:
            names.append(field)
            found.append(part)
        else:
            parts = part.reshape(len(part), -1).T
            names += [f"{field}.{k}" for k in range(len(parts))]
            found += list(parts)
    return names, found
