"""The autoencoder: curved manifolds in few coordinates, and never worse than modes alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import quick, rounding
from sklearn.base import clone
from typer.testing import CliRunner

import pyhits
from pyhits import Trajectories
from pyhits.cli.app import app
from pyhits.encoders import (
    POD,
    Autoencoder,
    Chain,
    Encoder,
)
from pyhits.encoders.chain import from_plain, links, split, to_plain
from pyhits.errors import ArgumentError, DataError, NotFittedError

X = np.linspace(0, 1, 120)


def bumps(n: int, first: int = 0) -> np.ndarray:
    """A bump that travels to and fro and grows and shrinks: two numbers say all, ``(n, 120)``."""
    t = np.arange(first, first + n)[:, None]
    place, height = 0.5 + 0.25 * np.sin(0.07 * t), 1 + 0.4 * np.cos(0.031 * t)
    return height * np.exp(-np.square((X - place) / 0.1)) + 20


TRAIN, TEST = bumps(500), bumps(150, 500)


def error(encoder: Encoder, rows: np.ndarray) -> float:
    """Root mean squared error of rows there and back, in standard deviations of the field."""
    back = encoder.inverse_transform(encoder.transform(rows))
    return float(np.sqrt(np.mean(np.square(back - rows)) / TRAIN.var(axis=0).mean()))


@pytest.fixture(scope="module")
def fitted() -> Autoencoder:
    return Autoencoder(2, (32, 32)).fit(TRAIN)


def test_a_travelling_bump_takes_two_coordinates(fitted):
    pod = POD(2).fit(TRAIN)
    assert error(fitted, TRAIN) < 0.05 * error(pod, TRAIN)
    assert error(fitted, TEST) < 0.05 * error(pod, TEST)
    # Modes alone need many times the coordinates for as much.
    assert error(POD(6).fit(TRAIN), TEST) > error(fitted, TEST)


def test_the_energy_is_what_it_says(fitted):
    centred = TRAIN - TRAIN.mean(axis=0)
    left = np.square(fitted.inverse_transform(fitted.transform(TRAIN)) - TRAIN).sum()
    assert 1 - fitted.energy_ == pytest.approx(left / np.square(centred).sum(), rel=1e-3)
    assert fitted.linear_energy_ == pytest.approx(POD(2).fit(TRAIN).energy_)
    assert fitted.energy_ > fitted.linear_energy_
    assert f"as modes alone {100 * fitted.linear_energy_:.1f} %" in fitted.notes()[0]


def test_coordinates_are_those_of_modes_and_survive_the_way_back(fitted):
    Z = fitted.transform(TEST)
    modes = POD(26).fit(TRAIN)
    wanted = modes.transform(TEST)[:, :2]
    # Rounding turns the modes of a decomposition by the share of a gap that it is of the strongest,
    # and a product with two of them rounds otherwise than one with all.
    values = modes.singular_values_
    turned = values[0] / min(values[0] - values[1], values[1] - values[2])
    within = rounding(len(TRAIN) + len(X), turned * np.linalg.norm(TEST - modes.mean_, axis=1))
    np.testing.assert_allclose(Z, wanted, rtol=0, atol=within)
    again = fitted.transform(fitted.inverse_transform(Z))
    np.testing.assert_allclose(again, Z, atol=1e-12 * np.abs(Z).max())
    assert list(fitted.get_feature_names_out()) == ["latent 1", "latent 2"]


@pytest.mark.parametrize("seed", range(3))
def test_it_is_never_worse_than_modes_alone(seed):
    """Noise has no manifold, and few rows tell of none."""
    rng = np.random.default_rng(seed)
    for rows in (rng.standard_normal((60, 15)), rng.standard_normal((6, 40)), TRAIN[:9]):
        own, pod = Autoencoder(2, (16,)).fit(rows), POD(2).fit(rows)
        left = [np.square(e.inverse_transform(e.transform(rows)) - rows).sum() for e in (own, pod)]
        assert left[0] <= left[1] * (1 + 1e-9)
        assert own.energy_ >= own.linear_energy_ - 1e-12


def test_a_flat_subspace_is_left_flat():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((80, 2)) @ rng.standard_normal((2, 30)) + 7
    own = Autoencoder(2).fit(rows)
    assert own.weights_ == []
    np.testing.assert_allclose(own.inverse_transform(own.transform(rows)), rows, atol=1e-12)
    assert own.energy_ == pytest.approx(1)
    full = Autoencoder(3).fit(rng.standard_normal((50, 3)))
    assert not full.lossy
    assert Autoencoder(2).fit(rows).lossy


def test_equal_seeds_give_equal_encoders(fitted):
    short = Autoencoder(2, (32, 32), max_steps=60)
    one, again = short.fit(TRAIN), clone(short).fit(TRAIN)
    np.testing.assert_array_equal(
        again.inverse_transform(TEST[:, :2]), one.inverse_transform(TEST[:, :2])
    )
    other = clone(short).set_params(random_state=1).fit(TRAIN)
    assert not np.array_equal(other.weights_[0], one.weights_[0])
    assert repr(Autoencoder(2, (32, 32))) == "Autoencoder(n_components=2, hidden_sizes=(32, 32))"
    with pytest.raises(NotFittedError):
        clone(fitted).transform(TRAIN)


def test_data_in_blocks_and_in_lists(fitted):
    pieces = [TRAIN[:100], TRAIN[100:350], TRAIN[350:]]
    for given in (pieces, Trajectories(pieces, 0.1)):
        own = Autoencoder(2, (32, 32), max_steps=200, max_bytes=400_000).fit(given)
        assert error(own, TEST) < 0.05
    back = fitted.inverse_transform(fitted.transform(TRAIN.reshape(5, 100, 120)))
    assert back.shape == (5, 100, 120)


def test_it_becomes_plain_values_and_arrays(fitted):
    chain = Chain([Autoencoder(2, (8, 8), max_steps=20)]).fit(TRAIN)
    values = json.loads(json.dumps(to_plain(links(chain))))
    again = Chain(from_plain(values)).set_state(**chain.state())
    assert repr(again) == repr(chain)
    assert again.notes() == chain.notes()
    Z = chain.transform(TEST)
    np.testing.assert_array_equal(again.transform(TEST), Z)
    np.testing.assert_array_equal(again.inverse_transform(Z), chain.inverse_transform(Z))
    state = fitted.state()
    for wrong, message in (
        ({"weight.0": state["weight.0"][:1]}, "layers do not fit"),
        (
            {"modes": state["modes"][:5], "singular_values": state["singular_values"][:5]},
            "do not fit",
        ),
        ({"bias.1": np.full_like(state["bias.1"], np.nan)}, "not finite"),
    ):
        with pytest.raises(ValueError, match=message):
            clone(fitted).set_state(**{**state, **wrong})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_components": 0}, "n_components to be at least 1"),
        ({"n_components": 4, "n_modes": 3}, "at least n_components=4"),
        ({"n_components": 2, "hidden_sizes": (0,)}, "hidden_sizes"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ArgumentError, match=message):
        Autoencoder(**settings).fit(TRAIN)


def test_data_that_cannot_be_encoded_are_refused():
    with pytest.raises(DataError, match="modes were asked for"):
        Autoencoder(200).fit(TRAIN)
    with pytest.raises(DataError):
        Autoencoder(1).fit(np.ones((9, 3)))


# Models


def ring(n: int, first: float) -> np.ndarray:
    """A bump that travels around a ring: its place says all, and where it goes."""
    place = (first + 0.013 * np.arange(n))[:, None]
    return np.exp(12 * (np.cos(2 * np.pi * (X[:-1] - place)) - 1))


@pytest.mark.slow
def test_a_model_steps_on_the_manifold(tmp_path: Path):
    data = Trajectories([ring(150, 0.15 * k) for k in range(6)], 0.1)
    test = Trajectories([ring(120, first) for first in (0.31, 0.77)], 0.1)
    curved, flat = (
        quick(step_sizes=[1, 4], encoder=encoder).fit(data)
        for encoder in (Autoencoder(2, (32, 32)), POD(2))
    )
    assert curved.scaling_.common
    assert split(Autoencoder(4), True)[1].common
    assert any(note.startswith("Autoencoder: 2 coordinates keep 9") for note in curved.notes_)
    found, modes = curved.evaluate(test), flat.evaluate(test)
    assert found.reconstruction_nrmse < 0.1 * modes.reconstruction_nrmse
    assert found.nrmse < 0.2 * modes.nrmse
    again = pyhits.load(curved.save(tmp_path / "m.safetensors"))
    starts = test.initial_states
    np.testing.assert_array_equal(again.forecast(starts, 30), curved.forecast(starts, 30))
    assert again.encoder.notes() == curved.encoder_.notes()


@pytest.mark.slow
def test_on_the_command_line_and_for_films(tmp_path: Path):
    np.save(tmp_path / "x.npy", TRAIN[:120].reshape(-1, 10, 12))
    words = ["fit", str(tmp_path / "x.npy"), "--dt", "0.1", "-o", str(tmp_path / "m.safetensors")]
    words += ["--grid", "10x12", "--step-sizes", "1", "--max-steps", "5", "--jobs", "1"]
    result = CliRunner().invoke(app, [*words, "--encoder", "autoencoder=2"])
    assert result.exit_code == 0, result.output
    model = pyhits.load(tmp_path / "m.safetensors")
    assert model.coordinates.snapshot == (10, 12)
    assert repr(model.encoder.encoders[0]) == "Autoencoder(n_components=2)"
    assert model.forecast(TRAIN[0].reshape(10, 12), 3).shape == (4, 10, 12)
    wrong = CliRunner().invoke(app, [*words, "--encoder", "autoencoder=2x3"])
    assert wrong.exit_code == 2
    assert "autoencoder=8" in wrong.output
