"""How far two scales disagree: one coarse step against the finer steps that make it up.

No single-scale method has this indicator of its own error. It sees what the two scales do
differently, not what both learned wrongly.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pyhits.data.stretches import Stretches, evenly
from pyhits.errors import ArgumentError
from pyhits.hierarchy.nesting import chain
from pyhits.hierarchy.stepper import Stepper
from pyhits.numerics.rollout import last_state
from pyhits.util.clock import UNLIMITED, Clock


def distance(a: Tensor, b: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted root mean square over features; ``(..., d)`` twice to ``(...)``.

    Parameters
    ----------
    weights : Tensor, shape (d,)
        One over the spread of each coordinate: distances are in units of spreads.
    """
    return ((a - b) * weights).square().mean(dim=-1).sqrt()


@torch.inference_mode()
def disagreement(states: Tensor, coarse: Stepper, fine: Stepper, weights: Tensor) -> Tensor:
    """Return the indicated error of one coarse step from each state.

    It is the distance between its end and that of the fine steps that make it up. All states are
    stepped at once; dense flow maps count by the ends of their steps.

    Returns Tensor, shape (n,).
    Raises ArgumentError: the step sizes are equal or do not nest.

    Parameters
    ----------
    states : Tensor, shape (n, d)
        Encoded.
    coarse, fine : Stepper
        Of one scale each; the step size of the second divides that of the first.
    weights : Tensor, shape (d,)
        As in :func:`distance`.
    """
    return distance(*_both(states, coarse, fine), weights)


def _both(states: Tensor, coarse: Stepper, fine: Stepper) -> tuple[Tensor, Tensor]:
    """Return the end of one coarse step from each state, and of the fine ones that make it up."""
    small, large = chain((fine.sizes[-1], coarse.sizes[-1]))
    return coarse.step(states), last_state(fine.step, states, large // small)


@torch.inference_mode()
def along(
    states: np.ndarray, coarse: Stepper, fine: Stepper, count: int, weights: np.ndarray
) -> np.ndarray:
    """Return the disagreement at ``count`` consecutive coarse steps from each state.

    The coarse steps are taken one after another, then the finer ones of all of them at once:
    ``count`` and ``count * coarse / fine`` evaluations a state.

    Returns array, shape (n, count).

    Parameters
    ----------
    states, coarse, fine, weights
        As in :func:`disagreement`.
    """
    starts = torch.from_numpy(states).to(coarse.device, coarse.dtype)
    reached = torch.cat([starts[:, None], coarse.steps(starts, count - 1)], dim=1)
    per = torch.from_numpy(weights).to(starts)
    differ = disagreement(reached.flatten(0, 1), coarse, fine, per)
    return differ.view(len(states), count).double().cpu().numpy()


#: Validation states that the agreement of a scale is measured at, and numbers in all of them, at
#: most.
_MEASURED, _NUMBERS = 2000, 1 << 19

#: States that say what a step costs, and states that a comparison takes at least, where there is a
#: time limit.
_TIMED, _LEAST = 256, 20

#: The ratio is this quantile of what is measured, and lies between these bounds: one lucky state
#: proves nothing, and noise in the data is no error of a scale.
_QUANTILE, _BOUNDS = 0.9, (0.5, 1e4)

#: A scale whose error is larger at all but this share of the states agrees by chance if at all.
_BEST = 0.25


class Agreement(NamedTuple):
    """What the disagreement of a scale with the next finer one is worth, on recorded data."""

    #: How many times the disagreement the true error is: neighbours that learned the same wrongly
    #: agree all the same.
    ratio: float = 1.0
    least: float = 0.0  # the true error at the states where it is small


@torch.inference_mode()
def agreements(
    values: np.ndarray,
    lengths: np.ndarray,
    steppers: Mapping[int, Stepper],
    weights: np.ndarray,
    *,
    clock: Clock = UNLIMITED,
) -> dict[int, Agreement]:
    """Compare scales with each other and with recorded trajectories.

    The true error is that of the finer steps, the disagreement that of one coarse step from them.

    Returns dict of int to Agreement: by step size. The finest has none to compare with; those for
    which no trajectory is long enough, or no time is left, are left out.

    Parameters
    ----------
    values : array, shape (n_rows, d)
        Encoded trajectories, one below the other.
    lengths : array of int, shape (n_trajectories,)
        Rows of each.
    steppers : mapping of int to Stepper
        Of one scale each, by step size.
    weights : array, shape (d,)
        As in :func:`distance`.
    clock : Clock, optional
        States are as many as it affords.
    """
    sizes = chain(steppers)
    finest = steppers[sizes[0]]
    rows = torch.from_numpy(values).to(finest.device, finest.dtype)
    per = torch.from_numpy(weights).to(rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    measured = {}
    for fine, coarse in itertools.pairwise(sizes):
        starts = Stretches.anywhere(offsets, coarse).starts
        if len(starts) == 0:
            break
        some = rows[starts[:_TIMED]]
        most = min(len(starts), _affordable(some, steppers[fine], coarse // fine, clock))
        if most < min(len(starts), _LEAST):
            clock.cut("how far neighbouring scales agree")
            break
        starts = starts[evenly(len(starts), most)]
        once, composed = _both(rows[starts], steppers[coarse], steppers[fine])
        measured[coarse] = _agreement(once, composed, rows[starts + coarse], per)
    return measured


def _agreement(once: Tensor, composed: Tensor, truth: Tensor, weights: Tensor) -> Agreement:
    """Return what the disagreement of two solutions says of the error of the finer one."""
    wrong = distance(composed, truth, weights).double().cpu().numpy()
    differ = distance(once, composed, weights).double().cpu().numpy()
    # Below rounding there is nothing to compare.
    ratio = np.nan_to_num(wrong, nan=np.inf) / np.maximum(differ, torch.finfo(truth.dtype).eps)
    ratio = np.nan_to_num(ratio, nan=_BOUNDS[1])
    return Agreement(
        float(np.clip(np.quantile(ratio, _QUANTILE), *_BOUNDS)),
        float(np.quantile(np.nan_to_num(wrong, nan=1.0), _BEST)),
    )


def _affordable(states: Tensor, stepper: Stepper, n_steps: int, clock: Clock) -> int:
    """Return how many states to step so often: by what one step takes, where time is limited."""
    most = min(_MEASURED, max(_LEAST, _NUMBERS // states.shape[1]))
    if not clock.is_limited:
        return most
    begin = clock.now()
    stepper.step(states)
    each = (clock.now() - begin) / len(states)
    return min(most, int(clock.left / 2 / max(each * n_steps, 1e-9)))


def pair(trained: Iterable[int], coarsest: int, n_steps: int) -> tuple[int, int]:
    """Return the scale to judge and the one to judge it by.

    They are neighbours among the trained scales: ``coarsest`` and the next finer, or the next
    coarser and ``coarsest`` where that is the finest.

    Raises ArgumentError: one scale alone was trained, or the horizon is shorter than the coarser
    step.
    """
    sizes = chain(trained)
    if len(sizes) == 1:
        raise ArgumentError(
            f"Scales are compared with each other, but only step size {sizes[0]} was trained; fit "
            "with several step sizes."
        )
    at = max(1, sizes.index(coarsest))
    if sizes[at] > n_steps:
        raise ArgumentError(
            f"A horizon of {n_steps} steps holds no step of size {sizes[at]}; ask for more steps, "
            "or name finer step_sizes."
        )
    return sizes[at], sizes[at - 1]
