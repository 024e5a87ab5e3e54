"""Sensors whose grid is as coarse as their motion from row to row."""

from __future__ import annotations

import numpy as np

from pyhits.data.diagnostics.finding import Finding
from pyhits.data.diagnostics.sample import Sample

#: Levels that a feature passes, and steps that are not zero, at least.
_FEWEST_LEVELS, _FEWEST_STEPS = 6, 20

#: The middle of the steps that are not zero is one unit of the grid; so many rows repeat the last.
_REPEATED = 0.3

#: Neighbouring steps that are not zero and have the same sign: more often than noise or counts do.
_PERSISTENT = 0.75


def quantised(sample: Sample) -> list[Finding]:
    """Look for smooth motion on a grid that is coarser than a step of it."""
    units = {}
    for k in sample.judged:
        unit = _unit([piece[:, k] for piece in sample.pieces])
        if unit is not None:
            units[sample.names[k]] = unit
    if not units:
        return []
    names = tuple(units)
    name, unit = next(iter(units.items()))
    also = f" So do {len(names) - 1} more features." if len(names) > 1 else ""
    return [
        Finding(
            "quantised",
            f"{name!r} moves in steps of {unit:.4g}, mostly one or none from row to row: rounding "
            f"hides how it moves.{also}",
            "Take the sensor's full resolution, take rows farther apart (pyhits.repair(..., "
            "resample=), or --resample), or smooth it beforehand.",
            features=names,
        )
    ]


def _unit(columns: list[np.ndarray]) -> float | None:
    """Return the grid's unit where it is as coarse as the motion."""
    steps = np.concatenate([np.diff(x) for x in columns])
    nonzero = np.abs(steps[steps != 0])
    if len(nonzero) < _FEWEST_STEPS or len(nonzero) > (1 - _REPEATED) * len(steps):
        return None
    unit = float(np.median(nonzero))
    # Most steps are the same, and the rest are multiples of it.
    off = np.abs(nonzero / unit - np.round(nonzero / unit))
    if np.quantile(off, 0.99) > 0.02 or (nonzero < 1.5 * unit).mean() < 0.6:
        return None
    if (max(x.max() for x in columns) - min(x.min() for x in columns)) < _FEWEST_LEVELS * unit:
        return None
    signs = [np.sign(d[d != 0]) for d in (np.diff(x) for x in columns)]
    same = np.concatenate([s[1:] == s[:-1] for s in signs])
    return unit if len(same) and same.mean() >= _PERSISTENT else None
