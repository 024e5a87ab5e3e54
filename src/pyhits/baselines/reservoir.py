"""Echo state networks: random reservoirs that read the rows, and a readout by ridge regression."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np

from pyhits.baselines.chosen import ChosenBaseline, Option, Tried
from pyhits.baselines.origins import Origins
from pyhits.baselines.simple import BASELINES
from pyhits.numerics.ridge_path import ridge_path
from pyhits.numerics.rollout import DIVERGED
from pyhits.util.stored import Array

#: Units of a reservoir, units that feed each, and reservoirs that are averaged.
_UNITS, _FAN, _MEMBERS = 100, 6, 3

#: Percent: spectral radius, leak and scale of the rows, as they are tried.
_SHAPES = ((90, 100, 50), (90, 30, 50))

#: Relative ridges tried, as powers of ten.
_RIDGES = (-4, -7, -10)

#: Rows that fill the memory before the readout counts, and rows that it learns from, at most.
_WARM, _MOST_ROWS = 50, 2_000


@BASELINES.register
class EchoState(ChosenBaseline):
    """Changes from row to row read out of random reservoirs (Jaeger 2001), on average over a few.

    Attributes
    ----------
    option_ : tuple of int
        Spectral radius, leak and scale of the rows in percent, exponent of the ridge without its
        sign.
    readout_ : array, shape (members, 1 + d + units, d)
    """

    kind: ClassVar[str] = "echo state"
    most_features = 4096
    arrays: ClassVar[Mapping[str, Array]] = {
        **ChosenBaseline.arrays,
        "sources": Array(3, ("I64",)),
        **dict.fromkeys(("values", "feeds", "readout"), Array(3)),
    }
    default = (*_SHAPES[0], -_RIDGES[0])
    limits = (1, 1000), (1, 100), (1, 1000), (0, 16)
    cost = 5

    @property
    def label(self) -> str:
        """Name in a table, with the units."""
        return f"{self.kind} ({_MEMBERS} of {_UNITS} units)"

    @property
    def n_rows(self) -> int:
        """Rows that a forecast looks at."""
        return _WARM

    def _tried(self, train: Sequence[np.ndarray], origins: Origins) -> Iterator[Tried]:
        if origins.rows < _WARM or max(map(len, train)) < 4 * _WARM:
            return
        for shape in _SHAPES:
            network = _Network.drawn(train[0].shape[1], shape)
            memory = network.read(origins.history[:, -_WARM:])
            for power, readout in zip(_RIDGES, network.fit(train, _RIDGES), strict=True):
                last = origins.history[:, -1]
                ahead = network.ahead(memory, last, origins.horizon, readout)
                yield Tried((*shape, -power), ahead)

    def _solve(self, train: Sequence[np.ndarray], option: Option) -> None:
        network = _Network.drawn(train[0].shape[1], option[:3])
        self.sources_, self.values_, self.feeds_ = network.sources, network.values, network.feeds
        self.readout_ = network.fit(train, (-option[3],))[0]

    @property
    def n_parameters_(self) -> int:
        """Numbers of the readout."""
        return int(self.readout_.size)

    def _on(self, rows: np.ndarray, n_steps: int) -> np.ndarray:
        network = _Network(self.sources_, self.values_, self.feeds_, self.option_[1] / 100)
        memory = network.read(rows[:, -_WARM:])
        return network.ahead(memory, rows[:, -1], n_steps, self.readout_)

    def _fits(self) -> bool:
        d, (members, units) = self.n_features_in_, self.values_.shape[:2]
        return (
            self.sources_.shape == self.values_.shape
            and self.feeds_.shape == (members, units, 1 + d)
            and self.readout_.shape == (members, 1 + d + units, d)
            and bool(self.sources_.min() >= 0 and self.sources_.max() < units)
        )


@dataclass(frozen=True, eq=False)
class _Network:
    """Several reservoirs."""

    #: Int, (members, units, fan): units that feed each unit, with weights ``values`` of the same
    #: shape.
    sources: np.ndarray
    values: np.ndarray
    feeds: np.ndarray  # (members, units, 1 + d): weights of a constant and of a row
    leak: float

    @classmethod
    def drawn(cls, d: int, shape: Sequence[int]) -> _Network:
        """Return random reservoirs of a spectral radius, a leak and a scale, in percent."""
        radius, leak, scale = (k / 100 for k in shape)
        sources, values, rng = _reservoirs()
        feeds = scale * rng.uniform(-1.0, 1.0, (_MEMBERS, _UNITS, 1 + d))
        return cls(sources, values * (radius / _radii())[:, None, None], feeds, leak)

    @property
    def dense(self) -> np.ndarray:
        """Weights between units as matrices, ``(members, units, units)``."""
        return _as_matrices(self.sources, self.values)

    def _step(self, memory: np.ndarray, rows: np.ndarray, dense: np.ndarray) -> np.ndarray:
        """Return the next memory ``(members, n, units)``, of rows ``(members or 1, n, d)``."""
        fed = memory @ dense + rows @ self._of_rows + self._constant
        return np.asarray((1 - self.leak) * memory + self.leak * np.tanh(fed))

    @property
    def _of_rows(self) -> np.ndarray:
        return self.feeds[:, :, 1:].transpose(0, 2, 1)

    @property
    def _constant(self) -> np.ndarray:
        return self.feeds[:, None, :, 0]

    def _memories(self, rows: np.ndarray) -> np.ndarray:
        """Return the memory after each row; ``(n, time, d)`` to ``(time, members, n, units)``."""
        dense = self.dense.transpose(0, 2, 1)
        members, units, _ = self.sources.shape
        fed = rows.transpose(1, 0, 2)[:, None] @ self._of_rows + self._constant
        found = np.empty((rows.shape[1], members, len(rows), units))
        memory = np.zeros((members, len(rows), units))
        for k in range(rows.shape[1]):
            new = np.tanh(memory @ dense + fed[k])
            memory = new if self.leak == 1 else (1 - self.leak) * memory + self.leak * new
            found[k] = memory
        return found

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the memory after all rows ``(n, time, d)``: ``(members, n, units)``."""
        return np.asarray(self._memories(rows)[-1])

    def fit(self, train: Sequence[np.ndarray], ridges: Sequence[int]) -> np.ndarray:
        """Return readouts under each ridge, ``(ridges, members, 1 + d + units, d)``."""
        designs, changes = [], []
        room = _MOST_ROWS
        for one in reversed([one for one in train if len(one) > _WARM + 1]):
            rows = one[-max(room, _WARM + 2) :]
            room -= len(rows)
            memories = self._memories(rows[None, :-1])[_WARM:, :, 0]
            given = np.broadcast_to(rows[_WARM:-1, None], (*memories.shape[:2], rows.shape[1]))
            ones = np.ones((*memories.shape[:2], 1))
            designs.append(np.concatenate([ones, given, memories], axis=2))
            changes.append(np.diff(rows[_WARM:], axis=0))
            if room < _WARM:
                break
        d, (members, units, _) = train[0].shape[1], self.sources.shape
        if not designs:
            return np.zeros((len(ridges), members, 1 + d + units, d))
        design, targets = np.concatenate(designs), np.concatenate(changes)
        penalties = [10.0**power for power in ridges]
        return ridge_path(design.swapaxes(0, 1), targets, penalties, products=True)

    def ahead(
        self, memory: np.ndarray, last: np.ndarray, n_steps: int, readout: np.ndarray
    ) -> np.ndarray:
        """Step on from a memory and last rows ``(n, d)``; the mean of all, ``(n, n_steps, d)``."""
        dense = self.dense.transpose(0, 2, 1)
        d = last.shape[1]
        rows = np.broadcast_to(last, (len(memory), *last.shape))
        found = np.empty((n_steps, *last.shape))
        with np.errstate(over="ignore", invalid="ignore"):
            for k in range(n_steps):
                change = rows @ readout[:, 1 : 1 + d] + memory @ readout[:, 1 + d :]
                rows = rows + change + readout[:, :1]
                rows = np.where(np.abs(rows) < DIVERGED, rows, np.nan)
                found[k] = rows.mean(axis=0)
                memory = self._step(memory, rows, dense)
        return found.transpose(1, 0, 2)


def _reservoirs() -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Return the units that feed each unit, their weights, and what draws the rest."""
    rng = np.random.default_rng(0)
    sources = rng.integers(0, _UNITS, (_MEMBERS, _UNITS, _FAN))
    return sources, rng.uniform(-1.0, 1.0, sources.shape), rng


@cache
def _radii() -> np.ndarray:
    """Return the spectral radii of the reservoirs as they are drawn, ``(members,)``."""
    sources, values, _ = _reservoirs()
    return np.asarray(np.abs(np.linalg.eigvals(_as_matrices(sources, values))).max(axis=1))


def _as_matrices(sources: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return weights between units as matrices, ``(members, units, units)``."""
    members, units, _ = sources.shape
    found = np.zeros((members, units, units))
    m, k, _ = np.ogrid[:members, :units, :1]
    np.add.at(found, (m, k, sources), values)
    return found
