"""Errors of forecasts, as the field defines them.

Arrays are ``(n, time, d)``, or ``(time, d)`` for one trajectory. Where the truth ends early with
NaN nothing is compared; where the forecast alone is not finite, it has diverged.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pyhits.errors import DataError
from pyhits.numerics.forecast_errors import VALID_THRESHOLD, ForecastErrors, count_valid_steps
from pyhits.util.checks import as_choice, as_positive

#: Frequencies with less than this part of the strongest one's energy are left out of spectra.
_LEAST_ENERGY = 1e-6

#: Rows of the segments that spectra in time are averaged over, at most and at least: enough of them
#: tell a spectrum from its scatter, and shorter ones tell no frequencies apart.
_LONGEST_SEGMENT, SHORTEST_SEGMENT = 256, 32

_NOTHING = "There is nothing to compare: no value of the truth is finite."

#: The largest term of sMAPE, in percent: that of a forecast that has diverged.
_MOST_PERCENT = 200.0


def valid_steps(
    truth: np.ndarray, forecast: np.ndarray, scale: np.ndarray, threshold: float = VALID_THRESHOLD
) -> np.ndarray:
    """Number of steps, for each trajectory, before the normalised error passes ``threshold``.

    Parameters
    ----------
    truth, forecast : array, shape (n, time, d)
        Row 0 is the initial state. Truth may end early with NaN.
    scale : array, shape (d,)
        Standard deviation of each feature.

    Returns
    -------
    array of int, shape (n,)
        The number of steps recorded, for a trajectory whose error never passes; 0 where the first
        row is as wrong, as encoders and simple forecasts leave it.
    """
    return count_valid_steps(truth, forecast, scale, threshold)


def valid_time(
    truth: np.ndarray,
    forecast: np.ndarray,
    scale: np.ndarray,
    dt: float,
    *,
    threshold: float = VALID_THRESHOLD,
    lyapunov: float | None = None,
) -> np.ndarray:
    """Time, for each trajectory, before the normalised error passes ``threshold``.

    Parameters
    ----------
    truth, forecast, scale, threshold
        As in :func:`valid_steps`.
    dt : float
        Time step.
    lyapunov : float, optional
        Largest Lyapunov exponent of the system, in units of one over that of ``dt``. Times are then
        in Lyapunov times, over which an error grows e-fold.

    Returns
    -------
    array, shape (n,)
    """
    unit = as_positive(dt, "dt") * (1.0 if lyapunov is None else as_positive(lyapunov, "lyapunov"))
    return np.asarray(unit * valid_steps(truth, forecast, scale, threshold))


def nrmse(truth: np.ndarray, predicted: np.ndarray, scale: np.ndarray | None = None) -> float:
    """Root mean squared error in units of each feature's ``scale``; infinite if diverged.

    Parameters
    ----------
    truth, predicted : array, shape (n, time, d) or (time, d)
        All rows count.
    scale : array, shape (d,), optional
        By default the truth's standard deviation; 1 for a feature that is constant.
    """
    pair = _Pair.of(truth, predicted)
    if scale is None:
        spread = np.sqrt(np.nanvar(np.where(pair.known, pair.truth, np.nan), axis=(0, 1)))
        scale = np.where(spread > 0, spread, 1.0)
    return ForecastErrors.of(pair.truth, pair.predicted, scale, first=0).rmse


def smape(truth: np.ndarray, predicted: np.ndarray, *, block: int = 1 << 20) -> float:
    """Symmetric mean absolute percentage error, from 0 to 200.

    The mean of ``200 |a - f| / (|a| + |f|)`` over all values a that are known and their forecasts
    f; 0 where both are 0, and 200 where the forecast has diverged (Makridakis 1993, Int. J.
    Forecasting 9, 527). It depends on where zero lies: an error near zero counts in full.

    Parameters
    ----------
    truth, predicted : array, shape (n, time, d) or (time, d)
        All rows count.
    block : int
        Numbers compared at a time.
    """
    a, f = (np.asarray(x).reshape(-1) for x in (truth, predicted))
    if np.shape(truth) != np.shape(predicted):
        raise _unlike(np.shape(truth), np.shape(predicted))
    total, count = 0.0, 0
    for begin in range(0, len(a), block):
        part = slice(begin, begin + block)
        known = np.isfinite(a[part])
        true, own = (x[part][known].astype(np.float64) for x in (a, f))
        with np.errstate(invalid="ignore", over="ignore"):
            size = np.abs(true) + np.abs(own)
            ratio = np.abs(own - true) / np.where(size > 0, size, 1.0)
        total += float(np.where(np.isfinite(own), ratio, 1.0).sum())
        count += len(true)
    if count == 0:
        raise DataError(_NOTHING)
    return _MOST_PERCENT * total / count


def spectral_distance(truth: np.ndarray, predicted: np.ndarray, *, along: str = "time") -> float:
    """Mean distance of the logarithms (base 10) of two power spectra.

    0 for equal spectra, 1 where the energies differ tenfold; infinite if the forecast diverged.
    Frequencies at which the truth has less than a millionth of the strongest one's energy do not
    count, nor do features that are constant. A shift in time changes nothing but the scatter.

    Parameters
    ----------
    truth, predicted : array, shape (n, time, d) or (time, d)
    along : {"time", "space"}
        The spectrum of each feature in time, averaged over segments and trajectories (Welch 1967,
        IEEE Trans. Audio Electroacoust. 15, 70), or along the features, which then are the points
        of one field at even distances, averaged over all rows.

    Raises
    ------
    DataError
        No trajectory has the 32 rows that a spectrum in time takes.
    """
    as_choice(along, "direction", ("time", "space"))
    pair = _Pair.of(truth, predicted)
    if pair.diverged:
        return np.inf
    if along == "space":
        rows = pair.known.all(axis=2)
        true, own = (
            np.square(np.abs(np.fft.rfft(x[rows], axis=1))).mean(axis=0)[:, None]
            for x in (pair.truth, pair.predicted)
        )
    else:
        true, own = pair.spectra()
    strongest = true.max(axis=0)
    strong = true > _LEAST_ENERGY * strongest
    if not strong.any():
        return 0.0
    least = np.broadcast_to(_LEAST_ENERGY**2 * strongest, true.shape)
    distance = np.abs(np.log10(np.maximum(own[strong], least[strong]) / true[strong]))
    return float(distance.mean())


def power_spectra(
    truth: np.ndarray, predicted: np.ndarray, dt: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what :func:`spectral_distance` compares in time: frequencies, and energies of both.

    Parameters
    ----------
    truth, predicted : array, shape (n, time, d) or (time, d)
    dt : float
        Time between rows.

    Returns
    -------
    frequencies : array, shape (k,)
        In cycles per unit of ``dt``, without 0.
    true, own : array, shape (k, d)
        Energies, in one unit for both.

    Raises
    ------
    DataError
        No trajectory has the 32 rows that a spectrum in time takes.
    """
    true, own = _Pair.of(truth, predicted).spectra()
    n_frequencies = len(true) - 1
    return np.arange(1, n_frequencies + 1) / (2 * n_frequencies * dt), true[1:], own[1:]


def histogram_distance(
    truth: np.ndarray,
    predicted: np.ndarray,
    scale: np.ndarray | None = None,
    *,
    pooled: bool = False,
) -> float:
    """Wasserstein distance between the distributions of values, when they come not counting.

    The mean over the features, each in units of its ``scale``; infinite if the forecast diverged.

    Parameters
    ----------
    truth, predicted : array, shape (n, time, d) or (time, d)
    scale : array, shape (d,), optional
        1 by default: the distance is in the units of the data.
    pooled : bool
        One distribution of all features' values, for the points of one field.
    """
    pair = _Pair.of(truth, predicted)
    if pair.diverged:
        return np.inf
    unit = np.ones(pair.truth.shape[2]) if scale is None else scale
    distances = []
    groups = [slice(None)] if pooled else [slice(k, k + 1) for k in range(len(unit))]
    for part in groups:
        known = pair.known[..., part]
        values = (np.sort((x[..., part] / unit[part])[known]) for x in (pair.truth, pair.predicted))
        distances.append(float(np.abs(np.subtract(*values)).mean()))
    return float(np.mean(distances))


def _unlike(truth: tuple[int, ...], predicted: tuple[int, ...]) -> DataError:
    return DataError(
        f"Expected truth and forecast of one shape, (n, time, d) or (time, d), got {truth} and "
        f"{predicted}."
    )


class _Pair(NamedTuple):
    """Truth and forecast, ``(n, time, d)`` in float64, and where the truth is known."""

    truth: np.ndarray
    predicted: np.ndarray
    known: np.ndarray

    @classmethod
    def of(cls, truth: np.ndarray, predicted: np.ndarray) -> _Pair:
        """Check the shapes; a DataError if they differ or nothing is known."""
        a, f = (np.asarray(x, dtype=np.float64) for x in (truth, predicted))
        if a.shape != f.shape or a.ndim not in (2, 3) or a.size == 0:
            raise _unlike(a.shape, f.shape)
        if a.ndim == 2:
            a, f = a[None], f[None]
        known = np.isfinite(a)
        if not known.any():
            raise DataError(_NOTHING)
        return cls(a, f, known)

    @property
    def counts(self) -> np.ndarray:
        """Known values of each feature, at least 1; shape ``(d,)``."""
        return np.asarray(np.maximum(self.known.sum(axis=(0, 1)), 1))

    @property
    def diverged(self) -> bool:
        """Whether the forecast is not finite somewhere where the truth is known."""
        return not np.isfinite(self.predicted[self.known]).all()

    def spectra(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the power spectra in time of both, each of shape ``(n_frequencies, d)``."""
        lengths = self.known.all(axis=2).sum(axis=1)
        longest = int(lengths.max())
        if longest < SHORTEST_SEGMENT:
            raise DataError(
                f"A spectrum in time takes {SHORTEST_SEGMENT} rows; the longest trajectory has "
                f"{longest}."
            )
        size = min(_LONGEST_SEGMENT, 1 << (longest.bit_length() - 1))
        begins = np.arange(0, longest - size + 1, size // 2)
        window = np.hanning(size + 1)[:size, None]
        true, own = (np.zeros((size // 2 + 1, self.truth.shape[2])) for _ in range(2))
        for begin in begins:
            whole = lengths >= begin + size
            for energies, x in ((true, self.truth), (own, self.predicted)):
                part = x[whole, begin : begin + size]
                part = (part - part.mean(axis=1, keepdims=True)) * window
                found = np.square(np.abs(np.fft.rfft(part, axis=1))).sum(axis=0)
                np.add(energies, found, out=energies)
        # A constant has no spectrum but that of rounding.
        size_of = np.abs(np.where(self.known, self.truth, 0.0)).max(axis=(0, 1))
        true[:, true.max(axis=0) <= np.square(size_of * 1e-13 * size)] = 0.0
        return true, own
