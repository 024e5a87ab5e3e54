"""The rivals: parameter counts, steps against plain loops and other libraries, and learning."""

from __future__ import annotations

import itertools
import signal
import time
from typing import Any

import numpy as np
import pytest
import torch
from conftest import circles
from sklearn.base import clone

import pyhits
from pyhits.encoders import Standardise
from pyhits.errors import (
    ArgumentError,
    DataError,
    DivergenceError,
    NotFittedError,
    PyHiTSWarning,
)
from pyhits.numerics.ridge import Ridge
from pyhits.paper.rivals import LSTM, ClockworkRNN, EchoStateNetwork
from pyhits.paper.rivals.nets import ClockworkNet, LSTMNet
from pyhits.paper.rivals.reservoir import ReservoirSettings, paper_reservoir, spectral_radius
from pyhits.paper.rivals.training import Segments

#: Features, and units of LSTM, clockwork RNN (with its number of modules) and reservoir.
PAPER = [
    (22, 49, 104, 4, 700, (15408, 15622, 15400)),
    (64, 56, 124, 4, 490, (30976, 31560, 31360)),
    (128, 430, 900, 5, 8000, (1018368, 1042328, 1024000)),
    (512, 740, 1570, 5, 7950, (4091232, 4076232, 4070400)),
]


def wave(n: int = 60) -> np.ndarray:
    """A rotation, sampled 25 times a turn; ``(n, 2)``."""
    t = 2 * np.pi * np.arange(n) / 25
    return np.column_stack([np.sin(t), 3 * np.cos(t) + 1])


def small(kind: str, **settings: Any) -> Any:
    """An untrained model of each kind that trains in a moment."""
    common = {"random_state": 0, "verbose": False}
    if kind == "esn":
        return EchoStateNetwork(40, **{"n_candidates": 2, **common, **settings})
    common["max_steps"] = 25
    if kind == "lstm":
        return LSTM(6, **{**common, **settings})
    return ClockworkRNN(6, (1, 2, 4), **{**common, **settings})


KINDS = ("lstm", "clockwork", "esn")


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    return {kind: small(kind).fit(wave(), dt=0.5) for kind in KINDS}


# Counts


@pytest.mark.parametrize(("d", "h", "n", "modules", "units", "counts"), PAPER)
def test_parameters_are_counted_as_in_table_3(
    d: int, h: int, n: int, modules: int, units: int, counts: tuple[int, int, int]
) -> None:
    lstm = LSTMNet(d, h)
    clockwork = ClockworkNet(d, n, periods=[4**k for k in range(modules)])
    size = [sum(p.numel() for p in net.parameters()) for net in (lstm, clockwork)]
    assert (*size, units * d) == counts
    assert clockwork.n_masked == (n // modules) ** 2 * modules * (modules - 1) // 2


def test_fitted_models_count_their_parameters(models: dict[str, Any]) -> None:
    assert models["lstm"].n_parameters_ == 4 * (2 * 6 + 36 + 12) + 12 + 2
    assert models["clockwork"].n_parameters_ == 36 + 4 * 6 + 12 + 2
    assert models["clockwork"].n_used_parameters_ == models["clockwork"].n_parameters_ - 3 * 4
    assert models["esn"].n_parameters_ == 80


# Steps


def naive_clockwork(net: ClockworkNet, rows: np.ndarray) -> np.ndarray:
    """Hidden states after each row, one module and one sum at a time; ``(time, h)``."""
    size = net.hidden_size // len(net.periods)
    w_in, w, b_in, b = (p.detach().numpy() for p in net.layer.parameters())
    hidden, all_hidden = np.zeros(net.hidden_size), []
    for t, row in enumerate(rows):
        new = hidden.copy()
        for i, period in enumerate(net.periods):
            if t % period == 0:
                own = slice(i * size, (i + 1) * size)
                # Itself and slower modules are those from its first unit on.
                total = w_in[own] @ row + w[own, i * size :] @ hidden[i * size :]
                new[own] = np.tanh(total + b_in[own] + b[own])
        hidden = new
        all_hidden.append(hidden)
    return np.array(all_hidden)


@pytest.mark.parametrize("periods", [(1, 2, 4), (1, 3, 6), (1, 2, 3), (2, 3, 5)])
def test_clockwork_steps_as_its_definition(periods: tuple[int, ...]) -> None:
    torch.manual_seed(1)
    net = ClockworkNet(2, 9, periods=periods).double()
    rows = np.random.default_rng(0).standard_normal((1, 31, 2))
    predicted, _ = net.read(torch.from_numpy(rows), net.empty(1))
    weight, bias = (p.detach().numpy() for p in net.readout.parameters())
    expected = naive_clockwork(net, rows[0]) @ weight.T + bias
    np.testing.assert_allclose(predicted[0].detach().numpy(), expected, atol=1e-14)


def test_clockwork_with_one_module_is_torchs_rnn() -> None:
    net = ClockworkNet(3, 8, periods=(1,)).double()
    rows = torch.randn(4, 12, 3, dtype=torch.float64)
    predicted, (last,) = net.read(rows, net.empty(4))
    hidden, final = net.layer(rows)
    torch.testing.assert_close(predicted, net.readout(hidden), atol=1e-14, rtol=0)
    torch.testing.assert_close(last, final[0], atol=1e-14, rtol=0)


@pytest.mark.parametrize("increments", [None, np.array([0.1, 0.0, 2.0])])
@pytest.mark.parametrize("times", [0, np.array([0, 4, 6, 9])])
@pytest.mark.parametrize("periods", [None, (1, 2, 6), (2, 3)])
def test_generated_states_are_those_read_one_by_one(
    increments: np.ndarray | None, times: Any, periods: tuple[int, ...] | None
) -> None:
    net: LSTMNet | ClockworkNet = LSTMNet(3, 6, increments)
    if periods is not None:
        net = ClockworkNet(3, 6, increments, periods=periods)
    net.double()
    state = torch.randn(4, 3, dtype=torch.float64)
    memory = tuple(torch.randn(4, 6, dtype=torch.float64) for _ in range(net.n_memories))
    states, last = net.generate(state, memory, 9, times)
    # The next state of each row read is the row that was generated next.
    again, ended = net.read(torch.cat([state[:, None], states[:, :-1]], dim=1), memory, times)
    torch.testing.assert_close(states, again, atol=1e-12, rtol=1e-10)
    for one, other in zip(last, ended, strict=True):
        torch.testing.assert_close(one, other, atol=1e-13, rtol=0)


def test_segments_begin_with_the_memory_of_what_came_before() -> None:
    net = LSTMNet(2, 5).double()
    first, second = wave(30), wave(11)
    segments = Segments([first, second], 8, net)
    assert segments.times.tolist() == [0, 8, 16, 24, 0, 8]
    assert segments.known[:, 1:].sum(dim=(1, 2)).tolist() == [8, 8, 8, 5, 8, 2]
    _, expected = net.read(torch.from_numpy(first[None, :16]), net.empty(1))
    for ours, alone in zip(segments.memory, expected, strict=True):
        torch.testing.assert_close(ours[2:3], alone, atol=1e-14, rtol=0)
        assert ours[0].abs().max() == ours[4].abs().max() == 0
    ends = tuple(torch.full((3, 5), float(k)) for k in (1, 2))
    segments.hand_over(np.array([0, 3, 4]), tuple(m.double() for m in ends))
    for k, ours in enumerate(segments.memory):
        assert (ours[[1, 5]] == k + 1).all()
        assert (ours[[0, 4]] == 0).all()


# Reservoirs and readouts


def test_reservoir_and_readout_agree_with_reservoirpy() -> None:
    reservoirpy = pytest.importorskip("reservoirpy.nodes")
    n, data = 80, wave(200)
    ours = ReservoirSettings(leak=0.4, degree=8, bias_scale=1.0, seed=3).reservoir(n, 2)
    theirs = reservoirpy.Reservoir(
        units=n,
        lr=0.4,
        W=ours.recurrent.toarray(),
        Win=ours.inputs.toarray(),
        bias=ours.bias,
        input_dim=2,
    )
    states = ours.harvest(data[None])[0]
    np.testing.assert_allclose(states, theirs.run(data), atol=1e-12)

    solver = Ridge(*(torch.from_numpy(rows) for rows in (states[:-1], data[1:])))
    absolute = 1e-6 * float(solver.values.max()) ** 2
    readout = reservoirpy.Ridge(ridge=absolute, fit_bias=False)
    readout.fit(states[:-1], data[1:])
    np.testing.assert_allclose(states @ solver.solve(1e-6).numpy(), readout.run(states), atol=1e-9)


def test_spectral_radius_of_large_and_small_matrices() -> None:
    for n in (150, 600):
        sparse = ReservoirSettings(radius=0.7, seed=n).reservoir(n, 2).recurrent
        exact = np.abs(np.linalg.eigvals(sparse.toarray())).max()
        assert exact == pytest.approx(0.7, rel=1e-10 if n == 150 else 0.1)
    dense = paper_reservoir(60, 2, np.random.default_rng(0)).recurrent
    assert np.abs(np.linalg.eigvals(dense)).max() == pytest.approx(0.9, rel=1e-10)
    assert spectral_radius(0.0 * sparse) == 0.0


# Forecasts


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_forecast_as_one_by_one(kind: str, models: dict[str, Any]) -> None:
    model, starts = models[kind], wave()[[0, 7, 20]]
    together = model.forecast(starts, 12, on_divergence="return")
    alone = [model.forecast(start, 12, on_divergence="return") for start in starts]
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)
    assert together.shape == (3, 13, 2)
    np.testing.assert_array_equal(together[:, 0], starts)


@pytest.mark.parametrize("kind", KINDS)
def test_recordings_build_up_the_memory(kind: str, models: dict[str, Any]) -> None:
    model, data = models[kind], wave()
    ahead = model.forecast_from(data[:20], 15, on_divergence="return")
    assert ahead.shape == (16, 2)
    np.testing.assert_array_equal(ahead[0], data[19])
    several = model.forecast_from([data[:20], data[5:12]], 15, on_divergence="return")
    np.testing.assert_allclose(several[0], ahead, rtol=1e-5, atol=1e-6)
    packed = pyhits.Trajectories([data[:20], data[5:12]], dt=0.5)
    np.testing.assert_array_equal(model.forecast_from(packed, 15, on_divergence="return"), several)
    listed = model.forecast_from(data[:20].tolist(), 15, on_divergence="return")
    np.testing.assert_allclose(listed, ahead, rtol=1e-6, atol=1e-7)


def test_a_recording_is_read_row_by_row_and_states_are_fed_back(models: dict[str, Any]) -> None:
    data = wave()
    for kind in ("lstm", "clockwork"):
        model = models[kind]
        net = model.net_
        rows = torch.from_numpy(model.scaling_.transform(data[:10])).float()[None]
        memory = net.empty(1)
        for t in range(10):
            state, memory = net.read(rows[:, t : t + 1], memory, t)
        states, _ = net.generate(state[:, 0], memory, 4, 10)
        ahead = torch.cat([state, states], dim=1)[0]
        expected = model.scaling_.inverse_transform(ahead.double().numpy())
        np.testing.assert_allclose(model.forecast_from(data[:10], 5)[1:], expected, atol=1e-5)
    model = models["esn"]
    r, adds = model.reservoir_, model.candidate_.increments
    x, scaled = np.zeros(40), model.scaling_.transform(data[:10])
    ahead = []
    for t in range(14):
        u = scaled[t] if t < 10 else state
        x = (1 - r.leak) * x + r.leak * np.tanh(r.recurrent @ x + r.inputs @ u + r.bias)
        state = model.readout_.T @ x + adds * u
        ahead.append(state)
    expected = model.scaling_.inverse_transform(np.array(ahead[9:]))
    np.testing.assert_allclose(model.forecast_from(data[:10], 5)[1:], expected, atol=1e-7)


def test_a_forecast_is_a_recording_of_one_row_continued(models: dict[str, Any]) -> None:
    """Reading the model's own forecast and going on is the forecast itself."""
    model = models["lstm"]
    ahead = model.forecast(wave()[0], 20)
    again = model.forecast_from(ahead[:11], 10)
    np.testing.assert_allclose(again, ahead[10:], atol=1e-4)


# Learning


@pytest.mark.parametrize(
    ("model", "tolerance"),
    [
        pytest.param(
            LSTM(12, max_steps=300, random_state=0, verbose=False), 0.1, marks=pytest.mark.slow
        ),
        pytest.param(
            ClockworkRNN(12, (1, 2, 4), max_steps=200, random_state=0, verbose=False),
            0.1,
            marks=pytest.mark.slow,
        ),
        (EchoStateNetwork(60, n_candidates=4, random_state=0, verbose=False), 1e-6),
        (EchoStateNetwork(60, recipe="paper", random_state=0, verbose=False), 1e-4),
    ],
    ids=["lstm", "clockwork", "esn", "esn-paper"],
)
def test_each_reproduces_a_rotation(model: Any, tolerance: float) -> None:
    data = wave()
    model = clone(model).fit(data)
    error = np.square((model.forecast(data[0], 59) - data) / data.std(axis=0)).mean()
    assert error < tolerance**2
    chosen = min(entry["error"] for entry in model.history_)
    assert error * 60 / 59 == pytest.approx(chosen, rel=0.05, abs=1e-12)


@pytest.mark.parametrize("kind", ["lstm", pytest.param("clockwork", marks=pytest.mark.slow)])
def test_the_papers_recipe_lowers_its_loss(kind: str) -> None:
    model = small(kind, recipe="paper", max_steps=150).fit(wave())
    errors = [entry["error"] for entry in model.history_]
    assert len(errors) == 150
    assert min(errors) < 0.6 * errors[0]
    assert not model.net_.adds
    low, high = model.scaling_.transform(wave()).min(0), model.scaling_.transform(wave()).max(0)
    np.testing.assert_allclose(high - low, 1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_several_trajectories_of_uneven_length_with_validation(kind: str) -> None:
    data = circles(4, 40)
    ragged = pyhits.Trajectories([data[0], data[1][:30], data[2][:17]], data.dt)
    model = small(kind, scaling=Standardise(common=True)).fit(ragged, validation=data[3:])
    assert model.dt_ == data.dt
    assert model.scaling_.common
    assert model.forecast(data, 5, on_divergence="return").shape == (4, 6, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_seeds_give_equal_models(kind: str, models: dict[str, Any]) -> None:
    again = clone(models[kind]).fit(wave(), dt=0.5)
    other = clone(models[kind]).set_params(random_state=1).fit(wave(), dt=0.5)
    start = wave()[3]
    ahead = [m.forecast(start, 5, on_divergence="return") for m in (models[kind], again, other)]
    np.testing.assert_array_equal(ahead[0], ahead[1])
    assert not np.array_equal(ahead[0], ahead[2])


@pytest.mark.usefixtures("own_seconds")
@pytest.mark.parametrize("recipe", ["pyhits", "paper"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_time_limit_ends_training(kind: str, recipe: str) -> None:
    free = {"n_candidates": None} if kind == "esn" else {"max_steps": None}
    model = small(kind, recipe=recipe, time_limit=0.5, **free).fit(wave())
    assert 0 < model.train_seconds_ < 10


def test_constant_features_stay_constant() -> None:
    data = np.column_stack([wave(), np.full(60, 7.0)])
    model = small("lstm").fit(data)
    np.testing.assert_array_equal(model.forecast(data[0], 20, on_divergence="return")[:, 2], 7.0)


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_training_keeps_the_best(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C comes where the training looks at its clock for the two hundredth time.

    Each look takes 50 ms of this clock: several checks lie behind it then, on any machine.
    """
    readings = itertools.count(1)

    def interrupting() -> float:
        reading = next(readings)
        if reading == 200:
            signal.raise_signal(signal.SIGINT)
        return 0.05 * reading

    forever = {"n_candidates": 10**6} if kind == "esn" else {"max_steps": 10**6}
    rng = np.random.default_rng(0)
    model = small(kind, time_limit=60, **forever)
    monkeypatch.setattr(time, "perf_counter", interrupting)
    with pytest.warns(PyHiTSWarning, match="interrupted"):
        model.fit(rng.standard_normal((80, 3)))
    assert model.forecast(np.zeros(3), 3, on_divergence="return").shape == (4, 3)


# Errors


@pytest.mark.parametrize("kind", KINDS)
def test_divergence_is_named_or_returned(kind: str) -> None:
    model = small(kind).fit(wave())
    if kind == "esn":
        model.readout_ = 1e6 * model.readout_
    else:
        model.net_.increments.fill_(1e5)
    with pytest.raises(DivergenceError, match="trajectory 0 diverged at step"):
        model.forecast(wave()[:2], 50)
    ahead = model.forecast(wave()[:2], 50, on_divergence="return")
    assert np.isfinite(ahead[:, 0]).all()
    assert np.isnan(ahead[:, -1]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_input_gives_clear_errors(kind: str, models: dict[str, Any]) -> None:
    model = small(kind)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        model.forecast(wave()[0], 3)
    bad = wave()
    bad[4, 1] = np.nan
    with pytest.raises(DataError, match="row 4"):
        model.fit(bad)
    with pytest.raises(DataError, match="at least 2"):
        model.fit(wave()[:1])
    with pytest.raises(ArgumentError, match="no targets"):
        model.fit(wave(), wave())
    for name, value in [
        ("recipe", "papr"),
        ("time_limit", -1),
        ("dtype", "float16"),
        ("random_state", -3),
        ("scaling", "standard"),
    ]:
        with pytest.raises(ArgumentError):
            clone(model).set_params(**{name: value}).fit(wave())
    fitted = models[kind]
    with pytest.raises(DataError, match="2"):
        fitted.forecast([1.0, 2.0, 3.0], 3)
    with pytest.raises(DataError, match="have 3 features"):
        fitted.forecast_from(np.ones((4, 3)), 3)
    with pytest.raises(DataError, match="nan"):
        fitted.forecast([np.nan, 0.0], 3)
    with pytest.raises(ArgumentError, match="n_steps"):
        fitted.forecast(wave()[0], 0)
    with pytest.raises(ArgumentError, match="on_divergence"):
        fitted.forecast(wave()[0], 3, on_divergence="ignore")


def test_settings_of_one_kind_are_checked() -> None:
    for model in (
        LSTM(0),
        LSTM(4, max_steps=0),
        ClockworkRNN(5, (1, 2)),
        ClockworkRNN(4, ()),
        ClockworkRNN(4, (0, 2)),
        EchoStateNetwork(0),
        EchoStateNetwork(4, n_candidates=0),
        EchoStateNetwork(4, dtype="float32"),
    ):
        with pytest.raises(ArgumentError):
            model.fit(wave())
    with pytest.raises(DataError, match="washout"):
        EchoStateNetwork(4, washout=59).fit(wave())


@pytest.mark.parametrize("kind", KINDS)
def test_scikit_learns_face(kind: str) -> None:
    model = small(kind, time_limit=3.0)
    assert clone(model).get_params() == model.get_params()
    assert pyhits.paper.rivals.LSTM is LSTM
