"""Encoders as the command line spells them: ``pod=64``, ``delay=5x10``, ``standardise=common``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from pyhits.errors import ArgumentError
from pyhits.util.checks import as_choice

if TYPE_CHECKING:
    from pyhits.encoders import Encoder

EncoderTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--encoder",
        help="pod=64 (modes), pod=0.999 (energy), delay=5, delay=5x10 (lag 10), "
        "delay=auto, autoencoder=8, standardise=common or flatten=20x25; repeat it, in the order "
        "in which they apply. auto alone takes delays if they help, none alone never does.",
    ),
]


def snapshot_of(encoders: list[Encoder] | str | None) -> tuple[int, ...] | None:
    """Return the shape of snapshots that a first ``flatten`` says, for reading them."""
    from pyhits.encoders import Flatten

    first = encoders[0] if isinstance(encoders, list) and encoders else None
    return first.snapshot if isinstance(first, Flatten) else None


def parse_encoders(texts: list[str] | None) -> list[Encoder] | str | None:
    """Return the encoders that ``--encoder`` names, in its order, or ``"auto"``; [] for ``none``.

    Raises
    ------
    ArgumentError
        A name or a value is none; what is known is listed.
    """
    alone = texts[0].strip().lower() if texts and len(texts) == 1 else ""
    if alone == "auto":
        return "auto"
    if alone == "none":
        return []
    return [_encoder(text) for text in texts] if texts else None


def _encoder(text: str) -> Encoder:
    name, equals, value = (part.strip().lower() for part in text.partition("="))
    make = _MAKERS[as_choice(name, "encoder", _MAKERS)]
    if equals and not value:
        raise ArgumentError(f"--encoder {text} ends before its value.")
    return make(value)


def _pod(value: str) -> Encoder:
    from pyhits.encoders import POD

    if not value:
        return POD()
    try:
        return POD(_lengths(value)[0]) if value.isdigit() else POD(energy=_share(value))
    except ValueError:
        raise ArgumentError(
            f"Expected --encoder pod=64, a number of modes, or pod=0.999, the share of the "
            f"variance to keep, got pod={value}."
        ) from None


def _share(value: str) -> float:
    share = float(value)
    if not 0 < share <= 1:
        raise ValueError
    return share


def _delay(value: str) -> Encoder:
    from pyhits.encoders import DelayEmbedding

    try:
        if value == "auto":
            return DelayEmbedding("auto")
        n_delays, *lag = _lengths(value)
        if len(lag) > 1:
            raise ValueError
    except ValueError:
        raise ArgumentError(
            "Expected --encoder delay=5, a number of rows, delay=auto, or delay=5x10, with a lag "
            f"of 10 rows, got {f'delay={value}' if value else 'delay'}."
        ) from None
    return DelayEmbedding(n_delays, *lag)


def _autoencoder(value: str) -> Encoder:
    from pyhits.encoders import Autoencoder

    try:
        (n_components,) = _lengths(value)
    except ValueError:
        raise ArgumentError(
            "Expected --encoder autoencoder=8, a number of coordinates, got "
            f"{f'autoencoder={value}' if value else 'autoencoder'}."
        ) from None
    return Autoencoder(n_components)


def _standardise(value: str) -> Encoder:
    from pyhits.encoders import Standardise

    known = ("each", "common")
    return Standardise(common=as_choice(value or "each", "way to standardise", known) == "common")


def _flatten(value: str) -> Encoder:
    from pyhits.encoders import Flatten

    try:
        return Flatten(_lengths(value))
    except ValueError:
        raise ArgumentError(
            f"Expected --encoder flatten=20x25, the shape of a snapshot, got {value!r}."
        ) from None


def _lengths(value: str) -> tuple[int, ...]:
    lengths = tuple(int(part) for part in value.split("x"))
    if min(lengths) < 1:
        raise ValueError
    return lengths


_MAKERS: dict[str, Callable[[str], Encoder]] = {
    "pod": _pod,
    "delay": _delay,
    "autoencoder": _autoencoder,
    "standardise": _standardise,
    "flatten": _flatten,
}
