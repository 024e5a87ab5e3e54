"""Data that a person would object to, and sound data that look odd, drawn by seed.

Each maker takes a generator and returns trajectories. ``SOUND`` holds what must pass in silence,
``UNSOUND`` what must be said, by kind. The names that end in ``*`` were left aside while the
thresholds of :mod:`pyhits.diagnostics` were chosen.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pyhits import systems
from pyhits.trajectories import Trajectories

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


def van_der_pol(x: np.ndarray, mu: float = 2.0) -> np.ndarray:
    """Van der Pol's field."""
    return np.array([x[1], mu * (1 - x[0] ** 2) * x[1] - x[0]])


def noisy(rows: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Add white noise, as a share of each feature's standard deviation."""
    return np.asarray(rows + level * rows.std(axis=0) * rng.standard_normal(rows.shape))


# Short recordings of several kinds, from random starts.


def _piece(kind: int, rng: np.random.Generator, n: int) -> np.ndarray:
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


def glued(kinds: tuple[int, ...], level: float = 0.0, columns: int | None = None) -> Maker:
    """Several recordings below each other."""

    def make(rng: np.random.Generator) -> Trajectories:
        kind, count = int(rng.choice(kinds)), int(rng.integers(3, 16))
        even = rng.random() < 0.5
        lengths = [100] * count if even else rng.integers(60, 300, count).tolist()
        rows = np.concatenate([_piece(kind, rng, n) for n in lengths])
        return Trajectories(noisy(rows, level, rng)[:, :columns])

    return make


def shuffled(kinds: tuple[int, ...], level: float = 0.0) -> Maker:
    """Rows of one recording in any order."""

    def make(rng: np.random.Generator) -> Trajectories:
        rows = _piece(int(rng.choice(kinds)), rng, int(rng.integers(300, 1500)))
        return Trajectories(rng.permutation(noisy(rows, level, rng)))

    return make


def ordered(kinds: tuple[int, ...], level: float = 0.0) -> Maker:
    """Rows of one recording in the order of a feature."""

    def make(rng: np.random.Generator) -> Trajectories:
        rows = noisy(_piece(int(rng.choice(kinds)), rng, int(rng.integers(300, 1500))), level, rng)
        return Trajectories(rows[np.argsort(rows[:, rng.integers(rows.shape[1])])])

    return make


def wrapped(level: float = 0.0, others: int = 0, units: tuple[int, ...] = (0, 1, 2, 3, 4)) -> Maker:
    """An angle that wraps, in one of five units, turning unevenly."""

    def make(rng: np.random.Generator) -> Trajectories:
        n = int(rng.integers(300, 1500))
        t = 0.05 * np.arange(n)
        speed = rng.uniform(0.4, 4) * rng.choice([-1, 1])
        turns = (speed * t + rng.uniform(0, 0.4) * np.sin(t + 1) + rng.uniform(0, 6)) / (2 * np.pi)
        turns = turns + level * rng.standard_normal(n)
        unit = int(rng.choice(units))
        period, low = [(2 * np.pi, -np.pi), (360, 0), (360, -180), (1, 0), (24, 0)][unit]
        columns = [low + period * (turns % 1)]
        columns += [np.sin(rng.uniform(0.5, 2) * t + rng.uniform(0, 6)) for _ in range(others)]
        return Trajectories(np.column_stack(columns))

    return make


def whirling(rng: np.random.Generator) -> Trajectories:
    """A pendulum that turns over, its angle from -pi to pi."""
    rows = rk4(lambda x: pendulum(x, 0.02), np.array([rng.uniform(-1, 1), 8.0]), 0.03, 600, 2)
    rows[:, 0] = (rows[:, 0] + np.pi) % (2 * np.pi) - np.pi
    return Trajectories(noisy(rows, rng.choice([0, 0.005]), rng))


def categories(held: bool) -> Maker:
    """A wave, and a column of codes without order."""

    def make(rng: np.random.Generator) -> Trajectories:
        n, k = int(rng.integers(300, 1500)), int(rng.integers(3, 9))
        codes = rng.choice(
            [np.arange(k), 1 + np.arange(k), np.sort(rng.choice(99, k, False))][0:3][
                rng.integers(3)
            ],
            n,
        )
        if held:
            change = rng.random(n) < 0.1
            codes = codes[np.maximum.accumulate(np.where(change, np.arange(n), 0))]
        t = 0.05 * np.arange(n)
        return Trajectories(np.column_stack([np.sin(t), codes]))

    return make


def regimes(kind: str) -> Maker:
    """A recording whose second part has another mean, spread, frequency or law."""

    def make(rng: np.random.Generator) -> Trajectories:
        n = int(rng.integers(600, 2000))
        cut = int(n * rng.uniform(0.3, 0.7))
        t = 0.05 * np.arange(n)
        late = np.arange(n) >= cut
        if kind == "mean":
            rows = ar1(rng, n, 0.7)[:, None] + late[:, None] * rng.choice([-1, 1]) * rng.uniform(
                8, 15
            )
        elif kind == "spread":
            rows = (ar1(rng, n, 0.7) * np.where(late, rng.choice([0.2, 5]), 1))[:, None]
        elif kind == "frequency":
            w = np.where(late, rng.uniform(1.6, 3), 1.0)
            phase = 0.05 * np.cumsum(w)
            rows = noisy(np.column_stack([np.sin(phase), np.cos(phase)]), 0.01, rng)
        elif kind == "one wave":
            phase = 0.05 * np.cumsum(np.where(late, rng.uniform(1.6, 3), 1.0))
            rows = noisy(np.sin(phase)[:, None], 0.01, rng)
        elif kind == "amplitude":
            rows = noisy(
                np.column_stack([np.sin(t), np.cos(t)])
                * np.where(late, rng.uniform(3, 6), 1)[:, None],
                0.01,
                rng,
            )
        else:
            first = rk4(lorenz, np.array([1.0, 1, 20]), 0.02, cut, 2)
            rho = rng.choice([18, 40, 50])
            rows = np.concatenate(
                [first, rk4(lambda x: lorenz(x, rho), first[-1], 0.02, n - cut + 1, 2)[1:]]
            )
        return Trajectories(rows)

    return make


def growing(kind: str) -> Maker:
    """Oscillations whose amplitude grows to the end."""

    def make(rng: np.random.Generator) -> Trajectories:
        n = int(rng.integers(300, 1500))
        t = np.linspace(0, rng.uniform(40, 120), n)
        rate = rng.uniform(2.2, 5) / t[-1]
        a = np.exp(rate * t) if kind == "exponential" else 1 + rng.uniform(8, 20) * t / t[-1]
        wave = np.column_stack([np.sin(t), np.cos(t)])[:, : int(rng.integers(1, 3))]
        return Trajectories(noisy(wave * a[:, None], 0.002, rng))

    return make


def quantised(level: float) -> Maker:
    """Smooth motion on a coarse grid."""

    def make(rng: np.random.Generator) -> Trajectories:
        t = np.linspace(0, rng.uniform(20, 60), int(rng.integers(800, 3000)))
        wave = np.column_stack([np.sin(t), np.cos(1.3 * t)]) + 0.3 * np.sin(0.37 * t)[:, None]
        step = level * rng.choice([0.05, 0.1, 0.2])
        return Trajectories(step * np.round(wave / step))

    return make


def sideways(rng: np.random.Generator) -> Trajectories:
    """States as columns."""
    rows = _piece(int(rng.integers(6)), rng, int(rng.integers(60, 600)))
    return Trajectories(noisy(rows, rng.choice([0, 0.01]), rng).T)


UNSOUND: dict[str, dict[str, Maker]] = {
    "glued": {
        "lorenz, vdp": glued((0, 1)),
        "waves": glued((4,)),
        "waves, 1 % noise": glued((0, 4), 0.01),
        "one column": glued((4,), 0.0, 1),
        "pendulum *": glued((2, 3)),
        "pendulum, 2 % noise *": glued((2, 3), 0.02),
        "decays *": glued((5,)),
    },
    "shuffled": {
        "lorenz, waves": shuffled((0, 4)),
        "lorenz, waves, 2 % noise": shuffled((0, 4), 0.02),
        "vdp, pendulum *": shuffled((1, 2)),
        "roessler, vdp, 2 % noise *": shuffled((3, 1), 0.02),
    },
    "sorted": {
        "lorenz, waves": ordered((0, 4)),
        "roessler, pendulum *": ordered((3, 2)),
        "roessler, waves, 2 % noise *": ordered((3, 4), 0.02),
    },
    "wrapped": {
        "five units": wrapped(),
        "beside waves": wrapped(others=2),
        "noise *": wrapped(0.003, 1),
        "whirling pendulum *": whirling,
    },
    "categories": {"each row": categories(False), "held *": categories(True)},
    "regime": {
        "mean": regimes("mean"),
        "spread": regimes("spread"),
        "frequency": regimes("frequency"),
        "one wave *": regimes("one wave"),
        "amplitude *": regimes("amplitude"),
        "lorenz *": regimes("lorenz"),
    },
    "growing": {"exponential": growing("exponential"), "linear *": growing("linear")},
    "quantised": {"coarse": quantised(1.0), "coarser *": quantised(2.0)},
    "sideways": {"transposed": sideways},
}


# Sound, though it looks odd.


def ar1(rng: np.random.Generator, n: int, phi: float) -> np.ndarray:
    """An autoregressive series."""
    x = rng.standard_normal(n)
    for k in range(1, n):
        x[k] += phi * x[k - 1]
    return x


def catalogued(name: str, level: float) -> Maker:
    """Five trajectories, or one, of a catalogued system."""

    def make(rng: np.random.Generator) -> Trajectories:
        system = systems.get(name)
        several = 1 if system.dimension > 20 or rng.random() < 0.4 else 6
        n = int(min(system.n_steps, 40000 // system.dimension, rng.choice([300, 1000, 3000])))
        seed = int(rng.integers(1 << 30))
        data = systems.get(name).simulate(several, n, random_state=seed, rtol=1e-8, atol=1e-10)
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
    rows = rk4(lambda x: van_der_pol(x, 10), rng.uniform(-2, 2, 2), dt, 800, max(20, int(dt * 200)))
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
    return _answer(u, rng)


def steps(rng: np.random.Generator) -> Trajectories:
    """A second-order answer to an input that keeps a random level for a while."""
    n, hold = 1000, int(rng.integers(8, 40))
    return _answer(np.repeat(rng.uniform(-1, 1, -(-n // hold)), hold)[:n], rng)


def _answer(u: np.ndarray, rng: np.random.Generator) -> Trajectories:
    x = np.zeros((len(u), 2))
    for k in range(1, len(u)):
        push = 0.05 * (u[k - 1] - x[k - 1, 0]) - 0.15 * x[k - 1, 1]
        x[k, 1] = x[k - 1, 1] + push
        x[k, 0] = x[k - 1, 0] + x[k, 1]
    rows = noisy(x, float(rng.choice([0, 0.01])), rng)
    return Trajectories(np.column_stack([rows, u]), feature_names=["x", "v", "u"])


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
    rows = _piece(int(rng.integers(6)), rng, 1000)
    return Trajectories(np.round(rows, int(rng.integers(3, 6))))


def one_pass(rng: np.random.Generator) -> Trajectories:
    """Short recordings: a turn or two, no more."""
    rows = _piece(int(rng.integers(6)), rng, int(rng.integers(40, 250)))
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
    "bursting *": bursting,
    "fires and resets *": spiking,
    "square wave": square_wave,
    "stepwise input": steps,
    "chaotic maps": chaotic_map,
    "bouncing ball": bouncing_ball,
    "daily weather": weather,
    "decays": decays,
    "prices": prices,
    "counts": counts,
    "quasi-periodic *": quasi_periodic,
    "fields": field,
    "two wells *": switching,
    "rounded *": rounded,
    "short *": one_pass,
    "returns *": volatile,
    "tank *": sawtooth,
    "heart *": gait,
}
