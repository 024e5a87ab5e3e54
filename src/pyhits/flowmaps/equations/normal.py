"""Normal equations of the coefficients of an equation, summed over chunks of fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from pyhits.flowmaps.equations.columns import CHUNK, Points, approximate_columns, exact_columns
from pyhits.flowmaps.equations.equation import TWO_THIRDS, Equation, Scheme
from pyhits.flowmaps.equations.guess import NOTHING
from pyhits.flowmaps.equations.pairs import Pairs
from pyhits.numerics.exponential import ExponentialSteps
from pyhits.util.clock import UNLIMITED, Clock

#: Numbers in the derivatives that are kept, at most.
_KEPT = 1 << 24


@dataclass(frozen=True)
class Normal:
    """Normal equations around some values."""

    matrix: Tensor
    right: Tensor
    n_rows: int  # numbers that are compared
    points: Points
    #: List of Tensor, float32: derivatives, by chunk and block of coefficients; none where they
    #: are too many to be kept.
    columns: list[list[Tensor]] = field(default_factory=list)

    @classmethod
    def at(
        cls,
        equation: Equation,
        pairs: Pairs,
        values: Tensor,
        points: Points,
        *,
        moves: Tensor,
        exact: bool = False,
        clock: Clock = UNLIMITED,
    ) -> Normal:
        """Return those around some values, of channels that move.

        Derivatives that are not exact are those of the trapezoidal rule, which many terms afford:
        those of a channel's coefficients are of that channel alone.

        Raises TimeIsUpError.
        """
        n, (channels, each) = values.numel(), values.shape
        matrix, right = values.new_zeros(n, n), values.new_zeros(n)
        kept: list[list[Tensor]] = []
        n_linear = len(equation.terms.linear)
        exponents = equation.exponents(values[:, :n_linear])
        n_rows = channels * len(pairs.after) * len(points)
        keep = n * n_rows // (1 if exact else channels) <= _KEPT
        for some in pairs.chunks(_columns_each(equation, n, points), CHUNK):
            missed = _missed(equation, some, values, points)
            if exact:
                made = [exact_columns(equation, some, values, points, moves, clock)]
            else:
                made = approximate_columns(equation, some, exponents, points, clock)
                for columns, moving in zip(made, moves.tolist(), strict=True):
                    columns.mul_(float(moving))
            if equation.source is not None:
                made = [_less_means(own, len(some.after)) for own in made]
            for k, own in enumerate(made):
                which = slice(0, n) if exact else slice(k * each, (k + 1) * each)
                matrix[which, which] += own @ own.T
                right[which] += own @ _of(missed, k, exact=exact)
            if keep:
                kept.append([own.float() for own in made])
        return cls(matrix, right, n_rows, points, kept)

    def around(self, equation: Equation, pairs: Pairs, values: Tensor) -> Normal:
        """Return those of other values nearby, as if the derivatives were the same."""
        right, n = torch.zeros_like(self.right), len(self.right)
        chunks = pairs.chunks(_columns_each(equation, n, self.points), CHUNK)
        for some, columns in zip(chunks, self.columns, strict=True):
            missed, exact = _missed(equation, some, values, self.points), len(columns) == 1
            begin = 0
            for k, own in enumerate(columns):
                found = own @ _of(missed, k, exact=exact).float()
                right[begin : begin + len(own)] += found.double()
                begin += len(own)
        return replace(self, right=right)

    def scaled(self) -> tuple[Tensor, Tensor]:
        """Return the matrix with a diagonal of ones, and what the unknowns were multiplied by.

        What only rounding tells of, as of the slope of a constant, is multiplied by infinity.
        """
        scale = self.matrix.diagonal().sqrt()
        scale = torch.where(scale > NOTHING * scale.max(), scale, torch.inf)
        return self.matrix / (scale[:, None] * scale), scale


def _columns_each(equation: Equation, n: int, points: Points) -> int:
    """Return how many numbers are held for each of a field's, at most."""
    fields = 8 + 2 * len(equation.terms.features) // equation.channels
    size = torch.Size(equation.shape).numel()
    return max(fields, -(-n * len(points) // size))


def _missed(equation: Equation, pairs: Pairs, values: Tensor, points: Points) -> Tensor:
    """Return what is left of the fields one step later, ``(n, channels, n_points)``.

    What is the same at all times is the source's, and is left out where there is one.
    """
    left = points.at(pairs.after - equation.stepped(pairs.before, values), len(equation.shape))
    return left if equation.source is None else left - left.mean(0)


def _less_means(columns: Tensor, n: int) -> Tensor:
    """Return columns of ``n`` fields less their means at each point."""
    each = columns.view(len(columns), n, -1)
    return (each - each.mean(1, keepdim=True)).flatten(1)


def _of(missed: Tensor, k: int, *, exact: bool) -> Tensor:
    return missed.flatten() if exact else missed[:, k].flatten()


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
