"""Kuramoto-Sivashinsky equation, 512 points: PyHiTS on 64 POD modes against the spectral solver.

``u_t = -u u_x - u_xx - u_xxxx`` on (0, 16 pi), periodic, as in the paper's Section 3.2, from 256
states on the attractor over one Lyapunov time, with snapshots of all points once a time unit. The
data come from the solver that is timed: Fourier in space, ETDRK4 in time, of ``pyhits.paper``,
with the largest step that is accurate to about 1e-6 over a snapshot. PyHiTS's time holds the
projection onto the POD modes and the way back to all points.

Equation and domain do not change when x is shifted, nor when x and u change sign: the training
trajectories are also taken shifted and mirrored. All coefficients are divided by one number, not
each by its own deviation, so that a mode counts as much as there is of it. Errors are root mean
squares over states, times and points, in standard deviations of u.

    python -m benchmarks.kuramoto_sivashinsky --quick
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

import pyhits
from benchmarks.record import Record
from benchmarks.tables import print_bars, print_table
from benchmarks.timing import THREADS, compare, with_threads
from pyhits.paper.sequences.ks import POINTS, Solver

NAME = "kuramoto-sivashinsky"

#: Time between snapshots, and the solver's steps in it.
SNAPSHOT, STEPS = 1.0, 16

#: POD modes, initial states, and trajectories that the solver takes at once, to stay in cache.
MODES, N_STATES, BLOCK = 64, 256, 32

#: Errors are told up to so many Lyapunov times; beyond this one, in deviations, none is valid.
LYAPUNOV_TIMES, VALID = 4, 0.4


def solve(fields: np.ndarray, n_snapshots: int, steps: int = STEPS, threads: int = 1) -> np.ndarray:
    """Return snapshots ``(n, n_snapshots + 1, POINTS)`` from ``fields`` (n, POINTS) on."""
    solver = Solver(SNAPSHOT / steps)
    out = np.empty((len(fields), n_snapshots + 1, POINTS), fields.dtype)
    out[:, 0] = fields

    def fill(part: np.ndarray) -> None:
        modes = np.fft.rfft(part[:, 0].astype(np.float64))[:, : solver.n_kept]
        for k in range(1, n_snapshots + 1):
            for _ in range(steps):
                modes = solver(modes)
            part[:, k] = np.fft.irfft(modes, POINTS)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, (out[k : k + BLOCK] for k in range(0, len(out), BLOCK))))
    return out


def on_attractor(n: int, seed: int, transient: int = 200) -> np.ndarray:
    """Return fields ``(n, POINTS)`` to which random long waves have come."""
    rng = np.random.default_rng(seed)
    waves = np.zeros((n, 9), complex)
    waves[:, 1:] = (
        POINTS / 2 * rng.standard_normal((n, 8)) * np.exp(2j * np.pi * rng.random((n, 8)))
    )
    fields = np.fft.irfft(waves, POINTS)
    for _ in range(transient // 10):
        fields = solve(fields, 10)[:, -1]
    return fields


def lyapunov_exponent(fields: np.ndarray, n_snapshots: int = 200) -> float:
    """Return the mean rate at which twins, renormalised every two snapshots, move apart."""
    rng = np.random.default_rng(0)
    # Pushed apart by random waves, as the solver drops what is finer than it keeps.
    apart = np.fft.irfft(np.fft.rfft(rng.standard_normal(fields.shape))[:, :20], POINTS)
    size = 1e-6 * np.linalg.norm(fields, axis=1, keepdims=True)
    growth = []
    for _ in range(n_snapshots // 2):
        twins = fields + apart * (size / np.linalg.norm(apart, axis=1, keepdims=True))
        fields, twins = np.split(solve(np.concatenate([fields, twins]), 2)[:, -1], 2)
        apart = twins - fields
        growth.append(np.log(np.linalg.norm(apart, axis=1, keepdims=True) / size))
    # The first quarter turns the differences into the direction that grows fastest.
    return float(np.mean(growth[len(growth) // 4 :])) / (2 * SNAPSHOT)


@dataclass(frozen=True)
class Projection:
    """POD: fields to coefficients on orthonormal modes, all divided by one number, and back.

    Products are torch's, so that they take as many threads as the forecast.

    Attributes
    ----------
    modes : Tensor, shape (MODES, POINTS)
        Orthonormal, float32.
    scale : float
        That number.
    left : float
        Share of the energy that the modes leave out.
    """

    modes: Tensor
    scale: float
    left: float

    @classmethod
    def fit(cls, fields: np.ndarray) -> Projection:
        """Take the leading modes of fields ``(n, POINTS)``."""
        _, sizes, modes = np.linalg.svd(fields.astype(np.float64), full_matrices=False)
        energy = np.square(sizes)
        scale = np.sqrt(energy[:MODES].sum() / (len(fields) * MODES))
        left = float(energy[MODES:].sum() / energy.sum())
        return cls(torch.from_numpy(modes[:MODES]).float(), float(scale), left)

    def coefficients(self, fields: np.ndarray) -> np.ndarray:
        """Return ``(..., POINTS)`` as ``(..., MODES)`` of float32."""
        return (torch.from_numpy(fields).float() @ (self.modes.T / self.scale)).numpy()

    def fields(self, coefficients: np.ndarray) -> np.ndarray:
        """Return ``(..., MODES)`` as ``(..., POINTS)``."""
        return (torch.from_numpy(coefficients) @ (self.modes * self.scale)).numpy()


def moved(fields: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return each trajectory ``(n, time, POINTS)`` shifted, and half of them mirrored."""
    copies = np.empty_like(fields)
    for k, shift in enumerate(rng.integers(0, POINTS, len(fields))):
        copies[k] = np.roll(fields[k] if k % 2 else -fields[k, :, ::-1], shift, axis=-1)
    return copies


def fit(quick: bool) -> tuple[pyhits.HiTS, Projection]:
    """Simulate, project and train."""
    n, n_snapshots, n_copies, max_steps = (64, 300, 2, 1500) if quick else (256, 500, 2, 8000)
    data = solve(on_attractor(n, seed=1).astype(np.float32), n_snapshots)
    held, data = np.split(data, [n // 16])
    # Stretches of about a Lyapunov time: far beyond it, chaos alone would decide.
    held = held[:, : n_snapshots // 15 * 15].reshape(-1, 15, POINTS)
    rng = np.random.default_rng(0)
    projection = Projection.fit(moved(data[:, ::25], rng).reshape(-1, POINTS))
    copies = [data, *(moved(data, rng) for _ in range(n_copies - 1))]
    model = pyhits.HiTS(
        [1],
        flow_map=pyhits.Nets((256, 256, 256), polynomial_degree=0),
        training=pyhits.Training(
            standardise=False, early_bias=1.0, batch_size=512, max_steps=max_steps
        ),
        random_state=0,
        verbose=False,
    )
    train = np.concatenate([projection.coefficients(copy) for copy in copies])
    return model.fit(train, validation=projection.coefficients(held), dt=SNAPSHOT), projection


def run(quick: bool, out: Path) -> list[Record]:
    """Fit, then measure errors and times."""
    model, projection = fit(quick)
    starts = on_attractor(N_STATES, seed=2)
    exponent = lyapunov_exponent(starts[: 2 * BLOCK])
    horizon = round(1 / (exponent * SNAPSHOT))
    truth = solve(starts, LYAPUNOV_TIMES * horizon)

    def ours(n_snapshots: int) -> np.ndarray:
        states = projection.coefficients(starts)
        return projection.fields(model.forecast(states, n_snapshots, on_divergence="return"))

    functions: dict[str, Callable[[], np.ndarray]] = {}
    for count in sorted({1, THREADS}):
        functions[f"ETDRK4, {count}"] = partial(solve, starts, horizon, threads=count)
        functions[f"PyHiTS, {count}"] = with_threads(count, partial(ours, horizon))
    timings = compare(functions, repeats=5 if quick else 15, budget=6 if quick else 30)

    errors = np.sqrt(np.square(ours(truth.shape[1] - 1) - truth).mean(axis=2)) / truth.std()
    within = errors[:, 1 : horizon + 1]
    late = ~(errors <= VALID)
    valid = np.where(late.any(axis=1), late.argmax(axis=1), errors.shape[1]) * SNAPSHOT
    each = np.sqrt(np.square(within).mean(axis=1))
    spread = " ".join(f"{q:.3f}" for q in np.quantile(each, (0.5, 0.9, 0.99)))
    records = []
    for count in sorted({1, THREADS}):
        solver, mine = (
            Record.timed(NAME, who, timings[f"{who}, {count}"], N_STATES * horizon, threads=count)
            for who in ("ETDRK4", "PyHiTS")
        )
        solver.note = f"step 1/{STEPS}, blocks of {BLOCK} states; {_accuracy(starts)}"
        mine.against(solver, 10.0 if count == 1 else None).note = (
            f"{MODES} POD modes, which leave {projection.left:.0e} of the energy out; net of "
            f"{model.recipe_.hidden_sizes}, {model.recipe_.max_steps} steps in "
            f"{model.seconds_:.0f} s" + ("; trained briefly, its accuracy is low" if quick else "")
        )
        records += [solver, mine]
    error = Record(NAME, "PyHiTS, error", value=float(np.sqrt(np.square(within).mean())))
    error.unit = "standard deviations"
    error.note = (
        f"root mean square over one Lyapunov time, 1 / {exponent:.3f} as twins move apart; at its "
        f"end {np.sqrt(np.square(within[:, -1]).mean()):.3f}; median, 90 % and 99 % of the states "
        f"{spread}"
    )
    error.aim("0.1 or less", (error.value or np.inf) <= 0.1)
    time = Record(NAME, "PyHiTS, valid time", value=float(np.median(valid)), unit="time units")
    time.note = f"median; error above {VALID}; {np.median(valid) * exponent:.1f} Lyapunov times"
    return [*records, error, time]


def _accuracy(fields: np.ndarray) -> str:
    """Return in words how accurate a snapshot is, with the solver's step and with twice that."""
    exact = solve(fields, 1, 8 * STEPS)[:, 1]
    near, twice = (
        np.sqrt(np.square(solve(fields, 1, steps)[:, 1] - exact).mean()) / exact.std()
        for steps in (STEPS, STEPS // 2)
    )
    return f"a snapshot is accurate to {near:.0e} deviations (to {twice:.0e} with twice the step)"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="train for a minute, less accurately")
    found = run(parser.parse_args().quick, Path())
    print_table(Console(width=160), NAME, found)
    print_bars(Console(width=160), found)
