"""Changed files of every format are read or refused; the benchmark tries thousands."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

import pyhits
from pyhits.data.files import EXTENSIONS

sys.path.insert(0, str(Path(__file__).parents[1]))

pytest.importorskip("av")
data_samples = pytest.importorskip("benchmarks.data_samples")
mutated_data = pytest.importorskip("benchmarks.mutated_data")


def test_changed_files_are_read_or_refused() -> None:
    outcomes = mutated_data.run(count=40, seed=7)
    assert len(outcomes) == 40
    # Seconds and memory depend on the machine; the benchmark looks at them as well.
    wrong = [o for o in outcomes if o.verdict not in ("read", "refused")]
    assert not wrong, wrong
    assert len({o.verdict for o in outcomes}) == 2


@pytest.mark.filterwarnings("ignore")
def test_the_samples_are_sound_and_of_every_format(tmp_path: Path) -> None:
    found = data_samples.samples(tmp_path)
    assert {extension for extension, _ in found.values()} == set(EXTENSIONS) - {".zarr"}
    for name, (extension, content) in found.items():
        path = tmp_path / f"sample{extension}"
        path.write_bytes(content)
        assert pyhits.read(path).n_rows >= 12, name


def test_the_same_seed_makes_the_same_files() -> None:
    content = bytes(range(256))
    one, same, other = (
        list(mutated_data.mutants("a.wav", ".wav", content, 20, seed)) for seed in (0, 0, 1)
    )
    assert one == same
    assert one != other
    assert all(changed != content for _, changed in one[:1])


def test_tables_stay_within_their_encoding() -> None:
    rng = random.Random(0)
    text = b"t,x\n0,1\n1,2\n"
    kinds = {mutated_data.mutate_table(text, rng)[0] for _ in range(200)}
    assert kinds == {"field", "fields", "lines", "separator", "ends", "quotes", "encoding"}
