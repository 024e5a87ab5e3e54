"""Muon: steps of matrices along their orthogonalised momentum."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from pyhits.numerics.optimizers import Plain

#: Newton-Schulz iterations, and the coefficients of each.
_ITERATIONS, _COEFFICIENTS = 5, (3.4445, -4.7750, 2.0315)


class Muon(Plain):
    """Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon) for matrices.

    All other parameters are left to Adam. ``torch.optim.Muon``, of PyTorch 2.9, takes no others.

    Parameters
    ----------
    params : iterable
        Parameters, or groups.
    lr : float
        Learning rate.
    momentum : float
        Decay of the momentum of matrices, which is Nesterov's.
    betas : pair of float
        Decay of Adam's moments.
    eps : float
        Added to the root of Adam's second moment.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 3e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-10,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(  # type: ignore[override]
        self, closure: Callable[[], float] | None = None
    ) -> float | None:
        """Take one step; parameters without a gradient stay."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    turn = _turn_matrix if parameter.ndim == 2 else _turn_other
                    turn(parameter, parameter.grad, self.state[parameter], group)
        return loss


def _turn_matrix(
    parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]
) -> None:
    if not state:
        state["moment"] = torch.zeros_like(parameter)
    momentum, moment = group["momentum"], state["moment"]
    moment.lerp_(gradient, 1 - momentum)
    direction = orthogonalised(gradient.lerp(moment, momentum))
    tall = max(1.0, parameter.shape[0] / parameter.shape[1]) ** 0.5
    parameter.add_(direction, alpha=-group["lr"] * tall)


def _turn_other(
    parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]
) -> None:
    if not state:
        state["step"] = 0
        state["moment"], state["square"] = (torch.zeros_like(parameter) for _ in range(2))
    first, second = group["betas"]
    state["step"] += 1
    state["moment"].lerp_(gradient, 1 - first)
    state["square"].lerp_(gradient.square(), 1 - second)
    root = (state["square"] / (1 - second ** state["step"])).sqrt_().add_(group["eps"])
    parameter.addcdiv_(state["moment"], root, value=-group["lr"] / (1 - first ** state["step"]))


def orthogonalised(matrix: Tensor) -> Tensor:
    """Return about ``U V^T`` of the singular value decomposition ``U S V^T``; shape as given.

    Singular values become 0.7 to 1.2, by the quintic iteration of Jordan et al.; tiny ones less.
    """
    a, b, c = _COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    wide: Tensor = matrix.T if tall else matrix
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        gram = wide @ wide.T
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return wide.T if tall else wide
