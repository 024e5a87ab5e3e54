"""How many threads linear algebra takes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import pyhits
from pyhits.util.threads import SMALL, one_blas_thread


def most_threads() -> int:
    """Threads of the linear algebra that takes most."""
    return max(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas")


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    with threadpool_limits(2, "blas"):
        if most_threads() < 2:
            pytest.skip("linear algebra was built for one thread")
        yield


def test_small_data_take_one_thread_and_large_ones_keep_theirs() -> None:
    with one_blas_thread(SMALL):
        assert most_threads() == 1
    with one_blas_thread(SMALL + 1):
        assert most_threads() == 2
    assert most_threads() == 2


def test_threads_come_back_when_the_last_who_limits_them_ends() -> None:
    first, second = one_blas_thread(), one_blas_thread()
    first.__enter__()
    second.__enter__().close()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert most_threads() == 2
    with pytest.raises(ZeroDivisionError), one_blas_thread():
        raise ZeroDivisionError
    assert most_threads() == 2


def test_a_fit_of_few_rows_takes_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    wave = np.sin(0.3 * np.arange(80))[:, None]
    original = np.linalg.eigvals
    monkeypatch.setattr(np.linalg, "eigvals", lambda a: found.append(most_threads()) or original(a))
    pyhits.HiTS([1], flow_map="polynomial", verbose=False).fit(wave)
    assert set(found) <= {1}
    assert most_threads() == 2
