"""Forecasts that the workers of a Dask cluster compute and write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyhits.errors import ArgumentError, PyHiTSError
from pyhits.util.progress import bar, say

if TYPE_CHECKING:
    from pyhits.data.trajectories import Trajectories

#: Seconds to wait for a scheduler, and for its first worker.
_PATIENCE = 30


def check_dask(out: Path, others: Mapping[str, Any]) -> None:
    """Raise an ArgumentError for a file that workers do not write, or options not for blocks."""
    if out.suffix.lower() != ".zarr":
        raise ArgumentError(f"--dask writes .zarr, got {str(out)!r}.")
    given = [name for name, value in others.items() if value]
    if given:
        raise ArgumentError(f"{given[0]} does not go with --dask; leave one of them away.")


def forecast_on(
    address: str, model: Any, data: Trajectories, steps: int, how: dict[str, Any], out: Path
) -> tuple[int, ...]:
    """Forecast from the first states on a cluster; return the shape of what is written.

    Raises PyHiTSError: there is no scheduler, or no worker.
    """
    from pyhits.forecasting.ensembles import Ensemble
    from pyhits.forecasting.horizon import Horizon
    from pyhits.util.extras import need

    distributed = need("distributed", action="--dask", extra="dask")
    options = {name: value for name, value in how.items() if name != "overwrite"}
    horizon = Horizon.of(steps, None, model.dt)
    ensemble = Ensemble(model, horizon, out, options, overwrite=bool(how.get("overwrite")))
    starts = model.coordinates.starts(model.as_data(data, inputs=False))
    try:
        client = distributed.Client(address, timeout=_PATIENCE)
        client.wait_for_workers(1, timeout=_PATIENCE)
    except (OSError, ValueError, TimeoutError) as error:
        raise PyHiTSError(f"The Dask cluster {address} cannot be used: {error}.") from None
    with client, bar("forecasting", verbose=model.verbose) as progress:
        written = ensemble.run(client, starts.states, starts.times, progress)
    return tuple(written.shape)


def say_written(shape: tuple[int, ...], out: Path, *, verbose: bool) -> None:
    """Say what is in the file."""
    say(f"{' x '.join(map(str, shape))} states written to {out}", verbose=verbose)
