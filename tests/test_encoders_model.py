"""Models with encoders: fields, films and signals in, and out in their own units and shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import circles, quick
from sklearn.base import clone
from typer.testing import CliRunner

import pyhits
from pyhits import Grid, Trajectories
from pyhits.cli.app import app
from pyhits.encoders import (
    POD,
    Chain,
    DelayEmbedding,
    Standardise,
)
from pyhits.encoders.chain import split
from pyhits.errors import ArgumentError, DataError, FileFormatError
from pyhits.modelfiles.export import export_model
from pyhits.modelfiles.modelfile import FORMAT
from pyhits.report.text import describe, facts
from pyhits.util.tensorfile import read_tensors, write_tensors

SHAPE = (5, 6)


def fields(n: int, n_steps: int, seed: int = 0) -> Trajectories:
    """Two orthogonal patterns that oscillate with a circle's coordinates, on an offset of 50."""
    circle = circles(n, n_steps, seed=seed)
    patterns = np.linalg.qr(np.random.default_rng(9).standard_normal((30, 2)))[0].T
    return Trajectories(circle.to_array() @ patterns + 50, 0.1)


def signals(n: int, n_steps: int, seed: int = 0) -> Trajectories:
    """The position alone of an oscillator whose speed nobody recorded."""
    circle = circles(n, n_steps, seed=seed)
    return Trajectories(circle.to_array()[..., :1], 0.1, feature_names=["x"])


@pytest.fixture(scope="module")
def of_fields() -> pyhits.HiTS:
    model = quick(step_sizes=[1, 4], encoder=[POD(2), Standardise(common=True)])
    return model.fit(fields(20, 100))


@pytest.fixture(scope="module")
def of_signals() -> pyhits.HiTS:
    return quick(step_sizes=[1, 4], encoder=DelayEmbedding(2, lag=3)).fit(signals(20, 100))


def test_fields_come_out_as_fields(of_fields: pyhits.HiTS) -> None:
    test = fields(4, 60, seed=1)
    states = of_fields.forecast(test.initial_states, 60)
    assert states.shape == (4, 61, 30)
    np.testing.assert_allclose(states, test.to_array(), atol=1e-4)
    np.testing.assert_array_equal(states[:, 0], test.initial_states)
    assert of_fields.forecast(test.initial_states.astype(np.float32), 9).dtype == np.float32
    np.testing.assert_array_equal(of_fields.forecast(test, 60), states)
    np.testing.assert_allclose(of_fields.forecast(test.initial_states[1], 60), states[1], atol=1e-6)
    at = of_fields.forecast(test.initial_states, t=[0.0, 0.35, 6.0])
    np.testing.assert_allclose(at[:, [0, 2]], states[:, [0, 60]], atol=1e-6)
    np.testing.assert_allclose(
        of_fields.predict(test.initial_states), test.to_array()[:, 1], atol=1e-5
    )


def test_fields_that_diverge_are_named_or_blanked(of_fields: pyhits.HiTS) -> None:
    starts = fields(3, 9, seed=1).initial_states
    starts[1] += 1e7 * of_fields.encoder_.encoders[0].modes_[0]
    with pytest.raises(pyhits.PyHiTSError, match="trajectory 1 diverged at step 0"):
        of_fields.forecast(starts, 20)
    states = of_fields.forecast(starts, 20, on_divergence="return")
    assert np.isnan(states[1, 1:]).all()
    np.testing.assert_array_equal(states[1, 0], starts[1])
    assert np.isfinite(states[[0, 2]]).all()
    one_by_one = of_fields.forecast(starts[[0, 2]], 20, method="sequential")
    np.testing.assert_allclose(one_by_one, states[[0, 2]], atol=1e-4)


def test_what_a_fitted_model_says(of_fields: pyhits.HiTS, of_signals: pyhits.HiTS) -> None:
    assert of_fields.n_features_in_ == 30
    assert of_fields.coordinate_names_ == ("mode 1", "mode 2")
    assert of_fields.feature_names_[29] == "x29"
    assert all(flow_map.dimension == 2 for flow_map in of_fields.flow_maps_.values())
    assert len(set(of_fields.scaling_.scale_)) == 1
    assert of_fields.notes_[1] == "Encoded: 30 features as 2 coordinates, by POD(n_modes=2)."
    assert of_fields.summary_.low[0] > 40
    assert of_signals.coordinate_names_ == ("x(t)", "x(t - 3 dt)")
    assert (of_fields.start_rows_, of_signals.start_rows_) == (1, 4)
    assert any("Noise is left" in note for note in of_signals.notes_)
    assert "encoded by    DelayEmbedding(n_delays=2, lag=3)" in describe(of_signals)
    assert facts(of_fields)["coordinate_names"] == ["mode 1", "mode 2"]


def test_signals_are_forecast_from_their_past(of_signals: pyhits.HiTS) -> None:
    test = signals(5, 60, seed=1)
    truth = test.to_array()
    states = of_signals.forecast(truth[:, :4], 57)
    assert states.shape == (5, 58, 1)
    np.testing.assert_allclose(states, truth[:, 3:], atol=1e-4)
    np.testing.assert_array_equal(states[:, 0], truth[:, 3])
    np.testing.assert_array_equal(of_signals.forecast(test, 57), states)
    longer = of_signals.forecast(truth[:, :20], 10)
    np.testing.assert_allclose(longer, truth[:, 19:30], atol=1e-4)
    np.testing.assert_allclose(of_signals.forecast(truth[2, :4], 57), states[2], atol=1e-6)
    np.testing.assert_allclose(of_signals.predict(truth[:, :4]), truth[:, 4], atol=1e-5)


def test_evaluations_are_in_the_users_units(
    of_fields: pyhits.HiTS, of_signals: pyhits.HiTS
) -> None:
    test = fields(4, 60, seed=1)
    result = of_fields.evaluate(test)
    states = of_fields.forecast(test, 60)
    error = np.square(states - test.to_array())[:, 1:].mean()
    assert result.mse == pytest.approx(error)
    assert len(result.feature_mse) == 30
    assert of_fields.score(test) == -result.nrmse
    ragged = Trajectories([signals(1, 60, seed=2)[0], signals(1, 9, seed=3)[0]], 0.1)
    late = of_signals.evaluate(ragged, given=4)
    assert late.n_steps == 57
    assert late.nrmse < 1e-3
    with pytest.raises(DataError, match="Trajectory 1 has 4 rows; the model's delays take 4"):
        of_signals.evaluate([signals(1, 60)[0], signals(1, 3)[0]])
    assert of_fields.couple("all", validation=test).selection_.step_sizes == (1, 4)
    of_fields.couple("accuracy")


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("which", ["of_fields", "of_signals"])
def test_models_are_saved_with_their_encoders(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    model = request.getfixturevalue(which)
    test = fields(3, 50, seed=1) if which == "of_fields" else signals(3, 50, seed=1)
    again = pyhits.load(model.save(tmp_path / "m.safetensors"))
    np.testing.assert_array_equal(again.forecast(test, 40), model.forecast(test, 40))
    assert again.coordinate_names == model.coordinate_names_
    assert repr(again.encoder) == repr(model.stepper_.encoder)
    assert repr(again.scaling) == repr(model.stepper_.scaling)
    assert (
        again.save(tmp_path / "twice.safetensors").read_bytes()
        == (tmp_path / "m.safetensors").read_bytes()
    )
    streamed = again.forecast(test, 40, out=tmp_path / "f.npy")
    np.testing.assert_array_equal(streamed, model.forecast(test, 40))
    page = pyhits.write_report(again, test, tmp_path / "r.html").read_text()
    assert "Encoded: " in page


def test_damaged_files_and_versions(of_fields: pyhits.HiTS, tmp_path: Path) -> None:
    path = of_fields.save(tmp_path / "m.safetensors")
    tensors, values = read_tensors(path, what="a model")
    assert values["format"] == FORMAT
    for name, changed, message in (
        ("preprocessor.0.mean", {"preprocessor.0.mean": tensors["encoder.mean"]}, "its modes have"),
        (
            "encoder.mean",
            {"encoder.mean": tensors["preprocessor.0.mean"]},
            "expected 30, as",
        ),
    ):
        assert name in tensors
        write_tensors(tmp_path / "bad.safetensors", tensors | changed, values)
        with pytest.raises(FileFormatError, match=message):
            pyhits.load(tmp_path / "bad.safetensors")
    for changed in (
        {"preprocessor": [{"kind": "pickle"}]},
        {"grid": Grid((2, 3)).plain()},
        {"feature_names": ["x", "y"]},
    ):
        write_tensors(tmp_path / "bad.safetensors", tensors, values | changed)
        with pytest.raises(FileFormatError, match="is damaged"):
            pyhits.load(tmp_path / "bad.safetensors")


def test_a_scaling_alone_is_the_flow_maps_own(tmp_path: Path) -> None:
    data = circles(20, 100)
    plain = quick(step_sizes=[1, 4]).fit(data)
    same = quick(step_sizes=[1, 4], encoder=Standardise()).fit(data)
    start = data.initial_states
    np.testing.assert_array_equal(same.forecast(start, 50), plain.forecast(start, 50))
    common = quick(step_sizes=[1, 4], encoder=Standardise(common=True)).fit(data)
    assert common.encoder_ is None
    assert len(set(common.scaling_.scale_)) == 1
    path = common.save(tmp_path / "m.safetensors")
    assert read_tensors(path, what="a model")[1]["format"] == FORMAT
    again = pyhits.load(path)
    assert again.scaling.common
    np.testing.assert_array_equal(again.forecast(start, 50), common.forecast(start, 50))


def test_the_scaling_after_modes_is_common() -> None:
    """Coefficients of one unit: weak modes must not count as much as the strongest."""
    for encoder, common in (
        (POD(2), True),
        ([Standardise(), POD(2)], True),
        (Chain([POD(2)]), True),
        ([POD(2), Standardise()], False),
        ([POD(2), DelayEmbedding(2)], False),
        (None, False),
    ):
        scaling = split(encoder, True)[1]
        assert (scaling.enabled, scaling.common) == (True, common)
    assert not split(POD(2), False)[1].enabled


def test_files_without_the_new_keys_are_read(fitted: pyhits.HiTS, tmp_path: Path) -> None:
    tensors, values = read_tensors(fitted.save(tmp_path / "m.safetensors"), what="a model")
    del values["common_scale"], values["fitted_by"]
    write_tensors(tmp_path / "old.safetensors", tensors, values)
    again = pyhits.load(tmp_path / "old.safetensors")
    start = np.array([[1.0, 0.5]])
    np.testing.assert_array_equal(again.forecast(start, 30), fitted.forecast(start, 30))


@pytest.mark.usefixtures("undrawn")
def test_films_keep_their_shape(tmp_path: Path) -> None:
    train, test = fields(12, 80), fields(3, 40, seed=1)
    film = train.to_array().reshape(12, 81, *SHAPE)
    shown = test.to_array().reshape(3, 41, *SHAPE)
    model = quick(step_sizes=[1, 4], encoder=[POD(2), Standardise(common=True)])
    model.fit(film, dt=0.1, grid=SHAPE)
    states = model.forecast(shown[:, 0], 40)
    assert states.shape == (3, 41, *SHAPE)
    np.testing.assert_allclose(states, shown, atol=1e-4)
    assert model.forecast(shown[0, 0], 40).shape == (41, *SHAPE)
    assert model.predict(shown[:, 0]).shape == (3, *SHAPE)
    assert model.predict(shown[0, 0]).shape == SHAPE
    assert model.evaluate(shown).nrmse < 1e-3
    assert model.forecast(shown[:, 0], 9, out=tmp_path / "f.npy").shape == (3, 10, 30)
    again = pyhits.load(model.save(tmp_path / "m.safetensors"))
    np.testing.assert_array_equal(again.forecast(shown[:, 0], 40), states)
    pyhits.write_report(again, shown, tmp_path / "r.html")
    one = quick(step_sizes=[1], encoder=POD(2)).fit([film[0], film[1, :50]], grid=SHAPE)
    assert one.coordinates_.snapshot == SHAPE


def test_delays_of_modes_and_clones() -> None:
    train, test = fields(12, 80), fields(3, 40, seed=1)
    model = quick(step_sizes=[1], encoder=Chain([POD(1), DelayEmbedding(2)]))
    copy = clone(model)
    assert copy.encoder is not model.encoder
    copy.fit(train)
    assert copy.coordinate_names_ == ("mode 1(t)", "mode 1(t - dt)")
    assert copy.forecast(test, 10).shape == (3, 11, 30)
    assert not hasattr(copy.encoder.encoders[0], "modes_")


def test_noise_is_taken_off_the_coordinates() -> None:
    noisy = fields(20, 200).add_noise(0.001, random_state=0)
    model = quick(step_sizes=[1, 4], encoder=POD(2)).fit(noisy)
    assert model.noise_.shape == (2,)
    assert (model.noise_ > 0).all()


def test_a_checkpoint_knows_the_scaling(tmp_path: Path) -> None:
    data = circles(8, 60)
    quick(step_sizes=[1]).fit(data, checkpoint=tmp_path)
    quick(step_sizes=[1], encoder=Standardise()).fit(data, checkpoint=tmp_path)
    with pytest.raises(pyhits.PyHiTSError, match="other data or"):
        quick(step_sizes=[1], encoder=Standardise(common=True)).fit(data, checkpoint=tmp_path)


def test_what_cannot_be_asked(
    of_fields: pyhits.HiTS, of_signals: pyhits.HiTS, tmp_path: Path
) -> None:
    def refused(call: Any, message: str) -> None:
        with pytest.raises((ArgumentError, DataError), match=message):
            call()

    refused(lambda: of_fields.forecast(np.zeros((3, 2)), 5), r"of shape \(n, 30\), got \(3, 2\)")
    refused(lambda: of_signals.forecast(np.zeros((3, 3, 1)), 5), "each of at least 4 rows")
    broken = np.zeros((2, 6, 1))
    broken[1, 3] = np.nan
    refused(lambda: of_signals.forecast(broken, 5), "History 1 is nan in 'x', 2 rows before its")
    refused(lambda: pyhits.Hybrid(of_fields, "rk4"), "steps encoded ones")
    refused(lambda: export_model(of_fields, tmp_path / "m.onnx"), "cannot be exported")
    refused(lambda: quick(encoder="pod").fit(fields(8, 30)), "Expected an encoder")
    short = [signals(1, 30)[0], signals(1, 3)[0], *signals(6, 30)]
    refused(
        lambda: quick(encoder=DelayEmbedding(6), step_sizes=[1]).fit(short, validation=short),
        "Trajectory 1 has 4",
    )


def test_the_command_line_forecasts_with_delays(of_signals: pyhits.HiTS, tmp_path: Path) -> None:
    model, data, out = (tmp_path / name for name in ("m.safetensors", "d.npz", "f.npz"))
    of_signals.save(model)
    pyhits.write(signals(3, 30, seed=1), data)
    words = ["forecast", str(model), "--from", str(data), "--steps", "10", "-o", str(out)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    made = pyhits.read(out)
    np.testing.assert_allclose(made.start_times, 0.3)
    np.testing.assert_allclose(made[0][0], signals(3, 30, seed=1)[0][3])


@pytest.mark.slow
def test_noise_upon_many_columns_takes_no_more_modes() -> None:
    rng = np.random.default_rng(0)
    t = 0.2 * np.arange(150)[:, None]
    clean = np.concatenate([np.sin(t), np.cos(t)], axis=1) @ rng.standard_normal((2, 40))
    noisy = clean + 0.1 * rng.standard_normal(clean.shape)
    modes = []
    for rows in (clean, noisy):
        model = quick(step_sizes=[1], encoder="auto", flow_map="polynomial").fit(rows).stepper_
        assert model is not None
        modes.append(model.encoder.encoders[0].n_features_out_)
    assert modes == [2, 12]
    ahead = model.forecast_from(noisy[:120], 20)
    assert np.abs(ahead - clean[119:140])[1:].mean() < 0.1
