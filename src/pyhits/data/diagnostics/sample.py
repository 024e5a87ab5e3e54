"""The part of the data that checks look at: whole where it is small, evenly chosen where not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pyhits.data.stretches import evenly
from pyhits.data.trajectories import Trajectories

#: Features, trajectories and numbers that are looked at, at most; of long trajectories stretches.
MOST_FEATURES, MOST_TRAJECTORIES, MOST_NUMBERS, N_STRETCHES = 64, 64, 1 << 20, 8

#: A feature most of whose rows repeat the row before is a level that is set, not a state.
_SET_SHARE = 0.5


@dataclass(frozen=True)
class Sample:
    """Stretches of consecutive rows."""

    pieces: tuple[np.ndarray, ...]  # each, (n_rows, d): float64
    #: trajectories, first_rows: Where each piece begins.
    trajectories: tuple[int, ...]
    first_rows: tuple[int, ...]
    names: tuple[str, ...]  # of the features looked at
    inputs: tuple[bool, ...]  # which of them are inputs: known, and not judged
    #: n_trajectories, n_features: Of the data as a whole.
    n_trajectories: int
    n_features: int

    @classmethod
    def of(cls, data: Trajectories, inputs: Sequence[str] = ()) -> Sample:
        """Choose evenly what is looked at."""
        columns = evenly(data.n_features, MOST_FEATURES)
        chosen = evenly(len(data), MOST_TRAJECTORIES)
        most = max(256, MOST_NUMBERS // (len(columns) * len(chosen)))
        pieces, numbers, firsts = [], [], []
        for k in chosen.tolist():
            rows = data[k]
            if len(rows) <= most:
                starts, length = [0], len(rows)
            else:
                length = most // N_STRETCHES
                starts = np.linspace(0, len(rows) - length, N_STRETCHES).astype(int).tolist()
            for start in starts:
                part = rows[start : start + length]
                part = part if len(columns) == part.shape[1] else part[:, columns]
                pieces.append(np.asarray(part, dtype=np.float64))
                numbers.append(k)
                firsts.append(int(start))
        names = tuple(data.feature_names[k] for k in columns)
        return cls(
            tuple(pieces),
            tuple(numbers),
            tuple(firsts),
            names,
            tuple(name in inputs for name in names),
            len(data),
            data.n_features,
        )

    @property
    def judged(self) -> list[int]:
        """Columns of the features that are no inputs."""
        return [k for k, is_input in enumerate(self.inputs) if not is_input]

    def moving(self) -> list[int]:
        """Return the columns of judged features that move, and are not merely set at times."""
        steps = self.steps()
        if not len(steps):
            return []
        at_rest = (steps == 0).mean(axis=0)
        return [k for k in self.judged if at_rest[k] <= _SET_SHARE]

    def set_levels(self) -> list[int]:
        """Return the columns that keep a value for a while and are then set to another."""
        steps = self.steps()
        if not len(steps):
            return []
        at_rest = (steps == 0).mean(axis=0)
        return [k for k in range(len(self.names)) if _SET_SHARE < at_rest[k] < 1]

    def steps(self) -> np.ndarray:
        """Return all differences of neighbouring rows, ``(n, d)``."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.concatenate([np.diff(piece, axis=0) for piece in self.pieces])

    def without(self, names: Sequence[str]) -> Sample:
        """Return the sample without some features."""
        keep = [k for k, name in enumerate(self.names) if name not in names]
        return self.take(keep)

    def take(self, columns: Sequence[int]) -> Sample:
        """Return the sample of some columns."""
        return replace(
            self,
            pieces=tuple(piece[:, columns] for piece in self.pieces),
            names=tuple(self.names[k] for k in columns),
            inputs=tuple(self.inputs[k] for k in columns),
        )

    def scaled(self) -> Sample:
        """Return the sample with every feature's bulk, from 5 to 95 %, of length one."""
        rows = np.concatenate(self.pieces)
        low, middle, high = np.quantile(rows, [0.05, 0.5, 0.95], axis=0)
        width = high - low
        spread = rows.std(axis=0)
        width = np.where(width > 0, width, np.where(spread > 0, 3 * spread, 1.0))
        return replace(self, pieces=tuple((piece - middle) / width for piece in self.pieces))
