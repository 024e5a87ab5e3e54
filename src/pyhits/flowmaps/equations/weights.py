"""Learning how the data were integrated: the scheme's weights, and what it cuts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pyhits.flowmaps.equations.equation import TWO_THIRDS, Equation, Scheme
from pyhits.flowmaps.equations.pairs import Pairs
from pyhits.numerics.exponential import ExponentialSteps
from pyhits.util.clock import UNLIMITED, Clock

#: Regressions of the weights, each with the stages of the last.
_ROUNDS = 12

#: Change of the weights, as a part of the largest, below which no regression follows.
_SETTLED = 1e-7

#: Ridge: parts of a wavenumber's own squares, and of the largest of all wavenumbers.
_OWN, _LARGEST = 1e-12, 1e-13

#: Numbers in the fields of a regression, at most, and at a time.
_NUMBERS, _CHUNK = 1 << 21, 1 << 20

#: Wavenumbers more and fewer than two thirds that a cut may keep.
_NEAR = (-2, -1, 0, 1)


def cuts(scheme: Scheme, shape: Sequence[int]) -> Iterator[Scheme]:
    """Yield schemes that cut near two thirds of the wavenumbers; solvers differ by one or two."""
    if scheme.dealiased == "none":
        return
    for more in _NEAR:
        kept = int(TWO_THIRDS * shape[-1] / 2) + more + 0.5
        for dealiased in ("factors", "all"):
            if kept > 1:
                yield replace(scheme, dealiased=dealiased, kept=kept / (shape[-1] / 2))


def learned_weights(
    equation: Equation, pairs: Pairs, values: Tensor, clock: Clock = UNLIMITED
) -> Tensor:
    """Return weights of a scheme's result, fitted at each wavenumber by itself.

    Parameters
    ----------
    equation : Equation
        Of one substep.
    pairs : Pairs
    values : Tensor
        Coefficients of its terms.
    clock : Clock, optional
        No regression begins after it.

    Returns
    -------
    weights : Tensor, complex, shape (n_weights, channels, *transform)
        Near those of the scheme where the data do not tell.
    """
    n_linear = len(equation.terms.linear)
    steps = equation.steps(values[:, :n_linear])
    prior = torch.stack([w.expand(steps.outer[0].shape) for w in steps.outer])
    few = pairs.spread(max(1, _NUMBERS // pairs.after[0].numel()))
    weights = prior
    for _ in range(_ROUNDS):
        before = weights
        weights = prior + _change(equation, few, values[:, n_linear:], steps, prior)
        if float((weights - before).abs().max()) < _SETTLED * float(weights.abs().max()):
            break
        steps = replace(steps, outer=tuple(weights))
        if equation.scheme.order != 2 or clock.is_over:
            break  # stages of order 4 do not depend on them
    return weights


def _change(
    equation: Equation, pairs: Pairs, products: Tensor, steps: ExponentialSteps, prior: Tensor
) -> Tensor:
    """Return by what the weights differ from the prior, by ridge regression."""
    size, slopes = len(prior), equation.slopes(products)
    matrix = prior.new_zeros(*prior.shape[1:], size, size)
    right = prior.new_zeros(*prior.shape[1:], size)
    for some in pairs.chunks(4 * size, _CHUNK):
        made = steps.columns(some.before, slopes)
        columns = torch.stack(made, dim=-1)
        left = equation.forward(some.after) - torch.einsum("n...w,w...->n...", columns, prior)
        moved = columns.movedim(0, -2)
        matrix += moved.mH @ moved
        right += (moved.mH @ left.movedim(0, -1)[..., None])[..., 0]
    own = matrix.diagonal(dim1=-2, dim2=-1).real
    largest = own.flatten(0, -2).amax(0)
    ridge = (_OWN * own + _LARGEST * largest).clamp(min=1e-300)
    found: Tensor = torch.linalg.solve(matrix + torch.diag_embed(ridge).to(matrix.dtype), right)
    return found.movedim(-1, 0)
