"""Measured ratios of every version, kept in ``benchmarks/history``, and a plot over them.

    python -m benchmarks.history keep            # the last run, from benchmarks/results
    python -m benchmarks.history plot --out benchmarks/results

A file a version, ``<version>+<commit>.json``: rows that are ratios, their seconds and errors, and
what they depend on. Seconds are of the machine of that day; ratios,
measured in one run, are what can be compared.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

from benchmarks import figures

_HERE = Path(__file__).parent / "history"

#: What is kept of a row, and of what a run depends on.
_ROW = ("benchmark", "name", "seconds", "error", "value", "ratio", "ratio_to", "threads")
_FACTS = ("pyhits", "python", "torch", "numpy", "numba", "processor", "threads", "mode")
_FACTS += ("load at the start",)


def keep(results: Path, folder: Path) -> Path:
    """Keep the ratios of a run; return the file.

    Parameters
    ----------
    results : Path
        The ``benchmarks.json`` of ``python -m benchmarks``.
    folder : Path
    """
    found = json.loads(results.read_text())
    number, commit, date = _git("rev-list", "--count", "HEAD"), *_head()
    facts = {name: found["environment"].get(name) for name in _FACTS}
    rows = [
        {name: _short(record[name]) for name in _ROW if record.get(name) not in (None, "")}
        for record in found["records"]
        if record.get("ratio") is not None
    ]
    content = {"commit": commit, "number": int(number), "date": date, **facts, "rows": rows}
    path = folder / f"{facts['pyhits']}+{commit}.json"
    folder.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path


def read(folder: Path) -> list[dict[str, Any]]:
    """Return what is kept, the oldest first."""
    found = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    return sorted(found, key=lambda one: int(one["number"]))


def plot(versions: list[dict[str, Any]], out: Path) -> None:
    """Draw how many times faster than its rival each row is, over versions."""
    names = sorted({(r["name"], r["ratio_to"]) for one in versions for r in one["rows"]})
    ours = [name for name in names if name[0].startswith("PyHiTS")]
    figure, axis = figures.new(8.0, 4.5)
    for colour, name in zip(figures.shades(len(ours)), ours, strict=True):
        points = [
            (k, row["ratio"])
            for k, one in enumerate(versions)
            for row in one["rows"]
            if (row["name"], row["ratio_to"]) == name
        ]
        axis.plot(*zip(*points, strict=True), "o-", color=colour, label=f"{name[0]} / {name[1]}")
    axis.set_xticks(range(len(versions)), [f"{one['pyhits']}+{one['commit']}" for one in versions])
    axis.set(yscale="log", ylabel="times faster", title="Ratios of one run, over versions")
    axis.legend(fontsize=6, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figures.save(figure, out, "history")


def _short(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _head() -> tuple[str, str]:
    commit, date = _git("log", "-1", "--format=%h %cs").split()
    return commit, date


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=_HERE.parent, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def main() -> None:
    """Keep a run, or draw all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("keep", "plot"))
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/benchmarks.json"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    if options.what == "keep":
        print(keep(options.results, _HERE))
    else:
        options.out.mkdir(parents=True, exist_ok=True)
        plot(read(_HERE), options.out)


if __name__ == "__main__":
    main()
