"""Step fields of 512 x 512 points a hundred times, beside a spectral solver of equal error.

    python -m benchmarks.spectral_solver
    python -m benchmarks.spectral_solver burgers vorticity --points 256 --learned-on 256 --runs 2
    python -m benchmarks.spectral_solver fisher --dtype float64

Periodic fields in one variable: Burgers' equation ``u_t = -u (u_x + u_y) + v lap u``, Fisher's
``u_t = D lap u + u - u^2``, that of Swift and Hohenberg ``u_t = r u - (1 + lap)^2 u + g u^2 - u^3``
and decaying turbulence, ``w_t = v lap w - u . grad w``. The solver knows the equation: Fourier in
space (products free of aliases), ETDRK4 in time, transforms of SciPy or of PyTorch, which PyHiTS
uses, in float64 or in float32. Of these the fastest counts whose error after a hundred frames is
not above HiTS's, or above by a tenth at most, each with the longest step that does. HiTS knows a
few recorded runs of frames on 64 x 64 points, rounded to float32 unless ``--dtype`` says otherwise,
made by the solver with eight steps a frame in float64 (of Swift and Hohenberg's equation on a
square of a quarter of the side, which holds as many points a wave), and is carried to the large
grid. Errors are relative to sixteen steps a frame; CPU seconds of one thread, taking turns.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy import fft

import pyhits
from benchmarks.timing import load, processor
from pyhits.util.atomic import write_bytes

#: Frames that are forecast, frames of a run to learn from, and the most steps of a frame.
N_AHEAD, N_LEARNED, MOST_STEPS = 100, 12, 8

#: Part of HiTS's error by which a solver's may be larger and still count as equal.
EQUAL = 1.1

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


class Waves:
    """Wavenumbers of a square of some length, and transforms of fields on it."""

    def __init__(self, points: int, length: float, library: str, dtype: str) -> None:
        self.forth, self.back = LIBRARIES[library](points)
        unit = 2 * np.pi / length
        kx, ky = fft.fftfreq(points, 1 / points)[:, None], fft.rfftfreq(points, 1 / points)[None]
        self.kept = ((np.abs(kx) < points / 3) & (ky < points / 3)).astype(dtype)
        self.square = unit**2 * (kx**2 + ky**2)
        inverse = np.where(self.square > 0, 1 / np.maximum(self.square, 1e-9), 0)
        self.x, self.y = ((1j * unit * k * self.kept).astype(self.complex(dtype)) for k in (kx, ky))
        self.inverse = inverse.astype(dtype)

    @staticmethod
    def complex(dtype: str) -> str:
        """Return the complex arithmetic of a real one."""
        return {"float64": "complex128", "float32": "complex64"}[dtype]


@dataclass(frozen=True)
class Problem:
    """An equation: its linear part by wavenumber, its products, and how it is recorded.

    Attributes
    ----------
    linear : callable
        Of squares of wavenumbers.
    products : callable
        Of waves and coefficients; what it returns is cut against aliases.
    length, frame : float
        Side of the square, time between frames.
    mean, size : float
        Of the fields that runs begin with.
    part : float
        Side of the square that is learned on, as a part of the length.
    """

    linear: Callable[[np.ndarray], np.ndarray]
    products: Callable[[Waves, np.ndarray], np.ndarray]
    length: float
    frame: float
    mean: float = 0.0
    size: float = 1.0
    part: float = 1.0


def _burgers(w: Waves, modes: np.ndarray) -> np.ndarray:
    u = w.back(modes)
    u *= u
    found = w.forth(u)
    found *= -0.5 * (w.x + w.y)
    return found


def _fisher(w: Waves, modes: np.ndarray) -> np.ndarray:
    u = w.back(modes)
    u *= u
    found = w.forth(u)
    found *= -w.kept
    return found


def _swift_hohenberg(w: Waves, modes: np.ndarray) -> np.ndarray:
    u = w.back(modes)
    return np.asarray(w.forth(u * u * (1 - u)) * w.kept)


def _vorticity(w: Waves, modes: np.ndarray) -> np.ndarray:
    stream = w.inverse * modes
    u, v, wx, wy = (w.back(m) for m in (w.y * stream, -w.x * stream, w.x * modes, w.y * modes))
    u *= wx
    v *= wy
    u += v
    found = w.forth(u)
    found *= -w.kept
    return found


PROBLEMS = {
    "burgers": Problem(lambda k2: -0.02 * k2, _burgers, 2 * np.pi, 0.01),
    "fisher": Problem(lambda k2: 1 - 0.002 * k2, _fisher, 2 * np.pi, 0.1, 0.5, 0.15),
    "swift-hohenberg": Problem(
        lambda k2: 0.2 - (1 - k2) ** 2, _swift_hohenberg, 64 * np.pi, 0.5, 0.0, 0.3, 0.25
    ),
    "vorticity": Problem(lambda k2: -1e-3 * k2, _vorticity, 2 * np.pi, 0.0125, 0.0, 4.0),
}


class Solver:
    """ETDRK4 steps of Fourier coefficients ``(points, points // 2 + 1)``.

    Kassam and Trefethen 2005, SIAM J. Sci. Comput. 26, 1214.
    """

    def __init__(
        self,
        problem: Problem,
        points: int,
        steps: int,
        library: str = "SciPy",
        dtype: str = "float64",
    ) -> None:
        self.waves = Waves(points, problem.length, library, dtype)
        self.products, step = problem.products, problem.frame / steps
        linear = problem.linear(self.waves.square)
        roots = np.exp(1j * np.pi * (np.arange(1, 33) - 0.5) / 16)
        middle, first, inner, last = (np.zeros_like(linear) for _ in range(4))
        for root in roots:
            z = step * linear + root
            e = np.exp(z)
            middle += ((np.exp(z / 2) - 1) / z).real
            first += ((-4 - z + e * (4 - 3 * z + z**2)) / z**3).real
            inner += ((2 + z + e * (z - 2)) / z**3).real
            last += ((-4 - 3 * z - z**2 + e * (4 - z)) / z**3).real
        weights = (step / len(roots) * part for part in (middle, first, 2 * inner, last))
        self.middle, self.first, self.inner, self.last = (part.astype(dtype) for part in weights)
        self.whole, self.half = (np.exp(step * linear / part).astype(dtype) for part in (1, 2))

    def __call__(self, modes: np.ndarray) -> np.ndarray:
        """Return the coefficients one step later."""
        slope = self.products(self.waves, modes)
        start = self.half * modes
        a = start + self.middle * slope
        slope_a = self.products(self.waves, a)
        slope_b = self.products(self.waves, start + self.middle * slope_a)
        slope_c = self.products(self.waves, self.half * a + self.middle * (2 * slope_b - slope))
        slope_a += slope_b
        return np.asarray(
            self.whole * modes + self.first * slope + self.inner * slope_a + self.last * slope_c
        )


def frames(
    problem: Problem, field: np.ndarray, n: int, steps: int,
    library: str = "SciPy", dtype: str = "float64",
) -> np.ndarray:  # fmt: skip
    """Return ``field`` (points, points) and the ``n`` frames after it, of so many steps each."""
    solver = Solver(problem, len(field), steps, library, dtype)
    out = np.empty((n + 1, *field.shape), dtype)
    out[0] = field
    modes = solver.waves.forth(out[0]) * solver.waves.kept
    for frame in range(1, n + 1):
        for _ in range(steps):
            modes = solver(modes)
        out[frame] = solver.waves.back(modes)
    return out


def begin(problem: Problem, points: int, seed: int) -> np.ndarray:
    """Return a field of random long waves; of Swift and Hohenberg's equation, of its own ones."""
    rng = np.random.default_rng(seed)
    modes = fft.rfft2(rng.standard_normal((points, points)))
    kx, ky = fft.fftfreq(points, 1 / points)[:, None], fft.rfftfreq(points, 1 / points)
    longest = max(4.0, 1.2 * problem.length / (2 * np.pi) * (problem.length > 10))
    field = fft.irfft2(modes * (kx**2 + ky**2 <= longest**2), s=(points, points))
    return np.asarray(problem.mean + problem.size * (field - field.mean()) / field.std())


@dataclass
class Result:
    """What one equation came to."""

    equation: str
    points: int
    learned_on: int
    dtype: str
    fit_cpu_seconds: float
    carried_cpu_seconds: float
    flow_maps: str
    errors: dict[str, float]
    cpu_seconds: dict[str, float]

    @property
    def ratios(self) -> dict[str, float]:
        """Seconds of the fastest solver over those of HiTS, by the solver's arithmetic."""
        own = self.cpu_seconds["hits"]
        return {
            dtype: min(s for name, s in self.cpu_seconds.items() if dtype in name) / own
            for dtype in ("float64", "float32")
            if any(dtype in name for name in self.cpu_seconds)
        }


def fitted(
    name: str, points: int, runs: int, dtype: str, seconds: float | None
) -> pyhits.TimeStepper:
    """Return the model of a few recorded runs on so many points."""
    problem = PROBLEMS[name]
    problem = replace(problem, length=problem.part * problem.length)
    data = [frames(problem, begin(problem, points, s), N_LEARNED, 8) for s in range(runs)]
    grid = pyhits.Grid((points, points), spacing=problem.length / points, periodic=True)
    model = pyhits.HiTS(random_state=0, n_jobs=1, time_limit=seconds, verbose=False)
    return model.fit(np.stack(data).astype(dtype), grid=grid).stepper_


def measure(name: str, how: argparse.Namespace) -> Result:
    """Fit, forecast, and find the solvers of equal error."""
    problem, points = PROBLEMS[name], how.points
    cpu = time.process_time()
    model = fitted(name, how.learned_on, how.runs, how.dtype, how.seconds)
    fit = time.process_time() - cpu
    model = model.on_grid((points, points), spacing=problem.length / points)
    carried = time.process_time() - cpu - fit
    first = begin(problem, points, 1000)
    truth = frames(problem, first, N_AHEAD, 16)[-1]

    def ours() -> np.ndarray:
        states = model.forecast(first.astype(how.dtype), N_AHEAD, on_divergence="return")
        return np.asarray(states)[-1]

    def error(last: np.ndarray) -> float:
        return float(np.linalg.norm(last - truth) / np.linalg.norm(truth))

    wrong = {"hits": error(ours())}
    contestants: dict[str, Callable[[], np.ndarray]] = {"hits": ours}
    for dtype in ("float64", "float32"):
        steps = 1
        while steps <= MOST_STEPS:
            own = error(frames(problem, first, N_AHEAD, steps, dtype=dtype)[-1])
            if own <= EQUAL * wrong["hits"]:
                break
            steps *= 2
        for library in LIBRARIES if steps <= MOST_STEPS else ():
            known = f"{library}, {dtype}, {steps} step(s)"
            wrong[known] = own
            contestants[known] = lambda library=library, dtype=dtype, steps=steps: frames(
                problem, first, N_AHEAD, steps, library, dtype
            )
    taken: dict[str, list[float]] = {known: [] for known in contestants}
    for _ in range(how.repeats):
        for known, run in contestants.items():
            start = time.process_time()
            run()
            taken[known].append(time.process_time() - start)
    maps = "; ".join(f"{k}: {f.describe()}" for k, f in model.flow_maps.items())
    maps += f"; coupled {list(model.selection.step_sizes)}"
    medians = {known: float(np.median(times)) for known, times in taken.items()}
    return Result(name, points, how.learned_on, how.dtype, fit, carried, maps, wrong, medians)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.spectral_solver",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("equations", nargs="*", help=f"by default {', '.join(PROBLEMS)}")
    parser.add_argument("--points", type=int, default=512)
    parser.add_argument("--learned-on", type=int, default=64, help="points along a side")
    parser.add_argument("--runs", type=int, default=4, help="to learn from")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--seconds", type=float, help="for the fit; by default as many as it takes")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/spectral_solver.json"))
    options = parser.parse_args(arguments)
    results = []
    for name in options.equations or PROBLEMS:
        found = measure(name, options)
        print(
            f"{name}, {found.points} x {found.points}: fit {found.fit_cpu_seconds:.0f} CPU s, "
            f"carried in {found.carried_cpu_seconds:.1f}"
        )
        print(f"  {found.flow_maps}")
        for known, taken in found.cpu_seconds.items():
            print(f"  {known:<28} error {found.errors[known]:.1e}, {taken:.3g} CPU s")
        ratios = ", ".join(f"{r:.2f} ({dtype})" for dtype, r in found.ratios.items())
        print(f"  HiTS is so many times as fast as the fastest solver: {ratios}", flush=True)
        results.append(vars(found) | {"ratios": found.ratios})
    facts = {"processor": processor(), "load": load(), "version": pyhits.__version__}
    content = {"environment": facts, "results": results}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(options.out, json.dumps(content, indent=1).encode())
    print(f"Written to {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
