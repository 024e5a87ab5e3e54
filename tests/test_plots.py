"""Figures hold what they claim, and progress bars appear on terminals alone."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

import pyhits
from pyhits.errors import ArgumentError, FileFormatError
from pyhits.evaluation import plots
from pyhits.hierarchy import Candidate, Selection
from pyhits.util.progress import scale_bars

Split = tuple[pyhits.Trajectories, pyhits.Trajectories, pyhits.Trajectories]


def test_training_curves_hold_every_scale(fitted: pyhits.HiTS) -> None:
    (axis,) = plots.training_curves(fitted.history_).axes
    assert len(axis.lines) == len(fitted.flow_maps_)
    assert axis.get_yscale() == "log"
    assert axis.get_xlabel()


def test_the_selection_path_marks_the_chosen(fitted: pyhits.HiTS) -> None:
    axes = plots.selection_path(fitted.selection_).axes
    upper, _, alone = (axis.lines[0].get_xdata() for axis in axes)
    assert len(upper) == 5
    assert len(alone) == len(fitted.flow_maps_)
    assert any(line.get_label() == "chosen" for axis in axes for line in axis.lines)


def test_diverged_candidates_are_dotted() -> None:
    path = [Candidate((1,), 1.0, 0.1, "upper"), Candidate((1, 2), np.inf, 0.1, "upper")]
    upper, *_ = plots.selection_path(Selection((1,), 1.0, path)).axes
    assert any(line.get_linestyle() == ":" for line in upper.lines)


def test_the_front_marks_what_nothing_beats(fitted: pyhits.HiTS) -> None:
    front = fitted.selection_.front
    for axis in plots.accuracy_front(fitted.selection_).axes:
        every, best, chosen = axis.lines
        assert len(every.get_xdata()) == len([c for c in front if np.isfinite(c.error)])
        assert (np.diff(best.get_ydata()) < 0).all()
        assert (np.diff(best.get_xdata()) >= 0).all()
        assert len(chosen.get_xdata()) == 1


def test_errors_are_drawn_for_all_scales(fitted: pyhits.HiTS, pendulum: Split) -> None:
    coupled = fitted.evaluate(pendulum[2])
    single = {s: fitted.evaluate(pendulum[2], step_sizes=[s]) for s in (1, 4)}
    (axis,) = plots.error_against_time(coupled, single).axes
    assert [line.get_label() for line in axis.lines] == ["1", "4", "coupled"]
    drawn = axis.lines[-1].get_ydata()
    assert np.nanmax(drawn) == pytest.approx(coupled.per_step_mse.max())


def test_portraits_of_one_feature_and_of_many() -> None:
    values = np.random.default_rng(0).random((2, 30, 1))
    (axis,) = plots.phase_portrait(values, values, ["x"]).axes
    assert axis.get_ylabel() == "x"
    many = np.random.default_rng(0).random((30, 9))
    assert len(plots.sample_trajectory(many, many, 0.1, list("abcdefghi")).axes) == 6


def test_the_portrait_of_one_feature_is_over_its_past() -> None:
    """A sine of 40 rows a period, over itself a quarter of it before, is a circle."""
    wave = np.sin(2 * np.pi * np.arange(400) / 40)[None, :, None]
    (axis,) = plots.phase_portrait(wave, 2 * wave, ["x"]).axes
    assert axis.get_xlabel() == "x, 10 rows before"
    recorded, forecast, start = (line.get_xydata() for line in axis.lines)
    np.testing.assert_allclose(np.hypot(*recorded.T), 1)
    np.testing.assert_allclose(np.hypot(*forecast.T), 2)
    np.testing.assert_allclose(start, [[0, 1]], atol=1e-12)
    short = np.array([[[1.0], [2.0]]])
    assert plots.phase_portrait(short, short, ["x"]).axes


def test_spectra_peak_where_the_waves_are_and_densities_sum_to_one(tmp_path: Path) -> None:
    t = 0.05 * np.arange(512)
    fast, slow = (np.sin(2 * np.pi * f * t) for f in (2.5, 0.625))
    truth = np.stack([fast, slow, 0 * t, fast, slow], axis=1)[None].repeat(2, axis=0)
    truth[1, 300:] = np.nan
    forecast = truth[..., [1, 0, 2, 3, 4]]
    figure = plots.spectra_and_distributions(truth, forecast, 0.05, list("abcde"))
    above, below = figure.axes[:4], figure.axes[4:]
    assert len(below) == 4
    assert [axis.get_xlabel() for axis in below] == list("abcd")
    for axis, peaks in ((above[0], (2.5, 0.625)), (above[1], (0.625, 2.5))):
        found = [line.get_xdata()[line.get_ydata().argmax()] for line in axis.lines]
        np.testing.assert_allclose(found, peaks)
    for axis in below:
        for patch in axis.patches:
            share, edges, _ = patch.get_data()
            assert 0.95 < (share * np.diff(edges)).sum() <= 1 + 1e-12
    plots.save_figure(figure, tmp_path / "s.svg")


def test_figures_are_saved_or_refused(fitted: pyhits.HiTS, tmp_path: Path) -> None:
    figure = plots.training_curves(fitted.history_)
    assert plots.save_figure(figure, tmp_path / "new" / "f.png").stat().st_size > 1000
    with pytest.raises(ArgumentError, match=r"Unknown figure format '\.doc'"):
        plots.save_figure(figure, tmp_path / "f.doc")
    (tmp_path / "file").write_text("")
    with pytest.raises(FileFormatError, match="Cannot write"):
        plots.save_figure(figure, tmp_path / "file" / "f.png")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bars_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with scale_bars([1, 2], verbose=True) as watch:
        assert watch is None
    screen = _Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    with scale_bars([1, 2], verbose=False) as watch:
        assert watch is None
    with scale_bars([1, 2], verbose=True) as watch:
        assert watch is not None
        watch(np.array([[0.0, 0.0, np.inf], [50.0, 100.0, 1e-5]]))
        watch(np.array([[1.0, 1.0, 1e-9], [100.0, 100.0, 1e-6]]))
    assert "1.0e-09" in screen.getvalue()
    assert "step size" in screen.getvalue()


def test_data_without_any_error_have_a_report(tmp_path: Path) -> None:
    still = np.ones((50, 2))
    model = pyhits.HiTS(verbose=False, n_jobs=1, random_state=0).fit(still)
    page = pyhits.write_report(model, still, tmp_path / "still.html").read_text()
    assert "<svg" in page
    assert "Spectra and distributions" in page
    assert "What the encoder loses" not in page
    assert "1 test trajectory," in page
    assert ">inf<" not in page
