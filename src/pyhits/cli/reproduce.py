"""The command that reproduces the paper's study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pyhits.cli.run import Debug, Quiet, command

Budget = Annotated[
    str,
    typer.Option(
        "--budget", help="quick, standard (the paper's data), or paper (its training too)."
    ),
]
Sequences = Annotated[
    list[str] | None,
    typer.Option(
        "--sequence",
        help="Of table1, table3, table4 and fig7: ks, music, fluid or video; may be repeated.",
    ),
]
Recipe = Annotated[
    str | None, typer.Option("--recipe", help="pyhits, or paper; by default as the budget has it.")
]
Audio = Annotated[Path | None, typer.Option("--audio", help="A WAV file in place of the fugue.")]
Video = Annotated[Path | None, typer.Option("--video", help="A film in place of the flower.")]
CacheFolder = Annotated[
    Path | None, typer.Option("--cache", help="Folder of fitted models; the platform's by default.")
]


@command()
def reproduce(
    name: Annotated[
        str, typer.Argument(help="A figure or table of the paper, such as fig5 or table6, or all.")
    ],
    budget: Budget = "standard",
    recipe: Recipe = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")] = Path(
        "reproduce"
    ),
    seed: Annotated[int, typer.Option("--seed", help="Seed of data and training.")] = 0,
    sequence: Sequences = None,
    audio: Audio = None,
    video: Video = None,
    cache: CacheFolder = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make a figure or table of the paper, print it with the paper's numbers, and write it.

    Models are fitted once and kept; a run that was stopped continues.

    Example: pyhits reproduce table6 --budget quick
    """
    from pyhits.paper import Cache, Study
    from pyhits.paper import reproduce as make
    from pyhits.paper.printed import SEQUENCES
    from pyhits.paper.registry import get

    if name != "all":
        get(name)
    study = Study(
        budget,
        recipe=recipe,
        seed=seed,
        cache=Cache(cache),
        audio=audio,
        video=video,
        verbose=not quiet,
        sequences=sequence or SEQUENCES,
    )
    make(name, study, out)
