"""Shared fixtures: small data with known flows, and the switch for slow studies."""

from __future__ import annotations

import dataclasses
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

# One thread for linear algebra, here and in every process that a test starts: tests that run side
# by side have one core each. BLAS and PyTorch look at it when they are loaded.
os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")

import hypothesis
import numpy as np
import pytest
import threadpoolctl
import torch
from joblib.externals.loky.backend.context import set_start_method

import pyhits
import pyhits.report.page
from pyhits.baselines import recordings
from pyhits.baselines.drift import SeasonalDrift
from pyhits.baselines.simple import Mean, Persistence, SimpleBaseline
from pyhits.data.trajectories import Trajectories
from pyhits.flowmaps import FlowMap, create, kernel, register
from pyhits.flowmaps.form import closed_forms
from pyhits.paper.comparison.problems import SEQUENCE_PROBLEMS, SequenceProblem
from pyhits.policies import CLOSED_FORMS, arguments

# How long an example takes depends on what else runs.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


#: What worker processes import.
_OF_WORKERS = ["distributed", "pyhits.fit.run", "pyhits.training.cluster", "pyhits.hits", "zarr"]


def pytest_configure() -> None:
    """Compute in one thread, start workers at once, and hear Ctrl-C.

    Small operations gain nothing from more threads, and wait for busy cores. A shell that starts
    tests in the background has them ignore interrupts, which some of them send to themselves.
    """
    torch.set_num_threads(1)
    threadpoolctl.threadpool_limits(1)  # of what plugins have loaded before the setting above
    # Workers are forks of a process that has imported all they need, which takes each seconds.
    set_start_method("forkserver", force=True)
    multiprocessing.set_forkserver_preload(_OF_WORKERS)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--run-slow", action="store_true", help="also run whole studies and expensive cases"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--run-slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow; give --run-slow"))


@pytest.fixture(autouse=True)
def same_numbers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test draws the same numbers, whichever others ran before it in its process.

    From torch's generator, and from the ``RNG`` of its module if there is one.
    """
    torch.manual_seed(0)
    if hasattr(request.module, "RNG"):
        monkeypatch.setattr(request.module, "RNG", np.random.default_rng(0))


@pytest.fixture
def own_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time limits count seconds that this process computes: others on the machine take none."""
    monkeypatch.setattr(time, "perf_counter", time.process_time)


def search_few_forms(patch: pytest.MonkeyPatch) -> None:
    """Let searches for closed forms end with polynomials and the first kernels."""
    patch.setattr(kernel, "_PASSES", 0)
    for family, form in closed_forms().items():
        patch.setattr(form, "in_every_search", family in ("polynomial", "kernel"))


@pytest.fixture
def few_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let searches for closed forms be short."""
    search_few_forms(monkeypatch)


def fit_few_baselines(patch: pytest.MonkeyPatch) -> None:
    """Let models of recordings know their cheapest baselines alone."""

    def fitted(data: Trajectories, clock: Any) -> dict[str, SimpleBaseline]:
        return {one.kind: one.fit(data) for one in (Persistence(), Mean(), SeasonalDrift())}

    patch.setattr(recordings, "_fitted", fitted)


@pytest.fixture
def few_baselines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let fits to recordings be short."""
    fit_few_baselines(monkeypatch)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let reports hold the names of their figures: drawing them takes longest of all."""
    monkeypatch.setattr(pyhits.report.page, "_svg", lambda figure, name: f"<svg>{name}</svg>")


@pytest.fixture(scope="module")
def two_workers() -> Iterator[Any]:
    """Client of a Dask cluster of two processes of one thread each."""
    dask = pytest.importorskip("dask")
    distributed = pytest.importorskip("distributed")
    settings = {"distributed.worker.multiprocessing-method": "forkserver"}
    with dask.config.set(settings):
        distributed.utils.get_mp_context().set_forkserver_preload(_OF_WORKERS)
        with (
            distributed.LocalCluster(
                n_workers=2,
                threads_per_worker=1,
                processes=True,
                dashboard_address=":0",
                silence_logs=logging.CRITICAL,
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client


def two_waves(times: np.ndarray) -> np.ndarray:
    """Two smooth features, whose times can be told from their values."""
    return np.column_stack([np.sin(times), np.cos(1.3 * times)])


def rotation(angle: float) -> np.ndarray:
    """Flow matrix of the harmonic oscillator over a time ``angle``."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, s], [-s, c]])


def circles(n: int, n_steps: int, dt: float = 0.1, seed: int = 0) -> Trajectories:
    """Exact harmonic oscillations, ``(n, n_steps + 1, 2)``."""
    start = np.random.default_rng(seed).uniform(-1, 1, (n, 2))
    flow = np.stack([rotation(dt * k) for k in range(n_steps + 1)])
    return Trajectories(np.einsum("tij,nj->nti", flow, start), dt, feature_names=["x", "y"])


def settled(name: str, n: int, n_steps: int, seed: int, dt: float | None = None) -> Trajectories:
    """Trajectories of a catalogued system near its attractor, by few states.

    In a simulation five hundred go through the transient, so that the first are always the same.
    """
    system = pyhits.systems.get(name)
    if not system.transient:
        return system.simulate(n, n_steps, dt, random_state=seed)
    before = system.simulate(n, 1, min(system.transient, 5.0), random_state=seed, transient=0)
    return system.simulate(None, n_steps, dt, initial_states=before.to_array()[:, 1])


def rounding(size: int, magnitude: Any = 1.0, dtype: Any = np.float64) -> float:
    """Bound of how far two ways to add up ``size`` products may lie apart.

    Each is within ``size * eps`` times the sum of the products' magnitudes of the exact sum
    (Higham 2002, Accuracy and Stability of Numerical Algorithms, section 3.1), in whichever order
    the processor's kernels add. Several operations one after another count as one longer sum, times
    the condition number of the whole.

    Parameters
    ----------
    magnitude : float or array
        The sum of the products' magnitudes; of an array the largest is taken.
    """
    return 2 * size * float(np.finfo(dtype).eps) * float(np.abs(magnitude).max())


def seeded(net: FlowMap, seed: int) -> FlowMap:
    """The same kind of net with weights that follow from ``seed``."""
    return create(net.kind, net.config(), seed=seed).to(next(net.parameters()).dtype)


def quick(**settings: Any) -> pyhits.HiTS:
    values = {"max_steps": 60, "n_jobs": 1, "random_state": 0}
    if settings.get("flow_map") not in CLOSED_FORMS:
        values["hidden_sizes"] = (8,)
    return pyhits.HiTS(**arguments(**{**values, "verbose": False, **settings}))


@register("test-drift")
class Drift(FlowMap):
    """A family of a user's own."""

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension)
        self.rate = torch.nn.Parameter(torch.full((dimension,), 0.5))

    def increment(self, states: torch.Tensor) -> torch.Tensor:
        return self.rate.expand_as(states)


@pytest.fixture(scope="session")
def oscillations() -> Trajectories:
    return circles(40, 200)


@pytest.fixture(scope="session")
def pendulum() -> tuple[Trajectories, Trajectories, Trajectories]:
    """A nonlinear system to train, validate and test on: Van der Pol, small."""
    system = pyhits.systems.get("van-der-pol")
    train, valid, test = (
        system.simulate(n, 200, dt=0.05, random_state=k) for k, n in enumerate((60, 12, 12))
    )
    return train, valid, test


@pytest.fixture(scope="session")
def fitted(pendulum: tuple[Trajectories, Trajectories, Trajectories]) -> pyhits.HiTS:
    """A quickly trained model with nets in its coarse scales."""
    train, valid, _ = pendulum
    model = pyhits.HiTS(
        [1, 2, 4, 8, 16],
        flow_map=pyhits.Nets((32, 32)),
        training=pyhits.Training(max_steps=150),
        random_state=0,
        n_jobs=1,
        verbose=False,
    )
    return model.fit(train, validation=valid)


@pytest.fixture(scope="session")
def toy_sequences() -> tuple[SequenceProblem, ...]:
    """The four sequences, small, with small models."""
    units = {"lstm": 6, "esn": 40, "cwrnn": 8}
    changes: dict[str, dict[str, Any]] = {
        "fluid": {"step_sizes": (1, 4), "hidden_sizes": (64, 16), "n_modes": 4},
        "video": {"step_sizes": (1, 4), "hidden_sizes": (32, 16), "n_modes": 4},
        "music": {"step_sizes": (1, 5), "hidden_sizes": (512, 128)},
        "ks": {"step_sizes": (1, 6), "hidden_sizes": (256, 64)},
    }
    sizes: dict[str, dict[str, Any]] = {
        "fluid": {"shape": (12, 27), "n_radial": 24, "n_modes": 12, "start": 0.0, "dt": 0.1,
                  "n_snapshots": 40, "reynolds": 20.0, "step": 0.02},
        "video": {"n_frames": 40, "height": 18, "width": 32},
        "music": {"seconds": 0.4},
        "ks": {"n_snapshots": 121, "n_points": 32},
    }  # fmt: skip
    return tuple(
        dataclasses.replace(problem, units=units, small=sizes[name], **changes[name])
        for name, problem in SEQUENCE_PROBLEMS.items()
    )
