"""What every trained net shares: an O(1) output, brought to the size of the increment."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from pyhits.flowmaps.base import FlowMap
from pyhits.flowmaps.polynomial import PolynomialMap


class ScaledNet(FlowMap):
    """``x + base(x) + scale * net(x)``.

    To train a net of your own, subclass this, define :meth:`net` on standardised states, register
    the class, and name it: ``HiTS(flow_map="my-net")``. Its constructor must accept ``dimension``
    and ``base_degree``, and ``outputs`` if it is to be trained densely.

    Parameters
    ----------
    dimension : int
        Number of state variables d.
    base_degree : int, optional
        Degree of a polynomial first stage, of which the net learns the rescaled remainder.
    outputs : int
        Number of states m inside one step.

    Attributes
    ----------
    scale : Tensor, shape (outputs * d,)
        Size of each feature's increment (after the base) at each output, by which the net's output
        is multiplied; 1 in the paper's setting. A feature that never changes has 0 and stays
        exactly constant.
    base : PolynomialMap or None
        The first stage.
    """

    trained = True

    #: Settings of training that the constructor takes.
    settings: ClassVar[tuple[str, ...]] = ()

    scale: Tensor

    def __init__(self, dimension: int, base_degree: int | None = None, outputs: int = 1) -> None:
        super().__init__(dimension, outputs)
        self.base: PolynomialMap | None = None
        if base_degree is not None:
            self.base = PolynomialMap(dimension, base_degree, outputs)
        self.register_buffer("scale", torch.ones(outputs * dimension))

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one evaluation, those of the base included."""
        return super().multiply_adds + (0 if self.base is None else self.base.multiply_adds)

    @property
    def parts(self) -> str:
        """What it is made of, for people."""
        return "net" if self.base is None else f"{self.base.parts} + net"

    @property
    def base_degree(self) -> int | None:
        """Degree of the polynomial below the net, None without one."""
        return None if self.base is None else self.base.degree

    def net(self, states: Tensor) -> Tensor:
        """Return the net's O(1) output; ``(n, d)`` to ``(n, outputs * d)``."""
        raise NotImplementedError(f"{type(self).__name__} does not define its net.")

    def increment(self, states: Tensor) -> Tensor:
        """Return the changes of state at all outputs; ``(n, d)`` to ``(n, outputs * d)``."""
        change = self.scale * self.net(states)
        return change if self.base is None else change + self.base.increment(states)
