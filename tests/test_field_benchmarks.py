"""The benchmarks of fields: rivals are what they say, data are what they should be, and it runs."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import apebench, chaos_fields, planes, spectral_solver
from benchmarks.field_rivals import (
    LocalPolynomial,
    LocalReservoirs,
    Rival,
    SpectralNVAR,
    chosen,
    histories,
    valid_rows,
)

X = 2 * np.pi * np.arange(32) / 32
#: Two waves of different speeds around a ring.
WAVES = sum(np.sin(k * X - 0.07 * k**2 * np.arange(600)[:, None]) for k in (1, 2))


@pytest.mark.parametrize(
    "rival",
    [
        LocalPolynomial(3, 1, 1, 1e-10, 0.5),
        LocalPolynomial(3, 1, 2, 1e-10, 0.5),
        SpectralNVAR(1e-10, 0.5),
    ],
    ids=lambda r: type(r).__name__,
)
def test_rivals_go_on_with_waves(rival: Rival) -> None:
    starts = np.array([300, 420, 500])
    ahead = rival.fit(WAVES[:400]).ahead(histories(WAVES, starts, rival.history), 5)
    truth = np.stack([WAVES[k + 1 : k + 6] for k in starts])
    assert np.abs(ahead - truth).max() < 0.1  # of two waves of height 1


def test_reservoirs_say_the_next_row() -> None:
    starts = np.array([300, 420, 500])
    rival = LocalReservoirs(4, 3, 100, 0.5, 1e-8).fit(WAVES[:400])
    ahead = rival.ahead(histories(WAVES, starts, rival.history), 1)[:, 0]
    assert np.abs(ahead - WAVES[starts + 1]).max() < 0.1 * np.abs(np.diff(WAVES, axis=0)).max()


def test_the_valid_rows_of_a_forecast() -> None:
    truth = np.zeros((3, 5, 4))
    ahead = truth.copy()
    ahead[1, 3:] = 0.5
    ahead[2, 1] = np.nan
    assert valid_rows(truth, ahead).tolist() == [5, 3, 1]


def test_what_stays_valid_longest_is_chosen() -> None:
    makers = [lambda: LocalPolynomial(0, 0, 1, 1e-8), lambda: LocalPolynomial(3, 0, 1, 1e-8)]
    best = chosen(makers, WAVES, 50)
    assert isinstance(best, LocalPolynomial)
    assert best.linear == 3


def test_the_suites_error_is_that_of_whole_frames() -> None:
    truth = np.ones((2, 3, 4))
    forecast = truth * np.array([1.1, 1.3])[:, None, None]
    assert apebench.errors(truth, forecast) == pytest.approx([0.2] * 3)


def test_the_suite_is_asked_for_where_there_are_no_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apebench", None)
    assert apebench.main(["Burgers", "--data", str(tmp_path)]) == 1
    assert "pyhits[bench]" in capsys.readouterr().out


def test_lost_forecasts_have_no_climate() -> None:
    rows = np.random.default_rng(0).standard_normal((40, 8))
    lost = rows.copy()
    lost[30:] = np.nan
    assert chaos_fields.climate(rows, lost)[:4] == (None,) * 4
    found = chaos_fields.climate(rows, rows)
    assert found[3] == 1
    assert found[:3] == pytest.approx((0, 0, 0), abs=1e-6)


def test_lorenz_of_1996_stays_on_its_attractor() -> None:
    rows = chaos_fields.lorenz96(200, 0)
    assert rows.std() == pytest.approx(3.6, abs=0.5)
    # A step of the integrator against two of half its length would differ by its fifth order.
    assert np.abs(np.diff(rows, n=5, axis=0)).max() < 1e-3 * np.abs(rows).max()


def test_turbulence_decays_and_keeps_its_mean() -> None:
    film = planes.turbulence(1, 0)[0, ..., 0]
    assert film.mean(axis=(1, 2)) == pytest.approx(0, abs=1e-6)
    size = np.square(film).mean(axis=(1, 2))
    assert (np.diff(size) < 0).all()


@pytest.mark.parametrize("name", list(spectral_solver.PROBLEMS))
def test_the_solver_converges_at_its_order(name: str) -> None:
    problem = spectral_solver.PROBLEMS[name]
    first = 0.2 * spectral_solver.begin(problem, 32, 0)
    exact, *found = (spectral_solver.frames(problem, first, 4, n)[-1] for n in (16, 1, 2))
    wrong = [np.abs(x - exact).max() for x in found]
    assert wrong[0] / wrong[1] > 10
