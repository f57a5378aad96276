"""How the Flask example starts: its settings, its files, its database and its host."""

import sqlite3
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from flask_migrate import check, downgrade, upgrade

from qrlogin import Misconfigured
from qrlogin.wire import Endpoint, Request, WaitSlots
from tests.examples.inside_flask import (
    FOLDER,
    ORIGIN,
    SAME_SITE,
    create_app,
    hidden_fields,
    imported,
    session_of,
    sign_up,
)
from tests.examples.visitors import PASSWORD
from tests.security_rows import row


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    with imported(tmp_path_factory.mktemp("flask") / "flask_app") as module:
        yield module


@pytest.fixture
def make(example: ModuleType, tmp_path: Path) -> Callable[..., Flask]:
    """The application over this test's own instance folder."""
    return partial(create_app, example, tmp_path / "instance")


# Settings


def test_a_wrong_setting_is_refused_with_its_name(make: Callable[..., Flask]) -> None:
    for environ, message in (
        ({"QRLOGIN_ORIGIN": "example.com"}, "QRLOGIN_ORIGIN must be what browsers call this site"),
        ({"QRLOGIN_ORIGIN": "https://example.com/shop"}, "QRLOGIN_ORIGIN .* without a path"),
        ({"QRLOGIN_ORIGIN": "http://example.com"}, "https"),
        (
            {"QRLOGIN_STORE": "mysql://x"},
            "QRLOGIN_STORE: a store is memory, or an address such as redis://",
        ),
        ({"QRLOGIN_SECRET_KEYS": "short"}, "Make one with: python -m qrlogin keygen"),
        ({"QRLOGIN_MAX_WAITING": "-1"}, "QRLOGIN_MAX_WAITING is a whole number from 0 to 999999"),
        ({"QRLOGIN_MAX_WAITING": "many"}, "such as 8"),
        ({"QRLOGIN_PROXIES": "one"}, "QRLOGIN_PROXIES is a whole number from 0 to 999999"),
        ({"QRLOGIN_CLIENTS": "tv"}, "QRLOGIN_CLIENTS: write client_id=Name of the client"),
        (
            {"QRLOGIN_ORIGIN": "https://example.com", "QRLOGIN_DIALECTS": "all"},
            "QRLOGIN_CLIENTS: list the clients of RFC 8628",
        ),
        ({"QRLOGIN_LIFETIME": "0"}, "QRLOGIN_LIFETIME is a whole number from 1 to 999999"),
        ({"QRLOGIN_LIFETIME": "601"}, "QRLOGIN_LIFETIME: .* between 1 and 600"),
        (
            {"QRLOGIN_DIALECTS": "wechat,klingon"},
            "QRLOGIN_DIALECTS: there is no 'klingon'; there are wechat,",
        ),
    ):
        with pytest.raises(Misconfigured, match=message) as refused:
            make(**environ)
        assert "short" not in str(refused.value)


def test_an_empty_setting_counts_as_unset(make: Callable[..., Flask]) -> None:
    app = make(
        QRLOGIN_ORIGIN="",
        QRLOGIN_STORE="",
        QRLOGIN_SECRET_KEYS=" ",
        QRLOGIN_MAX_WAITING="",
        QRLOGIN_DIALECTS=" , ",
    )
    assert app.config["QRLOGIN_ORIGIN"] == "http://127.0.0.1:5000"
    assert app.config["QRLOGIN_MAX_WAITING"] == 8


def test_with_max_waiting_0_no_request_is_held(make: Callable[..., Flask]) -> None:
    """For `flask run --without-threads` and gunicorn's sync workers."""
    desk = make(QRLOGIN_MAX_WAITING="0").test_client()
    begun = desk.post("/qrlogin/begin", json={}, headers=SAME_SITE).json or {}
    seen = desk.get(f"/qrlogin/{begun['login_id']}?after=1&wait=25", headers=SAME_SITE)
    assert (seen.json or {})["retry_after"] == 2


def test_all_dialects_are_served_at_the_root(make: Callable[..., Flask]) -> None:
    client = make(QRLOGIN_DIALECTS="all").test_client()
    assert "window.QRLogin.code = 200" in client.get("/jslogin").text
    begun = client.post("/device_authorization", data={"client_id": "tv"}).json or {}
    assert begun["verification_uri"] == f"{ORIGIN}/qr"
    assert client.get("/login").status_code == 200
    assert client.get("/nothing").status_code == 404
    assert client.post(
        "/phone/scan", json={"code": begun["user_code"]}, headers=SAME_SITE
    ).status_code in (400, 404)


def test_all_dialects_share_the_wait_slots(
    make: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, init = list[object](), Endpoint.__init__

    def recorded(self: Endpoint, *given: Any, max_waiting: Any, **others: Any) -> None:
        shared.append(max_waiting)
        init(self, *given, max_waiting=max_waiting, **others)

    monkeypatch.setattr(Endpoint, "__init__", recorded)
    make(QRLOGIN_DIALECTS="wechat,taobao", QRLOGIN_MAX_WAITING="3")
    native, dialects = shared
    assert isinstance(native, WaitSlots)
    assert native is dialects


# Restarts


def test_a_restart_keeps_accounts_sessions_and_keys(make: Callable[..., Flask]) -> None:
    first = make()
    cookie = session_of(sign_up(first))
    second = make()
    for name in ("SECRET_KEY", "QRLOGIN_SECRET_KEYS"):
        assert first.config[name] == second.config[name]
    client = second.test_client()
    client.set_cookie("session", cookie)
    assert "alice" in client.get("/").text
    again = second.test_client()
    assert (
        again.post(
            "/login", data={**hidden_fields(again, "/login"), "name": "alice", "password": PASSWORD}
        ).location
        == "/"
    )


def test_stored_files_are_readable_by_their_owner_only(
    make: Callable[..., Flask], tmp_path: Path
) -> None:
    instance = tmp_path / "instance"
    instance.mkdir(mode=0o755)  # created earlier, with other permissions
    make()
    assert stat.S_IMODE(instance.stat().st_mode) == 0o700
    for name in ("secret_key", "qrlogin_key"):
        assert stat.S_IMODE((instance / name).stat().st_mode) == 0o600
    (instance / "secret_key").chmod(0o644)
    with pytest.raises(Misconfigured, match="chmod 600"):
        make()


# The database


def test_the_migrations_create_what_the_models_declare(example: ModuleType, tmp_path: Path) -> None:
    migrations = str(FOLDER / "migrations")
    app = example.create_app({"QRLOGIN_ORIGIN": ORIGIN}, instance=str(tmp_path / "instance"))
    with app.app_context():
        for _ in range(2):
            upgrade(migrations)
            check(migrations)
        with sqlite3.connect(tmp_path / "instance" / "people.sqlite3") as database:
            query = "SELECT sql FROM sqlite_schema WHERE name = 'account'"
            # `check` does not compare this.
            assert "AUTOINCREMENT" in database.execute(query).fetchone()[0]
        database.close()
        downgrade(migrations, revision="base")
        upgrade(migrations)
    sign_up(app)


@pytest.mark.parametrize("where", ["other.sqlite3", "sqlite:///{}/other.sqlite3"])
def test_the_database_is_where_the_setting_says(
    make: Callable[..., Flask], tmp_path: Path, where: str
) -> None:
    address = where.format(tmp_path) if "{}" in where else str(tmp_path / where)
    sign_up(make(QRLOGIN_DATABASE=address))
    assert (tmp_path / "other.sqlite3").exists()
    assert not (tmp_path / "instance" / "people.sqlite3").exists()


# The host of the site


@row(322)
def test_a_public_site_has_cookies_with_the_host_prefix(make: Callable[..., Flask]) -> None:
    client = make(QRLOGIN_ORIGIN="https://example.com").test_client()
    seen = client.get("/login", base_url="https://example.com").headers["Set-Cookie"]
    assert seen.startswith("__Host-session=")
    for flag in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert f"; {flag}" in seen


def test_a_request_for_localhost_is_redirected_to_the_sites_own_name(
    make: Callable[..., Flask],
) -> None:
    client = make(QRLOGIN_ORIGIN="http://127.0.0.1:5000").test_client()
    seen = client.get("/login?next=/qr", base_url="http://LOCALHOST:5000")
    assert seen.location == "http://127.0.0.1:5000/login?next=/qr"
    seen = client.get("/qr/%0d%0aX%3F?b", base_url="http://localhost:5000")
    assert seen.location == "http://127.0.0.1:5000/qr/%0D%0AX%3F?b"
    for method, origin in (("POST", "http://127.0.0.1:5000"), ("GET", "https://example.com")):
        seen = (
            make(QRLOGIN_ORIGIN=origin)
            .test_client()
            .open("/qrlogin/begin", method=method, base_url="http://localhost:5000")
        )
        assert (seen.status_code, "Location" in seen.headers) == (400, False)


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:5000", "https://example.com", "https://[::1]"]
)
def test_requests_for_another_host_are_refused(make: Callable[..., Flask], origin: str) -> None:
    client, own = make(QRLOGIN_ORIGIN=origin).test_client(), origin.partition("://")[2]
    assert client.get("/login", headers={"Host": own}).status_code == 200
    for host in (
        "evil.example",
        "localhost.evil.example",
        f"x{own}",
        f"{own}.",
        "127.0.0.2",
        "",
        "[evil",
        f"a@{own}",
    ):
        for path in ("/login", "/qrlogin/begin/", "/static"):
            seen = client.get(path, headers={"Host": host})
            assert (seen.status_code, "Location" in seen.headers) == (400, False), (path, host)
            assert seen.headers["X-Frame-Options"] == "DENY"


def test_a_local_site_accepts_each_client_of_wechat_open_beside_its_named_clients(
    make: Callable[..., Flask],
) -> None:
    query = {
        "appid": "wx0123456789abcdef",
        "redirect_uri": "http://localhost:8080/callback",
        "response_type": "code",
        "scope": "snsapi_login",
    }
    for clients in ("", "tv=Television app"):
        client = make(QRLOGIN_DIALECTS="all", QRLOGIN_CLIENTS=clients).test_client()
        assert client.get("/connect/qrconnect", query_string=query).status_code == 200, clients
    forged = client.post("/device_authorization", data={"client_id": "forged"})
    assert forged.status_code == 401, "a named client of RFC 8628 excludes the others"


@row(412)
def test_a_public_site_accepts_its_clients_only_and_asks_for_https_always(
    make: Callable[..., Flask],
) -> None:
    app = make(
        QRLOGIN_ORIGIN="https://example.com",
        QRLOGIN_DIALECTS="all",
        QRLOGIN_CLIENTS="tv=Television app, cli=Command line",
        QRLOGIN_PROXIES="1",
    )
    client = app.test_client()
    begun = [
        client.post(
            "/device_authorization",
            base_url="https://example.com",
            data={"client_id": name},
            headers={"X-Forwarded-For": "1.2.3.4, 203.0.113.7"},
        )
        for name in ("tv", "cli", "forged")
    ]
    assert [answer.status_code for answer in begun] == [200, 200, 401]
    page = client.get("/login", base_url="https://example.com")
    assert page.headers["Strict-Transport-Security"] == "max-age=3600"
    assert "Strict-Transport-Security" not in make().test_client().get("/login").headers
    endpoint = app.extensions["qrlogin_endpoint"]
    begun_page = Request("POST", "begin", headers=(("x-forwarded-for", "1.2.3.4, 203.0.113.7"),))
    assert endpoint.dialect._describe(begun_page)["address"] == "203.0.113.7"
