"""Export: the written step is the model's step, to rounding, in the user's units."""

from __future__ import annotations

import io
import json
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Drift, circles, quick
from typer.testing import CliRunner

import pyhits
from pyhits.cli.app import app
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, FileFormatError, MissingExtraError, NotFittedError
from pyhits.flowmaps import FlowMap, PolynomialMap, ResidualNet, create
from pyhits.modelfiles.export import StepModule, export_model

ROOT = Path(__file__).parent.parent

#: An offset that float32 does not hold, thousands of times the spread.
MEAN = np.array([1e4 + 0.1234567, -3e3])
SCALE = np.array([1.0, 2.5])


def polynomial(outputs: int = 1) -> FlowMap:
    flow_map = PolynomialMap(2, 3, outputs).double()
    generator = torch.Generator().manual_seed(0)
    flow_map.coefficients.uniform_(-0.01, 0.01, generator=generator)
    flow_map.set_bounds(np.array([[-2.0, -2.0], [2.0, 2.0]]))
    return flow_map


def net(base_degree: int | None, outputs: int = 1) -> FlowMap:
    flow_map = create("residual", ResidualNet(2, (8,), "gelu", base_degree, outputs).config())
    assert isinstance(flow_map, ResidualNet)
    flow_map.scale.fill_(0.02)
    if flow_map.base is not None:
        flow_map.base.coefficients.fill_(0.003)
    return flow_map


def drift() -> FlowMap:
    flow_map = Drift(2)
    torch.nn.init.constant_(flow_map.rate, 0.01)
    return flow_map


FAMILIES: dict[str, Callable[[], FlowMap]] = {
    "polynomial": polynomial,
    "net": lambda: net(None),
    "family of a user's own": drift,
    "dense net on a base": lambda: net(2, 3),
}


def holding(
    flow_maps: dict[int, FlowMap], mean: np.ndarray = MEAN, scale: np.ndarray = SCALE
) -> pyhits.TimeStepper:
    """A model of flow maps that were made, not trained."""
    rows = mean + scale * np.array([[-1.0, -1.0], [1.0, 1.0]])
    data = pyhits.Trajectories(rows, 0.1, feature_names=["p", "v"])
    scaling = Standardise().set_statistics(mean, scale)
    finest = [min(flow_maps)]
    return pyhits.TimeStepper.from_flow_maps(flow_maps, data, scaling=scaling, step_sizes=finest)


def states(n: int) -> np.ndarray:
    return MEAN + SCALE * np.random.default_rng(n).uniform(-1, 1, (n, 2))


def session(path: Path) -> Any:
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(path, options)


def run(opened: Any, before: np.ndarray) -> np.ndarray:
    (after,) = opened.run(["next_states"], {"states": before})
    return np.asarray(after)


def load(path: Path, **extra: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded: Callable[[torch.Tensor], torch.Tensor] = torch.export.load(path, **extra).module()
    return loaded


class Case:
    """A model and its files, and how near two of its steps are to be in units of the scale."""

    def __init__(self, family: str, dtype: torch.dtype, folder: Path) -> None:
        pytest.importorskip("onnxscript")
        self.dtype = dtype
        self.size = 6
        flow_map = FAMILIES[family]().to(dtype)
        self.outputs = flow_map.outputs
        self.model = holding({self.size: flow_map, 12: drift().to(dtype)})
        self.onnx = export_model(self.model, folder / "step.onnx")
        self.program = export_model(self.model, folder / "step.pt2")
        self.near = 1e-6 if dtype == torch.float32 else 1e-11


@pytest.fixture(
    scope="module",
    # Each case takes seconds: one number type a family, both in all.
    params=[
        ("polynomial", torch.float64),
        ("net", torch.float32),
        pytest.param(("family of a user's own", torch.float64), marks=pytest.mark.slow),
        pytest.param(("dense net on a base", torch.float32), marks=pytest.mark.slow),
    ],
    ids=lambda p: f"{p[0]}, {p[1]}",
)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(*request.param, tmp_path_factory.mktemp("export"))


def test_one_step_is_that_of_predict(case: Case) -> None:
    opened, program = session(case.onnx), load(case.program)
    every = case.size // case.outputs
    for n in (1, 7, 1000):
        before = states(n)
        expected = case.model.forecast(before, case.size, step_sizes=[case.size])[:, every::every]
        if case.outputs == 1:
            expected = case.model.predict(before)
        for after in (run(opened, before), program(torch.from_numpy(before)).detach().numpy()):
            assert after.shape == expected.shape
            assert after.dtype == np.float64
            assert (np.abs(after - expected) / SCALE).max() < case.near


def test_iterated_it_is_the_single_scale_forecast(case: Case) -> None:
    opened = session(case.onnx)
    before = states(5)
    forecast = case.model.forecast(before, 30 * case.size, step_sizes=[case.size])[:, -1]
    for _ in range(30):
        before = run(opened, before)
        before = before[:, -1] if case.outputs > 1 else before
    assert (np.abs(before - forecast) / SCALE).max() < 30 * case.near


def test_metadata_say_what_is_inside(case: Case) -> None:
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(case.onnx)
    onnx.checker.check_model(graph, full_check=True)
    facts = {p.key: p.value for p in graph.metadata_props}
    times = [0.6] if case.outputs == 1 else [0.2, 0.4, 0.6]
    assert facts["pyhits_version"] == pyhits.__version__
    assert json.loads(facts["feature_names"]) == ["p", "v"]
    assert (float(facts["dt"]), int(facts["step_size"])) == (0.1, 6)
    assert json.loads(facts["times"]) == pytest.approx(times)
    extra = {"pyhits.json": ""}
    load(case.program, extra_files=extra)
    inside = json.loads(extra["pyhits.json"])
    assert {k: v if isinstance(v, str) else json.dumps(v) for k, v in inside.items()} == facts


def test_files_do_not_tell_where_they_were_made(case: Case) -> None:
    for path in (case.onnx, case.program):
        content = path.read_bytes()
        assert str(ROOT).encode() not in content
        assert b"site-packages" not in content


@pytest.fixture(scope="module")
def offset() -> tuple[pyhits.Trajectories, pyhits.HiTS]:
    """Oscillations of unit size around ten thousand, learned in float32."""
    data = circles(40, 200)
    moved = pyhits.Trajectories(1e4 + 1.7 * data.to_array(), 0.1, feature_names=["x", "y"])
    return moved, quick(step_sizes=[1, 4]).fit(moved)


@pytest.mark.slow
def test_an_offset_costs_no_digits(
    offset: tuple[pyhits.Trajectories, pyhits.HiTS], tmp_path: Path
) -> None:
    """Two hundred float32 steps on states whose float32 spacing is 0.001."""
    pytest.importorskip("onnxscript")
    data, model = offset
    opened = session(export_model(model, tmp_path / "step.onnx"))
    after = data.initial_states
    for _ in range(200):
        after = run(opened, after)
    assert np.abs(after - data.to_array()[:, -1]).max() < 2e-5
    assert np.abs(after - model.forecast(data.initial_states, 200)[:, -1]).max() < 4e-5


def test_small_increments_keep_their_digits() -> None:
    """The change passes through float32, not the sum of state and change."""
    flow_map = net(2)
    assert isinstance(flow_map, ResidualNet)
    assert flow_map.base is not None
    flow_map.scale.fill_(1e-6)
    flow_map.base.coefficients.fill_(1e-6)
    encoder = Standardise().set_statistics(MEAN, SCALE)
    before = torch.from_numpy(states(100))
    exact = StepModule(flow_map.double(), encoder)(before)
    after = StepModule(flow_map.float(), encoder)(before)
    assert float((after - exact).detach().abs().max()) < 1e-11


@pytest.mark.slow
def test_a_float32_interface_is_as_good_as_its_numbers(tmp_path: Path) -> None:
    """Also of a float64 model; a stretching hundredfold would show what encoding loses."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    flow_map = PolynomialMap(2, 1).double()
    flow_map.coefficients[:, 1:] = 100 * torch.eye(2)
    path = export_model(holding({1: flow_map}), tmp_path / "step.onnx", dtype="float32")
    before = states(50).astype(np.float32)
    after = run(session(path), before)
    assert after.dtype == np.float32
    exact = before + 100 * (before - MEAN)
    assert (np.abs(after - exact) <= 2 * np.spacing(np.abs(exact).astype(np.float32))).all()
    graph = onnx.load(path).graph
    inferred = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    kinds = {t.data_type for t in graph.initializer}
    kinds |= {v.type.tensor_type.elem_type for v in inferred.value_info}
    assert onnx.TensorProto.DOUBLE not in kinds


@pytest.mark.slow
def test_numbers_in_the_code_of_a_family_stay_float64(tmp_path: Path) -> None:
    """The exporter by itself would round them to float32."""
    pytest.importorskip("onnxscript")

    class Decay(FlowMap):
        def increment(self, states: torch.Tensor) -> torch.Tensor:
            return 0.1 * states * torch.erf(states + 0.3) - torch.sin(states) / 7.3

    flow_map = Decay(2)
    flow_map.register_buffer("kind_of_float", torch.zeros(1, dtype=torch.float64))
    model = holding({1: flow_map})
    after = run(session(export_model(model, tmp_path / "step.onnx")), states(1000))
    assert (np.abs(after - model.predict(states(1000))) / SCALE).max() < 1e-11


def test_a_dense_step_gives_its_end_alone_where_asked(tmp_path: Path) -> None:
    model = holding({4: net(2, 4)})
    path = export_model(model, tmp_path / "step.pt2", dense=False)
    after = load(path)(torch.from_numpy(states(7))).detach().numpy()
    np.testing.assert_allclose(after, model.predict(states(7)), atol=1e-5)
    inside = StepModule(model.flow_maps[4], model.scaling)(torch.from_numpy(states(7)))
    assert inside.shape == (7, 4, 2)
    np.testing.assert_array_equal(inside[:, -1].detach().numpy(), after)


@pytest.mark.parametrize(("dimension", "degree"), [(1, 0), (1, 5), (3, 1), (3, 4)])
def test_joined_monomials_are_the_written_ones(dimension: int, degree: int) -> None:
    flow_map = PolynomialMap(dimension, degree)
    flow_map.set_bounds(np.array([[-1.0] * dimension, [1.0] * dimension]))
    encoder = Standardise().set_statistics(np.zeros(dimension), np.ones(dimension))
    joined = StepModule(flow_map, encoder).flow_map
    x = torch.randn(20, dimension, generator=torch.Generator().manual_seed(0))
    assert isinstance(joined, PolynomialMap)
    assert torch.equal(joined.monomials(x), flow_map.monomials(x))
    assert type(flow_map) is PolynomialMap


def test_a_step_module_has_derivatives() -> None:
    encoder = Standardise().set_statistics(np.zeros(2), SCALE)
    for flow_map in (polynomial(), net(2).double(), polynomial(2)):
        before = torch.from_numpy(states(3) - MEAN).requires_grad_()
        assert torch.autograd.gradcheck(StepModule(flow_map, encoder), (before,))


def test_every_trained_step_size_is_exported(
    offset: tuple[pyhits.Trajectories, pyhits.HiTS], tmp_path: Path
) -> None:
    data, model = offset
    model.save(tmp_path / "m.safetensors")
    arguments = ["export", str(tmp_path / "m.safetensors"), "--step-size", "4", "-o"]
    done = CliRunner().invoke(app, [*arguments, str(tmp_path / "new" / "step.PT2")])
    assert (done.exit_code, done.stdout) == (0, "")
    assert "step.PT2" in done.stderr
    after = load(tmp_path / "new" / "step.PT2")(torch.from_numpy(data.initial_states))
    expected = model.predict(data.initial_states, step_size=4)
    np.testing.assert_allclose(after.detach().numpy(), expected, atol=1e-5)
    refused = CliRunner().invoke(app, [*arguments, str(tmp_path / "step.pb")])
    assert refused.exit_code == 2
    assert "end in one of .onnx, .pt2" in refused.stderr


def test_the_exporters_are_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxscript")
    model = holding({1: drift()})
    logger, logged = logging.getLogger("torch.onnx"), io.StringIO()
    handler = logging.StreamHandler(logged)
    logger.addHandler(handler)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pyhits.export_model(model, tmp_path / "step.onnx")
        pyhits.export_model(model, tmp_path / "step.pt2")
    logger.removeHandler(handler)
    assert caught == []
    assert logged.getvalue() == ""
    assert capfd.readouterr() == ("", "")


class Choosing(FlowMap):
    """A family that looks at its states, as no graph can."""

    def increment(self, states: torch.Tensor) -> torch.Tensor:
        return states if float(states.sum()) > 0 else -states


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("step.pb", {}, ArgumentError, "end in one of .onnx, .pt2"),
        ("step", {}, ArgumentError, "end in one of .onnx, .pt2"),
        ("step.pt2", {"step_size": 2}, ArgumentError, "2 was not trained; there are 1, 8"),
        ("step.pt2", {"step_size": 0}, ArgumentError, "at least 1"),
        ("step.pt2", {"dtype": "float16"}, ArgumentError, "Unknown dtype 'float16'"),
        ("step.pt2", {"step_size": 8}, ArgumentError, "The Choosing of step size 8 cannot be"),
        ("file/step.pt2", {}, FileFormatError, "Cannot write"),
        ("folder.pt2", {}, FileFormatError, "it is a folder"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    name: str, options: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.pt2").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error, match=message):
        export_model(holding({1: drift(), 8: Choosing(2)}), tmp_path / name, **options)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_unfitted_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError, match="not fitted"):
        export_model(pyhits.HiTS(), tmp_path / "step.onnx")
    with pytest.raises(ArgumentError, match="Expected a fitted HiTS or TimeStepper, got a str"):
        export_model("m.safetensors", tmp_path / "step.onnx")  # type: ignore[arg-type]


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_package_is_named(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf'{package}: pip install "pyhits\[export\]"'):
        export_model(holding({1: drift()}), tmp_path / "step.onnx")
    assert list(tmp_path.iterdir()) == []


def test_data_beyond_float32_need_float64(tmp_path: Path) -> None:
    model = holding({1: drift()}, np.array([1e50, 0.0]), np.array([1e48, 1.0]))
    with pytest.raises(ArgumentError, match="dtype='float64'"):
        export_model(model, tmp_path / "step.pt2", dtype="float32")
