"""SOAP against an independent reference, batched against separate, and what it is for."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor

from pyhits.training.soap import Soap, from_reflectors


def refreshed(factor: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One shifted power iteration and QR, the largest eigenvalues first; with their order."""
    shifted = (factor + 1e-6 * np.trace(factor) * np.eye(len(factor))) @ q
    order = np.argsort(-np.sum(q * shifted, axis=0))
    return np.linalg.qr(shifted[:, order])[0], order


def reference(
    gradients: np.ndarray, weights: np.ndarray, *, lr: float, beta: float, every: int
) -> np.ndarray:
    """Algorithm 3 of arXiv 2409.11321 for one matrix: the moment unturned, factors every step."""
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    left = (1 - beta) * gradients[0] @ gradients[0].T
    right = (1 - beta) * gradients[0].T @ gradients[0]
    q_left, q_right = (refreshed(f, np.eye(len(f)))[0] for f in (left, right))
    for t, g in enumerate(gradients[1:], 1):
        first = beta * first + (1 - beta) * g
        second = beta * second + (1 - beta) * (q_left.T @ g @ q_right) ** 2
        mean, size = first / (1 - beta**t), np.sqrt(second / (1 - beta**t))
        weights = weights - lr * q_left @ (q_left.T @ mean @ q_right / size) @ q_right.T
        left = beta * left + (1 - beta) * g @ g.T
        right = beta * right + (1 - beta) * g.T @ g
        if t % every == 0:
            q_left, rows = refreshed(left, q_left)
            q_right, columns = refreshed(right, q_right)
            second = second[rows][:, columns]
    return weights


def steps(optimiser: torch.optim.Optimizer, params: list[Tensor], gradients: list[Tensor]) -> None:
    """Step through gradients given as one tensor ``(n_steps, *shape)`` a parameter."""
    for t in range(len(gradients[0])):
        for p, g in zip(params, gradients, strict=True):
            p.grad = g[t].clone()
        optimiser.step()


def random(*shape: int, seed: int = 0) -> Tensor:
    rng = np.random.default_rng([seed, *shape])
    return torch.from_numpy(rng.standard_normal(shape))


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (1, 4)])
def test_it_follows_the_algorithm(shape: tuple[int, int]) -> None:
    gradients = random(24, *shape) * 2.0 ** -torch.arange(shape[1])
    start = random(*shape)
    p = start.clone().requires_grad_()
    optimiser = Soap([p], lr=1e-2, precondition_frequency=4, eps=0.0)
    steps(optimiser, [p], [gradients])
    expected = reference(gradients.numpy(), start.numpy(), lr=1e-2, beta=0.95, every=4)
    np.testing.assert_allclose(p.detach().numpy(), expected, rtol=1e-7)


def test_vectors_and_long_sides_are_left_to_adam() -> None:
    shapes = [(6,), (), (5, 9)]
    start = [random(*shape) for shape in shapes]
    gradients = [random(12, *shape, seed=1) for shape in shapes]
    ours = [p.clone().requires_grad_() for p in start]
    steps(Soap(ours, lr=1e-2, max_precondition_dim=4), ours, gradients)
    adams = [p.clone().requires_grad_() for p in start]
    adam = torch.optim.Adam(adams, lr=1e-2, betas=(0.95, 0.95), eps=1e-8)
    # The first step of SOAP only looks.
    steps(adam, adams, [g[1:] for g in gradients])
    for p, q in zip(ours, adams, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-8)


def test_one_long_side_leaves_the_other_turned() -> None:
    gradients, start = random(15, 3, 8), random(3, 8)
    turned, tall = start.clone().requires_grad_(), start.T.clone().requires_grad_()
    steps(Soap([turned], max_precondition_dim=4), [turned], [gradients])
    steps(Soap([tall], max_precondition_dim=4), [tall], [gradients.mT])
    torch.testing.assert_close(turned, tall.T)
    plain = start.clone().requires_grad_()
    steps(Soap([plain], max_precondition_dim=2), [plain], [gradients])
    assert not torch.allclose(turned, plain)


def test_a_batch_is_its_matrices_one_by_one() -> None:
    shapes = [(4, 3), (4,), (3, 4), (4, 4), (4,)]
    start = [random(5, *shape) for shape in shapes]
    gradients = [random(30, 5, *shape, seed=1) for shape in shapes]
    together = [p.clone().requires_grad_() for p in start]
    steps(Soap(together, batched=True), together, gradients)
    for k in range(5):
        alone = [p[k].clone().requires_grad_() for p in start]
        steps(Soap(alone), alone, [g[:, k] for g in gradients])
        for p, q in zip(together, alone, strict=True):
            torch.testing.assert_close(p[k], q)


def test_groups_and_parameters_of_equal_shape_do_not_mix() -> None:
    start = [random(4, 4, seed=k) for k in range(3)]
    gradients = [random(30, 4, 4, seed=9 + k) for k in range(3)]
    alone = [p.clone().requires_grad_() for p in start]
    for p, g in zip(alone, gradients, strict=True):
        steps(Soap([p], lr=1e-2), [p], [g])
    together = [p.clone().requires_grad_() for p in start]
    groups = [{"params": together[:2], "lr": 1e-2}, {"params": together[2:]}]
    steps(Soap(groups, lr=1e-2), together, gradients)
    for p, q in zip(together, alone, strict=True):
        torch.testing.assert_close(p, q)


@pytest.mark.parametrize("split", [0, 1, 5, 20, 27])
def test_a_saved_state_goes_on_to_the_last_bit(split: int) -> None:
    shapes = [(8, 2), (8,), (8, 8), (2, 8)]
    start = [random(*shape).float() for shape in shapes]
    gradients = [random(30, *shape, seed=1).float() for shape in shapes]
    through = [p.clone().requires_grad_() for p in start]
    steps(Soap(through), through, gradients)

    params = [p.clone().requires_grad_() for p in start]
    before = Soap(params)
    steps(before, params, [g[:split] for g in gradients])
    state = copy.deepcopy(before.state_dict())
    params = [p.detach().clone().requires_grad_() for p in params]
    after = Soap(params)
    # What is loaded replaces what was there, views of it included.
    used = [p.detach().clone() for p in params]
    steps(after, params, [g[:3] for g in gradients])
    with torch.no_grad():
        torch._foreach_copy_(params, used)
    after.load_state_dict(state)
    steps(after, params, [g[split:] for g in gradients])
    for p, q in zip(params, through, strict=True):
        assert torch.equal(p, q)


def test_a_copy_steps_on_its_own() -> None:
    gradients, p = random(30, 4, 4, seed=1), random(4, 4).requires_grad_()
    optimiser = Soap([p])
    steps(optimiser, [p], [gradients[:15]])
    twin = copy.deepcopy(optimiser)
    (q,) = twin.param_groups[0]["params"]
    steps(optimiser, [p], [gradients[15:]])
    assert not torch.equal(p, q)
    steps(twin, [q], [gradients[15:]])
    assert torch.equal(p, q)


def test_a_parameter_without_a_gradient_stays() -> None:
    used, unused = (torch.ones(3, 3, requires_grad=True) for _ in range(2))
    optimiser = Soap([used, unused])
    for _ in range(45):
        used.square().sum().backward()
        optimiser.step()
    assert torch.equal(unused, torch.ones(3, 3))
    assert (used < 1).all()


def test_a_closure_is_called_with_gradients() -> None:
    p = torch.ones(2, 2, requires_grad=True)
    optimiser = Soap([p])

    def closure() -> float:
        p.grad = None
        loss = p.square().sum()
        loss.backward()
        return float(loss.detach())

    assert optimiser.step(closure) == 4.0
    assert optimiser.step(closure) == 4.0
    assert optimiser.step(closure) < 4.0


def test_gradients_that_are_not_finite_leave_other_nets_alone() -> None:
    start, gradients = random(2, 4, 4), random(30, 2, 4, 4, seed=1)
    expected = start.clone().requires_grad_()
    steps(Soap([expected], batched=True), [expected], [gradients])
    gradients[0, 0, 1, 2] = torch.nan
    gradients[7, 0] = torch.inf
    p = start.clone().requires_grad_()
    steps(Soap([p], batched=True), [p], [gradients])
    assert torch.equal(p[1], expected[1])
    assert not p[0].isfinite().all()


def test_an_ill_conditioned_quadratic_is_solved_where_adam_crawls() -> None:
    """Minimise |A (X - Y) B|^2 with A and B of condition 30 in bases that are not the axes'."""
    n, peak, n_steps = 16, 0.1, 400
    sides = [torch.linalg.qr(random(n, n, seed=k))[0] for k in range(4)]
    size = torch.logspace(0, -1.5, n, dtype=torch.float64)
    a, b = sides[0] * size @ sides[1], sides[2] * size @ sides[3]
    y = random(n, n, seed=9)
    left = {}
    for kind in (Soap, torch.optim.Adam):
        x = torch.zeros(n, n, dtype=torch.float64, requires_grad=True)
        optimiser = kind([x], lr=peak)
        for k in range(n_steps):
            optimiser.param_groups[0]["lr"] = peak * (1 - k / n_steps)
            x.grad = None
            loss = (a @ (x - y) @ b).square().sum()
            loss.backward()
            optimiser.step()
        left[kind] = float(loss.detach())
    assert left[Soap] < 1e-4 * left[torch.optim.Adam]


@pytest.mark.parametrize("rank", [0, 1, 6])
def test_reflections_make_the_same_basis_as_qr(rank: int) -> None:
    matrices = random(3, 6, rank) @ random(3, rank, 6)
    packed, tau = torch.geqrf(matrices)
    expected = torch.linalg.householder_product(packed, tau)
    torch.testing.assert_close(from_reflectors(packed, tau), expected, rtol=0, atol=1e-12)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_takes_the_same_steps() -> None:
    start, gradients = random(4, 6, 6), random(30, 4, 6, 6, seed=1)
    here, there = start.clone().requires_grad_(), start.cuda().requires_grad_()
    steps(Soap([here], batched=True), [here], [gradients])
    steps(Soap([there], batched=True), [there], [gradients.cuda()])
    torch.testing.assert_close(there.cpu(), here, rtol=1e-6, atol=1e-8)
