"""Sound data that look odd, drawn by seed: they must pass the checks in silence.

Each maker takes a generator and returns trajectories. Those whose name ends in ``*`` were left
aside while the thresholds of :mod:`pyhits.data.diagnostics` were chosen.
"""

from __future__ import annotations

import numpy as np

from benchmarks.more_sound_data import OTHERS
from benchmarks.signals import Maker, answer, ar1, noisy, pendulum, piece, rk4, van_der_pol
from pyhits import systems
from pyhits.data.trajectories import Trajectories


def catalogued(name: str, level: float) -> Maker:
    """Five trajectories, or one, of a catalogued system."""

    def make(rng: np.random.Generator) -> Trajectories:
        system = systems.get(name)
        several = 1 if system.dimension > 20 or rng.random() < 0.4 else 6
        n = int(min(system.n_steps, 40000 // system.dimension, rng.choice([300, 1000, 3000])))
        seed = int(rng.integers(1 << 30))
        accurate = system.integrator(rtol=1e-8, atol=1e-10)
        data = system.simulate(several, n, random_state=seed, integrator=accurate)
        return data.add_noise(level, random_state=seed) if level else data

    return make


def random_walk(rng: np.random.Generator) -> Trajectories:
    """One to three random walks."""
    return Trajectories(np.cumsum(rng.standard_normal((1000, int(rng.integers(1, 4)))), axis=0))


def trend(rng: np.random.Generator) -> Trajectories:
    """White noise on a trend."""
    n, d = 800, int(rng.integers(1, 4))
    rise = rng.uniform(-5, 5, d) * np.linspace(0, 1, n)[:, None]
    return Trajectories(rng.standard_normal((n, d)) + rise)


def white(rng: np.random.Generator) -> Trajectories:
    """Correlated white noise."""
    d = int(rng.integers(1, 5))
    return Trajectories(rng.standard_normal((1000, d)) @ rng.standard_normal((d, d)))


def relaxation(rng: np.random.Generator) -> Trajectories:
    """Van der Pol's oscillator, mu = 10, sampled finely or coarsely."""
    dt = float(rng.choice([0.05, 0.1, 0.3, 0.6, 1.0]))
    fine = max(20, int(dt * 80))
    rows = rk4(lambda x: van_der_pol(x, 10), rng.uniform(-2, 2, 2), dt, 800, fine)
    rows = rows[50:, : int(rng.integers(1, 3))]
    return Trajectories(noisy(rows, float(rng.choice([0, 0.01])), rng))


def fitzhugh_nagumo(rng: np.random.Generator) -> Trajectories:
    """FitzHugh and Nagumo's neuron."""
    i = rng.uniform(0.4, 1.2)
    rows = rk4(
        lambda x: np.array([x[0] - x[0] ** 3 / 3 - x[1] + i, 0.08 * (x[0] + 0.7 - 0.8 * x[1])]),
        rng.uniform(-1, 1, 2),
        float(rng.choice([0.2, 0.5, 1, 2.5])),
        1000,
        25,
    )
    return Trajectories(noisy(rows, float(rng.choice([0, 0.01])), rng))


def bursting(rng: np.random.Generator) -> Trajectories:
    """Hindmarsh and Rose's bursting neuron."""
    i = rng.uniform(1.8, 3.2)
    rows = rk4(
        lambda x: np.array(
            [
                x[1] - x[0] ** 3 + 3 * x[0] ** 2 - x[2] + i,
                1 - 5 * x[0] ** 2 - x[1],
                0.006 * (4 * (x[0] + 1.6) - x[2]),
            ]
        ),
        np.array([-1.0, 0, 2]),
        float(rng.choice([0.1, 0.5, 1.0])),
        2000,
        20,
    )
    return Trajectories(noisy(rows, float(rng.choice([0, 0.01])), rng))


def spiking(rng: np.random.Generator) -> Trajectories:
    """A leaky neuron that fires and is reset, its input noisy."""
    v, rows = 0.0, []
    drive = rng.uniform(1.1, 2.0)
    for _ in range(3000):
        v += 0.05 * (drive - v) + 0.01 * rng.standard_normal()
        v = 0.0 if v > 1 else v
        rows.append(v)
    return Trajectories(np.array(rows)[:, None])


def square_wave(rng: np.random.Generator) -> Trajectories:
    """A first-order answer, and the square wave that moves it."""
    n, half = 1000, int(rng.integers(10, 60))
    u = np.where((np.arange(n) // half) % 2, 1.0, rng.choice([-1.0, 0.0]))
    return answer(u, rng)


def steps(rng: np.random.Generator) -> Trajectories:
    """A second-order answer to an input that keeps a random level for a while."""
    n, hold = 1000, int(rng.integers(8, 40))
    return answer(np.repeat(rng.uniform(-1, 1, -(-n // hold)), hold)[:n], rng)


def chaotic_map(rng: np.random.Generator) -> Trajectories:
    """The logistic map, Henon's, or the tent map, row by row."""
    kind, n = int(rng.integers(4)), 1000
    x = np.empty((n, 2))
    x[0] = rng.uniform(0.1, 0.2, 2)
    for k in range(1, n):
        a, b = x[k - 1]
        if kind == 0:
            x[k] = 3.9 * a * (1 - a), 3.8 * b * (1 - b)
        elif kind == 1:
            x[k] = 1 - 1.4 * a * a + b, 0.3 * a
        elif kind == 2:
            x[k] = 1.99 * min(a, 1 - a), a
        else:
            x[k] = a + 0.9 * np.sin(b), 0.9 * np.cos(a) + 0.3 * b
    return Trajectories(x[:, :1] if kind in (0, 2) else x)


def bouncing_ball(rng: np.random.Generator) -> Trajectories:
    """Height and speed of a ball that loses a tenth of its speed, or none."""
    h, v, rows = float(rng.uniform(1, 3)), 0.0, []
    loss = float(rng.choice([1.0, 0.97]))
    for _ in range(1000):
        for _ in range(10):
            h, v = h + 0.002 * v, v - 0.002 * 9.81
            if h < 0:
                h, v = -h, -loss * v
        rows.append([h, v])
    return Trajectories(np.array(rows)[:, : int(rng.integers(1, 3))])


def weather(rng: np.random.Generator) -> Trajectories:
    """Daily temperatures of some years, in tenths."""
    n = 365 * int(rng.integers(2, 6))
    season = 10 - 8 * np.cos(2 * np.pi * np.arange(n) / 365.25)
    return Trajectories(np.round(season + 2 * ar1(rng, n, 0.7), 1)[:, None])


def decays(rng: np.random.Generator) -> Trajectories:
    """Transients that die out, or settle on a cycle."""
    kind = int(rng.integers(4))
    t = np.linspace(0, rng.uniform(10, 60), 1000)
    if kind == 0:
        rows = np.exp(-0.2 * t)[:, None] * np.column_stack([np.sin(2 * t), np.cos(2 * t)])
    elif kind == 1:
        rows = np.column_stack([np.exp(-0.3 * t), 1 - np.exp(-0.1 * t)])
    elif kind == 2:
        rows = rk4(van_der_pol, rng.uniform(-0.02, 0.02, 2), 0.06, 1000, 4)
    else:
        rows = rk4(lambda x: pendulum(x, 0.4), rng.uniform(1, 2.5, 2), 0.05, 1000, 4)
    return Trajectories(noisy(rows, float(rng.choice([0, 0.01])), rng))


def prices(rng: np.random.Generator) -> Trajectories:
    """Prices with heavy tails and changing spreads."""
    n = 1500
    spread = np.exp(0.5 * ar1(rng, n, 0.97) * 0.25)
    returns = 0.01 * spread * rng.standard_t(4, n)
    return Trajectories(100 * np.exp(np.cumsum(returns))[:, None])


def counts(rng: np.random.Generator) -> Trajectories:
    """Counts: steady, seasonal, or of a population that is born and dies."""
    kind, n = int(rng.integers(3)), 800
    rate = rng.uniform(0.5, 30)
    if kind == 0:
        return Trajectories(rng.poisson(rate, n)[:, None])
    if kind == 1:
        return Trajectories(
            rng.poisson(rate * (1.2 + np.sin(np.arange(n) / 20)), n).astype(float)[:, None]
        )
    x, rows = int(rate) + 5, []
    for _ in range(n):
        x = max(0, x + int(rng.poisson(0.05 * x)) - int(rng.poisson(0.05 * x)) + rng.integers(0, 2))
        rows.append(x)
    return Trajectories(np.array(rows, dtype=float)[:, None])


def quasi_periodic(rng: np.random.Generator) -> Trajectories:
    """Beats of two or three frequencies, some slow."""
    t = 0.1 * np.arange(int(rng.integers(300, 2000)))
    w = rng.uniform(0.05, 2, 3)
    rows = np.column_stack(
        [np.sin(t * f + p) for f, p in zip(w, rng.uniform(0, 6, 3), strict=True)]
    )
    return Trajectories(rows @ rng.standard_normal((3, int(rng.integers(1, 4)))))


def field(rng: np.random.Generator) -> Trajectories:
    """A wave on a grid, more columns than rows or fewer."""
    n, d = int(rng.integers(20, 200)), int(rng.integers(30, 300))
    x, t = np.linspace(0, 6.28, d), 0.1 * np.arange(n)[:, None]
    rows = np.sin(x - t) + 0.5 * np.sin(3 * x + 1.3 * t + rng.uniform(0, 6))
    return Trajectories(noisy(rows, float(rng.choice([0, 0.01])), rng))


def switching(rng: np.random.Generator) -> Trajectories:
    """A particle in two wells that changes sides now and then."""
    x, rows = 1.0, []
    for _ in range(20000):
        x += 0.01 * (x - x**3) * 2 + 0.1 * 0.6 * rng.standard_normal()
        rows.append(x)
    return Trajectories(np.array(rows)[::10, None])


def rounded(rng: np.random.Generator) -> Trajectories:
    """A smooth recording with the digits of a file."""
    rows = piece(int(rng.integers(6)), rng, 1000)
    return Trajectories(np.round(rows, int(rng.integers(3, 6))))


def one_pass(rng: np.random.Generator) -> Trajectories:
    """Short recordings: a turn or two, no more."""
    rows = piece(int(rng.integers(6)), rng, int(rng.integers(40, 250)))
    return Trajectories(noisy(rows, float(rng.choice([0, 0.01])), rng))


def volatile(rng: np.random.Generator) -> Trajectories:
    """Returns of prices, whose spread comes in clusters, several at once."""
    n, d = 1500, int(rng.integers(1, 6))
    spread = np.exp(0.15 * ar1(rng, n, 0.95))[:, None]
    common = rng.standard_t(5, n)[:, None]
    return Trajectories(0.01 * spread * (common + rng.standard_t(5, (n, d))))


def sawtooth(rng: np.random.Generator) -> Trajectories:
    """A tank that fills and is emptied at once, leaking."""
    v, rows = 0.2, []
    for _ in range(1000):
        v += 0.02 * (1.6 - v)
        v = rng.uniform(0.05, 0.1) if v > 1 else v
        rows.append(v)
    return Trajectories(np.array(rows)[:, None])


def gait(rng: np.random.Generator) -> Trajectories:
    """A periodic signal with sharp peaks, such as a heart's."""
    t = 0.01 * np.arange(3000)
    phase = (t * rng.uniform(0.9, 1.4) + 0.02 * np.cumsum(rng.standard_normal(3000)) * 0.05) % 1
    beat = np.exp(-(((phase - 0.4) / 0.02) ** 2)) + 0.2 * np.exp(-(((phase - 0.7) / 0.06) ** 2))
    return Trajectories((beat + 0.01 * rng.standard_normal(3000))[:, None])


SOUND: dict[str, Maker] = {
    "random walks": random_walk,
    "noise on a trend": trend,
    "white noise": white,
    "relaxation": relaxation,
    "fitzhugh-nagumo": fitzhugh_nagumo,
    "bursting": bursting,
    "fires and resets": spiking,
    "square wave": square_wave,
    "stepwise input": steps,
    "chaotic maps": chaotic_map,
    "bouncing ball": bouncing_ball,
    "daily weather": weather,
    "decays": decays,
    "prices": prices,
    "counts": counts,
    "quasi-periodic": quasi_periodic,
    "fields": field,
    "two wells": switching,
    "rounded": rounded,
    "short": one_pass,
    "returns": volatile,
    "tank": sawtooth,
    "heart": gait,
    **OTHERS,
}
