"""The libraries, each as its own documentation uses it, and the settings of each."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.neighbours.data import Problem

#: ``forecast(past, n_steps)``: rows that end with the present one, to the rows that follow.
Forecast = Callable[[np.ndarray, int], np.ndarray]

#: What a state may reach, in deviations, before a solver is stopped.
_FAR = 100.0


def persistence(problem: Problem, setting: Any) -> Forecast:
    """Return forecasts of the last row, or of the rows one season before."""
    season = problem.season or 1
    return lambda past, n: past[len(past) - season + np.arange(n) % season]


def pyhits(problem: Problem, setting: Mapping[str, Any]) -> Forecast:
    """Fit PyHiTS: ``HiTS(**setting).fit(data)``."""
    import pyhits

    grid = None if problem.length is None else "ring"
    data = pyhits.Trajectories(problem.train, problem.dt)
    model = pyhits.HiTS(random_state=0, verbose=False, n_jobs=1, **setting).fit(data, grid=grid)

    def forecast(past: np.ndarray, n: int) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if len(past) == 1:
                ahead = model.forecast(past, n, on_divergence="return")
            else:
                rows = pyhits.Trajectories(past, problem.dt, grid=grid)
                ahead = model.forecast_from(rows, n, on_divergence="return")
            return np.asarray(ahead).reshape(-1, past.shape[1])[-n:]

    return forecast


def pysindy(problem: Problem, setting: Mapping[str, Any]) -> Forecast:
    """Fit PySINDy; its threshold and degree, and smoothed differences where there is noise.

    Fields: its ``PDELibrary`` as in the documentation's example of Kuramoto-Sivashinsky, the
    equation that it finds solved by SciPy's BDF.
    """
    import pysindy as ps
    from scipy.integrate import solve_ivp

    differences = ps.SmoothedFiniteDifference() if setting.get("smooth") else ps.FiniteDifference()
    optimizer = ps.STLSQ(threshold=setting.get("threshold", 0.1), alpha=setting.get("alpha", 0.05))
    if problem.length is not None:
        points = problem.train[0].shape[1]
        grid = problem.length / points * np.arange(points)
        library = ps.PDELibrary(
            function_library=ps.PolynomialLibrary(degree=2, include_bias=False),
            derivative_order=4, spatial_grid=grid, is_uniform=True, periodic=True,
        )  # fmt: skip
        model = ps.SINDy(optimizer=optimizer, feature_library=library)
        rows = problem.train[0].T[:, :, None]
        model.fit(rows, t=problem.dt)
        slope = _field_slope(model, points, problem.length)
    else:
        library = ps.PolynomialLibrary(degree=setting.get("degree", 2))
        model = ps.SINDy(
            optimizer=optimizer, feature_library=library, differentiation_method=differences
        )
        model.fit(problem.train, t=problem.dt)
        powers, weights = np.asarray(library.powers_), np.asarray(model.coefficients())

        def slope(t: float, state: np.ndarray) -> np.ndarray:
            return np.asarray(weights @ np.prod(state**powers, axis=1))

    middle, far = np.concatenate(problem.train).mean(axis=0), _FAR * problem.spread

    def lost(t: float, state: np.ndarray) -> float:
        return float(np.min(far - np.abs(state - middle)))

    lost.terminal = True  # type: ignore[attr-defined]

    def forecast(past: np.ndarray, n: int) -> np.ndarray:
        times = problem.dt * np.arange(n + 1)
        method = "LSODA" if problem.length is None else "BDF"
        found = solve_ivp(slope, (0, times[-1]), past[-1], method, times, events=lost,
                          rtol=1e-6, atol=1e-6 * float(problem.spread.min()))  # fmt: skip
        return _padded(found.y.T[1:], n, past.shape[1])

    return forecast


def _field_slope(model: Any, points: int, length: float) -> Callable[..., np.ndarray]:
    """Return the right-hand side that a field's model has found, its derivatives by FFT."""
    waves = 2j * np.pi / length * np.arange(points // 2 + 1)
    terms = []
    for name, weight in zip(model.get_feature_names(), model.coefficients()[0], strict=True):
        factors, order = re.fullmatch(r"((?:x0)*?)(?:x0_(1+))?", name).groups()  # type: ignore[union-attr]
        if weight:
            terms.append((weight, len(factors) // 2, len(order or "")))

    def slope(t: float, state: np.ndarray) -> np.ndarray:
        modes = np.fft.rfft(state)
        found = np.zeros_like(state)
        for weight, power, order in terms:
            derivative = np.fft.irfft(waves**order * modes, points) if order else 1.0
            found += weight * state**power * derivative
        return found

    return slope


def pydmd(problem: Problem, setting: Mapping[str, Any]) -> Forecast:
    """Fit PyDMD's DMD to pairs of delayed rows, and apply its operator again and again."""
    from pydmd import DMD

    mean, scale = np.concatenate(problem.train).mean(axis=0), problem.spread
    delays = min(setting.get("delays", 1), *(len(past) for past in problem.pasts))

    def stacked(rows: np.ndarray) -> np.ndarray:
        windows = np.lib.stride_tricks.sliding_window_view((rows - mean) / scale, delays, axis=0)
        return windows.reshape(len(windows), -1).T

    parts = [stacked(rows) for rows in problem.train]
    before = np.concatenate([part[:, :-1] for part in parts], axis=1)
    after = np.concatenate([part[:, 1:] for part in parts], axis=1)
    model = DMD(svd_rank=setting.get("rank", 0), exact=True)
    model.fit(before, after)
    operator = model.predict(np.eye(len(before), dtype=complex))

    def forecast(past: np.ndarray, n: int) -> np.ndarray:
        state = stacked(past[-delays:])
        rows = np.empty((n, past.shape[1]))
        for k in range(n):
            state = operator @ state
            rows[k] = state.real.reshape(past.shape[1], delays)[:, -1]
        return rows * scale + mean

    return forecast


def reservoirpy(problem: Problem, setting: Mapping[str, Any]) -> Forecast:
    """Fit a reservoir with a ridge readout, and let it run on its own forecasts."""
    from reservoirpy.nodes import Reservoir, Ridge

    mean, scale = np.concatenate(problem.train).mean(axis=0), problem.spread
    reservoir = Reservoir(
        setting.get("units", 100), lr=setting.get("lr", 0.3), sr=setting.get("sr", 1.25),
        input_scaling=setting.get("scaling", 1.0), seed=1,
    )  # fmt: skip
    model = reservoir >> Ridge(ridge=setting.get("ridge", 1e-8))
    rows = [(r - mean) / scale for r in problem.train]
    model.fit([r[:-1] for r in rows], [r[1:] for r in rows], warmup=min(50, len(rows[0]) // 4))

    def forecast(past: np.ndarray, n: int) -> np.ndarray:
        model.reset()
        for row in (past - mean) / scale:
            state = model.step(row)
        ahead = np.empty((n, past.shape[1]))
        for k in range(n):
            ahead[k] = state
            state = np.clip(model.step(state), -_FAR, _FAR)
        return ahead * scale + mean

    return forecast


def darts(problem: Problem, setting: Mapping[str, Any]) -> Forecast:
    """Fit darts: exponential smoothing of months, regression on past rows of everything else."""
    from darts import TimeSeries
    from darts.models import AutoARIMA, ExponentialSmoothing, LinearRegressionModel

    def series(rows: np.ndarray) -> Any:
        return TimeSeries.from_values(rows.astype(float))

    kind = setting.get("model", "smoothing" if problem.season else "regression")
    if kind != "regression":
        made = {
            "smoothing": lambda: ExponentialSmoothing(seasonal_periods=problem.season),
            "arima": lambda: AutoARIMA(season_length=problem.season),
        }[kind]

        def refitted(past: np.ndarray, n: int) -> np.ndarray:
            model = made()
            model.fit(series(past))
            return np.asarray(model.predict(n).values())

        return refitted
    longest = min(len(past) for past in problem.pasts)
    lags = min(setting.get("lags", 12), longest)
    model = LinearRegressionModel(lags=lags)
    model.fit([series(rows) for rows in problem.train])
    return lambda past, n: np.asarray(model.predict(n, series=series(past)).values())


def neural_ode(problem: Problem, setting: Mapping[str, Any]) -> Forecast:
    """Train a neural ODE as torchdiffeq's example does: short batches, ``dopri5``, a small net."""
    import torch
    from torch import nn
    from torchdiffeq import odeint

    torch.manual_seed(0)
    torch.set_num_threads(1)
    rows = [torch.tensor(r, dtype=torch.float32) for r in problem.train]
    mean = torch.tensor(np.concatenate(problem.train).mean(axis=0), dtype=torch.float32)
    scale = torch.tensor(problem.spread, dtype=torch.float32)
    rows = [(r - mean) / scale for r in rows]
    d, width = rows[0].shape[1], setting.get("width", 50)
    layers: list[nn.Module] = [nn.Linear(d, width), nn.Tanh()]
    for _ in range(setting.get("depth", 1) - 1):
        layers += [nn.Linear(width, width), nn.Tanh()]
    net = nn.Sequential(*layers, nn.Linear(width, d))
    rate, steps = setting.get("rate", 1e-3), setting.get("steps", 1000)
    optimiser: Any = torch.optim.RMSprop(net.parameters(), lr=rate)
    if setting.get("adam"):
        optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    reach, unit = 10, setting.get("unit", problem.dt * 10)
    times = torch.arange(reach) * problem.dt / unit
    solver = {"method": "rk4"} if setting.get("adam") else {"method": "dopri5"}
    random = np.random.default_rng(0)
    for _ in range(steps):
        which = random.integers(len(rows), size=setting.get("batch", 20))
        at = [random.integers(len(rows[k]) - reach) for k in which]
        truth = torch.stack([rows[k][i : i + reach] for k, i in zip(which, at, strict=True)], dim=1)
        ahead = odeint(lambda t, y: net(y), truth[0], times, **solver)
        loss = torch.mean(torch.abs(ahead - truth))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    def forecast(past: np.ndarray, n: int) -> np.ndarray:
        state = (torch.tensor(past[-1], dtype=torch.float32) - mean) / scale
        with torch.no_grad():
            span = torch.arange(n + 1) * problem.dt / unit
            ahead = odeint(lambda t, y: net(y), state, span, method="rk4")
        return np.asarray(ahead[1:] * scale + mean)

    return forecast


def _padded(rows: np.ndarray, n: int, d: int) -> np.ndarray:
    """Return ``n`` rows: those that there are, and NaN."""
    whole = np.full((n, d), np.nan)
    whole[: len(rows)] = rows[:n]
    return whole


def settings(name: str, problem: Problem) -> list[dict[str, Any]]:
    """Return the settings that a validation tail chooses among, the defaults first."""
    is_field = problem.length is not None
    if name == "PySINDy":
        kinds = [(2, False, 0.05)] if is_field else _KINDS
        return [{}] + [
            {"threshold": t, "degree": degree, "smooth": smooth, "alpha": alpha}
            for t in (0.01, 0.1, 0.5)
            for degree, smooth, alpha in kinds
        ]
    if name == "PyDMD":
        delays = (1, 10) if is_field else (1, 10, 40) if problem.season else (1, 10, 40, 100)
        return [{}] + [{"delays": d, "rank": r} for d in delays for r in (0, -1)]
    if name == "reservoirpy":
        return [{}] + [
            {"units": 500, "lr": lr, "sr": sr, "ridge": ridge, "scaling": scaling}
            for lr in (0.3, 1.0)
            for sr, scaling in ((0.5, 0.3), (0.9, 0.1), (0.9, 0.3))
            for ridge in (1e-8, 1e-5)
        ]
    if name == "darts" and problem.season:
        return [
            {},
            {"model": "arima"},
            {"model": "regression"},
            {"model": "regression", "lags": 24},
        ]
    if name == "darts":
        return [{}, {"lags": 2}] + ([] if is_field else [{"lags": 24}, {"lags": 100}])
    if name == "neural ODE":
        net = {"adam": True, "depth": 2, "width": 64, "batch": 64, "steps": 1500}
        return [{}, {**net, "rate": 3e-3}]
    return [{}]


#: Degree, smoothed differences and ridge penalty of PySINDy.
_KINDS = [(d, *how) for d in (2, 3) for how in ((False, 0.05), (True, 1e-4))]

#: Rivals by name.
RIVALS: dict[str, Callable[[Problem, Any], Forecast]] = {
    "persistence": persistence,
    "PySINDy": pysindy,
    "PyDMD": pydmd,
    "reservoirpy": reservoirpy,
    "darts": darts,
    "neural ODE": neural_ode,
    "PyHiTS": pyhits,
}
