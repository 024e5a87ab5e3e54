"""What a fit does before it trains: hold out, encode, take noise off, join rows, tell inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pyhits.coordinates.coordinates import later_rows
from pyhits.coordinates.input_steps import PER_INPUT
from pyhits.coordinates.inputs import Inputs, attach
from pyhits.data.diagnostics import compare, examine
from pyhits.data.matching import as_trajectories, matched
from pyhits.data.repair.tell import outlier_notes
from pyhits.data.times.notes import axis_notes
from pyhits.data.trajectories import Trajectories
from pyhits.encoders import Chain, DelayEmbedding, Standardise
from pyhits.encoders.chain import (
    AUTO,
    automatic,
    links,
    split,
    without_idle,
)
from pyhits.encoders.flatten import as_rows
from pyhits.errors import ArgumentError, DataError
from pyhits.fit import planning
from pyhits.fit.settings import Settings, check_selection, widths_by_scale
from pyhits.fit.splitting import Split, split_data
from pyhits.noise import Denoised, denoise, noise_level
from pyhits.training import Recipe
from pyhits.training.lags import choose_lags
from pyhits.training.size import check_training_size
from pyhits.util.checks import check_row_length
from pyhits.util.clock import Clock
from pyhits.util.progress import bar, say

#: Constant features that a note names, at most.
_MOST_NAMES = 20

#: Noise, in standard deviations, from which on neighbouring rows do not tell how a state changes.
_NOISY = 1e-3

#: Features of a recording whose state may need several rows, at most; beyond, an encoder says so.
_MOST_DELAYED = 8


#: Share of a time limit after which each stage ends; what one leaves is for those that follow.
UNTIL = {
    "encoders": 0.15,
    "delays": 0.2,
    "noise": 0.25,
    "rows of a state": 0.3,
    "training": 0.8,
    "choice": 0.91,
    "agreement": 0.92,
    "baselines": 0.94,
    "intervals": 1.0,
}

#: The same where all rows are fitted to in the end, which takes about as long as training did.
UNTIL_SEEN = UNTIL | {
    "training": 0.65,
    "choice": 0.76,
    "agreement": 0.78,
    "baselines": 0.8,
    "intervals": 0.88,
}


@dataclass
class Prepared:
    """Data as flow maps are trained on them, and all that was settled on the way.

    Attributes
    ----------
    given : Trajectories
        Training data in the user's features.
    split : Split
        All data in the user's features, the inputs last, and how they were split.
    train, held : Trajectories
        Encoded, with the noise taken off: to train on, and to measure on.
    seen, unseen : Trajectories
        The same with their noise.
    snapshot, preprocessor, encoder
        What stands between the user's rows and the flow maps; ``encoder`` is not fitted.
    noise : Denoised or None
    inputs : Inputs or None
    acting : dict of str to array
        Inputs on the rows of ``train`` and ``held``, in the user's units.
    step_sizes : list of int
    recipe : Recipe
        Resolved.
    notes : list of str
    findings : list of str
        What a person would object to in the data; among the notes, too.
    """

    given: Trajectories
    split: Split
    train: Trajectories
    held: Trajectories
    seen: Trajectories
    unseen: Trajectories
    snapshot: tuple[int, ...] | None
    preprocessor: Chain | None
    encoder: Standardise
    noise: Denoised | None
    inputs: Inputs | None
    acting: dict[str, np.ndarray]
    step_sizes: list[int]
    recipe: Recipe
    notes: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    @property
    def dtype(self) -> str:
        """Arithmetic where none was asked for."""
        return "float64" if self.recipe.is_closed else "float32"

    def scaled(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the inputs on ``train`` and ``held`` as flow maps see them; None without any."""
        if self.inputs is None:
            return None
        return self.inputs.scaled(self.acting["train"]), self.inputs.scaled(self.acting["held"])

    def on_rows(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the inputs on ``train`` and ``held`` in the user's units; None without any."""
        return (self.acting["train"], self.acting["held"]) if self.acting else None


def prepare(
    settings: Settings,
    X: Any,
    validation: Any,
    dt: float | None,
    inputs: Any,
    *,
    seed: int,
    clock: Clock,
) -> Prepared:
    """Return what :meth:`HiTS.fit` trains on.

    Parameters
    ----------
    settings : Settings
    X, validation, dt, inputs
        As in :meth:`HiTS.fit`.
    clock : Clock
        Of the whole fit.

    Raises
    ------
    DataError, ArgumentError
        Data or settings cannot be used.
    """
    recipe, selection = settings.recipe, settings.selection
    snapshot, preprocessor, encoder = split(settings.encoder, recipe.standardise)
    if snapshot is None and isinstance(X, Trajectories):
        snapshot = X.snapshot
    X, validation = as_rows(X, snapshot), as_rows(validation, snapshot)
    names: tuple[str, ...] = ()
    if inputs is not None:
        _check_inputs(recipe)
        recipe = recipe.override(synthetic=0.0, tables=False)
        X, names = attach(as_trajectories(X, dt), inputs)
        dt = None
        if validation is not None:
            others = as_trajectories(validation, None, default_dt=X.dt)
            validation = matched(others, X.dt, X.feature_names, "validation")
    parted = split_data(
        X,
        validation,
        dt,
        fraction=settings.validation.fraction,
        seed=seed,
        reproduce=recipe.windows == "coupled",
    )
    train, held = parted.train, parted.validation
    said = (parted.note, *axis_notes(parted.whole.axis), *outlier_notes(parted.whole))
    notes = [note for note in said if note]
    findings = _findings(parted, names)
    notes += findings
    acting: dict[str, np.ndarray] = {}
    if names:
        acting = {"train": train.values[:, -len(names) :], "held": held.values[:, -len(names) :]}
        states = train.feature_names[: -len(names)]
        both, train = train, train.select(states)
        held = train if held is both else held.select(states)
        notes.append(f"Inputs: {', '.join(names)}.")
    if snapshot is not None and math.prod(snapshot) != train.n_features:
        raise DataError(
            f"Expected snapshots of shape {snapshot}, got rows of {train.n_features} features."
        )
    given = train
    if isinstance(settings.encoder, str) and settings.encoder == AUTO:
        _, preprocessor, encoder = split(automatic(train.n_features), recipe.standardise)
    if preprocessor is not None:
        with clock.stage("encoders"):
            preprocessor.fit_in_time(train, clock.until(UNTIL["encoders"]))
        notes += preprocessor.notes()
        preprocessor = without_idle(preprocessor)
    elif settings.encoder is None and not names:
        with clock.stage("delays"):
            preprocessor = _needed_delays(
                train, held, recipe, notes, clock.until(UNTIL["delays"]), verbose=settings.verbose
            )
    if preprocessor is not None:
        lost = preprocessor.history - 1
        for name, before in (("train", train), ("held", held)) if names else ():
            acting[name] = later_rows(acting[name], before, lost)
        is_held = held is not train
        train = preprocessor.transform(train)
        held = preprocessor.transform(held) if is_held else train
        notes.append(
            f"Encoded: {given.n_features} features as {train.n_features} coordinates, by "
            f"{', '.join(map(repr, preprocessor.encoders))}."
        )
    _check_size(settings, recipe, train, PER_INPUT * len(names))
    sizes: list[int] | None = None
    if settings.step_sizes is not None:
        sizes = planning.dense_step_sizes(settings.step_sizes, settings.dense)
        check_selection(selection, sizes)
        widths_by_scale(settings.hidden_sizes, sizes)
    seen, unseen = train, held
    with clock.stage("noise"):
        noise = _without_noise(
            settings, train, held, preprocessor, sizes, recipe, notes, clock, names
        )
    if noise is not None:
        train, held = noise.train, noise.held
        notes.append(noise.note)
    recipe = recipe.resolve(train.n_features + PER_INPUT * len(names), len(train), train.n_rows)
    few = recipe.is_closed and len(train) < planning.FEW_TRAJECTORIES
    if few and noise is None and preprocessor is None and settings.encoder is None and not names:
        with (
            bar("rows of a state", verbose=settings.verbose) as progress,
            clock.stage("rows of a state"),
        ):
            lags = choose_lags(
                train,
                held,
                recipe.flow_map,
                sizes[0] if sizes else settings.dense,
                clock=clock.until(UNTIL["rows of a state"]),
                progress=progress,
            )
        notes.append(lags.note())
        if lags.n_rows > 1:
            preprocessor = Chain([DelayEmbedding(lags.n_rows)]).fit(train)
            train, held = preprocessor.transform(train), preprocessor.transform(held)
            seen, unseen = train, held
    if sizes is None:
        sizes = planning.default_step_sizes(train, held, recipe.rollout_steps, settings.dense)
        notes.append(
            f"Step sizes: {', '.join(map(str, sizes))} (x dt = {given.axis.step_name(train.dt)})."
        )
        check_selection(selection, sizes)
    if settings.dense > 1:
        notes.append(f"The flow map of step size {sizes[0]} returns {settings.dense} states.")
    widths = widths_by_scale(settings.hidden_sizes, sizes)
    notes.append(planning.nets_note(recipe, train.n_features, sizes, widths))
    low, high = train.values.min(axis=0), train.values.max(axis=0)
    flat = [train.feature_names[k] for k in np.flatnonzero(low == high)]
    if flat:
        shown_names = ", ".join([*flat[:_MOST_NAMES], "..."][: len(flat)])
        notes.append(f"Constant features stay constant: {shown_names}.")
    return Prepared(
        given,
        parted,
        train,
        held,
        seen,
        unseen,
        snapshot,
        preprocessor,
        encoder,
        noise,
        Inputs.of(names, acting["train"]) if names else None,
        acting,
        sizes,
        recipe,
        notes,
        findings,
    )


def _findings(parted: Split, inputs: Sequence[str]) -> list[str]:
    """Return what a person would object to in the data of a fit."""
    found = examine(parted.whole, inputs=inputs)
    if parted.validation is not parted.train:
        by_time = parted.how == "time"
        found += compare(parted.train, parted.validation, inputs=inputs, continued=by_time)
    return [str(finding) for finding in found]


def _check_size(settings: Settings, recipe: Recipe, train: Trajectories, n_told: int) -> None:
    """Raise an ArgumentError where states are too long, or nets too wide, for the memory."""
    n_features = train.n_features + n_told
    resolved = recipe.resolve(n_features, len(train), train.n_rows)
    as_they_are = settings.encoder is not None and not links(settings.encoder)
    asked = as_they_are or settings.hidden_sizes is not None
    check_row_length(n_features, is_field=train.snapshot is not None, asked=asked)
    own = settings.hidden_sizes
    by_scale = own.values() if isinstance(own, Mapping) else ()
    for hidden in (resolved.hidden_sizes or (), *by_scale):
        check_training_size(
            resolved,
            n_features,
            hidden,
            settings.dense,
            8 if settings.dtype == "float64" else 4,
        )


def _needed_delays(
    train: Trajectories,
    held: Trajectories,
    recipe: Recipe,
    notes: list[str],
    clock: Clock,
    *,
    verbose: bool,
) -> Chain | None:
    """Return delays without which recordings do not show their state.

    Of few points without noise the rollouts that choose closed forms choose the rows of a state as
    well. Of many trajectories of one variable, which are forecast from first states, delays are
    only spoken of.
    """
    few = recipe.resolve(train.n_features, len(train), train.n_rows).is_closed
    several = len(train) >= planning.FEW_TRAJECTORIES
    if train.n_features > (1 if several else _MOST_DELAYED) or recipe.windows != "anywhere":
        return None
    if few and not (noise_level(train) > _NOISY * train.spread()).any():
        return None
    say("Looking whether one row tells the next.", verbose=verbose)
    delays = DelayEmbedding("auto")
    found = Chain([delays]).fit_in_time(train, clock)
    choice = delays.choice_
    # What moves to and fro in one variable has a state of more.
    if choice is None or not (choice.needed or (train.n_features == 1 and choice.n_delays > 1)):
        return None
    if several or held.lengths.min() < 2 * found.history:
        notes.append(
            "One row does not tell the next, as if a variable were missing: try encoder='auto', "
            "which takes delays."
        )
        return None
    notes.append(f"{choice.note()} One row does not tell the next; encoder=[] takes one.")
    return found


def _check_inputs(recipe: Recipe) -> None:
    """Refuse settings that have no meaning where inputs act."""
    if recipe.windows != "anywhere":
        raise ArgumentError(
            f"Inputs take windows from anywhere, not windows={recipe.windows!r}: choose "
            "training='pyhits'."
        )
    if recipe.rollout_steps > 1:
        raise ArgumentError(
            f"With inputs the loss is of one step, got rollout_steps={recipe.rollout_steps}."
        )


def _without_noise(
    settings: Settings,
    train: Trajectories,
    held: Trajectories,
    preprocessor: Chain | None,
    sizes: list[int] | None,
    recipe: Recipe,
    notes: list[str],
    clock: Clock,
    names: tuple[str, ...],
) -> Denoised | None:
    """Return the data without their noise, if there is any to take off."""
    if not recipe.denoise:
        return None
    if preprocessor is not None and preprocessor.history > 1:
        notes.append("Noise is left: delays repeat that of each row, so it is not white.")
        return None
    if names:
        notes.append("Noise is left, if there is any: inputs move the states, too.")
        return None
    with bar("noise", verbose=settings.verbose) as progress:
        return denoise(
            train,
            held,
            shortest=2 * sizes[-1] * recipe.rollout_steps if sizes else 2,
            progress=progress,
            clock=clock.until(UNTIL["noise"]),
        )
