"""Fit APEBench's equations on a periodic interval with default settings, beside published nets.

    python -m benchmarks.apebench                           # six equations
    python -m benchmarks.apebench Burgers KortewegDeVries --data apebench_data --out apebench.json

Protocol and metric are the suite's (Koehler et al. 2024, arXiv 2411.00180): the "difficulty"
scenarios, of which 50 runs of 51 frames are learned from (seed 0) and 30 runs of 201 frames tested
(seed 773), 160 points each. The error of a frame is the mean over runs of the norm of the error
over that of the truth; its geometric mean over the first 100 frames is told. HiTS has its defaults
and is given plain arrays ``(run, time, point)``, without being told that they are a grid.

The data need ``pip install ".[bench]"`` (the package apebench, with JAX). With ``--data`` they are
kept as ``NAME.npz`` in that folder and read from it from then on, which needs no JAX.

The suite's data are made by exponential time differencing with products of derivatives, which is
how PyHiTS's equations are stepped, too: where terms and scheme are the same, there is nothing left
to approximate, and the figures say little of fields that nature makes.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import pyhits
from benchmarks.timing import load, processor
from pyhits.util.atomic import write_bytes
from pyhits.util.extras import need

#: What is learned from, and what is tested: runs, frames, and the seed of each.
TRAIN_SEED, TEST_SEED, N_FRAMES = 0, 773, 100

#: Medians of 50 seeds of the best net trained on one step, and its name. Aggregated from the curves
#: that github.com/google-research/generalized-pde-emulator published again; advection is from
#: another source.
PUBLISHED: dict[str, tuple[float, str] | None] = {
    "Advection": (4.6e-3, "FNO"),
    "Dispersion": None,
    "FisherKPP": None,
    "Burgers": (0.0128, "ResNet"),
    "KortewegDeVries": (0.0769, "dilated ResNet"),
    "KuramotoSivashinskyConservative": (0.242, "ResNet"),
}


@dataclass
class Coupled:
    """What some of a model's scales came to, coupled."""

    step_sizes: list[int]
    error: float
    cpu_seconds: float


@dataclass
class Result:
    """What one scenario came to."""

    scenario: str
    error: float
    last_error: float
    fit_seconds: float
    fit_cpu_seconds: float
    forecast_cpu_seconds: float
    step_sizes: tuple[int, ...]
    flow_map: str
    notes: tuple[str, ...]
    couplings: list[Coupled]
    published_error: float | None
    published_net: str


def runs(name: str, folder: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the runs ``(run, time, point)`` to learn from and to test, as float64."""
    path = folder / f"{name}.npz" if folder is not None else None
    if path is None or not path.exists():
        suite = need("apebench", action="Making the suite's data", extra="bench")
        scenario = getattr(suite.scenarios.difficulty, name)(
            train_seed=TRAIN_SEED, test_seed=TEST_SEED
        )
        data = {
            "train": np.asarray(scenario.get_train_data()),
            "test": np.asarray(scenario.get_test_data()),
        }
        if path is None:
            return _plain(data["train"]), _plain(data["test"])
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **data)
    with np.load(path, allow_pickle=False) as archive:
        return _plain(archive["train"]), _plain(archive["test"])


def _plain(frames: np.ndarray) -> np.ndarray:
    """Return frames ``(run, time, 1, point)`` as rows ``(run, time, point)``."""
    return np.asarray(frames[:, :, 0], dtype=np.float64)


def errors(truth: np.ndarray, forecast: np.ndarray) -> np.ndarray:
    """Return the suite's error of each frame, ``(time,)``, of runs ``(run, time, point)``."""
    size = np.linalg.norm(forecast - truth, axis=2) / np.linalg.norm(truth, axis=2)
    return np.asarray(np.where(np.isfinite(size), size, np.inf).mean(axis=0))


def measure(name: str, train: np.ndarray, test: np.ndarray) -> Result:
    """Fit to the runs and forecast the tested ones from their first frames."""
    begin, cpu = time.perf_counter(), time.process_time()
    model = pyhits.HiTS(random_state=0, n_jobs=1, verbose=False).fit(train)
    seconds, fit_cpu = time.perf_counter() - begin, time.process_time() - cpu
    sizes = sorted(model.flow_maps_)
    ranges = [sizes[: k + 1] for k in range(len(sizes))]
    couplings = [Coupled(own, *_forecast(model, test, own)[1:]) for own in ranges]
    each, error, forecast_cpu = _forecast(model, test, list(model.selection_.step_sizes))
    finest = model.flow_maps_[min(model.selection_.step_sizes)]
    best, net = PUBLISHED.get(name) or (None, "")
    return Result(
        name, error, float(each[-1]), seconds, fit_cpu, forecast_cpu,
        tuple(model.selection_.step_sizes), finest.describe(), tuple(model.notes_), couplings,
        best, net,
    )  # fmt: skip


def _forecast(
    model: pyhits.HiTS, test: np.ndarray, step_sizes: list[int]
) -> tuple[np.ndarray, float, float]:
    """Return the error of each frame, their geometric mean, and the CPU seconds."""
    cpu = time.process_time()
    found = model.forecast(test[:, 0], N_FRAMES, step_sizes=step_sizes, on_divergence="return")
    cpu = time.process_time() - cpu
    ahead = np.asarray(found).reshape(len(test), -1, test.shape[2])[:, 1:]
    each = errors(test[:, 1 : N_FRAMES + 1], ahead)
    return each, float(np.exp(np.log(each).mean())), cpu


def table(results: list[Result]) -> str:
    """Return the results as text."""
    heads = ("scenario", "error", "last", "published", "fit, CPU s", "wall s", "step sizes")
    lines = ["{:<34}{:>10}{:>10}{:>26}{:>12}{:>9}  {}".format(*heads)]
    for r in results:
        best = f"{r.published_error:.3g} ({r.published_net})" if r.published_error else ""
        sizes = ", ".join(map(str, r.step_sizes))
        lines.append(
            f"{r.scenario:<34}{r.error:>10.2e}{r.last_error:>10.2e}{best:>26}"
            f"{r.fit_cpu_seconds:>12.0f}{r.fit_seconds:>9.0f}  {sizes}"
        )
        lines.append(f"    {r.flow_map}")
        lines += [
            f"    coupled {c.step_sizes}: {c.error:.2e}, {c.cpu_seconds:.2f} CPU s"
            for c in r.couplings
        ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.apebench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenarios", nargs="*", help="names in the suite; by default six")
    parser.add_argument("--data", type=Path, help="folder where the data are kept")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/apebench.json"))
    options = parser.parse_args(arguments)
    results: list[Result] = []
    try:
        for name in options.scenarios or PUBLISHED:
            results.append(measure(name, *runs(name, options.data)))
            print(f"{name}: {results[-1].error:.2e}", flush=True)
    except pyhits.errors.MissingExtraError as missing:
        print(missing)
        return 1
    facts = {"processor": processor(), "load": load(), "version": pyhits.__version__}
    content = {"environment": facts, "results": [asdict(r) for r in results]}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(options.out, json.dumps(content, indent=1).encode())
    print(table(results))
    print(f"Written to {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
