"""Convolutional flow maps: what they see of a grid, how they step, and how they are trained."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from conftest import rounding

from pyhits.data.grid import Grid
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError
from pyhits.flowmaps import ConvolutionMap, create
from pyhits.hierarchy import Stepper
from pyhits.training.convolution import ConvolutionRecipe, train_convolution
from pyhits.training.fields import FieldBatches
from pyhits.training.windows import WindowSampler
from pyhits.util.clock import Clock

GRIDS = [
    {"shape": [16]},
    {"shape": [12], "periodic": [False], "channels": 2, "outputs": 3},
    {"shape": [10, 8], "periodic": [True, False], "channels": 2, "kernel": [3, 5]},
    {"shape": [6, 5, 4], "outputs": 2, "dilations": [1]},
    {"shape": [3, 9], "dilations": [1, 2], "activation": "gelu", "kernel": [3, 3]},
]


RING = Grid((24,), 2, periodic=True)


def made(seed: int = 0, **config: object) -> ConvolutionMap:
    net = create("convolution", {"hidden": 4, "dilations": [1, 1]} | config, seed=seed)
    assert isinstance(net, ConvolutionMap)
    return net.eval()


def rows(net: ConvolutionMap, n: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).standard_normal((n, net.dimension))).float()


@torch.inference_mode()
def increments(net: ConvolutionMap, states: torch.Tensor) -> torch.Tensor:
    """Return the increments as fields, ``(n, outputs, *shape, channels)``."""
    return net.increment(states).view(len(states), net.outputs, *net.shape, net.channels)


@pytest.mark.parametrize("config", GRIDS)
def test_files_hold_what_they_say(config: dict[str, object]) -> None:
    net = made(**config)
    plain, state = net.plain(), net.state()
    assert ConvolutionMap.n_stored(plain["config"]) == sum(t.numel() for t in state.values())
    ConvolutionMap.schema.read(plain["config"], "config")
    again = ConvolutionMap.from_stored(plain, state)
    assert again.config() == net.config()
    states = rows(net)
    assert torch.equal(increments(again, states), increments(net, states))


@pytest.mark.parametrize("config", GRIDS)
def test_steppers_step_as_the_map_does(config: dict[str, object]) -> None:
    net = made(**config)
    states = rows(net, 5)
    stepped = Stepper({net.outputs: net}, rows_per_block=2).within(states)
    with torch.inference_mode():
        expected = net.within(states)
    np.testing.assert_allclose(stepped, expected, rtol=0, atol=rounding(1000, 4, np.float32))
    assert net.multiply_adds > net.n_parameters / 2 * math.prod(net.shape)


def test_periodic_fields_may_be_moved_around() -> None:
    net = made(shape=[10, 8], channels=2)
    states = rows(net)
    moved = states.view(3, 10, 8, 2).roll((3, -2), (1, 2)).reshape(3, -1)
    expected = increments(net, states).roll((3, -2), (2, 3))
    np.testing.assert_allclose(increments(net, moved), expected, atol=rounding(1000, 1, np.float32))


def test_a_point_knows_its_neighbours_alone() -> None:
    net = made(shape=[40], kernel=[3], dilations=[3, 3])
    states = rows(net, 1)
    other = states.clone()
    other[0, 20] += 1
    changed = (increments(net, states) != increments(net, other)).flatten().nonzero().flatten()
    assert net.reach == (8,)
    assert changed.min() >= 20 - 8
    assert changed.max() <= 20 + 8


def test_points_at_walls_have_a_map_of_their_own() -> None:
    constant = torch.full((1, 50), 0.3)
    inside = increments(made(shape=[50]), constant)[0, 0, :, 0]
    np.testing.assert_allclose(inside, inside[0].expand(50), atol=1e-6)
    net = made(shape=[50], periodic=[False], kernel=[5])
    walled = increments(net, constant)[0, 0, :, 0]
    # The channels that say where walls are reach as far as the net, which sees them from there.
    (far,) = (2 * reach for reach in net.reach)
    np.testing.assert_allclose(walled[far:-far], walled[25].expand(50 - 2 * far), atol=1e-6)
    assert (walled[:2] - walled[25]).abs().min() > 1e-4
    assert (walled[0] - walled[-1]).abs() > 1e-4


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"shape": []}, "one to 3 axes"),
        ({"shape": [4, 4, 4, 4]}, "one to 3 axes"),
        ({"shape": [8], "kernel": [4]}, "odd kernel"),
        ({"shape": [8], "periodic": [True, True]}, "for each of 1 axes"),
        ({"shape": [8], "kernel": [5], "dilations": [1, 5]}, "reaches around"),
    ],
)
def test_grids_that_cannot_be_are_refused(config: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        made(**config)


def sampler(fields: np.ndarray, step_size: int = 1, **settings: int) -> WindowSampler:
    """Return the windows of runs ``(n, time, d)``."""
    values = fields.reshape(-1, fields.shape[2])
    offsets = np.arange(len(fields) + 1) * fields.shape[1]
    scaling = Standardise(enabled=False).fit(values)
    return WindowSampler(values, offsets, scaling, step_size, **settings)


@pytest.mark.parametrize("closed", [True, False])
def test_patches_are_parts_of_the_whole(closed: bool) -> None:
    """Where all that a point depends on is in the patch, its increment is that of the whole."""
    net = made(shape=[60, 6], periodic=[closed, True], kernel=[3, 3])
    fields = np.random.default_rng(0).standard_normal((1, 3, 360))
    batches = FieldBatches(net, sampler(fields, rollout_steps=2), points=40, most=1)
    with torch.inference_mode():
        whole = net.net(net.fields(torch.from_numpy(fields[0]).float()))
    found = 0
    for batch, _ in zip(batches, range(6), strict=False):
        patch = batch.fields.shape[-2]
        assert patch < 60
        with torch.inference_mode():
            own = net.net(batch.fields[0], batch.edges)[0, 0]
        # Where the patch lies in the whole.
        first = net.fields(torch.from_numpy(fields[0, :1]).float())[0, 0]
        begin = int((first - batch.fields[0, 0, 0, 0]).abs().sum(1).argmin())
        expected = whole[0, 0].roll(-begin, 0)[:patch]
        known = batch.known[0][0, 0] > 0
        found += int(known.sum())
        np.testing.assert_allclose(own[known], expected[known], atol=1e-5)
        assert (batch.known[1] <= batch.known[0]).all()
    assert found > 0


def heat(n: int, steps: int, points: int = 24, seed: int = 0) -> np.ndarray:
    """Runs of the heat equation on a ring beside a constant channel, ``(n, steps, 2 * points)``."""
    rng = np.random.default_rng(seed)
    k = np.arange(points // 2 + 1)
    decay = np.exp(-0.02 * k**2)
    spectrum = np.fft.rfft(rng.standard_normal((n, points))) * (k < 4)
    u = np.fft.irfft(spectrum[:, None] * decay ** np.arange(steps)[:, None], points)
    speed = np.broadcast_to(rng.uniform(1, 2, (n, 1, 1)), u.shape)
    return np.stack([u, speed], axis=-1).reshape(n, steps, -1)


@pytest.mark.slow
def test_a_net_learns_the_heat_equation() -> None:
    train, validation = sampler(heat(12, 20)), sampler(heat(3, 20, seed=1))
    recipe = ConvolutionRecipe(
        hidden=8, max_steps=200, frames=16, seconds=1000.0, learning_rate=1e-2
    )
    net, history = train_convolution(train, validation, RING, recipe=recipe)
    assert history.stopped_by == "steps"
    assert history.validation_error == min(r["validation_error"] for r in history.records)
    windows = validation.spread(100)
    with torch.inference_mode():
        after = net(torch.from_numpy(windows[0]).float()).double().numpy()
    error = np.square(after - windows[1]).mean() / np.square(windows[1] - windows[0]).mean()
    assert error < 0.01
    np.testing.assert_allclose(
        history.one_step_mse, np.square(after - windows[1]).mean(), rtol=1e-3
    )
    # What never changed stays as it is.
    assert np.array_equal(after[:, 1::2], windows[0][:, 1::2].astype(np.float32))


def test_training_again_gives_the_same_net() -> None:
    data = sampler(heat(4, 8))
    recipe = ConvolutionRecipe(hidden=4, max_steps=5, seconds=1000.0)
    nets = [train_convolution(data, data, RING, recipe=recipe)[0] for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*(n.parameters() for n in nets), strict=True))


def test_longer_steps_are_seen_from_further_away() -> None:
    recipe = ConvolutionRecipe(hidden=4, max_steps=1, seconds=1000.0)
    reaches = []
    for step_size in (1, 8, 32):
        data = sampler(heat(2, 40), step_size)
        net, _ = train_convolution(data, data, RING, recipe=recipe)
        reaches.append(net.reach[0])
    assert reaches == sorted(set(reaches))


def test_training_ends_with_the_clock() -> None:
    seconds = iter(np.arange(0.0, 1e6, 0.5))
    clock = Clock.start(20.0, lambda: float(next(seconds)))
    data = sampler(heat(4, 8))
    recipe = ConvolutionRecipe(hidden=4)
    _, history = train_convolution(data, data, RING, recipe=recipe, clock=clock)
    assert history.stopped_by == "time"
    assert clock.note() is not None
    assert len(history.records) > 1


def test_large_fields_are_stepped_few_at_once() -> None:
    """A block of states takes no more memory than a bound, however large the field."""
    net = made(shape=[512, 512], hidden=32, dilations=[])
    stepper = Stepper({1: net})
    most = stepper.batching.block_rows(4 * net.width, 1)
    assert most * 4 * net.width <= max(4 * net.width, stepper.batching.chunk_bytes)
    assert stepper.batching.block_rows(4 * 64, 1) >= 256
