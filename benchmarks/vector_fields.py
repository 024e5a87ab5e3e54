"""Learn systems of a few to ten variables from exact trajectories, and forecast fresh ones.

    python -m benchmarks.vector_fields
    python -m benchmarks.vector_fields masses lorenz --seed 3

20 trajectories to learn from, 30 others forecast to their ends from their first states. Errors are
root mean squares in standard deviations, over all of them: of the defaults, of each family of
closed forms by itself, and of the usual way to a differential equation, a regression of finite
differences on the same monomials, which is integrated to the end.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

import pyhits
from pyhits.integrators import AdaptiveRungeKutta
from pyhits.numerics.basis import Monomials

#: Trajectories to learn from, and to forecast.
LEARNED, FORECAST = 20, 30

#: Families beside the defaults.
FAMILIES = ("polynomial", "ode", "kernel")

Array = np.ndarray


def _masses(x: Array, n: int = 4) -> Array:
    """Masses on springs that grow stiffer, between walls."""
    q, p = x[:, :n], x[:, n:]
    gaps = np.diff(np.pad(q, ((0, 0), (1, 1))), axis=1)
    return np.concatenate([p, np.diff(gaps + 0.5 * gaps**3, axis=1)], axis=1)


def _enzyme(x: Array) -> Array:
    """Michaelis and Menten's reaction: substrate, enzyme, complex, product."""
    bound, free, made = 10 * x[:, 0] * x[:, 1], 0.5 * x[:, 2], x[:, 2]
    return np.stack([free - bound, free + made - bound, bound - free - made, made], axis=1)


def _brusselator(x: Array) -> Array:
    square = x[:, 0] ** 2 * x[:, 1]
    return np.stack([1 + square - 4 * x[:, 0], 3 * x[:, 0] - square], axis=1)


def _lorenz(x: Array) -> Array:
    a, b, c = x.T
    return np.stack([10 * (b - a), a * (28 - c) - b, a * b - 8 / 3 * c], axis=1)


def _pendulum(x: Array) -> Array:
    """No polynomial: the sine of an angle."""
    return np.stack([x[:, 1], -np.sin(x[:, 0]) - 0.1 * x[:, 1]], axis=1)


def _cyclic(x: Array) -> Array:
    """Thomas's: sines of each variable in turn."""
    return np.stack([np.sin(x[:, (k + 1) % 3]) - 0.2 * x[:, k] for k in range(3)], axis=1)


def _food(x: Array) -> Array:
    """A food chain whose eaters are sated: Holling's second type."""
    prey, eater, hunter = x.T
    eaten, hunted = 5 * prey * eater / (1 + 3 * prey), 0.1 * eater * hunter / (1 + 2 * eater)
    grown = prey * (1 - prey)
    return np.stack([grown - eaten, eaten - hunted - 0.4 * eater, hunted - 0.01 * hunter], axis=1)


def _switch(x: Array) -> Array:
    """Two genes that each represses the other: Hill functions."""
    return np.stack([1.5 / (1 + x[:, 1 - k] ** 4) - 0.5 * x[:, k] for k in range(2)], axis=1)


def _uniform(low: list[float], high: list[float]) -> Callable[[np.random.Generator, int], Array]:
    return lambda rng, n: rng.uniform(low, high, (n, len(low)))


#: By name: derivatives, initial states, step and number of steps.
SYSTEMS: dict[str, tuple[Callable[..., Array], Callable[..., Array], float, int]] = {
    "masses": (_masses, lambda rng, n: 0.7 * rng.standard_normal((n, 8)), 0.1, 200),
    "enzyme": (_enzyme, _uniform([0.5, 0.05, 0, 0], [2, 0.3, 1e-9, 1e-9]), 0.05, 200),
    "brusselator": (_brusselator, _uniform([0.5, 0.5], [3, 3]), 0.05, 200),
    "lorenz": (_lorenz, _uniform([-15, -20, 5], [15, 20, 40]), 0.05, 100),
    "cyclic": (_cyclic, _uniform([-3, -3, -3], [3, 3, 3]), 0.2, 200),
    "food": (_food, _uniform([0.2, 0.1, 7], [1.0, 0.5, 11]), 1.0, 200),
    "switch": (_switch, _uniform([0, 0], [3, 3]), 0.2, 100),
    "pendulum": (_pendulum, _uniform([-2.5, -1], [2.5, 1]), 0.1, 200),
}


def simulated(name: str, n: int, seed: int) -> Array:
    """Return exact trajectories, ``(n, time, d)``."""
    slopes, starts, dt, n_steps = SYSTEMS[name]
    solve = AdaptiveRungeKutta(lambda t, x: slopes(x), rtol=1e-11, atol=1e-12)
    first = starts(np.random.default_rng(seed), n)
    return np.concatenate([first[:, None], solve(first, n_steps=n_steps, dt=dt)], axis=1)


def of_differences(train: Array, dt: float, degree: int) -> Callable[[Array, int], Array]:
    """Return forecasts by a polynomial fitted to central differences, and integrated."""
    basis, d = Monomials(train.shape[2], degree), train.shape[2]
    mean, std = train.reshape(-1, d).mean(0), train.reshape(-1, d).std(0)
    z = (train - mean) / std
    design = basis(z[:, 1:-1].reshape(-1, d).T).T
    slopes = ((z[:, 2:] - z[:, :-2]) / (2 * dt)).reshape(-1, d)
    coefficients = np.linalg.lstsq(design, slopes, rcond=1e-12)[0]

    def right(t: object, x: Array) -> Array:
        return np.asarray(basis(np.clip(x, -9, 9).T).T @ coefficients)

    solve = AdaptiveRungeKutta(right, rtol=1e-8, atol=1e-9)

    def forecast(starts: Array, n_steps: int) -> Array:
        ahead = solve((starts - mean) / std, n_steps=n_steps, dt=dt)
        return np.concatenate([starts[:, None], ahead * std + mean], axis=1)

    return forecast


def error(found: Array, truth: Array) -> float:
    """Return the root mean square error in standard deviations; a lost forecast counts 10."""
    scale = truth.reshape(-1, truth.shape[2]).std(axis=0)
    off = np.nan_to_num((found - truth) / scale, nan=10.0)
    return float(np.sqrt(np.square(np.clip(off, -10, 10)).mean()))


def measure(name: str, seed: int) -> dict[str, float]:
    """Return errors by what forecasts, and the defaults' CPU seconds."""
    train, test = simulated(name, LEARNED, seed), simulated(name, FORECAST, seed + 1000)
    dt, n_steps = SYSTEMS[name][2:]
    found: dict[str, float] = {}
    for kind in ("auto", *FAMILIES):
        begin = time.process_time()
        model = pyhits.HiTS(
            [1] if kind != "auto" else None,
            flow_map=kind, encoder=None if kind == "auto" else [],
            random_state=0, n_jobs=1, verbose=False,
        )  # fmt: skip
        model.fit(list(train), dt=dt)
        if kind == "auto":
            found["CPU s"] = time.process_time() - begin
        found[kind] = error(model.forecast(test[:, 0], n_steps, on_divergence="return"), test)
    degrees = (of_differences(train, dt, degree) for degree in (1, 2, 3))
    found["differences"] = min(error(one(test[:, 0], n_steps), test) for one in degrees)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.vector_fields",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("systems", nargs="*", default=list(SYSTEMS), help="by default all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    names = ("auto", *FAMILIES, "differences", "CPU s")
    print(f"{'system':<14}" + "".join(f"{name:>14}" for name in names))
    for system in options.systems:
        found = measure(system, options.seed)
        print(f"{system:<14}" + "".join(f"{found[name]:>14.2g}" for name in names), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
