"""The page that steps a model in a browser: what it holds, and that its numbers are Python's."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import quick

import pyhits
from pyhits.encoders import POD, Standardise
from pyhits.errors import ArgumentError
from pyhits.flowmaps import CellMap, FlowMap, ODEMap, PolynomialMap, ResidualNet
from pyhits.flowmaps.odes.functions import KINDS, Function
from pyhits.report.explorer import write_explorer

Split = tuple[pyhits.Trajectories, pyhits.Trajectories, pyhits.Trajectories]

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

in_a_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium to open the page with")

#: What a visitor does: drags the start to another place, and switches the coarsest scale off.
DRIVER = """<script>
const area = document.getElementById("portrait"), box = area.getBoundingClientRect();
const at = (type, x, y) => area.dispatchEvent(new PointerEvent(
  type, { pointerId: 1, clientX: box.left + x, clientY: box.top + y }));
area.setPointerCapture = () => {};
at("pointerdown", 100, 100); at("pointermove", 150, 120); at("pointerup", 150, 120);
const boxes = [...document.querySelectorAll("#scales input")], last = boxes[boxes.length - 1];
if (boxes.length > 1) last.click();
const sizes = [...explorer.shown.active];
const start = explorer.shown.start, states = [...explorer.forecast(start, 60, sizes)];
const found = JSON.stringify({ far: explorer.check(), start, sizes, states });
document.body.innerHTML = "<pre>" + found + "</pre>";
</script></body>"""


def visited(page: Path) -> dict[str, Any]:
    """Open a page, do what the driver does, and return what came of it."""
    page.write_text(page.read_text("utf-8").replace("</body>", DRIVER), "utf-8")
    assert BROWSER is not None
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    done = subprocess.run(
        [BROWSER, *options, page.as_uri()], capture_output=True, text=True, check=True, timeout=120
    )
    found = re.search(r"<pre>(.*?)</pre>", done.stdout, re.DOTALL)
    assert found is not None, done.stdout[-2000:]
    return dict(json.loads(html.unescape(found[1])))


def made_of(maps: dict[int, FlowMap]) -> pyhits.TimeStepper:
    rng = np.random.default_rng(0)
    data = pyhits.Trajectories(3 + 2 * rng.standard_normal((4, 50, 2)), 0.1)
    return pyhits.TimeStepper.from_flow_maps(maps, data, scaling=Standardise().fit(data.values))


def polynomial(degree: int, outputs: int = 1, seed: int = 0) -> PolynomialMap:
    made = PolynomialMap(2, degree, outputs).double()
    size = made.coefficients.shape
    made.coefficients.copy_(0.03 * torch.randn(size, generator=torch.Generator().manual_seed(seed)))
    made.set_bounds(np.array([[-2.0, -2.0], [2.0, 2.0]]))
    return made


def ode(substeps: int, outputs: int = 1, kinds: Sequence[str] = ()) -> ODEMap:
    functions = [Function(kind, 0, 1.2, -3.0, -2.5, 4.0) for kind in kinds]
    made = ODEMap(2, 3, substeps, outputs, functions).double()
    made.coefficients[:, : made.basis.size] = polynomial(3).coefficients
    made.coefficients[:, made.basis.size :] = 0.01
    made.low.fill_(-2.0)
    made.high.fill_(2.0)
    return made


def net(activation: str) -> ResidualNet:
    torch.manual_seed(0)
    made = ResidualNet(2, (16, 16), activation, base_degree=2).double()
    made.scale.fill_(0.1)
    return made


def table() -> CellMap:
    made = CellMap(2, 2, 2, 3, (1, 1), 1).double()
    for name, values in {
        "low": [-2.0, -2.0], "high": [2.0, 2.0], "origin": [-2.0, -2.0], "per_box": [0.25, 0.25],
        "table": [0], "child": [1, 1, 2], "axis": [0, 0, 0], "threshold": [0.1, np.inf, np.inf],
        "leaf": [-1, 0, 1], "centre": [[-1.0, 0.0], [1.0, 0.0]], "per_half": [[1.0, 0.5]] * 2,
    }.items():  # fmt: skip
        getattr(made, name).copy_(torch.tensor(values))
    made.coefficients.copy_(0.02 * torch.randn(made.coefficients.shape))
    return made


MAPS: dict[str, dict[int, FlowMap]] = {
    "polynomials": {1: polynomial(3), 4: polynomial(2, seed=1)},
    "dense": {4: polynomial(3, outputs=4), 8: polynomial(1, seed=2)},
    "nets": {1: net("gelu"), 4: net("silu"), 8: net("tanh")},
    "coarse": {2: net("gelu")},
    "table": {1: table(), 2: table()},
    "odes": {1: ode(2), 6: ode(3, outputs=3)},
    "functions": {1: ode(2, kinds=list(KINDS))},
}


@in_a_browser
@pytest.mark.parametrize("maps", MAPS)
def test_the_page_steps_as_python_does(maps: str, tmp_path: Path) -> None:
    model = made_of(MAPS[maps])
    page = write_explorer(model, tmp_path / "page.html", n_steps=90)
    found = visited(page)
    assert found["far"] < 1e-9
    own = model.forecast(found["start"], 60, step_sizes=found["sizes"], on_divergence="return")
    assert found["start"] != json.loads(page.read_text().split('"start": ')[1].split("]")[0] + "]")
    np.testing.assert_allclose(np.reshape(found["states"], (61, 2)), own, rtol=1e-9, atol=1e-9)


@in_a_browser
def test_a_fitted_model_with_recordings(
    fitted: pyhits.HiTS, pendulum: Split, tmp_path: Path
) -> None:
    page = write_explorer(fitted, tmp_path / "page.html", pendulum[2])
    found = visited(page)
    assert found["far"] < 1e-5  # nets in float32
    assert len(found["sizes"]) < len(fitted.flow_maps_)


def test_the_page_needs_nothing_else(fitted: pyhits.HiTS, pendulum: Split, tmp_path: Path) -> None:
    text = write_explorer(
        fitted, tmp_path / "page.html", pendulum[2], title="</script>"
    ).read_text()
    assert not {w for w in ("src=", 'href="http', "<link", "fetch(", "import ") if w in text}
    assert text.count("</script>") == 2
    held = json.loads(text.split('id="model">')[1].split("</script>")[0])
    assert held["title"] == "</script>"
    assert held["coupled"] == list(fitted.selection_.step_sizes)
    assert held["widths"]["reach"] > 0
    assert len(held["recordings"]) == 12


def test_what_a_page_cannot_step_is_refused(
    oscillations: pyhits.Trajectories, tmp_path: Path
) -> None:
    coded = quick(step_sizes=[1], flow_map="polynomial", encoder=[POD(2)]).fit(oscillations)
    with pytest.raises(ArgumentError, match="cannot hold an encoder"):
        write_explorer(coded, tmp_path / "page.html")
    plain = quick(step_sizes=[1], flow_map="polynomial").fit(oscillations)
    with pytest.raises(ArgumentError, match="n_steps to be at most 100000"):
        write_explorer(plain, tmp_path / "page.html", n_steps=10**9)
    with pytest.raises(ArgumentError, match="the path of a file"):
        write_explorer(coded, 3)  # type: ignore[arg-type]
    pushed = quick(step_sizes=[1], flow_map="polynomial").fit(oscillations, inputs=["y"])
    with pytest.raises(ArgumentError, match="no place for inputs"):
        write_explorer(pushed, tmp_path / "page.html")
