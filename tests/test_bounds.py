"""Work and memory stay in proportion to the data, and what would not fit is refused in words."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import pyhits
from pyhits import HiTS, Trajectories, systems
from pyhits.baselines import Linear
from pyhits.cli.app import app
from pyhits.data.limits import check_size
from pyhits.encoders import POD, Autoencoder, DelayEmbedding, Standardise
from pyhits.encoders.embedding import choose_delays
from pyhits.errors import ArgumentError, DataError
from pyhits.policies import arguments
from pyhits.training import Recipe
from pyhits.training.jobs import JobSettings, TrainingData, make_jobs
from pyhits.training.parallel import n_workers
from pyhits.training.size import training_bytes
from pyhits.util.clock import Clock


class Ticks:
    """A clock that goes on by a part of a second whenever it is looked at."""

    def __init__(self, tick: float = 0.01) -> None:
        self.reading, self.tick = 0.0, tick

    def __call__(self) -> float:
        self.reading += self.tick
        return self.reading


def circle(n_rows: int = 200, n: int = 1) -> Trajectories:
    t = 0.1 * np.arange(n_rows)
    phases = np.linspace(0, 1, n)[:, None]
    return Trajectories(np.stack([np.cos(t + phases), np.sin(t + phases)], axis=2), 0.1)


@pytest.fixture(scope="module")
def model() -> HiTS:
    fitted = HiTS([1, 4], flow_map="polynomial", random_state=0, n_jobs=1, verbose=False)
    return fitted.fit(circle())


# Forecasts that do not fit


@pytest.mark.parametrize("n_steps", [10**10, 2**63, 10**400, 1e18, float(2**70), np.int64(2**62)])
def test_a_forecast_that_does_not_fit_says_how_large_it_is(model: HiTS, n_steps: Any) -> None:
    with pytest.raises(
        ArgumentError, match=r"A forecast of 2 trajectories over .* takes .* (GB|bytes)"
    ):
        model.forecast([[1.0, 0.0], [0.0, 1.0]], n_steps)


@pytest.mark.parametrize(
    "ask",
    [
        lambda m: m.forecast([1.0, 0.0], t=[0.0, 1e16]),
        lambda m: m.forecast([1.0, 0.0], 2**63, interval=0.9),
        lambda m: m.forecast([[1.0, 0.0]], 2**63, out="never.npy"),
        lambda m: m.forecast([1.0, 0.0], 2**63, tol=1e-3),
        lambda m: m.adaptive_forecast([1.0, 0.0], 2**63, tol=1e-3),
        lambda m: m.disagreement([1.0, 0.0], 2**63),
        lambda m: m.forecast_from(circle(20), 2**63),
    ],
)
def test_every_way_to_forecast_refuses_what_does_not_fit(model: HiTS, ask: Any) -> None:
    with pytest.raises(ArgumentError, match=r"this process may use .* of memory"):
        ask(model)


def test_what_goes_to_a_file_must_fit_one_by_one() -> None:
    n = 10**9
    check_size(n, 1000, 3, to_file=True)
    with pytest.raises(ArgumentError, match="write them to a file"):
        check_size(n, 1000, 3)
    with pytest.raises(ArgumentError, match="fewer steps"):
        check_size(1, 10**12, 3, to_file=True)


def test_a_simulation_that_does_not_fit_is_refused() -> None:
    system = systems.get("lorenz")
    with pytest.raises(ArgumentError, match="A simulation of 1000000000000 trajectories"):
        system.simulate(10**12, n_steps=10)
    with pytest.raises(ArgumentError, match="A simulation of 1 trajectories"):
        system.simulate(1, n_steps=2**63)


def test_a_baseline_refuses_what_does_not_fit() -> None:
    baseline = Linear().fit(circle())
    with pytest.raises(ArgumentError, match="takes"):
        baseline.forecast([1.0, 0.0], 2**63)


def test_the_command_refuses_what_does_not_fit(model: HiTS, tmp_path: Any) -> None:
    path, data = (
        model.save(tmp_path / "m.safetensors"),
        pyhits.write(circle(20), tmp_path / "d.npz"),
    )
    asked = ["forecast", path, "--from", data, "--steps", 2**63, "-o", tmp_path / "x.npz"]
    done = CliRunner().invoke(app, [str(word) for word in asked])
    assert done.exit_code == 2, done.output
    assert "A forecast of 1 trajectories" in " ".join(done.stderr.split())


# Fits that do not fit


@pytest.mark.parametrize("shape", [(5, 100_000), (12, 40_000)])
def test_rows_too_long_for_a_net_are_refused_in_words(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ArgumentError, match=r"Rows of \d+ numbers .* --encoder pod=64"):
        HiTS(verbose=False).fit(rng.standard_normal(shape))


def test_long_rows_are_fitted_to_as_modes() -> None:
    t, s = 0.1 * np.arange(60)[:, None], np.linspace(0, 1, 20_000)
    wave = np.cos(6 * s - t) + 0.5 * np.cos(12 * s - 2 * t)
    model = HiTS([1], encoder=POD(4), flow_map="polynomial", n_jobs=1, verbose=False).fit(wave)
    ahead = model.forecast(wave[:1], 10)
    np.testing.assert_allclose(ahead[0], wave[:11], atol=1e-6)


@pytest.mark.parametrize("settings", [{"hidden_sizes": (10**6, 10**6)}, {"batch_size": 10**14}])
def test_nets_and_batches_that_do_not_fit_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=r"this process may use .*take less"):
        HiTS(**arguments(verbose=False, **settings)).fit(circle())


@pytest.mark.parametrize(
    "settings",
    [
        {"dense": 2**70},
        {"rollout_steps": 2**80},
        {"max_steps": 2**80},
        {"n_jobs": 2**80},
        {"hidden_sizes": (8,) * 100_000},
        {"step_sizes": [2**80]},
        {"encoder": Autoencoder(1, (2**40,))},
        {"encoder": DelayEmbedding(2**70)},
    ],
)
def test_absurd_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises((ArgumentError, DataError)):
        HiTS(**arguments(verbose=False, **settings)).fit(circle())


def test_memory_is_told_from_the_weights() -> None:
    recipe = Recipe(flow_map="residual", batch_size=1)
    few, many = (training_bytes(recipe, 10, (width,), 1, 4) for width in (1000, 10_000))
    assert 8 < many / few < 12
    assert training_bytes(recipe, 10, (1000,), 1, 8) == 2 * few
    assert training_bytes(Recipe(flow_map="polynomial"), 10**6, (64,), 1, 8) == 0


# Many short trajectories


@pytest.mark.slow
def test_many_trajectories_take_no_longer_than_their_rows() -> None:
    # 40,000 calls, one a trajectory, would take minutes.
    rng = np.random.default_rng(0)
    phase = rng.uniform(0, 6, (8_000, 1))
    t = 0.1 * np.arange(12)
    rows = np.stack([np.cos(t + phase), np.sin(t + phase)], axis=2)
    rows += 0.02 * rng.standard_normal(rows.shape)
    begin = time.process_time()
    HiTS([1], flow_map="polynomial", n_jobs=1, verbose=False, random_state=0).fit(rows)
    assert time.process_time() - begin < 8


# A limit in time


def test_delays_that_there_is_no_time_for_are_none() -> None:
    x = np.sin(0.1 * np.arange(600))[:, None]
    assert choose_delays([x]).n_rows > 1
    clock = Clock.start(0.05, Ticks())
    assert choose_delays([x], clock=clock).n_rows == 1
    assert "the choice of the rows of a state" in str(clock.note())
    again = DelayEmbedding("auto")
    assert again.fit_in_time(x, Clock.start(0.05, Ticks())).n_delays_ == 1


def test_modes_in_a_hurry_are_those_of_fewer_passes() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1500, 12)) * 0.5 ** np.arange(12) @ rng.standard_normal((12, 1500))
    clock = Clock.start(0.01, Ticks())
    hurried, whole = POD(4).fit_in_time(x, clock), POD(4).fit(x)
    np.testing.assert_allclose(hurried.modes_ @ hurried.modes_.T, np.eye(4), atol=1e-10)
    assert hurried.energy_ <= whole.energy_ + 1e-12
    assert hurried.energy_ > 0.9 * whole.energy_


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"flow_map": "residual", "hidden_sizes": (8,)},
        {"flow_map": "residual", "hidden_sizes": (8,), "selection": "speed"},
        {"encoder": "auto"},
        {"training": "reproduce", "hidden_sizes": (8,)},
    ],
)
@pytest.mark.parametrize("n", [1, 12])
def test_next_to_no_time_still_gives_a_model(settings: dict[str, Any], n: int) -> None:
    model = HiTS(
        **arguments(
            step_sizes=[1, 2, 4],
            time_limit=1e-6,
            random_state=0,
            n_jobs=1,
            verbose=False,
            **settings,
        )
    )
    data = circle(100, n)
    model.fit(data)
    assert model.selection_.step_sizes
    assert np.isfinite(model.forecast(data[0][: model.start_rows_], 3)).any()
    (note,) = [note for note in model.notes_ if note.startswith("The time limit")]
    assert "has cut short" in note
    assert model.baselines_ is not None
    assert {"persistence", "mean"} <= model.baselines_.by_kind.keys()
    assert model.evaluate(data).baselines


def test_processes_are_not_started_for_a_moment() -> None:
    data = circle(200)
    recipe = Recipe(flow_map="residual").resolve(2, 1, 200).override(max_steps=20_000)
    scaling = Standardise().fit(data.values)
    jobs = make_jobs(TrainingData(data, data, scaling), JobSettings(recipe), [1, 2, 4])
    hand = Ticks(0.0)
    assert n_workers(jobs, 2) == 2
    assert n_workers(jobs, 2, Clock.start(30.0, hand)) == 2
    assert n_workers(jobs, 2, Clock.start(3.0, hand)) == 1
    assert n_workers(jobs, None, Clock.start(10.0, hand)) == 1


def test_without_a_limit_nothing_is_cut_short(model: HiTS) -> None:
    assert not any(note.startswith("The time limit") for note in model.notes_)
    assert sum(model.stage_seconds_.values()) <= model.seconds_


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("flow_map", ["auto", "residual"])
def test_a_fit_spends_about_its_limit(flow_map: str) -> None:
    # In CPU seconds of one process, which a loaded machine does not make more.
    data = systems.get("van-der-pol").simulate(10, n_steps=300, random_state=0)
    begin = time.process_time()
    model = HiTS(time_limit=2.0, flow_map=flow_map, random_state=0, n_jobs=1, verbose=False)
    model.fit(data)
    assert time.process_time() - begin < 1.15 * 2.0 + 2.0
