"""Odd data and odd files that once went wrong."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import Drift, circles, quick
from typer.testing import CliRunner

import pyhits
from pyhits import plots
from pyhits.cli.app import app
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, DataError, FileFormatError, PyHiTSWarning
from pyhits.forecasting.maps import FittedMaps
from pyhits.util.tensorfile import read_tensors, write_tensors


@pytest.mark.parametrize("value", [0.0, 1.0, 3.3, 101325.0, -1e-7])
@pytest.mark.parametrize("degree", [9, 0])
def test_constant_features_stay_constant(value: float, degree: int) -> None:
    base = circles(20, 60).to_array()
    data = np.concatenate([base, np.full_like(base[..., :1], value)], axis=2)
    model = quick(step_sizes=[1, 4], polynomial_degree=degree).fit(data, dt=0.1)
    found = model.forecast(data[:, 0], 50, on_divergence="return")
    np.testing.assert_allclose(found[..., 2], value, rtol=1e-12)


@pytest.mark.usefixtures("few_baselines")
def test_a_clock_goes_on() -> None:
    """A feature that grows at a constant rate has increments without any variance."""
    ramp = np.arange(200.0)[:, None]
    model = quick().fit(ramp)
    np.testing.assert_allclose(model.forecast([10.0], 5)[:, 0], 10 + np.arange(6.0), atol=1e-4)
    t = 0.02 * np.arange(600)
    data = np.column_stack([np.sin(t), np.cos(t), 1000 + 60 * t])
    model = quick(step_sizes=[1, 8]).fit(data, dt=0.02)
    found = model.forecast(data[100], 300)
    np.testing.assert_allclose(found[:, 2], data[100:401, 2], rtol=1e-4)


def test_tiny_numbers_are_standardised() -> None:
    values = 1e-170 * np.random.default_rng(0).standard_normal((50, 2))
    z = Standardise().fit(values).transform(values)
    np.testing.assert_allclose(z.std(axis=0), 1)


def test_settings_may_be_numpy_scalars(tmp_path: Path) -> None:
    model = quick(
        step_sizes=np.array([1, 2]), max_steps=np.int64(5), learning_rate=np.float32(1e-3),
        rollout_steps=1.0, polynomial_degree=2.0, verbose=np.bool_(False),
    ).fit(circles(9, 40))  # fmt: skip
    again = pyhits.load(model.save(tmp_path / "m.safetensors"))
    assert again.recipe.max_steps == 5


def test_a_loaded_model_keeps_its_recipe(tmp_path: Path) -> None:
    data = circles(9, 40)
    named = pyhits.load(quick(step_sizes=[1]).fit(data).save(tmp_path / "a.safetensors"))
    assert named.recipe.max_steps == 60
    own = pyhits.Training(learning_rate=1e-2, schedule="constant", max_steps=60)
    kept = pyhits.load(
        quick(step_sizes=[1], training=own).fit(data).save(tmp_path / "b.safetensors")
    )
    assert (kept.recipe.learning_rate, kept.recipe.schedule) == (1e-2, "constant")


@pytest.mark.usefixtures("few_baselines")
def test_names_are_text_in_reports_and_figures(tmp_path: Path) -> None:
    names = ["<script>alert(1)</script>", "$\\foo$"]
    data = pyhits.Trajectories(circles(9, 40).to_array(), 0.1, feature_names=names)
    model = quick(step_sizes=[1, 2]).fit(data)
    page = pyhits.write_report(model, data, tmp_path / "r.html", title="<b>").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<title>&lt;b&gt;</title>" in page


def test_forecasts_from_tables_and_trajectories() -> None:
    data = circles(9, 40)
    model = quick(step_sizes=[1]).fit(data)
    expected = model.forecast(data.initial_states, 5)
    table = pd.DataFrame(data.initial_states, columns=["x", "y"])
    np.testing.assert_array_equal(model.forecast(table[["y", "x"]], 5), expected)
    np.testing.assert_array_equal(model.forecast(data, 5), expected)
    with pytest.raises(DataError, match="columns x, y, got x, z"):
        model.forecast(table.rename(columns={"y": "z"}), 5)


def test_an_array_of_arrays_is_a_list_of_trajectories() -> None:
    pieces = list(circles(3, 20))
    ragged = np.empty(3, dtype=object)
    for k in range(3):
        ragged[k] = pieces[k][: 10 + k]
    assert pyhits.Trajectories(ragged).lengths.tolist() == [10, 11, 12]


def test_tensors_without_a_numpy_type() -> None:
    tensor = torch.ones(4, 2, dtype=torch.bfloat16)
    assert pyhits.Trajectories(tensor).dtype == np.float32
    with pytest.raises(DataError, match="tensor"):
        pyhits.Trajectories(torch.ones(4, 2).to_sparse())


def test_interrupting_the_choice_of_scales_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    data = circles(20, 60)
    calls: list[tuple[int, ...]] = []
    original = FittedMaps.ahead

    def ahead(self: FittedMaps, states: Any, n: int, sizes: Any, **options: Any) -> Any:
        calls.append(tuple(sizes))
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return original(self, states, n, sizes, **options)

    monkeypatch.setattr(FittedMaps, "ahead", ahead)
    with pytest.warns(PyHiTSWarning, match="took \\[1\\], the best so far"):
        model = quick(step_sizes=[1, 2, 4]).fit(data)
    assert set(model.flow_maps_) == {1, 2, 4}
    assert model.selection_.step_sizes == (1,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"validation": "a"}, "fraction"),
        ({"target_error": "a"}, "target_error"),
        ({"random_state": 2**32}, "less than 2\\*\\*32"),
        ({"step_sizes": [10**20]}, "longer than any recording"),
        ({"device": "meta"}, "cannot compute"),
    ],
)
def test_values_of_another_kind(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        quick(**settings).fit(circles(9, 40))


@pytest.mark.parametrize("seed", [-1, "a", 2**40])
def test_bad_seeds_of_a_simulation(seed: Any) -> None:
    with pytest.raises(ArgumentError, match="random_state"):
        pyhits.systems.get("cubic").simulate(2, 5, random_state=seed)


def _put(facts: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    return facts | {key: value}


@pytest.mark.parametrize(
    "change",
    [
        lambda f, t: (_put(f, "dt", "zzz"), t),
        lambda f, t: (_put(f, "dt", 0.0), t),
        lambda f, t: (_put(f, "dt", float("nan")), t),
        lambda f, t: (_put(f, "seconds", "x"), t),
        lambda f, t: (_put(f, "scales", []), t),
        lambda f, t: (_put(f, "feature_names", ["x"]), t),
        lambda f, t: (_put(f, "feature_names", ["x", "x"]), t),
        lambda f, t: (_put(f, "data", {}), t),
        lambda f, t: (_put(f, "selection", f["selection"] | {"step_sizes": [64]}), t),
        lambda f, t: (_put(f, "selection", f["selection"] | {"step_sizes": []}), t),
        lambda f, t: (f, t | {"encoder.mean": torch.zeros(3)}),
        lambda f, t: (f, t | {"encoder.scale": torch.zeros(2)}),
        lambda f, t: (f, t | {"encoder.scale": torch.tensor([1.0, float("nan")])}),
    ],
)
def test_model_files_that_contradict_themselves(change: Any, tmp_path: Path) -> None:
    path = quick(step_sizes=[1]).fit(circles(9, 40)).save(tmp_path / "m.safetensors")
    tensors, facts = read_tensors(path, what="a model")
    facts, tensors = change(facts, tensors)
    write_tensors(tmp_path / "bad.safetensors", tensors, facts)
    with pytest.raises(FileFormatError, match="damaged"):
        pyhits.load(tmp_path / "bad.safetensors")


def test_odd_calls_of_load(tmp_path: Path) -> None:
    path = quick(step_sizes=[1]).fit(circles(9, 40)).save(tmp_path / "m.safetensors")
    with pytest.raises(ArgumentError, match="path of a model file"):
        pyhits.load(None)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="torch device"):
        pyhits.load(path, device="xyz")
    write_tensors(tmp_path / "list.safetensors", {}, [1, 2])  # type: ignore[arg-type]
    with pytest.raises(FileFormatError, match="no record"):
        pyhits.load(tmp_path / "list.safetensors")


def test_outputs_are_checked_before_the_work(tmp_path: Path) -> None:
    """Hours of training must not end at a folder that cannot be written to."""
    pyhits.write(circles(9, 40), tmp_path / "d.npz")
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "file").write_text("")
    begun = []
    for arguments in (
        ["fit", "d.npz", "-o", "folder.safetensors"],
        ["fit", "d.npz", "-o", "file/m.safetensors"],
        ["simulate", "cubic", "-o", "x.xyz"],
        ["simulate", "cubic", "-o", "file/x.npz"],
        ["demo", "--out", "file"],
    ):
        paths = [str(tmp_path / a) if "." in a or a == "file" else a for a in arguments]
        done = CliRunner().invoke(app, paths)
        assert done.exit_code == 2, done.output
        begun.append("Training" in done.stderr or "net [" in done.stderr)
    assert not any(begun)
    assert {p.name for p in tmp_path.iterdir()} == {"d.npz", "folder.safetensors", "file"}


def test_time_columns_by_number(tmp_path: Path) -> None:
    t = 0.5 * np.arange(30)
    np.savetxt(tmp_path / "plain.txt", np.column_stack([np.sin(t), np.cos(t), t]))
    out = tmp_path / "m.safetensors"
    options = ["--time-column", "2", "--max-steps", "5", "--n-jobs", "1", "-o", str(out)]
    done = CliRunner().invoke(app, ["fit", str(tmp_path / "plain.txt"), *options])
    assert done.exit_code == 0, done.output
    assert pyhits.load(out).dt == 0.5


def test_a_figure_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = plots.portrait(np.zeros((1, 3, 2)), ["a", "b"], ax=plots.blank()).figure

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", full)
    with pytest.raises(FileFormatError, match="No space left"):
        plots.save_figure(figure, tmp_path / "f.png")
    assert list(tmp_path.iterdir()) == []


def test_users_flow_maps_without_settings_still_step() -> None:
    assert Drift(2).n_parameters == 2
