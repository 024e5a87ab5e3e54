"""Multiple shooting: fields, their derivatives, and the equations that are solved."""

from __future__ import annotations

import numpy as np
import pytest

from pyhits.noise.equations import SegmentEquations, eliminate, solve
from pyhits.noise.field import PolynomialField
from pyhits.noise.observations import (
    Observations,
    misfits,
    spreading,
    step,
    substeps_needed,
)
from pyhits.noise.shooting import ShootingFit, fit_field, fit_initial_states

RNG = np.random.default_rng(0)


def field(d: int, degree: int, *, size: float = 0.3) -> PolynomialField:
    zero = PolynomialField.zero(d, degree)
    return zero.with_free(size * np.random.default_rng(d + degree).standard_normal(zero.free.size))


def van_der_pol() -> PolynomialField:
    """The oscillator with mu = 1, as a polynomial of degree 3."""
    zero = PolynomialField.zero(2, 3)
    coefficients = np.zeros(zero.coefficients.shape)
    for powers, component, value in (
        ((0, 1), 0, 1.0),
        ((1, 0), 1, -1.0),
        ((0, 1), 1, 1.0),
        ((2, 1), 1, -1.0),
    ):
        row = int(np.flatnonzero((zero.basis.exponents == powers).all(axis=1))[0])
        coefficients[row, component] = value
    return zero.with_free(coefficients[zero.active])


def observe(
    truth: PolynomialField, starts: np.ndarray, n: int, *, sigma: float = 0.01, noise: bool = False
) -> Observations:
    """Follow a field and observe it at steps of 0.1, the first after 0.05."""
    x, states = starts.T.copy(), []
    for k in range(n):
        for _ in range(8):
            x = step(truth, x, (0.1 if k else 0.05) / 8)
        states.append(x.T)
    found = np.stack(states, axis=1)
    if noise:
        found = found + sigma * np.random.default_rng(5).standard_normal(found.shape)
    return Observations(found, 0.05, 0.1, np.full(starts.shape[1], sigma))


# The field


@pytest.mark.parametrize(("d", "degree"), [(1, 5), (2, 3), (3, 2)])
def test_values_are_those_of_the_powers(d: int, degree: int) -> None:
    f = field(d, degree)
    x = RNG.standard_normal((d, 7))
    terms = np.prod(x.T[:, None] ** f.basis.exponents, axis=2)
    assert pytest.approx(terms @ f.coefficients) == f(x).T


@pytest.mark.parametrize(("d", "degree"), [(1, 4), (2, 3), (3, 2)])
def test_sensitivities_equal_differences(d: int, degree: int) -> None:
    f = field(d, degree)
    f = f.without(RNG.random(f.free.size) < 0.3)
    p = f.free.size
    x = RNG.standard_normal((d, 5))
    z = RNG.standard_normal((d, d + p, 5))
    value, slopes = f.slopes(x, z)
    assert value == pytest.approx(f(x))
    e = 1e-6
    for q in range(d + p):
        change = np.zeros(p)
        if q >= d:
            change[q - d] = e
        above = f.with_free(f.free + change)(x + e * z[:, q])
        below = f.with_free(f.free - change)(x - e * z[:, q])
        assert slopes[:, q] == pytest.approx((above - below) / (2 * e), rel=1e-6, abs=1e-6)


def test_fixed_coefficients_stay() -> None:
    f = field(2, 2)
    held = PolynomialField(f.basis, f.coefficients, np.zeros_like(f.active))
    assert np.array_equal(held.with_free(np.zeros(0)).coefficients, f.coefficients)
    fewer = f.without(np.arange(f.free.size) < 3)
    assert fewer.free.size == f.free.size - 3
    assert (fewer.coefficients[~fewer.active] == 0).all()
    assert fewer.with_all_free().active.all()


def test_the_step_is_of_order_four() -> None:
    truth = van_der_pol()
    x = np.array([[1.0, -0.5], [0.5, 2.0]])

    def run(n: int) -> np.ndarray:
        y = x
        for _ in range(n):
            y = step(truth, y, 2.0 / n)
        return y

    exact = run(2048)
    steps = np.array([16, 32, 64, 128])
    errors = [np.abs(run(n) - exact).max() for n in steps]
    order = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert order == pytest.approx(4, abs=0.25)


def test_substeps_follow_the_error_allowed() -> None:
    truth = van_der_pol()
    starts = RNG.uniform(-2, 2, (20, 2))
    loose, tight = (observe(truth, starts, 3, sigma=s) for s in (1e-1, 1e-7))
    assert substeps_needed(truth, loose) == 1
    assert substeps_needed(truth, tight) > 2


@pytest.mark.parametrize("rate", [-1.0, 1.5])
def test_spreading_is_that_of_a_linear_field(rate: float) -> None:
    zero = PolynomialField.zero(1, 1)
    linear = zero.with_free(np.array([0.0, rate]))
    starts = RNG.uniform(-1, 1, (9, 1))
    observed = observe(linear, starts, 21)
    assert spreading(linear, starts, observed) == pytest.approx(np.exp(rate * 2.05), rel=1e-3)


# Fits


def test_initial_states_are_found_again() -> None:
    truth = van_der_pol()
    starts = RNG.uniform(-2, 2, (50, 2))
    observed = observe(truth, starts, 30, sigma=1e-4)
    fit = fit_initial_states(truth, starts + 0.1 * RNG.standard_normal(starts.shape), observed)
    assert np.abs(fit.starts - starts).max() < 1e-4
    assert fit.followed(observed).all()


def test_field_and_initial_states_are_found_again() -> None:
    truth = van_der_pol()
    starts = RNG.uniform(-2, 2, (60, 2))
    observed = observe(truth, starts, 25, sigma=1e-4)
    wrong = truth.with_free(truth.free + 0.02 * RNG.standard_normal(truth.free.size))
    fit = fit_field(wrong, starts + 0.02 * RNG.standard_normal(starts.shape), observed)
    assert np.abs(fit.field.free - truth.free).max() < 1e-4
    sound = fit.followed(observed)
    assert sound.mean() > 0.9
    assert np.abs(fit.starts - starts)[sound].max() < 1e-4


def test_one_step_solves_the_normal_equations_of_all_unknowns() -> None:
    """Near the solution, one step is that of a dense least-squares fit of everything at once."""
    truth = van_der_pol()
    starts = RNG.uniform(-1, 1, (6, 2))
    observed = observe(truth, starts, 8, sigma=0.01, noise=True)
    n, p = starts.size, truth.free.size

    def residuals(unknowns: np.ndarray) -> np.ndarray:
        f = truth.with_free(unknowns[n:])
        x = unknowns[:n].reshape(-1, 2).T
        out = []
        for k in range(8):
            x = step(f, x, 0.1 if k else 0.05)
            out.append((observed.states[:, k] - x.T) / 0.01)
        return np.stack(out).ravel()

    here = np.concatenate([starts.ravel(), truth.free])
    jacobian = np.stack(
        [
            (residuals(here + 1e-6 * row) - residuals(here - 1e-6 * row)) / 2e-6
            for row in np.eye(n + p)
        ],
        axis=1,
    )
    move = -np.linalg.solve(jacobian.T @ jacobian, jacobian.T @ residuals(here))
    normal = SegmentEquations.of(truth, starts, observed, 1)
    change, moves = solve([normal], np.array(0.0), p, 2)
    assert change == pytest.approx(move[n:], rel=1e-4, abs=1e-7)
    assert moves[0].ravel() == pytest.approx(move[:n], rel=1e-4, abs=1e-7)
    precision = eliminate([normal], np.array(0.0), p, 2)[0]
    covariance = np.linalg.inv(jacobian.T @ jacobian)[n:, n:]
    assert np.linalg.inv(precision) == pytest.approx(covariance, rel=1e-3, abs=1e-8)


@pytest.mark.parametrize("n", [1, 700])
def test_sensitivities_of_segments_equal_differences(n: int) -> None:
    """Of one long segment, whose intervals are integrated side by side, and of one among many."""
    f = van_der_pol()
    starts = np.random.default_rng(1).uniform(-2, 2, (n, 2))
    nothing = Observations(np.zeros((n, 30, 2)), 0.05, 0.1, np.ones(2))
    found = SegmentEquations.of(f, starts, nothing, 2)

    def halved(states: np.ndarray) -> float:
        return 0.5 * float(misfits(f, states, nothing, 2)[-1])

    for k, moved in enumerate(1e-5 * np.eye(2)):
        slope = (halved(starts + moved) - halved(starts - moved)) / 2e-5
        assert found.own_gradient[-1, k] == pytest.approx(-slope, rel=1e-6)
    some = f.with_free(f.free + 1e-5 * np.eye(f.free.size)[3])
    less = f.with_free(f.free - 1e-5 * np.eye(f.free.size)[3])
    up, down = (float(misfits(one, starts, nothing, 2).sum()) for one in (some, less))
    assert found.shared_gradient[3] == pytest.approx((down - up) / 4e-5, rel=1e-6)


def test_threads_change_nothing() -> None:
    truth = van_der_pol()
    starts = RNG.uniform(-2, 2, (3000, 2))
    observed = observe(truth, starts, 6, noise=True)
    wrong = truth.with_free(truth.free + 0.01)
    one, two = (fit_field(wrong, starts, observed, n_threads=n) for n in (1, 2))
    assert np.array_equal(one.field.free, two.field.free)
    assert np.array_equal(one.starts, two.starts)


def test_a_segment_that_ends_early_counts_with_what_it_has() -> None:
    truth = van_der_pol()
    starts = RNG.uniform(-2, 2, (10, 2))
    observed = observe(truth, starts, 20, sigma=1e-4)
    observed.states[3, 5:] = np.nan
    fit = fit_initial_states(truth, starts + 0.01, observed)
    assert np.abs(fit.starts - starts).max() < 1e-4
    assert observed.count == 10 * 20 * 2 - 15 * 2


def test_a_segment_that_diverges_is_left_out() -> None:
    truth = van_der_pol()
    starts = RNG.uniform(-2, 2, (40, 2))
    observed = observe(truth, starts, 20, sigma=1e-3)
    begin = starts.copy()
    begin[7] = 1e6
    fit = fit_field(truth.with_free(truth.free + 0.01), begin, observed)
    assert np.isinf(fit.misfits[7])
    assert np.abs(fit.field.free - truth.free).max() < 1e-3
    assert not fit.followed(observed)[7]


# Terms


def test_a_term_left_out_costs_what_the_others_cannot_take_over() -> None:
    """The sequential elimination equals the constrained minimum of the same quadratic."""
    f = field(2, 2)
    p = f.free.size
    root = RNG.standard_normal((p, p + 4))
    precision = root @ root.T
    values = f.free.copy()
    values[[2, 5]] = 1e-4
    f = f.with_free(values)
    found = ShootingFit(f, np.zeros((1, 2)), np.zeros(1), precision).without_idle_terms(1e-3)
    kept = found.active[f.active]
    assert not kept[[2, 5]].any()
    free = np.linalg.solve(precision[np.ix_(kept, kept)], precision[kept] @ values)
    assert found.free == pytest.approx(free)
