"""What only the FastAPI example has, or has in a way of its own; what all three share is told elsewhere in this folder."""

import asyncio
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from qrlogin import Misconfigured
from qrlogin.wire import openapi
from tests.examples.fastapi_served import FOLDER, Served, imported, served
from tests.examples.running import FASTAPI, LEFT_OUT, ROOT, Running
from tests.examples.visitors import PASSWORD, Visitor
from tests.servers import LOOPBACK, free_port
from tests.wire.clock import PATIENCE_SECONDS, eventually

EXISTING = Path(__file__).with_name("existing_fastapi")
MOST_LINES = 15  # that a person adds to an application


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as each:
        yield each


def signed_up(origin: str, name: str = "alice") -> Visitor:
    visitor = Visitor(origin)
    assert visitor.send_form("/signup", name=name, password=PASSWORD).status_code == 303
    return visitor


# OpenAPI


@pytest.mark.parametrize("dialects", ["", "all"])
def test_openapi_lists_the_routes_and_nothing_else(dialects: str, tmp_path: Path) -> None:
    with served(tmp_path, QRLOGIN_DIALECTS=dialects) as site:
        described = httpx2.get(f"{site.origin}/openapi.json").json()
        mounted = openapi.paths(site.module.native, "/qrlogin")
        for name in site.module.settings.dialects:
            dialect = site.module.DIALECTS[name](site.module.qr.core, lambda _: {}, None)
            mounted |= openapi.paths(dialect)
        found = {(path, method) for path, item in described["paths"].items() for method in item}
        assert found == {(path, method) for path, item in mounted.items() for method in item}
        assert len(found) >= (40 if dialects else 15)
        for path, method in found:
            one, ours = described["paths"][path][method], mounted[path][method]
            for key in ("parameters", "requestBody", "responses"):
                assert one.get(key) == ours.get(key), (path, method, key)
            told = {name for way in one.get("security", ()) for name in way}
            door = (
                {"session"} if path.startswith("/qrlogin/phone/") else {name for way in ours.get("security", ()) for name in way}
            )
            assert told == door
            assert told <= described["components"]["securitySchemes"].keys()
        ids = [one["operationId"] for item in described["paths"].values() for one in item.values()]
        assert len(ids) == len(set(ids))
        assert httpx2.get(f"{site.origin}/docs").status_code == 200


def test_another_method_is_told_which_ones_there_are(site: Served) -> None:
    for method, path, allowed in (("PUT", "begin", "POST"), ("HEAD", "phone/scan", "POST"), ("DELETE", "A" * 22, "GET")):
        answer = httpx2.request(method, f"{site.origin}/qrlogin/{path}")
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_on_a_public_site_the_docs_are_off(tmp_path: Path) -> None:
    """They run scripts of another host, beside a session."""
    for origin, found in (("https://example.com", (None, "__Host-session")), ("http://127.0.0.1:8000", ("/docs", "session"))):
        with imported(tmp_path, QRLOGIN_ORIGIN=origin) as module:
            assert (module.app.docs_url, module.settings.cookie) == found


# The application


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("QRLOGIN_ORIGIN", "example.com", "QRLOGIN_ORIGIN is what browsers call this site"),
        ("QRLOGIN_ORIGIN", "https://example.com/app", "without a path"),
        ("QRLOGIN_ORIGIN", "http://example.com", "https"),
        ("QRLOGIN_STORE", "sqlite://", "QRLOGIN_STORE is memory, or an address such as redis://"),
        ("QRLOGIN_SECRET_KEYS", "short", "keygen"),
        ("QRLOGIN_DIALECTS", "wechat,esperanto", "there is no 'esperanto'; there are wechat"),
        ("QRLOGIN_MAX_WAITING", "many", "QRLOGIN_MAX_WAITING is a whole number from 1 on, such as 2000"),
        ("QRLOGIN_MAX_WAITING", "0", "QRLOGIN_MAX_WAITING is a whole number"),
        ("QRLOGIN_LIFETIME", "9999", "600"),
    ],
)
def test_what_makes_no_sense_is_refused_at_start(name: str, value: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=re.escape(told)), imported(tmp_path, **{name: value}):
        pass


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    with imported(tmp_path) as module:
        first = module.settings
    keys = sorted(tmp_path.glob("*_key"))
    assert [key.name for key in keys] == ["qrlogin_key", "session_key"]
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    with imported(tmp_path) as module:
        assert (module.settings.secret_keys, module.settings.session_key) == (first.secret_keys, first.session_key)
    assert all(key.read_text() not in repr(first) for key in keys)
    keys[0].chmod(0o644)
    with pytest.raises(Misconfigured, match="chmod 600"), imported(tmp_path):
        pass


def test_a_restart_keeps_people_and_sessions_and_logins(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    with Running(FASTAPI, folder=folder) as first, signed_up(first.origin) as alice:
        cookies = alice.jar()
    with Running(FASTAPI, folder=folder) as second, Visitor(second.origin) as again, Visitor(second.origin) as anew:
        again.http.cookies.update(cookies)
        assert "alice" in again.http.get("/").text
        assert anew.send_form("/login", name="alice", password=PASSWORD).status_code == 303
        assert anew.send_form("/signup", name="alice", password=PASSWORD).status_code == 200  # the name is taken


def test_the_model_is_what_the_migrations_make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with imported(tmp_path):
        monkeypatch.setenv("QRLOGIN_DATABASE", str(tmp_path / "another.sqlite3"))
        config = Config(FOLDER / "alembic.ini")
        with pytest.raises(CommandError):
            command.check(config)
        command.upgrade(config, "head")
        command.check(config)
        command.downgrade(config, "base")
        command.upgrade(config, "head")


@pytest.mark.parametrize("path", ["/login", "/signup", "/logout"])
def test_a_form_of_another_site_is_refused(path: str, site: Served) -> None:
    fields = {"name": "mallory", "password": PASSWORD}
    with signed_up(site.origin) as alice:
        for headers in (
            {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"},
            {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": f"http://localhost:{site.origin.rpartition(':')[2]}", "Sec-Fetch-Site": "same-site"},
        ):
            answer = alice.http.post(path, data=fields, headers=headers)
            assert answer.status_code == 403, (path, headers)
            assert "set-cookie" not in answer.headers
        assert "alice" in alice.http.get("/").text
    answer = httpx2.post(f"{site.origin}{path}", data=fields)  # nothing says that a page sent it at all
    assert answer.status_code == 403
    with Visitor(site.origin) as mallory:
        assert mallory.send_form("/login", **fields).status_code == 200, "no account was made"


def test_a_form_is_small_and_says_each_thing_once(site: Served) -> None:
    own = {"Origin": site.origin, "Content-Type": "application/x-www-form-urlencoded"}
    for body, status in (("name=" + "x" * 5000, 413), ("name=a&name=b&password=c", 400), ('{"name":"a"}', 415)):
        kind = {"Content-Type": "application/json"} if status == 415 else {}
        answer = httpx2.post(f"{site.origin}/login", content=body, headers=own | kind)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")


def test_a_planted_session_is_worth_nothing_after_a_login(site: Served) -> None:
    """Whoever gave a browser their own session before has none of what is in it after."""
    signed_up(site.origin, "bob").http.close()
    with signed_up(site.origin, "mallory") as mallory, Visitor(site.origin) as victim:
        planted = mallory.jar()["session"]
        victim.http.cookies.set("session", planted, domain=LOOPBACK)
        sent = {"name": "bob", "password": PASSWORD}
        answer = victim.http.post("/login", data=sent, headers={"Origin": site.origin})
        assert answer.status_code == 303
        fresh = re.findall("session=([^;]+)", answer.headers["set-cookie"])
        assert fresh
        assert fresh[0] != planted
        assert "mallory" in mallory.http.get("/").text


@pytest.mark.parametrize(
    "target",
    [
        *(
            "//elsewhere.example",
            "https://elsewhere.example",
            "/\\elsewhere.example",
            "\\\\elsewhere.example",
            "javascript:alert(1)",
        ),
        *("/%0d%0aSet-Cookie:a=b", " //elsewhere.example", "/\t/elsewhere.example", "/%2f/elsewhere.example", ""),
    ],
)
def test_next_leads_to_paths_of_this_site_only(target: str, site: Served) -> None:
    with signed_up(site.origin) as alice:
        answer = alice.http.get("/login", params={"next": target})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        sent = {"name": "alice", "password": PASSWORD, "next": target}
        answer = alice.http.post("/login", data=sent, headers={"Origin": site.origin})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        sent["next"] = "/qr/abc.1-_?user_code=WDJB-MJHT"
        assert alice.http.post("/login", data=sent, headers={"Origin": site.origin}).headers["location"] == sent["next"]


def test_an_unknown_name_costs_a_hash_as_well(site: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    signed_up(site.origin).http.close()
    people = sys.modules["people"]
    hashed: list[str] = []
    hasher = vars(people)["_hasher"]

    class Counted:
        def verify_and_update(self, password: str, kept: str) -> Any:
            hashed.append(kept)
            return hasher.verify_and_update(password, kept)

        def hash(self, password: str) -> Any:
            return hasher.hash(password)

    monkeypatch.setattr(people, "_hasher", Counted())
    with Visitor(site.origin) as visitor:
        for name in ("alice", "nobody-is-called-that"):
            seen = visitor.send_form("/login", name=name, password="wrong but long enough")
            assert (seen.status_code, "do not belong together" in seen.text) == (200, True)
    assert len(hashed) == 2
    assert all(kept.startswith("$argon2id$") for kept in hashed)


def test_every_page_is_guarded(site: Served) -> None:
    with signed_up(site.origin) as alice:
        for path in ("/", "/login", "/signup", "/qr", "/qr/abc", "/nowhere", "/static/style.css", "/qrlogin/nowhere/at/all"):
            headers = alice.http.get(path).headers
            assert "frame-ancestors 'none'" in headers["content-security-policy"], path
            assert headers["x-frame-options"] == "DENY"
            assert headers["referrer-policy"] == (
                "no-referrer" if path.startswith("/qr") and "log" not in path else "same-origin"
            )
        page = alice.http.get("/", headers={"Accept-Language": "zh-CN"})
        assert '<html lang="zh-CN">' in page.text
        moved = alice.http.get("/login?next=/qr", headers={"Host": f"localhost:{site.origin.rpartition(':')[2]}"})
        assert (moved.status_code, moved.headers["location"]) == (307, f"{site.origin}/login?next=/qr")


# Streams, and who leaves


def begun(site: Served, visitor: Visitor) -> dict[str, Any]:
    answer: dict[str, Any] = visitor.post("begin").json()
    return answer


def free(site: Served) -> int:
    return len(site.module.native_endpoint._places._free)


def test_a_stream_tells_what_happens_and_ends(site: Served) -> None:
    with signed_up(site.origin) as phone, Visitor(site.origin) as desk:
        login = begun(site, desk)
        told: list[str] = []
        with desk.http.stream("GET", f"/qrlogin/{login['login_id']}/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    told.append(json.loads(line.removeprefix("data:"))["state"])
                    for verb in {"pending": ["scan"], "scanned": ["confirm"], "confirmed": ["deny"]}.get(told[-1], []):
                        assert phone.post(f"phone/{verb}", code=login["verification_uri_complete"]).status_code == 200
        assert told == ["pending", "scanned", "confirmed", "denied"]
        eventually(lambda: free(site) == site.module.settings.max_waiting)


def test_a_websocket_tells_the_same(site: Served) -> None:
    with signed_up(site.origin) as phone, Visitor(site.origin) as desk:
        login = begun(site, desk)
        address = f"{site.origin.replace('http', 'ws')}/qrlogin/{login['login_id']}/socket"
        cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in desk.jar().items())}
        with connect(address, additional_headers=cookies, origin=Origin(site.origin)) as socket:
            assert json.loads(socket.recv(PATIENCE_SECONDS))["state"] == "pending"
            phone.post("phone/scan", code=login["verification_uri_complete"])
            assert json.loads(socket.recv(PATIENCE_SECONDS))["state"] == "scanned"
        for headers, origin in ((cookies, "https://elsewhere.example"), ({}, site.origin)):
            with pytest.raises(InvalidStatus) as refused, connect(address, additional_headers=headers, origin=Origin(origin)):
                pass
            assert refused.value.response.status_code in (403, 404)
        eventually(lambda: free(site) == site.module.settings.max_waiting)


@pytest.mark.parametrize("path", ["{}?wait=25", "{}/events"])
def test_who_leaves_gives_its_place_back(path: str, site: Served) -> None:
    with Visitor(site.origin) as desk:
        login = begun(site, desk)
        cookies = "; ".join(f"{name}={value}" for name, value in desk.jar().items())
        asked = f"GET /qrlogin/{path.format(login['login_id'])} HTTP/1.1\r\nHost: x\r\nCookie: {cookies}\r\n\r\n"
        most = site.module.settings.max_waiting
        for reset in (False, True):
            with socket.create_connection((LOOPBACK, int(site.origin.rpartition(":")[2]))) as connection:
                connection.sendall(asked.encode())
                eventually(lambda: free(site) == most - 1)
                if reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            eventually(lambda: free(site) == most)
        eventually(lambda: site.call(lambda: len(asyncio.all_tasks())) <= 6)


# The diff in the README


def the_diff() -> str:
    found = re.search(r"```diff\n(.*?)```", FASTAPI.readme, re.DOTALL)
    assert found
    return found[1]


def test_the_diff_is_short() -> None:
    added = [line for line in the_diff().splitlines() if line.startswith("+") and not line.startswith("+++") and line != "+"]
    assert 0 < len(added) <= MOST_LINES


def test_an_application_with_the_diff_logs_in_by_phone(tmp_path: Path) -> None:
    folder = tmp_path / "app"
    shutil.copytree(EXISTING, folder, ignore=LEFT_OUT)
    shutil.copy(FOLDER / "adapter.py", folder)
    done = subprocess.run(["git", "apply", "-p1", "-"], cwd=folder, input=the_diff(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    port = free_port()
    origin = f"http://{LOOPBACK}:{port}"
    keys = {"SECRET_KEY": "of the sessions", "QRLOGIN_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "ORIGIN": origin}
    start = [sys.executable, "-m", "uvicorn", "app:app", f"--port={port}", "--log-level=warning"]
    server = subprocess.Popen(start, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), **keys})
    try:
        eventually(lambda: server.poll() is not None or _answers(f"{origin}/login"))
        with Visitor(origin) as phone, Visitor(origin) as desk:
            assert phone.send_form("/login", name="alice", password="alice's password").status_code == 303
            assert desk.page("/login").first("qr-login")["src"] == "/qrlogin/"
            login = desk.post("begin").json()
            page = login["verification_uri_complete"].removeprefix(origin)
            assert phone.page(page).first("qr-approve")["src"] == "/qrlogin/phone/"
            for verb in ("scan", "confirm"):
                assert phone.post(f"phone/{verb}", code=login["verification_uri_complete"]).status_code == 200
            scanner = desk.get(login["login_id"]).json()["scanned_by"]
            redeem = {"acknowledged": scanner["tag"], "op": "made-for-this-click"}
            assert desk.post(f"{login['login_id']}/redeem", **redeem).status_code == 200
            assert "Hello, alice" in desk.http.get("/").text
            waits = desk.post("begin").json()["login_id"]
            with desk.http.stream("GET", f"/qrlogin/{waits}/events") as stream:
                lines = stream.iter_lines()
                assert next(lines).startswith(":")
                server.terminate()
                assert sum(line.startswith("data:") for line in lines) == 1
        assert server.wait(PATIENCE_SECONDS) in (0, -15)
    finally:
        server.kill()
        server.wait()


def _answers(address: str) -> bool:
    try:
        return httpx2.get(address, trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False
