"""Five kinds of data: what is learned from, and what is forecast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import pyhits
from benchmarks.chaos_fields import kuramoto_sivashinsky

#: Rows before each forecast that everybody is given.
PAST = 200


@dataclass(frozen=True)
class Problem:
    """Data to learn from, and forecasts to make.

    Attributes
    ----------
    name : str
    dt : float
    train : list of array, each of shape (time, d)
    pasts : list of array, each of shape (PAST or fewer, d)
        Rows that end where a forecast begins.
    truths : list of array, each of shape (steps, d)
        What comes then.
    unit : float, optional
        Lyapunov time, where errors are valid times.
    degree : int
        Of the equations, where there are any.
    length : float, optional
        Of a periodic field of one axis.
    season : int, optional
    """

    name: str
    dt: float
    train: list[np.ndarray]
    pasts: list[np.ndarray]
    truths: list[np.ndarray]
    unit: float | None = None
    degree: int = 3
    length: float | None = None
    season: int | None = None

    @property
    def spread(self) -> np.ndarray:
        """Standard deviations that errors are measured in, by feature; of a field one for all."""
        rows = np.concatenate(self.train)
        return rows.std(axis=0) if self.length is None else np.full(rows.shape[1], rows.std())

    def score(self, forecasts: list[np.ndarray], truths: list[np.ndarray]) -> float:
        """Return the error: root mean square in deviations, or minus the mean valid time.

        What is lost counts as an error of one deviation, the error of the mean.
        """
        pairs = zip(forecasts, truths, strict=True)
        errors = [np.nan_to_num((f - t) / self.spread, nan=1.0, posinf=1.0) for f, t in pairs]
        errors = [np.clip(error, -1e3, 1e3) for error in errors]
        if self.unit is None:
            squares = [np.minimum(np.square(error).mean(axis=1), 1.0) for error in errors]
            return float(np.sqrt(np.mean(np.concatenate(squares))))
        times = []
        for error in errors:
            far = np.sqrt(np.square(error).mean(axis=1)) > 0.4
            times.append((int(far.argmax()) if far.any() else len(far)) * self.dt / self.unit)
        return -float(np.mean(times))

    def learning(self) -> tuple[Problem, list[np.ndarray], list[np.ndarray]]:
        """Return the problem of its first part, and forecasts of its last fifth, to choose by."""
        steps = len(self.truths[0])
        if len(self.train) >= 5:
            kept = -(-4 * len(self.train) // 5)
            held, first = self.train[kept:], self.train[:kept]
            given = [min(len(self.pasts[0]), len(rows) // 2) for rows in held]
            starts = [(rows[:k], rows[k : k + steps]) for k, rows in zip(given, held, strict=True)]
        else:
            cut = [max(len(rows) * 4 // 5, len(rows) - 4 * steps) for rows in self.train]
            cut = [min(k, len(rows) - steps) for k, rows in zip(cut, self.train, strict=True)]
            first = [rows[:k] for k, rows in zip(cut, self.train, strict=True)]
            starts = [
                (rows[max(0, k - PAST) : k], rows[k : k + steps])
                for begin, rows in zip(cut, self.train, strict=True)
                for k in np.unique(np.linspace(begin, len(rows) - steps, 4).astype(int))
            ]
        own = Problem(**{**vars(self), "train": first})
        return own, [past for past, _ in starts], [truth for _, truth in starts]


def _chaotic(rows: np.ndarray, test: np.ndarray, n: int, steps: int) -> dict[str, Any]:
    """Return parts of a problem: one recording, and ``n`` starts in another."""
    at = np.linspace(PAST, len(test) - steps, n).astype(int)
    return {
        "train": [rows],
        "pasts": [test[k - PAST : k] for k in at],
        "truths": [test[k : k + steps] for k in at],
    }


def lorenz() -> Problem:
    """One clean recording of the Lorenz system, 5000 rows."""
    system = pyhits.systems.get("lorenz")
    rows, test = (
        system.simulate(1, 7000, dt=0.01, random_state=seed).to_array()[0, 1000:] for seed in (1, 2)
    )
    parts = _chaotic(rows[:5000], test, 8, 1400)
    return Problem("Lorenz, clean", 0.01, unit=1 / 0.906, degree=2, **parts)


def van_der_pol() -> Problem:
    """Ten recordings of the Van der Pol oscillator with 2 % of noise, 500 rows each."""
    system = pyhits.systems.get("van-der-pol")
    rng = np.random.default_rng(3)
    clean = system.simulate(10, 500, dt=0.02, random_state=1).to_array()
    test = system.simulate(8, 700, dt=0.02, random_state=2).to_array()
    sigma = 0.02 * clean.reshape(-1, 2).std(axis=0)
    noisy = [rows + sigma * rng.standard_normal(rows.shape) for rows in clean]
    pasts = [rows[:PAST] + sigma * rng.standard_normal((PAST, 2)) for rows in test]
    return Problem("Van der Pol, 2 % noise", 0.02, noisy, pasts, [rows[PAST:] for rows in test])


def seasonal(seed: int) -> Problem:
    """Months of passengers as they might have been: growth, a season that grows, noise."""
    rng = np.random.default_rng(seed)
    months = np.arange(144)
    growth = np.cumsum(0.009 + 0.01 * rng.standard_normal(144))
    shape = np.sin(2 * np.pi * (months - 3) / 12) + 0.5 * np.sin(4 * np.pi * months / 12 + seed)
    rows = 120 * np.exp(growth + 0.12 * shape + 0.03 * rng.standard_normal(144))[:, None]
    return Problem("months", 1.0, [rows[:108]], [rows[:108]], [rows[108:]], season=12)


def kuramoto() -> Problem:
    """A Kuramoto-Sivashinsky field, L = 22, 64 points, 4000 rows a quarter of a time unit apart."""
    rows = kuramoto_sivashinsky(4000, 1, length=22, points=64)
    test = kuramoto_sivashinsky(4000, 2, length=22, points=64)
    parts = _chaotic(rows, test, 4, 600)
    return Problem("KS field, 64 points", 0.25, unit=1 / 0.046, degree=2, length=22.0, **parts)


def robertson() -> Problem:
    """Thirty trajectories of Robertson's stiff reaction, 100 rows 0.4 apart."""
    system = pyhits.systems.get("robertson")
    train, test = (
        system.simulate(n, 100, dt=0.4, random_state=seed).to_array()
        for n, seed in ((30, 1), (10, 2))
    )
    return Problem(
        "Robertson, stiff", 0.4, list(train), [r[:1] for r in test], [r[1:] for r in test], degree=2
    )


#: Problems by name; of the seasonal one there are several series, whose errors are averaged.
PROBLEMS: dict[str, Callable[[], list[Problem]]] = {
    "lorenz": lambda: [lorenz()],
    "van-der-pol": lambda: [van_der_pol()],
    "months": lambda: [seasonal(seed) for seed in range(3)],
    "ks": lambda: [kuramoto()],
    "robertson": lambda: [robertson()],
}
