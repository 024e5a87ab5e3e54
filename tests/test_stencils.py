"""Laws of differences: walls of any value, coefficients by place, files, whole fits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import pyhits
from pyhits.flowmaps import StencilMap, bare
from pyhits.flowmaps.stencils.differences import RING, SLOPE, STILL, differences
from pyhits.flowmaps.stencils.fit import StencilFit
from pyhits.flowmaps.stencils.law import Law, Products
from pyhits.flowmaps.stencils.walls import Walls, find_walls

N = 24
X = np.linspace(0, 1, N)

#: u_t = c_0 + c_1 u + c_2 u_x + c_3 u_xx + c_4 u^2 + c_5 u u_x + c_6 u u_xx + c_7 u_x^2
TERMS = Products.up_to(1, 1, 2, 2)
DIFFUSES, STEEPENS = TERMS.factors.index((2,)), TERMS.factors.index((0, 1))


def walls(first: str, last: str) -> Walls:
    return Walls((N,), (((first, last),),), torch.zeros(1, 1, 2, dtype=torch.float64))


def recorded(sides: tuple[str, str], starts: np.ndarray, values: torch.Tensor) -> np.ndarray:
    """Return runs ``(n, 13, N)`` of the law with such coefficients."""
    law = Law(walls(*sides), TERMS, 7, torch.zeros(1, dtype=torch.float64))
    states = [torch.from_numpy(starts)[:, None]]
    for _ in range(12):
        states.append(law.step(states[-1], values, 8))
    return torch.cat(states, dim=1).numpy()


def burgers(sides: tuple[str, str] = (STILL, STILL), n: int = 10) -> np.ndarray:
    """Return runs of Burgers' equation from 1 at one wall to -0.5, or no slope, at the other."""
    rng = np.random.default_rng(0)
    waves = np.pi * X * (np.array([[1], [2], [3]]) - 0.5 * (sides[1] == SLOPE))
    starts = 0.3 * rng.normal(size=(n, 3)) @ np.sin(waves)
    starts += 1 - (1.5 * X if sides[1] == STILL else 0)
    values = torch.zeros(1, len(TERMS.factors), dtype=torch.float64)
    values[0, DIFFUSES], values[0, STEEPENS] = 0.6, -0.3
    return recorded(sides, starts, values)


@pytest.mark.parametrize("sides", [(STILL, STILL), (RING, RING), (SLOPE, SLOPE)])
def test_differences_are_derivatives_to_their_order(sides: tuple[str, str]) -> None:
    x = np.arange(N)
    wave = 2 * np.pi / N if sides[0] == RING else np.pi / (N - 1)
    field, second = np.cos(wave * x), -(wave**2) * np.cos(wave * x)
    matrix, constant = differences(N, 2, 7, sides, (0.0, 0.0))
    np.testing.assert_allclose(matrix.numpy() @ field + constant.numpy(), second, atol=2e-6)


def test_a_held_value_beyond_the_points_takes_part() -> None:
    matrix, constant = differences(
        N, 1, 7, ("held halfway", "held beyond"), (-0.25, (N + 1.0) ** 2)
    )
    slope = matrix.numpy() @ (np.arange(N) + 1.0) ** 2 + constant.numpy()
    np.testing.assert_allclose(slope[4:], 2 * (np.arange(N) + 1.0)[4:], rtol=1e-9)


@pytest.mark.parametrize("last", [STILL, SLOPE])
def test_each_side_is_what_the_data_show(last: str) -> None:
    runs = torch.from_numpy(burgers((STILL, last)))
    before, after = (part.reshape(-1, 1, N) for part in (runs[:, :-1], runs[:, 1:]))
    assert find_walls(before, after - before, [False]).sides == (((STILL, last),),)
    assert find_walls(before, after - before, [True]).sides == (((RING, RING),),)


def test_coefficients_by_place_are_solved_for() -> None:
    diffusion = 0.5 + 0.3 * np.sin(2 * np.pi * np.arange(N) / N)
    values = torch.zeros(1, len(TERMS.factors), N, dtype=torch.float64)
    values[0, DIFFUSES] = torch.from_numpy(diffusion)
    rng = np.random.default_rng(0)
    angle = 2 * np.pi * np.arange(N) / N
    starts = sum(
        rng.normal(size=(20, 1)) * np.cos(k * angle + 6 * rng.random((20, 1))) for k in (1, 2, 3)
    )
    runs = torch.from_numpy(recorded((RING, RING), np.asarray(starts), values))
    before, after = (part.reshape(-1, 1, N) for part in (runs[:, :-1], runs[:, 1:]))
    fit = StencilFit(walls(RING, RING), before, after, 7)
    shared = fit.shared(TERMS)
    found = fit.by_place(shared, TERMS.kept([DIFFUSES]), 1e-8)
    assert found.error < 1e-3 < 0.1 < shared.error
    place = found.products.factors.index((found.products.features.index((0, 2)),))
    np.testing.assert_allclose(found.values[0, place], diffusion, atol=0.01)


@pytest.mark.slow
def test_widths_are_looked_at_again_where_coefficients_differ_by_place() -> None:
    rng, angle = np.random.default_rng(2), 2 * np.pi * np.arange(N) / N
    terms = TERMS.kept([TERMS.factors.index((f,)) for f in (1, 2)])
    law = Law(walls(RING, RING), terms, 3, torch.zeros(1, dtype=torch.float64))
    values = torch.from_numpy(np.stack([-1 + 0.8 * np.sin(angle), 1 + 0.8 * np.cos(angle)])[None])
    runs = [torch.from_numpy(rng.normal(size=(12, 1, N)))]
    for _ in range(12):
        runs.append(law.step(runs[-1], 0.2 * values, 2))
    data = torch.stack(runs[2:], dim=1)[:, :, 0].numpy()
    model = pyhits.HiTS(flow_map="stencil", step_sizes=[1], n_jobs=1, verbose=False)
    model.fit(data[:10], grid="ring")
    assert bare(model.flow_maps_[1]).config()["width"] == 3
    found = np.asarray(model.forecast(data[10:, 0], n_steps=10))
    assert np.abs(found - data[10:]).max() < 0.02 * data.std()


@pytest.mark.slow
def test_a_cubic_law_with_a_source_at_one_place_is_found() -> None:
    rng, n = np.random.default_rng(3), 9
    y, x = np.mgrid[:n, :n]
    source = 0.5 * np.exp(-((y - 4) ** 2 + (x - 7) ** 2) / 6)

    def rate(u: np.ndarray) -> np.ndarray:
        wide = np.pad(u, ((0, 0), (1, 1), (1, 1)), mode="edge")
        near = wide[:, 2:, 1:-1] + wide[:, :-2, 1:-1] + wide[:, 1:-1, 2:] + wide[:, 1:-1, :-2]
        return np.asarray(near - 4 * u + u * (1 - u) * (u - 0.4) + source)

    u = rng.uniform(0, 1, (9, 1, 1)) + 0.3 * rng.normal(size=(9, n, n))
    runs = [u]
    for _ in range(10):
        for _ in range(4):
            u = u + 0.1 * rate(u + 0.05 * rate(u))
        runs.append(u)
    data = np.stack(runs[3:], axis=1)
    model = pyhits.HiTS(flow_map="stencil", step_sizes=[1], n_jobs=1, verbose=False)
    model.fit(data[:7], validation=data[7:8], grid=f"{n}x{n},line,line")
    found = np.asarray(model.forecast(data[8:, 0], n_steps=7))
    assert np.abs(found - data[8:]).max() < 0.01 * data.std()


def test_whole_fits_hold_walls_of_two_values(tmp_path: Path) -> None:
    runs = burgers()
    model = pyhits.HiTS(flow_map="stencil", step_sizes=[1], n_jobs=1, verbose=False)
    model.fit(runs[:8], grid="line")
    assert isinstance(bare(model.flow_maps_[1]), StencilMap)
    path = tmp_path / "walls.safetensors"
    model.save(path)
    found = np.asarray(pyhits.load(path).forecast(runs[8:, 0], n_steps=200))
    np.testing.assert_allclose(found[:, :13], runs[8:], atol=1e-4)
    for end, value in ((0, 1.0), (-1, -0.5)):
        np.testing.assert_allclose(found[..., end], np.full((2, 201), value), atol=1e-12)
    assert np.abs(found).max() < 1.5


def test_coefficients_by_place_need_no_law_that_is_the_same_everywhere() -> None:
    rng = np.random.default_rng(1)
    ring = Walls((N,), (((RING, RING),),), torch.zeros(1, 1, 2, dtype=torch.float64))
    values = torch.zeros(1, len(TERMS.factors), N, dtype=torch.float64)
    values[0, TERMS.factors.index((0,))] = torch.from_numpy(
        0.2 * np.cos(2 * np.pi * np.arange(N) / N)
    )
    law = Law(ring, TERMS, 7, torch.zeros(1, dtype=torch.float64))
    before = torch.from_numpy(rng.normal(size=(40, 1, N)))
    fit = StencilFit(ring, before, law.step(before, values, 1), 7)
    growing = torch.zeros(1, 1, dtype=torch.float64) + 9.0
    lost = replace(fit.shared(TERMS.kept([1])), values=growing)
    found = fit.by_place(lost, TERMS.kept([TERMS.factors.index((0,))]), 1e-10)
    assert found.error < 1e-6


def test_far_derivatives_go_with_narrow_differences() -> None:
    law = StencilMap(N, [N], 1, [[0, 4]], [[0]], 3, 1, [[[RING, RING]]])
    wave = torch.cos(2 * np.pi * torch.arange(N, dtype=torch.float64) / N)[None]
    law = law.double()
    law.values.fill_(-1.0)
    change = law(wave) - wave
    torch.testing.assert_close(change, -((2 * np.pi / N) ** 4) * wave, rtol=0.05, atol=1e-6)
    with pytest.raises(ValueError, match="more points than a difference has"):
        StencilMap(N, [N], 1, [[0, 5]], [[0]], 3, 1, [[[RING, RING]]])
