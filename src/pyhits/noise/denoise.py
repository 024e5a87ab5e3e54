"""Noisy trajectories in, the clean motion beneath them out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyhits.data.trajectories import Trajectories
from pyhits.noise.fields import clean_fields
from pyhits.noise.level import noise_level
from pyhits.noise.smooth import Window, choose_window, leaves_noise, smooth
from pyhits.noise.solutions import CleanStates, FieldSolutions
from pyhits.util.clock import UNLIMITED, Clock, TimeIsUpError
from pyhits.util.progress import Advance

#: Noise below the first part of a feature's standard deviation is left alone; above the second no
#: motion is to be seen, and what looks like noise may be the motion of a map.
_LEAST_NOISE, _MOST_NOISE = 1e-5, 0.5

#: Rows over which motion must be smooth at least, to be averaged over them, and to be looked for a
#: field in; that of a random walk is not.
_NARROWEST, _NARROWEST_OF_FIELD = 9, 5

#: Part of the variance of noise that a field leaves of steps where there is none of it.
_NO_NOISE = 0.1

#: Part of the noise assumed below which a field is fitted once more, by what the first one left.
_MUCH_LESS = 0.7

#: Rows far from zero, in standard deviations, beyond which features are shifted to their mean.
#: Otherwise they are only scaled, which keeps the field's terms few.
_FAR = 5.0

#: Features that a note names, at most.
_MOST_NAMES = 8


@dataclass(frozen=True)
class Denoised:
    """Trajectories with their noise taken off."""

    #: train, validation: The rows of those given; a trajectory may have become several.
    train: Trajectories
    validation: Trajectories
    #: (d,): standard deviation of the noise on each feature, in the units of the data.
    sigma: np.ndarray
    #: {"field", "window"}: solutions of a polynomial vector field fitted by multiple shooting, or
    #: a local polynomial smoother.
    method: str
    risk: float  # estimated mean squared error that is left, in units of the noise variance
    note: str  # what was done, for people


def denoise(
    train: Trajectories,
    validation: Trajectories,
    *,
    shortest: int = 2,
    progress: Advance | None = None,
    clock: Clock = UNLIMITED,
) -> Denoised | None:
    """Take white noise off training and validation data, if they carry any.

    Two ways are compared by their estimated risk (Mallows' C_p): a local polynomial smoother, and
    the solutions of a polynomial vector field, whose coefficients and initial states are fitted to
    the noisy rows (an errors-in-variables fit, :mod:`pyhits.noise.shooting`).

    Returns Denoised or None: None where no noise can be told from the motion, where there is next
    to none, or where neither way makes it less.

    Parameters
    ----------
    train : Trajectories
        Data that the window and the field are fitted to.
    validation : Trajectories
        Data that are smoothed with the same window, or follow the same field.
    shortest : int
        Rows that a trajectory must keep. Solutions of a chaotic field that cover a part of a
        trajectory become trajectories of their own, unless they are shorter.
    progress : callable, optional
        Called with how many stages of how many are done.
    clock : Clock, optional
        What is not done when it is over is left out.
    """
    try:
        return _denoise(train, validation, shortest, progress, clock)
    except TimeIsUpError:
        clock.cut("the look for noise, which was left on the data")
        return None


def _denoise(
    train: Trajectories,
    validation: Trajectories,
    shortest: int,
    progress: Advance | None,
    clock: Clock,
) -> Denoised | None:
    """As :func:`denoise`; a TimeIsUpError where there is no time for a smoother either."""
    if train.grid is not None:
        return _of_fields(train, validation, clock)
    spread = train.values.std(axis=0, dtype=np.float64)
    moving = spread > 0
    sigma = noise_level(train)
    if not moving.any() or np.isnan(sigma[moving]).all():
        return None
    scale = np.where(moving, spread, 1.0)
    relative = np.where(np.isfinite(sigma), sigma, 0.0) / scale
    if not _LEAST_NOISE <= relative.max() <= _MOST_NOISE:
        return None
    relative[relative < _LEAST_NOISE * relative.max()] = 0.0
    mean = train.values.mean(axis=0, dtype=np.float64)
    shift = np.where(np.abs(mean) > _FAR * scale, mean, 0.0)

    def encode(data: Trajectories) -> Trajectories:
        return data.with_values((data.values - shift) / scale)

    noisy = encode(train), encode(validation)
    window = choose_window(noisy[0], relative, clock=clock)
    if window.width >= _NARROWEST:
        best = _slow(noisy, relative, window, progress, clock)
    elif window.width >= _NARROWEST_OF_FIELD and train.n_features > 1:
        # The noise of the fastest columns is hidden; they are taken for as noisy as the others.
        relative = np.where(moving & np.isnan(sigma), relative.max(), relative)
        best, relative = _fast(noisy, relative, window, progress, clock)
    else:
        return None
    if best is None:
        return None
    clean = [
        data.with_values(rows * scale + shift)
        for data, rows in zip((train, validation), best.states, strict=True)
    ]
    if best.span >= shortest:
        # Where one solution ends and the next begins lies a small jump that no window may cross.
        clean = [_cut(data, best.span) for data in clean]
    note = f"Noise, in standard deviations: {_levels(train, relative)}. Taken off: {best.how}."
    sigma = relative * scale
    return Denoised(clean[0], clean[1], sigma, best.method, max(best.risk, 0.0), note)


def _slow(
    noisy: tuple[Trajectories, Trajectories],
    relative: np.ndarray,
    window: Window,
    progress: Advance | None,
    clock: Clock,
) -> CleanStates | None:
    """Return smoothed states, or solutions of a field where their risk is less."""
    smoothed = smooth(noisy[0], window, clock=clock), smooth(noisy[1], window, clock=clock)
    if not leaves_noise(_taken(noisy[0], smoothed[0], relative), noisy[0].offsets, window):
        return None
    best = CleanStates("window", window.risk, smoothed, 0, f"averaged over {window.width} rows")
    try:
        solved = FieldSolutions(noisy, smoothed, window, relative, clock).best(progress)
    except TimeIsUpError:
        clock.cut("the search for a vector field beneath the noise")
        return best
    return solved if solved is not None and solved.risk < best.risk else best


def _fast(
    noisy: tuple[Trajectories, Trajectories],
    relative: np.ndarray,
    window: Window,
    progress: Advance | None,
    clock: Clock,
) -> tuple[CleanStates | None, np.ndarray]:
    """Return solutions of a field, of motion too fast for windows, and the noise they leave.

    None where that is not white.
    """
    smoothed = smooth(noisy[0], window, clock=clock), smooth(noisy[1], window, clock=clock)
    ways = FieldSolutions(noisy, smoothed, window, relative, clock)
    solved = ways.best(progress, least_noise=_NO_NOISE)
    if solved is None or not np.isfinite(solved.risk):
        return None, relative
    told = _told(noisy[0], solved, relative)
    if (told < _MUCH_LESS * relative).any():
        again = FieldSolutions(noisy, smoothed, window, told, clock).best()
        solved = solved if again is None or not np.isfinite(again.risk) else again
        told = _told(noisy[0], solved, told)
    taken = _taken(noisy[0], solved.states[0], relative)
    return (solved if leaves_noise(taken, noisy[0].offsets) else None), told


def _taken(noisy: Trajectories, clean: np.ndarray, relative: np.ndarray) -> np.ndarray:
    """Return what is taken off the noisy columns."""
    return np.asarray((noisy.values - clean)[:, relative > 0])


def _told(noisy: Trajectories, best: CleanStates, relative: np.ndarray) -> np.ndarray:
    """Return the noise of each column, by what was taken off."""
    told = relative.copy()
    taken = _taken(noisy, best.states[0], relative)
    told[relative > 0] = np.sqrt(np.square(taken).mean(axis=0))
    return told


def _of_fields(train: Trajectories, validation: Trajectories, clock: Clock) -> Denoised | None:
    """Return fields with their noise taken off by wavenumber, where that leaves less of it."""
    found = clean_fields(train, validation, clock)
    if found is None or not found.risk < 1:
        return None
    n_channels = len(found.sigma)
    spread = train.values.reshape(-1, n_channels).std(axis=0, dtype=np.float64)
    relative = found.sigma / np.where(spread > 0, spread, 1.0)
    if not _LEAST_NOISE <= relative.max() <= _MOST_NOISE:
        return None
    levels = ", ".join(f"{level:.2g}" for level in relative)
    note = (
        f"Noise on the fields, in standard deviations: {levels}. Taken off by wavenumber: "
        f"{found.left_out:.0%} of them hold nothing else, the others are averaged over rows; "
        f"{found.risk:.2g} of its variance is left."
    )
    clean = train.with_values(found.train), validation.with_values(found.validation)
    sigma = np.tile(found.sigma, train.n_features // n_channels)
    return Denoised(*clean, sigma, "window", found.risk, note)


def _levels(data: Trajectories, relative: np.ndarray) -> str:
    """Return how noisy which features are, the first of many by name."""
    noisy = np.flatnonzero(relative)
    named = [f"{data.feature_names[k]} {relative[k]:.2g}" for k in noisy[:_MOST_NAMES]]
    if len(noisy) > _MOST_NAMES:
        rest = relative[noisy[_MOST_NAMES:]]
        named.append(f"{len(rest)} more {rest.min():.2g} to {rest.max():.2g}")
    return ", ".join(named)


def _cut(data: Trajectories, span: int) -> Trajectories:
    """Cut trajectories into pieces of ``span`` rows; a last one of a single row is left out."""
    if int(data.lengths.max()) <= span:
        return data
    pieces, starts = [], []
    for k, rows in enumerate(data):
        for begin in range(0, len(rows) - 1, span):
            pieces.append(rows[begin : begin + span])
            starts.append(float(data.start_times[k]) + begin * data.dt)
    names, grid = data.feature_names, data.grid
    return Trajectories(pieces, data.dt, feature_names=names, start_times=starts, grid=grid)
