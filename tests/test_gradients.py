"""The loss of nets with its gradients: those of autograd."""

import numpy as np
import pytest
import torch

from pyhits.flowmaps import ResidualNet
from pyhits.flowmaps.residual import ACTIVATIONS
from pyhits.training.objective import Objective


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_those_of_autograd(activation: str, n_steps: int) -> None:
    torch.manual_seed(0)
    net = ResidualNet(2, (8, 6), activation).double()
    scale = torch.tensor([0.3, 0.0], dtype=torch.float64)
    net.scale.copy_(scale)
    objective = Objective(net, scale.numpy(), "cpu", n_steps)
    states, targets = torch.randn(5, 2).double(), torch.randn(n_steps, 5, 2).double()
    loss = objective(states, targets)
    loss.backward()
    found = [parameter.grad for parameter in net.parameters()]
    net.zero_grad()
    wanted = torch.zeros(())
    if n_steps == 1:
        wanted = (net.net(states) - targets[0]).square().mean()
    else:
        for target in targets:
            states = net(states)
            wanted = wanted + ((states - target) * objective.per_sigma).square().mean() / n_steps
    wanted.backward()
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-14)
    for own, parameter in zip(found, net.parameters(), strict=True):
        assert own is not None
        assert parameter.grad is not None
        np.testing.assert_allclose(own, parameter.grad, rtol=1e-12, atol=1e-14)
