"""Models of fields on other grids than that of their data, against exact solutions."""

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import pyhits
from pyhits.cli.app import app
from pyhits.errors import ArgumentError, DataError
from pyhits.flowmaps import ConvolutionMap, EquationMap, StencilMap, VelocityMap

LENGTH, DT, SPEED, DIFFUSION = 2 * np.pi, 0.05, 0.7, 0.05


def carried_heat(n, length=LENGTH, runs=3, frames=21, seed=1):
    """Return ``u_t = -0.7 u_x + 0.05 u_xx``, five waves of a circle of any length."""
    rng, x = np.random.default_rng(seed), np.arange(n) * length / n
    t = DT * np.arange(frames)[:, None]
    rows = np.zeros((runs, frames, n))
    for run in range(runs):
        for k in 2 * np.pi * np.arange(1, 6) / length:
            wave = np.cos(k * (x - SPEED * t) + rng.uniform(0, 2 * np.pi))
            rows[run] += rng.standard_normal() * np.exp(-DIFFUSION * k**2 * t) * wave
    return rows


def burgers(n, frames=21, runs=3, seed=1, dt=0.02, viscosity=0.1):
    """Return ``u_t = viscosity u_xx - u u_x`` by Cole and Hopf's transform of heat."""
    rng, x = np.random.default_rng(seed), np.arange(n) * LENGTH / n
    t, rows = dt * np.arange(frames)[:, None], []
    for _ in range(runs):
        heat, slope = 1.0 + 0 * x * t, 0 * x * t
        for k in (1, 2, 3):
            size = 0.25 * rng.uniform(-1, 1) * np.exp(-viscosity * k**2 * t)
            phase = k * x + rng.uniform(0, 2 * np.pi)
            heat, slope = heat + size * np.cos(phase), slope - k * size * np.sin(phase)
        rows.append(-2 * viscosity * slope / heat)
    return np.stack(rows)


def fitted(rows, grid, dt=DT, **settings):
    model = pyhits.HiTS(
        [1], flow_map="equation", random_state=0, n_jobs=1, verbose=False, **settings
    )
    return model.fit(rows, dt=dt, grid=grid).stepper_


@pytest.fixture(scope="module")
def heat():
    grid = pyhits.Grid((32,), spacing=LENGTH / 32, periodic=True)
    return fitted(carried_heat(32, runs=6), grid)


@pytest.mark.parametrize(
    ("n", "length"),
    [(64, LENGTH), (128, LENGTH), (24, LENGTH), (64, 2 * LENGTH), (48, 0.5 * LENGTH)],
)
def test_a_linear_equation_is_exact_on_other_grids(heat, n, length):
    truth = carried_heat(n, length, seed=3)
    other = heat.on_grid((n,), spacing=length / n)
    np.testing.assert_allclose(other.forecast(truth[:, 0], 20), truth, atol=1e-9)
    assert other.equations() == heat.equations()
    assert other.coordinates.grid.shape == (n,)


def test_spacing_may_be_told_in_spacings_of_a_grid_that_knows_none():
    model = fitted(carried_heat(32, runs=6), pyhits.Grid((32,), periodic=True))
    truth = carried_heat(64, seed=3)
    other = model.on_grid((64,), spacing=0.5)
    np.testing.assert_allclose(other.forecast(truth[:, 0], 20), truth, atol=1e-9)
    assert other.coordinates.grid.spacing == (None,)


def test_burgers_equation_converges_with_the_points():
    rows = burgers(64, runs=8)
    model = fitted(rows, pyhits.Grid((64,), spacing=LENGTH / 64, periodic=True), dt=0.02)

    def error(n):
        truth = burgers(n, seed=5, frames=41)
        found = model.on_grid((n,), spacing=LENGTH / n).forecast(truth[:, 0], 40)
        return np.abs(found - truth).max()

    errors = {n: error(n) for n in (16, 24, 64, 128)}
    assert errors[64] < 1e-6
    assert errors[128] < 2 * errors[64] + 1e-9
    assert errors[24] < errors[16] / 5
    assert errors[64] < errors[24] / 5


def test_fields_between_walls_are_stepped_on_finer_points():
    def between(n, runs, seed):
        rng, x = np.random.default_rng(seed), (np.arange(n) + 0.5) / n
        t, k = DT * np.arange(21)[:, None, None], np.pi * np.arange(5)
        size = rng.standard_normal((runs, 1, 1, 5)) * np.exp(-0.02 * k**2 * t)
        return (size * np.cos(k * x[:, None])).sum(-1)

    model = fitted(between(32, 6, 0), pyhits.Grid((32,), spacing=1 / 32, periodic=False))
    truth = between(80, 2, 1)
    found = model.on_grid((80,), spacing=1 / 80).forecast(truth[:, 0], 20)
    np.testing.assert_allclose(found, truth, atol=1e-8)


def vorticity_map(n, length=LENGTH, viscosity=0.01, step=0.1):
    """Return the equation ``w_t = viscosity lap w - u . grad w`` on ``(n, n)`` points."""
    unit = 2 * (length / n) / np.pi  # derivatives of flow maps are in units of 2 / pi a point
    flow_map = EquationMap(
        n * n, [n, n], 1,
        linear=[[0, 2, 0], [0, 0, 2]],
        features=[
            {"channel": 0, "operator": [0, 1, 0]}, {"channel": 0, "operator": [0, 0, 1]},
            {"channel": 0, "operator": [1, 1, 0]}, {"channel": 0, "operator": [1, 0, 1]},
        ],
        products=[
            {"operator": [0, 0, 0], "factors": [0, 3]}, {"operator": [0, 0, 0], "factors": [1, 2]},
        ],
        substeps=2, dealiased="all",
    ).double()  # fmt: skip
    flow_map.linear_coefficients.fill_(step * viscosity / unit**2)
    flow_map.coefficients.copy_(torch.tensor([[step, -step]]))
    return flow_map


def plane(n, waves):
    y, x = np.meshgrid(*[np.arange(n) * LENGTH / n] * 2, indexing="ij")
    return sum(a * np.cos(k * y + m * x + p) for a, k, m, p in waves)


WAVES = ((1.0, 1, 2, 0.3), (0.7, 2, -1, 1.1), (0.5, 0, 1, 2.0), (0.4, 1, 0, 0.2))


def plain_model(flow_map, grid, low=-2.6, high=2.6):
    """Return the model of one flow map whose data lie between two numbers."""
    rows = np.stack([np.full(grid.n_features, low), np.full(grid.n_features, high)])
    return pyhits.TimeStepper.from_flow_maps(
        {1: flow_map}, pyhits.Trajectories([rows], 1.0, grid=grid)
    )


def test_a_stream_function_and_products_keep_their_size():
    model = plain_model(
        vorticity_map(16), pyhits.Grid((16, 16), spacing=LENGTH / 16, periodic=True)
    )
    fine = model.on_grid((48, 48), spacing=LENGTH / 48)
    there = fine.forecast(plane(48, WAVES), 5)[-1]
    exact = plain_model(vorticity_map(48), fine.coordinates.grid).forecast(plane(48, WAVES), 5)[-1]
    np.testing.assert_allclose(there, exact, atol=1e-12)


def test_velocities_of_a_decaying_vortex_on_finer_points():
    def vortex(n, t=0.0):
        y, x = np.meshgrid(*[np.arange(n) * LENGTH / n] * 2, indexing="ij")
        u, v = -np.cos(x) * np.sin(y), np.sin(x) * np.cos(y)
        return np.exp(-2 * 0.01 * t) * np.stack([u, v], -1) + 0.0

    inner = vorticity_map(16, LENGTH)
    config = {"shape": [16, 16], "crossed": True, "map": inner.config()}
    flow_map = VelocityMap(2 * 16 * 16, **config).double()
    flow_map.inner.load_state_dict(inner.state_dict())
    grid = pyhits.Grid((16, 16), ["u", "v"], spacing=LENGTH / 16, periodic=True)
    model = plain_model(flow_map, grid)
    for n in (16, 40):
        other = model.on_grid((n, n), spacing=LENGTH / n)
        found = other.forecast(vortex(n), 30)[-1]
        np.testing.assert_allclose(found, vortex(n, 30 * 0.1), atol=1e-10)


def test_as_many_substeps_as_are_stable_on_finer_points():
    model = plain_model(
        vorticity_map(16), pyhits.Grid((16, 16), spacing=LENGTH / 16, periodic=True)
    )
    fine = model.on_grid((160, 160), spacing=LENGTH / 160)
    assert fine.flow_maps[1].scheme.substeps > model.flow_maps[1].scheme.substeps
    assert np.abs(fine.forecast(plane(160, WAVES), 40)).max() < 3


def test_a_source_is_carried_to_other_points_of_its_domain_alone():
    x = np.arange(16) * LENGTH / 16
    linear, product = [[0, 0]], [{"operator": [0, 0], "factors": []}]
    flow_map = EquationMap(16, [16], 1, linear, [], product, sourced=True).double()
    flow_map.linear_coefficients.fill_(-0.5)
    flow_map.source.copy_(torch.view_as_real(torch.fft.rfft(torch.from_numpy(np.sin(x))))[None])
    model = plain_model(flow_map, pyhits.Grid((16,), spacing=LENGTH / 16, periodic=True))
    fine = np.arange(40) * LENGTH / 40
    found = model.on_grid((40,), spacing=LENGTH / 40).forecast(np.zeros(40), 3)
    np.testing.assert_allclose(found[-1], 2 * (1 - np.exp(-1.5)) * np.sin(fine), atol=1e-12)
    with pytest.raises(ArgumentError, match="same length"):
        model.on_grid((32,), spacing=LENGTH / 16)


def test_laws_of_differences_and_nets_step_more_points_of_the_same_spacing():
    sides = [[["still", "still"]]]
    law = StencilMap(16, [16], 1, [[0, 2]], [[0]], 3, 4, sides).double()
    law.values.fill_(0.3)
    net = ConvolutionMap([16], dilations=(1,), hidden=4).double()
    for flow_map, tolerance in ((law, 1e-12), (net, 1e-12)):
        periodic = flow_map is net
        model = plain_model(flow_map, pyhits.Grid((16,), spacing=0.1, periodic=periodic))
        rows = np.random.default_rng(0).uniform(-1, 1, (1, 40))
        both = model.on_grid((40,), spacing=0.1).forecast(rows, 1)[0, 1]
        part = model.forecast(rows[:, 12:28], 1)[0, 1]
        reach = 5 if flow_map is law else flow_map.reach[0]
        inside = slice(12 + reach, 28 - reach)
        near = 1e-2 if flow_map is law else tolerance
        np.testing.assert_allclose(both[inside], part[reach : 16 - reach], atol=near)
        with pytest.raises(ArgumentError, match="no finer or coarser ones"):
            model.on_grid((32,), spacing=0.05)


def test_what_cannot_be_carried_is_refused(heat):
    with pytest.raises(ArgumentError, match=r"Give spacing=.*0\.19635 apart"):
        heat.on_grid((64,))
    with pytest.raises(ArgumentError, match="to be stepped and this process may use"):
        heat.on_grid((10**9,), spacing=1e-9)
    with pytest.raises(ArgumentError, match="as many axes"):
        heat.on_grid((64, 64), spacing=0.1)
    with pytest.raises(ArgumentError, match="in multiples of that"):
        plain_model(vorticity_map(8), pyhits.Grid((8, 8), periodic=True)).on_grid(
            pyhits.Grid((16, 16), spacing=0.1)
        )
    model = plain_model(vorticity_map(8), pyhits.Grid((8, 8), spacing=1.0, periodic=True))
    with pytest.raises(ArgumentError, match="shape of its cells"):
        model.on_grid((16, 8), spacing=(0.5, 1.0))
    rows = carried_heat(32, runs=6)
    with pytest.raises(ArgumentError, match="on a grid"):
        pyhits.HiTS([1], flow_map="polynomial", polynomial_degree=1, verbose=False).fit(
            rows, dt=DT, grid="none"
        ).on_grid((64,), spacing=0.1)
    with pytest.raises(ArgumentError, match="numbers of its own for each point"):
        pyhits.HiTS([1], flow_map="polynomial", polynomial_degree=1, verbose=False).fit(
            rows, dt=DT, grid="ring"
        ).on_grid((64,), spacing=0.1)


def test_fields_on_another_grid_are_told_of_it(heat):
    rows = carried_heat(64)
    with pytest.raises(DataError, match=r"fields of 32 points.*shape \(3, 64\).*on_grid"):
        heat.forecast(rows[:, 0], 3)
    with pytest.raises(DataError, match="given fields of 64 points"):
        heat.evaluate(pyhits.Trajectories(rows, DT, grid="ring"))


def test_tables_may_hold_other_columns_than_the_points(heat):
    rows = carried_heat(32, seed=3)[0]
    names = [f"x{k}" for k in range(32)]
    wide = pyhits.Trajectories(np.c_[rows, rows[:, :1]], DT, feature_names=[*names, "mean"])
    named = pyhits.Trajectories(rows, DT, feature_names=[f"p{k}" for k in range(32)], grid="ring")
    model = fitted(named, None)
    more = pyhits.Trajectories(
        np.c_[rows, rows[:, :1]], DT, feature_names=[*named.feature_names, "mean"]
    )
    assert model.evaluate(more).nrmse < 1e-6
    with pytest.raises(DataError, match="33 features"):
        heat.evaluate(wide)


def test_carried_models_are_saved_and_warn_of_nothing(heat, tmp_path):
    rows = carried_heat(64, seed=3)
    other = heat.on_grid((64,), spacing=LENGTH / 64)
    again = pyhits.load(other.save(tmp_path / "model.safetensors"))
    np.testing.assert_array_equal(again.forecast(rows[:, 0], 5), other.forecast(rows[:, 0], 5))
    assert again.on_grid((32,), spacing=LENGTH / 32).n_features_in == 32
    assert other.calibrated(pyhits.Trajectories(rows, DT)).calibration is not None
    with pytest.raises(ArgumentError, match="calibrat"):
        other.forecast(rows[:, 0], 5, interval=0.9)


def test_labelled_fields_say_their_grid_and_come_back_labelled():
    xr = pytest.importorskip("xarray")

    def labelled(n, runs, seed):
        coords = {"time": DT * np.arange(21), "x": np.arange(n) * LENGTH / n}
        return xr.DataArray(
            carried_heat(n, runs=runs, seed=seed), coords, ("run", "time", "x"), name="u"
        )

    model = pyhits.HiTS([1], flow_map="equation", random_state=0, n_jobs=1, verbose=False)
    model.fit(labelled(32, 6, 0))
    recording = labelled(64, 1, 3).isel(run=0)
    # Of its points, every second has the name of one of the model's.
    with pytest.raises(DataError, match="given fields of 64 points"):
        model.forecast_from(recording.isel(time=slice(0, 1)), 5)
    found = model.on_grid(recording).forecast_from(recording.isel(time=slice(0, 2)), 5)
    assert found.dims == ("time", "x")
    np.testing.assert_allclose(found.x, recording.x)
    np.testing.assert_allclose(found.values, recording.values[1:7], atol=1e-9)


def command(*arguments, code=0):
    """Return what the command line says."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_the_command_line_steps_files_on_other_grids(tmp_path):
    model = fitted(carried_heat(32, runs=6), pyhits.Grid((32,), spacing=LENGTH / 32, periodic=True))
    path, begin, out = (tmp_path / name for name in ("m.safetensors", "b.npy", "o.npy"))
    model.save(path)
    truth = carried_heat(64, seed=3)
    np.save(begin, truth[:, :2])
    of = ["forecast", path, "--from", begin, "--steps", "20", "-o", out]
    assert "on_grid returns a model" in command(*of, code=1)
    assert "Give spacing" in command(*of, "--grid", "64", code=2)
    command(*of, "--grid", "64", "--spacing", str(LENGTH / 64))
    np.testing.assert_allclose(np.load(out), truth, atol=1e-9)
    np.save(begin, truth[:, :2, ::2])
    assert "another grid" in command(*of, "--spacing", "0.1", code=2)
