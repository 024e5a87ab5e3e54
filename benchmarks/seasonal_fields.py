"""Forecast noisy fields with seasons, as climates are recorded.

    python -m benchmarks.seasonal_fields
    python -m benchmarks.seasonal_fields --noise 0.5 --seeds 3

Made: 15 latitudes by 24 longitudes, 360 months. A mean field, a season of amplitude 5 whose sign is
that of the latitude, one pattern around the equator whose size is autoregressive (0.9 from month
to month), and white noise at each point. HiTS, with its defaults, learns all months but the last 24
and forecasts these from a DataArray with dates. Beside it stand the mean of each month of the year,
the last month repeated, and what nobody can know: the noise.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np

import pyhits

N_MONTHS, N_AHEAD = 360, 24


def made(noise: float, seed: int) -> np.ndarray:
    """Return fields, ``(months, latitudes, longitudes)``."""
    rng = np.random.default_rng(seed)
    latitude, longitude = np.linspace(-60, 60, 15), np.arange(0, 360, 15.0)
    month, sign = np.arange(N_MONTHS)[:, None, None], np.sign(latitude)[:, None]
    fields = 25 - 0.2 * np.abs(latitude)[:, None] + np.cos(np.deg2rad(longitude))
    fields = fields + 5 * np.sin(2 * np.pi * month / 12) * sign
    size = np.zeros(N_MONTHS)
    for k in range(1, N_MONTHS):
        size[k] = 0.9 * size[k - 1] + 0.4 * rng.normal()
    near = np.exp(-np.square(latitude / 20))[:, None]
    fields = fields + size[:, None, None] * near * np.cos(np.deg2rad(longitude - 200))
    return np.asarray(fields + noise * rng.normal(size=fields.shape))


def measured(noise: float, seed: int) -> tuple[float, dict[str, float]]:
    """Return CPU seconds of a fit, and root mean squared errors by forecast."""
    import pandas as pd
    import xarray

    dates = pd.date_range("1990-01-01", periods=N_MONTHS, freq="MS")
    fields = xarray.DataArray(
        made(noise, seed), dims=("time", "lat", "lon"), coords={"time": dates}
    )
    known, later = fields[:-N_AHEAD], fields[-N_AHEAD:].to_numpy()
    begin = time.process_time()
    model = pyhits.HiTS(random_state=0, n_jobs=1, verbose=False).fit(known)
    seconds = time.process_time() - begin
    rows = known.to_numpy()
    of_months = [rows[(N_MONTHS - N_AHEAD + k) % 12 :: 12].mean(axis=0) for k in range(N_AHEAD)]
    forecasts = {
        "HiTS": model.forecast_from(known, N_AHEAD).to_numpy()[-N_AHEAD:],
        "means of months": np.stack(of_months),
        "last month": rows[-1:],
    }
    errors = {
        name: float(np.sqrt(np.square(ahead - later).mean())) for name, ahead in forecasts.items()
    }
    return seconds, errors | {"noise": noise}


def main() -> None:
    """Print a row for each set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--noise", type=float, nargs="+", default=[0.2, 0.5])
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22])
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    for noise in chosen.noise:
        for seed in chosen.seeds:
            seconds, errors = measured(noise, seed)
            shown = "  ".join(f"{name} {error:.3f}" for name, error in errors.items())
            print(f"noise {noise:g}, seed {seed:2}: {shown}; {seconds:.0f} CPU s", flush=True)


if __name__ == "__main__":
    main()
