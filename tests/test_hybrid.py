"""Hybrids: Algorithm 2 against its definition, orders, grids, divergence, commands."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import circles, quick, rotation, seeded
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

import pyhits
from pyhits.cli.app import app
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, DataError, DivergenceError, NotFittedError
from pyhits.flowmaps import FlowMap, PolynomialMap, ResidualNet
from pyhits.hierarchy import Stepper, sequential
from pyhits.integrators import LSODA, Integrator, RungeKutta

DT = 0.1
TURN = pyhits.systems.get("harmonic-oscillator")


def fitted_with(
    maps: dict[int, FlowMap],
    *,
    dt: float = DT,
    dimension: int = 2,
    mean: float = 0.0,
    scale: float = 1.0,
    selected: tuple[int, ...] | None = None,
    feature_names: tuple[str, ...] | None = None,
) -> pyhits.TimeStepper:
    """A model made of flow maps that are known."""
    low, high = mean - scale, mean + scale
    data = pyhits.Trajectories(
        np.repeat([[low], [high]], dimension, axis=1),
        dt,
        feature_names=feature_names or tuple("xyzuvw"[:dimension]),
    )
    scaling = Standardise().set_statistics(np.full(dimension, mean), np.full(dimension, scale))
    return pyhits.TimeStepper.from_flow_maps(maps, data, scaling=scaling, step_sizes=selected)


def linear_map(matrix: np.ndarray) -> PolynomialMap:
    """A flow map that multiplies by a matrix."""
    flow_map = PolynomialMap(len(matrix), 1).double()
    flow_map.coefficients[:, 1:] = torch.from_numpy(matrix - np.eye(len(matrix)))
    return flow_map


def exact_model(step_sizes: list[int], dt: float = DT, **settings: Any) -> pyhits.TimeStepper:
    """Exact flow maps of the harmonic oscillator."""
    return fitted_with({s: linear_map(rotation(s * dt)) for s in step_sizes}, dt=dt, **settings)


def turned(start: np.ndarray, times: np.ndarray) -> np.ndarray:
    return np.einsum("tij,nj->nti", np.stack([rotation(t) for t in times]), start)


START = np.array([[1.0, 0.0], [0.3, -0.8], [-0.5, 0.5]])


# Algorithm 2


class Alone(RungeKutta):
    """RK4 as an integrator that must not be stopped and begun anew."""

    restarts = False


def by_definition(
    start: np.ndarray, maps: dict[int, FlowMap], step: Integrator, dt: float, ratio: int, n: int
) -> np.ndarray:
    """Algorithm 2, one state after another: learned at multiples of ``ratio``, else integrated."""
    finest = min(maps)
    coarse = torch.empty(len(start), n // ratio + 1, start.shape[1], dtype=torch.float64)
    coarse[:, 0] = torch.from_numpy(start)
    sequential(coarse, Stepper({size // finest: m for size, m in maps.items()}))
    states = np.empty((len(start), n + 1, start.shape[1]))
    for i in range(n + 1):
        if i % ratio == 0:
            states[:, i] = coarse[:, i // ratio].numpy()
        else:
            for k in range(len(start)):
                states[k, i] = step(states[k, i - 1], dt, 1)[0]
    return states


@given(
    ratios=st.lists(st.integers(2, 4), max_size=2),
    finest=st.integers(1, 5),
    finer=st.sampled_from([1, 2, 3]),
    n_steps=st.integers(1, 70),
    n=st.integers(1, 4),
    restarts=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_vectorised_equals_sequential(
    ratios: list[int], finest: int, finer: int, n_steps: int, n: int, restarts: bool
) -> None:
    """For any nested learned scales, horizon and ratio; whether or not intervals may be cut."""
    sizes = list(itertools.accumulate([finest, *ratios], lambda a, b: a * b))
    maps: dict[int, FlowMap] = {}
    for k, size in enumerate(sizes):
        maps[size] = seeded(ResidualNet(2, (4,), "tanh").double(), k)
    start = np.random.default_rng(0).standard_normal((n, 2))
    step = (RungeKutta if restarts else Alone)(TURN)
    hybrid = pyhits.Hybrid(fitted_with(maps), step, step_sizes=sizes, dt=DT / finer)
    assert hybrid.ratio == finest * finer
    found = hybrid.forecast(start, n_steps)
    wanted = by_definition(start, maps, step, DT / finer, hybrid.ratio, n_steps)
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


def test_a_dense_flow_map_gives_its_inner_states() -> None:
    maps: dict[int, FlowMap] = {
        8: seeded(ResidualNet(2, (4,), outputs=2).double(), 0),
        16: seeded(ResidualNet(2, (4,)).double(), 1),
    }
    model = fitted_with(maps)
    hybrid = pyhits.Hybrid(model, "rk4", system=TURN, step_sizes=[8, 16])
    assert hybrid.ratio == 4
    found = hybrid.forecast(START, 48)
    learned = model.forecast(START, 48, step_sizes=[8, 16])[:, ::4]
    np.testing.assert_allclose(found[:, ::4], learned, atol=1e-12)
    step = RungeKutta(TURN)
    np.testing.assert_allclose(found[:, 6], step(learned[:, 1], DT, 2)[:, 1], atol=1e-12)


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("rk2", 2), ("rk4", 4), ("radau3", 3)])
def test_with_exact_learned_steps_the_order_is_the_integrators(name: str, order: int) -> None:
    """And the error stays that of one coarse interval, however far the horizon."""
    model = exact_model([8], dt=0.25)
    fractions = np.array([1, 2, 4, 8])
    errors = []
    for k in fractions:
        hybrid = pyhits.Hybrid(model, name, system=TURN, dt=0.25 / k)
        found = hybrid.forecast(START, int(64 * k))
        errors.append(np.abs(found - turned(START, 0.25 / k * np.arange(64 * k + 1))).max())
    slope = -np.polyfit(np.log(fractions), np.log(errors), 1)[0]
    assert slope == pytest.approx(order, rel=0.15)
    alone = RungeKutta(TURN)(START, 0.25, 64)
    assert np.abs(alone - turned(START, 0.25 * np.arange(1, 65))).max() > (
        4 * errors[0] if name == "rk4" else 0
    )


@pytest.mark.parametrize("sizes", [[10], [2, 20], [5, 10, 40]])
def test_exact_flow_maps_give_the_exact_solution(sizes: list[int]) -> None:
    hybrid = pyhits.Hybrid(exact_model(sizes), "dop853", system=TURN, step_sizes=sizes)
    found = hybrid.forecast(START, 133)
    np.testing.assert_allclose(found, turned(START, DT * np.arange(134)), atol=1e-11)


def test_a_horizon_within_one_coarse_step_is_the_integrator_alone() -> None:
    hybrid = pyhits.Hybrid(exact_model([64]), "rk4", system=TURN)
    found = hybrid.forecast(START, 63)
    np.testing.assert_array_equal(found[:, 1:], RungeKutta(TURN)(START, DT, 63))
    np.testing.assert_array_equal(hybrid.forecast(START, 1), found[:, :2])


def test_every_interval_has_its_own_time() -> None:
    """Forced with the period of the coarse step, whose learned map is then the same in each."""

    def forced(t: Any, x: np.ndarray) -> np.ndarray:
        return np.stack([np.cos(t) + 0 * x[..., 0], np.sin(t) * x[..., 1]], axis=-1)

    dt = 2 * np.pi / 40
    model = fitted_with({40: linear_map(np.eye(2))}, dt=dt)
    hybrid = pyhits.Hybrid(model, "dop853", system=forced)
    t = dt * np.arange(151)
    exact = np.stack([START[:, :1] + np.sin(t), START[:, 1:] * np.exp(1 - np.cos(t))], axis=-1)
    np.testing.assert_allclose(hybrid.forecast(START, 150), exact, atol=1e-11)


def test_chunks_and_blocks_do_not_change_the_result() -> None:
    start = np.random.default_rng(0).standard_normal((11, 2))
    model = exact_model([2, 8])
    hybrid = pyhits.Hybrid(model, "rk4", system=TURN, step_sizes=[2, 8], dt=DT / 4)
    whole = hybrid.forecast(start, 101)
    between = hybrid.forecast(start, t=[0.0, 0.33, 2.5])
    small = RungeKutta(TURN, block=14)
    parts = pyhits.Hybrid(model, small, step_sizes=[2, 8], dt=DT / 4, chunk_bytes=6000)
    np.testing.assert_allclose(parts.forecast(start, 101), whole, atol=1e-14)
    np.testing.assert_allclose(parts.forecast(start, t=[0.0, 0.33, 2.5]), between, atol=1e-14)


# What goes in and comes out


def test_the_coarsest_selected_scale_is_the_default() -> None:
    model = exact_model([1, 4, 16, 64], selected=(1, 4, 16))
    hybrid = pyhits.Hybrid(model, "rk4", system=TURN)
    assert (hybrid.step_sizes, hybrid.dt, hybrid.ratio) == ((16,), DT, 16)
    assert repr(hybrid) == (
        "Hybrid(step sizes 16; RK4 (right-hand side of harmonic-oscillator), dt = 0.1)"
    )
    model = exact_model([1, 4, 16, 64], selected=(1,))
    with pytest.raises(ArgumentError, match=r"selected, 1, leaves nothing to integrate: give step"):
        pyhits.Hybrid(model, "rk4", system=TURN)
    whole = pyhits.Hybrid(model, "rk4", system=TURN, step_sizes=[1])
    np.testing.assert_allclose(
        whole.forecast(START, 20), model.forecast(START, 20, step_sizes=[1]), atol=1e-14
    )


@pytest.mark.parametrize(("dt", "ratio"), [(0.1, 64), (0.8, 8), (0.05, 128), (0.4, 16)])
def test_any_step_that_divides_the_learned_one(dt: float, ratio: int) -> None:
    hybrid = pyhits.Hybrid(exact_model([64]), "dop853", system=TURN, dt=dt)
    assert hybrid.ratio == ratio
    found = hybrid.forecast(START, 200)
    np.testing.assert_allclose(found, turned(START, dt * np.arange(201)), atol=1e-6)


def test_kinds_of_initial_states() -> None:
    hybrid = pyhits.Hybrid(exact_model([8]), "rk4", system=TURN)
    whole = hybrid.forecast(START, 20)
    assert whole.dtype == np.float64
    one = hybrid.forecast(START[1], 20)
    assert one.shape == (21, 2)
    np.testing.assert_allclose(one, whole[1], atol=1e-14)
    low = hybrid.forecast(START.astype(np.float32), 20)
    assert low.dtype == np.float32
    np.testing.assert_array_equal(low[:, 0], START.astype(np.float32))
    np.testing.assert_allclose(low, whole, atol=1e-6)
    assert hybrid.forecast([[1, 0]], 3).dtype == np.float64
    swapped = pyhits.Trajectories(
        np.repeat(START[:, None, ::-1], 2, axis=1), 5.0, feature_names=["y", "x"]
    )
    np.testing.assert_array_equal(hybrid.forecast(swapped, 20), whole)


def test_times_between_steps() -> None:
    hybrid = pyhits.Hybrid(exact_model([8]), "rk4", system=TURN, dt=DT / 2)
    at = np.array([1.234, 0.0, 0.05, 2.0])
    found = hybrid.forecast(START, t=at)
    np.testing.assert_array_equal(found[:, 1], START)
    np.testing.assert_allclose(found, turned(START, at), atol=1e-6)
    np.testing.assert_allclose(found[:, 2], hybrid.forecast(START, 40)[:, 1], atol=1e-12)
    linear = hybrid.forecast(START, t=at, interpolation="linear")
    assert 1e-5 < np.abs(linear - turned(START, at)).max() < 1e-2
    single = hybrid.forecast(START[0].astype(np.float32), t=at)
    assert (single.shape, single.dtype) == ((4, 2), np.float32)


def test_evaluate_on_the_data_s_grid_or_the_hybrid_s() -> None:
    test = circles(6, 90, seed=3)
    for dt, n_steps, rows in ((DT, None, 90), (4 * DT, None, 22), (DT / 2, None, 90)):
        hybrid = pyhits.Hybrid(exact_model([8]), "rk4", system=TURN, dt=dt)
        result = hybrid.evaluate(test, n_steps=n_steps)
        assert (result.n_steps, result.n_diverged, result.step_sizes) == (rows, 0, (8,))
        assert result.mse < 1e-5
        assert result.dt == max(dt, DT)
    assert hybrid.evaluate(test, n_steps=41).n_steps == 20
    with pytest.raises(ArgumentError, match="n_steps to be at least 2"):
        hybrid.evaluate(test, n_steps=1)


def test_evaluate_ragged_and_unfit_data() -> None:
    whole = circles(4, 60, seed=3)
    ragged = [whole[0], whole[1][:30], whole[2][:9], whole[3]]
    hybrid = pyhits.Hybrid(exact_model([8]), "rk4", system=TURN)
    result = hybrid.evaluate(ragged)
    assert (result.n_trajectories, result.n_steps) == (4, 60)
    assert result.mse < 1e-9
    coarse = pyhits.Hybrid(exact_model([8]), "rk4", system=TURN, dt=8 * DT, step_sizes=[8])
    assert coarse.evaluate(ragged).n_steps == 7
    with pytest.raises(DataError, match=r"Trajectory 2 ends before the hybrid's first step"):
        coarse.evaluate([*ragged[:2], whole[2][:8]])
    with pytest.raises(DataError, match=r"step by 0\.03, the hybrid by 0\.1"):
        hybrid.evaluate(circles(3, 9, dt=0.03))
    with pytest.raises(DataError, match="3 features"):
        hybrid.evaluate(np.random.default_rng(0).random((2, 9, 3)))


def test_a_simulator_is_called_once_an_interval() -> None:
    calls = []

    def simulate(state: np.ndarray, dt: float, n_steps: int) -> np.ndarray:
        calls.append(n_steps)
        return turned(state[None], dt * np.arange(1, n_steps + 1))[0]

    hybrid = pyhits.Hybrid(exact_model([16]), simulate)
    found = hybrid.forecast(START, 40)
    np.testing.assert_allclose(found, turned(START, DT * np.arange(41)), atol=1e-12)
    assert sorted(calls) == [8] * 3 + [15] * 6


def test_adaptive_solvers_in_a_hybrid() -> None:
    hybrid = pyhits.Hybrid(exact_model([16]), LSODA(TURN))
    np.testing.assert_allclose(
        hybrid.forecast(START, 40), turned(START, DT * np.arange(41)), atol=1e-7
    )


# Divergence


class Doubling(Integrator):
    """Multiplies by ten each step."""

    def integrate(
        self, states: np.ndarray, dt: float, n_steps: int, t: Any = 0.0
    ) -> Iterator[np.ndarray]:
        for k in range(1, n_steps + 1):
            yield states[:, None] * 10.0**k


def test_divergence_of_the_integrator_is_named() -> None:
    model = exact_model([8])
    hybrid = pyhits.Hybrid(model, Doubling())
    start = np.array([[0.0, 0.0], [1e-5, 0.0], [1.0, 0.0], [0.0, 2.0]])
    with pytest.raises(DivergenceError, match=r"trajectory 2 diverged at step 4 \(1 more") as bad:
        hybrid.forecast(start, 30)
    assert (bad.value.trajectory, bad.value.step) == (2, 4)
    assert "Take smaller steps" in str(bad.value)
    rest = hybrid.forecast(start, 30, on_divergence="return")
    assert np.isfinite(rest[:2]).all()
    assert np.isfinite(rest[2, :4]).all()
    assert np.isnan(rest[2, 4:]).all()
    far = hybrid.forecast(start[2] * 1e9, 5, on_divergence="return")
    assert np.isnan(far).all()


def test_divergence_of_a_learned_step_is_found_before_integrating() -> None:
    calls = []

    def simulate(state: np.ndarray, dt: float, n_steps: int) -> np.ndarray:
        calls.append(state)
        return np.tile(state, (n_steps, 1))

    model = fitted_with({4: linear_map(10 * np.eye(2))})
    hybrid = pyhits.Hybrid(model, simulate)
    start = np.array([[0.0, 0.0], [1.0, 1.0]])
    with pytest.raises(DivergenceError, match="trajectory 1 diverged at step 16") as bad:
        hybrid.forecast(start, 40)
    assert (bad.value.step, calls) == (16, [])
    rest = hybrid.forecast(start, 40, on_divergence="return")
    assert np.isfinite(calls).all()
    assert np.isfinite(rest[0]).all()
    assert np.isnan(rest[1, 16:]).all()
    np.testing.assert_array_equal(rest[1, 12:16], 1000.0 * np.ones((4, 2)))


def test_diverged_trajectories_count_in_an_evaluation() -> None:
    result = pyhits.Hybrid(exact_model([8]), Doubling()).evaluate(circles(5, 30))
    assert result.n_diverged == 5
    assert result.mse == np.inf


# What is refused


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step_sizes": [3]}, "Step size 3 was not trained; there are 1, 8, 16"),
        ({"step_sizes": []}, "at least one step size"),
        ({"dt": 0.3}, r"dt = 0\.3 must divide the finest learned step, 1\.6, such as 0\.32"),
        ({"dt": 5.0}, r"must divide the finest learned step, 1\.6"),
        ({"dt": -1.0}, "dt to be a positive number"),
        ({"system": None}, "needs a right-hand side"),
        (
            {"system": pyhits.systems.get("lorenz")},
            "lorenz has 3 components, the model 2 features: x, y",
        ),
        ({"system": "lorenz"}, r"pyhits.systems.get\('lorenz'\) returns one"),
        ({"system": lambda t, x: [x[1], -x[0]]}, r"must return derivatives of shape \(3, 2\)"),
        ({"integrator": "rk5"}, "did you mean 'rk4'"),
        ({"integrator": RungeKutta(TURN)}, "this one has its own"),
        ({"model": "vdp.safetensors"}, "Expected a fitted HiTS or TimeStepper, got a str"),
    ],
)
def test_what_does_not_fit_is_named(settings: dict[str, Any], message: str) -> None:
    values = {
        "model": exact_model([1, 8, 16]),
        "integrator": "rk4",
        "system": TURN,
        **settings,
    }
    with pytest.raises(ArgumentError, match=message):
        pyhits.Hybrid(**values)


def test_a_model_must_be_fitted() -> None:
    with pytest.raises(NotFittedError):
        pyhits.Hybrid(pyhits.HiTS(), "rk4", system=TURN)


def test_features_in_another_order_are_refused() -> None:
    swapped = exact_model([8], feature_names=("y", "x"))
    with pytest.raises(ArgumentError, match="'x' is at another place"):
        pyhits.Hybrid(swapped, "rk4", system=TURN)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either n_steps or the times"),
        ({"n_steps": 3, "t": [1.0]}, "either n_steps or the times"),
        ({"n_steps": 0}, "at least 1"),
        ({"t": [-1.0]}, "0 or later"),
        ({"n_steps": 3, "on_divergence": "rais"}, "did you mean 'raise'"),
        ({"n_steps": 3, "interpolation": "cubi"}, "did you mean 'cubic'"),
        ({"n_steps": 3, "max_iterations": 2}, "goes with a tolerance"),
        ({"n_steps": 3, "tolerance": 0}, "tolerance to be a positive number"),
        ({"n_steps": 3, "tolerance": 1e-8, "max_iterations": -1}, "at least 0"),
    ],
)
def test_bad_arguments_of_a_forecast(arguments: dict[str, Any], message: str) -> None:
    hybrid = pyhits.Hybrid(exact_model([8]), "rk4", system=TURN)
    with pytest.raises(ArgumentError, match=message):
        hybrid.forecast(START, **arguments)
    with pytest.raises(DataError, match=r"shape \(n, 2\)"):
        hybrid.forecast(np.ones((3, 3)), 5)
    with pytest.raises(DataError, match="Initial state 0 is nan"):
        hybrid.forecast([[np.nan, 1.0]], 5)


# Commands

RUNNER = CliRunner()


def run(*arguments: object) -> Result:
    return RUNNER.invoke(app, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with trajectories of the harmonic oscillator and a model of them."""
    folder = tmp_path_factory.mktemp("hybrid")
    pyhits.write(circles(6, 60, seed=1), folder / "test.npz")
    model = quick(step_sizes=[1, 4, 8]).fit(circles(30, 80))
    model.save(folder / "m.safetensors")
    return folder


def test_commands(files: Path, tmp_path: Path) -> None:
    model, test = files / "m.safetensors", files / "test.npz"
    options = ["--hybrid", "rk4", "--system", TURN.name, "--step-sizes", 8]
    out = tmp_path / "forecast.npz"
    done = run("forecast", model, "--from", test, "--steps", 25, "-o", out, *options)
    assert done.exit_code == 0, done.output
    predicted = pyhits.read(out)
    assert (predicted.dt, predicted.feature_names) == (DT, ("x", "y"))
    loaded = dataclasses.replace(pyhits.load(model), verbose=False)
    hybrid = pyhits.Hybrid(loaded, "rk4", system=TURN, step_sizes=[8])
    wanted = hybrid.forecast(pyhits.read(test), 25)
    np.testing.assert_array_equal(predicted.to_array(), wanted)

    more = ["--hybrid-dt", 0.05, "--parareal", 1e-9, "--max-iterations", 9]
    done = run("forecast", model, "--from", test, "--steps", 50, "-o", out, *options, *more)
    assert done.exit_code == 0, done.output
    corrected = pyhits.read(out)
    assert corrected.dt == 0.05
    alone = RungeKutta(TURN)(pyhits.read(test).initial_states, 0.05, 50)
    np.testing.assert_allclose(corrected.to_array()[:, 1:], alone, atol=1e-7)

    shown = run("evaluate", model, test, *options, *more, "--json", "--quiet")
    assert shown.exit_code == 0, shown.output
    values = json.loads(shown.stdout)
    assert values["mse"] < 1e-10
    assert values["step_sizes"] == [8]


def test_parameters_of_the_system(files: Path, tmp_path: Path) -> None:
    """Van der Pol with mu = 0 is the harmonic oscillator."""
    arguments = ["evaluate", files / "m.safetensors", files / "test.npz", "--hybrid", "rk4"]
    arguments += ["--step-sizes", 8, "--json", "--system"]
    plain = json.loads(run(*arguments, TURN.name).stdout)["mse"]
    assert json.loads(run(*arguments, "van-der-pol", "--parameter", "mu=0").stdout)["mse"] == plain
    assert json.loads(run(*arguments, "van-der-pol").stdout)["mse"] > 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--hybrid", "rk4"], "needs --system, a name from `pyhits systems`"),
        (["--hybrid", "rk5", "--system", TURN.name], "did you mean 'rk4'"),
        (["--hybrid", "rk4", "--system", "lorentz"], "did you mean 'lorenz'"),
        (["--hybrid", "rk4", "--system", "lorenz"], "lorenz has 3 components, the model 2 feat"),
        (
            ["--hybrid", "rk4", "--system", "van-der-pol", "--parameter", "nu=1"],
            "Unknown parameter 'nu'",
        ),
        (
            ["--hybrid", "rk4", "--system", "van-der-pol", "--parameter", "mu"],
            "name=value, got 'mu'",
        ),
        (
            ["--hybrid", "rk4", "--system", TURN.name, "--hybrid-dt", "0.3"],
            "must divide the finest",
        ),
        (
            ["--hybrid", "rk4", "--system", TURN.name, "--compile"],
            "--compile does not go with --hybrid",
        ),
        (
            ["--hybrid", "rk4", "--system", TURN.name, "--max-iterations", "3"],
            "goes with a tolerance",
        ),
        (["--system", TURN.name], "--system goes with --hybrid"),
        (["--parareal", "1e-8"], "--parareal goes with --hybrid"),
    ],
)
def test_misuse_of_the_commands(
    options: list[str], message: str, files: Path, tmp_path: Path
) -> None:
    out = tmp_path / "x.npz"
    command = ["forecast", files / "m.safetensors", "--from", files / "test.npz"]
    if "--step-sizes" not in options and "--hybrid" in options:
        options = [*options, "--step-sizes", "8"]
    done = run(*command, "--steps", 9, "-o", out, *options)
    assert done.exit_code == 2, done.output
    assert message in " ".join(done.stderr.split())
    assert not out.exists()
