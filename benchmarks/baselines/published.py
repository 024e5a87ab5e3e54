"""Algorithm 1 as the paper describes it: lists of states and indices, stacked and rearranged.

Written from the paper (Section 2.3, Algorithm 1). It calls the same flow maps as PyHiTS's own
engine and computes the same states; only the bookkeeping differs. Gradients are off, which the
paper's description leaves open and which makes it faster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from scipy.interpolate import interp1d
from torch import Tensor


@torch.inference_mode()
def forecast(
    initial_states: Tensor, flow_maps: Mapping[int, Callable[[Tensor], Tensor]], n_steps: int
) -> np.ndarray:
    """Step all initial states forward, coarse steps first.

    Parameters
    ----------
    initial_states : Tensor, shape (n, d)
    flow_maps : mapping of int to callable
        By step size; ``(rows, d)`` to ``(rows, d)``.
    n_steps : int

    Returns
    -------
    array, shape (n, n_steps + 1, d)
    """
    n, d = initial_states.shape
    states = initial_states[:, None]
    indices = [0]
    horizon = n_steps
    for size in sorted(flow_maps, reverse=True):
        found, found_indices = [states], [indices]
        current, current_indices = states.reshape(-1, d), indices
        for _ in range(horizon // size):
            current = flow_maps[size](current)
            current_indices = [i + size for i in current_indices]
            found.append(current.reshape(n, -1, d))
            found_indices.append(current_indices)
        states = torch.cat(found, dim=1)
        indices = [i for part in found_indices for i in part]
        # Coarser states are in place already: what is left to fill lies between two of them.
        horizon = size - 1
    inside = [k for k, i in enumerate(indices) if i <= n_steps]
    order = sorted(inside, key=indices.__getitem__)
    states = states[:, order]
    known = [indices[k] for k in order]
    line = interp1d(known, states.numpy(), axis=1, fill_value="extrapolate")
    return np.asarray(line(np.arange(n_steps + 1)))
