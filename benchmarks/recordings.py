"""Forecast recordings of one or a few variables, against the simple rival that their past chooses.

    python -m benchmarks.recordings                     # nine recordings that packages carry
    python -m benchmarks.recordings --made              # rows that are made
    python -m benchmarks.recordings --data mine.npz     # an array (time, feature) each of your own

The first 80 % of each are learned from, with defaults. From eight origins in the rest everybody
forecasts a tenth of the recording, 100 rows at most. The rivals are the library's own baselines,
settings chosen by themselves; of those that do not diverge one is taken by its errors from eight
origins in the last fifth of what is learned from, and fitted again to all of that. Errors are root
mean squares in standard deviations of what was learned from, means over the origins; below 1 in the
column "ratio" PyHiTS is better. The recordings lie in statsmodels, sktime, aeon and vega_datasets,
which have to be installed (they are not imported).
"""

from __future__ import annotations

import argparse
import importlib.util
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

import pyhits
import pyhits.baselines
from pyhits.baselines.simple import BASELINES, SimpleBaseline

#: Part to learn from, and part of a recording that is forecast from each of so many origins, in
#: rows at most.
LEARNED, HORIZON, ORIGINS, MOST = 0.8, 0.1, 8, 100

#: What may be chosen as the rival.
RIVALS = ("persistence", "seasonal drift", "ar", "dlinear", "nvar", "echo state", "analog")


class Record(NamedTuple):
    """What was measured on one recording."""

    error: float
    chosen: str
    of_chosen: float
    coverage: float
    seconds: float

    @property
    def ratio(self) -> float:
        """The error as a part of the rival's."""
        return self.error / self.of_chosen


def _csv(package: str, path: str, **how: object) -> pd.DataFrame:
    """Return a table that an installed package carries."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise SystemExit(f"{package} is not installed: pip install '.[bench]'")
    return pd.read_csv(Path(found.submodule_search_locations[0]) / path, **how)  # type: ignore[call-overload]


def _co2() -> pd.DataFrame:
    weekly = _csv("statsmodels", "datasets/co2/co2.csv")
    dates = pd.to_datetime(weekly["date"].astype(str), format="%Y%m%d")
    return weekly.set_index(dates)[["co2"]].resample("MS").mean().interpolate()


def _el_nino() -> pd.DataFrame:
    months = _csv("statsmodels", "datasets/elnino/elnino.csv").iloc[:, 1:]
    return months.stack().to_frame()


def _bleeding() -> pd.DataFrame:
    folder = "datasets/data/KDD-TSAD_135/135_UCR_Anomaly_InternalBleeding16_"
    return pd.concat([_csv("aeon", f"{folder}{part}.csv") for part in ("TRAIN", "TEST")])[["value"]]


#: Recordings by name; the last four are of sensors, of which 2000 rows are taken: the temperatures
#: after the hour that the clocks leave out in March.
SERIES: dict[str, Callable[[], pd.DataFrame]] = {
    "airline": lambda: _csv("sktime", "datasets/data/Airline/Airline.csv").iloc[:, -1:],
    "co2": _co2,
    "sunspots": lambda: _csv("statsmodels", "datasets/sunspots/sunspots.csv").iloc[:, -1:],
    "el nino": _el_nino,
    "lynx": lambda: _csv("sktime", "datasets/data/Lynx/Lynx.csv").iloc[:, -1:],
    "gait": lambda: _csv("aeon", "datasets/data/Daphnet_S06R02E0/S06R02E0.csv").iloc[
        4000:6000, 1:4
    ],
    "blood pressure": lambda: _bleeding()[:2000],
    "heart": lambda: _csv("sktime", "datasets/data/mitdb/mitdb.csv")[["data"]][:2000],
    "temperature": lambda: _csv("vega_datasets", "_data/seattle-temps.csv")[["temp"]][2000:4000],
}


def made() -> Iterator[tuple[str, np.ndarray, int]]:
    """Yield rows that are made, by name, and how many at the end are to be forecast."""
    t = np.arange(500.0)
    yield "two sines", np.sin(0.1 * t) + 0.5 * np.sin(0.237 * t), 100
    yield "mackey-glass", mackey_glass(1100), 100
    t, rng = np.arange(204.0), np.random.default_rng(0)
    yield (
        "trend and season",
        0.1 * t + 5 * np.sin(2 * np.pi * t / 12) + rng.standard_normal(204),
        36,
    )


def mackey_glass(n: int, tau: int = 17, fine: int = 10) -> np.ndarray:
    """Return rows one time unit apart of Mackey and Glass's delay equation, transients cut."""
    x = np.full((n + 300 + tau) * fine, 1.2)
    for k in range(tau * fine, len(x) - 1):
        late = x[k - tau * fine]
        x[k + 1] = x[k] + (0.2 * late / (1 + late**10) - 0.1 * x[k]) / fine
    return x[::fine][-n:]


def fitted(rows: np.ndarray) -> tuple[pyhits.TimeStepper, float]:
    """Return a model with defaults, and the CPU seconds that it took."""
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = pyhits.HiTS(random_state=0, verbose=False, n_jobs=1).fit(rows).stepper_
    return model, time.process_time() - begin


def fitted_rivals(rows: np.ndarray) -> dict[str, SimpleBaseline]:
    """Return all rivals, fitted to some rows."""
    return {kind: BASELINES[kind]().fit(rows) for kind in RIVALS}


def origins(n: int, cut: int, horizon: int) -> np.ndarray:
    """Return rows to forecast from in what follows a cut, evenly."""
    return np.unique(np.linspace(cut - 1, n - 1 - horizon, ORIGINS).astype(int))


def rival_errors(
    rows: np.ndarray, cut: int, horizon: int, rivals: dict[str, SimpleBaseline]
) -> dict[str, float]:
    """Return the mean error of each rival from the origins after a cut; infinite if it diverged."""
    found = {}
    scale = rows[:cut].std(axis=0)
    for kind, rival in rivals.items():
        errors = []
        for at in origins(len(rows), cut, horizon):
            known, truth = rows[: at + 1], rows[at + 1 : at + 1 + horizon]
            ahead = np.full_like(truth, np.inf)
            if len(known) >= rival.n_rows:
                ahead = rival.forecast_from(known, horizon, on_divergence="return")[1:]
            errors.append(float(np.sqrt(np.square((ahead - truth) / scale).mean())))
        found[kind] = float(np.nan_to_num(np.mean(errors), nan=np.inf))
    return found


def chosen_rival(rows: np.ndarray, cut: int, horizon: int) -> tuple[str, float]:
    """Return the rival that is best in the last fifth of the learned rows, and its error later."""
    early = round(LEARNED * cut)
    errors = rival_errors(rows[:cut], early, horizon, fitted_rivals(rows[:early]))
    later = rival_errors(rows, cut, horizon, fitted_rivals(rows[:cut]))
    sound = [kind for kind in RIVALS if np.isfinite(later[kind])]
    chosen = min(sound, key=errors.__getitem__)
    return chosen, later[chosen]


def measure(rows: np.ndarray) -> Record:
    """Return what PyHiTS and the chosen rival reach on one recording, ``(time, feature)``."""
    cut = round(LEARNED * len(rows))
    horizon = max(1, min(MOST, int(HORIZON * len(rows))))
    model, seconds = fitted(rows[:cut])
    test = model.backtest(rows, origins=origins(len(rows), cut, horizon), horizon=horizon)
    chosen, of_chosen = chosen_rival(rows, cut, horizon)
    # In the unit of the rivals: the model's own is the spread of what it was fitted to.
    unit = model.summary.spread / rows[:cut].std(axis=0)
    error = test.overall["hits"] * float(np.sqrt(np.mean(unit**2)))
    return Record(error, chosen, of_chosen, test.coverage, seconds)


def print_made() -> None:
    """Print errors on rows that are made."""
    print(f"{'rows':<18} {'nrmse':>10} {'rmse':>10} {'CPU s':>7}")
    for name, rows, ahead in made():
        model, seconds = fitted(rows[:-ahead])
        found = np.asarray(model.forecast_from(rows[:-ahead], ahead)).reshape(-1)[1:]
        rmse = float(np.sqrt(np.mean(np.square(found - rows[-ahead:]))))
        spread = rows[:-ahead].std()
        print(f"{name:<18} {rmse / spread:>10.2g} {rmse:>10.3g} {seconds:>7.1f}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recordings",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", help="which recordings; all by default")
    parser.add_argument("--data", type=Path, help="recordings in an .npz, instead of the packages'")
    parser.add_argument("--made", action="store_true", help="rows that are made")
    options = parser.parse_args(arguments)
    if options.made:
        print_made()
        return 0
    if options.data is None:
        names = options.names or list(SERIES)
        data = {name: SERIES[name]().to_numpy(np.float64) for name in names}
    else:
        with np.load(options.data, allow_pickle=False) as archive:
            data = {name: archive[name] for name in options.names or archive.files}
    records = []
    print(
        f"{'recording':<16} {'rows':>10} {'nrmse':>8} {'ratio':>6} {'coverage':>8} "
        f"{'CPU s':>6}  rival"
    )
    for name, rows in data.items():
        table = rows.reshape(len(rows), -1).astype(np.float64)
        found = measure(table)
        records.append(found)
        print(
            f"{name:<16} {' x '.join(map(str, table.shape)):>10} {found.error:>8.3g} "
            f"{found.ratio:>6.2f} {found.coverage:>8.0%} {found.seconds:>6.1f}  "
            f"{found.chosen} {found.of_chosen:.3g}",
            flush=True,
        )
    ratios = [record.ratio for record in records]
    print(
        f"ratio: median {np.median(ratios):.2f}, largest {max(ratios):.2f}; coverage "
        f"{min(r.coverage for r in records):.0%} to {max(r.coverage for r in records):.0%}; "
        f"CPU seconds: median {np.median([r.seconds for r in records]):.1f}"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
