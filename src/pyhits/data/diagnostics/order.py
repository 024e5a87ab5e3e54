"""Rows that do not stand in the order of time: shuffled, or sorted by a feature.

Rows of a recording lie on curves. If the row after each tells nothing of the row after its nearest
neighbour, and yet the rows lie much nearer to each other than those of as many independent
numbers, then there is a curve but it is not followed: the rows stand in another order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pyhits.data.diagnostics.finding import Finding
from pyhits.data.diagnostics.sample import Sample
from pyhits.data.stretches import evenly
from pyhits.numerics.neighbours import nearest as nearest_of

#: Rows that it takes, rows whose neighbours are looked for, rows among which, and coordinates.
_FEWEST, _MOST_ASKED, _MOST_ROWS, _MOST_COORDINATES = 50, 1000, 20_000, 6

#: Distances as shares of those of rows in any order: of the row after a row and the row after its
#: neighbour, and of a row and the next. Above them the order tells nothing.
_UNFOLLOWED, _FAR = 0.8, 0.8

#: The same where the rows are in the order of one feature, and the others are looked at; and how
#: many times farther the rows after two neighbours are from each other. A feature that only adds
#: up, beside chaos that is sampled coarsely, parts them less than threefold.
_UNFOLLOWED_BY_OTHERS, _FAR_OF_OTHERS, _PARTED_BY_OTHERS = 0.3, 0.3, 6.0

#: The same where the rows after two neighbours are farther from each other than the neighbours are
#: by this factor: few strands of a curve, row by row in turn. Chaos and noise stay far below it.
_UNFOLLOWED_BY_STRANDS, _FAR_OF_STRANDS, _PARTED = 0.1, 0.1, 20.0

#: Distance from the middle that counts, by the length of a feature's bulk: beyond it a few spikes
#: would make up all distances.
_FARTHEST = 2.0

#: Rows lie on curves if the nearest is nearer than this share of what independent coordinates of
#: the same spread give, or if the two nearest lie on either side: the mean cosine between the ways
#: to them is 0 for independent rows. Rows of which many are equal are not judged by that.
_NEARER, _OPPOSITE, _DISTINCT = 0.72, -0.2, 0.8


class _Order(NamedTuple):
    """How much the order of rows tells."""

    step: float  # mean distance of a row and the next, as a share of the distance of any two
    following: float  # the same of the row after a row and the row after its nearest
    parted: float  # how many times farther these are from each other than the two rows before them
    nearest: float  # distance of the nearest row by that of independent coordinates
    between: float  # mean cosine between the ways to the two nearest rows

    @property
    def on_curves(self) -> bool:
        """Whether the rows lie on curves."""
        return self.nearest < _NEARER or self.between < _OPPOSITE

    @property
    def is_by_one_feature(self) -> bool:
        """Whether the rows, in the order of one feature, follow each other in no other one."""
        far = (
            self.step >= _FAR_OF_OTHERS
            and self.following >= _UNFOLLOWED_BY_OTHERS
            and self.parted >= _PARTED_BY_OTHERS
        )
        in_turn = self.following >= _UNFOLLOWED_BY_STRANDS and self.parted >= _PARTED
        return self.on_curves and (far or in_turn)


def shuffled(sample: Sample) -> list[Finding]:
    """Look whether the rows stand in no order."""
    columns = sample.moving()
    if len(columns) < 2:
        return []
    pieces = _without_spikes(sample.take(columns))
    found = _order(pieces, pieces, _FAR)
    if found is None or found.following < _UNFOLLOWED or not found.on_curves:
        return []
    return [
        Finding(
            "shuffled",
            "The rows lie on curves, but each is as far from the next as from any other: they seem "
            "to be shuffled, or taken much too rarely.",
            "Give them in the order of time: sort by a column of times, which pyhits.repair (or "
            "--repair) does where there is one. Shuffle trajectories if anything, never rows.",
        )
    ]


def ordered(sample: Sample) -> list[Finding]:
    """Look whether the rows stand in the order of one feature."""
    columns = sample.moving()
    if len(columns) < 2:
        return []
    part = sample.take(columns)
    for k, name in enumerate(part.names):
        signs = {_direction(piece[:, k]) for piece in part.pieces}
        if len(signs) != 1 or 0 in signs or _is_clock([piece[:, k] for piece in part.pieces]):
            continue
        pieces = _without_spikes(part)
        others = tuple(np.delete(piece, k, axis=1) for piece in pieces)
        found = _order(pieces, others, _FAR_OF_STRANDS)
        if found is None or not found.is_by_one_feature:
            continue
        how = "rise" if 1 in signs else "fall"
        return [
            Finding(
                "sorted",
                f"The rows {how} in {name!r} from the first to the last while the other features "
                f"jump to and fro: they seem to be sorted by {name!r} and not by time.",
                "Give them in the order of time: sort by a column of times, which pyhits.repair "
                "(or --repair) does where there is one.",
                features=(name,),
            )
        ]
    return []


def _without_spikes(sample: Sample) -> tuple[np.ndarray, ...]:
    return tuple(np.clip(piece, -_FARTHEST, _FARTHEST) for piece in sample.scaled().pieces)


def _direction(x: np.ndarray) -> int:
    """Return 1 or -1 where a feature rises or falls throughout, else 0."""
    if len(x) < _FEWEST:
        return 0
    steps = np.diff(x)
    if (steps >= 0).all() and steps.max() > 0:
        return 1
    return -1 if (steps <= 0).all() and steps.min() < 0 else 0


def _is_clock(columns: list[np.ndarray]) -> bool:
    """Whether a feature rises evenly, as a time does."""
    steps = np.abs(np.concatenate([np.diff(x) for x in columns]))
    return bool(np.quantile(steps, 0.9) <= 1.5 * np.quantile(steps, 0.1))


def _order(
    pieces: tuple[np.ndarray, ...], compared: tuple[np.ndarray, ...], far: float
) -> _Order | None:
    """Measure how much the order tells; None where a row is near enough to the next."""
    rows, others = np.concatenate(pieces), np.concatenate(compared)
    is_last = np.zeros(len(rows), dtype=bool)
    is_last[np.cumsum([len(piece) for piece in pieces]) - 1] = True
    if len(rows) < _FEWEST:
        return None
    rng = np.random.default_rng(0)
    places = np.flatnonzero(~is_last)
    asked = places[evenly(len(places), _MOST_ASKED)]
    any_row = rng.permutation(len(rows))[rng.integers(len(rows), size=len(asked))]
    typical = _distance(others[asked], others[any_row])
    next_one = _distance(others[asked], others[asked + 1])
    if not typical > 0 or next_one < far * typical:
        return None
    chosen = evenly(len(places), _MOST_ROWS)
    known = places[chosen]
    coordinates = _coordinates(rows)
    distance, index = nearest_of(coordinates[known], coordinates[asked], 3)
    # A row that is asked for is its own neighbour, if it is among the known ones.
    rank = (known[index[:, 0]] == asked).astype(int)
    every = np.arange(len(asked))
    neighbour, second = known[index[every, rank]], known[index[every, rank + 1]]
    nearest = distance[every, rank]
    following = _distance(others[asked + 1], others[neighbour + 1])
    independent = np.column_stack([rng.permutation(column) for column in coordinates[known].T])
    some = independent[evenly(len(independent), len(asked))]
    expected = nearest_of(independent, some, 2)[0]
    usual = float(np.median(expected[:, 1]))
    curves = float(np.median(nearest)) / usual if usual > 0 and np.median(nearest) > 0 else np.inf
    between = _cosine(*(coordinates[other] - coordinates[asked] for other in (neighbour, second)))
    parted = following / max(_distance(others[asked], others[neighbour]), 1e-12 * typical)
    return _Order(next_one / typical, following / typical, parted, curves, between)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Return the mean cosine between vectors; 0 where too many are none."""
    size = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    if (size > 0).mean() < _DISTINCT:
        return 0.0
    return float(((a * b).sum(axis=1)[size > 0] / size[size > 0]).mean())


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b, axis=1).mean())


def _coordinates(rows: np.ndarray) -> np.ndarray:
    """Return the principal coordinates: uncorrelated, so that lines are no curves."""
    centred = rows - rows.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return np.asarray(centred @ vectors[:, ::-1][:, :_MOST_COORDINATES])
