"""Which stretches of recordings forecasts start from and are compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def evenly(n: int, most: int) -> np.ndarray:
    """Return at most ``most`` indices below ``n``, evenly spread, increasing."""
    return np.linspace(0, n - 1, min(n, most)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Stretches:
    """Stretches of trajectories that lie one below the other in packed arrays."""

    starts: np.ndarray  # int, (n,): rows that forecasts start from
    lengths: np.ndarray  # int, (n,): steps recorded after each of them
    #: Bool, (n,): which begin at the first state of their trajectory that can be forecast from.
    leading: np.ndarray

    @classmethod
    def whole(cls, offsets: np.ndarray, history: int = 1) -> Stretches:
        """Return every trajectory from its first state to its end.

        Parameters
        ----------
        offsets : array of int, shape (n_trajectories + 1,)
            Row at which each trajectory begins, and their number of rows.
        history : int
            Rows that a forecast starts from. Trajectories with no row beyond them are left out.
        """
        lengths = np.diff(offsets) - history
        long = lengths >= 1
        starts = offsets[:-1][long] + history - 1
        return cls(starts, lengths[long], np.ones(len(starts), dtype=bool))

    @classmethod
    def overlapping(cls, offsets: np.ndarray, span: int, each: int, history: int = 1) -> Stretches:
        """Return at most ``each`` stretches of at most ``span`` steps of every trajectory, evenly.

        Parameters
        ----------
        offsets, history
            As in :meth:`whole`.
        """
        whole = cls.whole(offsets, history)
        starts, lengths = [], []
        for begin, steps in zip(whole.starts, whole.lengths, strict=True):
            shifts = np.unique(np.linspace(0, max(0, steps - span), each).astype(np.int64))
            starts.append(begin + shifts)
            lengths.append(np.minimum(span, steps - shifts))
        if not starts:
            return whole
        begins = np.concatenate(starts)
        return cls(begins, np.concatenate(lengths), np.isin(begins, whole.starts))

    @classmethod
    def anywhere(cls, offsets: np.ndarray, n_steps: int, history: int = 1) -> Stretches:
        """Return stretches of ``n_steps`` from every row that has so many after it.

        Parameters
        ----------
        offsets, history
            As in :meth:`whole`.
        """
        counts = np.maximum(np.diff(offsets) - n_steps - history + 1, 0)
        number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        starts = np.repeat(offsets[:-1] + history - 1, counts) + number
        return cls(starts, np.full(len(starts), n_steps), number == 0)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, some: np.ndarray | slice) -> Stretches:
        """Return some of the stretches."""
        return Stretches(self.starts[some], self.lengths[some], self.leading[some])

    @property
    def n_steps(self) -> int:
        """Steps of the longest; 0 if there are none."""
        return int(self.lengths.max(initial=0))

    def at_most(self, count: int) -> Stretches:
        """Return at most ``count`` of them, evenly chosen."""
        return self if len(self) <= count else self[evenly(len(self), count)]

    def cut(self, n_steps: int) -> Stretches:
        """Return their first steps, at most ``n_steps``."""
        most = min(n_steps, self.n_steps)
        return Stretches(self.starts, np.minimum(self.lengths, most), self.leading)

    def states(self, values: np.ndarray) -> np.ndarray:
        """Return the states that forecasts start from; packed ``(n_rows, d)`` to ``(n, d)``."""
        return np.asarray(values[self.starts])

    def histories(self, values: np.ndarray, history: int) -> np.ndarray:
        """Return what forecasts start from: ``(n, d)``, or ``(n, history, d)`` of several rows."""
        if history == 1:
            return self.states(values)
        return np.asarray(values[self.starts[:, None] + np.arange(1 - history, 1)])

    def gather(self, values: np.ndarray) -> np.ndarray:
        """Return the rows of all stretches, NaN beyond the end of shorter ones.

        Returns array, shape (n, n_steps + 1, d): the first is the state that a forecast starts
        from. Where stretches of one length follow each other evenly, it is a read-only view.

        Parameters
        ----------
        values : array, shape (n_rows, d)
            Packed; floating if stretches differ in length.
        """
        view = self._view(values)
        if view is not None:
            return view
        steps = np.arange(self.n_steps + 1)
        beyond = steps > self.lengths[:, None]
        found = values[self.starts[:, None] + np.where(beyond, 0, steps)]
        found[beyond] = np.nan
        return np.asarray(found)

    def gather_inputs(self, inputs: np.ndarray) -> np.ndarray:
        """Return the inputs on all steps; ``(n_rows, k)`` to ``(n, n_steps, k)``.

        Beyond the end of a shorter stretch its last row is repeated: forecasts there do not count.
        """
        steps = np.minimum(np.arange(self.n_steps), self.lengths[:, None])
        return np.asarray(inputs[self.starts[:, None] + steps])

    def _view(self, values: np.ndarray) -> np.ndarray | None:
        """Return :meth:`gather` without a copy, None where there is no such view."""
        strides = np.diff(self.starts)
        if len(self) == 0 or np.ptp(self.lengths) or (len(strides) and np.ptp(strides)):
            return None
        every = int(strides[0]) if len(strides) else 0
        begin = values[self.starts[0] :]
        return np.lib.stride_tricks.as_strided(
            begin,
            (len(self), self.n_steps + 1, values.shape[1]),
            (every * values.strides[0], *values.strides),
            writeable=False,
        )
