"""The catalogue: systems by name, the paper's six first."""

from __future__ import annotations

import unicodedata

from pyhits.errors import ArgumentError
from pyhits.systems import chaotic, mechanical, planar, stiff
from pyhits.systems.system import System
from pyhits.util.checks import suggest

#: The six systems of the paper.
PAPER = ("harmonic-oscillator", "hyperbolic", "cubic", "van-der-pol", "hopf", "lorenz")

_systems: dict[str, System] = {
    system.name: system
    for module in (planar, chaotic, mechanical, stiff)
    for system in module.SYSTEMS
}
_catalogue: dict[str, System] = {name: _systems[name] for name in (*PAPER, *_systems)}


def names() -> list[str]:
    """Return the names of all systems, the paper's six first."""
    return list(_catalogue)


def get(name: str) -> System:
    """Return a system by name; case, spaces, hyphens and accents do not matter.

    Raises
    ------
    ArgumentError
        No system of that name; the nearest one is suggested.
    """
    wanted = _plain(str(name))
    for system in _catalogue.values():
        if wanted in (_plain(system.name), _plain(system.title)):
            return system
    raise ArgumentError(f"Unknown system {name!r}{suggest(str(name).lower(), names())}")


def add(system: System, *, replace: bool = False) -> System:
    """Put a system into the catalogue, for the life of the process, and return it.

    Raises
    ------
    ArgumentError
        The name is taken and ``replace`` is not given, or the right-hand side does not accept
        states of shape ``(..., dimension)``.
    """
    if not isinstance(system, System):
        raise ArgumentError(f"Expected a System, got {type(system).__name__}.")
    if not _plain(system.name):
        raise ArgumentError(f"Expected a name with a letter or digit, got {system.name!r}.")
    system.check()
    taken = [known for known in _catalogue if _plain(known) == _plain(system.name)]
    if taken and not replace:
        raise ArgumentError(
            f"A system named {taken[0]!r} is registered already; pass replace=True to replace it."
        )
    for known in taken:
        del _catalogue[known]
    _catalogue[system.name] = system
    return system


def _plain(name: str) -> str:
    """Return a name without case, accents and whatever is no letter or digit."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if letter.isalnum())
