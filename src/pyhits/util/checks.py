"""Checks of numbers, options and arrays that say what was expected, what came and where."""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pyhits.errors import ArgumentError, DataError, warn

#: How messages name what mends data, in Python and on the command line.
BY_REPAIR = "pyhits.repair (or --repair)"

#: Beyond this magnitude a variance overflows in float64.
LARGEST_MAGNITUDE = 1e150

#: Imaginary parts below this many roundings of the largest real part come of transforms.
_ROUNDED = 1000

#: Largest number of anything: arrays hold no more, and sums of two still fit into 64 bits.
MOST_COUNT = 2**62

#: Longest rows, and snapshots of fields and films, that are stepped as they are if nothing is said.
LONGEST_ROW, LONGEST_SNAPSHOT = 8192, 4096

#: Texts that stand for a value that is not there, in lower case.
MISSING_WORDS = frozenset(
    [
        *("", "na", "n/a", "<na>", "nan", "nat", "null", "none", "missing", "-", "--", "?"),
        *(".", "*", "#n/a", "#n/a n/a", "#div/0!", "#value!", "#ref!", "#num!", "#name?"),
        *("#null!", "-nan", "nan(ind)", "-nan(ind)", "1.#ind", "-1.#ind", "1.#qnan"),
        *("-1.#qnan", "1.#snan", "1.#inf", "-1.#inf"),
    ]
)


def as_count(value: Any, name: str, *, least: int = 1, most: int | None = MOST_COUNT) -> int:
    """Return ``value`` as an int from ``least`` to ``most``; without ``most``, of any size."""
    whole = isinstance(value, numbers.Integral) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole:
        raise ArgumentError(f"Expected {name} to be a whole number, got {value!r}.")
    if int(value) < least:
        raise ArgumentError(f"Expected {name} to be at least {least}, got {value!r}.")
    if most is not None and int(value) > most:
        raise ArgumentError(f"Expected {name} to be at most {most}, got {shown(value)}.")
    return int(value)


def as_seed(value: Any, name: str = "random_state") -> int:
    """Return ``value`` as a seed: a whole number from 0 to 2**32 - 1."""
    seed = as_count(value, name, least=0)
    if seed >= 1 << 32:
        raise ArgumentError(f"Expected {name} to be less than 2**32, got {value!r}.")
    return seed


def as_positive(value: Any, name: str) -> float:
    """Return ``value`` as a float greater than zero that leaves room for products and quotients."""
    if isinstance(value, bool) or not is_number(value) or not value > 0 or value == math.inf:
        raise ArgumentError(f"Expected {name} to be a positive number, got {shown(value)}.")
    value = value.item() if isinstance(value, np.generic) else value  # single precision ends before
    if not 1 / LARGEST_MAGNITUDE <= value <= LARGEST_MAGNITUDE:
        raise ArgumentError(
            f"Expected {name} from {1 / LARGEST_MAGNITUDE:g} to {LARGEST_MAGNITUDE:g}, got "
            f"{shown(value)}."
        )
    return float(value)


def is_number(value: Any) -> bool:
    """Tell whether ``value`` is a real number, finite or not, of any size."""
    return isinstance(value, numbers.Real)


def as_generator(random_state: Any) -> np.random.Generator:
    """Return a generator of random numbers: the one given, or of a seed, or of None a new one."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    return np.random.default_rng(None if random_state is None else as_seed(random_state))


def as_names(value: Any, name: str) -> list[str]:
    """Return ``value``, an iterable of texts or of what stands for them, as a list of texts."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise ArgumentError(f"Expected {name} to be a list of names, got {shown(value)}.")
    return [str(item) for item in value]


def as_choice(value: Any, name: str, choices: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``choices``; otherwise name the nearest of them."""
    allowed = list(choices)
    if isinstance(value, str) and value in allowed:
        return value
    raise ArgumentError(f"Unknown {name} {value!r}{suggest(str(value), allowed)}")


def check_row_length(n_features: int, *, is_field: bool, asked: bool) -> None:
    """Raise an ArgumentError where states are too long to be stepped as they are.

    Parameters
    ----------
    n_features : int
        Numbers of a state.
    is_field : bool
        Whether rows are snapshots of a field or film, which modes always serve better.
    asked : bool
        Whether the user has said how states are encoded, or how wide nets are.
    """
    if asked or n_features <= (LONGEST_SNAPSHOT if is_field else LONGEST_ROW):
        return
    raise ArgumentError(
        f"Rows of {n_features} numbers are too long to be stepped as they are: nets would take "
        "much memory and learn little. Few modes hold what such numbers share. Add --encoder "
        "pod=64 --encoder standardise=common, in Python encoder=[POD(64), "
        "Standardise(common=True)], or as many modes as you think, or as there are rows; "
        "encoder=[] takes rows as they are, as far as there is memory."
        + (" Fields on a grid: flow_map='equation' takes any." if is_field else "")
    )


def check_device(device: str) -> None:
    """Raise an ArgumentError if torch cannot use the device."""
    if device == "cpu":
        return
    import torch  # imported when used: these checks serve parts that need no torch

    try:
        kind = torch.device(device).type
    except (RuntimeError, TypeError, ValueError):
        raise ArgumentError(f"Expected a torch device such as 'cpu', got {device!r}.") from None
    if kind == "cuda" and not torch.cuda.is_available():
        raise ArgumentError(f"device={device!r} was asked for, but torch finds no CUDA device.")
    try:
        usable = float(torch.ones(1, device=device).sum()) == 1.0
    except (RuntimeError, NotImplementedError, AssertionError):
        usable = False
    if not usable:
        raise ArgumentError(f"device={device!r} was asked for, but torch cannot compute on it.")


def shown(value: Any) -> str:
    """Return how a value reads, cut to one short line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def suggest(word: str, known: Sequence[str]) -> str:
    """Return the end of an error sentence that lists what is known, the nearest first."""
    near = difflib.get_close_matches(word, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"{hint} Known: {', '.join(known)}."


def is_missing(item: Any) -> bool:
    """Tell whether an entry stands for a value that is not there: None, NaN, NaT, ``"NA"`` ..."""
    if isinstance(item, bytes):
        item = item.decode(errors="replace")
    if isinstance(item, str):
        return item.strip().lower() in MISSING_WORDS
    if item is None or type(item).__name__ in ("NAType", "NaTType"):
        return True
    try:
        return bool(item != item)  # NaN alone differs from itself
    except (TypeError, ValueError):
        return False


def as_numeric(data: Any, *, what: str, missing: bool = False) -> np.ndarray:
    """Return ``data`` as a float32 or float64 array, sharing memory where it can.

    Integers and booleans become float64, half precision becomes float32. With ``missing`` what is
    masked, None or a text such as ``NA`` becomes NaN.

    Raises DataError: rows of unequal length, text, complex or masked values; the place is named.
    """
    if isinstance(data, np.ma.MaskedArray):
        if missing and data.dtype.kind in "iubf":
            data = np.ma.filled(data.astype(np.result_type(data.dtype, np.float32)), np.nan)
        elif np.ma.getmaskarray(data).any():
            place = np.argwhere(np.ma.getmaskarray(data))[0].tolist()
            raise DataError(f"{what} is masked at index {place}; fill or drop masked values.")
        else:
            data = data.data
    if hasattr(data, "detach"):
        try:
            data = data.detach().cpu()
            data = (data if data.dtype.itemsize > 2 else data.float()).numpy()
        except (TypeError, RuntimeError) as error:
            raise DataError(f"{what} cannot be read from this tensor: {error}.") from None
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise DataError(
            f"{what} has rows of unequal length ({error}). Give trajectories of different "
            "lengths as a list of arrays, each (time, feature)."
        ) from None
    if array.dtype.kind in "iub":
        return _from_whole(array, what)
    if array.dtype.kind == "f":
        if array.dtype.itemsize == 2:
            return array.astype(np.float32)
        # Files of other machines hold the other byte order, which torch refuses.
        native = array.astype(array.dtype.newbyteorder("="), copy=False)
        return native if native.dtype.itemsize in (4, 8) else native.astype(np.float64)
    if array.dtype.kind in "OSU":
        return _from_objects(array, what, missing=missing)
    if array.dtype.kind == "c":
        return _real_part(array, what)
    raise DataError(f"Expected numbers in {what}, got values of type {array.dtype}.")


def _from_whole(array: np.ndarray, what: str) -> np.ndarray:
    """Return whole numbers as float64, and say so where digits are lost."""
    numbers = array.astype(np.float64)
    if array.dtype.itemsize == 8 and (np.abs(numbers) > 2.0**53).any():
        with np.errstate(invalid="ignore"):
            is_exact = (numbers.astype(array.dtype) == array).all()
        if not is_exact:
            warn(
                f"{what} holds whole numbers beyond 2**53, whose last digits are lost (float64): "
                "subtract a constant first."
            )
    return numbers


def _real_part(array: np.ndarray, what: str) -> np.ndarray:
    """Return the real part of complex numbers whose imaginary part is rounding, and say so.

    Raises DataError: it is more than that.
    """
    real = np.array(array.real, order="C")
    # Where the real part is missing, so is the number.
    known = np.isfinite(real)
    largest, off = (float(np.abs(part[known]).max(initial=0)) for part in (real, array.imag))
    share = off / largest if largest else math.inf if off else 0.0
    if not share <= _ROUNDED * np.finfo(real.dtype).eps:
        raise DataError(
            f"{what} is complex; give real and imaginary parts as two features, or the modulus."
        )
    if off:
        warn(
            f"{what} is complex, but its imaginary part is rounding (up to {off:.2g}, where the "
            f"real part is up to {largest:.2g}); the real part is taken."
        )
    return as_numeric(real, what=what)


def _from_objects(array: np.ndarray, what: str, *, missing: bool = False) -> np.ndarray:
    """Convert an array of Python objects or text, naming the first that is no number."""
    if missing:
        flat = [np.nan if is_missing(item) else item for item in array.ravel().tolist()]
        filled = np.empty(len(flat), dtype=object)
        filled[:] = flat
        array = filled.reshape(array.shape)
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        pass
    for index, item in np.ndenumerate(array):
        try:
            float(item)
        except (TypeError, ValueError, OverflowError):
            # The repr of a numpy text is not the plain 'text'.
            text = shown(item.item() if isinstance(item, np.generic) else item)
            if not index:
                raise DataError(f"Expected numbers in {what}, got {text}.") from None
            place = f"row {index[-2]}, column {index[-1]}" if len(index) > 1 else f"row {index[0]}"
            if len(index) > 2:
                place = f"trajectory {index[-3]}, {place}"
            raise DataError(
                f"Expected numbers in {what}, got {text} in {place}. Drop or encode text."
            ) from None
    raise DataError(f"Expected numbers in {what}, got values of type {array.dtype}.")


def check_finite(
    values: np.ndarray, offsets: np.ndarray, feature_names: Sequence[str], *, what: str
) -> None:
    """Raise a DataError that names trajectory, row and column of the first bad value.

    Parameters
    ----------
    values : array, shape (n_rows, n_features)
        All trajectories, one below the other.
    offsets : array, shape (n_trajectories + 1,)
        Row at which each trajectory begins.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = float(values.min()), float(values.max())
    if math.isfinite(low) and math.isfinite(high) and max(-low, high) < LARGEST_MAGNITUDE:
        return
    with np.errstate(over="ignore"):  # in float32 that limit is infinite
        bad = ~(np.abs(values) < LARGEST_MAGNITUDE)
    row, column = (int(k) for k in np.argwhere(bad)[0])
    trajectory = int(np.searchsorted(offsets, row, side="right")) - 1
    value = float(values[row, column])
    place = (
        f"trajectory {trajectory}, row {row - int(offsets[trajectory])}, "
        f"column {feature_names[column]!r}"
    )
    others = int(bad.sum()) - 1
    more = f" ({others} more like it)" if others else ""
    if math.isfinite(value):
        raise DataError(f"{what} holds {value:g} in {place}{more}; rescale the data first.")
    name = "NaN" if math.isnan(value) else "infinite"
    raise DataError(
        f"{what} is {name} in {place}{more}. Fill the gap, or cut the recording there and give "
        f"the pieces as separate trajectories: {BY_REPAIR} does either."
    )
