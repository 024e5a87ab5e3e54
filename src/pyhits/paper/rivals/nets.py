"""LSTM and clockwork RNN as torch modules: they read recorded rows, or are fed their own states."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

#: The recurrent state of n sequences: tensors of shape (n, hidden_size), the hidden units first.
Memory = tuple[Tensor, ...]

#: Of the first row: one for all sequences, or one each, shape (n,).
Times = int | np.ndarray


class SequenceNet(nn.Module, ABC):
    """A recurrent layer with a linear readout that predicts the next state.

    Parameters
    ----------
    dimension, hidden_size : int
    increments : array, shape (d,), optional
        Root mean square of the increments: the readout then gives the increment in these units.
        Without, it gives the next state itself.
    """

    increments: Tensor

    #: Tensors that the memory of a sequence is made of.
    n_memories: int

    #: Share of a training under teacher forcing, before the net is fed its own states.
    forced: float

    def __init__(
        self, dimension: int, hidden_size: int, increments: np.ndarray | None = None
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.adds = increments is not None
        scale = np.ones(dimension) if increments is None else increments
        self.register_buffer("increments", torch.tensor(scale, dtype=torch.float64))
        self.readout = nn.Linear(hidden_size, dimension)

    @abstractmethod
    def read(self, rows: Tensor, memory: Memory, times: Times = 0) -> tuple[Tensor, Memory]:
        """Read true rows ``(n, time, d)``, the first at ``times``.

        Returns
        -------
        predicted : Tensor, shape (n, time, d)
            The next row of each.
        memory : Memory
            After the last.
        """

    @abstractmethod
    def generate(
        self, state: Tensor, memory: Memory, n_steps: int, times: Times = 0
    ) -> tuple[Tensor, Memory]:
        """Feed the net its own states; return them, ``(n, n_steps, d)``, and the memory."""

    def empty(self, n: int) -> Memory:
        """Return the memory of n sequences that have seen nothing."""
        like = self.readout.weight
        return tuple(like.new_zeros(n, self.hidden_size) for _ in range(self.n_memories))

    def next_state(self, states: Tensor, hidden: Tensor) -> Tensor:
        """Return the states that follow, from the hidden units after reading ``states``."""
        out: Tensor = self.readout(hidden)
        return torch.addcmul(states, out, self.increments) if self.adds else out


class LSTMNet(SequenceNet):
    """One layer of long short-term memory (Hochreiter and Schmidhuber 1997), torch's."""

    n_memories = 2
    forced = 0.4

    def __init__(
        self, dimension: int, hidden_size: int, increments: np.ndarray | None = None
    ) -> None:
        super().__init__(dimension, hidden_size, increments)
        self.layer = nn.LSTM(dimension, hidden_size, batch_first=True)

    def read(self, rows: Tensor, memory: Memory, times: Times = 0) -> tuple[Tensor, Memory]:
        """As in the base class; times do not matter."""
        hidden, (last, cell) = self.layer(rows, (memory[0][None], memory[1][None]))
        return self.next_state(rows, hidden), (last[0], cell[0])

    def generate(
        self, state: Tensor, memory: Memory, n_steps: int, times: Times = 0
    ) -> tuple[Tensor, Memory]:
        """As in the base class; times do not matter."""
        weights, states = tuple(self.layer.parameters()), []
        for _ in range(n_steps):
            memory = torch.lstm_cell(state, memory, *weights)
            state = self.next_state(state, memory[0])
            states.append(state)
        return torch.stack(states, dim=1), memory


class ClockworkNet(SequenceNet):
    """A clockwork RNN (Koutnik et al. 2014, arXiv 1402.3511, equations 1 to 4).

    Hidden units come in modules of equal size, the fastest first. Module i computes its new state
    at times that its period divides, and keeps it otherwise. It sees the input, itself and the
    slower modules, so the recurrent matrix is block upper triangular. Modules slower than the
    slowest that moves are not computed.

    Parameters
    ----------
    dimension, hidden_size, increments
        As in :class:`SequenceNet`.
    periods : sequence of int
        One a module, rising.
    """

    n_memories = 1
    forced = 0.6
    mask: Tensor

    def __init__(
        self,
        dimension: int,
        hidden_size: int,
        increments: np.ndarray | None = None,
        *,
        periods: Sequence[int],
    ) -> None:
        super().__init__(dimension, hidden_size, increments)
        self.periods = np.array(periods)
        self.size = hidden_size // len(periods)
        self.layer = nn.RNN(dimension, hidden_size, batch_first=True)
        blocks = np.triu(np.ones((len(periods), len(periods))))
        dense = np.kron(blocks, np.ones((self.size, self.size)))
        self.register_buffer("mask", torch.tensor(dense, dtype=torch.float64), persistent=False)
        with torch.no_grad():
            # As if the masked weights were not there: a unit's sum has the size it would have.
            fan_in = self.mask.sum(dim=1, keepdim=True)
            self.layer.get_parameter("weight_hh_l0").mul_((hidden_size / fan_in).sqrt())

    @property
    def n_masked(self) -> int:
        """Recurrent weights that are never used."""
        return int((self.mask == 0).sum())

    def read(self, rows: Tensor, memory: Memory, times: Times = 0) -> tuple[Tensor, Memory]:
        """As in the base class; what the inputs add is one product for all rows."""
        inputs, recurrent, bias = self._weights()
        driven = (rows @ inputs.T + bias).unbind(dim=1)
        fastest = self._fastest(recurrent)
        (hidden,), all_hidden = memory, []
        for k in range(rows.shape[1]):
            end, stays = self._moves(times + k)
            sums = torch.addmm(driven[k][:, :end], hidden, fastest[end])
            hidden = _moved(hidden, sums, stays)
            all_hidden.append(hidden)
        return self.next_state(rows, torch.stack(all_hidden, dim=1)), (hidden,)

    def generate(
        self, state: Tensor, memory: Memory, n_steps: int, times: Times = 0
    ) -> tuple[Tensor, Memory]:
        """As in the base class."""
        inputs, recurrent, bias = self._weights()
        fastest = self._fastest(torch.cat([inputs, recurrent], dim=1))
        (hidden,), states = memory, []
        for k in range(n_steps):
            end, stays = self._moves(times + k)
            sums = torch.addmm(bias[:end], torch.cat([state, hidden], dim=1), fastest[end])
            hidden = _moved(hidden, sums, stays)
            state = self.next_state(state, hidden)
            states.append(state)
        return torch.stack(states, dim=1), (hidden,)

    def _weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the weights of inputs and, masked, of hidden units, and the bias."""
        inputs, recurrent, first, second = self.layer.parameters()
        return inputs, recurrent * self.mask, first + second

    def _fastest(self, weights: Tensor) -> dict[int, Tensor]:
        """Return the transposed weights of the fastest modules, by their number of units."""
        return {k: weights[:k].T for k in range(0, self.hidden_size + 1, self.size)}

    def _moves(self, times: Times) -> tuple[int, Tensor | None]:
        """Return how many units are computed, and where, ``(n, units)``, they stay, if anywhere."""
        moves = np.atleast_1d(times)[:, None] % self.periods == 0
        n = int(np.flatnonzero(moves.any(axis=0)).max(initial=-1)) + 1
        stays = ~moves[:, :n]
        if not stays.any():
            return n * self.size, None
        return n * self.size, torch.from_numpy(np.repeat(stays, self.size, axis=1))


def _moved(hidden: Tensor, sums: Tensor, stays: Tensor | None) -> Tensor:
    """Return the hidden units after the first of them have got new sums, but where they stay."""
    new, end = torch.tanh(sums), sums.shape[1]
    if stays is not None:
        new = torch.where(stays, hidden[:, :end], new)
    return torch.cat([new, hidden[:, end:]], dim=1)


def increment_scale(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Root mean square of the increments of trajectories; ``(d,)``, 0 for constant features."""
    steps = np.concatenate([np.diff(r, axis=0) for r in rows])
    return np.asarray(np.sqrt(np.mean(np.square(steps), axis=0)))
