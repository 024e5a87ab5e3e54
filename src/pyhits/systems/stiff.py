"""Stiff systems: time scales many orders of magnitude apart."""

from __future__ import annotations

import numpy as np

from pyhits.systems.system import System


def robertson(t: float, x: np.ndarray, k1: float, k2: float, k3: float) -> np.ndarray:
    """Autocatalytic reaction of three species; states ``(..., 3)``."""
    a, b, c = x[..., 0], x[..., 1], x[..., 2]
    decay, pairing, return_flow = k1 * a, k2 * b * b, k3 * b * c
    slope = np.empty_like(x)
    slope[..., 0] = return_flow - decay
    slope[..., 1] = decay - return_flow - pairing
    slope[..., 2] = pairing
    return slope


def robertson_jacobian(t: float, x: np.ndarray, k1: float, k2: float, k3: float) -> np.ndarray:
    """Jacobian of the Robertson reaction; ``(..., 3)`` to ``(..., 3, 3)``."""
    b, c = x[..., 1], x[..., 2]
    matrix = np.zeros((*x.shape, 3))
    matrix[..., 0, 0] = -k1
    matrix[..., 0, 1] = k3 * c
    matrix[..., 0, 2] = k3 * b
    matrix[..., 2, 1] = 2 * k2 * b
    matrix[..., 1, :] = -matrix[..., 0, :] - matrix[..., 2, :]
    return matrix


def total_mass(x: np.ndarray, k1: float, k2: float, k3: float) -> np.ndarray:
    """Sum of the three species; ``(..., 3)`` to ``(...)``."""
    return np.asarray(x.sum(axis=-1))


def unit_mass(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw mixtures of total mass 1 whose intermediate is as scarce as in the course of it."""
    u = rng.random((n, 2))
    a, b = 0.3 + 0.7 * u[:, 0], 4e-5 * u[:, 1]
    b = np.minimum(b, 1 - a)
    return np.stack([a, b, 1 - a - b], axis=1)


def lienard(t: float, x: np.ndarray, mu: float) -> np.ndarray:
    """Van der Pol's oscillator in Liénard's plane, time in units of mu; states ``(..., 2)``."""
    p, w = x[..., 0], x[..., 1]
    slope = np.empty_like(x)
    slope[..., 0] = mu * mu * (w + p - p**3 / 3)
    slope[..., 1] = -p
    return slope


def lienard_jacobian(t: float, x: np.ndarray, mu: float) -> np.ndarray:
    """Jacobian in Liénard's plane; ``(..., 2)`` to ``(..., 2, 2)``."""
    matrix = np.zeros((*x.shape, 2))
    matrix[..., 0, 0] = mu * mu * (1 - x[..., 0] ** 2)
    matrix[..., 0, 1] = mu * mu
    matrix[..., 1, 0] = -1
    return matrix


SYSTEMS = [
    System(
        name="robertson",
        title="Robertson reaction",
        rhs=robertson,
        region=[[0.3, 1], [0, 4e-5], [0, 0.7]],
        sampler=unit_mass,
        dt=0.02,
        feature_names=("a", "b", "c"),
        parameters={"k1": 0.04, "k2": 3e7, "k3": 1e4},
        equations=("a' = -k1 a + k3 b c", "b' = k1 a - k3 b c - k2 b^2", "c' = k2 b^2"),
        citation="Robertson 1966, in Walsh (ed.), Numerical Analysis: An Introduction, 178",
        stiff=True,
        jacobian=robertson_jacobian,
        invariant=total_mass,
    ),
    System(
        name="van-der-pol-stiff",
        title="Stiff Van der Pol oscillator",
        rhs=lienard,
        region=[[-2, 2], [-0.6, 0.6]],
        dt=0.001,
        feature_names=("x", "w"),
        parameters={"mu": 1000.0},
        equations=("x' = mu^2 (w + x - x^3 / 3)", "w' = -x"),
        citation="Hairer, Wanner 1996, Solving Ordinary Differential Equations II, IV.10",
        stiff=True,
        jacobian=lienard_jacobian,
        period=1.61440113,
    ),
]
