"""Data that a person would object to, by kind, drawn by seed; ``sound_data.py`` has the opposite.

Each maker takes a generator and returns trajectories. Those whose name ends in ``*`` were left
aside while the thresholds of :mod:`pyhits.data.diagnostics` were chosen.
"""

from __future__ import annotations

import numpy as np

from benchmarks.signals import Maker, ar1, lorenz, noisy, pendulum, piece, rk4
from pyhits.data.trajectories import Trajectories


def glued(kinds: tuple[int, ...], level: float = 0.0, columns: int | None = None) -> Maker:
    """Several recordings below each other."""

    def make(rng: np.random.Generator) -> Trajectories:
        kind, count = int(rng.choice(kinds)), int(rng.integers(3, 16))
        even = rng.random() < 0.5
        lengths = [100] * count if even else rng.integers(60, 300, count).tolist()
        rows = np.concatenate([piece(kind, rng, n) for n in lengths])
        return Trajectories(noisy(rows, level, rng)[:, :columns])

    return make


def shuffled(kinds: tuple[int, ...], level: float = 0.0) -> Maker:
    """Rows of one recording in any order."""

    def make(rng: np.random.Generator) -> Trajectories:
        rows = piece(int(rng.choice(kinds)), rng, int(rng.integers(300, 1500)))
        return Trajectories(rng.permutation(noisy(rows, level, rng)))

    return make


def ordered(kinds: tuple[int, ...], level: float = 0.0) -> Maker:
    """Rows of one recording in the order of a feature."""

    def make(rng: np.random.Generator) -> Trajectories:
        rows = noisy(piece(int(rng.choice(kinds)), rng, int(rng.integers(300, 1500))), level, rng)
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
        elif kind == "one feature":
            rows = noisy(np.column_stack([np.sin(t), np.cos(t), np.sin(0.7 * t)]), 0.01, rng)
            rows[cut:, rng.integers(3)] += rng.choice([-1, 1]) * rng.uniform(2, 8)
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
    rows = piece(int(rng.integers(6)), rng, int(rng.integers(60, 600)))
    return Trajectories(noisy(rows, rng.choice([0, 0.01]), rng).T)


def _other_piece(rng: np.random.Generator, n: int, kind: int) -> np.ndarray:
    if kind == 0:
        return rk4(
            lambda x: np.array([x[0] * (1.1 - 0.4 * x[1]), x[1] * (0.1 * x[0] - 0.4)]),
            rng.uniform(1, 12, 2),
            0.1,
            n,
            3,
        )
    if kind == 1:
        return rk4(
            lambda x: np.array([x[1], x[0] - x[0] ** 3 - 0.1 * x[1]]),
            rng.normal(0, 1, 2),
            0.1,
            n,
            3,
        )
    if kind == 2:
        start = np.array([rng.uniform(0.8, 0.99), rng.uniform(0.01, 0.1), 0.0])
        return rk4(
            lambda x: np.array([-1.5 * x[0] * x[1], 1.5 * x[0] * x[1] - 0.3 * x[1], 0.3 * x[1]]),
            start,
            0.2,
            n,
            3,
        )
    return rk4(
        lambda x: np.array(
            [
                10 * (x[1] - x[0]) - 3 * x[3],
                x[0] * (28 - x[2]) - x[1],
                x[0] * x[1] - 2.5 * x[2],
                x[0] - x[3],
            ]
        ),
        rng.normal([0, 0, 25, 0], 6),
        0.015,
        n,
        2,
    )


def glued_others(rng: np.random.Generator) -> Trajectories:
    """Two to eight recordings of predators, wells, epidemics or four variables."""
    kind, count = int(rng.integers(4)), int(rng.integers(2, 9))
    rows = [_other_piece(rng, int(rng.integers(80, 200)), kind) for _ in range(count)]
    return Trajectories(noisy(np.concatenate(rows), float(rng.choice([0, 0.01])), rng))


def shuffled_others(rng: np.random.Generator) -> Trajectories:
    """The rows of one of these in any order."""
    rows = _other_piece(rng, int(rng.integers(200, 1200)), int(rng.choice([0, 1, 3])))
    return Trajectories(rng.permutation(noisy(rows, float(rng.choice([0, 0.01])), rng)))


def ordered_others(rng: np.random.Generator) -> Trajectories:
    """The rows of one of these in the order of a feature."""
    rows = _other_piece(rng, int(rng.integers(200, 1200)), int(rng.choice([0, 1, 3])))
    rows = noisy(rows, float(rng.choice([0, 0.01])), rng)
    return Trajectories(rows[np.argsort(rows[:, rng.integers(rows.shape[1])])])


def heading(rng: np.random.Generator) -> Trajectories:
    """The heading of a ship that wanders, in degrees."""
    turn = 0.9 * ar1(rng, 2000, 0.98)
    degrees = rng.uniform(0, 360) + np.cumsum(turn) + 0.5 * rng.standard_normal(2000)
    return Trajectories(np.column_stack([degrees % 360, ar1(rng, 2000, 0.9)]))


def hours(rng: np.random.Generator) -> Trajectories:
    """Temperatures, and the hour of the day as a column."""
    n = int(rng.integers(200, 1500))
    hour = (np.arange(n) + rng.integers(24)) % 24
    return Trajectories(
        np.column_stack([10 + 5 * np.sin(hour / 24 * 2 * np.pi) + ar1(rng, n, 0.9), hour])
    )


def gears(rng: np.random.Generator) -> Trajectories:
    """Speeds of a car, and a code of what it does."""
    n, codes = 1000, rng.permutation([1, 2, 3, 4, 5])
    change = np.cumsum(rng.random(n) < 0.08)
    return Trajectories(
        np.column_stack([np.cumsum(ar1(rng, n, 0.9)), codes[rng.integers(5, size=n)[change]]])
    )


def stiffer(rng: np.random.Generator) -> Trajectories:
    """A pendulum that is shortened, or a map whose parameter is changed, in the middle."""
    if rng.random() < 0.5:
        first = rk4(lambda x: pendulum(x, 0.0), rng.uniform(1, 2, 2), 0.05, 600, 2)
        rest = rk4(lambda x: pendulum(x, 0.0, 25.0), first[-1], 0.05, 600, 2)
        return Trajectories(noisy(np.concatenate([first, rest[1:]]), 0.01, rng))
    x = [0.3]
    for k in range(1200):
        x.append((3.9 if k < 500 else 3.5) * x[-1] * (1 - x[-1]))
    return Trajectories(np.array(x)[:, None])


def gain(rng: np.random.Generator) -> Trajectories:
    """Noise whose sensor's gain is trebled."""
    x = ar1(rng, 1500, 0.8)
    return Trajectories((x * np.where(np.arange(1500) < rng.integers(400, 1100), 1, 3))[:, None])


def unstable(rng: np.random.Generator) -> Trajectories:
    """A feedback that is not stable."""
    rows = rk4(
        lambda x: np.array([x[1], -4 * x[0] + 0.08 * x[1]]), rng.normal(0, 1, 2), 0.05, 1000, 2
    )
    return Trajectories(noisy(rows, 0.005, rng))


def converter(rng: np.random.Generator) -> Trajectories:
    """A slow temperature from a converter of few bits."""
    x = np.cumsum(ar1(rng, 3000, 0.99)) / 100
    unit = np.ptp(x) / rng.integers(20, 60)
    return Trajectories((unit * np.round(x / unit))[:, None])


UNSOUND: dict[str, dict[str, Maker]] = {
    "glued": {
        "others *": glued_others,
        "lorenz, vdp": glued((0, 1)),
        "waves": glued((4,)),
        "waves, 1 % noise": glued((0, 4), 0.01),
        "one column": glued((4,), 0.0, 1),
        "pendulum": glued((2, 3)),
        "pendulum, 2 % noise": glued((2, 3), 0.02),
        "decays": glued((5,)),
    },
    "shuffled": {
        "others *": shuffled_others,
        "lorenz, waves": shuffled((0, 4)),
        "lorenz, waves, 2 % noise": shuffled((0, 4), 0.02),
        "vdp, pendulum": shuffled((1, 2)),
        "roessler, vdp, 2 % noise": shuffled((3, 1), 0.02),
    },
    "sorted": {
        "others *": ordered_others,
        "lorenz, waves": ordered((0, 4)),
        "roessler, pendulum": ordered((3, 2)),
        "roessler, waves, 2 % noise": ordered((3, 4), 0.02),
    },
    "wrapped": {
        "heading *": heading,
        "hours *": hours,
        "five units": wrapped(),
        "beside waves": wrapped(others=2),
        "noise": wrapped(0.003, 1),
        "whirling pendulum": whirling,
    },
    "categories": {"gears *": gears, "each row": categories(False), "held": categories(True)},
    "regime": {
        "law *": stiffer,
        "gain *": gain,
        "mean": regimes("mean"),
        "mean of one feature": regimes("one feature"),
        "spread": regimes("spread"),
        "frequency": regimes("frequency"),
        "one wave": regimes("one wave"),
        "amplitude": regimes("amplitude"),
        "lorenz": regimes("lorenz"),
    },
    "growing": {
        "unstable *": unstable,
        "exponential": growing("exponential"),
        "linear": growing("linear"),
    },
    "quantised": {"converter *": converter, "coarse": quantised(1.0), "coarser": quantised(2.0)},
    "sideways": {"transposed": sideways},
}
