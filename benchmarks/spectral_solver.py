"""Step a field of 512 x 512 points a hundred times, beside a spectral solver of equal error.

    python -m benchmarks.spectral_solver
    python -m benchmarks.spectral_solver --points 128 --runs 2

``u_t = -u (u_x + u_y) + v (u_xx + u_yy)``, Burgers' equation in one variable, periodic, viscosity
0.02 on (0, 2 pi)^2. The solver knows the equation: Fourier in space (SciPy's transforms or those
of PyTorch, which PyHiTS uses, whichever are faster; one thread, products free of aliases), ETDRK4
in time; its step is the longest whose error after a hundred frames is not above HiTS's.
HiTS knows a few recorded runs of frames, made by the solver with eight times shorter steps than
that of a frame. Errors are relative to the same solver with sixteen steps a frame; CPU seconds,
taking turns.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy import fft

import pyhits
from benchmarks.timing import load, processor
from pyhits.util.atomic import write_bytes

#: Viscosity, time between frames, frames that are forecast, frames of a run to learn from.
VISCOSITY, FRAME, N_AHEAD, N_LEARNED = 0.02, 0.01, 100, 12


Transforms = tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]


def of_scipy(points: int) -> Transforms:
    """Return SciPy's transforms of fields, forth and back."""
    return fft.rfft2, lambda modes: fft.irfft2(modes, s=(points, points))


def of_torch(points: int) -> Transforms:
    """Return PyTorch's."""

    def forth(field: np.ndarray) -> np.ndarray:
        return torch.fft.rfft2(torch.from_numpy(field)).numpy()

    def back(modes: np.ndarray) -> np.ndarray:
        return torch.fft.irfft2(torch.from_numpy(modes), s=(points, points)).numpy()

    return forth, back


LIBRARIES = {"SciPy": of_scipy, "PyTorch": of_torch}


class Solver:
    """ETDRK4 steps of Fourier coefficients ``(points, points // 2 + 1)``.

    Kassam and Trefethen 2005, SIAM J. Sci. Comput. 26, 1214.
    """

    def __init__(self, points: int, step: float, library: str = "SciPy") -> None:
        self.forth, self.back = LIBRARIES[library](points)
        kx = fft.fftfreq(points, 1 / points)[:, None]
        ky = fft.rfftfreq(points, 1 / points)[None]
        linear = -VISCOSITY * (kx**2 + ky**2)
        self.kept = (np.abs(kx) < points / 3) & (ky < points / 3)
        self.product = -0.5j * (kx + ky) * self.kept
        self.whole, self.half = np.exp(step * linear), np.exp(step * linear / 2)
        roots = np.exp(1j * np.pi * (np.arange(1, 17) - 0.5) / 16)
        middle, first, inner, last = (np.zeros_like(linear) for _ in range(4))
        for root in roots:
            z = step * linear + root
            e = np.exp(z)
            middle += ((np.exp(z / 2) - 1) / z).real
            first += ((-4 - z + e * (4 - 3 * z + z**2)) / z**3).real
            inner += ((2 + z + e * (z - 2)) / z**3).real
            last += ((-4 - 3 * z - z**2 + e * (4 - z)) / z**3).real
        weights = (step / len(roots) * part for part in (middle, first, inner, last))
        self.middle, self.first, self.inner, self.last = weights

    def slope(self, modes: np.ndarray) -> np.ndarray:
        """Return the coefficients of the products."""
        u = self.back(modes)
        u *= u
        found = self.forth(u)
        found *= self.product
        return np.asarray(found)

    def __call__(self, modes: np.ndarray) -> np.ndarray:
        """Return the coefficients one step later."""
        start, slope = self.half * modes, self.slope(modes)
        a = start + self.middle * slope
        slope_a = self.slope(a)
        slope_b = self.slope(start + self.middle * slope_a)
        slope_c = self.slope(self.half * a + self.middle * (2 * slope_b - slope))
        slope_a += slope_b
        return np.asarray(
            self.whole * modes + self.first * slope + 2 * self.inner * slope_a + self.last * slope_c
        )


def frames(field: np.ndarray, n: int, steps: int, library: str = "SciPy") -> np.ndarray:
    """Return ``field`` (points, points) and the ``n`` frames after it, of so many steps each."""
    points = len(field)
    solver = Solver(points, FRAME / steps, library)
    out = np.empty((n + 1, points, points))
    out[0], modes = field, solver.forth(field) * solver.kept
    for frame in range(1, n + 1):
        for _ in range(steps):
            modes = solver(modes)
        out[frame] = solver.back(modes)
    return out


def waves(points: int, seed: int) -> np.ndarray:
    """Return a field of random long waves, of deviation 1."""
    rng = np.random.default_rng(seed)
    modes = fft.rfft2(rng.standard_normal((points, points)))
    kx, ky = fft.fftfreq(points, 1 / points)[:, None], fft.rfftfreq(points, 1 / points)
    field = fft.irfft2(modes * (kx**2 + ky**2 <= 16), s=(points, points))
    return np.asarray((field - field.mean()) / field.std())


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.spectral_solver",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--points", type=int, default=512)
    parser.add_argument("--runs", type=int, default=6, help="to learn from")
    parser.add_argument("--seconds", type=float, help="for the fit; by default as many as it takes")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/spectral_solver.json"))
    options = parser.parse_args(arguments)
    n = options.points
    runs = np.stack([frames(waves(n, seed), N_LEARNED, 8) for seed in range(options.runs)])
    cpu = time.process_time()
    model = pyhits.HiTS(random_state=0, n_jobs=1, time_limit=options.seconds, verbose=False)
    model.fit(runs, grid=pyhits.Grid((n, n), periodic=True))
    fit_seconds = time.process_time() - cpu
    first = waves(n, 1000)
    truth = frames(first, N_AHEAD, 16)[-1]
    seconds: dict[str, list[float]] = {"hits": []}
    wrong: dict[str, float] = {}

    def run(name: str, steps: int = 0, library: str = "SciPy") -> None:
        begin = time.process_time()
        if name == "hits":
            last = np.asarray(model.forecast(first, N_AHEAD, on_divergence="return"))[-1]
        else:
            last = frames(first, N_AHEAD, steps, library)[-1]
        seconds.setdefault(name, []).append(time.process_time() - begin)
        wrong[name] = float(np.linalg.norm(last - truth) / np.linalg.norm(truth))

    run("hits")
    steps = 1
    while (run(f"solver, {steps}", steps) or wrong[f"solver, {steps}"]) > wrong["hits"]:
        if steps == 8:
            break
        steps *= 2
    for _ in range(options.repeats):
        run("hits")
        for library in LIBRARIES:
            run(library, steps, library)
    medians = {name: float(np.median(taken)) for name, taken in seconds.items()}
    ratio = min(medians[library] for library in LIBRARIES) / medians["hits"]
    maps = "; ".join(f"{k}: {f.describe()}" for k, f in model.flow_maps_.items())
    print(f"{n} x {n}, fit {fit_seconds:.0f} CPU s; {maps}; {model.selection_.step_sizes}")
    for name, taken in medians.items():
        print(f"{name:<12} error {wrong[name]:.1e}, {taken:.3g} CPU s for {N_AHEAD} frames")
    print(f"HiTS is {ratio:.2f} times as fast as the faster solver with {steps} step(s) a frame")
    content = {
        "environment": {"processor": processor(), "load": load(), "version": pyhits.__version__},
        "points": n, "fit_cpu_seconds": fit_seconds, "errors": wrong, "cpu_seconds": medians,
        "steps": steps, "ratio": ratio, "flow_maps": maps,
    }  # fmt: skip
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(options.out, json.dumps(content, indent=1).encode())
    print(f"Written to {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
