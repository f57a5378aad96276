"""One story over HTTP for everything that serves logins: an adapter is correct when `tell` passes.

The story uses only pages, cookies, pictures and JSON, and reaches into no application. It cannot
move the clock, so what takes an hour is tested elsewhere (tests/wire/story.py).
"""

import io
import json
import secrets
import socket
import unicodedata
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import httpx2
import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosedOK
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from qrlogin.names import masked
from tests.examples.variants import JWT
from tests.examples.visitors import Manner, Visitor
from tests.people import EIGHT_SCRIPTS, NAMES
from tests.render.readers import decode
from tests.servers import LOOPBACK
from tests.wire.clock import PATIENCE_SECONDS, eventually

HOLD = 20  # seconds that a poll may be held; the next step of the story ends it


@dataclass(frozen=True, slots=True)
class Stage:
    """The application that the story runs against."""

    origin: str
    manner: Manner
    sockets: bool = False  # an ASGI application
    processes: int = 1
    one_thread: bool = False
    """The server handles one request at a time, so it holds none."""
    varied: bool = False
    """A variant (variants/): bodies are read before, apps have tokens, `log_in` sets a JWT."""
    signed_in: dict[str, Visitor] = field(default_factory=dict)

    def browser(self) -> "Desk":
        return Desk(self.manner.browser(self.origin))

    def phone(self, name: str) -> "Phone":
        """The phone of this account. It signs in once, because passwords are slow to check."""
        if name not in self.signed_in:
            self.signed_in[name] = self.manner.phone(self.origin, name)
        return Phone(self.signed_in[name].again())

    def app(self, name: str) -> "Phone":
        """An app on that phone, with a token where the application knows one."""
        return Phone(self.manner.app(self.origin, name)) if self.varied else self.phone(name)


def tell(stage: Stage) -> None:
    with ThreadPoolExecutor(8) as parallel:
        approved(stage, parallel)
        answer_lost(stage)
        denied(stage)
        cancelled(stage)
        released(stage)
        strangers(stage)
        if stage.one_thread:
            crowded(stage)
        else:
            if stage.processes == 1:  # only the same process knows of the older poll
                superseded(stage, parallel)
            streamed(stage)
        if stage.sockets:
            over_a_socket(stage)
        without_a_csrf_token(stage)
        without_a_page(stage)
        with_a_slash(stage)
        if stage.varied:  # else each name would sign up, which takes long
            names_in_eight_scripts(stage)


class Desk:
    """A browser at one login."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor, self.login_id, self.version, self.op, self.complete = visitor, "", 0, "", ""
        self.tag = ""

    def begin(self) -> "Desk":
        begun = self.visitor.post("begin")
        assert begun.status_code == 201, begun.text
        said = begun.json()
        self.login_id, self.version, self.complete = (
            said["login_id"],
            said["version"],
            said["verification_uri_complete"],
        )
        self.op = secrets.token_urlsafe(16)
        return self

    def look(self, wait: int = 0) -> dict[str, Any]:
        seen = self.visitor.get(f"{self.login_id}?after={self.version}&wait={wait}")
        said: dict[str, Any] = seen.json()
        self.version = said.get("version", self.version)
        return said

    def picture(self) -> str:
        seen = self.visitor.get(f"{self.login_id}/qr.png")
        assert seen.status_code == 200
        (text,) = decode(Image.open(io.BytesIO(seen.content)))
        return text.decode()

    def redeem(self, tag: str, op: str = "") -> httpx2.Response:
        self.tag = tag
        return self.visitor.post(f"{self.login_id}/redeem", acknowledged=tag, op=op or self.op)

    def cancel(self) -> httpx2.Response:
        return self.visitor.post(f"{self.login_id}/cancel")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.visitor.http.close()


class Phone:
    """A phone on which a user is signed in."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor, self.code = visitor, ""

    def see(self, desk: Desk) -> "Phone":
        self.code = desk.picture()
        return self

    def send(self, verb: str) -> httpx2.Response:
        return self.visitor.post(f"phone/{verb}", code=self.code)

    def does(self, *verbs: str) -> None:
        for verb in verbs:
            answer = self.send(verb)
            assert answer.status_code == 200, (verb, answer.text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.visitor.http.close()


class Asking:
    """What a page does where the server holds no poll: it asks again."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        assert desk.look(HOLD)["retry_after"] == 2

    def done(self) -> bool:
        return False

    def result(self, _: float = 0) -> dict[str, Any]:
        return self._desk.look(HOLD)


def hold(
    stage: Stage, parallel: ThreadPoolExecutor, desk: Desk
) -> "Future[dict[str, Any]] | Asking":
    return Asking(desk) if stage.one_thread else parallel.submit(desk.look, HOLD)


# The acts


def approved(stage: Stage, parallel: ThreadPoolExecutor) -> None:
    with stage.browser() as desk, stage.phone("alice") as alice, stage.phone("bob") as bob:
        before = dict(desk.visitor.jar())
        assert stage.manner.who(desk.visitor) == ""
        desk.begin()
        waiting = hold(stage, parallel, desk)
        assert alice.see(desk).code == desk.complete
        scanned = alice.send("scan")
        assert scanned.status_code == 200, scanned.text
        assert scanned.json()["context"]["browser"].startswith(("Firefox", "Mozilla/5.0 (X11"))
        news = waiting.result(PATIENCE_SECONDS)
        assert news["state"] == "scanned"
        assert alice.send("scan").json()["state"] == "scanned"  # phones resend
        bob.code = alice.code
        assert (bob.send("scan").status_code, bob.send("scan").json()["error"]) == (
            409,
            "already_scanned",
        )
        assert desk.redeem(news["scanned_by"]["tag"]).json()["error"] == "wrong_state"

        waiting = hold(stage, parallel, desk)
        alice.does("confirm")
        early, news = news["scanned_by"], waiting.result(PATIENCE_SECONDS)
        assert news["state"] == "confirmed"
        assert "•" in early["shown_as"]
        assert "•" not in news["scanned_by"]["name"]
        assert desk.redeem(early["tag"]).json()["error"] == "scanner_changed"
        done = desk.redeem(news["scanned_by"]["tag"])
        assert (done.status_code, done.json()) == (
            200,
            {"login_id": desk.login_id, "state": "redeemed"},
        ), done.text
        assert stage.manner.who(desk.visitor) == "alice"
        after = desk.visitor.jar()
        assert any(value != before.get(name) for name, value in after.items())  # a new session
        if stage.varied:
            assert after["jwt"] == JWT
            assert "jwt" not in alice.visitor.jar() | bob.visitor.jar()
        assert (
            desk.redeem(news["scanned_by"]["tag"], "another-click-0000").json()["error"]
            == "already_redeemed"
        )
        stage.manner.log_out(desk.visitor)
        assert stage.manner.who(desk.visitor) == ""


def answer_lost(stage: Stage) -> None:
    """A redeem that is sent again, because its answer was lost, logs the browser in."""
    with stage.browser() as desk, stage.phone("alice") as alice:
        alice.see(desk.begin()).does("scan", "confirm")
        tag = desk.look()["scanned_by"]["tag"]
        body = json.dumps({"acknowledged": tag, "op": desk.op})
        lines = {
            "Cookie": "; ".join(f"{name}={value}" for name, value in desk.visitor.jar().items()),
            **desk.visitor.csrf,
        }
        lines |= {
            "Origin": stage.origin,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }
        sent = [
            f"POST {stage.manner.mount}{desk.login_id}/redeem HTTP/1.1",
            f"Host: {stage.origin.removeprefix('http://')}",
        ]
        sent += [f"{name}: {value}" for name, value in lines.items()]
        with socket.create_connection(
            (LOOPBACK, desk.visitor.http.base_url.port or 0)
        ) as connection:
            connection.sendall(("\r\n".join(sent) + "\r\n\r\n" + body).encode())
            eventually(lambda: desk.look()["state"] == "redeemed")
        done = desk.redeem(tag)
        assert (done.status_code, done.json()["state"]) == (200, "redeemed"), done.text
        assert stage.manner.who(desk.visitor) == "alice"


def denied(stage: Stage) -> None:
    with stage.browser() as desk, stage.phone("alice") as alice:
        alice.see(desk.begin()).does("scan")
        tag = desk.look()["scanned_by"]["tag"]
        alice.does("confirm", "deny", "deny")  # a denial wins until the login is redeemed
        assert desk.look()["state"] == "denied"
        assert (desk.redeem(tag).status_code, desk.redeem(tag).json()["error"]) == (409, "denied")
        assert alice.send("confirm").json()["error"] == "denied"
        assert stage.manner.who(desk.visitor) == ""


def cancelled(stage: Stage) -> None:
    with stage.browser() as desk, stage.phone("bob") as bob:
        bob.see(desk.begin()).does("scan", "confirm")
        tag = desk.look()["scanned_by"]["tag"]
        assert desk.cancel().json()["state"] == "cancelled"  # "that is not me"
        assert desk.redeem(tag).json()["error"] == "cancelled"
        assert bob.send("confirm").json()["error"] == "cancelled"
        assert stage.manner.who(desk.visitor) == ""


def released(stage: Stage) -> None:
    with stage.browser() as desk, stage.phone("alice") as alice, stage.phone("bob") as bob:
        alice.see(desk.begin()).does("scan")
        of_alice = desk.look()["scanned_by"]["tag"]
        alice.does("release")
        assert desk.look()["state"] == "pending"
        bob.see(desk).does("scan", "confirm")
        assert desk.redeem(of_alice).json()["error"] == "scanner_changed"
        assert desk.redeem(desk.look()["scanned_by"]["tag"]).status_code == 200
        assert stage.manner.who(desk.visitor) == "bob"


def strangers(stage: Stage) -> None:
    """Every request for another browser's login gets the same answer: 404."""
    with (
        stage.browser() as desk,
        stage.browser() as other,
        stage.phone("alice") as alice,
        stage.phone("bob") as bob,
    ):
        alice.see(desk.begin()).does("scan")
        other.begin()
        tries: list[Callable[[], httpx2.Response]] = [
            lambda: other.visitor.get(desk.login_id),
            lambda: other.visitor.get(f"{desk.login_id}/qr.svg"),
            lambda: other.visitor.get(f"{desk.login_id}/events"),
            lambda: other.visitor.post(f"{desk.login_id}/cancel"),
            lambda: other.visitor.post(f"{desk.login_id}/redeem", acknowledged="x", op="o" * 22),
        ]
        answers = [send() for send in tries]
        bob.code = alice.code
        answers += [bob.send(verb) for verb in ("confirm", "deny", "release")]
        bob.code = alice.code[:-1] + ("A" if alice.code[-1] != "A" else "B")
        answers += [bob.send(verb) for verb in ("scan", "confirm")]
        assert {(answer.status_code, answer.content) for answer in answers} == {
            (404, answers[0].content)
        }
        with Visitor(stage.origin, stage.manner.mount) as stranger:
            stranger.csrf = alice.visitor.csrf
            assert stranger.post("phone/scan", code=alice.code).status_code in (400, 401, 403)
        assert desk.look()["state"] == "scanned"


def superseded(stage: Stage, parallel: ThreadPoolExecutor) -> None:
    with stage.browser() as desk, stage.phone("alice") as alice:
        alice.see(desk.begin())
        first, second = hold(stage, parallel, desk), hold(stage, parallel, desk)
        eventually(lambda: first.done() or second.done())
        older, newer = (first, second) if first.done() else (second, first)
        assert older.result()["error"] == "superseded"
        alice.does("scan")
        assert newer.result(PATIENCE_SECONDS)["state"] == "scanned"


def crowded(stage: Stage) -> None:
    """A stream would stop a server that handles one request at a time."""
    with stage.browser() as desk:
        refused = desk.begin().visitor.get(f"{desk.login_id}/events")
        assert (refused.status_code, refused.json()["error"]) == (503, "crowded")
        assert desk.cancel().json()["state"] == "cancelled"


def streamed(stage: Stage) -> None:
    """Every state is sent once, even after the connection broke."""
    with stage.browser() as desk, stage.phone("alice") as alice:
        alice.see(desk.begin())
        with stream(desk) as events:
            assert [next(events)["state"], alice.send("scan").json()["state"]] == [
                "pending",
                "scanned",
            ]
            scanned = next(events)
            assert scanned["state"] == "scanned"
        alice.does("confirm")
        with stream(desk, last=str(scanned["version"])) as events:
            confirmed = next(events)
            assert confirmed["state"] == "confirmed"
            assert desk.redeem(confirmed["scanned_by"]["tag"]).status_code == 200
            last = next(events)
            assert last["state"] == "redeemed"
            assert list(events) == []
        answer = desk.visitor.http.get(
            f"{stage.manner.mount}{desk.login_id}/events",
            headers={"Last-Event-ID": str(last["version"])},
        )
        assert answer.status_code == 204  # so that an EventSource does not reconnect


@contextmanager
def stream(desk: Desk, last: str = "") -> Iterator[Iterator[dict[str, Any]]]:
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
    with desk.visitor.http.stream(
        "GET", f"{desk.visitor.mount}{desk.login_id}/events", headers=headers
    ) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")

        def events() -> Iterator[dict[str, Any]]:
            name = ""
            for line in answer.iter_lines():
                if line.startswith("event:"):
                    name = line.removeprefix("event:").strip()
                elif line.startswith("data:") and not name:
                    yield json.loads(line.removeprefix("data:"))
                elif not line:
                    name = ""

        yield events()


def over_a_socket(stage: Stage) -> None:
    with stage.browser() as desk, stage.phone("bob") as bob:
        bob.see(desk.begin())
        with socket_of(stage, desk) as line:
            assert heard(line) == "pending"
            bob.does("scan")
            assert heard(line) == "scanned"
        scanned = desk.look()["version"]
        bob.does("confirm")
        with socket_of(stage, desk, f"?after={scanned}") as line:
            assert heard(line) == "confirmed"
            desk.cancel()
            assert heard(line) == "cancelled"
            with pytest.raises(ConnectionClosedOK):  # nothing follows the final state
                line.recv(PATIENCE_SECONDS)


def socket_of(stage: Stage, desk: Desk, query: str = "") -> ClientConnection:
    address = (
        f"{stage.origin.replace('http', 'ws', 1)}{stage.manner.mount}{desk.login_id}/socket{query}"
    )
    cookie = "; ".join(f"{name}={value}" for name, value in desk.visitor.jar().items())
    return connect(
        address, origin=Origin(stage.origin), additional_headers={"Cookie": cookie}, proxy=None
    )


def heard(line: ClientConnection) -> str:
    return str(json.loads(line.recv(PATIENCE_SECONDS))["state"])


def without_a_csrf_token(stage: Stage) -> None:
    """Where forms need a CSRF token, so do the requests that act with the user's authority. The
    others need none."""
    with stage.browser() as desk, stage.phone("alice") as alice:
        if not desk.visitor.csrf and not alice.visitor.csrf:
            return
        of_desk, of_alice = desk.visitor.csrf, alice.visitor.csrf
        desk.visitor.csrf = {}
        alice.see(desk.begin())
        alice.visitor.csrf = {}
        assert {
            alice.send(verb).status_code for verb in ("scan", "confirm", "deny", "release")
        } <= {400, 403}
        assert desk.look()["state"] == "pending"
        alice.visitor.csrf = of_alice
        alice.does("scan", "confirm")
        tag = desk.look()["scanned_by"]["tag"]
        assert desk.redeem(tag).status_code in (400, 403)
        for path in spellings(desk.login_id):  # no other spelling reaches the route
            assert desk.visitor.post(path, acknowledged=tag, op=desk.op).status_code in (
                301,
                302,
                307,
                308,
                400,
                403,
                404,
            ), path
        assert desk.look()["state"] == "confirmed"
        desk.visitor.csrf = of_desk
        assert desk.redeem(tag).status_code == 200
        with stage.browser() as leaving:
            leaving.visitor.csrf = {}
            assert leaving.begin().cancel().json()["state"] == "cancelled"


def without_a_page(stage: Stage) -> None:
    """A command line and a phone app send a credential of their own, and no CSRF token."""
    with (
        httpx2.Client(base_url=stage.origin, trust_env=False, verify=False, timeout=60) as cli,
        stage.app("alice") as alice,
    ):
        mount = stage.manner.mount
        begun = cli.post(f"{mount}begin", json={"deliver": "body"}).json()
        alice.code = begun["verification_uri_complete"]
        unknown = {"Authorization": "Bearer of-no-phone"}
        refused = cli.post(f"{mount}phone/scan", json={"code": alice.code}, headers=unknown)
        assert (refused.status_code, refused.json()["error"]) == (401, "unauthenticated")
        alice.does("scan", "confirm")
        own = {"Authorization": f"Bearer {begun['device_code']}"}
        tag = cli.get(f"{mount}{begun['login_id']}", headers=own).json()["scanned_by"]["tag"]
        body = {"acknowledged": tag, "op": secrets.token_urlsafe(16)}
        done = cli.post(f"{mount}{begun['login_id']}/redeem", json=body, headers=own)
        assert (done.status_code, done.json()["state"]) == (200, "redeemed"), done.text


def with_a_slash(stage: Stage) -> None:
    """A server or a content management system added a slash to the address of the phone's page."""
    with stage.browser() as desk, stage.phone("alice") as alice, stage.browser() as unknown:
        alice.code = desk.begin().complete + "/"
        assert alice.code.count("//") == 1, "the page's own address must end without a slash"
        for visitor in (alice.visitor, unknown.visitor):  # it is for everybody
            visitor.page(alice.code.removeprefix(stage.origin))
            assert "qrl-landing" in visitor.jar()
        alice.does("scan", "confirm")
        assert desk.redeem(desk.look()["scanned_by"]["tag"]).status_code == 200
        assert stage.manner.who(desk.visitor) == "alice"


def names_in_eight_scripts(stage: Stage) -> None:
    for name in EIGHT_SCRIPTS:
        with stage.browser() as desk, stage.app(name) as phone:
            phone.code = desk.begin().complete
            phone.does("scan", "confirm")
            by = desk.look()["scanned_by"]
            # Django composes a name before it is masked.
            assert spelled(by["shown_as"]) in (spelled(masked(name)), masked(spelled(name)))
            assert desk.redeem(by["tag"]).status_code == 200
            who = stage.manner.who(desk.visitor)
            assert spelled(who) == spelled(NAMES[name])


def spelled(name: str) -> str:
    """Each framework and each database composes letters in its own way."""
    return unicodedata.normalize("NFKC", name).casefold()


def spellings(login_id: str) -> list[str]:
    redeem = f"{login_id}/redeem"
    return [
        f"/{redeem}",
        f"{redeem}/",
        f"{login_id}%2Fredeem",
        f"{login_id}/REDEEM",
        f"%2F{redeem}",
        f"./{redeem}",
        f"{redeem}%0A",
    ]
