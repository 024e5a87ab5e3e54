"""Several recordings below each other, taken for one."""

from __future__ import annotations

import numpy as np

from pyhits.data.diagnostics.finding import Finding, place
from pyhits.data.diagnostics.sample import Sample
from pyhits.util.printable import listing

#: A jump is longer than all steps nearby by this factor, and by the second in the middle of all
#: jumps. Steps that follow smoothly on each other are hardly ever longer than all others nearby.
_LONGER, _TYPICAL = 2.5, 3.5

#: The middle of all jumps is longer still than about the longest of what is none, both by what is
#: nearby.
_GAP = 2.5

#: The same where steps do not follow smoothly, as of prices; where there is one jump alone; and
#: one of a single feature.
_LONGER_IN_NOISE, _ALONE, _ALONE_IN_ONE = 12.0, 5.0, 8.0

#: Jumps that it takes where steps do not follow smoothly.
_FEWEST_IN_NOISE = 3

#: Rows on either side that are nearby; share of neighbouring steps of one sign that is smooth.
_NEAR, _SAME_SIGN = 4, 0.65

#: Share of the rows at which recordings begin, at most.
_MOST = 0.1

#: Two jumps from about the same state to about the same are how the system moves; about means this
#: share of the jump.
_SAME = 0.12

#: Share of the jumps that are unlike all others, at least; share of the features that jump.
_UNLIKE, _TOGETHER = 0.5, 0.6

#: Share of the jumps of one feature that it creeps up to and creeps back from, at least, as
#: relaxation oscillators do; rows that show it; and of one jump alone, the way from the first to
#: the last of this share of the rows on either side, as a share of the range there.
_CREEPS, _CREEP_ROWS, _CREEP_SHARE, _ONE_WAY = 0.8, 6, 0.125, 0.8

#: Share of the jumps at which a feature is said to jump, at least.
_OFTEN = 0.3

#: A feature jumps if its step is longer by this factor than its steps nearby.
_JUMPS = 1.6

#: Where so many features, not one and not a field's, all jump together, jumps from like states to
#: like ones are experiments that begin alike: oscillators have a slow variable.
_RESET, _MOST_RESET = 3, 8


def glued(sample: Sample) -> list[Finding]:
    """Look for jumps that no motion makes."""
    set_levels = sample.set_levels()
    part = sample.take(sample.moving()).scaled()
    if not part.names:
        return []
    leaps = _leaps(part)
    count = sum(len(places) for places in leaps)
    together = _together(part, leaps) if count else 0.0
    if together < _TOGETHER:
        return []
    all_jump = together == 1 and _RESET <= len(part.names) <= _MOST_RESET
    if not all_jump and (_recur(part, leaps) or _relaxes(part, leaps)):
        return []
    if any(_explains(sample, leaps, k) for k in set_levels):
        return []
    piece = next(j for j, places in enumerate(leaps) if len(places))
    rows = leaps[piece] + sample.first_rows[piece] + 1
    at = place(sample.trajectories[piece], 0, sample.n_trajectories).removesuffix("row 0")
    shown, every = listing(rows, 5), np.unique(np.diff(rows))
    evenly = f", every {every[0]} rows" if len(rows) > 2 and len(every) == 1 else ""
    return [
        Finding(
            "glued",
            f"All features jump far beyond their usual step at {at}row{'s' if count > 1 else ''} "
            f"{shown} ({count} in all{evenly}): several recordings seem to stand below each other.",
            "Number them in a column named trajectory, or give a list of arrays, one a recording: "
            f"numpy.split(array, {rows[:3].tolist()}{' + ...' if count > 3 else ''}).",
            sample.trajectories[piece],
            int(rows[0]),
        )
    ]


def _leaps(part: Sample) -> list[np.ndarray]:
    """Return for each piece the steps, by number, that are far beyond those around them."""
    steps = [np.diff(piece, axis=0) for piece in part.pieces]
    lengths = [np.linalg.norm(d, axis=1) for d in steps]
    ratios = [_beyond_nearby(length) for length in lengths]
    none = [np.zeros(0, dtype=np.int64) for _ in steps]
    every = np.concatenate(lengths)
    longest = float(np.median(every)) * _LONGER
    is_smooth = _same_sign(steps) > _SAME_SIGN
    factor = _LONGER if is_smooth else _LONGER_IN_NOISE
    leaps = [
        np.flatnonzero((r > factor) & (length > longest))
        for r, length in zip(ratios, lengths, strict=True)
    ]
    ratio = np.concatenate([r[places] for places, r in zip(leaps, ratios, strict=True)])
    n = len(ratio)
    if n == 0 or n > _MOST * len(every):
        return none
    others = np.sort(
        np.concatenate([np.delete(r, at) for at, r in zip(leaps, ratios, strict=True)])
    )
    # Some jumps are short by chance and stand among the others.
    if np.median(ratio) < max(_TYPICAL, _GAP * float(others[-min(n + 3, len(others))])):
        return none
    alone = _ALONE if len(part.names) > 1 else _ALONE_IN_ONE
    if is_smooth and n == 1 and ratio[0] < alone:
        return none
    return none if not is_smooth and n < _FEWEST_IN_NOISE else leaps


def _beyond_nearby(length: np.ndarray) -> np.ndarray:
    """Return each step's length by the longest of those nearby; 0 at the ends."""
    n = len(length)
    if n < 2 * _NEAR + 1:
        return np.zeros(n)
    padded = np.concatenate([np.zeros(_NEAR), length, np.zeros(_NEAR)])
    near = np.zeros(n)
    for j in range(1, _NEAR + 1):
        np.maximum(near, padded[_NEAR - j : _NEAR - j + n], out=near)
        np.maximum(near, padded[_NEAR + j : _NEAR + j + n], out=near)
    ratio = np.where(near > 0, length / np.where(near > 0, near, 1), 0)
    ratio[[0, -1]] = 0
    return ratio


def _same_sign(steps: list[np.ndarray]) -> float:
    """Return how often a step has the sign of the one before, in the middle of the features."""
    same = [(d[1:] * d[:-1] > 0).sum(axis=0) for d in steps]
    known = [(d[1:] * d[:-1] != 0).sum(axis=0) for d in steps]
    return float(np.median(np.sum(same, axis=0) / np.maximum(np.sum(known, axis=0), 1)))


def _recur(part: Sample, leaps: list[np.ndarray]) -> bool:
    """Whether most jumps lead from about where another one does to about where it does."""
    start = np.concatenate([p[places] for p, places in zip(part.pieces, leaps, strict=True)])
    end = np.concatenate([p[places + 1] for p, places in zip(part.pieces, leaps, strict=True)])
    if len(start) < 2:
        return False
    start, end = start[:512], end[:512]
    length = np.linalg.norm(end - start, axis=1)
    distance = np.maximum(
        np.linalg.norm(start[:, None] - start, axis=2), np.linalg.norm(end[:, None] - end, axis=2)
    )
    np.fill_diagonal(distance, np.inf)
    return bool((distance.min(axis=1) > _SAME * length).mean() < _UNLIKE)


def _relaxes(part: Sample, leaps: list[np.ndarray]) -> bool:
    """Whether one feature creeps on before its leaps and creeps back after them."""
    if len(part.names) > 1:
        return False
    creeps = []
    alone = sum(len(places) for places in leaps) == 1
    for piece, places in zip(part.pieces, leaps, strict=True):
        x = piece[:, 0]
        steps = np.diff(x)
        for at in places.tolist():
            # A leap may take two rows.
            before = steps[max(0, at - _CREEP_ROWS) : at].sum()
            behind = steps[at + 2 : at + 2 + _CREEP_ROWS].sum()
            near = max(_CREEP_ROWS, int(_CREEP_SHARE * len(x)))
            sides = x[max(0, at + 1 - near) : at + 1], x[at + 2 : at + 2 + near]
            one_way = not alone or min(map(_one_way, sides)) >= _ONE_WAY
            creeps.append(one_way and before * steps[at] > 0 > behind * steps[at])
    return float(np.mean(creeps)) >= _CREEPS


def _one_way(x: np.ndarray) -> float:
    return float(abs(x[-1] - x[0]) / max(np.ptp(x), 1e-300)) if len(x) else 0.0


def _together(part: Sample, leaps: list[np.ndarray]) -> float:
    """Return the share of the features that jump at some of the places, by their own steps.

    Where steps do not follow smoothly it is no more than the share at a place: columns of heavy
    tails leap each by itself.
    """
    jumps, counts = np.zeros(len(part.names)), 0
    for piece, places in zip(part.pieces, leaps, strict=True):
        d = np.abs(np.diff(piece, axis=0))
        for at in places[:64].tolist():
            near = np.concatenate([d[max(0, at - 3) : at], d[at + 1 : at + 4]])
            jumps += d[at] > _JUMPS * near.max(axis=0)
            counts += 1
    share = float((jumps >= _OFTEN * counts).mean())
    is_smooth = _same_sign([np.diff(piece, axis=0) for piece in part.pieces]) > _SAME_SIGN
    return share if is_smooth else min(share, float(jumps.mean()) / counts)


def _explains(sample: Sample, leaps: list[np.ndarray], k: int) -> bool:
    """Whether a level that is set from outside changes where the jumps are."""
    changed = [
        (np.diff(piece[:, k]) != 0)[places]
        for piece, places in zip(sample.pieces, leaps, strict=True)
    ]
    return bool(np.concatenate(changed).mean() > 0.5)
