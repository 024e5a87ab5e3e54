"""What a forecast keeps when its phase is lost: spectra in time and distributions of values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyhits.evaluation.metrics import power_spectra
from pyhits.plots.look import FORECAST, RECORDED, label, logarithmic, panels, thin_ticks

#: Columns of a histogram; and energies drawn, as a part of the strongest frequency's.
_BINS, _LEAST_DRAWN = 40, 1e-9

#: Features drawn.
_FEATURES = 4


def spectra(
    truth: np.ndarray, forecast: np.ndarray, dt: float, names: Sequence[str], *, ax: Any = None
) -> Any:
    """Draw how energy and values of ``(n, time, d)`` are distributed, of four features at most.

    Above the power spectra in time, below the densities of values; where the truth is NaN, beyond a
    trajectory's end, the forecast does not count.

    Raises
    ------
    DataError
        No trajectory has the 32 rows that a spectrum in time takes.
    """
    shown = min(_FEATURES, truth.shape[2])
    truth, forecast = truth[..., :shown], forecast[..., :shown]
    frequencies, *both = power_spectra(truth, forecast, dt)
    found = panels(ax, (2, shown), (2.4 * max(shown, 2), 4.4))
    known = np.isfinite(truth)
    styles = {"color": RECORDED, "linewidth": 2.2}, {"color": FORECAST, "linewidth": 1.2}
    for k in range(shown):
        above, below = found[:, k]
        values = [x[..., k][known[..., k]] for x in (truth, forecast)]
        low, high = (float(np.percentile(np.concatenate(values), q)) for q in (0.1, 99.9))
        room = 0.5 if low == high else 0.0
        edges = np.linspace(low - room, high + room, _BINS + 1)
        for energies, own, style, name in zip(
            both, values, styles, ("recorded", "forecast"), strict=True
        ):
            above.plot(frequencies, energies[:, k], label=name, **style)
            counts, _ = np.histogram(own, edges)
            share = counts / max(counts.sum(), 1) / np.diff(edges)
            below.stairs(share, edges, **style)
        above.set_xscale("log")
        thin_ticks(above.xaxis)
        logarithmic(above)
        largest = both[0][:, k].max()
        if largest > 0:
            above.set_ylim(largest * _LEAST_DRAWN, 5 * largest)
        above.set(xlabel="frequency (1 / time)", title=label(names[k]))
        below.set(xlabel=label(names[k]))
    found[0, 0].set_ylabel("power (arbitrary unit)")
    found[1, 0].set_ylabel("density")
    found[0, 0].legend(frameon=False, fontsize=8)
    return found
