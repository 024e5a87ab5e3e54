"""Columns that cost most of the rows: the advice, followed to the letter, leads to a model."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import pyhits
from pyhits.cli.app import app
from pyhits.errors import DataError


def _table(path: Path, *, n: int = 400, gap: bool = False) -> Path:
    t = 0.2 * np.arange(n)
    frame = pd.DataFrame(
        {
            "date": pd.date_range("2001-01-01", periods=n, freq="D").strftime("%Y-%m-%d"),
            "x": np.sin(t),
            "y z": np.cos(t),
            "early part": np.where(np.arange(n) < n // 2, np.sin(2 * t), np.nan),
            "late, part": np.where(np.arange(n) >= n // 2, np.cos(2 * t), np.nan),
        }
    ).rename(columns={"late, part": "late part"})
    frame = frame.drop(index=[50, 90]) if gap else frame
    frame.to_csv(path, index=False)
    return path


@pytest.mark.usefixtures("few_baselines")
@pytest.mark.parametrize("gap", [pytest.param(False, marks=pytest.mark.slow), True])
def test_the_command_that_check_names_trains_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gap: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    path = _table(tmp_path / "halves.csv", gap=gap)
    found = pyhits.check(path)
    assert found.data is not None
    assert found.data.feature_names == ("x", "y z")
    command = next(s for s in found.suggestions if s.startswith("pyhits fit"))
    words = shlex.split(command.partition(" trains on")[0])[1:]
    quick = ["--flow-map", "polynomial", "--encoder", "none", "--no-denoise", "-q"]
    result = CliRunner().invoke(app, [*words, *quick])
    assert result.exit_code == 0, result.output
    assert pyhits.load("model.safetensors").feature_names == ("x", "y z")


def test_a_repair_that_leaves_nothing_that_moves_is_refused(tmp_path: Path) -> None:
    n = 300
    x = np.where(np.arange(n) % 50 < 30, 0.0, np.sin(0.3 * np.arange(n)))
    frame = pd.DataFrame({"t": 0.1 * np.arange(n), "x": x, "y": np.where(x == 0, 1.0, np.nan)})
    frame.to_csv(tmp_path / "still.csv", index=False)
    frame["y"] = np.where(np.arange(n) % 50 < 20, 1.0, np.nan)
    frame.to_csv(tmp_path / "still.csv", index=False)
    with pytest.raises(DataError, match=r"constant in the rows that are left.*without_columns"):
        pyhits.repair(tmp_path / "still.csv")
    found = pyhits.check(tmp_path / "still.csv")
    assert found.data is not None
    assert found.data.n_rows == n
    assert "--without-columns y" in found.suggestions[0]


def test_a_field_that_is_empty_names_the_columns_that_cost_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"without_columns=.*reads the other columns") as raised:
        pyhits.read(_table(tmp_path / "halves.csv"))
    assert '--without-columns "early part,late part"' in str(raised.value)
