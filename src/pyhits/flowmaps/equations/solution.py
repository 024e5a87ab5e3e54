"""An equation on a grid that was solved for."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pyhits.flowmaps.equations.edges import Edges
from pyhits.flowmaps.equations.equation import Scheme
from pyhits.flowmaps.equations.flowmap import EquationMap
from pyhits.flowmaps.equations.terms import Terms


@dataclass(frozen=True)
class Solution:
    """An equation that was solved for, and how well it does."""

    terms: Terms
    scheme: Scheme
    values: Tensor  # (channels, n_linear + n_products)
    error: float  # root mean square of what is left, as a part of that of the changes
    weights: Tensor | None = None  # complex, (n_weights, channels, *transform)
    #: Complex, (channels, *transform): what drives the fields at all times, by place.
    source: Tensor | None = None

    def flow_map(self, edges: Edges) -> EquationMap:
        """Return the flow map, float64."""
        return EquationMap.of(
            edges, self.terms, self.scheme, self.values, self.weights, self.source
        )
