"""Files that replace others: whole, in their place, and with their mode."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import circles

import pyhits
from pyhits.errors import FileFormatError, PyHiTSError
from pyhits.util.atomic import check_target, write_bytes

posix = pytest.mark.skipif(os.name != "posix", reason="modes and links are those of POSIX")


@pytest.fixture
def masked() -> Iterator[None]:
    """New files that others may not read."""
    before = os.umask(0o027)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix
@pytest.mark.parametrize("name", ["d.npz", "d.csv", "d.npy", "d.mat"])
def test_a_file_keeps_the_mode_of_the_one_that_it_replaces(
    masked: None, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    pyhits.write(circles(2, 5), path)
    assert mode(path) == 0o640
    path.chmod(0o604)
    pyhits.write(circles(2, 6), path)
    assert mode(path) == 0o604


@posix
def test_models_and_forecasts_follow_links(
    fitted: pyhits.HiTS, masked: None, tmp_path: Path
) -> None:
    steps = iter((5, 6))

    def stream(path: Path) -> None:
        fitted.forecast([[1.0, 0.0]], next(steps), out=path, overwrite=True)

    for name, save in (("m.safetensors", fitted.save), ("f.npy", stream)):
        real, link = tmp_path / f"real-{name}", tmp_path / name
        link.symlink_to(real.name)
        save(link)
        assert mode(real) == 0o640
        real.chmod(0o600)
        save(link)
        assert link.is_symlink()
        assert mode(real) == 0o600
    assert np.load(tmp_path / "f.npy").shape == (1, 7, 2)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@posix
def test_devices_pipes_and_loops_are_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/null")
    (tmp_path / "loop").symlink_to("loop")
    for name, message in (
        ("pipe", "a device or a pipe"),
        ("device", "a device or a pipe"),
        ("loop", "Cannot write"),
    ):
        for write in (lambda path: write_bytes(path, b"x"), check_target):
            with pytest.raises(FileFormatError, match=message):
                write(tmp_path / name)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_read_only_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    pyhits.write(circles(2, 5), path)
    path.chmod(0o444)
    with pytest.raises(FileFormatError, match="read-only"):
        pyhits.write(circles(2, 6), path)


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "d.npz"
    pyhits.write(circles(2, 5), path)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(FileFormatError, match=r"Cannot write .*d\.npz: No space left on device"):
        pyhits.write(circles(2, 6), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["d.npz"]


def test_one_new_folder_is_made_and_typing_errors_are_not(
    fitted: pyhits.HiTS, tmp_path: Path
) -> None:
    data, deep = circles(2, 5), tmp_path / "typo" / "deeper"
    pyhits.write(data, tmp_path / "new" / "d.csv")
    writings = (
        lambda: pyhits.write(data, deep / "d.csv"),
        lambda: fitted.save(deep / "m.safetensors"),
        lambda: fitted.forecast([[1.0, 0.0]], 5, out=deep / "f.npy"),
        lambda: pyhits.HiTS([1], verbose=False).fit(circles(4, 40), checkpoint=deep / "c"),
        lambda: check_target(deep / "figure.png"),
        lambda: check_target("/no-such-folder/m.safetensors"),
    )
    for write in writings:
        with pytest.raises(PyHiTSError, match=r"there is no folder .*(typo|no-such-folder)\."):
            write()
    assert not (tmp_path / "typo").exists()
    assert not Path("/no-such-folder").exists()
