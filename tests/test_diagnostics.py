"""Data that a person would object to, and sound data that look odd."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import pyhits

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.odd_data import UNSOUND
from benchmarks.signals import lorenz, rk4, van_der_pol
from benchmarks.sound_data import SOUND, catalogued
from pyhits import Trajectories, systems
from pyhits.data.diagnostics import compare, examine, units
from pyhits.data.diagnostics.repeated import repeated
from pyhits.errors import PyHiTSWarning

T = 0.05 * np.arange(400)
WAVE = np.column_stack([np.sin(T), np.cos(T)])


#: A jump in amplitude is as well two recordings, one below the other.
ALSO = {"regime": ("glued",)}

#: Of five, where the signs are weak.
LEAST = {"lorenz": 1, "others *": 2}


def kinds(data: object, **options: object) -> set[str]:
    return {finding.kind for finding in examine(data, **options)}


def glued_waves(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [
            np.column_stack([np.sin(T[:100] + p), np.cos(T[:100] + p)]) * a
            for p, a in zip(rng.uniform(0, 6, 10), rng.uniform(0.3, 3, 10), strict=True)
        ]
    )


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, makers in UNSOUND.items() for name in makers]
)
def test_each_kind_is_said(kind: str, name: str) -> None:
    rng = [np.random.default_rng([seed, 5]) for seed in range(5)]
    found = [kinds(UNSOUND[kind][name](one)) for one in rng]
    assert sum(bool(one & {kind, *ALSO.get(kind, ())}) for one in found) >= LEAST.get(name, 4)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "bursting")) for n in SOUND]
)
def test_sound_data_pass_in_silence(name: str) -> None:
    for seed in range(2):
        assert examine(SOUND[name](np.random.default_rng([seed, 6]))) == []


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=[pytest.mark.slow] * (name not in ("van-der-pol", "van-der-pol-stiff"))
        )
        for name in systems.names()
    ],
)
def test_catalogued_systems_pass_in_silence(name: str) -> None:
    clean = catalogued(name, 0.0)(np.random.default_rng(1))
    for data in (clean, clean.add_noise(1e-4, random_state=1)):
        assert examine(data) == []


def test_findings_name_the_place_and_an_option() -> None:
    (found,) = examine(glued_waves())
    assert found.kind == "glued"
    assert (found.trajectory, found.row) == (0, 100)
    assert "rows 100, 200, 300" in found.message
    assert "every 100 rows" in found.message
    assert "column named trajectory" in found.advice
    angle = (0.9 * T + 0.3 * np.sin(T) + np.pi) % (2 * np.pi) - np.pi
    (found,) = examine(Trajectories(angle[:, None], feature_names=["theta"]))
    assert found.features == ("theta",)
    assert found.row == int(np.abs(np.diff(angle)).argmax()) + 1
    assert "cosine" in found.advice
    assert "unwrap" in found.advice


@pytest.mark.parametrize("shift", [-6.0, 2.5])
def test_a_step_of_one_feature_to_another_level_is_a_regime(shift: float) -> None:
    rows = np.column_stack([np.sin(2 * T), np.cos(2 * T)])
    rows[170:, 0] += shift
    (found,) = examine(rows)
    assert (found.kind, found.row) == ("regime", 170)
    assert "'x0' lies about" in found.message
    # One that comes back, or a leap of what goes one way before and behind it, is none.
    rows[180:, 0] -= shift
    assert "regime" not in kinds(rows)
    leap = np.column_stack([np.sin(2 * T), 0.1 * T + np.where(T > 10, 5.0, 0.0)])
    assert "regime" not in kinds(leap)


@pytest.fixture(scope="module")
def few_turns() -> list[np.ndarray]:
    """One turn and two of Lorenz's attractor, by arithmetic that is the same on all processors."""
    starts = np.random.default_rng(0).uniform([-15, -15, 10], [15, 15, 40], (3, 3))
    return [rk4(lorenz, start, dt, 1500, 1) for dt in (5e-4, 1e-3) for start in starts]


@pytest.mark.parametrize("feature", range(3))
@pytest.mark.parametrize("way", [1, -1])
def test_sorted_rows_of_few_turns_are_said(
    few_turns: list[np.ndarray], feature: int, way: int
) -> None:
    for rows in few_turns:
        (found,) = examine(rows[np.argsort(way * rows[:, feature])])
        assert (found.kind, found.features) == ("sorted", (f"x{feature}",))
    # In the order of time, a feature that rises unevenly is none, at any step.
    s = np.arange(500) * 1.9
    for rising in (np.log1p(s), s**2):
        assert (
            examine(np.column_stack([rising, np.sin(s) + 0.2 * np.sin(2.7 * s), np.cos(s)])) == []
        )


def test_few_leaps_of_a_relaxation_oscillator_are_sound() -> None:
    mu = np.array([12, 20, 30, 38])
    start = np.repeat([[2.0], [0.0]], len(mu), axis=1)
    together = rk4(lambda x: van_der_pol(x, mu), start, 0.2, 240, 40)
    noise = 0.01 * np.random.default_rng(0).standard_normal((240, 2))
    for rows in np.moveaxis(together, 2, 0):
        for data in (rows, rows + noise * rows.std(axis=0)):
            assert examine(data) == examine(data[:, :1]) == []


def test_columns_that_leap_each_by_itself_are_not_glued() -> None:
    rng = np.random.default_rng(0)
    steps = rng.standard_normal((600, 3))
    for k, row in enumerate((100, 220, 340, 450, 520, 560)):
        steps[row, k % 3] = 60.0
    assert examine(np.cumsum(steps, axis=0)) == []
    # All at once, they are.
    steps[[100, 220, 340, 450]] = 60.0 * rng.choice([-1, 1], (4, 3))
    assert kinds(np.cumsum(steps, axis=0)) == {"glued"}


def test_one_leap_between_creeps_is_not_glued() -> None:
    creep = np.exp(-np.arange(150) / 30)
    x = np.concatenate([np.sin(T[:60] * 4), 2 - 0.3 * (1 - creep), -2 + 0.3 * (1 - creep)])
    x[:60] += 2 - x[59]
    assert examine(x[:, None]) == []


def test_several_trajectories_are_named() -> None:
    clean, bad = np.tile(WAVE, (2, 1))[:400], glued_waves()
    (found,) = examine([clean, bad])
    assert (found.trajectory, found.row) == (1, 100)
    assert "trajectory 1, rows 100" in found.message


def test_trajectories_of_their_own_are_not_glued() -> None:
    assert examine(np.split(glued_waves(), 10)) == []


@pytest.mark.parametrize("kind", ["glued", "shuffled", "sorted", "regime", "categories"])
def test_findings_depend_neither_on_scale_nor_on_the_order_of_features(kind: str) -> None:
    data = next(iter(UNSOUND[kind].values()))(np.random.default_rng([2, 5]))
    x = data.values
    assert kind in kinds(x)
    assert kind in kinds(x[:, ::-1])
    if kind != "categories":
        assert kind in kinds(x * 1e-9)
        assert kind in kinds(x * 1e9)


def test_inputs_are_not_judged() -> None:
    codes = np.random.default_rng(0).integers(0, 4, 400)
    data = Trajectories(np.column_stack([WAVE, codes]), feature_names=["x", "y", "mode"])
    assert kinds(data) == {"categories"}
    assert examine(data, inputs=["mode"]) == []


def test_named_columns_do_not_lie_on_their_side() -> None:
    assert kinds(WAVE.T) == {"sideways"}
    names = [f"sensor {k}" for k in range(400)]
    assert examine(Trajectories(WAVE.T, feature_names=names)) == []


def film(n: int = 30, noise: float = 0.0) -> np.ndarray:
    """Return waves on 12 x 16 points that move on in both directions, ``(time, y, x)``."""
    t, y, x = np.meshgrid(0.2 * np.arange(n), np.arange(12), np.arange(16), indexing="ij")
    waves = np.sin(t + x / 3) + np.cos(0.7 * t + y / 4 + x / 5)
    return waves + noise * np.random.default_rng(0).normal(size=waves.shape)


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_a_film_that_is_read_as_trajectories_is_said(noise: float) -> None:
    (found,) = examine(film(noise=noise))
    assert found.kind == "film"
    assert "30 trajectories of 12 rows and 16 features" in found.message
    assert "grid=(12, 16) (--grid 12x16)" in found.advice
    (found,) = examine(list(film()))
    assert found.kind == "film"


def test_nothing_is_said_where_the_grid_is_known() -> None:
    assert "film" not in kinds(Trajectories(film(), grid=(12, 16)))
    assert "film" not in kinds(film(), grid_is_said=True)
    form = {"flow_map": "polynomial", "polynomial_degree": 1, "encoder": [], "noise": False}
    for grid, times in ((None, 1), ("none", 0), ((12, 16), 0)):
        model = pyhits.HiTS([1], n_jobs=1, verbose=False, **form).fit(film(), grid=grid)
        assert sum("pictures of 12x16 points" in note for note in model.notes_) == times


def runs_of_waves() -> dict[str, np.ndarray]:
    """Return smooth waves ``(run, time, point)`` that are no film, by how the runs differ."""
    rng, t, x = np.random.default_rng(0), 0.2 * np.arange(20)[:, None], np.arange(16) / 3
    wave = np.sin(0.2 * np.arange(700)[:, None] + x) + np.cos(0.13 * np.arange(700))[:, None]
    runs = range(30)
    return {
        "starts": np.stack([np.sin(t + x + phase) for phase in rng.uniform(0, 6, 30)]),
        "a parameter": np.stack([np.sin((1 + k / 30) * t + x) for k in runs]),
        "parts of a recording": np.stack([wave[20 * k : 20 * k + 20] for k in runs]),
        "windows of a recording": np.stack([wave[k : k + 20] for k in runs]),
    }


@pytest.mark.parametrize("kind", runs_of_waves())
def test_runs_of_a_field_are_no_film(kind: str) -> None:
    assert "film" not in kinds(runs_of_waves()[kind])


@pytest.mark.parametrize("level", [0.0, 1e-8, 1e-6])
def test_validation_that_repeats_training_is_said(level: float) -> None:
    starts = np.array([[1.0, 1, 20], [-8, -3, 30]])
    train = Trajectories([rk4(lorenz, start, 0.02, 1500, 2) for start in starts])
    copy = train[[1]].cut(400, 300)
    held = copy.add_noise(level, random_state=0) if level else copy
    (found,) = compare(train, held)
    assert found.kind == "repeated"
    assert ("exactly" in found.message) == (level == 0)


@pytest.mark.parametrize("name", ["van-der-pol", "harmonic-oscillator", "duffing"])
def test_other_recordings_repeat_nothing(name: str) -> None:
    system = systems.get(name)
    accurate = system.integrator(rtol=1e-8, atol=1e-10)
    data = system.simulate(4, 1500, random_state=0, integrator=accurate)
    for level in (0.0, 1e-4):
        noisy = data.add_noise(level, random_state=1)
        assert compare(noisy[:3], noisy[[3]]) == []
        assert compare(*noisy.split_time(0.2), continued=True) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x, y: (1000 * x, y), "divided by 1000"),
        (lambda x, y: (x / 1000, y), "multiplied by 1000"),
        (lambda x, y: (x * 180 / np.pi, y), "divided by 57.2958"),
        (lambda x, y: (60 * x, y), "divided by 60"),
        (lambda x, y: (x, y - 273.15), "plus 273.15"),
    ],
)
def test_other_units_are_said(change: object, words: str) -> None:
    x, y = 2 * np.sin(T), 290 + 10 * np.cos(T)
    other = np.column_stack(change(x, y))  # type: ignore[operator]
    (found,) = units(other, ["x", "y"], [-2, 280], [2, 300], what="data")
    assert words in found.message


@pytest.mark.parametrize("factor", [0.5, 1, 2, 3])
def test_larger_motion_is_no_other_unit(factor: float) -> None:
    x = factor * np.column_stack([2 * np.sin(T), 3 * np.cos(T)])
    grown = np.exp(0.05 * np.arange(160, 200))[:, None]
    assert units(grown, ["n"], [1.0], grown[0], what="data") == []
    assert units(x, ["x", "y"], [-2, -3], [2, 3], what="data") == []


@pytest.mark.usefixtures("undrawn", "few_baselines")
def test_fits_forecasts_and_evaluations_say_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = pyhits.HiTS([1], flow_map="polynomial", encoder=[], noise=False)
    model.fit(glued_waves())
    said = [note for note in model.notes_ if "several recordings" in note]
    assert len(said) == 1
    assert said == list(model.summary_.findings)
    assert said[0] in capsys.readouterr().err
    assert (
        pyhits.load(model.save(tmp_path / "m.safetensors")).summary.findings
        == model.summary_.findings
    )
    path = pyhits.write_report(model, WAVE, tmp_path / "page.html")
    assert "What stands out in the data" in path.read_text()

    settings = {"encoder": [], "noise": False, "verbose": False}
    model = pyhits.HiTS([1], flow_map="polynomial", **settings).fit(WAVE)
    assert model.summary_.findings == ()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.evaluate(WAVE)
    with pytest.warns(PyHiTSWarning, match="divided by 1000"):
        model.forecast(1000 * WAVE[:1], 3, on_divergence="return")
    with pytest.warns(PyHiTSWarning, match="divided by 1000"):
        model.evaluate(1000 * WAVE)


@pytest.mark.usefixtures("few_baselines")
def test_a_fit_says_that_validation_repeats_training() -> None:
    wave = np.column_stack([np.sin(T), np.sin(np.sqrt(2) * T)])
    model = pyhits.HiTS([1], flow_map="polynomial", noise=False, verbose=False)
    model.fit(wave[:300], validation=wave[150:300])
    assert any("repeat training data exactly" in note for note in model.notes_)


def test_the_check_of_a_file_says_it(tmp_path: Path) -> None:
    from pyhits.data.repair.check import check

    path = tmp_path / "glued.csv"
    np.savetxt(path, glued_waves(), delimiter=",", header="x,y", comments="")
    found = check(path)
    assert [one.kind for one in found.findings] == ["glued"]
    assert "several recordings" in str(found)
    assert "column named trajectory" in str(found)
    assert found.as_dict()["findings"][0]["row"] == 100  # type: ignore[index]


@pytest.mark.parametrize("periods", [2.5, 3.5, 3.82, 4.2])
def test_waves_longer_than_an_eighth_of_the_recording_do_not_grow(periods: float) -> None:
    """What an eighth holds of such a wave depends on its phase; growing ones are found still."""
    u = np.arange(240) / 240
    for phase in np.linspace(0, 2 * np.pi, 24):
        t = 2 * np.pi * periods * u + phase
        wave = np.column_stack([np.sin(t), np.cos(t)])
        assert "growing" not in kinds(wave), phase
    u = np.arange(1200) / 1200
    t = 2 * np.pi * 4 * u
    wave = np.exp(2.2 * u)[:, None] * np.column_stack([np.sin(t), np.cos(t)])
    assert "growing" in kinds(wave)


@pytest.mark.slow
def test_what_adds_up_beside_coarsely_sampled_chaos_is_not_sorted() -> None:
    start = [-9.30107332035783, -15.484042816351495, 17.40364889062126]
    system = pyhits.systems.get("lorenz")
    quick = system.integrator(rtol=1e-6, atol=1e-8)
    chaos = system.simulate(1, 600, dt=0.4, initial_states=[start], integrator=quick)[0]
    worn = np.cumsum(chaos[:, 2] ** 2)
    assert examine(Trajectories(np.column_stack([worn, chaos]))) == []


def test_counts_of_rare_events_pass_in_silence() -> None:
    """Their stretches equal others by chance, and they go from each number to any other."""
    rng = np.random.default_rng(11)
    for kind in range(4):
        rows = rng.poisson(0.3 + 0.2 * kind, 400) * rng.integers(1, 5, 400)
        data = pyhits.Trajectories(rows[:, None], 1.0)
        first, rest = data.split_time(0.2)
        assert repeated(first, rest, continued=True) == []
        assert not any(finding.kind == "categories" for finding in examine(data))


def test_rare_events_in_long_recordings_are_not_compared() -> None:
    """Stretches that chance does not explain would be thousands of rows long: minutes of work."""
    rows = np.zeros((400_000, 1))
    rows[np.random.default_rng(0).choice(len(rows), 40)] = 1.0
    first, rest = pyhits.Trajectories(rows, 1.0).split_time(0.2)
    assert repeated(first, rest, continued=True) == []
