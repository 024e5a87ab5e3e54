"""Chaotic systems, the paper's Lorenz system first."""

from __future__ import annotations

import numpy as np

from pyhits.systems.system import System
from pyhits.util.checks import as_count


def lorenz(t: float, x: np.ndarray, sigma: float, rho: float, beta: float) -> np.ndarray:
    """Convection rolls of Lorenz; states ``(..., 3)``."""
    p, q, r = x[..., 0], x[..., 1], x[..., 2]
    slope = np.empty_like(x)
    slope[..., 0] = sigma * (q - p)
    slope[..., 1] = p * (rho - r) - q
    slope[..., 2] = p * q - beta * r
    return slope


def rossler(t: float, x: np.ndarray, a: float, b: float, c: float) -> np.ndarray:
    """A folded band, the simplest continuous chaos; states ``(..., 3)``."""
    p, q, r = x[..., 0], x[..., 1], x[..., 2]
    slope = np.empty_like(x)
    slope[..., 0] = -q - r
    slope[..., 1] = p + a * q
    slope[..., 2] = b + r * (p - c)
    return slope


def lorenz_96_rhs(t: float, x: np.ndarray, forcing: float) -> np.ndarray:
    """A ring of weather variables; states ``(..., dimension)``."""
    ahead, behind = np.roll(x, -1, axis=-1), np.roll(x, 1, axis=-1)
    ahead -= np.roll(x, 2, axis=-1)
    ahead *= behind
    ahead -= x
    ahead += forcing
    return ahead


def lorenz_96(dimension: int = 8) -> System:
    """Return the Lorenz-96 ring of ``dimension`` variables, 4 or more."""
    d = as_count(dimension, "dimension", least=4)
    return System(
        name="lorenz-96",
        title="Lorenz-96 ring",
        rhs=lorenz_96_rhs,
        region=[[-5, 10]] * d,
        dt=0.005,
        feature_names=[f"x{k}" for k in range(d)],
        parameters={"forcing": 8.0},
        equations=("xk' = (x(k+1) - x(k-2)) x(k-1) - xk + forcing, k modulo the dimension",),
        citation="Lorenz 1996, Predictability: a problem partly solved, ECMWF Seminar, vol. 1",
        transient=10.0,
        lyapunov=1.6 if d == 8 else 1.69 if d == 40 else None,
        resize=lorenz_96,
    )


SYSTEMS = [
    # The paper cuts off 5 time units of three long trajectories. Many short ones all leave the
    # origin along one curve and wind out of the wings' centres side by side: only after 50 to 60
    # time units are their states distributed as on the attractor (Kolmogorov-Smirnov test).
    System(
        name="lorenz",
        title="Lorenz system",
        rhs=lorenz,
        region=[[-0.1, 0.1], [-0.1, 0.1], [-0.1, 0.1]],
        dt=0.0005,
        feature_names=("x", "y", "z"),
        parameters={"sigma": 10.0, "rho": 28.0, "beta": 8 / 3},
        equations=("x' = sigma (y - x)", "y' = x (rho - z) - y", "z' = x y - beta z"),
        citation="Lorenz 1963, J. Atmos. Sci. 20, 130",
        transient=60.0,
        lyapunov=0.9056,
    ),
    System(
        name="rossler",
        title="Rössler system",
        rhs=rossler,
        region=[[-5, 5], [-5, 5], [0, 1]],
        dt=0.02,
        feature_names=("x", "y", "z"),
        parameters={"a": 0.2, "b": 0.2, "c": 5.7},
        equations=("x' = -y - z", "y' = x + a y", "z' = b + z (x - c)"),
        citation="Rössler 1976, Phys. Lett. A 57, 397",
        transient=100.0,
        lyapunov=0.0714,
    ),
    lorenz_96(),
]
