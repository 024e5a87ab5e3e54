"""Planar systems: those of the paper, and excitable, predator and prey, two wells.

Liu, Kutz, Brunton, "Hierarchical deep learning of multiscale differential equation time-steppers",
Phil. Trans. R. Soc. A 380 (2022): Sections 2.1 and 3.1, Table 2, Appendix A.1. Coefficients that
it shows in figures only are those of its published code.
"""

from __future__ import annotations

import math

import numpy as np

from pyhits.systems.system import System


def harmonic_oscillator(t: float, x: np.ndarray) -> np.ndarray:
    """Equation 5 of the paper; states ``(..., 2)``."""
    slope = np.empty_like(x)
    slope[..., 0] = x[..., 1]
    slope[..., 1] = -x[..., 0]
    return slope


def hyperbolic(t: float, x: np.ndarray, mu: float, lam: float) -> np.ndarray:
    """Hyperbolic fixed point with a slow parabolic manifold; states ``(..., 2)``."""
    p, q = x[..., 0], x[..., 1]
    slope = np.empty_like(x)
    slope[..., 0] = mu * p
    slope[..., 1] = lam * (q - p * p)
    return slope


def cubic(t: float, x: np.ndarray, damping: float, coupling: float) -> np.ndarray:
    """Damped oscillator with cubic terms only; states ``(..., 2)``."""
    x0, x1 = x[..., 0], x[..., 1]
    p, q = x0 * x0 * x0, x1 * x1 * x1
    slope = np.empty_like(x)
    slope[..., 0] = -damping * p + coupling * q
    slope[..., 1] = -coupling * p - damping * q
    return slope


def van_der_pol(t: float, x: np.ndarray, mu: float) -> np.ndarray:
    """Self-sustained oscillator in position and velocity; states ``(..., 2)``."""
    p, q = x[..., 0], x[..., 1]
    slope = np.empty_like(x)
    slope[..., 0] = q
    slope[..., 1] = mu * (1 - p * p) * q - p
    return slope


def hopf(t: float, x: np.ndarray, omega: float, A: float) -> np.ndarray:
    """Hopf normal form, its bifurcation parameter mu a state; states ``(..., 3)``."""
    mu, p, q = x[..., 0], x[..., 1], x[..., 2]
    growth = mu - A * (p * p + q * q)
    slope = np.empty_like(x)
    slope[..., 0] = 0
    slope[..., 1] = growth * p + omega * q
    slope[..., 2] = growth * q - omega * p
    return slope


def squared_radius(x: np.ndarray) -> np.ndarray:
    """Twice the energy of the harmonic oscillator; ``(..., 2)`` to ``(...)``."""
    return np.asarray(x[..., 0] ** 2 + x[..., 1] ** 2)


def unit_disc(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw uniformly from the disc ``x^2 + y^2 <= 1``; shape ``(n, 2)``."""
    u = rng.random((n, 2))
    radius, angle = np.sqrt(u[:, 0]), 2 * math.pi * u[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def fitzhugh_nagumo(
    t: float, x: np.ndarray, a: float, b: float, tau: float, current: float
) -> np.ndarray:
    """Voltage and recovery of a spiking nerve; states ``(..., 2)``."""
    v, w = x[..., 0], x[..., 1]
    slope = np.empty_like(x)
    slope[..., 0] = v - v**3 / 3 - w + current
    slope[..., 1] = (v + a - b * w) / tau
    return slope


def lotka_volterra(
    t: float, x: np.ndarray, alpha: float, beta: float, gamma: float, delta: float
) -> np.ndarray:
    """Prey and predators; states ``(..., 2)``."""
    prey, predators = x[..., 0], x[..., 1]
    slope = np.empty_like(x)
    slope[..., 0] = alpha * prey - beta * prey * predators
    slope[..., 1] = delta * prey * predators - gamma * predators
    return slope


def lotka_volterra_invariant(
    x: np.ndarray, alpha: float, beta: float, gamma: float, delta: float
) -> np.ndarray:
    """Volterra's constant of motion; ``(..., 2)`` to ``(...)``."""
    prey, predators = x[..., 0], x[..., 1]
    return np.asarray(
        delta * prey - gamma * np.log(prey) + beta * predators - alpha * np.log(predators)
    )


def duffing(t: float, x: np.ndarray, damping: float, alpha: float, beta: float) -> np.ndarray:
    """Damped, unforced motion in a double well; states ``(..., 2)``."""
    p, q = x[..., 0], x[..., 1]
    slope = np.empty_like(x)
    slope[..., 0] = q
    slope[..., 1] = -damping * q - alpha * p - beta * p**3
    return slope


SYSTEMS = [
    System(
        name="harmonic-oscillator",
        title="Harmonic oscillator",
        rhs=harmonic_oscillator,
        region=[[-1, 1], [-1, 1]],
        sampler=unit_disc,
        dt=0.01,
        feature_names=("x", "y"),
        equations=("x' = y", "y' = -x"),
        citation="Liu, Kutz, Brunton 2022, Phil. Trans. R. Soc. A 380, Section 2.1",
        invariant=squared_radius,
        period=2 * math.pi,
    ),
    System(
        name="hyperbolic",
        title="Hyperbolic fixed point",
        rhs=hyperbolic,
        region=[[-1, 1], [-1, 1]],
        dt=0.01,
        feature_names=("x", "y"),
        parameters={"mu": -0.05, "lam": -1.0},
        equations=("x' = mu x", "y' = lam (y - x^2)"),
        citation="Brunton, Brunton, Proctor, Kutz 2016, PLoS ONE 11, e0150171",
    ),
    System(
        name="cubic",
        title="Cubic oscillator",
        rhs=cubic,
        region=[[-1, 1], [-1, 1]],
        dt=0.01,
        feature_names=("x", "y"),
        parameters={"damping": 0.1, "coupling": 2.0},
        equations=("x' = -damping x^3 + coupling y^3", "y' = -coupling x^3 - damping y^3"),
        citation="Brunton, Proctor, Kutz 2016, PNAS 113, 3932",
    ),
    System(
        name="van-der-pol",
        title="Van der Pol oscillator",
        rhs=van_der_pol,
        region=[[-2, 2], [-4, 4]],
        dt=0.01,
        feature_names=("x", "y"),
        parameters={"mu": 2.0},
        equations=("x' = y", "y' = mu (1 - x^2) y - x"),
        citation="van der Pol 1926, Phil. Mag. 2, 978",
        period=7.6298744797,
    ),
    System(
        name="hopf",
        title="Hopf normal form",
        rhs=hopf,
        region=[[-0.2, 0.6], [-1, 2], [-1, 1]],
        dt=0.01,
        feature_names=("mu", "x", "y"),
        parameters={"omega": 1.0, "A": 1.0},
        equations=(
            "mu' = 0",
            "x' = mu x + omega y - A x (x^2 + y^2)",
            "y' = -omega x + mu y - A y (x^2 + y^2)",
        ),
        citation="Marsden, McCracken 1976, The Hopf Bifurcation and Its Applications, Springer",
    ),
    System(
        name="fitzhugh-nagumo",
        title="FitzHugh-Nagumo model",
        rhs=fitzhugh_nagumo,
        region=[[-2, 2], [-1, 2]],
        dt=0.05,
        feature_names=("v", "w"),
        parameters={"a": 0.7, "b": 0.8, "tau": 12.5, "current": 0.5},
        equations=("v' = v - v^3 / 3 - w + current", "w' = (v + a - b w) / tau"),
        citation="FitzHugh 1961, Biophys. J. 1, 445; Nagumo et al. 1962, Proc. IRE 50, 2061",
        period=39.47441498,
    ),
    System(
        name="lotka-volterra",
        title="Lotka-Volterra equations",
        rhs=lotka_volterra,
        region=[[0.3, 2], [0.2, 1.2]],
        dt=0.01,
        feature_names=("prey", "predators"),
        parameters={"alpha": 2 / 3, "beta": 4 / 3, "gamma": 1.0, "delta": 1.0},
        equations=(
            "prey' = alpha prey - beta prey predators",
            "predators' = delta prey predators - gamma predators",
        ),
        citation="Lotka 1925, Elements of Physical Biology; Volterra 1926, Nature 118, 558",
        invariant=lotka_volterra_invariant,
    ),
    System(
        name="duffing",
        title="Duffing oscillator",
        rhs=duffing,
        region=[[-2, 2], [-2, 2]],
        dt=0.01,
        feature_names=("x", "y"),
        parameters={"damping": 0.2, "alpha": -1.0, "beta": 1.0},
        equations=("x' = y", "y' = -damping y - alpha x - beta x^3"),
        citation="Duffing 1918, Erzwungene Schwingungen bei veränderlicher Eigenfrequenz, Vieweg",
    ),
]
