"""What closed forms are compared on: a part of the data to fit to, and another to step through."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from pyhits.encoders.standardise import Standardise
from pyhits.flowmaps.form import Finer, Form, Increments, Units, closed_forms
from pyhits.training.rollouts import Beyond, Rollouts
from pyhits.training.windows import WindowSampler
from pyhits.util.clock import UNLIMITED, Clock

#: Windows of a field that forms are compared on, at most, and windows that errors are measured on.
N_SEARCH = 1_000

#: Windows up to which blocks of the training part are left out in turn as well; how many blocks;
#: and windows that must be left to fit to.
FEW_WINDOWS, _BLOCKS, _LEAST_WINDOWS = 200, 4, 3

#: Trajectories of the validation part, and recorded numbers, up to which each other trajectory is
#: left out in turn too; and parts that they are left out in.
_FEW_TRAJECTORIES, _FEW_NUMBERS, _TURNS = 3, 100_000, 6

#: Numbers in the states that forms are fitted to, at most, but for so many states at least.
_MOST_NUMBERS, _LEAST_FIELDS = 1 << 23, 4


class Comparison:
    """A part of the data to fit forms to, and another to step them through."""

    def __init__(
        self, train: WindowSampler, validation: WindowSampler, finer: Finer | None = None
    ) -> None:
        most = max(of.most_states[0] for of in closed_forms().values())
        self.data = increments(train, N_SEARCH if train.grid is not None else most, finer)
        self.rollouts = Rollouts.of(validation)
        #: In place of the rollouts, where forms are only to stay near the data.
        self.beyond: Beyond | None = None

    def of_few(self, count: int) -> Comparison:
        """Return the same with ``count`` of the windows to fit to, evenly chosen."""
        found = copy.copy(self)
        found.data = self.data.at_most(count)
        return found

    def of_first(self, share: float) -> Comparison:
        """Return the same by rollouts of the first part of their steps."""
        found = copy.copy(self)
        steps = max(1, round(share * len(self.rollouts.truth)))
        found.rollouts = replace(self.rollouts, truth=self.rollouts.truth[:steps])
        return found

    def from_beyond(self, rows: WindowSampler) -> Comparison:
        """Return the same that asks whether forms stay near rows from a little beyond them."""
        found = copy.copy(self)
        found.beyond = Beyond.of(rows)
        return found

    def data_of(self, family: type[Form]) -> Increments:
        """Return as many of the windows as a family is chosen on."""
        most = family.most_states[0]
        if len(self.data) <= most:
            return self.data
        return self.data.once(("at most", most), lambda: self.data.at_most(most))

    @torch.inference_mode()
    def scores(self, form: Form, *, near: bool, clock: Clock = UNLIMITED) -> dict[Form, float]:
        """Return the score of a form with each of the penalties that are worth trying."""
        data = self.data_of(type(form))
        data.clock = clock
        forms, steps = form.candidates(data, near=near)
        measure = self.beyond or self.rollouts
        return dict(zip(forms, measure.rate(steps, len(forms), clock), strict=True))


def increments(
    windows: WindowSampler, most: int, finer: Finer | None = None, clock: Clock = UNLIMITED
) -> Increments:
    """Return states and their changes at all outputs, of evenly chosen windows."""
    rows = windows.even_rows(
        max(_LEAST_FIELDS, min(most, _MOST_NUMBERS // windows.values.shape[1]))
    )
    found = windows.gather(rows)
    changes = found[1 : 1 + windows.outputs] - found[0]
    if windows.n_inputs:
        changes[..., -windows.n_inputs :] = 0.0
    changes = changes.swapaxes(0, 1).reshape(len(rows), -1)
    moves, units = windows.moves(rows), units_of(windows.encoder)
    return Increments(found[0], changes, windows.grid, moves, finer, units, clock)


def units_of(scaling: Standardise) -> Units:
    """Return the units of what a scaling is applied to, in its own."""
    zeros = np.zeros_like(scaling.mean_)
    zero, one = scaling.transform(np.stack([zeros, zeros + 1]))
    return Units(zero, one - zero)


def splits(
    train: WindowSampler, validation: WindowSampler
) -> list[tuple[WindowSampler, WindowSampler]]:
    """Return what to fit to and what to step through: validation data, and blocks of few rows.

    Without validation data, blocks of the training data stand in: a kernel meets every row that it
    was fitted to.
    """
    shapes = train.values.shape, validation.values.shape
    same = shapes[0] == shapes[1] and np.array_equal(train.values, validation.values)
    splits = [] if same else [(train, validation)]
    points = 1 if train.grid is None else train.grid.n_points  # each is a window of its own
    if same or train.n_windows * points <= FEW_WINDOWS:
        splits += _blocks(train)
    return splits or [(train, validation)]


def in_turn(
    train: WindowSampler, validation: WindowSampler, first: Comparison, finer: Finer | None = None
) -> list[Comparison]:
    """Return comparisons that step through each trajectory in turn, fitted to the others.

    And last ``first``, of the training and the validation part, from a little beyond all of them.
    None where the validation part has many trajectories, or both parts many numbers, or the
    training part a single trajectory.
    """
    n = len(train.offsets) - 1
    few = len(validation.offsets) - 1 <= _FEW_TRAJECTORIES
    few &= train.values.size + validation.values.size <= _FEW_NUMBERS
    if not few or n < 2 or train.grid is not None:
        return []
    both = _joined(train, validation)
    spans = list(itertools.pairwise(both.offsets.tolist()))
    edges = np.linspace(0, n, min(n, _TURNS) + 1).astype(int)
    comparisons = []
    for low, high in itertools.pairwise(edges):
        rest, part = _part(both, spans[:low] + spans[high:]), _part(both, spans[low:high])
        if rest is not None and part is not None:
            comparisons.append(Comparison(rest, part, finer))
    return [*comparisons, first.from_beyond(both)] if comparisons else []


def _joined(train: WindowSampler, validation: WindowSampler) -> WindowSampler:
    """Return the trajectories of both."""
    values = np.concatenate([train.values, validation.values])
    offsets = np.concatenate([train.offsets, train.offsets[-1] + validation.offsets[1:]])
    return replace(train, values=values, offsets=offsets)


def _blocks(data: WindowSampler) -> list[tuple[WindowSampler, WindowSampler]]:
    """Return the data without each of some blocks of rows, and that block."""
    edges = np.linspace(0, len(data.values), _BLOCKS + 1).astype(int)
    blocks = []
    for low, high in itertools.pairwise(edges):
        inside, outside = [], []
        for begin, end in itertools.pairwise(data.offsets):
            # A block starts from the row before it.
            inside.append((max(begin, low - 1), min(end, high)))
            outside += [(begin, min(end, low)), (max(begin, high), end)]
        rest, block = _part(data, outside), _part(data, inside)
        if rest is not None and block is not None and rest.n_windows >= _LEAST_WINDOWS:
            blocks.append((rest, block))
    return blocks


def _part(data: WindowSampler, spans: Sequence[tuple[int, int]]) -> WindowSampler | None:
    """Return the windows of some spans of rows, None if there are none."""
    span = data.rollout_steps * data.step_size
    long = [(begin, end) for begin, end in spans if end - begin > span]
    if not long:
        return None
    values = np.concatenate([data.values[begin:end] for begin, end in long])
    lengths = [end - begin for begin, end in long]
    return replace(data, values=values, offsets=np.concatenate([[0], np.cumsum(lengths)]))
