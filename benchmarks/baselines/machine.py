"""What this machine can do: products of small matrices, and moving memory."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch


def products(multiply_adds: float, rows: int, width: int, n_threads: int) -> Callable[[], None]:
    """Return a function that does ``multiply_adds`` in float32 products and nothing else.

    Each product is ``(rows, width) x (width, width)``, the shape of a hidden layer on one block of
    states; the products are shared among Python threads with one torch thread each, as the forecast
    engine shares trajectories.
    """
    each = max(1, round(multiply_adds / n_threads / (rows * width * width)))
    weight = torch.eye(width)
    buffers = [(torch.ones(rows, width), torch.ones(rows, width)) for _ in range(n_threads)]

    def share(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
        torch.set_num_threads(1)
        for k in range(each):
            torch.mm(pair[k % 2], weight, out=pair[1 - k % 2])

    def run() -> None:
        with ThreadPoolExecutor(n_threads) as pool, torch.inference_mode():
            list(pool.map(share, buffers))

    return run


def large_product(size: int) -> Callable[[], None]:
    """Return a function that multiplies two float32 ``size x size`` matrices."""
    a, b, out = (torch.ones(size, size) for _ in range(3))

    def run() -> None:
        torch.mm(a, b, out=out)

    return run


def copy(n: int) -> Callable[[], None]:
    """Return a function that copies ``n`` float32 numbers: 8 bytes moved for each."""
    a, b = torch.ones(n), torch.zeros(n)

    def run() -> None:
        b.copy_(a)

    return run


def triad(n: int) -> Callable[[], None]:
    """Return a function that computes ``c = a + s b`` of ``n`` numbers: 12 bytes for each."""
    a, b, c = torch.ones(n), torch.ones(n), torch.zeros(n)

    def run() -> None:
        torch.add(a, b, alpha=3.0, out=c)

    return run
