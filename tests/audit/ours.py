"""Targets of our own: the library, its dialects, the demo, and applications over HTTP."""

import re
import secrets
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from itsdangerous import URLSafeSerializer

from qrlogin import STANDARD, LoginError, MemoryStore, Policy, QRLogin
from qrlogin.audit import Answer, Browser, Device, Login, Phone, Seen, Session, Target, over_wsgi
from qrlogin.demo import client as demo_client
from qrlogin.demo.players import Player
from qrlogin.demo.server import Application as ServedApplication
from qrlogin.demo.server import Server
from qrlogin.demo.site import Site
from qrlogin.keys import new_key
from qrlogin.wire import Endpoint, Native, Person, Request
from tests.application import TO_END, Clock
from tests.examples.visitors import OfExamples, Tags
from tests.wire.dialects.dialect_clients import CLIENTS, client, code_of, wsgi
from tests.wire.mount import KEY, URI
from tests.wire.sites import Application

ALICE, BOB = "alice", "bob"
LOCAL = "http://127.0.0.1:8000"  # where nothing listens: these requests stay in the process
#: Subjects so long that no random text contains one.
SUBJECTS = {ALICE: "account-1001-of-alice", BOB: "account-1002-of-bob"}
SHOWN = {ALICE: "A•••e", BOB: "B•b"}
NAMES = {ALICE: "alice@example.com", BOB: "bob@example.com"}
PRIVATE = {ALICE: [SUBJECTS[ALICE]], BOB: [SUBJECTS[BOB]]}
ROTATED = STANDARD.rotation + STANDARD.rotation_grace + 1
#: How a poll spells a login that ended, in the native dialect.
ENDED = ("expired", "denied", "cancelled", "redeemed")


# The library without HTTP


def library(shown: Mapping[str, str] = SHOWN, names: Mapping[str, str] = NAMES) -> Target:
    """`QRLogin` in this process, called as a function.

    :param shown: the masks of the accounts, by account.
    :param names: their full names.
    """
    clock = Clock()
    qr = QRLogin(MemoryStore(now=clock), secret_keys=[KEY], verification_uri=URI)

    def begin(browser: Browser) -> Login:
        begun = qr.begin()
        browser.keep[begun.login_id] = begun.device_code
        return Login(begun.verification_uri_complete, begun.login_id)

    def code_of_browser(browser: Browser, login: Login) -> str:
        # Only who has the device_code can ask. An attacker sends the public id in its place.
        return str(browser.keep[login.id] or login.id)

    def poll(browser: Browser, login: Login) -> Seen:
        try:
            state = qr.status(code_of_browser(browser, login)).state
        except LoginError:
            return "refused"
        return "ended" if state in ENDED else _seen(state)

    def act(step: Callable[..., object], **more: Any) -> Callable[[Phone, str], bool]:
        def do(phone: Phone, code: str) -> bool:
            own = {name: values[phone.account] for name, values in more.items()}
            return _accepted(partial(step, code, subject=SUBJECTS[phone.account], **own))

        return do

    def collect(browser: Browser, login: Login) -> Session | None:
        device = code_of_browser(browser, login)
        try:
            seen = qr.status(device).scanned_by
            redeemed = qr.redeem(device, acknowledged=seen.tag if seen else "no tag")
        except (LoginError, ValueError):
            return None
        account = next(name for name, subject in SUBJECTS.items() if subject == redeemed.subject)
        return Session(account, secrets.token_urlsafe(16))

    def asked_as(browser: Browser, login: Login) -> str:
        seen = qr.status(code_of_browser(browser, login)).scanned_by
        return (seen.name or seen.shown_as or "") if seen else ""

    def code_now(browser: Browser, login: Login) -> str:
        return str(qr.status(code_of_browser(browser, login)).verification_uri_complete)

    return Target(
        begin=begin,
        poll=poll,
        scan=act(qr.scan, shown_as=shown),
        confirm=act(qr.confirm, name=names),
        collect=collect,
        deny=act(qr.deny),
        cancel=lambda browser, login: _accepted(lambda: qr.cancel(code_of_browser(browser, login))),
        asked_as=asked_as,
        code_now=code_now,
        rotates_after=ROTATED,
        pass_time=partial(_advance, clock),
        lifetime=TO_END,
        name="the library",
    )


def _accepted(step: Callable[[], object]) -> bool:
    try:
        step()
    except LoginError:
        return False
    return True


def _advance(clock: Clock, seconds: int) -> None:
    clock.ms += seconds * 1000


def _seen(state: str) -> Seen:
    words: Mapping[str, Seen] = {
        "pending": "pending",
        "scanned": "scanned",
        "confirmed": "confirmed",
    }
    return words[state]


# The native dialect over HTTP


@dataclass
class NativeSpeaker:
    """The five functions of the native dialect, for any application.

    `who` and `sign_in` are the application's; `prepare` is what a browser does before it begins.
    """

    who: Callable[[Browser], str]
    sign_in: Callable[[Phone], None]
    session_cookie: str
    mount: str = "/qrlogin/"
    prepare: Callable[[Browser], None] = lambda browser: None
    has_match_codes: bool = False
    _screens: dict[str, tuple[Browser, Login]] = field(default_factory=dict)

    def begin(self, browser: Browser) -> Login:
        self.prepare(browser)
        begun = browser.post(f"{self.mount}begin", json={}).json
        login = Login(begun["verification_uri_complete"], begun["login_id"])
        self._screens[login.code] = browser.copy(), login
        return login

    def digits(self, code: str) -> str:
        """What the browser shows whose user passes its digits on: every attacker has seen them."""
        browser, login = self._screens[code]
        return str(self.status(browser.copy(), login).json.get("match_code", ""))

    def status(self, browser: Browser, login: Login) -> Answer:
        return browser.get(f"{self.mount}{_last(login.id)}")

    def poll(self, browser: Browser, login: Login) -> Seen:
        answer = self.status(browser, login)
        if not answer:
            return "refused"
        state = answer.json["state"]
        return "ended" if state in ENDED else _seen(state)

    def act(self, verb: str) -> Callable[[Phone, str], bool]:
        def do(phone: Phone, code: str) -> bool:
            fields = {"code": code}
            if verb == "confirm" and self.has_match_codes:
                fields["match_code"] = self.digits(code) or "000"
            answer = phone.post(f"{self.mount}phone/{verb}", json=fields)
            # An attack that the limit of scans stops would prove nothing.
            assert "too_many_scans" not in answer.text
            return bool(answer)

        return do

    def collect(self, browser: Browser, login: Login) -> Session | None:
        tag = self.status(browser, login).json.get("scanned_by", {}).get("tag", "no tag")
        # Each page draws its own op, so a second one is no repeat.
        fields = {"acknowledged": tag, "op": secrets.token_urlsafe(16)}
        if not browser.post(f"{self.mount}{_last(login.id)}/redeem", json=fields):
            return None
        if not (account := self.who(browser)):
            return None
        return Session(account, session_in(browser.cookies[self.session_cookie]))

    def cancel(self, browser: Browser, login: Login) -> bool:
        return bool(browser.post(f"{self.mount}{_last(login.id)}/cancel", json={}))

    def asked_as(self, browser: Browser, login: Login) -> str:
        seen = self.status(browser, login).json.get("scanned_by", {})
        return str(seen.get("name") or seen.get("shown_as", ""))

    def code_now(self, browser: Browser, login: Login) -> str:
        return str(self.status(browser, login).json.get("verification_uri_complete", ""))

    def target(self, origin: str, **more: Any) -> Target:
        return Target(
            begin=self.begin,
            poll=self.poll,
            scan=self.act("scan"),
            confirm=self.act("confirm"),
            collect=self.collect,
            origin=origin,
            sign_in=self.sign_in,
            deny=self.act("deny"),
            cancel=self.cancel,
            asked_as=self.asked_as,
            who=self.who,
            code_now=self.code_now,
            rotates_after=ROTATED,
            **more,
        )


def session_in(cookie: str) -> str:
    """What names the session in its cookie. Flask and Starlette sign it together with the time, and
    with a CSRF token: two cookies of one session differ.
    """
    payload = cookie.rsplit(".", 2)[0]
    if payload == cookie:
        return cookie
    held = URLSafeSerializer("the signature is not read").load_payload(payload.encode())
    return str(held.get("session", held))


def _last(login_id: str) -> str:
    """An attacker also sends whole addresses as ids: the path takes what follows the last slash."""
    return login_id.rpartition("/")[2] or "none"


def page_of(phone: Phone, code: str) -> Answer:
    """Opens the address of a code, as the phone's browser does."""
    return phone.get(urlsplit(code).path)


def bare(url: str, clock: Any) -> Target:
    """The applications of tests/wire/sites.py, in one framework each. They have no real page."""

    def who(browser: Browser) -> str:
        # On a copy: what the audit reads of this application's own answers proves nothing of ours.
        subject = browser.copy().get("/me").json["subject"]
        return {None: "", "1": ALICE, "2": BOB}[subject]

    def sign_in(phone: Phone) -> None:
        phone.headers["authorization"] = f"Bearer phone-of-{phone.account}"

    speaks = NativeSpeaker(who, sign_in, "session", mount="/qr/")
    return speaks.target(url, pass_time=clock.advance, lifetime=TO_END)


def demo_functions(*, has_match_codes: bool = False) -> NativeSpeaker:
    def who(browser: Browser) -> str:
        return str(browser.get("/demo/me").json.get("name", "")).lower()

    def sign_in(phone: Phone) -> None:
        token = phone.post("/demo/phone", json={"name": phone.account}).json["token"]
        phone.headers["authorization"] = f"Bearer {token}"

    return NativeSpeaker(who, sign_in, "demo-session", has_match_codes=has_match_codes)


def demo(policy: Policy = STANDARD) -> Target:
    """The demo's application in this process, whose clock the audit moves."""
    clock = Clock()
    qr = QRLogin(
        MemoryStore(now=clock),
        secret_keys=[new_key()],
        verification_uri=f"{LOCAL}/qr",
        policy=policy,
    )
    return demo_functions(has_match_codes=policy.match_digits > 0).target(
        LOCAL,
        transport=over_wsgi(Site(qr)),
        pass_time=partial(_advance, clock),
        lifetime=TO_END,
        page=page_of,
        name="the demo",
    )


def example_functions(*, has_match_codes: bool = False) -> NativeSpeaker:
    """The three examples, which have the same pages. Each call makes accounts of its own."""
    manner = OfExamples()

    def who(browser: Browser) -> str:
        answer = browser.get("/")
        names = (ALICE, BOB) if answer.status == 200 else ()
        return next((name for name in names if manner.named(name) in answer.text), "")

    def sign_in(phone: Phone) -> None:
        visitor = manner.phone(phone.origin, phone.account)
        phone.cookies, phone.headers = visitor.jar(), {**phone.headers, **visitor.csrf}
        visitor.http.close()

    def prepare(browser: Browser) -> None:
        element = Tags(browser.get("/login").text).first("qr-login")
        if name := element.get("csrf-header"):
            browser.headers[name] = element["csrf-token"]

    return NativeSpeaker(who, sign_in, "session", prepare=prepare, has_match_codes=has_match_codes)


# The other dialects, whose clients are those of the demo


#: The address of a picture of a QR code. It takes longer to draw than all else in a begin.
PICTURE = re.compile(r"/(connect/)?qrcode/|/qrcodelogin/.*\.png")


class DeviceClient(demo_client.Client):
    """The client of a player, whose requests a device of the audit sends."""

    def __init__(self, device: Device) -> None:
        super().__init__(device.origin, agent="unused")
        self.device = device

    def cookie(self, name: str) -> str:
        return self.device.cookies.get(name, "")

    def _ask(self, request: urllib.request.Request) -> demo_client.Answer:
        body = request.data if isinstance(request.data, bytes) else b""
        kind = request.get_header("Content-type", "application/x-www-form-urlencoded")
        headers = {"authorization": f"Bearer {self.bearer}"} if self.bearer else {}
        method, path = request.get_method(), request.full_url.removeprefix(self.origin)
        if PICTURE.match(path):
            return demo_client.Answer(200, b"")  # the phone gets the code without a camera
        read: dict[str, Any] = {}
        if body and kind == "application/json":
            read["json"] = demo_client.Answer(200, body).json
        elif body:
            read["form"] = dict(parse_qsl(body.decode()))
        answer = self.device.request(method, path, headers=headers, **read)
        return demo_client.Answer(answer.status, answer.body, dict(answer.headers))


#: The word of a poll for a login that waits, by the dialect's client.
PENDING = {
    "wechat": "408",
    "wechat_open": "408",
    "wechat_open, an application": "408",
    "taobao": "10000",
    "newlogin": "NEW",
    "rfc8628": "authorization_pending",
    "bilibili": "86101",
    "jd": "201",
}


@dataclass
class Spoken:
    """The five functions of another dialect, spoken by a client of the demo."""

    name: str
    who: Callable[[Player], str]
    token: Callable[[Player], str]
    wait: Callable[[], None] = lambda: None
    camera: Callable[[bytes], str] = lambda picture: ""

    def player(self, browser: Browser, login_id: str = "") -> Player:
        """The client as it was when this browser used it last, or an attacker's."""
        player = client(self.name, browser.origin, self.camera)
        # An attacker sends the public id wherever the client sends an id.
        guessed: dict[str, Any] = {
            "id": login_id,
            "_begun": {"t": login_id, "ck": login_id},
            **EMPTY,
        }
        kept = browser.keep[f"{self.name} {login_id}"] or guessed
        player.__dict__.update(kept)
        player.client = DeviceClient(browser)
        player.client.bearer = kept.get("bearer", "")
        return player

    def remember(self, browser: Browser, player: Player, login_id: str) -> None:
        kept = {name: value for name, value in vars(player).items() if name not in UNKEPT}
        browser.keep[f"{self.name} {login_id}"] = {**kept, "bearer": player.client.bearer}

    def begin(self, browser: Browser) -> Login:
        player = self.player(browser)
        shown = player.begin()
        public = shown if self.name == "rfc8628" else code_of(player, shown)
        # The device_code of RFC 8628 is a secret of the client, and in no address.
        login = Login(public, "" if self.name == "rfc8628" else player.id or public)
        self.remember(browser, player, login.id)
        return login

    def poll(self, browser: Browser, login: Login) -> Seen:
        self.wait()
        player = self.player(browser, login.id)
        word = player.look()
        self.remember(browser, player, login.id)
        # A server that may hold no poll answers "no news" with 503.
        crowded = bool(browser.exchanged) and browser.exchanged[-1][1].status == 503
        if word == PENDING[self.name] or crowded:
            return "pending"
        words: Mapping[str, Seen] = {player.scanned: "scanned", player.approved: "confirmed"}
        return "ended" if word == player.denied else words.get(word, "refused")

    def collect(self, browser: Browser, login: Login) -> Session | None:
        player = self.player(browser, login.id)
        for _ in range(3):
            self.wait()
            word = player.look()
            if word == player.approved:
                player.go_on()
            if word not in ("", PENDING[self.name]):
                break
            # No news: another poll of the same login ended this one, say. A client polls again.
        account = self.who(player)
        self.remember(browser, player, login.id)
        return Session(account, self.token(player)) if account else None

    def target(self, origin: str, phones: NativeSpeaker, **more: Any) -> Target:
        return Target(
            begin=self.begin,
            poll=self.poll,
            scan=phones.act("scan"),
            confirm=phones.act("confirm"),
            collect=self.collect,
            sign_in=phones.sign_in,
            deny=phones.act("deny"),
            origin=origin,
            typed=self.name == "rfc8628",
            recovers_after=601 if self.name == "rfc8628" else 0,
            name=f"the dialect {self.name}",
            **more,
        )


def spoken_over_http(name: str, origin: str, functions: NativeSpeaker, token: str) -> Target:
    """A dialect of an application over HTTP. `token` is the cookie of the application's session.

    Start the application with QRLOGIN_MAX_WAITING=0, so that it holds no poll.
    """

    def browser_of(player: Player) -> Browser:
        client = player.client
        assert isinstance(client, DeviceClient)
        assert isinstance(client.device, Browser)
        return client.device

    spoken = Spoken(
        name,
        who=lambda player: functions.who(browser_of(player)),
        token=lambda player: session_in(browser_of(player).cookies.get(token, "")),
    )
    return spoken.target(origin, functions, samples=32, who=functions.who)


#: What a client of an attacker has not received.
EMPTY = dict.fromkeys(("_redirect", "_code", "_last", "_url", "_ticket"), "")
#: What belongs to a device, or is made anew.
UNKEPT = ("client", "camera")


def dialect(name: str) -> Target:
    """A dialect in this process, whose clock the audit moves."""
    app, target = _dialect(name, LOCAL)
    return replace(target, transport=over_wsgi(app))


@contextmanager
def dialect_over_http(name: str) -> Iterator[Target]:
    """`dialect` on a real server, in threads of this process."""
    with Server("127.0.0.1", 0) as server:
        app, target = _dialect(name, f"http://127.0.0.1:{server.port}")
        server.start(app)
        yield target
        server.stop(lambda: None)


def _dialect(name: str, origin: str) -> tuple[ServedApplication, Target]:
    clock, application = Clock(), Application()
    policy = replace(STANDARD, user_codes=True)
    qr = QRLogin(
        MemoryStore(now=clock),
        secret_keys=[KEY],
        verification_uri=f"{origin}/qr",
        policy=policy,
    )
    endpoint = Endpoint(qr, Native(qr.core), max_waiting=0)
    everything = wsgi(endpoint, application)
    people = {
        f"Bearer phone-of-{SUBJECTS[account]}": Person(
            SUBJECTS[account], SHOWN[account], name=NAMES[account]
        )
        for account in SUBJECTS
    }
    accounts = {subject: account for account, subject in SUBJECTS.items()}

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/qr/phone/"):
            person = people.get(environ.get("HTTP_AUTHORIZATION", ""))
            request = Request.from_wsgi(environ, path.removeprefix("/qr/phone/"))
            return endpoint.phone(request, person).to_wsgi(start_response)
        answered: Iterable[bytes] = everything(environ, start_response)
        return answered

    def session_of(player: Player) -> str:
        return player.client.bearer or player.client.cookie("session")

    def who(player: Player) -> str:
        return accounts.get(application.subject_of.get(session_of(player), ""), "")

    def sign_in(phone: Phone) -> None:
        phone.headers["authorization"] = f"Bearer phone-of-{SUBJECTS[phone.account]}"

    # Only a token endpoint slows its clients down.
    pause = STANDARD.interval + 1 if name == "rfc8628" else 0
    spoken = Spoken(name, who, session_of, wait=partial(_advance, clock, pause))
    return app, spoken.target(
        origin,
        NativeSpeaker(lambda browser: "", sign_in, "session", mount="/qr/"),
        pass_time=partial(_advance, clock),
        lifetime=600,
        private=PRIVATE,
        samples=32,  # most of these clients fetch a picture with each begin
    )


#: Every dialect but the native one, by the client that speaks it.
DIALECTS = [name for name in CLIENTS if name != "native"]
