"""A flow map applied to any number of loose states, in blocks that stay in cache."""

from __future__ import annotations

import torch
from torch import Tensor

from pyhits.flowmaps import FlowMap
from pyhits.hierarchy.engine import block_rows


class Steps:
    """One flow map and the buffers that it steps in; not for two threads at once.

    Parameters
    ----------
    flow_map : FlowMap
    like : Tensor, shape (..., d)
        Of the dtype and on the device of the states to step.
    rows_per_block : int, optional
        States stepped at once; by default chosen from the shapes.
    """

    def __init__(self, flow_map: FlowMap, like: Tensor, rows_per_block: int | None = None) -> None:
        self.outputs = flow_map.outputs
        self.rows = rows_per_block or block_rows(flow_map, like)
        self._step = flow_map.stepper(self.rows)

    def within(self, states: Tensor) -> Tensor:
        """Return the states at all outputs; ``(n, d)`` to ``(n, outputs, d)``."""
        n, d = states.shape
        states = states.contiguous()
        out = states.new_empty((n, self.outputs * d))
        for i in range(0, n, self.rows):
            self._step(states[i : i + self.rows], out[i : i + self.rows])
        return out.view(n, self.outputs, d)

    def __call__(self, states: Tensor) -> Tensor:
        """Return the states one step later; ``(n, d)`` to ``(n, d)``."""
        return self.within(states)[:, -1]

    def several(self, states: Tensor, count: int) -> Tensor:
        """Return the states after 1, 2, ... ``count`` steps; ``(n, d)`` to ``(n, count, d)``."""
        found = states.new_empty((len(states), count, states.shape[1]))
        for k in range(count):
            states = self(states)
            found[:, k] = states
        return found


@torch.inference_mode()
def path(first: Tensor, step: Steps, count: int) -> Tensor:
    """Return the first states and those after ``count`` steps each; ``(n, count + 1, d)``."""
    return torch.cat([first[:, None], step.several(first, count)], dim=1)
