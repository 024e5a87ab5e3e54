"""The state at the end of a noisy recording: the one that the model's own steps explain best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

#: Rows that a start is fitted to, ever more of them while the model follows; the last is the most.
ROWS = (8, 16, 32, 64, 128, 256)

#: Rows that a fit begins with: the recorded state is then near enough for Gauss-Newton steps.
_FIRST_ROWS = 4

#: Iterations of each fit, and the relative gain that ends them.
_ITERATIONS, _CONVERGED = 6, 1e-3

#: Damping of the first step, and that beyond which a state stays.
_DAMPING, _MOST_DAMPING = 1e-6, 1e3

#: Differences for the derivatives: this part of the noise, and of the scale at least, which is
#: large beside the rounding of float32 and small beside anything that bends.
_STEP, _LEAST_STEP = 0.3, 1e-4

#: A coordinate without noise counts as if it had this part of the noisiest one's.
_LEAST_SHARE = 0.1

#: Mean squared residuals, in units of the noise, that a fit may leave: so much, and as many
#: standard deviations of their scatter more. The noise is known to some ten per cent.
_LEFT, _SCATTER = 1.2, 3.0

#: Mean squared residual below which a recording carries hardly any of the noise.
_CLEAN = 0.25

#: Standard deviations by which the ends of a longer and a shorter fit may differ. Beyond, the model
#: no longer follows (Lepski 1991, Theory Prob. Appl. 35, 454).
_APART = 3.0

#: Numbers of one simulation for derivatives, at most; it has one trajectory at least.
_AT_ONCE = 1 << 23

#: Steps states (n, d) over a number of steps: (n, n_steps + 1, d), NaN where it diverges.
Stepper = Callable[[np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class Ends:
    """States at the ends of recordings.

    Attributes
    ----------
    states : array, shape (n, d)
    rows : array of int, shape (n,)
        Rows that each was fitted to; 0 where the recorded row stays: the model does not follow the
        recording, it is too short, or it carries hardly any noise.
    """

    states: np.ndarray
    rows: np.ndarray

    def note(self) -> str:
        """Return a sentence for people."""
        n, fitted = len(self.rows), self.rows[self.rows > 0]
        if len(fitted) == 0:
            return f"Start: {'as recorded' if n == 1 else 'all as recorded'}; no noise to take off."
        low, high = int(fitted.min()), int(fitted.max())
        over = f"{low}" if low == high else f"{low} to {high}"
        which = "" if n == 1 else f" of {len(fitted)} of {n} recordings"
        return f"Start{which}: fitted to the last {over} rows, as noise lies on them."


def smooth_ends(
    stepper: Stepper, recordings: list[np.ndarray], sigma: np.ndarray, scale: np.ndarray
) -> Ends:
    """Return the last states of recordings without their noise.

    The state some rows before the end is chosen so that the model, stepped on from it, fits the
    recorded rows best in least squares, by damped Gauss-Newton steps for all recordings at once
    (strong-constraint assimilation: Talagrand, Courtier 1987, Q. J. R. Meteorol. Soc. 113, 1311);
    the state that it then leads to is the last one. As many rows are used as the model follows.

    Parameters
    ----------
    stepper : callable
    recordings : list of array, each (time, d)
    sigma : array, shape (d,)
        Standard deviation of the noise; positive for one coordinate at least.
    scale : array, shape (d,)
        Size of the coordinates.
    """
    relative = sigma / scale
    weight = 1 / (np.maximum(relative, _LEAST_SHARE * relative.max()) * scale)
    move = np.maximum(_STEP / weight, _LEAST_STEP * scale)
    n, d = len(recordings), len(sigma)
    most = min(ROWS[-1], max(len(x) for x in recordings))
    known = np.full((n, most, d), np.nan)
    for own, x in zip(known, recordings, strict=True):
        own[max(0, most - len(x)) :] = x[-most:]
    states, used = known[:, -1].copy(), np.zeros(n, dtype=np.int64)
    size = max(1, _AT_ONCE // ((d + 1) * d * most))
    for begin in range(0, n, size):
        part = slice(begin, begin + size)
        _fit_ends(_Fit(stepper, weight, move), known[part], states[part], used[part])
    return Ends(states, used)


@dataclass(frozen=True)
class _Fit:
    """Fits initial states to the rows after them.

    Attributes
    ----------
    stepper : callable
    weight : array, shape (d,)
        One over the noise of each coordinate.
    move : array, shape (d,)
        Differences of the coordinates for derivatives.
    """

    stepper: Stepper
    weight: np.ndarray
    move: np.ndarray

    def misfits(self, starts: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return each start's sum of squared residuals; infinite where it diverges."""
        return self._misfits(self.stepper(starts, rows.shape[1] - 1), rows)

    def _misfits(self, found: np.ndarray, rows: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", over="ignore"):
            total = np.square((found - rows) * self.weight).sum(axis=(1, 2))
        return np.where(np.isfinite(total), total, np.inf)

    def derivatives(self, starts: np.ndarray, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that starts lead to, and their derivatives ``(n, rows, d, d)``."""
        n, d = starts.shape
        beside = np.concatenate([starts[:, None], starts[:, None] + np.diag(self.move)], axis=1)
        found = self.stepper(beside.reshape(-1, d), n_rows - 1).reshape(n, d + 1, n_rows, d)
        with np.errstate(invalid="ignore", over="ignore"):
            slopes = (found[:, 1:] - found[:, :1]) / self.move[:, None, None]
        return found[:, 0], slopes.transpose(0, 2, 3, 1)

    def __call__(self, starts: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return better starts ``(n, d)``, and their sums of squared residuals ``(n,)``."""
        starts = starts.copy()
        misfits = self.misfits(starts, rows)
        damping = np.full(len(starts), _DAMPING)
        going = np.flatnonzero(np.isfinite(misfits))
        for _ in range(_ITERATIONS):
            if len(going) == 0:
                break
            found, slopes = self.derivatives(starts[going], rows.shape[1])
            steps = self._steps(found, slopes, rows[going], damping[going])
            trial = starts[going] + steps
            now = self.misfits(trial, rows[going])
            before = misfits[going]
            better = now < before
            starts[going[better]] = trial[better]
            misfits[going[better]] = now[better]
            damping[going] *= np.where(better, 0.1, 10.0)
            gained = better & (before - now > _CONVERGED * before)
            again = ~better & (damping[going] < _MOST_DAMPING)
            going = going[gained | again]
        return starts, misfits

    def _steps(
        self, found: np.ndarray, slopes: np.ndarray, rows: np.ndarray, damping: np.ndarray
    ) -> np.ndarray:
        """Return damped Gauss-Newton steps ``(n, d)``; 0 where derivatives are not finite."""
        own, gradient = self._normal(slopes, rows - found)
        sound = np.isfinite(own).all(axis=(1, 2)) & np.isfinite(gradient).all(axis=1)
        steps = np.zeros_like(gradient)
        matrix = own[sound]
        diagonal = np.einsum("njj->nj", matrix)
        diagonal += damping[sound, None] * diagonal + 1e-12 * diagonal.max(axis=1, keepdims=True)
        steps[sound] = np.linalg.solve(matrix, gradient[sound, :, None])[..., 0]
        return steps

    def _normal(self, slopes: np.ndarray, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return normal matrices ``(n, d, d)`` and gradients ``(n, d)``."""
        n, n_rows, d, _ = slopes.shape
        with np.errstate(invalid="ignore", over="ignore"):
            weighted = (slopes * self.weight[:, None]).reshape(n, n_rows * d, d)
            across = weighted.transpose(0, 2, 1)
            left = (residual * self.weight).reshape(n, n_rows * d, 1)
            return across @ weighted, (across @ left)[..., 0]

    def spread(self, slopes: np.ndarray) -> np.ndarray:
        """Return standard deviations of the last states, ``(n, d)``; infinite if unknown."""
        own, _ = self._normal(slopes, np.zeros(slopes.shape[:3]))
        out = np.full(own.shape[:2], np.inf)
        sound = np.isfinite(own).all(axis=(1, 2))
        last = slopes[sound, -1]
        variance = last @ np.linalg.pinv(own[sound], hermitian=True) @ last.transpose(0, 2, 1)
        out[sound] = np.sqrt(np.maximum(np.einsum("njj->nj", variance), 0))
        return out


def _fit_ends(fit: _Fit, known: np.ndarray, states: np.ndarray, used: np.ndarray) -> None:
    """Fill in ``states`` and ``used`` of some recordings, over ever more rows."""
    going = np.arange(len(known))
    within = np.full(states.shape, np.inf)
    d = states.shape[1]
    for n_rows in (k for k in ROWS if k <= known.shape[1]):
        going = going[np.isfinite(known[going, -n_rows]).all(axis=1)]
        if len(going) == 0:
            return
        rows = known[going, -n_rows:]
        starts, length = rows[:, 0], _FIRST_ROWS
        while length <= n_rows:
            starts, misfits = fit(starts, rows[:, :length])
            length *= 2
        free = (n_rows - 1) * d
        mean = misfits / free
        follows = mean <= _LEFT + _SCATTER * np.sqrt(2 / free)
        if n_rows == ROWS[0]:
            follows &= mean >= _CLEAN
        found, slopes = fit.derivatives(starts, n_rows)
        with np.errstate(invalid="ignore"):
            near = np.abs(found[:, -1] - states[going]) <= _APART * within[going]
        follows &= near.all(axis=1) & np.isfinite(found[:, -1]).all(axis=1)
        kept = going[follows]
        states[kept], used[kept] = found[follows, -1], n_rows
        within[kept] = fit.spread(slopes[follows])
        going = kept
