"""What is particular to the Flask example: settings, sessions, CSRF protection, database."""

import shutil
import signal
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import check, downgrade, upgrade
from werkzeug.exceptions import Forbidden

from qrlogin import Misconfigured, Redeemed
from qrlogin.stores import RedisStore
from qrlogin.wire import Endpoint, Places
from tests.examples.running import EXAMPLES, LEFT_OUT
from tests.examples.visitors import PASSWORD, Tags

FOLDER, BEFORE = EXAMPLES / "flask_app", Path(__file__).with_name("existing_flask")
ORIGIN = "http://localhost"  # what Flask's test client says
SAME_SITE = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}


@contextmanager
def importing(folder: Path) -> Iterator[Callable[[str], ModuleType]]:
    """Imports modules that lie there, and forgets them afterwards; signals are as they were."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    names = {each.stem for each in folder.glob("*.py")}
    others = {name: sys.modules.pop(name) for name in names & sys.modules.keys()}
    sys.path.insert(0, str(folder))
    try:
        yield lambda name: __import__(name)
    finally:
        sys.path.remove(str(folder))
        for name in names & sys.modules.keys():
            del sys.modules[name]
        sys.modules.update(others)
        for number, handler in handlers.items():
            signal.signal(number, handler)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The module `app` of a copy of the example."""
    folder = tmp_path_factory.mktemp("flask") / "flask_app"
    shutil.copytree(FOLDER, folder, ignore=LEFT_OUT)
    with importing(folder) as get:
        yield get("app")


@pytest.fixture
def make(example: ModuleType, tmp_path: Path) -> Callable[..., Flask]:
    """The application over this test's own instance folder, as often as wanted: each is a restart."""

    def made(**environ: str) -> Flask:
        app: Flask = example.create_app({"QRLOGIN_ORIGIN": ORIGIN, **environ}, instance=str(tmp_path / "instance"))
        with app.app_context():
            upgrade(str(FOLDER / "migrations"))
        return app

    return made


@pytest.fixture
def app(make: Callable[..., Flask]) -> Flask:
    return make()


def hidden(client: FlaskClient, path: str) -> dict[str, str]:
    return Tags(client.get(path, follow_redirects=True).text).hidden()


def sign_up(app: Flask, name: str = "alice") -> FlaskClient:
    client = app.test_client()
    assert client.post("/signup", data={**hidden(client, "/signup"), "name": name, "password": PASSWORD}).location == "/"
    return client


def session_of(client: FlaskClient) -> str:
    cookie = client.get_cookie("session")
    return cookie.value if cookie else ""


class ByPhone:
    """A login of one client by another, step by step."""

    def __init__(self, desk: FlaskClient, phone: FlaskClient) -> None:
        self.desk, self.phone = desk, phone
        self.at_desk = {**SAME_SITE, "X-CSRFToken": Tags(desk.get("/login").text).first("qr-login")["csrf-token"]}
        self.on_phone = {**SAME_SITE, "X-CSRFToken": Tags(phone.get("/qr").text).first("qr-approve")["csrf-token"]}
        self.begun = desk.post("/qrlogin/begin", json={}, headers=SAME_SITE).json or {}

    def send(self, verb: str, headers: dict[str, str] | None = None) -> Any:
        body = {"code": self.begun["verification_uri_complete"]}
        return self.phone.post(f"/qrlogin/phone/{verb}", json=body, headers=headers or self.on_phone)

    def redeem(self, headers: dict[str, str] | None = None) -> Any:
        seen = self.desk.get(f"/qrlogin/{self.begun['login_id']}", headers=SAME_SITE).json or {}
        body = {"acknowledged": seen["scanned_by"]["tag"], "op": "made-for-this-click"}
        return self.desk.post(f"/qrlogin/{self.begun['login_id']}/redeem", json=body, headers=headers or self.at_desk)


# Settings


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"QRLOGIN_ORIGIN": "example.com"}, "QRLOGIN_ORIGIN is what browsers call this site"),
        ({"QRLOGIN_ORIGIN": "https://example.com/shop"}, "without a path"),
        ({"QRLOGIN_ORIGIN": "http://example.com"}, "https"),
        ({"QRLOGIN_STORE": "postgres://x"}, "a store is memory, or an address such as redis://"),
        ({"QRLOGIN_SECRET_KEYS": "short"}, "Make one with: python -m qrlogin keygen"),
        ({"QRLOGIN_MAX_WAITING": "0"}, "QRLOGIN_MAX_WAITING is a whole number from 1 on"),
        ({"QRLOGIN_MAX_WAITING": "many"}, "such as 8"),
        ({"QRLOGIN_LIFETIME": "601"}, "lifetime"),
        ({"QRLOGIN_DIALECTS": "wechat,klingon"}, "there is no 'klingon'; there are wechat,"),
    ],
)
def test_what_makes_no_sense_is_refused_at_start(make: Callable[..., Flask], environ: dict[str, str], told: str) -> None:
    with pytest.raises(Misconfigured, match=told) as refused:
        make(**environ)
    assert "short" not in str(refused.value)


def test_empty_settings_are_none(make: Callable[..., Flask]) -> None:
    made = make(QRLOGIN_ORIGIN="", QRLOGIN_STORE="", QRLOGIN_SECRET_KEYS=" ", QRLOGIN_MAX_WAITING="", QRLOGIN_DIALECTS=" , ")
    assert made.config["QRLOGIN_ORIGIN"] == "http://127.0.0.1:5000"
    assert made.config["QRLOGIN_MAX_WAITING"] == 8


def test_redis_by_its_address(make: Callable[..., Flask]) -> None:
    qr = make(QRLOGIN_STORE="redis://127.0.0.1:1/0").extensions["qrlogin"]
    assert isinstance(qr._store, RedisStore)
    qr.close()


def test_a_public_site_has_cookies_that_nobody_can_plant(make: Callable[..., Flask]) -> None:
    client = make(QRLOGIN_ORIGIN="https://example.com").test_client()
    seen = client.get("/login", base_url="https://example.com").headers["Set-Cookie"]
    assert seen.startswith("__Host-session=")
    for flag in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert f"; {flag}" in seen


def test_every_dialect_at_the_root(make: Callable[..., Flask]) -> None:
    client = make(QRLOGIN_DIALECTS="all").test_client()
    assert "window.QRLogin.code = 200" in client.get("/jslogin").text
    begun = client.post("/device_authorization", data={"client_id": "tv"}).json or {}
    assert begun["verification_uri"] == f"{ORIGIN}/qr"
    assert client.get("/login").status_code == 200
    assert client.get("/nothing").status_code == 404
    assert client.post("/phone/scan", json={"code": begun["user_code"]}, headers=SAME_SITE).status_code in (400, 404)


def test_all_that_is_mounted_shares_the_places(make: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> None:
    places = list[Places]()

    class Recorded(Endpoint):
        def __init__(self, *given: Any, **options: Any) -> None:
            super().__init__(*given, **options)
            places.append(self._places)

    monkeypatch.setattr(sys.modules["adapter"], "Endpoint", Recorded)
    make(QRLOGIN_DIALECTS="wechat,taobao", QRLOGIN_MAX_WAITING="3")
    assert len(places) == 2
    assert places[0] is places[1]


def test_a_device_gets_tokens_for_the_code_that_it_showed(make: Callable[..., Flask]) -> None:
    app = make(QRLOGIN_DIALECTS="rfc8628")
    phone, device = sign_up(app), app.test_client()
    begun = device.post("/device_authorization", data={"client_id": "tv"}).json or {}
    tags = Tags(phone.get("/qr").text).first("qr-approve")
    assert "typed" in tags
    headers = {**SAME_SITE, "X-CSRFToken": tags["csrf-token"]}
    for verb in ("scan", "confirm"):
        assert phone.post(f"/qrlogin/phone/{verb}", json={"code": begun["user_code"]}, headers=headers).status_code == 200
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": begun["device_code"], "client_id": "tv"}
    assert (device.post("/token", data=form).json or {})["token_type"] == "Bearer"
    assert session_of(device) == ""


# What outlives a restart


def test_a_restart_keeps_people_sessions_and_keys(make: Callable[..., Flask], tmp_path: Path) -> None:
    first = make()
    cookie = session_of(sign_up(first))
    second = make()
    assert first.config["SECRET_KEY"] == second.config["SECRET_KEY"]
    assert first.config["QRLOGIN_SECRET_KEYS"] == second.config["QRLOGIN_SECRET_KEYS"]
    client = second.test_client()
    client.set_cookie("session", cookie)
    assert "alice" in client.get("/").text
    again = second.test_client()
    assert again.post("/login", data={**hidden(again, "/login"), "name": "alice", "password": PASSWORD}).location == "/"


def test_secrets_are_for_their_owner_alone(app: Flask, make: Callable[..., Flask], tmp_path: Path) -> None:
    for name in ("secret_key", "qrlogin_key"):
        assert stat.S_IMODE((tmp_path / "instance" / name).stat().st_mode) == 0o600
    (tmp_path / "instance" / "secret_key").chmod(0o644)
    with pytest.raises(Misconfigured, match="chmod 600"):
        make()


# The database


def test_passwords_are_kept_as_scrypt(app: Flask, tmp_path: Path) -> None:
    sign_up(app)
    with sqlite3.connect(tmp_path / "instance" / "people.sqlite3") as database:
        [(name, kept)] = database.execute("SELECT name, password_hash FROM account").fetchall()
    database.close()
    assert (name, kept.split(":")[0]) == ("alice", "scrypt")
    assert PASSWORD not in kept


def test_an_unknown_name_costs_a_hash_as_well(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    models, checked = sys.modules["models"], list[str]()
    inner = models.check_password_hash

    def check_password_hash(kept: str, given: str) -> bool:
        checked.append(kept)
        return bool(inner(kept, given))

    monkeypatch.setattr(models, "check_password_hash", check_password_hash)
    client = app.test_client()
    seen = client.post("/login", data={**hidden(client, "/login"), "name": "nobody", "password": "x"})
    assert "do not belong together" in seen.text
    assert [kept.split("$")[0] for kept in checked] == ["scrypt:32768:8:1"]


def test_migrations_make_what_the_models_say(app: Flask) -> None:
    migrations = str(FOLDER / "migrations")
    with app.app_context():
        upgrade(migrations)  # again
        check(migrations)
        downgrade(migrations, revision="base")
        upgrade(migrations)
        check(migrations)
    sign_up(app)


@pytest.mark.parametrize("where", ["other.sqlite3", "sqlite:///{}/other.sqlite3"])
def test_people_live_where_they_are_told_to(make: Callable[..., Flask], tmp_path: Path, where: str) -> None:
    address = where.format(tmp_path) if "{}" in where else str(tmp_path / where)
    sign_up(make(QRLOGIN_DATABASE=address))
    assert (tmp_path / "other.sqlite3").exists()
    assert not (tmp_path / "instance" / "people.sqlite3").exists()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": " "}, "Type a name."),
        ({"name": "a\u202eb"}, "Type a name."),
        ({"name": "a" * 65}, "at most 64"),
        ({"password": "short"}, "at least 15"),
        ({"password": "a" * 257}, "at most 256"),
        ({"name": "alice"}, "is taken"),
        ({"name": "<b>&amp;"}, ""),
    ],
)
def test_signing_up_says_what_is_wrong(app: Flask, fields: dict[str, str], told: str) -> None:
    sign_up(app)
    client = app.test_client()
    seen = client.post("/signup", data={**hidden(client, "/signup"), "name": "bob", "password": PASSWORD, **fields})
    assert told in seen.text
    assert (seen.status_code == 302) == (not told)
    assert fields.get("password", PASSWORD) not in seen.text
    if not told:
        assert "&lt;b&gt;&amp;amp;" in client.get("/").text


# CSRF


def test_each_form_wants_its_token(app: Flask) -> None:
    alice, stranger = sign_up(app), app.test_client()
    form = {"name": "alice", "password": PASSWORD}
    for client, path in ((stranger, "/login"), (stranger, "/signup"), (alice, "/logout")):
        of_another = hidden(app.test_client(), "/login")["csrf_token"]
        for token in ({}, {"csrf_token": "x"}, {"csrf_token": of_another}):
            seen = client.post(path, data={**form, **token})
            assert seen.status_code == 400
            assert "This form is too old" in seen.text
    assert alice.get("/").status_code == 200
    assert stranger.get("/").status_code == 302


@pytest.mark.parametrize("verb", ["scan", "confirm", "deny", "release"])
def test_the_phones_door_wants_its_token(app: Flask, verb: str) -> None:
    login = ByPhone(app.test_client(), sign_up(app))
    refused = login.send(verb, SAME_SITE)
    assert (refused.status_code, refused.json["error"]) == (400, "forbidden")
    assert login.send("scan").status_code == 200


def test_redeem_wants_its_token_and_cancel_none(app: Flask) -> None:
    login = ByPhone(app.test_client(), sign_up(app))
    for verb in ("scan", "confirm"):
        assert login.send(verb).status_code == 200
    assert login.redeem(SAME_SITE).status_code == 400
    assert login.redeem({**login.at_desk, "Origin": "https://evil.example"}).status_code == 403
    assert login.redeem().status_code == 200
    other = app.test_client()
    begun = other.post("/qrlogin/begin", json={}, headers=SAME_SITE).json or {}
    assert other.post(f"/qrlogin/{begun['login_id']}/cancel", json={}, headers=SAME_SITE).status_code == 200


# Sessions


def test_a_login_by_phone_is_a_session_of_its_own(app: Flask) -> None:
    login = ByPhone(desk := app.test_client(), sign_up(app))
    with desk.session_transaction() as planted:
        planted["basket"] = "of whoever was here before"
    before = session_of(desk)
    for verb in ("scan", "confirm"):
        login.send(verb)
    answer = login.redeem()
    assert answer.json == {"login_id": login.begun["login_id"], "state": "redeemed"}
    assert session_of(desk) != before
    with desk.session_transaction() as session:
        assert session["login_id"] == login.begun["login_id"]
        assert "basket" not in session
        assert session.permanent
    assert "A phone approved this login" in desk.get("/").text
    thief = app.test_client()
    thief.set_cookie("session", before)
    assert thief.get("/").status_code == 302
    assert login.redeem().status_code == 200  # the same click, because its answer was lost


def test_a_login_by_password_takes_nothing_along(app: Flask) -> None:
    sign_up(app)
    client = app.test_client()
    fields = hidden(client, "/login")
    with client.session_transaction() as planted:
        planted["login_id"] = "somebody's"
        token = planted["csrf_token"]
    before = session_of(client)
    assert client.post("/login", data={**fields, "name": "alice", "password": PASSWORD}).location == "/"
    assert session_of(client) != before
    with client.session_transaction() as session:
        assert session.get("csrf_token") != token
    assert "You typed your password" in client.get("/").text


def test_logging_out_leaves_nothing(app: Flask) -> None:
    client = sign_up(app)
    with client.session_transaction() as session:
        session["login_id"] = "as after a login by phone"
    assert client.post("/logout", data=hidden(client, "/")).location == "/login"
    assert client.get("/").location == "/login?next=%2F"
    with client.session_transaction() as session:
        assert "_user_id" not in session
        assert "login_id" not in session


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("/qr/abc_-.=", "/qr/abc_-.="),
        ("/qr?user_code=WDJB-MJHT", "/qr?user_code=WDJB-MJHT"),
        *((text, "/") for text in ("", "//evil.example", "https://evil.example", "/\\evil.example", "/..//evil.example")),
        *((text, "/") for text in ("/%2f/evil.example", "/a\n", "/a\r\nSet-Cookie: b=c", "/\t/evil.example", "/é", "/a b")),
    ],
)
def test_next_leads_to_paths_of_this_site_only(app: Flask, asked: str, given: str) -> None:
    sign_up(app)
    client = app.test_client()
    page = Tags(client.get("/login", query_string={"next": asked}).text)
    assert page.hidden()["next"] == page.first("qr-login")["next"] == given
    fields = {**page.hidden(), "name": "alice", "password": PASSWORD, "next": asked}
    assert client.post("/login", data=fields).location == given
    assert client.get("/login", query_string={"next": asked}).location == given


# Pages


def test_the_phones_page_says_what_it_is_to_who_is_not_signed_in(app: Flask) -> None:
    seen = app.test_client().get("/qr/abc?user_code=WDJB-MJHT", headers={"Accept-Language": "zh"})
    assert '<html lang="zh-CN">' in seen.text
    assert 'href="/login?next=/qr/abc%3Fuser_code%3DWDJB-MJHT"' in seen.text
    assert "qr-approve" not in seen.text
    assert seen.headers["Referrer-Policy"] == "no-referrer"


def test_who_comes_as_localhost_is_led_to_the_sites_own_name(make: Callable[..., Flask]) -> None:
    client = make(QRLOGIN_ORIGIN="http://127.0.0.1:5000").test_client()
    seen = client.get("/login?next=/qr", base_url="http://localhost:5000")
    assert seen.location == "http://127.0.0.1:5000/login?next=/qr"
    assert client.get("/login", base_url="http://127.0.0.1:5000").status_code == 200


def test_only_its_own_host_is_answered(make: Callable[..., Flask]) -> None:
    for origin, own in (
        ("http://127.0.0.1:5000", "127.0.0.1:5000"),
        ("https://example.com", "example.com"),
        ("https://[::1]", "[::1]"),
    ):
        client = make(QRLOGIN_ORIGIN=origin).test_client()
        assert client.get("/login", headers={"Host": own}).status_code == 200
        for host in ("evil.example", "localhost.evil.example", f"x{own}", "127.0.0.2"):
            for path in ("/login", "/qrlogin/begin/", "/static"):
                seen = client.get(path, headers={"Host": host})
                assert (seen.status_code, "Location" in seen.headers) == (400, False), (path, host)
                assert seen.headers["X-Frame-Options"] == "DENY"


def test_what_is_not_there_is_a_page_too(app: Flask) -> None:
    client = app.test_client()
    for method, path, status in (("GET", "/nothing", 404), ("GET", "/logout", 405), ("POST", "/", 405)):
        seen = client.open(path, method=method)
        assert (seen.status_code, seen.headers["X-Frame-Options"]) == (status, "DENY")
        assert "<h1" in seen.text
        assert ("Allow" in seen.headers) == (status == 405)
        said = client.open(path, method=method, json={}) if method == "POST" else None
        assert said is None or (said.json or {})["error"] == "method_not_allowed"


def test_no_page_holds_a_script_or_a_style(app: Flask) -> None:
    client = sign_up(app)
    for path in ("/", "/qr", "/nothing"):
        tags = Tags(client.get(path).text).found
        assert all(attributes.get("src") for tag, attributes in tags if tag == "script")
        assert "style" not in {name for tag, attributes in tags for name in (tag, *attributes)}
        assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]


# Who is logged in, and for how long


def test_a_look_at_a_login_brings_no_session_back(app: Flask) -> None:
    """The answer to a long poll may come after a logout in another tab."""
    client = sign_up(app)
    begun = client.post("/qrlogin/begin", json={}, headers=SAME_SITE).json or {}
    seen = client.get(f"/qrlogin/{begun['login_id']}", headers=SAME_SITE)
    assert seen.status_code == 200
    assert not any(cookie.startswith("session=") for cookie in seen.headers.getlist("Set-Cookie"))


def test_who_closed_the_account_after_approving_is_not_logged_in(app: Flask, example: ModuleType) -> None:
    desk = app.test_client()
    login = ByPhone(desk, sign_up(app))
    assert [login.send(verb).status_code for verb in ("scan", "confirm")] == [200, 200]
    with app.app_context():
        example.db.session.delete(example.account_of("alice", PASSWORD))
        example.db.session.commit()
    refused = login.redeem()
    assert (refused.status_code, refused.json["error"]) == (403, "forbidden")
    assert desk.get("/").status_code == 302
    sign_up(app, "bob")
    with app.app_context():
        assert example.account_of("bob", PASSWORD).id == 2  # not the number that others may still hold cookies of


def test_a_lost_answer_comes_again_with_the_same_tokens(app: Flask, example: ModuleType) -> None:
    with app.test_request_context():
        example.make_account("alice", PASSWORD)
        one = Redeemed(login_id="a" * 22, subject="1", shown_as="", context={}, redeemed_at_ms=0, replayed=False)
        first, again = example.tokens(one), example.tokens(replace(one, replayed=True))
        other = example.tokens(replace(one, login_id="b" * 22))
        assert first == again
        assert first["access_token"] != other["access_token"]
        assert first["openid"] == "1"  # what a client of wechat_open asks for
        with pytest.raises(Forbidden):
            example.tokens(replace(one, subject="2"))


def test_an_instance_folder_that_was_open_is_closed(make: Callable[..., Flask], tmp_path: Path) -> None:
    (tmp_path / "instance").mkdir(mode=0o755)
    assert stat.S_IMODE(Path(make().instance_path).stat().st_mode) == 0o700
