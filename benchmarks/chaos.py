"""Forecast chaotic systems from one short recording of each, against common baselines.

    python benchmarks/chaos.py                        # 60 systems of dysts, about a quarter hour
    python benchmarks/chaos.py Lorenz Rossler --noise 0.01
    python benchmarks/chaos.py --data recordings.npz --out chaos.json

Each recording: 100 points a period; the first 1000 rows to learn from, the next 200 to forecast.
HiTS has its defaults for all. ``--data`` takes one array ``(time, feature)`` a system instead, of
which all rows after the first 1000 are forecast. ``--noise`` adds Gaussian noise to what is learned
from, as a share of each feature's standard deviation. Forecasts are compared with the true rows by
sMAPE (0 to 200), and by the periods until the error passes 0.4 standard deviations. Seconds are of
the CPU, in one process. The last line counts the systems on which any rival is better than HiTS by
10 %.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pyhits
from pyhits.evaluation import metrics
from pyhits.numerics.basis import Monomials
from pyhits.numerics.ridge import Ridge
from pyhits.paper.rivals import LSTM
from pyhits.training.parallel import n_cores
from pyhits.util.atomic import write_bytes

#: Rows to learn from, to forecast, and a period.
N_TRAIN, N_AHEAD, PERIOD = 1000, 200, 100

#: Systems taken evenly from dysts's list, and again so many from the rest of it.
N_SYSTEMS = (40, 20)

#: Part of HiTS's error that a rival's must be below to be better.
CLEARLY = 0.9

#: Part of the learned rows on which baselines choose their settings.
TAIL = 0.2

#: Error, in standard deviations, up to which a forecast is valid.
VALID = 0.4

#: Forecasts rows: from all known rows, so many ahead.
Forecaster = Callable[[np.ndarray, int], np.ndarray]


def persistence(known: np.ndarray, ahead: int) -> np.ndarray:
    """Repeat the last row."""
    return np.repeat(known[-1:], ahead, axis=0)


def nvar(known: np.ndarray, ahead: int) -> np.ndarray:
    """Polynomial vector autoregression: degree 1 to 4 of one or two rows, ridge regression."""
    return _best_regression(known, ahead, lags=(1, 2), degrees=(1, 2, 3, 4))


def dmd(known: np.ndarray, ahead: int) -> np.ndarray:
    """Dynamic mode decomposition with delays: a linear map of the last rows."""
    return _best_regression(known, ahead, lags=(1, 2, 5, 10, 25), degrees=(1,))


def _best_regression(
    known: np.ndarray, ahead: int, *, lags: Sequence[int], degrees: Sequence[int]
) -> np.ndarray:
    """Choose lags, degree and ridge on the tail, then fit to everything and forecast."""
    mean, scale = known.mean(axis=0), known.std(axis=0)
    rows = (known - mean) / np.where(scale > 0, scale, 1.0)
    n = len(rows) - round(TAIL * len(rows))
    best: tuple[float, tuple[int, int, float]] = (np.inf, (1, 1, 1e-8))
    for lag, degree in itertools.product(lags, degrees):
        basis = Monomials(lag * rows.shape[1], degree)
        if basis.size > 0.6 * n:
            continue
        for ridge in 10.0 ** np.arange(-14, 1, 2):
            tail = _regress(rows[:n], lag, basis, ridge, len(rows) - n)
            error = metrics.smape(known[n:], tail * scale + mean)
            if error < best[0]:
                best = error, (lag, degree, ridge)
    lag, degree, ridge = best[1]
    basis = Monomials(lag * rows.shape[1], degree)
    return _regress(rows, lag, basis, ridge, ahead) * scale + mean


def _regress(rows: np.ndarray, lags: int, basis: Monomials, ridge: float, ahead: int) -> np.ndarray:
    states = np.concatenate([rows[lags - 1 - k : len(rows) - 1 - k] for k in range(lags)], axis=1)
    terms, change = basis(states.T).T, np.diff(rows[lags - 1 :], axis=0)
    weights = Ridge(torch.from_numpy(terms), torch.from_numpy(change), scaled=True).solve(ridge)
    out = np.empty((ahead, rows.shape[1]))
    past = [rows[-1 - k] for k in range(lags)]
    for k in range(ahead):
        new = past[0] + basis(np.concatenate(past)) @ weights.numpy()
        if not (np.abs(new) < 1e6).all():
            out[k:] = np.nan
            break
        out[k], past = new, [new, *past[:-1]]
    return out


def echo_state(known: np.ndarray, ahead: int) -> np.ndarray:
    """A reservoirpy echo state network of 300 units; leak, radius and ridge chosen on the tail."""
    from reservoirpy import nodes

    mean, scale = known.mean(axis=0), known.std(axis=0)
    rows = (known - mean) / np.where(scale > 0, scale, 1.0)
    n = len(rows) - round(TAIL * len(rows))

    def run(rows: np.ndarray, ahead: int, leak: float, radius: float, ridge: float) -> np.ndarray:
        reservoir = nodes.Reservoir(300, lr=leak, sr=radius, input_scaling=0.5, seed=0)
        states = reservoir.run(rows)
        readout = nodes.Ridge(ridge=ridge)
        readout.fit(states[50:-1], rows[51:])
        out = np.empty((ahead, rows.shape[1]))
        state = states[-1]
        for k in range(ahead):
            out[k] = readout.run(state[None])[0]
            state = reservoir.run(out[k][None])[-1]
        return out

    best: tuple[float, tuple[float, float, float]] = (np.inf, (1.0, 0.9, 1e-6))
    for setting in itertools.product((0.3, 1.0), (0.5, 0.9), (1e-8, 1e-5, 1e-2)):
        tail = run(rows[:n], len(rows) - n, *setting) * scale + mean
        error = metrics.smape(known[n:], tail)
        if error < best[0]:
            best = error, setting
    return run(rows, ahead, *best[1]) * scale + mean


def lstm(known: np.ndarray, ahead: int) -> np.ndarray:
    """A long short-term memory net of 64 units, trained for up to 30 seconds."""
    model = LSTM(64, time_limit=30.0, random_state=0, verbose=False).fit(known)
    return np.asarray(model.forecast_from(known, ahead))[1:]


def hits(known: np.ndarray, ahead: int) -> np.ndarray:
    """PyHiTS with its defaults."""
    model = pyhits.HiTS(random_state=0, verbose=False, n_jobs=1).fit(known)
    return np.asarray(model.forecast_from(known, ahead, on_divergence="return"))[1:]


def closed(known: np.ndarray, ahead: int) -> np.ndarray:
    """PyHiTS without nets, only when asked for."""
    model = pyhits.HiTS(flow_map="closed", random_state=0, verbose=False, n_jobs=1).fit(known)
    return np.asarray(model.forecast_from(known, ahead, on_divergence="return"))[1:]


MODELS: dict[str, Forecaster] = {
    "hits": hits,
    "closed": closed,
    "nvar": nvar,
    "esn": echo_state,
    "lstm": lstm,
    "dmd": dmd,
    "persistence": persistence,
}


def recordings(names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return fresh recordings of systems of dysts, shape ``(time, feature)`` each."""
    import dysts.flows
    from dysts.systems import get_attractor_list

    left, chosen = sorted(get_attractor_list()), []
    for count in N_SYSTEMS:
        at = np.unique(np.linspace(0, len(left) - 1, count).round().astype(int))
        chosen += [left[k] for k in at]
        left = [name for name in left if name not in chosen]
    found = {}
    for name in names or chosen:
        system = getattr(dysts.flows, name)()
        found[name] = np.asarray(
            system.make_trajectory(
                N_TRAIN + N_AHEAD,
                pts_per_period=PERIOD,
                resample=True,
                method="LSODA",
                rtol=1e-12,
                atol=1e-12,
            )
        )
    return found


def measure(
    rows: np.ndarray, forecaster: Forecaster, noise: float, random_state: int = 0
) -> dict[str, Any]:
    """Return errors and seconds of one model on one recording."""
    known, truth = rows[:N_TRAIN], rows[N_TRAIN - 1 :]
    spread = known.std(axis=0)
    if noise:
        rng = np.random.default_rng(random_state)
        known = known + noise * spread * rng.standard_normal(known.shape)
    begin = time.process_time()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        ahead = forecaster(known, len(truth) - 1)
    seconds = time.process_time() - begin
    forecast = np.concatenate([truth[:1], ahead])[None]
    scale = np.where(spread > 0, spread, 1.0)
    valid = int(metrics.valid_steps(truth[None], forecast, scale, threshold=VALID)[0])
    return {
        "smape": metrics.smape(truth[1:], ahead),
        "valid_periods": valid / PERIOD,
        "seconds": seconds,
    }


def summary(records: list[dict[str, Any]]) -> str:
    """Return a table of quartiles."""
    lines = [
        f"{'model':<12} {'sMAPE: quartiles':>28} {'valid periods: quartiles':>28} "
        f"{'CPU s: median, largest':>22}"
    ]
    for model in dict.fromkeys(record["model"] for record in records):
        own = [record for record in records if record["model"] == model]
        errors, valid = (
            np.percentile([record[key] for record in own], [25, 50, 75])
            for key in ("smape", "valid_periods")
        )
        seconds = [record["seconds"] for record in own]
        shown = [" ".join(f"{value:8.3g}" for value in each) for each in (errors, valid)]
        took = f"{np.median(seconds):.1f} {max(seconds):.1f}"
        lines.append(f"{model:<12} {shown[0]:>28} {shown[1]:>28} {took:>22}")
    beaten = clearly_better(records)
    told = "; ".join(f"{system} ({', '.join(rivals)})" for system, rivals in beaten.items())
    return "\n".join([*lines, f"A rival is better by 10 % on {len(beaten)} systems: {told}"])


def clearly_better(records: list[dict[str, Any]], model: str = "hits") -> dict[str, list[str]]:
    """Return by system the rivals whose sMAPE is below 0.9 times that of a model."""
    own = {record["system"]: record["smape"] for record in records if record["model"] == model}
    found: dict[str, list[str]] = {}
    for record in records:
        limit = CLEARLY * own.get(record["system"], 0.0)
        if record["model"] not in (model, "closed") and record["smape"] < limit:
            found.setdefault(record["system"], []).append(record["model"])
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/chaos.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("systems", nargs="*", help="names in dysts; by default 60 of them")
    parser.add_argument("--data", type=Path, help="recordings in an .npz, instead of dysts's")
    usual = [model for model in MODELS if model != "closed"]
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=usual)
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--save", type=Path, help="write the recordings to this .npz")
    parser.add_argument("--out", type=Path, default=Path("chaos.json"))
    options = parser.parse_args(arguments)
    if options.data is None:
        data = recordings(options.systems)
    else:
        with np.load(options.data, allow_pickle=False) as archive:
            data = {name: archive[name] for name in options.systems or archive.files}
    if options.save is not None:
        np.savez(options.save, **data)
    records: list[dict[str, Any]] = []
    print(f"{len(data)} systems, {n_cores()} cores, noise {options.noise:g}", flush=True)
    for name, rows in data.items():
        for model in options.models:
            record = measure(rows.astype(float), MODELS[model], options.noise)
            records.append({"system": name, "model": model, "noise": options.noise} | record)
        write_bytes(options.out, json.dumps(records, indent=1).encode())
        shown = "  ".join(f"{r['model']} {r['smape']:.3g}" for r in records[-len(options.models) :])
        print(f"{name:<24} {shown}", flush=True)
    print(summary(records))
    print(f"Written to {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
