"""Packages that come with an extra, imported where they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from pyhits.errors import MissingExtraError


def need(*modules: str, action: str, extra: str) -> Any:
    """Import optional packages and return the first, or say which extra installs them.

    Raises MissingExtraError: one of them is not installed.

    Parameters
    ----------
    *modules : str
        Their names; the others are what the first works with.
    action : str
        What it is for, as the beginning of a sentence: ``"Reading .h5 files"``.
    """
    found = []
    # What the first works with comes first, since it may fail in a way of its own without.
    for module in reversed(modules):
        try:
            found.append(importlib.import_module(module))
        except ImportError:
            name = module.split(".")[0]
            raise MissingExtraError(
                f'{action} needs {name}: pip install "pyhits[{extra}]"'
            ) from None
    return found[-1]
