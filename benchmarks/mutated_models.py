"""Mutated model files: each is refused in a sentence, or loads as what it was, and then works.

``python -m benchmarks.mutated_models --seed 0 --count 3000`` fits one small model of each kind and
changes their files in two ways:

* bytes: whatever loads must forecast as before, bit for bit;
* values of the metadata or tensors, with the checksum made anew, as an adversary would: whatever
  loads must show itself, forecast, evaluate and save.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import random
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import pyhits
from benchmarks.mutation import Outcome, mutate_bytes, mutate_json, summary, try_files
from pyhits.encoders import POD, Autoencoder, DelayEmbedding
from pyhits.errors import DivergenceError
from pyhits.flowmaps.tabulate import tabulate
from pyhits.hierarchy.hierarchy import Hierarchy
from pyhits.policies import arguments
from pyhits.report.text import describe, facts
from pyhits.timestepper import TimeStepper
from pyhits.util.tensorfile import read_tensors, strict, to_bytes

#: What may become of a file, beside a refusal: nothing was changed that matters; a sound model.
SOUND = ("same", "sound")


def _waves(n: int, length: int, d: int, seed: int = 0) -> np.ndarray:
    """Return decaying waves, shape ``(n, length, d)``."""
    rng = np.random.default_rng(seed)
    t = 0.1 * np.arange(length)
    phase, size = rng.uniform(0, 6, (n, 1, 1)), rng.uniform(0.5, 1.5, (n, 1, 1))
    rates = 1 + 0.2 * np.arange(d)
    return size * np.exp(-0.02 * t)[:, None] * np.cos(t[:, None] * rates + phase + np.arange(d))


def _hits(**settings: Any) -> pyhits.HiTS:
    few = {"max_steps": 20, "hidden_sizes": (6,), "flow_map": "residual"}
    values: dict[str, Any] = {"n_jobs": 1, "random_state": 0, "verbose": False}
    return pyhits.HiTS(
        **arguments(**values, **settings if "flow_map" in settings else few | settings)
    )


def _polynomial() -> TimeStepper:
    return _hits(flow_map="polynomial").fit(_waves(12, 60, 2), dt=0.1).stepper_


def _kernel() -> TimeStepper:
    return (
        _hits(flow_map="kernel", step_sizes=[1, 2], noise=False)
        .fit(_waves(6, 24, 2), dt=0.1)
        .stepper_
    )


def _nets() -> TimeStepper:
    return _hits(step_sizes=[2, 4], dense=2).fit(_waves(12, 60, 2), dt=0.1).stepper_


def _field() -> TimeStepper:
    encoder = [POD(3), DelayEmbedding(2, 2)]
    return (
        _hits(flow_map="polynomial", encoder=encoder, step_sizes=[1, 2])
        .fit(_waves(6, 60, 12), dt=0.1, grid=(3, 4))
        .stepper_
    )


def _curved() -> TimeStepper:
    encoder = Autoencoder(2, (4,), n_modes=4, max_steps=20)
    return _hits(encoder=encoder, step_sizes=[1, 2]).fit(_waves(6, 60, 6), dt=0.1).stepper_


def _driven() -> TimeStepper:
    states, force = _waves(6, 60, 2), _waves(6, 60, 1, seed=1)
    model = _hits(flow_map="polynomial", encoder=DelayEmbedding("auto"), noise=False)
    return model.fit(states, dt=0.1, inputs=force).stepper_


def _cells() -> TimeStepper:
    fitted = _hits(flow_map="polynomial", step_sizes=[1, 2], encoder=[], noise=False)
    model = fitted.fit(_waves(12, 60, 2), dt=0.1).stepper_
    rng, low, high = np.random.default_rng(0), np.full(2, -3.0), np.full(2, 3.0)

    def turn(x: np.ndarray) -> np.ndarray:
        angle = np.exp(-9 * (x**2).sum(axis=1))
        return np.stack([np.cos(angle) * x[:, 0], np.cos(angle) * x[:, 1]], axis=1)

    states = rng.uniform(low, high, (800, 2))
    table = tabulate(turn, states, low, high, tolerance=1e-6, degree=2)
    return replace(model, hierarchy=Hierarchy({**model.flow_maps, 2: table}))


def _dated() -> TimeStepper:
    months = np.arange("1990-01", "2000-01", dtype="datetime64[M]").astype(str)
    phase = 0.5 * np.arange(120)
    rows = np.stack([np.cos(phase), np.sin(phase)], axis=1)
    lines = [f"{month},{a:.6f},{b:.6f}" for month, (a, b) in zip(months, rows, strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "months.csv"
        path.write_text("\n".join(["month,x,y", *lines]), encoding="utf-8")
        data = pyhits.read(path)
    return _hits(flow_map="polynomial", step_sizes=[1, 2], noise=False).fit(data).stepper_


KINDS: dict[str, Callable[[], TimeStepper]] = {
    "polynomial": _polynomial,
    "kernel": _kernel,
    "nets": _nets,
    "field": _field,
    "curved": _curved,
    "driven": _driven,
    "cells": _cells,
    "dated": _dated,
}


@functools.cache
def model_of(kind: str) -> TimeStepper:
    """Return a model of a kind."""
    return KINDS[kind]()


def rows_of(model: TimeStepper) -> np.ndarray:
    """Return rows in the range of a model's data, shape ``(2, start_rows + 12, d)``."""
    low, high = model.summary.low, model.summary.high
    share = np.random.default_rng(0).uniform(size=(2, model.start_rows + 12, len(low)))
    return np.asarray(low + (high - low) * share)


def use(model: TimeStepper) -> np.ndarray:
    """Do with a model all that one does, and return its forecast."""
    json.dumps(facts(model), allow_nan=False)
    describe(model).encode()
    rows = rows_of(model)
    inputs = None if model.inputs is None else model.inputs.mean
    starts = rows[:, : model.start_rows] if model.start_rows > 1 else rows[:, 0]
    ahead = model.forecast(starts, 12, inputs=inputs, on_divergence="return")
    if model.calibration is not None:
        level = min(0.5, model.calibration.highest_level)
        model.forecast(starts, 1, inputs=inputs, on_divergence="return", interval=level)
    names = model.feature_names
    if model.inputs is not None:
        acting = np.broadcast_to(model.inputs.mean, (*rows.shape[:2], len(model.inputs.names)))
        rows, names = np.concatenate([rows, acting], axis=2), (*names, *model.inputs.names)
    data = pyhits.Trajectories(rows, model.dt, feature_names=list(names), axis=model.axis)
    data.axis.labels(data.times(0))
    with contextlib.suppress(DivergenceError):
        str(model.evaluate(data))
    return np.asarray(ahead)


def task(original: np.ndarray, copy: Path, path: Path) -> str:
    """Load a file; a changed model must work, an unchanged one must forecast as before."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        model = pyhits.load(path)
        try:
            found = use(model)
            pyhits.load(model.save(copy))
        except Exception as error:
            # A refusal is not enough any more.
            raise RuntimeError(f"after loading: {type(error).__name__}: {error}") from error
    return "same" if np.array_equal(found, original, equal_nan=True) else "changed"


def mutate_tensors(tensors: dict[str, Tensor], rng: random.Random) -> tuple[str, dict[str, Tensor]]:
    """Return what was done to one of the tensors, and all of them."""
    name = rng.choice(sorted(tensors))
    tensor, kind = tensors[name].clone(), rng.choice(_TENSOR_MUTATORS)
    found = dict(tensors)
    if kind == "lost":
        del found[name]
    elif kind == "renamed":
        found[f"{name}.1"] = found.pop(name)
    elif kind == "longer":
        found[name] = torch.cat([tensor, tensor]) if tensor.ndim else tensor[None]
    elif kind == "flat":
        found[name] = tensor.reshape(-1, 1)
    elif kind == "empty":
        found[name] = tensor.reshape(-1)[:0]
    elif kind == "other dtype":
        others = [torch.float16, torch.float64, torch.int8, torch.int64, torch.bool]
        found[name] = tensor.to(rng.choice([t for t in others if t != tensor.dtype]))
    elif tensor.numel():
        limits = torch.finfo if tensor.is_floating_point() else torch.iinfo
        top = limits(tensor.dtype).max
        values = [-1, 0, top, -top]
        if tensor.is_floating_point():
            values += [float("nan"), float("inf"), float("-inf")]
        tensor.view(-1)[rng.randrange(tensor.numel())] = rng.choice(values)
        found[name] = tensor
    return f"{name}: {kind}", found


_TENSOR_MUTATORS = (
    "lost", "renamed", "longer", "flat", "empty", "other dtype", "value", "value", "value",
)  # fmt: skip


def files(path: Path, rng: random.Random) -> Iterator[tuple[str, str, bytes]]:
    """Yield mutations of a model file without end: the way, what was done, and the bytes."""
    content = path.read_bytes()
    tensors, about = read_tensors(path, what="a model")
    plain = json.loads(json.dumps(strict(about)))
    while True:
        way = rng.choice(("bytes", "values", "values", "tensors"))
        if way == "bytes":
            yield way, *mutate_bytes(content, rng)
        elif way == "values":
            what, changed = mutate_json(plain, rng)
            yield way, what, to_bytes(tensors, json.dumps(changed))
        else:
            what, other = mutate_tensors(tensors, rng)
            whole = {k: v.contiguous().clone() for k, v in other.items()}
            yield way, what, to_bytes(whole, json.dumps(plain))


def run(seed: int, count: int, folder: Path, kinds: list[str]) -> Iterator[Outcome]:
    """Try ``count`` mutated files of each of the kinds in turn.

    Yields
    ------
    Outcome
        Of a file whose values were changed with the checksum made anew a working model is
        ``sound``; of one whose bytes were changed it must be the ``same``.
    """
    for k, kind in enumerate(kinds):
        share = count // len(kinds) + (k < count % len(kinds))
        path = model_of(kind).save(folder / f"{kind}.safetensors")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            original = use(pyhits.load(path))
        made = files(path, random.Random(f"{seed} {kind}"))
        ways: list[str] = []

        def some(made: Any = made, share: int = share, kind: str = kind, ways: Any = ways) -> Any:
            for _ in range(share):
                way, what, content = next(made)
                ways.append(way)
                yield f"{kind}, {way}: {what}", content

        check = functools.partial(task, original, folder / "again.safetensors")
        for outcome in try_files(check, some(), folder / "tried.safetensors"):
            works = ways[-1] != "bytes" and outcome.verdict in ("same", "changed")
            yield replace(outcome, verdict="sound") if works else outcome


def main(arguments: list[str] | None = None) -> int:
    """Run, print what became of the files, and return 1 if there are faults."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--kind", action="append", choices=list(KINDS))
    parser.add_argument("--show", type=int, default=20, help="faults that are printed")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = run(options.seed, options.count, Path(folder), options.kind or list(KINDS))
        text, faults = summary(found, sound=SOUND, examples=options.show)
    print(text)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
