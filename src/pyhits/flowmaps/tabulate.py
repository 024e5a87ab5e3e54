"""Tables of coarse flow maps in few dimensions, refined where states occur and errors are."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from pyhits.errors import ArgumentError
from pyhits.flowmaps.cells import CellMap
from pyhits.numerics.basis import Monomials, n_monomials
from pyhits.util.checks import as_count, as_positive
from pyhits.util.clock import UNLIMITED, Clock

#: Degree of the cells' polynomials by dimension; there are no others.
_DEGREES = {1: 7, 2: 7, 3: 5}

#: Features that a table can have.
MOST_FEATURES = max(_DEGREES)

#: Coefficients of all cells, by default; points that a cell is fitted to, for each of its terms.
_MOST_COEFFICIENTS, _OVERSAMPLING = 1_000_000, 1.5

#: Cells along each axis to begin with, and the least number of units that one is long.
_FIRST_CELLS, _UNITS = 4, 16

#: Features that vary less than this part of the one that varies most have one thin cell.
_THIN = 1e-6

#: States that count as seen in every half of a cell, whatever the population there: a Polya tree.
_PRIOR = 0.5

#: Cells are split while their error is above this part of the largest.
_MARKED = 0.02

#: Halvings along one axis at most, and entries of the table that finds the cells.
_DEEPEST, _MOST_BOXES = 20, 1 << 16

#: Increments below it are nothing but rounding: such a feature is kept exactly constant.
_ROUNDING = 1e-12

#: Takes states ``(n, d)``, float64, one coarse step forward.
StepFunction = Callable[[np.ndarray], np.ndarray]


def tabulate(
    step: StepFunction,
    population: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    *,
    tolerance: float,
    max_leaves: int | None = None,
    degree: int | None = None,
    progress: Callable[[int, float], None] | None = None,
    clock: Clock = UNLIMITED,
) -> CellMap:
    """Tabulate a step, splitting cells where states occur and the error is largest.

    Returns CellMap: in float64, on the CPU.
    Raises ArgumentError: there are more than 3 features, or arguments do not fit each other.

    Parameters
    ----------
    step : callable
        Takes states ``(n, d)``, float64, to those one step later. It is called with up to some
        hundred thousand states at once, some outside the box by up to a twelfth of its length.
    population : array, shape (n, d)
        States distributed like those that the map will meet.
    low, high : array, shape (d,)
        Corners of the box that the map is made for.
    tolerance : float
        Mean squared error over population and features at which refinement stops, as estimated
        from the residuals of the fits.
    max_leaves : int, optional
        Most cells; there are 4**d to begin with. By default as many as hold a million coefficients.
    degree : int, optional
        Total degree of the cells' polynomials.
    progress : callable, optional
        Called with the number of cells and the estimated error after every refinement.
    clock : Clock, optional
        Refinement ends before it does.
    """
    tolerance = as_positive(tolerance, "tolerance")
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    d = len(low)
    if d not in _DEGREES:
        raise ArgumentError(f"Tables are for 1 to {MOST_FEATURES} features, not {d}.")
    degree = as_count(degree or _DEGREES[d], "degree")
    if max_leaves is None:
        max_leaves = _MOST_COEFFICIENTS // (d * n_monomials(d, degree))
    if as_count(max_leaves, "max_leaves") < _FIRST_CELLS**d:
        raise ArgumentError(f"Expected max_leaves to be at least {_FIRST_CELLS**d}.")
    if population.ndim != 2 or population.shape[1] != d or not len(population):
        raise ArgumentError(f"Expected a population (n, {d}), got shape {population.shape}.")
    if not (np.isfinite(low) & np.isfinite(high) & (low <= high)).all():
        raise ArgumentError(f"Expected the corners of a box, got {low} and {high}.")
    begin = clock.now()
    fit = _CellFit.make(d, degree)
    tree = _Tree.plant(step, fit, np.clip(population, low, high), low, high)
    _refine(tree, tolerance, max_leaves, begin, clock, progress)
    return _pack(tree, low, high)


def _refine(
    tree: _Tree,
    tolerance: float,
    max_leaves: int,
    begin: float,
    clock: Clock,
    progress: Callable[[int, float], None] | None,
) -> None:
    """Split the cells that have the most of the error until it is small, or they are many."""
    while True:
        leaves = tree.leaves()
        share = tree.weight[leaves] * tree.error[leaves]
        if progress is not None:
            progress(len(leaves), float(share.sum()))
        if share.sum() <= tolerance or len(leaves) >= max_leaves:
            break
        # All that went before was of as many cells as there are now.
        if not clock.affords(clock.now() - begin):
            clock.cut("the refinement of tables")
            break
        splittable = (tree.level[leaves] < _DEEPEST).any(axis=1)
        order = np.argsort(-np.where(splittable, share, 0), kind="stable")
        worth = share[order] > max(_MARKED * share[order[0]], 0.1 * tolerance / len(leaves))
        chosen = order[worth & splittable[order]][: max_leaves - len(leaves)]
        if not len(chosen):
            break
        tree.split(leaves[chosen])


@dataclass(frozen=True)
class _CellFit:
    """What all fits of one degree share."""

    degree: int
    nodes: np.ndarray  # (m, d): points in [-1, 1]^d
    #: basis, inverse: (m, n_terms), (n_terms, m); products of Legendre polynomials at the nodes,
    #: orthonormal, and the pseudo-inverse.
    basis: np.ndarray
    inverse: np.ndarray
    #: (n_terms, n_terms): takes coefficients of these products to those of monomials.
    to_monomials: np.ndarray
    #: (n_terms, d): part of a term that halving the cell along an axis takes away; only highest
    #: degrees.
    gain: np.ndarray

    @classmethod
    def make(cls, dimension: int, degree: int) -> _CellFit:
        from scipy.linalg import qr  # imported when used: it is not needed to forecast

        monomials = Monomials(dimension, degree)
        powers = monomials.exponents
        count = int(np.ceil(_OVERSAMPLING * len(powers)))
        line = np.polynomial.chebyshev.chebpts1(2 * degree + 2)
        nodes = np.array(list(itertools.product(line, repeat=dimension)))
        # Approximate Fekete points (Sommariva, Vianello 2009): pivots of the basis, twice.
        chosen: list[int] = []
        left = np.arange(len(nodes))
        while len(chosen) < count:
            _, _, pivots = qr(_legendre(nodes[left], powers).T, mode="economic", pivoting=True)
            best = left[pivots[: min(len(powers), count - len(chosen))]]
            chosen.extend(best.tolist())
            left = np.setdiff1d(left, best)
        nodes = nodes[chosen]
        basis = _legendre(nodes, powers)
        total = powers.sum(axis=1)[:, None]
        return cls(
            degree,
            nodes,
            basis,
            np.linalg.pinv(basis),
            np.linalg.lstsq(monomials(nodes.T).T, basis, rcond=None)[0],
            np.where(total >= degree - 1, 1 - 0.25**powers, 0.0),
        )


def _legendre(points: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """Return products of orthonormal Legendre polynomials; ``(m, d)`` to ``(m, n_terms)``."""
    each = np.polynomial.legendre.legvander(points, int(powers.max()))
    each = each * np.sqrt(2 * np.arange(each.shape[-1]) + 1)
    values = np.ones((len(points), len(powers)))
    for axis in range(points.shape[1]):
        values *= each[:, axis, powers[:, axis]]
    return values


@dataclass
class _Tree:
    """Cells while they are refined; arrays have one row a node."""

    step: StepFunction
    fit: _CellFit
    population: np.ndarray
    #: origin, length: (d,); lower corner of the first cells, and their lengths.
    origin: np.ndarray
    length: np.ndarray
    #: (d,): how many first cells there are along each axis; they are the first nodes.
    roots: np.ndarray
    #: position, level: (n_nodes, d); number of the cell along each axis among cells of its size,
    #: and how often it was halved.
    position: np.ndarray
    level: np.ndarray
    #: child, axis: (n_nodes,); first of two children and the axis of the split; -1 without.
    child: np.ndarray = field(init=False)
    axis: np.ndarray = field(init=False)
    #: weight, error: (n_nodes,); part of the population, smoothed, and the mean squared error.
    weight: np.ndarray = field(init=False)
    error: np.ndarray = field(init=False)
    #: (n_nodes, n_terms, d): coefficients of Legendre products.
    terms: np.ndarray = field(init=False)
    where: np.ndarray = field(init=False)  # (n,): leaf that each state of the population lies in

    @classmethod
    def plant(
        cls,
        step: StepFunction,
        fit: _CellFit,
        population: np.ndarray,
        low: np.ndarray,
        high: np.ndarray,
    ) -> _Tree:
        """Return the tree of the first cells, a uniform grid."""
        extent = high - low
        thin = extent < _THIN * extent.max()
        roots = np.where(thin, 1, _FIRST_CELLS)
        longer = np.maximum(extent, _THIN * (extent.max() or 1.0))
        # All bounds are multiples of a power of two, so that float32 holds them exactly.
        unit = 2.0 ** np.floor(np.log2(longer / roots / _UNITS))
        origin = np.floor(low / unit) * unit
        length = np.maximum(np.ceil((high - origin) / roots / unit), 1.0) * unit
        position = np.array(list(np.ndindex(*roots)))
        level = np.zeros_like(position)
        tree = cls(step, fit, population, origin, length, roots, position, level)
        tree.child, tree.axis = (np.full(len(position), -1) for _ in range(2))
        box = np.minimum(((population - origin) / length).astype(np.int64), roots - 1)
        tree.where = np.ravel_multi_index(tuple(box.T), tuple(roots))
        tree.weight = np.bincount(tree.where, minlength=len(position)) / len(population)
        tree.terms, tree.error = tree.fitted(np.arange(len(position)))
        return tree

    def leaves(self) -> np.ndarray:
        """Return the numbers of the nodes that are not split."""
        return np.flatnonzero(self.child < 0)

    def half(self, nodes: np.ndarray) -> np.ndarray:
        """Return half the lengths of nodes, ``(n, d)``."""
        return np.asarray(0.5 * self.length * 0.5 ** self.level[nodes])

    def centre(self, nodes: np.ndarray) -> np.ndarray:
        """Return the centres of nodes, ``(n, d)``."""
        return np.asarray(self.origin + (2 * self.position[nodes] + 1) * self.half(nodes))

    def fitted(self, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the coefficients of nodes, ``(n, n_terms, d)``, and their errors, ``(n,)``."""
        fit = self.fit
        m, n_terms = fit.basis.shape
        centre, half = self.centre(nodes)[:, None], self.half(nodes)[:, None]
        points = (centre + half * fit.nodes).reshape(-1, len(self.length))
        with np.errstate(over="ignore", invalid="ignore"):
            change = (self.step(points) - points).reshape(len(nodes), m, -1)
        lost = ~np.isfinite(change).all(axis=(1, 2))
        change[lost] = 0.0
        change[:, :, (np.abs(change) < _ROUNDING).all(axis=(0, 1))] = 0.0
        terms = fit.inverse @ change
        residual = change - fit.basis @ terms
        error = np.square(residual).sum(axis=1).mean(axis=1) / (m - n_terms)
        error[lost] = np.mean((self.length * self.roots) ** 2)
        return terms, error

    def split(self, nodes: np.ndarray) -> None:
        """Halve leaves along the axis that their highest terms depend on most."""
        energy = np.square(self.terms[nodes]).sum(axis=2) @ self.fit.gain
        energy = np.where(self.level[nodes] < _DEEPEST, energy, -1.0)
        axis = energy.argmax(axis=1)
        first = len(self.child) + 2 * np.arange(len(nodes))
        self.child[nodes], self.axis[nodes] = first, axis
        position, level = (np.repeat(a[nodes], 2, axis=0) for a in (self.position, self.level))
        rows, along = np.arange(2 * len(nodes)), np.repeat(axis, 2)
        level[rows, along] += 1
        position[rows, along] = 2 * position[rows, along] + rows % 2
        self.position = np.concatenate([self.position, position])
        self.level = np.concatenate([self.level, level])
        nothing = np.full(len(rows), -1)
        self.child, self.axis = (np.concatenate([a, nothing]) for a in (self.child, self.axis))
        moved = np.flatnonzero(self.axis[self.where] >= 0)
        parent = self.where[moved]
        along = self.axis[parent]
        value = self.population[moved, along]
        upper = value >= self.centre(parent)[np.arange(len(parent)), along]
        self.where[moved] = self.child[parent] + upper
        new = first[0] + rows
        counted = np.bincount(self.where, minlength=len(self.child))[new].reshape(-1, 2) + _PRIOR
        share = counted / counted.sum(axis=1, keepdims=True)
        weight = (self.weight[nodes, None] * share).ravel()
        self.weight = np.concatenate([self.weight, weight])
        terms, error = self.fitted(new)
        self.terms = np.concatenate([self.terms, terms])
        self.error = np.concatenate([self.error, error])


def _pack(tree: _Tree, low: np.ndarray, high: np.ndarray) -> CellMap:
    """Return the flow map of a tree."""
    fineness = _fineness(tree)
    grid = tree.roots * 2**fineness
    table = _smallest_nodes(tree, grid, fineness)
    # Only what the table leads to is kept.
    reached = np.zeros(len(tree.child), dtype=bool)
    front, depth = np.unique(table), -1
    while len(front):
        reached[front] = True
        children = tree.child[front][tree.child[front] >= 0]
        front = np.concatenate([children, children + 1])
        depth += 1
    nodes = np.flatnonzero(reached)
    number = np.cumsum(reached) - 1
    split = tree.child[nodes] >= 0
    leaves = nodes[~split]
    d, degree = len(low), tree.fit.degree
    flow_map = CellMap(d, degree, len(leaves), len(nodes), grid.tolist(), depth).double()
    rows = np.arange(len(nodes))
    axis = np.maximum(tree.axis[nodes], 0)
    child = np.where(split, number[np.maximum(tree.child[nodes], 0)], rows)
    values = {
        "low": low,
        "high": high,
        "origin": tree.origin,
        "per_box": 2.0**fineness / tree.length,
        "table": number[table],
        "child": child,
        "axis": axis,
        "threshold": np.where(split, tree.centre(nodes)[rows, axis], np.inf),
        "leaf": np.where(split, -1, np.cumsum(~split) - 1),
        "centre": tree.centre(leaves),
        "per_half": 1 / tree.half(leaves),
        "coefficients": (tree.fit.to_monomials @ tree.terms[leaves]).swapaxes(1, 2),
    }
    for name, value in values.items():
        getattr(flow_map, name).copy_(torch.from_numpy(np.ascontiguousarray(value)))
    return flow_map.eval()


def _fineness(tree: _Tree) -> np.ndarray:
    """Return how often the first cells are halved along each axis in the grid that finds cells."""
    leaves = tree.leaves()
    level, weight = tree.level[leaves], tree.weight[leaves]
    fineness = np.zeros(len(tree.roots), dtype=np.int64)
    while True:
        gain = (weight[:, None] * (level > fineness)).sum(axis=0)
        axis = int(gain.argmax())
        if gain[axis] <= 0 or 2 * np.prod(tree.roots * 2**fineness) > _MOST_BOXES:
            return fineness
        fineness[axis] += 1


def _smallest_nodes(tree: _Tree, grid: np.ndarray, fineness: np.ndarray) -> np.ndarray:
    """Return the smallest node that each box of the grid lies in, the last axis fastest."""
    box = np.stack([i.ravel() for i in np.indices(tuple(grid))], axis=1)
    node = np.asarray(np.ravel_multi_index(tuple((box >> fineness).T), tuple(tree.roots)))
    rows = np.arange(len(box))
    while True:
        axis = np.maximum(tree.axis[node], 0)
        finer = fineness[axis] - tree.level[node, axis] - 1
        inside = (tree.child[node] >= 0) & (finer >= 0)
        if not inside.any():
            return node
        upper = (box[rows, axis] >> np.maximum(finer, 0)) & 1
        node = np.where(inside, tree.child[node] + upper, node)
