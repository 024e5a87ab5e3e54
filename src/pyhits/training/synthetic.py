"""Synthetic windows: states between recorded ones, stepped by composing an exact fine map.

A coarse flow map is hard to learn where few trajectories begin, since a window of many steps soon
leaves the transients behind. Where a polynomial of a fine step, composed with itself, meets the
held-out windows of the coarse step to a precision that no net reaches, it can label any state
between the recorded ones, and training draws these where the net's error is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from pyhits.flowmaps import PolynomialMap
from pyhits.flowmaps.polynomial import fit_polynomial
from pyhits.hierarchy import Stepper
from pyhits.numerics.rollout import last_state
from pyhits.training.sampling import focused, pick
from pyhits.training.windows import WindowSampler
from pyhits.util.clock import UNLIMITED, Clock

#: A composed map must come this close to the validation windows: a mean squared error, relative to
#: the increments. The first is good enough for the coarsest such step to be taken.
_GOOD, _ACCEPTABLE = 1e-10, 1e-8

#: Highest degree of a fine map: between the recorded states, higher ones are wild.
_MOST_DEGREE = 9

#: Windows that a fine map is fitted to and judged on.
_N_FIT, _N_VALIDATION = 16_384, 2_048

#: States that neighbours are looked up among, and neighbours that one new state lies between.
_N_PILE, _N_NEAREST, _MOST_CORNERS = 2_048, 6, 3

#: Such piles at most, as a multiple of those that are needed if every new state is of use.
_MOST_PILES = 4

#: How far beyond its neighbours a new state may lie, as a fraction of their distance: corners of
#: the region where trajectories begin are rarely among the recorded states.
_BEYOND = 0.5

#: How often a flow map is composed, at least and at most.
_LEAST_STEPS, _MOST_STEPS = 4, 4_096

#: States composed at once, which stay in a core's cache.
_ROWS = 4_096


@dataclass
class SyntheticWindows:
    """Windows of one coarse step, of a fine map composed with itself."""

    windows: np.ndarray  # (2, n, d): encoded states and those one step later, float64
    fine: PolynomialMap  # the fine map
    times: int  # how often it is composed
    error: float  # error of the composed map on validation windows, relative to the increments
    seed: int  # batches are a function of the seed, their number and the focus
    focus: Tensor  # (n,): cumulative probability of each window

    def step(self, states: np.ndarray) -> np.ndarray:
        """Return ``states`` (n, d) one coarse step later, as the composed map has it."""
        return compose(self.fine, states, self.times)

    def draw(self, n: int, batch: int) -> np.ndarray:
        """Return ``n`` windows, shape ``(2, n, d)``; equal numbers and foci give equal windows."""
        rng = np.random.default_rng([self.seed, batch])
        return self.windows[:, pick(self.focus, n, rng)]

    def focus_on(self, errors: Tensor) -> None:
        """Draw windows from now on by the root of their squared ``errors``, shape ``(n,)``."""
        focus = focused(errors)
        if focus is not None:
            self.focus = focus


def synthesise(
    train: WindowSampler,
    validation: WindowSampler,
    *,
    degree: int,
    sigma: np.ndarray,
    n: int = 65_536,
    clock: Clock = UNLIMITED,
) -> SyntheticWindows | None:
    """Return windows of ``train``'s step size, or None where no composed map is good enough.

    Raises TimeIsUpError.

    Parameters
    ----------
    train, validation : WindowSampler
        Of the coarse step size.
    degree : int
        Highest degree that the fine map may have.
    sigma : array, shape (d,)
        Root mean square of the coarse increments, in which errors are measured.
    n : int, optional
        Windows; there are fewer where states leave the bounds of the fine map.
    """
    if train.outputs > 1 or train.rollout_steps > 1:
        return None
    degree = min(degree, _MOST_DEGREE)
    chosen = _choose(train, validation, degree, np.where(sigma > 0, sigma, np.inf), clock)
    if chosen is None:
        return None
    error, fine, times = chosen
    states = interpolated(train, n, fine, clock)
    after = compose(fine, states, times, clock)
    inside = ((after >= fine.low.numpy()) & (after <= fine.high.numpy())).all(axis=1)
    pair = np.stack([states[inside], after[inside]])
    if pair.shape[1] < _N_PILE:
        return None
    even = torch.linspace(0, 1, pair.shape[1] + 1, dtype=torch.float64)[1:]
    return SyntheticWindows(pair, fine, times, error, train.seed + 1_000_003, even)


def _choose(
    train: WindowSampler, validation: WindowSampler, degree: int, sigma: np.ndarray, clock: Clock
) -> tuple[float, PolynomialMap, int] | None:
    """Return the error of a composed map, its polynomial, and how often it is composed.

    The coarsest polynomial that meets the held-out windows is taken if the next finer agrees with
    it between the recorded states as well, else the best of all.
    """
    windows = validation.spread(_N_VALIDATION)
    probes: np.ndarray | None = None
    best: tuple[float, PolynomialMap, int] | None = None
    last: tuple[float, PolynomialMap, int] | None = None
    last_after: np.ndarray | None = None
    for size in finer_sizes(train.step_size):
        times = train.step_size // size
        fine = _fit(
            replace(train, step_size=size), replace(validation, step_size=size), degree, clock
        )
        error = _distance(compose(fine, windows[0], times, clock), windows[1], sigma)
        candidate = error, fine, times
        if best is None or error < best[0]:
            best = candidate
        if error > _GOOD:
            continue
        probes = interpolated(train, _N_VALIDATION, fine, clock) if probes is None else probes
        after = compose(fine, probes, times, clock)
        if (
            last is not None
            and last_after is not None
            and _distance(after, last_after, sigma) < _GOOD
        ):
            return last
        last, last_after = candidate, after
    best = last or best
    return best if best is not None and best[0] <= _ACCEPTABLE else None


def _distance(states: np.ndarray, wanted: np.ndarray, sigma: np.ndarray) -> float:
    """Return the mean squared difference in units of ``sigma``; infinite if it is no number."""
    with np.errstate(over="ignore", invalid="ignore"):
        distance = float(np.mean(np.square((states - wanted) / sigma)))
    return distance if np.isfinite(distance) else np.inf


def finer_sizes(size: int) -> list[int]:
    """Return the divisors of a step size that a fine map may have, halving while it is even."""
    times = [k for k in range(_LEAST_STEPS, min(size, _MOST_STEPS) + 1) if size % k == 0]
    powers = [k for k in times if k & (k - 1) == 0]
    return [size // k for k in powers or times]


def _fit(
    train: WindowSampler, validation: WindowSampler, degree: int, clock: Clock
) -> PolynomialMap:
    """Return the polynomial of a fine step, float64, in encoded coordinates."""
    windows, checks = train.spread(_N_FIT), validation.spread(_N_VALIDATION)
    change, target = windows[1] - windows[0], checks[1] - checks[0]
    size = np.sqrt(np.mean(np.square(change), axis=0))
    size[size == 0] = 1.0
    fine, _ = fit_polynomial(
        (windows[0], change / size), (checks[0], target / size), max_degree=degree, clock=clock
    )
    fine.coefficients.mul_(torch.from_numpy(size)[:, None])
    return fine


@torch.inference_mode()
def compose(
    flow_map: PolynomialMap, states: np.ndarray, times: int, clock: Clock = UNLIMITED
) -> np.ndarray:
    """Return ``states`` (n, d) after ``times`` steps, float64; a TimeIsUpError if that is late."""
    step = Stepper({1: flow_map}, rows_per_block=_ROWS).step
    found = last_state(step, torch.from_numpy(states), times, clock=clock)
    return found.numpy()


def interpolated(
    train: WindowSampler, n: int, fine: PolynomialMap, clock: Clock = UNLIMITED
) -> np.ndarray:
    """Return ``n`` states that lie between recorded ones near each other, shape ``(n, d)``.

    Every other pile of recorded states is of first states, where these are many. There are fewer if
    most of them lie outside the bounds of ``fine``.
    """
    from scipy.spatial import cKDTree  # imported when used: it is not needed to forecast

    rng = np.random.default_rng([train.seed, train.step_size, 1_000_003])
    first = train.first()[0]
    low, high = fine.low.numpy(), fine.high.numpy()
    parts: list[np.ndarray] = []
    count = 0
    pile_number = 0
    while count < n and pile_number <= _MOST_PILES * n // _N_PILE:
        clock.check()
        pile = train.draw(_N_PILE, 2**30 + pile_number)[0]
        if pile_number % 2 == 0 and len(first) > 16 * _N_NEAREST:
            pile = first[rng.permutation(len(first))[:_N_PILE]]
        pile_number += 1
        corners = min(pile.shape[1], _MOST_CORNERS)
        _, nearest = cKDTree(pile).query(pile, k=_N_NEAREST + 1)
        chosen = np.argsort(rng.random((len(pile), _N_NEAREST)), axis=1)[:, :corners] + 1
        around = np.take_along_axis(nearest, chosen, axis=1)
        simplex = np.concatenate([pile[:, None], pile[around]], axis=1)
        weights = rng.dirichlet(np.ones(corners + 1), len(pile))
        beyond = _BEYOND * rng.random((len(pile), 1)) ** 2
        weights = weights * (1 + (corners + 1) * beyond) - beyond
        states = np.einsum("nk,nkd->nd", weights, simplex)
        states = states[((states >= low) & (states <= high)).all(axis=1)]
        parts.append(states)
        count += len(states)
    return np.concatenate(parts)[:n]
