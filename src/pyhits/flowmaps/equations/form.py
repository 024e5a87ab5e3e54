"""Equations on a grid as closed forms: which of them are tried, and in which order."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from pyhits.data.grid import Grid
from pyhits.flowmaps.base import FlowMap
from pyhits.flowmaps.equations.edges import REPEATED, RING, Edges, find_edges
from pyhits.flowmaps.equations.equation import DEALIASED, Scheme
from pyhits.flowmaps.equations.fit import EquationFit
from pyhits.flowmaps.equations.flowmap import EquationMap
from pyhits.flowmaps.equations.solution import Solution
from pyhits.flowmaps.equations.terms import library
from pyhits.flowmaps.form import Finer, Form, Increments, Steps, Trials, closed_form
from pyhits.numerics.fourier import half_shape
from pyhits.util.clock import TimeIsUpError
from pyhits.util.schema import Flag, Real, Schema, Text, Whole

#: Rollouts' error that another equation must leave of the best one's to be taken for it.
_BETTER = 0.98

#: Multiple of the error of one step that terms may have on other data before all are tried again.
_WORSE = 10.0

#: Rollouts' error below which a form that takes longer must gain as much, and changes in a row that
#: may gain nothing then, and between walls where forecasts are lost: differences serve better.
_FINE, _PATIENCE = 1e-5, 2

#: Transforms of an evaluation, about, by the kind of terms.
_TRANSFORMS = {"fluxes": 2, "derivatives": 4, "shifts": 4, "stream": 5}

#: Part of what an equation leaves that is the same at all times, from which on a source is tried,
#: and fields without which this is chance.
_STANDING, _TIMES = 0.1, 12

#: Rollouts' error from which on forecasts are lost.
_LOST = 0.5

#: Rollouts' error from which on another kind of terms is tried.
_POOR = 0.1

#: What increments hold under this name is the way from velocities to vorticities, if any.
CURL = "curl"

#: Energy of changes above half of the highest wavenumber, as a part of all, from which on fields
#: are not smooth, and neighbours are tried before derivatives.
_ROUGH = 0.02


@closed_form("equation")
@dataclass(frozen=True)
class EquationForm(Form):
    """An equation on a grid, all but its coefficients."""

    in_every_search: ClassVar[bool] = True

    limits: ClassVar[dict[str, Schema]] = Form.limits | {
        "degree": Whole(0, 8),
        "terms": Text(choices=tuple(_TRANSFORMS)),
        "reach": Whole(0, 12),
        "substeps": Whole(1, 1024),
        "order": Whole(2, 4),
        "dealiased": Text(choices=DEALIASED),
        "weighted": Flag(),
        "known": Flag(),
        "sourced": Flag(),
        "error": Real(0.0, finite=False),
    }

    #: {"fluxes", "derivatives", "shifts", "stream"}: those of
    #: :func:`~pyhits.flowmaps.equations.terms.library`.
    terms: str = "fluxes"
    reach: int = 2  # derivatives in a product, or neighbours to each side
    #: substeps, order, dealiased: Of the scheme.
    substeps: int = 1
    order: int = 2
    dealiased: str = "factors"
    weighted: bool = False  # whether the scheme's weights are learned
    known: bool = False  # whether it takes the terms that the finest scale has come to
    sourced: bool = False  # whether something drives the fields that is the same at all times
    #: Of one step, as a part of the changes; 0 where it is not known yet.
    error: float = field(default=0.0, compare=False)

    @classmethod
    def work(cls, dimension: int) -> float:
        """Return little, but more than polynomials take, which go first."""
        return float(dimension)

    @property
    def transforms(self) -> int:
        """Fourier transforms of a step, about."""
        return self.substeps * self.order * _TRANSFORMS.get(self.terms, 4)

    @classmethod
    def suits(cls, data: Increments) -> bool:
        """Whether states are fields, of one output."""
        return data.grid is not None and data.outputs == 1

    @classmethod
    def search(cls, trials: Trials) -> None:
        """Try schemes, then kinds of terms, then more terms and finer steps."""
        stepped_as_vorticity = trials.data.once(CURL, lambda: None) is not None
        if cls.suits(trials.data) and not (stepped_as_vorticity and trials.score_of_any < _POOR):
            cls._searched(trials)

    @classmethod
    def _searched(cls, trials: Trials) -> None:
        if trials.data.finer is not None:
            cls._coarser(trials, trials.data.finer)
            return
        for starts in cls._starts(trials.data):
            before = trials.best
            if trials.score > _POOR:
                for start in starts:
                    if not trials.settled:
                        _try(trials, start)
            if trials.best != before:
                cls._change(trials)

    @classmethod
    def _starts(cls, data: Increments) -> list[list[EquationForm]]:
        """Return forms to begin from, the likely kinds of terms first."""
        grid = data.grid
        assert grid is not None
        first = cls(degree=2)
        reach = 2 if grid.n_axes == 1 else 1
        rough = cls(degree=2, reach=reach, terms="shifts", order=4, dealiased="none")
        usual, other = (rough, first) if grid.n_axes == 1 and _is_rough(data) else (first, rough)
        if grid.n_channels == 1:
            return [[usual], [other]]
        # Channels may react with each other at each point, and spread.
        reaction = cls(degree=3, reach=0, substeps=2, order=4, dealiased="none")
        return [[reaction, usual], [other]]

    @classmethod
    def _change(cls, trials: Trials) -> None:
        """Try changes of the best form."""
        idle, between_walls = 0, not {RING, REPEATED}.issuperset(_edges(trials.data).kinds)
        for change in _CHANGES:
            best = trials.best
            if trials.settled or not isinstance(best, EquationForm):
                return
            is_idle = trials.score < _FINE or (between_walls and trials.score > _LOST)
            if is_idle and idle >= _PATIENCE:
                return
            changed = change(best, trials.data)
            if changed is not None and changed != replace(best, weighted=False):
                _try(trials, changed)
                idle = 0 if trials.best != best else idle + 1

    @classmethod
    def _coarser(cls, trials: Trials, finer: Finer) -> None:
        """Try the terms of the finest scale in fewer substeps, and more while these do better."""
        finest = finer.flow_map
        if not isinstance(finest, EquationMap):
            return
        begin, substeps = cls.from_dict(finer.form), 1
        while substeps <= finer.steps * finest.scheme.substeps and not trials.settled:
            form = replace(begin, substeps=substeps, weighted=False, known=True)
            if not trials(form, gain=_BETTER) and trials.score < _LOST:
                return
            substeps *= 2

    def candidates(self, data: Increments, *, near: bool) -> tuple[list[Form], Steps]:
        """Return the form, with and without weights of its own, and how they step."""
        with torch.inference_mode(False), torch.no_grad():
            plain, learned = self._solutions(data)
        forms: list[Form] = [replace(self, weighted=False, error=plain.error)]
        maps = [plain.flow_map(_edges(data))]
        if learned.weights is not None:
            forms.append(replace(self, weighted=True, error=learned.error))
            maps.append(learned.flow_map(_edges(data)))

        def steps(states: Tensor) -> Tensor:
            return torch.stack([one(x) for one, x in zip(maps, states, strict=True)])

        return forms, steps

    def solve(self, data: Increments) -> FlowMap:
        """Return the flow map, float64."""
        return self._chosen(data, *self._solutions(data))

    def solve_again(self, data: Increments, found: Callable[[], FlowMap]) -> FlowMap:
        """Return the flow map with the terms that were found, unless these do worse now."""
        before = found()
        assert isinstance(before, EquationMap)
        fit = _fit(data)
        plain = fit.refined(before.terms, before.scheme, before.values, _source(before))
        learned = fit.weighted(plain) if self.weighted else plain
        best = learned if self.weighted else plain
        if best.error > _WORSE * self.error and not self.known:
            with contextlib.suppress(TimeIsUpError):
                return self.solve(data)
        return self._chosen(data, plain, learned)

    def _chosen(self, data: Increments, plain: Solution, learned: Solution) -> FlowMap:
        found = learned if self.weighted else plain
        return found.flow_map(_edges(data)).in_single(data.states, found.error * _fit(data).size)

    def _solutions(self, data: Increments) -> tuple[Solution, Solution]:
        """Return the solution with the scheme's weights, and with learned ones if better."""

        def make() -> tuple[Solution, Solution]:
            grid = data.grid
            assert grid is not None
            fit = _fit(data)
            finer = data.finer
            if self.known and finer is not None and isinstance(finer.flow_map, EquationMap):
                finest = finer.flow_map
                scheme = replace(finest.scheme, substeps=self.substeps)
                source = _source(finest)
                source = source if source is None else finer.steps * source
                plain = fit.refined(finest.terms, scheme, finer.steps * finest.values, source)
                return plain, fit.weighted(plain)
            terms = library(grid.n_axes, grid.n_channels, self.degree, self.reach, kind=self.terms)
            terms = _edges(data).allowed(terms)
            scheme = Scheme(self.substeps, self.order, self.dealiased, seen=fit.every.seen)
            plain = fit.solve(terms, scheme, sourced=self.sourced)
            return plain, fit.weighted(plain)

        made: tuple[Solution, Solution] = data.once(replace(self, weighted=False), make)
        return made


def _source(flow_map: EquationMap) -> Tensor | None:
    if not flow_map.sourced:
        return None
    return torch.view_as_complex(flow_map.source.double())


def _edges(data: Increments) -> Edges:
    """Return the edges of the grid, between walls as the data or the finest scale show them."""
    grid = data.grid
    if data.finer is not None and isinstance(data.finer.flow_map, EquationMap):
        return data.finer.flow_map.edges
    assert grid is not None
    zero = torch.from_numpy(np.asarray(data.units.zero[: grid.n_channels], dtype=np.float64))
    fields = _fields(data.states, grid)
    return data.once("edges", lambda: find_edges(fields, grid.periodic, zero))


def _fields(rows: Tensor, grid: Grid) -> Tensor:
    return rows.view(len(rows), *grid.shape, grid.n_channels).movedim(-1, 1)


def _fit(data: Increments) -> EquationFit:
    later = data.states + data.changes
    return data.once("pairs", lambda: EquationFit(_edges(data), data.states, later, data.clock))


def _try(trials: Trials, form: EquationForm) -> None:
    """Try a form, which must gain something; where forms do well, as much as it takes longer."""
    best, gain = trials.best, 1.0
    if isinstance(best, EquationForm):
        dearer = form.transforms / best.transforms if trials.score < _FINE else 1.0
        gain = _BETTER / max(1.0, dearer)
    trials(form, gain=gain)


def _is_rough(data: Increments) -> bool:
    """Whether fields change on the scale of single points."""
    grid = data.grid
    assert grid is not None
    edges = _edges(data)
    few = _fields(data.changes[:64], grid)
    few = edges.continued(few + edges.level_like(few))
    energy = torch.fft.rfftn(few, dim=tuple(range(2, 2 + grid.n_axes))).abs().square().mean((0, 1))
    high = energy.movedim(-1, 0)[half_shape(edges.periodic)[-1] // 2 :].sum()
    return bool(high > _ROUGH * energy.sum())


def _driven(best: EquationForm, data: Increments) -> EquationForm | None:
    """Return the form with a source, where much of what it leaves is the same at all times."""
    if best.sourced or len(_fit(data).pairs.after) < _TIMES:
        return None
    found, _ = best._solutions(data)
    return replace(best, sourced=True) if _fit(data).standing(found) > _STANDING else None


def _other_scheme(best: EquationForm, _: Increments) -> EquationForm | None:
    if best.terms == "shifts" or best.reach == 0:
        return None
    if best.order == 2:
        return replace(best, order=4, dealiased="none")
    return replace(best, order=2, dealiased="factors")


def _products(best: EquationForm, _: Increments) -> EquationForm | None:
    return None if best.terms == "shifts" or not best.reach else replace(best, terms="derivatives")


def _stream(best: EquationForm, data: Increments) -> EquationForm | None:
    plane = data.grid is not None and data.grid.n_axes == 2
    if not plane or best.terms == "shifts" or best.reach == 0:
        return None
    return replace(best, terms="stream", reach=1, order=4, substeps=2, dealiased="all")


def _finer(best: EquationForm, _: Increments) -> EquationForm | None:
    return replace(best, order=4, substeps=2 * best.substeps)


def _cubic(best: EquationForm, data: Increments) -> EquationForm | None:
    several = data.grid is not None and data.grid.n_channels > 1
    return None if several and best.degree > 2 else replace(best, degree=best.degree + 1)


def _wider(best: EquationForm, _: Increments) -> EquationForm | None:
    return replace(best, reach=best.reach + 1)


def _without_aliases(best: EquationForm, data: Increments) -> EquationForm | None:
    """Return the form with its products cut, where this leaves less of the changes by itself."""
    if best.terms == "shifts" or best.dealiased == "all":
        return None
    found, _ = best._solutions(data)
    cut = _fit(data).in_scheme(found, replace(found.scheme, dealiased="all"))
    return replace(best, dealiased="all") if cut.error < _BETTER * found.error else None


def _all_dealiased(best: EquationForm, _: Increments) -> EquationForm | None:
    return None if best.terms == "shifts" else replace(best, dealiased="all")


#: Changes of the best form so far, in the order in which they are tried.
_CHANGES = (
    _driven, _other_scheme, _without_aliases, _stream, _cubic, _finer, _products, _wider,
    _all_dealiased, _finer, _cubic,
)  # fmt: skip
