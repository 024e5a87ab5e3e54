"""The SHA-256 of what PyHiTS keeps in safetensors files: of metadata and of all arrays."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

#: The text begins with the checksum of all else.
_CHECKSUM = re.compile(r'\{"sha256": "([0-9a-f]{64})"(?:, )?')

#: Name, dtype as torch names it, shape and bytes of a tensor.
Content = tuple[str, str, list[int], Any]


def checksum(text: str, contents: Iterable[Content]) -> str:
    """Return the SHA-256 of metadata, and of names, dtypes, shapes and bytes of all tensors.

    Parameters
    ----------
    text : str
        The metadata without their checksum.
    contents : iterable of (str, str, list of int, buffer)
        Sorted by name. Nothing is copied: of files they are hashed from the page cache.
    """
    digest = hashlib.sha256()
    digest.update(text.encode())
    for *about, content in contents:
        digest.update(json.dumps(about).encode())
        if content is not None:
            digest.update(content)
    return digest.hexdigest()


def with_checksum(text: str, contents: Iterable[Content]) -> str:
    """Return the JSON text of an object with the checksum before all else."""
    separator = "" if text[1] == "}" else ", "
    return f'{{"sha256": "{checksum(text, contents)}"{separator}{text[1:]}'


def expected_checksum(text: str) -> tuple[str, str] | None:
    """Return the checksum that metadata begin with, and the text that it is of."""
    found = _CHECKSUM.match(text)
    return None if found is None else (found[1], f"{{{text[found.end() :]}")


def verify(expected: tuple[str, str], contents: Iterable[Content]) -> None:
    """Raise a ValueError if tensors and metadata are not those of the checksum.

    Parameters
    ----------
    expected : (str, str)
        Of :func:`expected_checksum`.
    contents : as of :func:`checksum`
    """
    if checksum(expected[1], contents) != expected[0]:
        raise ValueError("its content does not agree with its checksum")
