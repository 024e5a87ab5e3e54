"""Ridge regression: one decomposition, a path of penalties."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

#: Rows for each column from which on a design is reduced to a triangle first: half the time.
_TALL = 1.5

#: Root mean square of a column that holds nothing but zeros or rounding.
_NOTHING = 1e-30


class Ridge:
    """Ridge regression of targets on a design, without intercept, for many penalties.

    Minimises ``|H W - Y|^2 + penalty * s^2 |W|^2``, where s is the largest singular value of H. One
    decomposition serves all penalties. By torch, whose one thread gives equal bits in any number of
    processes.

    Parameters
    ----------
    design : Tensor, shape (..., rows, terms)
        H, float64; or many at once, each a regression of its own.
    targets : Tensor, shape (..., rows, m)
        Y, float64.
    scaled : bool
        Bring the columns to a mean square of one first: penalty and cutoff are then on coefficients
        of such columns. One of nothing but rounding, as a constant feature gives, has no say.
    cutoff : float, optional
        Directions with singular values below this part of the largest are left out. By default
        those that rounding hides, only where the penalty is 0: that is the pseudo-inverse.
    products : bool
        Decompose the products of the columns, or of the rows where these are fewer: several times
        faster, and half as many digits.

    Attributes
    ----------
    values : Tensor, shape (..., min(rows, terms))
        Singular values of the design, scaled where that was asked for; in no order.
    """

    def __init__(
        self,
        design: Tensor,
        targets: Tensor,
        *,
        scaled: bool = False,
        cutoff: float | None = None,
        products: bool = False,
    ) -> None:
        rows, terms = design.shape[-2:]
        self._size = design.new_ones(terms)
        if scaled:
            size = design.square().mean(dim=-2).sqrt()
            self._size = torch.where(size > _NOTHING, size, torch.inf)
            design = design / self._size[..., None, :]
        rounding = max(rows, terms) * torch.finfo(design.dtype).eps
        if products:
            rounding = rounding**0.5
            self._decompose_products(design, targets)
        else:
            self._decompose(design, targets)
        self._square = self.values.amax(dim=-1, keepdim=True).square()
        self._cutoff, self._rounding = cutoff, rounding

    def _decompose(self, design: Tensor, targets: Tensor) -> None:
        rows, terms = design.shape[-2:]
        if rows > _TALL * terms:
            reflected, tau = torch.geqrf(design)
            design = reflected[..., :terms, :].triu()
            targets = torch.ormqr(reflected, tau, targets, transpose=True)[..., :terms, :]
        left, self.values, right = torch.linalg.svd(design, full_matrices=False)
        self._directions, self._inner = right.mT, left.mT @ targets
        self._numerator = self.values

    def _decompose_products(self, design: Tensor, targets: Tensor) -> None:
        by_rows = design.shape[-2] < design.shape[-1]
        squares, vectors = torch.linalg.eigh(design @ design.mT if by_rows else design.mT @ design)
        self.values = squares.clamp(min=0).sqrt()
        self._numerator = torch.ones_like(self.values)
        if by_rows:
            self._directions, self._inner = design.mT @ vectors, vectors.mT @ targets
        else:
            self._directions, self._inner = vectors, vectors.mT @ (design.mT @ targets)

    @classmethod
    def of_blocks(cls, blocks: Iterable[tuple[Tensor, Tensor]]) -> Ridge:
        """Return the regression of designs and targets that come block by block of rows.

        No more than one block is held, beside as many rows as there are columns.
        """
        reduced: Tensor | None = None
        n_targets = 0
        for design, targets in blocks:
            block, n_targets = torch.hstack([design, targets]), targets.shape[1]
            reduced = block if reduced is None else torch.vstack([reduced, block])
            if len(reduced) > reduced.shape[1]:
                reduced = torch.linalg.qr(reduced, mode="r")[1]
        if reduced is None:
            raise ValueError("Expected one block of rows at least, got none.")
        return cls(reduced[:, :-n_targets], reduced[:, -n_targets:])

    def path(self, penalties: Sequence[float]) -> Tensor:
        """Return W under each penalty, shape ``(len(penalties), ..., terms, m)``.

        Penalties are relative to the square of the largest singular value.
        """
        penalty = torch.tensor(penalties, dtype=self.values.dtype)
        penalty = penalty.reshape(-1, *[1] * self.values.ndim)
        least = torch.where(penalty > 0, 0.0, self._rounding)
        if self._cutoff is not None:
            least = torch.full_like(penalty, self._cutoff)
        counts = self.values > least * self._square.sqrt()
        squares = self.values.square() + penalty * self._square
        weights = torch.where(counts, self._numerator / squares.clamp(min=1e-300), 0.0)
        solved: Tensor = self._directions @ (weights[..., None] * self._inner)
        return solved / self._size[..., None]

    def solve(self, penalty: float) -> Tensor:
        """Return W under one penalty, shape ``(..., terms, m)``."""
        return self.path([penalty])[0]
