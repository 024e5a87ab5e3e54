"""Does a fit keep its time limit, whatever the data? Within 15 % and 2 seconds of it.

    python -m benchmarks.time_limits                         # six kinds of data, 5, 20 and 60 s
    python -m benchmarks.time_limits --fields                # six kinds of fields
    python -m benchmarks.time_limits --limits 5 --kinds nets delays
    python -m benchmarks.time_limits --sines 16 24 64        # noisy sines of 400 rows, 10 s

A line a fit: wall and CPU seconds, threads, and how many times the limit the wall seconds are; with
--stages, the seconds of each stage and what the limit cut short. A loaded machine spoils wall
seconds: run it on an idle one, or with --cpu, where the limit is one of CPU seconds.
"""

from __future__ import annotations

import argparse
import math
import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from benchmarks.field_samples import FIELDS, Sample
from pyhits import HiTS, Trajectories, systems
from pyhits.encoders import POD, Standardise
from pyhits.policies import arguments
from pyhits.util import clock

#: What a fit may take beyond its limit: this part of it, and seconds.
PART, SECONDS = 0.15, 2.0

LIMITS = (5.0, 20.0, 60.0)


@dataclass(frozen=True)
class Case:
    """Data, and how they are fitted to."""

    data: Any
    settings: dict[str, Any] = field(default_factory=dict)
    inputs: Any = None
    grid: Any = None


def sines(n: int, n_rows: int = 400) -> Case:
    """Return sines of ``n`` frequencies in noise of 2 %."""
    t = 0.05 * np.arange(n_rows)
    clean = np.stack([np.sin((1 + 0.1 * k) * t + k) for k in range(n)], axis=1)
    noise = 0.02 * np.random.default_rng(0).standard_normal(clean.shape)
    return Case(Trajectories(clean + noise, 0.05))


def few() -> Case:
    """Return 800 rows of the Lorenz system, at a step at which small nets are tried."""
    return Case(systems.get("lorenz").simulate(1, n_steps=800, dt=0.05, random_state=0))


def nets() -> Case:
    """Return 100 trajectories of Van der Pol's oscillator, for nets."""
    data = systems.get("van-der-pol").simulate(100, n_steps=1000, random_state=0)
    return Case(data, {"flow_map": "residual"})


def delays() -> Case:
    """Return one variable with a memory: Mackey and Glass's equation, every second row of it."""
    n, lag = 12_000, 170
    x = np.full(n, 1.2)
    for k in range(lag, n - 1):
        x[k + 1] = x[k] + 0.1 * (0.2 * x[k - lag] / (1 + x[k - lag] ** 10) - 0.1 * x[k])
    return Case(Trajectories(x[2000::2, None], 0.2))


def fields() -> Case:
    """Return waves on 2,000 points, as modes."""
    t, s = 0.05 * np.arange(1500)[:, None], np.linspace(0, 2 * np.pi, 2000)
    u = sum(np.cos(k * s - (1 + 0.3 * k) * t) / k**2 for k in range(1, 9))
    return Case(Trajectories(u, 0.05), {"encoder": [POD(12), Standardise(common=True)]})


def table() -> Case:
    """Return a table of six columns, two of which act on the others."""
    rng = np.random.default_rng(0)
    u = np.repeat(rng.standard_normal((400, 2)), 10, axis=0)
    x = np.zeros((4000, 4))
    for k in range(3999):
        a, b, c, e = x[k]
        x[k + 1] = (
            a + 0.05 * b, b - 0.05 * (np.sin(a) + 0.2 * b) + 0.05 * u[k, 0],
            c + 0.05 * (a - c), e + 0.05 * (u[k, 1] - e * np.abs(c)),
        )  # fmt: skip
    names = ["angle", "speed", "heat", "level", "torque", "flow"]
    data = Trajectories(np.concatenate([x, u], axis=1), 0.05, feature_names=names)
    return Case(data, inputs=["torque", "flow"])


KINDS: dict[str, Callable[[], Case]] = {
    "noise": lambda: sines(16),
    "few": few,
    "nets": nets,
    "delays": delays,
    "fields": fields,
    "table": table,
}


def of_field(make: Callable[[], Sample]) -> Case:
    """Return a case of fields."""
    rows, grid = make()
    return Case(rows, grid=grid)


def measure(
    name: str, case: Case, limit: float | None, *, stages: bool = False, by_cpu: bool = False
) -> bool:
    """Fit, print a line, and return whether the limit was kept."""
    begin, cpu = time.perf_counter(), _cpu()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = case.settings | ({"n_jobs": 1} if by_cpu else {})
        model = HiTS(**arguments(time_limit=limit, random_state=0, verbose=False, **own))
        model.fit(case.data, inputs=case.inputs, grid=case.grid)
    wall, cpu = time.perf_counter() - begin, _cpu() - cpu
    taken = cpu if by_cpu else wall
    limit = math.inf if limit is None else limit
    kept = taken <= (1 + PART) * limit + SECONDS
    print(
        f"{name:<10} {limit:>6g} {wall:>8.1f} {cpu:>8.1f} {torch.get_num_threads():>8} "
        f"{taken / limit:>6.2f}  {'kept' if kept else 'OVERRUN'}",
        flush=True,
    )
    if stages:
        print("   ", ", ".join(f"{k} {s:.2f}" for k, s in model.stage_seconds_.items()))
        said = [note for note in model.notes_ if note.startswith("The time limit")]
        print("   ", *said, flush=True)
    return kept


def _cpu() -> float:
    """Return CPU seconds of this process and of its children that have ended."""
    return float(sum(os.times()[:4]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; 1 if a limit was overrun."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.time_limits",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--limits", nargs="+", type=float)
    parser.add_argument("--sines", nargs="+", type=int, metavar="N", help="noisy sines instead")
    parser.add_argument("--fields", nargs="*", choices=list(FIELDS), help="fields instead")
    parser.add_argument("--cpu", action="store_true", help="limits are of CPU seconds")
    parser.add_argument("--stages", action="store_true", help="seconds of each stage")
    asked = parser.parse_args(arguments)
    limits = asked.limits or ([10.0] if asked.sines else LIMITS)
    if asked.cpu:
        clock.time = SimpleNamespace(perf_counter=time.process_time)  # type: ignore[assignment]
    fields = None if asked.fields is None else asked.fields or list(FIELDS)
    cases = {f"{n} sines": sines(n) for n in asked.sines or ()} or (
        {k: KINDS[k]() for k in asked.kinds}
        if fields is None
        else {k: of_field(FIELDS[k]) for k in fields}
    )
    print(f"{'data':<10} {'limit':>6} {'wall s':>8} {'CPU s':>8} {'threads':>8} {'ratio':>6}")
    kept = [
        measure(name, case, limit, stages=asked.stages, by_cpu=asked.cpu)
        for name, case in cases.items()
        for limit in limits
    ]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    raise SystemExit(main())
