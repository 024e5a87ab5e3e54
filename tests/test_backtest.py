"""Backtests: errors over rolling origins, refits without a look ahead, scores of intervals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import quick
from typer.testing import CliRunner

import pyhits
from pyhits.cli.app import app
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DataError, PyHiTSWarning
from pyhits.evaluation import intervals
from pyhits.plots import blank
from pyhits.timestepper import TimeStepper


def growing(n: int = 160) -> np.ndarray:
    t = np.arange(n)
    rows = 0.3 * t + 4 * np.sin(2 * np.pi * t / 12)
    return (rows + 0.3 * np.random.default_rng(1).standard_normal(n))[:, None]


@pytest.fixture(scope="module")
def model() -> TimeStepper:
    found = quick(flow_map="polynomial", step_sizes=[1], encoder=[]).fit(growing()[:110]).stepper_
    assert found is not None
    return found


def test_errors_are_those_of_forecasts_from_the_origins(model: TimeStepper) -> None:
    rows = growing()
    result = model.backtest(rows, origins=[120, 140], horizon=12)
    missed = [
        (model.forecast_from(rows[: o + 1], 12)[1:] - rows[o + 1 : o + 13]) / model.summary.spread
        for o in (120, 140)
    ]
    np.testing.assert_allclose(
        result.by_origin["hits"], np.sqrt(np.mean(np.square(missed), (1, 2)))
    )
    np.testing.assert_allclose(result.nrmse["hits"], np.sqrt(np.mean(np.square(missed), (0, 2))))
    assert set(result.nrmse) > {"hits", "persistence", "ar", "seasonal drift"}
    assert result.horizon == 12
    for word in ("2 origins, rows 120 to 140", "one fit for all", "step 12", "intervals hold"):
        assert word in str(result)
    assert json.loads(json.dumps(result.as_dict()))["origins"] == [120, 140]
    drawn = result.plot(ax=blank()).lines
    assert [line.get_label() for line in drawn][-1] == "model"
    assert len(drawn) == len(result.nrmse)
    assert result.verdict in result._repr_html_()
    assert repr(result).endswith("2 origins x 12 steps)")
    told = model.evaluate(rows[110 - model.blended_rows :])
    assert told.coverage is not None
    assert 0 <= told.coverage <= 1
    assert "90% intervals" in str(told)


def test_refitted_models_have_not_seen_what_they_forecast(model: TimeStepper) -> None:
    rows = growing()
    other = rows.copy()
    other[141:] = 1e3
    refitted = model.backtest(rows, origins=[130, 140], horizon=10, refit=True)
    again = model.backtest(other, origins=[130], horizon=10, refit=True)
    np.testing.assert_allclose(again.by_origin["hits"], refitted.by_origin["hits"][:1], rtol=1e-6)
    assert refitted.refitted
    once = model.updated(rows[:141])
    error = once.forecast_from(rows[:141], 10)[1:] - rows[141:151]
    nrmse = np.sqrt(np.mean(np.square(error / model.summary.spread)))
    assert refitted.by_origin["hits"][1] == pytest.approx(nrmse, rel=1e-6)


def test_updates_learn_new_rows_and_search_nothing() -> None:
    """A map that changes: the model of old rows is wrong, that of new ones right."""
    rows = np.empty((120, 1))
    rows[0] = 0.3
    for k in range(1, 120):
        rate = 3.7 if k < 60 else 3.8
        rows[k] = rate * rows[k - 1] * (1 - rows[k - 1])
    fitted = quick(flow_map="polynomial", step_sizes=[1], encoder=[]).fit(rows[:60])
    before = np.abs(fitted.predict(rows[80:119]) - rows[81:]).max()
    history = fitted.history_
    assert fitted.update(rows[60:]) is fitted
    assert np.abs(fitted.predict(rows[80:119]) - rows[81:]).max() < 1e-6 < before
    assert fitted.history_ == history
    assert fitted.stepper_ is not None
    assert fitted.stepper_.summary.n_rows == 60
    with pytest.raises(DataError, match="need more to be fitted to"):
        fitted.update(rows[:2])
    with pytest.warns(PyHiTSWarning, match="fitted to 9 rows alone, before to 60: give all rows"):
        fitted.update(rows[:9])


def test_what_coarse_steps_need_is_said_before_anything_is_fitted() -> None:
    coarse = quick(step_sizes=[1, 8], encoder=[], selection=[1, 8]).fit(growing()).stepper_
    assert coarse is not None
    with pytest.raises(DataError, match="steps of 8 need more to be fitted to"):
        coarse.updated(growing(15))


def test_origins_lie_behind_what_the_model_was_fitted_to(
    model: TimeStepper, tmp_path: Path
) -> None:
    """Also after a file and an update; where there is no room they do not, and it is said."""
    rows = growing()
    for known in (model, pyhits.load(model.save(tmp_path / "m.safetensors"))):
        result = known.backtest(rows, origins=5)
        assert result.origins[0] == 109
        assert not result.seen
    later = model.updated(rows[:130]).backtest(rows, origins=3, horizon=10)
    assert later.origins[0] == 129
    for settings in ({"origins": [100, 120]}, {"refit": False}):
        data = rows if "origins" in settings else rows[:110]
        with pytest.warns(PyHiTSWarning, match="fitted to rows up to row 109"):
            seen = model.backtest(data, horizon=10, **settings)
        assert seen.seen
        assert "to these rows too" in str(seen)
    assert model.backtest(rows[:50] + 1.0, origins=2, horizon=5).seen is False


def test_a_short_recording_is_forecast_from_its_later_half(model: TimeStepper) -> None:
    """Baselines would look at more rows than there are before the first origin."""
    assert model.recording_rows > 30
    found = model.backtest(growing(40), origins=[20, 30], horizon=5)
    assert model.backtest(growing(40), origins=3, horizon=5).origins.min() >= 19
    assert len(found.origins) == 2


def test_origins_must_leave_room(model: TimeStepper) -> None:
    with pytest.raises(ArgumentError, match="Expected origins from row 1 to 149"):
        model.backtest(growing(), origins=[155], horizon=10)
    with pytest.raises(DataError, match="no origin"):
        model.backtest(growing(20), horizon=19)
    assert model.backtest(growing(3), horizon=1).origins.tolist() == [1]  # two rows are known
    with pytest.raises(DataError, match="of one recording, got 2"):
        model.backtest(Trajectories([growing(), growing()], 1.0))


def test_scores_of_intervals_are_their_formulas() -> None:
    truth = np.array([[[0.0], [3.0], [np.nan]]])
    low, high = np.full_like(truth, -1.0), np.full_like(truth, 1.0)
    assert intervals.coverage(truth, low, high) == 0.5
    assert intervals.interval_score(truth, low, high, 0.9) == pytest.approx(2 + 20 * 2 / 2)
    assert np.isnan(intervals.coverage(truth, -np.inf * high, np.inf * high))
    # Of a normal distribution about 0, by its quantiles: 2 phi(0) - 1 / sqrt(pi) at its mean.
    from scipy.stats import norm

    def widths(at: np.ndarray, level: float) -> np.ndarray:
        return np.full((len(at), 1), norm.ppf(0.5 + level / 2))

    found = intervals.crps(np.zeros((1, 4, 1)), np.zeros((1, 4, 1)), widths, np.arange(4.0))
    assert found == pytest.approx(2 / np.sqrt(2 * np.pi) - 1 / np.sqrt(np.pi), rel=0.05)

    def known_to_80_percent(at: np.ndarray, level: float) -> np.ndarray:
        return widths(at, level) if level < 0.8 else np.full((len(at), 1), np.inf)

    fewer = intervals.crps(
        np.zeros((1, 4, 1)), np.zeros((1, 4, 1)), known_to_80_percent, np.arange(4.0)
    )
    assert fewer == pytest.approx(found, rel=0.05)


def test_the_command_prints_the_table(model: TimeStepper, tmp_path: Path) -> None:
    file = str(model.save(tmp_path / "m.safetensors"))
    pyhits.write(Trajectories([growing()], 1.0), tmp_path / "r.csv")
    words = ["backtest", file, str(tmp_path / "r.csv"), "--origins", "3", "--horizon", "12", "-q"]
    figure = tmp_path / "f.png"
    done = CliRunner().invoke(app, [*words, "--figure", str(figure)])
    assert done.exit_code == 0, done.output
    assert "best baseline" in done.stdout
    assert figure.exists()
    plain = CliRunner().invoke(app, [*words, "--json", "--refit"])
    assert json.loads(plain.stdout)["refitted"]
