"""The Django example while it serves: accounts, sessions, WSGI and ASGI."""

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from tests.examples.held_waits import HeldPoll, hold_poll, slots_are_full, wait_until_held
from tests.examples.running import DJANGO, Running, prepared
from tests.examples.story import Desk, Phone, Stage, approved
from tests.examples.visitors import PASSWORD, OfExamples, Visitor
from tests.security_rows import row
from tests.wire.clock import eventually

UVICORN = "uvicorn --port {port} config.asgi:application"
GUNICORN = "gunicorn --bind 127.0.0.1:{port} --threads 16 config.wsgi"
SLOTS = 3


@pytest.fixture
def site(started: Callable[[str], Running]) -> Running:
    """The example under runserver, started as its README says."""
    return started("Django")


@pytest.fixture(scope="module")
def asgi_site() -> Iterator[Running]:
    with Running(DJANGO, start=UVICORN, QRLOGIN_MAX_WAITING=str(SLOTS)) as running:
        yield running


def redeemed(desk: Desk) -> httpx2.Response:
    return desk.redeem(desk.look()["scanned_by"]["tag"])


def lock(running: Running, name: str) -> None:
    with sqlite3.connect(running.folder / "instance" / "db.sqlite3") as database:
        database.execute("UPDATE auth_user SET is_active = 0 WHERE username = ?", [name])


# Accounts and sessions


def test_djangos_own_messages_are_in_the_language_of_the_page(site: Running) -> None:
    with Visitor(site.origin, language="zh-CN,zh;q=0.9") as visitor:
        page = visitor.http.get("/signup")
        assert '<html lang="zh-CN" dir="ltr">' in page.text
        refused = visitor.send_form(
            "/signup", name="mallory", password="1q2w3e4r5t6y7u8i9o0p"
        )  # Django knows it as a common password
        assert refused.status_code == 200
        alert = re.search(r'role="alert">([^<]+)<', refused.text)
        assert alert
        assert re.search("[\u4e00-\u9fff]", alert[1])


def test_django_hashes_passwords_and_checks_their_strength(site: Running) -> None:
    manner = OfExamples()
    with manner.phone(site.origin, "alice"), Visitor(site.origin) as visitor:
        with sqlite3.connect(site.folder / "instance" / "db.sqlite3") as database:
            query = "SELECT password FROM auth_user WHERE username = ?"
            ((kept,),) = database.execute(query, [manner.named("alice")]).fetchall()
        assert re.fullmatch(r"pbkdf2_sha256\$\d{6,}\$\w+\$[\w+/=]{43,}", kept)
        name = manner.named("bob")
        for password in ("short", "x" * 257, f"{name}-123"):
            assert (
                'role="alert"' in visitor.send_form("/signup", name=name, password=password).text
            ), password
        for bad in ("", " ", "\u202e", "x" * 151, manner.named("alice")):
            answer = visitor.send_form("/signup", name=bad, password=PASSWORD)
            assert answer.status_code == 200
            assert 'role="alert"' in answer.text, bad
        assert (
            visitor.send_form("/login", name=name, password=PASSWORD).status_code == 200
        )  # no account was created


def test_a_restart_keeps_accounts_and_sessions(tmp_path: Path) -> None:
    manner, folder = OfExamples(), Path(shutil.copytree(prepared(DJANGO), tmp_path / "django_site"))
    with Running(DJANGO, folder=folder) as running:
        alice = manner.phone(running.origin, "alice")
        assert manner.who(alice) == "alice"
    with Running(DJANGO, folder=folder) as again:
        with Visitor(again.origin) as later:
            later.http.cookies.set("session", alice.jar()["session"])
            assert manner.who(later) == "alice"
        with manner.phone(again.origin, "alice") as known:
            assert manner.who(known) == "alice"
    alice.http.close()


@row(18, 318)
@pytest.mark.parametrize("kind", ["site", "asgi_site"])
def test_a_login_by_phone_drops_the_session_before_it(
    kind: str, request: pytest.FixtureRequest
) -> None:
    running, manner = request.getfixturevalue(kind), OfExamples()
    stage = Stage(running.origin, manner)
    with Desk(manner.phone(running.origin, "alice")) as desk, stage.phone("bob") as bob:
        desk.visitor.csrf = {
            "X-CSRFToken": desk.visitor.page("/qr").first("qr-approve")["csrf-token"]
        }
        before = desk.visitor.jar()["session"]
        bob.see(desk.begin()).does("scan", "confirm")
        assert redeemed(desk).status_code == 200
        after = desk.visitor.jar()["session"]
        assert (manner.who(desk.visitor), before != after) == ("bob", True)
        assert (
            "Firefox" in desk.visitor.http.get("/").text
        )  # the browser's name, which a login by phone stores
        with Visitor(running.origin) as thief:
            thief.http.cookies.set("session", before)
            assert manner.who(thief) == ""
        manner.log_out(desk.visitor)
        with Visitor(running.origin) as thief:
            thief.http.cookies.set("session", after)
            assert manner.who(thief) == ""


@row(63, 444)
def test_an_account_locked_after_approving_is_not_logged_in(site: Running) -> None:
    manner = OfExamples()
    with (
        Desk(manner.browser(site.origin)) as desk,
        Phone(manner.phone(site.origin, "alice")) as alice,
    ):
        alice.see(desk.begin()).does("scan", "confirm")
        lock(site, manner.named("alice"))
        refused = redeemed(desk)
        assert (refused.status_code, refused.json()["error"]) == (403, "forbidden")
        assert manner.who(desk.visitor) == ""
        assert alice.send("scan").status_code == 401


# Both kinds of server


@pytest.mark.parametrize("kind", ["uvicorn", "gunicorn"])
def test_a_disconnect_frees_the_wait_slot(kind: str, request: pytest.FixtureRequest) -> None:
    with ExitStack() as stack:
        if kind == "uvicorn":
            running = request.getfixturevalue("asgi_site")
        else:
            running = stack.enter_context(
                Running(DJANGO, start=GUNICORN, QRLOGIN_MAX_WAITING=str(SLOTS))
            )
        stage = Stage(running.origin, OfExamples())
        late, *desks = (stack.enter_context(stage.browser()).begin() for _ in range(1 + SLOTS))
        for _ in range(2):
            with ExitStack() as waits:
                wait_until_held(late, *(waits.enter_context(hold_poll(desk)) for desk in desks))
            eventually(
                lambda: not slots_are_full(late)
            )  # this takes less time than those polls would


def test_dialects_at_the_root_under_the_reloader() -> None:
    """They share their wait slots with <qr-login>."""
    start, manner = "python manage.py runserver {port}", OfExamples()
    with (
        Running(
            DJANGO, start=start, QRLOGIN_DIALECTS="wechat,rfc8628", QRLOGIN_MAX_WAITING="1"
        ) as running,
        Phone(manner.phone(running.origin, "alice")) as alice,
        Desk(manner.browser(running.origin)) as desk,
        ThreadPoolExecutor(2) as parallel,
    ):
        approved(Stage(running.origin, manner), parallel)
        with Visitor(running.origin) as browser:
            alice.code = browser.http.get("/jslogin").text.rpartition(' = "')[2].removesuffix('";')
            poll = f"/cgi-bin/mmwebwx-bin/login?uuid={alice.code}"
            desk.begin()
            with HeldPoll(browser, poll) as wait:
                wait_until_held(desk, wait)
                alice.does("scan")
                eventually(lambda: not slots_are_full(desk))
            alice.does("confirm")
            script = browser.http.get(poll).text
            browser.http.get(re.findall(r'redirect_uri="(.*?)"', script)[0])
            assert "session" in browser.jar()
        with Visitor(running.origin) as device:

            def begin() -> dict[str, str]:
                begun = device.http.post("/device_authorization", data={"client_id": "tv"}).json()
                alice.code = begun["user_code"]
                alice.does("scan", "confirm")
                grant = "urn:ietf:params:oauth:grant-type:device_code"
                return {"grant_type": grant, "device_code": begun["device_code"], "client_id": "tv"}

            form = begin()
            first, again = (device.http.post("/token", data=form).json() for _ in range(2))
            assert (first["token_type"], bool(first["openid"])) == ("Bearer", True)
            assert again == first  # a client that lost the answer gets the same one
            assert "session" not in device.jar()
            assert alice.visitor.page("/qr").first("qr-approve")["typed"] == ""
            form = begin()
            lock(running, manner.named("alice"))
            refused = device.http.post("/token", data=form)
            assert (refused.status_code, refused.json()["error"]) == (403, "forbidden")
            assert "access_token" not in refused.text
