"""A flow map tabulated in boxes, each of which holds a polynomial of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from pyhits.errors import ArgumentError
from pyhits.flowmaps.base import DIMENSION, MOST, FlowMap, StepInto, register
from pyhits.flowmaps.polynomial import DEGREE
from pyhits.numerics.basis import MonomialBuffer, Monomials, n_monomials
from pyhits.numerics.fused.numbers import CELLS, Numbers
from pyhits.util.checks import as_count
from pyhits.util.schema import Many, Record, Schema, Whole

#: Multiply-adds that take as long as finding a state's cell, and as one of its coefficients.
_LOOKUP, _EACH = 2_000, 45

#: Splits that a file may say lie between a box of the grid and a cell: halves of halves would be
#: smaller than rounding.
_MOST_SPLITS = 1_000


@register("cells")
class CellMap(FlowMap):
    """A polynomial increment of total degree ``degree`` in each of many boxes.

    For coarse steps in few dimensions that change much faster in some places than in others. A
    uniform grid is looked up first; its entries are nodes of binary trees, whose leaves are the
    cells. A state outside ``low`` and ``high`` takes the increment of the nearest
    point inside.

    :func:`pyhits.flowmaps.tabulate.tabulate` makes one.

    Parameters
    ----------
    dimension, degree : int
        Number of state variables d and total degree of the polynomials (1 or more).
    n_leaves, n_nodes : int
        Number of cells, and of nodes of all trees; every cell is a node.
    grid : sequence of int
        Boxes of the uniform grid along each axis.
    depth : int
        Most splits between a box of the grid and a cell.

    Attributes
    ----------
    low, high : Tensor, shape (d,)
        Where the map is defined.
    origin, per_box : Tensor, shape (d,)
        Lower corner of the grid, and one over the lengths of its boxes.
    table : Tensor, shape (prod(grid),)
        Smallest node that each box of the grid lies in, int32; the last axis runs fastest.
    child : Tensor, shape (n_nodes,)
        The lower half of a node, which its upper half follows; of a cell, the cell itself. int32.
    axis : Tensor, shape (n_nodes,)
        The axis that a node is split along, int32.
    threshold : Tensor, shape (n_nodes,)
        Where it is split; infinite for cells.
    leaf : Tensor, shape (n_nodes,)
        Number of the cell that a node is, int32; -1 for the others.
    centre, per_half : Tensor, shape (n_leaves, d)
        Centres of the cells, and one over half their lengths.
    coefficients : Tensor, shape (n_leaves, d, n_terms)
        Of the monomials in ``(x - centre) * per_half``.
    """

    schema: ClassVar[Schema] = Record(
        DIMENSION
        | {
            "degree": DEGREE,
            "n_leaves": Whole(1, MOST),
            "n_nodes": Whole(1, MOST),
            "grid": Many(Whole(1, MOST), 1, 64),
            "depth": Whole(0, _MOST_SPLITS),
        }
    )

    low: Tensor
    high: Tensor
    origin: Tensor
    per_box: Tensor
    table: Tensor
    child: Tensor
    axis: Tensor
    threshold: Tensor
    leaf: Tensor
    centre: Tensor
    per_half: Tensor
    coefficients: Tensor
    strides: Tensor
    last_box: Tensor

    def __init__(
        self,
        dimension: int,
        degree: int,
        n_leaves: int = 1,
        n_nodes: int = 1,
        grid: Sequence[int] | None = None,
        depth: int = 0,
    ) -> None:
        super().__init__(dimension)
        self.degree = as_count(degree, "degree")
        self.n_leaves = as_count(n_leaves, "n_leaves")
        self.n_nodes = as_count(n_nodes, "n_nodes", least=self.n_leaves)
        self.grid = tuple(as_count(k, "a grid size") for k in grid or (1,) * dimension)
        self.depth = as_count(depth, "depth", least=0)
        if len(self.grid) != dimension:
            raise ArgumentError(f"Expected {dimension} grid sizes, got {len(self.grid)}.")
        self.basis = Monomials(dimension, self.degree)
        self.n_terms = self.basis.size
        d, whole = dimension, torch.int32
        self.register_buffer("low", torch.full((d,), -torch.inf))
        self.register_buffer("high", torch.full((d,), torch.inf))
        self.register_buffer("origin", torch.zeros(d))
        self.register_buffer("per_box", torch.ones(d))
        self.register_buffer("table", torch.zeros(int(np.prod(self.grid)), dtype=whole))
        self.register_buffer("child", torch.arange(n_nodes, dtype=whole))
        self.register_buffer("axis", torch.zeros(n_nodes, dtype=whole))
        self.register_buffer("threshold", torch.full((n_nodes,), torch.inf))
        self.register_buffer("leaf", torch.zeros(n_nodes, dtype=whole))
        self.register_buffer("centre", torch.zeros(n_leaves, d))
        self.register_buffer("per_half", torch.ones(n_leaves, d))
        self.register_buffer("coefficients", torch.zeros(n_leaves, d, self.n_terms))
        strides = np.cumprod((1, *self.grid[:0:-1]))[::-1].copy()
        last = torch.tensor(self.grid, dtype=whole) - 1
        self.register_buffer("strides", torch.from_numpy(strides).to(whole), persistent=False)
        self.register_buffer("last_box", last, persistent=False)

    @property
    def width(self) -> int:
        """Numbers held for each state while stepping: coefficients, and the monomials twice."""
        return (self.dimension + 2) * self.n_terms

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds that would take as long as one evaluation, which mostly fetches numbers."""
        return _LOOKUP + _EACH * self.dimension * self.n_terms

    @property
    def parts(self) -> str:
        """What it is made of, for people."""
        return f"table ({self.n_leaves} cells of degree {self.degree})"

    @classmethod
    def n_stored(cls, config: dict[str, Any]) -> int:
        """Return how many numbers it keeps: bounds, grid, nodes and cells."""
        d, n_leaves, n_nodes = (config[name] for name in ("dimension", "n_leaves", "n_nodes"))
        each = d * (2 + n_monomials(d, config["degree"]))
        return int(4 * d + math.prod(config["grid"]) + 4 * n_nodes + n_leaves * each)

    def fault(self) -> str | None:
        """Return what is wrong with its numbers: not finite, or trees that lead nowhere."""
        found = super().fault()
        if found is not None:
            return found
        own = torch.arange(self.n_nodes, dtype=torch.int32)
        inner = self.leaf < 0
        limits = {
            "table": (self.table, 0, self.n_nodes),
            "axis": (self.axis, 0, self.dimension),
            "leaf": (self.leaf, -1, self.n_leaves),
            "child": (self.child, 0, self.n_nodes),
        }
        for name, (values, least, end) in limits.items():
            if not bool(((values >= least) & (values < end)).all()):
                return f"{name}: it points beyond what there is"
        # Below its parent: so that every way down ends.
        below = (self.child > own) & (self.child < self.n_nodes - 1)
        if not bool(torch.where(inner, below, self.child == own).all()):
            return "child: it does not lead down"
        at = torch.unique(self.table)
        for _ in range(self.depth):
            lower = self.child[at[inner[at]]]
            if not len(lower):
                break
            at = torch.unique(torch.cat([lower, lower + 1]))
        return "depth: it ends above the cells" if bool(inner[at].any()) else None

    def cells(self, states: Tensor) -> Tensor:
        """Return the number of the cell of each state; ``(n, d)`` to ``(n,)``, int32."""
        inside = torch.clamp(states, self.low, self.high)
        node = self._boxes(inside)
        # As often for every state, so that exporters can follow; cells are their own children.
        for _ in range(self.depth):
            along = self.axis.index_select(0, node).long()[:, None]
            upper = inside.gather(1, along)[:, 0] >= self.threshold.index_select(0, node)
            node = self.child.index_select(0, node) + upper.int()
        return self.leaf.index_select(0, node)

    def _boxes(self, inside: Tensor) -> Tensor:
        box = ((inside - self.origin) * self.per_box).int()
        # States that are no numbers must not lead out of the table.
        box = torch.clamp(box, torch.zeros_like(self.last_box), self.last_box)
        return self.table.index_select(0, (box * self.strides).sum(1))

    def increment(self, states: Tensor) -> Tensor:
        """Return the changes of state; ``(n, d)`` to ``(n, d)``."""
        leaf = self.cells(states)
        # The centre is subtracted first: float32 loses nothing then, however small the cell.
        local = torch.clamp(states, self.low, self.high) - self.centre.index_select(0, leaf)
        terms = self.basis.of_tensor((local * self.per_half.index_select(0, leaf)).T)
        return torch.bmm(self.coefficients.index_select(0, leaf), terms.T[:, :, None])[:, :, 0]

    def stepper(self, max_rows: int) -> StepInto:
        """Return a stepping function that works in buffers allocated once."""
        d, n_terms = self.dimension, self.n_terms
        # Flat, so that the first rows of each are contiguous whatever their number.
        inside, scale, change = (self.low.new_empty(max_rows * d) for _ in range(3))
        by_term, by_row = (self.low.new_empty(max_rows * n_terms) for _ in range(2))
        fetched = self.low.new_empty(max_rows * d * n_terms)
        boxes = self.table.new_empty(max_rows * d)
        nodes, leaves = (self.table.new_empty(max_rows) for _ in range(2))
        flat = self.coefficients.reshape(self.n_leaves, d * n_terms)
        first_box = torch.zeros_like(self.last_box)
        is_cell = self.leaf >= 0
        monomials: dict[int, MonomialBuffer] = {}

        def step_into(states: Tensor, out: Tensor) -> None:
            n = len(states)
            local, factor = inside[: n * d].view(n, d), scale[: n * d].view(n, d)
            torch.clamp(states, self.low, self.high, out=local)
            torch.sub(local, self.origin, out=factor).mul_(self.per_box)
            box = boxes[: n * d].view(n, d).copy_(factor)
            torch.clamp(box, first_box, self.last_box, out=box).mul_(self.strides)
            node, leaf = nodes[:n], leaves[:n]
            torch.sum(box, 1, dtype=torch.int32, out=leaf)
            torch.index_select(self.table, 0, leaf, out=node)
            if self.depth:
                self._descend(local, node, is_cell)
            torch.index_select(self.leaf, 0, node, out=leaf)
            local -= torch.index_select(self.centre, 0, leaf, out=factor)
            local *= torch.index_select(self.per_half, 0, leaf, out=factor)
            if n not in monomials:
                monomials[n] = self.basis.within(by_term[: n * n_terms].view(n_terms, n))
            monomials[n].variables.copy_(local.T)
            terms = monomials[n].fill()
            # Transposed into a buffer: the product of strided monomials takes twice as long.
            column = by_row[: n * n_terms].view(n, n_terms, 1)
            column[:, :, 0] = terms.T
            rows = fetched[: n * d * n_terms].view(n, d * n_terms)
            torch.index_select(flat, 0, leaf, out=rows)
            product = change[: n * d].view(n, d, 1)
            torch.bmm(rows.view(n, d, n_terms), column, out=product)
            torch.add(states, product[:, :, 0], out=out)

        return step_into

    def numbers(self) -> Numbers | None:
        """Return its tensors, the number of the last box as a real one."""
        arrays = []
        for name, kind in CELLS.items():
            tensor = getattr(self, name)
            whole = kind == "whole"
            arrays.append((tensor if whole else tensor.to(self.low.dtype)).contiguous().numpy())
        return Numbers.unbounded("cells", self.dimension, self.degree, arrays)

    def _descend(self, inside: Tensor, node: Tensor, is_cell: Tensor) -> None:
        """Lead every state's ``node`` (n,) on to its cell, in place; work shrinks as they end."""
        flat = inside.view(-1)
        rows = (~is_cell[node]).nonzero()[:, 0]
        here = node[rows]
        for _ in range(self.depth):
            if not len(rows):
                break
            value = flat[rows * self.dimension + self.axis[here]]
            here = self.child[here] + (value >= self.threshold[here])
            ended = is_cell[here]
            node[rows[ended]] = here[ended]
            rows, here = rows[~ended], here[~ended]
