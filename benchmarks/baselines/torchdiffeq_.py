"""torchdiffeq's dopri5: the whole batch as one adaptive system, on the CPU in float64."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.problem import Slope


@torch.inference_mode()
def solve(
    slope: Slope, initial_states: np.ndarray, times: np.ndarray, tolerance: float
) -> np.ndarray:
    """Integrate all trajectories together; ``(n, 2)`` to ``(n, len(times), 2)``."""
    from torchdiffeq import odeint

    def rhs(t: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        return torch.stack(slope(states[0], states[1]))

    start = torch.from_numpy(np.ascontiguousarray(initial_states.T))
    states = odeint(
        rhs, start, torch.from_numpy(times), rtol=tolerance, atol=tolerance, method="dopri5"
    )
    return np.ascontiguousarray(states.numpy().transpose(2, 0, 1))
