"""Commands about data: the catalogue of systems, and simulating one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from pyhits.cli.options import AsJson, Out
from pyhits.cli.run import Debug, Quiet, command
from pyhits.cli.texts import numbers
from pyhits.errors import ArgumentError
from pyhits.util.atomic import check_target
from pyhits.util.checks import as_seed
from pyhits.util.progress import bar, say

if TYPE_CHECKING:
    import numpy as np


@command()
def systems(
    name: Annotated[str | None, typer.Argument(help="Show this one in full.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """List the systems that can be simulated, or show one.

    Example: pyhits systems van-der-pol
    """
    from pyhits import systems as catalogue

    if name is not None:
        system = catalogue.get(name)
        facts = {
            "name": system.name,
            "title": system.title,
            "equations": "; ".join(system.equations),
            "parameters": ", ".join(f"{k} = {v:g}" for k, v in system.parameters.items()),
            "features": ", ".join(system.feature_names or ()),
            "region": ", ".join(f"[{low:g}, {high:g}]" for low, high in system.region),
            "dt": system.dt,
            "citation": system.citation,
        }
        if as_json:
            print(json.dumps(facts, indent=2))
            return
        for key, value in facts.items():
            print(f"{key:<11} {value}")
        return
    known = [catalogue.get(n) for n in catalogue.names()]
    if as_json:
        rows = [
            {"name": s.name, "dimension": s.dimension, "dt": s.dt, "title": s.title} for s in known
        ]
        print(json.dumps(rows, indent=2))
        return
    width = max(len(s.name) for s in known)
    if not quiet:
        print(f"{'name':<{width}}  dim  {'dt':>8}  title")
    for s in known:
        print(f"{s.name:<{width}}  {s.dimension:>3}  {s.dt:>8g}  {s.title}")


@command()
def simulate(
    system: Annotated[str, typer.Argument(help="Name of a system; see `pyhits systems`.")],
    out: Out,
    trajectories: Annotated[int, typer.Option("--trajectories", "-n", help="How many.")] = 100,
    steps: Annotated[
        int | None, typer.Option("--steps", help="Steps of each; its own default otherwise.")
    ] = None,
    dt: Annotated[
        float | None, typer.Option("--dt", help="Time step; the system's own otherwise.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the initial states.")] = 0,
    noise: Annotated[
        float, typer.Option("--noise", help="Noise variance, as a fraction of the signal's.")
    ] = 0.0,
    region: Annotated[
        str | None,
        typer.Option("--region", help="Bounds of the initial states: low,high,low,high,..."),
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Simulate a system from random initial states and write the trajectories.

    Example: pyhits simulate van-der-pol --trajectories 800 --steps 5120 --seed 1 -o train.npz
    """
    from pyhits import systems as catalogue
    from pyhits.data.files import EXTENSIONS, write

    check_target(out, EXTENSIONS)
    chosen = catalogue.get(system)
    if region is not None:
        chosen = chosen.with_region(_bounds(region, chosen.dimension))
    seed = as_seed(seed, "--seed")
    with bar("simulating", verbose=not quiet) as progress:
        data = chosen.simulate(
            n_trajectories=trajectories, n_steps=steps, dt=dt, random_state=seed, progress=progress
        )
    if noise:
        data = data.add_noise(noise, random_state=seed)
    write(data, out)
    say(f"{data} written to {out}", verbose=not quiet)


def _bounds(text: str, dimension: int) -> np.ndarray:
    """Read bounds of each feature, shape ``(dimension, 2)``."""
    import numpy as np

    values = numbers(text, "--region")
    if len(values) != 2 * dimension:
        raise ArgumentError(
            f"Expected --region with {2 * dimension} numbers (low,high for each feature), got "
            f"{len(values)}."
        )
    return np.reshape(values, (-1, 2))
