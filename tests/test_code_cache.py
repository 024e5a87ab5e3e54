"""Machine code on disk: whole, of this machine and this user, or made again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pyhits.numerics import fused
from pyhits.numerics.fused import disk


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a cache that holds one entry."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    disk.write("a", b"code")
    assert disk.read("a") == b"code"
    return tmp_path / "pyhits"


def entry(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 200])
def test_what_is_damaged_is_not_read_and_replaced(folder: Path, damage: bytes) -> None:
    file = entry(folder)
    whole = file.read_bytes()
    for content in (damage, whole[:-1], whole + b"x", bytes([whole[0] ^ 1]) + whole[1:]):
        file.write_bytes(content)
        assert disk.read("a") is None
    disk.write("a", b"code")
    assert disk.read("a") == b"code"


def test_an_entry_is_that_of_its_key_alone(folder: Path) -> None:
    """Code of another processor is of another key, whatever its file is called."""
    disk.write("b", b"other")
    a, b = (disk._path(key) for key in "ab")
    assert a is not None
    assert b is not None
    b.write_bytes(a.read_bytes())
    assert (disk.read("a"), disk.read("b")) == (b"code", None)


def test_links_are_not_followed(folder: Path, tmp_path: Path) -> None:
    file = entry(folder)
    elsewhere = tmp_path / "elsewhere.o"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    assert disk.read("a") is None
    disk.write("a", b"new")
    assert disk.read("a") == b"new"
    assert elsewhere.read_bytes().endswith(b"code")
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    disk.write("b", b"code")
    assert disk.read("a") is disk.read("b") is None


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_what_others_may_write_to_is_not_read(folder: Path, mode: int) -> None:
    entry(folder).chmod(mode)
    assert disk.read("a") is None
    entry(folder).chmod(0o600)
    assert disk.read("a") == b"code"
    folder.chmod(mode)
    assert disk.read("a") is None
    disk.write("b", b"code")
    assert len(list(folder.iterdir())) == 1


@pytest.mark.skipif(os.name != "posix", reason="owners are those of POSIX")
def test_what_belongs_to_others_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    assert disk.read("a") is None
    disk.write("b", b"code")
    assert len(list(folder.iterdir())) == 1


def test_files_can_be_written_by_their_user_alone(folder: Path) -> None:
    if os.name == "posix":
        assert (folder.stat().st_mode & 0o777, entry(folder).stat().st_mode & 0o777) == (
            0o700, 0o600,
        )  # fmt: skip


def test_without_a_place_nothing_is_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        disk.write("b", b"code")
        assert disk.read("a") is None
    with monkeypatch.context() as patch:  # what is there is read all the same
        patch.setattr(os, "utime", refuse)
        assert disk.read("a") == b"code"
    monkeypatch.setenv("XDG_CACHE_HOME", str(entry(folder)))  # no folder
    disk.write("a", b"code")
    assert disk.read("a") is None
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    disk.write("a", b"code")
    assert disk.read("a") is None
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "home", Path)
    disk.write("a", b"code")
    assert disk.read("a") is None
    assert not (tmp_path / ".cache").exists()


def test_the_size_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_MOST", 3000)
    monkeypatch.setattr(disk, "_MOST_EACH", 1500)
    disk.write("large", bytes(1501))
    assert disk.read("large") is None
    for k in range(6):
        disk.write(str(k), bytes(900))
        path = disk._path(str(k))
        assert path is not None
        os.utime(path, (k, k))
    disk.read("4")
    disk.write("last", bytes(900))
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 3000
    assert disk.read("4") is not None
    assert disk.read("3") is None


@pytest.mark.skipif(not fused.is_installed(), reason="needs the extra fast")
def test_code_of_a_damaged_entry_is_compiled_again(folder: Path) -> None:
    from pyhits.numerics.fused.steps import compiled

    make = compiled.__wrapped__  # type: ignore[attr-defined]
    args = "polynomial", 1, 1, np.dtype(np.float64)
    make(*args)
    (file,) = (f for f in folder.iterdir() if f.stat().st_size > 100)
    before = file.read_bytes()
    file.write_bytes(before[:40] + bytes(len(before) - 40))
    make(*args)
    assert file.read_bytes()[:4] == before[:4]
    assert len(file.read_bytes()) == len(before)


@pytest.mark.skipif(not fused.is_installed(), reason="needs the extra fast")
def test_another_processor_has_code_of_its_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyhits.numerics.fused import code

    keys: list[str] = []
    monkeypatch.setattr(disk, "read", keys.append)
    monkeypatch.setattr(code, "_compiled", lambda *_: b"")
    stop = SimpleNamespace(from_data=lambda code: 1 / 0)
    monkeypatch.setattr(code.llvm.object_file, "ObjectFileRef", stop)
    own = code.llvm.get_host_cpu_name()
    for name in (own, "x86-64"):
        monkeypatch.setattr(code.llvm, "get_host_cpu_name", lambda name=name: name)
        with pytest.raises(ZeroDivisionError):
            code.Library("step", lambda: None)
    assert len(set(keys)) == 2 or own == "x86-64"


def test_processes_may_write_at_once(folder: Path) -> None:
    text = (
        "from pyhits.numerics.fused import disk\n"
        "for k in range(50):\n"
        "    disk.write('both', bytes(50_000))\n"
        "    assert disk.read('both') == bytes(50_000)\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", text]) for _ in range(2)]
    assert [process.wait(60) for process in running] == [0, 0]
    assert len(list(folder.iterdir())) == 2
