"""Model files that lie: each is refused in one sentence, before anything of its size is built."""

from __future__ import annotations

import json
import os
import struct
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import circles, quick
from scipy.integrate import solve_ivp

import pyhits
from pyhits import Grid
from pyhits.errors import FileFormatError
from pyhits.util.jsontext import parse
from pyhits.util.tensorfile import read_tensors, strict, to_bytes

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import mutated_models

Facts = dict[str, Any]


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nets, with all that is known of their errors."""
    model = quick(step_sizes=[1, 2], polynomial_degree=0).fit(circles(9, 40))
    return model.save(tmp_path_factory.mktemp("model") / "m.safetensors")


def changed(path: Path, change: Callable[[Facts, dict[str, torch.Tensor]], Any]) -> bytes:
    """Return the model file with other values, and the checksum that these have."""
    tensors, facts = read_tensors(path, what="a model")
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    plain = json.loads(json.dumps(strict(facts)))
    change(plain, tensors)
    return to_bytes(tensors, json.dumps(plain))


def refused(path: Path, match: str, *, seconds: float = 1.0) -> None:
    """Load a file that must be refused: at once, and without filling the memory."""
    tracemalloc.start()
    begin = time.process_time()
    try:
        with pytest.raises(FileFormatError, match=match) as caught:
            pyhits.load(path)
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()
    # Tracing memory takes some ten times as long as loading does.
    assert time.process_time() - begin < 10 * seconds
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


def _set(place: str, value: Any) -> Callable[[Facts, Any], None]:
    """Return what sets one value, such as ``scales.0.map.config.degree``."""

    def change(facts: Facts, _: Any) -> None:
        *path, last = [int(key) if key.isdigit() else key for key in place.split(".")]
        inner: Any = facts
        for key in path:
            inner = inner[key]
        inner[last] = value

    return change


HOSTILE = [
    ("scales.0.map.config.hidden_sizes", [30_000, 30_000], "does not hold the"),
    ("scales.0.map.config.hidden_sizes", [1] * 20_000, "hidden_sizes: expected a list"),
    ("scales.0.map.config.hidden_sizes", [10**19], r"hidden_sizes\[0\]: expected a whole number"),
    ("scales.0.map.config.base_degree", 10_000, "does not hold the"),
    ("scales.0.map.config.base_degree", 10**15, "base_degree: expected a whole number"),
    ("scales.0.map.config.dimension", 10**9, "dimension: expected 2"),
    ("scales.0.map.config.outputs", 2**40, "does not hold the"),
    ("scales.0.map.config.activation", [], "activation: expected one of"),
    ("scales.0.map.config", None, "config: expected an object"),
    ("scales.0.map.kind", "pickle", r"scales\[0\]\.map\.kind: expected one of"),
    ("scales.0.map.dtype", "Tensor", "dtype: expected one of"),
    ("scales.0.step_size", True, r"scales\[0\]\.step_size: expected a whole number"),
    ("scales.0.step_size", 0, r"scales\[0\]\.step_size: expected a whole number"),
    ("scales.0.history.step_size", 7, r"scales\[0\]\.step_size"),
    ("scales.0.history.records", [{"step": "many"}], r"records\[0\]\.step: expected a number"),
    ("scales", [], "scales: expected a list"),
    ("dt", -0.1, "dt: expected a positive number"),
    ("dt", "0.1", "dt: expected a positive number"),
    ("dt", "inf", "dt: expected a positive number"),
    ("seconds", None, "seconds: expected a number"),
    ("notes", [1, 2], r"notes\[0\]: expected a text"),
    ("notes", "one", "notes: expected a list"),
    ("notes", ["\ud83d"], r"notes\[0\]: expected a text of Unicode"),
    ("feature_names", ["x", "x"], "feature_names: expected a list in which nothing"),
    ("feature_names", ["x"], "feature_names: there are 1, of 2"),
    ("feature_names", [["x"], "y"], r"feature_names\[0\]: expected a text"),
    ("coupling.tolerance", {"a": []}, "coupling.tolerance: expected a positive number"),
    ("coupling.how", "slowest", "slowest"),
    ("coupling.danger", 1, "coupling.danger: there is no such entry"),
    ("recipe.patience", 2.0, "patience"),
    ("selection.path", [{}], r"selection\.path\[0\]\.step_sizes: it is missing"),
    ("selection.step_sizes", [3], "step sizes that it does not hold"),
    ("data.n_rows", 2, "rows hold no step"),
    ("trust.baselines", ["linear", "linear"], "trust.baselines: expected a list"),
    ("trust.baselines", ["oracle"], "trust.baselines.0.: expected one of"),
    ("trust.region.radius", 0, "radius: expected a positive number"),
    ("preprocessor", [{"kind": "delay", "n_delays": 10**9, "lag": 10**6}], "is damaged"),
    ("preprocessor", [{"kind": "os.system"}], "kind: expected one of"),
    ("grid", {**Grid((1, 1)).plain(), "shape": [10**9, 10**9]}, "grid is of another size"),
    ("grid", {**Grid((1, 1)).plain(), "shape": [4]}, "is damaged"),
    ("snapshot", [10**9, 10**9], "snapshot: there is no such entry"),
]


@pytest.mark.parametrize(("place", "value", "match"), HOSTILE)
def test_values_that_cannot_be_are_named(
    model_file: Path, tmp_path: Path, place: str, value: Any, match: str
) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(changed(model_file, _set(place, value)))
    refused(path, match)


@pytest.mark.parametrize(
    ("degree", "match"), [(10**30, "whole number of 31 digits"), (9_000, "does not hold the")]
)
def test_a_degree_beyond_the_tensors_is_never_built(
    tmp_path: Path, degree: int, match: str
) -> None:
    model = quick(step_sizes=[1], flow_map="polynomial", hidden_sizes=None, max_steps=None)
    path = model.fit(circles(9, 40)).save(tmp_path / "m.safetensors")
    path.write_bytes(changed(path, _set("scales.0.map.config.degree", degree)))
    refused(path, match)


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("scale.1.layers.0.weight", torch.full((8, 2), torch.nan), "not finite"),
        ("scale.1.scale", torch.tensor([1.0, torch.inf]), "not finite"),
        ("scale.1.layers.0.weight", torch.zeros(2, 8), "expected F32 of shape"),
        ("scale.1.layers.0.weight", torch.zeros(8, 2).double(), "expected F32 of shape"),
        ("trust.region.points", torch.full((3, 2), torch.nan), "not finite"),
        ("trust.calibration.counts", torch.tensor(3), "is I64 of shape"),
        ("data.low", torch.tensor([torch.nan, 0.0]).double(), "summary of the training data"),
        ("data.low", torch.zeros(0).double(), "expected one axis"),
        ("more", torch.zeros(2), "that nothing asks for"),
        ("trust.baseline.mean.more", torch.zeros(2), "that nothing asks for"),
        ("trust.baseline.mean.map", torch.zeros(2).double(), "that nothing asks for"),
    ],
)
def test_tensors_that_cannot_be_are_named(
    model_file: Path, tmp_path: Path, name: str, value: torch.Tensor, match: str
) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(changed(model_file, lambda _, tensors: tensors.update({name: value})))
    refused(path, match)


def _header(text: str) -> bytes:
    """Return a safetensors file without tensors, whose metadata are ``text``."""
    raw = json.dumps({"__metadata__": {"pyhits": text}}).encode()
    return struct.pack("<Q", len(raw)) + raw


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "truncated"),
        (b"\0" * 100, "truncated"),
        (struct.pack("<Q", 2**63) + b"{}", "truncated"),
        (_header("[" * 2000 + "]" * 2000), "nested deeper"),
        (_header("[" * 1_000_000), "more than 200000 lists"),
        (_header("[[]," * 1_500_000), "more than 200000 lists"),
        (_header('{"format": ' + "9" * 5000 + "}"), "whole number of 5000 digits"),
        (_header('{"format": Infinity}'), "not finite, Infinity"),
        (_header('{"format": NaN}'), "not finite, NaN"),
        (_header('{"format": 1e999}'), "not finite, 1e999"),
        (_header('{"format": 6, "format": 6}'), "'format' twice"),
        (_header('{"format": true}'), "not a model"),
        (_header('{"format": 6}'), "lost its checksum"),
        (_header('{"format"'), "is damaged"),
        (_header('"' + "a" * 9_000_000 + '"'), "too long for its tensors"),
    ],
    ids=lambda part: str(part)[-30:],
)
def test_headers_are_read_within_limits(tmp_path: Path, content: bytes, match: str) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    refused(path, match)


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    refused(tmp_path, "is a folder")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.safetensors")
        refused(tmp_path / "pipe.safetensors", "a pipe or a device")
    if Path("/dev/zero").exists():
        refused(Path("/dev/zero"), "a pipe or a device")
    with (tmp_path / "sparse.safetensors").open("wb") as file:
        file.truncate(10_000_000_000)
    refused(tmp_path / "sparse.safetensors", "truncated or of another kind")


def test_json_within_the_limits_is_read_as_it_is() -> None:
    text = '{"a": [1, -2.5, "\\"[[{", {"b": null}], "c": "\\\\"}'
    assert parse(text) == parse(text.encode()) == json.loads(text)
    for wrong in ("]", "[1", "{'a': 1}", '"', ""):
        with pytest.raises(ValueError):
            parse(wrong)


@pytest.mark.parametrize("kind", list(mutated_models.KINDS))
def test_mutated_files_are_refused_or_work(kind: str, tmp_path: Path) -> None:
    """Some of the many that ``python -m benchmarks.mutated_models`` tries."""
    found = list(mutated_models.run(3, 12, tmp_path, [kind]))
    assert len(found) == 12
    assert [o for o in found if o.verdict not in ("refused", *mutated_models.SOUND)] == []


@pytest.mark.filterwarnings("ignore::pyhits.errors.PyHiTSWarning")
@pytest.mark.parametrize("kind", list(mutated_models.KINDS))
def test_every_kind_of_model_comes_back_as_it_was(kind: str, tmp_path: Path) -> None:
    model = mutated_models.model_of(kind)
    path = model.save(tmp_path / "once.safetensors")
    again = pyhits.load(path)
    np.testing.assert_array_equal(mutated_models.use(again), mutated_models.use(model))
    assert again.save(tmp_path / "twice.safetensors").read_bytes() == path.read_bytes()


def test_flow_maps_of_two_dtypes_do_not_fit_together(tmp_path: Path) -> None:
    """A scale of a model in float32 beside one of a model in float64."""
    parts = []
    for dtype in ("float32", "float64"):
        model = quick(step_sizes=(1, 4), dtype=dtype).fit(circles(10, 40))
        saved = model.save(tmp_path / "m.safetensors")
        parts.append(read_tensors(saved, what="a model"))
    (tensors, facts), (others, _) = parts
    mixed = tensors | {k: v for k, v in others.items() if k.startswith("scale.4.")}
    bad = tmp_path / "mixed.safetensors"
    bad.write_bytes(to_bytes(mixed, json.dumps(strict(facts))))
    with pytest.raises(FileFormatError, match=r"dtype|F64"):
        pyhits.load(bad)


def test_a_region_of_numbers_beyond_any_data_is_refused(tmp_path: Path) -> None:
    saved = quick(step_sizes=(1, 4)).fit(circles(10, 40)).save(tmp_path / "m.safetensors")
    tensors, facts = read_tensors(saved, what="a model", check=lambda *_: None)
    tensors["trust.region.low"][0] = -1e308
    saved.write_bytes(to_bytes(tensors, json.dumps(strict(facts))))
    with pytest.raises(FileFormatError, match="region"):
        pyhits.load(saved)


BROKEN_FORMS = [
    {"degree": 10**6}, {"degree": "2"}, {"penalty": "none"}, {"functions": 3},
    {"functions": [["lambda", 0]]}, {"functions": [["sine", 7]]}, {"functions": [["sine", "0"]]},
    {"functions": [["sine", 0, [1.0]]]}, {"functions": [["sine"]]},
]  # fmt: skip


BROKEN_KERNELS = [
    {"degree": 10**6}, {"degree": 2}, {"kernel": "x"}, {"length": -1.0}, {"length": 0},
    {"whitening": -5.0}, {"stretch": [1.0] * 4}, {"stretch": ["a"]}, {"penalty": 3.0},
]  # fmt: skip


@pytest.fixture(scope="module")
def kernel_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A kernel, and the rows around which it is."""
    rows = np.sin(np.arange(60.0))[:, None] ** [1, 2, 3]
    model = quick(step_sizes=[1], flow_map="kernel", encoder=[], noise=False).fit(rows)
    path = model.save(tmp_path_factory.mktemp("kernel") / "m.safetensors")
    assert "kernel" in pyhits.load(path).updated(rows).history[1].flow_map
    return path, rows


@pytest.mark.parametrize("form", BROKEN_KERNELS, ids=[str(form) for form in BROKEN_KERNELS])
def test_broken_forms_of_kernels_are_refused(
    kernel_file: tuple[Path, np.ndarray], form: Facts, tmp_path: Path
) -> None:
    path, rows = kernel_file
    ((name, value),) = form.items()
    broken = tmp_path / "m.safetensors"
    broken.write_bytes(changed(path, _set(f"scales.0.history.form.{name}", value)))
    with pytest.raises(FileFormatError, match="fit the model anew"):
        pyhits.load(broken).updated(rows)


@pytest.fixture(scope="module")
def equation_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """An equation with a sine, and the rows that it was found in."""
    times = 0.1 * np.arange(300)
    pendulum = solve_ivp(
        lambda t, x: (x[1], -np.sin(x[0]) - 0.05 * x[1]), (0, 30), (2.0, 0.0),
        t_eval=times, rtol=1e-10, atol=1e-12,
    )  # fmt: skip
    rows = np.ascontiguousarray(pendulum.y.T)
    model = quick(step_sizes=[1], flow_map="ode", noise=False).fit(rows)
    path = model.save(tmp_path_factory.mktemp("equation") / "m.safetensors")
    assert pyhits.load(path).updated(rows).equations()
    return path, rows


@pytest.mark.parametrize("form", BROKEN_FORMS, ids=[str(form) for form in BROKEN_FORMS])
def test_broken_forms_of_files_are_refused(
    equation_file: tuple[Path, np.ndarray], form: Facts, tmp_path: Path
) -> None:
    path, rows = equation_file

    def change(facts: Facts, _: Any) -> None:
        facts["scales"][0]["history"]["form"] |= form

    broken = tmp_path / "m.safetensors"
    broken.write_bytes(changed(path, change))
    with pytest.raises(FileFormatError, match="fit the model anew"):
        pyhits.load(broken).updated(rows)
