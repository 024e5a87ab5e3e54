"""Benchmarks: the baselines compute what they should, the measuring measures."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import circles, rotation

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import floor, history, models, training
from benchmarks.__main__ import main
from benchmarks.baselines import diffrax_, machine, published, rk4, scipy_, torchdiffeq_
from benchmarks.problem import Problem
from benchmarks.record import Record
from benchmarks.registry import benchmarks
from benchmarks.scaling import largest_slope
from benchmarks.timing import Timing, compare, repeat, threads
from pyhits.encoders import Standardise
from pyhits.flowmaps import FlowMap, PolynomialMap
from pyhits.hierarchy import Stepper, sequential


def rotating(angle: float) -> PolynomialMap:
    """The exact flow map of the harmonic oscillator, as an affine polynomial."""
    flow_map = PolynomialMap(2, 1).double()
    flow_map.coefficients[:, 1:] = torch.from_numpy(rotation(angle) - np.eye(2))
    return flow_map


def harmonic(x: object, y: object) -> tuple[object, object]:
    return y, -x  # type: ignore[operator]


@pytest.fixture(scope="module")
def oscillator() -> Problem:
    data = circles(3, 120, dt=0.05)
    return Problem(harmonic, data.to_array(), data.dt)


@pytest.mark.parametrize("sizes", [(1,), (1, 2, 4), (1, 5, 25), (4,), (2, 8)])
@pytest.mark.parametrize("n_steps", [1, 7, 40, 64])
def test_the_published_algorithm_computes_what_algorithm_1_defines(sizes, n_steps):
    maps = {s: rotating(0.1 * s) for s in sizes}
    start = torch.from_numpy(circles(3, 1).initial_states)
    states = torch.empty(3, n_steps + 1, 2, dtype=torch.float64)
    states[:, 0] = start
    if n_steps < sizes[0]:
        pytest.skip("one state alone cannot be interpolated")
    found = published.forecast(start, maps, n_steps)
    assert found.shape == (3, n_steps + 1, 2)
    known = np.arange(0, n_steps + 1, sizes[0])
    sequential(states[:, : len(known)], Stepper(maps))
    np.testing.assert_allclose(found[:, known], states[:, : len(known)], atol=1e-12)
    # Between known states it is linear, as published.
    middle = 0.5 * (found[:, known[:-1]] + found[:, known[1:]])
    if sizes[0] % 2 == 0 and len(known) > 1:
        np.testing.assert_allclose(found[:, known[:-1] + sizes[0] // 2], middle, atol=1e-12)


def test_exact_flow_maps_give_the_exact_solution_by_the_published_algorithm():
    truth = circles(4, 50).to_array()
    maps = {s: rotating(0.1 * s) for s in (1, 4, 16)}
    found = published.forecast(torch.tensor(truth[:, 0]), maps, 50)
    np.testing.assert_allclose(found, truth, atol=1e-12)


def odeint(p: Problem) -> np.ndarray:
    return scipy_.solve_odeint(p.slope, p.initial_states, p.times, 1e-9)


def radau(p: Problem) -> np.ndarray:
    return scipy_.solve_each(p.slope, p.initial_states, p.times, "Radau", 1e-8)


def numpy_rk4(p: Problem) -> np.ndarray:
    return rk4.numpy_rk4(p.slope, p.initial_states, p.n_steps, p.dt)


def numba_rk4(p: Problem) -> np.ndarray:
    pytest.importorskip("numba")
    solve = rk4.numba_rk4(p.slope, parallel=False, fastmath=False)
    return solve(p.initial_states, p.n_steps, p.dt)


def torchdiffeq(p: Problem) -> np.ndarray:
    pytest.importorskip("torchdiffeq")
    return torchdiffeq_.solve(p.slope, p.initial_states, p.times, 1e-9)


def diffrax(p: Problem) -> np.ndarray:
    pytest.importorskip("diffrax")
    return diffrax_.compiled(p.slope, p.times)(p.initial_states, 1e-9)


@pytest.mark.parametrize(
    "solve",
    [
        odeint,
        radau,
        numpy_rk4,
        torchdiffeq,
        *(pytest.param(f, marks=pytest.mark.slow) for f in (numba_rk4, diffrax)),
    ],
)
def test_baselines_integrate_the_harmonic_oscillator(oscillator, solve: Callable):
    states = solve(oscillator)
    assert states.shape == oscillator.truth.shape
    np.testing.assert_array_equal(states[:, 0], oscillator.initial_states)
    np.testing.assert_allclose(states, oscillator.truth, atol=2e-6)
    assert oscillator.mse(states) < 1e-11


@pytest.mark.slow
def test_numpy_and_numba_take_the_same_runge_kutta_steps(oscillator):
    pytest.importorskip("numba")
    expected = numpy_rk4(oscillator)
    np.testing.assert_allclose(numba_rk4(oscillator), expected, atol=1e-14)
    solve = rk4.numba_rk4_side_by_side(oscillator.slope, parallel=False)
    found = solve(oscillator.initial_states, oscillator.n_steps, oscillator.dt)
    np.testing.assert_allclose(found, expected, atol=1e-14)


def test_runge_kutta_converges_at_order_four():
    def error(n: int) -> float:
        start = np.array([[1.0, 0.0]])
        return float(
            np.abs(rk4.numpy_rk4(harmonic, start, n, 2 * math.pi / n)[:, -1] - start).max()
        )

    assert math.log2(error(40) / error(80)) == pytest.approx(4, abs=0.3)


def test_the_problems_error_leaves_the_initial_states_out(oscillator):
    states = oscillator.truth.copy()
    states[:, 0] += 100
    assert oscillator.mse(states) == 0
    states[:, 1:] += 0.5
    assert oscillator.first(2).mse(states[:2]) == pytest.approx(0.25)


def test_timings_are_medians_and_quartiles():
    timing = Timing((4.0, 1.0, 2.0, 3.0, 5.0))
    assert (timing.low, timing.median, timing.high) == (2.0, 3.0, 4.0)
    assert timing.times(2).median == 6.0


def test_contestants_take_turns_and_slow_ones_sit_out(monkeypatch: pytest.MonkeyPatch):
    order: list[str] = []
    seconds = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: seconds)

    def quick() -> None:
        order.append("quick")

    def slow() -> None:
        nonlocal seconds
        order.append("slow")
        seconds += 0.02

    found = compare({"quick": quick, "slow": slow}, repeats=3, warmups=1, budget=0.01)
    assert order[:4] == ["quick", "slow", "quick", "slow"]
    assert len(found["quick"].samples) == 3
    assert len(found["slow"].samples) == 1
    assert found["slow"].low == pytest.approx(0.02)
    assert len(repeat(quick, repeats=2).samples) == 2


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_a_record_tells_ratios_and_bars():
    slow = Record.timed("a", "slow", Timing((2.0,)), 100)
    fast = Record.timed("a", "fast", Timing((0.5,)), 100).against(slow, 4.0)
    assert (fast.ratio, fast.ratio_to, fast.met) == (4.0, "slow", True)
    assert fast.states_per_second == 200
    assert Record.timed("a", "late", Timing((4.0,))).against(slow, 1.0).met is False
    fast.error = math.inf
    assert fast.as_dict()["error"] is None


def test_work_counts_the_multiply_adds_of_every_evaluation():
    maps: dict[int, FlowMap] = models.untrained(2, 8, (1, 4))
    each = 2 * 8 + 8 * 8 + 8 * 8 + 8 * 2
    assert models.multiply_adds(maps[1]) == each
    assert models.work(maps, 3, 16) == 3 * 16 * each
    assert models.multiply_adds(PolynomialMap(2, 2)) == 12


def test_the_floor_runs(monkeypatch):
    rows, width = floor.block()
    assert rows >= 256
    assert width == 64
    machine.products(1e6, 64, 16, 2)()
    for function in (machine.copy(10), machine.triad(10), machine.large_product(8)):
        function()


def test_slopes_are_local():
    assert largest_slope([1, 10, 100], [1, 1, 100]) == pytest.approx(2)
    assert largest_slope([1, 10, 100], [1, 10, 100]) == pytest.approx(1)


def test_training_errors_do_not_depend_on_the_coordinates(monkeypatch):
    """Half the increment too little is a relative error of a quarter, in any unit."""

    class Half(FlowMap):
        def __init__(self, scale: np.ndarray) -> None:
            super().__init__(2)
            flow = np.diag(1 / scale) @ rotation(0.1) @ np.diag(scale)
            self.matrix = torch.from_numpy(0.5 * (flow - np.eye(2))).float()

        def increment(self, states: torch.Tensor) -> torch.Tensor:
            return states @ self.matrix.T

    data = circles(5, 30)
    monkeypatch.setattr(training, "training_data", lambda *_, **__: data)
    raw = Standardise(False).fit(data.values)
    scaled = Standardise().fit(data.values)
    scaled.mean_ = np.zeros(2)
    for encoder in (raw, scaled):
        error = training.relative_error(Half(encoder.scale_), encoder, 1)
        assert error == pytest.approx(0.25, rel=1e-4)


def test_every_benchmark_says_what_it_is():
    known = benchmarks()
    assert {"machine", "forecast", "solvers", "training", "scaling", "memory"} <= set(known)
    for name, module in known.items():
        assert name == module.NAME
        assert (module.__doc__ or "").splitlines()[0].endswith(".")
        assert callable(module.run)


def test_a_run_prints_tables_and_writes_json(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(floor, "run", lambda quick, out: [Record("machine", "row", value=math.inf)])
    assert main(["--quick", "--out", str(tmp_path / "new"), "machine"]) == 0
    assert "row" in capsys.readouterr().out
    content = json.loads((tmp_path / "new" / "benchmarks.json").read_text())
    assert content["environment"]["mode"] == "quick"
    assert content["records"][0]["value"] is None


def test_unknown_names_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert "there are machine" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_line_explains_itself():
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"],
        cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "--quick" in answer.stdout


def test_ratios_of_every_version_are_kept_and_drawn(tmp_path, monkeypatch):
    row = Record("solvers", "PyHiTS", 0.012345678).against(Record("solvers", "odeint", 1.0))
    facts = {"pyhits": "0.1.0", "python": "3.11", "load at the start": "0.1"}
    content = {"environment": facts, "records": [row.as_dict(), Record("solvers", "x").as_dict()]}
    (tmp_path / "benchmarks.json").write_text(json.dumps(content))
    for number, commit in ((10, "b"), (9, "a")):
        said = {"rev-list": str(number), "log": f"{commit} 2026-01-01"}
        monkeypatch.setattr(history, "_git", lambda *asked, said=said: said[asked[0]])
        kept = history.keep(tmp_path / "benchmarks.json", tmp_path / "history")
        assert kept.name == f"0.1.0+{commit}.json"
    found = history.read(tmp_path / "history")
    assert [one["commit"] for one in found] == ["a", "b"]
    (only,) = found[0]["rows"]
    assert (only["seconds"], only["ratio"], only["ratio_to"]) == (0.01235, 81.0, "odeint")
    history.plot(found, tmp_path)
    assert "<svg" in (tmp_path / "history.svg").read_text()
