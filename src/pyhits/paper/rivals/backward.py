"""Backpropagation through many steps by hand: weights' gradients in one product, not one a step.

Recorded step by step, every step adds a gradient of the size of the weights, which costs more than
the steps themselves. Here a backward pass collects what enters the weights' sums and multiplies
once. Gradients reach weights alone, not initial states, memories or given rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

#: Rows of the weights that step k computes, and where (n, rows) sequences do not move, or None.
Moves = Callable[[int], "tuple[slice | Tensor, Tensor | None]"]


class LSTMRoll(torch.autograd.Function):
    """Steps of an LSTM that is fed its own states."""

    @staticmethod
    def forward(
        ctx: Any,
        state: Tensor,
        hidden: Tensor,
        cell: Tensor,
        weights: Tensor,
        bias: Tensor,
        out_weights: Tensor,
        out_bias: Tensor,
        scale: Tensor,
        adds: bool,
        n_steps: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return states ``(n, n_steps, d)`` and the last hidden and cell states, ``(n, h)``.

        Weights are ``(4 h, d + h)``, inputs before hidden units, in torch's order of gates.
        """
        (n, d), h = state.shape, hidden.shape[1]
        read = state.new_empty(n_steps + 1, n, d + h)
        gates = state.new_empty(n_steps, n, 4 * h)
        cells = state.new_empty(n_steps + 1, n, h)
        squashed = state.new_empty(n_steps, n, h)
        read[0, :, :d], read[0, :, d:], cells[0] = state, hidden, cell
        turned, out_turned = weights.T, out_weights.T
        for k in range(n_steps):
            g = torch.addmm(bias, read[k], turned, out=gates[k])
            g[:, : 2 * h].sigmoid_()
            g[:, 2 * h : 3 * h].tanh_()
            g[:, 3 * h :].sigmoid_()
            i, f, new, o = torch.split(g, h, dim=1)
            torch.addcmul(f * cells[k], i, new, out=cells[k + 1])
            torch.tanh(cells[k + 1], out=squashed[k])
            hidden = torch.mul(o, squashed[k])
            read[k + 1, :, d:] = hidden
            out = torch.addmm(out_bias, hidden, out_turned)
            state = torch.addcmul(state, out, scale) if adds else out
            read[k + 1, :, :d] = state
        ctx.save_for_backward(read, gates, cells, squashed, weights, out_weights, scale)
        ctx.adds = adds
        return read[1:, :, :d].transpose(0, 1), hidden, cells[-1].clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Take the gradient of the states; those of the memory are left out."""
        read, gates, cells, squashed, weights, out_weights, scale = ctx.saved_tensors
        n_steps, n, h = squashed.shape
        d = read.shape[2] - h
        given = grads[0].transpose(0, 1)
        i, f, new, o = torch.split(gates, h, dim=2)
        # Each gate's sum moves the cell (the last the hidden state) by one of these factors.
        to_cell = torch.stack(
            [new * i * (1 - i), cells[:-1] * f * (1 - f), i * (1 - new * new)], dim=2
        )
        to_hidden = squashed * o * (1 - o)
        through = o * (1 - squashed * squashed)
        sums = torch.empty_like(gates)
        outs = given.new_empty(n_steps, n, d)
        carry, cell = given.new_zeros(n, d + h), given.new_zeros(n, h)
        for k in reversed(range(n_steps)):
            state = given[k] + carry[:, :d]
            out = torch.mul(state, scale, out=outs[k]) if ctx.adds else outs[k].copy_(state)
            hidden = torch.addmm(carry[:, d:], out, out_weights)
            cell = torch.addcmul(cell, hidden, through[k])
            sums[k, :, : 3 * h] = (to_cell[k] * cell[:, None]).view(n, 3 * h)
            torch.mul(hidden, to_hidden[k], out=sums[k, :, 3 * h :])
            carry = sums[k] @ weights
            cell = cell * f[k]
            if ctx.adds:
                carry[:, :d] += state
        flat, out = sums.view(-1, 4 * h), outs.view(-1, d)
        return (
            None,
            None,
            None,
            flat.T @ read[:-1].reshape(-1, d + h),
            flat.sum(dim=0),
            out.T @ read[1:, :, d:].reshape(-1, h),
            out.sum(dim=0),
            None,
            None,
            None,
        )


class ClockworkRoll(torch.autograd.Function):
    """Steps of a clockwork RNN that is fed its own states, or reads given rows."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        hidden: Tensor,
        weights: Tensor,
        bias: Tensor,
        out_weights: Tensor,
        out_bias: Tensor,
        scale: Tensor,
        adds: bool,
        n_steps: int,
        moves: Moves,
    ) -> tuple[Tensor, Tensor]:
        """Return states ``(n, n_steps, d)`` and the last hidden state, ``(n, h)``.

        ``rows`` are ``(n, n_steps, d)``, or ``(n, 1, d)`` to feed states back. Weights, already
        masked, are ``(h, d + h)``, inputs before hidden units.
        """
        n, d, h = rows.shape[0], rows.shape[2], hidden.shape[1]
        feeds = rows.shape[1] == 1
        read = rows.new_empty(n_steps + 1, n, d + h)
        states = rows.new_empty(n_steps, n, d)
        read[0, :, d:], state = hidden, rows[:, 0]
        parts: dict[Any, tuple[Tensor, Tensor]] = {}
        out_turned = out_weights.T
        for k in range(n_steps):
            if not feeds:
                state = rows[:, k]
            read[k, :, :d] = state
            which, stays = moves(k)
            key = which.stop if isinstance(which, slice) else id(which)
            if key not in parts:
                parts[key] = weights[which].T, bias[which]
            turned, offset = parts[key]
            new = torch.addmm(offset, read[k], turned).tanh_()
            after = read[k + 1, :, d:]
            after.copy_(read[k, :, d:])
            if stays is not None:
                new = torch.where(stays, after[:, which], new)
            after[:, which] = new
            out = torch.addmm(out_bias, after, out_turned)
            state = torch.addcmul(state, out, scale) if adds else out
            states[k] = state
        ctx.save_for_backward(read, weights, out_weights, scale)
        ctx.adds, ctx.feeds, ctx.moves = adds, feeds, moves
        return states.transpose(0, 1), read[-1, :, d:].clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Take the gradient of the states; that of the memory is left out."""
        read, weights, out_weights, scale = ctx.saved_tensors
        n_steps, n, d = len(read) - 1, read.shape[1], len(out_weights)
        h = read.shape[2] - d
        given = grads[0].transpose(0, 1)
        outs = given.new_empty(n_steps, n, d)
        sums: dict[Any, tuple[slice | Tensor, list[int], list[Tensor], Tensor]] = {}
        state, hidden = given.new_zeros(n, d), given.new_zeros(n, h)
        for k in reversed(range(n_steps)):
            state = state + given[k]
            out = torch.mul(state, scale, out=outs[k]) if ctx.adds else outs[k].copy_(state)
            hidden = torch.addmm(hidden, out, out_weights)
            which, stays = ctx.moves(k)
            key = which.stop if isinstance(which, slice) else id(which)
            if key not in sums:
                sums[key] = which, [], [], weights[which]
            _, times, entered, matrix = sums[key]
            moved = hidden[:, which]
            after = read[k + 1, :, d:][:, which]
            into = moved * (1 - after * after)
            if stays is None:
                hidden[:, which] = 0.0
            else:
                into = into.masked_fill(stays, 0.0)
                hidden[:, which] = torch.where(stays, moved, torch.zeros_like(moved))
            times.append(k)
            entered.append(into)
            carry = into @ matrix
            hidden = hidden + carry[:, d:]
            if ctx.feeds:
                state = carry[:, :d] + state if ctx.adds else carry[:, :d]
            else:
                state = torch.zeros_like(state)
        grad, offset = torch.zeros_like(weights), weights.new_zeros(h)
        for which, times, entered, _ in sums.values():
            flat = torch.cat(entered)
            grad[which] += flat.T @ read[times].reshape(-1, d + h)
            offset[which] += flat.sum(dim=0)
        out = outs.view(-1, d)
        return (
            None,
            None,
            grad,
            offset,
            out.T @ read[1:, :, d:].reshape(-1, h),
            out.sum(dim=0),
            None,
            None,
            None,
            None,
        )
