"""Count what the checks of data find, and their false alarms, over seeds.

    python -m benchmarks.diagnostics                    # 40 seeds of each, minutes
    python -m benchmarks.diagnostics --seeds 5 --first 1000

Prints for each kind of data how often it is said, and for sound data how often anything is. Those
marked ``*`` were left aside while the thresholds were chosen. The last lines are of validation data
that repeat training data, and of other recordings of the same kind, which do not.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import Counter
from collections.abc import Callable

import numpy as np

from benchmarks.odd_data import UNSOUND
from benchmarks.signals import Maker
from benchmarks.sound_data import SOUND, catalogued
from pyhits import systems
from pyhits.data.diagnostics import compare, examine
from pyhits.data.trajectories import Trajectories

#: Noise on catalogued systems: standard deviations of 0, 1 and 2 %.
LEVELS = (0.0, 1e-4, 4e-4)

#: Other kinds that say the same of these data.
ALSO = {"regime": {"glued", "growing"}}


def counted(maker: Maker, seeds: range, look: Callable[[Trajectories], set[str]]) -> Counter[str]:
    """Return how often each kind was said of data of these seeds; ``-`` for nothing."""
    found: Counter[str] = Counter()
    for seed in seeds:
        found.update(look(maker(np.random.default_rng([seed, 7]))) or {"-"})
    return found


def kinds(data: Trajectories) -> set[str]:
    """Return what is said of data."""
    return {finding.kind for finding in examine(data)}


def copies(level: float | None) -> Callable[[Trajectories], set[str]]:
    """Return what is said of a copied stretch with noise, or with None of the rest of the data."""

    def look(data: Trajectories) -> set[str]:
        if level is None:
            half = len(data) // 2
            found = compare(data[:half], data[half:])
        else:
            length = int(0.3 * data.lengths.min())
            part = data.cut(max(2, length), length)
            part = part.add_noise(level**2, random_state=0) if level else part
            found = compare(data, part)
        return {finding.kind for finding in found}

    return look


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--first", type=int, default=1000)
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    warnings.simplefilter("ignore")
    begin, total = time.process_time(), Counter()
    for kind, makers in UNSOUND.items():
        for name, maker in makers.items():
            found = counted(maker, seeds, kinds)
            right = sum(found[one] for one in {kind, *ALSO.get(kind, set())})
            print(f"{kind:11s} {name:28s} {right:4d} of {len(seeds)}   {dict(found)}", flush=True)
    catalogue = {
        f"{n}, {level**0.5:.0%}": catalogued(n, level) for n in systems.names() for level in LEVELS
    }
    for name, maker in {**SOUND, **catalogue}.items():
        found = counted(maker, seeds, kinds)
        wrong = len(seeds) - found["-"]
        where = "catalogue" if name in catalogue else "sound *" if name.endswith("*") else "sound"
        total.update({where: len(seeds), f"{where}, false": wrong})
        print(f"{where:11s} {name:28s} {wrong:4d} of {len(seeds)}   {dict(found)}", flush=True)
    for level in (0.0, 1e-3, 1e-2, None):
        label = "no copies" if level is None else f"copies, noise {level:g}"
        several = {n: _several(n) for n in systems.names()}
        found = sum((counted(m, seeds, copies(level)) for m in several.values()), Counter())
        print(f"repeated    {label:28s} {found['repeated']:4d} of {len(several) * len(seeds)}")
    for where in ("sound", "sound *", "catalogue"):
        print(f"false alarms, {where}: {total[f'{where}, false']} of {total[where]}")
    print(f"{time.process_time() - begin:.0f} CPU seconds")


def _several(name: str) -> Maker:
    def make(rng: np.random.Generator) -> Trajectories:
        seed = int(rng.integers(1 << 30))
        system = systems.get(name)
        accurate = system.integrator(rtol=1e-8, atol=1e-10)
        return system.simulate(4, 600, 5 * system.dt, random_state=seed, integrator=accurate)

    return make


if __name__ == "__main__":
    main()
