"""What is fitted to all rows in the end: flow maps, encoders, scaling and region alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pyhits
from pyhits.encoders import POD, Autoencoder, DelayEmbedding, Standardise
from pyhits.policies import arguments

SETTINGS: dict[str, Any] = {
    "step_sizes": [1, 2, 4], "flow_map": "polynomial", "polynomial_degree": 1, "noise": False,
    "random_state": 0, "n_jobs": 1, "verbose": False,
}  # fmt: skip


def drifting(n_rows: int = 500) -> np.ndarray:
    """Return a pulse that wanders across the domain, and beats: later rows need other modes."""
    k, x = np.arange(n_rows)[:, None], np.linspace(0, 1, 20, endpoint=False)
    pulse = np.exp(-np.square((x - 0.1 - 0.7 * k / 500) / 0.12))
    # Negative between pulses, so that no logarithms are fitted to, which would take twice as long.
    return np.asarray(pulse * (1 + 0.3 * np.sin(0.5 * k)) - 0.5)


def left_over(encoder: Any, rows: np.ndarray) -> float:
    """Return the share of the rows that an encoder loses."""
    back = encoder.inverse_transform(encoder.transform(rows))
    return float(np.sqrt(np.mean(np.square(back - rows)) / np.var(rows)))


def test_modes_are_fitted_to_all_rows_and_lose_less_of_the_last() -> None:
    rows = drifting()[:400]
    model = pyhits.HiTS(**arguments(**SETTINGS, encoder=[POD(6)])).fit(rows)
    chain = model.encoder_
    assert chain is not None
    whole, part = POD(6).fit(rows), POD(6).fit(rows[:320])
    np.testing.assert_allclose(chain.transform(rows), whole.transform(rows), atol=1e-8)
    assert left_over(chain, rows[320:]) < 0.2 * left_over(part, rows[320:])
    scaling = Standardise(common=True).fit(chain.transform(rows))
    np.testing.assert_allclose(model.scaling_.scale_, scaling.scale_)
    assert model.summary_.n_rows == 400
    np.testing.assert_array_equal(model.summary_.high, rows.max(axis=0))
    assert any("by the encoder as well" in note for note in model.notes_)
    # The errors that intervals rest on are of modes that had not seen what was held out.
    assert model.calibration_ is not None
    assert model.calibration_.scores.max() > left_over(part, rows[320:])
    region = model.region_
    assert region is not None
    np.testing.assert_allclose(region.low, whole.transform(rows).min(axis=0), atol=1e-8)
    outside = region.outside(chain.transform(rows))
    assert not outside.any.any()


@pytest.mark.slow
def test_choices_stay_and_what_is_learned_is_learned_again() -> None:
    rows = drifting()[:400:2]
    by_energy = pyhits.HiTS(
        **arguments(**SETTINGS, encoder=[POD(energy=0.95), DelayEmbedding(2)])
    ).fit(rows)
    assert by_energy.encoder_ is not None
    modes, delays = by_energy.encoder_.encoders
    first = POD(energy=0.95).fit(rows[:160])
    assert modes.n_features_out_ == first.n_features_out_
    assert (modes.n_modes, modes.energy, delays.n_delays_) == (None, 0.95, 2)
    np.testing.assert_allclose(modes.mean_, rows.mean(axis=0))
    net = Autoencoder(2, hidden_sizes=(4,), n_modes=3, max_steps=5)
    model = pyhits.HiTS(**arguments(**SETTINGS, encoder=[net])).fit(rows)
    assert model.encoder_ is not None
    fresh = POD(3).fit(rows)
    np.testing.assert_allclose(model.encoder_.encoders[0].pod_.mean_, fresh.mean_)
    said = [note for note in model.notes_ if note.startswith("Autoencoder")]
    assert said == model.encoder_.notes()


@pytest.mark.parametrize("encoder", [[], [DelayEmbedding(2)]])
def test_scaling_and_inputs_are_those_of_all_rows(encoder: list[Any]) -> None:
    rng = np.random.default_rng(0)
    u = rng.standard_normal((200, 1)) * np.linspace(1, 4, 200)[:, None]
    x = np.zeros((200, 2))
    for k in range(199):
        x[k + 1] = [0.9 * x[k, 0] + 0.2 * x[k, 1], 0.8 * x[k, 1] + 0.1 * u[k, 0]]
    model = pyhits.HiTS(**arguments(**SETTINGS, encoder=encoder)).fit(x, inputs=u)
    lost = len(encoder)
    np.testing.assert_allclose(model.scaling_.mean_[:2], x[lost:].mean(axis=0))
    assert model.inputs_ is not None
    assert (model.inputs_.low, model.inputs_.high) == (u[lost:].min(), u[lost:].max())
    assert model.evaluate(np.hstack([x, u])).mse < 1e-12


@pytest.mark.slow
def test_nets_that_are_kept_keep_their_coordinates() -> None:
    rows = drifting()[:400:2]
    settings = {**SETTINGS, "flow_map": "residual", "max_steps": 5, "hidden_sizes": (4,)}
    model = pyhits.HiTS(**arguments(**settings, encoder=[POD(3)])).fit(rows)
    assert model.encoder_ is not None
    part = POD(3).fit(rows[:160])
    np.testing.assert_allclose(model.encoder_.transform(rows), part.transform(rows), atol=1e-8)


def test_trajectories_are_forecast_by_modes_fitted_without_them() -> None:
    """One trajectory lives where no other does: its modes are unknown to those fitted without."""
    rng = np.random.default_rng(2)
    base = np.linalg.qr(rng.standard_normal((12, 4)))[0].T
    k = np.arange(40)[:, None]
    runs = [rng.uniform(0.5, 2) * (np.cos(0.3 * k + a) * base[0] + np.sin(0.3 * k + a) * base[1])
            for a in rng.uniform(0, 6, 11)]  # fmt: skip
    runs.append(np.cos(0.3 * k) * base[2] + np.sin(0.3 * k) * base[3])
    model = pyhits.HiTS(**arguments(**SETTINGS, encoder=[POD(4)])).fit(runs)
    known = model.calibration_
    assert known is not None
    assert known.cross_fitted
    worst = np.sort(known.scores[:, 0].max(axis=-1))
    assert worst[-1] > 0.1 > 1e-6 > worst[-2]
