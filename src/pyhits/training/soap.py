"""SOAP: Adam in the eigenbases of Shampoo's preconditioners, for many small matrices at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyhits.numerics.optimizers import Plain

#: Which bases turn one side of a shape's matrices: the index of their size, and rows among these.
_Side = tuple[int, slice]

#: Added to the factors' eigenvalues, as a part of their sum, when bases are refreshed.
_SHIFT = 1e-6


class Soap(Plain):
    """SOAP (Vyas et al. 2024, arXiv 2409.11321, Algorithm 3), batched over matrices.

    For a matrix with gradient G, the factors L and R are moving averages of ``G G^T`` and
    ``G^T G``, and Adam runs on ``Q_L^T G Q_R``, where the columns of Q are eigenvectors of the
    factors. Every ``precondition_frequency`` steps, one power iteration and a QR decomposition
    bring them up to date; the first moment is turned along. The first step changes no parameter: it
    does this from the identity.

    Matrices of equal shape, up to transposition, are turned together, factors of equal size are
    decomposed together, and each moment of all parameters is one flat tensor. Factors are read at a
    refresh alone, so gradients are collected and enter them there.

    Parameters
    ----------
    params : iterable
        Parameters, or groups. Vectors are left to plain Adam; of tensors with more axes, all but
        the first make one side.
    lr : float
        Learning rate.
    betas : pair of float
        Decay of the first moment, and of the second moment and the factors.
    eps : float
        Added to the root of the second moment.
    precondition_frequency : int
        Steps from one refresh of the bases to the next.
    max_precondition_dim : int
        Longer sides are not turned.
    batched : bool
        Whether axis 0 counts independent parameters: ``(S, m, n)`` are S matrices, ``(S, n)`` S
        vectors.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 3e-3,
        betas: tuple[float, float] = (0.95, 0.95),
        eps: float = 1e-8,
        precondition_frequency: int = 20,
        max_precondition_dim: int = 1024,
        batched: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "precondition_frequency": precondition_frequency,
            "max_precondition_dim": max_precondition_dim,
            "batched": batched,
        }
        super().__init__(params, defaults)
        self._stacks: dict[int, _Stack] = {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a state, of which views are made anew; loading and unpickling come here."""
        super().__setstate__(state)
        self._stacks = {}

    @torch.no_grad()
    def step(  # type: ignore[override]
        self, closure: Callable[[], float] | None = None
    ) -> float | None:
        """Take one step; a parameter without a gradient counts as having zeros."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for number, group in enumerate(self.param_groups):
            if number not in self._stacks:
                # The state of a group is one, kept under its first parameter.
                self._stacks[number] = _Stack(group, self.state[group["params"][0]])
            self._stacks[number].step(group)
        return loss


@dataclass
class _Shape:
    """All matrices of one shape ``(tall, thin)``, or all vectors (``thin`` 1, without sides)."""

    tall: int
    thin: int
    #: begin, count: Where they lie in flat tensors, and how many they are.
    begin: int = 0
    count: int = 0
    #: left, right: Bases of their two sides.
    left: _Side | None = None
    right: _Side | None = None

    def of(self, flat: Tensor) -> Tensor:
        """Return the matrices ``(..., count, tall, thin)`` in flat tensors ``(..., total)``."""
        size = self.count * self.tall * self.thin
        part = flat[..., self.begin : self.begin + size]
        return part.view(*flat.shape[:-1], self.count, self.tall, self.thin)


class _Stack:
    """The state of one parameter group, work space, and views of both, made once.

    State
    -----
    step : int
        Steps taken.
    first, second : Tensor, shape (total,)
        Moments, in the bases.
    recent : Tensor, shape (precondition_frequency, total)
        Gradients since the last refresh.
    factors, bases : list of Tensor, shape (count, d, d)
        All factors of one size d, and their eigenvectors, one a column.
    """

    def __init__(self, group: dict[str, Any], state: dict[str, Any]) -> None:
        self.params: list[Tensor] = group["params"]
        self.state = state
        shapes, members, sizes = _arrange(group)
        self.matrices = [s for s in shapes if s.left or s.right]
        like = self.params[0]
        total = sum(p.numel() for p in self.params)
        #: From here on the flat tensors hold what is not turned.
        self.plain = min((s.begin for s in shapes if not (s.left or s.right)), default=total)
        if not state:
            state["step"] = 0
            state["first"] = like.new_zeros(total)
            state["second"] = like.new_zeros(total)
            state["recent"] = like.new_zeros(group["precondition_frequency"], total)
            state["factors"] = [like.new_zeros(n, d, d) for d, n in sizes.items()]
            eyes = [torch.eye(d, dtype=like.dtype, device=like.device) for d in sizes]
            state["bases"] = [e.repeat(n, 1, 1) for e, n in zip(eyes, sizes.values(), strict=True)]
        self.turned, self.work = like.new_zeros(total), like.new_zeros(total)

        def parts(flat: Tensor) -> list[Tensor]:
            views = []
            for p, (shape, rows, transposed) in zip(self.params, members, strict=True):
                part = shape.of(flat)[rows]
                views.append((part.mT if transposed else part).view(p.shape))
            return views

        self.incoming = [parts(recent) for recent in state["recent"]]
        self.outgoing = parts(self.turned)
        self.views = [
            (
                [s.of(recent) for recent in state["recent"]],
                s.of(self.work),
                s.of(self.turned),
                self._pick(state["bases"], s.left),
                self._pick(state["bases"], s.right),
            )
            for s in self.matrices
        ]

    @staticmethod
    def _pick(of: list[Tensor], side: _Side | None) -> Tensor | None:
        return None if side is None else of[side[0]][side[1]]

    def step(self, group: dict[str, Any]) -> None:
        """Take one step with the parameters' gradients."""
        state, turned, work = self.state, self.turned, self.work
        t, every = state["step"], group["precondition_frequency"]
        state["step"] += 1
        slot = max(0, t - 1) % every
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.params]
        torch._foreach_copy_(self.incoming[slot], grads)
        beta1, beta2 = group["betas"]
        if t == 0:
            self._collect(1, beta2)
            self._refresh()
            return
        turned[self.plain :].copy_(state["recent"][slot, self.plain :])
        for gradients, half, out, left, right in self.views:
            _turn(_transposed(left), gradients[slot], right, half, out)
        first, second = state["first"], state["second"]
        first.lerp_(turned, 1 - beta1)
        second.mul_(beta2).addcmul_(turned, turned, value=1 - beta2)
        torch.sqrt(second, out=work).add_(group["eps"])
        torch.div(first, work, out=turned)
        for _, half, out, left, right in self.views:
            _turn(left, out, _transposed(right), half, out)
        correction = math.sqrt(1 - beta2**t) / (1 - beta1**t)
        torch._foreach_add_(self.params, self.outgoing, alpha=-group["lr"] * correction)
        if t % every == 0:
            self._collect(every, beta2)
            self._refresh()

    def _collect(self, n: int, beta: float) -> None:
        """Let the last ``n`` gradients enter the factors."""
        state, recent = self.state, self.state["recent"][:n]
        ages = torch.arange(n - 1, -1, -1, dtype=recent.dtype, device=recent.device)
        recent = recent * ((1 - beta) * beta**ages).sqrt_()[:, None]
        for shape in self.matrices:
            gradients = shape.of(recent)
            left = self._pick(state["factors"], shape.left)
            if left is not None:
                wide = gradients.permute(1, 2, 0, 3).reshape(shape.count, shape.tall, -1)
                left.baddbmm_(wide, wide.mT, beta=beta**n)
            right = self._pick(state["factors"], shape.right)
            if right is not None:
                high = gradients.permute(1, 0, 2, 3).reshape(shape.count, -1, shape.thin)
                right.baddbmm_(high.mT, high, beta=beta**n)

    def _refresh(self) -> None:
        """Bring the bases up to date (Algorithm 4), and the moments into the new ones."""
        turns, orders = [], []
        for factor, basis in zip(self.state["factors"], self.state["bases"], strict=True):
            powered = factor @ basis
            # Where gradients were zero, only rounding would choose the basis; so it stays there.
            shift = _SHIFT * factor.diagonal(dim1=-2, dim2=-1).sum(-1)
            powered += shift[:, None, None] * basis
            order = (basis * powered).sum(-2).argsort(-1, descending=True)
            powered = powered.gather(-1, order[:, None].expand_as(powered))
            new = orthonormal(powered)
            turns.append(basis.mT @ new)
            orders.append(order)
            basis.copy_(new)
        for shape, (_, half, out, _, _) in zip(self.matrices, self.views, strict=True):
            first, second = shape.of(self.state["first"]), shape.of(self.state["second"])
            left, right = self._pick(turns, shape.left), self._pick(turns, shape.right)
            _turn(_transposed(left), first, right, half, out)
            first.copy_(out)
            rows, columns = self._pick(orders, shape.left), self._pick(orders, shape.right)
            if rows is not None:
                second.copy_(second.gather(1, rows[:, :, None].expand_as(second)))
            if columns is not None:
                second.copy_(second.gather(2, columns[:, None].expand_as(second)))


def _turn(
    left: Tensor | None, matrices: Tensor, right: Tensor | None, half: Tensor, out: Tensor
) -> None:
    """Write ``left matrices right`` into ``out``, which may be ``matrices``; None turns nothing."""
    if left is not None and right is not None:
        torch.bmm(left, matrices, out=half)
        torch.bmm(half, right, out=out)
    elif left is not None:
        out.copy_(torch.bmm(left, matrices, out=half))
    elif right is not None:
        out.copy_(torch.bmm(matrices, right, out=half))


def _transposed(basis: Tensor | None) -> Tensor | None:
    return None if basis is None else basis.mT


def orthonormal(matrices: Tensor) -> Tensor:
    """Return the Q of the QR decompositions of matrices, ``(n, d, d)``.

    On a GPU, :func:`torch.linalg.qr` forms one Q after another; :func:`from_reflectors` forms all.
    """
    if matrices.device.type == "cpu":
        result: Tensor = torch.linalg.qr(matrices)[0]
        return result
    return from_reflectors(*torch.geqrf(matrices))


def from_reflectors(packed: Tensor, tau: Tensor) -> Tensor:
    """Return the products of the Householder reflections that :func:`torch.geqrf` returns.

    With their vectors as the columns of V, a product is ``I - V T V^T``, where ``T^-1`` is
    ``diag(1 / tau)`` and above it ``V^T V`` (Joffrain et al. 2006, doi 10.1145/1141885.1141886).
    Both sides times ``tau``, it holds for reflections with a ``tau`` of 0 as well.
    """
    eye = torch.eye(packed.shape[-1], dtype=packed.dtype, device=packed.device)
    vectors = packed.tril(-1) + eye
    scaled = tau[..., None] * vectors.mT
    system = (scaled @ vectors).triu(1) + eye
    solved: Tensor = torch.linalg.solve_triangular(system, scaled, upper=True)
    return eye - vectors @ solved


def _arrange(
    group: dict[str, Any],
) -> tuple[list[_Shape], list[tuple[_Shape, slice, bool]], dict[int, int]]:
    """Return the shapes in a group, each parameter's place in them, and the numbers of factors."""
    shapes: dict[tuple[int, int, bool], _Shape] = {}
    members = []
    for p in group["params"]:
        batch, *sides = p.shape if group["batched"] else (1, *p.shape)
        is_matrix = len(sides) > 1
        rows = sides[0] if sides else 1
        columns = math.prod(sides[1:])
        tall, thin = max(rows, columns), min(rows, columns)
        shape = shapes.setdefault((tall, thin, is_matrix), _Shape(tall, thin))
        members.append((shape, slice(shape.count, shape.count + batch), rows < columns))
        shape.count += batch
    sizes: dict[int, int] = {}
    index: dict[int, int] = {}

    def side(length: int, count: int) -> _Side | None:
        if length > group["max_precondition_dim"]:
            return None
        begin = sizes.get(length, 0)
        sizes[length] = begin + count
        return index.setdefault(length, len(index)), slice(begin, begin + count)

    for (tall, thin, is_matrix), shape in shapes.items():
        if is_matrix:
            shape.left, shape.right = side(tall, shape.count), side(thin, shape.count)
    ordered = sorted(shapes.values(), key=lambda s: s.left is None and s.right is None)
    begin = 0
    for shape in ordered:
        shape.begin = begin
        begin += shape.count * shape.tall * shape.thin
    return ordered, members, sizes
