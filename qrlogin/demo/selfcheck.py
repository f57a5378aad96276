"""`demo --self-check`: plays a browser and two phones over HTTP, and says of each thing in one line whether it works.

The two sides share nothing but the bytes of a picture: the desk fetches it, a real decoder reads it for the phone. Nothing
here knows more than an address; a check that imported the core would believe it.
"""

import io
import re
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from html import unescape
from typing import Any, Final

from qrlogin.demo.client import Answer, Client, Unreachable
from qrlogin.demo.players import PLAYERS, Camera

MISSING: Final = (
    "the self-check reads its QR codes with a real decoder: pip install 'qrlogin[demo]'"
)


class Desk:
    """A browser: a cookie jar, and the login that it began."""

    def __init__(self, origin: str) -> None:
        self._client = Client(
            origin, agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
        )
        self._begun: dict[str, Any] = {}
        self._op = secrets.token_urlsafe(16)

    @property
    def login_id(self) -> str:
        return str(self._begun.get("login_id", ""))

    @property
    def user_code(self) -> str:
        return str(self._begun.get("user_code", ""))

    def picture(self) -> bytes:
        """Begins a login and fetches its QR code."""
        self._begun = self._client.post("/qrlogin/begin", {}).json
        return self._client.get(f"/qrlogin/{self.login_id}/qr.png").body

    def status(self, login_id: str = "", *, wait: int = 0, after: int | None = None) -> Answer:
        cursor = "" if after is None else f"&after={after}"
        return self._client.get(f"/qrlogin/{login_id or self.login_id}?wait={wait}{cursor}")

    def cancel(self) -> Answer:
        return self._client.post(f"/qrlogin/{self.login_id}/cancel", {})

    def redeem(self, tag: str, *, op: str = "") -> Answer:
        return self._client.post(
            f"/qrlogin/{self.login_id}/redeem", {"acknowledged": tag, "op": op or self._op}
        )

    def home(self) -> str:
        """What a person reads on the first page."""
        return unescape(re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", self._client.get("/").text)))


class Phone:
    """A phone on which one of the demo's people is signed in. All that it learns of a desk is what its camera reads."""

    def __init__(self, origin: str, name: str, camera: Camera) -> None:
        self._client = Client(origin, agent=f"the phone of {name}")
        unlocked = self._client.post("/demo/phone", {"name": name}).json
        self._client.bearer = str(unlocked.get("token", "a-token-that-nobody-has"))
        self._camera, self.reading = camera, ""

    def look(self, picture: bytes) -> None:
        self.reading = self._camera(picture)

    def do(self, act: str) -> Answer:
        return self._client.post(f"/qrlogin/phone/{act}", {"code": self.reading})


class _SceneOver(Exception):
    """What comes next in a scene means nothing after a failure."""


class _Checks:
    """Says each line, and counts the bad ones."""

    def __init__(self) -> None:
        self.failed = 0

    def __call__(self, what: str, good: object, seen: object = "") -> None:
        print(
            f"  {'✓' if good else '✗'} {what}" + ("" if good else f" (got: {_brief(seen)})"),
            flush=True,
        )
        if not good:
            self.failed += 1
            raise _SceneOver


Scene = Callable[[str, Camera, _Checks], None]


def run(origin: str, dialects: Iterable[str] = ()) -> bool:
    """Play every scene against the demo at `origin`, and a client of each of these dialects. True if everything worked."""
    camera = _decoder()
    if camera is None:
        print(MISSING)
        return False
    check = _Checks()
    scenes: list[Scene] = [_log_in, _deny, _release, _second_account, _cancel, _strangers, _typed]
    scenes += [partial(_speak, name, act) for name in dialects for act in ("confirm", "deny")]
    for scene in scenes:
        with suppress(_SceneOver):
            try:
                scene(origin, camera, check)
            except Unreachable as error:
                check("the server answers", False, error)
    print(
        "Everything works." if not check.failed else f"{check.failed} of these do not work.",
        flush=True,
    )
    return not check.failed


def _log_in(origin: str, camera: Camera, check: _Checks) -> None:
    desk, alice = Desk(origin), Phone(origin, "alice", camera)
    picture = desk.picture()
    check("the browser shows a QR code", picture.startswith(b"\x89PNG"), picture)
    alice.look(picture)
    scanned = alice.do("scan")
    check(
        "a phone reads it and sees which browser asks",
        scanned.json.get("context", {}).get("browser"),
        scanned,
    )
    seen = desk.status()
    by = seen.json.get("scanned_by", {})
    check(
        "the browser sees who scanned",
        seen.json.get("state") == "scanned" and by.get("shown_as") == "A•••e",
        seen,
    )
    early = desk.redeem(by.get("tag", ""))
    check("before she approves, nobody is logged in", early.status == 409, early)
    with ThreadPoolExecutor(1) as waiting:
        parked = waiting.submit(desk.status, wait=10, after=seen.json.get("version"))
        approved = alice.do("confirm")
        check("Alice approves", approved.json.get("state") == "confirmed", approved)
        seen = parked.result()
    check("the browser, which waited, hears of it", seen.json.get("state") == "confirmed", seen)
    wrong = desk.redeem("x" * 43)
    check("it cannot go on as somebody it was not shown", wrong.error == "scanner_changed", wrong)
    done = desk.redeem(by.get("tag", ""))
    check("it goes on as her", done.json.get("state") == "redeemed", done)
    again = desk.redeem(by.get("tag", ""))
    check(
        "had the answer been lost, asking again would give the same one",
        again.body == done.body,
        again,
    )
    other = desk.redeem(by.get("tag", ""), op="another-click-entirely")
    check("another click gets nothing", other.error == "already_redeemed", other)
    home = desk.home()
    check("the page says: You are logged in as Alice", "You are logged in as Alice" in home, home)
    check("no other browser is logged in", "You are logged in" not in Desk(origin).home())


def _deny(origin: str, camera: Camera, check: _Checks) -> None:
    desk, alice = Desk(origin), Phone(origin, "alice", camera)
    alice.look(desk.picture())
    alice.do("scan")
    denied = alice.do("deny")
    seen = desk.status()
    check(
        "Alice declines, and the browser is told",
        denied and seen.json.get("state") == "denied",
        seen,
    )
    late = alice.do("confirm")
    check("what was declined cannot be approved any more", late.error == "denied", late)


def _release(origin: str, camera: Camera, check: _Checks) -> None:
    desk, alice, bob = Desk(origin), Phone(origin, "alice", camera), Phone(origin, "bob", camera)
    picture = desk.picture()
    alice.look(picture)
    bob.look(picture)
    alice.do("scan")
    released = alice.do("release")
    check("Alice says: not now", released.json.get("state") == "pending", released)
    scanned = bob.do("scan")
    check("then Bob can scan the same code", scanned.json.get("state") == "scanned", scanned)
    late = alice.do("confirm")
    check("Alice can no longer approve it", late.status == 404, late)
    bob.do("confirm")
    desk.redeem(desk.status().json.get("scanned_by", {}).get("tag", ""))
    home = desk.home()
    check("the page says: You are logged in as Bob", "You are logged in as Bob" in home, home)


def _second_account(origin: str, camera: Camera, check: _Checks) -> None:
    desk, alice, bob = Desk(origin), Phone(origin, "alice", camera), Phone(origin, "bob", camera)
    picture = desk.picture()
    alice.look(picture)
    bob.look(picture)
    alice.do("scan")
    second = bob.do("scan")
    check("while Alice decides, Bob is turned away", second.error == "already_scanned", second)
    theft = bob.do("confirm")
    check("and he cannot approve in her place", theft.status == 404, theft)


def _cancel(origin: str, camera: Camera, check: _Checks) -> None:
    desk, alice = Desk(origin), Phone(origin, "alice", camera)
    alice.look(desk.picture())
    alice.do("scan")
    cancelled = desk.cancel()
    late = alice.do("confirm")
    check(
        "the browser says: that is not me, and Alice is told",
        cancelled and late.error == "cancelled",
        late,
    )


def _strangers(origin: str, camera: Camera, check: _Checks) -> None:
    desk, other, alice = Desk(origin), Desk(origin), Phone(origin, "alice", camera)
    picture = desk.picture()
    other.picture()
    foreign = other.status(desk.login_id)
    check("another browser learns nothing of this login", foreign.status == 404, foreign)
    nobody = Phone(origin, "nobody", camera)
    nobody.look(picture)
    refused = nobody.do("scan")
    check("a phone on which nobody is signed in scans nothing", refused.status == 401, refused)
    alice.look(picture)
    page = Client(origin, agent="a link preview").get("/qr/" + alice.reading.rpartition("/")[2])
    seen = desk.status()
    check(
        "opening the code's address changes nothing",
        page and seen.json.get("state") == "pending",
        seen,
    )


def _typed(origin: str, camera: Camera, check: _Checks) -> None:
    desk, alice = Desk(origin), Phone(origin, "alice", camera)
    desk.picture()
    alice.reading = desk.user_code.lower().replace("-", " ")
    scanned = alice.do("scan")
    check("a code can be typed, too", scanned.json.get("login_id") == desk.login_id, scanned)
    alice.reading = "BCDF-GHJK"
    wrong = alice.do("scan")
    check("one that was mistyped leads nowhere", wrong.error == "unknown_login", wrong)


def _speak(name: str, act: str, origin: str, camera: Camera, check: _Checks) -> None:
    """One login of a client of that dialect, to one of its two ends."""
    player, alice = PLAYERS[name](origin, camera), Phone(origin, "alice", camera)
    alice.reading = player.begin()
    scanned, seen = alice.do("scan"), player.look()
    if act == "confirm":
        check(f"{name}: a phone reads its code", scanned.json.get("state") == "scanned", scanned)
        check(f"{name}: the client is told {player.scanned}", seen == player.scanned, seen)
    alice.do(act)
    seen, end = player.look(), player.approved if act == "confirm" else player.denied
    check(
        f"{name}: when Alice {'approves' if act == 'confirm' else 'declines'}, {end}",
        seen == end,
        seen,
    )
    if act == "confirm":
        player.go_on()
        check(f"{name}: it is logged in as her", player.who() == "Alice", player.who())


def _decoder() -> Camera | None:
    """A camera: the text of the one QR code in a picture. None without a decoder."""
    try:
        import zxingcpp
        from PIL import Image
    except ImportError:
        return None

    def read(picture: bytes) -> str:
        try:
            found = zxingcpp.read_barcodes(
                Image.open(io.BytesIO(picture)), formats=zxingcpp.barcode_formats_from_str("QRCode")
            )
        except OSError:
            return ""
        return found[0].text if len(found) == 1 else ""

    return read


def _brief(seen: object) -> str:
    text = (
        f"{seen.status} {seen.error or seen.json.get('state', '')}"
        if isinstance(seen, Answer)
        else repr(seen)
    )
    return text[:120]
