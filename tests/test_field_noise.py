"""Noise on fields, told and taken off by wavenumber."""

import numpy as np
import pytest

from pyhits import Grid, Trajectories
from pyhits.noise import denoise
from pyhits.noise.fields import clean_fields, noise_of_modes

RING = Grid((48,), periodic=True)


def waves(n_rows: int = 200, *, walls: bool = False) -> np.ndarray:
    """Return slow waves on a line, which are even at walls."""
    t = 0.05 * np.arange(n_rows)[:, None]
    x = 2 * np.pi * np.arange(48) / 48
    if walls:
        x = np.pi * (np.arange(48) + 0.5) / 48
        return np.cos(t) * np.cos(2 * x) + 0.5 * np.sin(0.7 * t) * np.cos(5 * x)
    return np.sin(3 * x - t) + 0.5 * np.cos(5 * x + 0.7 * t)


def noisy(rows: np.ndarray, grid: Grid, size: float, seed: int = 0) -> Trajectories:
    noise = size * np.random.default_rng(seed).standard_normal(rows.shape)
    return Trajectories(rows + noise, 0.05).with_grid(grid)


@pytest.mark.parametrize("walls", [False, True])
def test_white_noise_is_told_and_taken_off(walls: bool) -> None:
    grid = Grid((48,), periodic=not walls)
    rows = waves(walls=walls)
    data = noisy(rows, grid, 0.05)
    found = clean_fields(data, data)
    assert found is not None
    np.testing.assert_allclose(found.sigma, 0.05, rtol=0.1)
    left = np.sqrt(np.square(found.train - rows).mean())
    assert left < 0.2 * 0.05
    np.testing.assert_allclose(np.square(left / 0.05), found.risk, atol=0.04)


def test_fields_without_noise_are_left_alone() -> None:
    data = Trajectories(waves(), 0.05).with_grid(RING)
    assert denoise(data, data) is None


def test_what_changes_fast_at_all_wavenumbers_is_no_noise_on_top() -> None:
    """A random walk at each point is white in space and smooth in time."""
    walk = np.cumsum(np.random.default_rng(0).standard_normal((300, 48)), axis=0)
    data = Trajectories(walk, 0.05).with_grid(RING)
    modes = walk[:, :, None]
    assert not noise_of_modes(modes, data.offsets, RING).any()


def test_channels_have_noise_of_their_own() -> None:
    grid = Grid((48,), periodic=True, channels=2)
    rows = np.stack([waves(), 3 * waves()], axis=-1).reshape(200, -1)
    noise = np.random.default_rng(1).standard_normal((200, 48, 2)) * [0.0, 0.1]
    data = Trajectories(rows + noise.reshape(200, -1), 0.05).with_grid(grid)
    found = clean_fields(data, data)
    assert found is not None
    assert found.sigma[0] == 0
    np.testing.assert_allclose(found.sigma[1], 0.1, rtol=0.1)
    np.testing.assert_array_equal(found.train.reshape(200, 48, 2)[..., 0], waves())
