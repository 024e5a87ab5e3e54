"""The models that the forecasts are timed with, fitted in this process."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

import pyhits
from benchmarks.problem import SCALES, training_data
from benchmarks.timing import THREADS
from pyhits.encoders import Standardise
from pyhits.flowmaps import FlowMap, PolynomialMap, ResidualNet, ScaledNet
from pyhits.hierarchy import resolution
from pyhits.hierarchy.stages import stages

#: Shape of the nets in the plain hierarchy.
HIDDEN = (64, 64, 64)


@functools.cache
def plain(quick: bool) -> pyhits.HiTS:
    """Return nets ``[2, 64, 64, 64, 2]`` at all eleven scales, all of them coupled.

    They are trained briefly: their times do not depend on their errors.
    """
    model = pyhits.HiTS(
        SCALES,
        flow_map=pyhits.Nets(HIDDEN, polynomial_degree=0),
        training=pyhits.Training(max_steps=150 if quick else 1500),
        selection="all",
        n_jobs=1 if quick else THREADS,
        random_state=0,
        verbose=False,
    )
    return model.fit(training_data(200), validation=training_data(40, seed=2))


@functools.cache
def default(quick: bool) -> pyhits.HiTS:
    """Return what defaults make of 800 trajectories, in quick mode of 200."""
    model = pyhits.HiTS(n_jobs=THREADS, random_state=0, verbose=False)
    return model.fit(training_data(200 if quick else 800), validation=training_data(320, seed=2))


def untrained(dimension: int, width: int, sizes: tuple[int, ...]) -> dict[int, FlowMap]:
    """Return nets of three hidden layers whose increments are small, for timing alone."""
    maps: dict[int, FlowMap] = {}
    for size in sizes:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(size)
            net = ResidualNet(dimension, (width,) * 3)
        net.scale.fill_(1e-3)
        maps[size] = net
    return maps


def identity(dimension: int) -> Standardise:
    """Return an encoder that changes nothing, for nets that were not trained."""
    return Standardise(False).fit(np.zeros((2, dimension)))


def multiply_adds(flow_map: FlowMap) -> int:
    """Multiply-adds of matrix products in one evaluation of a flow map, for one state."""
    total = sum(m.weight.numel() for m in flow_map.modules() if isinstance(m, nn.Linear))
    base = flow_map.base if isinstance(flow_map, ScaledNet) else flow_map
    return total + (base.coefficients.numel() if isinstance(base, PolynomialMap) else 0)


def work(flow_maps: Mapping[int, FlowMap], n_trajectories: int, n_steps: int) -> float:
    """Multiply-adds of all matrix products of one forecast."""
    finest = resolution(flow_maps)
    maps = {size // finest: flow_map for size, flow_map in flow_maps.items()}
    each = {size: multiply_adds(flow_map) for size, flow_map in maps.items()}
    plan = stages({size: f.outputs for size, f in maps.items()}, -(-n_steps // finest))
    return float(n_trajectories * sum(stage.columns * each[stage.size] for stage in plan))


def coupled(model: pyhits.HiTS, step_sizes: Sequence[int] | None = None) -> dict[int, FlowMap]:
    """Return the flow maps that a model's forecasts use, by default those it has selected."""
    chosen = model.selection_.step_sizes if step_sizes is None else step_sizes
    return {size: model.flow_maps_[size] for size in chosen}
