"""Torch's optimisers without its compiler, which takes two seconds of CPU to import for nothing."""

from __future__ import annotations

import inspect
from typing import Any

import torch


class Plain(torch.optim.Optimizer):
    """An optimiser of which nothing is hidden from the compiler, since nobody compiles it."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters."""
        inspect.unwrap(torch.optim.Optimizer.add_param_group)(self, param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters."""
        inspect.unwrap(torch.optim.Optimizer.zero_grad)(self, set_to_none)


class Lbfgs(Plain, torch.optim.LBFGS):
    """Torch's L-BFGS."""
