"""Solving for the coefficients of a law of differences, so that its integral meets the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pyhits.data.stretches import evenly
from pyhits.flowmaps.stencils.law import Law, Products
from pyhits.flowmaps.stencils.walls import Walls
from pyhits.util.clock import UNLIMITED, Clock

#: Numbers in the fields that coefficients are solved on, at most: those that are the same at all
#: points, and those that differ; and fields at least.
_NUMBERS, _NUMBERS_BY_PLACE, _LEAST = 1 << 16, 1 << 20, 8

#: Substeps that are tried, and the most of planes and boxes, whose steps are dear.
_SUBSTEPS, _MOST_OF_PLANES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128), 32

#: Twice the multiple of the substeps of similar coefficients that others may need.
_MORE = 8

#: Fields that a small disturbance is followed from, its steps, by how much it may grow in the last,
#: and the part by which growths of different substeps may differ to be that of the law itself.
_TRIED, _DISTURBED, _GROWTH, _ALIKE = 3, 6, 1.5, 0.05

#: Gauss-Newton steps, those of exact derivatives, and the part of the error that one must leave for
#: another to follow.
_STEPS, _EXACT_STEPS, _GAIN = 12, 4, 0.98

#: Coefficients that have exact derivatives, at most, and what these are differences of.
_MOST_EXACT, _DIFFERENCE = 48, 1e-4

#: Ridge of regressions, as a part of the diagonal, and by how much all terms that are dropped may
#: raise the error.
_RIDGE, _DROP = 1e-12, 1.02


@dataclass(frozen=True)
class Solution:
    """A law that was solved for, and how well it does."""

    products: Products
    values: Tensor  # (channels, n_products) or (channels, n_products, *shape)
    substeps: int = 0  # 0 where they are not known yet
    #: Root mean square of what is left of a step, as a part of that of the changes.
    error: float = math.inf


class StencilFit:
    """Fits the coefficients of a law's products.

    Parameters
    ----------
    fields, later : Tensor, shape (n, channels, *shape)
        Those one step later; evenly chosen ones are fitted to.
    width : int
        Points of a difference.
    """

    def __init__(
        self, walls: Walls, fields: Tensor, later: Tensor, width: int, clock: Clock = UNLIMITED
    ) -> None:
        self.walls, self.width, self.clock = walls, width, clock
        self.fields, self.later = fields, later
        self.size = max(float((later - fields).square().mean().sqrt()), 1e-300)
        self.channels = fields.shape[1]
        #: Channels that ever change; of the others nothing is solved for.
        self.moves = (later - fields).abs().flatten(2).amax((0, 2)) > 0

    def _some(self, numbers: int) -> tuple[Tensor, Tensor]:
        each = self.fields[0].numel()
        chosen = evenly(len(self.fields), max(_LEAST, numbers // each))
        return self.fields[chosen], self.later[chosen]

    def _law(self, products: Products) -> Law:
        return Law(self.walls, products, self.width, self.fields)

    def shared(self, products: Products) -> Solution:
        """Return the products that are needed, of coefficients that are the same at all points.

        Raises TimeIsUpError.
        """
        before, after = self._some(_NUMBERS)
        law = self._law(products)
        columns = self._columns(law, before, after)
        step, kept = self._regressed(columns, after - before, law)
        found = Solution(products.kept(kept), step[:, kept])
        for exact in (False, True):
            many = found.values.numel() > _MOST_EXACT
            if exact and (many or not math.isfinite(found.error)):
                break
            found = self._improved(found, before, after, exact=exact)
        return found

    def by_place(self, shared: Solution, varying: Products, penalty: float) -> Solution:
        """Return a solution some of whose products have coefficients by place, near the shared.

        Raises TimeIsUpError.

        Parameters
        ----------
        varying : Products
            Those that have.
        penalty : float
            On what differs from the shared, as a part of the columns' squares.
        """
        before, after = self._some(_NUMBERS_BY_PLACE)
        products, own, common = _together(varying, shared.products)
        law = self._law(products)
        values = before.new_zeros(self.channels, len(products.factors), *law.shape)
        values[:, common] = shared.values.view(*shared.values.shape, *[1] * len(law.shape))
        columns = self._columns(law, before, after)
        best, missed = self._rated(Solution(products, values, shared.substeps), before, after)
        if not math.isfinite(best.error):  # the same law everywhere leads nowhere: begin at rest
            rest = Solution(products, torch.zeros_like(values))
            best, missed = self._rated(rest, before, after)
        others = [j for j in common if j not in own]
        for _ in range(_STEPS):
            self.clock.check()
            step = torch.stack([
                _schur(columns[:, :, law.moving[c] > 0], missed[:, c][:, law.moving[c] > 0], own,
                       others, penalty, law.moving[c] > 0)
                for c in range(self.channels)
            ])  # fmt: skip
            moved = best.values + step * self.moves.view(-1, *[1] * (step.dim() - 1))
            found, missed = self._rated(replace(best, values=moved), before, after)
            if not found.error < _GAIN * best.error:
                return min(best, found, key=lambda one: one.error)
            best = found
        return best

    def _columns(self, law: Law, before: Tensor, after: Tensor) -> Tensor:
        """Return means of products at both ends of a step, ``(n_products, n, *shape)``."""
        self.clock.check()
        return (law.products_of(before) + law.products_of(after)) / 2

    def _regressed(self, columns: Tensor, right: Tensor, law: Law) -> tuple[Tensor, list[int]]:
        """Return coefficients ``(channels, n_products)``, and the products that any needs."""
        found, needed = [], set()
        for c in range(self.channels):
            here = law.moving[c] > 0
            own = columns[:, :, here].flatten(1)
            values, kept = _least_squares(own, right[:, c][:, here].flatten())
            values = values * self.moves[c]
            found.append(values)
            needed |= set(kept) if self.moves[c] else set()
        return torch.stack(found), sorted(needed)

    def _improved(self, begin: Solution, before: Tensor, after: Tensor, *, exact: bool) -> Solution:
        """Return a solution improved by Gauss-Newton steps, with the products that it needs."""
        best, missed = self._rated(begin, before, after)
        found = best
        if not math.isfinite(best.error):
            return best
        law = self._law(best.products)
        columns = None if exact else self._columns(law, before, after)
        for _ in range(_EXACT_STEPS if exact else _STEPS):
            self.clock.check()
            if columns is None:
                step = self._exact(law, best, before, missed)
            else:
                step, _ = self._regressed(columns, missed, law)
            found, missed = self._rated(replace(best, values=best.values + step), before, after)
            if not found.error < _GAIN * best.error:
                break
            best = found
        return min(best, found, key=lambda one: one.error)

    def _exact(self, law: Law, best: Solution, before: Tensor, missed: Tensor) -> Tensor:
        """Return the Gauss-Newton step with derivatives by differences."""
        here = law.step(before, best.values, best.substeps)
        columns = []
        which = [k for k in range(best.values.numel()) if best.values.flatten()[k]]
        for k in which:
            self.clock.check()
            moved = best.values.flatten().clone()
            delta = _DIFFERENCE * max(abs(float(moved[k])), 1e-6)
            moved[k] += delta
            there = law.step(before, moved.view_as(best.values), best.substeps)
            columns.append((there - here).flatten() / delta)
        step = best.values.new_zeros(best.values.numel())
        if columns:
            step[which], _ = _least_squares(torch.stack(columns), missed.flatten(), drop=False)
        return step.view_as(best.values)

    def _rated(self, solution: Solution, before: Tensor, after: Tensor) -> tuple[Solution, Tensor]:
        """Return a solution with as many substeps as it needs, its error, and what it misses."""
        law = self._law(solution.products)
        some = before[:: max(1, len(before) // _TRIED)]
        substeps = self._substeps(law, solution, some)
        if substeps is None:
            return replace(solution, error=math.inf), after
        left = after - law.step(before, solution.values, substeps)
        error = float(left.square().mean().sqrt()) / self.size
        error = error if math.isfinite(error) else math.inf
        return replace(solution, substeps=substeps, error=error), left

    def _substeps(self, law: Law, solution: Solution, fields: Tensor) -> int | None:
        """Return the fewest substeps that are stable, near those known; None if none are.

        Those are stable by which a disturbance does not grow, or no faster than by more of them.
        """
        known, before, last = solution.substeps, math.inf, 0
        most = _SUBSTEPS[-1] if len(law.shape) == 1 else _MOST_OF_PLANES
        for substeps in (s for s in _SUBSTEPS if s <= most):
            if known and not known <= 2 * substeps <= _MORE * known:
                continue
            self.clock.check()
            growth = _growth(law, solution.values, substeps, fields)
            if growth <= _GROWTH:
                return substeps
            if math.isfinite(before) and abs(growth - before) < _ALIKE * before:
                return last
            before, last = growth, substeps
        return None


def _growth(law: Law, values: Tensor, substeps: int, fields: Tensor) -> float:
    """Return by how much a disturbance of fields, of all waves at first, grows in a late step."""
    noise = torch.randn(fields.shape, generator=torch.Generator().manual_seed(0)).to(fields)
    noise = 1e-5 * noise * law.moving
    here, growth = _stepped(law, fields, values, substeps), 1.0
    if not bool(here.isfinite().all()):
        return math.inf
    for _ in range(_DISTURBED):
        size = noise.square().mean().sqrt()
        after = _stepped(law, fields + noise, values, substeps) - here
        grown = float(after.square().mean().sqrt() / size)
        if not math.isfinite(grown) or grown > 1e3:
            return math.inf
        growth = grown
        noise = after * (1e-5 / max(grown * float(size), 1e-300))
    return growth


def _stepped(law: Law, fields: Tensor, values: Tensor, substeps: int) -> Tensor:
    """Return fields one step later, or what is not finite on the way there."""
    for _ in range(substeps):
        fields = law.step(fields, values / substeps, 1)
        if not bool(fields.isfinite().all()):
            break
    return fields


def _least_squares(
    columns: Tensor, right: Tensor, *, drop: bool = True
) -> tuple[Tensor, list[int]]:
    """Return coefficients of columns ``(k, n)``, and those that are needed, the others being 0.

    Those that are dropped raise the error by little, all together; the cheapest go first.
    """
    size = columns.square().mean(1).sqrt()
    size = torch.where(size > 1e-12 * size.max(), size, torch.inf)
    scaled = columns / size[:, None]
    gram, each = scaled @ scaled.T, scaled @ right
    ridge = _RIDGE * len(right) * torch.eye(len(size), dtype=gram.dtype)
    kept = [k for k in range(len(size)) if math.isfinite(float(size[k]))]
    values = torch.zeros_like(each)
    first = math.inf
    while kept:
        part = gram[kept][:, kept] + ridge[kept][:, kept]
        own = torch.linalg.solve(part, each[kept])
        left = float(right.square().sum() - own @ each[kept])
        left = max(left, 1e-13 * float(right.square().sum()))
        if left > _DROP**2 * first:
            break
        first = min(first, left)
        values = torch.zeros_like(each)
        values[kept] = own
        chosen = list(kept)
        if not drop or len(kept) == 1:
            break
        costs = own.square() / torch.linalg.inv(part).diagonal().clamp(min=1e-300)
        kept.pop(int(costs.argmin()))
    return values / size, chosen if kept or values.any() else []


def _together(varying: Products, shared: Products) -> tuple[Products, list[int], list[int]]:
    """Return both as one, and where each of their products is in it."""
    features = tuple(dict.fromkeys((*varying.features, *shared.features)))
    number = {own: k for k, own in enumerate(features)}

    def named(products: Products) -> list[tuple[int, ...]]:
        return [
            tuple(sorted(number[products.features[f]] for f in own)) for own in products.factors
        ]

    factors = tuple(dict.fromkeys((*named(varying), *named(shared))))
    place = {own: j for j, own in enumerate(factors)}
    own, common = ([place[f] for f in named(products)] for products in (varying, shared))
    return Products(features, factors), own, common


def _schur(
    columns: Tensor, right: Tensor, own: Sequence[int], shared: Sequence[int],
    penalty: float, here: Tensor,
) -> Tensor:  # fmt: skip
    """Return a regression's coefficients, some by place, the others the same at all places.

    Returns Tensor, shape (k, *shape).

    Parameters
    ----------
    columns : Tensor, shape (k, n, n_points)
    right : Tensor, shape (n, n_points)
    own, shared : sequence of int
        Columns that have coefficients by place, and others.
    here : Tensor of bool, shape (*shape)
        The points.
    """
    size = columns.square().mean((1, 2)).sqrt()
    size = torch.where(size > 1e-12 * size.max(), size, torch.inf)
    scaled = columns / size[:, None, None]
    each, common = scaled[own], scaled[shared]
    eye = torch.eye(len(own), dtype=columns.dtype)
    a = torch.einsum("inp,jnp->pij", each, each) + penalty * columns.shape[1] * eye
    b = torch.einsum("inp,jnp->pij", each, common)
    toward = torch.einsum("inp,np->pi", each, right)
    solved = torch.linalg.solve(a, torch.cat([b, toward[..., None]], dim=2))
    inner, alone = solved[..., :-1], solved[..., -1]
    found = columns.new_zeros(len(size), columns.shape[2])
    if shared:
        gram = torch.einsum("inp,jnp->ij", common, common) - torch.einsum("pij,pik->jk", b, inner)
        gram += _RIDGE * columns[0].numel() * torch.eye(len(shared), dtype=columns.dtype)
        toward = torch.einsum("jnp,np->j", common, right) - torch.einsum("pij,pi->j", b, alone)
        values = torch.linalg.solve(gram, toward)
        found[shared] = values[:, None]
        alone = alone - inner @ values
    found[own] = alone.T
    every = columns.new_zeros(len(size), *here.shape)
    every[:, here] = found / size[:, None]
    return every
