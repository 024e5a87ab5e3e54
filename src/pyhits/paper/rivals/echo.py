"""Echo state networks: a random reservoir with a readout by ridge regression."""

from __future__ import annotations

import numpy as np

from pyhits.baselines.base import Baseline
from pyhits.encoders import Standardise
from pyhits.errors import DataError, InterruptedWarning, warn
from pyhits.paper.rivals.reservoir import paper_reservoir
from pyhits.paper.rivals.search import ReservoirSearch
from pyhits.util.checks import as_choice, as_count
from pyhits.util.progress import Advance, bar

#: Mean squared error at which the search ends: rounding is all that is left.
_ROUNDING = 1e-26


class EchoStateNetwork(Baseline):
    """An echo state network (Jaeger 2001): only its readout is trained, by linear regression.

    ``x' = (1 - leak) x + leak tanh(W x + W_in u + b)``; the next state is ``W_out x'``, or
    ``u + W_out x'`` where increments are predicted. All in float64. With more units than rows it
    can follow its training data to rounding while it reads them; forecasts then err as rounding
    errors grow.

    Parameters
    ----------
    n_units : int
        Units of the reservoir. Table 3 counts ``n_units * d`` parameters.
    recipe : {"pyhits", "paper"}
        ``"pyhits"`` searches spectral radius, leak, scales, connections, states or increments, at
        random and near the best found, and all ridges for each, by errors of forecasts.
        ``"paper"`` is one dense reservoir with spectral radius 0.9, input scale 1, no leak, no
        bias, and the pseudo-inverse, whatever time it takes.
    time_limit : float, optional
        Seconds after which the search ends; it tries one candidate at least. Results then depend on
        the machine.
    n_candidates : int, optional
        Candidates at most; 20 where no time limit is given either.
    washout : int
        Rows of each trajectory that drive the reservoir before the regression looks.
    dtype : {"float64"}
        There for a face like the other models'.
    scaling : Standardise, optional
        By default ``Standardise()``; the paper's recipe divides by the range of each feature.
    random_state : int, optional
        Equal seeds give equal results, where no time limit ends the search.
    verbose : bool

    Attributes
    ----------
    candidate_ : ReservoirSettings or None
        The settings chosen; None with the paper's.
    ridge_ : float
        Relative to the square of the states' largest singular value.
    reservoir_ : Reservoir
    readout_ : array, shape (n_units, d)
    """

    def __init__(
        self,
        n_units: int,
        *,
        recipe: str = "pyhits",
        time_limit: float | None = None,
        n_candidates: int | None = None,
        washout: int = 0,
        dtype: str = "float64",
        scaling: Standardise | None = None,
        random_state: int | None = None,
        verbose: bool = True,
    ) -> None:
        self.n_units = n_units
        self.recipe = recipe
        self.time_limit = time_limit
        self.n_candidates = n_candidates
        self.washout = washout
        self.dtype = dtype
        self.scaling = scaling
        self.random_state = random_state
        self.verbose = verbose

    def _check(self) -> None:
        as_choice(self.dtype, "dtype", ("float64",))
        as_count(self.n_units, "n_units")
        as_count(self.washout, "washout", least=0)
        if self.n_candidates is not None:
            as_count(self.n_candidates, "n_candidates")

    @property
    def n_parameters_(self) -> int:
        """Numbers of the readout."""
        return int(self.readout_.size)

    def _train(self, train: list[np.ndarray], validation: list[np.ndarray], seed: int) -> None:
        shortest = min(len(rows) for rows in train)
        if shortest <= self.washout + 1:
            raise DataError(
                f"The shortest trajectory has {shortest} rows; a washout of {self.washout} takes "
                f"at least {self.washout + 2}."
            )
        rng = np.random.default_rng(seed)
        search = ReservoirSearch(train, validation, int(self.n_units), int(self.washout))
        if self.recipe == "paper":
            search.consider(None, paper_reservoir(search.n_units, search.dimension, rng))
        else:
            if self.time_limit is not None:
                search.deadline = self._begin + self.time_limit
            with bar("reservoirs", verbose=self.verbose) as progress:
                self._search(search, rng, progress)
        self.candidate_, self.reservoir_ = search.candidate, search.reservoir
        self.readout_, self.ridge_ = search.readout, search.ridge
        self.history_ = search.history

    def _search(
        self, search: ReservoirSearch, rng: np.random.Generator, progress: Advance | None
    ) -> None:
        """Try candidates as long as there is time for one more; Ctrl-C ends this early."""
        most = self.n_candidates or (20 if self.time_limit is None else 1 << 30)
        try:
            for k in range(most):
                done = k / most
                if self.time_limit is not None:
                    done = max(done, 1 - self._left() / self.time_limit)
                if progress is not None:
                    progress(int(1000 * min(done, 1.0)), 1000)
                search.step(rng, done)
                if self._left() < 0.7 * search.longest or search.error < _ROUNDING:
                    break
        except KeyboardInterrupt:
            if not search.history:
                raise
            warn(
                f"The search was interrupted after {len(search.history)} reservoirs: best kept.",
                InterruptedWarning,
            )

    def _run(self, rows: np.ndarray, n_steps: int) -> np.ndarray:
        x = self.reservoir_.harvest(rows)[:, -1].T
        adds = self.candidate_ is not None and self.candidate_.increments
        state, ahead = rows[:, -1].T, np.empty((n_steps, rows.shape[2], len(rows)))
        with np.errstate(over="ignore", invalid="ignore"):
            for k in range(n_steps):
                if k:
                    x = self.reservoir_.move(x, state)
                state = self.readout_.T @ x + (state if adds else 0.0)
                ahead[k] = state
        return ahead.transpose(2, 0, 1)
