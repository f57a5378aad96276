"""What is Django's own about its example: checks, migrations, sessions, CSRF, template tags, both kinds of server, and the diff
that its README shows. The shared stories are told of it elsewhere.
"""

import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.examples.running import DJANGO, EXAMPLES, LEFT_OUT, ROOT, Running
from tests.examples.story import Desk, Phone, Stage, approved, tell
from tests.examples.visitors import PASSWORD, OfExamples, Visitor
from tests.servers import LOOPBACK
from tests.wire.clock import eventually

SITE = EXAMPLES / "django_site"
SHOP = Path(__file__).parent / "existing_django"
INSIDE = Path(__file__).parent / "inside_django.py"
UVICORN = "uvicorn --port {port} config.asgi:application"
GUNICORN = "gunicorn --bind 127.0.0.1:{port} --threads 16 config.wsgi"
KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
EVIL = '"><script>alert(1)</script>'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example that nobody has started yet."""
    return Path(shutil.copytree(SITE, tmp_path_factory.mktemp("django") / "django_site", ignore=LEFT_OUT))


@pytest.fixture(scope="module")
def site() -> Iterator[Running]:
    with Running(DJANGO) as running:
        yield running


@pytest.fixture(scope="module")
def asgi_site() -> Iterator[Running]:
    with Running(DJANGO, start=UVICORN, QRLOGIN_MAX_WAITING="1") as running:
        yield running


def manage(folder: Path, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """manage.py, with every warning an error."""
    command = [sys.executable, "-W", "error", "manage.py", *words]
    told = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    return subprocess.run(command, cwd=folder, env=told, capture_output=True, text=True, timeout=60)


def ask(folder: Path, what: str, cases: Any) -> Any:
    """What inside_django.py answers."""
    command, told = [sys.executable, "-W", "error", str(INSIDE), what], {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=told, input=json.dumps(cases), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def redeemed(desk: Desk) -> httpx2.Response:
    return desk.redeem(desk.look()["scanned_by"]["tag"])


# Before it runs


CHECKS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"QRLOGIN": []}, ["E001"]),
    ({"QRLOGIN": {"SECRET_KEY": "misspelled"}}, ["E001"]),
    ({"QRLOGIN": {"SECRET_KEYS": None}}, ["E002"]),
    ({"QRLOGIN": {"SECRET_KEYS": []}}, ["E002"]),
    ({"QRLOGIN": {"SECRET_KEYS": KEY}}, ["E002"]),
    ({"QRLOGIN": {"SECRET_KEYS": ["short"]}}, ["E002"]),
    ({"QRLOGIN": {"VERIFICATION_URI": None}}, ["E003"]),
    ({"QRLOGIN": {"VERIFICATION_URI": "/qr"}}, ["E003"]),
    ({"QRLOGIN": {"VERIFICATION_URI": "http://example.com/qr"}}, ["E003"]),
    ({"QRLOGIN": {"STORE": "localhost:6379"}}, ["E004"]),
    ({"QRLOGIN": {"MAX_WAITING": 0}}, ["E005"]),
    ({"QRLOGIN": {"MAX_WAITING": "8"}}, ["E005"]),
    ({"QRLOGIN": {"LIFETIME": 601}}, ["E005"]),
    ({"QRLOGIN": {"LIFETIME": "120"}}, ["E005"]),
    ({"QRLOGIN": {"PERSON": "nowhere.to_be_found"}}, ["E006"]),
    ({"QRLOGIN": {"LOG_IN": "qrlogin_django.conf.DEFAULTS"}}, ["E006"]),
    ({"QRLOGIN": {"SECRET_KEYS": [], "STORE": ""}}, ["E002", "E004"]),
    ({"without": "SessionMiddleware"}, ["E007"]),
    ({"without": "AuthenticationMiddleware"}, ["E007"]),
    ({"without": "CsrfViewMiddleware"}, ["E007"]),
    ({"QRLOGIN": {"VERIFICATION_URI": "http://127.0.0.1:8000/elsewhere"}}, ["E008", "E008"]),
    ({"QRLOGIN": {"VERIFICATION_URI": "https://example.com/qr"}}, ["E009", "W001"]),
    ({"QRLOGIN": {"VERIFICATION_URI": "https://example.com/qr"}, "ALLOWED_HOSTS": ["example.com"]}, ["W001"]),
    ({"WEB_CONCURRENCY": "2"}, ["W002"]),
    ({"WEB_CONCURRENCY": "2", "QRLOGIN": {"STORE": "redis://127.0.0.1/0"}}, []),
    ({"deploy": True}, ["W003"]),
    ({"deploy": True, "QRLOGIN": {"STORE": "redis://127.0.0.1/0"}}, []),
]


def test_every_check(folder: Path) -> None:
    said = ask(folder, "checks", [case for case, _ in CHECKS])
    for (case, numbers), found in zip(CHECKS, said, strict=True):
        assert [one.split()[0] for one in found] == [f"qrlogin.{number}" for number in numbers], (case, found)
        assert not any(KEY in one or "misspelled" in one for one in found)


def test_a_wrong_setting_stops_every_command_and_every_server(folder: Path) -> None:
    told = {"QRLOGIN_STORE": "localhost:6379"}
    for words in (["check"], ["migrate"], ["runserver", "--noreload", "0"]):
        done = manage(folder, *words, **told)
        assert done.returncode == 1, words
        assert "qrlogin.E004" in done.stderr
        assert "redis://127.0.0.1:6379/0" in done.stderr
        assert "Traceback" not in done.stderr
    for module in ("config.wsgi", "config.asgi"):
        env = {**os.environ, "PYTHONPATH": str(ROOT), **told}
        done = subprocess.run([sys.executable, "-c", f"import {module}"], cwd=folder, env=env, capture_output=True, text=True)
        assert "ImproperlyConfigured: QRLOGIN: STORE must be" in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("QRLOGIN_ORIGIN", "example.com", "QRLOGIN_ORIGIN is what browsers call this site"),
        ("QRLOGIN_ORIGIN", "https://example.com/shop", "QRLOGIN_ORIGIN is what browsers call this site"),
        ("QRLOGIN_MAX_WAITING", "many", "QRLOGIN_MAX_WAITING is a whole number"),
        ("QRLOGIN_LIFETIME", "-1", "QRLOGIN_LIFETIME is a whole number"),
        ("QRLOGIN_SECRET_KEYS", "short", "python -m qrlogin keygen"),
        ("QRLOGIN_DATABASE", "postgres://localhost/shop", "DATABASES in settings.py"),
        ("QRLOGIN_DIALECTS", "weechat", "there is no 'weechat'; there are wechat"),
    ],
)
def test_a_wrong_environment_is_refused_with_what_to_do(folder: Path, name: str, value: str, says: str) -> None:
    done = manage(folder, "check", **{name: value})
    assert done.returncode == 1
    assert says in done.stderr


def test_the_database_is_made_once_and_the_models_are_in_it(folder: Path) -> None:
    first, again, changes = manage(folder, "migrate"), manage(folder, "migrate"), manage(folder, "makemigrations", "--check")
    assert [first.returncode, again.returncode, changes.returncode] == [0, 0, 0], first.stderr + again.stderr + changes.stderr
    assert "No migrations to apply" in again.stdout
    assert "No changes detected" in changes.stdout


def test_secrets_are_made_once_and_are_nobody_elses(folder: Path) -> None:
    manage(folder, "check")
    keys = {name: (folder / "instance" / name).read_text() for name in ("secret_key", "qrlogin_key")}
    with ThreadPoolExecutor(2) as parallel:
        assert [done.returncode for done in parallel.map(lambda _: manage(folder, "check"), range(2))] == [0, 0]
    assert keys == {name: (folder / "instance" / name).read_text() for name in keys}
    assert len(set(keys.values())) == 2
    for name in keys:
        assert (folder / "instance" / name).stat().st_mode & 0o077 == 0
    (folder / "instance" / "qrlogin_key").chmod(0o644)
    refused = manage(folder, "check")
    (folder / "instance" / "qrlogin_key").chmod(0o600)
    assert "others can read qrlogin_key: chmod 600 it" in refused.stderr


def test_over_https_everything_is_stricter(folder: Path) -> None:
    done = manage(folder, "check", "--deploy", QRLOGIN_ORIGIN="https://example.com", QRLOGIN_STORE="redis://127.0.0.1/0")
    assert done.returncode == 0, done.stderr
    # Django would also redirect, and claim the domain and a place on a list; that is for whoever owns the domain.
    assert set(re.findall(r"\((\w+\.\w+)\)", done.stderr)) <= {"security.W005", "security.W008", "security.W021"}


# What it writes


def test_tags_escape_what_is_put_into_them(folder: Path) -> None:
    hostile, plain = ask(
        folder,
        "tags",
        [{"name": EVIL, "next": f"/{EVIL}", "site": EVIL}, {"name": "alice", "next": "/basket?a=1&b=2", "site": "Shop & Co"}],
    )
    assert "<script>alert" not in hostile
    assert hostile.count("&quot;&gt;&lt;script&gt;") == 4  # and in what stands between the tags
    assert 'src="/qrlogin/qr-login-element.js"' in plain
    assert '<qr-login src="/qrlogin/" next="/basket?a=1&amp;b=2" csrf-header="X-CSRFToken" csrf-token="' in plain
    approve = '<qr-approve src="/qrlogin/phone/" at="/qr" account="alice" site="Shop &amp; Co" home="/" csrf-header="X-CSRFToken"'
    assert approve in plain
    assert "stream=" not in plain
    assert "typed" not in plain


def test_next_is_a_path_of_this_site_or_nothing(folder: Path) -> None:
    own = ["/", "/qr", "/qr/abc.DEF-_=", "/qr?user_code=BCDF-GHJK", "/a/b?c=d&e=f"]
    evil = ["", "qr", "//evil.example", "/\\evil.example", "\\/evil.example", "https://evil.example", "https:evil.example"]
    evil += ["javascript:alert(1)", "/\t/evil.example", "/a//b", "/qr\n", "/a?b=c#d", "/%2f%2fevil.example", f"/{EVIL}"]
    assert ask(folder, "targets", own + evil) == own + ["/"] * len(evil)


def test_a_view_whose_server_is_the_other_kind_says_so(folder: Path) -> None:
    (blocking,) = ask(folder, "wrong_server", ["wsgi"])
    (awaited,) = ask(folder, "wrong_server", ["asgi"])
    assert blocking == "under ASGI a wait must be awaited: give qrlogin_urls an AsyncEndpoint"
    assert awaited == "under WSGI each request has an event loop of its own: give qrlogin_urls an Endpoint"


def test_the_looks_are_those_of_the_other_examples() -> None:
    for name in ("style.css", "icon.svg"):
        assert (SITE / "static" / name).read_bytes() == (EXAMPLES / "flask_app" / "static" / name).read_bytes()


def test_in_chinese_django_speaks_chinese_too(site: Running) -> None:
    with Visitor(site.origin, language="zh-CN,zh;q=0.9") as visitor:
        page = visitor.http.get("/signup")
        assert '<html lang="zh-CN">' in page.text
        refused = visitor.send_form("/signup", name="somebody", password="1q2w3e4r5t6y7u8i9o0p")  # a common one, says Django
        assert refused.status_code == 200
        alert = re.search(r'role="alert">([^<]+)<', refused.text)
        assert alert
        assert re.search("[\u4e00-\u9fff]", alert[1])


# People and sessions


def test_passwords_are_hashed_and_judged_by_django(site: Running) -> None:
    manner = OfExamples()
    with manner.phone(site.origin, "alice"), Visitor(site.origin) as visitor:
        with sqlite3.connect(site.folder / "instance" / "db.sqlite3") as database:
            query = "SELECT password FROM auth_user WHERE username = ?"
            ((kept,),) = database.execute(query, [manner.named("alice")]).fetchall()
        assert re.fullmatch(r"pbkdf2_sha256\$\d{6,}\$\w+\$[\w+/=]{43,}", kept)
        name = manner.named("bob")
        for password in ("short", "x" * 257, f"{name}-123"):
            assert 'role="alert"' in visitor.send_form("/signup", name=name, password=password).text, password
        for bad in ("", " ", "with space", "x" * 65, f"{EVIL}", manner.named("alice")):
            answer = visitor.send_form("/signup", name=bad, password=PASSWORD)
            assert answer.status_code == 200
            assert 'role="alert"' in answer.text, bad
            assert "<script>alert" not in answer.text
        assert visitor.send_form("/login", name=name, password=PASSWORD).status_code == 200  # nobody was made


def test_a_restart_keeps_people_and_sessions(folder: Path) -> None:
    manner = OfExamples()
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


@pytest.mark.parametrize("kind", ["site", "asgi_site"])
def test_nothing_of_a_session_outlives_another_login(kind: str, request: pytest.FixtureRequest) -> None:
    running, manner = request.getfixturevalue(kind), OfExamples()
    stage = Stage(running.origin, manner)
    with Desk(manner.phone(running.origin, "alice")) as desk, stage.phone("bob") as bob:
        desk.visitor.csrf = {"X-CSRFToken": desk.visitor.page("/qr").first("qr-approve")["csrf-token"]}
        before = desk.visitor.jar()["session"]
        bob.see(desk.begin()).does("scan", "confirm")
        assert redeemed(desk).status_code == 200
        after = desk.visitor.jar()["session"]
        assert (manner.who(desk.visitor), before != after) == ("bob", True)
        assert "Firefox" in desk.visitor.http.get("/").text  # how it came about
        with Visitor(running.origin) as thief:
            thief.http.cookies.set("session", before)
            assert manner.who(thief) == ""
        manner.log_out(desk.visitor)
        with Visitor(running.origin) as thief:
            thief.http.cookies.set("session", after)
            assert manner.who(thief) == ""


def test_who_was_locked_since_is_not_logged_in(site: Running) -> None:
    stage = Stage(site.origin, OfExamples())
    with stage.browser() as desk, stage.phone("alice") as alice:
        alice.see(desk.begin()).does("scan", "confirm")
        with sqlite3.connect(site.folder / "instance" / "db.sqlite3") as database:
            name = [OfExamples.named(stage.manner, "alice")]  # type: ignore[arg-type]
            database.execute("UPDATE auth_user SET is_active = 0 WHERE username = ?", name)
        refused = redeemed(desk)
        assert (refused.status_code, refused.json()["error"]) == (403, "forbidden")
        assert stage.manner.who(desk.visitor) == ""
        assert alice.send("scan").status_code == 401


# CSRF


@pytest.mark.parametrize("kind", ["site", "asgi_site"])
def test_what_needs_a_csrf_token_and_what_does_not(kind: str, request: pytest.FixtureRequest) -> None:
    running, manner = request.getfixturevalue(kind), OfExamples()
    stage = Stage(running.origin, manner)
    with stage.browser() as desk, stage.phone("alice") as alice:
        for visitor in (desk.visitor, alice.visitor):
            visitor.csrf = {}
        for path in ("/login", "/signup", "/logout"):
            told = {"Origin": running.origin}
            assert alice.visitor.http.post(path, data={"name": "x", "password": PASSWORD}, headers=told).status_code == 403
        desk.begin()
        assert desk.look()["state"] == "pending"
        alice.see(desk)
        for verb in ("scan", "confirm", "deny", "release"):
            refused = alice.send(verb)
            assert (refused.status_code, refused.json()["error"]) == (403, "forbidden")
        assert desk.redeem("tag").status_code == 403
        for spelled in ("/", "%2F"):
            other = f"/qrlogin/{spelled}{desk.login_id}/redeem"
            assert desk.visitor.http.post(other, headers={"Origin": running.origin}, json={}).status_code == 403
        assert desk.cancel().json()["state"] == "cancelled"


# Both kinds of server


def test_the_whole_story_under_asgi() -> None:
    with Running(DJANGO, start=UVICORN) as running:
        tell(Stage(running.origin, OfExamples(), sockets=True))
        assert "Traceback" not in running.log


def test_under_the_reloader(folder: Path) -> None:
    start = "python manage.py runserver {port}"
    with Running(DJANGO, folder=folder, start=start) as running, ThreadPoolExecutor(2) as parallel:
        approved(Stage(running.origin, OfExamples()), parallel)


@contextmanager
def waiting_by_hand(desk: Desk) -> Iterator[None]:
    """A wait that takes a place, and whose browser leaves at the end of the block."""
    cookies = "; ".join(f"{name}={value}" for name, value in desk.visitor.jar().items())
    lines = [f"GET {desk.visitor.mount}{desk.login_id}?after={desk.version}&wait=25 HTTP/1.1", f"Host: {LOOPBACK}"]
    with socket.create_connection((LOOPBACK, desk.visitor.http.base_url.port or 0)) as connection:
        connection.sendall(("\r\n".join([*lines, f"Cookie: {cookies}"]) + "\r\n\r\n").encode())
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):  # not answered: it waits
            connection.recv(1, socket.MSG_PEEK)
        yield


@pytest.mark.parametrize("start", [UVICORN, GUNICORN])
def test_who_leaves_frees_the_place(start: str) -> None:
    with Running(DJANGO, start=start, QRLOGIN_MAX_WAITING="1") as running:
        stage = Stage(running.origin, OfExamples())
        with stage.browser() as one, stage.browser() as two:
            one.begin()
            two.begin()
            for _ in range(2):
                with waiting_by_hand(one):
                    assert "retry_after" in two.look(wait=1)
                left = time.monotonic()
                eventually(lambda: "retry_after" not in two.look(wait=1))
                assert time.monotonic() - left < 10  # by itself the wait would have gone on for 25 seconds


def test_dialects_have_the_root(tmp_path: Path) -> None:
    with (
        Running(DJANGO, QRLOGIN_DIALECTS="wechat,rfc8628") as running,
        Phone(OfExamples().phone(running.origin, "alice")) as alice,
    ):
        with Visitor(running.origin) as browser:
            alice.code = browser.http.get("/jslogin").text.rpartition(' = "')[2].removesuffix('";')
            alice.does("scan", "confirm")
            said = browser.http.get(f"/cgi-bin/mmwebwx-bin/login?uuid={alice.code}").text
            browser.http.get(re.findall(r'redirect_uri="(.*?)"', said)[0])
            assert "session" in browser.jar()
        with Visitor(running.origin) as device:
            begun = device.http.post("/device_authorization", data={"client_id": "tv"}).json()
            alice.code = begun["user_code"]
            alice.does("scan", "confirm")
            grant = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": begun["device_code"]}
            said, again = (device.http.post("/token", data={**grant, "client_id": "tv"}).json() for _ in range(2))
            assert (said["token_type"], bool(said["openid"])) == ("Bearer", True)
            assert again == said  # whoever lost the answer gets the same one
            assert "session" not in device.jar()
        assert alice.visitor.page("/qr").first("qr-approve")["typed"] == ""


# In a project that was there before


def test_the_diff_of_the_readme(tmp_path: Path) -> None:
    """The project of existing_django/, with the lines that the README adds to it."""
    (diff,) = re.findall(r"```diff\n(.*?)```", DJANGO.readme, re.DOTALL)
    assert sum(bool(re.match(r"\+(?!\+\+ )", line)) for line in diff.splitlines()) <= 15
    shop = Path(shutil.copytree(SHOP, tmp_path / "shop", ignore=LEFT_OUT))
    subprocess.run(["git", "apply", "-"], cwd=shop, input=diff, text=True, check=True)
    shutil.copytree(SITE / "qrlogin_django", shop / "qrlogin_django", ignore=LEFT_OUT)
    keys = {
        "SECRET_KEY": "of this test, and of no other: 0123456789abcdef",
        "QRLOGIN_KEY": KEY,
        "QR_ADDRESS": "http://127.0.0.1/qr",
    }
    start = "env QR_ADDRESS=$QRLOGIN_ORIGIN/qr python manage.py runserver {port} --noreload"
    with Running(DJANGO, folder=shop, start=start, **keys) as running:
        made = manage(
            shop, "createsuperuser", "--noinput", "--username=alice", "--email=", DJANGO_SUPERUSER_PASSWORD=PASSWORD, **keys
        )
        assert made.returncode == 0, made.stderr
        with Desk(Visitor(running.origin)) as desk, Phone(Visitor(running.origin)) as alice:
            assert desk.visitor.page("/login").first("qr-login")["src"] == "/qrlogin/"
            assert alice.visitor.http.get("/qr/abc").headers["location"] == "/login?next=/qr/abc"
            signed_in = alice.visitor.send_form("/login", username="alice", password=PASSWORD)
            assert signed_in.status_code == 302
            assert alice.visitor.page("/qr/abc").first("qr-approve")["account"] == "alice"
            assert desk.visitor.http.get("/").status_code == 302
            alice.see(desk.begin()).does("scan", "confirm")
            assert redeemed(desk).status_code == 200
            assert "Hello, alice." in desk.visitor.http.get("/").text
