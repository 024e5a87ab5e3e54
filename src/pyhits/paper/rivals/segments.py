"""Trajectories cut into segments that are trained side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from pyhits.paper.rivals.nets import Memory, SequenceNet


class Segments:
    """Segments of equal length, and the memory with which each one begins.

    Memories are those that the segment before ended with when it was last trained: a little stale,
    and free. The first segment of a trajectory begins with an empty memory.

    Parameters
    ----------
    rows : sequence of array, each (time, d)
        Scaled trajectories.
    length : int
        Steps of a segment; the last of a trajectory may be shorter.
    net : SequenceNet
        Reads the trajectories once, which gives the first memories.

    Attributes
    ----------
    rows : Tensor, shape (n, length + 1, d)
    weights : Tensor, shape (n, length, 1)
        Whether a step is recorded, 1 or 0.
    times : array, shape (n,)
        Row of the trajectory at which each begins.
    memory : Memory
    """

    def __init__(self, rows: Sequence[np.ndarray], length: int, net: SequenceNet) -> None:
        dtype = net.readout.weight.dtype
        self.length = length
        pieces, times, steps, follows = [], [], [], []
        memories: list[Memory] = []
        for trajectory in rows:
            whole = torch.from_numpy(trajectory).to(dtype)
            memory = net.empty(1)
            for begin in range(0, len(trajectory) - 1, length):
                piece = whole.new_zeros(length + 1, whole.shape[1])
                part = whole[begin : begin + length + 1]
                piece[: len(part)] = part
                pieces.append(piece)
                times.append(begin)
                steps.append(len(part) - 1)
                follows.append(begin + length < len(trajectory) - 1)
                memories.append(memory)
                if follows[-1]:
                    with torch.no_grad():
                        _, memory = net.read(part[None, :length], memory, begin)
        self.rows = torch.stack(pieces)
        counts = torch.tensor(steps)[:, None]
        self.weights = (torch.arange(length) < counts).to(dtype)[:, :, None]
        self.times = np.array(times)
        self.memory: Memory = tuple(torch.cat(m) for m in zip(*memories, strict=True))
        self._follows = np.array(follows)

    def __len__(self) -> int:
        """Return the number of segments."""
        return len(self.rows)

    @torch.no_grad()
    def hand_over(self, chosen: np.ndarray, memory: Memory) -> None:
        """Pass the memory that segments ended with on to those that follow them.

        Parameters
        ----------
        chosen : array of int, shape (m,)
        memory : Memory
            Of m sequences.
        """
        where = np.flatnonzero(self._follows[chosen])
        for mine, theirs in zip(self.memory, memory, strict=True):
            mine[chosen[where] + 1] = theirs[where]
