"""What drives fields at all times, by place: found, stepped, kept in files, and not made up."""

from pathlib import Path

import numpy as np
import pytest
import torch

import pyhits
from pyhits.flowmaps import EquationMap, bare
from pyhits.flowmaps.equations.edges import Edges
from pyhits.flowmaps.equations.equation import Scheme
from pyhits.flowmaps.equations.fit import EquationFit
from pyhits.flowmaps.equations.terms import Terms
from pyhits.numerics.fourier import DERIVATIVE

N = 32
NONE, FIRST, SECOND = ((DERIVATIVE, k) for k in (0, 1, 2))

#: u_t = -0.3 (u^2)_x + 0.8 u_xx - 0.05 u + s(x)
TERMS = Terms((NONE, SECOND), ((0, NONE),), ((FIRST, (0, 0)),))
VALUES = torch.tensor([[-0.05, 0.8, -0.3]], dtype=torch.float64)
X = 2 * np.pi * np.arange(N) / N
SOURCE = 0.2 * np.sin(X) - 0.1 * np.cos(3 * X)


def driven(n: int, n_steps: int, source: np.ndarray = SOURCE) -> np.ndarray:
    """Return runs ``(n, n_steps + 1, N)`` of the equation."""
    waves = torch.fft.rfft(torch.from_numpy(source))[None]
    flow_map = EquationMap.of(Edges.rings((N,), 1), TERMS, Scheme(), VALUES, source=waves)
    rng = np.random.default_rng(0)
    begin = sum(rng.normal(size=(n, 1)) * np.cos(k * X + rng.normal(size=(n, 1))) for k in (1, 2))
    states = [torch.from_numpy(np.asarray(begin))]
    with torch.inference_mode():
        for _ in range(n_steps):
            states.append(flow_map(states[-1]))
    return torch.stack(states, dim=1).numpy()


def test_sources_are_solved_for_with_the_coefficients() -> None:
    runs = driven(6, 10)
    before, after = (torch.from_numpy(x.reshape(-1, N)) for x in (runs[:, :-1], runs[:, 1:]))
    fit = EquationFit(Edges.rings((N,), 1), before, after)
    alone = fit.solve(TERMS, Scheme())
    assert fit.standing(alone) > 0.1
    found = fit.solve(TERMS, Scheme(), sourced=True)
    assert found.error < 1e-5
    assert found.source is not None
    assert torch.allclose(found.values, VALUES, atol=1e-4)
    np.testing.assert_allclose(torch.fft.irfft(found.source[0], n=N), SOURCE, atol=1e-4)


@pytest.mark.slow
def test_whole_fits_find_what_drives_fields(tmp_path: Path) -> None:
    runs = driven(8, 30)
    model = pyhits.HiTS(random_state=0, flow_map="equation", verbose=False, step_sizes=[1])
    model.fit(runs[:7], grid="ring")
    inner = bare(model.flow_maps_[1])
    assert isinstance(inner, EquationMap)
    assert inner.sourced
    path = tmp_path / "driven.safetensors"
    model.save(path)
    found = np.asarray(pyhits.load(path).forecast(runs[7, 0], n_steps=30))
    np.testing.assert_allclose(found, runs[7], atol=1e-3)
    assert "s_u(place)" in str(model.stepper_.equations())


def test_no_source_is_made_up() -> None:
    runs = driven(6, 10, 0 * SOURCE)
    before, after = (torch.from_numpy(x.reshape(-1, N)) for x in (runs[:, :-1], runs[:, 1:]))
    noise = 1e-3 * np.random.default_rng(1).standard_normal(after.shape)
    fit = EquationFit(Edges.rings((N,), 1), before, after + torch.from_numpy(noise))
    assert fit.standing(fit.solve(TERMS, Scheme())) < 0.1
