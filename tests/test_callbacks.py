"""What callbacks are told, in one process and in several, and what those that raise leave."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyhits
from pyhits.errors import ArgumentError, FileFormatError, PyHiTSWarning

NETS = {"flow_map": pyhits.Nets((8,), polynomial_degree=0), "max_steps": 40, "n_jobs": 1}


class Heard(pyhits.Callback):
    """Keeps what it is told, and raises ``error`` at an event."""

    def __init__(self, error: type[BaseException] | None = None, at: str = "", size: int = 1):
        self.events: list[tuple[Any, ...]] = []
        self.error, self.at, self.size = error, at, size

    def _note(self, name: str, size: int, *values: Any) -> None:
        self.events.append((name, size, *values))
        if self.error is not None and (name, size) == (self.at, self.size):
            raise self.error("told to")

    def on_fit_begin(self) -> None:
        self._note("begin", 0)

    def on_progress(self, step_size: int, step: int, total: int, error: float) -> None:
        self._note("progress", step_size, step, total, error)

    def on_scale_end(self, step_size: int, history: Any) -> None:
        self._note("end", step_size, history.flow_map)

    def on_fit_end(self, model: pyhits.TimeStepper | None) -> None:
        self._note("over", 0, model)

    def named(self, name: str) -> list[tuple[Any, ...]]:
        return [event[1:] for event in self.events if event[0] == name]


def fit(data: pyhits.Trajectories, heard: Any, model: Any = None, **settings: Any) -> pyhits.HiTS:
    checkpoint = settings.pop("checkpoint", None)
    if model is None:
        model = pyhits.HiTS([1, 2], random_state=0, verbose=False, **{**NETS, **settings})
    return model.fit(data, callbacks=heard, checkpoint=checkpoint)


def test_a_fit_is_told_from_beginning_to_end(oscillations: pyhits.Trajectories) -> None:
    heard = Heard()
    model = fit(oscillations, heard)
    assert [event[0] for event in heard.events][:: len(heard.events) - 1] == ["begin", "over"]
    assert [size for size, _ in heard.named("end")] == [1, 2]
    told = [step for size, step, *_ in heard.named("progress") if size == 1]
    assert told == sorted(told)
    assert told[-1] <= 40
    assert heard.named("over")[0][1].history == model.history_


def test_callbacks_change_nothing(oscillations: pyhits.Trajectories) -> None:
    plain, watched = (fit(oscillations, heard) for heard in ((), [Heard(), Heard()]))
    start = oscillations.initial_states
    assert np.array_equal(plain.forecast(start, 20), watched.forecast(start, 20))


@pytest.mark.parametrize("at", ["begin", "progress", "end", "over"])
def test_one_that_raises_leaves_the_estimator_as_it_was(
    oscillations: pyhits.Trajectories, at: str
) -> None:
    model = fit(oscillations, ())
    before = model.stepper_
    heard = Heard(RuntimeError, at, 0 if at in ("begin", "over") else 1)
    with pytest.raises(RuntimeError, match="told to"):
        fit(oscillations, heard, model)
    assert model.stepper_ is before
    if at != "over":
        assert heard.named("over") == [(0, None)]


def test_an_interrupt_keeps_the_scales_that_are_finished(oscillations: pyhits.Trajectories) -> None:
    with pytest.warns(PyHiTSWarning, match=r"kept step sizes \[1\], left out \[2\]"):
        model = fit(oscillations, Heard(KeyboardInterrupt, "end", 1))
    assert list(model.flow_maps_) == [1]


def test_scales_of_a_checkpoint_are_told_of(
    oscillations: pyhits.Trajectories, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="told to"):
        fit(oscillations, Heard(ValueError, "progress", 2), checkpoint=tmp_path / "c")
    again = Heard()
    fit(oscillations, again, checkpoint=tmp_path / "c")
    assert [size for size, _ in again.named("end")] == [1, 2]
    assert {size for size, *_ in again.named("progress")} == {2}


@pytest.mark.parametrize("error", [pytest.param(None, marks=pytest.mark.slow), ZeroDivisionError])
def test_processes_are_heard(oscillations: pyhits.Trajectories, error: Any) -> None:
    settings = {"n_jobs": 2, "max_steps": 20_000 if error else 800, "time_limit": 60}
    heard = Heard(error, "progress", 2)
    model = pyhits.HiTS([1, 2], random_state=0, verbose=False, **{**NETS, **settings})
    if error is None:
        fit(oscillations, heard, model)
        assert {size for size, _ in heard.named("end")} == {1, 2}
        assert any(0 < step < total == 800 for _, step, total, _ in heard.named("progress"))
    else:
        with pytest.raises(error, match="told to"):
            fit(oscillations, heard, model)
        assert model.stepper_ is None
        assert heard.named("over") == [(0, None)]


def test_a_table_of_the_training(oscillations: pyhits.Trajectories, tmp_path: Path) -> None:
    model = fit(oscillations, pyhits.CSVLogger(tmp_path / "logs" / "fit.csv"))
    with (tmp_path / "logs" / "fit.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    ends = [row for row in rows if row["flow_map"]]
    assert [int(row["step_size"]) for row in ends] == [1, 2]
    for row in ends:
        history = model.history_[int(row["step_size"])]
        assert float(row["error"]) == pytest.approx(history.validation_error)
    assert len(rows) > len(ends)


def test_tensorboard_reads_the_training(oscillations: pyhits.Trajectories, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fit(oscillations, pyhits.TensorBoardLogger(tmp_path / "board"))
    found = EventAccumulator(str(tmp_path / "board"))
    found.Reload()
    assert "error/step size 1" in found.Tags()["scalars"]
    assert [e.step for e in found.Scalars("validation error by step size")] == [1, 2]


def test_what_is_no_callback_is_refused(oscillations: pyhits.Trajectories) -> None:
    for heard in ([print], print, None, pyhits.Callback):
        with pytest.raises(ArgumentError, match=r"made from pyhits\.Callback, got"):
            fit(oscillations, heard)


def test_a_log_that_cannot_be_begun_is_refused(
    oscillations: pyhits.Trajectories, tmp_path: Path
) -> None:
    with pytest.raises(FileFormatError, match=r"Cannot write .*: Is a directory"):
        fit(oscillations, pyhits.CSVLogger(tmp_path))
    with pytest.raises(ArgumentError, match="the path of a file"):
        pyhits.CSVLogger(3)  # type: ignore[arg-type]


def test_a_log_that_breaks_off_does_not_end_the_fit(
    oscillations: pyhits.Trajectories, tmp_path: Path
) -> None:
    class Remover(pyhits.Callback):
        def on_scale_end(self, step_size: int, history: Any) -> None:
            if (tmp_path / "logs").is_dir():
                (tmp_path / "logs").rename(tmp_path / "gone")
                (tmp_path / "logs").write_text("in the way")

    log = pyhits.CSVLogger(tmp_path / "logs" / "fit.csv")
    with pytest.warns(PyHiTSWarning, match=r"cannot write .*fit\.csv any more") as caught:
        model = fit(oscillations, [Remover(), log])
    assert len(caught) == 1
    assert model.stepper_ is not None
