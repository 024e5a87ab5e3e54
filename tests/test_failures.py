"""A fit, a coupling, a calibration that fails leaves everything as it was."""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from conftest import circles

import pyhits
from pyhits.encoders import (
    POD,
    Chain,
    DelayEmbedding,
    Encoder,
    Standardise,
)
from pyhits.errors import DataError, NotFittedError
from pyhits.paper.rivals import EchoStateNetwork
from pyhits.policies import arguments

SETTINGS: dict[str, Any] = {
    "step_sizes": [1, 2, 4], "flow_map": "polynomial", "polynomial_degree": 1, "encoder": [],
    "noise": False, "random_state": 0, "n_jobs": 1, "verbose": False,
}  # fmt: skip


def interrupted_at(call: int, error: type[BaseException], action: Callable[[], Any]) -> int:
    """Run ``action``, raise ``error`` at a call of the library, and return how many there were."""
    count = 0

    def watch(frame: FrameType, event: str, _: Any) -> None:
        nonlocal count
        if event == "call" and "/pyhits/" in frame.f_code.co_filename.replace("\\", "/"):
            count += 1
            if count == call:
                sys.setprofile(None)
                raise error("in the midst of it")

    sys.setprofile(watch)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


def bytes_of(model: pyhits.HiTS, folder: Path) -> bytes:
    return model.save(folder / "model.safetensors").read_bytes()


def estimator(path: Path) -> pyhits.HiTS:
    """An estimator that has fitted the model of a file."""
    model = pyhits.HiTS(**arguments(**SETTINGS))
    model.stepper_ = pyhits.load(path)
    return model


def wide(n_features: int = 3) -> pyhits.Trajectories:
    """Other data than the circles: of other features, step and length."""
    rng = np.random.default_rng(1)
    turn = np.linalg.qr(rng.standard_normal((n_features, n_features)))[0]
    rows = [rng.standard_normal((6, n_features))]
    for _ in range(59):
        rows.append(rows[-1] @ (0.99 * turn))
    return pyhits.Trajectories(np.stack(rows, axis=1), dt=0.3)


ACTIONS: dict[str, Callable[[pyhits.HiTS], Any]] = {
    "fit": lambda model: model.fit(wide()),
    "couple": lambda model: model.couple([1, 4], validation=circles(3, 40)),
    "calibrate": lambda model: model.calibrate(circles(12, 40)),
}


@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.filterwarnings("ignore::pyhits.errors.PyHiTSWarning")
def test_a_model_is_the_old_one_or_a_whole_new_one_wherever_it_fails(
    name: str, tmp_path: Path
) -> None:
    model = pyhits.HiTS(**arguments(**SETTINGS)).fit(circles(6, 60))
    act = ACTIONS[name]
    begin = bytes_of(model, tmp_path)
    attributes = dict(vars(model))
    path = tmp_path / "begin.safetensors"
    path.write_bytes(begin)
    calls = interrupted_at(0, RuntimeError, lambda: act(estimator(path)))
    outcomes = []
    # Both kinds of errors, each at the very last call too.
    moments = {*np.geomspace(1, calls, 9).astype(int), *np.linspace(1, calls, 4).astype(int)}
    errors = itertools.cycle((KeyboardInterrupt, RuntimeError))
    for call, error in [*zip(sorted(moments), errors, strict=False), (calls, KeyboardInterrupt)]:
        try:
            interrupted_at(int(call), error, functools.partial(act, model))
        except error:
            outcomes.append("failed")
            assert bytes_of(model, tmp_path) == begin
            now = vars(model)
            assert now.keys() == attributes.keys()
            assert all(now[key] is value for key, value in attributes.items())
        else:
            outcomes.append("whole")
            model.save(tmp_path / "whole.safetensors")
            read = pyhits.load(tmp_path / "whole.safetensors")
            states = np.full((1, read.n_features_in), 0.5)
            np.testing.assert_array_equal(model.forecast(states, 5), read.forecast(states, 5))
            model = estimator(path)
            attributes = dict(vars(model))
    assert "failed" in outcomes


def test_nothing_of_an_earlier_fit_joins_the_next(tmp_path: Path) -> None:
    drive = np.sin(np.arange(200.0))[:, None]
    x = np.zeros((200, 2))
    for k in range(199):
        x[k + 1] = 0.9 * x[k] + 0.1 * drive[k]
    x[:, 1] += 0.1 * np.arange(200)
    model = pyhits.HiTS(**arguments(**{**SETTINGS, "encoder": [DelayEmbedding(2)]})).fit(
        x, inputs=drive
    )
    model.set_params(encoder=[])
    fresh = pyhits.HiTS(**arguments(**SETTINGS)).fit(wide())
    starts = wide().initial_states
    for again in (model, estimator(model.save(tmp_path / "a.safetensors"))):
        again.fit(wide())
        assert vars(again).keys() == vars(fresh).keys()
        assert again.notes_ == fresh.notes_
        read = pyhits.load(again.save(tmp_path / "b.safetensors"))
        for forecast in (again.forecast, read.forecast):
            np.testing.assert_array_equal(forecast(starts, 9), fresh.forecast(starts, 9))


def test_a_refused_fit_leaves_an_unfitted_estimator_unfitted() -> None:
    model = pyhits.HiTS(**arguments(**{**SETTINGS, "encoder": [POD(9)]}))
    with pytest.raises(DataError, match="9 modes"):
        model.fit(wide())
    with pytest.raises(NotFittedError):
        model.forecast(np.zeros(3), 3)


def test_a_chain_whose_last_encoder_fails_keeps_the_first() -> None:
    chain = Chain([POD(2), Standardise(), DelayEmbedding(30)]).fit(wide())
    before = chain.state()
    with pytest.raises(DataError, match="takes at least 30"):
        chain.fit(wide(5).cut(20))
    after = chain.state()
    assert before.keys() == after.keys()
    assert all(
        after[name] is array or (after[name] == array).all() for name, array in before.items()
    )


@pytest.mark.parametrize("encoder", [DelayEmbedding(3), DelayEmbedding("auto"), POD(2)])
def test_an_encoder_that_fails_is_as_it_was(encoder: Encoder) -> None:
    before = {name: array.copy() for name, array in encoder.fit(wide()).state().items()}
    data = wide(4)
    other = type(encoder)(**encoder.get_params())
    calls = interrupted_at(0, RuntimeError, lambda: other.fit(data))
    for call in np.linspace(2, calls, 8).astype(int):
        with pytest.raises(RuntimeError, match="in the midst"):
            interrupted_at(int(call), RuntimeError, lambda: encoder.fit(data))
        after = encoder.state()
        assert before.keys() == after.keys()
        assert all((after[name] == array).all() for name, array in before.items())


def test_a_rival_that_fails_is_as_it_was() -> None:
    esn = EchoStateNetwork(
        n_units=20, washout=3, n_candidates=2, random_state=0, verbose=False
    ).fit(wide())
    before = esn.forecast(wide().initial_states, 5)
    with pytest.raises(DataError, match="washout"):
        esn.fit(wide(4).cut(4))
    np.testing.assert_array_equal(esn.forecast(wide().initial_states, 5), before)
