"""The twelve scores of the Common Task Framework, and the pairs that they are of."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import ctf


def test_exact_rows_have_100_and_zeros_0() -> None:
    rows = np.random.default_rng(0).standard_normal((600, 3)) + 4.0
    for score in (ctf.short_score, ctf.histogram_score, ctf.spectrum_score):
        assert score(rows, rows) == pytest.approx(100.0)
    assert ctf.short_score(rows, np.zeros_like(rows)) == pytest.approx(0.0)
    assert ctf.spectrum_score(rows, np.zeros_like(rows)) == pytest.approx(0.0)
    assert ctf.short_score(rows, -50 * rows) == ctf.LEAST


def test_scores_look_at_their_rows_alone() -> None:
    rows = np.random.default_rng(0).standard_normal((600, 3))
    late = np.concatenate([rows[:20], np.zeros((580, 3))])
    assert ctf.short_score(rows, late) == pytest.approx(100.0)
    assert ctf.short_score(rows, late, None) < 50
    early = np.concatenate([np.full((100, 3), 9.0), rows[100:]])
    assert ctf.histogram_score(rows, early) == pytest.approx(100.0)
    # The order of rows is nothing to a histogram; values that never come count twice.
    assert ctf.histogram_score(rows, rows[::-1]) < 100
    assert ctf.histogram_score(rows[100:], rows[:99:-1]) == pytest.approx(100.0)
    assert ctf.histogram_score(rows, rows + 100) == pytest.approx(-100.0)


@pytest.mark.slow
def test_pairs_are_nine_with_twelve_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctf, "AHEAD", 30)
    system = ctf.System(ctf.lorenz, 60, (26.0, 28.0, 30.0, 29.0, 34.0), ctf.histogram_score)
    pairs = system.pairs(0)
    assert len(pairs) == 9
    assert [name for pair in pairs for name in pair.scores] == [f"E{k}" for k in range(1, 13)]
    for medium, ahead in (pairs[1:3], pairs[3:5]):
        assert medium.known is ahead.known
        assert medium.truth.shape == medium.known.shape
    spread = (pairs[3].known - pairs[3].truth).std(axis=0) / pairs[3].truth.std(axis=0)
    np.testing.assert_allclose(spread, 0.3, rtol=0.3)
    assert [len(pair.others) for pair in pairs] == [0] * 7 + [3, 3]
    again = system.pairs(0)
    assert all(np.array_equal(a.known, b.known) for a, b in zip(pairs, again, strict=True))
    found: dict[str, float] = {}
    for pair in pairs:
        found |= ctf.scores_of(pair, "persistence", system.long)
    assert len(found) == 12
    assert found["E3"] > found["E5"] > 50


def test_forecasts_that_diverge_stay() -> None:
    known, ahead = np.ones((3, 2)), np.array([[2.0, 2.0], [np.nan, 1.0], [5.0, 5.0]])
    np.testing.assert_array_equal(ctf.held(known, ahead), [[2, 2]] * 3)
    np.testing.assert_array_equal(ctf.held(known, ahead[1:]), [[1, 1]] * 2)


def test_smoothing_takes_noise_off_and_leaves_motion() -> None:
    t = np.arange(400.0)[:, None]
    wave = np.sin(0.1 * t)
    noisy = wave + 0.2 * np.random.default_rng(0).standard_normal(wave.shape)
    assert np.std(ctf.smoothed(noisy) - wave) < 0.1
    np.testing.assert_allclose(ctf.smoothed(wave), wave, atol=2e-2)


@pytest.mark.slow
@pytest.mark.usefixtures("few_forms")
def test_forecasters_give_rows_of_every_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctf, "AHEAD", 30)
    known, later = np.split(ctf.lorenz(130, 0), [100])
    pair = ctf.Pair({"E7": "short", "E8": "long"}, known, later)
    for method in ("nvar", "hits"):
        found = ctf.scores_of(pair, method, ctf.histogram_score)
        assert found["E7"] > 60
