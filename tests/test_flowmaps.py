"""Flow maps: exact polynomials, monomial bases, scaling, steppers, the registry."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from conftest import circles, rotation, seeded
from hypothesis import given, settings
from hypothesis import strategies as st

from pyhits.errors import ArgumentError
from pyhits.flowmaps import (
    FlowMap,
    PolynomialMap,
    ResidualNet,
    ScaledNet,
    create,
    register,
)
from pyhits.flowmaps.polynomial import fit_polynomial
from pyhits.numerics.basis import n_monomials


@given(dimension=st.integers(1, 5), degree=st.integers(0, 5), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_monomials_are_all_products_up_to_the_degree(
    dimension: int, degree: int, seed: int
) -> None:
    x = torch.from_numpy(np.random.default_rng(seed).uniform(0.5, 2, (3, dimension)))
    found = PolynomialMap(dimension, degree).double().monomials(x)
    powers = [e for e in itertools.product(range(degree + 1), repeat=dimension) if sum(e) <= degree]
    expected = torch.stack([(x ** torch.tensor(e)).prod(1) for e in powers])
    assert found.shape == (n_monomials(dimension, degree), 3)
    for column in range(3):
        torch.testing.assert_close(
            found[:, column].sort().values, expected[:, column].sort().values
        )


def test_a_quadratic_map_is_recovered_exactly() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (400, 2))
    change = np.stack([0.1 * x[:, 0] - 0.2 * x[:, 1] ** 2, 0.3 + x[:, 0] * x[:, 1]], axis=1)
    fitted, error = fit_polynomial((x[:300], change[:300]), (x[300:], change[300:]))
    assert error.max() < 1e-26
    step = fitted(torch.from_numpy(x)).numpy() - x
    np.testing.assert_allclose(step, change, atol=1e-12)


def test_the_linear_flow_composes() -> None:
    """Two fitted steps of dt are one exact rotation by 2 dt."""
    data = circles(20, 30)
    x, y = data.to_array()[:, :-1].reshape(-1, 2), data.to_array()[:, 1:].reshape(-1, 2)
    step, _ = fit_polynomial((x, y - x), (x, y - x))
    twice = step(step(torch.from_numpy(x))).numpy()
    np.testing.assert_allclose(twice, x @ rotation(0.2).T, atol=1e-12)


def test_noise_lowers_the_degree() -> None:
    """Validation keeps a polynomial from following noise."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, (60, 2))
    change = 0.5 * x + 0.3 * rng.standard_normal(x.shape)
    fitted, _ = fit_polynomial((x[:40], change[:40]), (x[40:], change[40:]))
    assert fitted.degree <= 2


def test_a_polynomial_is_held_at_the_edge_of_its_data() -> None:
    x = np.linspace(-1, 1, 50)[:, None]
    fitted, _ = fit_polynomial((x, x**5), (x, x**5))
    far = fitted.increment(torch.tensor([[100.0]], dtype=torch.float64))
    assert float(far) == pytest.approx(1.2**5, rel=1e-6)


@pytest.mark.parametrize("shape", [(5, 1), (1, 3), (1, 1), (4, 3)])
@pytest.mark.parametrize("degree", [0, 1, 3])
def test_stepping_leaves_the_states_alone(shape: tuple[int, int], degree: int) -> None:
    """Also outside the box, where the polynomial is evaluated at its edge."""
    flow_map = PolynomialMap(shape[1], degree)
    flow_map.coefficients.fill_(0.1)
    flow_map.low.fill_(-1.0)
    flow_map.high.fill_(1.0)
    states = torch.full(shape, 7.0)
    after = flow_map(states)
    out = torch.empty(shape)
    flow_map.stepper(shape[0])(states, out)
    assert (states == 7).all()
    torch.testing.assert_close(out, after)
    inside = 7.0 if degree == 1 else 1.0
    monomials = flow_map.monomials(torch.full(shape, inside)).sum(0)
    torch.testing.assert_close(after, 7 + 0.1 * monomials[:, None].expand(shape))


def test_the_degree_suits_the_arithmetic() -> None:
    """In float32, high powers that cancel are no gain, and the error says what float32 gives."""
    x = np.random.default_rng(0).uniform(-3, 3, (4000, 1))
    y = np.sin(2 * x)
    found = {}
    for dtype in (torch.float32, torch.float64):
        fitted, error = fit_polynomial((x[:3000], y[:3000]), (x[3000:], y[3000:]), dtype=dtype,
                                       max_degree=25)  # fmt: skip
        fitted.to(dtype)
        with torch.inference_mode():
            again = fitted.increment(torch.from_numpy(x[3000:]).to(dtype)).double().numpy()
        assert np.mean(np.square(again - y[3000:])) == pytest.approx(error.mean(), rel=0.2)
        found[dtype] = fitted.degree, error.mean()
    assert found[torch.float64][1] < 1e-3 * found[torch.float32][1]


def test_few_rows_limit_the_degree() -> None:
    x = np.random.default_rng(0).standard_normal((10, 3))
    fitted, _ = fit_polynomial((x, x), (x, x))
    assert n_monomials(3, fitted.degree) <= 4


@pytest.mark.parametrize("activation", ["gelu", "silu", "tanh", "relu"])
@pytest.mark.parametrize("base_degree", [None, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("outputs", [1, 2, 8])
def test_the_stepper_equals_the_module(
    activation: str, base_degree: int | None, dtype: torch.dtype, outputs: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    net = seeded(ResidualNet(3, (16, 24), activation, base_degree, outputs).to(dtype), 0)
    assert isinstance(net, ResidualNet)
    net.scale.copy_(torch.tensor([0.1, 0.0, 2.0]).repeat(outputs))
    if net.base is not None:
        net.base.coefficients.uniform_(-1, 1, generator=generator)
    x = torch.randn(70, 3, generator=generator).to(dtype)
    out = torch.empty(70, 3 * outputs, dtype=dtype)
    with torch.inference_mode():
        net.stepper(70)(x, out)
        # A stepper for many rows serves few.
        few = torch.empty_like(out[:7])
        net.stepper(70)(x[:7], few)
        expected = net.within(x).flatten(1)
        torch.testing.assert_close(net(x), expected[:, -3:])
    tolerance = 1e-5 if dtype == torch.float32 else 1e-13
    torch.testing.assert_close(out, expected, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(few, expected[:7], atol=tolerance, rtol=tolerance)


def test_a_feature_of_scale_zero_stays_exactly_constant() -> None:
    net = ResidualNet(2, (8,))
    net.scale.copy_(torch.tensor([0.0, 1.0]))
    x = torch.randn(20, 2)
    out = torch.empty_like(x)
    with torch.inference_mode():
        net.stepper(20)(x, out)
    assert torch.equal(out[:, 0], x[:, 0])
    assert not torch.equal(out[:, 1], x[:, 1])


def test_weights_follow_their_seed_alone() -> None:
    one = seeded(ResidualNet(2, (8,)), 3)
    torch.manual_seed(5)
    other = seeded(ResidualNet(2, (8,)), 3)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("outputs", [2, 9])
def test_a_dense_polynomial_steps_as_it_says(outputs: int) -> None:
    """Narrow and wide products take different ways through BLAS."""
    flow_map = PolynomialMap(2, 3, outputs).double()
    generator = torch.Generator().manual_seed(0)
    flow_map.coefficients.normal_(generator=generator)
    x = torch.randn(33, 2, generator=generator, dtype=torch.float64)
    out = torch.empty(33, 2 * outputs, dtype=torch.float64)
    flow_map.stepper(40)(x, out)
    torch.testing.assert_close(out.view(33, outputs, 2), flow_map.within(x))


def test_config_rebuilds_every_kind() -> None:
    for flow_map in (
        PolynomialMap(2, 4),
        PolynomialMap(2, 4, 3),
        ResidualNet(3, (5, 6), "tanh", 2),
        ResidualNet(3, (5, 6), "tanh", 2, 4),
    ):
        again = create(flow_map.kind, flow_map.config())
        assert again.config() == flow_map.config()
        again.load_state_dict(flow_map.state_dict())


def test_unknown_and_repeated_kinds_are_refused() -> None:
    with pytest.raises(ArgumentError, match="did you mean 'residual'"):
        create("residul", {})
    with pytest.raises(ArgumentError, match="registered already"):

        @register("residual")
        class Other(FlowMap):
            pass


def test_a_flow_map_without_an_increment_says_so() -> None:
    with pytest.raises(NotImplementedError, match="does not say how to step"):
        FlowMap(2)(torch.zeros(1, 2))


def test_a_scaled_net_without_a_net_says_so() -> None:
    with pytest.raises(NotImplementedError, match="does not define its net"):
        ScaledNet(2)(torch.zeros(1, 2))


def test_parameters_are_counted() -> None:
    assert ResidualNet(2, (64, 64, 64)).n_parameters == 3 * 64 + 2 * 65 * 64 + 65 * 2
