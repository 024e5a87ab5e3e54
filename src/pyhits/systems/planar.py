"""Planar systems from biology and mechanics: excitable, predator and prey, two wells."""

from __future__ import annotations

import numpy as np

from pyhits.systems.system import System


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
