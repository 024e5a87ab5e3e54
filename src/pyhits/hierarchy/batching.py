"""How many states are stepped at once: pieces that stay in cache, in memory, and in one thread."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Batching:
    """Sizes of the pieces that forecasts are cut into."""

    #: Bytes that one layer of a block may take, as measured: larger ones leave the caches, smaller
    #: ones spend the time on calls.
    cache_bytes: int = 2 << 20
    #: Bytes of one layer of a block up to which all buffers are kept for the next call; of larger
    #: ones those of one thread.
    kept_bytes: int = 1 << 18
    chunk_bytes: int = 32 << 20  # bytes of encoded states worked on at a time, beside the result
    file_bytes: int = 32 << 20  # bytes of states computed before they are written to a file, about
    #: Multiply-adds of one step of a batch from which two threads gain, as measured.
    shared_work: int = 6_000_000
    #: Bounds of the number of rows that ``shared_work`` may come to.
    shared_rows: tuple[int, int] = (64, 4_096)
    #: Such steps that each thread must have at least, or starting it does not pay.
    shared_steps: int = 32
    #: Multiply-adds of a flow map from which torch's own threads are of use within one step.
    wide_work: int = 100_000
    #: Time that torch would take, about, from which machine code is made
    #: (:mod:`pyhits.numerics.fused`).
    fused_seconds: float = 0.03

    def block_rows(self, bytes_each: int, n_threads: int) -> int:
        """Return how many states of so many bytes a layer to step at once.

        Of large states fewer, so that a layer of them stays within ``chunk_bytes``.
        """
        few = max(1, min(256, self.chunk_bytes // bytes_each))
        return int(max(few, self.cache_bytes * n_threads // bytes_each))

    def shares(self, work: int, rows: int, in_all: int) -> int:
        """Return among how many threads a batch of trajectories may be divided to gain by it.

        Python's lock makes threads wait for each other at every operation of a step, which costs
        more than is gained unless the step has rows enough.

        Parameters
        ----------
        work : int
            Multiply-adds of a step of one state.
        rows : int
            States stepped at once.
        in_all : int
            States of the forecast.
        """
        low, high = self.shared_rows
        enough = min(max(self.shared_work // max(1, work), low), high)
        return max(1, min(2 * rows // enough, in_all // (self.shared_steps * enough)))


#: As measured on usual machines.
USUAL = Batching()
