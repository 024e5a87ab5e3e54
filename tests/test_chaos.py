"""The benchmark of chaotic systems: its baselines are what they say, and it runs on other data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import chaos, few_nets


def wave(n: int) -> np.ndarray:
    t = 0.1 * np.arange(n)
    return np.stack([np.sin(t), np.cos(t) + 2.0], axis=1)


@pytest.mark.parametrize("model", [chaos.nvar, chaos.dmd])
def test_regressions_go_on_with_a_wave(model: chaos.Forecaster) -> None:
    assert np.abs(model(wave(400), 100) - wave(500)[400:]).max() < 1e-6


def test_nvar_steps_a_quadratic_map_exactly() -> None:
    x = [0.3]
    for _ in range(120):
        x.append(3.2 * x[-1] * (1 - x[-1]))
    known = np.array(x)[:, None]
    assert np.abs(chaos.nvar(known[:100], 20) - known[100:120]).max() < 1e-6


def test_a_map_that_runs_away_is_lost_not_an_error() -> None:
    known = np.exp(0.5 * np.arange(60))[:, None]
    assert chaos.nvar(known, 200).shape == (200, 1)


@pytest.mark.slow
@pytest.mark.usefixtures("few_forms")
def test_other_recordings_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chaos, "N_TRAIN", 150)
    np.savez(tmp_path / "data.npz", first=wave(200), second=wave(230) * 3)
    out = tmp_path / "chaos.json"
    words = ["--data", str(tmp_path / "data.npz"), "--models", "hits", "nvar", "persistence"]
    assert chaos.main([*words, "--noise", "0.01", "--out", str(out)]) == 0
    records = json.loads(out.read_text())
    assert [(r["system"], r["model"]) for r in records] == [
        (system, model)
        for system in ("first", "second")
        for model in ("hits", "nvar", "persistence")
    ]
    by_model = {r["model"]: r["smape"] for r in records}
    assert by_model["hits"] < 0.5 * by_model["persistence"]
    assert all(0 <= r["valid_periods"] <= 1 for r in records)


@pytest.mark.slow
def test_nets_are_compared_on_rows_that_chose_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pyhits.training import closed, nets

    monkeypatch.setattr(nets, "_STEPS", 20)
    monkeypatch.setattr(closed, "HOPELESS", np.inf)
    rng = np.random.default_rng(0)
    noisy = wave(1000) + 0.1 * rng.standard_normal((1000, 2))
    np.savez(tmp_path / "some.npz", noisy=noisy, exact=wave(1000))
    assert few_nets.main(["--data", str(tmp_path / "some.npz")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:-3]] == ["noisy"]
    assert sum(int(line.split(" of ")[1].split()[0]) for line in lines[-3:]) == 1


def test_rivals_count_where_they_are_clearly_better() -> None:
    errors = {"hits": 10.0, "nvar": 8.9, "esn": 9.1, "closed": 1.0}
    records = [{"system": "a", "model": model, "smape": error} for model, error in errors.items()]
    records += [{"system": "b", "model": model, "smape": 1.0} for model in errors]
    assert chaos.clearly_better(records) == {"a": ["nvar"]}
