"""A key file is created once, shared by all processes, and readable by its owner only."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from qrlogin import MemoryStore, Misconfigured, QRLogin
from qrlogin.keyfile import load_or_create_key
from tests.tables import for_each_row


def test_a_key_file_is_created_once_and_read_again(tmp_path: Path) -> None:
    key = load_or_create_key(tmp_path / "key")
    assert load_or_create_key(str(tmp_path / "key")) == key
    assert load_or_create_key(tmp_path / "other") != key
    assert sorted(os.listdir(tmp_path)) == ["key", "other"], "no draft is left behind"
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    QRLogin(MemoryStore(), secret_keys=[key], verification_uri="https://example.com/qr").begin()


def test_processes_that_start_together_get_the_same_key(tmp_path: Path) -> None:
    code = (
        "from qrlogin.keyfile import load_or_create_key; input(); print(load_or_create_key('key'))"
    )
    together = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for process in together:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    assert len({process.communicate()[0] for process in together}) == 1


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    secret = load_or_create_key(file)
    file.chmod(0o640)
    with pytest.raises(Misconfigured, match="others can read key: chmod 600") as refused:
        load_or_create_key(file)
    assert secret not in str(refused.value)


@pytest.mark.parametrize(
    "kept", [b"", b" \n", b"\xff\xfe", b"a", b"SECRET=abc", b"A" * 43, b"\0" * 40, b"u2Zb0"]
)
def test_a_file_without_a_key_is_refused(tmp_path: Path, kept: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(kept)
    file.chmod(0o600)
    with pytest.raises(Misconfigured, match="key does not hold a key"):
        load_or_create_key(file)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="instance: make that folder first"):
        load_or_create_key(tmp_path / "instance" / "key")


def test_a_path_that_is_not_a_file_is_refused(tmp_path: Path) -> None:
    dangling = tmp_path / "link"
    dangling.symlink_to(tmp_path / "nowhere")
    for path in (tmp_path, dangling):
        with pytest.raises(Misconfigured, match="is not a file"):
            load_or_create_key(path)


def test_a_file_system_without_modes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On such file systems no file can be private to its owner."""
    monkeypatch.setattr("os.fstat", lambda _: os.stat_result([stat.S_IFREG | 0o777, *[0] * 9]))
    with pytest.raises(
        Misconfigured,
        match=r"others can read every file in .*: keep key elsewhere, or in your settings",
    ):
        load_or_create_key(tmp_path / "key")
    monkeypatch.undo()
    assert os.listdir(tmp_path) == []


def test_a_file_system_without_links_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", link)
    with pytest.raises(
        Misconfigured, match=r"key cannot be created \(Operation not permitted\): keep it elsewhere"
    ):
        load_or_create_key(tmp_path / "key")
    assert os.listdir(tmp_path) == []


READ_ONLY = OSError(errno.EROFS, "Read-only file system")


def test_a_read_only_folder_is_refused_unless_it_holds_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mkstemp(**_: object) -> None:
        raise READ_ONLY

    key = load_or_create_key(tmp_path / "key")
    monkeypatch.setattr("tempfile.mkstemp", mkstemp)
    assert load_or_create_key(tmp_path / "key") == key
    with pytest.raises(
        Misconfigured, match=r"other cannot be created \(Read-only file system\): keep it elsewhere"
    ):
        load_or_create_key(tmp_path / "other")


@for_each_row("name", ["exists", "is_dir", "read_bytes"])
def test_a_key_that_this_user_may_not_read_is_refused(tmp_path: Path, name: str) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    file = tmp_path / name
    load_or_create_key(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, name, refuse)
        with pytest.raises(Misconfigured, match=rf"{name} cannot be read \(Permission denied\)"):
            load_or_create_key(file)
