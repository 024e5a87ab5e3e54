"""Forecast lines between walls of two values, and rings whose coefficients differ by place.

    python -m benchmarks.inhomogeneous
    python -m benchmarks.inhomogeneous burgers-walls fisher-place

Between walls, by Chebyshev differences and SciPy's Radau: Burgers' equation (1 and -1 at the ends),
Fisher's (1 and 0), Allen and Cahn's (-1 and 1), and a bistable one with 1 at one end and no slope
at the other; 48 points, 16 runs of 41 frames, which are given as plain arrays. On a ring, by
Fourier differences and LSODA: Burgers' equation whose viscosity, Fisher's whose growth, and shallow
water whose depth differ from place to place, the same in all runs; 64 points, 8 runs of 41 frames,
as plain arrays but for shallow water, whose two channels are said. HiTS has its defaults. Errors
are root mean squares on 4 other runs, 40 and 80 frames ahead, in deviations of these runs' first
frames; ends: by how much they miss the true ones at most; CPU seconds of the fit; then the largest
number of 10,000 frames, as a multiple of the largest recorded.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp
from scipy.interpolate import barycentric_interpolate

import pyhits
from benchmarks.timing import load, processor
from pyhits.util.atomic import write_bytes

#: Frames of a run to learn from and to test, points between walls and on a ring, Chebyshev's.
N_LEARNED, N_TESTED, N_WALLS, N_RING, N_CHEBYSHEV = 41, 81, 48, 64, 40

#: Right-hand sides ``(u, slope, bend)`` between walls, viscosity included.
Reaction = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

#: Between walls: the right-hand side, both ends (no value is no slope), and the size of waves.
WALLS: dict[str, tuple[Reaction, float, float | None, float]] = {
    "burgers-walls": (lambda u, x, xx: 0.05 * xx - u * x, 1.0, -1.0, 0.5),
    "fisher-walls": (lambda u, x, xx: 0.01 * xx + 5 * u * (1 - u), 1.0, 0.0, 0.06),
    "allen-cahn-walls": (lambda u, x, xx: 0.01 * xx + 3 * (u - u**3), -1.0, 1.0, 0.5),
    "bistable-mixed": (lambda u, x, xx: 0.05 * xx - u * (u - 0.5) * (u - 2) / 2, 1.0, None, 0.5),
}

PLACES = ("burgers-place", "fisher-place", "shallow-water-place")


def chebyshev(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrix of slopes and ``n + 1`` points from 1 to 0."""
    k = np.arange(n + 1)
    x = np.cos(np.pi * k / n)
    c = np.r_[2, np.ones(n - 1), 2] * (-1.0) ** k
    d = np.outer(c, 1 / c) / (x[:, None] - x + np.eye(n + 1))
    return 2 * (d - np.diag(d.sum(1))), (x + 1) / 2


def between_walls(name: str, n_runs: int, n_frames: int, seed: int) -> np.ndarray:
    """Return runs ``(run, time, point)``, 0.02 apart."""
    slope_of, first, last, size = WALLS[name]
    rng, (d, x) = np.random.default_rng(seed), chebyshev(N_CHEBYSHEV)
    times, at, runs = 0.02 * np.arange(n_frames), np.linspace(0, 1, N_WALLS), []
    shift, end = (0.5, first) if last is None else (0.0, last)

    def with_ends(u: np.ndarray) -> np.ndarray:
        u = u.copy()
        u[-1], u[0] = first, -(d[0, 1:] @ u[1:]) / d[0, 0] if last is None else last
        return u

    def rate(_: float, u: np.ndarray) -> np.ndarray:
        u = with_ends(u)
        found = slope_of(u, d @ u, d @ (d @ u))
        found[[0, -1]] = 0.0
        return np.asarray(found)

    for _ in range(n_runs):
        waves = np.sin(np.pi * np.outer(np.arange(1, 5) - shift, x))
        begin = first + (end - first) * x + size * (rng.normal(size=4) / np.arange(1, 5)) @ waves
        found = solve_ivp(
            rate, times[[0, -1]], begin, "Radau", times, rtol=1e-8, atol=1e-10
        )  # fmt: skip
        states = np.stack([with_ends(u) for u in found.y.T], axis=1)
        runs.append(barycentric_interpolate(x, states, at).T)
    return np.stack(runs)


def waves(rng: np.random.Generator) -> np.ndarray:
    """Return a field of three waves on the ring."""
    x = 2 * np.pi * np.arange(N_RING) / N_RING
    return np.asarray(
        sum(rng.normal() / k * np.cos(k * x + rng.uniform(0, 6.3)) for k in (1, 2, 3))
    )


def slope(u: np.ndarray) -> np.ndarray:
    """Return the derivative on the ring, of length 2 pi."""
    k = np.fft.rfftfreq(N_RING, 1 / N_RING)
    return np.fft.irfft(1j * k * np.fft.rfft(u), n=N_RING)


def by_place(name: str, n_runs: int, n_frames: int, seed: int) -> np.ndarray:
    """Return runs ``(run, time, point)``, of shallow water with two channels, 0.1 apart."""
    shape = waves(np.random.default_rng(7))
    k = 0.05 * (1 + 0.7 * shape / np.abs(shape).max())

    def shallow(h: np.ndarray, u: np.ndarray) -> np.ndarray:
        depth = 1 + h - 6 * k
        return np.r_[
            0.01 * slope(slope(h)) - slope(depth * u),
            0.01 * slope(slope(u)) - u * slope(u) - slope(h),
        ]

    rates = {
        "burgers-place": lambda _, u: slope(3 * k * slope(u)) - 0.5 * u * slope(u),
        "fisher-place": lambda _, u: 0.02 * slope(slope(u)) + 20 * k * u * (1 - u),
        "shallow-water-place": lambda _, y: shallow(y[:N_RING], y[N_RING:]),
    }
    rng, times, runs = np.random.default_rng(seed), 0.1 * np.arange(n_frames), []
    for _ in range(n_runs):
        begin = waves(rng)
        begin = 0.5 + 0.12 * begin if name == "fisher-place" else begin
        if name == "shallow-water-place":
            begin = np.r_[0.1 * begin, 0 * begin]
        found = solve_ivp(
            rates[name], times[[0, -1]], begin, "LSODA", times, rtol=1e-8, atol=1e-10
        )  # fmt: skip
        runs.append(found.y.T.reshape(n_frames, -1, N_RING).swapaxes(1, 2).squeeze())
    return np.stack(runs)


def pod_linear(learned: np.ndarray, first: np.ndarray, n_steps: int) -> np.ndarray:
    """Return the forecast of a linear map of POD coefficients, 60 at most; flat rows."""
    rows = learned.reshape(*learned.shape[:2], -1)
    mean = rows.mean(axis=(0, 1))
    _, sizes, modes = np.linalg.svd((rows - mean).reshape(-1, rows.shape[2]), full_matrices=False)
    kept = min(60, int((np.cumsum(sizes**2) < (1 - 1e-10) * np.sum(sizes**2)).sum()) + 1)
    states = (rows - mean) @ modes[:kept].T
    before, after = (states[:, part].reshape(-1, kept) for part in (slice(-1), slice(1, None)))
    step = np.linalg.lstsq(np.c_[before, np.ones(len(before))], after, rcond=1e-12)[0]
    state = (first.reshape(len(first), -1) - mean) @ modes[:kept].T
    for _ in range(n_steps):
        state = np.c_[state, np.ones(len(state))] @ step
    return np.asarray((state @ modes[:kept] + mean).reshape(first.shape))


@dataclass
class Result:
    """What one problem came to."""

    problem: str
    errors: list[float]
    pod_linear: list[float]
    ends: float
    fit_cpu_seconds: float
    largest: float
    flow_map: str


def measure(name: str) -> Result:
    """Fit and forecast one problem."""
    walls = name in WALLS
    make, n_runs = (between_walls, 16) if walls else (by_place, 8)
    learned, tested = make(name, n_runs, N_LEARNED, 20), make(name, 4, N_TESTED, 120)
    cpu = time.process_time()
    model = pyhits.HiTS(random_state=0, n_jobs=1, verbose=False)
    model.fit(learned, grid=pyhits.Grid((N_RING,), channels=2) if learned.ndim == 4 else None)
    cpu = time.process_time() - cpu
    first, deviation = tested[:, 0], tested[:, 0].std()
    ours = np.asarray(model.forecast(first, N_TESTED - 1, on_divergence="return"))
    ours = ours.reshape(tested.shape)

    def error(states: np.ndarray, frame: int) -> float:
        return float(np.sqrt(np.square(states - tested[:, frame]).mean()) / deviation)

    long = np.asarray(model.forecast(first[:1], 10_000, on_divergence="return"))
    return Result(
        name,
        [error(ours[:, k], k) for k in (40, 80)],
        [error(pod_linear(learned, first, k), k) for k in (40, 80)],
        float(np.abs(ours - tested)[..., [0, -1]].max()) if walls else 0.0,
        cpu,
        float(np.abs(long).max() / np.abs(learned).max()),
        model.flow_maps_[1].describe(),
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.inhomogeneous",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("problems", nargs="*", help="by default all")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/inhomogeneous.json"))
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore", pyhits.errors.PyHiTSWarning)
    results = []
    for name in options.problems or (*WALLS, *PLACES):
        found = measure(name)
        ours, pod = (" ".join(f"{e:.1e}" for e in of) for of in (found.errors, found.pod_linear))
        print(
            f"{name:<20} {ours} | POD, linear {pod} | ends {found.ends:.1e} | "
            f"{found.fit_cpu_seconds:.0f} s | {found.largest:.2f} | {found.flow_map}",
            flush=True,
        )
        results.append(asdict(found))
    facts = {"processor": processor(), "load": load(), "version": pyhits.__version__}
    content = {"environment": facts, "results": results}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(options.out, json.dumps(content, indent=1).encode())
    print(f"Written to {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
