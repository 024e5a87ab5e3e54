"""Noisy trajectories in, the clean motion beneath them out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from joblib import cpu_count

from pyhits.data.trajectories import Trajectories
from pyhits.noise.field import PolynomialField
from pyhits.noise.identify import (
    MOST_SPREADING,
    Identified,
    Pieces,
    affordable,
    follow,
    identify,
)
from pyhits.noise.level import noise_level
from pyhits.noise.observations import Observations, advance, spreading, substeps_needed
from pyhits.noise.smooth import (
    Window,
    choose_window,
    equal,
    leaves_noise,
    smooth,
)
from pyhits.util.clock import UNLIMITED, Clock, TimeIsUpError
from pyhits.util.progress import Advance

#: Noise below the first part of a feature's standard deviation is left alone; above the second no
#: motion is to be seen, and what looks like noise may be the motion of a map.
_LEAST_NOISE, _MOST_NOISE = 1e-5, 0.5

#: Rows over which motion must be smooth at least; that of a random walk is not.
_NARROWEST = 9

#: Part of the rows that a field may fail to follow; they are smoothed instead.
_MOST_LOST = 0.05

#: Blocks are this part of the best quadratic smoothing window: their bias, which grows with its
#: fourth power, then disappears beneath their noise.
_BLOCK_PART = 8

#: Segments last this many smoothing windows at least.
_SHORTEST_WINDOWS = 3

#: A feature without noise counts as if it had this part of the noisiest one's.
_LEAST_SHARE = 0.01

#: Rows far from zero, in standard deviations, beyond which features are shifted to their mean.
#: Otherwise they are only scaled, which keeps the field's terms few.
_FAR = 5.0

#: Features that a note names, at most.
_MOST_NAMES = 8

#: A field is looked for where trajectories padded to equal lengths hold so many times the numbers
#: of the data at most, or few numbers.
_PADDED, _LITTLE = 4, 1 << 20

#: Segments integrated together, whose states stay in a core's cache.
_ROWS_AT_ONCE = 4096

#: Coarsest integration step's error, in units of the noise, of the states that are returned.
_INTEGRATED = 1e-6


@dataclass(frozen=True)
class Denoised:
    """Trajectories with their noise taken off.

    Attributes
    ----------
    train, held : Trajectories
        The rows of those given; a trajectory may have become several.
    sigma : array, shape (d,)
        Standard deviation of the noise on each feature, in the units of the data.
    method : {"field", "window"}
        Solutions of a polynomial vector field fitted by multiple shooting, or a local polynomial
        smoother.
    risk : float
        Estimated mean squared error that is left, in units of the noise variance.
    note : str
        What was done, for people.
    """

    train: Trajectories
    held: Trajectories
    sigma: np.ndarray
    method: str
    risk: float
    note: str


def denoise(
    train: Trajectories,
    held: Trajectories,
    *,
    shortest: int = 2,
    progress: Advance | None = None,
    clock: Clock = UNLIMITED,
) -> Denoised | None:
    """Take white noise off training and validation data, if they carry any.

    Two ways are compared by their estimated risk (Mallows' C_p): a local polynomial smoother, and
    the solutions of a polynomial vector field, whose coefficients and initial states are fitted to
    the noisy rows (an errors-in-variables fit, :mod:`pyhits.noise.shooting`).

    Parameters
    ----------
    train : Trajectories
        Data that the window and the field are fitted to.
    held : Trajectories
        Data that are smoothed with the same window, or follow the same field.
    shortest : int
        Rows that a trajectory must keep. Solutions of a chaotic field that cover a part of a
        trajectory become trajectories of their own, unless they are shorter.
    progress : callable, optional
        Told how many stages of how many are done.
    clock : Clock, optional
        What is not done when it is over is left out.

    Returns
    -------
    Denoised or None
        None where no noise can be told from the motion, where there is next to none, or where
        neither way makes it less.
    """
    try:
        return _denoise(train, held, shortest, progress, clock)
    except TimeIsUpError:
        clock.cut("the look for noise, which was left on the data")
        return None


def _denoise(
    train: Trajectories,
    held: Trajectories,
    shortest: int,
    progress: Advance | None,
    clock: Clock,
) -> Denoised | None:
    """As :func:`denoise`; a TimeIsUpError where there is no time for a smoother either."""
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

    noisy = encode(train), encode(held)
    window = choose_window(noisy[0], relative, clock=clock)
    if window.width < _NARROWEST:
        return None
    smoothed = smooth(noisy[0], window, clock=clock), smooth(noisy[1], window, clock=clock)
    taken = (noisy[0].values - smoothed[0])[:, relative > 0]
    if not leaves_noise(taken, train.offsets, window):
        return None
    best = _Clean("window", window.risk, smoothed, 0, f"averaged over {window.width} rows")
    try:
        solved = _by_field(noisy, smoothed, window, relative, progress, clock)
        best = solved if solved is not None and solved.risk < best.risk else best
    except TimeIsUpError:
        clock.cut("the search for a vector field beneath the noise")
    clean = [
        data.with_values(rows * scale + shift)
        for data, rows in zip((train, held), best.states, strict=True)
    ]
    if best.span >= shortest:
        # Where one solution ends and the next begins lies a small jump that no window may cross.
        clean = [_apart(data, best.span) for data in clean]
    note = f"Noise, in standard deviations: {_levels(train, relative)}. Taken off: {best.how}."
    sigma = relative * scale
    return Denoised(clean[0], clean[1], sigma, best.method, max(best.risk, 0.0), note)


def _levels(data: Trajectories, relative: np.ndarray) -> str:
    """Return how noisy which features are, the first of many by name."""
    noisy = np.flatnonzero(relative)
    named = [f"{data.feature_names[k]} {relative[k]:.2g}" for k in noisy[:_MOST_NAMES]]
    if len(noisy) > _MOST_NAMES:
        rest = relative[noisy[_MOST_NAMES:]]
        named.append(f"{len(rest)} more {rest.min():.2g} to {rest.max():.2g}")
    return ", ".join(named)


@dataclass(frozen=True)
class _Clean:
    """One way to take noise off, and what it makes of training and validation data.

    Attributes
    ----------
    method, risk
        As in :class:`Denoised`.
    states : pair of array, shape (n_rows, d)
        Encoded.
    span : int
        Rows of one solution; 0 where there are none.
    how : str
        For people.
    """

    method: str
    risk: float
    states: tuple[np.ndarray, np.ndarray]
    span: int
    how: str


def _by_field(
    noisy: tuple[Trajectories, Trajectories],
    smoothed: tuple[np.ndarray, np.ndarray],
    window: Window,
    sigma: np.ndarray,
    progress: Advance | None,
    clock: Clock,
) -> _Clean | None:
    """Find a field and follow it through all rows; None where there is none, or room for none.

    Raises
    ------
    TimeIsUpError
    """
    d = noisy[0].n_features
    spacing = _block(noisy[0], sigma, clock)
    if not affordable(d, sum(data.values.size for data in noisy) // spacing):
        return None
    if any(_padded(data) > max(_PADDED * data.values.size, _LITTLE) for data in noisy):
        return None
    train, held = (
        _pieces(data, rows, spacing, window, sigma, clock)
        for data, rows in zip(noisy, smoothed, strict=True)
    )
    found = identify(train, n_threads=cpu_count(), progress=progress, clock=clock)
    if found is None:
        return None
    ways = (
        _along(found, length, (train, held), noisy, smoothed, sigma, spacing, clock)
        for length in _lengths(found, train)
    )
    return min(ways, key=lambda way: way.risk)


def _padded(data: Trajectories) -> int:
    """Return the numbers of an array that holds all trajectories, each as long as the longest."""
    return len(data) * int(data.lengths.max()) * data.n_features


def _along(
    found: Identified,
    length: int,
    pieces: tuple[Pieces, ...],
    noisy: tuple[Trajectories, Trajectories],
    smoothed: tuple[np.ndarray, np.ndarray],
    sigma: np.ndarray,
    spacing: int,
    clock: Clock,
) -> _Clean:
    """Follow a field over ``length`` blocks; its risk is infinite if it loses too many rows."""
    train, held = (
        _solutions(found.field, length, part, data, spacing, clock)
        for part, data in zip(pieces, noisy, strict=True)
    )
    share = float(np.isnan(train[:, 0]).mean())
    for rows, instead in zip((train, held), smoothed, strict=True):
        lost = np.isnan(rows[:, 0])
        rows[lost] = instead[lost]
    span = length * spacing
    risk = _risk(noisy[0], train, found.field, sigma, span) if share <= _MOST_LOST else np.inf
    how = (
        f"solutions of a polynomial vector field with {int(found.field.active.sum())} terms of "
        f"degree up to {_degree(found.field)}, over {span} rows"
    )
    return _Clean("field", risk, (train, held), span, how)


def _degree(field: PolynomialField) -> int:
    used = field.active.any(axis=1)
    return int(field.basis.exponents[used].sum(axis=1).max(initial=0))


def _block(data: Trajectories, sigma: np.ndarray, clock: Clock) -> int:
    """Return the number of rows, odd, that are averaged to one observation."""
    width = choose_window(data, sigma, degrees=(2,), clock=clock).width // _BLOCK_PART
    return max(3, width | 1)


def _pieces(
    data: Trajectories,
    smoothed: np.ndarray,
    spacing: int,
    window: Window,
    sigma: np.ndarray,
    clock: Clock,
) -> Pieces:
    """Average the rows by blocks; a last block that is not whole has no observation."""
    from scipy.signal import savgol_coeffs

    d = data.n_features
    weights = savgol_coeffs(spacing, 2)
    n_times = -(-int(data.lengths.max()) // spacing)
    shape = (len(data), n_times, d)
    states, starts, slopes = (np.full(shape, np.nan) for _ in range(3))
    rising = smooth(data, window, 1, clock=clock)
    for same in equal(data.lengths):
        clock.check()
        length = int(data.lengths[same[0]])
        rows = data.offsets[same, None] + np.arange(length)
        whole = length // spacing
        blocks = data.values[rows[:, : whole * spacing]].reshape(len(same), whole, spacing, d)
        states[same, :whole] = np.einsum("nkcd,c->nkd", blocks, weights)
        first = rows[:, ::spacing]
        starts[same, : first.shape[1]] = smoothed[first]
        slopes[same, : first.shape[1]] = rising[first]
    level = np.maximum(sigma, _LEAST_SHARE * sigma.max()) * np.sqrt(np.square(weights).sum())
    observed = Observations(states, spacing // 2 * data.dt, spacing * data.dt, level)
    shortest = max(2, _SHORTEST_WINDOWS * window.width // spacing)
    return Pieces(observed, starts, slopes, shortest)


def _lengths(found: Identified, pieces: Pieces) -> list[int]:
    """Return over how many blocks solutions are to reach: the whole trajectory, or what was fitted.

    A field that is known follows far longer segments than it takes to find it, unless it is
    chaotic.
    """
    whole = pieces.smoothed.shape[1]
    if whole > found.length:
        grown = spreading(found.field, pieces.starts(whole), pieces.segments(whole))
        if grown <= MOST_SPREADING:
            return [whole, found.length]
    return [found.length]


def _apart(data: Trajectories, span: int) -> Trajectories:
    """Cut trajectories into pieces of ``span`` rows; a last one of a single row is left out."""
    if int(data.lengths.max()) <= span:
        return data
    pieces, starts = [], []
    for k, rows in enumerate(data):
        for begin in range(0, len(rows) - 1, span):
            pieces.append(rows[begin : begin + span])
            starts.append(float(data.start_times[k]) + begin * data.dt)
    return Trajectories(pieces, data.dt, feature_names=data.feature_names, start_times=starts)


def _solutions(
    field: PolynomialField,
    length: int,
    pieces: Pieces,
    data: Trajectories,
    spacing: int,
    clock: Clock,
) -> np.ndarray:
    """Return the field's solutions at all rows, ``(n_rows, d)``; NaN where it fails."""
    n_threads = cpu_count()
    fit = follow(field, pieces, length, n_threads=n_threads, clock=clock)
    n, d = len(data), data.n_features
    span = length * spacing
    near = Observations(pieces.observed.states, 0.0, data.dt, pieces.observed.sigma)
    substeps = substeps_needed(field, near, enough=_INTEGRATED)
    rows = np.empty((len(fit.starts), span, d))

    def run(part: np.ndarray) -> None:
        x = np.ascontiguousarray(fit.starts[part].T)
        with np.errstate(all="ignore"):
            for row in range(span):
                clock.check()
                rows[part, row] = x.T
                x = advance(field, x, data.dt / substeps, substeps)

    with ThreadPoolExecutor(n_threads) as pool:
        blocks = -(-len(rows) // _ROWS_AT_ONCE)
        list(pool.map(run, np.array_split(np.arange(len(rows)), max(n_threads, blocks))))
    rows[~fit.followed(pieces.segments(length))] = np.nan
    rows = rows.reshape(n, -1, d)
    if data.is_even:
        states = rows[:, : data.lengths[0]].reshape(-1, d)
    else:
        states = np.concatenate([rows[k, :length] for k, length in enumerate(data.lengths)])
    states[~np.isfinite(states).all(axis=1)] = np.nan
    return np.ascontiguousarray(states)


def _risk(
    data: Trajectories, states: np.ndarray, field: PolynomialField, sigma: np.ndarray, span: int
) -> float:
    """Return the estimated mean squared error of the solutions, in units of the noise variance."""
    noisy = sigma > 0
    count = data.n_rows * int(noisy.sum())
    squared = float(np.square((data.values - states)[:, noisy] / sigma[noisy]).sum())
    segments = int((-(-data.lengths // span)).sum())
    free = int(field.active.sum()) + segments * data.n_features
    return squared / count - 1 + 2 * free / count
