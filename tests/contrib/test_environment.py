"""The settings of a site from its environment."""

import multiprocessing
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from qrlogin import STANDARD, Misconfigured
from qrlogin.contrib.environment import SiteSettings, has_other_workers, read_settings
from tests.tables import for_each_row

ORIGIN = "http://127.0.0.1:8000"
KEYS = (
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    "b2b8m3wqmF8dVuG2m3Wc0oUJxjz4Iu2mbXcTzIYkF9s",
)


def read(folder: Path, **environ: str) -> SiteSettings:
    return read_settings(environ, folder, origin=ORIGIN, max_waiting=8)


@for_each_row(
    "name, text, field, value",
    [
        ("QRLOGIN_ORIGIN", "https://Example.com/", "origin", "https://example.com"),
        ("QRLOGIN_ORIGIN", "https://example.com", "cookie", "__Host-session"),
        ("QRLOGIN_ORIGIN", "", "origin", ORIGIN),
        ("QRLOGIN_STORE", " redis://h ", "store", "redis://h"),
        ("QRLOGIN_STORE", " ", "store", "memory"),
        ("QRLOGIN_DATABASE", "/a/b.sqlite3", "database", "sqlite:////a/b.sqlite3"),
        ("QRLOGIN_DATABASE", "postgresql://h/d", "database", "postgresql://h/d"),
        ("QRLOGIN_SECRET_KEYS", f"{KEYS[0]}, {KEYS[1]},", "secret_keys", KEYS),
        ("SECRET_KEY", " of mine", "session_key", " of mine"),
        ("QRLOGIN_MAX_WAITING", "0", "max_waiting", 0),
        ("QRLOGIN_MAX_WAITING", "", "max_waiting", 8),
        ("QRLOGIN_PROXIES", "2", "proxies", 2),
        ("QRLOGIN_LIFETIME", "60", "policy", STANDARD.with_lifetime(60)),
        ("QRLOGIN_DIALECTS", " , ", "dialects", ()),
        ("QRLOGIN_DIALECTS", "jd, wechat", "dialects", ("jd", "wechat")),
    ],
)
def test_a_variable_sets_what_its_field_says(
    tmp_path: Path, name: str, text: str, field: str, value: Any
) -> None:
    assert getattr(read(tmp_path, **{name: text}), field) == value


@for_each_row(
    "name, text, says",
    [
        ("QRLOGIN_ORIGIN", "example.com", "QRLOGIN_ORIGIN must be what browsers call this site"),
        (
            "QRLOGIN_MAX_WAITING",
            "-1",
            "QRLOGIN_MAX_WAITING is a whole number from 0 to 999999, such as 8",
        ),
        ("QRLOGIN_PROXIES", "\u0661", "QRLOGIN_PROXIES is a whole number from 0 to 999999"),
        (
            "QRLOGIN_LIFETIME",
            "0",
            "QRLOGIN_LIFETIME is a whole number from 1 to 999999, such as 120",
        ),
        ("QRLOGIN_LIFETIME", "9999", "QRLOGIN_LIFETIME: policy.lifetime must be"),
        ("QRLOGIN_DIALECTS", "qq", "QRLOGIN_DIALECTS: there is no 'qq'"),
        ("QRLOGIN_CLIENTS", "tv", "QRLOGIN_CLIENTS: write client_id=Name of the client"),
    ],
)
def test_an_error_names_the_variable(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(Misconfigured) as error:
        read(tmp_path, **{name: text})
    assert str(error.value).startswith(says)


def test_a_device_that_shows_a_code_turns_typed_codes_on(tmp_path: Path) -> None:
    assert not read(tmp_path).policy.user_codes
    assert read(tmp_path, QRLOGIN_DIALECTS="rfc8628").policy.user_codes


@pytest.mark.parametrize("existing", [False, True])
def test_the_folder_keeps_what_the_environment_does_not_set(tmp_path: Path, existing: bool) -> None:
    folder = tmp_path / "a" / "instance"
    if existing:
        folder.mkdir(mode=0o755, parents=True)
    first, again = read(folder), read(folder)
    assert (first.secret_keys, first.session_key) == (again.secret_keys, again.session_key)
    assert first.database == f"sqlite:///{folder}/people.sqlite3"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()} == {
        "qrlogin_key": 0o600,
        "secret_key": 0o600,
    }


def test_no_folder_is_made_if_the_environment_sets_everything(tmp_path: Path) -> None:
    environ = {"QRLOGIN_SECRET_KEYS": KEYS[0], "SECRET_KEY": "of mine"}
    read(tmp_path / "instance", **environ, QRLOGIN_DATABASE="sqlite://")
    assert not (tmp_path / "instance").exists()


def test_a_blank_key_counts_as_none(tmp_path: Path) -> None:
    assert read(tmp_path, SECRET_KEY=" ").session_key == read(tmp_path).session_key


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "instance").write_text("")
    with pytest.raises(Misconfigured, match=r"/instance cannot be used .*SECRET_KEY"):
        read(tmp_path / "instance")


def test_no_secret_is_in_the_repr(tmp_path: Path) -> None:
    addresses = {"QRLOGIN_STORE": "redis://:hidden@h", "QRLOGIN_DATABASE": "mysql://u:hidden@h/d"}
    settings = read(tmp_path, **addresses)
    for secret in ("hidden", settings.session_key, *settings.secret_keys):
        assert secret not in repr(settings)


@for_each_row(
    "command, environ, several",
    [
        ("uvicorn --workers 2 app:app", {}, True),
        ("fastapi run --workers=4", {}, True),
        ("uvicorn app:app", {"WEB_CONCURRENCY": "2"}, True),
        ("uvicorn app:app", {"UVICORN_WORKERS": "2"}, True),
        ("uvicorn --workers 1 app:app", {"WEB_CONCURRENCY": "2"}, False),
        ("uvicorn app:app", {"WEB_CONCURRENCY": "1"}, False),
        ("uvicorn --reload app:app", {"WEB_CONCURRENCY": "2"}, False),
        ("uvicorn app:app", {"UVICORN_RELOAD": "1"}, False),
        ("fastapi dev", {}, False),
        ("a-program-that-starts-uvicorn", {}, None),
    ],
)
def test_other_workers_are_found_in_the_command_line_and_the_environment(
    command: str, environ: dict[str, str], several: bool | None
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "uvicorn", pytest)  # as if it were imported
        assert has_other_workers(command.split(), environ) is False, "it has no parent process"
        patch.setattr(multiprocessing, "parent_process", lambda: object())
        assert has_other_workers(command.split(), environ) is several
        patch.delitem(sys.modules, "uvicorn")
        assert not has_other_workers(command.split(), environ), "only uvicorn reads these"
