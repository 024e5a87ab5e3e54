"""More sound data that look odd, left aside while thresholds were chosen; see ``sound_data.py``."""

from __future__ import annotations

import numpy as np

from benchmarks.signals import Maker, answer, ar1, noisy, rk4
from pyhits.data.trajectories import Trajectories


def epidemic(rng: np.random.Generator) -> Trajectories:
    """One wave of an epidemic, from its start to its end, as shares or counted."""
    s, i, rows = 0.99, 0.01, []
    for _ in range(int(rng.integers(100, 400))):
        new, done = rng.uniform(0.99, 1.01) * 0.2 * s * i, 0.06 * i
        s, i = s - new, i + new - done
        rows.append([s, i])
    x = np.array(rows)
    return Trajectories(x if rng.random() < 0.5 else np.round(1e4 * x))


def sunshine(rng: np.random.Generator) -> Trajectories:
    """Hourly sunshine: nothing at night, clouds by day."""
    t = np.arange(24 * 60)
    day = np.maximum(0, np.sin((t % 24 - 6) / 12 * np.pi))
    return Trajectories((day * (1 - 0.6 * rng.beta(1, 2, len(t))))[:, None])


def rain(rng: np.random.Generator) -> Trajectories:
    """Rain: mostly none, sometimes much."""
    wet = rng.random(1000) < 0.3
    return Trajectories(np.round(wet * rng.gamma(0.8, 6, 1000), 1)[:, None])


def thermostat(rng: np.random.Generator) -> Trajectories:
    """A temperature between two limits, and the heating that is on or off."""
    x, on, rows = 20.0, 1.0, []
    for _ in range(2000):
        x += 0.02 * (on * 25 + 10 - x) + 0.01 * rng.standard_normal()
        on = 0.0 if x > 22 else 1.0 if x < 18 else on
        rows.append([x, on])
    return Trajectories(np.array(rows)[:, : int(rng.integers(1, 3))])


def more_maps(rng: np.random.Generator) -> Trajectories:
    """Maps of the unit interval and square: doubling, Gauss, Ikeda, cat, intermittent."""
    kind, x = int(rng.integers(5)), rng.uniform(0.1, 0.4, 2)
    rows = []
    for _ in range(800):
        a, b = x
        if kind == 0:
            x = np.array([(1.99999 * a) % 1, a])
        elif kind == 1:
            x = np.array([np.exp(-6.2 * a * a) - 0.55, a])
        elif kind == 2:
            w = 0.4 - 6 / (1 + a * a + b * b)
            x = np.array(
                [1 + 0.9 * (a * np.cos(w) - b * np.sin(w)), 0.9 * (a * np.sin(w) + b * np.cos(w))]
            )
        elif kind == 3:
            x = np.array([(2 * a + b) % 1, (a + b) % 1])
        else:
            x = np.array([(a + 2.5 * a**2) % 1 if a < 0.5 else (2 * a - 1) % 1, a])
        rows.append(x)
    return Trajectories(np.array(rows)[:, : 1 if kind in (0, 1, 4) else 2])


def mackey_glass(rng: np.random.Generator) -> Trajectories:
    """Mackey and Glass's delayed feedback."""
    x = list(rng.uniform(0.5, 1.3, 170))
    for _ in range(20000):
        x.append(x[-1] + 0.1 * (0.2 * x[-170] / (1 + x[-170] ** 10) - 0.1 * x[-1]))
    rows = np.array(x)[5000 :: int(rng.integers(5, 31)), None]
    return Trajectories(noisy(rows, float(rng.choice([0, 0.01])), rng))


def tides(rng: np.random.Generator) -> Trajectories:
    """Hourly water levels of a month or a year."""
    t = np.arange(int(rng.integers(500, 6000)))
    level = sum(
        a * np.cos(2 * np.pi * t / p + rng.uniform(0, 6))
        for a, p in ((1, 12.42), (0.4, 12), (0.3, 23.93), (0.2, 25.82))
    )
    return Trajectories(np.round(level + 0.05 * ar1(rng, len(t), 0.9), 2)[:, None])


def demand(rng: np.random.Generator) -> Trajectories:
    """Electricity by the hour: days, weeks, weather, growth."""
    t = np.arange(24 * int(rng.integers(28, 200)))
    day = np.sin(2 * np.pi * t / 24) + 0.4 * np.sin(4 * np.pi * t / 24 + 1)
    week = np.where((t // 24) % 7 >= 5, -0.6, 0.0)
    return Trajectories((50 + 5 * day + 5 * week + 2e-3 * t + ar1(rng, len(t), 0.95))[:, None])


def step_response(rng: np.random.Generator) -> Trajectories:
    """A second-order answer to one step, and the step."""
    n = 800
    u = (np.arange(n) >= rng.integers(50, 400)).astype(float)
    return answer(u, rng)


def driven(rng: np.random.Generator) -> Trajectories:
    """Duffing's driven oscillator, chaotic."""
    rows = rk4(
        lambda x: np.array([x[1], x[0] - x[0] ** 3 - 0.3 * x[1] + 0.5 * np.cos(1.2 * x[2]), 1.0]),
        np.array([*rng.normal(0, 1, 2), 0.0]),
        float(rng.choice([0.05, 0.2, 0.5])),
        1500,
        10,
    )[:, :2]
    return Trajectories(noisy(rows, float(rng.choice([0, 0.02])), rng))


def many_short(rng: np.random.Generator) -> Trajectories:
    """Hundreds of short trajectories."""
    t = 0.1 * np.arange(40)
    a, p = rng.uniform(0.3, 3, 200), rng.uniform(0, 6, 200)
    rows = a[:, None, None] * np.stack([np.sin(t + p[:, None]), np.cos(t + p[:, None])], axis=2)
    return Trajectories(rows)


def izhikevich(rng: np.random.Generator) -> Trajectories:
    """Izhikevich's neuron, which is reset after each spike."""
    v, w, rows = -65.0, -13.0, []
    drive = rng.uniform(6, 14)
    for _ in range(8000):
        v, w = v + 0.25 * (0.04 * v * v + 5 * v + 140 - w + drive), w + 0.25 * 0.02 * (0.2 * v - w)
        if v > 30:
            v, w = -65.0 + 15 * (drive > 10), w + 6
        rows.append([v, w])
    return Trajectories(np.array(rows)[1000 :: int(rng.integers(1, 5)), : int(rng.integers(1, 3))])


OTHERS: dict[str, Maker] = {
    "epidemics *": epidemic,
    "sunshine *": sunshine,
    "rain *": rain,
    "thermostat *": thermostat,
    "more maps *": more_maps,
    "mackey-glass *": mackey_glass,
    "tides *": tides,
    "demand *": demand,
    "step response *": step_response,
    "driven *": driven,
    "many short *": many_short,
    "izhikevich *": izhikevich,
}
