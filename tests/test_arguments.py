"""Numbers that nobody means: every public argument takes them, or refuses them in a sentence."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyhits
from pyhits import (
    HiTS,
    Hybrid,
    PyHiTSError,
    Trajectories,
)
from pyhits.encoders import POD, DelayEmbedding
from pyhits.policies import Auto, Best, ClosedForms, Coupling, HoldOut, Nets, Training
from pyhits.training import Recipe

ODD: list[Any] = [
    2**70,
    -(2**70),
    2**63,
    10**400,
    -1,
    0,
    float("nan"),
    float("inf"),
    -float("inf"),
    1e308,
    1e-320,
    True,
    "3",
    None,
    [],
    3.5,
    np.float32("nan"),
    np.int64(-5),
    object(),
    1j,
]


@pytest.fixture(scope="module")
def data() -> Trajectories:
    t = 0.05 * np.arange(80)
    return Trajectories([np.c_[np.cos(t + k), np.sin(t + k)] for k in range(4)], 0.05)


@pytest.fixture(scope="module")
def model(data: Trajectories) -> HiTS:
    quick = HiTS(
        flow_map=Nets((4,)),
        training=Training(max_steps=2),
        step_sizes=(1, 4),
        n_jobs=1,
        verbose=False,
    )
    return quick.fit(data)


def takes_or_refuses(call: Callable[..., Any], *names: str, **others: Any) -> None:
    """Call with each odd value for each argument; all but PyHiTS's own errors fail the test."""
    for name, value in itertools.product(names, ODD):
        try:
            call(**{**others, name: value})
        except PyHiTSError:
            continue
        except Exception as error:
            pytest.fail(f"{name}={value!r}: {type(error).__name__}: {error}")


@pytest.mark.filterwarnings("ignore")
def test_odd_numbers_for_trajectories(data: Trajectories) -> None:
    rows = data[0]
    takes_or_refuses(Trajectories, "data", dt=0.1)
    takes_or_refuses(partial(Trajectories, rows), "dt", "feature_names", "grid", dt=0.1)
    takes_or_refuses(data.split, "fraction", "random_state")
    takes_or_refuses(data.split_time, "last", "overlap")
    takes_or_refuses(data.cut, "n_rows", "start", n_rows=2)
    takes_or_refuses(data.add_noise, "level", "random_state", level=0.1)
    takes_or_refuses(data.times, "trajectory")
    takes_or_refuses(data.dates, "trajectory")
    takes_or_refuses(data.select, "names")
    takes_or_refuses(data.with_dt, "dt")
    takes_or_refuses(data.with_values, "values")


@pytest.mark.filterwarnings("ignore")
def test_odd_numbers_for_reading(tmp_path: Path, data: Trajectories) -> None:
    path = tmp_path / "table.csv"
    np.savetxt(path, data[0], delimiter=",", header="a,b", comments="")
    options = "dt", "time_column", "columns", "without_columns", "names", "feature_names"
    takes_or_refuses(partial(pyhits.read, path), *options)
    takes_or_refuses(partial(pyhits.repair, path), *options, "resample", "longest_gap")


@pytest.mark.filterwarnings("ignore")
def test_odd_numbers_for_settings(data: Trajectories) -> None:
    for policy in (Recipe, Auto, Best, ClosedForms, Coupling, HoldOut, Nets, Training):
        for name in inspect.signature(policy).parameters:
            takes_or_refuses(policy, name)
    # A fit of a single row ends before it trains.
    one = data.cut(2)[:1]
    for name in inspect.signature(HiTS).parameters:
        if name not in ("n_jobs", "verbose"):
            takes_or_refuses(lambda **given: HiTS(**given).fit(one), name)


@pytest.mark.filterwarnings("ignore")
def test_odd_numbers_for_encoders(data: Trajectories) -> None:
    for kind, names in {
        POD: ("n_modes", "energy", "random_state", "max_bytes"),
        DelayEmbedding: ("n_delays", "lag"),
    }.items():
        others = {"n_delays": 2} if kind is DelayEmbedding else {}
        takes_or_refuses(lambda kind=kind, **given: kind(**given).fit(data), *names, **others)


@pytest.mark.filterwarnings("ignore")
def test_odd_numbers_for_models(tmp_path: Path, data: Trajectories, model: HiTS) -> None:
    start = data[0][0]
    takes_or_refuses(model.forecast, "initial_states", n_steps=3)
    takes_or_refuses(partial(model.forecast, start), "t")
    for name in ("n_steps", "tol", "interval", "rows_per_block", "step_sizes", "interpolation"):
        takes_or_refuses(partial(model.forecast, start), name, n_steps=3)
    takes_or_refuses(model.evaluate, "n_steps", "step_sizes", "lyapunov", test=data)
    takes_or_refuses(model.couple, "selection")
    takes_or_refuses(model.save, "path")
    system = pyhits.systems.get("van-der-pol")
    hybrid = partial(Hybrid, model, system)
    takes_or_refuses(lambda **given: hybrid(**given).forecast(start, 3), "dt")


def test_a_tolerance_beyond_all_numbers_allows_them(data: Trajectories, model: HiTS) -> None:
    large, largest = (model.forecast(data[0][0], 20, tol=tol) for tol in (1e30, 1e140))
    np.testing.assert_array_equal(large, largest)


def test_a_time_too_late_is_said_to_be_late(data: Trajectories, model: HiTS) -> None:
    with pytest.raises(PyHiTSError, match=r"t = 1e\+308 is inf steps of dt = 0.05"):
        model.forecast(data[0][0], t=[0.1, 1e308])
    with pytest.raises(PyHiTSError, match="0 or later"):
        model.forecast(data[0][0], t=[0.1, -1.0])


def test_trajectories_are_counted_from_either_end(data: Trajectories) -> None:
    shifted = Trajectories(list(data), data.dt, start_times=[0.0, 1.0, 2.0, 3.0])
    assert shifted.times(-1)[0] == shifted.times(3)[0] == 3.0
    with pytest.raises(PyHiTSError, match="no trajectory 4, there are 4"):
        shifted.times(4)
