"""Inputs and parameters: what acts on a system and is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import quick, rotation

import pyhits
from pyhits import HiTS, Trajectories
from pyhits.coordinates.attached_inputs import attach
from pyhits.coordinates.input_steps import over_packed_steps, over_steps
from pyhits.coordinates.inputs import Inputs, acting
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, DataError, PyHiTSWarning
from pyhits.flowmaps import FlowMap
from pyhits.flowmaps.base import create
from pyhits.hierarchy import Stepper, sequential
from pyhits.policies import arguments
from pyhits.training.objective import Objective
from pyhits.training.windows import WindowSampler

#: Step and the exact flow of a damped, driven oscillator over it: x' = A x + b u, u held.
DT = 0.1
STEP = rotation(DT) * np.exp(-0.02)
DRIVE = np.array([0.3, 1.0]) * DT


def driven(u: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Exact states under inputs ``(n_steps,)``; row i of the input acts from state i."""
    states = [start]
    for value in u:
        states.append(STEP @ states[-1] + DRIVE * value)
    return np.array(states)


def signal(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = DT * np.arange(n)
    waves = rng.uniform(0.3, 2.0, 4), rng.uniform(0, 6, 4)
    return sum(np.sin(w * t + p) for w, p in zip(*waves, strict=True)) / 2


def fit(data: Any, **settings: Any) -> HiTS:
    fitting = {k: settings.pop(k) for k in ("inputs", "validation", "dt") if k in settings}
    defaults = {"verbose": False, "random_state": 0, "n_jobs": 1}
    return HiTS(**arguments(**defaults | settings)).fit(data, **fitting)


# What steps are told


def test_means_and_trends_by_hand() -> None:
    u = np.random.default_rng(0).standard_normal((2, 40, 3))
    told = over_steps(u, 4)
    middle = np.array([-0.75, -0.25, 0.25, 0.75])
    for row in (0, 7, 36):
        part = u[:, row : row + 4]
        assert np.allclose(told[:, row, :3], part.mean(axis=1))
        trend = np.einsum("j,njk->nk", 0.75 * middle, part)
        assert np.allclose(told[:, row, 3:], trend)
    assert np.array_equal(over_steps(u, 1), np.concatenate([u, 0 * u], axis=-1))
    assert np.array_equal(over_steps(u, 4, [2]), told[..., [0, 1, 2, 5]])


@pytest.mark.parametrize("size", [2, 3, 64])
def test_a_constant_has_no_trend_and_the_end_is_held(size: int) -> None:
    told = over_steps(np.full((30, 2), 7.3), size)
    assert np.allclose(told[:, :2], 7.3, rtol=1e-14)
    assert (told[:, 2:] == 0).all()


def test_trajectories_are_never_joined() -> None:
    pieces = [np.full((10, 1), 1.0), np.full((6, 1), -5.0), np.full((9, 1), 2.0)]
    told = over_packed_steps(np.concatenate(pieces), np.array([0, 10, 16, 25]), 4)
    assert np.allclose(told[:, 0], np.concatenate(pieces)[:, 0])
    even = np.random.default_rng(0).standard_normal((12, 1))
    together = over_packed_steps(even, np.array([0, 4, 8, 12]), 2)
    alone = [over_steps(even[k : k + 4], 2) for k in (0, 4, 8)]
    assert np.allclose(together, np.concatenate(alone))


# Stepping


class Driven(FlowMap):
    """``x + mean`` over a step of ``size`` rows of one input; columns: x, mean, trend."""

    def __init__(self, size: int) -> None:
        super().__init__(3)
        self.size = size
        self.anchor = torch.nn.Parameter(torch.zeros(1))

    def increment(self, states: torch.Tensor) -> torch.Tensor:
        change = torch.zeros_like(states)
        change[:, 0] = self.size * states[:, 1]
        return change


@pytest.mark.parametrize("sizes", [[1], [1, 2, 8], [1, 4], [1, 3, 12]])
def test_the_hierarchy_integrates_any_input(sizes: list[int]) -> None:
    rng = np.random.default_rng(0)
    u = rng.standard_normal((5, 29, 1))
    told = {s: torch.from_numpy(over_steps(u, s)) for s in sizes}
    maps = {s: Driven(s) for s in sizes}
    exact = np.concatenate([np.zeros((5, 1)), np.cumsum(u[..., 0], axis=1)], axis=1)

    def inputs(size: int) -> torch.Tensor:
        return torch.cat([told[size], told[size][:, -1:]], dim=1)

    stepper = Stepper(maps)
    in_turn = torch.zeros(5, 30, 3, dtype=torch.float64)
    sequential(in_turn, stepper, inputs)
    at_once = stepper.rollout(torch.zeros(5, 1, dtype=torch.float64), 29, inputs)
    for states in (in_turn, at_once):
        assert np.allclose(states[..., 0].numpy(), exact, atol=1e-12)


# Models


@pytest.fixture(scope="module")
def recording() -> tuple[np.ndarray, np.ndarray]:
    u = signal(500)
    return driven(u, np.array([1.0, 0.0])), u


@pytest.fixture(scope="module")
def model(recording: tuple[np.ndarray, np.ndarray]) -> HiTS:
    states, u = recording
    return fit(states, inputs=u, dt=DT, step_sizes=[1, 4, 16])


def test_a_driven_system_is_learned_exactly(model: HiTS) -> None:
    u = signal(300, seed=5)
    truth = driven(u, np.array([0.5, -0.5]))
    assert np.abs(model.forecast(truth[0], 300, inputs=u) - truth).max() < 1e-6
    assert model.inputs_ is not None
    assert model.inputs_.names == ("u0",)
    assert model.feature_names_ == ("x0", "x1")


def test_simple_forecasts_see_the_inputs_too(model: HiTS, tmp_path: Path) -> None:
    """The oscillator is linear: with its input the linear map is as good as exact."""
    u = signal(200, seed=6)
    test = np.column_stack([driven(u, np.array([0.5, -0.5])), [*u, u[-1]]])
    data = Trajectories(test, DT, feature_names=["x0", "x1", "u0"])
    found = model.evaluate(data).baselines
    of_states = ["persistence", "mean", "driven linear", "driven polynomial", "seasonal"]
    assert list(found)[:5] == of_states
    assert found["driven linear"].nrmse < 1e-6 < 0.1 < found["mean"].nrmse
    again = pyhits.load(model.save(tmp_path / "m.safetensors"))
    assert again.evaluate(data).baselines == found
    short = model.evaluate(data, n_steps=20).baselines
    assert short["driven linear"].nrmse < 1e-6


@pytest.mark.parametrize("sizes", [[1, 4], [1, 16], [1, 4, 16]])
def test_coarse_steps_see_mean_and_trend(model: HiTS, sizes: list[int]) -> None:
    u = 0.4 * np.sin(0.25 * DT * np.arange(200))
    truth = driven(u, np.array([0.5, -0.5]))
    states = model.forecast(truth[0], 200, inputs=u, step_sizes=sizes)
    assert np.abs(states - truth).max() < 0.02
    plain = model.forecast(truth[0], 200, inputs=u, step_sizes=sizes, method="sequential")
    assert np.allclose(states, plain, atol=1e-10)


def test_inputs_may_be_given_in_many_ways(model: HiTS) -> None:
    u = signal(60, seed=2)
    start = np.array([[0.1, 0.2], [0.3, -0.4], [0.0, 1.0]])
    expected = np.stack([driven(u, s) for s in start])
    forms = [
        u,
        u[:, None],
        np.tile(u, (3, 1))[..., None],
        {"u0": u},
        {"u0": np.tile(u, (3, 1))},
        pd.DataFrame({"u0": u, "other": 0 * u}),
        Trajectories(u[:, None], DT, feature_names=["u0"]),
        np.concatenate([u, [9.0, 9.0]]),
    ]
    for form in forms:
        assert np.allclose(model.forecast(start, 60, inputs=form), expected, atol=1e-6)
    each = np.array([0.2, -0.1, 0.4])
    held = np.stack([driven(np.full(40, v), s) for v, s in zip(each, start, strict=True)])
    assert np.allclose(model.forecast(start, 40, inputs=each[:, None, None]), held, atol=1e-6)
    assert np.allclose(model.forecast(start, 40, inputs=0.2)[0], held[0], atol=1e-6)


DAYS = pd.date_range("2024-01-01", periods=30)


@pytest.mark.parametrize("newest_first", [False, True])
def test_tables_of_inputs_keep_their_names_and_their_times(newest_first: bool) -> None:
    data = Trajectories(pd.DataFrame({"x": np.sin(np.arange(30.0))}, index=DAYS))
    inputs = pd.DataFrame({"power": np.arange(30.0) ** 2, "wind": 1.0}, index=DAYS)
    joined, names = attach(data, inputs[::-1] if newest_first else inputs)
    assert names == ("power", "wind")
    np.testing.assert_array_equal(joined[0][:, 1:], inputs)
    assert attach(data, inputs["power"][:-1])[1] == ("power",)
    with pytest.raises(DataError, match=r"begin at 2024-01-04.*, the data at 2024-01-01"):
        attach(data, {"power": inputs["power"].shift(3, freq="D")})


def test_a_table_of_parameters_has_a_row_for_each_run() -> None:
    data = Trajectories(np.zeros((3, 9, 1)), 0.1)
    joined, names = attach(data, pd.DataFrame({"run": ["a", "b", "c"], "mass": [1.0, 2.0, 4.0]}))
    assert names == ("mass",)
    assert [set(rows[:, 1]) for rows in joined] == [{1.0}, {2.0}, {4.0}]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (None, "takes inputs"),
        (np.zeros(30), "60 steps"),
        (np.zeros((2, 60, 1)), "1 or 3 trajectories"),
        (np.zeros((60, 2)), "3 trajectories, got 60"),
        (np.zeros((3, 60, 2)), "inputs of shape"),
        ({"v": np.zeros(60)}, "lack 'u0'"),
        (np.full(60, np.nan), "nan in row 0"),
    ],
)
def test_what_inputs_cannot_be(model: HiTS, inputs: Any, message: str) -> None:
    with pytest.raises((ArgumentError, DataError), match=message):
        model.forecast(np.zeros((3, 2)), 60, inputs=inputs)


def test_what_may_mean_two_things_is_asked_for() -> None:
    with pytest.raises(ArgumentError, match="may be"):
        acting(np.zeros((50, 2)), ("a", "b"), 50, 40)
    assert acting(np.zeros((50, 2)), ("a", "b"), 50, 60).shape == (50, 60, 2)
    assert acting(np.zeros((50, 2)), ("a", "b"), 7, 40).shape == (1, 40, 2)


def test_inputs_outside_the_data_are_told(model: HiTS) -> None:
    with pytest.warns(PyHiTSWarning, match="'u0' leaves the range"):
        model.forecast(np.zeros(2), 5, inputs=50.0)


def test_forecasts_go_on_with_future_inputs(
    model: HiTS, recording: tuple[np.ndarray, np.ndarray]
) -> None:
    states, _ = recording
    u = signal(80, seed=9)
    truth = driven(u, states[-1])
    assert np.abs(model.forecast_from(states, 80, inputs=u) - truth).max() < 1e-6
    part = model.forecast_from(states, t=[0.0, 3.7], inputs=u)
    assert np.abs(part - truth[[0, 37]]).max() < 1e-6
    one = model.predict(states[-1:], inputs=u)
    assert np.abs(one - truth[1]).max() < 1e-6


def test_evaluation_takes_the_recorded_inputs(model: HiTS) -> None:
    u = [signal(n, seed=n) for n in (90, 60)]
    pieces = [np.column_stack([driven(v, np.array([0.2, 0.1])), np.append(v, v[-1])]) for v in u]
    test = Trajectories(pieces, DT, feature_names=["x0", "x1", "u0"])
    result = model.evaluate(test)
    assert result.nrmse < 1e-5
    assert result.n_diverged == 0
    assert model.calibration_ is not None
    found = model.forecast(np.array([0.2, 0.1]), 30, inputs=u[0], interval=0.5)
    assert (found.low <= found.high).all()


def test_models_with_inputs_are_saved(model: HiTS, tmp_path: Path) -> None:
    loaded = pyhits.load(model.save(tmp_path / "driven.safetensors"))
    u = signal(50, seed=1)
    states = np.array([0.3, 0.3])
    assert np.array_equal(
        loaded.forecast(states, 50, inputs=u), model.forecast(states, 50, inputs=u)
    )
    with pytest.raises(ArgumentError, match="inputs"):
        loaded.forecast(states, 50)


def test_forecasts_on_disk_know_their_inputs(model: HiTS, tmp_path: Path) -> None:
    from pyhits.errors import CheckpointError

    start, u = np.zeros((4, 2)), signal(40, seed=1)
    path = tmp_path / "out.npy"
    written = model.forecast(start, 40, inputs=u, out=path)
    assert np.array_equal(written, model.forecast(start, 40, inputs=u))
    with pytest.raises(CheckpointError, match="inputs"):
        model.forecast(start, 40, inputs=0.5 * u, out=path)


@pytest.mark.parametrize(
    "use",
    [
        lambda m: m.forecast(np.zeros(2), 5, tol=1e-3, inputs=0.0),
        lambda m: m.adaptive_forecast(np.zeros(2), 5, tol=1e-3),
        lambda m: m.disagreement(np.zeros(2), 32),
        lambda m: m.forecast_from(np.zeros((9, 2)), 5, inputs=0.0, denoise_start=True),
        lambda m: pyhits.export_model(m, "driven.onnx"),
        lambda m: pyhits.Hybrid(m, "rk4", system=lambda t, x: x),
    ],
)
def test_what_is_not_for_models_with_inputs(model: HiTS, use: Any) -> None:
    with pytest.raises(ArgumentError, match="inputs"):
        use(model)


def test_inputs_are_refused_where_there_are_none() -> None:
    plain = fit(driven(np.zeros(60), np.array([1.0, 0.0])), step_sizes=[1])
    with pytest.raises(ArgumentError, match="without inputs"):
        plain.forecast(np.zeros(2), 5, inputs=np.zeros(5))


def test_columns_of_the_data_are_inputs(recording: tuple[np.ndarray, np.ndarray]) -> None:
    states, u = recording
    table = pd.DataFrame(
        {"u": np.append(u, u[-1]), "x": states[:, 0], "y": states[:, 1]},
        index=pd.Index(DT * np.arange(len(states)), name="time"),
    )
    model = fit(table, inputs="u", step_sizes=[1, 4])
    assert model.feature_names_ == ("x", "y")
    fresh = signal(50, seed=3)
    truth = driven(fresh, np.array([0.1, 0.1]))
    assert np.abs(model.forecast(truth[0], 50, inputs=fresh) - truth).max() < 1e-6
    data = Trajectories(np.column_stack([truth, np.append(fresh, 0)]), DT,
                        feature_names=["x", "y", "u"])  # fmt: skip
    assert np.abs(model.forecast(data, 50) - truth).max() < 1e-6


def test_constant_parameters_of_each_trajectory() -> None:
    rates = np.linspace(0.5, 1.5, 9)
    t = DT * np.arange(61)

    def flow(rate: float) -> np.ndarray:
        return np.stack([np.cos(rate * t), np.sin(rate * t)], axis=1)

    model = fit(np.stack([flow(r) for r in rates]), inputs=rates[:, None], dt=DT,
                step_sizes=[1, 4])  # fmt: skip
    between = 0.93
    states = model.forecast(flow(between)[0], 60, inputs=between)
    assert np.abs(states - flow(between)).max() < 1e-3


@pytest.mark.parametrize(("rows", "windows"), [(100, 99), (12, 11)])
def test_all_rows_are_solved_for_with_their_inputs(rows: int, windows: int) -> None:
    u = signal(rows - 1)
    states = driven(u, np.array([1.0, 0.0]))
    model = fit(states, inputs=u, dt=DT, step_sizes=[1], flow_map="kernel")
    assert model.flow_maps_[1].n_centres == windows


@pytest.mark.slow
def test_nets_take_inputs(recording: tuple[np.ndarray, np.ndarray]) -> None:
    states, u = recording
    model = fit(states, inputs=u, dt=DT, step_sizes=[1, 4], hidden_sizes=(32,), max_steps=1000,
                polynomial_degree=0, dtype="float64")  # fmt: skip
    fresh = 0.5 * signal(40, seed=4)
    truth = driven(fresh, np.array([0.3, 0.2]))
    assert np.abs(model.forecast(truth[0], 40, inputs=fresh) - truth).max() < 0.05


@pytest.mark.usefixtures("few_forms")
def test_delays_and_inputs_go_together(recording: tuple[np.ndarray, np.ndarray]) -> None:
    states, u = recording
    observed = states[:, :1]
    encoder = pyhits.encoders.DelayEmbedding(3)
    model = fit(observed, inputs=u, dt=DT, step_sizes=[1], encoder=encoder, flow_map="closed")
    fresh = u[-100:]
    held = model.evaluate(
        Trajectories(np.column_stack([observed[-101:], np.append(fresh, 0)]), DT,
                     feature_names=["x0", "u0"])
    )  # fmt: skip
    assert held.n_steps == 98
    assert held.nrmse < held.persistence_nrmse


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.zeros(40), "inputs"),
        ("z", "no feature 'z'"),
        (["x0", "x1"], "leave some for the states"),
        (["x0", "x0"], "different"),
        ({"x0": np.zeros(100)}, "rename"),
        ({}, "no input"),
        (np.full(100, np.nan), "NaN .* column 'u0'"),
        ([np.zeros((100, 1)), np.zeros((100, 1))], "inputs 2"),
    ],
)
def test_what_inputs_of_data_cannot_be(inputs: Any, message: str) -> None:
    data = Trajectories(np.random.default_rng(0).standard_normal((100, 2)), 1.0)
    with pytest.raises((ArgumentError, DataError), match=message):
        attach(data, inputs)


def test_settings_that_have_no_meaning_with_inputs() -> None:
    states, u = driven(signal(60), np.zeros(2)), signal(60)
    for settings in ({"training": "reproduce"}, {"training": "paper"}):
        with pytest.raises(ArgumentError, match="nputs"):
            fit(states, inputs=u, **settings)


def test_validation_holds_its_inputs(recording: tuple[np.ndarray, np.ndarray]) -> None:
    states, u = recording
    other = signal(100, seed=7)
    held = np.column_stack([driven(other, np.zeros(2)), np.append(other, 0)])
    validation = Trajectories(held, DT, feature_names=["x0", "x1", "u0"])
    model = fit(states, inputs=u, dt=DT, step_sizes=[1, 4], validation=validation)
    assert model.selection_.error < 1e-6
    assert model.couple("all").selection_.step_sizes == (1, 4)
    with pytest.raises(DataError, match="2 features"):
        fit(states, inputs=u, dt=DT, step_sizes=[1], validation=held[:, :2])


def test_inputs_on_the_command_line(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from pyhits.cli.app import app

    def run(*words: object) -> str:
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == 0, result.output
        return result.output

    u = signal(300)
    states = driven(u, np.array([1.0, 0.0]))
    table = pd.DataFrame({"time": DT * np.arange(301), "x": states[:, 0], "u": np.append(u, 0),
                          "y": states[:, 1]})  # fmt: skip
    table.to_csv(tmp_path / "train.csv", index=False)
    model = tmp_path / "m.safetensors"
    run("fit", tmp_path / "train.csv", "--input", "u", "--step-sizes", "1,4", "-o", model, "-q")
    assert "inputs        u" in run("info", model)
    assert "nrmse" in run("evaluate", model, tmp_path / "train.csv", "-q")
    out = tmp_path / "out.csv"
    run("forecast", model, "--from", tmp_path / "train.csv", "--steps", 100, "-o", out, "-q")
    found = pd.read_csv(out)
    assert np.abs(found[["x", "y"]].to_numpy() - states[:101]).max() < 1e-5
    future = signal(60, seed=3)
    pd.DataFrame({"u": future}).to_csv(tmp_path / "future.csv", index=False)
    words = "--after", tmp_path / "train.csv", "--steps", 60, "-o", out, "-q"
    run("forecast", model, *words, "--inputs", tmp_path / "future.csv")
    truth = driven(future, states[-1])
    assert np.abs(pd.read_csv(out)[["x", "y"]].to_numpy() - truth).max() < 1e-5
    result = CliRunner().invoke(app, ["forecast", str(model), *map(str, words)])
    assert result.exit_code == 2
    assert "--inputs" in result.output + getattr(result, "stderr", "")


def test_a_range_is_measured() -> None:
    inputs = Inputs.of(["a", "b"], np.array([[0.0, 5.0], [2.0, 5.0]]), np.array([0, 2]))
    assert inputs.scale[1] == 1.0
    assert inputs.outside(np.array([[1.0, 5.0]])) == []
    assert inputs.outside(np.array([[1.0, 5.1], [-0.1, 5.0]])) == ["a", "b"]


def test_losses_of_several_steps_see_the_inputs_of_each() -> None:
    """An exact map meets all steps of a window, whatever its inputs do."""
    u = np.random.default_rng(0).standard_normal(300)
    rows = np.column_stack([driven(u, np.array([1.0, 0.0]))[:-1], u])
    scaling = Standardise(False).fit(rows)
    windows = WindowSampler(rows, np.array([0, 300]), scaling, 1, rollout_steps=3, n_inputs=1)
    net = create("residual", {"dimension": 3, "hidden_sizes": (4,), "base_degree": 1}).double()
    change = np.zeros((3, 4))
    change[:2, 1:3], change[:2, 3] = STEP - np.eye(2), DRIVE
    net.base.coefficients.copy_(torch.from_numpy(change))
    net.scale.zero_()
    sigma = np.array([1.0, 1.0, 0.0])
    loss = Objective(net, sigma, "cpu", 3, n_inputs=1)
    blind = Objective(net, sigma, "cpu", 3)
    drawn = windows.gather(windows.all_rows())
    assert float(loss(*loss.tensors(drawn))) < 1e-25
    assert float(blind(*blind.tensors(drawn))) > 1e-3


def test_fits_with_inputs_take_losses_of_several_steps() -> None:
    u = signal(120)
    states = driven(u, np.array([1.0, 0.0]))
    model = fit(states, inputs=u, dt=DT, step_sizes=[1], rollout_steps=3, max_steps=20)
    fresh = signal(40, seed=3)
    truth = driven(fresh, np.array([0.3, 0.2]))
    assert np.abs(model.forecast(truth[0], 40, inputs=fresh) - truth).max() < 1e-3


def test_dated_inputs_of_a_forecast_are_taken_from_its_start_on(tmp_path: Path) -> None:
    hours = pd.date_range("2024-03-01", periods=220, freq="h", name="when")
    u = signal(220, seed=3)
    x = np.zeros(220)
    for k in range(219):
        x[k + 1] = 0.9 * x[k] + 0.1 * u[k]
    both = pd.DataFrame({"x": x, "u": u}, index=hours)
    recording, plan = both[:200], both[["u"]]
    model = quick(step_sizes=[1], encoder=[]).fit(recording, inputs="u")
    for given in (plan, plan[199:], plan[200:], plan[200:].reset_index(), u[199:]):
        later = model.forecast_from(recording, 10, inputs=given)
        np.testing.assert_allclose(later["x"], x[199:210], atol=1e-6)
    ends = [recording, recording[:150]]
    for one, end in zip(model.forecast_from(ends, 10, inputs=plan), (199, 149), strict=True):
        np.testing.assert_allclose(one["x"], x[end : end + 11], atol=1e-6)
    for wrong in (plan[:200], plan[202:], plan[199:].shift(30, freq="D")):
        with pytest.raises(DataError, match=r"but the forecast starts at 2024-03-09T07:00:00"):
            model.forecast_from(recording, 10, inputs=wrong)
    with pytest.raises(DataError, match="inputs step by 1 day, the model by 1 hour"):
        model.forecast_from(recording, 10, inputs=plan[199:].set_index(DAYS[:21]))
