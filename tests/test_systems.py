"""The catalogue and the simulator: names, regions, reproducibility, users' systems, errors."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

from pyhits import systems
from pyhits.errors import ArgumentError, DivergenceError, PyHiTSError
from pyhits.integrators import RungeKutta
from pyhits.systems import System, registry

NAMES = systems.names()
PAPER = ["harmonic-oscillator", "hyperbolic", "cubic", "van-der-pol", "hopf", "lorenz"]


@pytest.fixture(autouse=True)
def own_catalogue(monkeypatch):
    """Let each test register systems without the others seeing them."""
    monkeypatch.setattr(registry, "_catalogue", dict(registry._catalogue))


def decay(t, x, rate):
    return -rate * x


def make(rhs=decay, **options):
    defaults = {"name": "mine", "region": [[1, 2], [1, 2]], "dt": 0.1, "n_steps": 20}
    if rhs is decay:
        defaults["parameters"] = {"rate": 1.0}
    return System(rhs=rhs, **{**defaults, **options})


# The catalogue


def test_the_papers_six_come_first():
    assert NAMES[:6] == PAPER
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("spelling", ["van_der_pol", "Van der Pol", "vanderpol", "van-der-pol"])
def test_spellings_of_a_name(spelling):
    assert systems.get(spelling).name == "van-der-pol"


def test_titles_and_accents_are_names_too():
    assert systems.get("Rössler").name == "rossler"
    assert systems.get("lorenz system").name == "lorenz"


def test_an_unknown_name_brings_the_nearest():
    with pytest.raises(ArgumentError, match="did you mean 'lorenz'"):
        systems.get("Lorentz")


@pytest.mark.parametrize("name", NAMES)
def test_every_system_says_what_it_is(name):
    system = systems.get(name)
    text = system.summary()
    assert system.citation in text
    assert all(line in text for line in system.equations)
    assert system.equations
    assert any(year in system.citation for year in map(str, range(1900, 2030)))
    assert repr(system).startswith(f"System('{name}', dimension={system.dimension}")
    assert pickle.loads(pickle.dumps(system)).parameters == system.parameters


@pytest.mark.parametrize("name", NAMES)
def test_field_of_many_states_equals_field_of_each(name):
    system = systems.get(name)
    states = system.sample(12, random_state=3).reshape(2, 6, system.dimension)
    together = system.field(states)
    apart = [[system.field(x) for x in row] for row in states]
    np.testing.assert_array_equal(together, apart)
    across = np.asfortranarray(states.reshape(12, -1))
    np.testing.assert_array_equal(system(across), together.reshape(12, -1))


@pytest.mark.parametrize("name", [n for n in NAMES if systems.get(n).jacobian])
def test_jacobian_is_the_derivative_of_the_field(name):
    system = systems.get(name)
    states = system.sample(5, random_state=0)
    matrix = system.jacobian(0.0, states, **system.parameters)
    for k in range(system.dimension):
        # The fields are polynomials of degree 3 at most; complex steps are exact for them.
        shifted = states.astype(complex)
        shifted[:, k] += 1e-30j
        column = system.rhs(0.0, shifted, **system.parameters).imag / 1e-30
        np.testing.assert_allclose(matrix[:, :, k], column, rtol=1e-12)


def test_field_refuses_states_of_another_dimension():
    with pytest.raises(ArgumentError, match=r"\(\.\.\., 2\)"):
        systems.get("cubic").field(np.zeros((4, 3)))
    assert systems.get("cubic").field([1, 2]).dtype == np.float64


# Initial states


@pytest.mark.parametrize("name", NAMES)
def test_states_come_from_the_region_row_by_row(name):
    system = systems.get(name)
    states = system.sample(500, random_state=1)
    assert states.shape == (500, system.dimension)
    assert (states >= system.region[:, 0]).all()
    assert (states <= system.region[:, 1]).all()
    np.testing.assert_array_equal(system.sample(7, random_state=1), states[:7])
    assert (np.ptp(states, axis=0) > 0.9 * np.ptp(system.region, axis=1)).all()


def test_the_harmonic_oscillator_starts_uniformly_in_the_disc():
    states = systems.get("harmonic-oscillator").sample(20_000, random_state=0)
    squared = (states**2).sum(axis=1)
    assert squared.max() <= 1
    # Uniform in the disc means that the squared radius is uniform on [0, 1].
    np.testing.assert_allclose(
        np.quantile(squared, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.01
    )


def test_robertson_mixtures_have_mass_one():
    states = systems.get("robertson").sample(1000, random_state=0)
    assert (states >= 0).all()
    np.testing.assert_allclose(states.sum(axis=1), 1, rtol=1e-15)


def test_another_region_replaces_the_sampler_too():
    box = [[2, 3], [5, 5]]
    system = systems.get("harmonic-oscillator").with_region(box)
    data = system.simulate(50, 2, random_state=0)
    assert ((data.initial_states[:, 0] >= 2) & (data.initial_states[:, 0] <= 3)).all()
    assert (data.initial_states[:, 1] == 5).all()


# Simulation


def test_shape_names_and_step():
    data = systems.get("hopf").simulate(3, random_state=0)
    assert data.to_array().shape == (3, 5121, 3)
    assert data.dtype == np.float64
    assert data.feature_names == ("mu", "x", "y")
    assert data.dt == 0.01
    np.testing.assert_array_equal(data.initial_states, systems.get("hopf").sample(3, 0))


def test_one_seed_gives_one_result():
    system = systems.get("van-der-pol")
    first, second = (system.simulate(5, 50, random_state=4).values for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, system.simulate(5, 50, random_state=5).values)
    rng = np.random.default_rng(4)
    np.testing.assert_array_equal(first, system.simulate(5, 50, random_state=rng).values)


@pytest.mark.parametrize(
    "name", ["van-der-pol", pytest.param("lorenz", marks=pytest.mark.slow), "robertson"]
)
def test_first_trajectories_do_not_depend_on_how_many(name):
    system = systems.get(name)
    transient = min(system.transient, 15)
    few = system.simulate(3, 200, random_state=2, transient=transient)
    many = system.simulate(40, 200, random_state=2, transient=transient)[:3]
    np.testing.assert_array_equal(few.initial_states, many.initial_states)
    np.testing.assert_allclose(few.values, many.values, rtol=0, atol=1e-10)


def test_given_states_are_row_zero_without_a_transient():
    states = [[1.0, 2.0, 20.0], [-3.0, 1.0, 25.0]]
    system = systems.get("lorenz")
    data = system.simulate(initial_states=states, n_steps=400)
    np.testing.assert_array_equal(data.initial_states, states)
    later = system.simulate(initial_states=states, n_steps=200, transient=0.1)
    np.testing.assert_allclose(later.to_array(), data.to_array()[:, 200:], rtol=0, atol=1e-9)
    assert len(system.simulate(initial_states=states[0], n_steps=2)) == 1


def test_a_forced_system_records_from_time_zero():
    forced = make(lambda t, x: np.cos(t) + 0 * x)
    for transient in (0.0, 2.0):
        rows = forced.simulate(1, initial_states=[0.0, 1.0], transient=transient).to_array()[0]
        t = 0.1 * np.arange(21)
        exact = np.sin(t) + np.sin(transient)
        np.testing.assert_allclose(rows, exact[:, None] + [0, 1], atol=1e-12)


@pytest.mark.slow
def test_lorenz_rows_cover_the_attractor():
    system = systems.get("lorenz")
    loose = system.integrator(rtol=1e-8, atol=1e-10)  # the attractor is the same
    starts = system.simulate(320, 2, random_state=0, integrator=loose).initial_states
    long = system.simulate(40, 1000, dt=0.1, random_state=1, transient=0, integrator=loose)
    long = long.cut(501, 500).values
    assert 0.4 < (starts[:, 0] > 0).mean() < 0.6
    np.testing.assert_allclose(starts.std(axis=0), long.std(axis=0), rtol=0.1)
    for k, quantile in ((2, 0.1), (2, 0.5), (2, 0.9), (0, 0.1), (0, 0.9)):
        reached = (starts[:, k] < np.quantile(long[:, k], quantile)).mean()
        assert abs(reached - quantile) < 0.08


def test_parameters_and_dimension():
    system = systems.get("van-der-pol")
    strong = system.with_parameters(mu=5)
    assert (strong.parameters["mu"], system.parameters["mu"]) == (5, 2)
    assert strong.period is None
    assert system.with_parameters(mu=2.0) is system
    ring = systems.get("lorenz-96").with_parameters(forcing=10).with_dimension(12)
    assert (ring.dimension, ring.parameters["forcing"]) == (12, 10)
    assert ring.simulate(2, 3, transient=0).n_features == 12
    assert ring.with_dimension(12) is ring


@pytest.mark.parametrize("name", ["cubic", "robertson"])
def test_progress_counts_rows(name):
    calls = []
    system = systems.get(name)
    system.simulate(5, 100, random_state=0, progress=lambda *call: calls.append(call))
    done, totals = zip(*calls, strict=True)
    assert set(totals) == {505}
    assert done[-1] == 505
    assert list(done) == sorted(done)


def test_processes_do_not_change_stiff_results():
    system = systems.get("robertson")
    one, two = (
        system.simulate(4, 50, random_state=0, integrator=system.integrator(n_jobs=n)).values
        for n in (1, 2)
    )
    np.testing.assert_array_equal(one, two)


def test_stiff_systems_have_transients_too():
    system = make(stiff=True)
    rows = system.simulate(2, random_state=0, transient=1.0).to_array()
    exact = system.sample(2, 0)[:, None] * np.exp(-1 - 0.1 * np.arange(21))[:, None]
    np.testing.assert_allclose(rows, exact, rtol=1e-10)


@pytest.mark.parametrize("integrator", ["rk4", "solve-ivp", RungeKutta(systems.get("cubic"))])
def test_any_integrator_simulates(integrator):
    system = systems.get("cubic")
    exact = system.simulate(3, 50, random_state=0).values
    found = system.simulate(3, 50, random_state=0, integrator=integrator).values
    np.testing.assert_allclose(found, exact, rtol=0, atol=1e-7)


# Systems of one's own


def test_add_makes_a_system_known():
    mine = systems.add(make(name="My Decay", region=[[1, 2]], parameters={"rate": 3}))
    assert systems.get("my-decay") is mine
    assert systems.names()[-1] == "My Decay"
    assert mine.feature_names == ("x0",)
    rows = mine.simulate(2, 10, random_state=0).to_array()
    exact = mine.sample(2, 0) * np.exp(-0.3 * np.arange(11))
    np.testing.assert_allclose(rows[..., 0], exact, rtol=1e-11)


def test_a_taken_name_is_replaced_on_request_only():
    systems.add(make())
    with pytest.raises(ArgumentError, match="replace=True"):
        systems.add(make(name="MINE"))
    systems.add(make(name="MINE"), replace=True)
    assert systems.names().count("MINE") == 1
    assert "mine" not in systems.names()


def first_axis(t, x):
    return np.array([x[1], -x[0]])


def second_axis_only(t, x):
    x = np.atleast_2d(x)
    return np.stack([x[:, 1], -x[:, 0]], axis=-1)


def mean_field(t, x):
    return x - x.mean()


@pytest.mark.parametrize("rhs", [first_axis, second_axis_only, mean_field, lambda t, x: x[..., :1]])
def test_a_field_that_does_not_broadcast_is_refused(rhs):
    with pytest.raises(ArgumentError, match=r"x\[\.\.\., 0\]"):
        systems.add(make(rhs))
    with pytest.raises(ArgumentError, match=r"x\[\.\.\., 0\]"):
        make(rhs).simulate(2)
    assert "mine" not in systems.names()


def test_an_error_inside_the_field_is_told():
    with pytest.raises(ArgumentError, match="KeyError: 'k'"):
        make(lambda t, x: {}["k"]).simulate(2)


# Errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"region": [1, 2]}, "shape"),
        ({"region": [[2, 1], [0, 1]]}, "low ends"),
        ({"region": [[0, np.inf], [0, 1]]}, "low ends"),
        ({"dt": 0}, "dt"),
        ({"n_steps": 0}, "n_steps"),
        ({"transient": -1}, "transient"),
        ({"transient": "long"}, "transient"),
        ({"feature_names": ["x"]}, "feature names"),
        ({"feature_names": "xy"}, "feature names"),
        ({"feature_names": ["x", "x"]}, "feature names"),
        ({"rhs": 3}, "rhs"),
        ({"jacobian": 3}, "jacobian"),
    ],
)
def test_a_system_that_makes_no_sense(options, message):
    with pytest.raises(ArgumentError, match=message):
        make(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_trajectories": 0}, "n_trajectories"),
        ({"n_steps": 1.5}, "n_steps"),
        ({"dt": -0.1}, "dt"),
        ({"integrator": "rk44"}, "did you mean 'rk4'"),
        ({"integrator": 3}, "name of an integrator"),
        ({"transient": np.nan}, "transient"),
        ({"initial_states": [[1, 2, 3]]}, "shape"),
        ({"initial_states": np.zeros((0, 2))}, "shape"),
        ({"initial_states": [[1, 2]], "n_trajectories": 3}, "leave it out"),
        ({"initial_states": [[1, 2], [1, np.nan]]}, "Initial state 1"),
    ],
)
def test_arguments_of_simulate(options, message):
    with pytest.raises(ArgumentError, match=message):
        make().simulate(**options)


def test_other_errors():
    with pytest.raises(ArgumentError, match=r"a region of shape \(2, 2\) for mine"):
        make().with_region([[0, 1]])
    with pytest.raises(ArgumentError, match="did you mean 'rate'"):
        make().with_parameters(rat=2)
    with pytest.raises(ArgumentError, match="rtol"):
        make().integrator(rtol=0)
    with pytest.raises(ArgumentError, match="atol"):
        make(stiff=True).integrator(atol="small")
    with pytest.raises(ArgumentError, match="no other"):
        systems.get("cubic").with_dimension(3)
    with pytest.raises(ArgumentError, match="it has none"):
        systems.get("harmonic-oscillator").with_parameters(mu=1)
    with pytest.raises(ArgumentError, match="at least 4"):
        systems.get("lorenz-96").with_dimension(3)
    with pytest.raises(ArgumentError, match="sampler"):
        make(sampler=lambda rng, n: rng.random((n, 3))).sample(4)
    with pytest.raises(ArgumentError, match="Expected a System"):
        systems.add(decay)
    with pytest.raises(ArgumentError, match="letter or digit"):
        systems.add(make(name="--"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        make().dt = 3
    with pytest.raises(ValueError, match="read-only"):
        make().region[0, 0] = 3


@pytest.mark.parametrize("stiff", [False, True])
def test_a_trajectory_that_blows_up_is_named(stiff):
    # x' = x^2 reaches infinity at t = 1 / x(0).
    system = make(lambda t, x: x * x, stiff=stiff, dt=0.01, n_steps=200)
    states = [[0.1, 0.1], [0.1, 0.8], [0.2, 0.2]]
    with pytest.raises(DivergenceError, match=r"Trajectory 1 of mine .* t = 1\.2") as caught:
        system.simulate(initial_states=states)
    assert isinstance(caught.value, PyHiTSError)
    assert caught.value.trajectory == 1
    assert 124 <= caught.value.step <= 126


@pytest.mark.parametrize("stiff", [False, True])
def test_a_trajectory_that_grows_for_ever_is_named(stiff):
    # |x| passes 1e150 at t = 34.5, long before the end.
    system = make(lambda t, x: 10 * x, stiff=stiff, n_steps=1000)
    with pytest.raises(DivergenceError, match="Trajectory 0") as caught:
        system.simulate(initial_states=[1.0, 0.0])
    assert 344 <= caught.value.step <= 346


@pytest.mark.parametrize("stiff", [False, True])
def test_a_derivative_that_is_not_finite_is_named(stiff):
    def leaves_its_domain(t, x):
        return -1 + 0 * np.sqrt(x)

    system = make(leaves_its_domain, stiff=stiff, n_steps=50)
    with pytest.raises(DivergenceError, match="Trajectory 1"):
        system.simulate(initial_states=[[9.0, 9.0], [9.0, 1.0]])
    with pytest.raises(DivergenceError, match="Trajectory 1"):
        system.simulate(initial_states=[[9.0, 9.0], [9.0, -1.0]])


def test_a_noisy_field_is_given_up_and_works_with_looser_tolerances():
    system = make(lambda t, x: -np.sin(x.astype(np.float32)).astype(np.float64), n_steps=200)
    with pytest.raises(DivergenceError, match="raise rtol"):
        system.simulate(2, random_state=0)
    loose = system.integrator(rtol=1e-6, atol=1e-8)
    rows = system.simulate(2, random_state=0, integrator=loose).to_array()
    exact = 2 * np.arctan(np.tan(rows[:, 0] / 2) * np.exp(-20.0))
    np.testing.assert_allclose(rows[:, -1], exact, atol=1e-5)


def test_a_spare_trajectory_of_the_transient_may_diverge():
    # One start in a hundred reaches infinity within the transient; the first two do not.
    system = make(lambda t, x: x * x, region=[[0.1, 0.2], [0, 0.5]], transient=2.02, dt=0.01)
    starts = system.sample(512, random_state=0)[:, 1]
    assert (starts[:2] < 0.4).all()
    assert (starts > 0.496).any()
    assert len(system.simulate(2, random_state=0)) == 2
    with pytest.raises(DivergenceError):
        system.simulate(512, random_state=0)
