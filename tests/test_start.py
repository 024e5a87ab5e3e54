"""Commands that need no torch do not import it, and refuse all the same what is broken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import circles
from typer.testing import CliRunner

import pyhits
from pyhits import ClosedForms, HiTS, TimeStepper
from pyhits.cli.app import app
from pyhits.encoders import POD
from pyhits.forecasting.described import text
from pyhits.modelfiles.described import read_described

#: Runs a command and says which of the heavy packages it has imported.
_RUN = """
import sys
from pyhits.cli import main
try:
    main()
except SystemExit as end:
    if end.code:
        raise
print("IMPORTED", [name for name in ("torch", "scipy", "sklearn") if name in sys.modules])
"""

MODELS = {
    "plain": lambda: HiTS(step_sizes=[1, 2], flow_map=ClosedForms(), random_state=0),
    "encoded": lambda: HiTS(step_sizes=[1], encoder=[POD(2)], flow_map=ClosedForms()),
}


@pytest.fixture(scope="module", params=MODELS)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("start") / f"{request.param}.safetensors"
    return MODELS[request.param]().fit(circles(8, 60)).save(path)


def imported(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *map(str, arguments)],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return done.stdout.splitlines()[-1]


def test_help_and_checks_import_nothing_heavy(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    np.savetxt(table, circles(1, 30)[0], delimiter=",", header="x,y", comments="")
    for arguments in (["--help"], ["fit", "--help"], ["check", table]):
        assert imported(*arguments) == "IMPORTED []"


def test_info_needs_no_torch(saved: Path) -> None:
    assert imported("info", saved) == "IMPORTED []"


def test_what_is_shown_of_a_file_is_what_is_shown_of_its_model(saved: Path) -> None:
    loaded = pyhits.load(saved)
    assert isinstance(loaded, TimeStepper)
    assert text(read_described(saved)) == text(loaded)


def test_info_refuses_what_is_broken(saved: Path, tmp_path: Path) -> None:
    whole, broken = saved.read_bytes(), tmp_path / "broken.safetensors"
    flipped = whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:]
    for content in (whole[:-1], whole + b"x", flipped, whole.replace(b"coupling", b"couplinh")):
        broken.write_bytes(content)
        done = CliRunner().invoke(app, ["info", str(broken)])
        assert (done.exit_code, done.stdout) == (2, ""), done.output
        assert done.stderr.startswith(f"Error: {broken} is ")
