"""States in other units than those of the training data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyhits.data.diagnostics.finding import Finding
from pyhits.data.grid import Grid

#: Factors between units that people mix up, with what they are.
_FACTORS = {
    10.0: "a power of ten",
    100.0: "percent, or centimetres and metres",
    1e3: "milli or kilo",
    1e6: "micro or mega",
    1e9: "nano or giga",
    60.0: "minutes",
    3600.0: "hours",
    57.29577951308232: "degrees and radians",
    6.283185307179586: "turns and radians",
    360.0: "turns and degrees",
    25.4: "inches and millimetres",
    101325.0: "atmospheres and pascals",
}

#: Differences between scales: of kelvin and degrees Celsius.
_OFFSETS = {273.15: "kelvin and degrees Celsius"}

#: How far outside of its recorded range a single value lies, in parts of it; the middle of several.
_FAR_ONE, _FAR = 3.0, 1.5

#: How far outside data may begin that go on from the recorded range, in parts of it, and the least
#: part of their spread from their first row to their last.
_AT_THE_EDGE, _ONE_WAY = 0.1, 0.8

#: Part of the range by which converted values may pass it, and share of them that lie within.
_MARGIN, _WITHIN = 0.25, 0.9

#: Rows that show a spread; how much less a feature moves than recorded while another moves as much.
_SPREAD_ROWS, _LESS, _AS_MUCH = 20, 0.04, 0.3

#: Ratio of spreads that agrees with a factor.
_AGREES = 4.0

#: Rows looked at, at most.
_MOST_ROWS = 4096


def units(
    states: np.ndarray,
    names: Sequence[str],
    low: Any,
    high: Any,
    *,
    what: str,
    grid: Grid | None = None,
) -> list[Finding]:
    """Look whether other units would put states into the range of the training data.

    Parameters
    ----------
    states : array, shape (n, d)
        In the user's units.
    names : sequence of str
        Of the features.
    low, high : array, shape (d,)
        Range of each in the training data.
    what : str
        What the states are, for the sentence: ``"initial states"``.
    grid : Grid, optional
        Where the features lie: all points of a channel have one unit, and one range.
    """
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    if grid is not None:
        names, channels = grid.channels, grid.n_channels
        states = states.reshape(-1, channels)
        low, high = low.reshape(-1, channels).min(axis=0), high.reshape(-1, channels).max(axis=0)
    step = max(1, len(states) // _MOST_ROWS)
    x = np.asarray(states[::step], dtype=np.float64)
    if len(x) < _SPREAD_ROWS and ((x >= low) & (x <= high)).all():
        return []
    width = np.maximum(high - low, 1e-5 * np.maximum(np.abs(low), np.abs(high)))
    excess = np.maximum(np.maximum(low - x, x - high) / np.where(width > 0, width, np.inf), 0)
    most = _FAR_ONE if len(x) == 1 else _FAR
    far = excess.max(axis=0) > most  # as medians are no larger, and take longer
    if far.any():
        far = np.median(excess, axis=0) > most
    # Growth that begins in the range and leaves it is no change of units.
    begins = excess[0] <= _AT_THE_EDGE
    far &= ~(begins & (np.abs(x[-1] - x[0]) >= _ONE_WAY * np.ptp(x, axis=0)))
    moved = np.ptp(x, axis=0) / np.where(width > 0, width, np.inf)
    still = np.zeros(len(names), dtype=bool)
    if len(x) >= _SPREAD_ROWS and (moved > _AS_MUCH).any():
        still = (moved > 0) & (moved < _LESS) & (np.abs(x).max(axis=0) < _LESS * width)
    found = []
    for k in np.flatnonzero((far | still) & (width > 0)).tolist():
        change = _conversion(x[:, k], low[k], high[k], width[k])
        if change is None:
            continue
        found.append((k, *change))
    if not found:
        return []
    k, how, reason = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    span = f"{x[0, k]:.4g}" if len(x) == 1 else f"{x[:, k].min():.4g} to {x[:, k].max():.4g}"
    return [
        Finding(
            "units",
            f"{names[k]!r}{more} is {span} in the {what}, recorded in training were "
            f"{low[k]:.4g} to {high[k]:.4g}; {how} it would lie there ({reason}).",
            "Give the states in the units of the training data.",
            features=tuple(names[at] for at, *_ in found),
        )
    ]


def _conversion(x: np.ndarray, low: float, high: float, width: float) -> tuple[str, str] | None:
    """Return the change of units that puts values into the range, in words, and its reason."""
    best: tuple[float, str, str] | None = None
    known = len(x) >= _SPREAD_ROWS and np.ptp(x) > 0
    candidates = [
        (x / f, f"divided by {f:.6g}", reason, 1 / f) for f, reason in _FACTORS.items()
    ] + [(x * f, f"multiplied by {f:.6g}", reason, f) for f, reason in _FACTORS.items()]
    for offset, reason in _OFFSETS.items():
        candidates += [
            (x - offset, f"less {offset:g}", reason, 1.0),
            (x + offset, f"plus {offset:g}", reason, 1.0),
        ]
    usual = 0.7 * max(abs(low), abs(high))
    for y, how, reason, _ in candidates:
        inside = (y >= low - _MARGIN * width) & (y <= high + _MARGIN * width)
        if inside.mean() < _WITHIN:
            continue
        if known:
            off = abs(float(np.log(np.ptp(y) / width)))
            if off > np.log(_AGREES) and np.ptp(y) < width / 50:
                continue
        else:
            off = abs(float(np.log(max(float(np.median(np.abs(y))), 1e-300) / usual)))
        if best is None or off < best[0]:
            best = (off, how, reason)
    return None if best is None else best[1:]
