"""The Flask example's passkeys over HTTP, inside the test process, with passkeys in software."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from qrlogin import Misconfigured
from tests.examples.authenticator import PRESENT, Authenticator, NotAllowed
from tests.examples.inside_flask import (
    ORIGIN,
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
from tests.tables import for_each_row

EVIL = "http://localhost.evil.example"
SCANS = 25  # of one account, which may not scan many codes at once
MANY = 6  # attempts of a relay in `make test`, one of each kind; the matrix makes a thousand


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    with imported(tmp_path_factory.mktemp("flask") / "flask_app") as module:
        yield module


@pytest.fixture
def app_for(example: ModuleType, tmp_path: Path) -> Callable[[str], Flask]:
    """Returns the example in these modes, with its database in memory."""

    def app_for(modes: str) -> Flask:
        settings = {"QRLOGIN_PASSKEYS": modes, "QRLOGIN_DATABASE": "sqlite://"}
        return create_app(example, tmp_path / modes, **settings)

    return app_for


def token(client: FlaskClient, path: str) -> dict[str, str]:
    page = client.get(path, follow_redirects=True).text
    found = re.search(r'name="csrf-token" content="([^"]+)"', page)
    assert found, page
    return {**SAME_SITE, "X-CSRFToken": found[1]}


def ask(client: FlaskClient, purpose: str, path: str = "/passkeys", **about: str) -> Any:
    """The answer to the question for options."""
    headers = token(client, path)
    return client.post(f"/passkeys/options/{purpose}", json=about, headers=headers)


def send(client: FlaskClient, purpose: str, credential: object, path: str = "/passkeys") -> Any:
    headers = token(client, path)
    return client.post(f"/passkeys/answers/{purpose}", json=credential, headers=headers)


def create(client: FlaskClient, passkey: Authenticator) -> Any:
    return send(client, "create", passkey.create(ORIGIN, ask(client, "create").json))


def use(client: FlaskClient, passkey: Authenticator, purpose: str, path: str, **about: str) -> Any:
    options = ask(client, purpose, path, **about).json
    return send(client, purpose, passkey.get(ORIGIN, options), path)


def with_passkey(app: Flask, name: str = "alice") -> tuple[FlaskClient, Authenticator]:
    """A browser in which this account is logged in, and its passkey."""
    client, passkey = sign_up(app, name), Authenticator()
    assert create(client, passkey).json == {"done": "create"}
    return client, passkey


def is_in(client: FlaskClient) -> bool:
    return client.get("/").status_code == 200


# Creating one, and logging in with it


def test_a_passkey_that_was_created_after_a_login_by_phone_logs_in_without_a_code(
    app_for: Callable[[str], Flask],
) -> None:
    app, passkey = app_for("create"), Authenticator()
    desk = app.test_client()
    assert Desk(desk, sign_up(app)).redeem().status_code == 200
    offered = '<a class="button" href="/passkeys">Create a passkey on this device</a>'
    assert offered in desk.get("/").text
    assert create(desk, passkey).json == {"done": "create"}
    desk.post("/logout", data=hidden_fields(desk, "/"))
    assert not is_in(desk)
    assert use(desk, passkey, "login", "/login").json == {"done": "login"}
    assert "You logged in with a passkey." in desk.get("/").text
    fields = {**hidden_fields(desk, "/passkeys"), "passkey": "1"}
    assert desk.post("/passkeys/remove", data=fields).location == "/passkeys"
    assert use(app.test_client(), passkey, "login", "/login").status_code == 400


def test_an_answer_is_refused_unless_all_of_it_is_right(app_for: Callable[[str], Flask]) -> None:
    app = app_for("create")
    _, passkey = with_passkey(app)
    client = app.test_client()
    options = ask(client, "login", "/login").json

    def refused(credential: object) -> None:
        assert send(client, "login", credential, "/login").status_code == 400
        assert not is_in(client)

    def asked() -> Any:
        return ask(client, "login", "/login").json

    careless = replace(passkey, obeys=False)
    refused(careless.get(EVIL, asked()))  # a page of another origin
    refused(careless.get(ORIGIN, asked(), rp_id="evil.example"))
    refused(replace(passkey, flags=PRESENT).get(ORIGIN, asked()))  # no one unlocked it
    refused(passkey.get(ORIGIN, options))  # of an earlier question
    stranger = Authenticator()
    stranger.create(ORIGIN, {**asked(), "rp": {"id": "localhost"}})
    refused(stranger.get(ORIGIN, asked()))
    asked()
    broken: tuple[object, ...] = ({}, [], {"id": 7}, {"id": "x", "response": None})
    for each in broken:
        refused(each)
    good = passkey.get(ORIGIN, asked())
    refused({**good, "response": {**good["response"], "signature": "AAAA"}})
    refused(good)  # a wrong answer has spent the question
    good = passkey.get(ORIGIN, asked())
    other = app.test_client()
    assert send(other, "login", good, "/login").status_code == 400, "asked of another browser"
    other.set_cookie("session", session_of(client))  # a copy, from before the answer
    assert send(client, "login", good, "/login").status_code == 200
    assert send(other, "login", good, "/login").status_code == 400, "a question is answered once"


def test_a_question_is_over_after_a_minute(
    app_for: Callable[[str], Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_for("create")
    _, passkey = with_passkey(app)
    client = app.test_client()
    good, now = passkey.get(ORIGIN, ask(client, "login", "/login").json), time.time()
    monkeypatch.setattr(time, "time", lambda: now + 62)
    assert send(client, "login", good, "/login").status_code == 400


def test_only_a_fresh_session_creates_and_removes_passkeys(
    app_for: Callable[[str], Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_for("create")
    client, _ = with_passkey(app)
    assert ask(app.test_client(), "create", "/login").status_code == 403
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 16 * 60)
    page = client.get("/passkeys").text
    assert "log out and log in again" in page
    fields = {**hidden_fields(client, "/"), "passkey": "1"}
    assert client.post("/passkeys/remove", data=fields).status_code == 403
    headers = {**SAME_SITE, "X-CSRFToken": hidden_fields(client, "/")["csrf_token"]}
    assert client.post("/passkeys/options/create", json={}, headers=headers).status_code == 403


def test_a_locked_account_cannot_log_in_with_its_passkey(
    app_for: Callable[[str], Flask], example: ModuleType
) -> None:
    app = app_for("create")
    client, passkey = with_passkey(app)
    with app.app_context():
        example.db.session.execute(example.db.update(example.Account).values(is_locked=True))
        example.db.session.commit()
    assert not is_in(client)
    assert use(app.test_client(), passkey, "login", "/login").status_code == 403


# approve


def begin(desk: FlaskClient) -> Any:
    return desk.post("/qrlogin/begin", json={}, headers=SAME_SITE).json


def confirm(phone: FlaskClient, code: str) -> Any:
    headers = {
        **SAME_SITE,
        "X-CSRFToken": Tags(phone.get("/qr").text).first("qr-approve")["csrf-token"],
    }
    return phone.post("/qrlogin/phone/confirm", json={"code": code}, headers=headers)


def redeem(desk: FlaskClient, login_id: str) -> None:
    headers = token(desk, "/login")
    tag = (desk.get(f"/qrlogin/{login_id}", headers=SAME_SITE).json or {})["scanned_by"]["tag"]
    body = {"acknowledged": tag, "op": "made-for-this-click"}
    answer = desk.post(f"/qrlogin/{login_id}/redeem", json=body, headers=headers)
    assert answer.status_code == 200


@row(315, 430)
def test_a_phone_confirms_only_the_login_for_which_it_answered_a_passkey(
    app_for: Callable[[str], Flask], example: ModuleType
) -> None:
    app = app_for("approve")
    (phone, passkey), desk = with_passkey(app), app.test_client()
    begun, other = begin(desk), begin(desk)
    code = begun["verification_uri_complete"]
    post_from_phone(phone, code, "scan")
    refused = confirm(phone, code)
    assert (refused.status_code, refused.json["error"]) == (403, "denied_by_site")
    assert refused.json["words"].startswith("Nothing was approved.")
    assert (
        use(phone, passkey, "approve", "/qr", code=other["verification_uri_complete"]).status_code
        == 200
    )
    assert confirm(phone, code).status_code == 403, "it answered for another login"
    _, stranger = with_passkey(app, "mallory")
    options = ask(phone, "approve", "/qr", code=code).json
    known = {**options, "allowCredentials": []}
    assert send(phone, "approve", stranger.get(ORIGIN, known), "/qr").status_code == 400
    assert confirm(phone, code).status_code == 403
    assert use(phone, passkey, "approve", "/qr", code=code).status_code == 200
    assert confirm(phone, code).json["state"] == "confirmed"
    assert confirm(phone, code).json["state"] == "confirmed"  # its answer was lost
    redeem(desk, begun["login_id"])
    with app.app_context():
        (row,) = example.sessions.by_phone(example.authenticate("alice", PASSWORD))
        assert row.assurance == "passkey", "Redeemed.assurance says what the approval met"


def test_a_phone_needs_no_passkey_to_deny_and_release(app_for: Callable[[str], Flask]) -> None:
    app = app_for("approve")
    phone, desk = sign_up(app), app.test_client()
    code = begin(desk)["verification_uri_complete"]
    post_from_phone(phone, code, "look", "scan", "release", "scan", "deny", "outcome")


def test_a_phone_without_a_passkey_is_led_to_where_it_creates_one(
    app_for: Callable[[str], Flask],
) -> None:
    app = app_for("approve")
    phone, desk = sign_up(app), app.test_client()
    code = begin(desk)["verification_uri_complete"]
    post_from_phone(phone, code, "scan")
    refused = confirm(phone, code)
    assert (refused.status_code, refused.json["step_up_uri"]) == (403, "/passkeys")


def test_an_answer_for_an_approval_is_over_after_a_minute(
    app_for: Callable[[str], Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_for("approve")
    (phone, passkey), desk = with_passkey(app), app.test_client()
    code = begin(desk)["verification_uri_complete"]
    post_from_phone(phone, code, "scan")
    assert use(phone, passkey, "approve", "/qr", code=code).status_code == 200
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 62)
    assert confirm(phone, code).status_code == 403


# browser


def test_a_browser_is_logged_in_only_after_it_answered_its_own_passkey(
    app_for: Callable[[str], Flask], example: ModuleType
) -> None:
    app = app_for("browser")
    (phone, passkey), desk = with_passkey(app), app.test_client()
    assert Desk(desk, phone).redeem().status_code == 200
    for path in ("/", "/login"):
        assert desk.get(path).location == "/passkeys/finish"
    assert desk.get("/browsers").status_code == desk.get("/passkeys").status_code == 302
    refused = desk.post(
        "/qrlogin/phone/look", json={"code": "x"}, headers=token(desk, "/passkeys/finish")
    )
    assert refused.status_code == 401, "it is no phone that is signed in, either"
    copy = app.test_client()
    copy.set_cookie("session", session_of(desk))
    assert use(desk, passkey, "finish", "/passkeys/finish").json == {"done": "finish"}
    assert "Approved on a phone" in desk.get("/").text
    assert copy.get("/").location == "/passkeys/finish", "a copy from before needs a passkey"
    with app.app_context():
        (row,) = example.sessions.by_phone(example.authenticate("alice", PASSWORD))
        assert row.assurance == "passkey of this browser"


def test_a_browser_answers_its_passkey_again_if_the_reply_was_lost(
    app_for: Callable[[str], Flask],
) -> None:
    """One login stays one session, and a copy of the old cookie needs the passkey, too."""
    app = app_for("browser")
    (phone, passkey), desk = with_passkey(app), app.test_client()
    assert Desk(desk, phone).redeem().status_code == 200
    before, copy = session_of(desk), app.test_client()
    copy.set_cookie("session", before)
    assert use(desk, passkey, "finish", "/passkeys/finish").status_code == 200
    after = session_of(desk)
    desk.set_cookie("session", before)  # the reply was lost, and its cookie with it
    assert desk.get("/").location == "/passkeys/finish"
    assert not is_in(desk)
    assert use(desk, passkey, "finish", "/passkeys/finish").json == {"done": "finish"}
    assert is_in(desk)
    assert phone.get("/browsers").text.count(">Log out there<") == 1
    assert send(copy, "finish", {"id": "x"}, "/passkeys/finish").status_code == 400
    copy.post("/logout", data=hidden_fields(desk, "/"))
    assert not is_in(copy)
    assert is_in(desk), "an old cookie ends nothing"
    fields = {**hidden_fields(phone, "/browsers"), "session": "all"}
    phone.post("/browsers", data=fields)
    for cookie in (before, after):
        copy.set_cookie("session", cookie)
        assert copy.get("/").location == "/login?next=%2F", "an ended session is ended for both"


def test_a_browser_that_does_not_answer_in_ten_minutes_starts_again(
    app_for: Callable[[str], Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_for("browser")
    (phone, _), desk = with_passkey(app), app.test_client()
    assert Desk(desk, phone).redeem().status_code == 200
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 11 * 60)
    assert desk.get("/passkeys/finish").location == "/"
    assert desk.get("/login").status_code == 200


def test_a_login_without_a_passkey_of_the_account_is_never_completed(
    app_for: Callable[[str], Flask],
) -> None:
    """The browser cannot create one first. A password is not enough where there is a passkey."""
    app = app_for("browser")
    phone, desk = sign_up(app), app.test_client()
    assert Desk(desk, phone).redeem().status_code == 200
    assert "has no passkey" in desk.get("/passkeys/finish").text
    headers = token(desk, "/passkeys/finish")
    for purpose in ("create", "approve"):
        asked = desk.post(f"/passkeys/options/{purpose}", json={}, headers=headers)
        assert asked.status_code == 403
    assert create(phone, Authenticator()).status_code == 200
    other = app.test_client()
    form = {**hidden_fields(other, "/login"), "name": "alice", "password": PASSWORD}
    assert other.post("/login", data=form).status_code == 302
    assert other.get("/").location == "/passkeys/finish"


def relay(app: Flask, phone: FlaskClient, passkey: Authenticator, attempt: int) -> bool:
    """An attacker shows a code of this site, whose owner's phone approves it. Returns whether the
    attacker's browser is logged in afterwards.

    The attacker also relays the passkey's question to a page of another origin, which the same
    person has open, and sends back whatever that browser answers.
    """
    attacker = app.test_client()
    if "approve" in app.config["QRLOGIN_PASSKEYS"]:
        # The victim answers this passkey as well: the page and the site are the genuine ones.
        begun = begin(attacker)
        code = begun["verification_uri_complete"]
        post_from_phone(phone, code, "scan")
        assert use(phone, passkey, "approve", "/qr", code=code).status_code == 200
        assert confirm(phone, code).status_code == 200
        redeem(attacker, begun["login_id"])
    else:
        assert Desk(attacker, phone).redeem().status_code == 200
    if is_in(attacker):
        return True
    options = ask(attacker, "finish", "/passkeys/finish").json
    careless = replace(passkey, obeys=False)  # a browser that does not exist
    tries: list[Callable[[], object]] = [
        lambda: passkey.get(EVIL, options),
        lambda: passkey.get(EVIL, options, rp_id="localhost.evil.example"),
        lambda: careless.get(EVIL, options),
        lambda: careless.get(EVIL, options, rp_id="localhost.evil.example"),
        lambda: careless.get("https://localhost", options),  # another scheme, another port
        lambda: careless.get("http://localhost:8080", options),
    ]
    with suppress(NotAllowed):  # then there is no answer to send
        send(attacker, "finish", tries[attempt % len(tries)](), "/passkeys/finish")
    return is_in(attacker)


@row(7, 316)
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "attempts", [MANY, pytest.param(1000, marks=[pytest.mark.matrix, pytest.mark.long])]
)
def test_a_relay_wins_without_the_browsers_own_passkey_and_never_with_it(
    attempts: int, app_for: Callable[[str], Flask]
) -> None:
    won = {}
    for modes, number in (("create", MANY), ("approve", MANY), ("browser", attempts)):
        app, won[modes] = app_for(modes), 0
        for attempt in range(number):
            if attempt % SCANS == 0:
                phone, passkey = with_passkey(app, f"victim-{attempt}")
            won[modes] += relay(app, phone, passkey, attempt)
    print(f"\nof {MANY} relays without it, and {attempts} with it, these won: {won}")
    assert won == {"create": MANY, "approve": MANY, "browser": 0}


# Settings


@for_each_row(
    "environ, remedy",
    [
        ({"QRLOGIN_PASSKEYS": "all"}, "create, approve and browser"),
        ({"QRLOGIN_PASSKEYS": "create", "QRLOGIN_ORIGIN": "http://127.0.0.1:5000"}, "localhost"),
        ({"QRLOGIN_PASSKEYS": "create", "QRLOGIN_ORIGIN": "https://[::1]"}, "localhost"),
        ({"QRLOGIN_PASSKEYS": "browser", "QRLOGIN_DIALECTS": "wechat"}, "QRLOGIN_DIALECTS"),
    ],
)
def test_passkeys_that_cannot_work_are_misconfigured(
    environ: dict[str, str], remedy: str, example: ModuleType, tmp_path: Path
) -> None:
    with pytest.raises(Misconfigured, match=remedy):
        example.create_app({"QRLOGIN_ORIGIN": ORIGIN, **environ}, instance=str(tmp_path))


def test_without_the_setting_there_are_no_passkeys(app_for: Callable[[str], Flask]) -> None:
    app = app_for("")
    client = sign_up(app)
    assert client.get("/passkeys").status_code == 404
    for path in ("/", "/qr", "/login"):
        assert "passkey" not in app.test_client().get(path, follow_redirects=True).text


def test_every_text_about_passkeys_is_in_each_language(app_for: Callable[[str], Flask]) -> None:
    app = app_for("create,approve,browser")
    import passkeys  # type: ignore[import-not-found]

    english, chinese = passkeys.TEXTS["en"], passkeys.TEXTS["zh-CN"]
    assert list(english) == list(chinese)
    seen = app.test_client().get("/login", headers={"Accept-Language": "zh"}).text
    assert chinese["logIn"] in seen
    assert english["logIn"] not in seen
