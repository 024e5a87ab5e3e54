"""What attributes say of stored numbers: scale and offset, codes for missing values, valid ranges.

The names are those of the NetCDF conventions (https://docs.unidata.ucar.edu/nug/current/, Best
Practices and Attribute Conventions), which HDF5 files use too.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from pyhits.errors import DataError

#: Attributes with the values that stand for missing ones.
_CODES = ("_FillValue", "missing_value", "FillValue", "fill_value", "MissingValue")

#: Attributes with the range of sound values.
_RANGES = ("valid_range", "valid_min", "valid_max")

#: All attributes that say how numbers are stored.
CODING = frozenset((*_CODES, *_RANGES, "scale_factor", "add_offset", "_Unsigned"))

#: What NetCDF fills with where nothing was written and no attribute says otherwise, by type.
_DEFAULT_FILLS = {
    "f4": 9.969209968386869e36,
    "f8": 9.969209968386869e36,
    "i2": -32767,
    "u2": 65535,
    "i4": -2147483647,
    "u4": 4294967295,
    "i8": -9223372036854775806,
    "u8": 18446744073709551614,
}


def decoded(stored: np.ndarray, attributes: Mapping[str, Any], what: str) -> np.ndarray:
    """Return numbers as they are meant: missing ones as NaN, scaled and shifted.

    Raises DataError: an attribute that should be a number is none.
    Raises ValueError: it holds texts that are none.

    Parameters
    ----------
    stored : array
        As in the file; returned as it is if it holds no numbers, or no attribute says anything of
        these.
    what : str
        Its name for messages, ``"array 'x'"``.
    """
    if stored.dtype.kind not in "fiu":
        return sound_texts(stored)
    if text_of(attributes.get("_Unsigned")) == "true" and stored.dtype.kind == "i":
        stored = stored.view(stored.dtype.str.replace("i", "u"))
    scale = _number(attributes, "scale_factor", what)
    offset = _number(attributes, "add_offset", what)
    is_packed = scale is not None or offset is not None
    ranges = {name: attributes[name] for name in _RANGES if name in attributes}
    # Ranges are those of packed numbers, unless they are of the type of what these stand for.
    is_whole = is_packed and stored.dtype.kind in "iu"
    of_values = {n: r for n, r in ranges.items() if is_whole and np.asarray(r).dtype.kind == "f"}
    of_stored = {n: r for n, r in ranges.items() if n not in of_values}
    missing = coded(stored, attributes, what) | beyond(stored, of_stored, what)
    if scale == 0:
        raise DataError(f"The attribute scale_factor of {what} is 0, which leaves nothing of it.")
    if not is_packed and not missing.any():
        return stored
    is_single = not is_packed and stored.dtype.itemsize <= 4 and stored.dtype.kind == "f"
    values: Any = stored.astype(np.float32 if is_single else np.float64)
    values[missing] = np.nan
    values = values * (1.0 if scale is None else scale) + (offset or 0.0)
    values[beyond(values, of_values, what)] = np.nan
    return np.asarray(values)


def has_codes(attributes: Mapping[str, Any]) -> bool:
    """Tell whether attributes say which numbers stand for missing ones, or how they are packed."""
    return any(name in attributes for name in (*_CODES, "scale_factor", "add_offset"))


def coded(stored: np.ndarray, attributes: Mapping[str, Any], what: str) -> np.ndarray:
    """Return where numbers are codes for missing values, by their attributes."""
    missing = np.zeros(stored.shape, bool)
    for name in _CODES:
        for code in _numbers(attributes, name, what):
            with np.errstate(over="ignore"):
                # Codes of single-precision numbers are often given in double precision.
                same = code.astype(stored.dtype) if stored.dtype.kind == "f" else code
            missing |= stored == same
    return missing


def beyond(stored: np.ndarray, attributes: Mapping[str, Any], what: str) -> np.ndarray:
    """Return where numbers lie beyond the range that their attributes call valid."""
    whole = _numbers(attributes, "valid_range", what)
    low = _numbers(attributes, "valid_min", what)[:1]
    high = _numbers(attributes, "valid_max", what)[:1]
    if len(whole) == 2:
        low, high = whole[:1], whole[1:]
    missing = np.zeros(stored.shape, bool)
    if len(low):
        missing |= stored < low[0]
    if len(high):
        missing |= stored > high[0]
    return missing


def filled(stored: np.ndarray, fill: Any) -> np.ndarray:
    """Return where numbers equal what the file was filled with before anything was written.

    A fill that lies among the other numbers may be one of them, and does not count.
    """
    nothing = np.zeros(stored.shape, bool)
    if stored.dtype.kind not in "fiu" or stored.dtype.itemsize < 2:
        return nothing
    same = stored == np.asarray(fill)
    if not same.any() or same.all():
        return nothing
    others = stored[~same]
    return nothing if others.min() <= fill <= others.max() else same


def default_fill(dtype: Any) -> Any:
    """Return what NetCDF fills a type with, as a number of that type; None if it does not."""
    kind = np.dtype(dtype)
    fill = _DEFAULT_FILLS.get(f"{kind.kind}{kind.itemsize}")
    return None if fill is None else kind.type(fill)


def _number(attributes: Mapping[str, Any], name: str, what: str) -> float | None:
    found = _numbers(attributes, name, what)
    if not len(found):
        return None
    number = float(found[0])
    if not np.isfinite(number):
        raise DataError(f"The attribute {name} of {what} is {number}; give it a finite number.")
    return number


def _numbers(attributes: Mapping[str, Any], name: str, what: str) -> np.ndarray:
    """Return the numbers of an attribute, none if it is not there."""
    if name not in attributes:
        return np.empty(0)
    found = np.atleast_1d(np.asarray(attributes[name])).ravel()
    if found.dtype.kind in "fiu":
        return found
    try:
        return found.astype(np.float64)
    except (TypeError, ValueError):
        raise DataError(
            f"The attribute {name} of {what} is {found[:1].tolist()}, where a number is expected; "
            "correct or delete it."
        ) from None


def text_of(value: Any) -> str:
    """Return a text as files hold it: bytes, an array with one or none, or a text."""
    if isinstance(value, np.ndarray):
        value = value.item() if value.size else ""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def sound_texts(stored: np.ndarray) -> np.ndarray:
    """Return an array whose texts, if it holds any, are of characters that Unicode has.

    NumPy makes texts of any numbers that a file holds, with which Python then fails.

    Raises ValueError: some are not.
    """
    for name in stored.dtype.names or ():
        sound_texts(stored[name])
    if stored.dtype.kind == "U" and stored.size and stored.dtype.itemsize:
        texts = stored.astype(stored.dtype.newbyteorder("="), order="C").reshape(-1, 1)
        if texts.view(np.uint32).max() > sys.maxunicode:
            raise ValueError("it holds texts of characters that Unicode does not have")
    return stored
