"""Velocities that nothing compresses: found, stepped as vorticity, kept without divergence."""

import numpy as np
import pytest
import torch

from pyhits.data.grid import Grid
from pyhits.flowmaps import EquationMap, Increments, VelocityMap
from pyhits.flowmaps.equations.edges import Edges
from pyhits.flowmaps.equations.equation import Scheme
from pyhits.flowmaps.equations.terms import Terms
from pyhits.flowmaps.equations.velocities import Curl, VelocityForm, find_curl
from pyhits.numerics.fourier import DERIVATIVE, INVERSE

N = 16
GRID = Grid((N, N), channels=("u", "v"), periodic=True)


def curl(*, crossed: bool, ratio: float = 1.0) -> Curl:
    return Curl((N, N), crossed, ratio, torch.tensor([0.3, -0.2], dtype=torch.float64))


def flow(n: int, n_steps: int) -> np.ndarray:
    """Return velocities ``(n, n_steps + 1, N, N, 2)`` of a flow that carries its curl."""
    first, last = (DERIVATIVE, 1, 0), (DERIVATIVE, 0, 1)
    features = ((0, (INVERSE, 0, 1)), (0, first), (0, (INVERSE, 1, 0)), (0, last))
    none = (DERIVATIVE, 0, 0)
    terms = Terms(
        ((DERIVATIVE, 2, 0), (DERIVATIVE, 0, 2)), features, ((none, (0, 1)), (none, (2, 3)))
    )
    values = torch.tensor([[0.02, 0.02, 0.2, -0.2]], dtype=torch.float64)
    one = EquationMap.of(Edges.rings((N, N), 1), terms, Scheme(2, 4), values)
    rng = np.random.default_rng(0)
    waves = np.fft.rfft2(rng.standard_normal((n, N, N)))
    kx, ky = np.fft.fftfreq(N, 1 / N)[:, None], np.fft.rfftfreq(N, 1 / N)
    begin = np.fft.irfft2(waves * ((kx**2 + ky**2 <= 9) & (kx**2 + ky**2 > 0)))
    states = [torch.from_numpy(0.2 * begin.reshape(n, -1) / begin.std())]
    with torch.no_grad():
        for _ in range(n_steps):
            states.append(one(states[-1]))
    found = curl(crossed=False).velocities(torch.stack(states, dim=1))
    return found.view(n, n_steps + 1, N, N, 2).numpy()


@pytest.mark.parametrize("crossed", [True, False])
def test_the_way_to_vorticity_is_found_in_scaled_velocities(crossed: bool) -> None:
    vorticity = torch.from_numpy(np.random.default_rng(0).standard_normal((4, N // 2, N // 2)))
    smooth = torch.fft.irfft2(4 * torch.fft.rfft2(vorticity), s=(N, N)).view(4, -1)
    known = curl(crossed=crossed, ratio=1.7)
    rows = known.velocities(smooth - smooth.mean(1, keepdim=True))
    found = find_curl(rows, GRID)
    assert found is not None
    assert found.crossed == crossed
    assert found.ratio == pytest.approx(1.7)
    torch.testing.assert_close(found.velocities(found.vorticity(rows)), rows)


def test_what_is_compressed_or_between_walls_has_none() -> None:
    rows = torch.from_numpy(flow(2, 2).reshape(-1, 2 * N * N))
    assert find_curl(rows, GRID) is not None
    assert find_curl(rows, GRID.with_edges(True, False)) is None
    assert find_curl(rows.square(), GRID) is None


def test_forecasts_have_no_divergence_and_keep_their_means() -> None:
    runs = flow(5, 10)
    rows = runs.reshape(5, 11, -1)
    before, after = (part.reshape(-1, rows.shape[2]) for part in (rows[:4, :-1], rows[:4, 1:]))
    form = VelocityForm(degree=2, reach=1, terms="stream", substeps=2, order=4, dealiased="none")
    solved = form.solve(Increments(before, after - before, GRID))
    made = VelocityMap.from_stored(solved.plain(), solved.state())
    states = [torch.from_numpy(rows[4, :1])]
    with torch.no_grad():
        for _ in range(10):
            states.append(made(states[-1]))
    found = torch.cat(states).view(11, N, N, 2).numpy()
    np.testing.assert_allclose(found, runs[4], atol=1e-4)
    u, v = (np.fft.rfft2(found[..., c]) for c in (0, 1))
    kx, ky = 1j * np.fft.fftfreq(N, 1 / N)[:, None], 1j * np.fft.rfftfreq(N, 1 / N)
    assert np.abs(np.fft.irfft2(kx * u + ky * v)).max() < 1e-9
    np.testing.assert_allclose(found.mean((1, 2)), np.tile([0.3, -0.2], (11, 1)), atol=1e-12)


def test_velocities_are_no_field_of_one_channel() -> None:
    field = np.random.default_rng(0).standard_normal((6, N * N))
    assert not VelocityForm.suits(Increments(field[:5], np.diff(field, axis=0), Grid((N, N))))
