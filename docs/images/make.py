"""Draw the README's figure: error against time of every scale alone and of all coupled.

    python docs/images/make.py [error.svg]

A small training on the Duffing oscillator; under a minute on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl

import pyhits
from pyhits.plots import blank, save_figure


def main() -> None:
    """Train, evaluate every scale alone and the coupling, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, default=Path(__file__).parent / "error.svg")
    out = parser.parse_args().out
    system = pyhits.systems.get("duffing")
    train, validation, test = (
        system.simulate(n, 2048, random_state=seed) for seed, n in enumerate((100, 30, 30))
    )
    model = pyhits.HiTS(
        [1, 8, 64, 256],
        flow_map=pyhits.Nets((64, 64)),
        training=pyhits.Training(max_steps=2000),
        random_state=0,
        n_jobs=1,
    )
    model.fit(train, validation=validation)
    coupled = model.evaluate(test)
    single = {size: model.evaluate(test, step_sizes=[size]) for size in model.flow_maps_}
    for size, result in single.items():
        print(f"step size {size:>4} alone: mse {result.mse:.1e}")
    print(f"coupled {', '.join(map(str, coupled.step_sizes))}: mse {coupled.mse:.1e}")
    # Equal runs give equal files.
    with mpl.rc_context({"svg.hashsalt": "pyhits"}):
        beside = {f"{size} alone": result for size, result in single.items()}
        save_figure(coupled.plot(beside, ax=blank()), out)


if __name__ == "__main__":
    main()
