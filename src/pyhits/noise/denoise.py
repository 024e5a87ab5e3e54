"""Noisy trajectories in, the clean motion beneath them out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from joblib import cpu_count

from pyhits.noise.field import PolynomialField
from pyhits.noise.identify import Identified, Pieces, follow, identify
from pyhits.noise.level import noise_level
from pyhits.noise.shooting import Observations, step, substeps_needed
from pyhits.noise.smooth import Window, choose_window, leaves_noise, smooth
from pyhits.progress import Advance
from pyhits.trajectories import Trajectories

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
        Of the same shapes as those given.
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
    progress: Advance | None = None,
    deadline: float | None = None,
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
    progress : callable, optional
        Told how many stages of how many are done.
    deadline : float, optional
        Reading of ``time.perf_counter`` after which no further stage is begun.

    Returns
    -------
    Denoised or None
        None where no noise can be told from the motion, where there is next to none, or where
        neither way makes it less.
    """
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

    def decode(data: Trajectories, states: np.ndarray) -> Trajectories:
        return data.with_values(states * scale + shift)

    noisy = encode(train), encode(held)
    window = choose_window(noisy[0], relative)
    if window.width < _NARROWEST:
        return None
    smoothed = smooth(noisy[0], window), smooth(noisy[1], window)
    taken = (noisy[0].values - smoothed[0])[:, relative > 0]
    if not leaves_noise(taken, train.offsets, window):
        return None
    risk, method, states = window.risk, "window", smoothed
    note = f"averaged over {window.width} rows"
    spacing = _block(noisy[0], relative)
    n_threads = cpu_count()
    pieces = tuple(
        _pieces(data, rows, spacing, window, relative)
        for data, rows in zip(noisy, smoothed, strict=True)
    )
    found = identify(pieces[0], n_threads=n_threads, progress=progress, deadline=deadline)
    if found is not None:
        solved = [
            _solutions(found, part, data, spacing, n_threads)
            for part, data in zip(pieces, noisy, strict=True)
        ]
        lost = [~np.isfinite(rows).all(axis=1) for rows in solved]
        for rows, gone, instead in zip(solved, lost, smoothed, strict=True):
            rows[gone] = instead[gone]
        solved_risk = _risk(noisy[0], solved[0], found, relative, spacing)
        if lost[0].mean() > _MOST_LOST:
            solved_risk = np.inf
        if solved_risk < risk:
            risk, method, states = solved_risk, "field", (solved[0], solved[1])
            note = (
                f"solutions of a polynomial vector field with {int(found.field.active.sum())} "
                f"terms of degree up to {_degree(found.field)}, over {found.length * spacing} rows"
            )
    said = ", ".join(
        f"{name} {level / size:.2g}"
        for name, level, size in zip(train.feature_names, relative * scale, scale, strict=True)
        if level > 0
    )
    return Denoised(
        decode(train, states[0]),
        decode(held, states[1]),
        relative * scale,
        method,
        max(risk, 0.0),
        f"Noise, in standard deviations: {said}. Taken off: {note}.",
    )


def _degree(field: PolynomialField) -> int:
    used = field.active.any(axis=1)
    return int(field.powers[used].sum(axis=1).max(initial=0))


def _block(data: Trajectories, sigma: np.ndarray) -> int:
    """Return the number of rows, odd, that are averaged to one observation."""
    width = choose_window(data, sigma, degrees=(2,)).width // _BLOCK_PART
    return max(3, width | 1)


def _pieces(
    data: Trajectories, smoothed: np.ndarray, spacing: int, window: Window, sigma: np.ndarray
) -> Pieces:
    """Average the rows by blocks; a last block that is not whole has no observation."""
    from scipy.signal import savgol_coeffs

    d = data.n_features
    weights = savgol_coeffs(spacing, 2)
    n_times = -(-int(data.lengths.max()) // spacing)
    shape = (len(data), n_times, d)
    states, starts, slopes = (np.full(shape, np.nan) for _ in range(3))
    for k, rows in enumerate(data):
        begin = int(data.offsets[k])
        clean = smoothed[begin : begin + len(rows)]
        whole = len(rows) // spacing
        blocks = rows[: whole * spacing].reshape(whole, spacing, d)
        states[k, :whole] = np.einsum("kcd,c->kd", blocks, weights)
        n = -(-len(rows) // spacing)
        starts[k, :n] = clean[::spacing]
        slopes[k, :n] = window(rows, 1, data.dt)[::spacing]
    level = np.maximum(sigma, _LEAST_SHARE * sigma.max()) * np.sqrt(np.square(weights).sum())
    observed = Observations(states, spacing // 2 * data.dt, spacing * data.dt, level)
    shortest = max(2, _SHORTEST_WINDOWS * window.width // spacing)
    return Pieces(observed, starts, slopes, shortest)


def _solutions(
    found: Identified,
    pieces: Pieces,
    data: Trajectories,
    spacing: int,
    n_threads: int,
) -> np.ndarray:
    """Return the field's solutions at all rows, ``(n_rows, d)``; NaN where it fails."""
    fit = follow(found.field, pieces, found.length, n_threads=n_threads)
    n, d = len(data), data.n_features
    span = found.length * spacing
    near = Observations(pieces.observed.states, 0.0, data.dt, pieces.observed.sigma)
    substeps = substeps_needed(found.field, near, enough=_INTEGRATED)
    rows = np.empty((len(fit.starts), span, d))

    def run(part: np.ndarray) -> None:
        x = np.ascontiguousarray(fit.starts[part].T)
        with np.errstate(all="ignore"):
            for row in range(span):
                rows[part, row] = x.T
                for _ in range(substeps):
                    x = step(found.field, x, data.dt / substeps)

    with ThreadPoolExecutor(n_threads) as pool:
        blocks = -(-len(rows) // _ROWS_AT_ONCE)
        list(pool.map(run, np.array_split(np.arange(len(rows)), max(n_threads, blocks))))
    rows[~fit.followed(pieces.segments(found.length))] = np.nan
    rows = rows.reshape(n, -1, d)
    if data.is_even:
        states = rows[:, : data.lengths[0]].reshape(-1, d)
    else:
        states = np.concatenate([rows[k, :length] for k, length in enumerate(data.lengths)])
    states[~np.isfinite(states).all(axis=1)] = np.nan
    return np.ascontiguousarray(states)


def _risk(
    data: Trajectories, states: np.ndarray, found: Identified, sigma: np.ndarray, spacing: int
) -> float:
    """Return the estimated mean squared error of the solutions, in units of the noise variance."""
    noisy = sigma > 0
    count = data.n_rows * int(noisy.sum())
    squared = float(np.square((data.values - states)[:, noisy] / sigma[noisy]).sum())
    segments = int((-(-data.lengths // (found.length * spacing))).sum())
    free = int(found.field.active.sum()) + segments * data.n_features
    return squared / count - 1 + 2 * free / count
