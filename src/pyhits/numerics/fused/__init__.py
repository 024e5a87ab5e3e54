"""Machine code for forecasts, made by LLVM: the extra ``fast``.

Flow maps whose arithmetic is small are stepped 32 states side by side, in vectors. Without the
extra torch steps them, with equal results up to rounding.
"""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

#: Older versions of llvmlite optimise in another way.
_OLDEST = (0, 44)


@cache
def is_installed() -> bool:
    """Whether the extra ``fast`` is there."""
    try:
        return tuple(map(int, version("llvmlite").split(".")[:2])) >= _OLDEST
    except (PackageNotFoundError, ValueError):
        return False
