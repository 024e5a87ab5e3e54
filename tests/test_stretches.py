"""Which stretches forecasts are compared with: rows, steps, gathering, none beyond a recording."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyhits.data.stretches import Stretches, evenly

LENGTHS = st.lists(st.integers(2, 30), min_size=1, max_size=6)


def offsets_of(lengths: list[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)])


def packed(lengths: list[int]) -> np.ndarray:
    """Rows that say their trajectory and their number in it."""
    rows = [np.column_stack([np.full(n, k), np.arange(n)]) for k, n in enumerate(lengths)]
    return np.concatenate(rows).astype(float)


def check(stretches: Stretches, lengths: list[int], history: int = 1) -> None:
    """No stretch leaves its trajectory, and what is gathered is what was recorded."""
    values = packed(lengths)
    found = stretches.gather(values)
    assert found.shape == (len(stretches), stretches.n_steps + 1, 2)
    for own, start, steps, leads in zip(
        found, stretches.starts, stretches.lengths, stretches.leading, strict=True
    ):
        k, row = values[start]
        assert row >= history - 1
        assert leads == (row == history - 1)
        assert row + steps <= lengths[int(k)] - 1
        np.testing.assert_array_equal(own[: steps + 1, 0], k)
        np.testing.assert_array_equal(own[: steps + 1, 1], row + np.arange(steps + 1))
        assert np.isnan(own[steps + 1 :]).all()
    np.testing.assert_array_equal(stretches.states(values), found[:, 0])
    before = stretches.histories(values, history)
    np.testing.assert_array_equal(before if history == 1 else before[:, -1], found[:, 0])
    told = stretches.gather_inputs(values)
    assert told.shape == (len(stretches), stretches.n_steps, 2)
    known = np.isfinite(found[:, :-1])
    np.testing.assert_array_equal(told[known], found[:, :-1][known])
    last = values[stretches.starts + stretches.lengths]
    beyond = ~known.all(axis=2)
    np.testing.assert_array_equal(told[beyond], np.repeat(last, beyond.sum(axis=1), axis=0))


@given(LENGTHS, st.integers(1, 4), st.integers(1, 40), st.integers(1, 5), st.integers(1, 4))
def test_all_ways_to_choose(
    lengths: list[int], history: int, span: int, each: int, most: int
) -> None:
    offsets = offsets_of(lengths)
    whole = Stretches.whole(offsets, history)
    assert len(whole) == sum(n > history for n in lengths)
    assert whole.leading.all()
    overlapping = Stretches.overlapping(offsets, span, each, history)
    assert (overlapping.lengths <= span).all()
    assert len(whole) <= len(overlapping) <= each * len(whole)
    assert overlapping.leading.sum() == len(whole)
    for stretches in (whole, overlapping, whole.cut(span), overlapping.at_most(most)):
        check(stretches, lengths, history)
    anywhere = Stretches.anywhere(offsets, span, history)
    assert len(anywhere) == sum(max(0, n - span - history + 1) for n in lengths)
    check(anywhere, lengths, history)
    check(anywhere.at_most(most), lengths, history)


def test_even_stretches_are_not_copied() -> None:
    values = packed([7, 7, 7])
    offsets = offsets_of([7, 7, 7])
    for stretches in (
        Stretches.whole(offsets),
        Stretches.whole(offsets, 3).cut(2),
        Stretches.anywhere(offsets[:2], 4),
    ):
        found = stretches.gather(values)
        assert np.shares_memory(found, values)
        with pytest.raises(ValueError, match="read-only"):
            found[0] = 0.0


def test_some_of_many_are_evenly_chosen() -> None:
    np.testing.assert_array_equal(evenly(9, 3), [0, 4, 8])
    np.testing.assert_array_equal(evenly(3, 9), [0, 1, 2])
    whole = Stretches.whole(offsets_of([5] * 9))
    np.testing.assert_array_equal(whole.at_most(3).starts, whole.starts[[0, 4, 8]])
    assert whole.at_most(9) is whole
