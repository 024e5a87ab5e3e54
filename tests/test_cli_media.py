"""Sounds, films and encoders on the command line, from the file to a file of the same kind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import circles
from scipy.io import wavfile
from typer.testing import CliRunner, Result

import pyhits
from pyhits.cli.app import app
from pyhits.cli.encoders import parse_encoders
from pyhits.encoders import POD, DelayEmbedding, Standardise
from pyhits.errors import ArgumentError

RUNNER = CliRunner()
SMALL = ["--max-steps", "40", "--hidden-sizes", "8", "--n-jobs", "1", "--step-sizes", "1,2"]


def run(*arguments: object) -> Result:
    return RUNNER.invoke(app, [str(a) for a in arguments])


def shown(text: str) -> str:
    (encoder,) = parse_encoders([text])
    return repr(encoder)


# Spelling


@pytest.mark.parametrize(
    ("text", "encoder"),
    [
        ("pod", POD()),
        ("pod=64", POD(64)),
        ("pod=1", POD(1)),
        ("pod=0.99", POD(energy=0.99)),
        ("pod=1.0", POD(energy=1.0)),
        ("POD = 5", POD(5)),
        ("delay=128", DelayEmbedding(128)),
        ("delay=5x10", DelayEmbedding(5, 10)),
        ("standardise", Standardise()),
        ("standardise=common", Standardise(common=True)),
    ],
)
def test_encoders_as_they_are_spelled(text, encoder):
    assert shown(text) == repr(encoder)


def test_their_order_is_kept():
    chain = parse_encoders(["delay=3", "pod=2", "standardise=common"])
    assert [type(link) for link in chain] == [DelayEmbedding, POD, Standardise]
    assert parse_encoders(None) is None
    assert parse_encoders([]) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pods=3", "Unknown encoder 'pods'; did you mean 'pod'"),
        ("standardize", "did you mean 'standardise'"),
        ("standardise=comon", "did you mean 'common'"),
        ("pod=", "ends before its value"),
        ("pod=0", "number of modes"),
        ("pod=many", "got pod=many"),
        ("pod=2.5", "got pod=2.5"),
        ("pod=-0.5", "number of modes"),
        ("delay", "delay=5x10, with a lag of 10 rows, got delay"),
        ("delay=5,10", "got delay=5,10"),
        ("delay=5x2x3", "got delay=5x2x3"),
        ("delay=0", "a number of rows"),
    ],
)
def test_bad_spellings_are_named(text, message):
    with pytest.raises(ArgumentError) as error:
        parse_encoders([text])
    assert message in str(error.value)


def test_fit_reports_them_before_it_reads(tmp_path):
    done = run("fit", tmp_path / "none.npz", "--encoder", "pdo=3", "-o", tmp_path / "m.safetensors")
    assert done.exit_code == 2
    assert "did you mean 'pod'" in done.stderr


# Part of a recording


def test_hold_out_and_evaluate_the_rest(tmp_path):
    data = circles(2, 200).select(["x"])
    pyhits.write(data, tmp_path / "x.csv")
    model = tmp_path / "m.safetensors"
    done = run(
        "fit", tmp_path / "x.csv", "--encoder", "delay=2x3", "--without-last", 0.2,
        "-o", model, *SMALL,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "Left out: the last 20%" in done.stderr
    loaded = pyhits.load(model)
    head = round(0.8 * 201)
    kept, _ = data.split_time(0.2)
    trained = pyhits.read(tmp_path / "x.csv").split_time(0.2)[0].split_time(0.2)[0]
    assert loaded.summary.n_rows == trained.n_rows
    result = run("evaluate", model, tmp_path / "x.csv", "--last", 0.2, "--json")
    values = json.loads(result.stdout)
    assert values["n_steps"] == 201 - head
    expected = loaded.forecast_from(kept, 201 - head)
    truth = np.stack([rows[head - 1 :] for rows in data])
    mse = np.mean((expected - truth)[:, 1:] ** 2)
    assert values["mse"] == pytest.approx(mse, rel=1e-6)
    table = run("evaluate", model, tmp_path / "x.csv", "--last", 40)
    assert "persistence" in table.stdout
    assert "40 steps" in table.stdout
    fewer = run("evaluate", model, tmp_path / "x.csv", "--last", 40, "--steps", 10, "--json")
    assert json.loads(fewer.stdout)["n_steps"] == 10


def test_a_last_part_that_is_none(tmp_path):
    pyhits.write(circles(2, 50), tmp_path / "x.npz")
    for value, code in (("0", 2), ("-3", 2), ("2.5", 2), ("51", 1)):
        done = run(
            "fit", tmp_path / "x.npz", "--without-last", value, "-o", tmp_path / "m.safetensors"
        )
        assert done.exit_code == code, value
        assert "Error" in done.stderr


# From end to end


def test_a_field_of_a_file_keeps_its_shape(tmp_path):
    states = circles(1, 120)[0]
    field = np.einsum("tk,kyx->tyx", states, np.random.default_rng(0).standard_normal((2, 4, 5)))
    np.save(tmp_path / "f.npy", field)
    model, out = tmp_path / "m.safetensors", tmp_path / "later.npz"
    shape = ["--grid", "4x5", "--encoder", "pod=2", "--encoder", "standardise=common"]
    done = run("fit", tmp_path / "f.npy", "--dt", 0.1, *shape, "-o", model, *SMALL)
    assert done.exit_code == 0, done.output
    done = run("forecast", model, "--from", tmp_path / "f.npy", "--steps", 50, "-o", out)
    assert done.exit_code == 0, done.output
    later = pyhits.read(out)
    assert later.snapshot == (4, 5)
    np.testing.assert_allclose(later[0].reshape(51, 4, 5), field[:51], atol=0.05)
    assert run("evaluate", model, tmp_path / "f.npy", "--last", 0.2).exit_code == 0
    wrong = run("fit", tmp_path / "f.npy", "--grid", "4x6", "-o", model)
    assert wrong.exit_code == 2
    assert "grid of rows" in wrong.stderr


@pytest.mark.usefixtures("few_baselines")
def test_a_sound_comes_out_as_a_sound(tmp_path):
    t = np.arange(3000) / 4000
    both = np.stack([0.5 * np.sin(2 * np.pi * 60 * t)] * 2, axis=1)
    wavfile.write(tmp_path / "a.wav", 4000, (both * 2**15).astype(np.int16))
    model, out = tmp_path / "m.safetensors", tmp_path / "b.wav"
    done = run(
        "fit", tmp_path / "a.wav", "--rate", 1000, "--mono", "--stretch", "0.05,0.7",
        "--encoder", "delay=8x2", "--without-last", "100", "-o", model, *SMALL,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    # Read at the model's rate, with as many channels, without being told.
    done = run("forecast", model, "--from", tmp_path / "a.wav", "--steps", 300, "-o", out)
    assert done.exit_code == 0, done.output
    rate, sound = wavfile.read(out)
    assert (rate, sound.shape) == (1000, (301,))
    result = run("evaluate", model, tmp_path / "a.wav", "--last", 50, "--json")
    assert json.loads(result.stdout)["nrmse"] < 0.1
    assert json.loads(result.stdout)["persistence_nrmse"] > 0.5


@pytest.mark.slow
def test_a_film_comes_out_as_a_film(tmp_path):
    pytest.importorskip("av")
    t = 0.2 * np.arange(60)
    base, other = np.random.default_rng(0).uniform(20, 60, (2, 8, 16, 3)).repeat(4, 1).repeat(4, 2)
    wave = base * np.cos(t)[:, None, None, None] + other * np.sin(t)[:, None, None, None]
    film = pyhits.Trajectories(
        (128 + wave).reshape(60, -1).astype(np.float32), 0.04, grid=(32, 64, 3)
    )
    pyhits.write(film, tmp_path / "a.mp4")
    model, out = tmp_path / "m.safetensors", tmp_path / "b.mp4"
    done = run(
        "fit", tmp_path / "a.mp4", "--height", 16, "--encoder", "pod=2",
        "--encoder", "standardise=common", "--without-last", 0.2, "-o", model, *SMALL,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "16 x 32 x 3 numbers" in done.stderr
    done = run(
        "forecast", model, "--after", tmp_path / "a.mp4", "--without-last", 0.2,
        "--steps", 12, "-o", out,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    ahead, truth = pyhits.read(out), pyhits.read(tmp_path / "a.mp4", height=16)
    assert (ahead.n_rows, ahead.snapshot, ahead.dt) == (13, (16, 32, 3), 0.04)
    assert np.abs(ahead[0] - truth[0][47:60]).mean() < 5
    result = run("evaluate", model, tmp_path / "a.mp4", "--last", 0.2, "--json")
    assert json.loads(result.stdout)["nrmse"] < 0.2
    again = run("forecast", model, "--from", out, "--steps", 3, "-o", tmp_path / "c.gif")
    assert again.exit_code == 0, again.output
    assert pyhits.read(tmp_path / "c.gif").n_rows == 4


def test_a_model_of_no_pictures_makes_no_film(tmp_path):
    pyhits.write(circles(6, 40), tmp_path / "x.npz")
    model = tmp_path / "m.safetensors"
    assert run("fit", tmp_path / "x.npz", "-o", model, *SMALL).exit_code == 0
    done = run("forecast", model, "--from", tmp_path / "x.npz", "--steps", 5, "-o", "x.mp4")
    assert done.exit_code == 1
    assert "must be pictures" in done.stderr
    assert not Path("x.mp4").exists()
    done = run("forecast", model, "--from", tmp_path / "x.npz", "--steps", 5, "-o", "x.wav")
    assert (done.exit_code, "one recording, but there are 6" in done.stderr) == (1, True)
    done = run("fit", tmp_path / "x.npz", "-o", model, "--rate", 100)
    assert (done.exit_code, "rate is for .wav" in done.stderr) == (2, True)
    done = run("evaluate", model, tmp_path / "x.npz", "--stretch", "1")
    assert (done.exit_code, "two times in seconds" in done.stderr) == (2, True)
