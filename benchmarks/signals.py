"""Trajectories of which the data for checks are made: small fields, their integration, noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pyhits.data.trajectories import Trajectories

Maker = Callable[[np.random.Generator], Trajectories]


def rk4(
    field: Callable[[np.ndarray], np.ndarray], start: np.ndarray, dt: float, n: int, fine: int = 10
) -> np.ndarray:
    """Return ``n`` states of one trajectory, ``(n, d)``."""
    x, h = np.asarray(start, dtype=float), dt / fine
    rows = [x]
    for _ in range(n - 1):
        for _ in range(fine):
            a = field(x)
            b = field(x + h / 2 * a)
            c = field(x + h / 2 * b)
            x = x + h / 6 * (a + 2 * b + 2 * c + field(x + h * c))
        rows.append(x)
    return np.array(rows)


def lorenz(x: np.ndarray, rho: float = 28.0) -> np.ndarray:
    """Lorenz's field."""
    return np.array([10 * (x[1] - x[0]), x[0] * (rho - x[2]) - x[1], x[0] * x[1] - 8 / 3 * x[2]])


def rossler(x: np.ndarray, c: float = 5.7) -> np.ndarray:
    """Roessler's field."""
    return np.array([-x[1] - x[2], x[0] + 0.2 * x[1], 0.2 + x[2] * (x[0] - c)])


def pendulum(x: np.ndarray, damping: float = 0.0, g: float = 9.81) -> np.ndarray:
    """A pendulum, angle and rate."""
    return np.array([x[1], -g * np.sin(x[0]) - damping * x[1]])


def van_der_pol(x: np.ndarray, mu: float | np.ndarray = 2.0) -> np.ndarray:
    """Van der Pol's field."""
    return np.array([x[1], mu * (1 - x[0] ** 2) * x[1] - x[0]])


def noisy(rows: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Add white noise, as a share of each feature's standard deviation."""
    return np.asarray(rows + level * rows.std(axis=0) * rng.standard_normal(rows.shape))


def ar1(rng: np.random.Generator, n: int, phi: float) -> np.ndarray:
    """An autoregressive series."""
    x = rng.standard_normal(n)
    for k in range(1, n):
        x[k] += phi * x[k - 1]
    return x


# Short recordings of several kinds, from random starts.


def piece(kind: int, rng: np.random.Generator, n: int) -> np.ndarray:
    if kind == 0:
        return rk4(lorenz, rng.normal([0, 0, 25], 8), 0.02, n, 2)
    if kind == 1:
        return rk4(van_der_pol, rng.uniform(-3, 3, 2), 0.05, n, 2)
    if kind == 2:
        return rk4(lambda x: pendulum(x, 0.2), rng.uniform(-2, 2, 2), 0.05, n, 2)
    if kind == 3:
        return rk4(rossler, rng.uniform(-5, 5, 3) * [1, 1, 0], 0.1, n, 2)
    t, a, p = 0.05 * np.arange(n), rng.uniform(0.3, 3), rng.uniform(0, 6)
    wave = np.column_stack([np.sin(t + p), np.cos(t + p)]) * a
    return wave if kind == 4 else wave * np.exp(-0.3 * t)[:, None]


def answer(u: np.ndarray, rng: np.random.Generator) -> Trajectories:
    x = np.zeros((len(u), 2))
    for k in range(1, len(u)):
        push = 0.05 * (u[k - 1] - x[k - 1, 0]) - 0.15 * x[k - 1, 1]
        x[k, 1] = x[k - 1, 1] + push
        x[k, 0] = x[k - 1, 0] + x[k, 1]
    rows = noisy(x, float(rng.choice([0, 0.01])), rng)
    return Trajectories(np.column_stack([rows, u]), feature_names=["x", "v", "u"])
