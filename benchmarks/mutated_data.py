"""Mutated data files: each is read, or refused in a sentence, soon and in little memory.

``python -m benchmarks.mutated_data --count 3000 --seed 0``

Sound files of every format are changed: bits, bytes, blocks, lengths, header fields; members of
zips, which their checksums would protect, before they are packed; separators, quotes, numbers and
encodings of tables. A child process reads each with :func:`pyhits.read`, and as ``repair`` does.
"""

from __future__ import annotations

import argparse
import io
import random
import struct
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import pyhits
from benchmarks.data_samples import samples
from benchmarks.mutation import Outcome, mutate_bytes, summary, try_files
from pyhits.data.files import read_raw
from pyhits.errors import PyHiTSError

#: Bytes beyond which reading a file of some kilobytes takes too much memory.
MOST_MEMORY = 256 << 20

#: What whole numbers in headers are replaced with.
_EXTREMES = (0, 1, 2, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1)

#: What fields of tables are replaced with.
_FIELDS = (
    *("", " ", "-", "nan", "NA", "inf", "-inf", "1e999", "1e-999", "1e308", "0x10", "1_0", "--1"),
    *("1,5", "1.5.2", "1e", "+", "1d3", "1D+3", "True", "9" * 5000, "a" * 200_000),
    *("2020-13-45", "2020-02-30", "31.02.2020", "24:61", "9999999-01-01", "0000-00-00", "\ufeff1"),
    *("\0", "\x1b[31m", '"', '""', '"a', "'", "#", "%", "=1+1", "\u2028", "\U0001f600", "\x85"),
    *("1.5 m", "$3", "1 000", "1'000", "\xbd", "\u0663", "\uff11", "\u066b", "\u22121", "1;2"),
    *("1\t2", "1 2", "\\", "null", "t"),
)


def mutate_table(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Return what was done to a text table, and the result."""
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    text = content.decode(encoding)
    kind = rng.choice(("field", "fields", "lines", "separator", "ends", "quotes", "encoding"))
    lines = text.split("\n")
    if kind in ("field", "fields"):
        for _ in range(1 if kind == "field" else 8):
            k = rng.randrange(len(lines))
            separator = next((s for s in ";,\t " if s in lines[k]), ",")
            fields = lines[k].split(separator)
            fields[rng.randrange(len(fields))] = rng.choice(_FIELDS)
            lines[k] = separator.join(fields)
    elif kind == "lines":
        for _ in range(rng.choice((1, 3, 10))):
            k = rng.randrange(len(lines))
            extra = rng.choice(
                ("", lines[k], lines[0], lines[k] * 3, lines[k][: len(lines[k]) // 2])
            )
            lines[k : k + rng.choice((0, 1))] = [extra] * rng.choice((0, 1, 2, 200))
    text = "\n".join(lines)
    if kind == "separator":
        old, new = (
            rng.choice(",;\t ."),
            rng.choice((",", ";", "\t", " ", "|", ":", ",,", "\0", '"')),
        )
        text = text.replace(old, new, rng.choice((1, 7, -1)))
    elif kind == "ends":
        text = text.replace(
            "\n", rng.choice(("\r", "\r\n", "\r\r\n", "\n\n", "\n\r", "", "\v", "\f"))
        )
    elif kind == "quotes":
        k = rng.randrange(len(text))
        text = text[:k] + rng.choice(('"', '"\n"', "'", '""', '",', "#", "%", "\\")) + text[k:]
    elif kind == "encoding":
        encoding = rng.choice(("utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "utf-7", "cp037"))
        text = text.replace("a", rng.choice(("a", "\xe4", "\u6642")), 1)
    return kind, text.encode(encoding, errors="replace")


def mutate_number(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Return a file in which one or two whole numbers of 1 to 8 bytes are extreme."""
    data = bytearray(content)
    done = []
    for _ in range(rng.choice((1, 1, 2))):
        size = rng.choice((1, 2, 4, 8))
        near_end = rng.random() < 0.2
        reach = min(len(data), rng.choice((128, 1024, 16384)))
        at = max(0, len(data) - reach if near_end else 0) + rng.randrange(reach)
        at -= at % size if rng.random() < 0.5 else 0
        value = rng.choice(_EXTREMES) & (256**size - 1)
        packed = value.to_bytes(size, rng.choice(("little", "big")))
        data[at : at + size] = packed
        done.append(f"{value} at {at}")
    return ", ".join(done), bytes(data)


def mutate_members(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Return a zip in which one member is mutated before it is packed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(members))
    done, members[name] = _mutate_array(members[name], rng)
    if rng.random() < 0.1:
        members[rng.choice(("../evil.npy", "t.npy", "pyhits.npy", "a/b.npy"))] = members[name]
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")
        for member, data in members.items():
            archive.writestr(member, data)
    return f"{name}: {done}", stream.getvalue()


def _mutate_array(content: bytes, rng: random.Random) -> tuple[str, bytes]:
    """Return a .npy with another header, or other bytes."""
    if rng.random() < 0.5:
        return rng.choice((mutate_bytes, mutate_number))(content, rng)
    length = struct.unpack("<H", content[8:10])[0]
    shape = rng.choice(
        ("(0,)", "()", "(-1,)", "(10**9, 10**9)", "(2**40,)", "(5,)", "(4, 2)", "'a'")
    )
    descr = rng.choice(("'<f8'", "'|O'", "'<f2'", "'>c16'", "'|S5'", "'<U7'", "'|b1'", "'<M8[s]'"))
    more = rng.choice(("", "", ", 'x': 1", ", " * 9, "}" * 3, "[" * 3000))
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}{more}}}\n".encode()
    return header.decode()[:60], content[:8] + struct.pack("<H", len(header)) + header + (
        content[10 + length :]
    )


def mutants(
    name: str, extension: str, content: bytes, count: int, seed: int
) -> Iterator[tuple[str, bytes]]:
    """Yield ``count`` mutated files of one sample; each follows from the seed and its number."""
    for k in range(count):
        rng = random.Random(f"{seed} {name} {k}")
        ways = [mutate_bytes, mutate_number]
        if extension in (".csv", ".tsv", ".txt", ".dat"):
            ways = [mutate_bytes, mutate_table, mutate_table, mutate_table]
        elif extension == ".npz":
            ways = [mutate_bytes, mutate_members, mutate_members]
        elif extension == ".npy":
            ways = [mutate_bytes, _mutate_array]
        done, changed = rng.choice(ways)(content, rng)
        yield f"{name} {k} ({done})", changed


def attempt(path: Path) -> str:
    """Read a file as ``read`` does, and as ``repair`` does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refused: PyHiTSError | None = None
        try:
            data = pyhits.read(path)
            if not np.isfinite(data.values).all():
                return "not finite"
        except PyHiTSError as error:
            if not str(error).strip() or "\n" in str(error).strip():
                return "no sentence"
            refused = error
        read_raw(path)
        if refused is not None:
            raise refused
    return "read"


def run(count: int, seed: int, only: str = "", keep: Path | None = None) -> list[Outcome]:
    """Try ``count`` mutated files over all samples whose name holds ``only``."""
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        chosen = {n: s for n, s in samples(folder).items() if only in n}
        for number, (name, (extension, content)) in enumerate(chosen.items()):
            share = count * (number + 1) // len(chosen) - count * number // len(chosen)
            files = list(mutants(name, extension, content, share, seed))
            path = folder / f"mutant{extension}"
            for (_, changed), outcome in zip(
                files, try_files(attempt, files, path, memory=1 << 30), strict=True
            ):
                outcomes.append(outcome)
                if keep is not None and is_fault(outcome):
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{name}.{len(outcomes)}{extension}").write_bytes(changed)
    return outcomes


def is_fault(outcome: Outcome) -> bool:
    """Tell whether a file was neither read nor refused soon and in little memory."""
    sound = outcome.verdict in ("read", "refused")
    return not sound or outcome.seconds > 2 or outcome.memory > MOST_MEMORY


def main() -> int:
    """Try the files, and print what became of them; 1 if any was a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="samples whose name holds this")
    parser.add_argument("--keep", type=Path, help="a folder for the files that are faults")
    options = parser.parse_args()
    outcomes = run(options.count, options.seed, options.only, options.keep)
    print(summary(outcomes, sound=["read"])[0])
    faults = [outcome for outcome in outcomes if is_fault(outcome)]
    for fault in faults:
        if fault.memory > MOST_MEMORY:
            print(f"  {fault.name}: {fault.memory / 1e6:.0f} MB")
    print(f"{len(faults)} neither read nor refused in 2 s and {MOST_MEMORY >> 20} MB")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
