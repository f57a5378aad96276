"""The Flask example while it serves: accounts, forms, sessions, tokens, pages."""

import os
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest
from flask import Flask
from werkzeug.exceptions import TooManyRequests

from tests.examples.inside_flask import (
    SAME_SITE,
    Desk,
    create_app,
    hidden_fields,
    imported,
    post_from_phone,
    session_of,
    sign_up,
)
from tests.examples.visitors import PASSWORD, Tags
from tests.security_rows import row


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    with imported(tmp_path_factory.mktemp("flask") / "flask_app") as module:
        yield module


@pytest.fixture
def app(example: ModuleType, tmp_path: Path) -> Flask:
    return create_app(example, tmp_path / "instance")


def close_account(app: Flask, example: ModuleType) -> None:
    with app.app_context():
        example.db.session.delete(example.authenticate("alice", PASSWORD))
        example.db.session.commit()


# Accounts


def test_passwords_are_hashed_with_scrypt(app: Flask, tmp_path: Path) -> None:
    sign_up(app)
    with sqlite3.connect(tmp_path / "instance" / "people.sqlite3") as database:
        [(name, kept)] = database.execute("SELECT name, password_hash FROM account").fetchall()
    database.close()
    assert (name, kept.split(":")[0]) == ("alice", "scrypt")
    assert PASSWORD not in kept


def test_an_unknown_name_costs_a_hash_and_hashes_queue_without_a_connection(
    app: Flask, example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most one hash runs per processor."""
    processors, lock = os.cpu_count() or 1, threading.Lock()
    checked, busy, most = list[str](), 0, 0

    def check_password_hash(kept: str, given: str) -> bool:
        nonlocal busy, most
        with lock:
            checked.append(kept)
            busy += 1
            most = max(most, busy)
        time.sleep(0.02)
        with lock:
            busy -= 1
        return bool(
            example.db.session().in_transaction()
        )  # if a connection is held, the login below succeeds

    def log_in(name: str) -> object:
        with app.app_context():
            return example.authenticate(name, PASSWORD)

    sign_up(app)
    monkeypatch.setattr(sys.modules["models"], "check_password_hash", check_password_hash)
    with ThreadPoolExecutor(2 * processors + 2) as parallel:
        assert set(parallel.map(log_in, ["alice", "nobody"] * (processors + 1))) == {None}
    assert most <= processors
    assert {kept.split("$")[0] for kept in checked} == {"scrypt:32768:8:1"}
    assert len(checked) == 2 * (processors + 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": " "}, "Enter a username."),
        ({"name": "\u202e"}, "Enter a username."),
        ({"name": "a" * 151}, "at most 150"),
        ({"password": "short"}, "at least 15"),
        ({"password": "a" * 257}, "at most 256"),
        ({"name": "alice"}, "is taken"),
        ({"name": "<b>&amp;"}, ""),
    ],
)
def test_signing_up_says_what_is_wrong(app: Flask, fields: dict[str, str], message: str) -> None:
    if message == "is taken":
        sign_up(app)
    client = app.test_client()
    seen = client.post(
        "/signup",
        data={**hidden_fields(client, "/signup"), "name": "bob", "password": PASSWORD, **fields},
    )
    assert message in seen.text
    assert (seen.status_code == 302) == (not message)
    assert fields.get("password", PASSWORD) not in seen.text
    if not message:
        assert "&lt;b&gt;&amp;amp;" in client.get("/").text


# Forms


def test_each_form_needs_its_csrf_token(app: Flask) -> None:
    alice, stranger = sign_up(app), app.test_client()
    form = {"name": "alice", "password": PASSWORD}
    of_another = hidden_fields(app.test_client(), "/login")["csrf_token"]
    for client, path in ((stranger, "/login"), (stranger, "/signup"), (alice, "/logout")):
        for token in ({}, {"csrf_token": "x"}, {"csrf_token": of_another}):
            seen = client.post(path, data={**form, **token})
            assert seen.status_code == 400
            assert "This form has expired" in seen.text
    refused = alice.post("/qrlogin/phone/scan", json={"code": "x"}, headers=SAME_SITE)
    assert (refused.status_code, (refused.json or {})["error"]) == (400, "invalid_csrf_token")
    assert alice.get("/").status_code == 200
    assert stranger.get("/").status_code == 302


def test_next_accepts_only_paths_of_this_site(app: Flask) -> None:
    """In the page, and in the redirect of a user who is logged in already."""
    stranger, alice = app.test_client(), sign_up(app)
    for own in ("/qr/abc_-.=", "/qr?user_code=WDJB-MJHT"):
        assert alice.get("/login", query_string={"next": own}).location == own
    for text in (
        "",
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/..//evil.example",
        "/a\n",
        "/é",
        "/a b",
    ):
        page = Tags(stranger.get("/login", query_string={"next": text}).text)
        assert page.hidden()["next"] == page.first("qr-login")["next"] == "/"
        assert alice.get("/login", query_string={"next": text}).location == "/"


# Sessions


@row(18, 318, 443)
def test_a_login_by_phone_starts_a_new_session(app: Flask, example: ModuleType) -> None:
    desk = app.test_client()
    login = Desk(desk, sign_up(app))
    with desk.session_transaction() as planted:
        planted["basket"] = "from before the login"
    before = session_of(desk)
    assert login.redeem().json == {"login_id": login.login_id, "state": "redeemed"}
    with desk.session_transaction() as session:
        assert "basket" not in session
        assert session.permanent
    with app.app_context():
        (row,) = example.sessions.by_phone(example.authenticate("alice", PASSWORD))
        assert row.login_id == login.login_id
    assert "Approved on a phone" in desk.get("/").text
    thief = app.test_client()
    thief.set_cookie("session", before)
    assert thief.get("/").status_code == 302
    assert login.redeem().status_code == 200  # sent again, because its answer was lost


def test_a_login_by_password_starts_a_new_session(app: Flask) -> None:
    sign_up(app)
    client = app.test_client()
    fields = hidden_fields(client, "/login")
    with client.session_transaction() as planted:
        planted["session"] = 1  # of the window in which alice signed up
        token = planted["csrf_token"]
    before = session_of(client)
    assert (
        client.post("/login", data={**fields, "name": "alice", "password": PASSWORD}).location
        == "/"
    )
    assert session_of(client) != before
    with client.session_transaction() as session:
        assert session.get("csrf_token") != token
    assert "You logged in with your password" in client.get("/").text


def test_logging_out_clears_the_session(app: Flask) -> None:
    client = sign_up(app)
    with client.session_transaction() as session:
        assert session["session"]
    assert client.post("/logout", data=hidden_fields(client, "/")).location == "/login"
    assert client.get("/").location == "/login?next=%2F"
    with client.session_transaction() as session:
        assert session.keys().isdisjoint({"_user_id", "session"})


def test_a_look_at_a_login_brings_no_session_back(app: Flask) -> None:
    """The answer to a long poll may come after a logout in another tab."""
    client = sign_up(app)
    begun = client.post("/qrlogin/begin", json={}, headers=SAME_SITE).json or {}
    seen = client.get(f"/qrlogin/{begun['login_id']}", headers=SAME_SITE)
    assert seen.status_code == 200
    assert not any(cookie.startswith("session=") for cookie in seen.headers.getlist("Set-Cookie"))


@row(63)
def test_an_account_closed_after_approving_is_not_logged_in(
    app: Flask, example: ModuleType
) -> None:
    desk = app.test_client()
    login = Desk(desk, sign_up(app))
    close_account(app, example)
    refused = login.redeem()
    assert (refused.status_code, refused.json["error"]) == (403, "forbidden")
    assert desk.get("/").status_code == 302
    sign_up(app, "bob")
    with app.app_context():
        assert (
            example.authenticate("bob", PASSWORD).id == 2
        )  # not the old id, which old cookies may still hold


# Tokens


def test_a_device_gets_the_same_tokens_for_the_same_login(
    example: ModuleType, tmp_path: Path
) -> None:
    app = create_app(example, tmp_path / "instance", QRLOGIN_DIALECTS="rfc8628")
    phone, device = sign_up(app), app.test_client()
    assert "typed" in Tags(phone.get("/qr").text).first("qr-approve")

    def approved() -> dict[str, str]:
        begun = device.post("/device_authorization", data={"client_id": "tv"}).json or {}
        post_from_phone(phone, begun["user_code"], "scan", "confirm")
        grant = "urn:ietf:params:oauth:grant-type:device_code"
        return {"grant_type": grant, "device_code": begun["device_code"], "client_id": "tv"}

    one, other = approved(), approved()
    first = device.post("/token", data=one).json or {}
    assert (first["token_type"], first["openid"]) == (
        "Bearer",
        "1",
    )  # a client of wechat_open needs `openid`
    assert device.post("/token", data=one).json == first  # the answer was lost
    assert (device.post("/token", data=other).json or {})["access_token"] != first["access_token"]
    assert session_of(device) == ""
    close_account(app, example)
    refused = device.post("/token", data=other)
    assert (refused.status_code, (refused.json or {})["error"]) == (403, "forbidden")


# Pages


def test_the_phone_page_explains_itself_to_a_signed_out_user(app: Flask) -> None:
    seen = app.test_client().get("/qr/abc?user_code=WDJB-MJHT", headers={"Accept-Language": "zh"})
    assert '<html lang="zh-CN" dir="ltr">' in seen.text
    assert 'href="/login?next=/qr/abc"' in seen.text
    assert "qr-approve" not in seen.text
    assert seen.headers["Referrer-Policy"] == "no-referrer"


def test_an_error_is_answered_with_a_page_or_json(app: Flask) -> None:
    def busy() -> str:
        raise TooManyRequests(retry_after=7)

    def broken() -> str:
        raise ZeroDivisionError

    for view in (busy, broken):
        app.add_url_rule(f"/{view.__name__}", view_func=view, methods=["GET", "POST"])
    csrf = app.extensions["csrf"]
    for name in ("busy", "broken"):
        csrf.exempt(app.view_functions[name])
    client = app.test_client()
    for method, path, status, named in (
        ("GET", "/nothing", 404, "not_found"),
        ("POST", "/nothing", 404, "not_found"),
        ("GET", "/logout", 405, "method_not_allowed"),
        ("POST", "/", 405, "method_not_allowed"),
        ("POST", "/busy", 429, "bad_request"),
        ("GET", "/broken", 500, "server_error"),
    ):
        page, answer = client.open(path, method=method), client.open(path, method=method, json={})
        assert "<h1" in page.text
        assert (answer.json or {})["error"] == named
        for seen in (page, answer):
            assert (seen.status_code, seen.headers["X-Frame-Options"]) == (status, "DENY")
            assert ("Allow" in seen.headers) == (status == 405)
            assert seen.headers.get("Retry-After") == ("7" if status == 429 else None)
