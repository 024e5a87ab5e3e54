"""What goes into files: classes of a family by kind, arrays as declared, a user's own encoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from conftest import circles, quick

import pyhits
from pyhits.baselines import Mean
from pyhits.baselines.simple import BASELINES
from pyhits.encoders import ENCODERS, POD, Chain, Encoder
from pyhits.errors import ArgumentError, FileFormatError
from pyhits.util.schema import SchemaError
from pyhits.util.stored import Array, Family, Stored, TensorSpec, check_arrays, check_specs


class Doubled(Encoder):
    """Twice the features."""

    kind = "test-doubled"
    arrays: ClassVar[Mapping[str, Array]] = {"size": Array(1, ("I64",))}

    def fit(self, X: Any, y: Any = None) -> Doubled:
        self.n_features_in_ = (X.values if isinstance(X, pyhits.Trajectories) else X).shape[-1]
        return self

    def _encode(self, X: np.ndarray) -> np.ndarray:
        return 2 * X

    def _decode(self, Z: np.ndarray) -> np.ndarray:
        return Z / 2

    def state(self) -> dict[str, np.ndarray]:
        return {"size": np.array([self.n_features_in_])}

    def set_state(self, **arrays: np.ndarray) -> Doubled:
        self.n_features_in_ = int(arrays["size"][0])
        return self


def test_an_encoder_of_ones_own_goes_into_model_files_once_it_is_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ENCODERS, "classes", dict(ENCODERS.classes))
    data = circles(9, 40)
    model = quick(step_sizes=[1], flow_map="polynomial", encoder=Doubled()).fit(data)
    path = tmp_path / "m.safetensors"
    with pytest.raises(ArgumentError, match=r"A Doubled cannot be written .* not registered"):
        model.save(path)
    ENCODERS.register(Doubled)
    model.save(path)
    again = pyhits.load(path)
    assert isinstance(again.encoder, Chain)
    assert isinstance(again.encoder.encoders[0], Doubled)
    start = data.initial_states
    np.testing.assert_array_equal(again.forecast(start, 20), model.forecast(start, 20))
    del ENCODERS.classes["test-doubled"]
    with pytest.raises(FileFormatError, match=r"kind: expected one of .*, got 'test-doubled'"):
        pyhits.load(path)


def test_families_refuse_classes_without_a_kind_of_their_own_and_name_those_they_know() -> None:
    class Part(Stored):
        kind = "part"

    class Other(Stored):
        kind = "part"

    family: Family[Stored] = Family("part of a test", "Register it.")
    assert family.register(Part) is Part
    assert list(family) == ["part"]
    with pytest.raises(ArgumentError, match="no kind of its own"):
        family.register(Other)
    with pytest.raises(ArgumentError, match="no kind of its own"):
        family.register(Stored)
    with pytest.raises(ArgumentError, match=r"did you mean 'part'.* Register it\."):
        family["parts"]
    with pytest.raises(SchemaError, match=r"here: expected one of part, got 'parts'\. Register it"):
        family.kinds.read("parts", "here")
    assert family.schema.read({"kind": "part"}, "here") == {"kind": "part"}
    with pytest.raises(SchemaError, match=r"here\.more: there is no such entry"):
        family.schema.read({"kind": "part", "more": 1}, "here")


def test_arrays_are_those_that_are_declared() -> None:
    declared = {"mean|scale": Array(), r"weight\.\d+": Array(2, ("F32", "F64"))}
    sound = {"mean": TensorSpec("F64", (3,)), "weight.0": TensorSpec("F32", (2, 3))}
    check_arrays(declared, sound)
    for name, spec, message in (
        ("means", TensorSpec("F64", (3,)), "'a.means' that nothing asks for"),
        ("mean", TensorSpec("F32", (3,)), r"a\.mean is F32 of shape \(3,\), expected F64 of 1"),
        ("weight.1", TensorSpec("F64", (3,)), "expected F32 or F64 of 2 axes"),
    ):
        with pytest.raises(SchemaError, match=message):
            check_arrays(declared, sound | {name: spec}, "a.")
    check_specs(sound, sound)
    with pytest.raises(SchemaError, match=r"the tensor a\.mean is missing"):
        check_specs(sound, {"weight.0": sound["weight.0"]}, "a.")


@pytest.mark.parametrize("one", [POD(1), Mean()], ids=lambda one: type(one).__name__)
def test_what_is_stored_is_built_again(one: Any) -> None:
    family: Any = ENCODERS if isinstance(one, Encoder) else BASELINES
    one.fit(circles(3, 20))
    plain, state = family.plain(one), one.state()
    again = family.from_stored(plain, state)
    assert family.plain(again) == plain
    for name, array in again.state().items():
        np.testing.assert_array_equal(array, state[name])
    with pytest.raises(ValueError, match=f"{one.kind}.* does not know 'more'"):
        family.from_stored(plain, state | {"more": np.zeros(1)})
