"""The loss that nets are trained on (paper, equation 9), in units of the increments."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor

from pyhits.flowmaps import ScaledNet


class Objective:
    """Loss of equation 9, in units of the increments, on windows given as float64 arrays.

    For one step the target is the remainder after the base, formed in float64: at fine steps
    forming it in float32 would drown it in rounding.
    """

    def __init__(self, net: ScaledNet, sigma: np.ndarray, device: str, rollout_steps: int) -> None:
        self.net = net
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
        self.base = None if net.base is None else copy.deepcopy(net.base).cpu().double()

    def tensors(self, windows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return inputs ``(n, d)`` and targets ``(p, n, d)`` on the device."""
        inputs = torch.from_numpy(windows[0])
        if len(windows) == 2:
            target = windows[1] - windows[0]
            if self.base is not None:
                target -= self.base.increment(inputs).numpy()
            target = (target / self.divide * self.active)[None]
        else:
            target = windows[1:]
        return (
            inputs.to(self.device, self.dtype),
            torch.from_numpy(target).to(self.device, self.dtype),
        )

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean squared loss over windows, steps and features."""
        if len(targets) == 1:
            return torch.nn.functional.mse_loss(self.net.net(inputs), targets[0])
        total = inputs.new_zeros(())
        states = inputs
        for target in targets:
            states = self.net(states)
            total = total + ((states - target) * self.per_sigma).square().mean()
        return total / len(targets)

    def relative_error(self, held: tuple[Tensor, Tensor]) -> float:
        """Return the loss relative to the mean square of the increments."""
        with torch.inference_mode():
            return float(self(*held)) * self.to_relative
