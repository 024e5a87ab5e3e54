"""The recurrent nets: what a step does to the state and the memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pyhits.paper.rivals.backward import ClockworkRoll, LSTMRoll

#: The recurrent state of n sequences: tensors of shape (n, hidden_size).
Memory = tuple[Tensor, ...]

#: ``step(states (n, d), memory, times) -> (next states (n, d), memory)``; the times are one int for
#: all or shape (n,).
Step = Callable[[Tensor, Memory, "int | np.ndarray"], tuple[Tensor, Memory]]


class SequenceNet(nn.Module, ABC):
    """A recurrent layer with a linear readout that predicts the next state.

    Parameters
    ----------
    dimension, hidden_size : int
    increments : array, shape (d,), optional
        Standard deviation of the increments: the readout then gives the increment in these units.
        Without, it gives the next state itself.
    """

    increments: Tensor

    #: Tensors that the memory of a sequence is made of.
    n_memories: int

    #: Part of a training in which reading recorded rows pays, before the net is fed its own states.
    teach: float

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
    def stepper(self) -> Step:
        """Return the step for the weights as they are now; what steps share is computed once."""

    def empty(self, n: int) -> Memory:
        """Return the memory of n sequences that have seen nothing."""
        like = self.readout.weight
        return tuple(like.new_zeros(n, self.hidden_size) for _ in range(self.n_memories))

    def read(
        self, rows: Tensor, memory: Memory, times: int | np.ndarray = 0
    ) -> tuple[Tensor, Memory]:
        """Read true rows; return the predicted next of each, and the memory after the last.

        Parameters
        ----------
        rows : Tensor, shape (n, time, d)
        """
        step, predicted = self.stepper(), []
        for k in range(rows.shape[1]):
            state, memory = step(rows[:, k], memory, times + k)
            predicted.append(state)
        return torch.stack(predicted, dim=1), memory

    def generate(
        self, state: Tensor, memory: Memory, n_steps: int, times: int | np.ndarray = 0
    ) -> tuple[Tensor, Memory]:
        """Feed the net its own states; return them, ``(n, n_steps, d)``, and the memory."""
        step, states = self.stepper(), []
        for k in range(n_steps):
            state, memory = step(state, memory, times + k)
            states.append(state)
        return torch.stack(states, dim=1), memory

    def next_state(self, states: Tensor, hidden: Tensor) -> Tensor:
        """Return the states that follow, from the hidden layer after reading ``states``."""
        out: Tensor = self.readout(hidden)
        return torch.addcmul(states, out, self.increments) if self.adds else out


class LSTMNet(SequenceNet):
    """One layer of long short-term memory (Hochreiter and Schmidhuber 1997), as torch has it."""

    n_memories = 2
    teach = 0.4

    def __init__(
        self, dimension: int, hidden_size: int, increments: np.ndarray | None = None
    ) -> None:
        super().__init__(dimension, hidden_size, increments)
        self.layer = nn.LSTM(dimension, hidden_size, batch_first=True)

    def stepper(self) -> Step:
        """Return the step; its times do not matter."""
        weights = _weights(self.layer)

        def step(states: Tensor, memory: Memory, _: int | np.ndarray) -> tuple[Tensor, Memory]:
            hidden, cell = torch.lstm_cell(states, memory, *weights)
            return self.next_state(states, hidden), (hidden, cell)

        return step

    def read(
        self, rows: Tensor, memory: Memory, times: int | np.ndarray = 0
    ) -> tuple[Tensor, Memory]:
        """Read true rows all in one call of torch's layer."""
        hidden, (last, cell) = self.layer(rows, (memory[0][None], memory[1][None]))
        return self.next_state(rows, hidden), (last[0], cell[0])

    def generate(
        self, state: Tensor, memory: Memory, n_steps: int, times: int | np.ndarray = 0
    ) -> tuple[Tensor, Memory]:
        """As in the base class; gradients reach the weights alone."""
        if not torch.is_grad_enabled():
            return super().generate(state, memory, n_steps, times)
        inputs, recurrent, first, second = _weights(self.layer)
        out = self.readout
        states, hidden, cell = LSTMRoll.apply(  # type: ignore[no-untyped-call]
            state,
            *memory,
            torch.cat([inputs, recurrent], dim=1),
            first + second,
            out.weight,
            out.bias,
            self.increments,
            self.adds,
            n_steps,
        )
        return states, (hidden, cell)


class ClockworkNet(SequenceNet):
    """A clockwork RNN (Koutnik et al. 2014, arXiv 1402.3511, equations 1 to 4).

    Hidden units come in modules of equal size, the fastest first. Module i computes its new state
    at times that its period divides, and keeps it otherwise. It sees the input, itself and the
    slower modules, so the recurrent matrix is block upper triangular. Only the rows of modules that
    move are computed.

    Parameters
    ----------
    periods : sequence of int
        One a module, rising.
    mask : bool
        False leaves the connections from faster to slower modules in.
    """

    n_memories = 1
    teach = 0.6
    mask: Tensor

    def __init__(
        self,
        dimension: int,
        hidden_size: int,
        increments: np.ndarray | None = None,
        *,
        periods: Sequence[int],
        mask: bool = True,
    ) -> None:
        super().__init__(dimension, hidden_size, increments)
        self.periods = np.array(periods)
        self.layer = nn.RNN(dimension, hidden_size, batch_first=True)
        size = hidden_size // len(periods)
        blocks = np.ones((len(periods), len(periods)))
        if mask:
            blocks = np.triu(blocks)
        dense = np.kron(blocks, np.ones((size, size)))
        self.register_buffer("mask", torch.tensor(dense, dtype=torch.float64), persistent=False)
        #: Rows of each set of modules that moves together: a slice if they are the first ones.
        self._rows: dict[bytes, slice | Tensor] = {}
        with torch.no_grad():
            # As if the masked weights were not there: a unit's sum has the size it would have.
            fan_in = self.mask.sum(dim=1, keepdim=True)
            self.layer.get_parameter("weight_hh_l0").mul_((hidden_size / fan_in).sqrt())

    @property
    def n_masked(self) -> int:
        """Recurrent weights that are never used."""
        return int((self.mask == 0).sum())

    def stepper(self) -> Step:
        """Return the step; modules move by the times it is given."""
        weights, bias = self._weights()
        parts: dict[int, tuple[Tensor, Tensor]] = {}

        def step(states: Tensor, memory: Memory, times: int | np.ndarray) -> tuple[Tensor, Memory]:
            (hidden,) = memory
            rows, stays = self._moves(times)
            key = rows.stop if isinstance(rows, slice) else -id(rows)
            if key not in parts:
                parts[key] = weights[rows].T, bias[rows]
            matrix, offset = parts[key]
            new = torch.tanh(torch.addmm(offset, torch.cat([states, hidden], dim=1), matrix))
            if stays is not None:
                new = torch.where(stays, hidden[:, rows], new)
            if isinstance(rows, slice):
                hidden = torch.cat([new, hidden[:, rows.stop :]], dim=1)
            else:
                hidden = hidden.index_copy(1, rows, new)
            return self.next_state(states, hidden), (hidden,)

        return step

    def read(
        self, rows: Tensor, memory: Memory, times: int | np.ndarray = 0
    ) -> tuple[Tensor, Memory]:
        """As in the base class; gradients reach the weights alone."""
        if not torch.is_grad_enabled():
            return super().read(rows, memory, times)
        return self._roll(rows, memory, rows.shape[1], times)

    def generate(
        self, state: Tensor, memory: Memory, n_steps: int, times: int | np.ndarray = 0
    ) -> tuple[Tensor, Memory]:
        """As in the base class; gradients reach the weights alone."""
        if not torch.is_grad_enabled():
            return super().generate(state, memory, n_steps, times)
        return self._roll(state[:, None], memory, n_steps, times)

    def _roll(
        self, rows: Tensor, memory: Memory, n_steps: int, times: int | np.ndarray
    ) -> tuple[Tensor, Memory]:
        weights, bias = self._weights()
        states, hidden = ClockworkRoll.apply(  # type: ignore[no-untyped-call]
            rows,
            memory[0],
            weights,
            bias,
            self.readout.weight,
            self.readout.bias,
            self.increments,
            self.adds,
            n_steps,
            lambda k: self._moves(times + k),
        )
        return states, (hidden,)

    def _weights(self) -> tuple[Tensor, Tensor]:
        """Return the weights of inputs and, masked, of hidden units, (h, d + h), and the bias."""
        inputs, recurrent, first, second = _weights(self.layer)
        return torch.cat([inputs, recurrent * self.mask], dim=1), first + second

    def _moves(self, times: int | np.ndarray) -> tuple[slice | Tensor, Tensor | None]:
        """Return the units that move at these times, and which of them stay in which sequence."""
        moves = np.atleast_1d(times)[:, None] % self.periods == 0
        anywhere = moves.any(axis=0)
        size = self.hidden_size // len(self.periods)
        stays = None
        if len(moves) > 1 and not (moves == anywhere).all():
            stays = torch.from_numpy(np.repeat(~moves[:, anywhere], size, axis=1))
        key = anywhere.tobytes()
        if key not in self._rows:
            n = int(anywhere.sum())
            if anywhere[:n].all():
                self._rows[key] = slice(0, n * size)
            else:
                self._rows[key] = torch.from_numpy(np.flatnonzero(np.repeat(anywhere, size)))
        return self._rows[key], stays


def _weights(layer: nn.LSTM | nn.RNN) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the weights and the two biases of a layer of torch."""
    names = "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"
    inputs, recurrent, first, second = (layer.get_parameter(name) for name in names)
    return inputs, recurrent, first, second


def increment_scale(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Root mean square of the increments of trajectories; ``(d,)``, 0 for constant features."""
    steps = np.concatenate([np.diff(r, axis=0) for r in rows])
    return np.asarray(np.sqrt(np.mean(np.square(steps), axis=0)))
