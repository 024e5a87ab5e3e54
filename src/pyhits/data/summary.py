"""What a model remembers of its training data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from pyhits.data.trajectories import Trajectories
from pyhits.util.schema import Many, Record, Text, Whole
from pyhits.util.stored import Array, StoredRecord

#: Numbers in the last rows that tell an end from all others.
_TELLING = 64


def _told_by(n_features: int) -> int:
    """Return how many rows hold so many numbers."""
    return -(-_TELLING // n_features)


def _checksum(rows: np.ndarray) -> str:
    return hashlib.sha256(rows.astype(np.float64).tobytes()).hexdigest()


@dataclass(frozen=True, eq=False)
class Summary(StoredRecord):
    """Size, extremes and noise of training data."""

    schema: ClassVar[Record] = Record(
        {"fingerprint": Text(1, 1000), "n_trajectories": Whole(1), "n_rows": Whole(1)},
        {"findings": Many(Text(), 0, 1000), "ending": Text(0, 1000)},
    )
    arrays: ClassVar[Mapping[str, Array]] = {"low|std|high|noise": Array()}

    fingerprint: str  # of all their numbers
    n_trajectories: int
    n_rows: int
    #: low, std, high: (d,); extremes and standard deviation of each feature, in the user's units.
    low: np.ndarray
    std: np.ndarray
    high: np.ndarray
    #: (n_coordinates,): standard deviation of the noise that was taken off, of the encoded data if
    #: they were.
    noise: np.ndarray
    findings: tuple[str, ...] = ()  # what a person would object to in them
    #: Of the numbers in the last rows of the last trajectory; empty if they are not known.
    ending: str = ""

    @classmethod
    def of(cls, data: Trajectories, noise: np.ndarray, findings: tuple[str, ...] = ()) -> Summary:
        """Measure trajectories; ``noise`` was taken off before."""
        return cls(
            fingerprint=data.fingerprint(),
            n_trajectories=len(data),
            n_rows=data.n_rows,
            low=data.values.min(axis=0).astype(np.float64),
            std=data.spread().astype(np.float64),
            high=data.values.max(axis=0).astype(np.float64),
            noise=noise.astype(np.float64),
            findings=findings,
        )

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation of each feature, 1 where it is 0; shape ``(d,)``."""
        return np.where(self.std > 0, self.std, 1.0)

    def ending_as(self, rows: np.ndarray) -> Summary:
        """Return the summary with how the last recording ends, ``(time, d)``, noise and all."""
        return replace(self, ending=_checksum(rows[-_told_by(rows.shape[1]) :]))

    def row_of_the_end(self, rows: np.ndarray) -> int | None:
        """Return the row of a recording that is the last one of the training data.

        Returns int or None: None where the training data end elsewhere, or nothing is known of
        their end.

        Parameters
        ----------
        rows : array, shape (time, d)
        """
        n = _told_by(rows.shape[1])
        if not self.ending:
            return None
        ends = range(len(rows), min(n, self.n_rows) - 1, -1)
        return next(
            (k - 1 for k in ends if _checksum(rows[max(0, k - n) : k]) == self.ending), None
        )

    def of_all(self, data: Trajectories, noise: np.ndarray) -> Summary:
        """Return the summary of other data with the same findings."""
        return replace(Summary.of(data, noise), findings=self.findings)
