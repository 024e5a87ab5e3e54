"""LSTM and clockwork RNN, trained by the authors' recipe or by ours."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from pyhits.baselines.base import Baseline
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, InterruptedWarning, TrainingError, warn
from pyhits.paper.rivals.early_stopping import BestWeights, Limits
from pyhits.paper.rivals.nets import ClockworkNet, LSTMNet, SequenceNet, increment_scale
from pyhits.paper.rivals.training import Trainer, train_on_batch
from pyhits.util.checks import as_count, shown
from pyhits.util.progress import bar


class _Recurrent(Baseline):
    """What the recurrent nets have in common; see :class:`LSTM` for the parameters."""

    net_: SequenceNet

    def __init__(
        self,
        hidden_size: int,
        *,
        recipe: str = "pyhits",
        time_limit: float | None = None,
        max_steps: int | None = None,
        dtype: str = "float32",
        scaling: Standardise | None = None,
        random_state: int | None = None,
        verbose: bool = True,
    ) -> None:
        self.hidden_size = hidden_size
        self.recipe = recipe
        self.time_limit = time_limit
        self.max_steps = max_steps
        self.dtype = dtype
        self.scaling = scaling
        self.random_state = random_state
        self.verbose = verbose

    @abstractmethod
    def _net(self, dimension: int, increments: np.ndarray | None) -> SequenceNet:
        """Return an untrained net."""

    def _check(self) -> None:
        as_count(self.hidden_size, "hidden_size")
        if self.max_steps is not None:
            as_count(self.max_steps, "max_steps")

    def _train(self, train: list[np.ndarray], validation: list[np.ndarray], seed: int) -> None:
        paper = self.recipe == "paper"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = self._net(train[0].shape[1], None if paper else _increments(train))
        net.to(getattr(torch, self.dtype))
        limits = Limits(self._n_steps(), self._begin, self.time_limit)
        with bar(type(self).__name__, verbose=self.verbose) as progress:
            best = BestWeights(net, validation, limits, progress)
            try:
                if paper:
                    train_on_batch(net, train, best)
                else:
                    Trainer(net, train, best, seed).run()
            except KeyboardInterrupt:
                if best.weights is None:
                    raise
                warn(
                    f"Training was interrupted after {best.step} steps: kept the best so far.",
                    InterruptedWarning,
                )
        if best.weights is None:
            raise TrainingError(
                "The loss was never finite; look for outliers in the data, or scale them."
            )
        net.load_state_dict(best.weights)
        self.net_ = net.eval().requires_grad_(False)
        self.history_ = best.history

    @property
    def n_parameters_(self) -> int:
        """Weights and biases, masked ones too."""
        return sum(p.numel() for p in self.net_.parameters())

    def _n_steps(self) -> int:
        """Return the optimiser steps at most; without a number, as many as the time allows."""
        if self.max_steps is not None:
            return int(self.max_steps)
        if self.recipe == "paper":
            return 10_000
        return 4000 if self.time_limit is None else 1 << 60

    def _run(self, rows: np.ndarray, n_steps: int) -> np.ndarray:
        net = self.net_
        given = torch.from_numpy(rows).to(net.readout.weight.dtype)
        length = given.shape[1]
        with torch.inference_mode():
            memory = net.empty(len(given))
            if length > 1:
                _, memory = net.read(given[:, :-1], memory, 0)
            states, _ = net.generate(given[:, -1], memory, n_steps, length - 1)
        return states.double().numpy()


def _increments(train: list[np.ndarray], smooth_below: float = 0.25) -> np.ndarray | None:
    """Return the increments' root mean squares, or None if states move too far for these.

    Increments are predicted where their mean square is a quarter of the variance or less.
    Otherwise, as in sampled music, the state before says little, and nets predict states.
    """
    increments = increment_scale(train)
    spread = float(np.mean(np.var(np.concatenate(train), axis=0)))
    smooth = float(np.mean(np.square(increments))) < smooth_below * spread
    return increments if smooth else None


class LSTM(_Recurrent):
    """One layer of long short-term memory with a linear readout.

    Parameters
    ----------
    hidden_size : int
        h units: ``4 (d h + h^2 + 2 h) + h d + d`` parameters.
    recipe : {"pyhits", "paper"}
        ``"pyhits"`` predicts increments of data that are smooth in time. It is trained under
        teacher forcing first, then in closed loops over longer and longer segments, by SOAP (large
        nets by Adam) with a falling learning rate, and keeps the weights with the smallest error of
        a forecast. ``"paper"`` is what the authors did: the recorded rows as one batch, the next
        state, Adam at 1e-3, the weights with the smallest loss.
    time_limit : float, optional
        Seconds for the fit. Results then depend on the machine.
    max_steps : int, optional
        Optimiser steps at most. By default 10000 with the paper's recipe; as many as the time
        allows with ours, 4000 without a time limit.
    dtype : {"float32", "float64"}
        Arithmetic of the net.
    scaling : Standardise, optional
        By default ``Standardise()``; the paper's recipe divides by the range of each feature.
    random_state : int, optional
        Equal seeds give equal results, where no time limit ends the training.
    verbose : bool

    Attributes
    ----------
    net_ : SequenceNet
        The trained torch module.
    """

    def _net(self, dimension: int, increments: np.ndarray | None) -> SequenceNet:
        return LSTMNet(dimension, int(self.hidden_size), increments)


class ClockworkRNN(_Recurrent):
    """A clockwork RNN (Koutnik et al. 2014, arXiv 1402.3511) with a linear readout.

    Module i of the hidden layer moves at the time steps that its period divides.

    Parameters
    ----------
    hidden_size : int
        n units, a multiple of the number of periods: ``n^2 + (d + 2) n + n d + d`` parameters, of
        which ``n_used_parameters_`` are used; the others would lead from faster to slower modules.
    periods : sequence of int
        One a module. For a comparison with a HiTS, its step sizes.
    recipe, time_limit, max_steps, dtype, scaling, random_state, verbose
        As in :class:`LSTM`.

    Attributes
    ----------
    net_ : SequenceNet
        The trained torch module.
    n_used_parameters_ : int
    """

    def __init__(
        self,
        hidden_size: int,
        periods: Sequence[int] = (1, 2, 4, 8),
        *,
        recipe: str = "pyhits",
        time_limit: float | None = None,
        max_steps: int | None = None,
        dtype: str = "float32",
        scaling: Standardise | None = None,
        random_state: int | None = None,
        verbose: bool = True,
    ) -> None:
        super().__init__(
            hidden_size,
            recipe=recipe,
            time_limit=time_limit,
            max_steps=max_steps,
            dtype=dtype,
            scaling=scaling,
            random_state=random_state,
            verbose=verbose,
        )
        self.periods = periods

    @property
    def n_used_parameters_(self) -> int:
        """Parameters that are not masked."""
        self._check_fitted()
        assert isinstance(self.net_, ClockworkNet)
        return self.n_parameters_ - self.net_.n_masked

    def _check(self) -> None:
        super()._check()
        periods: Any = self.periods
        if isinstance(periods, str) or not np.iterable(periods) or not len(list(periods)):
            raise ArgumentError(f"Expected a sequence of periods, got {shown(periods)}.")
        counted = [as_count(period, "each period") for period in periods]
        if self.hidden_size % len(counted):
            raise ArgumentError(
                f"Expected hidden_size to be a multiple of the {len(counted)} periods, got "
                f"{self.hidden_size}."
            )

    def _net(self, dimension: int, increments: np.ndarray | None) -> SequenceNet:
        periods = sorted(int(period) for period in self.periods)
        return ClockworkNet(dimension, int(self.hidden_size), increments, periods=periods)
