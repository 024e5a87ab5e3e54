"""Flow maps kept within the bounds of their data, and the means that never move."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import rounding

import pyhits
from pyhits.encoders import Standardise
from pyhits.errors import DivergenceError
from pyhits.flowmaps import BoundedMap, Bounds, ConvolutionMap, PolynomialMap
from pyhits.flowmaps.base import FLOW_MAPS
from pyhits.hierarchy import Stepper
from pyhits.hierarchy.forecast import forecast
from pyhits.util.schema import SchemaError

RNG = np.random.default_rng(0)
WAVE = np.sin(2 * np.pi * (np.arange(12)[None, :] / 12 - np.arange(40)[:, None] / 15))


def growing(rate: float, dimension: int = 12) -> PolynomialMap:
    """Return the flow map that multiplies states by ``1 + rate``."""
    flow_map = PolynomialMap(dimension, 1).double()
    for k in range(dimension):
        unit = torch.eye(dimension, dtype=torch.float64)[k : k + 1]
        flow_map.coefficients[k] = rate * flow_map.monomials(unit)[:, 0]
    flow_map.coefficients[:, 0] = 0
    return flow_map


def bounds(rows: np.ndarray = WAVE, channels: int = 1) -> Bounds:
    return Bounds.of(rows, np.array([0, len(rows)]), channels)


def test_bounds_are_those_of_the_data_with_a_margin() -> None:
    found = bounds()
    np.testing.assert_allclose([found.low[0], found.high[0]], [-2, 2], rtol=0.02)
    np.testing.assert_allclose(found.energy, 1.5 * 0.5**0.5)
    assert found.fixed.all()
    each = Bounds.of(WAVE, np.array([0, 40]))
    assert each.low.shape == (12,)
    assert not each.fixed.any()


def test_channels_have_bounds_of_their_own() -> None:
    rows = np.stack([WAVE, 10 + RNG.random(WAVE.shape)], axis=-1).reshape(40, -1)
    found = bounds(rows, 2)
    assert found.high[0] < 3 < 9 < found.low[1]
    assert found.fixed.tolist() == [True, False]


def test_growing_data_have_no_bounds() -> None:
    found = bounds(WAVE * np.exp(np.arange(40) / 20)[:, None])
    assert np.isinf([found.energy, found.high[0], -found.low[0]]).all()
    decaying = bounds(WAVE * np.exp(-np.arange(40) / 20)[:, None])
    assert np.isfinite(decaying.energy)


def test_bounded_states_do_not_leave_the_bounds_of_the_data() -> None:
    flow_map = BoundedMap.around(growing(0.3), bounds())
    states = torch.from_numpy(WAVE[:3].copy())
    later = Stepper({1: flow_map}).rollout(states, 200)
    size = later.square().mean(2).sqrt()
    assert size.max() <= bounds().energy * (1 + 1e-12)
    assert later.abs().max() <= bounds().high[0] * (1 + 1e-12)
    assert Stepper({1: growing(0.3)}).rollout(states, 200).abs().max() > 1e6


def test_states_within_bounds_are_left_to_the_last_bit() -> None:
    inner = growing(0.01)
    found = bounds()
    loose = Bounds(found.low, found.high, found.energy, np.array([False]))
    states = torch.from_numpy(WAVE[:3].copy())
    ours, theirs = (
        Stepper({1: one}).rollout(states, 20) for one in (BoundedMap.around(inner, loose), inner)
    )
    assert torch.equal(ours, theirs)


def test_a_start_beyond_the_bounds_is_led_no_further_out() -> None:
    start = torch.from_numpy(10 * WAVE[:1])
    flow_map = BoundedMap.around(growing(0.3), bounds())
    later = Stepper({1: flow_map}).rollout(start, 5)
    assert later.abs().max() <= 10 * (1 + 1e-12)
    assert later.square().mean(2).max() <= start.square().mean() * (1 + 1e-12)
    falling = BoundedMap.around(growing(-0.3), bounds())
    np.testing.assert_allclose(falling(start), 0.7 * start, rtol=1e-12, atol=1e-12)
    assert not flow_map.held(later).any()  # type: ignore[union-attr]


def test_means_that_never_moved_are_kept() -> None:
    net = ConvolutionMap([12], hidden=4, dilations=[1])
    flow_map = BoundedMap.around(net, bounds())
    states = torch.from_numpy(WAVE[:3] + 0.1).float()
    free, kept = (Stepper({1: one}).rollout(states, 30).mean(2) for one in (net, flow_map))
    assert (free[:, -1] - 0.1).abs().max() > 1e-3
    np.testing.assert_allclose(kept, 0.1, atol=30 * rounding(12, 1, np.float32))


@pytest.mark.parametrize("outputs", [1, 2])
def test_files_hold_the_flow_map_and_its_bounds(outputs: int) -> None:
    net = ConvolutionMap([4, 3], 2, hidden=4, dilations=[1], kernel=[3, 3], outputs=outputs).eval()
    rows = RNG.standard_normal((10, 24))
    flow_map = BoundedMap.around(net, bounds(rows, 2))
    plain = FLOW_MAPS.plain(flow_map)
    FLOW_MAPS.schema.read(plain, "map")
    again = FLOW_MAPS.from_stored(plain, flow_map.state())
    assert BoundedMap.n_stored(plain["config"]) == sum(t.numel() for t in again.state().values())
    states = torch.from_numpy(5 * rows).float()
    with torch.inference_mode():
        assert torch.equal(again.within(states), flow_map.within(states))
    assert again.describe() == net.describe()
    for wrong in ({"kind": "bounded", "config": plain["config"]}, {"kind": "no"}, {}):
        with pytest.raises(SchemaError, match=r"map\.kind"):
            BoundedMap.n_stored({"map": wrong, "channels": 1})


def test_a_forecast_that_meets_its_bounds_is_lost() -> None:
    scaling = Standardise(enabled=False).fit(WAVE)
    maps = {1: BoundedMap.around(growing(0.05), bounds())}
    with pytest.raises(DivergenceError, match="diverged at step 9"):
        forecast(WAVE[:2], maps, scaling, 50)
    found = forecast(WAVE[:2], maps, scaling, 50, on_divergence="return")
    assert np.isfinite(found[:, :9]).all()
    assert np.isnan(found[:, 9:]).all()


def test_fits_of_many_variables_stay_near_their_data_and_few_are_left_alone() -> None:
    rng = np.random.default_rng(1)
    rows = np.stack([WAVE[:, k] ** 3 for k in range(12)] + [WAVE[:, k] for k in range(12)], axis=1)
    rows = np.concatenate([rows + 0.05 * rng.standard_normal(rows.shape) for _ in range(3)])
    model = pyhits.HiTS(
        flow_map="polynomial", step_sizes=[1], noise=False, random_state=0, verbose=False
    )
    wide = model.fit(rows, grid="none").flow_maps_[1]
    assert isinstance(wide, BoundedMap)
    far = 30 * np.ones((1, 24))
    kept = torch.from_numpy(far).to(wide.low.dtype)
    for _ in range(50):
        kept = wide(kept)
    assert kept.abs().max() <= 30 * (1 + 1e-6)
    states = torch.from_numpy(rows[:5]).to(wide.low.dtype)
    assert torch.equal(wide(states), wide.inner(states))
    assert isinstance(model.fit(WAVE[:, [0, 3]]).flow_maps_[1], PolynomialMap)
