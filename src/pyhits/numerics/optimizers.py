"""Torch's optimisers without its compiler, which takes two seconds of CPU to import for nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable
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

    def state_dict(self) -> dict[str, Any]:
        """Return the state and the groups of parameters, for checkpoints."""
        found: dict[str, Any] = inspect.unwrap(torch.optim.Optimizer.state_dict)(self)
        return found

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned."""
        inspect.unwrap(torch.optim.Optimizer.load_state_dict)(self, state_dict)


class Adam(Plain, torch.optim.Adam):
    """Torch's Adam."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make one step."""
        return inspect.unwrap(torch.optim.Adam.step)(self, closure)


class Lbfgs(Plain, torch.optim.LBFGS):
    """Torch's L-BFGS."""
