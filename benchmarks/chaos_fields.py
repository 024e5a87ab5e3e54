"""Forecast chaotic fields on a ring from one recording, beside local regressions and reservoirs.

    python -m benchmarks.chaos_fields                      # three systems, defaults
    python -m benchmarks.chaos_fields ks22 --models hits reservoirs --out chaos_fields.json
    python -m benchmarks.chaos_fields ks22 --models hits --noise 0.01

The Kuramoto-Sivashinsky equation (lengths 22 and 200, ETDRK4) and Lorenz's 40 variables of 1996
(F = 8, RK4) are simulated here, once to learn from and once, from other initial states, to test.
HiTS has its defaults and is given a plain array ``(time, point)``, without being told that it is a
grid. The rivals' settings are chosen on the last fifth of the learned rows.

A forecast is valid until its error passes 0.4 standard deviations of the field; told is the median
of 20 origins in Lyapunov times. Then one forecast of 10,000 steps is compared with as many true
rows: the divergence of the visited states D_stsp, the distance of spectra D_H, that of the joint
histogram of neighbours, the ratio of energies, and the largest value in standard deviations. The
row "truth" compares the learned rows with the true ones: less is scatter. With --noise, the learned
rows and those that forecasts start from carry white noise of so many standard deviations; HiTS is
given the last 300 of the latter, and errors are those against the clean rows.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

import pyhits
from benchmarks import signals
from benchmarks.field_rivals import (
    LocalPolynomial,
    LocalReservoirs,
    Rival,
    SpectralNVAR,
    chosen,
    histories,
    valid_rows,
)
from benchmarks.timing import load, processor
from pyhits.evaluation import long_runs
from pyhits.paper.sequences.ks import Solver
from pyhits.util.atomic import write_bytes

#: Origins of the forecasts, Lyapunov times that they last, steps of the long one.
N_ORIGINS, LYAPUNOV_TIMES, LONG = 20, 16, 10_000

#: Lyapunov times of the forecasts that choose the rivals' settings.
CHOSEN_ON = 5

#: True rows before the first origin.
_BEFORE = 100

#: Values beyond which a long forecast counts as lost, in standard deviations.
LOST = 100.0


@dataclass(frozen=True)
class System:
    """A chaotic field.

    Attributes
    ----------
    simulate : callable
        From a number of rows and a seed to rows ``(time, point)`` on the attractor.
    dt, exponent : float
        Between rows, and the largest Lyapunov exponent.
    n_rows : int
        To learn from.
    reach : tuple of (int, int, int)
        Linear reach, reach of products and rows of the local polynomials that are tried.
    """

    simulate: Callable[[int, int], np.ndarray]
    dt: float
    exponent: float
    n_rows: int
    reach: tuple[tuple[int, int, int], ...]


def kuramoto_sivashinsky(
    n: int,
    seed: int,
    *,
    length: float,
    points: int,
    step: float = 0.125,
    fine: int = 2,
    transient: int = 2000,
) -> np.ndarray:
    """Return rows of ``fine`` steps each, after as many rows of transient: 500 time units."""
    solver = Solver(step, points, length)
    rng = np.random.default_rng(seed)
    modes = np.zeros((1, solver.n_kept), complex)
    modes[0, 1:8] = 0.05 * points * rng.standard_normal(7)
    rows = np.empty((n, points))
    for k in range(-transient, n):
        for _ in range(fine):
            modes = solver(modes)
        if k >= 0:
            rows[k] = np.fft.irfft(modes[0], points)
    return rows


def lorenz96(n: int, seed: int, *, points: int = 40, forcing: float = 8.0) -> np.ndarray:
    """Return rows 0.01 apart, after 20 time units of transient (Lorenz 1996)."""

    def slope(x: np.ndarray) -> np.ndarray:
        return np.asarray((np.roll(x, -1) - np.roll(x, 2)) * np.roll(x, 1) - x + forcing)

    start = forcing + 0.01 * np.random.default_rng(seed).standard_normal(points)
    return signals.rk4(slope, start, 0.01, n + 2001, 1)[2001:]


SYSTEMS = {
    "ks22": System(
        partial(kuramoto_sivashinsky, length=22, points=64), 0.25, 0.046, 10_000,
        ((12, 4, 1), (6, 3, 2)),
    ),
    "ks200": System(
        partial(kuramoto_sivashinsky, length=200, points=512), 0.25, 0.09, 10_000,
        ((12, 4, 1), (6, 3, 2)),
    ),
    "lorenz96": System(lorenz96, 0.01, 1.60, 20_000, ((3, 2, 1), (3, 2, 2))),
}  # fmt: skip


@dataclass
class Result:
    """What one model came to on one system."""

    system: str
    model: str
    fit_cpu_seconds: float
    forecast_cpu_seconds: float
    valid: float
    least_valid: float
    state_divergence: float | None
    spectrum_distance: float | None
    histogram_distance: float | None
    energy_ratio: float | None
    largest: float
    says: str = ""


class Fitted(Rival):
    """HiTS with its defaults; from recordings of several rows where these are noisy."""

    def __init__(self, *, noisy: bool = False) -> None:
        self.noisy, self.history = noisy, 300 if noisy else 100

    def fit(self, rows: np.ndarray) -> Fitted:
        """Fit to a plain array."""
        self.model = pyhits.HiTS(random_state=0, n_jobs=1, verbose=False).fit(rows)
        return self

    def ahead(self, histories: np.ndarray, n_steps: int) -> np.ndarray:
        """Forecast from the last rows."""
        if self.noisy:
            found = np.asarray(self.model.forecast_from(histories, n_steps, on_divergence="return"))
            return found.reshape(len(histories), -1, histories.shape[2])[:, 1:]
        rows = self.model.stepper_.start_rows
        starts = histories[:, -1] if rows == 1 else histories[:, -rows:]
        found = np.asarray(self.model.forecast(starts, n_steps, on_divergence="return"))
        return found.reshape(len(histories), -1, histories.shape[2])[:, 1:]


def makers(model: str, system: System) -> Sequence[Callable[[], Rival]]:
    """Return the settings of a rival that are tried."""
    if model == "spectral":
        return [partial(SpectralNVAR, ridge, 0.66) for ridge in (1e-8, 1e-7, 1e-6, 1e-5)]
    if model == "polynomial":
        return [
            partial(LocalPolynomial, *reach, ridge, 1.0 if system.exponent > 1 else 0.4)
            for reach in system.reach
            for ridge in (1e-10, 1e-8, 1e-6, 1e-4)
        ]
    points, overlap = (2, 4) if system.exponent > 1 else (8, 6)
    return [
        partial(LocalReservoirs, points, overlap, 1000, scale, ridge)
        for scale in (0.3, 1.0)
        for ridge in (1e-9, 1e-7)
    ]


MODELS = ("hits", "polynomial", "spectral", "reservoirs")


def measure(
    name: str, model: str, train: np.ndarray, test: np.ndarray, noise: float = 0.0
) -> Result:
    """Fit one model, forecast from the origins, and far ahead from the first of them."""
    system = SYSTEMS[name]
    mean, scale = train.mean(), train.std()
    train, test = (train - mean) / scale, (test - mean) / scale
    rng = np.random.default_rng(2)
    train, seen = (rows + noise * rng.standard_normal(rows.shape) for rows in (train, test))
    horizon = round(LYAPUNOV_TIMES / (system.exponent * system.dt))
    cpu = time.process_time()
    if model == "hits":
        rival: Rival = Fitted(noisy=noise > 0).fit(train)
        says = "; ".join(f"{k}: {f.describe()}" for k, f in rival.model.flow_maps_.items())  # type: ignore[attr-defined]
    else:
        rival = chosen(makers(model, system), train, horizon * CHOSEN_ON // LYAPUNOV_TIMES)
        plain = {k: v for k, v in vars(rival).items() if isinstance(v, int | float)}
        says = ", ".join(f"{key} {value}" for key, value in plain.items())
    fit_cpu = time.process_time() - cpu
    before = max(_BEFORE, rival.history)
    starts = np.linspace(before, len(test) - horizon - 1, N_ORIGINS).astype(int)
    cpu = time.process_time()
    ahead = rival.ahead(histories(seen, starts, rival.history), horizon)
    forecast_cpu = time.process_time() - cpu
    truth = np.stack([test[k + 1 : k + 1 + horizon] for k in starts])
    valid = valid_rows(truth, ahead) * system.dt * system.exponent
    n_long = min(LONG, len(test) - before - 1)
    long = rival.ahead(histories(seen, np.array([before]), rival.history), n_long)[0]
    return Result(
        name, model, fit_cpu, forecast_cpu, float(np.median(valid)), float(valid.min()),
        *climate(test[before + 1 : before + 1 + n_long], long), says,
    )  # fmt: skip


def climate(
    truth: np.ndarray, long: np.ndarray
) -> tuple[float | None, float | None, float | None, float | None, float]:
    """Return what long rows keep: D_stsp, D_H, joint histogram, energy, and the largest value."""
    largest = float(np.nan_to_num(np.abs(long), nan=np.inf).max())
    if not largest < LOST:
        return None, None, None, None, largest if np.isfinite(largest) else LOST
    return (
        long_runs.state_space_divergence(truth, long),
        long_runs.hellinger_distance(truth, long),
        long_runs.joint_histogram_distance(truth, long),
        float(np.square(long).mean() / np.square(truth).mean()),
        largest,
    )


def table(results: Sequence[Result]) -> str:
    """Return the results as text."""
    heads = ("system", "model", "valid", "least", "fit, s", "ahead, s", "D_stsp", "D_H")
    lines = ["{:<10}{:<12}{:>7}{:>7}{:>9}{:>9}{:>9}{:>8}".format(*heads) + "   joint  energy  most"]
    lines += [
        (
            f"{r.system:<10}{r.model:<12}{r.valid:>7.2f}{r.least_valid:>7.2f}"
            f"{r.fit_cpu_seconds:>9.0f}{r.forecast_cpu_seconds:>9.1f}"
            f"{_shown(r.state_divergence):>9}{_shown(r.spectrum_distance):>8}"
            f"{_shown(r.histogram_distance):>8}{_shown(r.energy_ratio):>8}{r.largest:>6.1f}"
        )
        for r in results
    ]
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    return "lost" if value is None else f"{value:.3f}"


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chaos_fields",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("systems", nargs="*", help=f"of {', '.join(SYSTEMS)}; by default all")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--noise", type=float, default=0.0, help="in standard deviations")
    parser.add_argument("--rows", type=int, help="fewer rows to learn from and to test")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/chaos_fields.json"))
    options = parser.parse_args(arguments)
    results: list[Result] = []
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for name in options.systems or SYSTEMS:
        n = options.rows or SYSTEMS[name].n_rows
        train, test = (SYSTEMS[name].simulate(m, k) for k, m in enumerate((n, n + 200)))
        scale = train.std()
        n_long = min(LONG, n)
        reference = climate(
            (test[:n_long] - train.mean()) / scale, (train[:n_long] - train.mean()) / scale
        )
        results.append(Result(name, "truth", 0.0, 0.0, np.inf, np.inf, *reference))
        for model in options.models:
            results.append(measure(name, model, train, test, options.noise))
            print(table(results[-1:]), flush=True)
        facts = {"processor": processor(), "load": load(), "version": pyhits.__version__}
        content = {"environment": facts, "results": [_plain(r) for r in results]}
        write_bytes(options.out, json.dumps(content, indent=1).encode())
    print(table(results))
    print(f"Written to {options.out}")
    return 0


def _plain(result: Result) -> dict[str, object]:
    """Return plain JSON values; a number that is not finite becomes null."""
    values = asdict(result)
    return {
        key: None if isinstance(value, float) and not np.isfinite(value) else value
        for key, value in values.items()
    }


if __name__ == "__main__":
    raise SystemExit(main())
