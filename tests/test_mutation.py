"""Mutated files and the child process that they are tried in."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.mutation import leaves, mutate_bytes, mutate_json, summary, try_files
from pyhits.errors import PyHiTSError


def test_mutations_follow_from_the_seed_and_always_change_something() -> None:
    content, plain = b"hello, this is a file", {"a": [1, {"b": "c"}], "d": None}
    first, again = random.Random(1), random.Random(1)
    for _ in range(200):
        kind, found = mutate_bytes(content, first)
        assert found != content
        assert (kind, found) == mutate_bytes(content, again)
    assert list(leaves(plain)) == [(), ("a",), ("a", 0), ("a", 1), ("a", 1, "b"), ("d",)]
    for _ in range(200):
        assert repr(mutate_json(plain, first)) == repr(mutate_json(plain, again))
    assert plain == {"a": [1, {"b": "c"}], "d": None}


def _task(path: Path) -> str:
    content = path.read_bytes()
    if content == b"refused":
        raise PyHiTSError("as it should be")
    if content == b"foreign":
        raise ValueError("as it should not")
    if content == b"hang":
        while True:
            pass
    if content == b"died":
        os._exit(1)
    return content.decode()


def test_every_file_has_an_outcome_whatever_it_does_to_the_process(tmp_path: Path) -> None:
    wanted = ["same", "refused", "foreign", "hang", "died", "same"]
    files = [(name, name.encode()) for name in wanted]
    found = list(try_files(_task, files, tmp_path / "file", seconds=0.2))
    assert [outcome.verdict for outcome in found] == wanted
    text, faults = summary(found, sound=["same"])
    assert [fault.name for fault in faults] == ["foreign", "hang", "died"]
    assert "6 files" in text
    assert "ValueError: as it should not" in text
