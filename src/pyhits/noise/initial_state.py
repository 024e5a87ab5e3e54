"""Initial states of forecasts from noisy recordings: those that the model's own steps explain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Encoder
from pyhits.errors import ArgumentError
from pyhits.noise.level import noise_level
from pyhits.numerics.gauss_newton import GaussNewton, NormalEquations

#: Rows that a start is fitted to, ever more of them while the model follows; the last is the most.
ROWS = (8, 16, 32, 64, 128, 256)

#: Rows that a fit begins with: the recorded state is then near enough for Gauss-Newton steps.
_FIRST_ROWS = 4

#: Steps of each fit.
_SOLVER = GaussNewton(damping=1e-6, most_damping=1e3, max_trials=6, relative_gain=1e-3)

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
_AGREEING = 3.0

#: Multiply-adds of one set of normal equations, at most: rows times the cube of the coordinates.
_WORK = 2e10

#: Numbers of one simulation for derivatives, at most; it has one trajectory at least.
_AT_ONCE = 1 << 23

#: Steps states (n, d) over a number of steps: (n, n_steps + 1, d), NaN where it diverges.
StepStates = Callable[[np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class EstimatedStates:
    """States at the ends of recordings, where forecasts begin."""

    states: np.ndarray  # (n, d)
    #: Int, (n,): rows that each was fitted to; 0 where the recorded row stays: the model does not
    #: follow the recording, it is too short, or it carries hardly any noise.
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


def estimate_initial_states(
    stepper: StepStates, recordings: list[np.ndarray], sigma: np.ndarray, scale: np.ndarray
) -> EstimatedStates:
    """Return the last states of recordings without their noise.

    The state some rows before the end is chosen so that the model, stepped on from it, fits the
    recorded rows best in least squares, by damped Gauss-Newton steps for all recordings at once
    (strong-constraint assimilation: Talagrand, Courtier 1987, Q. J. R. Meteorol. Soc. 113, 1311);
    the state that it then leads to is the last one. As many rows are used as the model follows.

    Parameters
    ----------
    recordings : list of array, each (time, d)
    sigma : array, shape (d,)
        Standard deviation of the noise; positive for one coordinate at least.
    scale : array, shape (d,)
        Size of the coordinates. Of more than a thousand, states stay as they are recorded.
    """
    relative = sigma / scale
    weight = 1 / (np.maximum(relative, _LEAST_SHARE * relative.max()) * scale)
    move = np.maximum(_STEP / weight, _LEAST_STEP * scale)
    n, d = len(recordings), len(sigma)
    most = min(ROWS[-1], max(len(x) for x in recordings), _affordable_rows(d))
    known = np.full((n, most, d), np.nan)
    for own, x in zip(known, recordings, strict=True):
        own[max(0, most - len(x)) :] = x[len(x) - min(most, len(x)) :]
    states, used = np.stack([x[-1] for x in recordings]), np.zeros(n, dtype=np.int64)
    if most < ROWS[0]:
        return EstimatedStates(states, used)
    size = max(1, _AT_ONCE // ((d + 1) * d * most))
    for begin in range(0, n, size):
        part = slice(begin, begin + size)
        _fill(_SteppedModel(stepper, weight, move), known[part], states[part], used[part])
    return EstimatedStates(states, used)


def _affordable_rows(d: int) -> int:
    """Return how many rows of ``d`` coordinates a state can be fitted to."""
    return int(_WORK / d**3)


@dataclass(frozen=True)
class _SteppedModel:
    """A model whose solutions are fitted to rows."""

    stepper: StepStates
    weight: np.ndarray  # (d,): one over the noise of each coordinate
    move: np.ndarray  # (d,): differences of the coordinates for derivatives

    def derivatives(self, states: np.ndarray, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that states lead to, and their derivatives ``(n, rows, d, d)``."""
        n, d = states.shape
        moved = np.concatenate([states[:, None], states[:, None] + np.diag(self.move)], axis=1)
        found = self.stepper(moved.reshape(-1, d), n_rows - 1).reshape(n, d + 1, n_rows, d)
        with np.errstate(invalid="ignore", over="ignore"):
            slopes = (found[:, 1:] - found[:, :1]) / self.move[:, None, None]
        return found[:, 0], slopes.transpose(0, 2, 3, 1)

    def equations(self, slopes: np.ndarray, residual: np.ndarray) -> NormalEquations:
        """Return the normal equations of rows ``(n, rows, d)`` less those that are reached."""
        n, n_rows, d, _ = slopes.shape
        with np.errstate(invalid="ignore", over="ignore"):
            weighted = (slopes * self.weight[:, None]).reshape(n, n_rows * d, d)
            across = weighted.transpose(0, 2, 1)
            left = (residual * self.weight).reshape(n, n_rows * d, 1)
            return NormalEquations(across @ weighted, (across @ left)[..., 0])

    def spread(self, slopes: np.ndarray) -> np.ndarray:
        """Return standard deviations of the last states, ``(n, d)``; infinite if unknown."""
        own = self.equations(slopes, np.zeros(slopes.shape[:3])).matrix
        out = np.full(own.shape[:2], np.inf)
        sound = np.isfinite(own).all(axis=(1, 2))
        last = slopes[sound, -1]
        variance = last @ np.linalg.pinv(own[sound], hermitian=True) @ last.transpose(0, 2, 1)
        out[sound] = np.sqrt(np.maximum(np.einsum("njj->nj", variance), 0))
        return out


@dataclass(frozen=True)
class _FirstStates:
    """Least squares in the states that lead to given rows, ``(n, rows, d)``."""

    model: _SteppedModel
    rows: np.ndarray

    def costs(self, x: np.ndarray, which: np.ndarray) -> np.ndarray:
        found = self.model.stepper(x, self.rows.shape[1] - 1)
        with np.errstate(invalid="ignore", over="ignore"):
            residual = (found - self.rows[which]) * self.model.weight
            return np.asarray(np.square(residual).sum(axis=(1, 2)))

    def linearise(self, x: np.ndarray, which: np.ndarray) -> NormalEquations:
        found, slopes = self.model.derivatives(x, self.rows.shape[1])
        return self.model.equations(slopes, self.rows[which] - found)


def _fill(model: _SteppedModel, known: np.ndarray, states: np.ndarray, used: np.ndarray) -> None:
    """Fill in ``states`` and ``used`` of some recordings, over ever more rows."""
    going = np.arange(len(known))
    within = np.full(states.shape, np.inf)
    d = states.shape[1]
    for n_rows in (k for k in ROWS if k <= known.shape[1]):
        going = going[np.isfinite(known[going, -n_rows]).all(axis=1)]
        if len(going) == 0:
            return
        rows = known[going, -n_rows:]
        first, length = rows[:, 0], _FIRST_ROWS
        while length <= n_rows:
            solved = _SOLVER(_FirstStates(model, rows[:, :length]), first)
            first, length = solved.x, 2 * length
        free = (n_rows - 1) * d
        mean = solved.costs / free
        follows = mean <= _LEFT + _SCATTER * np.sqrt(2 / free)
        if n_rows == ROWS[0]:
            follows &= mean >= _CLEAN
        found, slopes = model.derivatives(first, n_rows)
        with np.errstate(invalid="ignore"):
            near = np.abs(found[:, -1] - states[going]) <= _AGREEING * within[going]
        follows &= near.all(axis=1) & np.isfinite(found[:, -1]).all(axis=1)
        going = going[follows]
        states[going], used[going] = found[follows, -1], n_rows
        within[going] = model.spread(slopes[follows])


def is_estimated(asked: bool | None, noise: np.ndarray, n_rows: int) -> bool:
    """Return whether initial states are to be estimated: as asked, or where training found noise.

    Raises ArgumentError: it was asked for, and the model starts from more rows than one.
    """
    if asked and n_rows > 1:
        raise ArgumentError(
            "denoise_start=True goes without delays, whose rows repeat the noise of others; smooth "
            "the recording first."
        )
    return bool((noise > 0).any()) if asked is None else bool(asked)


def last_rows_without_noise(
    data: Trajectories,
    stepper: StepStates,
    preprocessor: Encoder | None,
    noise: np.ndarray,
    scale: np.ndarray,
) -> tuple[np.ndarray, str]:
    """Return the last rows of recordings without the noise on them, and a sentence on it.

    Parameters
    ----------
    data : Trajectories
        In the user's units.
    stepper : callable
        Steps coordinates.
    preprocessor : Encoder, optional
        Between the user's rows and the coordinates.
    noise, scale : array, shape (n_coordinates,)
        Noise that training found, which counts where the recordings do not say theirs, and the size
        of the coordinates.

    Returns
    -------
    states : array, shape (n, d)
    """
    last = data.values[data.offsets[1:] - 1]
    if int(data.lengths.max()) > ROWS[-1]:
        names = data.feature_names
        data = Trajectories([x[-ROWS[-1] :] for x in data], data.dt, feature_names=names)
    encoded = data if preprocessor is None else preprocessor.transform(data)
    d = encoded.n_features
    if _affordable_rows(d) < ROWS[0]:
        return last, f"Start: as recorded; {d} numbers are too many to be fitted to rows."
    own = noise_level(encoded)
    sigma = np.where(np.isfinite(own), own, noise)
    if not (sigma > 0).any():
        return last, "Start: as recorded; no noise can be told from the motion."
    found = estimate_initial_states(stepper, [x.astype(np.float64) for x in encoded], sigma, scale)
    states = found.states if preprocessor is None else preprocessor.inverse_transform(found.states)
    return np.where(found.rows[:, None] > 0, states, last).astype(last.dtype), found.note()
