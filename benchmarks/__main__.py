"""Run the benchmarks, print tables of ratios, write JSON and figures.

    python -m benchmarks                     # all of them, about half an hour on 2 cores
    python -m benchmarks --quick             # smaller trainings and fewer repeats, under 5 minutes
    python -m benchmarks forecast solvers --out benchmarks/results

Everything is measured in this one run and process, on the same problem, contestants taking turns.
"Times faster" is the other row's median over this row's. A loaded machine spoils times, and
ratios less.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console

from benchmarks import figures
from benchmarks.record import Record
from benchmarks.registry import Benchmark, benchmarks
from benchmarks.tables import print_bars, print_table
from benchmarks.timing import THREADS, load, processor
from pyhits.report.page import environment
from pyhits.util.atomic import write_bytes

_PACKAGES = ("numba", "jax", "diffrax", "torchdiffeq", "joblib")


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks named on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", help="which to run; all by default")
    parser.add_argument("--quick", action="store_true", help="in minutes, with less behind it")
    parser.add_argument(
        "--out", type=Path, default=Path("benchmarks/results"), help="folder for JSON and figures"
    )
    parser.add_argument("--list", action="store_true", help="say which there are")
    options = parser.parse_args(arguments)
    known = benchmarks()
    console = Console(width=None if sys.stdout.isatty() else 160)
    if options.list:
        widest = max(map(len, known))
        for name, module in known.items():
            print(f"{name:<{widest}}  {_headline(module)}")
        return 0
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"unknown benchmark {unknown[0]!r}; there are {', '.join(known)}")
    chosen = {name: known[name] for name in options.names or known}
    options.out.mkdir(parents=True, exist_ok=True)
    facts = _facts(options.quick)
    console.print(", ".join(f"{key} {value}" for key, value in facts.items()), markup=False)
    records: list[Record] = []
    for name, module in chosen.items():
        begin = time.perf_counter()
        found = module.run(options.quick, options.out)
        seconds = time.perf_counter() - begin
        title = f"{_headline(module)} [{name}, {seconds:.0f} s, load {load()}]"
        console.print()
        print_table(console, title, found)
        records += found
        _write(options.out / "benchmarks.json", facts, records)
    solved = [r for r in records if r.benchmark in ("forecast", "solvers")]
    timed = [r for r in solved if r.seconds and not r.name.startswith("multiply-adds")]
    if timed:
        title = "320 trajectories x 5120 steps, Van der Pol (threads)"
        figures.save(figures.times(timed, title), options.out, "forecast")
    console.print()
    print_bars(console, records)
    console.print(f"Written to {options.out}.", markup=False)
    return 0


def _headline(module: Benchmark) -> str:
    return (module.__doc__ or "").strip().splitlines()[0]


def _facts(quick: bool) -> dict[str, str]:
    """Return what the measurements depend on."""
    facts = environment() | {"mode": "quick" if quick else "full", "threads": str(THREADS)}
    facts |= {"processor": processor(), "load at the start": load()}
    facts["platform"] = platform.platform()
    for name in _PACKAGES:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            facts[name] = "not installed"
    return facts


def _write(path: Path, facts: dict[str, str], records: list[Record]) -> None:
    """Write everything measured so far."""
    content = {"environment": facts, "records": [r.as_dict() for r in records]}
    write_bytes(path, json.dumps(content, indent=1, allow_nan=False).encode())


if __name__ == "__main__":
    sys.exit(main())
