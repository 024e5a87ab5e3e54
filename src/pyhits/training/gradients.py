"""The loss of fully connected nets with its gradients, in half the time that autograd takes.

An activation and its slope come from one pass over what they have in common, and the gradients of
a layer's weights over all steps are one product.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pyhits.flowmaps import ResidualNet

#: Factors of the normal distribution's density and of its argument in the error function.
_DENSITY, _ARGUMENT = 1 / math.sqrt(2 * math.pi), math.sqrt(0.5)


def _gelu(before: Tensor, after: Tensor, slope: Tensor) -> None:
    below = torch.erf(before * _ARGUMENT).add_(1.0).mul_(0.5)
    torch.mul(before, before, out=slope).mul_(-0.5).exp_().mul_(_DENSITY).mul_(before).add_(below)
    torch.mul(before, below, out=after)


def _silu(before: Tensor, after: Tensor, slope: Tensor) -> None:
    share = torch.sigmoid(before)
    torch.mul(before, share, out=after)
    torch.sub(after, after * share, out=slope).add_(share)


def _tanh(before: Tensor, after: Tensor, slope: Tensor) -> None:
    torch.tanh(before, out=after)
    torch.mul(after, after, out=slope).neg_().add_(1.0)


def _relu(before: Tensor, after: Tensor, slope: Tensor) -> None:
    slope.copy_(before > 0)
    torch.mul(before, slope, out=after)


#: Write the values of an activation, and its derivative there.
_ACTIVATIONS: dict[str, Callable[[Tensor, Tensor, Tensor], None]] = {
    "gelu": _gelu,
    "silu": _silu,
    "tanh": _tanh,
    "relu": _relu,
}


def net_loss(net: ResidualNet, inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean square by which a net's output misses targets ``(n, outputs * d)``."""
    return _loss(net, inputs, targets[None], None)


def rollout_loss(net: ResidualNet, inputs: Tensor, targets: Tensor, per_sigma: Tensor) -> Tensor:
    """Return the mean square by which several steps miss their targets.

    Parameters
    ----------
    net : ResidualNet
        Without a base, of one output.
    inputs : Tensor, shape (n, d)
        States to begin from.
    targets : Tensor, shape (p, n, d)
        States after each step.
    per_sigma : Tensor, shape (d,)
        Factor of what is missed.
    """
    return _loss(net, inputs, targets, per_sigma)


def _loss(net: ResidualNet, inputs: Tensor, targets: Tensor, per_sigma: Tensor | None) -> Tensor:
    linear = [layer for layer in net.layers if isinstance(layer, nn.Linear)]
    parameters = [p for layer in linear for p in (layer.weight, layer.bias)]
    found: Tensor = _Loss.apply(  # type: ignore[no-untyped-call]
        net.activation, net.scale, per_sigma, inputs, targets, *parameters
    )
    return found


class _Loss(torch.autograd.Function):
    """Finds the gradients with the loss."""

    @staticmethod
    def forward(
        ctx: Any,
        activation: str,
        scale: Tensor,
        per_sigma: Tensor | None,
        inputs: Tensor,
        targets: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        passed = _Pass(activation, parameters[::2], parameters[1::2], len(targets), len(inputs))
        missed, state = torch.empty_like(targets), inputs
        for k, target in enumerate(targets):
            out = passed.forward(k, state)
            if per_sigma is not None:
                out = state = torch.addcmul(state, scale, out)
            torch.sub(out, target, out=missed[k])
        if per_sigma is not None:
            missed *= per_sigma
        pulls = missed * (2 / missed.numel())
        if per_sigma is not None:
            pulls *= per_sigma
        pull = pulls[-1]
        for k in reversed(range(len(targets))):
            passed.backward(k, pull if per_sigma is None else pull * scale)
            if k:
                pull = pulls[k - 1] + passed.reached(k, pull)
        ctx.save_for_backward(*passed.gradients())
        return missed.square().mean()

    @staticmethod
    def backward(ctx: Any, *pulls: Tensor) -> tuple[Tensor | None, ...]:
        return (None,) * 5 + tuple(pulls[0] * gradient for gradient in ctx.saved_tensors)


class _Pass:
    """What passes through the layers, ``n`` states in each of some steps, and back."""

    def __init__(
        self,
        activation: str,
        weights: Sequence[Tensor],
        biases: Sequence[Tensor],
        n_steps: int,
        n: int,
    ) -> None:
        self._activate = _ACTIVATIONS[activation]
        self._weights, self._biases = weights, biases
        like = weights[0]
        #: What enters each layer, the slopes of what leaves it, and the loss's pull on the latter.
        self._values = [like.new_empty(n_steps, n, one.shape[1]) for one in weights]
        self._slopes = [like.new_empty(n_steps, n, one.shape[0]) for one in weights[:-1]]
        self._pulls = [like.new_empty(n_steps, n, one.shape[0]) for one in weights]

    def forward(self, step: int, states: Tensor) -> Tensor:
        """Return what the net makes of states in a step."""
        values = [value[step] for value in self._values]
        values[0].copy_(states)
        for k, slope in enumerate(self._slopes):
            before = torch.addmm(self._biases[k], values[k], self._weights[k].T)
            self._activate(before, values[k + 1], slope[step])
        return torch.addmm(self._biases[-1], values[-1], self._weights[-1].T)

    def backward(self, step: int, pull: Tensor) -> None:
        """Take the pull on a step's output back to its layers."""
        self._pulls[-1][step] = pull
        for k in reversed(range(len(self._slopes))):
            own = self._pulls[k][step]
            torch.mm(self._pulls[k + 1][step], self._weights[k + 1], out=own)
            own *= self._slopes[k][step]

    def reached(self, step: int, pull: Tensor) -> Tensor:
        """Return the pull on the states that a step began from, beside the one on its end."""
        return torch.addmm(pull, self._pulls[0][step], self._weights[0])

    def gradients(self) -> list[Tensor]:
        """Return those of the weights and the bias of each layer, in turn."""
        found = []
        for pulls, values in zip(self._pulls, self._values, strict=True):
            flat = pulls.flatten(0, 1)
            found += [flat.T @ values.flatten(0, 1), flat.sum(dim=0)]
        return found
