"""Few points: kernels and polynomials that are solved for, and chosen by rollouts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import pyhits
from pyhits import HiTS, Trajectories
from pyhits.encoders import Standardise
from pyhits.errors import ArgumentError, DataError, PyHiTSWarning
from pyhits.flowmaps import FlowMap, KernelMap, PolynomialMap, create, register
from pyhits.flowmaps import form as form_module
from pyhits.flowmaps.base import FLOW_MAPS
from pyhits.flowmaps.form import Form, Increments, Steps, Trials, closed_form
from pyhits.flowmaps.kernel import KernelForm
from pyhits.flowmaps.polynomial_form import PolynomialForm
from pyhits.policies import arguments
from pyhits.training import Recipe
from pyhits.training.search import FormSearch
from pyhits.training.windows import WindowSampler
from pyhits.util.clock import Clock


def kernel_map(kernel: str, *, outputs: int = 1, seed: int = 0) -> KernelMap:
    rng = np.random.default_rng(seed)
    made = KernelMap(3, 7, kernel, 2, outputs).double()
    for name, tensor in made.state_dict().items():
        if name.split(".")[-1] not in ("low", "high"):
            tensor.copy_(torch.from_numpy(rng.standard_normal(tuple(tensor.shape))))
    return made


@pytest.mark.parametrize("kernel", ["gaussian", "matern"])
def test_a_kernel_map_is_its_formula(kernel: str) -> None:
    flow_map = kernel_map(kernel, outputs=2)
    states = torch.from_numpy(np.random.default_rng(1).standard_normal((5, 3)))
    r = torch.linalg.norm(
        (states @ flow_map.metric)[:, None] - flow_map.centres[None], dim=2
    ).numpy()
    functions = np.exp(-(r**2) / 2)
    if kernel == "matern":
        functions = (1 + 5**0.5 * r + 5 * r**2 / 3) * np.exp(-(5**0.5) * r)
    expected = functions @ flow_map.weights.numpy() + flow_map.base.increment(states).numpy()
    assert np.allclose(flow_map.increment(states).numpy(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("outputs", [1, 3])
def test_stepping_into_a_buffer_is_the_same(outputs: int) -> None:
    flow_map = kernel_map("matern", outputs=outputs)
    states = torch.from_numpy(np.random.default_rng(1).standard_normal((6, 3)))
    out = torch.empty(6, 3 * outputs, dtype=torch.float64)
    flow_map.stepper(8)(states, out)
    assert torch.allclose(out.view(6, outputs, 3), flow_map.within(states), rtol=1e-13, atol=1e-13)


def test_a_kernel_map_is_rebuilt_from_its_config() -> None:
    flow_map = kernel_map("gaussian")
    again = create("kernel", flow_map.config()).double()
    again.load_state_dict(flow_map.state_dict())
    states = torch.randn(4, 3, dtype=torch.float64)
    assert torch.equal(again(states), flow_map(states))


@pytest.mark.parametrize("kernel", ["gaussian", "matern"])
def test_derivatives_are_finite_at_a_centre(kernel: str) -> None:
    flow_map = kernel_map(kernel)
    flow_map.metric.copy_(torch.eye(3))
    state = flow_map.centres[:1].clone().requires_grad_()
    flow_map(state).sum().backward()
    assert state.grad is not None
    assert torch.isfinite(state.grad).all()


def regression(n: int = 200, outputs: int = 1) -> Increments:
    rng = np.random.default_rng(0)
    states = rng.standard_normal((n, 2))
    change = 0.1 * np.stack([states[:, 1], -states[:, 0] + states[:, 0] ** 3], axis=1)
    return Increments(states, np.concatenate([change / outputs] * outputs, axis=1))


def test_a_polynomial_is_recovered() -> None:
    data = regression()
    flow_map = PolynomialForm(3, PolynomialForm.penalties[0]).solve(data)
    assert isinstance(flow_map, PolynomialMap)
    assert torch.allclose(flow_map.increment(data.states), data.changes, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "form", [PolynomialForm(4), KernelForm(1, whitening=1.0, stretch=(1.0, 2.0))]
)
@pytest.mark.parametrize("outputs", [1, 2])
def test_families_step_as_their_forms_do(form: Form, outputs: int) -> None:
    data = regression(outputs=outputs)
    forms, steps = form.candidates(data, near=False)
    states = torch.randn(5, 2, dtype=torch.float64)
    together = steps(states.expand(len(forms), 5, 2))
    for stepped, each in zip(together, forms, strict=True):
        assert torch.allclose(stepped, each.solve(data)(states), rtol=0, atol=1e-7)


def test_kernels_interpolate_as_the_penalty_vanishes() -> None:
    data = regression()
    errors = []
    for penalty in KernelForm.penalties[1:]:
        flow_map = KernelForm(1, penalty).solve(data)
        errors.append(float((flow_map.increment(data.states) - data.changes).abs().max()))
    assert errors == sorted(errors)
    assert errors[0] < 1e-6


def test_whitened_kernels_do_not_depend_on_units() -> None:
    data = regression()
    turned = torch.tensor([[3.0, 1.0], [-40.0, 0.5]], dtype=torch.float64)
    other = Increments((data.states @ turned).numpy(), data.changes.numpy())
    form = KernelForm(0, 1e-7, "gaussian", whitening=1.0)
    mine, its = form.solve(data), form.solve(other)
    new = torch.randn(9, 2, dtype=torch.float64)
    assert torch.allclose(mine.increment(new), its.increment(new @ turned), rtol=0, atol=1e-6)


def test_a_matrix_that_rounding_makes_singular_is_still_solved() -> None:
    states = np.linspace(0, 1e-6, 300)[:, None] + 1.0
    data = Increments(states, 0 * states + 1.0)
    form = KernelForm(0, KernelForm.penalties[0], "gaussian", length=4.0)
    flow_map = form.solve(data)
    assert torch.isfinite(flow_map.increment(data.states)).all()
    assert form.candidates(data, near=False)[0]


def test_single_axes_are_stretched() -> None:
    form = KernelForm(1).stretched(1, 3.0, 3).stretched(1, 2.0, 3)
    assert form.stretch == (1.0, 6.0, 1.0)
    assert KernelForm.from_dict(form.as_dict() | {"score": 1.0}) == form


def samplers(data: Trajectories, size: int = 1) -> tuple[WindowSampler, WindowSampler]:
    head, tail = data.split_time(0.25)
    scaling = Standardise().fit(head.values)
    first, second = (WindowSampler(d.values, d.offsets, scaling, size) for d in (head, tail))
    return first, second


def folded(n: int = 400) -> Trajectories:
    """Steps of a spring that is harder to press than to pull: a kink, which no polynomial has."""
    states = np.empty((n, 2))
    states[0] = 1.0, 0.3
    for k in range(n - 1):
        x, y = states[k]
        y -= 0.2 * (3 * x if x > 0 else x)
        states[k + 1] = x + 0.2 * y, y
    return Trajectories(states, 1.0)


@pytest.mark.slow
def test_rollouts_prefer_kernels_to_polynomials_at_kinks() -> None:
    search = FormSearch(*samplers(folded()))
    found = search.run()
    assert isinstance(found.form, KernelForm)
    assert search.best["kernel"].score < 0.3 * search.best["polynomial"].score
    for family in ("polynomial", "kernel"):
        assert FormSearch(*samplers(folded(60)), family).run().form.kind == family


def test_nothing_is_judged_on_what_it_was_fitted_to() -> None:
    rng = np.random.default_rng(0)
    noise = Trajectories(rng.standard_normal((40, 2)), 1.0)
    same = WindowSampler(noise.values, noise.offsets, Standardise().fit(noise.values), 1)
    assert FormSearch(same, same).run().score > 0.5
    assert len(FormSearch(same, same).comparisons) == 4


def test_few_windows_are_judged_on_blocks_too() -> None:
    assert len(FormSearch(*samplers(folded(100))).comparisons) == 5
    assert len(FormSearch(*samplers(folded(400))).comparisons) == 1
    ragged = Trajectories([rotation(n) for n in (9, 30, 2, 17)], 1.0)
    whole = WindowSampler(ragged.values, ragged.offsets, Standardise().fit(ragged.values), 2)
    search = FormSearch(whole, whole)
    assert sum(len(one.rollouts.starts) for one in search.comparisons) >= 8
    assert search.run().score < 1e-8


def test_degrees_are_bounded() -> None:
    search = FormSearch(*samplers(folded()), max_degree=1)
    assert max(found.form.degree for found in (search.run(), *search.best.values())) <= 1
    assert fit(rotation(60), step_sizes=[1], polynomial_degree=0).history_[1].form["degree"] == 0


def test_a_search_ends_with_its_time() -> None:
    search = FormSearch(*samplers(folded()), clock=Clock.start(1e-9))
    assert np.isfinite(search.run().score)
    assert len(search.history.records) == 1


def test_a_held_part_without_windows_is_refused() -> None:
    data = Trajectories(np.random.default_rng(0).standard_normal((30, 1)), 1.0)
    first, second = samplers(data, 4)
    with pytest.raises(DataError, match="validation"):
        FormSearch(first, replace(second, step_size=20))


def rotation(n: int = 300, angle: float = 0.21) -> np.ndarray:
    t = angle * np.arange(n)
    return np.stack([np.cos(t), np.sin(t)], axis=1)


def fit(data: object, **settings: object) -> HiTS:
    usual = {"flow_map": "closed", "noise": False, "verbose": False, "random_state": 0, "n_jobs": 1}
    return HiTS(**arguments(**usual | settings)).fit(data)


def test_few_points_are_left_to_closed_forms() -> None:
    model = fit(rotation(), step_sizes=[1, 4], flow_map="auto")
    assert model.recipe_.flow_map == "best"
    assert model.dtype_ == "float64"
    assert not model.flow_maps_[1].n_parameters
    assert model.start_rows_ == 1
    truth = rotation(400)[299:]
    assert np.abs(model.forecast_from(rotation(), 100) - truth).max() < 1e-8
    assert {h.stopped_by for h in model.history_.values()} == {"closed form"}


@pytest.mark.parametrize(
    "settings",
    [{"hidden_sizes": (4,)}, {"max_steps": 30}, {"flow_map": "residual"}, {"dtype": "float32"}],
)
def test_settings_of_nets_ask_for_nets(settings: dict[str, object]) -> None:
    usual = {"flow_map": "auto", "max_steps": 30}
    model = fit(rotation(60), step_sizes=[1], **usual | settings)
    assert model.recipe_.flow_map == "residual"
    assert model.dtype_ == "float32"


def test_closed_forms_are_not_for_float32() -> None:
    for family in ("closed", "kernel", "polynomial", "best"):
        with pytest.raises(ArgumentError, match="float64"):
            fit(rotation(60), flow_map=family, dtype="float32")


def test_many_points_or_features_are_left_to_nets() -> None:
    recipe = Recipe(flow_map="auto")
    assert recipe.resolve(3, 5, 20_000).flow_map == "best"
    assert recipe.resolve(3, 5, 20_001).flow_map == "residual"
    assert recipe.resolve(3, 1, 200_000).flow_map == "best"
    assert recipe.resolve(3, 1, 200_001).flow_map == "residual"
    assert recipe.resolve(65, 1, 4000).flow_map == "residual"


@pytest.mark.usefixtures("few_forms")
@pytest.mark.parametrize("family", ["closed", "polynomial", "kernel"])
def test_families_are_asked_for_by_name(family: str, tmp_path: Path) -> None:
    data = folded(250)
    model = fit(data, step_sizes=[1], flow_map=family, encoder=[])
    described = model.history_[1].flow_map
    assert ("kernel" in described) == (family != "polynomial")
    loaded = pyhits.load(model.save(tmp_path / "model.safetensors"))
    states = data.values[:5]
    assert np.array_equal(loaded.forecast(states, 20), model.forecast(states, 20))
    assert loaded.history[1].form == model.history_[1].form


class ParabolaMap(FlowMap):
    """A family of one's own: increments are multiples of the states' squares."""

    factors: torch.Tensor

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension)
        self.register_buffer("factors", torch.zeros(dimension))

    def increment(self, states: torch.Tensor) -> torch.Tensor:
        return self.factors * states**2


class ParabolaForm(Form):
    """Its closed form, which has nothing to be chosen by."""

    in_every_search = True

    @classmethod
    def search(cls, trials: Trials) -> None:
        trials(cls())

    def candidates(self, data: Increments, *, near: bool) -> tuple[list[Form], Steps]:
        flow_map = self.solve(data)
        return [self], lambda states: states + flow_map.increment(states)

    def solve(self, data: Increments) -> ParabolaMap:
        squares = data.states**2
        solved = ParabolaMap(data.dimension).double()
        solved.factors.copy_((squares * data.changes).sum(0) / squares.square().sum(0))
        return solved


@pytest.fixture
def parabolas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the family for one test."""
    # Both are taken out again afterwards.
    monkeypatch.setitem(form_module._FORMS, "parabola", ParabolaForm)
    monkeypatch.setitem(FLOW_MAPS.classes, "parabola", ParabolaMap)
    closed_form("parabola")(ParabolaForm)
    register("parabola")(ParabolaMap)


@pytest.mark.usefixtures("parabolas")
def test_a_family_of_one_s_own_takes_part_wherever_closed_forms_do(tmp_path: Path) -> None:
    states = np.full((120, 1), 0.9)
    for k in range(1, 120):
        states[k] = states[k - 1] - 0.1 * states[k - 1] ** 2
    head, tail = Trajectories(states, 1.0).split_time(0.2)
    units = Standardise().set_statistics(np.zeros(1), np.ones(1))
    pair = [WindowSampler(d.values, d.offsets, units, 1) for d in (head, tail)]
    every = FormSearch(*pair)
    every.run()
    alone = FormSearch(*pair, "parabola")
    assert alone.run().score == every.best["parabola"].score < 1e-14
    assert set(alone.best) == {"parabola"}
    assert {"parabola", "polynomial"} <= set(every.best)
    model = fit(states, step_sizes=[1, 2], flow_map="parabola", encoder=[])
    assert model.history_[1].flow_map == "parabola"
    loaded = pyhits.load(model.save(tmp_path / "model.safetensors"))
    assert np.array_equal(loaded.forecast(states[:2], 20), model.forecast(states[:2], 20))


@pytest.mark.usefixtures("few_forms")
def test_the_held_out_part_is_solved_for_too() -> None:
    data = folded(100)
    model = fit(data, step_sizes=[1, 2], flow_map="kernel", encoder=[])
    assert {s: m.n_centres for s, m in model.flow_maps_.items()} == {1: 99, 2: 98}
    head, tail = data.split_time(0.2)
    told = HiTS([1], flow_map="kernel", encoder=[], verbose=False, n_jobs=1, random_state=0)
    assert told.fit(head, validation=tail).flow_maps_[1].n_centres == 79


@pytest.mark.slow
def test_processes_change_nothing() -> None:
    alone, together = (
        fit(folded(120), step_sizes=[1, 2], encoder=[], flow_map="kernel", n_jobs=n) for n in (1, 2)
    )
    for size, flow_map in alone.flow_maps_.items():
        for mine, its in zip(
            flow_map.state_dict().values(),
            together.flow_maps_[size].state_dict().values(),
            strict=True,
        ):
            assert torch.equal(mine, its)


def test_dense_steps_are_solved_for() -> None:
    model = fit(rotation(), step_sizes=[1, 2, 4], dense=4)
    assert model.flow_maps_[4].outputs == 4
    truth = rotation(340)[299:]
    assert np.abs(model.forecast_from(rotation(), 40) - truth).max() < 1e-7


def test_constant_features_stay_constant() -> None:
    data = np.column_stack([rotation(), np.full(300, 7.25)])
    model = fit(data, step_sizes=[1], encoder=[])
    assert (model.forecast_from(data, 50)[:, 2] == 7.25).all()


@pytest.mark.parametrize("rows", [4, 7, 20])
def test_very_few_points_still_make_a_model(rows: int) -> None:
    model = fit(rotation(rows))
    assert np.isfinite(model.forecast_from(rotation(rows), 3)).all()


def test_float32_data_are_stepped_in_float64_between_the_steps() -> None:
    data = rotation().astype(np.float32)
    model = fit(data, step_sizes=[2, 4], encoder=[])
    states = model.forecast(data[0], 60)
    assert states.dtype == np.float32
    assert np.abs(states[::2] - rotation(61)[::2]).max() < 1e-6
    assert np.abs(states - rotation(61)).max() < 2e-3


@pytest.mark.usefixtures("few_forms")
def test_an_interruption_of_the_last_solution_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pyhits.fit import refitting

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(refitting, "fit_again", interrupted)
    with pytest.warns(PyHiTSWarning, match="have not seen the held-out part"):
        model = fit(folded(200), step_sizes=[1, 2], flow_map="kernel", encoder=[])
    assert model.flow_maps_[1].n_centres == 159
    assert model.interrupted_ == ("refit",)
    assert np.isfinite(model.forecast_from(folded(200), 20)).all()


def test_unknown_families_name_the_closed_forms() -> None:
    with pytest.raises(
        ArgumentError, match="closed, polynomial, ode, kernel, equation, velocities, stencil, best"
    ):
        fit(rotation(30), flow_map="kernal")


def test_polynomials_are_fitted_to_moments_that_few_windows_miss() -> None:
    """Robertson's reaction is fast in the first row of each trajectory alone."""
    data = pyhits.systems.get("robertson").simulate(22, n_steps=200, random_state=0)
    model = HiTS([1], flow_map="polynomial", encoder=[], random_state=0, n_jobs=1, verbose=False)
    found = model.fit(data[:18]).evaluate(data[18:])
    assert found.nrmse < 0.5 * found.baselines["polynomial"].nrmse


def test_families_take_as_many_windows_as_their_work_allows() -> None:
    rows = np.random.default_rng(0).standard_normal((1500, 1))
    windows = WindowSampler(rows, np.array([0, 1500]), Standardise().fit(rows), 1)
    search = FormSearch(windows, windows)
    assert len(search.data_of(PolynomialForm)) > 1000
    assert len(search.data_of(KernelForm)) == 1000
    assert search.data_of(KernelForm) is search.data_of(KernelForm)


def test_symmetric_motion_takes_degrees_beyond_six() -> None:
    """Every other degree adds nothing to an odd flow map."""
    data = pyhits.systems.get("van-der-pol").simulate(
        initial_states=np.random.default_rng(0).uniform(-2, 2, (14, 2)), n_steps=150
    )
    model = fit(data[:10], step_sizes=[1], flow_map="polynomial", encoder=[])
    assert model.history_[1].form["degree"] > 7
    assert model.evaluate(data[10:]).nrmse < 1e-5


@pytest.mark.slow
def test_maps_that_are_chaotic_from_row_to_row_are_told_apart_by_short_rollouts() -> None:
    """Of a hundred steps all but the first ten are lost, whatever the form."""

    def ikeda(n: int, n_rows: int, seed: int) -> np.ndarray:
        z = np.random.default_rng(seed).uniform(-0.1, 0.1, n) + 0j
        rows = []
        for _ in range(20 + n_rows):
            z = 1 + 0.9 * z * np.exp(1j * (0.4 - 6 / (1 + np.abs(z) ** 2)))
            rows.append(np.stack([z.real, z.imag], axis=1))
        return np.stack(rows[20:], axis=1)

    model = fit(list(ikeda(8, 100, 0)), flow_map="kernel", step_sizes=[1], encoder=[]).stepper_
    assert model is not None
    # The error in the rollouts that decided, not that of lost ones.
    assert model.history[1].scores["kernel"] < 0.1
    fresh = ikeda(20, 12, 1)
    off = np.abs(model.forecast(fresh[:, 0], 10) - fresh[:, :11])
    assert np.median(off[:, 5].max(axis=1)) < 0.01
