"""Robertson's stiff reaction: PyHiTS against SciPy's stiff solvers, 1000 initial states.

Mixtures of mass 1 (``a`` in [0.3, 1], ``b`` in [0, 4e-5], off the slow manifold, which they reach
within milliseconds) over 10,000 time units, at equal output times for all. The error is relative,
of each species, also of the intermediate ``b`` near 1e-6; the bar is on the largest over all
species, times and states. PyHiTS learns the three species as they are. Its one flow map is dense:
it returns all outputs at once. It learns from 1000 trajectories that start in the same region,
more of them near its edges.

SciPy's solvers have the equations, their Jacobian, and the loosest of a few tolerances at which no
error is above 1e-3. They take one state after another, as most users call them; below the bar stand
all 1000 states stacked into one system, which suits this reaction: all states relax alike, so that
they agree on a step.

    python -m benchmarks.stiff --quick
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from scipy.integrate import odeint, solve_ivp
from scipy.sparse import csc_matrix

import pyhits
from benchmarks.record import Record
from benchmarks.tables import print_bars, print_table
from benchmarks.timing import compare, with_threads

NAME = "stiff"

HORIZON, N_STATES = 10_000.0, 1000

#: Largest initial ``b`` and ``c``; their smallest is 0.
REGION = (4e-5, 0.7)

#: Numbers of outputs, equally spaced over the horizon; the bar is on the first. Training data have
#: the most of them, which is a multiple of the others.
OUTPUTS = (50, 100, 10)

LARGEST_ERROR = 1e-3

TOLERANCES = (1e-3, 3e-4, 1e-4, 3e-5, 1e-5)

#: Absolute tolerance over the relative one: small beside every species.
_ABSOLUTE = (1e-3, 1e-8, 1e-3)

_SYSTEM = pyhits.systems.get("robertson")
_K1, _K2, _K3 = (_SYSTEM.parameters[k] for k in ("k1", "k2", "k3"))

#: Forecasts that are timed together: one takes a millisecond, SciPy's solvers seconds.
_CALLS = 20

#: ``solve(initial_states (n, 3), times (m,), rtol)`` to states ``(n, m, 3)``.
Solve = Callable[[np.ndarray, np.ndarray, float], np.ndarray]


def run(quick: bool, out: Path) -> list[Record]:
    """Fit, then time PyHiTS and the solvers for each number of outputs."""
    most = max(OUTPUTS)
    accurate = _SYSTEM.integrator(rtol=1e-10, atol=1e-14)
    simulate = partial(_SYSTEM.simulate, n_steps=most, dt=HORIZON / most, integrator=accurate)
    train = simulate(initial_states=training_states(N_STATES)).to_array()
    test = simulate(N_STATES, random_state=2).to_array()
    records = []
    for n_outputs in OUTPUTS[:1] if quick else OUTPUTS:
        every = most // n_outputs
        records += _compare(train[:, ::every], test[:, ::every], 100 if quick else 300)
    return records


def _compare(train: np.ndarray, truth: np.ndarray, n_few: int) -> list[Record]:
    """Return the rows of one number of outputs; the first number's have bars."""
    n_outputs = truth.shape[1] - 1
    times = np.linspace(0, HORIZON, n_outputs + 1)
    model = fitted(train, times[1])
    starts = np.ascontiguousarray(truth[:, 0])
    prepared = model.prepared()

    def ours() -> np.ndarray:
        for _ in range(_CALLS):
            states = prepared.forecast(starts, n_outputs)
        return states

    functions: dict[str, Callable[[], np.ndarray]] = {"PyHiTS": ours}
    described = model.history_[n_outputs].flow_map
    notes = {"PyHiTS": f"{described}, fitted in {model.seconds_:.1f} s; mean of {_CALLS} calls"}
    shares = {"PyHiTS": float(_CALLS)}
    stacked = {"odeint, banded": stacked_odeint} | {
        f"{m}, sparse": partial(_stacked_ivp, m) for m in ("BDF", "Radau")
    }
    one_by_one = {"odeint": _odeint} | {m: partial(_ivp, m) for m in ("LSODA", "BDF", "Radau")}
    for kind, solvers, n in (("", one_by_one, n_few), ("stacked ", stacked, len(starts))):
        for solver, solve in solvers.items():
            name = f"SciPy {kind}{solver}"
            rtol = _tolerance(solve, truth[:n], times)
            functions[name] = partial(solve, starts[:n], times, rtol)
            shares[name] = n / len(starts)
            notes[name] = f"rtol {rtol:g}" + (f", {n} states, scaled up" if n < len(starts) else "")
    timings = compare(
        {name: with_threads(1, f) for name, f in functions.items()}, repeats=15, budget=4.0
    )
    rows = {}
    for name, function in functions.items():
        error = relative_errors(function(), truth)
        spread = " ".join(f"{q:.0e}" for q in np.quantile(error, (0.5, 0.9, 0.99)))
        rows[name] = Record.timed(
            NAME,
            f"{name}, {n_outputs} outputs",
            timings[name].times(1 / shares[name]),
            truth.shape[0] * n_outputs,
            value=float(error.max()),
            unit="largest relative error",
            threads=1,
            note=f"{notes[name]}; median, 90 % and 99 % of errors {spread}",
        )
    mine = rows["PyHiTS"]
    best = min((rows[f"SciPy {s}"] for s in one_by_one), key=lambda r: r.seconds or np.inf)
    mine.against(best)
    for name in list(rows)[1:]:
        rows[name].against(mine)
    if n_outputs != OUTPUTS[0]:
        return list(rows.values())
    speed = Record(NAME, "PyHiTS against the best, one by one", mine.seconds, threads=1)
    accuracy = Record(NAME, "PyHiTS, largest relative error", value=mine.value)
    accuracy.aim(f"{LARGEST_ERROR:g} or less", (mine.value or np.inf) <= LARGEST_ERROR)
    together = Record(NAME, "PyHiTS against stacked, banded", mine.seconds, threads=1)
    together.against(rows["SciPy stacked odeint, banded"], 100.0)
    return [*rows.values(), speed.against(best, 100.0), together, accuracy]


def fitted(train: np.ndarray, dt: float) -> pyhits.HiTS:
    """Return the model of species ``(n, n_outputs + 1, 3)``: one dense polynomial."""
    n_outputs = train.shape[1] - 1
    model = pyhits.HiTS(
        [n_outputs],
        flow_map=pyhits.Auto(dense=n_outputs, polynomial_degree=8),
        training=pyhits.Training(early_bias=20.0, max_steps=1),
        n_jobs=1,
        random_state=0,
        verbose=False,
    )
    return model.fit(train, dt=dt)


def training_states(n: int, seed: int = 1) -> np.ndarray:
    """Draw mixtures, ``(n, 3)``, whose b and c crowd towards the region's edges.

    So crowd the nodes of Chebyshev: a polynomial fitted there errs about equally everywhere, while
    one that is fitted to uniform draws errs most in the corners.
    """
    angles = np.pi * np.random.default_rng(seed).random((n, 2))
    others = (1 - np.cos(angles)) / 2 * REGION
    return np.column_stack([1 - others.sum(axis=1), others])


def relative_errors(states: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return relative errors after the initial states, those of the first trajectories."""
    true = truth[: len(states), 1:]
    return np.abs(states[:, 1:] - true) / true


def _tolerance(solve: Solve, truth: np.ndarray, times: np.ndarray) -> float:
    """Return the loosest tolerance at which no error is above the bar."""
    for rtol in TOLERANCES:
        states = solve(truth[:, 0], times, rtol)
        if relative_errors(states, truth).max() <= LARGEST_ERROR:
            return rtol
    return TOLERANCES[-1]


def _rhs(t: float, state: np.ndarray) -> tuple[float, float, float]:
    # On plain floats: several times faster than NumPy on three numbers.
    a, b, c = state.tolist()
    decay, pairing, return_flow = _K1 * a, _K2 * b * b, _K3 * b * c
    return return_flow - decay, decay - return_flow - pairing, pairing


def _jacobian(t: float, state: np.ndarray) -> list[list[float]]:
    _, b, c = state.tolist()
    pairing = 2 * _K2 * b
    return [[-_K1, _K3 * c, _K3 * b], [_K1, -_K3 * c - pairing, -_K3 * b], [0.0, pairing, 0.0]]


def _odeint(starts: np.ndarray, times: np.ndarray, rtol: float) -> np.ndarray:
    atol = rtol * np.array(_ABSOLUTE)
    return np.stack(
        [odeint(_rhs, x, times, Dfun=_jacobian, tfirst=True, rtol=rtol, atol=atol) for x in starts]
    )


def _ivp(method: str, starts: np.ndarray, times: np.ndarray, rtol: float) -> np.ndarray:
    span, settings = (0.0, HORIZON), {"rtol": rtol, "atol": rtol * np.array(_ABSOLUTE)}
    return np.stack(
        [solve_ivp(_rhs, span, x, method, times, jac=_jacobian, **settings).y.T for x in starts]
    )


def _stacked_rhs(t: float, states: np.ndarray) -> np.ndarray:
    return _SYSTEM.rhs(t, states.reshape(-1, 3), **_SYSTEM.parameters).ravel()


def _blocks(t: float, states: np.ndarray) -> np.ndarray:
    """Return the Jacobian of every state, ``(n, 3, 3)``."""
    assert _SYSTEM.jacobian is not None
    return _SYSTEM.jacobian(t, states.reshape(-1, 3), **_SYSTEM.parameters)


def _banded(t: float, states: np.ndarray) -> np.ndarray:
    """Return the stacked Jacobian's diagonals as LSODA packs them, ``(5, 3 n)``."""
    blocks, diagonals = _blocks(t, states), np.zeros((5, states.size))
    for row in range(3):
        for column in range(3):
            diagonals[row - column + 2, column::3] = blocks[:, row, column]
    return diagonals


def stacked_odeint(starts: np.ndarray, times: np.ndarray, rtol: float) -> np.ndarray:
    """Solve all states as one banded system."""
    atol = rtol * np.tile(_ABSOLUTE, len(starts))
    states = odeint(
        _stacked_rhs, starts.ravel(), times, Dfun=_banded, ml=2, mu=2, tfirst=True,
        rtol=rtol, atol=atol,
    )  # fmt: skip
    return states.reshape(len(times), -1, 3).swapaxes(0, 1)


def _stacked_ivp(method: str, starts: np.ndarray, times: np.ndarray, rtol: float) -> np.ndarray:
    rows, columns = np.indices((3, 3))[:, None] + 3 * np.arange(len(starts))[:, None, None]
    indices = rows.ravel(), columns.ravel()

    def sparse(t: float, states: np.ndarray) -> csc_matrix:
        return csc_matrix((_blocks(t, states).ravel(), indices))

    solution = solve_ivp(
        _stacked_rhs, (0.0, HORIZON), starts.ravel(), method, times, jac=sparse,
        rtol=rtol, atol=rtol * np.tile(_ABSOLUTE, len(starts)),
    )  # fmt: skip
    return solution.y.T.reshape(len(times), -1, 3).swapaxes(0, 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="one number of outputs, fewer timed states"
    )
    found = run(parser.parse_args().quick, Path())
    print_table(Console(width=160), NAME, found)
    print_bars(Console(width=160), found)
