"""Oscillations whose amplitude grows to the end of the recording."""

from __future__ import annotations

import numpy as np

from pyhits.data.diagnostics.finding import Finding
from pyhits.data.diagnostics.sample import Sample

#: Parts of a recording, rows of each at least, and parts in which it crosses its trend at least.
_PARTS, _FEWEST_ROWS, _PARTS_WITH_WAVES = 8, 12, 6

#: Standard deviation of the last part, as a share of the range, at least.
_LEAST = 0.1

#: Amplitude of the last part by that of the first, and by that of the sixth, at least.
_GROWTH, _STILL = 3.0, 1.15

#: Amplitude of the last quarter by that of the first, at least: an eighth may hold half a wave,
#: whose spread depends on its phase.
_GROWTH_OF_QUARTERS = 2.0

#: Share of the features that grow, at least.
_SHARE = 0.3

#: Steps back that the amplitude takes from part to part, at most.
_STEPS_BACK = 1


def growing(sample: Sample) -> list[Finding]:
    """Look for amplitudes that grow, in most of the trajectories."""
    columns = sample.moving()
    long_enough = [piece for piece in sample.pieces if len(piece) >= _PARTS * _FEWEST_ROWS]
    if not long_enough or len(long_enough) < 0.5 * len(sample.pieces):
        return []
    if len({*sample.trajectories}) < len(sample.pieces):
        # Stretches of one trajectory do not reach from its beginning to its end.
        return []
    factors = {}
    for k in columns:
        found = [growth for piece in long_enough if (growth := _growth(piece[:, k])) is not None]
        if len(found) > 0.5 * len(long_enough):
            factors[sample.names[k]] = float(np.median(found))
    # Where single points of a field grow, their neighbours shrink.
    if len(factors) < max(1, _SHARE * len(columns)):
        return []
    name = max(factors, key=lambda n: factors[n])
    others = f" (and {len(factors) - 1} more)" if len(factors) > 1 else ""
    return [
        Finding(
            "growing",
            f"The amplitude of {name!r}{others} grows {factors[name]:.3g}-fold from the first "
            "eighth of the recording to the last, and still grows there: forecasts leave what was "
            "recorded.",
            "Expect little beyond the recorded range; where the motion grows with its level, take "
            "logarithms (numpy.log) of what is positive, or divide by the trend.",
            features=tuple(factors),
        )
    ]


def _growth(x: np.ndarray) -> float | None:
    """Return the amplitude at the end by that at the beginning, None where it does not grow."""
    size = len(x) // _PARTS
    parts = x[: size * _PARTS].reshape(_PARTS, size)
    amplitude = _amplitudes(parts)
    if not amplitude.min() > 0 or amplitude[-1] < _LEAST * np.ptp(x):
        return None
    last_growth = amplitude[-1] / max(amplitude[:-2])
    back = int((np.diff(amplitude) < 0).sum())
    growth = float(amplitude[-1] / amplitude[0])
    if growth < _GROWTH or last_growth < _STILL or back > _STEPS_BACK:
        return None
    quarters = _amplitudes(parts.reshape(_PARTS // 2, 2 * size))
    if quarters[-1] < _GROWTH_OF_QUARTERS * quarters[0]:
        return None
    # Waves, not noise: a step tells of the next, and there are several.
    d = np.diff(parts, axis=1)
    scaled = d / np.maximum(d.std(axis=1, keepdims=True), 1e-300)
    if (scaled[:, 1:] * scaled[:, :-1]).mean() < 0.3:
        return None
    at = np.linspace(-1, 1, size * _PARTS)
    trend = np.polynomial.polynomial.polyval(
        at, np.polynomial.polynomial.polyfit(at, x[: size * _PARTS], 3)
    )
    crosses = np.diff(np.sign(parts - trend.reshape(parts.shape)), axis=1) != 0
    return growth if crosses.any(axis=1).sum() >= _PARTS_WITH_WAVES else None


def _amplitudes(parts: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each row of ``parts (n, size)`` about its own line, (n,)."""
    line = np.linspace(-1, 1, parts.shape[1])
    slope = (parts @ line / (line @ line))[:, None]
    around = parts - parts.mean(axis=1, keepdims=True) - slope * line
    return np.asarray(around.std(axis=1))
