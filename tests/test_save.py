"""Model files: bit-equal, without code, and every damage named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Drift, quick
from safetensors.torch import save_file

import pyhits
from pyhits.data.summary import Summary
from pyhits.encoders import POD
from pyhits.errors import ArgumentError, FileFormatError, PyHiTSWarning
from pyhits.flowmaps import FlowMap
from pyhits.modelfiles.modelfile import FORMAT
from pyhits.util.tensorfile import read_tensors, strict, write_tensors

Split = tuple[pyhits.Trajectories, pyhits.Trajectories, pyhits.Trajectories]


def assert_same_summary(a: Summary, b: Summary) -> None:
    for name, value in vars(a).items():
        np.testing.assert_array_equal(value, getattr(b, name))


def test_save_then_load_is_bit_equal(fitted: pyhits.HiTS, pendulum: Split, tmp_path: Path) -> None:
    path = fitted.save(tmp_path / "made" / "m.safetensors")
    again = pyhits.load(path)
    start = pendulum[2].initial_states
    for sizes in (None, [1], [2, 8], [16]):
        np.testing.assert_array_equal(
            again.forecast(start, 60, step_sizes=sizes),
            fitted.forecast(start, 60, step_sizes=sizes),
        )
    assert again.selection == fitted.selection_
    assert again.history == fitted.history_
    assert again.feature_names == ("x", "y")
    assert (again.dt, again.notes) == (fitted.dt_, fitted.notes_)
    assert_same_summary(again.summary, fitted.summary_)
    assert again.agreement == fitted.agreement_
    twice = again.save(tmp_path / "twice.safetensors")
    assert twice.read_bytes() == path.read_bytes()
    assert again.fitted_by == fitted.stepper_.fitted_by
    assert "step_sizes=[1, 2, 4, 8, 16]" in again.fitted_by


def test_float64_models_stay_float64(oscillations: pyhits.Trajectories, tmp_path: Path) -> None:
    model = quick(step_sizes=[1, 2], dtype="float64", polynomial_degree=0).fit(oscillations)
    again = pyhits.load(model.save(tmp_path / "m.safetensors"))
    assert next(again.flow_maps[1].parameters()).dtype == torch.float64
    start = oscillations.initial_states
    np.testing.assert_array_equal(again.forecast(start, 9), model.forecast(start, 9))


def test_a_model_file_holds_no_code(fitted: pyhits.HiTS, tmp_path: Path) -> None:
    path = fitted.save(tmp_path / "m.safetensors")
    tensors, facts = read_tensors(path, what="a model")
    assert facts["format"] == FORMAT
    assert facts["data"]["fingerprint"] == fitted.summary_.fingerprint
    assert [s["step_size"] for s in facts["scales"]] == [1, 2, 4, 8, 16]
    assert b"pickle" not in path.read_bytes()
    assert all(torch.is_tensor(t) for t in tensors.values())


def test_bad_model_files(fitted: pyhits.HiTS, tmp_path: Path) -> None:
    path = fitted.save(tmp_path / "m.safetensors")
    content = path.read_bytes()
    tensors, facts = read_tensors(path, what="a model")

    def refused(name: str, message: str, data: bytes | None = None) -> None:
        target = tmp_path / name
        if data is not None:
            target.write_bytes(data)
        with pytest.raises(FileFormatError, match=message):
            pyhits.load(target)

    refused("missing.safetensors", "There is no file")
    refused("", "is a folder")
    refused("empty.safetensors", "truncated or of another kind", b"")
    refused("half.safetensors", "truncated or of another kind", content[: len(content) // 2])
    refused("text.safetensors", "truncated or of another kind", b"hello, I am a text file")
    save_file({"a": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    refused("foreign.safetensors", "no PyHiTS metadata")
    write_tensors(tmp_path / "new.safetensors", tensors, facts | {"format": 99})
    refused("new.safetensors", "newer than this version")
    write_tensors(tmp_path / "other.safetensors", {}, {"progress": 1})
    refused("other.safetensors", "not a model")
    write_tensors(tmp_path / "bare.safetensors", {}, facts)
    refused("bare.safetensors", "is damaged")
    without = {k: v for k, v in facts.items() if k != "scales"}
    write_tensors(tmp_path / "lost.safetensors", tensors, without)
    refused("lost.safetensors", "is damaged")
    with pytest.raises(ArgumentError, match=r"end in \.safetensors"):
        fitted.save(tmp_path / "m.pkl")
    (tmp_path / "file").write_text("")
    with pytest.raises(FileFormatError, match="Cannot write"):
        fitted.save(tmp_path / "file" / "m.safetensors")
    assert not list(tmp_path.glob(".m.safetensors*"))


def test_a_users_flow_map_couples_and_saves(fitted: pyhits.HiTS, tmp_path: Path) -> None:
    model = pyhits.load(fitted.save(tmp_path / "m.safetensors"))
    model.flow_maps[1] = Drift(2)
    found = model.forecast(np.zeros((3, 2)), 4, step_sizes=[1])
    steps = np.arange(5)[:, None] * 0.5 * model.scaling.scale_
    np.testing.assert_allclose(found, np.broadcast_to(steps, (3, 5, 2)), atol=1e-5)
    again = pyhits.load(model.save(tmp_path / "own.safetensors"))
    assert isinstance(again.flow_maps[1], Drift)

    class Unnamed(FlowMap):
        pass

    model.flow_maps[1] = Unnamed(2)
    with pytest.raises(ArgumentError, match="register"):
        model.save(tmp_path / "no.safetensors")


@pytest.mark.slow
def test_rows_of_millions_of_numbers(tmp_path: Path) -> None:
    """The header of a file holds 100 MB, fewer than a few lists of the features' numbers take."""
    shape = np.random.default_rng(0).standard_normal(2_000_000, dtype=np.float32)
    rows = np.sin(np.arange(6, dtype=np.float32))[:, None] * shape
    model = quick(step_sizes=[1], encoder=POD(1), training="reproduce").fit(rows, dt=0.1)
    again = pyhits.load(model.save(tmp_path / "m.safetensors"))
    assert again.feature_names == model.feature_names_
    assert_same_summary(again.summary, model.summary_)
    np.testing.assert_array_equal(again.forecast(rows[:1], 2), model.forecast(rows[:1], 2))


def _without_checksum(path: Path, version: int) -> None:
    """Write a model file as versions before the checksum did."""
    tensors, facts = read_tensors(path, what="a model")
    text = json.dumps(strict(facts | {"format": version}))
    save_file({k: v.clone() for k, v in tensors.items()}, path, metadata={"pyhits": text})


def test_files_of_format_5_are_read_with_a_warning(fitted: pyhits.HiTS, tmp_path: Path) -> None:
    path = fitted.save(tmp_path / "m.safetensors")
    _without_checksum(path, 5)
    with pytest.warns(PyHiTSWarning, match=r"m\.safetensors .* no checksum"):
        again = pyhits.load(path)
    start = np.array([[1.0, 0.5]])
    np.testing.assert_array_equal(again.forecast(start, 50), fitted.forecast(start, 50))
    for version, message in ((4, "never released"), (FORMAT, "lost its checksum")):
        _without_checksum(fitted.save(path), version)
        with pytest.raises(FileFormatError, match=message):
            pyhits.load(path)


def test_every_changed_byte_of_the_tensors_is_noticed(fitted: pyhits.HiTS, tmp_path: Path) -> None:
    """Lowest bits of weights, which no check of values could see."""
    path = fitted.save(tmp_path / "m.safetensors")
    content = bytearray(path.read_bytes())
    begin = 8 + int.from_bytes(content[:8], "little")
    rng = np.random.default_rng(0)
    for at in (begin, len(content) - 1, *rng.integers(begin, len(content), 30)):
        content[at] ^= 1
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match="damaged"):
            pyhits.load(path)
        content[at] ^= 1
    path.write_bytes(content)
    pyhits.load(path)


def test_names_that_nobody_gave_are_left_out(
    oscillations: pyhits.Trajectories, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written(model: pyhits.HiTS) -> dict[str, Any]:
        path = model.save(tmp_path / "m.safetensors")
        assert pyhits.load(path).feature_names == model.feature_names_
        return read_tensors(path, what="a model")[1]

    named = quick(step_sizes=[1]).fit(oscillations)
    assert written(named)["feature_names"] == ["x", "y"]
    assert "feature_names" not in written(
        quick(step_sizes=[1]).fit(oscillations.to_array(), dt=0.1)
    )
    monkeypatch.setattr("pyhits.util.tensorheader._MOST_EVER", 30)
    with pytest.raises(ArgumentError, match="shorter feature names"):
        named.save(tmp_path / "m.safetensors")


def test_long_settings_do_not_make_a_file_that_is_refused(
    oscillations: pyhits.Trajectories, tmp_path: Path
) -> None:
    widths = {1: (2,) * 200, 2: (3,) * 200}
    model = quick(step_sizes=[1, 2], hidden_sizes=widths, max_steps=1).fit(oscillations)
    stepper = replace(model.stepper_, fitted_by="x" * 100_000)
    for one in (model, stepper):
        assert len(pyhits.load(one.save(tmp_path / "m.safetensors")).fitted_by) <= 2000
