"""Hidden weights for which the last layer meets what it misses with random ones.

With the last layer eliminated (variable projection, Golub and Pereyra 1973), what is left of the
targets lies outside the span of the hidden units. Gauss-Newton steps of least norm in the hidden
weights shrink it; in Kaufman's approximation (1975), which is exact where nothing is left, each
takes one linear system with as many unknowns as numbers are missed.

All by torch, whose one thread gives equal bits in any number of processes.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pyhits.flowmaps.residual import ACTIVATIONS
from pyhits.numerics.gauss_newton import GaussNewton
from pyhits.numerics.optimizers import Lbfgs

#: Unknowns of the linear system at most, and where there are more of them than hidden weights;
#: steps at most; and the part of the targets' squares that counts as nothing.
_MOST_UNKNOWNS, _MOST_BEYOND, _MOST_STEPS, _NOTHING = 6_000, 1_000, 300, 1e-27

#: Windows at most, all of whose directions each step holds, and numbers in the products of a few
#: units that the linear system is summed from.
_MOST_WINDOWS, _MOST_PRODUCTS = 4_096, 8_000_000

#: Work of one search: steps times the cube of the unknowns, which a large system spends sooner.
_MOST_WORK = 1e12

#: Steps in which the squares of what is missed must fall to half, or the search ends.
_PATIENCE = 30

#: Damping of the first step, relative to the system's mean diagonal, and how many times the largest
#: weight a change may be.
_DAMPING, _MOST_CHANGE = 1e-3, 1e6

#: Windows times hidden weights up to which units that could meet the targets anyhow are fitted too,
#: so that small weights do.
_LITTLE = 2_000_000

#: Penalties on the last layer, relative to the units' mean square, and steps with each.
_PENALTIES, _GENTLE_STEPS = (1e-4, 1e-7, 1e-10, 1e-12), 100


def is_little(n_windows: int, n_hidden: int, n_inputs: int) -> bool:
    """Whether a net is fitted in less than seconds."""
    return n_windows * n_hidden * n_inputs <= _LITTLE


def is_possible(n_windows: int, n_hidden: int, n_inputs: int, n_targets: int) -> bool:
    """Whether better units than random ones are worth looking for, and few enough.

    More numbers than hidden weights can be met by chance alone, so that less is spent on them.
    """
    missed = (n_windows - n_hidden - 1) * n_targets
    most = _MOST_UNKNOWNS if missed <= n_hidden * (n_inputs + 1) else _MOST_BEYOND
    if missed <= 0:
        return is_little(n_windows, n_hidden, n_inputs)
    return missed <= most and n_windows <= _MOST_WINDOWS


def fit_hidden(
    layer: nn.Linear,
    activation: str,
    inputs: Tensor,
    targets: Tensor,
    deadline: float | None = None,
) -> None:
    """Change the weights of a hidden layer until its units span the targets, or it gets no better.

    Parameters
    ----------
    layer : nn.Linear
        Float64, from d inputs to h units; changed in place.
    inputs, targets : Tensor, shapes (n, d) and (n, m)
        Float64; :func:`is_possible` says whether they are few enough.
    deadline : float, optional
        Reading of ``time.perf_counter`` at which the search ends.
    """
    total = float(targets.square().sum())
    if total == 0:
        return
    with_one = _with_one(inputs)
    weights = torch.hstack([layer.weight.detach(), layer.bias.detach()[:, None]])
    weights = gentle(weights, activation, with_one, targets, deadline)
    missed = HiddenWeights(activation, with_one, targets)
    unknowns = missed.n_missed(len(weights))
    solver = GaussNewton(
        damping=_DAMPING,
        max_trials=min(_MOST_STEPS, 1 + int(_MOST_WORK / max(unknowns, 1) ** 3)),
        enough=_NOTHING * total,
        patience=_PATIENCE,
    )

    def late() -> bool:
        return deadline is not None and time.perf_counter() > deadline

    solved = solver(missed, weights.numpy().reshape(1, -1), stop=late)
    weights = torch.from_numpy(solved.x).view_as(weights)
    with torch.no_grad():
        layer.weight.copy_(weights[:, :-1])
        layer.bias.copy_(weights[:, -1])


def gentle(
    weights: Tensor, activation: str, with_one: Tensor, targets: Tensor, deadline: float | None
) -> Tensor:
    """Return hidden weights with which small last layers nearly meet the targets.

    L-BFGS on the logarithm of the penalised error, which is the square of the last layer where the
    targets are met, plus that of the weights' square: large layers would amplify what is wrong with
    a state, and Gauss-Newton alone, which takes the shortest way, leads to very large ones. The
    penalty falls step by step.

    Parameters
    ----------
    weights, activation, with_one, targets
        As in :func:`left_over`.
    deadline : float, optional
        Reading of ``time.perf_counter`` after which no other penalty is begun.
    """
    start, weights = weights, weights.clone().requires_grad_()
    one = torch.eye(len(targets), dtype=targets.dtype)

    def cost(penalty: float) -> Tensor:
        features = _with_one(ACTIVATIONS[activation](with_one @ weights.T))
        products = features @ features.T
        products = products + penalty * products.diagonal().mean().detach() * one
        factor, failed = torch.linalg.cholesky_ex(products)
        if failed:
            return weights.sum() * torch.inf
        solved = torch.linalg.solve_triangular(factor, targets, upper=False)
        return torch.log(solved.square().sum()) + torch.log(weights.square().sum())

    for penalty in _PENALTIES:
        if deadline is not None and time.perf_counter() > deadline:
            break
        search = Lbfgs(
            [weights], max_iter=_GENTLE_STEPS, history_size=20, line_search_fn="strong_wolfe"
        )

        def closure(penalty: float = penalty, search: Lbfgs = search) -> Tensor:
            search.zero_grad()
            value = cost(penalty)
            value.backward()  # type: ignore[no-untyped-call]
            return value

        # Torch's line search ends so where it meets nothing finite.
        with contextlib.suppress(IndexError):
            search.step(closure)  # type: ignore[no-untyped-call]
    found = weights.detach()
    return found if bool(torch.isfinite(found).all()) else start


class HiddenWeights:
    """Least squares in hidden weights, shape ``(1, h * (d + 1))``, of what no last layer can meet.

    Parameters
    ----------
    with_one : Tensor, shape (n, d + 1)
        Inputs, and a one.
    targets : Tensor, shape (n, m)
    """

    def __init__(self, activation: str, with_one: Tensor, targets: Tensor) -> None:
        self.activation, self.with_one, self.targets = activation, with_one, targets
        self._last: tuple[np.ndarray, MissedTargets] | None = None

    def n_missed(self, n_units: int) -> int:
        """Return how many numbers of the targets so many units and a constant leave."""
        return max(0, len(self.with_one) - n_units - 1) * self.targets.shape[1]

    def costs(self, x: np.ndarray, which: np.ndarray) -> np.ndarray:
        """Return the sum of squares that is missed, ``(1,)``."""
        if not np.isfinite(x).all():
            return np.array([np.inf])
        return np.array([float(self._at(x).missed.square().sum())])

    def linearise(self, x: np.ndarray, which: np.ndarray) -> MissedTargets:
        """Return what is missed as a linear function of the weights."""
        return self._at(x)

    def _at(self, x: np.ndarray) -> MissedTargets:
        # What was tried last is mostly where the next step begins.
        if self._last is None or not np.array_equal(self._last[0], x):
            weights = torch.from_numpy(x).view(-1, self.with_one.shape[1])
            found = left_over(weights, self.activation, self.with_one, self.targets)
            self._last = x, MissedTargets(weights, *found)
        return self._last[1]


@dataclass(frozen=True)
class MissedTargets:
    """What no last layer can meet, linear in the hidden weights."""

    weights: Tensor  # (h, d + 1)
    #: missed, jacobian, last: As :func:`left_over` returns them.
    missed: Tensor
    jacobian: Tensor
    last: Tensor

    def step(self, damping: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the damped change of the weights, ``(1, h * (d + 1))``, and what it should leave.

        Not finite where units do not answer to their weights, as where relu is flat.
        """
        change, left = least_change(self.jacobian, self.last, self.missed, float(damping[0]))
        sound = left < float(self.missed.square().sum())
        if not (sound and change.abs().max() < _MOST_CHANGE * self.weights.abs().max()):
            change = torch.full_like(change, torch.nan)
        return change.numpy().reshape(1, -1), np.array([left])


def left_over(
    weights: Tensor, activation: str, with_one: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what no last layer can meet, and how it changes with the hidden weights.

    Parameters
    ----------
    weights : Tensor, shape (h, d + 1)
        Of the hidden layer, its bias last.
    with_one : Tensor, shape (n, d + 1)
        Inputs, and a one.
    targets : Tensor, shape (n, m)

    Returns
    -------
    missed : Tensor, shape (q, m)
        The targets in an orthonormal basis of what the h units and a constant leave of n windows.
    jacobian : Tensor, shape (h, q, d + 1)
        The change of a unit k by its weights, in that basis; of ``missed`` it is
        ``-jacobian[k, a, j] * last[k, c]``.
    last : Tensor, shape (h, m)
        The last layer that is left out.
    """
    before = (with_one @ weights.T).requires_grad_()
    after = ACTIVATIONS[activation](before)
    slope = torch.autograd.grad(after.sum(), before)[0]
    features = _with_one(after.detach())
    basis, triangle = torch.linalg.qr(features, mode="complete")
    n_units = features.shape[1]
    rest = basis[:, n_units:]
    sides = basis[:, :n_units].T @ targets
    last = torch.linalg.lstsq(triangle[:n_units], sides, rcond=1e-15, driver="gelsd").solution
    jacobian = (rest.T * slope.T[:, None, :]) @ with_one
    return rest.T @ targets, jacobian, last[:-1]


def least_change(
    jacobian: Tensor, last: Tensor, missed: Tensor, damping: float
) -> tuple[Tensor, float]:
    """Return the damped change of the weights that takes the missed away, ``(h, d + 1)``.

    Beside it, the squares that are left by the linear model. Without damping it is the least change
    that leaves nothing.
    """
    q, m = missed.shape
    sums = jacobian.new_zeros(q * q, m * m)
    n = max(1, _MOST_PRODUCTS // (q * q))
    for some, weights in zip(torch.split(jacobian, n), torch.split(last, n), strict=True):
        outer = weights[:, :, None] * weights[:, None, :]
        sums.addmm_((some @ some.mT).reshape(-1, q * q).T, outer.reshape(-1, m * m))
    system = sums.reshape(q, q, m, m).swapaxes(1, 2).reshape(q * m, q * m)
    shift = damping * float(system.diagonal().mean()) + torch.finfo(system.dtype).tiny
    system.diagonal().add_(shift)
    solved, failed = torch.linalg.solve_ex(system, missed.reshape(-1, 1))
    if failed:
        return torch.full_like(jacobian[:, 0], torch.nan), 0.0
    multipliers = solved.reshape(q, m)
    left = float((shift * multipliers).square().sum())
    return torch.matmul((last @ multipliers.T)[:, None, :], jacobian)[:, 0], left


def _with_one(rows: Tensor) -> Tensor:
    return torch.hstack([rows, rows.new_ones(len(rows), 1)])
