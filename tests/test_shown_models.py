"""What fitted models say of themselves: lines, cards, equations, modes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from conftest import quick

import pyhits
from pyhits import plots
from pyhits.encoders import POD, Standardise
from pyhits.errors import ArgumentError
from pyhits.flowmaps import EquationMap, StencilMap, VelocityMap
from pyhits.flowmaps.equations.edges import Edges
from pyhits.flowmaps.equations.equation import Scheme
from pyhits.flowmaps.equations.terms import Terms
from pyhits.numerics.fourier import DERIVATIVE

#: A damped oscillation of period 2 pi around (5, -2).
T = 0.1 * np.arange(300)
ROWS = 3 * np.exp(-0.05 * T)[:, None] * np.column_stack([np.sin(T), np.cos(T)]) + [5.0, -2.0]


@pytest.fixture(scope="module")
def linear() -> pyhits.HiTS:
    data = pyhits.Trajectories(ROWS, 0.1, feature_names=["x", "v"])
    return quick(step_sizes=[1], flow_map="polynomial", polynomial_degree=2, encoder=[]).fit(data)


def numbers(text: str) -> list[float]:
    return [float(word) for word in text.replace("- ", "-").replace("+ ", "").split() if _is(word)]


def _is(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def test_a_linear_map_says_its_increments(linear: pyhits.HiTS) -> None:
    """Of ``z' = A z`` around a centre: ``(A - 1) (z - centre)``, and no term of higher degree."""
    x, v, note = linear.equations().splitlines()
    assert x.startswith("x(t + 0.1) - x(t) = ")
    change = math.exp(-0.005) * np.array(
        [[math.cos(0.1), math.sin(0.1)], [-math.sin(0.1), math.cos(0.1)]]
    ) - np.eye(2)
    constant = -change @ [5.0, -2.0]
    for line, row, c in ((x, change[0], constant[0]), (v, change[1], constant[1])):
        right = line.split(" = ")[1]
        np.testing.assert_allclose(numbers(right), [c, *row], rtol=2e-3)
        assert "^" not in right
    assert "not derivatives" in note


def test_a_field_says_its_equation_in_the_units_of_the_user() -> None:
    """``u_t = 0.3 u_xx - u u_x`` of standardised rows on points half a unit apart."""
    n, dt, h, mean, scale = 16, 0.2, 0.5, 2.0, 3.0
    none, first, second = ((DERIVATIVE, k) for k in range(3))
    unit = 2 * h / math.pi
    linear = torch.tensor([[0.3 * dt / unit**2, -mean * dt / unit]], dtype=torch.float64)
    product = torch.tensor([[-dt / (2 * unit) * scale]], dtype=torch.float64)
    terms = Terms((second, first), ((0, none),), ((first, (0, 0)),))
    values = torch.cat([linear, product], dim=1)
    flow_map = EquationMap.of(Edges.rings((n,), 1), terms, Scheme(1, 4), values)
    grid = pyhits.Grid((n,), axes=["x"], spacing=h, periodic=True)
    data = pyhits.Trajectories(np.random.default_rng(0).random((5, n)), dt, grid=grid)
    scaling = Standardise(channels=1).set_statistics(np.full(n, mean), np.full(n, scale))
    model = pyhits.TimeStepper.from_flow_maps({1: flow_map}, data, scaling=scaling)
    assert model.equations().splitlines()[0] == "du/dt = 0.3 u_xx - 0.5 (u^2)_x"
    assert repr(model) == "TimeStepper(a field of 16 points; step 0.2; step sizes 1 coupled)"


def test_what_nobody_would_read_is_refused(fitted: pyhits.HiTS) -> None:
    with pytest.raises(ArgumentError, match="55 terms, more than anybody reads"):
        fitted.equations(max(fitted.flow_maps_))
    with pytest.raises(ArgumentError, match="There is no scale 7; there are 1, 2"):
        fitted.equations(7)


def test_modes_are_those_of_the_oscillation(linear: pyhits.HiTS) -> None:
    found = linear.modes()
    assert found.frequencies[0] == pytest.approx(1 / (2 * math.pi), rel=1e-6)
    assert found.growth_rates[0] == pytest.approx(-0.05, rel=1e-4)
    ratio = found.shapes[0, 1] / found.shapes[0, 0]
    assert abs(ratio.imag) == pytest.approx(1, rel=1e-4)
    assert "0.15915" in str(found)
    assert len(np.atleast_1d(found.plot(ax=plots.blank()))) == 1


def test_modes_of_a_field_are_decoded() -> None:
    """A travelling wave: the shape is a sine and a cosine of the same wavenumber."""
    x = 2 * np.pi * np.arange(24) / 24
    field = np.sin(2 * x - 1.5 * T[:120, None])
    model = quick(step_sizes=[1], flow_map="polynomial", encoder=[POD(2)])
    found = model.fit(pyhits.Trajectories(field, 0.1, grid=(24,))).modes()
    assert found.frequencies[0] == pytest.approx(1.5 / (2 * math.pi), rel=1e-6)
    spectrum = np.abs(np.fft.fft(found.shapes[0].real))[:13]
    assert spectrum.argmax() == 2
    assert spectrum[2] == pytest.approx(spectrum.sum())


def test_a_model_shows_itself(linear: pyhits.HiTS) -> None:
    assert repr(linear.stepper_) == "TimeStepper(x, v; step 0.1; step sizes 1 coupled)"
    assert "polynomial (degree" in str(linear)
    assert str(linear).startswith("HiTS(")
    card = linear._repr_html_()
    assert "standard deviations" in card
    assert "polynomial (degree" in card
    assert "not fitted" in pyhits.HiTS()._repr_html_()


@pytest.mark.parametrize("by_place", [False, True])
def test_laws_of_differences_are_written_in_the_units_of_the_data(by_place: bool) -> None:
    sides = [[["ring", "ring"]]]
    law = StencilMap(12, [12], 1, [[0, 0], [0, 2]], [[1], [0, 0]], 3, 1, sides, by_place).double()
    diffusion, quadratic = law.values[0]
    diffusion += 0.1 * 0.05 / 0.5**2
    quadratic -= 0.1 * 3.0 * 2.0
    if by_place:
        diffusion[::2] *= 1.5
        diffusion[1::2] *= 0.5
    grid = pyhits.Grid((12,), ["h"], axes=["s"], spacing=0.5, periodic=True)
    rows = np.linspace(-1, 1, 24).reshape(2, 12)
    data = pyhits.Trajectories([rows], 0.1, grid=grid)
    scaling = Standardise().set_statistics(np.full(12, 1.0), np.full(12, 2.0))
    model = pyhits.TimeStepper.from_flow_maps({1: law}, data, scaling=scaling)
    line, note = model.equations().splitlines()
    assert line == "dh/dt = 0.05 h_ss - 3 h^2 + 6 h - 3"
    assert ("means are written" in note) == by_place


def test_equations_of_velocities_are_those_of_their_vorticity() -> None:
    spacing, step = 0.2, 0.1
    unit = 2 * spacing / np.pi
    linear, products = [[0, 2, 0], [0, 0, 2]], [{"operator": [0, 0, 0], "factors": [0, 1]}]
    features = [{"channel": 0, "operator": o} for o in ([0, 1, 0], [1, 0, 1])]
    inner = EquationMap(64, [8, 8], 1, linear, features, products).double()
    inner.linear_coefficients.fill_(step * 0.01 / unit**2)
    scale = 4.0  # of both velocities
    inner.coefficients.fill_(step * scale / unit)
    flow_map = VelocityMap(128, (8, 8), True, inner.config()).double()
    flow_map.inner.load_state_dict(inner.state_dict())
    grid = pyhits.Grid((8, 8), ["u", "v"], spacing=spacing, periodic=True)
    data = pyhits.Trajectories([np.eye(2, 128)], step, grid=grid)
    scaling = Standardise().set_statistics(np.zeros(128), np.full(128, scale))
    model = pyhits.TimeStepper.from_flow_maps({1: flow_map}, data, scaling=scaling)
    line, note = model.equations().splitlines()
    assert line == "dw/dt = 0.01 w_yy + 0.01 w_xx + w_y lap^-1(w)_x"
    assert "w is v_x - u_y" in note
