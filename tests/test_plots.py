"""Figures hold what they claim, and progress bars appear on terminals alone."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

import pyhits
from pyhits import plots
from pyhits.cli.app import app
from pyhits.encoders import POD
from pyhits.errors import ArgumentError, DataError, FileFormatError
from pyhits.hierarchy import Candidate, Selection
from pyhits.plots.powers import with_plain_powers
from pyhits.util.progress import scale_bars

Split = tuple[pyhits.Trajectories, pyhits.Trajectories, pyhits.Trajectories]


def test_training_curves_hold_every_scale(fitted: pyhits.HiTS) -> None:
    axes = plots.training_curves(fitted.history_, ax=plots.blank())
    assert len(axes.lines) == len(fitted.flow_maps_)
    assert axes.get_yscale() == "log"
    assert axes.get_xlabel()


@pytest.mark.usefixtures("undrawn")
def test_what_is_solved_for_has_no_training_to_draw(tmp_path: Path) -> None:
    rows = np.column_stack([np.sin(0.3 * np.arange(80)), np.cos(0.3 * np.arange(80))])
    model = pyhits.HiTS([1], flow_map="closed", encoder=[], n_jobs=1, verbose=False).fit(rows)
    assert model.history_[1].records
    axes = plots.training_curves(model.history_, ax=plots.blank())
    assert axes.get_xlabel() == "no net was trained"
    page = pyhits.write_report(model, rows, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "How it fell in training" not in page


def test_scales_are_drawn_and_the_coupled_ringed(fitted: pyhits.HiTS) -> None:
    axes = fitted.plot_scales(ax=plots.blank())
    *_, ringed = axes.lines
    assert tuple(ringed.get_xdata()) == fitted.selection_.step_sizes
    assert "0.05" in axes.get_xlabel()


def test_the_selection_path_marks_the_chosen(fitted: pyhits.HiTS) -> None:
    axes = fitted.selection_.plot("path", ax=plots.blank())
    upper, _, alone = (panel.lines[0].get_xdata() for panel in axes)
    assert len(upper) == 5
    assert len(alone) == len(fitted.flow_maps_)
    assert any(line.get_label() == "chosen" for panel in axes for line in panel.lines)


def test_diverged_candidates_are_dotted() -> None:
    path = [Candidate((1,), 1.0, 0.1, "upper"), Candidate((1, 2), np.inf, 0.1, "upper")]
    upper, *_ = Selection((1,), 1.0, path).plot("path", ax=plots.blank())
    assert any(line.get_linestyle() == ":" for line in upper.lines)


def test_the_front_marks_what_nothing_beats(fitted: pyhits.HiTS) -> None:
    front = fitted.selection_.front
    for axes in fitted.selection_.plot(ax=plots.blank()):
        every, best, chosen = axes.lines
        assert len(every.get_xdata()) == len([c for c in front if np.isfinite(c.error)])
        assert (np.diff(best.get_ydata()) < 0).all()
        assert (np.diff(best.get_xdata()) >= 0).all()
        assert len(chosen.get_xdata()) == 1


def test_errors_are_drawn_beside_baselines_or_other_evaluations(
    fitted: pyhits.HiTS, pendulum: Split
) -> None:
    coupled = fitted.evaluate(pendulum[2])
    axes = coupled.plot(ax=plots.blank())
    labels = [line.get_label() for line in axes.lines]
    assert labels == [*(s.label for s in coupled.baselines.values()), "model"]
    drawn = axes.lines[-1].get_ydata()
    assert np.sqrt(np.mean(np.square(drawn))) == pytest.approx(coupled.nrmse)
    one = fitted.evaluate(pendulum[2][:1]).plot(ax=plots.blank())
    assert one.get_ylabel() == "normalised error so far (RMSE)"
    assert one.lines[-1].get_ydata()[-1] == pytest.approx(fitted.evaluate(pendulum[2][:1]).nrmse)
    alone = fitted.evaluate(pendulum[2], step_sizes=[4])
    axes = coupled.plot({"4 alone": alone}, ax=plots.blank())
    assert [line.get_label() for line in axes.lines] == ["4 alone", "model"]


def test_trajectories_are_drawn_as_lines_portraits_and_fields() -> None:
    values = np.random.default_rng(0).random((3, 30, 9))
    data = pyhits.Trajectories(values, 0.1)
    assert len(data.plot(ax=plots.blank())) == 6
    assert len(data.plot(features=["x7"], ax=plots.blank()).lines) == 3
    axes = data.plot("portrait", features=["x1", "x8"], ax=plots.blank())
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), values[0][:, [1, 8]])
    with pytest.raises(ArgumentError, match="no feature 'z'"):
        data.plot(features=["z"])
    with pytest.raises(ArgumentError, match="on no grid"):
        data.plot("field")
    with pytest.raises(ArgumentError, match="6 x 1 panels, got 2 axes"):
        data.plot(ax=plots.blank().subplots(2))
    picture = data.with_grid((9,)).plot(ax=plots.blank())
    np.testing.assert_array_equal(picture.collections[0].get_array(), values[0].T)
    flat = data.with_grid((3, 3)).plot(ax=plots.blank())
    np.testing.assert_array_equal(flat[-1].images[0].get_array(), values[0, -1].reshape(3, 3))


def test_figures_say_what_they_leave_out(tmp_path: Path) -> None:
    wide = pyhits.Trajectories(np.random.default_rng(0).random((9, 20, 40)), 0.1)
    figure = plots.blank()
    wide.plot(ax=figure)
    assert plots.left_out(figure) == "6 of 40 features, 6 of 9 trajectories"
    few = plots.blank()
    wide.select(["x1", "x2"]).cut(5).plot("portrait", ax=few)
    assert plots.left_out(few) == ""
    pyhits.write(wide, tmp_path / "wide.npz")
    command = ["plot", str(tmp_path / "wide.npz"), "-o", str(tmp_path / "w.png")]
    done = CliRunner().invoke(app, command)
    assert "w.png: 6 of 40 features, 6 of 9 trajectories" in done.output.replace("\n", "")


def test_the_portrait_of_one_feature_is_over_its_past() -> None:
    """A sine of 40 rows a period, over itself a quarter of it before, is a circle."""
    wave = np.sin(2 * np.pi * np.arange(400) / 40)[None, :, None]
    axes = plots.portrait(wave, ["x"], forecasts=2 * wave, ax=plots.blank())
    assert axes.get_xlabel() == "x, 10 rows before"
    recorded, forecast, start = (line.get_xydata() for line in axes.lines)
    np.testing.assert_allclose(np.hypot(*recorded.T), 1)
    np.testing.assert_allclose(np.hypot(*forecast.T), 2)
    np.testing.assert_allclose(start, [[0, 1]], atol=1e-12)
    short = np.array([[[1.0], [2.0]]])
    assert plots.portrait(short, ["x"], ax=plots.blank())


def test_long_lines_keep_their_extremes() -> None:
    values = np.zeros((100_000, 1))
    values[54_321], values[77_777] = 5.0, -3.0
    axes = pyhits.Trajectories(values, 1.0).plot(ax=plots.blank())
    drawn = axes.lines[0].get_ydata()
    assert len(drawn) < 3000
    assert (drawn.max(), drawn.min()) == (5.0, -3.0)


def test_a_forecast_is_drawn_with_its_past_the_truth_and_what_it_missed() -> None:
    dates = np.datetime64("2020-01-01") + np.arange(200)
    wave = np.column_stack([f(np.arange(200) / 5) for f in (np.sin, np.cos)])
    data = pyhits.repair(wave, times=dates, feature_names=["x", "y"]).trajectories
    past, later = data.split_time(40)
    model = pyhits.HiTS(random_state=0, n_jobs=1, verbose=False).fit(past)
    found = model.forecast_from(past, 16, interval=0.8)
    axes = found.plot(later, ax=plots.blank())
    assert len(axes) == 4
    recorded, _, truth, ahead = axes[0].lines
    assert recorded.get_xdata()[-1] == truth.get_xdata()[0] == ahead.get_xdata()[0]
    np.testing.assert_array_equal(truth.get_ydata(), later.values[:17, 0])
    np.testing.assert_allclose(
        axes[1].lines[1].get_ydata(), found.states[0, :, 0] - later.values[:17, 0]
    )
    assert axes[0].collections[0].get_label() == "80 % interval"
    next_rows = wave[160:176]
    (alone,) = np.ravel(found.plot(next_rows, features=["y"], residual=False, ax=plots.blank()))
    np.testing.assert_array_equal(alone.lines[2].get_ydata()[1:], next_rows[:, 1])
    at_times = model.forecast(wave[0], t=[0.9, 0.3, 0.5], interval=0.8)
    axes = at_times.plot(pyhits.Trajectories(wave, 0.1), features="y", ax=plots.blank())
    truth, ahead = axes[0].lines
    np.testing.assert_array_equal(ahead.get_xdata(), [0.3, 0.5, 0.9])
    np.testing.assert_array_equal(truth.get_ydata(), wave[[3, 5, 9], 1])
    frame = found.to_dataframe()
    assert list(frame.columns[:3]) == ["x", "x_low", "x_high"]
    labelled = found.to_xarray()
    assert dict(labelled.sizes) == {"trajectory": 1, "time": 17, "feature": 2}
    np.testing.assert_array_equal(labelled["low"].sel(feature="y")[0], found.low[0, :, 1])
    assert frame.index[0] == (0, dates[159])
    assert repr(found) == f"Forecast(1 x 17 rows to {dates[175]}, 80 % intervals)"
    assert "[" in found._repr_html_()


def test_fields_are_compared_in_the_same_colours() -> None:
    grid = pyhits.Grid((8, 10), ("u", "v"))
    truth = np.random.default_rng(0).standard_normal((12, grid.n_features))
    panels = plots.compared_fields(truth, truth + 1e-3, np.arange(12.0), grid, ax=plots.blank())
    assert panels.shape == (3, 5)
    first, second, third = (row[0].images[0].get_clim() for row in panels)
    assert first == second
    assert third[1] == pytest.approx(1e-3)


def test_the_energy_of_a_wave_is_at_its_wavenumber() -> None:
    x = 2 * np.pi * np.arange(32) / 32
    rows = np.tile(np.sin(3 * x), (5, 1))
    energy, mean = plots.field_statistics(
        rows, 2 * rows, np.arange(5.0), pyhits.Grid((32,)), ax=plots.blank()
    )
    for line, size in zip(energy.lines, (1.0, 4.0), strict=True):
        numbers, energies = line.get_data()
        assert numbers[energies.argmax()] == 3
        assert energies.sum() == pytest.approx(size / 2)
    np.testing.assert_allclose(mean.lines[1].get_ydata(), 2.0)


def test_spectra_peak_where_the_waves_are_and_densities_sum_to_one(tmp_path: Path) -> None:
    t = 0.05 * np.arange(512)
    fast, slow = (np.sin(2 * np.pi * f * t) for f in (2.5, 0.625))
    truth = np.stack([fast, slow, 0 * t, fast, slow], axis=1)[None].repeat(2, axis=0)
    truth[1, 300:] = np.nan
    forecast = truth[..., [1, 0, 2, 3, 4]]
    above, below = plots.spectra(truth, forecast, 0.05, list("abcde"), ax=plots.blank())
    assert [axes.get_xlabel() for axes in below] == list("abcd")
    for axes, peaks in ((above[0], (2.5, 0.625)), (above[1], (0.625, 2.5))):
        found = [line.get_xdata()[line.get_ydata().argmax()] for line in axes.lines]
        np.testing.assert_allclose(found, peaks)
    for axes in below:
        for patch in axes.patches:
            share, edges, _ = patch.get_data()
            assert 0.95 < (share * np.diff(edges)).sum() <= 1 + 1e-12
    plots.save_figure(above, tmp_path / "s.svg")


def test_figures_are_saved_or_refused(fitted: pyhits.HiTS, tmp_path: Path) -> None:
    axes = fitted.plot_scales(ax=plots.blank())
    assert plots.save_figure(axes, tmp_path / "new" / "f.png").stat().st_size > 1000
    assert plots.save_figure(axes.figure, tmp_path / "f.pdf").stat().st_size > 1000
    with pytest.raises(ArgumentError, match=r"Unknown figure format '\.doc'"):
        plots.save_figure(axes, tmp_path / "f.doc")
    (tmp_path / "file").write_text("")
    with pytest.raises(FileFormatError, match="Cannot write"):
        plots.save_figure(axes, tmp_path / "file" / "f.png")


def test_pyplot_makes_the_figure_where_no_axes_are_given(fitted: pyhits.HiTS) -> None:
    plt.switch_backend("agg")
    axes = fitted.plot_scales()
    assert axes.figure.number in plt.get_fignums()
    plt.close(axes.figure)


def test_data_go_into_other_containers_and_back() -> None:
    uneven = pyhits.Trajectories([np.random.default_rng(0).random((n, 2)) for n in (5, 7)], 0.5)
    assert pyhits.Trajectories(uneven.to_dataframe()) == uneven
    with pytest.raises(DataError, match="do not fit one"):
        uneven.to_xarray()
    even = uneven.cut(4)
    assert pyhits.Trajectories(even.to_xarray()) == even
    grid = pyhits.Grid((3, 2), ("u", "v"))
    field = pyhits.Trajectories(np.random.default_rng(0).random((6, 3, 2, 2)), 0.5, grid=grid)
    assert field.to_xarray().dims == ("time", "y", "x", "channel")
    assert pyhits.Trajectories(field.to_xarray()) == field


def test_objects_show_themselves(fitted: pyhits.HiTS, pendulum: Split) -> None:
    named = pyhits.Trajectories(np.ones((4, 1)), 0.1, feature_names=["<b>"])
    assert "&lt;b&gt;" in named._repr_html_()
    result = fitted.evaluate(pendulum[2])
    assert repr(result).startswith("Evaluation(nrmse=")
    assert "12 x 200 steps" in repr(result)
    card = result._repr_html_()
    assert result.verdict in card
    assert "persistence" in card


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


@pytest.mark.usefixtures("undrawn", "few_baselines")
def test_data_without_any_error_have_a_report(tmp_path: Path) -> None:
    still = np.ones((50, 2))
    model = pyhits.HiTS(verbose=False, n_jobs=1, random_state=0).fit(still)
    page = pyhits.write_report(model, still, tmp_path / "still.html").read_text()
    assert "<svg" in page
    assert "Spectra and distributions" in page
    assert "What the encoder loses" not in page
    assert "1 test trajectory," in page
    assert ">inf<" not in page


@pytest.mark.usefixtures("few_baselines")
def test_a_report_on_a_field_holds_pictures(tmp_path: Path) -> None:
    x = 2 * np.pi * np.arange(16) / 16
    waves = pyhits.Trajectories(np.sin(x - 0.3 * np.arange(80)[:, None]), 0.1, grid=(16,))
    settings = {"n_jobs": 1, "random_state": 0, "verbose": False}
    model = pyhits.HiTS([1], flow_map="polynomial", encoder=[POD(2)], **settings).fit(waves.cut(50))
    page = pyhits.write_report(model, waves.cut(30, 50), tmp_path / "field.html").read_text()
    assert "its forecast in the same colours" in page
    assert page.count("<image") >= 3
    assert "Phase portrait" not in page


def test_powers_are_written_in_letters() -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.plot([1.0, 4.0], [1e-5, 20.0])
    axes.set(yscale="log")
    axes.set_xscale("log", base=2)
    with_plain_powers(figure)
    of_x, of_y = axes.xaxis.get_major_formatter(), axes.yaxis.get_major_formatter()
    assert [of_y(1e-5), of_y(1.0), of_y(3e-3), of_x(4.0)] == ["10⁻⁵", "10⁰", "3\u00d710⁻³", "2²"]
