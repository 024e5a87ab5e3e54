"""The study of sequences on toy sizes: records, scores, the user's own files, films and sounds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import quick
from typer.testing import CliRunner

from pyhits.cli.app import app
from pyhits.data.files import write
from pyhits.data.trajectories import Trajectories
from pyhits.errors import ArgumentError, DataError, FileFormatError
from pyhits.paper import (
    Budget,
    Cache,
    Result,
    Study,
    printed,
    reproduce,
)
from pyhits.paper.comparison import generate, media, score
from pyhits.paper.comparison.data import Coded, coded
from pyhits.paper.comparison.problems import (
    MODELS,
    PROTOCOLS,
    SEQUENCE_PROBLEMS,
    SequenceProblem,
)
from pyhits.paper.comparison.tables import counted
from pyhits.paper.sequences import write_wav
from pyhits.paper.sequences.music import delay_vectors

LENGTHS = {"fluid": 40, "video": 40, "music": 314, "ks": 121}
TOY = Budget("toy", sequence_seconds=0.1, small_sequences=True)
PROMISED = {
    "sequence",
    "model",
    "protocol",
    "mse",
    "normalised_mse",
    "paper_mse",
    "parameters",
    "train_seconds",
}


@pytest.fixture(scope="module")
def study(
    tmp_path_factory: pytest.TempPathFactory, toy_sequences: tuple[SequenceProblem, ...]
) -> Study:
    return Study(
        TOY, cache=Cache(tmp_path_factory.mktemp("cache")), sequences=toy_sequences, n_jobs=1
    )


@pytest.fixture(scope="module")
def made(study: Study, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Result], Path]:
    out = tmp_path_factory.mktemp("out")
    return {name: reproduce(name, study, out)[name] for name in ("table1", "fig7")}, out


def coded_rows(values: np.ndarray, name: str = "ks") -> Coded:
    return Coded(SEQUENCE_PROBLEMS[name], values, 0.1, {"source": "here"}, None, None)


def test_parameters_are_those_of_table_3() -> None:
    features = {"fluid": 22, "video": 64, "music": 128, "ks": 512}
    for name, d in features.items():
        assert counted(SEQUENCE_PROBLEMS[name], d) == printed.PARAMETERS[name]


def test_table_1_of_one_sequence(
    tmp_path: Path, toy_sequences: tuple[SequenceProblem, ...]
) -> None:
    brief = Budget("toy", sequence_seconds=0.02, small_sequences=True)
    waves = [one for one in toy_sequences if one.name == "ks"]
    study = Study(brief, cache=Cache(tmp_path / "c"), sequences=waves, n_jobs=1)
    reproduce("table1", study, tmp_path)
    records = json.loads((tmp_path / "table1.json").read_text())
    found = [(record["protocol"], record["model"]) for record in records]
    both = [(protocol, model) for protocol in PROTOCOLS for model in MODELS]
    assert sorted(found) == sorted([*both, ("forecast", "persistence")])
    assert all(set(record) >= PROMISED and record["sequence"] == "ks" for record in records)


@pytest.mark.slow
def test_table_1_has_the_promised_records(made: tuple[dict[str, Result], Path]) -> None:
    results, out = made
    records = json.loads((out / "table1.json").read_text())
    assert len(records) == len(results["table1"].records)
    for record in records:
        assert set(record) >= PROMISED
    for protocol in PROTOCOLS:
        found = [(r["sequence"], r["model"]) for r in records if r["protocol"] == protocol]
        models = [*MODELS, *(["persistence"] if protocol == "forecast" else [])]
        assert found == [(name, model) for name in printed.SEQUENCES for model in models]
    for record in records:
        if record["protocol"] == "reproduce":
            assert record["paper_mse"] == printed.SEQUENCE_MSE[record["sequence"]][record["model"]]
            assert record["train_seconds"] > 0
            assert record["parameters"] > 0


@pytest.mark.slow
@pytest.mark.usefixtures("own_seconds")
@pytest.mark.parametrize(
    "name",
    ["ks", "fluid", "video", "music"],
)
def test_the_hierarchy_reproduces_every_sequence(
    name: str, tmp_path: Path, toy_sequences: tuple[SequenceProblem, ...]
) -> None:
    unhurried = Study(
        Budget("toy", sequence_seconds=3.0, small_sequences=True),
        cache=Cache(tmp_path),
        sequences=toy_sequences,
    )
    one = generate.best(unhurried, name, "reproduce", "hits")
    found = coded(unhurried, name, "reproduce")
    scored = score.score(found, "reproduce", one.states)
    assert scored.normalised_mse < 1e-18
    assert scored.mse == pytest.approx(scored.normalised_mse * found.variance)
    assert scored.valid_steps == LENGTHS[name] - 1


@pytest.mark.slow
def test_the_files_are_there(made: tuple[dict[str, Result], Path]) -> None:
    _, out = made
    wanted = {"fig7.pdf", "fig7.png", "table1.json", "table1.csv", "music-original.wav"}
    wanted |= {f"music-{model}.wav" for model in MODELS}
    wanted |= {f"{name}-{model}.mp4" for name in ("fluid", "video") for model in MODELS}
    assert wanted <= {path.name for path in out.iterdir()}
    assert all((out / name).stat().st_size > 0 for name in wanted)


def test_the_sound_is_the_one_that_was_embedded() -> None:
    sound = np.random.default_rng(0).uniform(-1, 1, 300)
    assert np.array_equal(media.samples(delay_vectors(sound)), sound)
    lost = delay_vectors(sound)
    lost[10:] = np.nan
    assert np.array_equal(media.samples(lost)[:10], sound[:10])
    assert not media.samples(lost)[10:].any()


def test_pictures_are_the_snapshots(study: Study) -> None:
    found = coded(study, "video", "reproduce")
    pictures = media.pictures(found, found.values[:2])
    assert pictures.shape == (2, 18, 32, 3)
    expected = np.clip(found.decode(found.values[:2]), 0, 255).reshape(pictures.shape)
    assert np.allclose(pictures, expected)


def test_modes_of_a_forecast_have_not_seen_its_end(study: Study) -> None:
    whole, part = (coded(study, "video", protocol) for protocol in PROTOCOLS)
    assert whole.values.shape == part.values.shape
    assert not np.allclose(whole.values, part.values)
    # They are those of the first rows: these lie in their span better than in that of all rows.
    n = part.n_train
    raw = study.once(("snapshots", "video"), lambda: None).data[:n].astype(float)
    missed = [np.square(c.decode(c.values[:n]) - raw).mean() for c in (part, whole)]
    assert missed[0] < missed[1]


def test_what_was_generated_is_kept(
    study: Study, toy_sequences: tuple[SequenceProblem, ...]
) -> None:
    def fresh() -> Study:
        return Study(TOY, cache=study.cache, sequences=toy_sequences)

    task = generate.Task("ks", "reproduce", "esn", "pyhits")
    first, second = (generate.generated(s, task) for s in (study, fresh()))
    assert np.array_equal(first.states, second.states)
    assert (first.seconds, first.parameters) == (second.seconds, second.parameters)
    files = [
        path
        for path in study.cache.folder.glob("generated/*/states.npy")
        if np.array_equal(np.load(path), first.states, equal_nan=True)
    ]
    assert len(files) == 1
    content = bytearray(files[0].read_bytes())
    content[-1] ^= 1
    for damage in (b"damaged", bytes(content)):
        files[0].write_bytes(damage)
        third = generate.generated(fresh(), task)
        # Generated anew: equal to rounding, which an attractor amplifies.
        assert third.states.shape == first.states.shape
        np.testing.assert_allclose(third.states[:5], first.states[:5], rtol=1e-5, atol=1e-7)


def test_scores_by_hand() -> None:
    t = np.arange(50)[:, None]
    exact = np.hstack([np.sin(0.3 * t + k) for k in range(8)])
    found = coded_rows(exact)
    states = exact.copy()
    states[31:] += 0.5 * np.sqrt(found.variance)
    one = score.score(found, "reproduce", states)
    assert one.mse == pytest.approx(0.25 * found.variance * 19 / 49)
    assert one.normalised_mse == pytest.approx(0.25 * 19 / 49)
    assert one.valid_steps == 30
    assert one.spectral_distance is None
    ahead = score.score(found, "forecast", exact[found.n_train - 1 :])
    assert (ahead.mse, ahead.spectral_distance, ahead.histogram_distance) == (0, 0, 0)
    held = score.persistence(found, "forecast")
    missed = exact[found.n_train :] - exact[found.n_train - 1]
    assert held.mse == pytest.approx(np.square(missed).mean())
    lost = np.full_like(exact, np.nan)
    lost[0] = exact[0]
    assert score.score(found, "reproduce", lost).mse == np.inf
    assert score.score(found, "reproduce", lost).valid_steps == 0


def test_own_files_take_the_place_of_ours(
    tmp_path: Path, toy_sequences: tuple[SequenceProblem, ...]
) -> None:
    rate = 4408
    t = np.arange(4 * rate) / rate
    sound = 0.5 * np.sin(2 * np.pi * 110 * t) * (t > 1.5)
    song = tmp_path / "song.wav"
    write_wav(song, sound, rate)
    music = [one for one in toy_sequences if one.name == "music"]

    def own() -> Study:
        return Study(TOY, cache=Cache(tmp_path / "c"), audio=song, sequences=music, n_jobs=1)

    first = coded(own(), "music", "reproduce")
    assert first.values.shape == (2077, 128)
    assert first.facts["start"] >= 1.4
    assert str(first.facts["source"]).startswith("song.wav from")
    # Another recording is another sequence.
    write_wav(song, 0.5 * sound, rate)
    assert coded(own(), "music", "reproduce").variance == pytest.approx(
        first.variance / 4, rel=0.01
    )


def test_the_command_takes_own_files(tmp_path: Path) -> None:
    write_wav(tmp_path / "song.wav", np.zeros(4408), 1102)
    runner, options = CliRunner(), ["reproduce", "table4", "--sequence", "music", "-q"]
    options += ["--cache", str(tmp_path / "cache"), "-o", str(tmp_path)]
    done = runner.invoke(app, [*options, "--audio", str(tmp_path / "song.wav")])
    assert done.exit_code == 0, done.output
    assert {r["sequence"] for r in json.loads((tmp_path / "table4.json").read_text())} == {"music"}
    refused = runner.invoke(app, [*options, "--audio", str(tmp_path / "none.wav")])
    assert refused.exit_code != 0
    assert "none.wav" in refused.output.replace("\n", "")


def test_own_film(tmp_path: Path, toy_sequences: tuple[SequenceProblem, ...]) -> None:
    pytest.importorskip("av")
    frames = np.random.default_rng(0).uniform(0, 255, (30, 16 * 24 * 3)).astype(np.float32)
    write(Trajectories(frames, 0.04, grid=(16, 24, 3)), tmp_path / "film.mp4")
    study = Study(
        TOY,
        cache=Cache(tmp_path / "cache"),
        video=tmp_path / "film.mp4",
        sequences=toy_sequences,
    )
    found = coded(study, "video", "reproduce")
    assert found.shape == (16, 24, 3)
    assert found.values.shape == (30, 4)


def test_the_papers_recipe_trains_on_the_whole_sequence(
    tmp_path: Path, toy_sequences: tuple[SequenceProblem, ...]
) -> None:
    chosen = [one for one in toy_sequences if one.name == "ks"]
    paper_study = Study(TOY, recipe="paper", cache=Cache(tmp_path), sequences=chosen)
    assert {task.recipe for task in generate.tasks(paper_study, PROTOCOLS)} == {"paper"}
    for name in paper_study.sequences:
        one = coded(paper_study, name, "reproduce")
        task = generate.Task(name, "reproduce", "hits", "paper")
        model, _ = generate.fit_hierarchy(paper_study, task, one, 0.2)
        rows = len(one.values)
        assert {h.n_windows for h in model.history_.values()} == {
            rows - 3 * size for size in model.flow_maps_
        }
        for protocol in PROTOCOLS:
            states = generate.best(paper_study, name, protocol, "hits").states
            truth = generate.truth(coded(paper_study, name, protocol), protocol)
            assert states.shape == truth.shape


def test_torchs_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    data = np.cumsum(np.random.default_rng(0).standard_normal((80, 3)), axis=0)
    quick(step_sizes=[1], hidden_sizes=(512,), optimizer="ridge", polynomial_degree=0).fit(data)
    assert torch.equal(torch.get_rng_state(), before)


def test_bad_requests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="sequence"):
        Study(TOY, sequences=("kss",))
    with pytest.raises(FileFormatError, match=r"none\.wav"):
        Study(TOY, audio=tmp_path / "none.wav")
    write_wav(tmp_path / "short.wav", np.zeros(2000), 1102)
    study = Study(TOY, cache=Cache(tmp_path / "c"), audio=tmp_path / "short.wav")
    with pytest.raises(DataError, match="seconds"):
        coded(study, "music", "reproduce")
    write_wav(tmp_path / "silence.wav", np.zeros(4000), 1102)
    study = Study(TOY, cache=Cache(tmp_path / "c"), audio=tmp_path / "silence.wav")
    with pytest.raises(DataError, match=r"silence\.wav is silent"):
        coded(study, "music", "reproduce")


def test_a_film_of_a_few_frames_is_refused(
    tmp_path: Path, toy_sequences: tuple[SequenceProblem, ...]
) -> None:
    pytest.importorskip("av")
    frames = np.zeros((5, 16 * 16 * 3), np.float32) + 100 * np.arange(5)[:, None] / 5
    write(Trajectories(frames, 0.04, grid=(16, 16, 3)), tmp_path / "film.mp4")
    study = Study(
        TOY, cache=Cache(tmp_path / "c"), video=tmp_path / "film.mp4", sequences=toy_sequences
    )
    with pytest.raises(DataError, match=r"film\.mp4 has 5 frames"):
        coded(study, "video", "reproduce")
