"""Forecast fields on a plane, beside POD and a plain convolutional net of equal training time.

    python -m benchmarks.planes                          # turbulence and Gray-Scott with walls
    python -m benchmarks.planes turbulence --seconds 600 --out planes.json
    python -m benchmarks.planes velocities --models hits "pod, linear" persistence

Decaying turbulence (vorticity, 64 x 64, periodic, viscosity 0.002) and the Gray-Scott reaction (two
channels, walls) are simulated here: 40 runs of 40 frames to learn from, 10 to test. HiTS has its
defaults and ``--seconds`` for the fit; the plain net trains for as many CPU seconds as that took.
Errors are root mean squares over runs, points and channels after one turnover time, each channel in
its standard deviations in the training data: 2 pi over the root mean square of the vorticity; of
Gray-Scott, 20 frames.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import pyhits
from benchmarks.timing import load, processor
from pyhits.encoders import POD
from pyhits.util.atomic import write_bytes

#: Points along each axis, frames of a run.
N, N_FRAMES = 64, 40


def turbulence(n_runs: int, seed: int) -> np.ndarray:
    """Return vorticities ``(run, time, y, x, 1)``, 0.1 apart: Fourier in space, RK4 in time."""
    rng = np.random.default_rng(seed)
    dt, steps, viscosity = 0.1, 10, 2e-3
    kx, ky = np.fft.fftfreq(N)[:, None] * N, np.fft.rfftfreq(N)[None] * N
    square = kx**2 + ky**2
    inverse = np.where(square > 0, 1 / np.maximum(square, 1), 0)
    kept = (np.abs(kx) < N / 3) & (np.abs(ky) < N / 3)
    w = np.fft.rfft2(rng.standard_normal((n_runs, N, N)))
    w *= kept * np.sqrt(square) * np.exp(-((np.sqrt(square) - 5) ** 2) / 8)
    w *= (5 / np.fft.irfft2(w, s=(N, N)).std(axis=(1, 2)))[:, None, None]
    h = dt / steps
    whole, half = np.exp(-viscosity * square * h), np.exp(-viscosity * square * h / 2)

    def slope(w: np.ndarray) -> np.ndarray:
        parts = (1j * ky * inverse * w, -1j * kx * inverse * w, 1j * kx * w, 1j * ky * w)
        u, v, wx, wy = (np.fft.irfft2(part, s=(N, N)) for part in parts)
        return np.asarray(-np.fft.rfft2(u * wx + v * wy) * kept)

    out = np.empty((n_runs, N_FRAMES, N, N, 1), np.float32)
    for frame in range(N_FRAMES):
        out[:, frame, ..., 0] = np.fft.irfft2(w, s=(N, N))
        for _ in range(steps):
            a = slope(w)
            b = slope(half * (w + h / 2 * a))
            c = slope(half * w + h / 2 * b)
            d = slope(whole * w + h * half * c)
            w = whole * w + h / 6 * (whole * a + 2 * half * (b + c) + d)
    return out


def velocities(vorticity: np.ndarray) -> np.ndarray:
    """Return the velocities along both axes ``(run, time, y, x, 2)`` of vorticities, mean 0.7."""
    first, last = np.fft.fftfreq(N)[:, None] * N, np.fft.rfftfreq(N)[None] * N
    square = first**2 + last**2
    waves = np.fft.rfft2(vorticity[..., 0]) / np.maximum(square, 1)
    along = (1j * last * waves, -1j * first * waves)
    found = np.stack([np.fft.irfft2(part, s=(N, N)) for part in along], axis=-1)
    return np.asarray(found + 0.7, np.float32)


def gray_scott(n_runs: int, seed: int) -> np.ndarray:
    """Return both concentrations ``(run, time, y, x, 2)``, between walls without flux."""
    rng = np.random.default_rng(seed)
    feed, kill = 0.035, 0.06
    u, v = np.ones((n_runs, N, N)), np.zeros((n_runs, N, N))
    for run in range(n_runs):
        for i, j in rng.integers(8, N - 8, (6, 2)):
            u[run, i - 4 : i + 4, j - 4 : j + 4] = 0.5
            v[run, i - 4 : i + 4, j - 4 : j + 4] = 0.25
    u += 0.02 * rng.standard_normal(u.shape)
    v += 0.02 * rng.standard_normal(v.shape)

    def laplacian(a: np.ndarray) -> np.ndarray:
        p = np.pad(a, ((0, 0), (1, 1), (1, 1)), mode="edge")
        sides = p[:, 2:, 1:-1] + p[:, :-2, 1:-1] + p[:, 1:-1, 2:] + p[:, 1:-1, :-2]
        return np.asarray(sides - 4 * a)

    out = np.empty((n_runs, N_FRAMES, N, N, 2), np.float32)
    for frame in range(-10, N_FRAMES):
        if frame >= 0:
            out[:, frame] = np.stack([u, v], axis=-1)
        for _ in range(20):
            r = u * v * v
            u, v = (
                u + 0.16 * laplacian(u) - r + feed * (1 - u),
                v + 0.08 * laplacian(v) + r - (feed + kill) * v,
            )
    return out


@dataclass(frozen=True)
class Data:
    """Runs ``(run, time, y, x, channel)`` to learn from and to test, frames ahead, and edges."""

    train: np.ndarray
    test: np.ndarray
    ahead: int
    ring: bool


def data_of(name: str) -> Data:
    """Simulate one of the two."""
    if name in ("turbulence", "velocities"):
        train, test = turbulence(40, 0), turbulence(10, 1)
        ahead = round(2 * np.pi / train.std() / 0.1)
        if name == "velocities":
            train, test = velocities(train), velocities(test)
        return Data(train, test, ahead, True)
    return Data(gray_scott(40, 0), gray_scott(10, 1), 20, False)


#: From first frames ``(run, y, x, channel)`` to the frame asked for.
Forecaster = Callable[[np.ndarray], np.ndarray]


def local(data: Data, seconds: float) -> tuple[Forecaster, str]:
    """HiTS with its defaults, on fields."""
    rows = data.train if data.train.shape[-1] > 1 else data.train[..., 0]
    channels = data.train.shape[-1] if data.train.shape[-1] > 1 else None
    grid = pyhits.Grid((N, N), channels=channels) if channels else pyhits.Grid((N, N))
    model = pyhits.HiTS(random_state=0, n_jobs=1, time_limit=seconds, verbose=False)
    model.fit(rows, grid=grid)

    def ahead(first: np.ndarray) -> np.ndarray:
        start = first if channels else first[..., 0]
        found = np.asarray(model.forecast(start, data.ahead, on_divergence="return"))
        return found[:, -1].reshape(first.shape)

    says = "; ".join(f"{k}: {f.describe()}" for k, f in model.flow_maps_.items())
    return ahead, f"coupled {list(model.selection_.step_sizes)}; {says}"


def pod_hits(data: Data, seconds: float) -> tuple[Forecaster, str]:
    """HiTS on POD modes of 99.9 % of the energy, its own choice else."""
    rows = data.train.reshape(*data.train.shape[:2], -1)
    model = pyhits.HiTS(
        encoder=POD(energy=0.999), random_state=0, n_jobs=1, time_limit=seconds, verbose=False
    ).fit(rows, grid="none")

    def ahead(first: np.ndarray) -> np.ndarray:
        start = first.reshape(len(first), -1)
        found = np.asarray(model.forecast(start, data.ahead, on_divergence="return"))
        return found[:, -1].reshape(first.shape)

    return ahead, f"{len(model.coordinates_.names)} modes"


def pod_linear(data: Data, seconds: float) -> tuple[Forecaster, str]:
    """A linear map of POD coefficients, by ridge regression."""
    rows = data.train.reshape(*data.train.shape[:2], -1).astype(float)
    pod = POD(energy=0.999).fit(rows.reshape(-1, rows.shape[2]))
    modes = np.stack([pod.transform(run) for run in rows])
    x, y = (modes[:, part].reshape(-1, modes.shape[2]) for part in (slice(-1), slice(1, None)))
    gram = x.T @ x
    step = np.linalg.solve(gram + 1e-8 * np.trace(gram) / len(gram) * np.eye(len(gram)), x.T @ y)

    def ahead(first: np.ndarray) -> np.ndarray:
        state = pod.transform(first.reshape(len(first), -1).astype(float))
        for _ in range(data.ahead):
            state = state @ step
        return np.asarray(pod.inverse_transform(state)).reshape(first.shape)

    return ahead, f"{modes.shape[2]} modes"


def persistence(data: Data, seconds: float) -> tuple[Forecaster, str]:
    """The first frame again."""
    return (lambda first: first), ""


class Block(nn.Module):
    """Two layers of 3 x 3 around an activation, added to what came in."""

    def __init__(self, width: int, padding: str) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, padding_mode=padding)
        self.second = nn.Conv2d(width, width, 3, padding=1, padding_mode=padding)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(n, width, y, x)`` of the same shape."""
        return x + self.second(nn.functional.gelu(self.first(nn.functional.gelu(x))))


def resnet(data: Data, seconds: float, width: int = 32) -> tuple[Forecaster, str]:
    """A plain residual net of one step, Adam with cosine, for so many CPU seconds."""
    torch.manual_seed(0)
    padding, channels = "circular" if data.ring else "replicate", data.train.shape[-1]
    fields = torch.from_numpy(np.moveaxis(data.train, -1, 2).copy())
    mean = fields.mean((0, 1, 3, 4), keepdim=True)[0]
    scale = fields.std((0, 1, 3, 4), keepdim=True)[0]
    fields = (fields - mean) / scale
    size = (fields[:, 1:] - fields[:, :-1]).square().mean().sqrt()
    net = nn.Sequential(
        nn.Conv2d(channels, width, 5, padding=2, padding_mode=padding),
        *(Block(width, padding) for _ in range(3)),
        nn.GELU(),
        nn.Conv2d(width, channels, 5, padding=2, padding_mode=padding),
    )
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    rng, begin, done = np.random.default_rng(0), time.process_time(), 0
    while (spent := time.process_time() - begin) < seconds:
        for group in optimiser.param_groups:
            group["lr"] = 1e-3 * 0.5 * (1 + np.cos(np.pi * spent / seconds))
        run, frame = rng.integers(0, len(fields), 8), rng.integers(0, N_FRAMES - 1, 8)
        now, later = fields[run, frame], fields[run, frame + 1]
        loss = (net(now) - (later - now) / size).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        done += 1

    @torch.no_grad()
    def ahead(first: np.ndarray) -> np.ndarray:
        x = (torch.from_numpy(np.moveaxis(first, -1, 1).copy()) - mean[0]) / scale[0]
        for _ in range(data.ahead):
            x = x + size * net(x)
        return np.moveaxis((x * scale[0] + mean[0]).numpy(), 1, -1)

    return ahead, f"{sum(p.numel() for p in net.parameters())} weights, {done} steps"


MODELS = {
    "hits": local, "resnet": resnet, "pod, hits": pod_hits, "pod, linear": pod_linear,
    "persistence": persistence,
}  # fmt: skip


@dataclass
class Result:
    """What one model came to."""

    data: str
    model: str
    nrmse: float | None
    fit_cpu_seconds: float
    says: str


def measure(name: str, model: str, data: Data, seconds: float) -> Result:
    """Fit one model and forecast the tested runs from their first frames."""
    cpu = time.process_time()
    ahead, says = MODELS[model](data, seconds)
    cpu = time.process_time() - cpu
    wrong = ahead(data.test[:, 0]) - data.test[:, data.ahead]
    error = float(np.sqrt(np.square(wrong / data.train.std(axis=(0, 1, 2, 3))).mean()))
    return Result(name, model, error if np.isfinite(error) else None, cpu, says)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.planes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", nargs="*", help="turbulence, gray-scott (the default), velocities")
    parser.add_argument("--seconds", type=float, default=600, help="for each fit of HiTS")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/planes.json"))
    options = parser.parse_args(arguments)
    results: list[Result] = []
    for name in options.data or ("turbulence", "gray-scott"):
        data, spent = data_of(name), options.seconds
        print(f"{name}, {data.ahead} frames ahead", flush=True)
        for model in options.models:
            result = measure(name, model, data, spent if model == "resnet" else options.seconds)
            spent = result.fit_cpu_seconds if model == "hits" else spent
            results.append(result)
            error = "lost" if result.nrmse is None else f"{result.nrmse:.3g}"
            print(
                f"  {model:<12}{error:>10}{result.fit_cpu_seconds:>8.0f} s  {result.says}",
                flush=True,
            )
    facts = {"processor": processor(), "load": load(), "version": pyhits.__version__}
    content = {"environment": facts, "results": [asdict(r) for r in results]}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(options.out, json.dumps(content, indent=1).encode())
    print(f"Written to {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
