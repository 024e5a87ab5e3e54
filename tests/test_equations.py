"""Flow maps that integrate equations on periodic grids: schemes, fits, files, whole fits."""

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import pyhits
from pyhits.data.grid import Grid
from pyhits.errors import ArgumentError
from pyhits.flowmaps import EquationMap, bare
from pyhits.flowmaps.equations.edges import KINDS, Edges, find_edges
from pyhits.flowmaps.equations.equation import Equation, Scheme
from pyhits.flowmaps.equations.fit import EquationFit
from pyhits.flowmaps.equations.terms import Terms, fluxes, library
from pyhits.numerics.exponential import ExponentialSteps, phi
from pyhits.numerics.fourier import DERIVATIVE, INVERSE, SHIFT, multiplier

N = 32
NONE, FIRST, SECOND, FOURTH = ((DERIVATIVE, k) for k in (0, 1, 2, 4))

#: u_t = -(u^2)_x / 2 - u_xx - u_xxxx, with derivatives in units of 2 / pi a point.
KS = Terms((SECOND, FOURTH), ((0, NONE),), ((FIRST, (0, 0)),))
KS_VALUES = torch.tensor([[-0.9, -4.0, -0.4]], dtype=torch.float64)


def smooth(n: int, seed: int = 0, points: int = N, waves: int = 4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = 2 * np.pi * np.arange(points) / points
    k = np.arange(1, waves)
    phase = rng.uniform(0, 2 * np.pi, (n, 1, waves - 1))
    size = rng.normal(size=(n, 1, waves - 1))
    return np.sum(size * np.cos(k * x[:, None] + phase), axis=-1)


def ks_map(substeps: int = 1, order: int = 4) -> EquationMap:
    return EquationMap.of(Edges.rings((N,), 1), KS, Scheme(substeps, order), KS_VALUES)


def recordings(flow_map: EquationMap, starts: np.ndarray, n_steps: int) -> np.ndarray:
    states = [torch.from_numpy(starts)]
    with torch.inference_mode():
        for _ in range(n_steps):
            states.append(flow_map(states[-1]))
    return torch.stack(states, dim=1).numpy()


@pytest.fixture(scope="module")
def fields() -> np.ndarray:
    return recordings(ks_map(), smooth(8), 40)


def test_phi_functions_are_their_series_near_zero_and_far_from_it():
    z = torch.tensor([0.0, 1e-9, 1e-3, 0.4j, -2.0 + 1j, -30.0], dtype=torch.complex128)
    whole, first, second, third = phi(z)
    for k, found in enumerate((whole, first, second, third)):
        series = sum(z[:5] ** j / float(math.factorial(j + k)) for j in range(40))
        assert torch.allclose(found[:5], series, rtol=1e-13, atol=1e-14)
    assert torch.allclose(first[5:], (torch.exp(z[5:]) - 1) / z[5:], rtol=1e-13)


def test_operators_are_those_of_calculus():
    x = 2 * np.pi * np.arange(N) / N
    scale = N / 4  # waves a grid, in units of the operators
    u = torch.from_numpy(np.sin(3 * x))

    def applied(operator: tuple[int, ...]) -> np.ndarray:
        return torch.fft.irfft(torch.fft.rfft(u) * multiplier(operator, (N,)), n=N).numpy()

    np.testing.assert_allclose(applied((DERIVATIVE, 1)), 3 / scale * np.cos(3 * x), atol=1e-13)
    np.testing.assert_allclose(
        applied((INVERSE, 0)), -((scale / 3) ** 2) * np.sin(3 * x), atol=1e-12
    )
    np.testing.assert_allclose(applied((SHIFT, 2)), np.roll(u.numpy(), -2), atol=1e-13)


@pytest.mark.parametrize("order", [2, 4])
def test_schemes_converge_with_their_order(order):
    start = smooth(3)
    exact = recordings(ks_map(256), start, 1)[:, -1]
    errors = [abs(recordings(ks_map(n, order), start, 1)[:, -1] - exact).max() for n in (8, 16, 32)]
    rates = [math.log2(a / b) for a, b in pairwise(errors)]
    assert np.allclose(rates, order, atol=0.4)


def test_linear_equations_are_exact_in_one_step():
    terms = Terms((FIRST, SECOND), (), ())
    values = torch.tensor([[0.7, 0.2]], dtype=torch.float64)
    one = EquationMap.of(Edges.rings((N,), 1), terms, Scheme(), values)
    x = 2 * np.pi * np.arange(N) / N
    unit = 2 * np.pi / N * 2 / np.pi
    found = recordings(one, np.sin(3 * x)[None], 1)[0, -1]
    k = 3 * unit
    np.testing.assert_allclose(found, np.exp(-0.2 * k**2) * np.sin(3 * x + 0.7 * k), atol=1e-13)


def test_a_constant_is_a_product_of_nothing() -> None:
    terms = Terms((NONE,), (), ((NONE, ()),))
    values = torch.tensor([[-0.5, 1.0]], dtype=torch.float64)
    found = recordings(
        EquationMap.of(Edges.rings((N,), 1), terms, Scheme(), values), np.zeros((2, N)), 1
    )
    np.testing.assert_allclose(found[:, -1], 2 * (1 - np.exp(-0.5)), rtol=1e-12)


def test_what_the_data_leave_empty_does_not_grow() -> None:
    """Of a single wave the linear part is known at one wavenumber: nothing tells of the others."""
    wave = np.sin(0.2 * np.arange(60)[:, None] + 2 * np.pi * np.arange(37) / 37)
    model = pyhits.HiTS(random_state=0, verbose=False).fit(wave[:50], grid="ring")
    assert isinstance(bare(model.flow_maps_[1]), EquationMap)
    ahead = np.asarray(model.forecast(wave[49], n_steps=1000))
    expected = np.sin(0.2 * np.arange(49, 1050)[:, None] + 2 * np.pi * np.arange(37) / 37)
    np.testing.assert_allclose(ahead.reshape(expected.shape), expected, atol=1e-6)


def test_steps_commute_with_shifts_of_the_grid():
    start = smooth(2)
    moved = recordings(ks_map(), np.roll(start, 5, axis=1), 3)
    np.testing.assert_allclose(
        moved, np.roll(recordings(ks_map(), start, 3), 5, axis=2), atol=1e-12
    )


@pytest.mark.parametrize("kind", ["fluxes", "derivatives"])
def test_fits_find_the_terms_and_their_coefficients(fields, kind):
    before, after = (
        torch.from_numpy(x.reshape(-1, N).copy()) for x in (fields[:, :-1], fields[:, 1:])
    )
    fit = EquationFit(Edges.rings((N,), 1), before, after)
    found = fit.solve(library(1, 1, 2, 2, kind=kind), Scheme())
    # Products of derivatives have other aliases than the data.
    assert found.error < (1e-9 if kind == "fluxes" else 1e-2)
    assert found.terms.linear == KS.linear
    assert len(found.terms.products) == 1
    product = KS_VALUES[0, 2] * (2 if kind == "derivatives" else 1)
    expected = torch.cat([KS_VALUES[0, :2], product[None]])
    assert torch.allclose(found.values[0], expected, rtol=1e-6 if kind == "fluxes" else 1e-2)


def test_weights_learn_an_integrator_that_is_none_of_the_schemes():
    weights = list(ks_map(1, 2)._prepared()[2].outer)
    other = torch.stack([weights[0], 0.9 * weights[1], 1.3 * weights[2]])
    maker = EquationMap.of(Edges.rings((N,), 1), KS, Scheme(1, 2), KS_VALUES, other)
    data = recordings(maker, 0.3 * smooth(12, waves=12), 8)
    before, after = (torch.from_numpy(x.reshape(-1, N).copy()) for x in (data[:, :-1], data[:, 1:]))
    fit = EquationFit(Edges.rings((N,), 1), before, after)
    plain = fit.solve(library(1, 1, 2, 2, kind="fluxes"), Scheme(1, 2))
    learned = fit.weighted(plain)
    assert learned.error < 1e-6 < plain.error


def test_rings_of_neighbours_are_found():
    n, f = 24, 8.0

    def rate(x: np.ndarray) -> np.ndarray:
        return (np.roll(x, -1, 1) - np.roll(x, 2, 1)) * np.roll(x, 1, 1) - x + f

    x = f + np.random.default_rng(0).normal(size=(4, n))
    rows = []
    for _ in range(300):
        for _ in range(2):
            a = rate(x)
            b = rate(x + 0.0025 * a)
            c = rate(x + 0.0025 * b)
            x = x + 0.005 / 6 * (a + 2 * b + 2 * c + rate(x + 0.005 * c))
        rows.append(x)
    data = np.stack(rows, axis=1)
    before, after = (torch.from_numpy(v.reshape(-1, n).copy()) for v in (data[:, :-1], data[:, 1:]))
    found = EquationFit(Edges.rings((n,), 1), before, after).solve(
        library(1, 1, 2, 2, kind="shifts"), Scheme()
    )
    assert found.error < 1e-5


def test_a_plane_turns_with_its_stream_function():
    shape, nu = (16, 16), 0.05
    terms = Terms(
        ((DERIVATIVE, 2, 0), (DERIVATIVE, 0, 2)),
        tuple(
            (0, o)
            for o in [(INVERSE, 1, 0), (INVERSE, 0, 1), (DERIVATIVE, 1, 0), (DERIVATIVE, 0, 1)]
        ),
        (((DERIVATIVE, 0, 0), (1, 2)), ((DERIVATIVE, 0, 0), (0, 3))),
    )
    values = torch.tensor([[nu, nu, 0.3, -0.3]], dtype=torch.float64)
    maker = EquationMap.of(Edges.rings(shape, 1), terms, Scheme(2, 4), values)
    rng = np.random.default_rng(1)
    k = np.abs(np.fft.fftfreq(16) * 16)
    low = (k[:, None] < 4) & (k < 4)
    start = np.fft.ifft2(np.fft.fft2(rng.normal(size=(6, 16, 16))) * low).real.reshape(6, -1)
    data = recordings(maker, 3 * start, 12)
    before, after = (
        torch.from_numpy(x.reshape(-1, 256).copy()) for x in (data[:, :-1], data[:, 1:])
    )
    fit = EquationFit(Edges.rings(shape, 1), before, after)
    found = fit.solve(library(2, 1, 2, 1, kind="stream"), Scheme(2, 4))
    assert found.error < 1e-6


def test_maps_know_their_size_and_come_back_from_their_parts():
    one = ks_map()
    other = EquationMap.from_stored(one.plain(), one.state())
    start = torch.from_numpy(smooth(2))
    assert torch.equal(other(start), one(start))
    assert EquationMap.n_stored(one.config()) == sum(t.numel() for t in one.state().values())
    assert one.describe() == "equation of 3 terms"


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [N + 1]},
        {"linear": [[0, 1, 1]]},
        {"features": [{"channel": 1, "operator": [0, 0]}]},
        {"products": [{"operator": [0, 1], "factors": [0, 7]}]},
        {"order": 3},
        {"weighted": True, "substeps": 2},
    ],
)
def test_parts_that_do_not_fit_are_refused(change):
    with pytest.raises(ValueError):
        EquationMap(**(ks_map().config() | change))


def test_equations_without_a_grid_are_refused_with_what_to_do():
    data = pyhits.Trajectories(np.cumsum(np.random.default_rng(0).normal(size=(40, 2)), axis=0))
    with pytest.raises(ArgumentError, match="fields on a grid"):
        pyhits.HiTS(flow_map="equation", verbose=False).fit(data)


def test_zero_to_one_of_a_step_is_an_equation_of_its_own():
    equation = Equation((N,), 1, KS, Scheme(), KS_VALUES)
    v = equation.forward(torch.from_numpy(smooth(1))[:, None])
    steps = ExponentialSteps.of(equation.exponents(KS_VALUES[:, :2]), 4, 1)
    by_hand = equation.back(steps(v, equation.slopes(KS_VALUES[:, 2:])))
    assert torch.equal(equation.stepped(v, KS_VALUES), by_hand)


def test_whole_fits_take_the_equation(fields, tmp_path):
    data = pyhits.Trajectories(fields, dt=0.5, grid=Grid((N,), periodic=True))
    model = pyhits.HiTS(step_sizes=[1], random_state=0, verbose=False).fit(data)
    fresh = recordings(ks_map(), smooth(3, seed=9), 40)
    found = np.asarray(model.forecast(fresh[:, 0], n_steps=40))
    assert np.abs(found.reshape(fresh.shape) - fresh).max() < 1e-4 * fresh.std()
    assert isinstance(bare(model.flow_maps_[1]), EquationMap)
    again = pyhits.load(model.save(tmp_path / "m.safetensors"))
    assert np.array_equal(np.asarray(again.forecast(fresh[:, 0], n_steps=40)), found)


@pytest.mark.slow
def test_coarse_scales_take_the_terms_of_the_finest(fields: np.ndarray) -> None:
    model = pyhits.HiTS(step_sizes=[1, 4], n_jobs=1, random_state=0, verbose=False)
    model.fit(fields, grid="ring")
    fine, coarse = (bare(model.flow_maps_[size]) for size in (1, 4))
    assert isinstance(fine, EquationMap)
    assert isinstance(coarse, EquationMap)
    assert coarse.terms == fine.terms
    assert coarse.scheme.substeps <= 4 * fine.scheme.substeps
    starts = torch.from_numpy(fields[:, 0]).to(fine.values.dtype)
    one_by_one = starts
    for _ in range(4):
        one_by_one = fine.double()(one_by_one)
    np.testing.assert_allclose(coarse.double()(starts), one_by_one, atol=1e-3)


def between_walls(n_runs: int, n_steps: int, odd: bool, seed: int = 0) -> np.ndarray:
    """Return u_t = u_xx / 50 + u - u^3 (odd: - (u^2)_x / 4) by small steps of the continuation."""
    terms = Terms((NONE, SECOND), ((0, NONE),), ((NONE, (0, 0, 0)),))
    values = torch.tensor([[0.1, 1.0, -0.1]], dtype=torch.float64)
    if odd:
        terms = Terms((SECOND,), ((0, NONE),), ((FIRST, (0, 0)),))
        values = torch.tensor([[1.0, -0.1]], dtype=torch.float64)
    x = (np.arange(N) + 0.5) * np.pi / N
    rng = np.random.default_rng(seed)
    waves = np.stack([(np.sin if odd else np.cos)(k * x) for k in range(1, 5)])
    starts = 0.5 * rng.normal(size=(n_runs, 4)) @ waves
    doubled = np.concatenate([starts, (-1 if odd else 1) * starts[:, ::-1]], axis=1)
    maker = EquationMap.of(Edges.rings((2 * N,), 1), terms, Scheme(4, 4), values)
    return recordings(maker, doubled, n_steps)[:, :, :N]


@pytest.mark.parametrize("odd", [pytest.param(False, marks=pytest.mark.slow), True])
def test_fields_between_walls_follow_an_equation(odd: bool, tmp_path: Path) -> None:
    data = between_walls(12, 12, odd) + (0.7 if odd else 0.0)
    model = pyhits.HiTS(flow_map="equation", step_sizes=[1], random_state=0, verbose=False)
    model.fit(data[:9], grid="line")
    found = bare(model.flow_maps_[1])
    assert isinstance(found, EquationMap)
    assert found.edges.kinds == ("halfway",)
    assert found.edges.odd == ((odd,),)
    ahead = np.asarray(model.forecast(data[9:, 0], n_steps=12)).reshape(data[9:].shape)
    np.testing.assert_allclose(ahead, data[9:], atol=1e-3)
    again = pyhits.load(model.save(tmp_path / "m.safetensors"))
    later = np.asarray(again.forecast(data[9:, 0], n_steps=12)).reshape(ahead.shape)
    assert np.array_equal(later, ahead)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("odd", [False, True])
def test_continuations_are_periodic_and_come_back(kind: str, odd: bool) -> None:
    if (kind == "beyond") > odd or (kind in ("ring", "repeated") and odd):
        return
    n = 12
    place = {"halfway": 0.5, "beyond": 1.0}.get(kind, 0.0)
    rings = {"ring": n / 2, "repeated": (n - 1) / 2}
    walls = (rings | {"halfway": n, "at points": n - 1, "beyond": n + 1})[kind]
    x = (np.arange(n) + place) * np.pi / walls
    wave = np.sin(2 * x) if odd else np.cos(2 * x)
    edges = Edges((n,), (kind,), ((odd,),), torch.tensor([0.3], dtype=torch.float64))
    fields = torch.from_numpy(wave[None, None] + 0.3 * odd)
    if not odd:
        edges = replace(edges, level=torch.zeros(1, dtype=torch.float64))
    on_ring = edges.continued(fields)
    assert on_ring.shape[-1:] == edges.periodic
    assert int((torch.fft.rfft(on_ring).abs() > 1e-9).sum()) == 1
    assert torch.allclose(edges.between(on_ring), fields, atol=1e-12)
    if kind != "ring":
        waves = np.stack([(np.sin if odd else np.cos)(k * x) for k in range(1, 4)])
        some = np.random.default_rng(0).normal(size=(9, 3)) @ waves + 0.3 * odd
        seen = find_edges(torch.from_numpy(some[:, None]), [False], torch.zeros(1).double())
        assert (seen.kinds, seen.odd) == (edges.kinds, edges.odd)
        assert torch.allclose(seen.level, edges.level, atol=2e-2)


@pytest.mark.slow
def test_a_last_point_that_repeats_the_first_is_no_wall(fields: np.ndarray) -> None:
    closed = np.concatenate([fields, fields[..., :1]], axis=2)
    model = pyhits.HiTS(step_sizes=[1], flow_map="equation", random_state=0, verbose=False)
    model.fit(closed[:6], grid=(N + 1,))
    assert any("the last point repeats the first" in note for note in model.notes_)
    found = np.asarray(model.forecast(closed[6:, 0], n_steps=40)).reshape(closed[6:].shape)
    np.testing.assert_allclose(found, closed[6:], atol=1e-3)
    assert np.array_equal(found[..., 0], found[..., -1])


@pytest.mark.parametrize("shape", [(1, N), pytest.param((2, N // 2), marks=pytest.mark.slow)])
def test_axes_of_one_or_two_points_are_no_obstacle(
    fields: np.ndarray, shape: tuple[int, int]
) -> None:
    model = pyhits.HiTS(step_sizes=[1], flow_map="equation", random_state=0, verbose=False)
    model.fit(fields[:3, :20], grid=shape)
    assert np.isfinite(np.asarray(model.forecast(fields[:2, 0], n_steps=5))).all()


def test_terms_that_mirror_images_do_not_share_are_left_out() -> None:
    terms = library(1, 1, 2, 1, kind="derivatives")
    for odd, kept in ((False, 1), (True, 0)):
        edges = Edges((N,), ("halfway",), ((odd,),), torch.zeros(1))
        allowed = edges.allowed(terms)
        assert {o[1] % 2 for o in allowed.linear} == {0}
        orders = [sum(allowed.features[f][1][1] for f in of) for _, of in allowed.products if of]
        assert {order % 2 for order in orders} == {1 - kept}


def test_products_without_aliases_are_derivatives_of_squares() -> None:
    """``u u_x`` and ``(u u)_x / 2`` are one where products are cut: slopes take the cheaper."""
    plain, x, y = ((DERIVATIVE, *orders) for orders in ((0, 0), (1, 0), (0, 1)))
    terms = Terms((), ((0, plain), (0, x), (0, y)), ((plain, (0, 1)), (x, (0, 2)), (plain, (1, 2))))
    made, factors = fluxes(terms)
    assert made.products == ((x, (0, 0)), ((DERIVATIVE, 1, 1), (0, 0)), (plain, (1, 2)))
    assert factors == (0.5, 0.5, 1.0)
    fields = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 1, 12, 16)))
    coefficients = torch.tensor([[0.7, -0.3, 0.2]], dtype=torch.float64)
    cut = Equation((12, 16), 1, terms, Scheme(dealiased="all"), fields)
    v = cut.forward(fields)
    by_hand = sum(
        c * cut.outer(cut.forward(cut.product(cut.factors(v), j)), j)
        for j, c in enumerate(coefficients[0])
    )
    found = cut.slopes(coefficients)(v)
    assert torch.allclose(found[:, 0], by_hand, atol=1e-12)
    free = Equation((12, 16), 1, terms, Scheme(), fields)
    by_hand = sum(
        c * free.outer(free.forward(free.product(free.factors(v), j)), j)
        for j, c in enumerate(coefficients[0])
    )
    assert torch.allclose(free.slopes(coefficients)(v)[:, 0], by_hand, atol=1e-12)


def test_large_fields_step_in_float32_where_that_hides_in_the_error() -> None:
    terms = Terms(((DERIVATIVE, 2, 0), (DERIVATIVE, 0, 2)), (), ())
    values = torch.tensor([[0.2, 0.2]], dtype=torch.float64)
    one = EquationMap.of(Edges.rings((128, 128), 1), terms, Scheme(), values)
    states = torch.from_numpy(smooth(2, points=128)[:, :, None] + smooth(2, 1, 128)[:, None])
    states = states.reshape(2, -1)
    assert one.in_single(states, 1e-9) is one
    fast = one.in_single(states, 1e-5)
    again = EquationMap(**fast.config())
    again.double().load_state_dict(fast.state_dict())
    with torch.inference_mode():
        assert torch.equal(again(states), fast(states))
        assert 0 < float((fast(states) - one(states)).abs().max()) < 1e-5
