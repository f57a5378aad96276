"""The story that every adapter must pass: real HTTP over loopback, a browser and a phone.

The browser has a cookie jar and sends its origin; the phone has a camera and a credential. They
share nothing. An adapter is correct when `play` passes.
"""

import io
import json
import secrets
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import httpx2
from PIL import Image

from qrlogin import STANDARD, MemoryStore, QRLogin
from tests.application import TO_SCAN
from tests.render.readers import decode
from tests.servers import LOOPBACK
from tests.wire.clock import PATIENCE_SECONDS, eventually
from tests.wire.mount import VERBS
from tests.wire.sites import KEY, Site


def play(site: Site) -> None:
    with pool() as parallel:
        approved(site, parallel)
        refused_and_given_up(site)
        released_and_scanned_again(site)
        looked_at(site)
        opened_before_signing_in(site)
        expired(site)
        strangers(site)
        if not site.one_thread:
            one_waits_and_a_newer_takes_over(site, parallel)
            too_many_wait(site, parallel)
        if site.awaited:
            gone_in_the_middle(site, parallel)
        closing(site, parallel)  # last, because the site stays closed


@dataclass(frozen=True)
class Answer:
    """One response with all its bytes, without the server's own Date and Server headers."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @classmethod
    def of(cls, response: httpx2.Response) -> Self:
        headers = sorted((name.lower(), value) for name, value in response.headers.raw)
        return cls(
            response.status_code,
            tuple(h for h in headers if h[0] not in (b"date", b"server")),
            response.content,
        )

    @property
    def json(self) -> dict[str, Any]:
        fields: dict[str, Any] = json.loads(self.body)
        return fields

    @property
    def error(self) -> str:
        return str(self.json["error"])


class Device:
    """An HTTP client of its own."""

    def __init__(self, site: Site, **headers: str) -> None:
        self.site = site
        # Without `verify=False` each client would load all certificates, for plain http.
        self.http = httpx2.Client(
            base_url=site.url, headers=headers, timeout=60, trust_env=False, verify=False
        )

    def get(self, path: str) -> Answer:
        return Answer.of(self.http.get(path))

    def post(self, path: str, **fields: str) -> Answer:
        return Answer.of(self.http.post(path, json=fields))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()


class Browser(Device):
    """A page on the desktop, with one login at a time."""

    def __init__(self, site: Site) -> None:
        super().__init__(
            site,
            **{"Sec-Fetch-Site": "same-origin", "Origin": site.url, "User-Agent": "Firefox/140.0"},
        )
        self.login_id, self.version, self.op = "", 0, ""

    def begin(self) -> Answer:
        begun = self.post("/qr/begin")
        assert begun.status == 201
        self.login_id, self.version, self.op = (
            begun.json["login_id"],
            begun.json["version"],
            secrets.token_urlsafe(16),
        )
        return begun

    def look(self, wait: int = 0) -> Answer:
        """The status; with `wait`, held until there is news for this page."""
        seen = self.get(f"/qr/{self.login_id}?after={self.version}&wait={wait}")
        if seen.status == 200:
            self.version = seen.json["version"]
        return seen

    def picture(self) -> bytes:
        seen = self.get(f"/qr/{self.login_id}/qr.png")
        assert seen.status == 200
        return seen.body

    def cancel(self) -> Answer:
        return self.post(f"/qr/{self.login_id}/cancel")

    def redeem(self, tag: str, op: str = "") -> Answer:
        return self.post(f"/qr/{self.login_id}/redeem", acknowledged=tag, op=op or self.op)

    def whoami(self) -> dict[str, Any]:
        return self.get("/me").json

    @property
    def cookies(self) -> str:
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.http.cookies.jar)


class Phone(Device):
    """A phone app with a camera, signed in as `owner` or signed out."""

    def __init__(self, site: Site, owner: str = "") -> None:
        super().__init__(site, **({"Authorization": f"Bearer phone-of-{owner}"} if owner else {}))
        self.code = ""

    def see(self, png: bytes) -> None:
        (text,) = decode(Image.open(io.BytesIO(png)))
        self.code = text.decode()

    def open(self) -> Answer:
        """Open the address in the code, as a camera does."""
        return self.get(self.code.removeprefix(self.site.url))

    def send(self, verb: str) -> Answer:
        return self.post(f"/qr/phone/{verb}", code=self.code)


@contextmanager
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as executor:
        yield executor


class Asking:
    """What a page does instead of one long poll where the server holds none: it asks again."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        assert browser.look(wait=25).json["retry_after"] == 2

    def done(self) -> bool:
        return False

    def result(self, _: float) -> Answer:
        return self._browser.look(wait=25)


def hold(site: Site, parallel: ThreadPoolExecutor, browser: Browser) -> "Future[Answer] | Asking":
    """A long poll, returned once the server holds it."""
    if site.one_thread:
        return Asking(browser)
    before = site.held()
    answer = parallel.submit(browser.look, wait=25)
    eventually(lambda: site.held() == before + 1 or answer.done())
    assert not answer.done(), answer.result()
    return answer


# The acts


def approved(site: Site, parallel: ThreadPoolExecutor) -> None:
    with (
        Browser(site) as desk,
        Phone(site, "alice") as alice,
        Phone(site, "bob") as bob,
        Phone(site, "mallory") as mallory,
    ):
        desk.get("/visit")
        assert desk.whoami() == {"session": None, "subject": None, "basket": "apples"}
        begun = desk.begin()
        (set_cookie,) = (value.lower() for name, value in begun.headers if name == b"set-cookie")
        assert b"; httponly" in set_cookie
        assert b"; samesite=lax" in set_cookie
        assert (
            b"secure" not in set_cookie
        )  # plain http on loopback; anywhere else Secure and __Host-

        png = desk.picture()
        for phone in (alice, bob, mallory):
            phone.see(png)
        assert alice.code == begun.json["verification_uri_complete"]
        assert alice.code.startswith(f"{site.verification_uri}/")

        held = hold(site, parallel, desk)
        assert (mallory.send("scan").status, mallory.send("confirm").status) == (
            401,
            401,
        )  # an unknown credential
        assert alice.send("confirm").error == "unknown_login"  # not scanned yet
        assert not held.done()
        scanned = alice.send("scan")
        assert (scanned.status, scanned.json["context"]) == (200, {"browser": "Firefox"})
        news = held.result(PATIENCE_SECONDS).json
        assert (news["state"], news["scanned_by"]["shown_as"]) == ("scanned", "A•••e")
        assert alice.send("scan").json["state"] == "scanned"  # phones resend

        second = bob.send("scan")
        assert (second.status, second.error) == (409, "already_scanned")
        assert bob.send("confirm").error == "unknown_login"
        tag = news["scanned_by"]["tag"]
        early = desk.redeem(tag)
        assert (early.status, early.error) == (409, "wrong_state")

        held = hold(site, parallel, desk)
        assert alice.send("confirm").json == {"login_id": desk.login_id, "state": "confirmed"}
        news = held.result(PATIENCE_SECONDS).json
        assert (news["state"], news["scanned_by"]["name"]) == ("confirmed", "alice@example.com")
        masked = desk.redeem(tag)  # acknowledged before the full name was there
        assert (masked.status, masked.error) == (409, "scanner_changed")
        redeemed(site, desk, news["scanned_by"]["tag"])


def redeemed(site: Site, desk: Browser, tag: str) -> None:
    """The application fails, then its answer is lost, then it succeeds: one op and one session."""
    application = site.application
    application.broken = True
    assert desk.redeem(tag).status == 500
    with leaving(desk, "POST", f"/qr/{desk.login_id}/redeem", acknowledged=tag, op=desk.op):
        eventually(lambda: len(application.log_ins) == 2)
    assert desk.whoami()["session"] is None  # the browser has no session yet
    done = desk.redeem(tag)
    assert (done.status, done.json) == (200, {"login_id": desk.login_id, "state": "redeemed"})
    assert [one.replayed for one in application.log_ins] == [False, True, True]
    me = desk.whoami()
    assert me == {"session": application.session_of[desk.login_id], "subject": "1", "basket": None}
    assert desk.redeem(tag).body == done.body
    assert desk.whoami() == me
    assert len(application.subject_of) == 1

    again = desk.redeem(tag, op="another-click-0000")
    assert (again.status, again.error) == (409, "already_redeemed")
    assert desk.look().json["state"] == "redeemed"
    assert desk.cancel().error == "already_redeemed"
    assert len(application.subject_of) == 1


def refused_and_given_up(site: Site) -> None:
    with Browser(site) as desk, Phone(site, "alice") as alice:
        desk.begin()
        alice.see(desk.picture())
        alice.send("scan")
        alice.send("confirm")
        tag = desk.look().json["scanned_by"]["tag"]
        assert (
            alice.send("deny").json["state"] == "denied"
        )  # a refusal wins until the login is redeemed
        assert alice.send("deny").json["state"] == "denied"
        assert desk.look().json["state"] == "denied"
        assert (desk.redeem(tag).status, desk.redeem(tag).error) == (409, "denied")
        assert alice.send("confirm").error == "denied"

        desk.begin()
        alice.see(desk.picture())
        alice.send("scan")
        alice.send("confirm")
        tag = desk.look().json["scanned_by"]["tag"]
        assert desk.cancel().json["state"] == "cancelled"  # "that is not me"
        assert desk.cancel().json["state"] == "cancelled"
        assert (desk.redeem(tag).status, desk.redeem(tag).error) == (409, "cancelled")
        assert alice.send("confirm").error == "cancelled"
        assert desk.whoami()["session"] is None


def released_and_scanned_again(site: Site) -> None:
    with Browser(site) as desk, Phone(site, "alice") as alice, Phone(site, "bob") as bob:
        desk.begin()
        for phone in (alice, bob):
            phone.see(desk.picture())
        alice.send("scan")
        of_alice = desk.look().json["scanned_by"]["tag"]
        assert alice.send("release").json["state"] == "pending"
        assert desk.look().json["state"] == "pending"
        assert bob.send("scan").status == 200
        assert alice.send("confirm").error == "unknown_login"
        assert bob.send("confirm").status == 200

        changed = desk.redeem(of_alice)  # the page still asks "continue as A•••e?"
        assert (changed.status, changed.error) == (409, "scanner_changed")
        of_bob = desk.look().json["scanned_by"]
        assert of_bob["shown_as"] == "B•b"
        assert desk.redeem(of_bob["tag"]).status == 200
        assert desk.whoami()["subject"] == "2"


def looked_at(site: Site) -> None:
    """A look takes nothing; the outcome is for the phone that scanned."""
    with (
        Browser(site) as desk,
        Phone(site, "alice") as alice,
        Phone(site, "bob") as bob,
        Phone(site, "mallory") as mallory,
    ):
        desk.begin()
        for phone in (alice, bob, mallory):
            phone.see(desk.picture())
        seen = alice.send("look")
        assert (seen.json["state"], seen.json["context"]) == ("pending", {"browser": "Firefox"})
        assert seen.json["expires_in"] <= TO_SCAN
        assert alice.send("look").json["login_id"] == desk.login_id
        assert (mallory.send("look").status, mallory.send("outcome").status) == (401, 401)
        unchanged = desk.look().json
        assert (unchanged["state"], unchanged["version"]) == ("pending", 1)
        assert alice.send("confirm").error == "unknown_login"

        unknown = bob.send("outcome")
        assert (unknown.status, unknown.error) == (404, "unknown_login")
        assert bob.send("scan").json["state"] == "scanned"
        assert bob.send("look").json["state"] == "scanned"
        late = alice.send("look")
        assert (late.status, late.error) == (409, "already_scanned")
        bob.send("confirm")
        tag = desk.look().json["scanned_by"]["tag"]
        assert bob.send("outcome").json == {"login_id": desk.login_id, "state": "confirmed"}
        desk.redeem(tag)
        assert bob.send("outcome").json["state"] == "redeemed"
        assert alice.send("outcome") == unknown

        desk.begin()
        bob.see(desk.picture())
        bob.send("scan")
        bob.send("confirm")
        site.clock.advance(STANDARD.redeem_window + 1)  # the browser never collects it
        assert bob.send("outcome").json == {"login_id": desk.login_id, "state": "expired"}
        alice.code = bob.code
        assert alice.send("outcome") == unknown


def opened_before_signing_in(site: Site) -> None:
    """The browser that opened the page in time may scan later; no other may."""
    with (
        Browser(site) as desk,
        Browser(site) as another,
        Phone(site, "alice") as alice,
        Phone(site, "bob") as bob,
        Phone(site) as preview,
    ):
        desk.begin()
        another.begin()
        for phone in (alice, preview):
            phone.see(desk.picture())
        opened = alice.open()
        (set_cookie,) = (value.lower() for name, value in opened.headers if name == b"set-cookie")
        assert opened.status == 200
        assert set_cookie.startswith(b"qrl-landing=")
        assert b"; httponly" in set_cookie
        assert b"; samesite=lax" in set_cookie
        assert preview.open().status == 200
        assert preview.http.head(preview.code).status_code == 200
        assert desk.look().json["version"] == 1  # neither has changed anything

        bob.see(another.picture())
        bob.open()
        bob.code = alice.code
        site.clock.advance(STANDARD.lifetime)  # no code of this login is shown any more
        for verb in ("look", "scan"):
            answer = bob.send(verb)
            assert (answer.status, answer.error) == (410, "expired")  # the cookie of another login
        assert not any(name == b"set-cookie" for name, _ in bob.open().headers)  # too late
        assert bob.send("scan").error == "expired"

        bare = desk.look().json
        assert (bare["state"], bare["expires_in"] <= STANDARD.late_window) == ("pending", True)
        assert not {"code_expires_in", "rotates_in", "verification_uri_complete", "qr"} & {*bare}
        assert alice.send("look").json["state"] == "pending"
        assert alice.send("scan").json["expires_in"] == STANDARD.decide_window
        assert not any(name == b"set-cookie" for name, _ in alice.open().headers)  # scanned
        assert alice.send("confirm").status == 200
        assert desk.redeem(desk.look().json["scanned_by"]["tag"]).status == 200


def expired(site: Site) -> None:
    with Browser(site) as desk, Phone(site, "alice") as alice:
        desk.begin()
        alice.see(desk.picture())
        site.clock.advance(44)  # the code has rotated away, the login lives
        assert (alice.send("scan").status, alice.send("scan").error) == (410, "expired")
        alice.see(desk.picture())
        assert alice.send("scan").status == 200
        tag = desk.look().json["scanned_by"]["tag"]
        site.clock.advance(92)
        assert (alice.send("confirm").status, alice.send("confirm").error) == (410, "expired")
        assert desk.look(wait=25).json["state"] == "expired"  # never held
        assert desk.redeem(tag).status == 410
        assert desk.get(f"/qr/{desk.login_id}/qr.png").status == 410
        site.clock.advance(3600)  # the record is dropped, and its browser still gets "expired"
        assert desk.look().json["state"] == "expired"
        assert desk.cancel().status == 410


def strangers(site: Site) -> None:
    """A stranger gets one answer, byte for byte, whether the login exists or not."""
    with (
        Browser(site) as desk,
        Browser(site) as other,
        Phone(site, "alice") as alice,
        Phone(site, "bob") as bob,
    ):
        desk.begin()
        bob.see(desk.picture())
        alice.see(desk.picture())
        alice.send("scan")
        other.begin()
        mine = f"/qr/{desk.login_id}"
        name, own = desk.cookies.partition("=")[::2]
        unknown = QRLogin(
            MemoryStore(now=site.clock), secret_keys=[KEY], verification_uri=site.verification_uri
        ).begin()
        foreign = QRLogin(
            MemoryStore(now=site.clock),
            secret_keys=[KEY[::-1]],
            verification_uri=site.verification_uri,
        ).begin()
        forged = own[:-1] + ("A" if own[-1] != "A" else "B")

        answers = [
            other.get(mine),
            other.post(f"{mine}/cancel"),
            other.post(f"{mine}/redeem", acknowledged="x", op="o" * 22),
        ]
        answers += [
            other.get(f"{mine}/qr.svg"),
            other.get("/qr/AAAAAAAAAAAAAAAAAAAAAA"),
            bob.send("confirm"),
            bob.send("deny"),
            bob.send("outcome"),
        ]
        with Device(site, Cookie=f"{name}={other.cookies.partition('=')[2]}") as thief:
            answers.append(thief.get(mine))
        for code, path in (
            (unknown.device_code, f"/qr/{unknown.login_id}"),
            (unknown.device_code, mine),
            (foreign.device_code, f"/qr/{foreign.login_id}"),
            (forged, mine),
            ("x", mine),
        ):
            with Device(site, Cookie=f"{name}={code}") as stranger:
                answers.append(stranger.get(mine))
            with Device(site, Authorization=f"Bearer {code}") as stranger:
                answers += [
                    stranger.get(path),
                    stranger.post(f"{path}/cancel"),
                    stranger.get(f"{path}?wait=25"),
                ]
        for code in (
            unknown.scan_code,
            foreign.scan_code,
            alice.code[:-1],
            "",
            "x" * 3000,
            "https://elsewhere.example/x",
        ):
            bob.code = code
            answers += [bob.send(verb) for verb in VERBS]

        assert answers[0].status == 404
        assert set(answers) == {answers[0]}
        assert desk.look().json["state"] == "scanned"


def one_waits_and_a_newer_takes_over(site: Site, parallel: ThreadPoolExecutor) -> None:
    with Browser(site) as desk, Phone(site, "alice") as alice:
        desk.begin()
        alice.see(desk.picture())
        older = hold(site, parallel, desk)
        newer = parallel.submit(desk.look, wait=25)
        answer = older.result(PATIENCE_SECONDS)
        assert (answer.status, answer.error) == (409, "superseded")
        alice.send("scan")
        assert newer.result(PATIENCE_SECONDS).json["state"] == "scanned"


def too_many_wait(site: Site, parallel: ThreadPoolExecutor) -> None:
    with Browser(site) as one, Browser(site) as two, Browser(site) as three:
        for browser in (one, two, three):
            browser.begin()
        waiting = [hold(site, parallel, one), hold(site, parallel, two)]
        answer = three.look(wait=25)
        assert (answer.status, answer.json["state"], answer.json["retry_after"]) == (
            200,
            "pending",
            2,
        )
        for browser, held in zip((one, two), waiting, strict=True):
            assert not held.done()
            browser.cancel()
            assert held.result(PATIENCE_SECONDS).json["state"] == "cancelled"
        held = hold(site, parallel, three)
        three.cancel()
        assert "retry_after" not in held.result(PATIENCE_SECONDS).json


def gone_in_the_middle(site: Site, parallel: ThreadPoolExecutor) -> None:
    """A browser that disconnects while it waits releases its slot and leaves nothing behind."""
    eventually(site.idle)
    quiet = site.tasks()
    with Browser(site) as one, Browser(site) as two:
        one.begin()
        two.begin()
        for _ in range(3):
            with (
                leaving(one, "GET", f"/qr/{one.login_id}?after=1&wait=25"),
                leaving(two, "GET", f"/qr/{two.login_id}?after=1&wait=25"),
            ):
                eventually(lambda: site.held() == 2)
            eventually(site.idle)
        eventually(lambda: site.tasks() <= quiet)
        held = hold(site, parallel, one)
        one.cancel()
        assert "retry_after" not in held.result(PATIENCE_SECONDS).json


def closing(site: Site, parallel: ThreadPoolExecutor) -> None:
    """Held requests are answered at once when the application ends."""
    with Browser(site) as one, Browser(site) as two:
        one.begin()
        two.begin()
        waiting = [hold(site, parallel, one), hold(site, parallel, two)]
        site.close_logins()
        for held in waiting:
            assert held.result(PATIENCE_SECONDS).json["state"] == "pending"


@contextmanager
def leaving(browser: Browser, method: str, path: str, **fields: str) -> Iterator[None]:
    """Send a request with this browser's cookies, then close the connection."""
    body = json.dumps(fields) if fields else ""
    sent = [
        f"{method} {path} HTTP/1.1",
        f"Host: {LOOPBACK}",
        f"Cookie: {browser.cookies}",
        f"Content-Length: {len(body)}",
    ]
    if body:
        sent.append("Content-Type: application/json")
    with socket.create_connection((LOOPBACK, browser.http.base_url.port or 0)) as connection:
        connection.sendall(("\r\n".join(sent) + "\r\n\r\n" + body).encode())
        yield
