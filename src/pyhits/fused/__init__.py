"""Machine code for forecasts, made by LLVM: the extra ``fast``.

Flow maps whose arithmetic is small are stepped 32 states side by side, in vectors. Without the
extra torch steps them, with equal results up to rounding.
"""

from functools import cache
from importlib.util import find_spec


@cache
def is_installed() -> bool:
    """Whether the extra ``fast`` is there."""
    return find_spec("llvmlite") is not None
