"""Every script in examples/ runs, from any folder, and comes to what it promises."""

from __future__ import annotations

import functools
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import fit_few_baselines

import pyhits

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = sorted(p.name for p in EXAMPLES.glob("*.py"))

Run = Callable[[str], str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a script that writes to ``tmp_path / "out"``, and return what it prints."""

    def script(name: str) -> str:
        for folder in ("elsewhere", "out"):
            (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        monkeypatch.setattr(sys, "argv", [name, str(tmp_path / "out")])
        fit_few_baselines(monkeypatch)
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        assert list((tmp_path / "elsewhere").iterdir()) == []
        return capsys.readouterr().out

    return script


def mse(printed: str) -> float:
    found = re.search(r"^mse +(\S+)", printed, re.MULTILINE)
    assert found is not None
    return float(found[1])


@pytest.mark.parametrize("name", NAMES)
def test_importing_an_example_runs_nothing(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Their functions can be imported and tried one by one."""
    runpy.run_path(str(EXAMPLES / name), run_name="example")
    assert capsys.readouterr().out == ""


def test_every_example_has_a_test() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in NAMES if f'run("{name}")' not in here] == []


def test_quickstart(run: Run, tmp_path: Path) -> None:
    printed = run("quickstart.py")
    assert mse(printed) < 1e-14
    assert printed.endswith("The model file forecasts the same.\n")
    model = pyhits.load(tmp_path / "out" / "van-der-pol.safetensors")
    assert model.selection.step_sizes == (1, 2)


def test_own_recording(run: Run, tmp_path: Path) -> None:
    """The forecast goes on where the recording's first part ends, and follows the rest."""
    assert mse(run("own_recording.py")) < 1e-13
    recorded = pyhits.read(tmp_path / "out" / "nerve.csv")
    forecast = pyhits.read(tmp_path / "out" / "forecast.csv")
    assert forecast.feature_names == recorded.feature_names == ("voltage", "recovery")
    assert forecast.times()[-1] == pytest.approx(recorded.times()[-1])
    rest = recorded[0][-len(forecast[0]) :]
    np.testing.assert_array_equal(forecast[0][0], rest[0])
    np.testing.assert_allclose(forecast[0], rest, atol=1e-6)


def test_own_system(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyhits.systems import registry

    monkeypatch.setattr(registry, "_catalogue", dict(registry._catalogue))
    printed = run("own_system.py")
    assert "Sel'kov oscillator (selkov)" in printed
    assert "selkov" in pyhits.systems.names()
    assert mse(printed) < 1e-6
    assert list((tmp_path / "out").iterdir()) == []


def test_own_flow_map(run: Run, tmp_path: Path) -> None:
    """Its model file holds maps of a family that PyHiTS does not know."""
    from pyhits.flowmaps.base import FLOW_MAPS

    printed = run("own_flow_map.py")
    found = re.search(r"^coupled .*: (\S+) on fresh", printed, re.MULTILINE)
    assert found is not None
    assert float(found[1]) < 1e-3
    path = tmp_path / "out" / "pendulum.safetensors"
    assert {m.kind for m in pyhits.load(path).flow_maps.values()} == {"example-cosines"}
    del FLOW_MAPS.classes["example-cosines"]
    with pytest.raises(pyhits.PyHiTSError, match="example-cosines"):
        pyhits.load(path)


def test_hybrid(run: Run, tmp_path: Path) -> None:
    """Corrected, the coarse states are the simulator's, whatever was learned."""
    printed = run("hybrid.py")
    assert mse(printed) < 1e-12
    found = re.search(r"^corrected: (\S+) from the truth", printed, re.MULTILINE)
    assert found is not None
    assert float(found[1]) < 1e-6
    assert list((tmp_path / "out").iterdir()) == []


def test_dask_cluster(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its two workers in this process; ``test_cluster.py`` has processes."""
    distributed = pytest.importorskip("distributed")
    local = functools.partial(distributed.LocalCluster, processes=False)
    monkeypatch.setattr(distributed, "LocalCluster", local)
    printed = run("dask_cluster.py")
    assert "2 workers" in printed
    assert "The same model as trained in this process." in printed
    assert mse(printed) < 1e-3
    assert len(list((tmp_path / "out" / "checkpoint").glob("scale-*.safetensors"))) == 4
