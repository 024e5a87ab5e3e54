"""How the texts of options are read."""

from __future__ import annotations

from typing import Any

from pyhits.errors import ArgumentError


def how_to_select(text: str, option: str = "--selection") -> str | list[int]:
    """Read ``"speed"``, or ``"1,16"``."""
    return whole_numbers(text, option) if text[:1].isdigit() else text


def whole_numbers(text: str, option: str) -> list[int]:
    """Read ``"1,2,4"``."""
    try:
        return [int(part) for part in text.replace(" ", ",").split(",") if part]
    except ValueError:
        raise ArgumentError(
            f"Expected {option} to be whole numbers such as 1,2,4, got {text!r}."
        ) from None


def numbers(text: str, option: str) -> list[float]:
    """Read ``"0.5,1,2"``."""
    try:
        values = [float(part) for part in text.replace(" ", ",").split(",") if part]
    except ValueError:
        values = []
    if not values:
        raise ArgumentError(f"Expected {option} to be numbers such as 0.5,1, got {text!r}.")
    return values


def named_numbers(texts: list[str] | None, option: str) -> dict[str, float]:
    """Read ``["mu=2", "rho=28"]``."""
    values = {}
    for text in texts or []:
        name, _, value = text.partition("=")
        try:
            values[name.strip()] = float(value)
        except ValueError:
            raise ArgumentError(f"Expected {option} name=value, got {text!r}.") from None
    return values


def names(text: str, option: str) -> list[str]:
    """Read ``"t,x,y"``."""
    return [part.strip() for part in text.split(",")]


def column(text: str, option: str) -> str | int:
    """Read ``"clock"``, the name of a column, or ``"2"``, its number."""
    return int(text) if text.isdigit() else text


def stretch(text: str, option: str) -> tuple[float, float]:
    """Read ``"2,4.5"``, from when to when."""
    found = numbers(text, option)
    if len(found) != 2:
        raise ArgumentError(f"Expected {option} as two times in seconds, 2,4.5, got {text!r}.")
    return found[0], found[1]


def part(text: str, option: str) -> float | int:
    """Read ``"0.2"``, a share of the rows, or ``"50"``, a number of them."""
    try:
        rows = int(text) if text.strip().isdigit() else float(text)
    except ValueError:
        rows = 0
    if not (0 < rows < 1 or (isinstance(rows, int) and rows > 0)):
        raise ArgumentError(
            f"Expected {option} to be a share of the rows such as 0.2, or a number of them such as "
            f"50, got {text!r}."
        )
    return rows


def widths(text: str, option: str) -> list[int] | dict[int, list[int]]:
    """Read ``"64,64"``, of all nets, or ``"1=256,4=64x64"``, by step size."""
    if "=" not in text:
        return whole_numbers(text, option)
    found: dict[int, list[int]] = {}
    for entry in text.replace(" ", ",").split(","):
        size, _, layers = entry.partition("=")
        try:
            step, of_it = int(size), [int(width) for width in layers.split("x")]
        except ValueError:
            raise ArgumentError(
                f"Expected {option} to be widths such as 64,64, or such by step size, "
                f"1=256,4=64x64, got {entry!r}."
            ) from None
        if step in found:
            raise ArgumentError(f"{option} has step size {step} twice.")
        found[step] = of_it
    return found


def as_it_is(value: Any, option: str) -> Any:
    """Return the value."""
    return value
