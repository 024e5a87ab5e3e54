"""Nets in closed form, and sequences that are to be met from their first rows."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import circles
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from typer.testing import CliRunner, Result

import pyhits
from pyhits import plots
from pyhits.cli.app import app
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, CheckpointError, PyHiTSWarning
from pyhits.flowmaps import ResidualNet
from pyhits.hierarchy.stages import stages
from pyhits.policies import arguments
from pyhits.training import (
    RECIPES,
    Recipe,
    WindowSampler,
    last_layer,
    loop,
    varpro,
)
from pyhits.training.jobs import JobSettings, TrainingData, make_jobs
from pyhits.training.last_layer import chains
from pyhits.training.loop import train_scale
from pyhits.training.stacked import train_stacked


def widths_of(model: pyhits.TimeStepper) -> dict[int, tuple[int, ...]]:
    nets = {size: net for size, net in model.flow_maps.items() if isinstance(net, ResidualNet)}
    return {size: net.hidden_sizes for size, net in nets.items()}


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let searches for better hidden layers be few and short."""
    monkeypatch.setattr(last_layer, "_DRAWS", 1)
    monkeypatch.setattr(last_layer, "_GAINS_TO_FIT", (1.5,))
    monkeypatch.setattr(varpro, "_GENTLE_STEPS", 25)


def song(n_rows: int, d: int = 6, seed: int = 0) -> Trajectories:
    """One recording of many frequencies, which no small model explains."""
    rng = np.random.default_rng(seed)
    t = 0.1 * np.arange(n_rows)[:, None, None]
    waves = np.sin(rng.uniform(0.5, 5, (5, d)) * t + rng.uniform(0, 6, (5, d)))
    return Trajectories(waves.sum(axis=1), 0.1)


def memory(step_sizes: Any = (1, 4, 16), **changes: Any) -> pyhits.HiTS:
    values = {"training": "reproduce", "dtype": "float64", "n_jobs": 1, "random_state": 0}
    return pyhits.HiTS(
        **arguments(step_sizes=list(step_sizes), **{**values, "verbose": False, **changes})
    )


def normalised(model: pyhits.HiTS, data: Trajectories) -> float:
    """Mean squared error of all rows from the first ones, in variances."""
    spread = np.where(data.spread() > 0, data.spread(), 1.0)
    found = [model.forecast(values[0], len(values) - 1) for values in data]
    return max(float(np.square((f - v) / spread).mean()) for f, v in zip(found, data, strict=True))


# The rows


def sampler(data: Trajectories, size: int, coarser: int, outputs: int) -> WindowSampler:
    encoder = Standardise(False).fit(data.values)
    return WindowSampler(data.values, data.offsets, encoder, size, outputs=outputs, coarser=coarser)


@given(
    lengths=st.lists(st.integers(2, 60), min_size=1, max_size=5),
    factors=st.lists(st.integers(2, 4), max_size=2),
    dense=st.integers(1, 4),
)
@settings(max_examples=60, deadline=None)
def test_coupled_windows_are_what_algorithm_1_evaluates(
    lengths: list[int], factors: list[int], dense: int
) -> None:
    sizes = [int(k) for k in np.cumprod([dense, *factors])]
    maps = {
        size: ResidualNet(2, (1,), outputs=dense if k == 0 else 1) for k, size in enumerate(sizes)
    }
    data = Trajectories(
        [np.array([(k, t) for t in range(n)], dtype=float) for k, n in enumerate(lengths)]
    )
    visited: dict[int, set[tuple[int, int]]] = {size: set() for size in sizes}
    for k, n in enumerate(lengths):
        for stage in stages({size: net.outputs for size, net in maps.items()}, n - 1):
            begins = stage.begin + stage.every * np.arange(stage.columns)
            visited[stage.size] |= {(k, int(t)) for t in begins}
    for size, coarser in zip(sizes, [*sizes[1:], 0], strict=True):
        windows = sampler(data, size, coarser, maps[size].outputs)
        assert windows.n_windows == len(visited[size])
        if not visited[size]:
            continue
        states = windows.spread(10_000)
        assert [(int(k), int(t)) for k, t in states[0]] == sorted(visited[size])
        spacing = size // maps[size].outputs
        for j, inside in enumerate(states):
            truth = np.minimum(
                states[0, :, 1] + j * spacing, np.take(lengths, states[0, :, 0].astype(int)) - 1
            )
            np.testing.assert_array_equal(inside[:, 1], truth)
            np.testing.assert_array_equal(inside[:, 0], states[0, :, 0])
        rows, recorded = chains(windows, 500, 10**6)
        assert recorded[:2].all()
        assert set(data.values[rows[0], 1] % (coarser or 10**6)) == {0}
        ends = data.offsets[np.searchsorted(data.offsets, rows[0], side="right")]
        further = rows[0] + spacing * np.arange(len(rows))[:, None]
        np.testing.assert_array_equal(recorded, further < ends)
        np.testing.assert_array_equal(rows, np.minimum(further, ends - 1))


def test_what_coupled_windows_refuse() -> None:
    with pytest.raises(ArgumentError, match="single steps, got rollout_steps=3"):
        Recipe(windows="coupled", rollout_steps=3)
    with pytest.raises(ArgumentError, match="nothing to choose from"):
        Recipe(windows="coupled", sampling="density")


def test_chains_are_few_where_states_are_long() -> None:
    data = song(400, d=50)
    windows = sampler(data, 1, 4, 1)
    assert chains(windows, 512, 10**9)[0].shape == (4, 100)
    assert chains(windows, 512, 4 * 50 * 7)[0].shape == (4, 7)
    assert chains(windows, 512, 10)[0].shape == (4, 1)


# The last layer


def net_and_windows(
    n: int, h: int = 12, d: int = 3
) -> tuple[ResidualNet, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(n)
    net = ResidualNet(d, (h,)).double()
    last_layer.draw_hidden(net, 1.0, d**0.5, [0, 0])
    inputs = torch.from_numpy(rng.standard_normal((n, d)))
    return net, inputs, torch.from_numpy(rng.standard_normal((n, 2)))


@pytest.mark.parametrize("n", [8, 100])
def test_the_solution_is_that_of_the_normal_equations(n: int) -> None:
    net, inputs, targets = net_and_windows(n)
    features = last_layer.features(net, inputs).numpy()
    top = np.linalg.svd(features, compute_uv=False)[0]
    found = {
        penalty: weights.numpy()
        for penalty, weights in last_layer.last_layers(net, inputs, targets)
    }
    for penalty in (1e-6, 1e-2):
        damped = features.T @ features + penalty * top**2 * np.eye(features.shape[1])
        wanted = np.linalg.solve(damped, features.T @ targets.numpy())
        np.testing.assert_allclose(found[penalty], wanted, rtol=1e-7, atol=1e-9)
    least = np.linalg.lstsq(features, targets.numpy(), rcond=None)[0]
    np.testing.assert_allclose(found[min(found)], least, rtol=1e-7, atol=1e-9)


def test_reduction_in_blocks_changes_nothing() -> None:
    net, inputs, targets = net_and_windows(101)
    whole = list(last_layer.last_layers(net, inputs, targets))
    parts = last_layer.last_layers(net, inputs, targets, rows=9)
    for (penalty, weights), (same, blocked) in zip(whole, parts, strict=True):
        assert penalty == same
        torch.testing.assert_close(weights, blocked, rtol=1e-9, atol=1e-11)


# The hidden layer


def solvable(activation: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hidden weights, inputs with a one, and targets that these units span; 20 windows, 8 units."""
    torch.manual_seed(0)
    weights = torch.randn(8, 4, dtype=torch.float64)
    with_one = torch.hstack([torch.randn(20, 3, dtype=torch.float64), torch.ones(20, 1)])
    units = varpro.ACTIVATIONS[activation](with_one @ weights.T)
    targets = units @ torch.randn(8, 2, dtype=torch.float64) + 0.3
    return weights, with_one, targets


def matrix(jacobian: torch.Tensor, last: torch.Tensor) -> np.ndarray:
    """Return the change of the missed by all weights, without its sign."""
    h, q, columns = jacobian.shape
    change = torch.einsum("kaj,kc->ackj", jacobian, last)
    return change.reshape(q * last.shape[1], h * columns).numpy()


@pytest.mark.parametrize("activation", ["gelu", "tanh", "silu"])
def test_the_jacobian_is_that_of_finite_differences(activation: str) -> None:
    weights, with_one, targets = solvable(activation)
    missed, jacobian, last = varpro.left_over(weights, activation, with_one, targets)
    assert missed.shape == (11, 2)
    assert float(missed.abs().max()) < 1e-13
    # The basis turns with the weights, so that norms are compared, in directions enough.
    rng = np.random.default_rng(1)
    for _ in range(50):
        way = rng.standard_normal((8, 4))
        step = 1e-6 * torch.from_numpy(way)
        ahead = float(varpro.left_over(weights + step, activation, with_one, targets)[0].norm())
        back = float(varpro.left_over(weights - step, activation, with_one, targets)[0].norm())
        wanted = np.linalg.norm(matrix(jacobian, last) @ way.ravel())
        assert (ahead + back) / 2e-6 == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("products", [1, 10**6])
def test_the_step_is_the_least(products: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(varpro, "_MOST_PRODUCTS", products)
    weights, with_one, targets = solvable("tanh")
    found = varpro.left_over(weights + 0.1, "tanh", with_one, targets)
    missed, flat = found[0].numpy().ravel(), matrix(*found[1:])
    change, left = varpro.least_change(found[1], found[2], found[0], 0.0)
    np.testing.assert_allclose(change.ravel(), np.linalg.pinv(flat) @ missed, rtol=1e-6, atol=1e-9)
    assert left < 1e-20
    gram = flat @ flat.T
    damped = gram + 0.1 * gram.diagonal().mean() * np.eye(len(gram))
    change, left = varpro.least_change(found[1], found[2], found[0], 0.1)
    np.testing.assert_allclose(change.ravel(), flat.T @ np.linalg.solve(damped, missed), rtol=1e-8)
    assert left == pytest.approx(np.square(missed - flat @ change.numpy().ravel()).sum(), rel=1e-8)


def test_steps_converge_quadratically() -> None:
    weights, with_one, targets = solvable("tanh")
    sizes = []
    weights = weights + 1e-3 * torch.from_numpy(np.random.default_rng(2).standard_normal((8, 4)))
    for _ in range(3):
        missed, jacobian, last = varpro.left_over(weights, "tanh", with_one, targets)
        sizes.append(float(missed.norm()))
        weights = weights + varpro.least_change(jacobian, last, missed, 0.0)[0]
    order = math.log(sizes[2] / sizes[1]) / math.log(sizes[1] / sizes[0])
    assert 1.6 < order < 2.6, sizes


def test_the_search_ends_at_nothing_or_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    _, with_one, targets = solvable("gelu")
    layer = nn.Linear(3, 8).double()
    torch.manual_seed(1)
    nn.init.normal_(layer.weight)
    varpro.fit_hidden(layer, "gelu", with_one[:, :3], targets)
    weights = torch.hstack([layer.weight, layer.bias[:, None]]).detach()
    missed, *_ = varpro.left_over(weights, "gelu", with_one, targets)
    assert missed.square().sum() <= 1e-27 * targets.square().sum()
    # Units that answer to nothing lead to no nonsense.
    nn.init.constant_(layer.bias, -1e3)
    varpro.fit_hidden(layer, "relu", with_one[:, :3], targets)
    assert layer.weight.isfinite().all()
    # Where nothing gets better, few steps are spent on it.
    tried = []
    original = varpro.left_over
    monkeypatch.setattr(varpro, "left_over", lambda *a: tried.append(0) or original(*a))
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((200, 1)))
    varpro.fit_hidden(nn.Linear(1, 2).double(), "tanh", noise, noise.flip(0))
    assert len(tried) < 150


def test_what_is_too_much_to_look_for() -> None:
    assert varpro.is_possible(100, 64, 22, 22)
    assert not varpro.is_possible(400, 64, 22, 22)
    assert not varpro.is_possible(2000, 2, 3, 3)
    assert not varpro.is_possible(6000, 5000, 1, 1)


# Whole sequences


RAGGED = Trajectories([song(n, seed=n).values for n in (50, 9, 4, 2, 21)], 0.1)


@pytest.mark.parametrize(
    ("data", "changes"),
    [
        (song(60), {}),
        (song(70), {"activation": "tanh", "hidden_sizes": (120, 120)}),
        (song(60), {"step_sizes": (4, 16), "dense": 4}),
        (song(20), {"step_sizes": (1,)}),
        (song(60), {"polynomial_degree": 2}),
        (RAGGED, {}),
        (RAGGED, {"step_sizes": (4, 16), "dense": 4}),
        (song(2), {"step_sizes": (1,)}),
        (Trajectories(np.full((20, 2), 3.0), 0.1), {}),
        (Trajectories(np.hstack([song(50).values, np.full((50, 1), 3.0)]), 0.1), {}),
    ],
)
def test_a_sequence_is_reproduced_from_its_first_row(
    data: Trajectories, changes: dict[str, Any]
) -> None:
    model = memory(**{"hidden_sizes": (120,), **changes}).fit(data)
    assert normalised(model, data) < 1e-18
    assert model.selection_.error < 1e-18
    assert model.selection_.step_sizes == tuple(model.flow_maps_)


def test_units_that_are_too_few_are_fitted() -> None:
    data = song(61)
    model = memory(hidden_sizes={1: (32,), 4: (8,), 16: (2,)}, random_state=1).fit(data)
    assert normalised(model, data) < 1e-18
    # Random ones do not reach it.
    random = [min(r["validation_error"] for r in h.records[:8]) for h in model.history_.values()]
    assert max(random) > 1e-6


def test_float32_is_met_to_its_rounding() -> None:
    data = song(60)
    model = memory(dtype="float32", hidden_sizes=(100,)).fit(data)
    assert normalised(model, data) < 1e-7
    assert next(model.flow_maps_[1].parameters()).dtype == torch.float32


def test_nets_that_diverge_are_still_trained() -> None:
    """Far too few units, stepped to the end: whatever is least wrong in one step is kept."""
    data = pyhits.systems.get("lorenz").simulate(1, 300, dt=0.02, random_state=0, transient=5)
    model = memory([1], hidden_sizes=(2,), activation="relu", time_limit=0.3).fit(data)
    assert math.isfinite(model.history_[1].validation_error)


@pytest.mark.slow
def test_processes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # of other processes no setting can be changed
    widths = {1: (4,), 4: (4, 4)}
    one, two = (memory([1, 4], hidden_sizes=widths, n_jobs=n).fit(song(10, d=1)) for n in (1, 2))
    for size, flow_map in one.flow_maps_.items():
        for name, tensor in flow_map.state_dict().items():
            assert torch.equal(tensor, two.flow_maps_[size].state_dict()[name]), (size, name)


def test_seeds_and_files(tmp_path: Path) -> None:
    data = song(18, d=2)
    start = data.initial_states
    widths = {1: (8,), 4: (8, 8)}
    one = memory([1, 4], hidden_sizes=widths).fit(data)
    other = memory([1, 4], hidden_sizes={1: (8, 8), 4: (8, 8)}, random_state=1).fit(data)
    assert not np.array_equal(
        other.forecast(start, 5, step_sizes=[1]), one.forecast(start, 5, step_sizes=[1])
    )
    path = one.save(tmp_path / "m.safetensors")
    again = pyhits.load(path)
    assert widths_of(again) == widths
    np.testing.assert_array_equal(again.forecast(start, 17), one.forecast(start, 17))
    assert again.history == one.history_
    assert again.save(tmp_path / "n.safetensors").read_bytes() == path.read_bytes()


def test_a_fit_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    data = song(30)
    whole = memory(hidden_sizes={1: (50,)}).fit(data, checkpoint=tmp_path / "c")
    (tmp_path / "c" / "scale-000004.safetensors").unlink()
    again = memory(hidden_sizes={1: (50,)}).fit(data, checkpoint=tmp_path / "c")
    start = data.initial_states
    np.testing.assert_array_equal(again.forecast(start, 29), whole.forecast(start, 29))
    for changes in ({"step_sizes": (1, 4)}, {"hidden_sizes": {1: (51,)}}):
        with pytest.raises(CheckpointError):
            memory(**{"hidden_sizes": {1: (50,)}, **changes}).fit(data, checkpoint=tmp_path / "c")


def test_an_interruption_keeps_what_was_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(job: Any, *rest: Any) -> Any:
        if job.step_size == 16:
            raise KeyboardInterrupt
        return last_layer.solve_last_layer(job, *rest)

    monkeypatch.setattr(loop, "solve_last_layer", stop)
    with pytest.warns(PyHiTSWarning, match=r"kept step sizes \[1, 4\]"):
        model = memory(hidden_sizes=(64,)).fit(song(60))
    assert model.selection_.step_sizes == (1, 4)


def test_stacks_leave_closed_forms_alone() -> None:
    """A GPU trains nets of one shape together; these have nothing to step."""
    data = song(60)
    encoder = Standardise().fit(data.values)
    recipe = (
        RECIPES["reproduce"].override(hidden_sizes=(64,)).resolve(data.n_features, 1, data.n_rows)
    )
    jobs = make_jobs(
        TrainingData(data, data, encoder), JobSettings(recipe, dtype="float64"), [1, 4]
    )
    states = torch.from_numpy(encoder.transform(data.values))
    for k, flow_map, history in train_stacked(jobs, [None, None]):
        alone, same = train_scale(jobs[k])
        torch.testing.assert_close(flow_map(states), alone(states), rtol=0, atol=1e-12)
        assert (history.stopped_by, len(history.records)) == (same.stopped_by, len(same.records))


@pytest.mark.parametrize(
    "changes",
    [
        {"rollout_steps": 3},
        {"dense": 4},
        {"hidden_sizes": (40, 40), "polynomial_degree": 0},
        {"hidden_sizes": (), "polynomial_degree": 0},
        {"time_limit": 1e-6},
        {"activation": "tanh"},
    ],
)
def test_ridge_goes_with_the_other_settings(changes: dict[str, Any]) -> None:
    data = circles(12, 60)
    values: dict[str, Any] = {"optimizer": "ridge", "training": "pyhits", **changes}
    model = memory([1, 4], **values).fit(data)
    assert model.evaluate(data).nrmse < 1e-3
    assert "ridge regression" in " ".join(model.notes_)


def test_windows_of_coupled_scales_can_be_stepped_to() -> None:
    model = memory([1, 4], optimizer="soap", hidden_sizes=(16,), max_steps=60).fit(song(60))
    assert model.selection_.step_sizes == (1, 4)


# Settings


def test_nothing_is_held_out() -> None:
    data = song(40)
    model = memory(hidden_sizes=(48,)).fit(data)
    assert model.notes_[0].startswith("Validation: on the training data, which are to be met")
    assert any(note.startswith("Coupled: all scales") for note in model.notes_)
    assert (model.summary_.n_rows, model.history_[1].n_windows) == (40, 30)
    assert [c.step_sizes for c in model.selection_.front] == [(1, 4, 16)]
    model.couple([1, 4])
    assert model.couple("accuracy").selection_.step_sizes == (1, 4, 16)
    given = memory(hidden_sizes=(48,), selection=[1, 16]).fit(data, validation=data)
    assert given.selection_.step_sizes == (1, 16)
    assert not any("Validation" in note or "Coupled" in note for note in given.notes_)


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ({1: 256}, r"hidden_sizes to be widths such as \(64, 64\), got 256"),
        ({1: "64"}, "a hidden size to be a whole number, got '6'"),
        ({"1": (64,)}, "a step size of hidden_sizes to be a whole number, got '1'"),
        ({2: (64,)}, "entry for step size 2; there are 1, 4, 16"),
        ({1: (0,)}, "a hidden size to be at least 1"),
        ({1: None}, "no widths for step size 1"),
    ],
)
def test_widths_that_are_none(widths: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        memory(hidden_sizes=widths).fit(song(60))


def test_widths_by_scale(tmp_path: Path) -> None:
    widths = {np.int64(1): [np.int32(50)], 4.0: np.array([30, 20]), 16: ()}
    model = memory(hidden_sizes=widths).fit(song(40))
    nets = [model.flow_maps_[size] for size in (1, 4, 16)]
    assert [net.config()["hidden_sizes"] for net in nets] == [[50], [30, 20], []]
    assert "hidden layers of 50; 30, 20; " in " ".join(model.notes_)
    again = pyhits.load(model.save(tmp_path / "m.safetensors"))
    assert widths_of(again) == {1: (50,), 4: (30, 20), 16: ()}
    left_out = memory([1], hidden_sizes={}).fit(song(20))
    assert left_out.flow_maps_[1].config()["hidden_sizes"] == [1024]


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_reports_and_figures_know_records_of_solutions(tmp_path: Path) -> None:
    data = song(60)
    model = memory(hidden_sizes=(64,)).fit(data)
    model.history_[1].records[0]["validation_error"] = math.inf
    again = pyhits.load(model.save(tmp_path / "m.safetensors"))
    assert again.history == model.history_
    plots.save_figure(plots.training_curves(again.history, ax=plots.blank()), tmp_path / "c.png")
    plots.save_figure(again.selection.plot(ax=plots.blank()), tmp_path / "f.png")
    assert (
        "Coupled: all scales" in pyhits.write_report(again, data, tmp_path / "r.html").read_text()
    )


# On the command line


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_a_sequence_is_reproduced_on_the_command_line(tmp_path: Path) -> None:
    pyhits.write(song(50), tmp_path / "x.csv")
    model = tmp_path / "m.safetensors"
    options = ["--step-sizes", "1,4", "--dtype", "float64", "--n-jobs", 1, "-o", model]
    units = ["--training", "reproduce", "--hidden-sizes", 100]
    done = run("fit", tmp_path / "x.csv", *units, *options)
    assert done.exit_code == 0, done.output
    assert "Validation: on the training data, which are to be met" in done.stderr
    shown = json.loads(run("evaluate", model, tmp_path / "x.csv", "--json").stdout)
    assert shown["nrmse"] < 1e-9
    assert "as asked" in run("info", model).stdout
    ridge_options = ["--optimizer", "ridge", "--hidden-sizes", "1=40,4=20x10", *options]
    done = run("fit", tmp_path / "x.csv", *ridge_options)
    assert done.exit_code == 0, done.output
    assert widths_of(pyhits.load(model)) == {1: (40,), 4: (20, 10)}
    for text, message in (
        ("1=40,4=", "widths such as 64,64"),
        ("1=40,7", "1=256,4=64x64, got '7'"),
        ("1=40,1=50", "has step size 1 twice"),
        ("1=40,2=50", "entry for step size 2; there are 1, 4"),
    ):
        done = run("fit", tmp_path / "x.csv", "--hidden-sizes", text, *options)
        assert done.exit_code == 2
        assert message in " ".join(done.stderr.split())
