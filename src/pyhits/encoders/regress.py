"""A small dense net fitted to rows by L-BFGS, for encoders."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from pyhits.util.clock import UNLIMITED, Clock

#: Past steps that L-BFGS keeps.
_HISTORY = 20


def regress(
    inputs: np.ndarray,
    outputs: np.ndarray,
    held: np.ndarray,
    widths: Sequence[int],
    *,
    seed: int,
    max_steps: int,
    every: int,
    patience: int,
    decay: float,
    clock: Clock = UNLIMITED,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Fit a net with ``tanh`` between its layers, in float64 with all rows at once.

    Parameters
    ----------
    inputs : array, shape (n, r)
    outputs : array, shape (n, m)
        Both of order one.
    held : array of bool, shape (n,)
        Rows whose error chooses when to stop. If there are none, all rows do.
    widths : sequence of int
        Of the hidden layers.
    seed : int
        Of the weights; torch's global generator is left as it was.
    max_steps : int
        Iterations at most.
    every, patience : int
        Iterations between two looks at the rows held out, and looks without gain that end it.
    decay : float
        Weight of the weights' squares in the loss.
    clock : Clock, optional
        Training ends between two looks at the rows held out.

    Returns
    -------
    list of (weight, bias)
        By layer, ``(before, after)`` and ``(after,)``.
    """
    if not held.any() or held.all():
        held = np.ones(len(inputs), dtype=bool)
        used = held
    else:
        used = ~held
    sizes = [inputs.shape[1], *widths, outputs.shape[1]]
    layers = _initial(sizes, seed)
    x, y, x_held, y_held = (
        torch.from_numpy(np.ascontiguousarray(a[rows], dtype=np.float64))
        for rows in (used, held)
        for a in (inputs, outputs)
    )
    optimiser = torch.optim.LBFGS(
        layers, max_iter=every, history_size=_HISTORY, line_search_fn="strong_wolfe",
        tolerance_grad=0.0, tolerance_change=0.0,
    )  # fmt: skip

    def closure() -> Tensor:
        optimiser.zero_grad()
        squares = torch.stack([w.square().sum() for w in layers[::2]]).sum()
        loss = (_net(layers, x) - y).square().mean() + decay * squares
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    best, kept, waited = np.inf, [p.detach().clone() for p in layers], 0
    for _ in range(-(-max_steps // every)):
        begin = clock.now()
        optimiser.step(closure)  # type: ignore[no-untyped-call, unused-ignore]
        with torch.no_grad():
            error = float((_net(layers, x_held) - y_held).square().mean())
        if not np.isfinite(error):
            break
        waited += 1
        if error < best:
            waited = 0 if error < 0.99 * best else waited
            best, kept = error, [p.detach().clone() for p in layers]
        if waited >= patience:
            break
        if not clock.affords(clock.now() - begin):
            clock.cut("the training of the autoencoder")
            break
    arrays = [p.numpy() for p in kept]
    return list(zip(arrays[::2], arrays[1::2], strict=True))


def _initial(sizes: Sequence[int], seed: int) -> list[Tensor]:
    """Return weights and biases in turn; the last layer is 0, so that nothing is said at first."""
    generator = np.random.default_rng(seed)
    layers: list[Tensor] = []
    for k, (before, after) in enumerate(pairwise(sizes)):
        last = k == len(sizes) - 2
        weight = generator.standard_normal((before, after)) / np.sqrt(before)
        bias = 0.1 * generator.standard_normal(after)
        layers += [torch.from_numpy(0 * a if last else a).requires_grad_() for a in (weight, bias)]
    return layers


def _net(layers: Sequence[Tensor], x: Tensor) -> Tensor:
    for k in range(0, len(layers), 2):
        x = x @ layers[k] + layers[k + 1]
        if k < len(layers) - 2:
            x = torch.tanh(x)
    return x
