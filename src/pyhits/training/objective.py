"""The loss that nets are trained on (paper, equation 9), in units of the increments.

Of fully connected nets it comes with gradients in closed form, in half the time of autograd.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from pyhits.flowmaps import ResidualNet, ScaledNet
from pyhits.flowmaps.base import StepInto
from pyhits.training.gradients import net_loss, rollout_loss

#: Windows whose errors are computed at once.
_ROWS = 4096


def side_by_side(states: np.ndarray) -> np.ndarray:
    """Return the states of one step as a dense flow map does; (m, n, d) to (n, m * d)."""
    return states.swapaxes(0, 1).reshape(states.shape[1], -1)


class Objective:
    """Loss of equation 9, in units of the increments, on windows given as float64 arrays.

    For one step the target is the remainder after the base, formed in float64: at fine steps
    forming it in float32 would drown it in rounding.
    """

    def __init__(
        self,
        net: ScaledNet,
        sigma: np.ndarray,
        device: str,
        rollout_steps: int,
        n_inputs: int = 0,
    ) -> None:
        self.net = net
        self.n_inputs = n_inputs
        self.outputs = net.outputs
        self.device = device
        self.dtype = net.scale.dtype
        scale = net.scale.cpu().numpy().astype(np.float64)
        self.divide = np.where(scale > 0, scale, 1.0)
        self.active = (scale > 0).astype(float)
        largest = float((scale / np.where(sigma > 0, sigma, 1.0)).max(initial=0.0))
        #: Factor from this loss to the error relative to the increment's mean square.
        self.to_relative = largest**2 if largest > 0 and rollout_steps == 1 else 1.0
        sigma_inverse = np.divide(1.0, sigma, out=np.zeros_like(sigma), where=sigma > 0)
        self.per_sigma = torch.from_numpy(sigma_inverse).to(device, self.dtype)
        self.base: StepInto | None = None
        if net.base is not None:
            self.base = copy.deepcopy(net.base).cpu().double().stepper(_ROWS)

    def tensors(self, windows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return inputs ``(n, d)`` and targets ``(p, n, outputs * d)`` on the device."""
        inputs = torch.from_numpy(np.ascontiguousarray(windows[0]))
        steps = (len(windows) - 1) // self.outputs
        if steps == 1:
            if self.base is None:
                target = side_by_side(windows[1:] - windows[0])
            else:
                target = side_by_side(windows[1:]) - self._reached(self.base, inputs)
            target = (target / self.divide * self.active)[None]
        else:
            target = np.stack([side_by_side(w) for w in np.split(windows[1:], steps)])
        return (
            inputs.to(self.device, self.dtype),
            torch.from_numpy(target).to(self.device, self.dtype),
        )

    def _reached(self, step: StepInto, states: Tensor) -> np.ndarray:
        """Return where the base leads, ``(n, outputs * d)``; in blocks, which stay in the cache."""
        reached = states.new_empty(len(states), len(self.divide))
        for k in range(0, len(states), _ROWS):
            step(states[k : k + _ROWS], reached[k : k + _ROWS])
        return reached.numpy()

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean squared loss over windows, steps and features."""
        if type(self.net) is ResidualNet and torch.is_grad_enabled():
            if len(targets) == 1:
                return net_loss(self.net, inputs, targets[0])
            if self.base is None and self.outputs == 1 and not self.n_inputs:
                return rollout_loss(self.net, inputs, targets, self.per_sigma)
        if len(targets) == 1:
            return torch.nn.functional.mse_loss(self.net.net(inputs), targets[0])
        total = inputs.new_zeros(())
        for missed in self._missed(inputs, targets):
            total = total + missed.square().mean()
        return total / len(targets)

    def _missed(self, inputs: Tensor, targets: Tensor) -> Iterator[Tensor]:
        """Yield by how much each step misses its target, ``(n, outputs * d)``, in sigmas.

        The inputs of a step are those at the end of the target before it.
        """
        state, d = inputs, inputs.shape[1]
        for target in targets:
            inside = self.net.within(state)
            yield (inside.flatten(1) - target) * self.per_sigma
            state = inside[:, -1]
            if self.n_inputs:
                own = d - self.n_inputs
                state = torch.cat([state[:, :own], target[:, own - d :]], dim=1)

    def errors(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return each window's part of the loss, shape ``(n,)``: its mean is the loss."""
        blocks = [slice(k, k + _ROWS) for k in range(0, len(inputs), _ROWS)]
        with torch.inference_mode():
            return torch.cat([self._each(inputs[b], targets[:, b]) for b in blocks])

    def _each(self, inputs: Tensor, targets: Tensor) -> Tensor:
        if len(targets) == 1:
            return (self.net.net(inputs) - targets[0]).square().mean(1)
        steps = [missed.square().mean(1) for missed in self._missed(inputs, targets)]
        return torch.stack(steps).mean(0)

    def relative_error(self, validation: tuple[Tensor, Tensor]) -> float:
        """Return the loss relative to the mean square of the increments."""
        with torch.inference_mode():
            return float(self(*validation)) * self.to_relative
