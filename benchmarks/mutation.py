"""Mutated files, tried in a child process that may neither hang, fill the memory nor die unseen.

Shared by :mod:`benchmarks.mutated_models` and :mod:`benchmarks.mutated_data`.
"""

from __future__ import annotations

import copy
import itertools
import multiprocessing
import random
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pyhits.errors import PyHiTSError

#: What a JSON leaf, or a cell of a table, may be replaced with.
HOSTILE: tuple[Any, ...] = (
    None,
    True,
    False,
    -1,
    0,
    1,
    2**31,
    2**63,
    10**30,
    -(2**63) - 1,
    0.5,
    -0.0,
    1e-320,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "0",
    "NaN",
    "1e999",
    "\x1b[31mred\x07\r\n",
    "\u202eabc\ud83d\ude00",
    "x" * 100_000,
    "../../etc/passwd",
    [],
    {},
    [[]],
    [None],
    {"": None},
    [0] * 10_000,
    [1e308, "a", {}],
)


def mutate_bytes(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Return what was done to a file's bytes, and the result; never the bytes as they were."""
    while True:
        name, change = rng.choice(_BYTE_MUTATORS)
        found = change(bytearray(content), rng)
        if found != content:
            return name, bytes(found)


def _flip_bit(data: bytearray, rng: random.Random) -> bytearray:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def _change_bytes(data: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 2, 4, 16)) if data else 0):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return data


def _change_head(data: bytearray, rng: random.Random) -> bytearray:
    """Change bytes of the first kilobyte, where most formats say what they are."""
    for _ in range(rng.choice((1, 2, 8)) if data else 0):
        data[rng.randrange(min(len(data), 1024))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
    return data


def _truncate(data: bytearray, rng: random.Random) -> bytearray:
    return data[: rng.randrange(len(data) + 1)]


def _cut_out(data: bytearray, rng: random.Random) -> bytearray:
    first, last = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    last = min(last, first + rng.choice((1, 2, 4, 64, len(data) + 1)))
    return data[:first] + data[last:]


def _insert(data: bytearray, rng: random.Random) -> bytearray:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.randbytes(rng.choice((1, 2, 8, 512))) + data[at:]


def _repeat(data: bytearray, rng: random.Random) -> bytearray:
    first, last = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:last] + data[first:last] + data[last:]


def _blank(data: bytearray, rng: random.Random) -> bytearray:
    first = rng.randrange(len(data) + 1)
    last = min(len(data), first + rng.choice((4, 8, 256, len(data) + 1)))
    data[first:last] = bytes([rng.choice((0, 0x20, 0xFF))]) * (last - first)
    return data


def _append(data: bytearray, rng: random.Random) -> bytearray:
    return data + rng.randbytes(rng.choice((1, 7, 8, 4096)))


_BYTE_MUTATORS: tuple[tuple[str, Callable[[bytearray, random.Random], bytearray]], ...] = (
    ("bit", _flip_bit),
    ("bytes", _change_bytes),
    ("head", _change_head),
    ("truncated", _truncate),
    ("cut", _cut_out),
    ("inserted", _insert),
    ("repeated", _repeat),
    ("blank", _blank),
    ("appended", _append),
)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value in JSON, lists and objects included, the whole first."""
    yield path
    if isinstance(value, (dict, list)):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(part, (*path, key))


def mutate_json(value: Any, rng: random.Random) -> tuple[str, Any]:
    """Return what was done to JSON values, and a copy in which one of them is replaced or lost."""
    path = rng.choice(list(leaves(value)))
    found = copy.deepcopy(value)
    hostile = copy.deepcopy(rng.choice(HOSTILE))
    where = "".join(f"[{key!r}]" for key in path)
    if not path:
        return f"all={_short(hostile)}", hostile
    parent = found
    for key in path[:-1]:
        parent = parent[key]
    if rng.random() < 0.15:
        del parent[path[-1]]
        return f"{where} lost", found
    parent[path[-1]] = hostile
    return f"{where}={_short(hostile)}", found


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes
    ----------
    name : str
        The file and what was done to it.
    verdict : str
        ``refused`` with a PyHiTSError; ``foreign`` with another error; ``hang``; ``died``; or what
        the task returned.
    detail : str
        The error's text.
    seconds : float
        CPU seconds.
    memory : int
        Most bytes that were held at a time, beyond those held before.
    """

    name: str
    verdict: str
    detail: str
    seconds: float
    memory: int


def try_files(
    task: Callable[[Path], str],
    files: Iterable[tuple[str, bytes]],
    path: Path,
    *,
    seconds: float = 20.0,
    memory: int = 2 << 30,
) -> Iterator[Outcome]:
    """Write each file to ``path`` and do ``task`` with it in a child process.

    Parameters
    ----------
    task : callable
        Takes the path, returns a verdict; its PyHiTSErrors are refusals.
    files : iterable of (name, content)
    path : Path
        Its extension matters to most readers.
    seconds : float
        CPU seconds after which the child is ended, as one that hangs.
    memory : int
        Bytes that it may reserve beyond what it has; more is a MemoryError.
    """
    child: _Child | None = None
    try:
        for name, content in files:
            path.write_bytes(content)
            child = child or _Child(task, path, seconds, memory)
            found = child.try_once()
            if isinstance(found, str):
                child.end()
                child = None
                yield Outcome(name, found, "", seconds, 0)
            else:
                yield Outcome(name, *found)
    finally:
        if child is not None:
            child.end()


class _Child:
    """A process that does the task again and again; forked, so that it imports nothing anew."""

    def __init__(
        self, task: Callable[[Path], str], path: Path, seconds: float, memory: int
    ) -> None:
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve, args=(task, path, seconds, memory, theirs), daemon=True
        )
        self.process.start()
        theirs.close()
        self.patience = 60 * seconds  # wall time, on however busy a machine

    def try_once(self) -> tuple[str, str, float, int] | str:
        try:
            self.pipe.send(True)
            if not self.pipe.poll(self.patience):
                return "hang"
            found: tuple[str, str, float, int] = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(10)
            return "hang" if self.process.exitcode == -signal.SIGPROF else "died"
        return found

    def end(self) -> None:
        self.pipe.close()
        self.process.kill()
        self.process.join()


def _serve(
    task: Callable[[Path], str], path: Path, seconds: float, memory: int, pipe: Connection
) -> None:
    """Do the task whenever asked; the signal of the timer ends the process."""
    with suppress(OSError, ValueError):
        room = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (room + memory, resource.RLIM_INFINITY))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    while True:
        try:
            pipe.recv()
        except EOFError:
            return
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # the highest memory begins anew
        before, begin = _highest_memory(), time.process_time()
        signal.setitimer(signal.ITIMER_PROF, seconds)
        try:
            verdict, detail = task(path), ""
        except PyHiTSError as error:
            verdict, detail = "refused", str(error)
        except BaseException as error:
            verdict, detail = "foreign", f"{type(error).__name__}: {error}"[:500]
        signal.setitimer(signal.ITIMER_PROF, 0)
        pipe.send((verdict, detail, time.process_time() - begin, _highest_memory() - before))


def _highest_memory() -> int:
    """Return the most bytes of memory that were used, since they were last counted anew."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def summary(
    outcomes: Iterable[Outcome], *, sound: Iterable[str], seconds: float = 2.0, examples: int = 20
) -> tuple[str, list[Outcome]]:
    """Return a text on what became of the files, and the outcomes that are faults.

    Parameters
    ----------
    sound : iterable of str
        Verdicts that are right, beside ``refused``.
    seconds : float
        CPU seconds beyond which an outcome is a fault.
    """
    known = list(outcomes)
    allowed = {"refused", *sound}
    faults = [o for o in known if o.verdict not in allowed or o.seconds > seconds]
    counts = Counter(o.verdict for o in known)
    slowest = max(known, key=lambda o: o.seconds)
    largest = max(known, key=lambda o: o.memory)
    lines = [
        f"{len(known)} files: " + ", ".join(f"{n} {v}" for v, n in sorted(counts.items())),
        f"slowest {slowest.seconds:.2f} s ({slowest.name}); "
        f"most memory {largest.memory / 1e6:.0f} MB ({largest.name})",
        f"{len(faults)} faults",
    ]
    lines += [
        f"  {o.name}: {o.verdict}, {o.seconds:.2f} s {o.detail[:200]}"
        for o in itertools.islice(faults, examples)
    ]
    return "\n".join(lines), faults
