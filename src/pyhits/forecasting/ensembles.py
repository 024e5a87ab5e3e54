"""Forecasts of very many states, block by block on the workers of a Dask cluster.

Blocks do not depend on each other: one whose worker dies is computed again by another.
"""

from __future__ import annotations

import itertools
import math
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pyhits.data.files.guard import as_path, is_zarr
from pyhits.errors import ArgumentError, CheckpointError, PyHiTSWarning
from pyhits.forecasting.fitted import FittedModel
from pyhits.forecasting.forecast import forecast_states, warn_outside
from pyhits.forecasting.horizon import Horizon
from pyhits.hierarchy.divergence import Lost
from pyhits.hierarchy.to_file import facts_of
from pyhits.hierarchy.writers import ZarrWriter
from pyhits.util.atomic import make_folder
from pyhits.util.checks import as_numeric
from pyhits.util.extras import need
from pyhits.util.progress import Advance

#: Bytes of the states of a block, about, and blocks that a thread of a worker has in hand.
_BLOCK_BYTES, _IN_HAND = 64 << 20, 3

#: Options of a forecast that blocks take alike.
_OF_BLOCKS = ("step_sizes", "interpolation", "method", "on_divergence", "rows_per_block")


def lazily(model: FittedModel, states: Any, horizon: Horizon, options: dict[str, Any]) -> Any:
    """Return the forecast of an array of Dask as another, of which nothing is computed yet.

    Returns dask.array.Array, shape (n, n_times, ...).
    Raises ArgumentError: the states have another shape, or an option is not one of blocks.

    Parameters
    ----------
    states : dask.array.Array, shape (n, d), or (n, rows, d) with delays
        Its chunks along the first axis are the blocks; the others are made one.
    options : dict
        As of :meth:`pyhits.TimeStepper.forecast`.
    """
    settings = _settings(options)
    own, n_axes = model.coordinates, 3 if model.coordinates.state_rows > 1 else 2
    snapshot = own.snapshot if own.grid is not None else None
    if states.ndim != n_axes or states.shape[-1] != own.n_features:
        raise ArgumentError(
            f"Expected an array of {n_axes} axes, the last of {own.n_features}, got shape "
            f"{states.shape}."
        )
    dtype = as_numeric(np.empty((0, 0), states.dtype), what="The initial states").dtype
    states = states.rechunk(dict.fromkeys(range(1, n_axes), -1))
    row = (own.n_features,) if snapshot is None else snapshot
    chunks = (states.chunks[0], (len(horizon.steps),), *((size,) for size in row))
    gone, new = range(1, n_axes), range(1, len(chunks))
    return states.map_blocks(
        _forecast_block,
        model=model,
        horizon=horizon,
        settings=settings,
        row=row,
        dtype=dtype,
        chunks=chunks,
        drop_axis=list(gone),
        new_axis=list(new),
        meta=np.empty((0,) * len(chunks), dtype),
    )


def _forecast_block(
    states: np.ndarray,
    model: FittedModel,
    horizon: Horizon,
    settings: dict[str, Any],
    row: tuple[int, ...] = (),
) -> Any:
    if not len(states):
        return np.empty((0, len(horizon.steps), *row), states.dtype)
    given: dict[str, Any] = {"step_sizes": None, **settings}
    with warnings.catch_warnings():
        # Of starts outside the data is told once, not by every block.
        warnings.simplefilter("ignore", PyHiTSWarning)
        return forecast_states(model, states, horizon, inputs=None, **given)


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that blocks take; an ArgumentError names one that they do not."""
    given = {name: value for name, value in options.items() if value not in (None, False)}
    for name in given:
        if name not in _OF_BLOCKS:
            raise ArgumentError(f"{name}=... does not go with blocks of Dask; leave it away.")
    return given


@dataclass(frozen=True)
class Ensemble:
    """A forecast that the workers of a cluster write into one Zarr array."""

    model: FittedModel
    horizon: Horizon
    path: Path  # ends in .zarr; all workers must reach it
    options: dict[str, Any]  # as of :meth:`pyhits.TimeStepper.forecast`
    overwrite: bool = False

    def run(
        self,
        client: Any,
        states: np.ndarray,
        start_times: np.ndarray,
        progress: Advance | None = None,
    ) -> Any:
        """Have it computed and written; return the finished array.

        Raises CheckpointError: there is something at the path.
        Raises DivergenceError: a trajectory diverged, unless ``on_divergence`` is ``"return"``;
        nothing is left.

        Parameters
        ----------
        states : array, shape (n, d), or (n, rows, d) with delays
        start_times : array, shape (n,)
        """
        settings = _settings(self.options)
        raising = settings.pop("on_divergence", "raise") == "raise"
        path, model = as_path(self.path).resolve(), self.model
        shape = (len(states), len(self.horizon.steps), model.coordinates.n_features)
        writer = ZarrWriter(path, shape, states.dtype)
        if path.exists():
            if not (self.overwrite and is_zarr(path)):
                raise CheckpointError(
                    f"{path} is there: delete it, give another path, or replace it with "
                    "overwrite=True (--overwrite)."
                )
            shutil.rmtree(path)
        make_folder(path.parent)
        warn_outside(model, states)
        rows = max(1, _BLOCK_BYTES // (shape[1] * shape[2] * states.dtype.itemsize))
        writer.create(rows)
        settings["on_divergence"] = "return"
        # As in other files: baselines take no part.
        settings.setdefault("step_sizes", list(model.selection.step_sizes))
        job = (_pickled(model), self.horizon, settings, str(writer.part))
        lost: dict[int, Lost | None] = {}
        begins = range(0, len(states), rows)
        for begin, found in _in_any_order(client, job, states, begins, rows):
            lost[begin] = found
            if progress is not None:
                progress(min(len(states), rows * len(lost)), len(states))
        together = Lost.together([lost[begin] for begin in sorted(lost)])
        if together is not None and raising:
            shutil.rmtree(writer.part)
            raise together.error()
        own = model.coordinates
        facts = facts_of(own.dt, own.feature_names, start_times, self.horizon.at)
        writer.finish(facts | {"diverged": together and together._asdict()})
        return writer.open()


def _in_any_order(
    client: Any, job: tuple[Any, ...], states: np.ndarray, begins: range, rows: int
) -> Iterator[tuple[int, Lost | None]]:
    """Yield the beginning of each block that is written, and what of it is lost.

    A few blocks a thread are in hand, so that states travel when they are needed. Results are
    taken at once, so that a worker that dies takes those alone with it that it works on.
    """
    from distributed import as_completed

    def submit(begin: int) -> Any:
        return client.submit(_written, job, begin, states[begin : begin + rows], pure=False)

    left = iter(begins)
    threads = max(1, sum(client.nthreads().values()))
    first = [submit(begin) for begin in itertools.islice(left, _IN_HAND * threads)]
    running = as_completed(first)
    for done in running:
        yield done.result()
        begin = next(left, None)
        if begin is not None:
            running.add(submit(begin))


def _written(job: tuple[Any, ...], begin: int, states: np.ndarray) -> tuple[int, Lost | None]:
    """Compute and write a block, on a worker."""
    pickled, horizon, settings, path = job
    zarr = need("zarr", action="Writing .zarr", extra="zarr")
    block = _forecast_block(states, _model_of(pickled), horizon, settings)
    block = block.reshape(*block.shape[:2], -1)
    zarr.open_array(path, mode="r+")[begin : begin + len(states)] = block
    # What diverges is NaN from there on: the latest time tells.
    latest = int(horizon.steps.argmax())
    lost = np.flatnonzero(~np.isfinite(block[:, latest]).all(axis=1))
    if not len(lost):
        return begin, None
    steps = horizon.steps[~np.isfinite(block[lost[0]]).all(axis=1)]
    return begin, Lost(begin + int(lost[0]), math.ceil(steps.min()), len(lost))


def _pickled(model: FittedModel) -> bytes:
    import cloudpickle  # type: ignore[import-untyped]  # with Dask

    return bytes(cloudpickle.dumps(model))


@lru_cache(maxsize=2)
def _model_of(pickled: bytes) -> FittedModel:
    import pickle

    model: FittedModel = pickle.loads(pickled)
    return model
