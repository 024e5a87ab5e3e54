"""What a result was made with."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from pyhits._version import __version__

_PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "safetensors")


def environment() -> dict[str, str]:
    """Return versions, processor and threads, by name."""
    import torch

    facts = {"pyhits": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            facts[name] = "unknown"
    facts["system"] = f"{platform.system()} {platform.machine()}"
    facts["cores"] = str(os.cpu_count())
    facts["torch threads"] = str(torch.get_num_threads())
    return facts
