"""How the FastAPI example starts: its environment, its workers, its files and its database."""

import asyncio
import logging
import multiprocessing
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import httpx2
import pytest
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from qrlogin import Misconfigured
from qrlogin.wire import HideCodes, Request, openapi
from tests.examples.fastapi_served import FOLDER, imported
from tests.examples.running import LEFT_OUT, own_port, surroundings
from tests.examples.visitors import PASSWORD
from tests.security_rows import row


def visiting(module: ModuleType) -> httpx2.AsyncClient:
    origin = module.settings.origin
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(module.app), base_url=origin, headers={"Origin": origin}
    )


@pytest.mark.parametrize("dialects", ["", "all"])
def test_openapi_lists_exactly_the_mounted_routes(dialects: str, tmp_path: Path) -> None:
    with imported(tmp_path, QRLOGIN_DIALECTS=dialects) as module:
        described = module.app.openapi()
        mounted = openapi.paths(module.native, "/qrlogin")
        for name in module.settings.dialects:
            mounted |= openapi.paths(
                module.DIALECTS[name](module.qr.core, **module.OPTIONS.get(name, {}))
            )
    found = {(path, method) for path, item in described["paths"].items() for method in item}
    assert found == {(path, method) for path, item in mounted.items() for method in item}
    assert len(found) >= (40 if dialects else 15)
    for path, method in found:
        one, ours = described["paths"][path][method], mounted[path][method]
        for key in ("parameters", "requestBody", "responses"):
            assert one.get(key) == ours.get(key), (path, method, key)
        shown, expected = (
            {name for way in each.get("security", ()) for name in way} for each in (one, ours)
        )
        assert shown == ({"session"} if path.startswith("/qrlogin/phone/") else expected)
        assert shown <= described["components"]["securitySchemes"].keys()
    ids = [one["operationId"] for item in described["paths"].values() for one in item.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("QRLOGIN_ORIGIN", "example.com", "QRLOGIN_ORIGIN must be what browsers call this site"),
        ("QRLOGIN_ORIGIN", "https://example.com/app", "without a path"),
        ("QRLOGIN_ORIGIN", "http://example.com", "https"),
        (
            "QRLOGIN_STORE",
            "sqlite://",
            "QRLOGIN_STORE: a store is memory, or an address such as redis://",
        ),
        ("QRLOGIN_SECRET_KEYS", "short", "keygen"),
        (
            "QRLOGIN_DIALECTS",
            "wechat,esperanto",
            "QRLOGIN_DIALECTS: there is no 'esperanto'; there are wechat",
        ),
        (
            "QRLOGIN_MAX_WAITING",
            "many",
            "QRLOGIN_MAX_WAITING is a whole number from 0 to 999999, such as 2000",
        ),
        ("QRLOGIN_MAX_WAITING", "-1", "QRLOGIN_MAX_WAITING is a whole number"),
        ("QRLOGIN_PROXIES", "-1", "QRLOGIN_PROXIES is a whole number from 0 to 999999"),
        ("QRLOGIN_CLIENTS", "tv", "QRLOGIN_CLIENTS: write client_id=Name of the client"),
        ("QRLOGIN_LIFETIME", "0", "QRLOGIN_LIFETIME is a whole number from 1 to 999999"),
        ("QRLOGIN_DATABASE", "nonsense://x", "nonsense"),
        ("QRLOGIN_LIFETIME", "9999", "QRLOGIN_LIFETIME: policy.lifetime must be"),
    ],
)
def test_a_wrong_environment_is_refused_at_start(
    name: str, value: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, imported(tmp_path, **{name: value}):
        pass
    error = capsys.readouterr().err
    assert (ended.value.code, error.count("\n"), message in error) == (3, 1, True), error


async def test_on_a_public_site_the_docs_are_off(loop: asyncio.Runner, tmp_path: Path) -> None:
    """They run scripts of another host, which could use a session."""
    with imported(tmp_path, QRLOGIN_ORIGIN="https://example.com") as module:
        async with visiting(module) as client:
            answer = await client.get("/docs")
            assert (answer.status_code, "content-security-policy" in answer.headers) == (404, True)
            begun = await client.post("/signup", data={"name": "alice", "password": PASSWORD})
            assert begun.headers["set-cookie"].startswith("__Host-session=")


async def test_the_origin_may_be_an_ipv6_address(loop: asyncio.Runner, tmp_path: Path) -> None:
    with imported(tmp_path, QRLOGIN_ORIGIN="http://[::1]:8000") as module:
        async with visiting(module) as client:
            assert (await client.get("/login")).status_code == 200
            assert (
                await client.get("/login", headers={"Host": "localhost:8000"})
            ).status_code == 400


# Several workers


def test_several_workers_are_refused_only_over_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: object())
    redis = {"QRLOGIN_STORE": "redis://127.0.0.1:1/0"}
    monkeypatch.setattr(sys, "argv", ["uvicorn", "--workers", "2", "app:app"])
    with (
        imported(tmp_path, **redis),
        pytest.raises(Misconfigured, match="several workers need a store"),
    ):
        sys.modules["settings"].read({}, tmp_path)
    monkeypatch.setattr(sys, "argv", ["a-program"])
    for env, warned in ((redis, False), ({}, True)):
        with imported(tmp_path, **env):
            assert ("several workers need a store" in caplog.text) is warned


@pytest.mark.matrix
def test_several_workers_over_memory_refuse_to_start(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "app", ignore=LEFT_OUT)
    with own_port() as port:
        line = [sys.executable, "-m", "uvicorn", "--workers=2", f"--port={port}", "app:app"]
        done = subprocess.run(
            line,
            cwd=tmp_path / "app",
            env=surroundings(),
            capture_output=True,
            text=True,
            timeout=90,
        )
    assert "It cannot start: several workers need a store that they share" in done.stderr
    assert "stopping the parent process" in done.stderr
    assert "Traceback" not in done.stderr


# Files and the database


def test_stored_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    for folder in (tmp_path / "new", tmp_path / "old"):
        if folder.name == "old":
            folder.mkdir(mode=0o755)
        with imported(folder) as module:
            first = module.settings
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    keys = sorted(folder.glob("*_key"))
    assert [(key.name, stat.S_IMODE(key.stat().st_mode)) for key in keys] == [
        ("qrlogin_key", 0o600),
        ("secret_key", 0o600),
    ]
    assert all(key.read_text() not in repr(first) for key in keys)
    keys[0].chmod(0o644)
    with imported(tmp_path / "new"), pytest.raises(Misconfigured, match="chmod 600"):
        sys.modules["settings"].read({}, folder)


async def test_a_restart_keeps_accounts_sessions_and_keys(
    loop: asyncio.Runner, tmp_path: Path
) -> None:
    form = {"name": "alice", "password": PASSWORD}
    with imported(tmp_path) as module:
        keys = module.settings.secret_keys
        async with visiting(module) as alice:
            assert (await alice.post("/signup", data=form)).status_code == 303
            cookies = dict(alice.cookies)
    with imported(tmp_path) as module:
        assert module.settings.secret_keys == keys
        async with visiting(module) as again, visiting(module) as anew:
            again.cookies.update(cookies)
            assert "alice" in (await again.get("/")).text
            assert (await anew.post("/login", data=form)).status_code == 303
            assert (await anew.post("/signup", data=form)).status_code == 200  # the name is taken


def test_the_migrations_create_what_the_models_declare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with imported(tmp_path):
        monkeypatch.setenv("QRLOGIN_DATABASE", str(tmp_path / "another.sqlite3"))
        config = Config(FOLDER / "alembic.ini")
        with pytest.raises(CommandError):
            command.check(config)
        command.upgrade(config, "head")
        command.check(config)
        command.downgrade(config, "base")
        command.upgrade(config, "head")


def test_at_most_one_hash_runs_per_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    working, most, lock = 0, 0, threading.Lock()

    class Slow:
        def hash(self, password: str) -> str:
            nonlocal working, most
            with lock:
                working += 1
                most = max(most, working)
            time.sleep(0.05)
            with lock:
                working -= 1
            return "$"

        def verify_and_update(self, password: str, kept: str) -> tuple[bool, None]:
            self.hash(password)
            return False, None

    with imported(tmp_path) as module, ThreadPoolExecutor(8 * (os.cpu_count() or 1)) as threads:
        accounts = sys.modules["accounts"]
        monkeypatch.setattr(accounts, "_hasher", Slow())

        def visit(number: int) -> None:
            with module.Session(module.engine) as db:
                (accounts.make_account if number % 2 else accounts.authenticate)(
                    db, f"name {number}", PASSWORD
                )

        list(threads.map(visit, range(8 * (os.cpu_count() or 1))))
    assert 1 <= most <= (os.cpu_count() or 1)


@row(412)
async def test_a_public_site_accepts_its_clients_only_and_asks_for_https_always(
    loop: asyncio.Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    public = {"QRLOGIN_ORIGIN": "https://example.com", "QRLOGIN_DIALECTS": "all"}
    with pytest.raises(SystemExit), imported(tmp_path, **public):
        pass
    assert "QRLOGIN_CLIENTS: list the clients of RFC 8628" in capsys.readouterr().err
    listed = {"QRLOGIN_CLIENTS": "tv=Television app", "QRLOGIN_PROXIES": "1"}
    with imported(tmp_path, **public, **listed) as module:
        async with visiting(module) as client:
            begun = [
                await client.post("/device_authorization", data={"client_id": name})
                for name in ("tv", "forged")
            ]
            page = await client.get("/login")
        assert [answer.status_code for answer in begun] == [200, 401]
        assert page.headers["Strict-Transport-Security"] == "max-age=3600"
        forwarded = (("x-forwarded-for", "1.2.3.4, 203.0.113.7"),)
        assert module.describe(Request("POST", "begin", headers=forwarded))["address"] == (
            "203.0.113.7"
        )
    with imported(tmp_path) as module:
        async with visiting(module) as client:
            page = await client.get("/login")
        assert "Strict-Transport-Security" not in page.headers
    # uvicorn logs every address, and some of them hold a code.
    assert any(isinstance(each, HideCodes) for each in logging.getLogger("uvicorn.access").filters)
