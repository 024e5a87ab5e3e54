"""The paper's four sequences: right solutions, right notes, shapes, reproducibility, errors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.io import wavfile

from pyhits.errors import ArgumentError, DataError, FileFormatError
from pyhits.paper import sequences
from pyhits.paper.sequences import flower, ks, music, wake


@pytest.fixture(scope="module")
def coarse_wake():
    """Shedding on a coarse grid, 40 time units of it."""
    return sequences.cylinder_wake(
        201, start=60.0, shape=(21, 46), n_radial=64, n_modes=48, step=0.01
    )


# All of them


@pytest.mark.parametrize(
    ("make", "n_features"),
    [
        (lambda: sequences.kuramoto_sivashinsky(3, n_points=32), 32),
        (lambda: sequences.fugue(0.5, delays=16), 16),
        (lambda: sequences.blooming_flower(3, height=12, width=20), 12 * 20 * 3),
        (
            lambda: sequences.cylinder_wake(
                3, start=0.0, shape=(5, 7), n_radial=16, n_modes=8, step=0.02
            ),
            5 * 7,
        ),
    ],
    ids=["ks", "fugue", "flower", "wake"],
)
def test_the_same_call_makes_the_same_numbers(make, n_features):
    one, two = make(), make()
    np.testing.assert_array_equal(one.data, two.data)
    np.testing.assert_equal(dict(one.facts), dict(two.facts))
    trajectories = one.trajectories()
    assert len(trajectories) == 1
    assert trajectories.n_features == n_features
    assert trajectories.dt == one.dt
    assert trajectories.dt_known


# Kuramoto-Sivashinsky


def test_halving_the_step_leaves_the_solution():
    usual = sequences.kuramoto_sivashinsky(201, n_points=128)
    fine = sequences.kuramoto_sivashinsky(201, n_points=128, substeps=8)
    np.testing.assert_allclose(usual.data, fine.data, atol=1e-8)


def test_doubling_the_points_leaves_the_solution():
    usual = sequences.kuramoto_sivashinsky(51, n_points=128)
    fine = sequences.kuramoto_sivashinsky(51, n_points=256)
    np.testing.assert_allclose(usual.data, fine.data[:, ::2], atol=1e-10)


def test_the_scheme_is_of_fourth_order():
    x = 2 * np.pi * np.arange(64) / 64
    modes = np.fft.rfft(np.cos(2 * x)[None] + np.sin(x))[:, : 64 // 3 + 1]

    def after(n_steps):
        solver, state = ks.Solver(1.0 / n_steps, 64), modes
        for _ in range(n_steps):
            state = solver(state)
        return state

    exact = after(256)
    errors = [np.abs(after(n) - exact).max() for n in (4, 8, 16)]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert (orders > 3.5).all()


def test_small_waves_grow_at_their_linear_rates():
    wave = 2 * np.pi / ks.LENGTH * np.arange(64 // 3 + 1)
    modes = np.full((1, 64 // 3 + 1), 1e-9 + 0j)
    modes[:, 0] = 0
    solver = ks.Solver(0.1, 64)
    grown = solver(modes)[0, 1:] / modes[0, 1:]
    np.testing.assert_allclose(grown, np.exp(0.1 * (wave**2 - wave**4))[1:], rtol=1e-6)


def test_the_mean_is_kept_and_chaos_sets_in():
    solution = sequences.kuramoto_sivashinsky(101, dt=1.0, n_points=64, substeps=16)
    start = solution.data[0].mean()
    np.testing.assert_allclose(solution.data.mean(axis=1), start, atol=1e-12)
    assert 1.0 < solution.data[50:].std() < 1.6
    assert np.abs(np.diff(solution.data[50:], axis=0)).max(axis=1).min() > 0.05


def test_the_papers_size_is_the_default():
    solution = sequences.kuramoto_sivashinsky(2)
    assert solution.data.shape == (2, 512)
    assert solution.facts["length"] == 16 * np.pi


@pytest.mark.parametrize("option", [{"dt": 0.0}, {"substeps": 0}, {"n_points": 4}])
def test_kuramoto_sivashinsky_names_what_is_wrong(option):
    with pytest.raises(ArgumentError, match=next(iter(option))):
        sequences.kuramoto_sivashinsky(2, **option)


# Wake


@pytest.mark.slow
def test_vortices_are_shed_at_the_known_rate(coarse_wake):
    # Unbounded flow at Re 100: 0.164 (Posdziech and Grundmann 2007); the grid is coarse.
    assert coarse_wake.facts["strouhal"] == pytest.approx(0.164, rel=0.04)
    assert coarse_wake.facts["drag"] == pytest.approx(1.325, rel=0.03)
    assert coarse_wake.facts["lift"] == pytest.approx(0.32, rel=0.1)
    assert coarse_wake.facts["blockage"] == 0


@pytest.mark.slow
def test_the_wake_repeats_itself(coarse_wake):
    period = 1 / coarse_wake.facts["strouhal"] / coarse_wake.dt
    later = coarse_wake.data[100 + round(10 * period) // 5]
    half = coarse_wake.data[100 + round(5 * period) // 10]
    now = coarse_wake.data[100]
    spread = coarse_wake.data.std(axis=0).max()
    assert np.abs(later - now).max() < 0.3 * spread
    # Half a period later it is its own mirror image.
    rows = half.reshape(coarse_wake.facts["shape"])
    assert np.abs(rows[::-1].ravel() - now).max() < 0.3 * spread
    assert np.abs(half - now).max() > spread


@pytest.mark.slow
def test_the_snapshots_are_of_the_flow(coarse_wake):
    assert coarse_wake.data.dtype == np.float32
    assert coarse_wake.data.shape == (201, 21 * 46)
    mean = coarse_wake.data.mean(axis=0).reshape(coarse_wake.facts["shape"])
    x = np.linspace(-1, 8, 46)
    centre, edge = mean[10], mean[0]
    assert (centre[np.abs(x) < 0.5] == 0).all()
    assert (centre[(x > 0.7) & (x < 1.2)] < 0.2).all()
    assert 0.5 < centre[-1] < 0.9
    assert (edge > 0.9).all()


@pytest.mark.slow
def test_steady_drag_at_a_reynolds_number_of_forty():
    flow = wake.Flow(40.0, 0.0125, 48, 32)
    for _ in range(4000):
        flow.advance()
    # 1.498 (Fornberg 1980) to 1.522 (Dennis and Chang 1970).
    assert flow.forces()[0] == pytest.approx(1.51, abs=0.03)


def test_the_equations_and_the_walls_conditions_hold():
    flow = wake.Flow(100.0, 0.01, 32, 16)
    for _ in range(50):
        flow.advance()
    grid = flow.grid
    laplace = flow.stream @ (grid.first @ grid.first).T - grid.k[:, None] ** 2 * flow.stream
    poisson = (laplace + grid.r**2 * flow.vorticity)[:, 1:-1]
    assert np.abs(poisson).max() < 1e-7
    assert np.abs(flow.stream[:, 0]).max() < 1e-12
    assert np.abs(flow.stream @ grid.first[0]).max() < 1e-9


def test_the_camera_sees_potential_flow_exactly():
    flow = wake.Flow(100.0, 0.01, 48, 32)
    seen = wake.Camera(flow.grid, (40, 90)).streamwise(flow)
    x, y = np.meshgrid(np.linspace(-1, 8, 90), np.linspace(-2, 2, 40))
    exact = (1 - (wake.RADIUS / (x + 1j * y)) ** 2).real
    outside = np.hypot(x, y) >= wake.RADIUS
    np.testing.assert_allclose(seen[outside], exact[outside], atol=1e-5)
    assert (seen[~outside] == 0).all()


def test_periods_are_measured_between_rises():
    t = 0.01 * np.arange(5000)
    forces = np.stack([1.3 + 0.01 * np.cos(2.2 * t), 0.3 * np.sin(1.1 * t + 0.3)], axis=1)
    facts = wake.shedding(forces, 0.01)
    assert facts["strouhal"] == pytest.approx(1.1 / (2 * np.pi), rel=1e-6)
    assert facts["drag"] == pytest.approx(1.3, abs=1e-4)
    assert facts["lift"] == pytest.approx(0.3, abs=1e-4)
    assert np.isnan(wake.shedding(forces[:100], 0.01)["strouhal"])


def test_too_long_a_step_is_named():
    with pytest.raises(ArgumentError, match=r"step of less than 0\.2 for 32 points"):
        sequences.cylinder_wake(50, start=5.0, shape=(4, 4), n_radial=32, n_modes=32, step=0.2)


def test_a_start_before_the_start_is_refused():
    with pytest.raises(ArgumentError, match="start to be a time of 0 or more"):
        sequences.cylinder_wake(2, start=-1.0)


# Music


def test_the_papers_tensor():
    fugue = sequences.fugue()
    assert fugue.data.T.shape == (128, 2077)
    assert fugue.facts == {"rate": 1102, "samples": 2204, "seconds": 2.0, "tempo": 80.0}
    assert fugue.dt == 1 / 1102


def test_delay_vectors_are_stretches():
    samples = np.arange(10.0)
    vectors = music.delay_vectors(samples, 4)
    assert vectors.shape == (7, 4)
    np.testing.assert_array_equal(vectors[3], [3, 4, 5, 6])
    with pytest.raises(DataError, match="at least 4 samples"):
        music.delay_vectors(samples[:3], 4)


def test_the_subject_is_heard():
    rate, tempo = 8000, 60.0
    sound = music.synthesise(3.5, rate=rate, tempo=tempo)
    # Eighths of half a second: C D E, a dotted F, two ornamental 32nds, E.
    for begin, pitch in [(0.0, 261.63), (0.5, 293.66), (1.0, 329.63), (1.5, 349.23), (2.5, 329.63)]:
        stretch = sound[round((begin + 0.1) * rate) : round((begin + 0.45) * rate)]
        heard = np.abs(np.fft.rfft(stretch * np.hanning(len(stretch)), 1 << 16))
        assert heard.argmax() * rate / (1 << 16) == pytest.approx(pitch, rel=0.005)


def test_the_score_fills_its_bars():
    lengths = {
        voice: [int(note.split(":")[1]) for note in voice.split()]
        for voice in (music.ALTO, music.SOPRANO)
    }
    # Two bars of 32 each, less the rest that the subject begins with; the answer ends with them.
    assert {sum(each) for each in lengths.values()} == {64 - 4}


def test_nothing_beyond_half_the_rate_is_played():
    low, high = (music.synthesise(1.0, rate=rate) for rate in (1102, 8 * 1102))
    heard = np.abs(np.fft.rfft(high * np.hanning(len(high))))
    low_heard = np.abs(np.fft.rfft(low * np.hanning(len(low))))
    top = heard[: len(low_heard)].argmax()
    assert low_heard.argmax() == pytest.approx(top, abs=1)
    assert np.abs(low).max() == pytest.approx(0.9)
    assert low_heard[30:200].max() < 0.02 * low_heard.max()


def test_a_note_fades():
    sound = music.synthesise(8.0, rate=2000)
    assert np.abs(sound[-2000:]).max() < 1e-6


def test_sound_comes_back_from_a_file(tmp_path):
    samples = 0.9 * np.sin(2 * np.pi * 50 * np.arange(3000) / 3000)
    sequences.write_wav(tmp_path / "a.wav", samples, 3000)
    np.testing.assert_allclose(
        sequences.read_audio(tmp_path / "a.wav", rate=3000), samples, atol=1e-4
    )
    slower = sequences.read_audio(tmp_path / "a.wav", rate=1102, seconds=0.5, start=0.25)
    assert slower.shape == (551,)
    exact = 0.9 * np.sin(2 * np.pi * 50 * (0.25 + np.arange(551) / 1102))
    np.testing.assert_allclose(slower[50:-50], exact[50:-50], atol=0.01)


@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "f4"])
def test_every_kind_of_sample_is_read(tmp_path, kind):
    samples = 0.5 * np.sin(np.arange(400) / 9.0)
    scale = {"u1": 128, "i2": 2**15, "i4": 2**31, "f4": 1}[kind]
    stored = samples * scale + (128 if kind == "u1" else 0)
    both = np.stack([stored, stored], axis=1).astype(kind)
    wavfile.write(tmp_path / "a.wav", 1000, both)
    read = sequences.read_audio(tmp_path / "a.wav", rate=1000)
    np.testing.assert_allclose(read, samples, atol=0.01 if kind == "u1" else 1e-4)


def test_files_that_are_no_sound(tmp_path):
    (tmp_path / "a.wav").write_text("no sound at all, but long enough for a header\n")
    with pytest.raises(FileFormatError, match="as a WAV file"):
        sequences.read_audio(tmp_path / "a.wav")
    with pytest.raises(FileFormatError, match="There is no file"):
        sequences.read_audio(tmp_path / "none.wav")
    sequences.write_wav(tmp_path / "b.wav", np.zeros(100), 100)
    with pytest.raises(ArgumentError, match="within the 1 seconds"):
        sequences.read_audio(tmp_path / "b.wav", seconds=2.0)


@pytest.mark.parametrize("samples", [[1.5], [np.nan], [[0.0, 0.0]]])
def test_only_samples_that_fit_are_written(tmp_path, samples):
    with pytest.raises(DataError, match="between -1 and 1"):
        sequences.write_wav(tmp_path / "a.wav", np.array(samples), 1000)
    assert not any(tmp_path.iterdir())


# Flower


def test_frames_are_those_of_the_sequence():
    whole = sequences.blooming_flower(6, height=27, width=48)
    assert whole.data.dtype == np.uint8
    assert whole.facts["shape"] == (27, 48, 3)
    images = whole.data.reshape(6, *whole.facts["shape"])
    first = next(flower.frames(6, height=27, width=48))
    np.testing.assert_array_equal(first, images[0])
    np.testing.assert_array_equal(flower.Scene(27, 48).frame(1.0), images[-1])


def test_frames_are_made_when_they_are_asked_for():
    endless = flower.frames(10**12, height=12, width=20)
    assert sum(1 for _ in itertools.islice(endless, 3)) == 3


def test_the_flower_opens():
    images = sequences.blooming_flower(8, height=54, width=96).data.reshape(8, 54, 96, 3)
    red, green = images[..., 0].astype(int), images[..., 1].astype(int)
    petals = ((red > 130) & (red > green + 40)).mean(axis=(1, 2))
    assert (np.diff(petals) > -0.01).all()
    assert petals[-1] > 5 * petals[0] > 0.01


def test_the_flower_opens_smoothly():
    images = sequences.blooming_flower(81, height=27, width=48).data.astype(int)
    steps = np.abs(np.diff(images, axis=0)).mean(axis=1)
    assert steps.max() < 3
    assert steps.min() > 0
    assert steps.max() < 3 * np.median(steps)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 100), (100, 9)])
def test_any_shape_is_drawn(height, width):
    assert flower.Scene(height, width).frame(0.7).shape == (height, width, 3)


def test_the_flower_names_what_is_wrong():
    with pytest.raises(ArgumentError, match="height"):
        sequences.blooming_flower(2, height=0)
    with pytest.raises(ArgumentError, match="time to be from 0 to 1"):
        flower.Scene(20, 20).frame(1.5)
