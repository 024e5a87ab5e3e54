"""Encoders: there and back, to scikit-learn's conventions, each trajectory by itself."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from pyhits import Trajectories
from pyhits.encoders import (
    POD,
    Chain,
    DelayEmbedding,
    Encoder,
    Standardise,
)
from pyhits.encoders.chain import fresh, from_plain, links, to_plain
from pyhits.errors import ArgumentError, DataError, NotFittedError


def walk(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).cumsum(axis=-2)


ALL = [
    Standardise(),
    Standardise(common=True),
    POD(4),
    DelayEmbedding(3, lag=2),
    Chain([DelayEmbedding(2), POD(8), Standardise(common=True)]),
    Chain([POD(4), Standardise(common=True), DelayEmbedding(3)]),
]


@pytest.mark.parametrize("encoder", ALL, ids=repr)
def test_there_and_back(encoder: Encoder) -> None:
    X = walk(30, 4) + 100
    encoder = clone(encoder)
    Z = encoder.fit_transform(X)
    lost = encoder.history - 1
    assert Z.shape == (30 - lost, encoder.n_features_out_)
    assert len(encoder.get_feature_names_out()) == encoder.n_features_out_
    assert encoder.n_features_in_ == 4
    np.testing.assert_allclose(encoder.inverse_transform(Z), X[lost:], rtol=1e-13)


@pytest.mark.parametrize("encoder", ALL, ids=repr)
def test_several_trajectories_are_encoded_one_by_one(encoder: Encoder) -> None:
    ragged = [walk(n, 4, seed=n) for n in (12, 30, 7)]
    encoder = clone(encoder).fit(ragged)
    found = encoder.transform(ragged)
    for rows, encoded in zip(ragged, found, strict=True):
        np.testing.assert_array_equal(encoded, encoder.transform(rows))
    even = walk(3, 12, 4)
    np.testing.assert_allclose(encoder.transform(even), encoder.transform(list(even)), rtol=1e-12)
    back = encoder.inverse_transform(found)
    lost = encoder.history - 1
    for rows, decoded in zip(ragged, back, strict=True):
        np.testing.assert_allclose(decoded, rows[lost:], atol=1e-12)
    data = Trajectories(ragged, 0.5, feature_names=["a", "b", "c", "d"], start_times=[0, 1, 2])
    encoded_data = encoder.transform(data)
    np.testing.assert_array_equal(encoded_data.values, np.concatenate(found))
    np.testing.assert_array_equal(encoded_data.start_times, 0.5 * lost + np.arange(3))
    assert encoded_data.dt == 0.5
    assert encoded_data.feature_names == tuple(encoder.get_feature_names_out(data.feature_names))


@pytest.mark.parametrize("encoder", ALL, ids=repr)
def test_encoders_follow_scikit_learn(encoder: Encoder) -> None:
    copy = clone(encoder)
    assert repr(copy) == repr(encoder)
    assert not hasattr(copy, "n_features_in_")
    with pytest.raises(NotFittedError, match="not fitted yet"):
        copy.transform(walk(9, 4))
    X = walk(30, 4)
    line = make_pipeline(copy, Standardise()).fit(X)
    np.testing.assert_allclose(
        line.inverse_transform(line.transform(X)), X[encoder.history - 1 :], atol=1e-11
    )
    with pytest.raises(ArgumentError, match="Unknown parameter 'modes'"):
        copy.set_params(modes=3)


@pytest.mark.parametrize("encoder", ALL, ids=repr)
def test_encoders_become_plain_values_and_arrays(encoder: Encoder) -> None:
    X = walk(30, 4)
    fitted = Chain(fresh(links(encoder))).fit(X)
    again = Chain(from_plain(to_plain(links(fitted)))).set_state(**fitted.state())
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))
    assert repr(again) == repr(fitted)


def test_set_params_and_names() -> None:
    encoder = DelayEmbedding(2).set_params(n_delays=3)
    encoder.fit(walk(9, 2))
    names = ["u(t)", "v(t)", "u(t - dt)", "v(t - dt)", "u(t - 2 dt)", "v(t - 2 dt)"]
    assert list(encoder.get_feature_names_out(["u", "v"])) == names
    lagged = DelayEmbedding(3, lag=4).fit(walk(30, 1))
    assert list(lagged.get_feature_names_out()) == ["x0(t)", "x0(t - 4 dt)", "x0(t - 8 dt)"]
    assert list(POD(2).fit(walk(9, 5)).get_feature_names_out()) == ["mode 1", "mode 2"]
    with pytest.raises(ArgumentError, match="Expected 1 feature names, got 2"):
        lagged.get_feature_names_out(["a", "b"])


# Standardise


def test_a_common_scale_keeps_proportions() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 4)) * [100, 1, 0.01, 0] + [1e5, 0, 0, 7]
    encoder = Standardise(common=True).fit(X)
    assert len(set(encoder.scale_)) == 1
    Z = encoder.transform(X)
    np.testing.assert_allclose(np.sqrt(Z.var(axis=0)[:3].mean()), 1)
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(
        Z.std(axis=0)[:3] / Z.std(axis=0)[0], X.std(axis=0)[:3] / X[:, 0].std()
    )
    data = Trajectories(X.reshape(5, 100, 4))
    np.testing.assert_array_equal(Standardise(common=True).fit(data).scale_, encoder.scale_)
    np.testing.assert_array_equal(Standardise(False).fit(data).transform(X), X)
    still = Standardise(common=True).fit(np.full((5, 2), 3.0))
    np.testing.assert_array_equal(still.scale_, 1)
    each = Standardise(common=True, channels=2).fit(X)  # the last column never moves
    expected = np.tile([np.sqrt(X.var(axis=0)[[0, 2]].mean()), X[:, 1].std()], 2)
    np.testing.assert_allclose(each.scale_, expected)
    np.testing.assert_array_equal(each.mean_, encoder.mean_)


def test_a_constant_column_is_left_alone() -> None:
    encoder = Standardise().fit(np.column_stack([np.arange(5.0), np.full(5, 0.1)]))
    assert encoder.scale_[1] == 1
    assert encoder.mean_[1] == 0.1
    with pytest.raises(DataError, match="Expected rows of shape"):
        Standardise().fit(np.zeros(3))


# Delays


def test_delays_put_the_newest_first() -> None:
    X = np.arange(20.0).reshape(10, 2)
    Z = DelayEmbedding(3, lag=2).fit_transform(X)
    assert Z.shape == (6, 6)
    np.testing.assert_array_equal(Z[0], [8, 9, 4, 5, 0, 1])
    np.testing.assert_array_equal(Z[:, :2], X[4:])


def test_short_trajectories_are_named() -> None:
    ragged = [walk(9, 1), walk(4, 1), walk(9, 1)]
    encoder = DelayEmbedding(3, lag=2)
    message = re.escape("Trajectory 1 has 4 row(s); DelayEmbedding(n_delays=3, lag=2) takes at ")
    with pytest.raises(DataError, match=message):
        encoder.fit(ragged)
    encoder.fit(walk(9, 1))
    with pytest.raises(DataError, match=message):
        encoder.transform(ragged)
    with pytest.raises(DataError, match=r"The data have 2 row\(s\)"):
        encoder.transform(walk(2, 1))
    with pytest.raises(DataError, match=message):
        Chain([Standardise(), encoder]).fit(ragged)
    with pytest.raises(DataError, match="Trajectory 1 has 5 rows; encoding takes 5 for each state"):
        encoder.transform(Trajectories([walk(9, 1), walk(5, 1)]))


# Chains


def test_chains_unfold() -> None:
    a, b, c = Standardise(), POD(2), DelayEmbedding(2)
    assert links([a, Chain([b, c])]) == [a, b, c]
    assert links(None) == []
    assert Chain([c, DelayEmbedding(3, 2)]).history == 6
    for bad in (Chain([]), "pod", [a, 3]):
        with pytest.raises(ArgumentError, match=r"at least one encoder|Expected an encoder"):
            links(bad)

    class Own(Standardise):
        pass

    with pytest.raises(ArgumentError, match="is not registered as encoder"):
        to_plain([Own()])


@pytest.mark.parametrize(
    ("encoder", "arrays", "message"),
    [
        (Standardise(), {"mean": np.zeros(2), "scale": np.ones(3)}, "its scaling has shapes"),
        (Standardise(), {"mean": np.zeros(2), "scale": np.zeros(2)}, "finite and positive"),
        (POD(2), {"modes": np.ones((2, 3)), "mean": np.zeros(2)}, "its modes have shape"),
        (POD(2), {"modes": np.full((2, 3), np.nan), "mean": np.zeros(3)}, "modes are not finite"),
        (
            Chain([DelayEmbedding(2), DelayEmbedding(2)]),
            {"0.n_features": np.array([2]), "1.n_features": np.array([3])},
            "do not fit together",
        ),
    ],
)
def test_damaged_states_are_refused(encoder: Encoder, arrays: dict[str, Any], message: str) -> None:
    rest = {"singular_values": np.ones(2), "energy": np.ones(1)}
    with pytest.raises(ValueError, match=message):
        encoder.set_state(**({**arrays, **rest} if isinstance(encoder, POD) else arrays))


def test_other_features_are_refused() -> None:
    for encoder in (Standardise(), POD(2), DelayEmbedding(2)):
        encoder.fit(walk(9, 3))
        with pytest.raises(DataError, match="Expected 3 features, got 2"):
            encoder.transform(walk(9, 2))
        with pytest.raises(DataError, match="features, got 1"):
            encoder.inverse_transform(walk(9, 1))
