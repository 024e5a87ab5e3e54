"""What a fit works on: the data as they are at each stage, and all that has been settled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from pyhits.coordinates.attached_inputs import attach
from pyhits.coordinates.coordinates import Coordinates, split_features
from pyhits.coordinates.inputs import Inputs, Lags
from pyhits.data.declared_grid import DeclaredGrid
from pyhits.data.diagnostics import compare, examine
from pyhits.data.diagnostics.wrapped import certain_angles
from pyhits.data.grid import Grid
from pyhits.data.matching import as_trajectories, matched
from pyhits.data.repair.outliers import outlier_notes
from pyhits.data.sampling import as_rows
from pyhits.data.stubs import left_out
from pyhits.data.times.notes import axis_notes
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Chain, Standardise
from pyhits.encoders.chain import AUTO, links, split
from pyhits.errors import ArgumentError
from pyhits.fit.gridding import SettledGrid, found_grid, with_edges
from pyhits.fit.many_columns import automatic_of_columns, modes_of_columns
from pyhits.fit.settings import Settings
from pyhits.fit.splitting import Split, split_data
from pyhits.noise import Denoised
from pyhits.training import Recipe
from pyhits.util.progress import say


class Parts(NamedTuple):
    """A quantity of the training data, and of the data that validate: these may be the same."""

    train: Any
    validation: Any


@dataclass(frozen=True, eq=False)
class Problem:
    """A fit before it trains; each stage returns it with what it has added."""

    settings: Settings
    seed: int
    recipe: Recipe  # with what the stages have settled
    split: Split  # all data in the user's features, the inputs last, and how they were split
    given: Trajectories  # training data in the user's features, without inputs
    states: Parts  # what flow maps are trained and measured on: encoded, noise taken off
    observed: Parts  # the same with their noise
    input_names: tuple[str, ...]
    #: (n_rows, k), or None: inputs on the rows of ``states``, in the user's units, each so many
    #: rows back as it acts from.
    inputs: Parts | None
    encoder: Chain | None  # between the user's rows and the scaling
    scaling: Standardise  # not fitted before the last stage
    grid: Grid | None  # where the user's features lie, if they lie on a grid
    lags: Lags = ()  # how many rows back each input acts from
    #: Length of a turn of states that are angles beyond doubt, by name.
    angles: Mapping[str, float] = field(default_factory=dict)
    noise: Denoised | None = None  # what was taken off
    step_sizes: tuple[int, ...] = ()  # empty until they are known
    #: notes, findings: What was chosen; and what a person would object to in the data, which is
    #: among the notes.
    notes: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()

    @property
    def dtype(self) -> str:
        """Arithmetic of the flow maps: as asked, or float64 for closed forms."""
        return self.settings.dtype or ("float64" if self.recipe.is_closed else "float32")

    @property
    def on_grid(self) -> bool:
        """Whether the states are fields that maps of neighbours may step."""
        return self.states.train.grid is not None and not self.input_names

    @property
    def fits_all_rows(self) -> bool:
        """Whether all rows are fitted to in the end, the held-out part included."""
        return self.recipe.is_closed and self.split.how != "given"

    @cached_property
    def coordinates(self) -> Coordinates:
        """What stands between the user's rows and the flow maps; the scaling must be fitted."""
        return Coordinates(
            feature_names=self.given.feature_names,
            dt=self.given.dt,
            scaling=self.scaling,
            encoder=self.encoder,
            inputs=self._inputs,
            axis=self.given.axis.steps_alone(),
            grid=self.grid,
        )

    @cached_property
    def _inputs(self) -> Inputs | None:
        """What is known of the inputs; None without any."""
        names, train = self.input_names, self.split.train
        if not names:
            return None
        return Inputs.of(names, train.values[:, -len(names) :], train.offsets, self.lags)

    @property
    def input_width(self) -> int:
        """Numbers that a step of many rows sees of the inputs."""
        own = self._inputs
        return 0 if own is None else own.n_columns + len(own.trends)

    @property
    def scaled_inputs(self) -> Parts | None:
        """The inputs as flow maps see them; None without any."""
        own = self._inputs
        if self.inputs is None or own is None:
            return None
        return Parts(*(own.scaled(part) for part in self.inputs))

    def with_states(self, train: Trajectories, validation: Trajectories, **changes: Any) -> Problem:
        """Return the problem with other states, as they are observed."""
        both = Parts(train, validation)
        return replace(self, states=both, observed=both, **changes)

    def noted(self, *notes: str) -> Problem:
        """Return the problem with further notes, which are said."""
        for note in notes:
            say(note, verbose=self.settings.verbose)
        return replace(self, notes=(*self.notes, *notes))


def pose(
    settings: Settings,
    seed: int,
    X: Any,
    validation: Any = None,
    dt: float | None = None,
    inputs: Any = None,
    grid: Any = None,
) -> Problem:
    """Return the problem that data pose: checked, the inputs told from the states, split.

    Raises DataError, ArgumentError: data or settings cannot be used.

    Parameters
    ----------
    X, validation, dt, inputs, grid
        As in :meth:`pyhits.HiTS.fit`.
    """
    recipe = settings.recipe
    encoder, scaling = split(settings.encoder, recipe.standardise)
    declared = DeclaredGrid.of(grid)
    data = as_trajectories(as_rows(X, dt, declared), dt)
    validation = as_rows(validation, dt, declared)
    own = data.grid
    names: tuple[str, ...] = ()
    if inputs is not None:
        recipe = _for_inputs(recipe)
        data, validation, names = _with_inputs(data, validation, inputs)
        dt = None
    fraction, whole = settings.validation.fraction, recipe.windows == "coupled"
    parted = split_data(data, validation, dt, fraction=fraction, seed=seed, reproduce=whole)
    states, acting = _told_apart(parted, names)
    train = states.train
    grid, said = SettledGrid(declared.of_rows(train.n_features, own))
    if encoder is None:
        grid, said = _settled_grid(train, grid, may_be_found=not (names or declared.is_none))
    states = _same_or_both(states, lambda part: part.with_grid(grid))
    if grid is not None and encoder is None and not links(settings.encoder):
        scaling = Standardise(recipe.standardise, channels=grid.n_channels)
    if settings.encoder == AUTO:
        encoder, scaling = split(automatic_of_columns(train, grid), recipe.standardise)
    by_modes = modes_of_columns(settings, train, names, grid)
    if by_modes is not None:
        encoder, scaling = split(by_modes, recipe.standardise)
        said = (*said, "Many columns, few rows: their modes are learned; encoder=[] does without.")
    angles = {} if grid is not None else _angles(settings, data, names)
    problem = Problem(
        settings=settings,
        seed=seed,
        recipe=recipe,
        split=parted,
        given=states.train,
        states=states,
        observed=states,
        input_names=names,
        inputs=acting,
        lags=((0,),) * len(names),
        encoder=encoder,
        scaling=scaling,
        grid=grid,
        step_sizes=settings.sizes,
        angles=angles,
        findings=tuple(_findings(parted, names, angles, grid, grid_is_said=bool(declared))),
    )
    return problem.noted(*_notes(problem), *filter(None, [left_out(data, parted.whole)]), *said)


def _told_apart(parted: Split, names: tuple[str, ...]) -> tuple[Parts, Parts | None]:
    """Return the states, and the inputs if there are any, of both parts: these may be the same."""
    pairs = _same_or_both(
        Parts(parted.train, parted.validation), lambda part: split_features(part, names)
    )
    states, inputs = zip(*pairs, strict=True)
    return Parts(*states), Parts(*inputs) if names else None


def _same_or_both(parts: Parts, change: Callable[[Trajectories], Any]) -> Parts:
    """Return both parts changed; where they are the same object, so is what comes of them."""
    first = change(parts.train)
    return Parts(first, first if parts.validation is parts.train else change(parts.validation))


def _settled_grid(data: Trajectories, grid: Grid | None, *, may_be_found: bool) -> SettledGrid:
    """Return the grid of data, found in them where nothing says it, with edges as they show."""
    found = SettledGrid(grid)
    if grid is None and may_be_found:
        found = found_grid(data)
    if found.grid is None:
        return found
    settled = with_edges(data, found.grid)
    return SettledGrid(settled.grid, (*found.notes, *settled.notes))


def _notes(problem: Problem) -> Iterator[str]:
    """Yield what is to be known of the data as they came."""
    every = problem.split.whole
    if problem.split.note:
        yield problem.split.note
    yield from (*axis_notes(every.axis), *outlier_notes(every), *problem.findings)
    if problem.input_names:
        yield f"Inputs: {', '.join(problem.input_names)}."


def _with_inputs(
    data: Trajectories, validation: Any, inputs: Any
) -> tuple[Trajectories, Trajectories | None, tuple[str, ...]]:
    """Return data whose last features are the inputs, validation data likewise, and their names."""
    data, names = attach(data, inputs)
    if validation is None:
        return data, None, names
    others = as_trajectories(validation, None, default_dt=data.dt)
    return data, matched(others, data.dt, data.feature_names, "validation"), names


def _angles(settings: Settings, data: Trajectories, inputs: Sequence[str]) -> Mapping[str, float]:
    """Return the angles of data, where nobody chose how these are encoded."""
    is_open = settings.encoder is None or isinstance(settings.encoder, str)
    return certain_angles(data, inputs) if is_open else {}


def _findings(
    parted: Split,
    inputs: Sequence[str],
    angles: Mapping[str, float],
    grid: Grid | None,
    *,
    grid_is_said: bool,
) -> list[str]:
    """Return what a person would object to in the data of a fit; angles are taken as such."""
    known = {(name,) for name in angles}
    found = examine(parted.whole, inputs=inputs, grid_is_said=grid_is_said)
    found = [one for one in found if one.kind != "wrapped" or one.features not in known]
    if grid is not None:  # where little moves, a point of a film may look like codes
        found = [one for one in found if one.kind != "categories"]
    if parted.validation is not parted.train:
        by_time = parted.how == "time"
        train = parted.train if inputs else parted.train.with_grid(grid)
        found += compare(train, parted.validation, inputs=inputs, continued=by_time)
    return [str(finding) for finding in found]


def _for_inputs(recipe: Recipe) -> Recipe:
    """Return the recipe where inputs act; refuse settings that have no meaning then."""
    if recipe.windows != "anywhere":
        raise ArgumentError(
            f"Inputs take windows from anywhere, not windows={recipe.windows!r}: choose "
            "training='pyhits'."
        )
    return recipe.override(synthetic=0.0, tables=False)
