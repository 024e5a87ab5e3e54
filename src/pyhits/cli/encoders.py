"""Encoders as the command line spells them: ``pod=64``, ``delay=5x10``, ``standardise=common``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

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
        "delay=auto, autoencoder=8, standardise=common, angle=heading:360 (a turn of "
        "360), positive=mass,price, fraction=share or bounded=level:0:5; repeat it, in the "
        "order in which they apply. auto alone takes delays if they help, none alone never does.",
    ),
]


def parse_encoders(texts: list[str] | None) -> list[Encoder] | str | None:
    """Return the encoders that ``--encoder`` names, in its order, or ``"auto"``; [] for ``none``.

    Raises ArgumentError: a name or a value is none; what is known is listed.
    """
    alone = texts[0].strip().lower() if texts and len(texts) == 1 else ""
    if alone == "auto":
        return "auto"
    if alone == "none":
        return []
    return [_encoder(text) for text in texts] if texts else None


def _encoder(text: str) -> Encoder:
    name, equals, value = (part.strip() for part in text.partition("="))
    name = name.lower()
    value = value if name in _OF_FEATURES else value.lower()
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


def _of_features(value: str, n_numbers: tuple[int, ...], spelling: str) -> tuple[Any, list[float]]:
    """Return the features of ``a,b:1:2``, None for none, and the numbers after them."""
    names, *numbers = value.split(":")
    try:
        found = [float(number) for number in numbers]
        if len(found) not in n_numbers:
            raise ValueError
    except ValueError:
        raise ArgumentError(f"Expected --encoder {spelling}, got {value!r}.") from None
    features = [one.strip() for one in names.split(",") if one.strip()]
    return features or None, found


def _angle(value: str) -> Encoder:
    from pyhits.encoders import Angle

    spelling = "angle=heading:360, names of angles and the length of a turn if not 2 pi"
    features, turn = _of_features(value, (0, 1), spelling)
    return Angle(features, *turn)


def _positive(value: str) -> Encoder:
    from pyhits.encoders import Bounded

    return Bounded(_of_features(value, (0,), "positive=mass,price, names of features")[0])


def _fraction(value: str) -> Encoder:
    from pyhits.encoders import Bounded

    features, _ = _of_features(value, (0,), "fraction=share, names of features")
    return Bounded(features, high=1.0)


def _bounded(value: str) -> Encoder:
    from pyhits.encoders import Bounded

    features, bounds = _of_features(value, (1, 2), "bounded=level:0:5, names and one or two bounds")
    return Bounded(features, *bounds)


def _lengths(value: str) -> tuple[int, ...]:
    lengths = tuple(int(part) for part in value.split("x"))
    if min(lengths) < 1:
        raise ValueError
    return lengths


#: Encoders of features, whose names keep their case.
_OF_FEATURES = ("angle", "positive", "fraction", "bounded")

_MAKERS: dict[str, Callable[[str], Encoder]] = {
    "pod": _pod,
    "delay": _delay,
    "autoencoder": _autoencoder,
    "standardise": _standardise,
    "angle": _angle,
    "positive": _positive,
    "fraction": _fraction,
    "bounded": _bounded,
}
