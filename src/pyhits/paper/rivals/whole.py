"""The authors' training of recurrent nets: every recorded row, as one batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from pyhits.paper.rivals.keeper import Keeper
from pyhits.paper.rivals.nets import SequenceNet

#: Learning rate of Adam, and the loss at which training stops.
LEARNING_RATE, TARGET = 1e-3, 1e-8


def train(net: SequenceNet, rows: Sequence[np.ndarray], keeper: Keeper) -> None:
    """Minimise the mean squared one-step error; keep the weights with the smallest.

    Parameters
    ----------
    rows : sequence of array, each (time, d)
        Scaled trajectories, each read from an empty memory.
    """
    dtype = net.readout.weight.dtype
    length = max(len(r) for r in rows)
    padded = np.zeros((len(rows), length, rows[0].shape[1]))
    weights = np.zeros((len(rows), length - 1, 1))
    for k, r in enumerate(rows):
        padded[k, : len(r)] = r
        weights[k, : len(r) - 1] = 1.0
    weights /= weights.sum() * padded.shape[2]
    data, weight = torch.from_numpy(padded).to(dtype), torch.from_numpy(weights).to(dtype)
    optimiser = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    while keeper.fraction() < 1:
        predicted, _ = net.read(data[:, :-1], net.empty(len(data)), 0)
        loss = ((predicted - data[:, 1:]).square() * weight).sum()
        error = float(loss.detach())
        keeper.keep(error)
        if error <= TARGET or not math.isfinite(error):
            return
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        keeper.tick()
