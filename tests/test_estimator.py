"""The estimator from the outside: fit, forecast, evaluate, save, load, and bad input."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import circles, quick
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import pyhits
from pyhits.errors import ArgumentError, DataError, NotFittedError, PyHiTSWarning
from pyhits.flowmaps import ResidualNet, ScaledNet, register
from pyhits.flowmaps.base import FLOW_MAPS

Split = tuple[pyhits.Trajectories, pyhits.Trajectories, pyhits.Trajectories]


# What it does


def test_the_coupled_model_beats_every_single_scale(fitted: pyhits.HiTS, pendulum: Split) -> None:
    coupled = fitted.evaluate(pendulum[2])
    for size in fitted.flow_maps_:
        assert coupled.mse <= 1.5 * fitted.evaluate(pendulum[2], step_sizes=[size]).mse
    assert coupled.mse < 1e-4
    assert coupled.nrmse < 0.01 < coupled.persistence_nrmse
    assert coupled.valid_time == pytest.approx(10.0)


def test_shapes_dtypes_and_the_first_row(fitted: pyhits.HiTS, pendulum: Split) -> None:
    start = pendulum[2].initial_states
    many = fitted.forecast(start, 37)
    assert many.shape == (12, 38, 2)
    np.testing.assert_array_equal(many[:, 0], start)
    one = fitted.forecast(start[3], 37)
    np.testing.assert_allclose(one, many[3], atol=1e-5)
    assert one.shape == (38, 2)
    assert many.dtype == np.float64
    assert fitted.forecast(start.astype(np.float32), 3).dtype == np.float32
    assert fitted.forecast(np.array([[1, 0]]), 3).dtype == np.float64
    assert fitted.forecast(torch.tensor([[1.0, 0.0]]), 3).shape == (1, 4, 2)


def test_forecast_at_times(fitted: pyhits.HiTS, pendulum: Split) -> None:
    start = pendulum[2].initial_states
    whole = fitted.forecast(start, 40)
    np.testing.assert_array_equal(fitted.forecast(start, t=[0.0, 1.0])[:, 0], start)
    at = fitted.forecast(start, t=[0.0, 0.05, 2.0, 0.35])
    np.testing.assert_allclose(at, whole[:, [0, 1, 40, 7]], atol=1e-12)
    between = fitted.forecast(start, t=0.075)
    assert between.shape == (12, 1, 2)
    np.testing.assert_allclose(between[:, 0], whole[:, 1:3].mean(axis=1), atol=2e-2)


def test_predict_is_one_step(fitted: pyhits.HiTS, pendulum: Split) -> None:
    start = pendulum[2].initial_states
    np.testing.assert_allclose(fitted.predict(start), pendulum[2].to_array()[:, 1], atol=1e-3)
    coarse = fitted.predict(start, step_size=8)
    single = fitted.forecast(start, 8, step_sizes=[8])[:, 8]
    np.testing.assert_allclose(coarse, single, atol=1e-12)
    assert fitted.predict(start[0]).shape == (2,)
    # What is prepared for one state returns what the definition does for all of them.
    plain = fitted.forecast(start, 8, step_sizes=[8], method="sequential", rows_per_block=1)
    each = np.stack([fitted.predict(state, step_size=8) for state in start])
    np.testing.assert_allclose(each, plain[:, 8], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(each[0], fitted.predict(start[0], step_size=8))


def test_sequential_equals_vectorised(fitted: pyhits.HiTS, pendulum: Split) -> None:
    start = pendulum[2].initial_states
    one = fitted.forecast(start, 100, step_sizes=[1, 4, 16])
    other = fitted.forecast(start, 100, step_sizes=[1, 4, 16], method="sequential")
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_equal_seeds_give_equal_models(oscillations: pyhits.Trajectories) -> None:
    """In any number of processes, here fewer than scales."""
    models = [
        quick(step_sizes=[1, 2, 4], n_jobs=n, polynomial_degree=0).fit(oscillations) for n in (1, 2)
    ]
    one, two = models
    assert one.flow_maps_.keys() == two.flow_maps_.keys() == {1, 2, 4}
    for size, flow_map in one.flow_maps_.items():
        for name, values in flow_map.state_dict().items():
            assert torch.equal(values, two.flow_maps_[size].state_dict()[name]), (size, name)
        assert one.history_[size].validation_error == two.history_[size].validation_error
    start = oscillations.initial_states
    np.testing.assert_array_equal(*(m.forecast(start, 50) for m in models))
    other = quick(step_sizes=[1, 4], random_state=1, polynomial_degree=0).fit(oscillations)
    assert not np.array_equal(other.forecast(start, 50), models[0].forecast(start, 50))


def test_training_leaves_the_global_seed_and_threads_alone(
    oscillations: pyhits.Trajectories,
) -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    threads = torch.get_num_threads()
    quick(step_sizes=[1]).fit(oscillations)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    "data",
    [
        circles(40, 80).to_array(),
        list(circles(3, 80)),
        [a[: 20 + 7 * k] for k, a in enumerate(circles(6, 80))],
        pytest.param(circles(1, 400)[0], marks=pytest.mark.slow),
        circles(1, 30)[0],
        circles(2, 6).to_array(),
        circles(1, 1)[0],
        circles(1, 60)[0].astype(np.float32),
        np.round(100 * circles(5, 60).to_array()).astype(int),
        np.sin(0.1 * np.arange(120)),
    ],
    ids=["even", "few", "ragged", "one", "short", "tiny", "two rows", "float32", "int", "1-D"],
)
def test_defaults_work_on_any_data(data: Any) -> None:
    """Step sizes, widths, steps and validation follow from the data, and are said."""
    model = pyhits.HiTS(
        training=pyhits.Training(max_steps=30), n_jobs=1, random_state=0, verbose=False
    ).fit(data, dt=0.1)
    assert any("Validation" in n for n in model.notes_)
    assert any("Step sizes" in n for n in model.notes_)
    assert model.dt_ == 0.1
    start = np.zeros((model.start_rows_, model.n_features_in_))
    assert np.isfinite(model.forecast(start, 20, on_divergence="return")).any()


def test_what_is_chosen_is_said(
    oscillations: pyhits.Trajectories, capsys: pytest.CaptureFixture[str]
) -> None:
    quick(verbose=True).fit(oscillations)
    said = capsys.readouterr()
    assert said.out == ""
    for words in ("Validation: 8 of 40", "Step sizes: 1, 2, 4", "net [2, 8, 2]", "Coupled"):
        assert words in said.err
    quick().fit(oscillations)
    assert capsys.readouterr() == ("", "")


def test_validation_data_without_dt_share_the_models(oscillations: pyhits.Trajectories) -> None:
    model = quick(step_sizes=[1]).fit(oscillations, validation=oscillations.to_array()[:5])
    assert model.evaluate(oscillations.to_array()[:4]).dt == 0.1


def test_float64_models_compute_in_float64(oscillations: pyhits.Trajectories) -> None:
    model = quick(step_sizes=[1, 8], dtype="float64").fit(oscillations)
    assert model.evaluate(oscillations).mse < 1e-20


def test_a_feature_with_a_large_offset(oscillations: pyhits.Trajectories) -> None:
    shifted = oscillations.to_array() + np.array([101325.0, -5e6])
    model = quick(step_sizes=[1, 4]).fit(shifted, dt=0.1)
    assert model.evaluate(shifted).mse < 1e-6


def test_ragged_data_are_evaluated_to_their_ends(fitted: pyhits.HiTS, pendulum: Split) -> None:
    test = pendulum[2]
    pieces = pyhits.Trajectories([a[: 50 + 10 * k] for k, a in enumerate(test)], test.dt)
    result = fitted.evaluate(pieces)
    assert result.n_steps == 159
    errors = []
    predicted = fitted.forecast(test.initial_states, 159)
    for k, truth in enumerate(pieces):
        errors.append(np.square(predicted[k, 1 : len(truth)] - truth[1:]))
    assert result.mse == pytest.approx(float(np.concatenate(errors).mean()), rel=1e-6)
    assert fitted.evaluate(pieces, n_steps=20).n_steps == 20


def test_scikit_learn_conventions(oscillations: pyhits.Trajectories) -> None:
    model = quick(step_sizes=[1, 2])
    params = model.get_params()
    again = clone(model)
    assert again.get_params() == params
    assert not hasattr(again, "flow_maps_")
    assert model.fit(oscillations) is model
    assert model.get_params() == params
    assert -1e-3 < model.score(oscillations) <= 0
    assert "max_steps=60" in repr(model)


def test_searches_of_scikit_learn_take_it(oscillations: pyhits.Trajectories) -> None:
    one = quick(step_sizes=[1], flow_map="closed")
    search = GridSearchCV(one, {"random_state": [0, 1]}, cv=2, error_score="raise")
    search.fit([np.asarray(rows) for rows in oscillations], dt=oscillations.dt)
    assert -1e-3 < search.best_score_ <= 0


def test_arrays_are_shown_as_settings() -> None:
    assert repr(pyhits.HiTS(np.array([1, 2]))) == "HiTS(step_sizes=array([1, 2]))"


def test_an_evaluation_prints_and_serialises(fitted: pyhits.HiTS, pendulum: Split) -> None:
    result = fitted.evaluate(pendulum[2])
    text = str(result)
    for label in (
        "per-step error",
        "mse",
        "nrmse",
        "valid time",
        "persistence",
        "diverged",
        "seconds",
    ):
        assert label in text
    values = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert values["mse"] == result.mse
    assert len(values["per_step_mse"]) == result.n_steps + 1 == len(result.times)


def test_interrupted_fits_keep_what_is_finished(
    oscillations: pyhits.Trajectories, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyhits.training.parallel as parallel

    original = parallel._train_one

    def interrupted(index: int, job: Any, report: Any) -> Any:
        if job.step_size == interrupted_at:
            raise KeyboardInterrupt
        return original(index, job, report)

    monkeypatch.setattr(parallel, "_train_one", interrupted)
    interrupted_at = 4
    with pytest.warns(PyHiTSWarning, match=r"kept step sizes \[1, 2\], left out \[4\]"):
        model = quick(step_sizes=[1, 2, 4]).fit(oscillations)
    assert set(model.flow_maps_) == {1, 2}
    assert model.forecast(oscillations.initial_states, 9).shape == (40, 10, 2)
    interrupted_at = 1
    with pytest.raises(KeyboardInterrupt):
        quick(step_sizes=[1, 2, 4]).fit(oscillations)


# What it refuses


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step_sizes": [1, 3, 4]}, "3 does not divide the next coarser, 4"),
        ({"step_sizes": [1, 1]}, "given twice"),
        ({"step_sizes": []}, "at least one"),
        ({"step_sizes": 4}, "such as"),
        ({"training": "papr"}, "did you mean 'paper'"),
        ({"selection": "quick"}, "Unknown selection"),
        ({"selection": [1, 3, 4]}, "3 does not divide"),
        ({"selection": "speed", "tolerance": 0}, "tolerance"),
        ({"dense": 0}, "dense"),
        ({"dense": 4, "step_sizes": [1, 2, 6]}, "does not divide the next coarser, 6"),
        ({"interpolation": "quintic"}, "Unknown interpolation"),
        ({"dtype": "float16"}, "Unknown dtype"),
        ({"device": "gpu"}, "torch device"),
        ({"device": "cuda:99"}, "CUDA"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"random_state": -1}, "random_state"),
        ({"random_state": "x"}, "random_state"),
        ({"validation": 1.5}, "between 0 and 1"),
        ({"time_limit": 0}, "positive"),
        ({"max_steps": 2.5}, "whole number"),
    ],
)
def test_bad_settings(
    settings: dict[str, Any], message: str, oscillations: pyhits.Trajectories
) -> None:
    with pytest.raises(ArgumentError, match=message):
        quick(**settings).fit(oscillations)


def test_bad_data(oscillations: pyhits.Trajectories) -> None:
    nan = oscillations.to_array().copy()
    nan[3, 17, 1] = np.nan
    with pytest.raises(DataError, match="trajectory 3, row 17, column 'x1'"):
        quick().fit(nan)
    with pytest.raises(DataError, match="validation data have 3 features"):
        quick().fit(oscillations, validation=np.zeros((2, 50, 3)))
    with pytest.raises(DataError, match=r"validation data step by 0\.2"):
        quick().fit(oscillations, validation=oscillations.with_dt(0.2))
    with pytest.raises(DataError, match="Step size 256"):
        quick(step_sizes=[1, 256]).fit(oscillations)
    with pytest.raises(DataError, match="validation data: Step size 64"):
        quick(step_sizes=[1, 64]).fit(oscillations, validation=oscillations.cut(30))
    with pytest.raises(ArgumentError, match="validation="):
        quick().fit(oscillations, oscillations)
    with pytest.raises(ArgumentError, match=r"dt=0.3 was given"):
        quick().fit(oscillations, dt=0.3)


def test_bad_questions(fitted: pyhits.HiTS, pendulum: Split) -> None:
    start = pendulum[2].initial_states
    with pytest.raises(NotFittedError, match="call fit"):
        pyhits.HiTS().forecast(start, 3)
    for call, error, message in (
        (lambda: fitted.forecast(start), ArgumentError, "either n_steps or the times"),
        (lambda: fitted.forecast(start, 3, t=[1]), ArgumentError, "either n_steps or the times"),
        (lambda: fitted.forecast(start, 0), ArgumentError, "n_steps to be at least 1"),
        (lambda: fitted.forecast(start, -5), ArgumentError, "at least 1"),
        (lambda: fitted.forecast(start, 2.5), ArgumentError, "whole number"),
        (lambda: fitted.forecast(start, t=[-1.0]), ArgumentError, "0 or later"),
        (lambda: fitted.forecast(start, t=[np.nan]), ArgumentError, "0 or later"),
        (lambda: fitted.forecast(start, t=[]), ArgumentError, "0 or later"),
        (lambda: fitted.forecast(start[:, :1], 3), DataError, r"shape \(n, 2\)"),
        (lambda: fitted.forecast(start[:0], 3), DataError, r"shape \(n, 2\)"),
        (lambda: fitted.forecast([["a", "b"]], 3), DataError, "numbers"),
        (lambda: fitted.forecast([[np.inf, 0]], 3), DataError, "Initial state 0 is inf in 'x'"),
        (lambda: fitted.forecast(start, 3, step_sizes=[3]), ArgumentError, "3 was not trained"),
        (lambda: fitted.forecast(start, 3, step_sizes=[]), ArgumentError, "at least one"),
        (lambda: fitted.forecast(start, 3, method="fast"), ArgumentError, "Unknown method"),
        (lambda: fitted.forecast(start, 3, interpolation="x"), ArgumentError, "interpolation"),
        (lambda: fitted.forecast(start, 3, on_divergence="x"), ArgumentError, "on_divergence"),
        (
            lambda: fitted.evaluate(np.zeros((2, 9, 3))),
            DataError,
            "have 3 features, the training",
        ),
        (
            lambda: fitted.evaluate(pendulum[2].with_dt(1)),
            DataError,
            "step by 1, the training",
        ),
        (lambda: fitted.evaluate(pendulum[2], n_steps=0), ArgumentError, "at least 1"),
        (lambda: fitted.predict(start, step_size=3), ArgumentError, "not trained"),
    ):
        with pytest.raises(error, match=message):
            call()


@register("test-fourier")
class Fourier(ScaledNet):
    """A net of a user's own, which the estimator trains."""

    def __init__(self, dimension: int, base_degree: int | None = None) -> None:
        super().__init__(dimension, base_degree)
        self.inner = torch.nn.Linear(dimension, 24)
        self.outer = torch.nn.Linear(24, dimension)

    def net(self, states: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.outer(torch.sin(self.inner(states)))
        return result


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_users_net_is_trained(
    oscillations: pyhits.Trajectories, tmp_path: Path, n_jobs: int
) -> None:
    model = quick(
        step_sizes=[1, 4],
        flow_map="test-fourier",
        polynomial_degree=0,
        max_steps=400,
        learning_rate=1e-2,
        n_jobs=n_jobs,
    ).fit(oscillations)
    assert isinstance(model.flow_maps_[4], Fourier)
    assert model.evaluate(oscillations, n_steps=20).nrmse < 0.1
    again = pyhits.load(model.save(tmp_path / "own.safetensors"))
    start = oscillations.initial_states
    np.testing.assert_array_equal(again.forecast(start, 20), model.forecast(start, 20))
    with pytest.raises(ArgumentError, match="did you mean 'residual'"):
        quick(flow_map="residuals").fit(oscillations)
    with pytest.raises(ArgumentError, match="cannot be dense"):
        quick(flow_map="test-fourier", dense=4).fit(oscillations)
    with pytest.raises(ArgumentError, match="must subclass ScaledNet"):
        quick(flow_map="test-drift", step_sizes=[1]).fit(
            np.random.default_rng(0).standard_normal((9, 30, 2))
        )


def test_a_family_says_which_settings_its_constructor_takes() -> None:
    @register("test-narrow")
    class Narrow(ResidualNet):
        def __init__(self, dimension: int, base_degree: int | None = None) -> None:
            super().__init__(dimension, (8,), base_degree=base_degree)

    data = circles(6, 40)
    try:
        with pytest.raises(ArgumentError, match="does not take 'hidden_sizes'"):
            quick(flow_map="test-narrow", step_sizes=[1]).fit(data)
        Narrow.settings = ()
        model = quick(flow_map="test-narrow", step_sizes=[1], polynomial_degree=0, max_steps=5)
        assert isinstance(model.fit(data).flow_maps_[1], Narrow)
    finally:
        del FLOW_MAPS.classes["test-narrow"]


def test_features_are_matched_by_name(oscillations: pyhits.Trajectories) -> None:
    model = quick(step_sizes=[1, 4]).fit(oscillations)
    swapped = oscillations.select(["y", "x"])
    assert model.evaluate(swapped).mse == pytest.approx(model.evaluate(oscillations).mse, rel=1e-12)
    other = pyhits.Trajectories(oscillations.to_array(), 0.1, feature_names=["u", "v"])
    with pytest.raises(DataError, match="features u, v, the training data x, y"):
        model.evaluate(other)
    unnamed = pyhits.Trajectories(oscillations.to_array(), 0.1)
    assert model.evaluate(unnamed).mse == model.evaluate(oscillations).mse


def test_default_step_sizes_leave_room_for_rollouts(oscillations: pyhits.Trajectories) -> None:
    model = quick(training="paper", max_steps=3).fit(oscillations)
    assert max(model.flow_maps_) * 5 <= 200


# The package


def test_importing_is_cheap_and_quiet() -> None:
    code = (
        "import sys, pyhits; heavy = {'torch', 'scipy', 'sklearn', 'matplotlib', 'numpy'} "
        "& set(sys.modules); assert not heavy, heavy; "
        "assert 'HiTS' in dir(pyhits); pyhits.HiTS; assert 'torch' in sys.modules; "
        "assert not {'matplotlib', 'jinja2', 'sklearn', 'pandas'} & set(sys.modules); "
        "import pyhits.training.parallel; assert not {'dask', 'distributed'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == done.stderr == ""


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'HITS'"):
        pyhits.HITS  # noqa: B018
    assert set(pyhits.__all__) <= set(dir(pyhits))
    for name in pyhits.__all__:
        assert getattr(pyhits, name) is not None


def test_fits_warn_of_nothing(oscillations: pyhits.Trajectories) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick(step_sizes=[1, 2]).fit(oscillations)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_models_load_on_a_cpu(oscillations: pyhits.Trajectories, tmp_path: Path) -> None:
    model = quick(step_sizes=[1, 2], device="cuda", polynomial_degree=0).fit(oscillations)
    again = pyhits.load(model.save(tmp_path / "m.safetensors"))
    start = oscillations.initial_states
    np.testing.assert_allclose(again.forecast(start, 20), model.forecast(start, 20), atol=1e-4)


def test_what_a_fit_would_have_found_is_not_there_before() -> None:
    model = pyhits.HiTS()
    for name in ("selection_", "notes_", "calibration_"):
        assert not hasattr(model, name)
        with pytest.raises(NotFittedError, match="call fit"):
            getattr(model, name)
