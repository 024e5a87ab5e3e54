"""Validation data that repeat training data, so that errors look better than they are."""

from __future__ import annotations

import math

import numpy as np

from pyhits.data.diagnostics.finding import Finding, place
from pyhits.data.stretches import evenly
from pyhits.data.trajectories import Trajectories
from pyhits.numerics.neighbours import nearest

#: Rows in a row that are equal to such of the training data, and the share of them at least.
_ROWS, _SHARE = 8, 0.05

#: Stretches of rows drawn at random that may equal one of the data, on average; rows of a stretch,
#: at most: rows of which more are needed, mostly at rest, tell nothing.
_CHANCE, _LONGEST = 0.01, 64

#: Numbers compared at most; features, where there are more.
_MOST_NUMBERS, _MOST_FEATURES = 1 << 22, 64

#: Stretches whose rows' neighbours are looked for, rows of each, rows among which, coordinates.
_STRETCHES, _LONG, _AMONG, _COORDINATES, _NEIGHBOURS = 8, 100, 50_000, 6, 24

#: Numbers that are compared at a time: of so many rows in a row.
_NUMBERS = 8

#: A row repeats another if it lies nearer than so many steps, and this share of a low quantile
#: of the distances of rows of other passes; it is said where so many rows do.
_OF_STEP, _OF_OTHERS, _LOW, _MANY = 2.0, 0.25, 0.2, 0.3

#: What repeats differs by noise or by rounding: differences of neighbouring rows are alike by less
#: than this. A later turn of a cycle differs smoothly, and by less than the second is the same.
_ALIKE, _ROUNDING = 0.5, 1e-9


def repeated(
    train: Trajectories, validation: Trajectories, *, continued: bool = False
) -> list[Finding]:
    """Look whether stretches of the validation data stand in the training data.

    Parameters
    ----------
    train, validation : Trajectories
        Of the same features.
    continued : bool
        The validation data are the ends of the training data's recordings. They may come round
        again: later turns of a cycle are no copies, and only equal rows count.
    """
    if validation is train or train.n_features != validation.n_features:
        return []
    columns = evenly(train.n_features, _MOST_FEATURES)
    if (train.n_rows + validation.n_rows) * len(columns) > _MOST_NUMBERS:
        return []
    found = _exactly(train, validation, columns)
    how = "exactly"
    if found is None and not continued:
        found = _nearly(train, validation, columns)
        how = "nearly"
    if found is None:
        return []
    share, first = found
    number = int(np.searchsorted(validation.offsets, first, side="right")) - 1
    row = first - int(validation.offsets[number])
    at = place(number, row, len(validation))
    return [
        Finding(
            "repeated",
            f"{share:.0%} of the validation data repeat training data {how}, from {at} of the "
            "validation data on: errors look better than they are, and prediction intervals hold "
            "less than they promise.",
            "Give other recordings as validation= (--validation), or none: a part is then held "
            "out. Leave copies out of the data.",
            number,
            row,
        )
    ]


def _exactly(
    train: Trajectories, validation: Trajectories, columns: np.ndarray
) -> tuple[float, int] | None:
    """Return the share of equal stretches, and the row where the first begins."""
    length = int(min(_ROWS, train.lengths.max(), validation.lengths.max()))
    if length < 3:
        return None
    weights = np.random.default_rng(0).standard_normal(len(columns))
    rows, others = (_summed(data, columns, weights) for data in (train, validation))
    length = max(length, _telling(rows))
    if length > min(_LONGEST, train.lengths.max(), validation.lengths.max()):
        return None
    rhythm = np.random.default_rng(1).standard_normal(length)
    known, _ = _stretches(train, rows, rhythm)
    asked, at = _stretches(validation, others, rhythm)
    if not len(known) or not len(asked):
        return None
    keys, counts = np.unique(known, return_counts=True)
    # What is there more than once, such as rest, says nothing.
    equal = np.isin(asked, keys[counts == 1])
    if equal.sum() < 2 or equal.mean() < _SHARE:
        return None
    return float(equal.mean()), int(at[equal.argmax()])


def _telling(rows: np.ndarray) -> int:
    """Return how many rows in a row, each one number, are hardly equal by chance to any others."""
    _, counts = np.unique(rows, return_counts=True)
    n = float(counts.sum())
    equal = float((counts * (counts - 1.0)).sum()) / max(1.0, n * (n - 1))
    if not 0 < equal < 1:
        return 0
    return math.ceil(math.log(_CHANCE / n) / math.log(equal))


def _summed(data: Trajectories, columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return one number for every row."""
    rows = np.zeros(data.n_rows)
    for weight, column in zip(weights, columns, strict=True):
        # Not by a matrix product, whose rounding may depend on where a row stands.
        rows += weight * data.values[:, column]
    return rows


def _stretches(
    data: Trajectories, rows: np.ndarray, rhythm: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return one number for every stretch of rows in which something moves, and its first row."""
    length = len(rhythm)
    if len(rows) < length:
        return np.zeros(0), np.zeros(0, dtype=np.int64)
    n = len(rows) - length + 1
    keys = np.zeros(n)
    moves = np.zeros(n, dtype=bool)
    for j, weight in enumerate(rhythm):
        keys += weight * rows[j : j + n]
        moves |= rows[j : j + n] != rows[:n]
    number = np.repeat(np.arange(len(data)), data.lengths)
    whole = number[:n] == number[length - 1 :]
    at = np.flatnonzero(whole & moves)
    return keys[at], at


def _nearly(
    train: Trajectories, validation: Trajectories, columns: np.ndarray
) -> tuple[float, int] | None:
    """Return the share of rows that lie on rows of the training data, and the first of them."""
    rows, others = (
        np.asarray(data.values[:, columns], dtype=np.float64) for data in (train, validation)
    )
    spread = rows.std(axis=0)
    moving = spread > 0
    if not moving.any():
        return None
    rows, others = rows[:, moving] / spread[moving], others[:, moving] / spread[moving]
    if rows.shape[1] > _COORDINATES:
        centre = rows.mean(axis=0)
        _, vectors = np.linalg.eigh((rows - centre).T @ (rows - centre))
        basis = vectors[:, ::-1][:, :_COORDINATES]
        rows, others = (rows - centre) @ basis, (others - centre) @ basis
    length = max(2, -(-_NUMBERS // rows.shape[1]))
    first, of_train = _windows(rows, train, length)
    second, of_validation = _windows(others, validation, length)
    if len(first) < _ROWS or len(second) < _ROWS:
        return None
    among = evenly(len(first), _AMONG)
    known = first[among]
    asked = np.unique(
        np.linspace(0, max(0, len(second) - _LONG), _STRETCHES).astype(int)[:, None]
        + np.arange(min(_LONG, len(second)))
    )
    distance, index = (found[:, 0] for found in nearest(known, second[asked], 1))
    d = rows.shape[1]
    near = first[among][index]
    step = np.linalg.norm(near[:, d : 2 * d] - near[:, :d], axis=1) * np.sqrt(length)
    moves = step > 0.1 * np.median(step)
    usual = _of_other_passes(known, first, among, of_train)
    repeats = moves & (distance < _OF_STEP * step) & (distance < _OF_OTHERS * usual)
    if moves.sum() < _ROWS or repeats.sum() < _MANY * moves.sum():
        return None
    off = (second[asked] - near)[:, :d]
    both = repeats[:-1] & repeats[1:]
    alike = (off[:-1] * off[1:])[both].sum() / max(np.square(off[:-1][both]).sum(), 1e-300)
    if alike > _ALIKE or np.median(distance[repeats]) < _ROUNDING:
        return None
    return float(repeats.sum() / moves.sum()), int(of_validation[asked[repeats.argmax()]])


def _windows(rows: np.ndarray, data: Trajectories, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return so many rows in a row beside each other, and the number of the first."""
    number = np.repeat(np.arange(len(data)), data.lengths)
    n = len(rows) - length + 1
    if n < 1:
        return np.zeros((0, length * rows.shape[1])), np.zeros(0, dtype=np.int64)
    at = np.flatnonzero(number[:n] == number[length - 1 :])
    return np.hstack([rows[at + j] for j in range(length)]), at


def _of_other_passes(
    known: np.ndarray, windows: np.ndarray, among: np.ndarray, at: np.ndarray
) -> float:
    """Return a distance from which hardly any training row is nearer to one of another pass."""
    some = evenly(len(among), _STRETCHES * _LONG)
    n = min(_NEIGHBOURS, len(among))
    distance, index = nearest(known, windows[among[some]], n)
    is_distant = np.abs(at[among[index]] - at[among[some]][:, None]) > _ROWS
    found = np.where(is_distant, distance, np.inf).min(axis=1)
    return float(np.quantile(np.where(np.isfinite(found), found, distance[:, -1]), _LOW))
