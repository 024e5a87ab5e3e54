"""Forecasts larger than memory: written block by block, and continued where they were stopped."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyhits.data.files.guard import as_path
from pyhits.errors import ArgumentError, CheckpointError, DivergenceError, FileFormatError
from pyhits.hierarchy.divergence import Lost
from pyhits.hierarchy.forecast import PARTS, Forecaster
from pyhits.hierarchy.writers import WRITERS, Writer
from pyhits.util.atomic import first_line, make_folder
from pyhits.util.progress import Advance, say

#: Version of the record beside a file; files with that of another are not continued.
_FORMAT = 1


@dataclass
class ToFile:
    """Keeps a forecast in a file; see :data:`pyhits.hierarchy.forecast.Keep`.

    The file has its name once it is complete. Until then it is called ``<path>.part``, beside a
    record ``<path>.json`` of which forecast it is and how many trajectories are in it. The record
    of an .npy file stays; that of a Zarr array goes into its attributes. A block is on the disk
    before the record counts it.

    Parameters
    ----------
    path : str or path
        Ends in .npy or .zarr.
    start_times : array, shape (n,), optional
        0 by default. Kept with the states, as a single number where all are equal.
    overwrite : bool
        Replace what is there if it is not this forecast.
    verbose : bool
        Say what is complete when it stops early.
    """

    path: str | os.PathLike[str]
    dt: float
    feature_names: Sequence[str]
    start_times: np.ndarray | None = None
    overwrite: bool = False
    verbose: bool = True

    def __call__(
        self, forecaster: Forecaster, initial_states: np.ndarray, progress: Advance | None
    ) -> Any:
        """Write what is missing, and return the file's array without loading it.

        Raises ArgumentError: the extension is another, or a folder is in the way.
        Raises CheckpointError: the file holds another forecast, or something else.
        Raises FileFormatError: it cannot be written, or the disk is full; what is complete is kept.
        Raises DivergenceError: as :class:`Forecaster`; what is complete is kept.
        Raises MissingExtraError: zarr is not installed.
        """
        path = as_path(self.path)
        if path.suffix.lower() not in WRITERS:
            raise ArgumentError(f"Expected {str(path)!r} to end in {' or '.join(WRITERS)}.")
        shape = (len(initial_states), forecaster.n_times, initial_states.shape[-1])
        writer = WRITERS[path.suffix.lower()](path, shape, initial_states.dtype)
        asked = self._record(forecaster, initial_states)
        try:
            make_folder(path.parent)
            record = self._found(writer, asked)
            if record["diverged"] is not None and forecaster.on_divergence == "raise":
                raise Lost(**record["diverged"]).error()
            if not writer.is_finished(record):
                self._fill(writer, record, forecaster, initial_states, progress)
                writer.finish(record)
                if record["diverged"] is not None:
                    lost = Lost(**record["diverged"])
                    text = f"{lost.n_lost:,} trajectories diverged, the first {lost.trajectory}"
                    say(f"{text} at step {lost.step}: NaN from there on.", verbose=self.verbose)
            return writer.open()
        except FileFormatError:
            raise
        except OSError as error:
            raise FileFormatError(f"Cannot write {path}: {first_line(error)}.") from error

    def _record(self, forecaster: Forecaster, initial_states: np.ndarray) -> dict[str, Any]:
        """Return the record of this forecast when nothing of it is written."""
        starts = np.zeros(1) if self.start_times is None else self.start_times
        facts = facts_of(self.dt, self.feature_names, starts, forecaster.at)
        return {
            "pyhits": _FORMAT,
            **facts,
            "complete": 0,
            "trajectories": len(initial_states),
            "diverged": None,
            "forecast": fingerprints(forecaster, initial_states)
            | {"dt, names or times": _digest(json.dumps(facts).encode())},
        }

    def _found(self, writer: Writer, asked: dict[str, Any]) -> dict[str, Any]:
        """Return the record to go on from; refuse or delete what is not of this forecast."""
        record = writer.read_record()
        others = _differences(record, asked)
        if not others and (
            writer.is_finished(record)
            or (not writer.path.exists() and writer.reopen(int(record["complete"])))
        ):
            return record
        there = next((path for path in (writer.part, writer.path) if path.exists()), None)
        if there is None and (not writer.record_file.exists() or "pyhits" in record):
            return asked
        if not self.overwrite:
            raise CheckpointError(
                f"{there or writer.record_file} is not of this forecast ("
                f"{', '.join(others) or 'it has changed since'}): delete it, give another path, or "
                "replace it with overwrite=True (--overwrite)."
            )
        writer.remove()
        return asked

    def _fill(
        self,
        writer: Writer,
        record: dict[str, Any],
        forecaster: Forecaster,
        initial_states: np.ndarray,
        progress: Advance | None,
    ) -> None:
        """Write the missing trajectories; whatever stops it, say what is there."""
        where = f"of this forecast are in {writer.part}"
        try:
            if record["complete"]:
                say(f"Continuing: {_state(record)} {where}.", verbose=self.verbose)
            _write(writer, record, forecaster, initial_states, progress)
        except KeyboardInterrupt:
            say(
                f"Stopped: {_state(record)} {where}; call again with the same arguments to "
                "continue.",
                verbose=self.verbose,
            )
            raise
        except DivergenceError as error:
            record["diverged"] = Lost(error.trajectory, error.step, 1)._asdict()
            writer.write_record(record)
            say(f"Stopped: {_state(record)} {where}.", verbose=self.verbose)
            raise
        except OSError as error:
            raise FileFormatError(
                f"Cannot write {writer.part}: {first_line(error).rstrip('.')}. {_state(record)} "
                f"{where}; make room and call again with the same arguments to continue."
            ) from error


def facts_of(
    dt: float, feature_names: Sequence[str], start_times: np.ndarray, at: np.ndarray | None
) -> dict[str, Any]:
    """Return what is kept beside the states of a forecast.

    Parameters
    ----------
    start_times : array, shape (n,)
    at : array, shape (m,), or None
        Times of the states in multiples of ``dt``; None for all steps.
    """
    same = bool((start_times == start_times[0]).all())
    facts: dict[str, Any] = {
        "dt": dt,
        "feature_names": list(feature_names),
        "start_times": float(start_times[0]) if same else start_times.tolist(),
    }
    if at is not None:
        facts["times"] = (at * dt).tolist()
    return facts


def fingerprints(forecaster: Forecaster, initial_states: np.ndarray) -> dict[str, Any]:
    """Return what tells one forecast from another, by name; as JSON values.

    What changes the states by rounding alone is left out: device, threads, block sizes, compiling.
    """
    maps = hashlib.sha256()
    for size, flow_map in sorted(forecaster.stepper.flow_maps.items()):
        maps.update(f"{size} {type(flow_map).__name__} {flow_map.config()}".encode())
        for name, tensor in flow_map.state_dict().items():
            values = tensor.detach().cpu().contiguous().numpy()
            maps.update(f"{name} {values.dtype} {values.shape}".encode() + values.tobytes())
    for statistic in (forecaster.scaling.mean_, forecaster.scaling.scale_):
        maps.update(statistic.tobytes())
    if forecaster.encoder is not None:
        maps.update(repr(forecaster.encoder).encode())
        for name, array in sorted(forecaster.encoder.state().items()):
            maps.update(f"{name} {array.shape}".encode() + array.tobytes())
    states = np.ascontiguousarray(initial_states)
    shape = f"{states.dtype} {states.shape}".encode()
    return {
        "initial states": _digest(shape + states.tobytes()),
        "weights": maps.hexdigest(),
        "step sizes": list(forecaster.stepper.sizes),
        "n_steps": forecaster.n_steps,
        "times": None if forecaster.at is None else _digest(forecaster.at.tobytes()),
        "inputs": None if forecaster.inputs is None else _digest(forecaster.inputs.tobytes()),
        "interpolation": forecaster.interpolation,
        "method": forecaster.method,
    }


def _write(
    writer: Writer,
    record: dict[str, Any],
    forecaster: Forecaster,
    initial_states: np.ndarray,
    progress: Advance | None,
) -> None:
    """Compute block after block, each while the one before is being written."""
    n, done = len(initial_states), int(record["complete"])
    bytes_each = writer.shape[1] * writer.shape[2] * writer.dtype.itemsize
    size = forecaster.chunk * max(
        1, forecaster.stepper.batching.file_bytes // (forecaster.chunk * bytes_each)
    )
    free = shutil.disk_usage(writer.path.parent).free
    if free < (n - done) * bytes_each:
        raise OSError(
            f"{(n - done) * bytes_each / 1e6:,.1f} MB are to be written, {free / 1e6:,.1f} MB free"
        )
    lost = record["diverged"]
    # What stopped an earlier call lies ahead, and is found again.
    lost = Lost(**lost) if lost is not None and lost["trajectory"] < done else None
    if not done:
        writer.create(rows=size // PARTS if size % PARTS == 0 else size)

    def save(begin: int, block: np.ndarray, lost: Lost | None) -> None:
        writer.write(begin, block)
        record["complete"] = begin + len(block)
        record["diverged"] = None if lost is None else lost._asdict()
        writer.write_record(record)

    def wait(written: Future[None]) -> None:
        written.result()
        if progress is not None:
            progress(record["complete"], n)

    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(writer.write_record, record)
        for begin in range(done, n, size):
            part = initial_states[begin : begin + size]
            block = np.empty((len(part), *writer.shape[1:]), dtype=writer.dtype)
            lost = Lost.together([lost, forecaster(part, block, first=begin)])
            wait(written)
            written = pool.submit(save, begin, block, lost)
        wait(written)


def _differences(record: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """Return in what the forecast of a record differs from the one asked for."""
    found, wanted = record.get("forecast"), asked["forecast"]
    if record.get("pyhits") != _FORMAT or not isinstance(found, dict):
        return ["it has no record that this version knows"]
    if not isinstance(record.get("complete"), int) or "diverged" not in record:
        return ["its record is damaged"]
    holds = "" if record["complete"] == asked["trajectories"] else f"{_state(record)} of one with "
    others = [f"other {name}" for name in wanted if found.get(name) != wanted[name]]
    return [holds + others[0], *others[1:]] if others else []


def _state(record: dict[str, Any]) -> str:
    return f"{record['complete']:,} of {record['trajectories']:,} trajectories"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
