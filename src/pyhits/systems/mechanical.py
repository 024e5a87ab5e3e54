"""Mechanical systems whose right-hand side is no polynomial."""

from __future__ import annotations

import numpy as np

from pyhits.systems.system import System


def double_pendulum(
    t: float, x: np.ndarray, m1: float, m2: float, l1: float, l2: float, g: float
) -> np.ndarray:
    """Two point masses on rigid rods; angles from the vertical and their rates, ``(..., 4)``."""
    upper, lower, upper_rate, lower_rate = (x[..., k] for k in range(4))
    difference = upper - lower
    sine, cosine = np.sin(difference), np.cos(difference)
    mass = m1 + m2
    # 2 m1 + m2 - m2 cos(2 difference), by the double-angle formula.
    inertia = 2 * (mass - m2 * cosine * cosine)
    pull_upper, pull_lower = l1 * upper_rate**2, l2 * lower_rate**2
    slope = np.empty_like(x)
    slope[..., 0] = upper_rate
    slope[..., 1] = lower_rate
    slope[..., 2] = (
        -g * (m1 + mass) * np.sin(upper)
        - m2 * g * np.sin(difference - lower)
        - 2 * m2 * sine * (pull_lower + pull_upper * cosine)
    ) / (l1 * inertia)
    slope[..., 3] = (
        2 * sine * (mass * (pull_upper + g * np.cos(upper)) + m2 * pull_lower * cosine)
    ) / (l2 * inertia)
    return slope


def double_pendulum_energy(
    x: np.ndarray, m1: float, m2: float, l1: float, l2: float, g: float
) -> np.ndarray:
    """Kinetic and potential energy, zero at the pivot's height; ``(..., 4)`` to ``(...)``."""
    upper, lower, upper_rate, lower_rate = (x[..., k] for k in range(4))
    kinetic = (
        0.5 * (m1 + m2) * (l1 * upper_rate) ** 2
        + 0.5 * m2 * (l2 * lower_rate) ** 2
        + m2 * l1 * l2 * upper_rate * lower_rate * np.cos(upper - lower)
    )
    potential = -(m1 + m2) * g * l1 * np.cos(upper) - m2 * g * l2 * np.cos(lower)
    return np.asarray(kinetic + potential)


SYSTEMS = [
    System(
        name="double-pendulum",
        title="Double pendulum",
        rhs=double_pendulum,
        region=[[-1.5, 1.5], [-1.5, 1.5], [-1, 1], [-1, 1]],
        dt=0.005,
        feature_names=("theta1", "theta2", "omega1", "omega2"),
        parameters={"m1": 1.0, "m2": 1.0, "l1": 1.0, "l2": 1.0, "g": 9.81},
        equations=(
            "theta1' = omega1, theta2' = omega2, D = theta1 - theta2",
            "omega1' = (-g (2 m1 + m2) sin theta1 - m2 g sin(theta1 - 2 theta2)"
            " - 2 m2 sin D (l2 omega2^2 + l1 omega1^2 cos D)) / (l1 (2 m1 + m2 - m2 cos 2D))",
            "omega2' = 2 sin D ((m1 + m2) (l1 omega1^2 + g cos theta1)"
            " + m2 l2 omega2^2 cos D) / (l2 (2 m1 + m2 - m2 cos 2D))",
        ),
        citation="Shinbrot, Grebogi, Wisdom, Yorke 1992, Am. J. Phys. 60, 491",
        invariant=double_pendulum_energy,
    )
]
