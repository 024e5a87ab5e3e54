"""A small dense net fitted to rows by L-BFGS, for encoders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from pyhits.numerics.optimizers import Lbfgs
from pyhits.util.clock import UNLIMITED, Clock

#: Past steps that L-BFGS keeps.
_HISTORY = 20


@dataclass(frozen=True)
class DenseNetFit:
    """How a net with ``tanh`` between its layers is fitted, in float64 with all rows at once."""

    widths: Sequence[int]  # of the hidden layers
    seed: int  # of the weights; torch's global generator is left as it was
    max_steps: int  # iterations at most
    #: every, patience: Iterations between two validations, and validations without gain that end
    #: it.
    every: int
    patience: int
    decay: float  # weight of the weights' squares in the loss

    def __call__(
        self,
        inputs: np.ndarray,
        outputs: np.ndarray,
        validation: np.ndarray,
        clock: Clock = UNLIMITED,
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the weight and bias of each layer, ``(before, after)`` and ``(after,)``.

        Parameters
        ----------
        inputs, outputs : array, shapes (n, r) and (n, m)
            Both of order one.
        validation : array of bool, shape (n,)
            Rows whose error chooses when to stop. If there are none, all rows do.
        clock : Clock, optional
            Training ends between two validations.
        """
        if not validation.any() or validation.all():
            validation = used = np.ones(len(inputs), dtype=bool)
        else:
            used = ~validation
        layers = _initial([inputs.shape[1], *self.widths, outputs.shape[1]], self.seed)
        step = self._stepper(layers, *_tensors(inputs, outputs, used))
        x, y = _tensors(inputs, outputs, validation)
        best, best_layers, waited = np.inf, [p.detach().clone() for p in layers], 0
        for _ in range(-(-self.max_steps // self.every)):
            begin = clock.now()
            step()
            with torch.no_grad():
                error = float((_net(layers, x) - y).square().mean())
            if not np.isfinite(error):
                break
            waited += 1
            if error < best:
                waited = 0 if error < 0.99 * best else waited
                best, best_layers = error, [p.detach().clone() for p in layers]
            if waited >= self.patience:
                break
            if not clock.affords(clock.now() - begin):
                clock.cut("the training of the autoencoder")
                break
        arrays = [p.numpy() for p in best_layers]
        return list(zip(arrays[::2], arrays[1::2], strict=True))

    def _stepper(self, layers: list[Tensor], x: Tensor, y: Tensor) -> Callable[[], object]:
        """Return what takes :attr:`every` iterations of L-BFGS."""
        optimiser = Lbfgs(
            layers, max_iter=self.every, history_size=_HISTORY, line_search_fn="strong_wolfe",
            tolerance_grad=0.0, tolerance_change=0.0,
        )  # fmt: skip

        def loss() -> Tensor:
            optimiser.zero_grad()
            squares = torch.stack([w.square().sum() for w in layers[::2]]).sum()
            value = (_net(layers, x) - y).square().mean() + self.decay * squares
            value.backward()  # type: ignore[no-untyped-call]
            return value

        return lambda: optimiser.step(loss)  # type: ignore[no-untyped-call, unused-ignore]


def _tensors(inputs: np.ndarray, outputs: np.ndarray, rows: np.ndarray) -> list[Tensor]:
    return [
        torch.from_numpy(np.ascontiguousarray(a[rows], dtype=np.float64)) for a in (inputs, outputs)
    ]


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
